//! A connection that can be cut: what goes through it breaks off at any byte, and nothing gets in
//! until it is joined again.

use anyhow::Result;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A port that leads to another one. Dropped, it is gone.
pub struct Cut {
    port: u16,
    is_cut: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Cut {
    pub async fn in_front_of(behind: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (is_cut, cut) = watch::channel(false);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, behind, cut.clone()));
            }
        });
        Ok(Self { port, is_cut, accepting })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }
    pub fn join(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn carry(mut near: TcpStream, behind: u16, mut cut: watch::Receiver<bool>) {
    let carried = async {
        let mut far = TcpStream::connect(("127.0.0.1", behind)).await?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    };
    tokio::select! {
        biased;
        // Also where it is cut already: the connection is taken and dropped.
        _ = cut.wait_for(|is_cut| *is_cut) => {}
        // Ended by one of the sides, as it may at any time.
        _ = carried => {}
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
