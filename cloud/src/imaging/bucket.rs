//! A bucket of an S3 server as the place of instances. What goes there is compared with its hash on
//! the way, every request is signed together with the hash of its body, and the length is asked for
//! at the end: only then is an instance said to be there.

use super::archive::ArchiveError;
use crate::config::S3;
use bytes::Bytes;
use chiasm_proto::Sha256;
use object_store::{
    BackoffConfig, ClientOptions, Error, MultipartId, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    multipart::MultipartStore,
    path::Path as Key,
    prefix::PrefixStore,
};
use sha2::Digest;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{fs::File, io::AsyncReadExt};

/// What is sent in one request, in bytes; what is longer goes in parts of this length. The longest
/// instance then has fewer parts than the 10 000 that S3 allows.
pub const PART_BYTES: usize = 8 * 1024 * 1024;
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long the bucket may be silent; a part has to be sent within it.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 3;
const RETRY_TIME_MAX: Duration = Duration::from_secs(30);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(3);
/// How long the start waits to hear from the bucket.
const CHECK_MAX: Duration = Duration::from_secs(10);

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error("images.s3: {0}")]
    Settings(#[source] Error),
    #[error("images.s3.credentials_file: cannot read {path}: {source}")]
    Credentials { path: PathBuf, source: io::Error },
    #[error(
        "images.s3.credentials_file: {path} needs a line `aws_access_key_id = …` and a line \
         `aws_secret_access_key = …`"
    )]
    NoCredentials { path: PathBuf },
    #[error("images.s3: there is no bucket `{bucket}`: make it, or correct `bucket`. {source}")]
    Missing { bucket: String, source: Error },
    #[error(
        "images.s3: the bucket `{bucket}` is not open to us: check the access key, its secret \
         and the policy of the bucket (s3:ListBucket, s3:PutObject, s3:GetObject, \
         s3:AbortMultipartUpload). {source}"
    )]
    Denied { bucket: String, source: Error },
    #[error("images.s3: the bucket `{bucket}` gives back something else than was stored")]
    Unfaithful { bucket: String },
    #[error(
        "images.s3: the bucket `{bucket}` does not answer: check `endpoint`, `region` and the \
         network. {why}"
    )]
    Silent { bucket: String, why: String },
}

/// A bucket, or what lies in it below a prefix. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: Arc<str>,
    prefix: Key,
    s3: Arc<AmazonS3>,
}

/// As [`AmazonS3`] needs it to keep one HTTP client for readers of a prefix.
type Below = PrefixStore<Arc<AmazonS3>>;

impl Bucket {
    pub fn new(settings: &S3) -> Result<Self, BucketError> {
        // Several libraries bring TLS, so its provider has to be named.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: RETRY_PAUSE_MAX, ..BackoffConfig::default() },
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIME_MAX,
        };
        let is_plain = settings.endpoint.as_ref().is_some_and(|it| it.starts_with("http://"));
        let options = ClientOptions::new()
            .with_allow_http(is_plain)
            .with_connect_timeout(CONNECT_MAX)
            .with_timeout_disabled()
            .with_read_timeout(SILENCE_MAX);
        let mut builder = AmazonS3Builder::from_env()
            .with_client_options(options)
            .with_retry(retry)
            .with_bucket_name(&settings.bucket)
            .with_virtual_hosted_style_request(!settings.path_style);
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = settings.endpoint_of_bucket() {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(path) = &settings.credentials_file {
            let given = Credentials::read(path)?;
            builder = builder.with_access_key_id(given.id).with_secret_access_key(given.secret);
            builder = given.token.into_iter().fold(builder, AmazonS3Builder::with_token);
        }
        let s3 = Arc::new(builder.build().map_err(BucketError::Settings)?);
        let prefix = Key::from(settings.prefix.as_str());
        Ok(Bucket { name: settings.bucket.as_str().into(), prefix, s3 })
    }

    /// For readers, and for whole objects that are short.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(self.below())
    }

    fn below(&self) -> Below {
        PrefixStore::new(self.s3.clone(), self.prefix.clone())
    }

    /// Keys in the bucket itself, for what speaks to it without the prefix.
    fn full(&self, key: &Key) -> Key {
        self.prefix.parts().chain(key.parts()).collect()
    }

    /// Whether it takes something and gives it back.
    pub async fn check(&self) -> Result<(), BucketError> {
        let (key, bytes) =
            (Key::from("check"), Bytes::from_static(b"chiasm-cloud can write here\n"));
        let store = self.below();
        // Who may not list is told that what is missing is forbidden.
        let asked = async {
            store.list_with_delimiter(Some(&key)).await?;
            store.put(&key, bytes.clone().into()).await?;
            store.get_range(&key, 0..bytes.len() as u64).await
        };
        let bucket = self.name.to_string();
        match tokio::time::timeout(CHECK_MAX, asked).await {
            Ok(Ok(found)) if found == bytes => Ok(()),
            Ok(Ok(_)) => Err(BucketError::Unfaithful { bucket }),
            Ok(Err(source)) => match status_of(&source) {
                Some(404) => Err(BucketError::Missing { bucket, source }),
                Some(401 | 403) => Err(BucketError::Denied { bucket, source }),
                _ => Err(BucketError::Silent { bucket, why: source.to_string() }),
            },
            Err(_) => {
                let why = format!("It was silent for {} s.", CHECK_MAX.as_secs());
                Err(BucketError::Silent { bucket, why })
            }
        }
    }

    /// Stores a file under a key. It is there, whole and as its hash says, when this returns.
    /// `note` is a file that names the upload in parts while there is one, so that it is ended
    /// even by a process that comes later.
    pub async fn take_in(
        &self,
        (path, note): (&Path, &Path),
        key: &Key,
        sha256: &Sha256,
    ) -> Result<(), ArchiveError> {
        self.abort_noted(note, key).await?;
        let fault = |source| ArchiveError::Folder { path: path.to_owned(), source };
        let mut file = File::open(path).await.map_err(fault)?;
        let len = file.metadata().await.map_err(fault)?.len();
        if len <= PART_BYTES as u64 {
            let bytes = part(&mut file).await.map_err(fault)?;
            if Sha256::of(&bytes) != *sha256 {
                return Err(ArchiveError::Changed(path.to_owned()));
            }
            self.below().put(key, bytes.into()).await?;
        } else {
            let full = self.full(key);
            let id = self.s3.create_multipart(&full).await?;
            let noted = |source| ArchiveError::Folder { path: note.to_owned(), source };
            tokio::fs::write(note, &id).await.map_err(noted)?;
            if let Err(error) = self.in_parts(file, path, (&full, &id), sha256).await {
                // If the bucket does not hear it, the note is still there.
                let _ = self.abort_noted(note, key).await;
                return Err(error);
            }
            tokio::fs::remove_file(note).await.map_err(noted)?;
        }
        match self.below().head(key).await?.size {
            there if there == len => Ok(()),
            there => Err(ArchiveError::Length { there, len }),
        }
    }

    async fn in_parts(
        &self,
        mut file: File,
        path: &Path,
        (key, id): (&Key, &MultipartId),
        sha256: &Sha256,
    ) -> Result<(), ArchiveError> {
        let fault = |source| ArchiveError::Folder { path: path.to_owned(), source };
        let (mut hasher, mut parts) = (sha2::Sha256::new(), Vec::new());
        loop {
            let bytes = part(&mut file).await.map_err(fault)?;
            if bytes.is_empty() {
                break;
            }
            hasher.update(&bytes);
            parts.push(self.s3.put_part(key, id, parts.len(), bytes.into()).await?);
        }
        if hasher.finalize().as_slice() != sha256.0 {
            return Err(ArchiveError::Changed(path.to_owned()));
        }
        self.s3.complete_multipart(key, id, parts).await?;
        Ok(())
    }

    /// Ends an upload in parts that an earlier process began: its parts cost as much as objects.
    pub async fn abort_noted(&self, note: &Path, key: &Key) -> Result<(), ArchiveError> {
        let fault = |source| ArchiveError::Folder { path: note.to_owned(), source };
        let id = match tokio::fs::read_to_string(note).await {
            Ok(id) => id,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(fault(source)),
        };
        match self.s3.abort_multipart(&self.full(key), &id).await {
            // It had come to its end, or the bucket has forgotten it. That a server denies what it
            // does not know must not stop the next attempt either.
            Ok(()) | Err(Error::NotFound { .. } | Error::PermissionDenied { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::fs::remove_file(note).await.map_err(fault)
    }
}

/// The status of an answer. Of a list's the library keeps only the words.
fn status_of(error: &Error) -> Option<u16> {
    match error {
        Error::NotFound { .. } => Some(404),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Some(403),
        error => error.to_string().split_once("status code: ")?.1.get(..3)?.parse().ok(),
    }
}

/// The next [`PART_BYTES`] of a file, or what is left of it.
async fn part(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut bytes).await?;
    Ok(bytes.into())
}

/// An access key, as AWS' own tools write it into their file `credentials`.
struct Credentials {
    id: String,
    secret: String,
    token: Option<String>,
}

impl Credentials {
    fn read(path: &Path) -> Result<Self, BucketError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BucketError::Credentials { path: path.to_owned(), source })?;
        let value = |name: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
            Some(value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        match (value("aws_access_key_id"), value("aws_secret_access_key")) {
            (Some(id), Some(secret)) => {
                Ok(Credentials { id, secret, token: value("aws_session_token") })
            }
            _ => Err(BucketError::NoCredentials { path: path.to_owned() }),
        }
    }
}
