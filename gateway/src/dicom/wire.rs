//! One connection to or from an imager, plain or by TLS.

use super::{
    tls,
    units::{self, Piece, Received, UnitError, Units},
};
use chiasm_proto::Sha256;
use dicom_ul::pdu::{self, Pdu};
use socket2::SockRef;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsStream;

/// Longest wait until the other side takes what we send.
pub const WRITE_WAIT_MAX: Duration = Duration::from_secs(30);

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
    #[error("{0}")]
    Unit(#[from] UnitError),
    #[error("a unit cannot be written: {0}")]
    Write(String),
}

impl WireError {
    /// Whether the bytes that came begin a TLS handshake. Such a record is read as a unit of type
    /// 22 that is far too long.
    pub fn is_tls(&self) -> bool {
        matches!(self, WireError::Unit(UnitError::TooLong { kind: 0x16, .. }))
    }
}

/// What the bytes go over.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }

    async fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Stream::Plain(stream) => stream.read(room).await,
            Stream::Tls(stream) => stream.read(room).await,
        };
        match read {
            // Many close the connection without the farewell of TLS. A unit that is cut short is
            // seen by its length.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            other => other,
        }
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

pub struct Connection {
    stream: Stream,
    units: Units,
    pub peer: SocketAddr,
}

impl Connection {
    pub fn new(stream: Stream) -> io::Result<Self> {
        stream.tcp().set_nodelay(true)?;
        let peer = stream.tcp().peer_addr()?;
        Ok(Self { stream, units: Units::default(), peer })
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// The certificate that the other side showed.
    pub fn certificate(&self) -> Option<Sha256> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => tls::shown(stream),
        }
    }

    /// Says farewell, which TLS wants.
    pub async fn close(mut self) {
        if let Stream::Tls(stream) = &mut self.stream {
            let _ = timeout(WRITE_WAIT_MAX, stream.shutdown()).await;
        }
    }

    /// What comes next, with the longest wait for each read. May be dropped and called again:
    /// nothing is lost.
    pub async fn receive(&mut self, wait: Duration) -> Result<Received, WireError> {
        loop {
            if let Some(received) = self.units.receive()? {
                return Ok(received);
            }
            // Not sticky. Without it every small object waits 40 ms: the sender holds back the
            // rest of it (Nagle) until we acknowledge the beginning, and we would delay that.
            if let Err(error) = SockRef::from(self.stream.tcp()).set_tcp_quickack(true) {
                tracing::debug!(%error, "no quick acknowledgement");
            }
            match timeout(wait, self.stream.read(self.units.room())).await {
                Err(_) => return Err(WireError::Silent(wait)),
                Ok(Ok(0)) => return Err(WireError::Closed),
                Ok(Ok(len)) => self.units.filled(len),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }

    /// The bytes of a piece that was received last.
    pub fn bytes(&self, piece: &Piece) -> &[u8] {
        self.units.bytes(piece)
    }

    pub async fn send(&mut self, unit: &Pdu) -> Result<(), WireError> {
        let mut bytes = Vec::new();
        pdu::write_pdu(&mut bytes, unit).map_err(|error| WireError::Write(error.to_string()))?;
        self.write(&bytes).await
    }

    /// Sends a command or a data set.
    pub async fn send_message(
        &mut self,
        context: u8,
        is_command: bool,
        bytes: &[u8],
        unit_len_max: usize,
    ) -> Result<(), WireError> {
        self.write(&units::message(context, is_command, bytes, unit_len_max)).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        timeout(WRITE_WAIT_MAX, self.stream.write_all(bytes))
            .await
            .map_err(|_| WireError::TakesNothing)??;
        Ok(())
    }
}
