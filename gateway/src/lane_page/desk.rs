//! What people may do at the page, and how it gets into the spool.

use super::{
    Reach, Reached, StaffCache,
    board::{Board, Entry, READINGS_MAX},
};
use crate::{
    binding::{LocalLane, LocalSession},
    clock,
    dicom::worklist::WorklistCache,
    spool::{Document, SharedLanes, Spool, SpoolError},
};
use chiasm_proto::{
    Body, Deed, LaneAct, LaneId, LaneSessionId, ReadingId, ScheduledVisit, Seq, fleet::OpenSession,
    lane_page::SessionEnd,
};
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use std::{
    collections::BTreeSet,
    sync::{
        MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Until the cloud has been away for so long, work is done there: two places at once would only
/// make two truths.
pub const OFFLINE_AFTER: SignedDuration = SignedDuration::from_secs(30);
/// A session without a reading ends after this time, as one of the cloud does (T1).
pub const SESSION_IDLE_MAX_S: u32 = 20 * 60;
/// How late an end by time is noted.
const EXPIRY_LOOK_EVERY: Duration = Duration::from_secs(5);
/// Documents that are taken in at once.
const TAKEN_MAX: usize = 200;

/// Why something was not done, for the person.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("The cloud answers: open sessions and accept readings there.")]
    CloudAnswers,
    #[error("This gateway has no such lane.")]
    NoLane,
    #[error("This visit is not on today's schedule as this gateway knows it.")]
    NoVisit,
    #[error("Nobody is in this lane: choose the patient first.")]
    NoSession,
    #[error("This reading is not there any more.")]
    NoReading,
    #[error(
        "The instrument sent id {claimed}, this patient has chart number {chart}. It waits for \
             the inbox of the cloud."
    )]
    IdsDiffer { claimed: String, chart: String },
    #[error("It could not be written down: {0}. Try again.")]
    Spool(#[from] SpoolError),
}

/// The page's share of the gateway.
pub struct Desk {
    pub spool: Spool,
    pub lanes: SharedLanes,
    pub worklist: WorklistCache,
    pub staff: StaffCache,
    pub reach: Reach,
    /// The lanes of this gateway's links.
    pub own_lanes: Vec<LaneId>,
    pub offline_after: SignedDuration,
    /// A person has said that they work here although the cloud answers.
    is_switched: AtomicBool,
    board: Mutex<Board>,
    /// One change at a time: what it is based on holds until it is written.
    turn: Mutex<()>,
}

/// Who is in a lane, as far as is known here.
#[derive(Debug, Clone)]
pub enum InLane {
    Nobody,
    /// Chosen in the cloud, which does not tell gateways whom.
    ChosenInCloud,
    Visit {
        visit: Option<Box<ScheduledVisit>>,
        session: Box<LocalSession>,
    },
}

impl Desk {
    pub fn new(
        (spool, lanes): (Spool, SharedLanes),
        worklist: WorklistCache,
        staff: StaffCache,
        reach: Reach,
        (own_lanes, offline_after): (Vec<LaneId>, SignedDuration),
    ) -> Self {
        Self {
            spool,
            lanes,
            worklist,
            staff,
            reach,
            own_lanes,
            offline_after,
            is_switched: AtomicBool::new(false),
            board: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// Notes for ever which sessions end by time.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(EXPIRY_LOOK_EVERY).await;
            if let Err(error) = self.end_expired(clock::wall()).await {
                tracing::warn!(%error, "cannot note that a lane session has ended by time");
            }
        }
    }

    pub fn reached(&self) -> Reached {
        self.reach.now()
    }

    pub fn is_switched(&self) -> bool {
        self.is_switched.load(Ordering::Relaxed)
    }

    pub fn switch(&self, is_switched: bool) {
        self.is_switched.store(is_switched, Ordering::Relaxed);
    }

    /// Whether people may work here now.
    pub fn may_work(&self, now: Timestamp) -> bool {
        let reached = self.reached();
        let is_away =
            !reached.is_connected && now.duration_since(reached.since) >= self.offline_after;
        is_away || self.is_switched()
    }

    pub fn zone(&self) -> TimeZone {
        let staff = self.staff.current();
        let name = staff.as_ref().map_or("UTC", |staff| staff.time_zone.as_str());
        TimeZone::get(name).unwrap_or(TimeZone::UTC)
    }

    /// What people call a lane.
    pub fn name_of(&self, lane: &LaneId) -> String {
        let staff = self.staff.current();
        let named = staff.as_ref().and_then(|it| it.lanes.iter().find(|it| it.lane == *lane));
        named.map_or_else(|| lane.to_string(), |it| it.name.clone())
    }

    /// What people call somebody who did something here.
    pub fn name_of_account(&self, account: &str) -> String {
        let staff = self.staff.current();
        let named = staff.as_ref().and_then(|it| it.people.iter().find(|it| it.account == account));
        named.map_or_else(|| "somebody".to_owned(), |it| it.name.clone())
    }

    /// Today's visits by the clinic's calendar, by time.
    pub fn visits(&self, now: Timestamp) -> Vec<ScheduledVisit> {
        let today: civil::Date = self.zone().to_datetime(now).date();
        let Some(worklist) = self.worklist.current() else { return Vec::new() };
        let mut visits: Vec<ScheduledVisit> = worklist
            .visits
            .iter()
            .filter(|visit| visit.scheduled_at.date() == today)
            .cloned()
            .collect();
        visits.sort_by(|a, b| {
            (a.scheduled_at, &a.family_name).cmp(&(b.scheduled_at, &b.family_name))
        });
        visits
    }

    fn visit(&self, accession: &str) -> Option<ScheduledVisit> {
        let worklist = self.worklist.current()?;
        worklist.visits.iter().find(|visit| visit.accession == accession).cloned()
    }

    pub fn in_lane(&self, lane: &LaneId, now: Timestamp) -> InLane {
        let lanes = self.lanes();
        if lanes.session_for(lane, now).is_none() {
            return InLane::Nobody;
        }
        match lanes.local_session(lane).cloned() {
            Some(session) => {
                drop(lanes);
                InLane::Visit {
                    visit: self.visit(&session.accession).map(Box::new),
                    session: Box::new(session),
                }
            }
            None => InLane::ChosenInCloud,
        }
    }

    /// The board with everything that is committed.
    pub async fn board(&self) -> Result<tokio::sync::MutexGuard<'_, Board>, SpoolError> {
        let mut board = self.board.lock().await;
        loop {
            let progress = self.spool.progress().borrow().clone();
            let after = board.upto(progress.epoch);
            let first = progress.last_seq.saturating_sub(READINGS_MAX as u64);
            board.skip_to(first);
            let documents = self.spool.kept_after(after.max(first), TAKEN_MAX).await?;
            documents.iter().for_each(|document| board.take(document));
            if documents.len() < TAKEN_MAX {
                return Ok(board);
            }
        }
    }

    /// Numbers of the documents that the cloud does not have, as far as they can be shown.
    pub async fn pending(&self) -> Result<BTreeSet<Seq>, SpoolError> {
        let last = self.spool.progress().borrow().last_seq;
        let after = last.saturating_sub(READINGS_MAX as u64);
        Ok(self.spool.pending_after(after, READINGS_MAX).await?.into_iter().collect())
    }

    /// The lane measures this visit's patient from now on.
    pub async fn open(&self, who: &str, lane: &LaneId, accession: &str) -> Result<(), Refusal> {
        let _turn = self.begin(lane).await?;
        let now = clock::wall();
        let visit = self.visits(now).into_iter().find(|visit| visit.accession == accession);
        let accession = visit.ok_or(Refusal::NoVisit)?.accession;
        let ends = {
            let lanes = self.lanes();
            let is_in_it = lanes.local_session(lane).is_some_and(|it| it.accession == accession);
            if is_in_it && lanes.session_for(lane, now).is_some() {
                return Ok(());
            }
            lanes.known(lane)
        };
        let session = LaneSessionId(Uuid::now_v7());
        let open = OpenSession {
            lane: lane.clone(),
            session,
            opened_at: now,
            idle_timeout_s: SESSION_IDLE_MAX_S,
        };
        let local = LocalSession { open, accession: accession.clone(), account: who.to_owned() };
        let deed = Deed::SessionOpened { session, accession, ends };
        self.write_session((who, lane), deed, Some(local), now).await
    }

    /// Nobody is in the lane any more.
    pub async fn end(&self, who: &str, lane: &LaneId) -> Result<(), Refusal> {
        let _turn = self.begin(lane).await?;
        let Some(session) = self.lanes().known(lane) else { return Ok(()) };
        let deed = Deed::SessionEnded { session, why: SessionEnd::Person };
        self.write_session((who, lane), deed, None, clock::wall()).await
    }

    /// Accepts one reading of the patient in the lane, or all that need no look of their own.
    pub async fn accept(
        &self,
        who: &str,
        lane: &LaneId,
        reading: Option<ReadingId>,
    ) -> Result<(), Refusal> {
        let _turn = self.begin(lane).await?;
        let now = clock::wall();
        let InLane::Visit { session, .. } = self.in_lane(lane, now) else {
            return Err(Refusal::NoSession);
        };
        let accession = session.accession;
        let chosen: Vec<ReadingId> = {
            let board = self.board().await?;
            let is_chosen = |entry: &&Entry| match reading {
                Some(id) => entry.id == id,
                None => !entry.needs_a_look,
            };
            let open = board.of_visit(lane, &accession, now).filter(|it| it.accepted.is_none());
            open.filter(is_chosen).map(|entry| entry.id).collect()
        };
        if chosen.is_empty() && reading.is_some() {
            return Err(Refusal::NoReading);
        }
        for reading in chosen {
            let deed = Deed::ReadingAccepted { reading, accession: accession.clone() };
            self.write((who, lane), deed, None, now).await?;
        }
        Ok(())
    }

    /// A reading of the tray is of the patient in the lane, unless the data says otherwise.
    pub async fn assign(
        &self,
        who: &str,
        lane: &LaneId,
        reading: ReadingId,
    ) -> Result<(), Refusal> {
        let _turn = self.begin(lane).await?;
        let now = clock::wall();
        let InLane::Visit { visit: Some(visit), .. } = self.in_lane(lane, now) else {
            return Err(Refusal::NoSession);
        };
        {
            let pending = self.pending().await?;
            let board = self.board().await?;
            let entry = board.tray(lane, &pending, now).find(|it| it.id == reading);
            check_identity(entry.ok_or(Refusal::NoReading)?, &visit)?;
        }
        let deed = Deed::ReadingAssigned { reading, accession: visit.accession };
        self.write((who, lane), deed, None, now).await
    }

    async fn end_expired(&self, now: Timestamp) -> Result<(), Refusal> {
        let _turn = self.turn.lock().await;
        let expired: Vec<(LaneId, LocalSession, Timestamp)> = {
            let lanes = self.lanes();
            let over = |(lane, local): (&LaneId, &LocalLane)| {
                let ends_at = lanes.ends_at(lane).filter(|ends_at| *ends_at < now)?;
                Some((lane.clone(), local.session.clone()?, ends_at))
            };
            lanes.local().filter_map(over).collect()
        };
        for (lane, session, ended_at) in expired {
            let why = SessionEnd::Time;
            let deed = Deed::SessionEnded { session: session.open.session, why };
            self.write_session((&session.account, &lane), deed, None, ended_at).await?;
        }
        Ok(())
    }

    async fn begin(&self, lane: &LaneId) -> Result<tokio::sync::MutexGuard<'_, ()>, Refusal> {
        if !self.own_lanes.contains(lane) {
            return Err(Refusal::NoLane);
        }
        let turn = self.turn.lock().await;
        if self.may_work(clock::wall()) { Ok(turn) } else { Err(Refusal::CloudAnswers) }
    }

    async fn write_session(
        &self,
        by: (&str, &LaneId),
        deed: Deed,
        session: Option<LocalSession>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        self.write(by, deed, Some(session), at).await
    }

    /// Committed first, and only then in force: a session that nobody would hear of files nothing.
    async fn write(
        &self,
        (who, lane): (&str, &LaneId),
        deed: Deed,
        session: Option<Option<LocalSession>>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let clock = clock::state();
        let act = LaneAct { lane: lane.clone(), account: who.to_owned(), clock, deed };
        let document = Document::new(at, Body::LaneAct(act));
        let local = session.map(|session| (lane.clone(), LocalLane { session, act: document.id }));
        self.spool.act(document, local.clone()).await?;
        if let Some((lane, local)) = local {
            self.lanes().set_local(lane, local);
        }
        Ok(())
    }

    fn lanes(&self) -> MutexGuard<'_, crate::binding::Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An identity inside the data is that of the visit, or the cloud has to be asked (R33).
fn check_identity(entry: &Entry, visit: &ScheduledVisit) -> Result<(), Refusal> {
    let Some(claimed) = entry.claimed.as_deref().filter(|id| !id.is_empty()) else {
        return Ok(());
    };
    if claimed == visit.chart_number.trim() || claimed == visit.accession {
        return Ok(());
    }
    let (claimed, chart) = (claimed.to_owned(), visit.chart_number.clone());
    Err(Refusal::IdsDiffer { claimed, chart })
}
