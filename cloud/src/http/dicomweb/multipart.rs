//! `multipart/related`, as DICOMweb speaks it: written part by part, and read without holding a part
//! in memory.

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use uuid::Uuid;

/// Longest heads of a part, in bytes.
const HEADS_MAX: usize = 8 * 1024;
/// Longest boundary (RFC 2046).
const BOUNDARY_LEN_MAX: usize = 70;

pub fn boundary() -> String {
    Uuid::new_v4().simple().to_string()
}

pub fn response(kind: &str, boundary: &str, body: Body) -> Response {
    let value = format!("multipart/related; type=\"{kind}\"; boundary={boundary}");
    ([(header::CONTENT_TYPE, value)], body).into_response()
}

/// Parts with their content types, each a stream, as one stream.
pub fn stream<E, P, T>(
    boundary: &str,
    parts: T,
) -> impl Stream<Item = Result<Bytes, E>> + use<E, P, T>
where
    T: Stream<Item = Result<(String, P), E>>,
    P: Stream<Item = Result<Bytes, E>>,
{
    let (head, end) = (format!("--{boundary}"), format!("--{boundary}--\r\n"));
    let parts = parts.map(move |part| match part {
        Ok((kind, bytes)) => {
            let heads = format!("{head}\r\nContent-Type: {kind}\r\n\r\n");
            let heads = stream::iter([Ok(Bytes::from(heads))]);
            let after = stream::iter([Ok(Bytes::from_static(b"\r\n"))]);
            heads.chain(bytes).chain(after).left_stream()
        }
        Err(error) => stream::iter([Err(error)]).right_stream(),
    });
    parts.flatten().chain(stream::iter([Ok(Bytes::from(end))]))
}

/// Why a body is not `multipart/related` as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    #[error("the content type has no usable `boundary`")]
    NoBoundary,
    #[error("the heads of a part are longer than {HEADS_MAX} bytes")]
    HeadsTooLong,
    #[error("the body ended within a part")]
    Cut,
    #[error("the body did not arrive: {0}")]
    Broken(String),
}

/// The boundary that a content type names.
pub fn boundary_of(content_type: &str) -> Result<String, MultipartError> {
    let value = content_type.split(';').find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    let is_usable = |value: &&str| (1..=BOUNDARY_LEN_MAX).contains(&value.len());
    value.filter(is_usable).map(str::to_owned).ok_or(MultipartError::NoBoundary)
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A new part begins.
    Part,
    /// Some bytes of it.
    Bytes(Bytes),
    /// The part is complete.
    PartEnd,
    End,
}

/// Reads a body, chunk by chunk.
pub struct Reader<S> {
    body: S,
    buffer: BytesMut,
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preamble,
    Delimiter,
    Heads,
    Content,
    Done,
}

impl<S, E> Reader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    pub fn new(body: S, boundary: &str) -> Self {
        // The first delimiter may stand at the very beginning.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        Self { body, buffer, delimiter, state: State::Preamble }
    }

    pub async fn next(&mut self) -> Result<Next, MultipartError> {
        loop {
            let at = find(&self.buffer, &self.delimiter);
            match self.state {
                State::Preamble => match at {
                    Some(at) => {
                        self.buffer.advance(at + self.delimiter.len());
                        self.state = State::Delimiter;
                    }
                    None => {
                        let kept = self.delimiter.len() - 1;
                        self.buffer.advance(self.buffer.len().saturating_sub(kept));
                        self.fill().await?;
                    }
                },
                State::Delimiter => {
                    if self.buffer.len() < 2 {
                        self.fill().await?;
                    } else if self.buffer.starts_with(b"--") {
                        self.state = State::Done;
                    } else {
                        self.state = State::Heads;
                    }
                }
                // The heads begin behind the delimiter's line, and end with an empty one.
                State::Heads => match find(&self.buffer, b"\r\n\r\n") {
                    Some(at) => {
                        self.buffer.advance(at + 4);
                        self.state = State::Content;
                        return Ok(Next::Part);
                    }
                    None if self.buffer.len() > HEADS_MAX => {
                        return Err(MultipartError::HeadsTooLong);
                    }
                    None => self.fill().await?,
                },
                State::Content => match at {
                    Some(0) => {
                        self.buffer.advance(self.delimiter.len());
                        self.state = State::Delimiter;
                        return Ok(Next::PartEnd);
                    }
                    Some(at) => return Ok(Next::Bytes(self.buffer.split_to(at).freeze())),
                    // What may be the beginning of a delimiter waits for the rest of it.
                    None if self.buffer.len() >= self.delimiter.len() => {
                        let sure = self.buffer.len() - self.delimiter.len() + 1;
                        return Ok(Next::Bytes(self.buffer.split_to(sure).freeze()));
                    }
                    None => self.fill().await?,
                },
                State::Done => return Ok(Next::End),
            }
        }
    }

    async fn fill(&mut self) -> Result<(), MultipartError> {
        match self.body.next().await {
            Some(Ok(chunk)) => {
                self.buffer.extend_from_slice(&chunk);
                Ok(())
            }
            Some(Err(error)) => Err(MultipartError::Broken(error.to_string())),
            None => Err(MultipartError::Cut),
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: &[u8], chunk_len: usize) -> Result<Vec<Vec<u8>>, MultipartError> {
        let chunks: Vec<Result<Bytes, std::io::Error>> =
            body.chunks(chunk_len).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let mut reader = Reader::new(stream::iter(chunks), "XX");
        let mut parts = Vec::new();
        loop {
            match reader.next().await? {
                Next::Part => parts.push(Vec::new()),
                Next::Bytes(bytes) => parts.last_mut().unwrap().extend_from_slice(&bytes),
                Next::PartEnd => {}
                Next::End => return Ok(parts),
            }
        }
    }

    #[tokio::test]
    async fn parts_come_out_as_they_went_in_whatever_the_chunks() {
        let parts = [b"one\r\n--X".to_vec(), Vec::new(), b"\r\n\r\n--three".to_vec()];
        let given = parts.iter().map(|part| {
            let bytes = stream::iter([Ok::<_, std::io::Error>(Bytes::from(part.clone()))]);
            Ok(("application/dicom".to_owned(), bytes))
        });
        let written: Vec<_> = super::stream("XX", stream::iter(given)).collect().await;
        let body: Vec<u8> = written.into_iter().flat_map(|chunk| chunk.unwrap().to_vec()).collect();
        for chunk_len in 1..body.len() {
            assert_eq!(read(&body, chunk_len).await.unwrap(), parts, "{chunk_len}");
        }
        for cut in 0..body.len() - 4 {
            assert_eq!(read(&body[..cut], 7).await, Err(MultipartError::Cut), "{cut}");
        }
        let endless = vec![b'x'; 2 * HEADS_MAX];
        let heads = [b"--XX\r\n".to_vec(), endless].concat();
        assert_eq!(read(&heads, 100).await, Err(MultipartError::HeadsTooLong));
    }

    #[test]
    fn a_boundary_is_found_in_its_content_type() {
        let of = |text| boundary_of(text);
        let kind = "multipart/related; type=\"application/dicom\"; boundary=\"a b\"";
        assert_eq!(of(kind).unwrap(), "a b");
        assert_eq!(of("multipart/related; Boundary=x").unwrap(), "x");
        assert!(of("multipart/related").is_err() && of("multipart/related; boundary=").is_err());
    }
}
