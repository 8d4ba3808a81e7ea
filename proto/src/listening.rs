//! Looking at what an instrument sends, from the cloud (I2): which ports a gateway has, and what
//! comes over one of them just now. Values never travel: digits and letters are masked on the
//! gateway.

use crate::LinkId;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use uuid::Uuid;

/// Longest time that is listened, in seconds.
pub const LISTEN_S_MAX: u32 = 60;
/// Longest time in which driver and line settings are searched for, in seconds.
pub const DETECT_S_MAX: u32 = 600;
/// Longest masked text, in bytes; the newest are kept.
pub const HEARD_LEN_MAX: usize = 4096;
/// Most lines of what a decoder says; the newest are kept.
pub const VERDICTS_MAX: usize = 40;
/// Most ports that are told.
pub const PORTS_MAX: usize = 64;

/// Published on `…/down/command`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Tell what comes over a link while it is read as always.
    Listen { id: Uuid, link: LinkId, seconds: u32 },
    /// Listen on a port that no link reads, at one documented line setting after the other.
    Detect { id: Uuid, port: String, seconds: u32 },
}

impl Command {
    pub fn id(&self) -> Uuid {
        match self {
            Self::Listen { id, .. } | Self::Detect { id, .. } => *id,
        }
    }
}

/// What was heard so far: the whole truth each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Of the command.
    pub id: Uuid,
    pub bytes: u64,
    /// Digits as 9, letters as a and A, control bytes as `<02>`, all others as `?`.
    pub masked: String,
    /// What the decoder says, or the search for one: no values.
    pub verdicts: Vec<String>,
    /// It has ended, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// The serial ports of a gateway: the whole truth each time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub ports: Vec<PortState>,
}

/// A serial port as it is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    /// By which a link names it: the adapter's serial number, or a path that stays.
    pub name: String,
    /// For people.
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkId>,
    /// Why a link must not name it by its adapter (I3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambiguous: Option<String>,
}

/// Bytes without what they say: their shape is enough to see what a line does wrong.
pub fn mask(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        match byte {
            b'0'..=b'9' => text.push('9'),
            b'a'..=b'z' => text.push('a'),
            b'A'..=b'Z' => text.push('A'),
            b'\n' => text.push_str("<0a>\n"),
            0..=0x1f | 0x7f => {
                let _ = write!(text, "<{byte:02x}>");
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push('?'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_names_are_gone_and_the_shape_stays() {
        let bytes = b"\x01DRM\x02OR-04.25 Smith\x17\r\n\xff";
        assert_eq!(mask(bytes), "<01>AAA<02>AA-99.99 Aaaaa<17><0d><0a>\n?");
    }
}
