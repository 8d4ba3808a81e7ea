//! A gateway was wiped (I9): its signed record is checked and kept, and its certificate shut out.
//! The signature says who made it, however it came: by the gateway itself, or later as a file.

use crate::{
    Core,
    pki::{Authority, PkiError},
    store::{
        StoreError, certificate, fleet,
        live::{self, Kind, NewEvent},
        wipe,
    },
};
use chiasm_proto::{
    enrol::common_name,
    wipe::{BY_LEN_MAX, SignedWipe, WipeRecord},
};

/// Records that are kept of one certificate: a wipe that is begun again makes another.
pub const WIPES_MAX: i64 = 16;

/// Why a record is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WipeError {
    #[error("this is no record of a wipe: {0}")]
    Malformed(String),
    #[error("the record is not signed by the gateway that it names: {0}")]
    Signature(PkiError),
    #[error("the certificate is not that of the gateway that the record names")]
    OtherGateway,
    #[error("there is no such gateway")]
    Unknown,
    #[error("{WIPES_MAX} records of this certificate are here already")]
    TooMany,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn json(plain: &impl serde::Serialize) -> String {
    serde_json::to_string(plain).expect("plain data always serialises")
}

/// A record that its gateway has made.
#[derive(Debug)]
pub struct Proven {
    pub record: WipeRecord,
    signed: SignedWipe,
}

/// Checks signature and certificate. Does not look into the database.
pub fn prove(authority: &Authority, signed: SignedWipe) -> Result<Proven, WipeError> {
    let malformed = |error: serde_json::Error| WipeError::Malformed(error.to_string());
    let record: WipeRecord = serde_json::from_str(&signed.record).map_err(malformed)?;
    if record.by.is_empty() || record.by.chars().count() > BY_LEN_MAX {
        return Err(WipeError::Malformed("it does not say who has wiped".into()));
    }
    let name = authority
        .verify_signed(&signed.certificate_pem, signed.record.as_bytes(), &signed.signature)
        .map_err(WipeError::Signature)?;
    let is_theirs = name.common_name == common_name(&record.tenant, &record.gateway)
        && name.serial == record.certificate_serial;
    if is_theirs { Ok(Proven { record, signed }) } else { Err(WipeError::OtherGateway) }
}

/// Keeps the record and shuts its certificate out. The same again changes nothing. A machine that has
/// taken the gateway's name since is not shut out.
pub async fn keep(core: &Core, proven: &Proven, now_us: i64) -> Result<(), WipeError> {
    let mut tx = core.db.tenant(proven.record.tenant.as_str()).await?;
    put(&mut tx, proven, now_us).await?;
    tx.commit().await?;
    core.live.announce(proven.record.tenant.as_str());
    Ok(())
}

/// The same, in a transaction that is open.
pub async fn put(tx: &mut crate::store::Tx, proven: &Proven, now_us: i64) -> Result<(), WipeError> {
    let Proven { record, signed } = proven;
    let (tenant, gateway) = (record.tenant.as_str(), record.gateway.as_str());
    let all = fleet::gateways(tx, tenant).await?;
    if !all.iter().any(|it| it.gateway_id == gateway) {
        return Err(WipeError::Unknown);
    }
    let serial = &record.certificate_serial;
    if wipe::count(tx, (tenant, gateway), serial).await? >= WIPES_MAX {
        return Err(WipeError::TooMany);
    }
    let row = wipe::Wipe {
        gateway_id: gateway.to_owned(),
        certificate_serial: serial.clone(),
        wiped_at_us: record.wiped_at.as_microsecond(),
        received_at_us: now_us,
        wiped_by: record.by.clone(),
        lost: record.lost.as_ref().map(json),
        signed: json(signed),
    };
    wipe::add(tx, tenant, &row).await?;
    let known = certificate::known(tx, (tenant, gateway)).await?;
    if known.is_some_and(|known| known.lets_in(serial)) {
        fleet::revoke_gateway(tx, tenant, gateway, now_us).await?;
    }
    let event = NewEvent {
        gateway_id: Some(gateway.to_owned()),
        ..NewEvent::new(now_us, Kind::GatewayChanged)
    };
    live::append(tx, tenant, &[event]).await?;
    Ok(())
}
