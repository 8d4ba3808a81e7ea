//! Renewal: a certificate for the holder of one. The old one is let in until the new one is confirmed
//! over a connection that shows it.

use super::{
    super::serve::PeerCertificate,
    Endpoint,
    peer::{NotLetIn, append_changed, identify},
};
use crate::{
    clock,
    pki::PkiError,
    store::{StoreError, certificate},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chiasm_proto::enrol::{ClaimError, RenewRequest, RenewResponse};

/// Shortest time between two renewals of one gateway: signing must not be what a gateway that has
/// gone wrong, or its thief, keeps us busy with.
pub const RENEW_INTERVAL_US: i64 = 60 * 1_000_000;

/// Why no certificate was given.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Peer(#[from] NotLetIn),
    #[error("{0}")]
    Malformed(String),
    #[error("a certificate was given less than a minute ago: wait")]
    TooSoon,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Pki(PkiError),
}

impl From<PkiError> for Refusal {
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::Request(_) => Refusal::Malformed(error.to_string()),
            error => Refusal::Pki(error),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Refusal::Peer(refusal) => refusal.status(),
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Refusal::TooSoon => (StatusCode::TOO_MANY_REQUESTS, "too_soon"),
            Refusal::Store(_) | Refusal::Pki(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let message = if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(error = %self, "cannot renew a certificate");
            "the cloud cannot renew certificates at the moment: try again".to_owned()
        } else {
            self.to_string()
        };
        (status, Json(ClaimError { code: code.into(), message })).into_response()
    }
}

pub(super) async fn renew(
    State(endpoint): State<Endpoint>,
    Extension(shown): Extension<PeerCertificate>,
    body: Bytes,
) -> Result<Json<RenewResponse>, Refusal> {
    let core = &endpoint.core;
    let peer = identify(core, &shown).await?;
    let request: RenewRequest =
        serde_json::from_slice(&body).map_err(|error| Refusal::Malformed(error.to_string()))?;
    let now_us = clock::now_us();
    if peer.known.next_at_us.is_some_and(|at_us| now_us - at_us < RENEW_INTERVAL_US) {
        return Err(Refusal::TooSoon);
    }
    let (identity, key) = (&peer.identity, peer.key());
    let issued =
        endpoint.authority.issue_gateway(&identity.tenant, &identity.gateway, &request.csr_pem)?;
    let mut tx = core.db.tenant(key.0).await?;
    let (serial, in_use) = (&issued.serial, peer.known.serial.as_deref().unwrap_or_default());
    let is_put =
        certificate::put_next(&mut tx, key, in_use, serial, issued.expires_at_us, now_us).await?;
    if !is_put {
        return Err(NotLetIn::Refused(format!("{}/{}", key.0, key.1)).into());
    }
    append_changed(&mut tx, key, now_us).await?;
    tx.commit().await?;
    core.live.announce(key.0);
    tracing::info!(tenant = key.0, gateway = key.1, "a certificate is renewed");
    Ok(Json(RenewResponse {
        certificate_pem: issued.certificate_pem,
        authority_pem: endpoint.authority.certificate_pem().to_owned(),
        broker_url: core.config.broker_public_url(),
    }))
}

pub(super) async fn confirm(
    State(endpoint): State<Endpoint>,
    Extension(shown): Extension<PeerCertificate>,
) -> Result<StatusCode, Refusal> {
    let core = &endpoint.core;
    let peer = identify(core, &shown).await?;
    let key = peer.key();
    let mut tx = core.db.tenant(key.0).await?;
    // If it was confirmed before and the answer was lost, there is nothing to do.
    if certificate::confirm_next(&mut tx, key, &peer.identity.serial).await? {
        append_changed(&mut tx, key, clock::now_us()).await?;
        tx.commit().await?;
        core.live.announce(key.0);
        tracing::info!(tenant = key.0, gateway = key.1, "a renewed certificate is confirmed");
    }
    Ok(StatusCode::NO_CONTENT)
}
