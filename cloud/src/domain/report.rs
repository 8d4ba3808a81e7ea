//! What one day of a location comes to, for the reports (field reporting: use of instruments, how
//! readings found their exam, how long pretests take). Counts that can be added up over days,
//! lanes, instruments and locations; nothing about people, and nothing clinical.
//!
//! * *readings*: what instruments sent, without second prints and without what people typed.
//! * Each reading went exactly one way: see [`Way`]. The ways add up to the readings.
//! * *exams*: exams with at least one reading that is not rejected. A row of lane and instrument has
//!   those whose first reading of this instrument is its own, so that sums count no exam twice.
//! * *repeats*: readings of an instrument that had measured in the same exam before, rejected ones
//!   included: that is what a repeat looks like.
//! * *graded*: readings in which the maker states how sure the instrument is, on a scale of its own
//!   with a threshold of its own (R14, R15); *low confidence*: those below it. Makers that only mark
//!   what is low grade all readings of the instrument: whoever reads the counts sees to that.

use chiasm_proto::{FlagCode, Measured, Reading, RefractionKind, Shot};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Longer stays count as this many minutes.
pub const MINUTES_MAX: i64 = 600;
/// The end of the names of scales that have numbers and no threshold of the maker: nothing on them
/// is low or not.
const WITHOUT_THRESHOLD: &str = "ConfidenceIndex";

/// What is known of one reading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fact {
    pub reading_id: String,
    pub lane_id: String,
    pub vendor: String,
    pub model: String,
    pub captured_at_us: i64,
    pub place: String,
    pub acceptance: String,
    pub encounter_id: Option<String>,
    pub is_manual: bool,
    /// Place and encounter of each earlier state, oldest first.
    pub was: Vec<(String, Option<String>)>,
    /// Whether the maker calls it low; none where the maker states no threshold.
    pub confidence: Option<bool>,
    pub is_pretest: bool,
}

/// How a reading got where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// Into its exam, without anybody.
    ByItself,
    /// A person gave it to its exam from the lane's tray.
    FromTray,
    /// A person gave it to its exam from the inbox, or although it was held.
    FromInbox,
    /// It was in another exam before.
    Moved,
    Rejected,
    Waiting,
}

impl Fact {
    pub fn way(&self) -> Way {
        let was_at = |places: &[&str]| self.was.iter().any(|(at, _)| places.contains(&at.as_str()));
        let was_elsewhere =
            self.was.iter().any(|(at, of)| at == "exam" && *of != self.encounter_id);
        match self.place.as_str() {
            _ if self.acceptance == "rejected" => Way::Rejected,
            "exam" if was_elsewhere => Way::Moved,
            "exam" if was_at(&["inbox", "held"]) => Way::FromInbox,
            "exam" if was_at(&["tray"]) => Way::FromTray,
            "exam" => Way::ByItself,
            _ => Way::Waiting,
        }
    }
}

/// Numbers that can be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub readings: i64,
    pub second_prints: i64,
    pub typed: i64,
    pub exams: i64,
    pub repeats: i64,
    pub graded: i64,
    pub low_confidence: i64,
    pub by_itself: i64,
    pub from_tray: i64,
    pub from_inbox: i64,
    pub moved: i64,
    pub rejected: i64,
    pub waiting: i64,
}

impl Counts {
    pub fn add(&mut self, more: &Counts) {
        self.readings += more.readings;
        self.second_prints += more.second_prints;
        self.typed += more.typed;
        self.exams += more.exams;
        self.repeats += more.repeats;
        self.graded += more.graded;
        self.low_confidence += more.low_confidence;
        self.by_itself += more.by_itself;
        self.from_tray += more.from_tray;
        self.from_inbox += more.from_inbox;
        self.moved += more.moved;
        self.rejected += more.rejected;
        self.waiting += more.waiting;
    }
    /// Readings in exams that are not rejected.
    pub fn in_exams(&self) -> i64 {
        self.by_itself + self.from_tray + self.from_inbox + self.moved
    }
}

/// Lane, vendor, model.
pub type Key = (String, String, String);

/// What a day comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    pub counts: BTreeMap<Key, Counts>,
    /// By lane: exams that had anything measured there, and those that began there.
    pub exams: BTreeMap<String, (i64, i64)>,
    /// Exams by whole minutes from check-in to the last pretest reading.
    pub minutes: BTreeMap<i64, i64>,
}

/// Counts a day. `facts` are in the order of capture; `check_ins` say when each visit began.
pub fn day(facts: &[Fact], check_ins: &HashMap<String, i64>) -> Day {
    let mut day = Day::default();
    let mut measured: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    let mut of_instrument: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
    let mut of_lane: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for fact in facts {
        let key = (fact.lane_id.clone(), fact.vendor.clone(), fact.model.clone());
        let counts = day.counts.entry(key).or_default();
        if fact.is_manual {
            counts.typed += 1;
            continue;
        }
        if fact.place == "duplicate" {
            counts.second_prints += 1;
            continue;
        }
        count(counts, fact);
        let exam = fact.encounter_id.as_deref().filter(|_| fact.place == "exam");
        let Some(exam) = exam else { continue };
        let instrument = (exam, fact.vendor.as_str(), fact.model.as_str());
        counts.repeats += i64::from(!measured.insert(instrument));
        if fact.acceptance == "rejected" {
            continue;
        }
        counts.exams += i64::from(of_instrument.insert(instrument));
        let lane = day.exams.entry(fact.lane_id.clone()).or_default();
        lane.0 += i64::from(of_lane.insert((exam, &fact.lane_id)));
        lane.1 += i64::from(begun.insert(exam));
        if fact.is_pretest {
            last.insert(exam, fact.captured_at_us);
        }
    }
    for (exam, last_us) in last {
        let minutes =
            check_ins.get(exam).map(|began_us| (last_us - began_us).div_euclid(60_000_000));
        if let Some(minutes) = minutes.filter(|minutes| *minutes >= 0) {
            *day.minutes.entry(minutes.min(MINUTES_MAX)).or_default() += 1;
        }
    }
    day
}

fn count(counts: &mut Counts, fact: &Fact) {
    counts.readings += 1;
    counts.graded += i64::from(fact.confidence.is_some());
    counts.low_confidence += i64::from(fact.confidence == Some(true));
    *match fact.way() {
        Way::ByItself => &mut counts.by_itself,
        Way::FromTray => &mut counts.from_tray,
        Way::FromInbox => &mut counts.from_inbox,
        Way::Moved => &mut counts.moved,
        Way::Rejected => &mut counts.rejected,
        Way::Waiting => &mut counts.waiting,
    } += 1;
}

/// Whether the maker calls anything in a reading low; none where it states no threshold.
pub fn confidence(reading: &Reading) -> Option<bool> {
    let mut graded = None;
    for it in &reading.decoded.measurements {
        let low = match &it.measured {
            Measured::Refraction(it) => of_shots(&it.shots),
            Measured::Keratometry(it) => of_shots(&it.shots),
            Measured::Tonometry(it) => of_shots(&it.shots),
            Measured::Pachymetry(it) => of_shots(&it.shots_um),
            _ => None,
        };
        graded = graded.max(low);
    }
    let is_flagged = reading.decoded.flags.iter().any(|it| it.code == FlagCode::LowConfidence);
    graded.max(is_flagged.then_some(true))
}

fn of_shots<V>(shots: &[Shot<V>]) -> Option<bool> {
    let stated = shots.iter().filter_map(|shot| shot.confidence.as_ref());
    let stated = stated.filter(|it| !it.scale.ends_with(WITHOUT_THRESHOLD));
    stated.map(|it| it.low).max()
}

/// Whether an instrument measured, rather than a refractor that says what a person found.
pub fn is_pretest(reading: &Reading) -> bool {
    reading.decoded.measurements.iter().any(|it| match &it.measured {
        Measured::Refraction(it) => !matches!(
            it.kind,
            RefractionKind::Subjective
                | RefractionKind::Final
                | RefractionKind::PreviousPrescription
        ),
        Measured::VisualAcuity(_) => false,
        _ => true,
    })
}

/// The smallest number of minutes that so many in a hundred do not exceed.
pub fn percentile(minutes: &BTreeMap<i64, i64>, percent: i64) -> Option<i64> {
    let all: i64 = minutes.values().sum();
    let rank = (all * percent + 99) / 100;
    let mut seen = 0;
    minutes.iter().find_map(|(minutes, exams)| {
        seen += exams;
        (seen >= rank.max(1)).then_some(*minutes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(place: &str, was: &[(&str, Option<&str>)]) -> Fact {
        let own = |(at, of): &(&str, Option<&str>)| ((*at).into(), of.map(Into::into));
        Fact {
            place: place.into(),
            acceptance: "pending".into(),
            encounter_id: (place == "exam").then(|| "e1".into()),
            was: was.iter().map(own).collect(),
            ..Fact::default()
        }
    }

    #[test]
    fn each_reading_went_one_way() {
        let exam = |was: &[(&str, Option<&str>)]| fact("exam", was).way();
        assert_eq!(exam(&[]), Way::ByItself);
        assert_eq!(exam(&[("exam", Some("e1"))]), Way::ByItself, "accepted, corrected");
        assert_eq!(exam(&[("tray", None)]), Way::FromTray);
        assert_eq!(exam(&[("tray", None), ("inbox", None)]), Way::FromInbox);
        assert_eq!(exam(&[("held", None)]), Way::FromInbox);
        assert_eq!(exam(&[("exam", Some("e2"))]), Way::Moved);
        assert_eq!(exam(&[("exam", Some("e2")), ("exam", Some("e1"))]), Way::Moved);
        assert_eq!(fact("inbox", &[("tray", None)]).way(), Way::Waiting);
        let rejected = Fact { acceptance: "rejected".into(), ..fact("inbox", &[]) };
        assert_eq!(rejected.way(), Way::Rejected);
    }

    #[test]
    fn percentiles_are_minutes_that_were_counted() {
        let minutes = BTreeMap::from([(5, 1), (10, 8), (60, 1)]);
        assert_eq!(percentile(&minutes, 50), Some(10));
        assert_eq!(percentile(&minutes, 90), Some(10));
        assert_eq!(percentile(&minutes, 91), Some(60));
        assert_eq!(percentile(&BTreeMap::new(), 50), None);
    }
}
