//! What goes into the spool and what comes out.

use crate::journal::Position;
use chiasm_proto::{
    Body, Epoch, GatewayId, LinkId, ReadingId, Seq, Sha256, TenantId, Up, envelope,
};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// A document that has no number yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub id: ReadingId,
    /// When the last byte arrived.
    pub time: Timestamp,
    pub body: Body,
}

impl Document {
    pub fn new(time: Timestamp, body: Body) -> Self {
        Self { id: ReadingId(Uuid::now_v7()), time, body }
    }
}

/// What a link hands over at once: documents, how far its journal is now accounted for, and the
/// file that is thereby read to its end. All of it is stored or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub link: LinkId,
    pub documents: Vec<Document>,
    pub position: Position,
    pub imported: Option<Sha256>,
}

/// A numbered document as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    pub seq: Seq,
    pub id: ReadingId,
    pub time: Timestamp,
    pub up: Up,
    pub link: Option<String>,
    /// JSON object with `type` and `data`, exactly as first serialised.
    pub body: String,
}

#[derive(Serialize)]
struct Attributes<'a> {
    specversion: &'a str,
    id: ReadingId,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: Timestamp,
    epoch: Epoch,
    seq: Seq,
}

impl StoredDocument {
    /// The envelope as JSON. The body is spliced in as stored and never serialised again, so that a
    /// later software version sends the same bytes under the same number.
    pub fn envelope(&self, tenant: &TenantId, gateway: &GatewayId, epoch: Epoch) -> Vec<u8> {
        let attributes = Attributes {
            specversion: envelope::SPEC_VERSION,
            id: self.id,
            source: envelope::source(tenant, gateway),
            subject: self.link.as_deref(),
            time: self.time,
            epoch,
            seq: self.seq,
        };
        let mut json = serde_json::to_vec(&attributes).expect("plain data always serialises");
        json.pop();
        json.push(b',');
        json.extend_from_slice(&self.body.as_bytes()[1..]);
        json
    }
}

/// The link that a body names.
pub(super) fn link_of(body: &Body) -> Option<&LinkId> {
    match body {
        Body::Reading(reading) => Some(&reading.link),
        Body::Capture(capture) => Some(&capture.link),
        Body::Event(event) => event.link.as_ref(),
        Body::ProcedureStep(step) => Some(&step.link),
        Body::LaneAct(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{Envelope, GatewayEvent};

    #[test]
    fn the_spliced_envelope_is_the_envelope() {
        let link = LinkId::new("ark").unwrap();
        let body = Body::Event(GatewayEvent {
            code: "link_up".into(),
            link: Some(link.clone()),
            detail: "öäü \"quoted\"".into(),
        });
        let (tenant, gateway) = (TenantId::new("t").unwrap(), GatewayId::new("g").unwrap());
        let document = Document::new("2026-11-23T10:00:00.123456Z".parse().unwrap(), body);
        let stored = StoredDocument {
            seq: 7,
            id: document.id,
            time: document.time,
            up: document.body.up(),
            link: Some(link.to_string()),
            body: serde_json::to_string(&document.body).unwrap(),
        };
        let epoch = Epoch(Uuid::now_v7());
        let json = stored.envelope(&tenant, &gateway, epoch);
        let whole = Envelope::new(
            (&tenant, &gateway),
            (epoch, 7),
            document.id,
            document.time,
            document.body,
        );
        assert_eq!(serde_json::from_slice::<Envelope>(&json).unwrap(), whole);
    }
}
