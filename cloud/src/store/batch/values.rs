//! Inserts on SQLite: lists of VALUES, whose lengths are powers of two so that few statements serve
//! every batch and stay prepared. `json_each` costs a third more time for documents.

use super::{NewDocument, NewEvent, NewReading, StoreError};
use sqlx::{QueryBuilder, Sqlite, Transaction, query_builder::Separated};

type SqliteTx = Transaction<'static, Sqlite>;
type Tuple<'b> = Separated<'b, Sqlite, &'static str>;

/// Longest list. SQLite takes 32,766 values in one statement; a reading has some twenty.
const LIST_ROWS_MAX: usize = 128;

/// Runs `insert` (up to and without its VALUES) for all rows.
async fn insert<R>(
    tx: &mut SqliteTx,
    insert: &'static str,
    mut rows: &[R],
    mut push: impl FnMut(&mut Tuple<'_>, &R),
) -> Result<(), StoreError> {
    while !rows.is_empty() {
        let length = (1 << rows.len().ilog2()).min(LIST_ROWS_MAX);
        let (list, rest) = rows.split_at(length);
        let mut statement = QueryBuilder::<Sqlite>::new(insert);
        statement.push_values(list, |mut tuple, row| push(&mut tuple, row));
        statement.build().execute(&mut **tx).await?;
        rows = rest;
    }
    Ok(())
}

pub(super) async fn documents(
    tx: &mut SqliteTx,
    tenant: &str,
    rows: &[NewDocument<'_>],
) -> Result<(), StoreError> {
    insert(tx, DOCUMENTS, rows, |tuple, row| {
        tuple.push_bind(tenant).push_bind(row.gateway_id).push_bind(row.epoch.as_str());
        tuple.push_bind(row.seq).push_bind(row.document_id).push_bind(row.kind);
        tuple.push_bind(row.sha256).push_bind(row.captured_at_us);
        tuple.push_bind(row.received_at_us).push_bind(row.body);
    })
    .await
}

const DOCUMENTS: &str =
    "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind,
    sha256, captured_at_us, received_at_us, body) ";

pub(super) async fn readings(
    tx: &mut SqliteTx,
    tenant: &str,
    rows: &[NewReading],
) -> Result<(), StoreError> {
    insert(tx, READINGS, rows, |tuple, row| {
        tuple.push_bind(tenant).push_bind(row.reading_id.as_str());
        tuple.push_bind(row.gateway_id.as_str()).push_bind(row.epoch.as_str());
        tuple.push_bind(row.seq).push_bind(row.location_id.as_str());
        tuple.push_bind(row.lane_id.as_str()).push_bind(row.link_id.as_str());
        tuple.push_bind(row.vendor.as_str()).push_bind(row.model.as_str());
        tuple.push_bind(row.content_sha256.as_str()).push_bind(row.captured_at_us);
        tuple.push_bind(row.received_at_us).push_bind(row.claimed_patient.as_deref());
        tuple.push_bind(row.lane_session_id.as_deref()).push_bind(row.place.as_str());
        tuple.push_bind(row.reason.as_str()).push_bind(row.encounter_id.as_deref());
        tuple.push_bind(row.needs_a_look).push_bind(row.duplicate_of.as_deref());
        tuple.push_bind(row.correction.as_deref());
    })
    .await
}

const READINGS: &str = "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq,
    location_id, lane_id, link_id, vendor, model, content_sha256, captured_at_us, received_at_us,
    claimed_patient, lane_session_id, place, reason, encounter_id, needs_a_look,
    duplicate_of, correction) ";

/// Events with consecutive numbers from `first`.
pub(super) async fn live_events(
    tx: &mut SqliteTx,
    tenant: &str,
    first: i64,
    rows: &[NewEvent],
) -> Result<(), StoreError> {
    let mut numbers = first..;
    insert(tx, LIVE_EVENTS, rows, |tuple, row| {
        tuple.push_bind(tenant).push_bind(numbers.next()).push_bind(row.at_us);
        tuple.push_bind(row.kind.as_str()).push_bind(row.location_id.as_deref());
        tuple.push_bind(row.lane_id.as_deref()).push_bind(row.encounter_id.as_deref());
        tuple.push_bind(row.gateway_id.as_deref()).push_bind(row.subject.as_deref());
    })
    .await
}

const LIVE_EVENTS: &str = "INSERT INTO live_event (tenant_id, event_id, at_us, kind, location_id,
    lane_id, encounter_id, gateway_id, subject) ";
