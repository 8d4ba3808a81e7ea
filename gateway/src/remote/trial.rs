//! Apply, confirm, revert: what becomes of a configuration that the cloud sends. Pure: time is given.
//!
//! A configuration that was applied is kept only when the cloud has said that it heard of it, which
//! proves that the gateway still reaches it. Without that word in time, the last one that was kept
//! counts again.

use chiasm_proto::Sha256;
use std::time::{Duration, Instant};

/// A configuration, by number and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    pub number: u64,
    pub sha256: Sha256,
}

/// What to do with a configuration that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is known already: say again what became of it.
    Tell,
    /// Check it and apply it.
    Try,
    /// It is the one on trial, and the cloud has heard of it.
    Keep,
    /// It is not used, for this reason.
    Refuse(&'static str),
}

/// Which configuration is in use, and until when the cloud's word is waited for.
#[derive(Debug, Clone)]
pub struct Trial {
    good: Version,
    on_trial: Option<(Version, Instant)>,
    failed: Option<Version>,
    within: Duration,
}

impl Trial {
    /// `good` was kept; `failed` is the last one that was not.
    pub fn new(good: Version, failed: Option<Version>, within: Duration) -> Self {
        Self { good, on_trial: None, failed, within }
    }

    pub fn offered(&self, offered: Version, keep: bool) -> Step {
        if let Some((on_trial, _)) = self.on_trial
            && on_trial == offered
        {
            return if keep { Step::Keep } else { Step::Tell };
        }
        if offered == self.good || self.failed == Some(offered) {
            return Step::Tell;
        }
        let newest = self.on_trial.map_or(self.good.number, |(it, _)| it.number);
        let newest = newest.max(self.failed.map_or(0, |it| it.number));
        match offered.number {
            number if number > newest => Step::Try,
            number if number == newest => {
                Step::Refuse("another configuration came here under the same version")
            }
            _ => Step::Refuse("the gateway has had a newer version"),
        }
    }

    /// It is applied from now on.
    pub fn applied(&mut self, version: Version, now: Instant) {
        self.on_trial = Some((version, now + self.within));
    }

    /// The cloud's word has come.
    pub fn kept(&mut self) {
        if let Some((version, _)) = self.on_trial.take() {
            self.good = version;
        }
    }

    /// A version was refused, or given up: what was kept counts.
    pub fn failed(&mut self, version: Version) {
        self.on_trial = None;
        self.failed = Some(version);
    }

    /// What counts now.
    pub fn in_use(&self) -> Version {
        self.on_trial.map_or(self.good, |(version, _)| version)
    }
    pub fn on_trial(&self) -> Option<Version> {
        self.on_trial.map(|(version, _)| version)
    }
    /// When what is on trial has to be given up.
    pub fn revert_at(&self) -> Option<Instant> {
        self.on_trial.map(|(_, until)| until)
    }
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.revert_at().is_some_and(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(300);

    fn version(number: u64, content: &str) -> Version {
        Version { number, sha256: Sha256::of(content.as_bytes()) }
    }

    #[test]
    fn what_the_cloud_has_heard_of_is_kept() {
        let start = Instant::now();
        let mut trial = Trial::new(version(0, "file"), None, WITHIN);
        let first = version(1, "a");
        assert_eq!(trial.offered(first, false), Step::Try);
        trial.applied(first, start);
        assert_eq!(trial.offered(first, false), Step::Tell, "the broker may say it twice");
        assert_eq!(trial.offered(first, true), Step::Keep);
        trial.kept();
        assert_eq!((trial.in_use(), trial.revert_at()), (first, None));
        assert_eq!(trial.offered(first, true), Step::Tell);
    }

    #[test]
    fn without_the_clouds_word_in_time_the_one_before_counts_again() {
        let start = Instant::now();
        let (good, bad) = (version(3, "good"), version(4, "bad"));
        let mut trial = Trial::new(good, None, WITHIN);
        trial.applied(bad, start);
        assert_eq!(trial.in_use(), bad);
        assert!(!trial.is_overdue(start + WITHIN - Duration::from_millis(1)));
        assert!(trial.is_overdue(start + WITHIN));
        trial.failed(bad);
        assert_eq!(trial.in_use(), good);
        assert!(!trial.is_overdue(start + 2 * WITHIN));
        assert_eq!(trial.offered(bad, false), Step::Tell, "it is not tried twice");
        assert_eq!(trial.offered(bad, true), Step::Tell, "a late word changes nothing");
        assert_eq!(trial.offered(version(5, "good"), false), Step::Try);
    }

    #[test]
    fn a_newer_one_replaces_the_one_on_trial_and_an_older_one_is_refused() {
        let start = Instant::now();
        let good = version(3, "good");
        let mut trial = Trial::new(good, Some(version(2, "x")), WITHIN);
        trial.applied(version(5, "five"), start);
        assert_eq!(trial.offered(version(6, "six"), false), Step::Try);
        trial.applied(version(6, "six"), start + Duration::from_secs(1));
        assert_eq!(trial.revert_at(), Some(start + Duration::from_secs(1) + WITHIN));
        assert!(matches!(trial.offered(version(5, "five"), true), Step::Refuse(_)));
        assert!(matches!(trial.offered(version(6, "other"), true), Step::Refuse(_)));
        trial.failed(version(6, "six"));
        assert_eq!(trial.in_use(), good, "not the one that was never kept");
    }
}
