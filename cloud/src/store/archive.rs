//! Where accepted readings are sent as DICOM objects, and how far that has come.

use super::{StoreError, Tx};
use crate::args;

/// Readings that one association carries at most.
pub const BATCH_MAX: i64 = 20;
/// Longest detail that is kept, in characters.
pub const DETAIL_LEN_MAX: usize = 300;

crate::row! {
    /// An archive, as one location reaches it.
    pub struct Destination {
        pub location_id: String,
        pub host: String,
        pub port: i64,
        pub called_ae: String,
        pub calling_ae: String,
        pub is_enabled: bool,
        /// The file of the authority that has signed the archive's certificate; empty: no TLS.
        pub tls_authority: String,
        /// Files of our own certificate and its key; empty: none is shown.
        pub tls_certificate: String,
        pub tls_key: String,
        /// The name in the archive's certificate; empty: the host.
        pub tls_name: String,
        /// Readings that wait to be sent.
        pub waiting: i64,
        /// What the last attempt at one of them came to.
        pub detail: Option<String>,
    }
}

crate::row! {
    /// One version of a reading on its way to the archive.
    pub struct Export {
        pub reading_id: String,
        pub version: i64,
        pub state: String,
        pub attempts: i64,
        pub queued_at_us: i64,
        pub due_at_us: i64,
        pub done_at_us: Option<i64>,
        pub detail: String,
    }
}

/// Sets a location's archive.
pub async fn put(
    tx: &mut Tx,
    tenant: &str,
    destination: &Destination,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO archive_destination (tenant_id, location_id, host, port, called_ae,
            calling_ae, is_enabled, changed_at_us, tls_authority, tls_certificate, tls_key, tls_name)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (tenant_id, location_id) DO UPDATE SET host = $3, port = $4, called_ae = $5,
            calling_ae = $6, is_enabled = $7, changed_at_us = $8, tls_authority = $9,
            tls_certificate = $10, tls_key = $11, tls_name = $12";
    let Destination { location_id, host, called_ae, calling_ae, .. } = destination;
    let args = args![
        tenant,
        location_id,
        host,
        destination.port,
        called_ae,
        calling_ae,
        destination.is_enabled,
        now_us,
        &destination.tls_authority,
        &destination.tls_certificate,
        &destination.tls_key,
        &destination.tls_name,
    ];
    tx.execute(sql, args).await?;
    // What waited for the archive that was set before need not wait for its next attempt.
    let sql = "UPDATE archive_export SET due_at_us = $3
        WHERE tenant_id = $1 AND location_id = $2 AND state = 'waiting' AND due_at_us > $3";
    tx.execute(sql, args![tenant, location_id, now_us]).await?;
    Ok(())
}

/// Forgets a location's archive and what waited for it; `false` where there was none.
pub async fn remove(tx: &mut Tx, tenant: &str, location: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM archive_export
        WHERE tenant_id = $1 AND location_id = $2 AND state = 'waiting'";
    tx.execute(sql, args![tenant, location]).await?;
    let sql = "DELETE FROM archive_destination WHERE tenant_id = $1 AND location_id = $2";
    Ok(tx.execute(sql, args![tenant, location]).await? == 1)
}

/// All archives of a practice, by location.
pub async fn destinations(tx: &mut Tx, tenant: &str) -> Result<Vec<Destination>, StoreError> {
    let sql = "SELECT a.location_id, a.host, a.port, a.called_ae, a.calling_ae, a.is_enabled,
            a.tls_authority, a.tls_certificate, a.tls_key, a.tls_name,
            (SELECT COUNT(*) FROM archive_export x WHERE x.tenant_id = a.tenant_id
                AND x.location_id = a.location_id AND x.state = 'waiting') AS waiting,
            (SELECT x.detail FROM archive_export x WHERE x.tenant_id = a.tenant_id
                AND x.location_id = a.location_id AND x.state = 'waiting' AND x.attempts > 0
                ORDER BY x.due_at_us DESC, x.reading_id LIMIT 1) AS detail
        FROM archive_destination a WHERE a.tenant_id = $1 ORDER BY a.location_id";
    tx.fetch_all(sql, args![tenant]).await
}

/// Puts the version of a reading that was just made into the queue, if its location has an archive.
/// Earlier versions that still wait need not be sent any more.
pub async fn queue(
    tx: &mut Tx,
    tenant: &str,
    (reading, version, location): (&str, i64, &str),
    now_us: i64,
) -> Result<(), StoreError> {
    supersede(tx, tenant, reading, now_us).await?;
    let sql = "INSERT INTO archive_export (tenant_id, reading_id, version, location_id, state,
            queued_at_us, due_at_us)
        SELECT a.tenant_id, $2, $3, a.location_id, 'waiting', $5, $5 FROM archive_destination a
        WHERE a.tenant_id = $1 AND a.location_id = $4 AND a.is_enabled = $6
        ON CONFLICT (tenant_id, reading_id, version) DO NOTHING";
    tx.execute(sql, args![tenant, reading, version, location, now_us, true]).await?;
    Ok(())
}

/// What waits of a reading that has changed since is not sent.
pub async fn supersede(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "UPDATE archive_export SET state = 'superseded', done_at_us = $3
        WHERE tenant_id = $1 AND reading_id = $2 AND state = 'waiting'";
    tx.execute(sql, args![tenant, reading, now_us]).await?;
    Ok(())
}

/// Practices and locations for which something is due, of all tenants.
pub async fn due(tx: &mut Tx, now_us: i64) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT DISTINCT tenant_id, location_id FROM archive_export
        WHERE state = 'waiting' AND due_at_us <= $1 ORDER BY tenant_id, location_id";
    tx.fetch_all(sql, args![now_us]).await
}

/// Takes what is due for a location until a moment at which somebody else may try it.
pub async fn take(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    now_us: i64,
    until_us: i64,
) -> Result<Vec<Export>, StoreError> {
    let sql = "SELECT x.reading_id, x.version, x.state, x.attempts, x.queued_at_us, x.due_at_us,
            x.done_at_us, x.detail
        FROM archive_export x JOIN archive_destination a ON a.tenant_id = x.tenant_id
            AND a.location_id = x.location_id AND a.is_enabled = $5
        WHERE x.tenant_id = $1 AND x.location_id = $2 AND x.state = 'waiting'
            AND x.due_at_us <= $3 ORDER BY x.queued_at_us, x.reading_id LIMIT $4";
    let args = args![tenant, location, now_us, BATCH_MAX, true];
    let found: Vec<Export> = tx.fetch_all(sql, args).await?;
    let mut taken = Vec::new();
    for export in found {
        let sql = "UPDATE archive_export SET due_at_us = $4, attempts = attempts + 1
            WHERE tenant_id = $1 AND reading_id = $2 AND version = $3 AND state = 'waiting'
                AND due_at_us <= $5";
        let args = args![tenant, &export.reading_id, export.version, until_us, now_us];
        if tx.execute(sql, args).await? == 1 {
            taken.push(Export { attempts: export.attempts + 1, ..export });
        }
    }
    Ok(taken)
}

/// What came of an export: its end, or when to try again.
pub async fn settle(
    tx: &mut Tx,
    tenant: &str,
    export: &Export,
    (state, detail): (&str, &str),
    (now_us, due_at_us): (i64, i64),
) -> Result<(), StoreError> {
    let done_at_us = (state != "waiting").then_some(now_us);
    let detail: String = detail.chars().take(DETAIL_LEN_MAX).collect();
    let sql = "UPDATE archive_export SET state = $4, detail = $5, done_at_us = $6, due_at_us = $7
        WHERE tenant_id = $1 AND reading_id = $2 AND version = $3 AND state = 'waiting'";
    let args =
        args![tenant, &export.reading_id, export.version, state, detail, done_at_us, due_at_us];
    tx.execute(sql, args).await?;
    Ok(())
}

/// Every export of a reading, the latest version first.
pub async fn of_reading(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
) -> Result<Vec<Export>, StoreError> {
    let sql = "SELECT reading_id, version, state, attempts, queued_at_us, due_at_us, done_at_us,
            detail
        FROM archive_export WHERE tenant_id = $1 AND reading_id = $2 ORDER BY version DESC";
    tx.fetch_all(sql, args![tenant, reading]).await
}
