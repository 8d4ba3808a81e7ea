//! Stored bytes that a later driver is given again: which, and what became of them.

use super::{StoreError, Tx};
use crate::args;
use chiasm_drivers::DriverSpec;

/// Identifiers that are asked for at once.
pub const IDS_MAX: i64 = 200;

/// Captures of a driver that this version has not been given, after an identifier, in order. Those
/// that a version before made readings of are done.
pub async fn captures(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
    after: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT f.document_id FROM parse_failure f
        WHERE f.tenant_id = $1 AND f.driver_id = $2 AND f.document_id > $4
            AND f.read_at_us IS NULL
            AND NOT EXISTS (SELECT 1 FROM decoded_again a WHERE a.tenant_id = $1
                AND a.driver_id = $2 AND a.driver_version = $3 AND a.document_id = f.document_id)
        ORDER BY f.document_id LIMIT $5";
    ids(tx, sql, args![tenant, driver.id, driver.version, after, IDS_MAX]).await
}

/// Readings whose document names the driver and that this version has not been given, after an
/// identifier, in order. Looks through all documents of readings: nothing else knows the driver. What
/// this version has read, in the words of our gateways, is not among them.
pub async fn readings(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
    after: &str,
) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT r.reading_id FROM reading r
        JOIN document d ON d.tenant_id = r.tenant_id AND d.gateway_id = r.gateway_id
            AND d.epoch = r.epoch AND d.seq = r.seq
        WHERE r.tenant_id = $1 AND r.reading_id > $4 AND d.body LIKE $6
            AND d.body NOT LIKE $7
            AND NOT EXISTS (SELECT 1 FROM decoded_again a WHERE a.tenant_id = $1
                AND a.driver_id = $2 AND a.driver_version = $3 AND a.document_id = r.reading_id)
        ORDER BY r.reading_id LIMIT $5";
    let named = format!("%\"{}\"%", driver.id);
    let by_this = format!("%\"id\":\"{}\",\"version\":\"{}\"%", driver.id, driver.version);
    let args = args![tenant, driver.id, driver.version, after, IDS_MAX, named, by_this];
    ids(tx, sql, args).await
}

async fn ids(
    tx: &mut Tx,
    sql: &'static str,
    args: impl IntoIterator<Item = super::db::Arg>,
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx.fetch_all(sql, args).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Notes that this version of a driver was given a document; `false` if it was before. Two that do it
/// at once wait for each other here.
pub async fn claim(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
    document: &str,
    now_us: i64,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO decoded_again (tenant_id, driver_id, driver_version, document_id,
            outcome, decoded_at_us) VALUES ($1, $2, $3, $4, '', $5) ON CONFLICT DO NOTHING";
    let args = args![tenant, driver.id, driver.version, document, now_us];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Says what became of it, in the transaction of [`claim`].
pub async fn note(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
    (document, outcome): (&str, &str),
) -> Result<(), StoreError> {
    let sql = "UPDATE decoded_again SET outcome = $5
        WHERE tenant_id = $1 AND driver_id = $2 AND driver_version = $3 AND document_id = $4";
    tx.execute(sql, args![tenant, driver.id, driver.version, document, outcome]).await?;
    Ok(())
}

/// How often each outcome was that of this version.
pub async fn outcomes(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
) -> Result<Vec<(String, i64)>, StoreError> {
    let sql = "SELECT outcome, COUNT(*) FROM decoded_again
        WHERE tenant_id = $1 AND driver_id = $2 AND driver_version = $3
        GROUP BY outcome ORDER BY outcome";
    tx.fetch_all(sql, args![tenant, driver.id, driver.version]).await
}

/// A reading's identity in the data is another now.
pub async fn set_claimed(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
    claimed: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE reading SET claimed_patient = $3 WHERE tenant_id = $1 AND reading_id = $2";
    tx.execute(sql, args![tenant, reading, claimed]).await?;
    Ok(())
}

crate::row! {
    pub struct Run {
        pub asked_at_us: i64,
        pub asked_by: String,
        pub finished_at_us: Option<i64>,
    }
}

/// Somebody asks for all documents of a driver. Asking again looks for what came since.
pub async fn ask(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
    (account, now_us): (&str, i64),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO decode_again_run (tenant_id, driver_id, driver_version, asked_at_us,
            asked_by) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (tenant_id, driver_id, driver_version)
            DO UPDATE SET asked_at_us = $4, asked_by = $5, finished_at_us = NULL";
    tx.execute(sql, args![tenant, driver.id, driver.version, now_us, account]).await?;
    Ok(())
}

pub async fn run(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
) -> Result<Option<Run>, StoreError> {
    let sql = "SELECT asked_at_us, asked_by, finished_at_us FROM decode_again_run
        WHERE tenant_id = $1 AND driver_id = $2 AND driver_version = $3";
    tx.fetch_optional(sql, args![tenant, driver.id, driver.version]).await
}

/// Practice, driver, version and time of what was asked for and is not done, of all practices.
pub async fn asked(tx: &mut Tx) -> Result<Vec<(String, String, String, i64)>, StoreError> {
    let sql = "SELECT tenant_id, driver_id, driver_version, asked_at_us FROM decode_again_run
        WHERE finished_at_us IS NULL ORDER BY asked_at_us";
    tx.fetch_all(sql, args![]).await
}

/// All is done that was asked for at the moment.
pub async fn finish(
    tx: &mut Tx,
    tenant: &str,
    driver: &DriverSpec,
    (asked_at_us, now_us): (i64, i64),
) -> Result<(), StoreError> {
    let sql = "UPDATE decode_again_run SET finished_at_us = $5 WHERE tenant_id = $1
        AND driver_id = $2 AND driver_version = $3 AND asked_at_us = $4";
    tx.execute(sql, args![tenant, driver.id, driver.version, asked_at_us, now_us]).await?;
    Ok(())
}
