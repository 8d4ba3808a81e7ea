//! Which certificates of gateways are let in: the one in use, and one that is to replace it.

use super::{StoreError, Tx};
use crate::args;

crate::row! {
    /// What is known of the certificates of a gateway that is not revoked.
    pub struct Known {
        pub location_id: String,
        /// None before the first enrolment.
        pub serial: Option<String>,
        /// Issued, and not confirmed by the gateway.
        pub next_serial: Option<String>,
        pub next_at_us: Option<i64>,
    }
}

impl Known {
    pub fn lets_in(&self, serial: &str) -> bool {
        [&self.serial, &self.next_serial].into_iter().flatten().any(|known| known == serial)
    }
}

pub async fn known(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
) -> Result<Option<Known>, StoreError> {
    let sql = "SELECT location_id, certificate_serial AS serial,
            next_certificate_serial AS next_serial, next_certificate_at_us AS next_at_us
        FROM gateway WHERE tenant_id = $1 AND gateway_id = $2 AND revoked_at_us IS NULL";
    tx.fetch_optional(sql, args![tenant, gateway]).await
}

/// Serials of all certificates with which gateways may connect now, of all tenants.
pub async fn serials_let_in(tx: &mut Tx) -> Result<Vec<(String,)>, StoreError> {
    let sql = "SELECT certificate_serial FROM gateway
            WHERE revoked_at_us IS NULL AND certificate_serial IS NOT NULL
        UNION ALL SELECT next_certificate_serial FROM gateway
            WHERE revoked_at_us IS NULL AND next_certificate_serial IS NOT NULL";
    tx.fetch_all(sql, args![]).await
}

/// The certificate of an enrolment; every earlier one is no longer let in.
pub async fn put_enrolled(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    serial: &str,
    expires_at_us: i64,
    at_us: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE gateway SET certificate_serial = $3, certificate_expires_at_us = $4,
            enrolled_at_us = $5, next_certificate_serial = NULL
        WHERE tenant_id = $1 AND gateway_id = $2 AND revoked_at_us IS NULL";
    let touched = tx.execute(sql, args![tenant, gateway, serial, expires_at_us, at_us]).await?;
    Ok(touched == 1)
}

/// A certificate that is to replace the one in use; one that was issued before and never confirmed
/// is forgotten. False if the gateway was revoked or enrolled anew meanwhile.
pub async fn put_next(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    in_use: &str,
    serial: &str,
    expires_at_us: i64,
    at_us: i64,
) -> Result<bool, StoreError> {
    let sql = "UPDATE gateway SET next_certificate_serial = $4, next_certificate_at_us = $6,
            next_certificate_expires_at_us = $5
        WHERE tenant_id = $1 AND gateway_id = $2 AND certificate_serial = $3
            AND revoked_at_us IS NULL";
    let args = args![tenant, gateway, in_use, serial, expires_at_us, at_us];
    Ok(tx.execute(sql, args).await? == 1)
}

/// The new certificate works: it is the one in use. False if there is none with this serial.
pub async fn confirm_next(
    tx: &mut Tx,
    (tenant, gateway): (&str, &str),
    serial: &str,
) -> Result<bool, StoreError> {
    let sql = "UPDATE gateway SET certificate_serial = next_certificate_serial,
            certificate_expires_at_us = next_certificate_expires_at_us,
            next_certificate_serial = NULL
        WHERE tenant_id = $1 AND gateway_id = $2 AND next_certificate_serial = $3
            AND revoked_at_us IS NULL";
    Ok(tx.execute(sql, args![tenant, gateway, serial]).await? == 1)
}
