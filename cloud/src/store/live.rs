//! Live events: what pages are told, numbered per tenant in the order of commit.

use super::{StoreError, Tx, batch};
use crate::args;
use serde::Serialize;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    ReadingFiled,
    ReadingChanged,
    /// A DICOM instance was filed, or changed its place.
    ImageFiled,
    VisitChanged,
    SessionOpened,
    SessionClosed,
    SessionChanged,
    /// What was typed into an exam, its signature, or what was added to it.
    ExamChanged,
    GatewayChanged,
    Refusal,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::ReadingFiled => "reading_filed",
            Kind::ReadingChanged => "reading_changed",
            Kind::ImageFiled => "image_filed",
            Kind::VisitChanged => "visit_changed",
            Kind::SessionOpened => "session_opened",
            Kind::SessionClosed => "session_closed",
            Kind::SessionChanged => "session_changed",
            Kind::ExamChanged => "exam_changed",
            Kind::GatewayChanged => "gateway_changed",
            Kind::Refusal => "refusal",
        }
    }
}

/// An event that has no number yet. Identifiers only: it goes to every open page of the tenant, and
/// each page asks for what it may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub at_us: i64,
    pub kind: Kind,
    pub location_id: Option<String>,
    pub lane_id: Option<String>,
    pub encounter_id: Option<String>,
    pub gateway_id: Option<String>,
    /// The reading or the lane session.
    pub subject: Option<String>,
}

impl NewEvent {
    pub fn new(at_us: i64, kind: Kind) -> Self {
        Self {
            at_us,
            kind,
            location_id: None,
            lane_id: None,
            encounter_id: None,
            gateway_id: None,
            subject: None,
        }
    }
}

/// A numbered event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    pub event_id: i64,
    pub at_us: i64,
    /// One of [`Kind::as_str`], or a word of a newer version.
    pub kind: String,
    pub location_id: Option<String>,
    pub lane_id: Option<String>,
    pub encounter_id: Option<String>,
    pub gateway_id: Option<String>,
    pub subject: Option<String>,
}

/// Numbers the events and adds them to the transaction. The tenant's row stays locked until the
/// commit, so numbers become visible in their order: do this last.
pub async fn append(tx: &mut Tx, tenant: &str, events: &[NewEvent]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let (last,): (i64,) = tx
        .fetch_one(
            "UPDATE tenant SET last_event_id = last_event_id + $2 WHERE tenant_id = $1
             RETURNING last_event_id",
            args![tenant, count],
        )
        .await?;
    batch::insert_live_events(tx, tenant, last - count + 1, events).await
}

type Row = (
    i64,
    i64,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// Events after the given number, oldest first.
pub async fn after(
    tx: &mut Tx,
    tenant: &str,
    event_id: i64,
    limit: i64,
) -> Result<Vec<LiveEvent>, StoreError> {
    let rows: Vec<Row> = tx
        .fetch_all(
            "SELECT event_id, at_us, kind, location_id, lane_id, encounter_id, gateway_id, subject
             FROM live_event WHERE tenant_id = $1 AND event_id > $2 ORDER BY event_id LIMIT $3",
            args![tenant, event_id, limit],
        )
        .await?;
    let event =
        |(event_id, at_us, kind, location_id, lane_id, encounter_id, gateway_id, subject): Row| {
            LiveEvent {
                event_id,
                at_us,
                kind,
                location_id,
                lane_id,
                encounter_id,
                gateway_id,
                subject,
            }
        };
    Ok(rows.into_iter().map(event).collect())
}

/// Number of the tenant's newest event; 0 before the first.
pub async fn last_event_id(tx: &mut Tx, tenant: &str) -> Result<i64, StoreError> {
    let row: Option<(i64,)> = tx
        .fetch_optional("SELECT last_event_id FROM tenant WHERE tenant_id = $1", args![tenant])
        .await?;
    Ok(row.map_or(0, |(last,)| last))
}

/// Every tenant with the number of its newest event.
pub async fn heads(tx: &mut Tx) -> Result<Vec<(String, i64)>, StoreError> {
    tx.fetch_all("SELECT tenant_id, last_event_id FROM tenant", args![]).await
}
