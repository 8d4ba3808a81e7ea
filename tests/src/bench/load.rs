//! Readings by the thousand, as a gateway's spool holds them after an outage.

use super::prints;
use crate::mqtt::{Client, Identity, Packet};
use anyhow::{Result, bail};
use chiasm_proto::{
    Body, ClockState, DriverRef, Envelope, Epoch, LaneId, LinkId, Raw, Reading, ReadingId,
    TenantId, Up,
};
use jiff::Timestamp;
use std::{ops::Range, time::Instant};
use uuid::Uuid;

/// Documents that may be on their way at once, as in the product.
const WINDOW_MAX: u64 = 64;

/// The documents of one generated gateway, numbered from 1, each serialised once.
pub struct Backlog {
    pub epoch: Epoch,
    pub documents: Vec<Vec<u8>>,
}

impl Backlog {
    /// One document for each print, as the product's gateway would send it.
    pub fn new(
        tenant: &TenantId,
        identity: &Identity,
        lane: &LaneId,
        prints: Range<u32>,
    ) -> Result<Self> {
        let epoch = Epoch(Uuid::now_v7());
        let mut documents = Vec::new();
        for (seq, print) in (1..).zip(prints) {
            let body = Body::Reading(Box::new(reading(lane, print)?));
            let names = (tenant, &identity.gateway);
            let id = ReadingId(Uuid::now_v7());
            let envelope = Envelope::new(names, (epoch, seq), id, Timestamp::now(), body);
            documents.push(serde_json::to_vec(&envelope)?);
        }
        Ok(Self { epoch, documents })
    }

    pub fn len(&self) -> u64 {
        self.documents.len() as u64
    }
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }
}

fn reading(lane: &LaneId, print: u32) -> Result<Reading> {
    let frame = prints::frame(print);
    let driver = prints::driver();
    Ok(Reading {
        link: LinkId::new("ark")?,
        lane: lane.clone(),
        lane_session: None,
        is_lane_empty: false,
        clock: ClockState::Synced,
        driver: DriverRef { id: driver.id.into(), version: driver.version.into() },
        decoded: prints::decode(&frame)?,
        raw: Raw::new(frame),
    })
}

/// When a backlog began to be sent and when the last of it was filed.
#[derive(Debug, Clone, Copy)]
pub struct Drained {
    pub began: Instant,
    pub ended: Instant,
}

/// Sends a backlog as fast as the cloud files it and returns when the cloud has acknowledged all.
pub async fn drain(mut client: Client, backlog: Backlog) -> Result<Drained> {
    let began = Instant::now();
    let count = backlog.len();
    let mut documents = backlog.documents.into_iter();
    let (mut sent, mut filed) = (0, 0);
    while filed < count {
        while sent - filed < WINDOW_MAX
            && let Some(json) = documents.next()
        {
            client.send(Up::Reading, json).await?;
            sent += 1;
        }
        match client.next().await? {
            Packet::Filed(ack) if ack.epoch == backlog.epoch => {
                if let Some(rejected) = ack.rejected.first() {
                    bail!("the cloud rejected {rejected:?}");
                }
                filed = filed.max(ack.upto.saturating_sub(ack.missing.len() as u64));
            }
            Packet::Ended(error) => bail!("the connection ended: {error}"),
            _ => {}
        }
    }
    Ok(Drained { began, ended: Instant::now() })
}
