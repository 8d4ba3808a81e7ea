//! A sealed file that is too long for memory: chunks of 64 KiB, each sealed with its number and
//! whether it is the last, so that none is missing, moved or added unseen. Any offset is read by
//! opening the chunks that it lies in.
//!
//! ```text
//! CHIASMS1        8 bytes
//! salt           16 bytes
//! chunk          65536 bytes and a tag of 16 bytes; the last one shorter, perhaps empty
//! ```

use super::{Key, Purpose, SALT_LEN, TAG_LEN, random};
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
};

const MAGIC: &[u8; 8] = b"CHIASMS1";
const HEADER_LEN: u64 = (MAGIC.len() + SALT_LEN) as u64;
/// Bytes of one chunk, before it is sealed.
pub const CHUNK_LEN: usize = 64 * 1024;
const SEALED_LEN: u64 = (CHUNK_LEN + TAG_LEN) as u64;

/// Seals what is written to it. Nothing opens unless [`SealingWriter::finish`] was called.
pub struct SealingWriter<W> {
    inner: W,
    key: LessSafeKey,
    number: u64,
    chunk: Vec<u8>,
}

impl<W: Write> SealingWriter<W> {
    /// `place` is what the file is to be found under.
    pub fn new(mut inner: W, key: &Key, purpose: Purpose, place: &[u8]) -> io::Result<Self> {
        let salt = random::<SALT_LEN>();
        inner.write_all(MAGIC)?;
        inner.write_all(&salt)?;
        let key = key.derive(purpose, &salt, place);
        Ok(Self { inner, key, number: 0, chunk: Vec::with_capacity(CHUNK_LEN + TAG_LEN) })
    }

    pub fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // A full chunk waits until it is known not to be the last.
            if self.chunk.len() == CHUNK_LEN {
                self.write_chunk(false)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_LEN - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Writes the last chunk and gives back where it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        Ok(self.inner)
    }

    fn write_chunk(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, is_last);
        self.key
            .seal_in_place_append_tag(nonce, Aad::empty(), &mut self.chunk)
            .expect("a chunk is shorter than a cipher's limit");
        self.inner.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number += 1;
        Ok(())
    }
}

/// A sealed file, open for reading at any offset.
pub struct SealedFile {
    file: File,
    key: LessSafeKey,
    /// The number of the last chunk.
    last: u64,
    file_len: u64,
}

impl SealedFile {
    /// Reads the file's header only: damage behind it is found when it is read.
    pub fn open(file: File, key: &Key, purpose: Purpose, place: &[u8]) -> io::Result<Self> {
        let file_len = file.metadata()?.len();
        let body_len = file_len.checked_sub(HEADER_LEN).ok_or_else(damaged)?;
        let mut header = [0; HEADER_LEN as usize];
        file.read_exact_at(&mut header, 0)?;
        let (magic, salt) = header.split_at(MAGIC.len());
        if magic != MAGIC || body_len < TAG_LEN as u64 {
            return Err(damaged());
        }
        let key = key.derive(purpose, salt, place);
        Ok(Self { file, key, last: (body_len - 1) / SEALED_LEN, file_len })
    }

    /// Bytes from an offset on, `len` of them or fewer at the end. Blocks on the disk.
    pub fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut read = Vec::with_capacity(len);
        let mut number = offset / CHUNK_LEN as u64;
        let mut skip = usize::try_from(offset % CHUNK_LEN as u64).expect("less than a chunk");
        while read.len() < len && number <= self.last {
            let chunk = self.chunk(number)?;
            let from = skip.min(chunk.len());
            let to = from.saturating_add(len - read.len()).min(chunk.len());
            read.extend_from_slice(&chunk[from..to]);
            (number, skip) = (number + 1, 0);
        }
        Ok(read)
    }

    fn chunk(&self, number: u64) -> io::Result<Vec<u8>> {
        let from = HEADER_LEN + number * SEALED_LEN;
        let len = self.file_len.saturating_sub(from).min(SEALED_LEN);
        let mut chunk = vec![0; usize::try_from(len).expect("at most a sealed chunk")];
        self.file.read_exact_at(&mut chunk, from)?;
        let nonce = nonce(number, number == self.last);
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut chunk);
        let len = opened.map_err(|_| damaged())?.len();
        chunk.truncate(len);
        Ok(chunk)
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, super::Unsealable)
}

fn nonce(number: u64, is_last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(is_last);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KEY_LEN;
    use proptest::prelude::*;
    use std::{io::Seek, path::Path};

    const PLACE: &[u8] = b"place";

    fn key() -> Key {
        Key::from_bytes(&[7; KEY_LEN])
    }

    fn sealed(bytes: &[u8], step: usize) -> Vec<u8> {
        let mut writer = SealingWriter::new(vec![], &key(), Purpose::Instance, PLACE).unwrap();
        bytes.chunks(step.max(1)).for_each(|step| writer.write_all(step).unwrap());
        writer.finish().unwrap()
    }

    fn open(sealed: &[u8], place: &[u8]) -> io::Result<SealedFile> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(sealed).unwrap();
        file.rewind().unwrap();
        SealedFile::open(file, &key(), Purpose::Instance, place)
    }

    fn read(sealed: &[u8], place: &[u8]) -> io::Result<Vec<u8>> {
        open(sealed, place)?.read_at(0, usize::MAX >> 40)
    }

    fn pattern(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 31 % 251) as u8).collect()
    }

    #[test]
    fn every_length_around_a_chunk_comes_back() {
        for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN] {
            let sealed = sealed(&pattern(len), 1000);
            assert!(read(&sealed, PLACE).unwrap() == pattern(len), "{len} bytes");
            assert!(read(&sealed, b"elsewhere").is_err());
        }
        assert!(
            SealedFile::open(
                File::open(Path::new("/dev/null")).unwrap(),
                &key(),
                Purpose::Instance,
                PLACE
            )
            .is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_part_comes_back(
            len in 0..3 * CHUNK_LEN,
            offset in 0..3 * CHUNK_LEN,
            part in 0..2 * CHUNK_LEN,
            step in 1..2 * CHUNK_LEN,
        ) {
            let bytes = pattern(len);
            let file = open(&sealed(&bytes, step), PLACE).unwrap();
            let from = offset.min(len);
            let to = (from + part).min(len);
            prop_assert!(file.read_at(offset as u64, part).unwrap() == bytes[from..to]);
        }

        #[test]
        fn any_changed_byte_is_found(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let mut sealed = sealed(&pattern(2 * CHUNK_LEN + 100), CHUNK_LEN);
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            prop_assert!(read(&sealed, PLACE).is_err());
        }

        #[test]
        fn a_shorter_or_longer_file_is_found(cut in 1..2 * CHUNK_LEN) {
            let sealed = sealed(&pattern(2 * CHUNK_LEN + 100), CHUNK_LEN);
            prop_assert!(read(&sealed[..sealed.len() - cut], PLACE).is_err());
            let longer = [&sealed[..], &vec![0; cut]].concat();
            prop_assert!(read(&longer, PLACE).is_err());
        }
    }

    #[test]
    fn chunks_keep_their_order_and_number() {
        let whole = sealed(&pattern(3 * CHUNK_LEN), CHUNK_LEN);
        let (header, chunks) = whole.split_at(HEADER_LEN as usize);
        let chunks: Vec<&[u8]> = chunks.chunks(SEALED_LEN as usize).collect();
        let of = |order: &[usize]| {
            let mut file = header.to_vec();
            order.iter().for_each(|number| file.extend_from_slice(chunks[*number]));
            file
        };
        assert!(read(&of(&[0, 1, 2]), PLACE).is_ok());
        for order in [&[1, 0, 2][..], &[0, 2], &[0, 1], &[0, 1, 2, 2], &[2]] {
            assert!(read(&of(order), PLACE).is_err(), "{order:?}");
        }
    }
}
