//! One connection in protocol data units (PS3.8). Objects pass through in pieces as they arrive,
//! so that memory does not grow with what is sent; everything else is small and read whole, by
//! `dicom-ul`.

use dicom_ul::pdu::{self, Pdu};
use socket2::SockRef;
use std::{io, net::SocketAddr, ops::Range, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longest P-DATA unit that we take, without its header; told to the sender.
pub const PDU_LEN_MAX: u32 = 128 * 1024;
/// Longest unit of another kind: an association request with 128 contexts and all their syntaxes.
pub const CONTROL_PDU_LEN_MAX: u32 = 256 * 1024;
/// Longest P-DATA unit that we send, whatever the other side would take.
pub const SENT_PDU_LEN_MAX: u32 = 64 * 1024;
/// Longest wait until the other side takes what we send.
pub const WRITE_WAIT_MAX: Duration = Duration::from_secs(30);
const PDU_HEADER_LEN: usize = 6;
const PDV_HEADER_LEN: usize = 6;
const P_DATA: u8 = 0x04;
const BUFFER_LEN: usize = CONTROL_PDU_LEN_MAX as usize + PDU_HEADER_LEN;

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("the connection was closed in the middle")]
    Closed,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("it takes no answer")]
    TakesNothing,
    #[error("a unit of type {kind} with {len} bytes; at most {max} are taken")]
    TooLong { kind: u8, len: u32, max: u32 },
    #[error("a unit that is malformed: {0}")]
    Malformed(String),
}

/// What comes next.
#[derive(Debug)]
pub enum Received {
    /// Bytes of a message.
    Piece(Piece),
    /// Another unit, whole.
    Unit(Pdu),
}

/// A stretch of one fragment; its bytes are lent by [`Connection::bytes`] until the next read.
#[derive(Debug)]
pub struct Piece {
    pub context: u8,
    pub is_command: bool,
    /// The message's command, or data set, ends with this piece.
    pub is_last: bool,
    range: Range<usize>,
}

/// The fragment that is being received.
#[derive(Debug)]
struct Fragment {
    context: u8,
    is_command: bool,
    is_last: bool,
    left: usize,
}

pub struct Connection {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// What was read and not given out stands in `start..end`.
    start: usize,
    end: usize,
    /// Bytes of the current P-DATA unit behind the current fragment.
    unit_left: usize,
    fragment: Option<Fragment>,
    pub peer: SocketAddr,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        let buffer = vec![0; BUFFER_LEN].into_boxed_slice();
        Ok(Self { stream, buffer, start: 0, end: 0, unit_left: 0, fragment: None, peer })
    }

    /// What comes next, with the longest wait for each read. May be dropped and called again:
    /// nothing is lost.
    pub async fn receive(&mut self, wait: Duration) -> Result<Received, WireError> {
        loop {
            if let Some(piece) = self.piece() {
                return Ok(Received::Piece(piece));
            }
            if self.unit_left > 0 {
                if self.waiting() < PDV_HEADER_LEN {
                    self.fill(wait).await?;
                } else {
                    self.begin_fragment()?;
                }
                continue;
            }
            if self.fragment.is_some() || self.waiting() < PDU_HEADER_LEN {
                self.fill(wait).await?;
                continue;
            }
            if let Some(unit) = self.unit(wait).await? {
                return Ok(Received::Unit(unit));
            }
        }
    }

    /// The bytes of a piece that was received last.
    pub fn bytes(&self, piece: &Piece) -> &[u8] {
        &self.buffer[piece.range.clone()]
    }

    pub async fn send(&mut self, unit: &Pdu) -> Result<(), WireError> {
        let mut bytes = Vec::new();
        pdu::write_pdu(&mut bytes, unit)
            .map_err(|error| WireError::Malformed(error.to_string()))?;
        self.write(&bytes).await
    }

    /// Sends a command or a data set, in as many units as the other side's longest demands.
    pub async fn send_message(
        &mut self,
        context: u8,
        is_command: bool,
        bytes: &[u8],
        unit_len_max: usize,
    ) -> Result<(), WireError> {
        let chunk_len = unit_len_max.saturating_sub(PDV_HEADER_LEN).max(1);
        let count = bytes.len().div_ceil(chunk_len).max(1);
        let mut out = Vec::with_capacity(bytes.len() + count * (PDU_HEADER_LEN + PDV_HEADER_LEN));
        for index in 0..count {
            let chunk = &bytes[index * chunk_len..bytes.len().min((index + 1) * chunk_len)];
            let is_last = index + 1 == count;
            let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX - 6);
            out.extend([P_DATA, 0]);
            out.extend((len + 6).to_be_bytes());
            out.extend((len + 2).to_be_bytes());
            out.extend([context, u8::from(is_command) | u8::from(is_last) << 1]);
            out.extend(chunk);
        }
        self.write(&out).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        timeout(WRITE_WAIT_MAX, self.stream.write_all(bytes))
            .await
            .map_err(|_| WireError::TakesNothing)??;
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// What there is of the current fragment. An empty one is given too, for its end.
    fn piece(&mut self) -> Option<Piece> {
        let available = self.end - self.start;
        let fragment = self.fragment.as_mut()?;
        if available == 0 && fragment.left > 0 {
            return None;
        }
        let len = fragment.left.min(available);
        fragment.left -= len;
        let is_whole = fragment.left == 0;
        let piece = Piece {
            context: fragment.context,
            is_command: fragment.is_command,
            is_last: is_whole && fragment.is_last,
            range: self.start..self.start + len,
        };
        self.start += len;
        if is_whole {
            self.fragment = None;
        }
        Some(piece)
    }

    fn begin_fragment(&mut self) -> Result<(), WireError> {
        let header = &self.buffer[self.start..self.start + PDV_HEADER_LEN];
        let len = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let behind_len =
            self.unit_left.checked_sub(4).filter(|behind| (2..=*behind).contains(&len));
        let Some(behind_len) = behind_len else {
            let problem = format!("a fragment of {len} bytes in {} of its unit", self.unit_left);
            return Err(WireError::Malformed(problem));
        };
        let flags = header[5];
        self.fragment = Some(Fragment {
            context: header[4],
            is_command: flags & 1 != 0,
            is_last: flags & 2 != 0,
            left: len - 2,
        });
        self.start += PDV_HEADER_LEN;
        self.unit_left = behind_len - len;
        if (1..PDV_HEADER_LEN).contains(&self.unit_left) {
            return Err(WireError::Malformed("bytes behind the last fragment of a unit".into()));
        }
        Ok(())
    }

    /// Begins a unit: P-DATA is given out in pieces, others are read whole.
    async fn unit(&mut self, wait: Duration) -> Result<Option<Pdu>, WireError> {
        let header = &self.buffer[self.start..self.start + PDU_HEADER_LEN];
        let kind = header[0];
        let len = u32::from_be_bytes([header[2], header[3], header[4], header[5]]);
        let max = if kind == P_DATA { PDU_LEN_MAX } else { CONTROL_PDU_LEN_MAX };
        if len > max {
            return Err(WireError::TooLong { kind, len, max });
        }
        let len = len as usize;
        if kind == P_DATA {
            if len < PDV_HEADER_LEN {
                return Err(WireError::Malformed(format!("a data unit of {len} bytes")));
            }
            self.start += PDU_HEADER_LEN;
            self.unit_left = len;
            return Ok(None);
        }
        while self.waiting() < PDU_HEADER_LEN + len {
            self.fill(wait).await?;
        }
        let whole = &self.buffer[self.start..self.start + PDU_HEADER_LEN + len];
        let unit = pdu::read_pdu(whole, CONTROL_PDU_LEN_MAX, true)
            .map_err(|error| WireError::Malformed(error.to_string()))?;
        self.start += PDU_HEADER_LEN + len;
        unit.map(Some).ok_or_else(|| WireError::Malformed("its items exceed it".into()))
    }

    async fn fill(&mut self, wait: Duration) -> Result<(), WireError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        // Not sticky. Without it every small object waits 40 ms: the sender holds back the rest of
        // it (Nagle) until we acknowledge the beginning, and we would delay that.
        if let Err(error) = SockRef::from(&self.stream).set_tcp_quickack(true) {
            tracing::debug!(%error, "no quick acknowledgement");
        }
        let read = self.stream.read(&mut self.buffer[self.end..]);
        match timeout(wait, read).await {
            Err(_) => Err(WireError::Silent(wait)),
            Ok(Ok(0)) => Err(WireError::Closed),
            Ok(Ok(len)) => {
                self.end += len;
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
        }
    }
}
