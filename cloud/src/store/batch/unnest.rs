//! Inserts on PostgreSQL: an array for each column, taken apart by UNNEST. A document's body goes as
//! it is; inside a JSON array of rows it would be escaped, longer, and parsed twice.

use super::{NewDocument, NewEvent, NewReading, StoreError};
use sqlx::{Postgres, Transaction};

type PgTx = Transaction<'static, Postgres>;

/// One column of many rows.
macro_rules! column {
    ($rows:ident, |$row:ident| $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

pub(super) async fn documents(
    tx: &mut PgTx,
    tenant: &str,
    rows: &[NewDocument<'_>],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(DOCUMENTS)
        .bind(tenant)
        .bind(column!(rows, |row| row.gateway_id))
        .bind(column!(rows, |row| row.epoch.as_str()))
        .bind(column!(rows, |row| row.seq))
        .bind(column!(rows, |row| row.document_id))
        .bind(column!(rows, |row| row.kind))
        .bind(column!(rows, |row| row.sha256))
        .bind(column!(rows, |row| row.captured_at_us))
        .bind(column!(rows, |row| row.received_at_us))
        .bind(column!(rows, |row| row.body))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

const DOCUMENTS: &str =
    "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind,
        sha256, captured_at_us, received_at_us, body)
    SELECT $1, * FROM UNNEST($2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::TEXT[], $6::TEXT[],
        $7::TEXT[], $8::BIGINT[], $9::BIGINT[], $10::TEXT[])";

pub(super) async fn readings(
    tx: &mut PgTx,
    tenant: &str,
    rows: &[NewReading],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(READINGS)
        .bind(tenant)
        .bind(column!(rows, |row| row.reading_id.as_str()))
        .bind(column!(rows, |row| row.gateway_id.as_str()))
        .bind(column!(rows, |row| row.epoch.as_str()))
        .bind(column!(rows, |row| row.seq))
        .bind(column!(rows, |row| row.location_id.as_str()))
        .bind(column!(rows, |row| row.lane_id.as_str()))
        .bind(column!(rows, |row| row.link_id.as_str()))
        .bind(column!(rows, |row| row.vendor.as_str()))
        .bind(column!(rows, |row| row.model.as_str()))
        .bind(column!(rows, |row| row.content_sha256.as_str()))
        .bind(column!(rows, |row| row.captured_at_us))
        .bind(column!(rows, |row| row.received_at_us))
        .bind(column!(rows, |row| row.claimed_patient.as_deref()))
        .bind(column!(rows, |row| row.lane_session_id.as_deref()))
        .bind(column!(rows, |row| row.place.as_str()))
        .bind(column!(rows, |row| row.reason.as_str()))
        .bind(column!(rows, |row| row.encounter_id.as_deref()))
        .bind(column!(rows, |row| row.needs_a_look))
        .bind(column!(rows, |row| row.duplicate_of.as_deref()))
        .bind(column!(rows, |row| row.correction.as_deref()))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

const READINGS: &str = "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq,
        location_id, lane_id, link_id, vendor, model, content_sha256, captured_at_us,
        received_at_us, claimed_patient, lane_session_id, place, reason, encounter_id,
        needs_a_look, duplicate_of, correction)
    SELECT $1, * FROM UNNEST($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::TEXT[],
        $7::TEXT[], $8::TEXT[], $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::BIGINT[],
        $13::BIGINT[], $14::TEXT[], $15::TEXT[], $16::TEXT[], $17::TEXT[], $18::TEXT[],
        $19::BOOLEAN[], $20::TEXT[], $21::TEXT[])";

/// Events with consecutive numbers from `first`.
pub(super) async fn live_events(
    tx: &mut PgTx,
    tenant: &str,
    first: i64,
    rows: &[NewEvent],
) -> Result<(), StoreError> {
    sqlx::query(LIVE_EVENTS)
        .bind(tenant)
        .bind((first..).take(rows.len()).collect::<Vec<_>>())
        .bind(column!(rows, |row| row.at_us))
        .bind(column!(rows, |row| row.kind.as_str()))
        .bind(column!(rows, |row| row.location_id.as_deref()))
        .bind(column!(rows, |row| row.lane_id.as_deref()))
        .bind(column!(rows, |row| row.encounter_id.as_deref()))
        .bind(column!(rows, |row| row.gateway_id.as_deref()))
        .bind(column!(rows, |row| row.subject.as_deref()))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

const LIVE_EVENTS: &str = "INSERT INTO live_event (tenant_id, event_id, at_us, kind, location_id,
        lane_id, encounter_id, gateway_id, subject)
    SELECT $1, * FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[],
        $7::TEXT[], $8::TEXT[], $9::TEXT[])";
