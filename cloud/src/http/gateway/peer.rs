//! Who a gateway is at this endpoint: what its verified certificate says, and nothing else.

use super::super::serve::PeerCertificate;
use crate::{
    Core,
    broker::Identity,
    clock, pki,
    store::{
        StoreError, certificate,
        certificate::Known,
        fleet,
        live::{self, Kind, NewEvent},
        refusal,
    },
};
use axum::http::StatusCode;

/// A gateway with a certificate that is let in.
pub(super) struct Peer {
    pub identity: Identity,
    pub known: Known,
}

impl Peer {
    pub fn location(&self) -> &str {
        &self.known.location_id
    }
    /// Tenant and gateway.
    pub fn key(&self) -> (&str, &str) {
        (self.identity.tenant.as_str(), self.identity.gateway.as_str())
    }
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotLetIn {
    #[error("show a gateway's certificate: enrol the gateway first")]
    NoCertificate,
    #[error("the certificate of {0} is revoked, replaced or unknown: enrol the gateway again")]
    Refused(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotLetIn {
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoCertificate => (StatusCode::UNAUTHORIZED, "no_certificate"),
            Self::Refused(_) => (StatusCode::FORBIDDEN, "not_let_in"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        }
    }
}

pub(super) async fn identify(core: &Core, shown: &PeerCertificate) -> Result<Peer, NotLetIn> {
    let certificate = shown.0.as_ref().ok_or(NotLetIn::NoCertificate)?;
    let name = pki::peer_name(certificate).ok_or(NotLetIn::NoCertificate)?;
    let identity = Identity::parse(&name.common_name, &name.serial);
    let identity = identity.ok_or(NotLetIn::NoCertificate)?;
    let key = (identity.tenant.as_str(), identity.gateway.as_str());
    let mut tx = core.db.tenant_read(key.0).await?;
    let known = certificate::known(&mut tx, key).await?;
    drop(tx);
    match known {
        Some(known) if known.lets_in(&identity.serial) => Ok(Peer { identity, known }),
        _ => {
            note_refusal(core, key).await?;
            Err(NotLetIn::Refused(name.common_name))
        }
    }
}

/// The fleet page shows who is turned away.
async fn note_refusal(core: &Core, key: (&str, &str)) -> Result<(), StoreError> {
    let mut tx = core.db.tenant(key.0).await?;
    if !fleet::tenant_exists(&mut tx, key.0).await? {
        return Ok(());
    }
    let event = refusal::count(&mut tx, key, "upload", "", clock::now_us(), 1).await?;
    live::append(&mut tx, key.0, &[event]).await?;
    tx.commit().await?;
    core.live.announce(key.0);
    Ok(())
}

/// Wakes the fleet pages after a change of a gateway, at the end of its transaction.
pub(super) async fn append_changed(
    tx: &mut crate::store::Tx,
    (tenant, gateway): (&str, &str),
    at_us: i64,
) -> Result<(), StoreError> {
    let event = NewEvent {
        gateway_id: Some(gateway.to_owned()),
        ..NewEvent::new(at_us, Kind::GatewayChanged)
    };
    live::append(tx, tenant, &[event]).await?;
    Ok(())
}
