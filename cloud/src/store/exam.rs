//! Readings where they are now, with the documents they came in, and their earlier versions.

use super::{StoreError, Tx};
use crate::{
    args,
    domain::correction::{Correction, Purpose},
};
use chiasm_proto::{Body, Envelope, Measured, Reading};

/// Most readings that one exam or one list shows.
pub const READINGS_MAX: i64 = 500;

crate::row! {
    /// A reading and the document as the gateway sent it.
    pub struct ReadingRow {
        pub reading_id: String,
        pub gateway_id: String,
        pub seq: i64,
        pub location_id: String,
        pub lane_id: String,
        pub lane_name: String,
        pub captured_at_us: i64,
        pub received_at_us: i64,
        pub claimed_patient: Option<String>,
        pub lane_session_id: Option<String>,
        pub place: String,
        pub reason: String,
        pub encounter_id: Option<String>,
        pub acceptance: String,
        pub needs_a_look: bool,
        pub sent_count: i64,
        pub version: i64,
        pub changed_at_us: Option<i64>,
        pub changed_by: Option<String>,
        pub change_reason: Option<String>,
        pub accepted_at_us: Option<i64>,
        pub accepted_by: Option<String>,
        pub correction: Option<String>,
        /// Typed by a person.
        pub is_manual: bool,
        /// Who has taken it upon themselves, while it waits.
        pub owned_by: Option<String>,
        pub owned_at_us: Option<i64>,
        pub body: String,
    }
}

impl ReadingRow {
    /// What the instrument sent, if this version can read the document.
    pub fn reading_as_sent(&self) -> Option<Reading> {
        match serde_json::from_str::<Envelope>(&self.body).ok()?.body {
            Body::Reading(reading) => Some(*reading),
            _ => None,
        }
    }
    /// The same as the newest driver reads its bytes: what people's words are a layer over.
    pub fn reading_as_decoded(&self) -> Option<Reading> {
        let mut reading = self.reading_as_sent()?;
        self.correction()?.decode_again(&mut reading);
        Some(reading)
    }
    /// What people said about it; none if this version cannot read it.
    pub fn correction(&self) -> Option<Correction> {
        Correction::parse(self.correction.as_deref()).ok()
    }
    /// What the instrument sent under what people said about it: what pages, letters and history
    /// show.
    pub fn reading(&self) -> Option<Reading> {
        let mut reading = self.reading_as_sent()?;
        self.correction()?.apply(&mut reading);
        Some(reading)
    }
    /// The same without lenses that are not the patient's own (R25): what is compared, followed and
    /// listed as worn.
    pub fn reading_of_patient(&self) -> Option<Reading> {
        let mut reading = self.reading()?;
        if self.correction()?.purpose.is_some_and(|purpose| !purpose.is_wearing()) {
            let is_lens = |it: &Measured| matches!(it, Measured::Lensometry(_));
            reading.decoded.measurements.retain(|it| !is_lens(&it.measured));
        }
        Some(reading)
    }
    /// The number of the order whose finished glasses were measured.
    pub fn order_number(&self) -> Option<String> {
        match self.correction()?.purpose {
            Some(Purpose::OrderCheckIn { order }) => Some(order),
            _ => None,
        }
    }
}

crate::row! {
    /// A state that a reading had.
    pub struct Version {
        pub reading_id: String,
        pub version: i64,
        pub place: String,
        pub reason: String,
        pub encounter_id: Option<String>,
        pub acceptance: String,
        pub superseded_at_us: i64,
        pub superseded_by: String,
        pub superseded_why: String,
        pub correction: Option<String>,
    }
}

/// What a change makes of a reading.
#[derive(Debug, Clone)]
pub struct Next<'a> {
    pub place: &'a str,
    pub reason: &'a str,
    pub encounter_id: Option<&'a str>,
    pub acceptance: &'a str,
    /// What people say about it from now on.
    pub correction: Option<&'a str>,
    pub needs_a_look: bool,
}

impl<'a> Next<'a> {
    /// The state that a reading has, to be changed in parts.
    pub fn of(row: &'a ReadingRow) -> Self {
        Self {
            place: &row.place,
            reason: &row.reason,
            encounter_id: row.encounter_id.as_deref(),
            acceptance: &row.acceptance,
            correction: row.correction.as_deref(),
            needs_a_look: row.needs_a_look,
        }
    }
}

/// The columns of [`ReadingRow`] and where they come from. A macro, because queries are literals.
/// With an index, SQLite has to use that one: it knows nothing of how little waits.
#[macro_export]
macro_rules! reading_rows {
    ($rest:literal) => {
        $crate::reading_rows!(from "reading r", $rest)
    };
    (by $index:literal, $rest:literal) => {
        $crate::store::batch::Words {
            sqlite: $crate::reading_rows!(from concat!("reading r INDEXED BY ", $index), $rest),
            postgres: $crate::reading_rows!($rest),
        }
    };
    (from $table:expr, $rest:literal) => {
        concat!(
            "SELECT r.reading_id, r.gateway_id, r.seq, r.location_id, r.lane_id,
                COALESCE(lane.name, r.lane_id) AS lane_name, r.captured_at_us, r.received_at_us,
                r.claimed_patient, r.lane_session_id, r.place, r.reason, r.encounter_id,
                r.acceptance, r.needs_a_look, r.sent_count, r.version, r.changed_at_us,
                r.changed_by, r.change_reason, r.accepted_at_us, r.accepted_by, r.correction,
                r.is_manual, r.owned_by, r.owned_at_us, d.body
            FROM ",
            $table,
            " JOIN document d ON d.tenant_id = r.tenant_id
                AND d.gateway_id = r.gateway_id AND d.epoch = r.epoch AND d.seq = r.seq
            LEFT JOIN lane ON lane.tenant_id = r.tenant_id AND lane.lane_id = r.lane_id ",
            $rest
        )
    };
}

/// The readings of an exam, latest first.
pub async fn readings(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        "WHERE r.tenant_id = $1 AND r.encounter_id = $2 AND r.place = 'exam'
        ORDER BY r.captured_at_us DESC, r.seq DESC LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, encounter, READINGS_MAX]).await
}

pub async fn reading(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
) -> Result<Option<ReadingRow>, StoreError> {
    let sql = reading_rows!("WHERE r.tenant_id = $1 AND r.reading_id = $2");
    tx.fetch_optional(sql, args![tenant, reading]).await
}

/// The reading that this one repeats.
pub async fn first_print(
    tx: &mut Tx,
    tenant: &str,
    reading: &str,
) -> Result<Option<ReadingRow>, StoreError> {
    let sql = reading_rows!(
        "WHERE r.tenant_id = $1 AND r.reading_id = (SELECT o.duplicate_of FROM reading o
            WHERE o.tenant_id = $1 AND o.reading_id = $2)"
    );
    tx.fetch_optional(sql, args![tenant, reading]).await
}

/// Puts a reading into its next state and keeps the one it had. `false` when somebody else was
/// faster: the reading is no longer in the version that `old` shows.
pub async fn change(
    tx: &mut Tx,
    tenant: &str,
    old: &ReadingRow,
    next: Next<'_>,
    (account, why, now_us): (&str, &str, i64),
) -> Result<bool, StoreError> {
    // Who accepted it is kept while it stays accepted, whatever else is said about it later.
    let update = "UPDATE reading SET place = $4, reason = $5, encounter_id = $6, acceptance = $7,
            version = version + 1, changed_at_us = $8, changed_by = $9, change_reason = $10,
            correction = $11, needs_a_look = $12,
            owned_by = CASE WHEN $4 = 'exam' OR $7 = 'rejected' THEN NULL ELSE owned_by END,
            owned_at_us = CASE WHEN $4 = 'exam' OR $7 = 'rejected' THEN NULL ELSE owned_at_us END,
            accepted_at_us = CASE WHEN $7 <> 'accepted' THEN NULL
                WHEN acceptance = 'accepted' THEN accepted_at_us ELSE $8 END,
            accepted_by = CASE WHEN $7 <> 'accepted' THEN NULL
                WHEN acceptance = 'accepted' THEN accepted_by ELSE $9 END
        WHERE tenant_id = $1 AND reading_id = $2 AND version = $3";
    let Next { place, reason, encounter_id, acceptance, correction, needs_a_look } = next;
    let args = args![
        tenant,
        &old.reading_id,
        old.version,
        place,
        reason,
        encounter_id,
        acceptance,
        now_us,
        account,
        why,
        correction,
        needs_a_look,
    ];
    if tx.execute(update, args).await? != 1 {
        return Ok(false);
    }
    let keep = "INSERT INTO reading_version (tenant_id, reading_id, version, place, reason,
            encounter_id, acceptance, superseded_at_us, superseded_by, superseded_why, correction)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let args = args![
        tenant,
        &old.reading_id,
        old.version,
        &old.place,
        &old.reason,
        old.encounter_id.clone(),
        &old.acceptance,
        now_us,
        account,
        why,
        old.correction.clone(),
    ];
    tx.execute(keep, args).await?;
    Ok(true)
}

/// Every earlier state of the readings that are or once were in an exam, oldest first.
pub async fn versions(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<Version>, StoreError> {
    let sql = "SELECT v.reading_id, v.version, v.place, v.reason, v.encounter_id, v.acceptance,
            v.superseded_at_us, v.superseded_by, v.superseded_why, v.correction
        FROM reading_version v
        WHERE v.tenant_id = $1 AND v.reading_id IN (
                SELECT r.reading_id FROM reading r
                    WHERE r.tenant_id = $1 AND r.encounter_id = $2
                UNION SELECT w.reading_id FROM reading_version w
                    WHERE w.tenant_id = $1 AND w.encounter_id = $2)
            AND (v.encounter_id = $2 OR EXISTS (SELECT 1 FROM reading r
                WHERE r.tenant_id = $1 AND r.reading_id = v.reading_id AND r.encounter_id = $2))
        ORDER BY v.superseded_at_us, v.reading_id, v.version LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, READINGS_MAX]).await
}

/// Readings that were moved out of an exam: model, when, by whom.
pub async fn moved_out(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Vec<(String, String, i64, String, String)>, StoreError> {
    let sql = "SELECT r.reading_id, r.model, v.superseded_at_us, v.superseded_by, v.superseded_why
        FROM reading_version v CROSS JOIN reading r
        WHERE v.tenant_id = $1 AND v.encounter_id = $2 AND v.place = 'exam'
            AND r.tenant_id = $1 AND r.reading_id = v.reading_id
            AND (r.encounter_id IS NULL OR r.encounter_id <> $2)
            AND v.version = (SELECT MAX(w.version) FROM reading_version w
                WHERE w.tenant_id = v.tenant_id AND w.reading_id = v.reading_id
                    AND w.encounter_id = $2)
        ORDER BY v.superseded_at_us LIMIT $3";
    tx.fetch_all(sql, args![tenant, encounter, READINGS_MAX]).await
}
