//! Which lane session stamps a reading (R31). Pure: times are given, nothing is looked up.
//!
//! A session that is closed, expired, or was opened only after the last byte had arrived stamps
//! nothing; the reading then waits in the lane's tray for a person. Nothing is guessed.

use chiasm_proto::{
    LaneId, LaneSessionId, ReadingId,
    fleet::{HeardAct, OpenSession},
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was last done about a lane's session at the gateway's own page. It counts until the cloud
/// has heard of it (T12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalLane {
    /// None: the session was ended, and nobody is in the lane.
    pub session: Option<LocalSession>,
    /// The document that tells the cloud.
    pub act: ReadingId,
}

/// A session that a person opened at the gateway's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalSession {
    pub open: OpenSession,
    /// The visit, as the cloud named it in the schedule.
    pub accession: String,
    /// Who opened it.
    pub account: String,
}

/// What a reading says about its lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    pub session: Option<LaneSessionId>,
    /// Nobody was in the lane, by what was done at the gateway's page.
    pub is_lane_empty: bool,
}

/// The open sessions of the gateway's lanes and when each lane's last stamped reading came.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    sessions: BTreeMap<LaneId, OpenSession>,
    last_reading: BTreeMap<LaneId, Timestamp>,
    local: BTreeMap<LaneId, LocalLane>,
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

    /// The same with what was done at the gateway's page.
    #[must_use]
    pub fn with_local(mut self, local: Vec<(LaneId, LocalLane)>) -> Self {
        self.local = local.into_iter().collect();
        self
    }

    /// Somebody has opened or ended a session at the gateway's page.
    pub fn set_local(&mut self, lane: LaneId, local: LocalLane) {
        self.local.insert(lane, local);
    }

    /// The cloud has heard of these acts: where they are the newest, its word counts again.
    pub fn heard(&mut self, acts: &[HeardAct]) {
        self.local.retain(|lane, local| {
            !acts.iter().any(|heard| heard.lane == *lane && heard.act == local.act)
        });
    }

    /// What was done at the gateway's page and counts.
    pub fn local(&self) -> impl Iterator<Item = (&LaneId, &LocalLane)> {
        self.local.iter()
    }

    /// Who is in a lane by the gateway's page, while that counts.
    pub fn local_session(&self, lane: &LaneId) -> Option<&LocalSession> {
        self.local.get(lane)?.session.as_ref()
    }

    /// The session that counts in a lane, whether or not its time is over.
    fn in_force(&self, lane: &LaneId) -> Option<&OpenSession> {
        match self.local.get(lane) {
            Some(local) => local.session.as_ref().map(|session| &session.open),
            None => self.sessions.get(lane),
        }
    }

    /// The session that the next one in the lane ends.
    pub fn known(&self, lane: &LaneId) -> Option<LaneSessionId> {
        self.in_force(lane).map(|open| open.session)
    }

    /// When the lane's session ends if no further reading comes.
    pub fn ends_at(&self, lane: &LaneId) -> Option<Timestamp> {
        let open = self.in_force(lane)?;
        Some(self.active_at(lane, open).saturating_add(idle_max(open)).unwrap_or(Timestamp::MAX))
    }

    fn active_at(&self, lane: &LaneId, open: &OpenSession) -> Timestamp {
        match self.last_reading.get(lane) {
            Some(reading_at) if *reading_at > open.opened_at => *reading_at,
            _ => open.opened_at,
        }
    }

    /// The session that a reading captured at this moment belongs to.
    pub fn session_for(&self, lane: &LaneId, captured_at: Timestamp) -> Option<LaneSessionId> {
        let open = self.in_force(lane)?;
        if captured_at < open.opened_at {
            return None;
        }
        let idle = captured_at.duration_since(self.active_at(lane, open));
        (idle <= idle_max(open)).then_some(open.session)
    }

    /// A reading that was stamped keeps its lane's session alive. Others must not be noted: one
    /// that came too late would revive a session that has ended.
    pub fn note_stamped(&mut self, lane: &LaneId, captured_at: Timestamp) {
        let last = self.last_reading.entry(lane.clone()).or_insert(captured_at);
        *last = captured_at.max(*last);
    }

    /// Stamps a reading: gives its session and notes it.
    pub fn stamp(&mut self, lane: &LaneId, captured_at: Timestamp) -> Stamp {
        let session = self.session_for(lane, captured_at);
        if session.is_some() {
            self.note_stamped(lane, captured_at);
        }
        let is_lane_empty = session.is_none() && self.local.contains_key(lane);
        Stamp { session, is_lane_empty }
    }
}

fn idle_max(open: &OpenSession) -> SignedDuration {
    SignedDuration::from_secs(i64::from(open.idle_timeout_s))
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
        assert_eq!(lanes.stamp(&lane("lane-1"), at(800)).session, session(1));
        assert_eq!(lanes.session_for(&lane("lane-1"), at(1700)), session(1));
        assert_eq!(lanes.session_for(&lane("lane-1"), at(1701)), None);
    }

    #[test]
    fn a_reading_after_the_end_does_not_revive_the_session() {
        let mut lanes = Lanes::new(vec![open("lane-1", 1, 0)], vec![]);
        assert_eq!(lanes.stamp(&lane("lane-1"), at(2000)), Stamp::default());
        assert_eq!(lanes.stamp(&lane("lane-1"), at(2001)), Stamp::default());
    }

    #[test]
    fn what_is_not_listed_is_closed_and_a_contradiction_counts_for_nothing() {
        let mut lanes = Lanes::new(vec![open("lane-1", 1, 0)], vec![]);
        lanes.replace(vec![]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(5)), None);
        lanes.replace(vec![open("lane-1", 1, 0), open("lane-1", 2, 0)]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(5)), None);
    }

    fn local(id: Option<u128>, act: u128, second: i64) -> LocalLane {
        let session = id.map(|id| LocalSession {
            open: open("lane-1", id, second),
            accession: "4K7MX2QPAB".into(),
            account: "ana".into(),
        });
        LocalLane { session, act: ReadingId(Uuid::from_u128(act)) }
    }

    fn heard(act: u128) -> HeardAct {
        HeardAct { lane: lane("lane-1"), act: ReadingId(Uuid::from_u128(act)) }
    }

    #[test]
    fn t12_what_the_page_did_counts_until_the_cloud_has_heard_of_it() {
        let mut lanes = Lanes::new(vec![open("lane-1", 1, 0)], vec![]);
        lanes.set_local(lane("lane-1"), local(Some(2), 7, 100));
        // The cloud does not know of it yet, and names the session that it knows.
        lanes.replace(vec![open("lane-1", 1, 0)]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(150)), session(2));
        lanes.set_local(lane("lane-1"), local(None, 8, 200));
        lanes.heard(&[heard(7)]);
        let stamp = lanes.stamp(&lane("lane-1"), at(250));
        assert_eq!(stamp, Stamp { session: None, is_lane_empty: true }, "7 is not the newest");
        lanes.heard(&[heard(8)]);
        assert_eq!(lanes.session_for(&lane("lane-1"), at(250)), session(1), "the cloud's counts");
        assert!(!lanes.stamp(&lane("lane-1"), at(2000)).is_lane_empty);
    }

    #[test]
    fn t12_a_session_of_the_page_ends_by_time_as_well() {
        let mut lanes = Lanes::default();
        lanes.set_local(lane("lane-1"), local(Some(2), 7, 100));
        assert_eq!(lanes.ends_at(&lane("lane-1")), Some(at(1000)));
        assert_eq!(lanes.stamp(&lane("lane-1"), at(900)).session, session(2));
        assert_eq!(lanes.ends_at(&lane("lane-1")), Some(at(1800)));
        let late = lanes.stamp(&lane("lane-1"), at(1801));
        assert_eq!(late, Stamp { session: None, is_lane_empty: true });
    }
}
