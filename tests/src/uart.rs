//! What a serial line makes of bytes when both ends are set differently: bit by bit, as a receiver
//! samples them, and then as the Linux kernel hands them on with the settings that the gateway opens
//! a port with.

use chiasm_drivers::{LineSettings, Parity};

/// What the receiving program reads of bytes that were sent with other settings.
pub fn received(bytes: &[u8], sender: LineSettings, receiver: LineSettings) -> Vec<u8> {
    let wire = Wire::of(bytes, sender);
    let mut read = Vec::new();
    let mut at = 0.0;
    while let Some(edge) = wire.falling_edge(at) {
        let character = wire.sample(edge, receiver);
        at = character.end;
        let is_broken = !character.has_stop || !character.parity_fits;
        match (is_broken, receiver.parity) {
            (false, _) => read.push(character.byte),
            // Without a parity check the kernel is told to drop what is broken (IGNPAR).
            (true, Parity::None) => {}
            // With one it puts NUL in its place (INPCK without PARMRK).
            (true, _) => read.push(0),
        }
    }
    read
}

/// Levels of the line over time.
struct Wire {
    levels: Vec<bool>,
    /// Seconds of one level.
    bit: f64,
}

struct Character {
    byte: u8,
    parity_fits: bool,
    has_stop: bool,
    /// When the receiver looks for the next character.
    end: f64,
}

impl Wire {
    fn of(bytes: &[u8], settings: LineSettings) -> Self {
        let mut levels = vec![true; 4];
        for byte in bytes {
            let bits = (0..settings.data_bits).map(|bit| byte >> bit & 1 == 1);
            levels.push(false);
            levels.extend(bits.clone());
            levels.extend(parity_bit(bits, settings.parity));
            levels.extend(std::iter::repeat_n(true, settings.stop_bits.into()));
        }
        levels.extend([true; 12]);
        Self { levels, bit: 1.0 / f64::from(settings.baud) }
    }

    fn level(&self, at: f64) -> bool {
        self.levels.get((at / self.bit) as usize).copied().unwrap_or(true)
    }

    fn falling_edge(&self, from: f64) -> Option<f64> {
        let first = (from / self.bit).floor() as usize;
        let edge = (first.max(1)..self.levels.len())
            .find(|at| self.levels[at - 1] && !self.levels[*at] && *at as f64 * self.bit >= from);
        edge.map(|at| at as f64 * self.bit)
    }

    fn sample(&self, edge: f64, receiver: LineSettings) -> Character {
        let bit = 1.0 / f64::from(receiver.baud);
        let mut at = edge + 1.5 * bit;
        let mut next = || {
            let level = self.level(at);
            at += bit;
            level
        };
        let bits: Vec<bool> = (0..receiver.data_bits).map(|_| next()).collect();
        let byte = bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        let expected = parity_bit(bits.iter().copied(), receiver.parity);
        let parity_fits = expected.is_none_or(|expected| next() == expected);
        let has_stop = next();
        // Half a bit behind the middle of the stop bit; the sampling above has moved a whole one on.
        Character { byte, parity_fits, has_stop, end: at - bit }
    }
}

fn parity_bit(bits: impl Iterator<Item = bool>, parity: Parity) -> Option<bool> {
    let is_odd = bits.filter(|bit| *bit).count() % 2 == 1;
    match parity {
        Parity::None => None,
        Parity::Even => Some(is_odd),
        Parity::Odd => Some(!is_odd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(baud: u32, data_bits: u8, parity: Parity, stop_bits: u8) -> LineSettings {
        LineSettings { baud, data_bits, parity, stop_bits }
    }

    #[test]
    fn equal_settings_change_nothing() {
        let text: Vec<u8> = (1..128).collect();
        for settings in [
            line(9600, 8, Parity::None, 1),
            line(9600, 8, Parity::Odd, 1),
            line(2400, 7, Parity::Even, 2),
        ] {
            assert_eq!(received(&text, settings, settings), text);
        }
    }

    #[test]
    fn seven_bits_read_as_eight_carry_their_parity() {
        let sent = line(2400, 7, Parity::Even, 2);
        let read = received(b"RT", sent, line(2400, 8, Parity::None, 1));
        assert_eq!(read, [b'R' | 0x80, b'T' | 0x80]);
    }

    #[test]
    fn another_parity_fails_everywhere() {
        let read =
            received(b"NIDEK", line(9600, 8, Parity::Even, 1), line(9600, 8, Parity::Odd, 1));
        assert_eq!(read, [0; 5]);
    }

    #[test]
    fn another_speed_gives_other_bytes() {
        let read =
            received(b"NIDEK", line(2400, 8, Parity::None, 1), line(9600, 8, Parity::None, 1));
        assert_ne!(read, b"NIDEK");
    }
}
