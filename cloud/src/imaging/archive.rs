//! Where the bytes of DICOM instances lie: an object store, which is a folder with fsync. What comes
//! in parts is collected beside it, and moved in when it is whole.

use chiasm_proto::Sha256;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, path::Path as Key};
use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// Why the archive could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("cannot use the folder of images {path}: {source}; make it writable for this service")]
    Folder { path: PathBuf, source: io::Error },
    #[error("the object store failed: {0}")]
    Store(#[from] object_store::Error),
}

/// The object store with the place beside it where uploads are collected. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Archive {
    folder: Arc<Path>,
    store: Arc<OnceLock<Arc<LocalFileSystem>>>,
}

impl Archive {
    /// The archive in a folder, which is made when it is first needed.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.into(), store: Arc::default() }
    }

    /// For readers: whole objects and ranges of them, by key.
    pub fn store(&self) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
        Ok(self.local()?)
    }

    fn local(&self) -> Result<Arc<LocalFileSystem>, ArchiveError> {
        if let Some(store) = self.store.get() {
            return Ok(store.clone());
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(|source| ArchiveError::Folder { path: self.folder.to_path_buf(), source })?;
        let store = LocalFileSystem::new_with_prefix(&self.folder)?.with_fsync(true);
        Ok(self.store.get_or_init(|| Arc::new(store)).clone())
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

    /// The file of an object, for what reads a file and no store.
    pub fn file(&self, key: &Key) -> PathBuf {
        self.folder.join(key.as_ref())
    }

    /// Length of an object that is there, in bytes. It was checked before it was moved in.
    pub async fn len_of(&self, key: &Key) -> Result<Option<u64>, ArchiveError> {
        match self.local()?.head(key).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Throws away what there is of an upload.
    pub async fn discard(&self, tenant: &str, sha256: &Sha256) -> Result<(), ArchiveError> {
        let path = self.file(&Self::incoming_key(tenant, sha256));
        match tokio::fs::remove_file(&path).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ArchiveError::Folder { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Moves a whole upload in; both are durable when this returns.
    pub async fn take_in(&self, tenant: &str, sha256: &Sha256) -> Result<Key, ArchiveError> {
        let from = Self::incoming_key(tenant, sha256);
        let path = self.file(&from);
        let synced = async { tokio::fs::File::open(&path).await?.sync_all().await };
        synced.await.map_err(|source| ArchiveError::Folder { path: path.clone(), source })?;
        let key = Self::key(tenant, sha256);
        self.local()?.rename(&from, &key).await?;
        Ok(key)
    }
}
