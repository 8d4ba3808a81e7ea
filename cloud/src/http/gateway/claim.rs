//! Enrolment: a claim code and a certificate request against a certificate.

use super::{super::serve::Peer, Endpoint, peer::append_changed};
use crate::{
    app::{claim_code::code_sha256, enrol_gateway},
    clock,
    pki::PkiError,
    store::{StoreError, certificate, claim},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chiasm_proto::{
    GatewayId, TenantId,
    enrol::{ClaimError, ClaimRequest, ClaimResponse},
};

/// Largest claim request; a certificate request with an RSA-4096 key has a tenth of it.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Why a claim was not granted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("too many attempts: wait ten minutes")]
    TooManyAttempts,
    #[error("{0}")]
    Malformed(String),
    #[error("no gateway waits for this code: check it, or ask for a new one")]
    UnknownCode,
    #[error("this code was used: ask for a new one")]
    Used,
    #[error("this code has expired: ask for a new one")]
    Expired,
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Pki(PkiError),
}

impl From<PkiError> for Refusal {
    fn from(err: PkiError) -> Self {
        match err {
            PkiError::Request(_) => Refusal::Malformed(err.to_string()),
            err => Refusal::Pki(err),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Refusal::TooManyAttempts => (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts"),
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Refusal::UnknownCode => (StatusCode::NOT_FOUND, "unknown_code"),
            Refusal::Used => (StatusCode::CONFLICT, "used"),
            Refusal::Expired => (StatusCode::GONE, "expired"),
            Refusal::Store(_) | Refusal::Pki(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let message = if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(error = %self, "cannot enrol a gateway");
            "the cloud cannot enrol gateways at the moment: try again".to_owned()
        } else {
            self.to_string()
        };
        (status, Json(ClaimError { code: code.into(), message })).into_response()
    }
}

pub(super) async fn handle_claim(
    State(endpoint): State<Endpoint>,
    Extension(Peer(peer)): Extension<Peer>,
    body: Bytes,
) -> Result<Json<ClaimResponse>, Refusal> {
    if !endpoint.attempts.may_try(peer.ip(), clock::now_us()) {
        return Err(Refusal::TooManyAttempts);
    }
    let granted = claim(&endpoint, &body).await;
    match &granted {
        Ok(response) => {
            tracing::info!(tenant = %response.tenant, gateway = %response.gateway, "enrolled");
        }
        Err(refusal) => {
            endpoint.attempts.failed(peer.ip(), clock::now_us());
            tracing::warn!(%peer, reason = %refusal, "claim refused");
        }
    }
    granted.map(Json)
}

async fn claim(endpoint: &Endpoint, body: &[u8]) -> Result<ClaimResponse, Refusal> {
    let request: ClaimRequest =
        serde_json::from_slice(body).map_err(|err| Refusal::Malformed(err.to_string()))?;
    let code = code_sha256(&request.claim_code).ok_or(Refusal::UnknownCode)?;
    let core = &endpoint.core;
    let now_us = clock::now_us();
    let mut tx = core.db.all_tenants_read().await?;
    let found = claim::find(&mut tx, &code).await?.ok_or(Refusal::UnknownCode)?;
    // The rest happens inside the tenant that the code belongs to.
    drop(tx);
    if found.used_at_us.is_some() {
        return Err(Refusal::Used);
    }
    if found.expires_at_us <= now_us {
        return Err(Refusal::Expired);
    }
    let corrupt = |_| Refusal::UnknownCode;
    let tenant = TenantId::new(found.tenant).map_err(corrupt)?;
    let gateway = GatewayId::new(found.gateway).map_err(corrupt)?;
    let issued = endpoint.authority.issue_gateway(&tenant, &gateway, &request.csr_pem)?;
    let names = (tenant.as_str(), gateway.as_str());
    let mut tx = core.db.tenant(names.0).await?;
    if !claim::spend(&mut tx, names.0, &code, now_us).await? {
        return Err(Refusal::Used);
    }
    enrol_gateway::note_unknown_gap(&mut tx, names, now_us).await?;
    let (serial, expires_at_us) = (&issued.serial, issued.expires_at_us);
    if !certificate::put_enrolled(&mut tx, names, serial, expires_at_us, now_us).await? {
        return Err(Refusal::UnknownCode);
    }
    append_changed(&mut tx, names, now_us).await?;
    tx.commit().await?;
    core.live.announce(names.0);
    Ok(ClaimResponse {
        certificate_pem: issued.certificate_pem,
        authority_pem: endpoint.authority.certificate_pem().to_owned(),
        broker_url: core.config.broker_public_url(),
        tenant,
        gateway,
    })
}
