//! The cloud: a ledger that is changed by whole transactions, and what waits for the next one.

use super::gateway::{Document, id_of, lane_id, timestamp};
use chiasm_cloud::domain::{
    placement::{self, Facts, Known, LaneSession, Place, SESSION_IDLE_MAX_US},
    progress::Progress,
};
use chiasm_proto::{
    Ack, Epoch, LaneSessionId, Rejection, Seq, ack::FILED_BEFORE, fleet::OpenSession,
};
use std::collections::BTreeMap;

/// Documents in one transaction, as in the product.
const BATCH_MAX: usize = 200;

type Key = (usize, Epoch, Seq);

#[derive(Debug, Clone)]
pub struct Filed {
    pub print: u64,
    pub place: Place,
    /// Whose exam it is in.
    pub patient: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Session {
    pub id: LaneSessionId,
    pub lane: usize,
    pub patient: u64,
    pub opened_at_us: i64,
    pub closed_at_us: Option<i64>,
}

/// What the database holds.
#[derive(Debug, Clone, Default)]
pub struct Database {
    pub ledger: BTreeMap<Key, Filed>,
    /// Which number each print is filed under.
    pub prints: BTreeMap<u64, Key>,
    /// Numbers of prints that are filed under another number.
    pub rejected: BTreeMap<Key, u64>,
    /// Other contents of numbers under which something is filed: kept, shown, never filed.
    pub differing: BTreeMap<Key, u64>,
    pub streams: BTreeMap<(usize, Epoch), Progress>,
    pub sessions: Vec<Session>,
}

impl Database {
    pub fn open_session(&self, lane: usize) -> Option<&Session> {
        self.sessions.iter().rev().find(|it| it.lane == lane && it.closed_at_us.is_none())
    }

    pub fn close(&mut self, lane: usize, at_us: i64) {
        for session in self.sessions.iter_mut().filter(|session| session.lane == lane) {
            session.closed_at_us.get_or_insert(at_us);
        }
    }

    /// What a gateway with these lanes is told.
    pub fn sessions_of(&self, lanes: &[usize]) -> Vec<OpenSession> {
        let open = |lane: &usize| {
            self.open_session(*lane).map(|session| OpenSession {
                lane: lane_id(*lane),
                session: session.id,
                opened_at: timestamp(session.opened_at_us),
                idle_timeout_s: u32::try_from(SESSION_IDLE_MAX_US / 1_000_000).unwrap_or(u32::MAX),
            })
        };
        lanes.iter().filter_map(open).collect()
    }

    fn place(&self, document: &Document) -> Filed {
        let text = |patient: u64| format!("P{patient}");
        let sessions: Vec<LaneSession> = self
            .sessions
            .iter()
            .filter(|session| session.lane == document.print.lane)
            .map(|session| LaneSession {
                lane_session_id: session.id.to_string(),
                encounter_id: text(session.patient),
                chart_number: text(session.patient),
                opened_at_us: session.opened_at_us,
                closed_at_us: session.closed_at_us,
                is_of_gateway: false,
            })
            .collect();
        let (stamped, claimed) =
            (document.stamped.map(|id| id.to_string()), document.print.claimed.map(text));
        let facts = Facts {
            captured_at_us: document.captured_at_us,
            clock: document.clock,
            stamped: stamped.as_deref(),
            is_lane_empty: false,
            claimed: claimed.as_deref(),
            known: Known::default(),
        };
        let placed = placement::place(facts, &sessions);
        let patient = placed.encounter_id.and_then(|id| id.strip_prefix('P')?.parse().ok());
        Filed { print: document.print.id, place: placed.place, patient }
    }

    fn file(&mut self, gateway: usize, epoch: Epoch, seq: Seq, document: &Document) {
        let (key, print) = ((gateway, epoch, seq), document.print.id);
        let progress = self.streams.entry((gateway, epoch)).or_default();
        let is_known = progress.contains(seq);
        if progress.add(seq, Some(id_of(print))).is_err() {
            return;
        }
        let same = self.ledger.get(&key).map(|filed| filed.print == print);
        match same {
            Some(true) => {}
            // Under this number something else is filed, or this print under another number.
            Some(false) => drop(self.differing.insert(key, print)),
            None if self.prints.contains_key(&print) => drop(self.rejected.insert(key, print)),
            None if is_known && self.rejected.contains_key(&key) => {}
            None => {
                let filed = self.place(document);
                self.prints.insert(print, key);
                self.ledger.insert(key, filed);
            }
        }
    }

    pub fn ack(&self, gateway: usize, epoch: Epoch) -> Ack {
        let of_stream = self.rejected.range((gateway, epoch, 0)..=(gateway, epoch, Seq::MAX));
        let other = self.differing.range((gateway, epoch, 0)..=(gateway, epoch, Seq::MAX));
        let rejection =
            |seq: Seq, code: &str| Rejection { seq, code: code.into(), detail: String::new() };
        let rejected = of_stream
            .map(|((_, _, seq), _)| rejection(*seq, FILED_BEFORE))
            .chain(other.map(|((_, _, seq), _)| rejection(*seq, "content_differs")))
            .collect();
        let none = Progress::default();
        self.streams.get(&(gateway, epoch)).unwrap_or(&none).ack(epoch, rejected)
    }
}

/// What came up from a gateway.
#[derive(Debug, Clone)]
pub enum Up {
    Birth { epoch: Epoch },
    Reading { epoch: Epoch, seq: Seq, document: Document },
}

#[derive(Default)]
pub struct Cloud {
    pub database: Database,
    pub backup: Option<(Database, i64)>,
    pub is_up: bool,
    /// The database is away: nothing is committed, and nothing answered.
    pub is_database_up: bool,
    queue: Vec<(usize, Up)>,
}

impl Cloud {
    pub fn running() -> Self {
        Self { is_up: true, is_database_up: true, ..Self::default() }
    }

    pub fn take(&mut self, gateway: usize, up: Up) {
        if self.is_up {
            self.queue.push((gateway, up));
        }
    }

    /// One transaction. Gives who is to be told what: nothing of it is said if the cloud dies before
    /// it is said.
    pub fn commit(&mut self) -> Vec<(usize, Ack, bool)> {
        if !self.is_up || !self.is_database_up {
            return Vec::new();
        }
        let rest = self.queue.split_off(self.queue.len().min(BATCH_MAX));
        let mut batch = std::mem::replace(&mut self.queue, rest);
        batch.sort_by_key(|(gateway, up)| match up {
            Up::Reading { seq, .. } => (*gateway, *seq),
            Up::Birth { .. } => (*gateway, Seq::MAX),
        });
        let mut streams: BTreeMap<(usize, Epoch), bool> = BTreeMap::new();
        for (gateway, up) in &batch {
            match up {
                Up::Birth { epoch } => *streams.entry((*gateway, *epoch)).or_default() = true,
                Up::Reading { epoch, seq, document } => {
                    streams.entry((*gateway, *epoch)).or_default();
                    self.database.file(*gateway, *epoch, *seq, document);
                }
            }
        }
        let answer =
            |((gateway, epoch), is_birth)| (gateway, self.database.ack(gateway, epoch), is_birth);
        streams.into_iter().map(answer).collect()
    }

    pub fn kill(&mut self) {
        self.is_up = false;
        self.queue.clear();
    }

    /// The database as it was, with the sessions ended that stand open in it (`admin restored`).
    pub fn restore_backup(&mut self) -> bool {
        let Some((mut database, at_us)) = self.backup.take() else { return false };
        for session in &mut database.sessions {
            session.closed_at_us.get_or_insert(at_us);
        }
        self.database = database;
        self.queue.clear();
        true
    }
}
