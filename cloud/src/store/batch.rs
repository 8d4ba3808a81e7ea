//! Many rows at once: the one thing that SQLite and PostgreSQL do not say alike. They are
//! bound as one JSON array, which each of them takes apart in its own words; what is inserted for
//! every reading goes the shortest way of each (`unnest`, `values`).

mod unnest;
mod values;

use super::{
    StoreError, Tx,
    db::Row,
    document::{NewDocument, NewReading},
    live::NewEvent,
    stream::{StreamKey, StreamRow},
};
use crate::args;
use serde::Serialize;

/// Most rows of one statement.
pub const ROWS_MAX: usize = 200;

/// The same statement in the words of each.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl Words {
    pub fn of(&self, tx: &Tx) -> &'static str {
        match tx {
            Tx::Sqlite(_) => self.sqlite,
            Tx::Postgres(_) => self.postgres,
        }
    }

    /// Updates: `$1` is the tenant, `$2` the JSON array.
    async fn write<R: Serialize>(
        &self,
        tx: &mut Tx,
        tenant: &str,
        rows: &[R],
    ) -> Result<(), StoreError> {
        let sql = self.of(tx);
        for rows in rows.chunks(ROWS_MAX) {
            tx.execute(sql, args![tenant, json(rows)]).await?;
        }
        Ok(())
    }

    /// The same for a statement that gives rows.
    async fn ask<R: Serialize, A: Row>(
        &self,
        tx: &mut Tx,
        tenant: &str,
        rows: &[R],
    ) -> Result<Vec<A>, StoreError> {
        let sql = self.of(tx);
        let mut answers = Vec::new();
        for rows in rows.chunks(ROWS_MAX) {
            answers.extend(tx.fetch_all::<A>(sql, args![tenant, json(rows)]).await?);
        }
        Ok(answers)
    }
}

fn json<R: Serialize>(rows: &[R]) -> String {
    serde_json::to_string(rows).expect("plain rows always serialise")
}

/// Adds events with consecutive numbers from `first`.
pub(super) async fn insert_live_events(
    tx: &mut Tx,
    tenant: &str,
    first: i64,
    events: &[NewEvent],
) -> Result<(), StoreError> {
    match tx {
        Tx::Sqlite(tx) => values::live_events(tx, tenant, first, events).await,
        Tx::Postgres(tx) => unnest::live_events(tx, tenant, first, events).await,
    }
}

/// Content, reading, gateway, link, lane session, encounter, moment of capture.
pub(super) type PrintRow = (String, String, String, String, Option<String>, Option<String>, i64);

/// Readings with one of these contents that are neither second prints nor rejected: what a person
/// has rejected and measures again must be seen.
pub(super) async fn select_prints(
    tx: &mut Tx,
    tenant: &str,
    contents: &[&str],
    (first_us, last_us): (i64, i64),
) -> Result<Vec<PrintRow>, StoreError> {
    let sql = PRINTS.of(tx);
    tx.fetch_all(sql, args![tenant, json(contents), first_us, last_us]).await
}

const PRINTS: Words = Words {
    sqlite: "SELECT content_sha256, reading_id, gateway_id, link_id, lane_session_id,
                 encounter_id, captured_at_us
             FROM reading
             WHERE tenant_id = $1 AND content_sha256 IN (SELECT value FROM json_each($2))
                 AND captured_at_us BETWEEN $3 AND $4 AND place <> 'duplicate'
                 AND acceptance <> 'rejected'
             ORDER BY captured_at_us",
    // One look into the index for each content: a plan that was made while the table was small
    // would go through all readings of the tenant for the list as a whole.
    postgres: "SELECT r.* FROM json_array_elements_text($2::json) AS c(content)
               CROSS JOIN LATERAL (
                   SELECT content_sha256, reading_id, gateway_id, link_id, lane_session_id,
                       encounter_id, captured_at_us
                   FROM reading
                   WHERE tenant_id = $1 AND content_sha256 = c.content
                       AND captured_at_us BETWEEN $3 AND $4 AND place <> 'duplicate'
                       AND acceptance <> 'rejected'
               ) r
               ORDER BY r.captured_at_us",
};

/// Adds documents of one tenant. A key or an id that exists already fails the transaction.
pub(super) async fn insert_documents(
    tx: &mut Tx,
    tenant: &str,
    rows: &[NewDocument<'_>],
) -> Result<(), StoreError> {
    match tx {
        Tx::Sqlite(tx) => values::documents(tx, tenant, rows).await,
        Tx::Postgres(tx) => unnest::documents(tx, tenant, rows).await,
    }
}

/// Adds readings of one tenant.
pub(super) async fn insert_readings(
    tx: &mut Tx,
    tenant: &str,
    rows: &[NewReading],
) -> Result<(), StoreError> {
    match tx {
        Tx::Sqlite(tx) => values::readings(tx, tenant, rows).await,
        Tx::Postgres(tx) => unnest::readings(tx, tenant, rows).await,
    }
}

/// Gateway and location of those that are known and not revoked.
pub(super) async fn gateway_locations(
    tx: &mut Tx,
    tenant: &str,
    gateways: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    LOCATIONS.ask(tx, tenant, gateways).await
}

const LOCATIONS: Words = Words {
    sqlite: "SELECT gateway_id, location_id FROM gateway
             WHERE tenant_id = $1 AND revoked_at_us IS NULL
                 AND gateway_id IN (SELECT value FROM json_each($2))",
    postgres: "SELECT gateway_id, location_id FROM gateway
               WHERE tenant_id = $1 AND revoked_at_us IS NULL
                   AND gateway_id = ANY (ARRAY(SELECT json_array_elements_text($2::json)))",
};

/// Gateway, epoch, highest number, gaps, rejections, and the digest of identifiers.
pub(super) type StreamColumns = (String, String, i64, String, i64, Option<String>);

/// Makes the streams that are not there and locks them all until the commit.
pub(super) async fn lock_streams(
    tx: &mut Tx,
    tenant: &str,
    keys: &[StreamKey<'_>],
) -> Result<Vec<StreamColumns>, StoreError> {
    LOCK_STREAMS.ask(tx, tenant, keys).await
}

const LOCK_STREAMS: Words = Words {
    sqlite: "INSERT INTO stream (tenant_id, gateway_id, epoch, upto, highest, first_at_us,
                 last_at_us)
             SELECT $1, value->>'gateway_id', value->>'epoch', 0, 0, value->>'now_us',
                 value->>'now_us'
             FROM json_each($2) WHERE TRUE
             ON CONFLICT (tenant_id, gateway_id, epoch)
             DO UPDATE SET last_at_us = excluded.last_at_us
             RETURNING gateway_id, epoch, highest, gaps, rejected, ids",
    postgres: "INSERT INTO stream (tenant_id, gateway_id, epoch, upto, highest, first_at_us,
                   last_at_us)
               SELECT $1, gateway_id, epoch, 0, 0, now_us, now_us
               FROM json_to_recordset($2::json) AS r(gateway_id TEXT, epoch TEXT, now_us BIGINT)
               ON CONFLICT (tenant_id, gateway_id, epoch)
               DO UPDATE SET last_at_us = excluded.last_at_us
               RETURNING gateway_id, epoch, highest, gaps, rejected, ids",
};

/// Writes how far streams have come.
pub(super) async fn save_streams(
    tx: &mut Tx,
    tenant: &str,
    rows: &[StreamRow<'_>],
) -> Result<(), StoreError> {
    SAVE_STREAMS.write(tx, tenant, rows).await
}

const SAVE_STREAMS: Words = Words {
    sqlite: "UPDATE stream SET upto = value->>'upto', highest = value->>'highest',
                 gaps = value->>'gaps', rejected = value->>'rejected',
                 ids = value->>'ids'
             FROM json_each($2)
             WHERE tenant_id = $1 AND gateway_id = value->>'gateway_id'
                 AND epoch = value->>'epoch'",
    postgres: "UPDATE stream s SET upto = r.upto, highest = r.highest, gaps = r.gaps,
                   rejected = r.rejected, ids = r.ids
               FROM json_to_recordset($2::json) AS r(gateway_id TEXT, epoch TEXT, upto BIGINT,
                   highest BIGINT, gaps TEXT, rejected BIGINT, ids TEXT)
               WHERE s.tenant_id = $1 AND s.gateway_id = r.gateway_id AND s.epoch = r.epoch",
};
