//! What gateways said before they destroyed everything they held (I9).

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    pub struct Wipe {
        pub gateway_id: String,
        pub certificate_serial: String,
        pub wiped_at_us: i64,
        pub received_at_us: i64,
        pub wiped_by: String,
        /// JSON of `chiasm_proto::wipe::Lost`; none where the gateway could not tell.
        pub lost: Option<String>,
        /// JSON of `chiasm_proto::wipe::SignedWipe`.
        pub signed: String,
    }
}

/// Keeps a record; one that is here already stays as it is.
pub async fn add(tx: &mut Tx, tenant: &str, wipe: &Wipe) -> Result<(), StoreError> {
    let sql = "INSERT INTO gateway_wipe (tenant_id, gateway_id, certificate_serial, wiped_at_us,
            received_at_us, wiped_by, lost, signed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let Wipe {
        gateway_id,
        certificate_serial,
        wiped_at_us,
        received_at_us,
        wiped_by,
        lost,
        signed,
    } = wipe;
    let args = args![
        tenant,
        gateway_id,
        certificate_serial,
        *wiped_at_us,
        *received_at_us,
        wiped_by,
        lost.clone(),
        signed
    ];
    tx.execute(sql, args).await?;
    Ok(())
}

/// How many records there are under one certificate.
pub async fn count(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    serial: &str,
) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM gateway_wipe
        WHERE tenant_id = $1 AND gateway_id = $2 AND certificate_serial = $3";
    let (count,): (i64,) = tx.fetch_one(sql, args![tenant, gateway, serial]).await?;
    Ok(count)
}

/// The newest record of each gateway that has one.
pub async fn newest(tx: &mut Tx, tenant: &str) -> Result<Vec<Wipe>, StoreError> {
    let sql = "SELECT w.gateway_id, w.certificate_serial, w.wiped_at_us, w.received_at_us,
            w.wiped_by, w.lost, w.signed
        FROM gateway_wipe w WHERE w.tenant_id = $1 AND NOT EXISTS
            (SELECT 1 FROM gateway_wipe later WHERE later.tenant_id = w.tenant_id
                AND later.gateway_id = w.gateway_id AND (later.received_at_us > w.received_at_us
                OR later.received_at_us = w.received_at_us AND later.wiped_at_us > w.wiped_at_us))
        ORDER BY w.gateway_id";
    tx.fetch_all(sql, args![tenant]).await
}
