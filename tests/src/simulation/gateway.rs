//! A gateway: the journal and spool on its disk, and what it holds in memory.

use super::Print;
use chiasm_gateway::{binding::Lanes, spool::Again, uplink::delivery::Delivery};
use chiasm_proto::{
    Ack, ClockState, Epoch, LaneId, LaneSessionId, Rejection, Seq,
    ack::{FILED_BEFORE, IdDigest},
    fleet::OpenSession,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Commits that a lying disk may forget.
const UNSYNCED_MAX: usize = 4;
/// Documents beyond an acknowledgement for which it is still compared.
const BEYOND_MAX: u64 = 256;

/// A numbered reading.
#[derive(Debug, Clone)]
pub struct Document {
    pub print: Print,
    pub captured_at_us: i64,
    pub clock: ClockState,
    pub stamped: Option<LaneSessionId>,
    pub state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Filed,
    Rejected,
}

/// What one commit of the spool holds.
#[derive(Debug, Clone)]
pub struct Spool {
    pub epoch: Epoch,
    pub last_seq: Seq,
    pub documents: BTreeMap<Seq, Document>,
    pub sessions: Vec<OpenSession>,
    pub last_readings: BTreeMap<LaneId, Timestamp>,
    /// Prints that came from the journal, and need not be read again.
    pub consumed: u64,
}

impl Spool {
    fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            last_seq: 0,
            documents: BTreeMap::new(),
            sessions: Vec::new(),
            last_readings: BTreeMap::new(),
            consumed: 0,
        }
    }

    pub fn pending(&self) -> impl Iterator<Item = Seq> {
        let pending =
            |(seq, document): (&Seq, &Document)| (document.state == State::Pending).then_some(*seq);
        self.documents.iter().filter_map(pending)
    }

    /// As the product's SQL does it.
    fn acknowledge(&mut self, ack: &Ack, is_first: bool) {
        for (seq, document) in &mut self.documents {
            let refused = |it: &Rejection| it.seq == *seq && it.code != FILED_BEFORE;
            let is_rejected = ack.rejected.iter().any(refused);
            if is_rejected && document.state == State::Pending {
                document.state = State::Rejected;
            }
            let above = ack.above.iter().any(|(first, last)| (*first..=*last).contains(seq));
            let below = *seq <= ack.upto && !ack.missing.contains(seq);
            match document.state {
                State::Filed if is_first && !below && !above => document.state = State::Pending,
                State::Pending if below || above => document.state = State::Filed,
                _ => {}
            }
        }
    }

    /// Whether it speaks of other documents. Compared only near the end, as in the product.
    fn contradicts(&self, ack: &Ack) -> bool {
        let Some(theirs) = ack.ids else { return false };
        if self.last_seq - ack.upto > BEYOND_MAX {
            return false;
        }
        let spoken_of = |seq: &Seq| *seq <= ack.upto && !ack.missing.contains(seq);
        let documents = self.documents.iter().filter(|(seq, _)| spoken_of(seq));
        let ours = documents
            .fold(IdDigest::default(), |ids, (_, document)| ids.with(id_of(document.print.id)));
        ours != theirs
    }

    /// What is to be sent again gets numbers from 1 in a new epoch.
    fn renumber(&mut self, epoch: Epoch, again: Again) {
        let documents = std::mem::take(&mut self.documents).into_values();
        let again = documents
            .filter(|document| again == Again::Everything || document.state == State::Pending)
            .map(|document| Document { state: State::Pending, ..document });
        self.documents = (1..).zip(again).collect();
        self.last_seq = self.documents.len() as Seq;
        self.epoch = epoch;
    }
}

/// One connection, as the gateway sees it.
pub struct Connection {
    pub id: u64,
    pub delivery: Delivery,
    pub epoch: Epoch,
    pub told: Seq,
    pub born_at_us: i64,
}

pub struct Gateway {
    pub lanes: Vec<usize>,
    /// Only then earlier commits are kept.
    may_disk_lie: bool,
    pub is_up: bool,
    /// Bytes on disk: everything that was printed since the start, in order.
    pub journal: Vec<(Print, i64, ClockState)>,
    /// Of these, what a power failure leaves.
    pub journal_synced: usize,
    pub spool: Spool,
    /// Earlier commits that the disk may still fall back to.
    unsynced: VecDeque<(Spool, (Epoch, Seq))>,
    pub mark: (Epoch, Seq),
    pub backup: Option<Spool>,
    pub set_aside: Vec<Print>,
    pub is_disk_full: bool,
    pub clock_offset_us: i64,
    pub clock: ClockState,
    pub known: Lanes,
    pub connection: Option<Connection>,
    epochs: u128,
}

impl Gateway {
    pub fn new(lanes: Vec<usize>, may_disk_lie: bool) -> Self {
        let epoch = epoch(1);
        Self {
            lanes,
            may_disk_lie,
            is_up: true,
            journal: Vec::new(),
            journal_synced: 0,
            spool: Spool::new(epoch),
            unsynced: VecDeque::new(),
            mark: (epoch, 0),
            backup: None,
            set_aside: Vec::new(),
            is_disk_full: false,
            clock_offset_us: 0,
            clock: ClockState::Synced,
            known: Lanes::default(),
            connection: None,
            epochs: 1,
        }
    }

    fn commit(&mut self, change: impl FnOnce(&mut Spool)) {
        if self.may_disk_lie {
            self.unsynced.push_back((self.spool.clone(), self.mark));
            if self.unsynced.len() > UNSYNCED_MAX {
                self.unsynced.pop_front();
            }
        }
        change(&mut self.spool);
        self.mark = (self.spool.epoch, self.spool.last_seq);
    }

    /// Reads what the journal holds beyond the spool, and commits it.
    pub fn file_journal(&mut self) {
        if !self.is_up || self.is_disk_full {
            return;
        }
        let from = usize::try_from(self.spool.consumed).unwrap_or(usize::MAX);
        if from >= self.journal.len() {
            return;
        }
        self.journal_synced = self.journal.len();
        let fresh: Vec<_> = self.journal[from..].to_vec();
        let known = &mut self.known;
        let documents: Vec<Document> = fresh
            .into_iter()
            .map(|(print, captured_at_us, clock)| Document {
                stamped: known.stamp(&lane_id(print.lane), timestamp(captured_at_us)).session,
                print,
                captured_at_us,
                clock,
                state: State::Pending,
            })
            .collect();
        self.commit(|spool| {
            for document in documents {
                spool.consumed += 1;
                spool.last_seq += 1;
                if document.stamped.is_some() {
                    let at = timestamp(document.captured_at_us);
                    spool.last_readings.insert(lane_id(document.print.lane), at);
                }
                spool.documents.insert(spool.last_seq, document);
            }
        });
    }

    pub fn sessions(&mut self, sessions: Vec<OpenSession>) {
        self.known.replace(sessions.clone());
        if !self.is_disk_full {
            self.commit(|spool| spool.sessions = sessions);
        }
    }

    /// False if the spool turns out to be older than what the cloud has: a new epoch has begun.
    pub fn acknowledge(&mut self, ack: &Ack, is_first: bool) -> bool {
        let highest = ack.above.iter().map(|(_, last)| *last).fold(ack.upto, Seq::max);
        if highest > self.spool.last_seq {
            self.begin_epoch(Again::Pending);
            return false;
        }
        if self.spool.contradicts(ack) {
            self.begin_epoch(Again::Everything);
            return false;
        }
        self.commit(|spool| spool.acknowledge(ack, is_first));
        true
    }

    fn begin_epoch(&mut self, again: Again) {
        self.epochs += 1;
        let epoch = epoch(self.epochs);
        self.commit(|spool| spool.renumber(epoch, again));
    }

    /// `kill -9`, and a start.
    pub fn restart(&mut self) {
        self.connection = None;
        self.is_up = true;
        if self.mark > (self.spool.epoch, self.spool.last_seq) {
            self.begin_epoch(Again::Pending);
        }
        let last = self.spool.last_readings.iter().map(|(lane, at)| (lane.clone(), *at)).collect();
        self.known = Lanes::new(self.spool.sessions.clone(), last);
    }

    /// The power goes: what the journal had not synced is gone. Gives that.
    pub fn lose_power(&mut self) -> Vec<Print> {
        let consumed = usize::try_from(self.spool.consumed).unwrap_or(usize::MAX);
        let kept = self.journal_synced.max(consumed).min(self.journal.len());
        self.journal.split_off(kept).into_iter().map(|(print, ..)| print).collect()
    }

    /// The power goes, and the disk had not written what it said it had.
    pub fn forget_commits(&mut self, commits: usize) {
        for _ in 0..commits {
            let Some((spool, mark)) = self.unsynced.pop_back() else { return };
            self.spool = spool;
            self.mark = mark;
        }
        self.journal.truncate(self.journal_synced);
    }

    /// The spool cannot be read any more: it is set aside, and a new one begins.
    pub fn damage(&mut self) {
        self.set_aside.extend(self.spool.documents.values().map(|document| document.print));
        self.epochs += 1;
        let consumed = self.spool.consumed;
        self.spool = Spool::new(epoch(self.epochs));
        // Positions are lost with the spool; what was read is not read again.
        self.spool.consumed = consumed;
        self.unsynced.clear();
        self.mark = (self.spool.epoch, 0);
    }

    /// Somebody puts a copy of the whole folder back.
    pub fn restore_backup(&mut self) -> bool {
        let Some(backup) = self.backup.take() else { return false };
        self.unsynced.clear();
        self.mark = (backup.epoch, backup.last_seq);
        // The journal of the copy ends where its spool ends; later prints come behind.
        let consumed = usize::try_from(backup.consumed).unwrap_or(usize::MAX);
        self.journal.truncate(consumed.min(self.journal.len()));
        self.journal_synced = self.journal.len();
        self.spool = backup;
        true
    }
}

fn epoch(n: u128) -> Epoch {
    Epoch(uuid::Uuid::from_u128(n))
}

/// The identifier of a print's document: it stays the same under every number.
pub fn id_of(print: u64) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(print) << 64 | u128::from(print.wrapping_mul(0x9E37_79B9)))
}

pub fn lane_id(lane: usize) -> LaneId {
    LaneId::new(format!("lane-{lane}")).expect("a lane's name")
}

pub fn timestamp(at_us: i64) -> Timestamp {
    Timestamp::from_microsecond(at_us).expect("a time within range")
}
