//! What to send next: a state machine over numbers and time, without I/O.
//!
//! Live documents go in the order of their numbers: newest first would leave a gap that grows with
//! a burst, and an acknowledgement describes only so many of them.
//!
//! Only the cloud's acknowledgement of its database commit takes a document out of flight; what a
//! broker or a client library says proves nothing. Live documents go before the backlog, which gets
//! a part of the window so that a live one always finds room.

use chiasm_proto::{Ack, Seq};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// Most documents that wait for an acknowledgement at a time.
pub const WINDOW_MAX: usize = 64;
/// Of these, most live ones, and most others: neither may keep the other from moving.
pub const LIVE_WINDOW_MAX: usize = 48;
pub const BACKLOG_WINDOW_MAX: usize = 48;
/// Most numbers that wait to be sent out of turn. What does not fit is found again in the backlog.
pub const URGENT_MAX: usize = 1024;
/// Without an acknowledgement for so long a document is sent again.
pub const RESEND_AFTER: Duration = Duration::from_secs(10);
/// The cloud may miss what is still on its way: only what was sent so long ago is sent again.
pub const MISSING_AFTER: Duration = Duration::from_secs(2);
/// A connection on which nothing is acknowledged for so long, with something in flight, is dead.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);
/// The backlog waits so long for the cloud's first word, which may say that it has it already.
pub const FIRST_ACK_WAIT: Duration = Duration::from_secs(2);

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this document, if it is still pending, and say so with [`Delivery::sent`]; if it is
    /// not, say [`Delivery::gone`].
    Send(Seq),
    /// Look up pending numbers after this one, at most so many, and give them to
    /// [`Delivery::backlog`].
    LookUp { after: Seq, limit: usize },
    /// Drop the connection and make a new one.
    Reconnect,
    /// Nothing, until this moment or the next input.
    Wait(Option<Instant>),
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    is_live: bool,
}

/// One connection's view of what was sent. Made anew for each connection: everything that is
/// pending in the spool is then sent again.
#[derive(Debug)]
pub struct Delivery {
    connected_at: Instant,
    in_flight: BTreeMap<Seq, Sent>,
    live: BTreeSet<Seq>,
    again: BTreeSet<Seq>,
    /// Found in the spool, not sent yet.
    found: BTreeSet<Seq>,
    /// Every pending number up to here was found in this connection.
    cursor: Seq,
    is_backlog_empty: bool,
    /// The last one: the spool may not have written it yet when it is asked.
    ack: Option<Ack>,
    progress_at: Instant,
}

impl Delivery {
    pub fn new(now: Instant) -> Self {
        Self {
            connected_at: now,
            in_flight: BTreeMap::new(),
            live: BTreeSet::new(),
            again: BTreeSet::new(),
            found: BTreeSet::new(),
            cursor: 0,
            is_backlog_empty: false,
            ack: None,
            progress_at: now,
        }
    }

    /// The spool has committed these numbers while connected.
    pub fn committed(&mut self, first: Seq, last: Seq) {
        for seq in first..=last {
            if self.live.len() >= URGENT_MAX {
                self.rewind(seq.saturating_sub(1));
                return;
            }
            self.live.insert(seq);
        }
    }

    /// What the spool found after the cursor, in order; fewer than asked for means that no more
    /// are there.
    pub fn backlog(&mut self, found: &[Seq], limit: usize) {
        if let Some(last) = found.last() {
            self.cursor = self.cursor.max(*last);
        }
        self.is_backlog_empty = found.len() < limit;
        let fresh = found.iter().filter(|seq| {
            !self.in_flight.contains_key(seq)
                && !self.live.contains(seq)
                && !self.again.contains(seq)
                && !self.ack.as_ref().is_some_and(|ack| ack.settles(**seq))
        });
        self.found.extend(fresh);
    }

    /// A document is on its way.
    pub fn sent(&mut self, seq: Seq, now: Instant) {
        let before = self.in_flight.get(&seq).is_some_and(|sent| sent.is_live);
        let is_live = before || self.live.contains(&seq);
        self.forget(seq);
        if self.in_flight.is_empty() {
            self.progress_at = now;
        }
        self.in_flight.insert(seq, Sent { at: now, is_live });
    }

    /// A document is no longer pending.
    pub fn gone(&mut self, seq: Seq) {
        self.forget(seq);
        self.in_flight.remove(&seq);
    }

    /// The cloud has committed. `is_first` of this connection, because then the spool may have put
    /// documents back that the cloud has lost.
    pub fn acknowledged(&mut self, ack: &Ack, now: Instant) {
        let before = self.in_flight.len();
        self.in_flight.retain(|seq, _| !ack.settles(*seq));
        for waiting in [&mut self.live, &mut self.again, &mut self.found] {
            waiting.retain(|seq| !ack.settles(*seq));
        }
        if self.in_flight.len() < before || self.in_flight.is_empty() {
            self.progress_at = now;
        }
        if self.ack.replace(ack.clone()).is_none() {
            self.rewind(0);
        }
        for seq in ack.missing.iter().copied() {
            match self.in_flight.get(&seq) {
                Some(sent) if now.duration_since(sent.at) < MISSING_AFTER => {}
                Some(_) => {
                    self.in_flight.remove(&seq);
                    self.again.insert(seq);
                }
                // Not sent in this connection: part of the backlog, and found there.
                None if self.found.len() < URGENT_MAX
                    && !self.live.contains(&seq)
                    && !self.again.contains(&seq) =>
                {
                    self.found.insert(seq);
                }
                None => {}
            }
        }
    }

    /// The next step. To be asked again after every answer until it says to wait.
    pub fn next(&mut self, now: Instant) -> Action {
        if !self.in_flight.is_empty() && now.duration_since(self.progress_at) >= STUCK_AFTER {
            return Action::Reconnect;
        }
        if let Some(seq) = self.overdue(now) {
            return Action::Send(seq);
        }
        let live = self.in_flight.values().filter(|sent| sent.is_live).count();
        let others = self.in_flight.len() - live;
        let has_room = self.in_flight.len() < WINDOW_MAX;
        if has_room
            && live < LIVE_WINDOW_MAX
            && let Some(seq) = self.live.first()
        {
            return Action::Send(*seq);
        }
        if has_room && others < BACKLOG_WINDOW_MAX && self.may_send_backlog(now) {
            if let Some(seq) = self.again.first().or_else(|| self.found.first()) {
                return Action::Send(*seq);
            }
            if !self.is_backlog_empty {
                return Action::LookUp { after: self.cursor, limit: WINDOW_MAX };
            }
        }
        Action::Wait(self.wake_at(now))
    }

    /// How many documents wait for an acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub fn has_first_ack(&self) -> bool {
        self.ack.is_some()
    }

    fn may_send_backlog(&self, now: Instant) -> bool {
        self.has_first_ack() || now >= self.connected_at + FIRST_ACK_WAIT
    }

    fn overdue(&self, now: Instant) -> Option<Seq> {
        let mut overdue =
            self.in_flight.iter().filter(|(_, sent)| now.duration_since(sent.at) >= RESEND_AFTER);
        overdue.next().map(|(seq, _)| *seq)
    }

    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let resend = self.in_flight.values().map(|sent| sent.at + RESEND_AFTER).min();
        let stuck = (!self.in_flight.is_empty()).then(|| self.progress_at + STUCK_AFTER);
        let first = (!self.may_send_backlog(now)).then(|| self.connected_at + FIRST_ACK_WAIT);
        [resend, stuck, first].into_iter().flatten().min()
    }

    fn rewind(&mut self, to: Seq) {
        self.cursor = self.cursor.min(to);
        self.is_backlog_empty = false;
    }

    fn forget(&mut self, seq: Seq) {
        self.live.remove(&seq);
        self.again.remove(&seq);
        self.found.remove(&seq);
    }
}

#[cfg(test)]
mod tests;
