//! When something that is wrong with a gateway becomes an incident, when people are told, and when
//! it is over (C3). Time is an argument.
//!
//! ```text
//! bad ─► open ─ bad for five minutes, added up ─► raised: people are told
//!          └─ good for ten minutes ─► closed; told only if it was raised
//! ```
//!
//! What comes and goes stays one incident and is counted. What cannot be seen (the links of a gateway
//! that is offline) neither opens, nor lasts, nor ends.

#[cfg(test)]
mod tests;

const SECOND_US: i64 = 1_000_000;
/// How long something has been bad, added up over the incident, before people are told.
pub const RAISE_AFTER_US: i64 = 5 * 60 * SECOND_US;
/// How long it is good before the incident is over.
pub const CALM_US: i64 = 10 * 60 * SECOND_US;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Offline,
    LinkDown,
    ClockUnsynced,
    /// An instrument's clock is off (I6).
    ClockOffset,
    CertificateEnds,
    DiskLow,
    /// An instrument that usually sends has sent nothing (C2).
    Quiet,
}

impl Kind {
    /// The worst first.
    pub const ALL: &'static [Kind] = &[
        Kind::Offline,
        Kind::DiskLow,
        Kind::CertificateEnds,
        Kind::LinkDown,
        Kind::ClockUnsynced,
        Kind::Quiet,
        Kind::ClockOffset,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Offline => "offline",
            Kind::LinkDown => "link_down",
            Kind::ClockUnsynced => "clock_unsynced",
            Kind::ClockOffset => "clock_offset",
            Kind::CertificateEnds => "certificate_ends",
            Kind::DiskLow => "disk_low",
            Kind::Quiet => "quiet",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Kind::Offline => "Offline",
            Kind::LinkDown => "Instrument not connected",
            Kind::ClockUnsynced => "Gateway's clock not synchronised",
            Kind::ClockOffset => "Instrument's clock is wrong",
            Kind::CertificateEnds => "Certificate ends soon",
            Kind::DiskLow => "Disk almost full",
            Kind::Quiet => "Quiet instrument",
        }
    }
    /// How far up it stands in a list: 0 is the worst.
    pub fn rank(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or(Self::ALL.len())
    }
}

/// What one look shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Good,
    /// Bad, and since when, as far as it is known.
    Bad {
        since_us: i64,
    },
    /// It cannot be seen just now.
    Unknown,
}

/// Where an open incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Bad { since_us: i64 },
    Good { since_us: i64 },
    Unseen,
}

/// An open incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incident {
    pub opened_at_us: i64,
    pub phase: Phase,
    /// How long it was bad, without the bad time that is under way.
    pub bad_us: i64,
    /// How often it became bad.
    pub times: i64,
    pub raised_at_us: Option<i64>,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Nothing,
    Changed(Incident),
    /// Changed, and people are to be told.
    Raised(Incident),
    /// It is over; `true` where people were told of it, and are to be told of its end.
    Closed(Incident, bool),
}

/// One look at a gateway's kind of trouble. An incident that did not exist begins as changed.
pub fn step(open: Option<Incident>, look: Look, now_us: i64) -> Step {
    let Some(before) = open else {
        let Look::Bad { since_us } = look else { return Step::Nothing };
        let since_us = since_us.min(now_us);
        let phase = Phase::Bad { since_us };
        let new =
            Incident { opened_at_us: since_us, phase, bad_us: 0, times: 1, raised_at_us: None };
        return raise(new, now_us).unwrap_or(Step::Changed(new));
    };
    let mut after = before;
    match (before.phase, look) {
        (Phase::Good { since_us }, Look::Good) if now_us.saturating_sub(since_us) >= CALM_US => {
            return Step::Closed(before, before.raised_at_us.is_some());
        }
        (Phase::Good { since_us: good }, Look::Bad { since_us }) => {
            // It cannot have become bad again before it was seen good.
            after.phase = Phase::Bad { since_us: since_us.clamp(good.min(now_us), now_us) };
            after.times = before.times.saturating_add(1);
        }
        (Phase::Unseen, Look::Bad { .. }) => after.phase = Phase::Bad { since_us: now_us },
        (Phase::Unseen, Look::Good) => after.phase = Phase::Good { since_us: now_us },
        (Phase::Bad { since_us }, Look::Good) => {
            after.bad_us = before.bad_us.saturating_add(lasted(since_us, now_us));
            after.phase = Phase::Good { since_us: now_us };
        }
        (Phase::Bad { since_us }, Look::Unknown) => {
            after.bad_us = before.bad_us.saturating_add(lasted(since_us, now_us));
            after.phase = Phase::Unseen;
        }
        (Phase::Bad { .. }, Look::Bad { .. })
        | (Phase::Good { .. }, Look::Good | Look::Unknown)
        | (Phase::Unseen, Look::Unknown) => {}
    }
    match raise(after, now_us) {
        Some(raised) => raised,
        None if after == before => Step::Nothing,
        None => Step::Changed(after),
    }
}

fn lasted(since_us: i64, now_us: i64) -> i64 {
    now_us.saturating_sub(since_us).max(0)
}

/// Raised once, while it is bad.
fn raise(incident: Incident, now_us: i64) -> Option<Step> {
    let Phase::Bad { since_us } = incident.phase else { return None };
    let bad_us = incident.bad_us.saturating_add(lasted(since_us, now_us));
    let is_due = incident.raised_at_us.is_none() && bad_us >= RAISE_AFTER_US;
    is_due.then_some(Step::Raised(Incident { raised_at_us: Some(now_us), ..incident }))
}

/// What is known about why a gateway is not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It said goodbye.
    Stopped,
    /// The others of its location are there.
    GatewayAlone,
    /// It is the only one of its location.
    PowerOrInternet,
    /// All of its location.
    WholeLocation,
    /// All gateways of all locations.
    Everything,
}

/// How many gateways are offline, of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub offline: usize,
    pub all: usize,
}

impl Count {
    pub fn add(&mut self, is_offline: bool) {
        self.all += 1;
        self.offline += usize::from(is_offline);
    }
    fn is_all(self) -> bool {
        self.all > 0 && self.offline == self.all
    }
}

/// Why a gateway is offline, from who else is.
pub fn cause(said_goodbye: bool, at_location: Count, everywhere: Count) -> Cause {
    if said_goodbye {
        Cause::Stopped
    } else if everywhere.all > at_location.all && everywhere.is_all() {
        Cause::Everything
    } else if !at_location.is_all() {
        Cause::GatewayAlone
    } else if at_location.all == 1 {
        Cause::PowerOrInternet
    } else {
        Cause::WholeLocation
    }
}

impl Cause {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Cause::Stopped => "It said goodbye: somebody stopped it, or its machine shut down.",
            Cause::GatewayAlone => {
                "Other gateways of the location are there: look at this one's power and cable."
            }
            Cause::PowerOrInternet => {
                "It is the location's only one: its power or the location's internet."
            }
            Cause::WholeLocation => {
                "Every gateway of the location is gone: its power or its internet."
            }
            Cause::Everything => {
                "Every gateway of every location is gone: the broker, or the cloud's own internet."
            }
        }
    }
}
