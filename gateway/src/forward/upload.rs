//! One instance: offered, sent in parts from where the cloud stands, until it is filed.

use super::Client;
use crate::{
    enrol::innermost,
    instances::{Content, Held, InstancesError},
    spool::Spool,
};
use chiasm_proto::{
    InstanceProgress, InstanceStatus, Sha256,
    instance::{INSTANCES_PATH, PART_LEN_MAX, PART_SHA256_HEADER},
};
use reqwest::StatusCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(super) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(20);
/// Longest wait for the answer to an offer: the cloud may have to hash 16 GB when it has all parts.
const OFFER_WAIT_MAX: Duration = Duration::from_secs(300);
/// Longest wait for one part: 4 MiB at 35 kB/s.
const PART_WAIT_MAX: Duration = Duration::from_secs(120);
/// A part waits so long for readings to go first, and then goes in any case.
const YIELD_MAX: Duration = Duration::from_secs(2);
const YIELD_STEP: Duration = Duration::from_millis(50);
/// Longest answer, in bytes.
const ANSWER_LEN_MAX: usize = 64 * 1024;
/// So often the cloud may find other bytes than were offered before the instance is left for later.
const DAMAGED_MAX: u32 = 2;
/// Answers without progress before it is left for later.
const STANDSTILLS_MAX: u32 = 3;

/// Why an instance is not at the cloud.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    #[error("cannot reach the cloud: {0}")]
    Unreachable(String),
    #[error("the cloud answered HTTP {status}: {body}")]
    Refused { status: StatusCode, body: String },
    #[error("the cloud answered what no cloud of ours answers: {0}")]
    Answer(String),
    #[error("the cloud found other bytes than were offered: {0}")]
    Damaged(String),
    #[error("the cloud stays at byte {0}")]
    Standstill(u64),
    #[error(transparent)]
    Held(#[from] InstancesError),
    #[error("cannot read the instance: {0}")]
    Read(#[from] std::io::Error),
    #[error("the instance's file is shorter than it was; it ends at byte {0}")]
    Short(u64),
}

impl UploadError {
    /// Whether the bytes here are not what was stored.
    pub fn is_damage(&self) -> bool {
        match self {
            UploadError::Held(InstancesError::Damaged(_)) => true,
            UploadError::Read(error) => error.kind() == std::io::ErrorKind::InvalidData,
            _ => false,
        }
    }

    /// Whether other instances would fail for the same reason.
    pub fn is_of_the_way(&self) -> bool {
        match self {
            UploadError::Unreachable(_) | UploadError::Answer(_) => true,
            UploadError::Refused { status, .. } => {
                status.is_server_error()
                    || [
                        StatusCode::UNAUTHORIZED,
                        StatusCode::FORBIDDEN,
                        StatusCode::NOT_FOUND,
                        StatusCode::TOO_MANY_REQUESTS,
                    ]
                    .contains(status)
            }
            _ => false,
        }
    }
}

pub(super) struct Upload<'a> {
    pub(super) client: &'a Client,
    pub(super) held: &'a Held,
    pub(super) content: Content,
    pub(super) spool: &'a Spool,
}

impl Upload<'_> {
    /// Returns when the cloud has committed the instance.
    pub(super) async fn run(self) -> Result<(), UploadError> {
        let mut progress = self.offer().await?;
        let (mut damaged, mut standstills) = (0, 0);
        loop {
            match progress.status {
                InstanceStatus::Filed => return Ok(()),
                InstanceStatus::Damaged => {
                    damaged += 1;
                    if damaged >= DAMAGED_MAX {
                        return Err(UploadError::Damaged(progress.detail.unwrap_or_default()));
                    }
                    progress = self.offer().await?;
                }
                InstanceStatus::Incomplete if progress.offset >= self.held.len_bytes => {
                    // All is there, but the last answer was lost, or another request files it.
                    standstills += 1;
                    if standstills >= STANDSTILLS_MAX {
                        return Err(UploadError::Standstill(progress.offset));
                    }
                    progress = self.offer().await?;
                }
                InstanceStatus::Incomplete => {
                    self.let_readings_go_first().await;
                    let next = self.part(progress.offset).await?;
                    let moved =
                        next.status != InstanceStatus::Incomplete || next.offset > progress.offset;
                    standstills = if moved { 0 } else { standstills + 1 };
                    if standstills >= STANDSTILLS_MAX {
                        return Err(UploadError::Standstill(next.offset));
                    }
                    progress = next;
                }
            }
        }
    }

    async fn let_readings_go_first(&self) {
        let until = Instant::now() + YIELD_MAX;
        while Instant::now() < until {
            match self.spool.state().await {
                Ok(state) if state.depth > 0 => sleep(YIELD_STEP).await,
                _ => return,
            }
        }
    }

    async fn offer(&self) -> Result<InstanceProgress, UploadError> {
        let url = format!("{}{INSTANCES_PATH}", self.client.url);
        let request = self.client.http.post(url).json(&self.held.offer());
        answer(request.timeout(OFFER_WAIT_MAX)).await
    }

    async fn part(&self, offset: u64) -> Result<InstanceProgress, UploadError> {
        let content = self.content.clone();
        let left = self.held.len_bytes - offset;
        let len = usize::try_from(left).map_or(PART_LEN_MAX, |left| left.min(PART_LEN_MAX));
        let read = tokio::task::spawn_blocking(move || {
            let bytes = content.read_at(offset, len)?;
            let sha256 = Sha256::of(&bytes);
            Ok::<_, std::io::Error>((bytes, sha256))
        });
        let (bytes, sha256) = read.await.expect("reading does not panic")?;
        if bytes.len() < len {
            return Err(UploadError::Short(offset + bytes.len() as u64));
        }
        let url = format!("{}{INSTANCES_PATH}/{}/{offset}", self.client.url, self.held.sha256);
        let request = self.client.http.put(url).body(bytes);
        let request = request.header(PART_SHA256_HEADER, sha256.to_string());
        // A part that is longer than a slow line takes in this time would never arrive.
        answer(request.timeout(PART_WAIT_MAX)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<InstanceProgress, UploadError> {
    let unreachable = |error: reqwest::Error| UploadError::Unreachable(innermost(&error));
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_LEN_MAX {
            return Err(UploadError::Answer(format!("more than {ANSWER_LEN_MAX} bytes")));
        }
    }
    if !status.is_success() {
        let body = String::from_utf8_lossy(&body).chars().take(300).collect();
        return Err(UploadError::Refused { status, body });
    }
    serde_json::from_slice(&body).map_err(|error| UploadError::Answer(error.to_string()))
}
