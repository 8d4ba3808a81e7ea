//! Where the bytes of DICOM instances lie: an object store, which is a folder with fsync or a bucket
//! of an S3 server. What comes in parts is collected in the folder, and moved when it is whole.

use super::{
    bucket::{Bucket, BucketError},
    object_reader::ObjectReader,
    upload::Turn,
};
use crate::config::Images;
use chiasm_proto::Sha256;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path as Key};
use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

/// Why the archive could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot use the folder of images {path}: {source}; make it writable for this service")]
    Folder { path: PathBuf, source: io::Error },
    #[error("the object store failed: {0}")]
    Store(#[from] object_store::Error),
    #[error("the object store does not give an object: {0}")]
    Read(io::Error),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("{0} is not any more what it was when it had arrived")]
    Changed(PathBuf),
    #[error("the bucket has {there} of {len} bytes")]
    Length { there: u64, len: u64 },
    #[error(
        "the disk of {path} has {free} bytes left, and {reserve} are kept free: make room, or take \
         less for `images.disk_reserve_mb`"
    )]
    Full { path: PathBuf, free: u64, reserve: u64 },
}

/// The object store with the place beside it where uploads are collected. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: Arc<Path>,
    reserve_bytes: u64,
    /// None: objects lie in the folder.
    bucket: Option<Bucket>,
    local: Arc<OnceLock<Arc<LocalFileSystem>>>,
}

impl Archive {
    /// The archive with uploads, and without a bucket also objects, in a folder, which is made when
    /// it is first needed.
    pub fn new(folder: &Path, settings: &Images) -> Result<Self, ArchiveError> {
        let bucket = settings.s3.as_ref().map(Bucket::new).transpose()?;
        let reserve_bytes = settings.disk_reserve_mb.saturating_mul(1024 * 1024);
        Ok(Self { folder: folder.into(), reserve_bytes, bucket, local: Arc::default() })
    }

    /// Finds out at the start what would fail with the first image. A bucket that does not answer
    /// may come back; until then images wait at their gateways.
    pub async fn check(&self) -> Result<(), ArchiveError> {
        self.local()?;
        let Some(bucket) = &self.bucket else { return Ok(()) };
        match bucket.check().await {
            Err(error @ BucketError::Silent { .. }) => {
                tracing::error!(%error, "images wait at their gateways until it answers");
                Ok(())
            }
            checked => Ok(checked?),
        }
    }

    /// For readers: whole objects and ranges of them, by key.
    pub fn store(&self) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
        match &self.bucket {
            Some(bucket) => Ok(bucket.store()),
            None => Ok(self.local()?),
        }
    }

    /// An object as something to read and seek in, where blocking is allowed.
    pub fn reader(&self, key: &Key, len_bytes: u64) -> Result<ObjectReader, ArchiveError> {
        Ok(ObjectReader::new(self.store()?, key.clone(), len_bytes))
    }

    fn local(&self) -> Result<Arc<LocalFileSystem>, ArchiveError> {
        if let Some(store) = self.local.get() {
            return Ok(store.clone());
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|source| self.fault(source))?;
        let store = LocalFileSystem::new_with_prefix(&self.folder)?.with_fsync(true);
        Ok(self.local.get_or_init(|| Arc::new(store)).clone())
    }

    fn fault(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Folder { path: self.folder.to_path_buf(), source }
    }

    /// Whether so many bytes can be collected without touching the reserve. What else needs the
    /// disk, the database first of all, goes on when images do not.
    pub fn has_room(&self, more_bytes: u64) -> Result<(), ArchiveError> {
        self.local()?;
        let disk = rustix::fs::statvfs(&*self.folder);
        let disk = disk.map_err(|error| self.fault(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= self.reserve_bytes.saturating_add(more_bytes) {
            return Ok(());
        }
        let (path, reserve) = (self.folder.to_path_buf(), self.reserve_bytes);
        Err(ArchiveError::Full { path, free, reserve })
    }

    /// The key under which an instance is kept. Nothing that an object says stands in it.
    pub fn key(tenant: &str, sha256: &Sha256) -> Key {
        let name = sha256.to_string();
        Key::from_iter(["objects", tenant, &name[..2], &format!("{name}.dcm")])
    }

    fn incoming_key(tenant: &str, sha256: &Sha256) -> Key {
        Key::from_iter(["incoming", tenant, &format!("{sha256}.part")])
    }

    /// The file in which an upload is collected; its folder exists when this returns.
    pub async fn incoming(&self, tenant: &str, sha256: &Sha256) -> Result<PathBuf, ArchiveError> {
        self.local()?;
        let path = self.file(&Self::incoming_key(tenant, sha256));
        let folder = path.parent().unwrap_or(&self.folder);
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(|source| ArchiveError::Folder { path: folder.to_owned(), source })?;
        Ok(path)
    }

    /// A name for a file of its own beside the uploads, for what comes without its hash.
    pub async fn scratch(&self, tenant: &str) -> Result<PathBuf, ArchiveError> {
        let of_upload = self.incoming(tenant, &Sha256::of(&[])).await?;
        Ok(of_upload.with_file_name(format!("scratch-{}.part", uuid::Uuid::new_v4())))
    }

    fn file(&self, key: &Key) -> PathBuf {
        self.folder.join(key.as_ref())
    }

    /// Length of an object that is there, in bytes. It was checked before it was moved in.
    pub async fn len_of(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        match self.store()?.head(key).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Throws away what there is of an upload.
    pub async fn discard(&self, tenant: &str, sha256: &Sha256) -> Result<(), ArchiveError> {
        let path = self.file(&Self::incoming_key(tenant, sha256));
        if let Some(bucket) = &self.bucket {
            bucket.abort_noted(&note_of(&path), &Self::key(tenant, sha256)).await?;
        }
        remove(&path).await
    }

    /// Throws away files of uploads that nobody has touched since a moment and no row knows of, and
    /// ends what was begun of them in the bucket.
    pub async fn sweep(&self, before: SystemTime) -> Result<(), ArchiveError> {
        self.local()?;
        let folder = self.folder.join("incoming");
        let old = tokio::task::spawn_blocking(move || untouched(&folder, before)).await;
        let old = old.map_err(io::Error::other).flatten().map_err(|it| self.fault(it))?;
        for (tenant, path) in old {
            let sha256 = path.file_stem().and_then(|it| it.to_str()?.parse().ok());
            match (path.extension(), sha256, &self.bucket) {
                (Some(kind), Some(sha256), Some(bucket)) if kind == NOTE => {
                    bucket.abort_noted(&path, &Self::key(&tenant, &sha256)).await?;
                }
                _ => remove(&path).await?,
            }
        }
        Ok(())
    }

    /// [`Self::take_in`] under the lock of the upload. A bucket may take longer than anybody waits
    /// for an answer: the move goes on without them, and whoever asks next waits for the lock.
    pub async fn take_in_under(
        &self,
        turn: Turn,
        tenant: &str,
        sha256: Sha256,
    ) -> Result<Turn, ArchiveError> {
        let (archive, tenant) = (self.clone(), tenant.to_owned());
        let moved = tokio::spawn(async move {
            let taken = archive.take_in(&tenant, &sha256).await;
            taken.map(|_| turn)
        });
        moved.await.map_err(|error| ArchiveError::Read(io::Error::other(error)))?
    }

    /// Moves a whole upload in; it is durable in its place when this returns.
    pub async fn take_in(&self, tenant: &str, sha256: &Sha256) -> Result<Key, ArchiveError> {
        let from = Self::incoming_key(tenant, sha256);
        let (path, key) = (self.file(&from), Self::key(tenant, sha256));
        if let Some(bucket) = &self.bucket {
            bucket.take_in((&path, &note_of(&path)), &key, sha256).await?;
            remove(&path).await?;
            return Ok(key);
        }
        let synced = async { tokio::fs::File::open(&path).await?.sync_all().await };
        synced.await.map_err(|source| ArchiveError::Folder { path: path.clone(), source })?;
        self.local()?.rename(&from, &key).await?;
        Ok(key)
    }
}

/// How the file is called that names an upload in parts to the bucket.
const NOTE: &str = "multipart";

/// Where the upload in parts to a bucket is noted.
fn note_of(path: &Path) -> PathBuf {
    path.with_extension(NOTE)
}

async fn remove(path: &Path) -> Result<(), ArchiveError> {
    match tokio::fs::remove_file(path).await {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ArchiveError::Folder { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Files below the folders of tenants, with their tenant.
fn untouched(incoming: &Path, before: SystemTime) -> io::Result<Vec<(String, PathBuf)>> {
    let mut old = Vec::new();
    if !incoming.exists() {
        return Ok(old);
    }
    for tenant in std::fs::read_dir(incoming)? {
        let tenant = tenant?;
        for file in std::fs::read_dir(tenant.path())? {
            let file = file?;
            // It may be gone in the meantime.
            let Ok(changed) = file.metadata().and_then(|it| it.modified()) else { continue };
            if changed < before {
                old.push((tenant.file_name().to_string_lossy().into_owned(), file.path()));
            }
        }
    }
    Ok(old)
}
