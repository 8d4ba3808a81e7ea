//! The record of a wipe, from the gateway that is wiped.

use super::{super::serve::PeerCertificate, Endpoint, peer::NotLetIn};
use crate::{
    app::wipe_gateway::{self, WipeError},
    clock, pki,
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chiasm_proto::{enrol::ClaimError, wipe::SignedWipe};

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Peer(#[from] NotLetIn),
    #[error(transparent)]
    Wipe(#[from] WipeError),
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = match &self {
            Refusal::Peer(refusal) => refusal.status(),
            Refusal::Wipe(WipeError::Malformed(_)) => (StatusCode::BAD_REQUEST, "malformed"),
            Refusal::Wipe(WipeError::Signature(_) | WipeError::OtherGateway) => {
                (StatusCode::FORBIDDEN, "not_signed")
            }
            Refusal::Wipe(WipeError::Unknown) => (StatusCode::NOT_FOUND, "unknown_gateway"),
            Refusal::Wipe(WipeError::TooMany) => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            Refusal::Wipe(WipeError::Store(_)) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        let message = if status == StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(error = %self, "cannot keep the record of a wipe");
            "the cloud cannot keep records at the moment: try again".to_owned()
        } else {
            self.to_string()
        };
        (status, Json(ClaimError { code: code.into(), message })).into_response()
    }
}

/// Taken from whoever shows the certificate that has signed, also when it is shut out: the answer to
/// the first attempt may have been lost, and a stolen machine may be wiped.
pub(super) async fn wiped(
    State(endpoint): State<Endpoint>,
    Extension(shown): Extension<PeerCertificate>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let certificate = shown.0.as_ref().ok_or(NotLetIn::NoCertificate)?;
    let name = pki::peer_name(certificate).ok_or(NotLetIn::NoCertificate)?;
    let signed: SignedWipe =
        serde_json::from_slice(&body).map_err(|error| WipeError::Malformed(error.to_string()))?;
    let proven = wipe_gateway::prove(&endpoint.authority, signed)?;
    if name.serial != proven.record.certificate_serial {
        return Err(WipeError::OtherGateway.into());
    }
    wipe_gateway::keep(&endpoint.core, &proven, clock::now_us()).await?;
    let (tenant, gateway) = (&proven.record.tenant, &proven.record.gateway);
    tracing::warn!(%tenant, %gateway, "a gateway was wiped and is shut out");
    Ok(StatusCode::NO_CONTENT)
}
