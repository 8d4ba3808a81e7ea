//! The wrapping of everything that a gateway numbers and sends: CloudEvents 1.0 attribute names in
//! structured form, so that the same document stands in the spool, on the wire and in the database.

use crate::{
    Capture, Epoch, GatewayEvent, GatewayId, LaneAct, ProcedureStep, Reading, ReadingId, Seq,
    TenantId, Up,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// CloudEvents version that the attribute names follow.
pub const SPEC_VERSION: &str = "1.0";

/// One numbered document of a gateway. `(source, epoch, seq)` names it once and for all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub specversion: String,
    pub id: ReadingId,
    /// `chiasm/{tenant}/{gateway}`.
    pub source: String,
    /// The link, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When the last byte arrived, by the gateway's clock.
    pub time: Timestamp,
    pub epoch: Epoch,
    pub seq: Seq,
    #[serde(flatten)]
    pub body: Body,
}

/// The document's kind in `type` and its content in `data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Body {
    #[serde(rename = "chiasm.reading.v1")]
    Reading(Box<Reading>),
    #[serde(rename = "chiasm.capture.v1")]
    Capture(Capture),
    #[serde(rename = "chiasm.event.v1")]
    Event(GatewayEvent),
    #[serde(rename = "chiasm.procedure-step.v1")]
    ProcedureStep(ProcedureStep),
    #[serde(rename = "chiasm.lane-act.v1")]
    LaneAct(LaneAct),
}

impl Body {
    /// The topic level on which this kind travels.
    pub fn up(&self) -> Up {
        match self {
            Body::Reading(_) => Up::Reading,
            Body::Capture(_) => Up::Capture,
            Body::Event(_) | Body::ProcedureStep(_) | Body::LaneAct(_) => Up::Event,
        }
    }
    fn subject(&self) -> Option<String> {
        match self {
            Body::Reading(reading) => Some(reading.link.to_string()),
            Body::Capture(capture) => Some(capture.link.to_string()),
            Body::Event(event) => event.link.as_ref().map(ToString::to_string),
            Body::ProcedureStep(step) => Some(step.link.to_string()),
            Body::LaneAct(_) => None,
        }
    }
}

impl Envelope {
    /// Wraps a body. Identity and number are the spool's to give.
    pub fn new(
        (tenant, gateway): (&TenantId, &GatewayId),
        (epoch, seq): (Epoch, Seq),
        id: ReadingId,
        time: Timestamp,
        body: Body,
    ) -> Self {
        Self {
            specversion: SPEC_VERSION.into(),
            id,
            source: source(tenant, gateway),
            subject: body.subject(),
            time,
            epoch,
            seq,
            body,
        }
    }
}

/// The `source` attribute of a gateway's documents.
pub fn source(tenant: &TenantId, gateway: &GatewayId) -> String {
    format!("chiasm/{tenant}/{gateway}")
}
