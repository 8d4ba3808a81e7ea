//! Finds the settings of a serial line on which somebody prints again and again.
//!
//! A state machine without I/O: the caller opens the port as [`Probe::settings`] says, gives what
//! came until the line fell silent, and goes by the verdict. Nothing is trusted but a whole
//! transmission that a driver reads; counts of framing and parity errors and the shape of the
//! bytes only choose what is tried next.

use super::{Hint, Trial, examine};
use crate::{
    DriverOptions, DriverSpec, Evidence, LineSettings, Parity, Transport, registry::DRIVERS,
};
use std::time::Instant;

/// What the port counted while the bytes came. A pseudo-terminal and some adapters count nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineErrors {
    pub framing: u32,
    pub parity: u32,
}

/// What a transmission at the current settings says.
pub enum Verdict {
    /// The settings are right: these drivers read it.
    Found(Vec<Trial>),
    /// Not understood; the next print is awaited at other settings.
    TryNext { hints: Vec<Hint> },
    /// Settings are right as far as can be told, and something else hinders.
    Hindered { hints: Vec<Hint> },
    /// Every documented setting was tried.
    Exhausted { hints: Vec<Hint> },
}

/// One search.
pub struct Probe {
    /// What is tried, the next one first.
    pub(super) queue: Vec<LineSettings>,
    options: DriverOptions,
}

impl Probe {
    /// Tries the settings of these drivers, or of all: those that most drivers name first come
    /// first.
    pub fn new(drivers: &[&'static DriverSpec], options: DriverOptions) -> Self {
        let drivers = if drivers.is_empty() { DRIVERS } else { drivers };
        let mut queue: Vec<(LineSettings, usize, usize)> = Vec::new();
        // What nobody can read cannot be recognised at any setting.
        for spec in drivers.iter().filter(|spec| spec.evidence != Evidence::NeedsCapture) {
            let Transport::Serial(settings) = spec.transport else { continue };
            for (rank, settings) in settings.iter().enumerate() {
                match queue.iter_mut().find(|(known, ..)| known == settings) {
                    Some((_, best, count)) => {
                        (*best, *count) = ((*best).min(rank), *count + 1);
                    }
                    None => queue.push((*settings, rank, 1)),
                }
            }
        }
        queue.sort_by_key(|(_, rank, count)| (*rank, usize::MAX - count));
        let queue = queue.into_iter().map(|(settings, ..)| settings).collect();
        Self { queue, options }
    }

    /// The settings at which the next transmission is awaited.
    pub fn settings(&self) -> Option<LineSettings> {
        self.queue.first().copied()
    }

    /// How many settings are left to try.
    pub fn remaining(&self) -> usize {
        self.queue.len()
    }

    /// Nothing came at all at these settings, as where every byte was dropped: the next ones, and
    /// these again in the end.
    pub fn silent(&mut self) {
        if !self.queue.is_empty() {
            self.queue.rotate_left(1);
        }
    }

    /// What came from the first byte until the line fell silent.
    pub fn heard(&mut self, now: Instant, bytes: &[u8], errors: LineErrors) -> Verdict {
        let examination = examine(now, bytes, &self.options);
        let readers = examination.trials.into_iter().filter(|trial| trial.readings() > 0);
        let readers: Vec<Trial> = readers.collect();
        if !readers.is_empty() {
            return Verdict::Found(readers);
        }
        let hints = examination.hints;
        let is_clean = errors == LineErrors::default();
        let waits = hints
            .iter()
            .any(|hint| matches!(hint, Hint::AsksToSend | Hint::WaitsForAcknowledgement));
        if waits && is_clean {
            return Verdict::Hindered { hints };
        }
        let tried = self.queue.remove(0);
        self.prefer(tried, &hints, errors);
        match self.queue.is_empty() {
            true => Verdict::Exhausted { hints },
            false => Verdict::TryNext { hints },
        }
    }

    /// Puts first what the hints point to.
    fn prefer(&mut self, tried: LineSettings, hints: &[Hint], errors: LineErrors) {
        let wanted = |settings: &LineSettings| {
            let same_speed = settings.baud == tried.baud;
            hints.iter().any(|hint| match hint {
                Hint::SevenBits(parity) => {
                    same_speed && settings.data_bits == 7 && settings.parity == *parity
                }
                Hint::ParityNotRead { parity, .. } => same_speed && settings.parity == *parity,
                Hint::ParityFails => same_speed && settings.parity != tried.parity,
                Hint::Speed => !same_speed,
                _ => false,
            }) || (errors.parity > errors.framing && same_speed && settings.parity != tried.parity)
                || (errors.framing > errors.parity && tried.parity != Parity::None && !same_speed)
        };
        self.queue.sort_by_key(|settings| !wanted(settings));
    }
}
