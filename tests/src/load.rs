//! Readings by the thousand, as a gateway's spool holds them after an outage.

use crate::mqtt::{Client, Identity, Packet};
use anyhow::{Result, bail};
use chiasm_proto::{
    Body, ClockState, Decoded, DriverRef, Envelope, Epoch, Eye, Hundredths, Instrument, Integrity,
    LaneId, Light, LinkId, Measured, Measurement, Raw, Reading, ReadingId, Refraction,
    RefractionKind, RefractionValue, Representative, Shot, TenantId, Up,
};
use jiff::Timestamp;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Documents that may be on their way at once, as in the product.
const WINDOW_MAX: u64 = 64;
/// Length of the raw bytes of a generated reading: an autorefractor's print with ten shots.
const RAW_LEN: usize = 700;

/// The documents of one generated gateway, numbered from 1, each serialised once.
pub struct Backlog {
    pub epoch: Epoch,
    pub documents: Vec<(Envelope, Vec<u8>)>,
}

impl Backlog {
    pub fn new(tenant: &TenantId, identity: &Identity, lane: &str, count: u64) -> Result<Self> {
        let epoch = Epoch(Uuid::now_v7());
        let lane = LaneId::new(lane)?;
        let mut documents = Vec::new();
        for seq in 1..=count {
            let body = Body::Reading(Box::new(reading(&lane, seq)?));
            let names = (tenant, &identity.gateway);
            let id = ReadingId(Uuid::now_v7());
            let envelope = Envelope::new(names, (epoch, seq), id, Timestamp::now(), body);
            let json = serde_json::to_vec(&envelope)?;
            documents.push((envelope, json));
        }
        Ok(Self { epoch, documents })
    }
}

fn reading(lane: &LaneId, number: u64) -> Result<Reading> {
    let sphere = Hundredths(-25 * i32::try_from(number % 40)?);
    let value = RefractionValue {
        sphere,
        cylinder: Hundredths(-75),
        axis_deg: Some(90),
        spherical_equivalent: None,
    };
    let of_eye = |eye, token: &str| Measurement {
        eye,
        eye_as_sent: Some(token.into()),
        measured: Measured::Refraction(Refraction {
            kind: RefractionKind::Autorefraction,
            light: Light::Day,
            vertex_distance_mm: Some(Hundredths::whole(12)),
            working_distance_cm: None,
            dioptre_step: None,
            axis_step_deg: None,
            cylinder_mode: None,
            representative: Some(Representative { label: "median".into(), value }),
            shots: vec![Shot::of(value); 5],
        }),
    };
    let mut raw = format!("generated print {number} ").into_bytes();
    raw.resize(RAW_LEN, b'.');
    Ok(Reading {
        link: LinkId::new("load")?,
        lane: lane.clone(),
        lane_session: None,
        clock: ClockState::Synced,
        driver: DriverRef { id: "nidek_ark".into(), version: "1".into() },
        decoded: Decoded {
            instrument: Instrument {
                vendor: "NIDEK".into(),
                model: "ARK-1s".into(),
                ..Instrument::default()
            },
            instrument_time: None,
            running_number: Some(number.to_string()),
            claimed_patient: None,
            integrity: Integrity::Checksum,
            measurements: vec![of_eye(Eye::Right, "R"), of_eye(Eye::Left, "L")],
            flags: vec![],
            unknown_records: vec![],
        },
        raw: Raw::new(raw),
    })
}

/// Sends a backlog as fast as the cloud files it; gives the time until the last one is filed.
pub async fn drain(port: u16, identity: &Identity, backlog: &Backlog) -> Result<Duration> {
    let mut client = Client::connect(port, identity).await?;
    client.subscribe_acks().await?;
    let start = Instant::now();
    let count = backlog.documents.len() as u64;
    let (mut sent, mut filed) = (0, 0);
    while filed < count {
        while sent < count && sent - filed < WINDOW_MAX {
            let (_, json) = &backlog.documents[usize::try_from(sent)?];
            client.send(Up::Reading, json.clone()).await?;
            sent += 1;
        }
        match client.next().await? {
            Packet::Filed(ack) if ack.epoch == backlog.epoch => {
                if let Some(rejected) = ack.rejected.first() {
                    bail!("the cloud rejected {rejected:?}");
                }
                filed = filed.max(ack.upto - ack.missing.len() as u64);
            }
            Packet::Ended(error) => bail!("the connection ended: {error}"),
            _ => {}
        }
    }
    Ok(start.elapsed())
}
