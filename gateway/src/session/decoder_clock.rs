//! The clock that a decoder sees.

use std::time::{Duration, Instant};

/// How late the pump may be, counted from the end of the silence that the driver awaits. A later
/// pump has missed that silence, and its decoder has to know: what it reads next may be another
/// patient's. Shorter than it takes to send a second print by hand.
pub(super) const LATE_MAX: Duration = Duration::from_secs(1);

/// Runs with the monotonic clock, except that it stands still while the pump is late: the disk was
/// slow, or the processor taken. Silence ends transmissions, and what waited to be read was none.
#[derive(Debug, Default)]
pub(super) struct DecoderClock {
    behind: Duration,
}

impl DecoderClock {
    /// What it shows at a moment.
    pub(super) fn at(&self, moment: Instant) -> Instant {
        moment.checked_sub(self.behind).unwrap_or(moment)
    }

    /// When it will show this.
    pub(super) fn moment(&self, shown: Instant) -> Instant {
        shown + self.behind
    }

    /// What it shows to bytes that are handed over now, where the decoder awaits `deadline`. A
    /// punctual pump would have told the decoder that this passed; so the bytes waited meanwhile.
    pub(super) fn bytes_came(&mut self, now: Instant, deadline: Option<Instant>) -> Instant {
        let late = deadline.and_then(|deadline| self.at(now).checked_duration_since(deadline));
        if let Some(late) = late.filter(|late| *late <= LATE_MAX) {
            self.behind += late + Duration::from_nanos(1);
        }
        self.at(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_millis(500);

    #[test]
    fn it_stands_still_while_the_pump_is_late_and_then_runs_on() {
        let mut clock = DecoderClock::default();
        let start = Instant::now();
        assert_eq!(clock.bytes_came(start, None), start);
        let deadline = start + SILENCE;
        let late = start + SILENCE + LATE_MAX;
        let shown = clock.bytes_came(late, Some(deadline));
        assert!(shown < deadline && shown > start);
        // The next silence is a whole one, from now on.
        let next = shown + SILENCE;
        assert_eq!(clock.moment(next), late + SILENCE);
        assert!(clock.bytes_came(late + SILENCE / 2, Some(next)) < next);
    }

    #[test]
    fn a_pump_that_is_too_late_tells_the_decoder() {
        let mut clock = DecoderClock::default();
        let start = Instant::now();
        let deadline = start + SILENCE;
        let late = deadline + LATE_MAX + Duration::from_millis(1);
        assert_eq!(clock.bytes_came(late, Some(deadline)), late);
        assert_eq!(clock.moment(deadline), deadline);
    }
}
