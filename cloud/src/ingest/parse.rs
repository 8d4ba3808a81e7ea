//! From bytes to documents: everything that can be said without the database, done while the last
//! commit runs.

use super::mqtt::{Hint, Raw};
use crate::{clock, live};
use chiasm_proto::{
    Body, Capture, ClockState, Deed, DriverRef, Envelope, Epoch, FlagCode, GatewayId, LaneAct,
    LaneId, Measured, ProcedureStep, Sha256, TenantId, Topic, Up,
    config::Reply,
    envelope,
    fleet::{State, Telemetry},
    topic::{LIVE_HINT_TOPIC, Leaf},
};
use serde::Deserialize;
use tokio::sync::mpsc;
use uuid::Uuid;

/// What a message turned out to be. Keeps the message's share of memory until it is dropped.
pub struct Parsed {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    pub content: Content,
    _raw: Raw,
}

pub enum Content {
    Document(Box<Document>),
    State(State),
    Telemetry(Telemetry),
    Reply(Box<Reply>),
}

/// A numbered document, good or not.
#[derive(Debug)]
pub struct Document {
    pub epoch: Epoch,
    pub seq: u64,
    /// None if it cannot be read.
    pub id: Option<Uuid>,
    /// Of the bytes as sent.
    pub sha256: String,
    pub body: String,
    pub received_at_us: i64,
    pub checked: Result<Checked, Rejected>,
}

/// A document that is right in itself.
#[derive(Debug)]
pub struct Checked {
    pub document_id: String,
    /// `reading`, `capture`, `event`.
    pub kind: &'static str,
    pub captured_at_us: i64,
    pub lane: Option<LaneId>,
    pub reading: Option<ReadingFacts>,
    /// What an imager says of a procedure (MPPS).
    pub step: Option<ProcedureStep>,
    pub act: Option<ActFacts>,
    /// Why bytes gave no reading (C4).
    pub failure: Option<FailureFacts>,
}

/// What filing has to know about something that a person did at the gateway's page (T12).
#[derive(Debug)]
pub struct ActFacts {
    /// The session that it opens or ends.
    pub lane_session: Option<String>,
}

/// What filing has to know about bytes that gave no reading.
#[derive(Debug)]
pub struct FailureFacts {
    pub link: String,
    pub driver: Option<DriverRef>,
    pub code: String,
    pub first_byte: Option<i64>,
}

/// What filing has to know about a reading.
#[derive(Debug)]
pub struct ReadingFacts {
    pub link: String,
    pub vendor: String,
    pub model: String,
    pub content_sha256: String,
    pub claimed_patient: Option<String>,
    pub lane_session: Option<String>,
    pub is_lane_empty: bool,
    pub clock: ClockState,
    pub needs_a_look: bool,
    /// Whether a lens was measured, which needs a purpose (R25).
    pub has_lens: bool,
}

/// Why a document cannot be filed: a word of the wire, and the reason for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub code: &'static str,
    pub detail: String,
}

/// Longest reason that is kept, in characters.
const DETAIL_LEN_MAX: usize = 500;
/// Longest text that is taken into a column, in characters; the body has it whole.
const COLUMN_LEN_MAX: usize = 200;

impl Rejected {
    pub fn new(code: &'static str, detail: impl AsRef<str>) -> Self {
        Self { code, detail: column(detail.as_ref(), DETAIL_LEN_MAX) }
    }
}

pub async fn run(
    mut raw: mpsc::Receiver<Raw>,
    sender: mpsc::Sender<Parsed>,
    bus: live::Bus,
    replica: Uuid,
) {
    while let Some(raw) = raw.recv().await {
        if &*raw.topic == LIVE_HINT_TOPIC.as_bytes() {
            announce(&raw.payload, &bus, replica);
            continue;
        }
        if let Some(parsed) = parse(raw)
            && sender.send(parsed).await.is_err()
        {
            return;
        }
    }
}

fn announce(payload: &[u8], bus: &live::Bus, replica: Uuid) {
    match serde_json::from_slice::<Hint>(payload) {
        Ok(hint) if hint.replica == replica => {}
        Ok(hint) => hint.tenants.iter().for_each(|tenant| bus.announce_here(tenant)),
        Err(error) => tracing::warn!(%error, "a live hint is malformed"),
    }
}

/// None for what carries no number and no state: it is logged and forgotten.
fn parse(raw: Raw) -> Option<Parsed> {
    let topic: Topic = str::from_utf8(&raw.topic).ok()?.parse().ok()?;
    let content = match topic.leaf {
        Leaf::State => Content::State(unnumbered(&topic, &raw.payload)?),
        Leaf::Up(Up::Telemetry) => Content::Telemetry(unnumbered(&topic, &raw.payload)?),
        Leaf::Up(Up::Reading | Up::Capture | Up::Event) => {
            Content::Document(Box::new(document(&topic, &raw.payload, clock::now_us())))
        }
        Leaf::Up(Up::Reply) => Content::Reply(Box::new(unnumbered(&topic, &raw.payload)?)),
        Leaf::Down(_) => return None,
    };
    Some(Parsed { tenant: topic.tenant, gateway: topic.gateway, content, _raw: raw })
}

fn unnumbered<'a, T: Deserialize<'a>>(topic: &Topic, payload: &'a [u8]) -> Option<T> {
    // An empty retained message only clears the state.
    if payload.is_empty() {
        return None;
    }
    match serde_json::from_slice(payload) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::warn!(%topic, %error, "a message is malformed");
            None
        }
    }
}

/// The number of a document that is otherwise not understood.
#[derive(Deserialize)]
struct Number {
    epoch: Epoch,
    seq: u64,
}

fn document(topic: &Topic, payload: &[u8], received_at_us: i64) -> Document {
    let parsed: Result<Envelope, _> = serde_json::from_slice(payload);
    let (epoch, seq) = match &parsed {
        Ok(envelope) => (envelope.epoch, envelope.seq),
        // Without a number nothing can be acknowledged: it is only kept.
        Err(_) => serde_json::from_slice(payload)
            .map_or((Epoch(Uuid::nil()), 0), |Number { epoch, seq }| (epoch, seq)),
    };
    let id = parsed.as_ref().ok().map(|envelope| envelope.id.0);
    let numbered = (1..=i64::MAX as u64).contains(&seq);
    let checked = match parsed {
        Err(err) => Err(Rejected::new("malformed", err.to_string())),
        Ok(_) if !numbered => Err(Rejected::new("malformed", format!("{seq} is no number"))),
        Ok(envelope) => check(topic, &envelope),
    };
    let seq = if numbered { seq } else { 0 };
    let sha256 = Sha256::of(payload).to_string();
    Document { epoch, seq, id, sha256, body: text(payload), received_at_us, checked }
}

fn check(topic: &Topic, envelope: &Envelope) -> Result<Checked, Rejected> {
    if envelope.source != envelope::source(&topic.tenant, &topic.gateway) {
        let detail = format!("`source` is {}, the topic is {topic}", envelope.source);
        return Err(Rejected::new("malformed", detail));
    }
    let up = envelope.body.up();
    if topic.leaf != Leaf::Up(up) {
        let detail = format!("`type` is that of a {}, the topic is {topic}", up.as_str());
        return Err(Rejected::new("malformed", detail));
    }
    let raw = match &envelope.body {
        Body::Reading(reading) => Some(&reading.raw),
        Body::Capture(capture) => Some(&capture.raw),
        Body::Event(_) | Body::ProcedureStep(_) | Body::LaneAct(_) => None,
    };
    if raw.is_some_and(|raw| !raw.is_intact()) {
        return Err(Rejected::new("hash_mismatch", "the hash is not that of the raw bytes"));
    }
    let (lane, reading) = match &envelope.body {
        Body::Reading(reading) => (Some(reading.lane.clone()), Some(reading_facts(reading))),
        Body::Capture(capture) => (Some(capture.lane.clone()), None),
        Body::ProcedureStep(step) => (Some(step.lane.clone()), None),
        Body::LaneAct(act) => (Some(act.lane.clone()), None),
        Body::Event(_) => (None, None),
    };
    Ok(Checked {
        document_id: envelope.id.to_string(),
        kind: up.as_str(),
        captured_at_us: envelope.time.as_microsecond(),
        lane,
        reading,
        step: match &envelope.body {
            Body::ProcedureStep(step) => Some(step.clone()),
            _ => None,
        },
        act: match &envelope.body {
            Body::LaneAct(act) => Some(act_facts(act)),
            _ => None,
        },
        failure: match &envelope.body {
            Body::Capture(capture) => Some(failure_facts(capture)),
            _ => None,
        },
    })
}

fn act_facts(act: &LaneAct) -> ActFacts {
    let lane_session = match &act.deed {
        Deed::SessionOpened { session, .. } | Deed::SessionEnded { session, .. } => {
            Some(session.to_string())
        }
        Deed::ReadingAssigned { .. } | Deed::ReadingAccepted { .. } => None,
    };
    ActFacts { lane_session }
}

fn failure_facts(capture: &Capture) -> FailureFacts {
    let column = |text: &str| column(text, COLUMN_LEN_MAX);
    let driver = capture.driver.as_ref();
    FailureFacts {
        link: capture.link.to_string(),
        driver: driver.map(|it| DriverRef { id: column(&it.id), version: column(&it.version) }),
        code: column(&capture.code),
        first_byte: capture.offset.and_then(|offset| i64::try_from(offset).ok()),
    }
}

fn reading_facts(reading: &chiasm_proto::Reading) -> ReadingFacts {
    let decoded = &reading.decoded;
    let looks = |code: &FlagCode| code.needs_a_look();
    ReadingFacts {
        link: reading.link.to_string(),
        vendor: column(&decoded.instrument.vendor, COLUMN_LEN_MAX),
        model: column(&decoded.instrument.model, COLUMN_LEN_MAX),
        content_sha256: decoded.content_sha256().to_string(),
        has_lens: decoded
            .measurements
            .iter()
            .any(|it| matches!(it.measured, Measured::Lensometry(_))),
        claimed_patient: decoded
            .claimed_patient
            .as_ref()
            .map(|claimed| column(&claimed.id, COLUMN_LEN_MAX)),
        lane_session: reading.lane_session.map(|session| session.to_string()),
        is_lane_empty: reading.is_lane_empty,
        clock: reading.clock,
        needs_a_look: decoded.flags.iter().any(|flag| looks(&flag.code)),
    }
}

/// Text that every database takes: no NUL, not too long.
fn column(text: &str, len_max: usize) -> String {
    text.chars().take(len_max).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

/// The bytes as text, or in base64 behind a mark if they are none.
fn text(payload: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    match str::from_utf8(payload) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => format!("base64:{}", STANDARD.encode(payload)),
    }
}
