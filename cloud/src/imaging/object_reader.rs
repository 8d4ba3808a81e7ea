//! An object of the store as a reader that can seek, for code that reads heads here and there.

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, path::Path as Key};
use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};
use tokio::runtime::Handle;

/// How much is asked for at a time, in bytes.
const AHEAD_BYTES: u64 = 64 * 1024;

/// Whether an error of reading is one of the store, and says nothing against the object.
pub fn is_of_the_store(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|it| it.is::<object_store::Error>())
}

/// Blocks: use it where blocking is allowed.
#[derive(Debug)]
pub struct ObjectReader {
    store: Arc<dyn ObjectStore>,
    key: Key,
    runtime: Handle,
    len: u64,
    at: u64,
    ahead: Bytes,
    ahead_at: u64,
}

impl ObjectReader {
    /// Of an object with `len` bytes. Has to be made on the runtime that is to do the reading.
    pub fn new(store: Arc<dyn ObjectStore>, key: Key, len: u64) -> Self {
        let runtime = Handle::current();
        ObjectReader { store, key, runtime, len, at: 0, ahead: Bytes::new(), ahead_at: 0 }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.len || bytes.is_empty() {
            return Ok(0);
        }
        let ahead = self.ahead_at..self.ahead_at + self.ahead.len() as u64;
        if !ahead.contains(&self.at) {
            let end = self.len.min(self.at + AHEAD_BYTES.max(bytes.len() as u64));
            let asked = self.store.get_range(&self.key, self.at..end);
            self.ahead = self.runtime.block_on(asked).map_err(io::Error::other)?;
            self.ahead_at = self.at;
        }
        let ahead = &self.ahead[(self.at - self.ahead_at) as usize..];
        let len = ahead.len().min(bytes.len());
        bytes[..len].copy_from_slice(&ahead[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
