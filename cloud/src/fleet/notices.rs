//! What people outside are told of incidents: a webhook, from a queue in the database, so that a
//! restart loses nothing. Names of gateways and locations travel, never a patient's data.
//!
//! A receiver may hear a notice twice (its answer was lost, or a replica ended behind sending): each
//! carries an id that stays.

use crate::{
    Core, clock,
    config::{Notices, Webhook},
    domain::incident::Kind,
    store::{StoreError, Tx, incident as store},
};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;
use std::{fmt::Write, time::Duration};
use uuid::Uuid;

const SECOND_US: i64 = 1_000_000;
/// How long an attempt is waited for before somebody else may try.
const LEASE_US: i64 = 2 * 60 * SECOND_US;
/// The pause behind the first attempt that fails; each further one doubles it.
pub const RETRY_MIN_US: i64 = 15 * SECOND_US;
pub const RETRY_MAX_US: i64 = 30 * 60 * SECOND_US;
/// Attempts before a notice is given up: about two days.
pub const ATTEMPTS_MAX: i64 = 100;
/// How long a receiver may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// The signature's header: `t=SECONDS,v1=HEX`, HMAC-SHA256 of `SECONDS.BODY`.
pub const SIGNATURE: &str = "chiasm-signature";
const WEBHOOK: &str = "webhook";

/// One incident in a notice.
pub struct Item {
    pub incident: String,
    /// `raised` or `over`.
    pub state: &'static str,
    pub kind: Kind,
    pub gateway: String,
    pub location: String,
    pub since_us: i64,
    pub times: i64,
    pub text: String,
}

#[derive(Serialize)]
struct NoticeJson<'a> {
    id: &'a str,
    practice: &'a str,
    incidents: Vec<ItemJson<'a>>,
}

#[derive(Serialize)]
struct ItemJson<'a> {
    incident: &'a str,
    state: &'a str,
    kind: &'a str,
    title: &'a str,
    gateway: &'a str,
    location: &'a str,
    since: String,
    times: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

/// Queues one notice of all that happened in one look: a whole location that loses its power is one
/// message. In the transaction that changed the incidents.
pub async fn queue(
    tx: &mut Tx,
    config: &Notices,
    tenant: &str,
    items: Vec<Item>,
    now_us: i64,
) -> Result<(), StoreError> {
    if items.is_empty() || config.webhook.is_none() {
        return Ok(());
    }
    let id = Uuid::now_v7().to_string();
    let incidents = items.iter().map(|it| ItemJson {
        incident: &it.incident,
        state: it.state,
        kind: it.kind.as_str(),
        title: it.kind.label(),
        gateway: &it.gateway,
        location: &it.location,
        since: Timestamp::from_microsecond(it.since_us).unwrap_or(Timestamp::MIN).to_string(),
        times: it.times,
        text: &it.text,
    });
    let notice = NoticeJson { id: &id, practice: tenant, incidents: incidents.collect() };
    let body = serde_json::to_string(&notice).expect("plain data always serialises");
    store::queue(tx, (tenant, &id), (WEBHOOK, &body), now_us).await
}

/// Sends what is due, of all tenants. Gives how many were taken.
pub async fn send_once(core: &Core, now_us: i64) -> Result<usize, StoreError> {
    let Some(webhook) = &core.config.notices.webhook else { return Ok(0) };
    let mut tx = core.db.all_tenants_read().await?;
    let due = store::due(&mut tx, now_us).await?;
    drop(tx);
    let mut sent = 0;
    for tenant in due {
        let mut tx = core.db.tenant(&tenant).await?;
        let taken = store::take(&mut tx, &tenant, (now_us, now_us + LEASE_US)).await?;
        tx.commit().await?;
        for notice in taken {
            let result = post(webhook, &notice).await;
            let (state, detail) = match &result {
                Ok(()) => ("sent", String::new()),
                Err(error) if notice.attempts >= ATTEMPTS_MAX => ("given_up", error.to_string()),
                Err(error) => ("waiting", error.to_string()),
            };
            if let Err(error) = &result {
                let id = &notice.notice_id;
                tracing::warn!(tenant, %id, %error, state, "a notice is not taken");
            }
            let due_at_us = now_us + pause_us(notice.attempts);
            let mut tx = core.db.tenant(&tenant).await?;
            let key = (tenant.as_str(), notice.notice_id.as_str());
            store::settle(&mut tx, key, (state, &detail), (now_us, due_at_us)).await?;
            tx.commit().await?;
            sent += usize::from(result.is_ok());
        }
    }
    Ok(sent)
}

/// The pause behind this many attempts.
pub fn pause_us(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    RETRY_MIN_US.saturating_mul(1_i64 << doublings).min(RETRY_MAX_US)
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("the secret cannot be read: {0}")]
    Secret(std::io::Error),
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the receiver answers {0}")]
    Status(u16),
}

async fn post(webhook: &Webhook, notice: &store::Notice) -> Result<(), SendError> {
    let secret = tokio::fs::read_to_string(&webhook.secret_file).await;
    let secret = secret.map_err(SendError::Secret)?;
    // The one provider of the process; a second call only says so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        // A receiver must not lead us elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_TIME_MAX)
        .build()?;
    let seconds = clock::now_us() / SECOND_US;
    let response = client
        .post(&webhook.url)
        .header("content-type", "application/json")
        .header(SIGNATURE, signature(secret.trim(), seconds, &notice.body))
        .body(notice.body.clone())
        .send()
        .await
        // Its address may carry a token.
        .map_err(reqwest::Error::without_url)?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(SendError::Status(status.as_u16())),
    }
}

/// What [`SIGNATURE`] carries.
pub fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let mut text = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected is what `openssl dgst -sha256 -hmac Jefe` says of `1.what do ya want for nothing?`.
    #[test]
    fn signs_as_openssl_does() {
        assert_eq!(
            signature("Jefe", 1, "what do ya want for nothing?"),
            "t=1,v1=a9049465ce89cfb8e9aac62333abda66f80e3403f51f57f6bae3c3a4485eca38"
        );
    }

    #[test]
    fn pauses_double_up_to_half_an_hour() {
        let seconds: Vec<i64> = (1..=9).map(|it| pause_us(it) / SECOND_US).collect();
        assert_eq!(seconds, [15, 30, 60, 120, 240, 480, 960, 1800, 1800]);
    }
}
