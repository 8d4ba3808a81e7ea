//! Sends held instances to the cloud: over HTTPS, in parts that are hashed, several instances at
//! once, days from the newest, and behind the readings. What breaks off goes on where it stopped.

mod upload;

use crate::{
    clock, enrol,
    instances::{Held, Instances},
    spool::Spool,
    uplink::identity::{self, Credentials},
};
use chiasm_proto::GatewayEvent;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use upload::Upload;
pub use upload::UploadError;

/// Instances on their way at the same time.
pub const UPLOADS_MAX: usize = 3;
/// Shortest and longest pause after a failure.
pub const RETRY_MIN: Duration = Duration::from_secs(1);
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// Between two looks for instances whose retention has ended.
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
/// A look into the index, if nothing wakes it.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// The forwarding task.
pub struct Forward {
    pub data_dir: PathBuf,
    pub instances: Instances,
    pub spool: Spool,
}

impl Forward {
    /// Sends until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.keep_sending() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep_sending(&self) {
        let mut pause = RETRY_MIN;
        let mut last_fault = String::new();
        let mut next_retention = Instant::now();
        let mut changes = self.instances.changes();
        loop {
            changes.mark_unchanged();
            if Instant::now() >= next_retention {
                next_retention = Instant::now() + RETENTION_INTERVAL;
                self.delete_expired().await;
            }
            match self.send_all().await {
                // The way is good. Instances that failed by themselves hold up none that comes now.
                Ok(left) => {
                    pause = RETRY_MIN;
                    last_fault.clear();
                    let wait = if left == 0 { LOOK_INTERVAL } else { RETRY_MAX };
                    let _ = tokio::time::timeout(wait, changes.changed()).await;
                }
                Err(fault) => {
                    if fault != last_fault {
                        tracing::warn!(fault, "images wait here; trying again");
                        last_fault = fault;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    async fn delete_expired(&self) {
        // One round deletes so many at most; there may be more.
        loop {
            match self.instances.delete_expired(clock::wall()).await {
                Ok(0) => return,
                Ok(deleted) => tracing::info!(deleted, "instances deleted after their retention"),
                Err(error) => {
                    tracing::warn!(%error, "cannot delete instances after their retention");
                    return;
                }
            }
        }
    }

    /// Until nothing waits, or the first fault of the way. One instance that fails by itself does
    /// not hold up the others: it is left out of this round. Gives how many were.
    async fn send_all(&self) -> Result<usize, String> {
        if self.next(&[]).await?.is_none() {
            return Ok(0);
        }
        let Some(client) = client(&self.data_dir)? else {
            return Err("not enrolled; run `chiasm-gateway enrol`".into());
        };
        let mut running = JoinSet::new();
        let mut taken = Vec::new();
        let mut fault = None;
        loop {
            while fault.is_none() && running.len() < UPLOADS_MAX {
                let Some(held) = self.next(&taken).await? else { break };
                taken.push(held.id);
                running.spawn(self.clone_for(held).send(client.clone()));
            }
            let Some(ended) = running.join_next().await else { break };
            match ended {
                Ok((id, Ok(()))) => taken.retain(|it| *it != id),
                Ok((id, Err(error))) => {
                    tracing::warn!(instance = %id, %error, "an instance is not at the cloud yet");
                    fault = error.is_of_the_way().then(|| error.to_string()).or(fault);
                }
                Err(error) => return Err(format!("an upload failed: {error}")),
            }
        }
        fault.map_or(Ok(taken.len()), Err)
    }

    async fn next(&self, taken: &[uuid::Uuid]) -> Result<Option<Held>, String> {
        self.instances.next_waiting(taken).await.map_err(|error| error.to_string())
    }

    fn clone_for(&self, held: Held) -> One {
        One { instances: self.instances.clone(), spool: self.spool.clone(), held }
    }
}

/// One instance on its way.
struct One {
    instances: Instances,
    spool: Spool,
    held: Held,
}

impl One {
    async fn send(self, client: Client) -> (uuid::Uuid, Result<(), UploadError>) {
        let id = self.held.id;
        let sent = self.try_send(&client).await;
        if sent.as_ref().is_err_and(UploadError::is_damage) {
            self.set_aside().await;
        }
        (id, sent)
    }

    /// Trying again would not help, and its imager may have it still: people are told.
    async fn set_aside(&self) {
        let (id, link) = (self.held.id, &self.held.head.link);
        tracing::error!(instance = %id, %link,
            "an instance is not what was stored; it is set aside and not sent");
        if let Err(error) = self.instances.set_aside(id).await {
            tracing::error!(%error, "cannot note that an instance is damaged");
            return;
        }
        let event = GatewayEvent {
            code: "instance_damaged".into(),
            link: Some(link.clone()),
            detail: format!(
                "The gateway's disk changed an object that an imager had sent ({id}). It is set \
                 aside; send it again from the imager, and have the disk looked at."
            ),
        };
        let _ = self.spool.event(event).await;
    }

    async fn try_send(&self, client: &Client) -> Result<(), UploadError> {
        let content = self.instances.content(&self.held).await?;
        Upload { client, held: &self.held, content, spool: &self.spool }.run().await?;
        self.instances.filed(self.held.id, clock::wall()).await?;
        tracing::info!(instance = %self.held.id, bytes = self.held.len_bytes, "filed");
        Ok(())
    }
}

/// The way to the cloud's endpoint for gateways.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

/// None if the gateway is not enrolled.
fn client(data_dir: &Path) -> Result<Option<Client>, String> {
    let Some(credentials) = identity::load(data_dir).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let Credentials { identity: enrol::Identity { cloud_url, .. }, tls, .. } = credentials;
    let Some(url) = cloud_url else {
        return Err("the gateway was enrolled before it could send images; enrol it again".into());
    };
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(upload::CONNECT_WAIT_MAX)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Some(Client { http, url }))
}
