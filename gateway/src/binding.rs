//! Which lane session stamps a reading (R31). Pure: times are given, nothing is looked up.
//!
//! A session that is closed, expired, or was opened only after the last byte had arrived stamps
//! nothing; the reading then waits in the lane's tray for a person. Nothing is guessed.

use chiasm_proto::{LaneId, LaneSessionId, fleet::OpenSession};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The open sessions of the gateway's lanes and when each lane's last stamped reading came.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    sessions: BTreeMap<LaneId, OpenSession>,
    last_reading: BTreeMap<LaneId, Timestamp>,
}

impl Lanes {
    /// Takes what the spool remembers.
    pub fn new(sessions: Vec<OpenSession>, last_reading: Vec<(LaneId, Timestamp)>) -> Self {
        let mut lanes =
            Self { last_reading: last_reading.into_iter().collect(), ..Self::default() };
        lanes.replace(sessions);
        lanes
    }

    /// The cloud's whole truth: lanes that are not listed have no session. Of two for one lane,
    /// which must not be, neither counts.
    pub fn replace(&mut self, sessions: Vec<OpenSession>) {
        let mut by_lane: BTreeMap<LaneId, Vec<OpenSession>> = BTreeMap::new();
        for session in sessions {
            by_lane.entry(session.lane.clone()).or_default().push(session);
        }
        self.sessions = by_lane
            .into_iter()
            .filter_map(|(lane, mut of_lane)| {
                let only = of_lane.pop()?;
                of_lane.is_empty().then_some((lane, only))
            })
            .collect();
    }

    /// The session that a reading captured at this moment belongs to.
    pub fn session_for(&self, lane: &LaneId, captured_at: Timestamp) -> Option<LaneSessionId> {
        let open = self.sessions.get(lane)?;
        if captured_at < open.opened_at {
            return None;
        }
        let active_at = match self.last_reading.get(lane) {
            Some(reading_at) if *reading_at > open.opened_at => *reading_at,
            _ => open.opened_at,
        };
        let idle_max = SignedDuration::from_secs(i64::from(open.idle_timeout_s));
        (captured_at.duration_since(active_at) <= idle_max).then_some(open.session)
    }

    /// A reading that was stamped keeps its lane's session alive. Others must not be noted: one
    /// that came too late would revive a session that has ended.
    pub fn note_stamped(&mut self, lane: &LaneId, captured_at: Timestamp) {
        let last = self.last_reading.entry(lane.clone()).or_insert(captured_at);
        *last = captured_at.max(*last);
    }

    /// Stamps a reading: gives its session and notes it.
    pub fn stamp(&mut self, lane: &LaneId, captured_at: Timestamp) -> Option<LaneSessionId> {
        let session = self.session_for(lane, captured_at)?;
        self.note_stamped(lane, captured_at);
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).unwrap()
    }
    fn lane(name: &str) -> LaneId {
        LaneId::new(name).unwrap()
    }
    fn open(name: &str, id: u128, second: i64) -> OpenSession {
        OpenSession {
            lane: lane(name),
            session: LaneSessionId(Uuid::from_u128(id)),
            opened_at: at(second),
            idle_timeout_s: 900,
        }
    }
    fn session(id: u128) -> Option<LaneSessionId> {
        Some(LaneSessionId(Uuid::from_u128(id)))
    }

    #[test]
    fn stamps_only_the_lanes_own_session() {
        let lanes = Lanes::new(vec![open("lane-1", 1, 0), open("lane-2", 2, 0)], vec![]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(5)), session(1));
        assert_eq!(lanes.session_for(&lane("lane-2"), at(5)), session(2));
        assert_eq!(lanes.session_for(&lane("lane-3"), at(5)), None);
    }

    #[test]
    fn a_reading_from_before_the_session_belongs_to_nobody() {
        let lanes = Lanes::new(vec![open("lane-1", 1, 100)], vec![]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(99)), None);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(100)), session(1));
    }

    #[test]
    fn idle_time_counts_from_the_last_reading() {
        let mut lanes = Lanes::new(vec![open("lane-1", 1, 0)], vec![]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(900)), session(1));
        assert_eq!(lanes.session_for(&lane("lane-1"), at(901)), None);
        assert_eq!(lanes.stamp(&lane("lane-1"), at(800)), session(1));
        assert_eq!(lanes.session_for(&lane("lane-1"), at(1700)), session(1));
        assert_eq!(lanes.session_for(&lane("lane-1"), at(1701)), None);
    }

    #[test]
    fn a_reading_after_the_end_does_not_revive_the_session() {
        let mut lanes = Lanes::new(vec![open("lane-1", 1, 0)], vec![]);
        assert_eq!(lanes.stamp(&lane("lane-1"), at(2000)), None);
        assert_eq!(lanes.stamp(&lane("lane-1"), at(2001)), None);
    }

    #[test]
    fn what_is_not_listed_is_closed_and_a_contradiction_counts_for_nothing() {
        let mut lanes = Lanes::new(vec![open("lane-1", 1, 0)], vec![]);
        lanes.replace(vec![]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(5)), None);
        lanes.replace(vec![open("lane-1", 1, 0), open("lane-1", 2, 0)]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(5)), None);
    }
}
