//! Lane sessions as ingest sees them: which are open, which cover a moment.

use super::{StoreError, Tx};
use crate::{
    args,
    domain::{correction::Correction, placement::LaneSession},
};

/// Gateways that serve the lane's location.
pub async fn gateways_of_lane(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
) -> Result<Vec<String>, StoreError> {
    let rows: Vec<(String,)> = tx
        .fetch_all(
            "SELECT g.gateway_id FROM lane l
             JOIN gateway g ON g.tenant_id = l.tenant_id AND g.location_id = l.location_id
             WHERE l.tenant_id = $1 AND l.lane_id = $2 AND g.revoked_at_us IS NULL",
            args![tenant, lane],
        )
        .await?;
    Ok(rows.into_iter().map(|(gateway,)| gateway).collect())
}

/// Lane, session and opening time of every open session in the gateway's location.
pub async fn open_sessions(
    tx: &mut Tx,
    tenant: &str,
    gateway: &str,
) -> Result<Vec<(String, String, i64)>, StoreError> {
    tx.fetch_all(
        "SELECT s.lane_id, s.lane_session_id, s.opened_at_us FROM gateway g
         JOIN lane l ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
         JOIN lane_session s ON s.tenant_id = l.tenant_id AND s.lane_id = l.lane_id
         WHERE g.tenant_id = $1 AND g.gateway_id = $2 AND s.closed_at_us IS NULL
         ORDER BY s.lane_id",
        args![tenant, gateway],
    )
    .await
}

/// No session of a gateway's page lasts longer: it ends twenty minutes after its last reading.
pub const SESSION_OF_GATEWAY_MAX_US: i64 = 24 * 3600 * 1_000_000;

/// A lane with its sessions around a span of time.
#[derive(Debug, Clone)]
pub struct Lane {
    pub location_id: String,
    pub sessions: Vec<LaneSession>,
    /// What the lensmeter measures next, by session.
    lens_purposes: Vec<(String, String)>,
    /// Encounters of these sessions whose exam is signed.
    pub signed: Vec<String>,
}

impl Lane {
    /// Whether this is one of its sessions.
    pub fn has(&self, session: &str) -> bool {
        self.sessions.iter().any(|it| it.lane_session_id == session)
    }

    /// What a person had said about lenses that a session measures, as a reading's correction.
    pub fn correction_of(&self, session: &str) -> Option<String> {
        let (_, purpose) = self.lens_purposes.iter().find(|(of, _)| of == session)?;
        let purpose = serde_json::from_str(purpose).ok()?;
        Correction { purpose: Some(purpose), ..Correction::default() }.to_column()
    }
}

type Row = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// The lane, if there is one, with the sessions that were open between the two moments. A lane has
/// one session of the cloud at a time, so of those before the first moment only the last may last
/// until then: without that the whole past of the lane is looked at. Sessions of gateways' pages are
/// few and may lie beside others.
pub async fn lane_between(
    tx: &mut Tx,
    tenant: &str,
    lane: &str,
    (first_us, last_us): (i64, i64),
) -> Result<Option<Lane>, StoreError> {
    let rows: Vec<Row> = tx
        .fetch_all(
            "SELECT l.location_id, s.lane_session_id, s.encounter_id, p.chart_number,
                 s.opened_at_us, s.closed_at_us, s.lens_purpose, s.gateway_id, g.encounter_id
             FROM lane l
             LEFT JOIN (SELECT * FROM lane_session
                 WHERE tenant_id = $1 AND lane_id = $2 AND gateway_id IS NULL
                     AND opened_at_us <= $4 AND (closed_at_us IS NULL OR closed_at_us >= $3)
                     AND opened_at_us >= COALESCE((SELECT MAX(b.opened_at_us) FROM lane_session b
                         WHERE b.tenant_id = $1 AND b.lane_id = $2 AND b.gateway_id IS NULL
                             AND b.opened_at_us <= $3), 0)
                 UNION ALL SELECT * FROM lane_session
                 WHERE tenant_id = $1 AND lane_id = $2 AND gateway_id IS NOT NULL
                     AND opened_at_us <= $4 AND opened_at_us >= $5
                     AND (closed_at_us IS NULL OR closed_at_us >= $3)
             ) s ON s.tenant_id = l.tenant_id AND s.lane_id = l.lane_id
             LEFT JOIN encounter e
                 ON e.tenant_id = s.tenant_id AND e.encounter_id = s.encounter_id
             LEFT JOIN patient p ON p.tenant_id = e.tenant_id AND p.patient_id = e.patient_id
             LEFT JOIN exam_signature g
                 ON g.tenant_id = s.tenant_id AND g.encounter_id = s.encounter_id
             WHERE l.tenant_id = $1 AND l.lane_id = $2
             ORDER BY s.opened_at_us",
            args![tenant, lane, first_us, last_us, first_us - SESSION_OF_GATEWAY_MAX_US],
        )
        .await?;
    let Some((location_id, ..)) = rows.first().cloned() else { return Ok(None) };
    let purpose = |row: &Row| Some((row.1.clone()?, row.6.clone()?));
    let lens_purposes = rows.iter().filter_map(purpose).collect();
    let signed = rows.iter().filter_map(|row| row.8.clone()).collect();
    let session = |(_, session, encounter, chart, opened, closed, _, gateway, _): Row| {
        Some(LaneSession {
            lane_session_id: session?,
            encounter_id: encounter?,
            chart_number: chart?,
            opened_at_us: opened?,
            closed_at_us: closed,
            is_of_gateway: gateway.is_some(),
        })
    };
    let sessions = rows.into_iter().filter_map(session).collect();
    Ok(Some(Lane { location_id, sessions, lens_purposes, signed }))
}

/// The location's time zone (IANA name).
pub async fn time_zone(
    tx: &mut Tx,
    tenant: &str,
    location: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT time_zone FROM location WHERE tenant_id = $1 AND location_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, location]).await?;
    Ok(row.map(|(zone,)| zone))
}

/// Notes a reading in a session, which keeps it from ending by time.
pub async fn touch(tx: &mut Tx, tenant: &str, session: &str, at_us: i64) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE lane_session SET last_reading_at_us = $3
         WHERE tenant_id = $1 AND lane_session_id = $2
             AND (last_reading_at_us IS NULL OR last_reading_at_us < $3)",
        args![tenant, session, at_us],
    )
    .await?;
    Ok(())
}
