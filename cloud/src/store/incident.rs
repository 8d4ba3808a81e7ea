//! Incidents of gateways, and what people outside are told of them.

use super::{StoreError, Tx};
use crate::{
    args,
    domain::incident::{Incident, Phase},
};

/// Incidents that one list shows at most.
pub const LIST_MAX: i64 = 500;
/// Notices that are taken at once of one practice.
pub const NOTICES_MAX: i64 = 20;
/// Longest text of a failure that is kept, in characters.
pub const DETAIL_LEN_MAX: usize = 300;

crate::row! {
    pub struct IncidentRow {
        pub tenant_id: String,
        pub incident_id: String,
        pub gateway_id: String,
        pub kind: String,
        pub opened_at_us: i64,
        pub bad_since_us: Option<i64>,
        pub good_since_us: Option<i64>,
        pub bad_us: i64,
        pub times: i64,
        pub raised_at_us: Option<i64>,
        pub closed_at_us: Option<i64>,
        pub detail: String,
        pub acknowledged_at_us: Option<i64>,
        pub acknowledged_by: Option<String>,
        pub version: i64,
    }
}

impl IncidentRow {
    /// As the rule wants it.
    pub fn incident(&self) -> Incident {
        let phase = match (self.bad_since_us, self.good_since_us) {
            (Some(since_us), _) => Phase::Bad { since_us },
            (None, Some(since_us)) => Phase::Good { since_us },
            (None, None) => Phase::Unseen,
        };
        Incident {
            opened_at_us: self.opened_at_us,
            phase,
            bad_us: self.bad_us,
            times: self.times,
            raised_at_us: self.raised_at_us,
        }
    }
}

fn since(phase: Phase) -> (Option<i64>, Option<i64>) {
    match phase {
        Phase::Bad { since_us } => (Some(since_us), None),
        Phase::Good { since_us } => (None, Some(since_us)),
        Phase::Unseen => (None, None),
    }
}

/// The columns of [`IncidentRow`].
macro_rules! incidents {
    ($rest:literal) => {
        concat!(
            "SELECT tenant_id, incident_id, gateway_id, kind, opened_at_us, bad_since_us,
                good_since_us, bad_us, times, raised_at_us, closed_at_us, detail,
                acknowledged_at_us, acknowledged_by, version FROM incident ",
            $rest
        )
    };
}

/// All that are open, of all tenants.
pub async fn open(tx: &mut Tx) -> Result<Vec<IncidentRow>, StoreError> {
    tx.fetch_all(incidents!("WHERE closed_at_us IS NULL"), args![]).await
}

/// Those that are open, and those that ended since a moment; the latest first.
pub async fn list(
    tx: &mut Tx,
    tenant: &str,
    closed_since_us: i64,
) -> Result<Vec<IncidentRow>, StoreError> {
    let sql = incidents!(
        "WHERE tenant_id = $1 AND (closed_at_us IS NULL OR closed_at_us >= $2)
        ORDER BY CASE WHEN closed_at_us IS NULL THEN 0 ELSE 1 END, closed_at_us DESC,
            opened_at_us DESC, incident_id LIMIT $3"
    );
    tx.fetch_all(sql, args![tenant, closed_since_us, LIST_MAX]).await
}

/// Adds an incident; `false` where another replica was first.
pub async fn add(
    tx: &mut Tx,
    (tenant, id): (&str, &str),
    (gateway, kind): (&str, &str),
    incident: &Incident,
    detail: &str,
) -> Result<bool, StoreError> {
    let (bad_since_us, good_since_us) = since(incident.phase);
    let sql = "INSERT INTO incident (tenant_id, incident_id, gateway_id, kind, opened_at_us,
            bad_since_us, good_since_us, bad_us, times, raised_at_us, detail, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1) ON CONFLICT DO NOTHING";
    let args = args![
        tenant,
        id,
        gateway,
        kind,
        incident.opened_at_us,
        bad_since_us,
        good_since_us,
        incident.bad_us,
        incident.times,
        incident.raised_at_us,
        detail,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Puts an incident into its next state; `false` where another replica was first.
pub async fn save(
    tx: &mut Tx,
    row: &IncidentRow,
    next: &Incident,
    (detail, closed_at_us): (&str, Option<i64>),
) -> Result<bool, StoreError> {
    let (bad_since_us, good_since_us) = since(next.phase);
    let sql = "UPDATE incident SET bad_since_us = $4, good_since_us = $5, bad_us = $6, times = $7,
            raised_at_us = $8, detail = $9, closed_at_us = $10, version = version + 1
        WHERE tenant_id = $1 AND incident_id = $2 AND version = $3 AND closed_at_us IS NULL";
    let args = args![
        &row.tenant_id,
        &row.incident_id,
        row.version,
        bad_since_us,
        good_since_us,
        next.bad_us,
        next.times,
        next.raised_at_us,
        detail,
        closed_at_us,
    ];
    Ok(tx.execute(sql, args).await? == 1)
}

/// Notes who looks after an open incident; the first stays. Gives the gateway and its location, and
/// `None` where there is no such incident.
pub async fn acknowledge(
    tx: &mut Tx,
    (tenant, id): (&str, &str),
    account: &str,
    now_us: i64,
) -> Result<Option<(String, bool)>, StoreError> {
    let sql = "UPDATE incident SET acknowledged_at_us = $4, acknowledged_by = $3
        WHERE tenant_id = $1 AND incident_id = $2 AND acknowledged_at_us IS NULL";
    let is_new = tx.execute(sql, args![tenant, id, account, now_us]).await? == 1;
    let sql = "SELECT gateway_id FROM incident WHERE tenant_id = $1 AND incident_id = $2";
    let row: Option<(String,)> = tx.fetch_optional(sql, args![tenant, id]).await?;
    Ok(row.map(|(gateway,)| (gateway, is_new)))
}

crate::row! {
    pub struct Notice {
        pub notice_id: String,
        pub channel: String,
        pub body: String,
        pub attempts: i64,
    }
}

/// Puts a notice into the queue.
pub async fn queue(
    tx: &mut Tx,
    (tenant, id): (&str, &str),
    (channel, body): (&str, &str),
    now_us: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO incident_notice (tenant_id, notice_id, channel, body, state,
            queued_at_us, due_at_us) VALUES ($1, $2, $3, $4, 'waiting', $5, $5)";
    tx.execute(sql, args![tenant, id, channel, body, now_us]).await?;
    Ok(())
}

/// Practices for which a notice is due, of all tenants.
pub async fn due(tx: &mut Tx, now_us: i64) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT tenant_id FROM incident_notice
        WHERE state = 'waiting' AND due_at_us <= $1 ORDER BY tenant_id";
    let rows: Vec<(String,)> = tx.fetch_all(sql, args![now_us]).await?;
    Ok(rows.into_iter().map(|(tenant,)| tenant).collect())
}

/// Takes what is due until a moment at which somebody else may try it.
pub async fn take(
    tx: &mut Tx,
    tenant: &str,
    (now_us, until_us): (i64, i64),
) -> Result<Vec<Notice>, StoreError> {
    let sql = "SELECT notice_id, channel, body, attempts FROM incident_notice
        WHERE tenant_id = $1 AND state = 'waiting' AND due_at_us <= $2
        ORDER BY queued_at_us, notice_id LIMIT $3";
    let found: Vec<Notice> = tx.fetch_all(sql, args![tenant, now_us, NOTICES_MAX]).await?;
    let mut taken = Vec::new();
    for notice in found {
        let sql = "UPDATE incident_notice SET due_at_us = $3, attempts = attempts + 1
            WHERE tenant_id = $1 AND notice_id = $2 AND state = 'waiting' AND due_at_us <= $4";
        let args = args![tenant, &notice.notice_id, until_us, now_us];
        if tx.execute(sql, args).await? == 1 {
            taken.push(Notice { attempts: notice.attempts + 1, ..notice });
        }
    }
    Ok(taken)
}

/// What came of a notice: its end, or when to try again.
pub async fn settle(
    tx: &mut Tx,
    (tenant, notice): (&str, &str),
    (state, detail): (&str, &str),
    (now_us, due_at_us): (i64, i64),
) -> Result<(), StoreError> {
    let done_at_us = (state != "waiting").then_some(now_us);
    let detail: String = detail.chars().take(DETAIL_LEN_MAX).collect();
    let sql = "UPDATE incident_notice SET state = $3, detail = $4, done_at_us = $5, due_at_us = $6
        WHERE tenant_id = $1 AND notice_id = $2 AND state = 'waiting'";
    tx.execute(sql, args![tenant, notice, state, detail, done_at_us, due_at_us]).await?;
    Ok(())
}

/// Forgets incidents and notices that ended before a moment, of all tenants.
pub async fn prune(tx: &mut Tx, before_us: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM incident WHERE closed_at_us < $1", args![before_us]).await?;
    tx.execute("DELETE FROM incident_notice WHERE done_at_us < $1", args![before_us]).await?;
    Ok(())
}
