//! Where a reading goes: an exam only by the rule for identities (R31), anything else waits.

use chiasm_proto::ClockState;
use serde::Serialize;

/// How far a gateway's clock may be behind the cloud's when it stamps a session. It cannot have
/// known the session before it was opened, so a capture a little "before" is after.
pub const CLOCK_BEHIND_MAX_US: i64 = 120 * 1_000_000;
/// The same content again within this time is a second print (T5).
pub const DUPLICATE_WITHIN_US: i64 = 600 * 1_000_000;
/// How long a reading waits in its lane's tray before it goes to the location's inbox (T7).
pub const TRAY_MAX_US: i64 = 15 * 60 * 1_000_000;
/// A lane session without a reading ends after this time (T1).
pub const SESSION_IDLE_MAX_US: i64 = 20 * 60 * 1_000_000;
/// The lane page warns after this time without a reading (T1).
pub const SESSION_WARN_AFTER_US: i64 = 18 * 60 * 1_000_000;

/// Where a reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Exam,
    Tray,
    Inbox,
    Held,
    Duplicate,
}

impl Place {
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Exam => "exam",
            Place::Tray => "tray",
            Place::Inbox => "inbox",
            Place::Held => "held",
            Place::Duplicate => "duplicate",
        }
    }
}

/// What is known about a reading.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub captured_at_us: i64,
    pub clock: ClockState,
    /// The lane session that the gateway stamped on it.
    pub stamped: Option<&'a str>,
    /// Nobody was in the lane, by the gateway's page; what the cloud knows of it may be older.
    pub is_lane_empty: bool,
    /// The identity inside the data.
    pub claimed: Option<&'a str>,
    /// What is known about the claimed identity.
    pub known: Known<'a>,
}

/// What the record knows about an identity inside the data.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// It is on the location's schedule of that day.
    pub is_scheduled: bool,
    /// Chart numbers of the same person, where charts were merged (D10).
    pub also: &'a [String],
    /// The visit that it names, where it is an identifier that we issued.
    pub visit: Option<Visit<'a>>,
    /// Why the stamped session, which was opened at the gateway's page, cannot count.
    pub refused: Option<&'a str>,
}

/// A visit that an identifier of ours names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit<'a> {
    pub encounter_id: &'a str,
    /// It takes place at the reading's location on the day of the capture.
    pub is_here_today: bool,
}

/// A lane session of the reading's lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneSession {
    pub lane_session_id: String,
    pub encounter_id: String,
    /// Of the session's patient.
    pub chart_number: String,
    pub opened_at_us: i64,
    pub closed_at_us: Option<i64>,
    /// It was opened at a gateway's page, and may lie beside one of the cloud (T12).
    pub is_of_gateway: bool,
}

impl LaneSession {
    fn covers(&self, at_us: i64) -> bool {
        self.opened_at_us <= at_us && self.closed_at_us.is_none_or(|closed| at_us < closed)
    }
}

/// The decision, with the reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub place: Place,
    pub reason: String,
    /// Only in an exam.
    pub encounter_id: Option<String>,
    /// The session that decided, or the one that the gateway stamped.
    pub lane_session_id: Option<String>,
}

/// The identity inside the data, if there is one: blanks are none.
pub fn claimed_id(claimed: Option<&str>) -> Option<&str> {
    claimed.map(str::trim).filter(|id| !id.is_empty())
}

/// Whether an identity inside the data is the chart number, at filing and at every re-filing (R33).
/// Letter by letter: two charts may differ in case or in leading zeros.
pub fn is_same_id(claimed: &str, chart_number: &str) -> bool {
    claimed.trim() == chart_number.trim()
}

/// Whether the identity inside the data is the session's: our own identifier names one visit, any
/// other one a person.
fn agrees(facts: &Facts<'_>, id: &str, session: &LaneSession) -> bool {
    match facts.known.visit {
        Some(visit) => visit.encounter_id == session.encounter_id,
        None => {
            is_same_id(id, &session.chart_number)
                || facts.known.also.iter().any(|chart| is_same_id(chart, &session.chart_number))
        }
    }
}

/// Decides. `sessions` are those of the reading's lane around its capture.
pub fn place(facts: Facts<'_>, sessions: &[LaneSession]) -> Placement {
    let claimed = claimed_id(facts.claimed);
    let session = match session_of(facts, sessions) {
        Ok(session) => session,
        Err(doubt) => return by_own_id(facts).unwrap_or_else(|| wait(facts, claimed, doubt)),
    };
    let (place, reason) = match claimed {
        None => {
            (Place::Exam, "the lane session was open; the instrument sends no patient id".into())
        }
        Some(id) if agrees(&facts, id, session) => {
            (Place::Exam, "the lane session was open and the patient id in the data agrees".into())
        }
        Some(id) => (
            Place::Held,
            format!("the data says patient {id}, the lane session is another patient's"),
        ),
    };
    Placement {
        place,
        reason,
        encounter_id: (place == Place::Exam).then(|| session.encounter_id.clone()),
        lane_session_id: Some(session.lane_session_id.clone()),
    }
}

/// Without any session: an identifier that we issued ourselves names the visit, as long as nothing
/// else speaks of another one.
fn by_own_id(facts: Facts<'_>) -> Option<Placement> {
    let visit = facts.known.visit.filter(|visit| visit.is_here_today)?;
    let is_undisputed = facts.stamped.is_none() && facts.clock == ClockState::Synced;
    is_undisputed.then(|| Placement {
        place: Place::Exam,
        reason: "the data carries the identifier that was issued for this visit".into(),
        encounter_id: Some(visit.encounter_id.to_owned()),
        lane_session_id: None,
    })
}

/// Why no session decides, and where the reading waits because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    pub place: Place,
    pub why: &'static str,
}

const fn tray<T>(why: &'static str) -> Result<T, Doubt> {
    Err(Doubt { place: Place::Tray, why })
}

/// The one session that an explicit act of a person and the times agree on, or why there is none.
pub fn session_of<'s>(
    facts: Facts<'_>,
    sessions: &'s [LaneSession],
) -> Result<&'s LaneSession, Doubt> {
    if facts.is_lane_empty {
        return tray("nobody was in the lane, by the gateway's page");
    }
    let stamped = facts.stamped.map(|id| sessions.iter().find(|it| it.lane_session_id == id));
    // The gateway that opened the session had one clock for it and for the reading, right or not.
    let is_comparable = facts.clock == ClockState::Synced
        || stamped.flatten().is_some_and(|stamped| stamped.is_of_gateway);
    let covers = |it: &&LaneSession| is_comparable && it.covers(facts.captured_at_us);
    let covering: Vec<&LaneSession> = sessions.iter().filter(covers).collect();
    if is_disputed(&covering) {
        let why = "at that time the lane had one patient at the gateway's page and another one in \
                   the cloud";
        return Err(Doubt { place: Place::Held, why });
    }
    match stamped {
        Some(Some(stamped)) => agreed(facts, stamped, &covering),
        Some(None) => tray("the lane session stamped on it was not open in this lane at that time"),
        None => unstamped(facts, &covering),
    }
}

/// Two sessions of different visits at once, one of them opened while the cloud was away.
fn is_disputed(covering: &[&LaneSession]) -> bool {
    let is_other = |it: &&LaneSession| it.encounter_id != covering[0].encounter_id;
    covering.iter().any(|it| it.is_of_gateway) && covering.iter().any(is_other)
}

fn unstamped<'s>(facts: Facts<'_>, covering: &[&'s LaneSession]) -> Result<&'s LaneSession, Doubt> {
    // A gateway stamps the sessions of its own page: without the stamp it was not open there.
    match covering.iter().find(|session| !session.is_of_gateway) {
        Some(session) => Ok(session),
        None if !covering.is_empty() => {
            tray("the lane session was opened at the gateway's page, but is not stamped on it")
        }
        None if facts.clock == ClockState::Synced => tray("no lane session was open"),
        None => {
            tray("no lane session is stamped on it and the gateway's clock is not synchronised")
        }
    }
}

fn agreed<'s>(
    facts: Facts<'_>,
    stamped: &'s LaneSession,
    covering: &[&LaneSession],
) -> Result<&'s LaneSession, Doubt> {
    let at_us = facts.captured_at_us;
    let is_unsynced = facts.clock == ClockState::Unsynced;
    if covering.iter().any(|it| it.lane_session_id == stamped.lane_session_id) {
        return Ok(stamped);
    }
    let is_a_little_before =
        stamped.covers(at_us.saturating_add(CLOCK_BEHIND_MAX_US)) && at_us < stamped.opened_at_us;
    match covering.is_empty() {
        false => tray("the gateway and the cloud name different lane sessions"),
        true if is_unsynced && stamped.closed_at_us.is_none() => Ok(stamped),
        true if is_a_little_before => Ok(stamped),
        true => tray("the lane session stamped on it was not open at that time"),
    }
}

fn wait(facts: Facts<'_>, claimed: Option<&str>, doubt: Doubt) -> Placement {
    let lane_session_id = facts.stamped.map(ToOwned::to_owned);
    if let Some(why) = facts.known.refused {
        let reason = format!("its lane session was opened at the gateway's page: {why}");
        return Placement { place: Place::Held, reason, encounter_id: None, lane_session_id };
    }
    let Doubt { place, why } = doubt;
    let reason = match claimed {
        Some(id) if facts.known.is_scheduled => {
            format!("{why}; the data says patient {id}, who is on the day's schedule")
        }
        Some(id) => format!("{why}; the data says patient {id}"),
        None => why.to_owned(),
    };
    Placement { place, reason, encounter_id: None, lane_session_id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE_US: i64 = 60_000_000;

    fn session(id: &str, chart: &str, opened: i64, closed: Option<i64>) -> LaneSession {
        LaneSession {
            lane_session_id: id.into(),
            encounter_id: format!("exam of {chart}"),
            chart_number: chart.into(),
            opened_at_us: opened * MINUTE_US,
            closed_at_us: closed.map(|minute| minute * MINUTE_US),
            is_of_gateway: false,
        }
    }

    struct Case {
        name: &'static str,
        at: i64,
        clock: ClockState,
        stamped: Option<&'static str>,
        claimed: Option<&'static str>,
        place: Place,
        exam: Option<&'static str>,
    }

    #[rustfmt::skip]
    const CASES: &[Case] = {
        use ClockState::{Synced, Unsynced};
        use Place::{Exam, Held, Tray};
        &[
            Case { name: "R31 b: session, no id in the data", at: 15, clock: Synced, stamped: Some("s1"), claimed: None, place: Exam, exam: Some("exam of 1") },
            Case { name: "R31 a and b agree", at: 15, clock: Synced, stamped: Some("s1"), claimed: Some(" 1 "), place: Exam, exam: Some("exam of 1") },
            Case { name: "R31 a against b is held", at: 15, clock: Synced, stamped: Some("s1"), claimed: Some("2"), place: Held, exam: None },
            Case { name: "R31: the cloud's session covers an unstamped reading", at: 15, clock: Synced, stamped: None, claimed: None, place: Exam, exam: Some("exam of 1") },
            Case { name: "R31: unstamped and clock not synced", at: 15, clock: Unsynced, stamped: None, claimed: None, place: Tray, exam: None },
            Case { name: "R31 c: id alone does not file", at: 5, clock: Synced, stamped: None, claimed: Some("1"), place: Tray, exam: None },
            Case { name: "T7: before the patient is chosen", at: 5, clock: Synced, stamped: None, claimed: None, place: Tray, exam: None },
            Case { name: "stamped and covering disagree", at: 25, clock: Synced, stamped: Some("s1"), claimed: None, place: Tray, exam: None },
            Case { name: "stamped session of another lane", at: 15, clock: Synced, stamped: Some("s9"), claimed: None, place: Tray, exam: None },
            Case { name: "stamped after it was closed, nobody followed", at: 45, clock: Synced, stamped: Some("s2"), claimed: None, place: Tray, exam: None },
            Case { name: "gateway's clock a minute behind the opening", at: 49, clock: Synced, stamped: Some("s3"), claimed: None, place: Exam, exam: Some("exam of 3") },
            Case { name: "gateway's clock five minutes behind", at: 46, clock: Synced, stamped: Some("s3"), claimed: None, place: Tray, exam: None },
            Case { name: "clock not synced, stamped session still open", at: 0, clock: Unsynced, stamped: Some("s3"), claimed: None, place: Exam, exam: Some("exam of 3") },
            Case { name: "clock not synced, stamped session closed", at: 15, clock: Unsynced, stamped: Some("s1"), claimed: None, place: Tray, exam: None },
            Case { name: "at the moment of closing the next one counts", at: 20, clock: Synced, stamped: None, claimed: None, place: Exam, exam: Some("exam of 2") },
        ]
    };

    fn lane() -> Vec<LaneSession> {
        vec![
            session("s1", "1", 10, Some(20)),
            session("s2", "2", 20, Some(40)),
            session("s3", "3", 50, None),
        ]
    }

    #[test]
    fn places_by_rule() {
        for case in CASES {
            let facts = Facts {
                captured_at_us: case.at * MINUTE_US,
                clock: case.clock,
                stamped: case.stamped,
                is_lane_empty: false,
                claimed: case.claimed,
                known: Known { is_scheduled: true, ..Known::default() },
            };
            let placed = place(facts, &lane());
            assert_eq!(placed.place, case.place, "{}: {}", case.name, placed.reason);
            assert_eq!(placed.encounter_id.as_deref(), case.exam, "{}", case.name);
            if case.place == Place::Tray && case.claimed.is_some() {
                assert!(placed.reason.contains("patient 1"), "suggests: {}", placed.reason);
            }
        }
    }

    fn at_15(claimed: &'static str, known: Known<'_>, stamped: Option<&'static str>) -> Placement {
        let (captured_at_us, clock) = (15 * MINUTE_US, ClockState::Synced);
        let (is_lane_empty, claimed) = (false, Some(claimed));
        place(Facts { captured_at_us, clock, stamped, is_lane_empty, claimed, known }, &lane())
    }

    #[test]
    fn an_identifier_of_ours_names_the_visit_and_not_the_person() {
        let visit = |encounter_id, is_here_today| Known {
            visit: Some(Visit { encounter_id, is_here_today }),
            ..Known::default()
        };
        let agrees = at_15("OURS", visit("exam of 1", true), Some("s1"));
        assert_eq!(agrees.place, Place::Exam);
        let another = at_15("1", visit("another visit of 1", true), Some("s1"));
        assert_eq!(another.place, Place::Held, "the same person's other visit is a mismatch");
        let facts = |known, clock| Facts {
            captured_at_us: 5 * MINUTE_US,
            clock,
            stamped: None,
            is_lane_empty: false,
            claimed: Some("OURS"),
            known,
        };
        let alone = place(facts(visit("exam of 9", true), ClockState::Synced), &lane());
        assert_eq!(alone.encounter_id.as_deref(), Some("exam of 9"), "{}", alone.reason);
        let old = place(facts(visit("exam of 9", false), ClockState::Synced), &lane());
        assert_eq!(old.place, Place::Tray, "of another day");
        let unsynced = place(facts(visit("exam of 9", true), ClockState::Unsynced), &lane());
        assert_eq!(unsynced.place, Place::Tray, "the day is not certain");
    }

    #[test]
    fn d10_a_chart_that_was_merged_is_the_same_person() {
        let also = ["1".to_owned()];
        let merged = Known { also: &also, ..Known::default() };
        assert_eq!(at_15("old 1", merged, Some("s1")).place, Place::Exam);
        assert_eq!(at_15("old 1", Known::default(), Some("s1")).place, Place::Held);
    }

    fn of_gateway(id: &str, chart: &str, opened: i64, closed: Option<i64>) -> LaneSession {
        LaneSession { is_of_gateway: true, ..session(id, chart, opened, closed) }
    }

    /// Stamped by the gateway, or not, at a minute.
    fn placed_at(
        at: i64,
        clock: ClockState,
        stamped: Option<&str>,
        lane: &[LaneSession],
    ) -> Placement {
        let captured_at_us = at * MINUTE_US;
        let known = Known::default();
        let (is_lane_empty, claimed) = (false, None);
        place(Facts { captured_at_us, clock, stamped, is_lane_empty, claimed, known }, lane)
    }

    #[test]
    fn t12_a_session_of_the_gateways_page_counts_as_one_of_the_cloud() {
        let lane = [of_gateway("g", "1", 10, Some(30))];
        for clock in [ClockState::Synced, ClockState::Unsynced] {
            let placed = placed_at(15, clock, Some("g"), &lane);
            assert_eq!(placed.encounter_id.as_deref(), Some("exam of 1"), "{}", placed.reason);
            assert_eq!(placed_at(31, clock, Some("g"), &lane).place, Place::Tray);
        }
        let unstamped = placed_at(15, ClockState::Synced, None, &lane);
        assert_eq!(unstamped.place, Place::Tray, "the gateway would have stamped its own");
    }

    #[test]
    fn t12_two_patients_at_once_are_held() {
        let lane = [of_gateway("g", "1", 10, Some(30)), session("c", "2", 20, Some(40))];
        let place_of = |at, stamped| placed_at(at, ClockState::Synced, stamped, &lane).place;
        assert_eq!(place_of(15, Some("g")), Place::Exam, "before there were two");
        assert_eq!(place_of(25, Some("g")), Place::Held);
        assert_eq!(place_of(25, Some("c")), Place::Held);
        assert_eq!(place_of(25, None), Place::Held);
        assert_eq!(place_of(35, Some("c")), Place::Exam, "after there were two");
        let same = [of_gateway("g", "1", 10, Some(30)), session("c", "1", 20, Some(40))];
        let placed = placed_at(25, ClockState::Synced, Some("g"), &same);
        assert_eq!(placed.place, Place::Exam, "both say the same patient");
    }

    #[test]
    fn t12_an_empty_lane_of_the_gateways_page_outweighs_an_older_session() {
        let (captured_at_us, clock) = (15 * MINUTE_US, ClockState::Synced);
        let known = Known::default();
        let (stamped, claimed, is_lane_empty) = (None, None, true);
        let facts = Facts { captured_at_us, clock, stamped, is_lane_empty, claimed, known };
        assert_eq!(place(facts, &lane()).place, Place::Tray);
    }

    #[test]
    fn t12_a_session_that_cannot_count_is_held_with_the_reason() {
        let known = Known { refused: Some("the visit is not known here"), ..Known::default() };
        let (captured_at_us, clock) = (15 * MINUTE_US, ClockState::Synced);
        let (stamped, claimed, is_lane_empty) = (Some("g"), None, false);
        let facts = Facts { captured_at_us, clock, stamped, is_lane_empty, claimed, known };
        let placed = place(facts, &[]);
        assert_eq!(placed.place, Place::Held);
        assert!(placed.reason.contains("the visit is not known here"), "{}", placed.reason);
    }

    proptest! {
        #[test]
        fn nothing_files_that_r31_does_not_allow(
            at in 0_i64..70,
            synced: bool,
            stamped in prop::option::of(prop::sample::select(vec!["s1", "s2", "s3", "s9"])),
            claimed in prop::option::of(prop::sample::select(vec!["1", "2", "3", "4", ""])),
            also in prop::option::of(prop::sample::select(vec!["1", "2"])),
            visit in prop::option::of((prop::sample::select(vec!["1", "2", "9"]), any::<bool>())),
        ) {
            let clock = if synced { ClockState::Synced } else { ClockState::Unsynced };
            let also: Vec<String> = also.into_iter().map(Into::into).collect();
            let visit_id = visit.map(|(chart, _)| format!("exam of {chart}"));
            let visit = visit.zip(visit_id.as_deref()).map(|((_, is_here_today), encounter_id)| {
                Visit { encounter_id, is_here_today }
            });
            // Without an identity in the data nothing is known about it.
            let visit = visit.filter(|_| claimed.is_some_and(|id| !id.is_empty()));
            let known = Known { is_scheduled: false, also: &also, visit, refused: None };
            let (captured_at_us, is_lane_empty) = (at * MINUTE_US, false);
            let facts = Facts { captured_at_us, clock, stamped, is_lane_empty, claimed, known };
            let lane = lane();
            let placed = place(facts, &lane);
            prop_assert_eq!(placed.encounter_id.is_some(), placed.place == Place::Exam);
            if let (Some(encounter), None) = (&placed.encounter_id, &placed.lane_session_id) {
                // Our own identifier, of today and here, and no session speaks of another visit.
                prop_assert_eq!(visit, Some(Visit { encounter_id: encounter, is_here_today: true }));
                prop_assert!(synced && stamped.is_none());
                prop_assert!(lane.iter().all(|s| !s.covers(at * MINUTE_US)));
            } else if let Some(encounter) = &placed.encounter_id {
                let by = lane.iter().find(|s| s.encounter_id == *encounter).unwrap();
                // A person opened a session for this patient, the data does not contradict it, and
                // nobody else's session covers the moment.
                prop_assert!(visit.is_none_or(|visit| visit.encounter_id == encounter));
                let is_person = |id: &str| {
                    id.is_empty() || id == by.chart_number || also.contains(&by.chart_number)
                };
                prop_assert!(visit.is_some() || claimed.is_none_or(is_person));
                prop_assert!(stamped.is_none_or(|id| id == by.lane_session_id));
                prop_assert!(stamped.is_some() || synced);
                let others = lane.iter().filter(|s| *s != by);
                prop_assert!(!synced || others.into_iter().all(|s| !s.covers(at * MINUTE_US)));
            }
        }
    }
}
