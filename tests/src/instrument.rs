//! An instrument as a gateway meets it: something at the other end of a line, a connection or a
//! shared folder that sends when a person presses Print.

use crate::{pty::Pty, wait};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// How long an instrument waits for the computer's permission to send.
const PERMISSION_MAX: Duration = Duration::from_secs(30);
/// Bytes after which an instrument stops to look for the permission in what it is sent.
const ANSWER_LEN_MAX: usize = 4096;

/// What an instrument is attached by.
pub enum Attachment {
    Serial(Pty),
    /// The instrument (or its device server) listens and the gateway connects.
    Listens {
        listener: TcpListener,
        stream: Option<TcpStream>,
    },
    /// The gateway listens and the instrument connects.
    Connects {
        port: u16,
        stream: Option<TcpStream>,
    },
    Folder(PathBuf),
}

/// What is asked before data is sent, and what has to be answered.
#[derive(Debug, Clone)]
pub struct Handshake {
    pub request: Vec<u8>,
    /// Whether what came so far lets the instrument send.
    pub is_permission: fn(&[u8]) -> bool,
}

/// One transmission that an instrument makes.
#[derive(Debug, Clone)]
pub struct Transmission {
    pub bytes: Vec<u8>,
    /// Name of the file, for an instrument that writes files.
    pub file_name: String,
    pub handshake: Option<Handshake>,
}

impl Transmission {
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), file_name: "print.dat".into(), handshake: None }
    }
}

impl Attachment {
    pub async fn listening() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        Ok(Self::Listens { listener, stream: None })
    }
    /// The port of an instrument that listens or connects.
    pub fn port(&self) -> Result<u16> {
        match self {
            Self::Listens { listener, .. } => Ok(listener.local_addr()?.port()),
            Self::Connects { port, .. } => Ok(*port),
            Self::Serial(_) | Self::Folder(_) => bail!("this instrument has no port"),
        }
    }
    pub fn connecting(port: u16) -> Self {
        Self::Connects { port, stream: None }
    }

    /// Makes a transmission and gives back when its last byte went out.
    pub async fn transmit(&mut self, transmission: &Transmission) -> Result<Instant> {
        if let Some(handshake) = &transmission.handshake {
            self.ask(handshake).await.context("the gateway did not let the instrument send")?;
        }
        if let Self::Folder(folder) = self {
            write_file(folder, transmission)?;
        } else {
            self.send(&transmission.bytes).await?;
        }
        Ok(Instant::now())
    }

    /// Sends bytes as they are, over a line or connection.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        if let Self::Serial(pty) = self {
            return pty.write_all(bytes).await;
        }
        let stream = self.connected().await?;
        if stream.write_all(bytes).await.is_ok() {
            return Ok(stream.flush().await?);
        }
        // The other side went away since the last print, as a restarted gateway does.
        self.hang_up();
        let stream = self.connected().await?;
        stream.write_all(bytes).await?;
        Ok(stream.flush().await?)
    }

    /// Ends the connection, or pulls the cable.
    pub fn hang_up(&mut self) {
        match self {
            Self::Listens { stream, .. } | Self::Connects { stream, .. } => *stream = None,
            Self::Serial(_) | Self::Folder(_) => {}
        }
    }

    async fn connected(&mut self) -> Result<&mut TcpStream> {
        match self {
            Self::Listens { listener, stream } => {
                if stream.as_ref().is_none_or(is_closed) {
                    let accepted = tokio::time::timeout(wait::USUAL_MAX, listener.accept()).await;
                    *stream = Some(accepted.context("the gateway does not connect")??.0);
                }
                stream.as_mut().context("a stream was just accepted")
            }
            Self::Connects { port, stream } => {
                if stream.as_ref().is_none_or(is_closed) {
                    let port = *port;
                    let connected =
                        wait::until("the gateway to listen", wait::USUAL_MAX, async || {
                            Ok(TcpStream::connect(("127.0.0.1", port)).await.ok())
                        });
                    *stream = Some(connected.await?);
                }
                stream.as_mut().context("a stream was just connected")
            }
            Self::Serial(_) | Self::Folder(_) => bail!("this instrument has no connection"),
        }
    }

    async fn ask(&mut self, handshake: &Handshake) -> Result<()> {
        self.send(&handshake.request).await?;
        let answer = async {
            let mut answer = Vec::new();
            while answer.len() < ANSWER_LEN_MAX {
                answer.extend(self.receive().await?);
                if (handshake.is_permission)(&answer) {
                    return Ok(());
                }
            }
            bail!("{} bytes came and no permission among them", answer.len())
        };
        tokio::time::timeout(PERMISSION_MAX, answer).await.context("no answer in time")?
    }

    async fn receive(&mut self) -> Result<Vec<u8>> {
        if let Self::Serial(pty) = self {
            return pty.read().await;
        }
        let mut bytes = vec![0; 256];
        let count = self.connected().await?.read(&mut bytes).await?;
        if count == 0 {
            bail!("the gateway closed the connection");
        }
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// Whether the other side has closed. Instruments are sent next to nothing, so that a byte that is
/// there to read means the stream is open.
fn is_closed(stream: &TcpStream) -> bool {
    let mut byte = [0];
    match stream.try_read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// As careful instruments do: under another name first, then renamed.
fn write_file(folder: &Path, transmission: &Transmission) -> Result<()> {
    let partial = folder.join(format!(".{}.partial", transmission.file_name));
    fs::write(&partial, &transmission.bytes)?;
    fs::rename(&partial, folder.join(&transmission.file_name))?;
    Ok(())
}
