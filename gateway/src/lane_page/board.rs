//! Readings and acts of the last hours, as the page shows them. Pure: documents are given.

use super::show::{self, Row};
use crate::spool::StoredDocument;
use chiasm_proto::{Body, Deed, Epoch, LaneAct, LaneId, LaneSessionId, Reading, ReadingId, Seq};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// How long a reading is shown.
pub const SHOWN_MAX: SignedDuration = SignedDuration::from_hours(16);
/// Most readings that are held in memory; beyond it the oldest are not shown.
pub const READINGS_MAX: usize = 1000;

/// A reading as the page shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: ReadingId,
    pub seq: Seq,
    pub lane: LaneId,
    pub at: Timestamp,
    pub session: Option<LaneSessionId>,
    pub instrument: String,
    /// The identity inside the data.
    pub claimed: Option<String>,
    pub rows: Vec<Row>,
    pub flags: Vec<String>,
    pub needs_a_look: bool,
    /// To which visit a person gave it here.
    pub assigned: Option<String>,
    /// Who accepted it here, and when.
    pub accepted: Option<(String, Timestamp)>,
}

/// What the spool holds of the last hours.
#[derive(Debug, Default)]
pub struct Board {
    epoch: Option<Epoch>,
    upto: Seq,
    readings: BTreeMap<(Timestamp, ReadingId), Entry>,
    at: BTreeMap<ReadingId, Timestamp>,
    /// Visits of the sessions that were opened here.
    visits: BTreeMap<LaneSessionId, String>,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(flatten)]
    body: Body,
}

impl Board {
    /// The highest number that is taken in, in this epoch; with another one it begins anew.
    pub fn upto(&mut self, epoch: Epoch) -> Seq {
        if self.epoch != Some(epoch) {
            *self = Self { epoch: Some(epoch), ..Self::default() };
        }
        self.upto
    }

    /// Leaves out what is older than anybody wants to see.
    pub fn skip_to(&mut self, seq: Seq) {
        self.upto = self.upto.max(seq);
    }

    /// Takes in a document. What cannot be read is not shown; it is sent all the same.
    pub fn take(&mut self, document: &StoredDocument) {
        self.upto = self.upto.max(document.seq);
        let Ok(Stored { body }) = serde_json::from_str(&document.body) else { return };
        match body {
            Body::Reading(reading) => self.reading(document, &reading),
            Body::LaneAct(act) => self.act(document.time, act),
            _ => {}
        }
    }

    fn reading(&mut self, document: &StoredDocument, reading: &Reading) {
        let decoded = &reading.decoded;
        let entry = Entry {
            id: document.id,
            seq: document.seq,
            lane: reading.lane.clone(),
            at: document.time,
            session: reading.lane_session,
            instrument: format!("{} {}", decoded.instrument.vendor, decoded.instrument.model),
            claimed: decoded.claimed_patient.as_ref().map(|claimed| claimed.id.trim().to_owned()),
            rows: show::rows(decoded),
            flags: decoded
                .flags
                .iter()
                .filter(|flag| flag.code.needs_a_look())
                .map(|flag| flag.detail.clone())
                .collect(),
            needs_a_look: decoded.flags.iter().any(|flag| flag.code.needs_a_look()),
            assigned: None,
            accepted: None,
        };
        self.at.insert(entry.id, entry.at);
        self.readings.insert((entry.at, entry.id), entry);
        while self.readings.len() > READINGS_MAX {
            if let Some((_, oldest)) = self.readings.pop_first() {
                self.at.remove(&oldest.id);
            }
        }
    }

    fn act(&mut self, time: Timestamp, act: LaneAct) {
        match act.deed {
            Deed::SessionOpened { session, accession, .. } => {
                self.visits.insert(session, accession);
            }
            Deed::SessionEnded { .. } => {}
            Deed::ReadingAssigned { reading, accession } => {
                if let Some(entry) = self.entry(reading) {
                    entry.assigned = Some(accession);
                }
            }
            Deed::ReadingAccepted { reading, .. } => {
                if let Some(entry) = self.entry(reading) {
                    entry.accepted = Some((act.account, time));
                }
            }
        }
    }

    fn entry(&mut self, id: ReadingId) -> Option<&mut Entry> {
        let at = self.at.get(&id)?;
        self.readings.get_mut(&(*at, id))
    }

    pub fn get(&self, id: ReadingId) -> Option<&Entry> {
        self.readings.get(&(*self.at.get(&id)?, id))
    }

    /// The visit of a reading, by its session or because a person said so.
    pub fn visit_of<'a>(&'a self, entry: &'a Entry) -> Option<&'a str> {
        let by_session = entry.session.and_then(|session| self.visits.get(&session));
        entry.assigned.as_deref().or(by_session.map(String::as_str))
    }

    /// A lane's readings of a visit, latest first.
    pub fn of_visit<'a>(
        &'a self,
        lane: &'a LaneId,
        accession: &'a str,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Entry> {
        self.recent(lane, now).filter(move |entry| self.visit_of(entry) == Some(accession))
    }

    /// A lane's readings without a session, latest first. Of those that the cloud has it knows more:
    /// somebody may have said there whose they are.
    pub fn tray<'a>(
        &'a self,
        lane: &'a LaneId,
        pending: &'a BTreeSet<Seq>,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a Entry> {
        let is_open = |entry: &&Entry| entry.session.is_none() && entry.assigned.is_none();
        self.recent(lane, now).filter(is_open).filter(|entry| pending.contains(&entry.seq))
    }

    fn recent<'a>(&'a self, lane: &'a LaneId, now: Timestamp) -> impl Iterator<Item = &'a Entry> {
        self.readings
            .values()
            .rev()
            .filter(move |entry| entry.lane == *lane && now.duration_since(entry.at) <= SHOWN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{
        ClockState, Decoded, DriverRef, Flag, FlagCode, Instrument, Integrity, Raw, Up,
    };
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }
    fn lane() -> LaneId {
        LaneId::new("lane-1").unwrap()
    }
    fn id(number: u128) -> ReadingId {
        ReadingId(Uuid::from_u128(number))
    }
    fn session(number: u128) -> LaneSessionId {
        LaneSessionId(Uuid::from_u128(number))
    }

    fn stored(seq: Seq, body: &Body) -> StoredDocument {
        StoredDocument {
            seq,
            id: id(seq.into()),
            time: at(i64::try_from(seq).unwrap()),
            up: Up::Event,
            link: None,
            body: serde_json::to_string(body).unwrap(),
        }
    }

    fn reading(seq: Seq, of: Option<u128>) -> StoredDocument {
        let instrument = Instrument { model: "ARK-1a".into(), ..Instrument::default() };
        let mut decoded = Decoded::new(instrument, Integrity::Checksum);
        let flag = |code| Flag { code, detail: "look".into() };
        decoded.flags = vec![flag(FlagCode::NoChecksum), flag(FlagCode::Unusual)];
        let reading = Reading {
            link: "ark".parse().unwrap(),
            lane: lane(),
            lane_session: of.map(session),
            is_lane_empty: false,
            clock: ClockState::Synced,
            driver: DriverRef { id: "test".into(), version: "1".into() },
            decoded,
            raw: Raw::new(vec![1]),
        };
        stored(seq, &Body::Reading(Box::new(reading)))
    }

    fn act(seq: Seq, deed: Deed) -> StoredDocument {
        let clock = ClockState::Synced;
        let account = "ana".to_owned();
        stored(seq, &Body::LaneAct(LaneAct { lane: lane(), account, clock, deed }))
    }

    fn ids<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u128> {
        entries.map(|entry| entry.id.0.as_u128()).collect()
    }

    #[test]
    fn t12_shows_whose_a_reading_is_and_who_accepted_it() {
        let mut board = Board::default();
        let accession = || "VISIT1".to_owned();
        let opened =
            Deed::SessionOpened { session: session(9), accession: accession(), ends: None };
        for document in [
            act(1, opened),
            reading(2, Some(9)),
            reading(3, None),
            act(4, Deed::ReadingAccepted { reading: id(2), accession: accession() }),
            act(5, Deed::ReadingAssigned { reading: id(3), accession: accession() }),
            reading(6, None),
        ] {
            board.take(&document);
        }
        let now = at(10);
        assert_eq!(ids(board.of_visit(&lane(), "VISIT1", now)), [3, 2]);
        let pending = BTreeSet::from([2, 6]);
        assert_eq!(ids(board.tray(&lane(), &pending, now)), [6]);
        assert_eq!(ids(board.tray(&lane(), &BTreeSet::new(), now)), Vec::<u128>::new());
        assert_eq!(board.get(id(2)).unwrap().accepted, Some(("ana".into(), at(4))));
        assert_eq!(board.get(id(2)).unwrap().flags, ["look"], "only what needs a look");
        assert!(board.get(id(3)).unwrap().accepted.is_none());
        let next_day = at(10) + SHOWN_MAX;
        assert_eq!(ids(board.tray(&lane(), &pending, next_day)), Vec::<u128>::new());
    }

    #[test]
    fn another_epoch_begins_anew_and_memory_is_bounded() {
        let mut board = Board::default();
        let epoch = |number| Epoch(Uuid::from_u128(number));
        assert_eq!(board.upto(epoch(1)), 0);
        for seq in 1..=READINGS_MAX as u64 + 5 {
            board.take(&reading(seq, None));
        }
        assert_eq!(board.readings.len(), READINGS_MAX);
        assert!(board.get(id(5)).is_none());
        assert_eq!(board.upto(epoch(2)), 0);
        assert!(board.readings.is_empty());
    }
}
