//! Inserting many rows at once: the one thing that SQLite and PostgreSQL do not say alike. Rows are
//! bound as one JSON array, which each of them takes apart in its own words.

use super::{StoreError, Tx, live::NewEvent};
use crate::args;
use serde::Serialize;

/// Most rows of one statement.
pub const ROWS_MAX: usize = 200;

/// The same insert in the words of each.
struct Insert {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Insert {
    /// `$1` is the tenant, `$2` the JSON array.
    async fn run<R: Serialize>(
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
    LIVE_EVENTS.run(tx, tenant, &rows).await
}

const LIVE_EVENTS: Insert = Insert {
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
