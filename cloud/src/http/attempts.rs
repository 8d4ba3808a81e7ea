//! Limits on guessing claim codes: failures are counted per address and over all addresses.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

const WINDOW_US: i64 = 10 * 60 * 1_000_000;
/// Failures of one address within the window.
pub const FAILURES_PER_ADDRESS_MAX: u32 = 10;
/// Failures of all addresses within the window: with 32^8 codes, 300 guesses find nothing.
pub const FAILURES_MAX: u32 = 300;

#[derive(Debug, Default)]
pub struct Attempts {
    inner: Mutex<Window>,
}

/// Failures since the window began. Bounded by [`FAILURES_MAX`], as nobody may try after that.
#[derive(Debug, Default)]
struct Window {
    began_at_us: i64,
    failures: u32,
    by_address: HashMap<IpAddr, u32>,
}

impl Attempts {
    pub fn may_try(&self, address: IpAddr, now_us: i64) -> bool {
        self.within(now_us, |window| {
            window.failures < FAILURES_MAX
                && window.by_address.get(&address).is_none_or(|n| *n < FAILURES_PER_ADDRESS_MAX)
        })
    }

    pub fn failed(&self, address: IpAddr, now_us: i64) {
        self.within(now_us, |window| {
            window.failures = window.failures.saturating_add(1);
            *window.by_address.entry(address).or_default() += 1;
        });
    }

    fn within<T>(&self, now_us: i64, look: impl FnOnce(&mut Window) -> T) -> T {
        let mut window = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !(0..WINDOW_US).contains(&(now_us - window.began_at_us)) {
            *window = Window { began_at_us: now_us, ..Window::default() };
        }
        look(&mut window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_lock_out_the_others_nor_guess_on() {
        let attempts = Attempts::default();
        let [guesser, clinic] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        let now_us = 1_000_000_000_000;
        for _ in 0..FAILURES_PER_ADDRESS_MAX {
            assert!(attempts.may_try(guesser, now_us));
            attempts.failed(guesser, now_us);
        }
        assert!(!attempts.may_try(guesser, now_us));
        assert!(attempts.may_try(clinic, now_us));
        assert!(attempts.may_try(guesser, now_us + WINDOW_US));
    }
}
