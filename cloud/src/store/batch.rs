//! Many rows at once: the one thing that SQLite and PostgreSQL do not say alike. They are
//! bound as one JSON array, which each of them takes apart in its own words.

use super::{
    StoreError, Tx,
    document::{NewDocument, NewReading},
    live::NewEvent,
};
use crate::args;
use serde::Serialize;

/// Most rows of one statement.
pub const ROWS_MAX: usize = 200;

/// The same statement in the words of each.
struct Words {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Words {
    /// Inserts: `$1` is the tenant, `$2` the JSON array.
    async fn insert<R: Serialize>(
        &self,
        tx: &mut Tx,
        tenant: &str,
        rows: &[R],
    ) -> Result<(), StoreError> {
        let sql = match tx {
            Tx::Sqlite(_) => self.sqlite,
            Tx::Postgres(_) => self.postgres,
        };
        for rows in rows.chunks(ROWS_MAX) {
            let json = serde_json::to_string(rows).expect("plain rows always serialise");
            tx.execute(sql, args![tenant, json]).await?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct EventRow<'a> {
    event_id: i64,
    #[serde(flatten)]
    event: &'a NewEvent,
}

/// Adds events with consecutive numbers from `first`.
pub(super) async fn insert_live_events(
    tx: &mut Tx,
    tenant: &str,
    first: i64,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    let rows: Vec<_> =
        (first..).zip(events).map(|(event_id, event)| EventRow { event_id, event }).collect();
    LIVE_EVENTS.insert(tx, tenant, &rows).await
}

const LIVE_EVENTS: Words = Words {
    sqlite: "INSERT INTO live_event (tenant_id, event_id, at_us, kind, location_id, lane_id,
                 encounter_id, gateway_id, subject)
             SELECT $1, value->>'event_id', value->>'at_us', value->>'kind', value->>'location_id',
                 value->>'lane_id', value->>'encounter_id', value->>'gateway_id', value->>'subject'
             FROM json_each($2)",
    postgres: "INSERT INTO live_event (tenant_id, event_id, at_us, kind, location_id, lane_id,
                   encounter_id, gateway_id, subject)
               SELECT $1, event_id, at_us, kind, location_id, lane_id, encounter_id, gateway_id,
                   subject
               FROM json_to_recordset($2::json) AS r(event_id BIGINT, at_us BIGINT, kind TEXT,
                   location_id TEXT, lane_id TEXT, encounter_id TEXT, gateway_id TEXT,
                   subject TEXT)",
};

/// Content, reading, gateway, link, lane session, moment of capture.
pub(super) type PrintRow = (String, String, String, String, Option<String>, i64);

/// Readings with one of these contents that are not themselves second prints.
pub(super) async fn select_prints(
    tx: &mut Tx,
    tenant: &str,
    contents: &[&str],
    (first_us, last_us): (i64, i64),
) -> Result<Vec<PrintRow>, StoreError> {
    let sql = match tx {
        Tx::Sqlite(_) => PRINTS.sqlite,
        Tx::Postgres(_) => PRINTS.postgres,
    };
    let contents = serde_json::to_string(contents).expect("texts always serialise");
    tx.fetch_all(sql, args![tenant, contents, first_us, last_us]).await
}

const PRINTS: Words = Words {
    sqlite: "SELECT content_sha256, reading_id, gateway_id, link_id, lane_session_id,
                 captured_at_us
             FROM reading
             WHERE tenant_id = $1 AND content_sha256 IN (SELECT value FROM json_each($2))
                 AND captured_at_us BETWEEN $3 AND $4 AND place <> 'duplicate'
             ORDER BY captured_at_us",
    postgres: "SELECT content_sha256, reading_id, gateway_id, link_id, lane_session_id,
                   captured_at_us
               FROM reading
               WHERE tenant_id = $1
                   AND content_sha256 = ANY(ARRAY(SELECT json_array_elements_text($2::json)))
                   AND captured_at_us BETWEEN $3 AND $4 AND place <> 'duplicate'
               ORDER BY captured_at_us",
};

/// Adds documents of one tenant. A key or an id that exists already fails the transaction.
pub(super) async fn insert_documents(
    tx: &mut Tx,
    tenant: &str,
    rows: &[NewDocument<'_>],
) -> Result<(), StoreError> {
    DOCUMENTS.insert(tx, tenant, rows).await
}

/// Adds readings of one tenant.
pub(super) async fn insert_readings(
    tx: &mut Tx,
    tenant: &str,
    rows: &[NewReading],
) -> Result<(), StoreError> {
    READINGS.insert(tx, tenant, rows).await
}

const DOCUMENTS: Words = Words {
    sqlite: "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind, sha256,
                 captured_at_us, received_at_us, body)
             SELECT $1, value->>'gateway_id', value->>'epoch', value->>'seq',
                 value->>'document_id', value->>'kind', value->>'sha256',
                 value->>'captured_at_us', value->>'received_at_us', value->>'body'
             FROM json_each($2)",
    postgres: "INSERT INTO document (tenant_id, gateway_id, epoch, seq, document_id, kind, sha256,
                   captured_at_us, received_at_us, body)
               SELECT $1, gateway_id, epoch, seq, document_id, kind, sha256, captured_at_us,
                   received_at_us, body
               FROM json_to_recordset($2::json) AS r(gateway_id TEXT, epoch TEXT, seq BIGINT,
                   document_id TEXT, kind TEXT, sha256 TEXT, captured_at_us BIGINT,
                   received_at_us BIGINT, body TEXT)",
};

const READINGS: Words = Words {
    sqlite: "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq, location_id,
                 lane_id, link_id, vendor, model, content_sha256, captured_at_us, received_at_us,
                 claimed_patient, lane_session_id, place, reason, encounter_id, needs_a_look,
                 duplicate_of)
             SELECT $1, value->>'reading_id', value->>'gateway_id', value->>'epoch', value->>'seq',
                 value->>'location_id', value->>'lane_id', value->>'link_id', value->>'vendor',
                 value->>'model', value->>'content_sha256', value->>'captured_at_us',
                 value->>'received_at_us', value->>'claimed_patient', value->>'lane_session_id',
                 value->>'place', value->>'reason', value->>'encounter_id',
                 value->>'needs_a_look', value->>'duplicate_of'
             FROM json_each($2)",
    postgres: "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq, location_id,
                   lane_id, link_id, vendor, model, content_sha256, captured_at_us,
                   received_at_us, claimed_patient, lane_session_id, place, reason, encounter_id,
                   needs_a_look, duplicate_of)
               SELECT $1, reading_id, gateway_id, epoch, seq, location_id, lane_id, link_id,
                   vendor, model, content_sha256, captured_at_us, received_at_us,
                   claimed_patient, lane_session_id, place, reason, encounter_id, needs_a_look,
                   duplicate_of
               FROM json_to_recordset($2::json) AS r(reading_id TEXT, gateway_id TEXT, epoch TEXT,
                   seq BIGINT, location_id TEXT, lane_id TEXT, link_id TEXT, vendor TEXT,
                   model TEXT, content_sha256 TEXT, captured_at_us BIGINT, received_at_us BIGINT,
                   claimed_patient TEXT, lane_session_id TEXT, place TEXT, reason TEXT,
                   encounter_id TEXT, needs_a_look BOOLEAN, duplicate_of TEXT)",
};
