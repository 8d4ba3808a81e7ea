//! How NIDEK instruments wrap what they send.

use chiasm_proto::Hundredths;
use jiff::civil::{self, DateTime};

/// What an instrument in NIDEK mode sends before its data.
pub const REQUEST_TO_SEND: &[u8] = &[0x01, 0x43, 0x2A, 0x2A, 0x02, 0x52, 0x53, 0x17, 0x04];

/// Whether a host's answer lets an instrument in NIDEK mode send. The closing CR is needed.
pub fn is_go_ahead(answer: &[u8]) -> bool {
    let is_known = |device: &[u8]| [&b"RK"[..], b"RM", b"LM", b"Nt"].contains(&device);
    answer.len() == 10
        && answer[..2] == [0x01, 0x43]
        && is_known(&answer[2..4])
        && answer[4..] == [0x02, 0x53, 0x44, 0x17, 0x04, 0x0D]
}

/// Settings of the instrument that change bytes but no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireStyle {
    /// NCP10: four digits behind the end.
    pub checksum: bool,
    /// CR code on.
    pub cr: bool,
    /// `2025.09.05.14:22` instead of `05/SEP/2025.14:22`.
    pub year_first: bool,
}

impl Default for WireStyle {
    fn default() -> Self {
        Self { checksum: true, cr: false, year_first: false }
    }
}

/// Blocks as `(code, segments)`; one transmission of them.
pub(super) fn transmission(blocks: &[(&str, Vec<String>)], style: WireStyle) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, segments) in blocks {
        bytes.push(0x01);
        bytes.extend_from_slice(code.as_bytes());
        bytes.push(0x02);
        for segment in segments {
            bytes.extend_from_slice(segment.as_bytes());
            bytes.push(0x17);
            if style.cr {
                bytes.push(0x0D);
            }
        }
    }
    bytes.push(0x04);
    if style.checksum {
        // As published transmissions show it: without the CRs.
        let sum: u64 =
            bytes.iter().filter(|byte| **byte != 0x0D).map(|byte| u64::from(*byte)).sum();
        bytes.extend_from_slice(format!("{:04X}", sum % 65_536).as_bytes());
    }
    if style.cr {
        bytes.push(0x0D);
    }
    bytes
}

/// `-02.25`: sign, two digits, point, two digits.
pub(super) fn signed(value: Hundredths) -> String {
    let sign = if value.0 < 0 { '-' } else { '+' };
    let size = value.0.unsigned_abs();
    format!("{sign}{:02}.{:02}", size / 100, size % 100)
}

/// `13.75`.
pub(super) fn unsigned(value: Hundredths) -> String {
    let size = value.0.unsigned_abs();
    format!("{:02}.{:02}", size / 100, size % 100)
}

/// `62.5`; the second decimal has to be zero.
pub(super) fn one_decimal(value: Hundredths) -> String {
    let size = value.0.unsigned_abs();
    format!("{:02}.{}", size / 100, size % 100 / 10)
}

/// The instrument's time as a segment.
pub(super) fn time(at: DateTime, style: WireStyle) -> String {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    let (year, month, day) = (at.year(), at.month(), at.day());
    let (hour, minute) = (at.hour(), at.minute());
    if style.year_first {
        format!("DA{year:04}.{month:02}.{day:02}.{hour:02}:{minute:02}")
    } else {
        let month = MONTHS[usize::from(month.unsigned_abs()) - 1];
        format!("DA{day:02}/{month}/{year:04}.{hour:02}:{minute:02}")
    }
}

/// Some minute of a working day.
pub(super) fn some_time(dice: &mut super::dice::Dice) -> DateTime {
    let mut small = |low, high| i8::try_from(dice.between(low, high)).expect("a part of a date");
    civil::datetime(2026, small(1, 12), small(1, 28), small(8, 18), small(0, 59), 0, 0)
}
