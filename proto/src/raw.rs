//! Raw bytes and their hash.

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest;
use std::{
    fmt,
    io::{Read, Write},
    str::FromStr,
};

/// From this length on bytes are deflated on the wire: documents with matrices have megabytes.
pub const DEFLATED_FROM_LEN: usize = 64 * 1024;
/// Longest bytes that are taken from the wire.
pub const RAW_LEN_MAX: usize = 16 * 1024 * 1024;

/// Exactly what the port or the file gave, with its hash. On the wire: base64 and hex; long ones are
/// deflated before, which the field `encoding` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct Raw {
    /// Of the bytes as they came, whatever they are on the wire.
    pub sha256: Sha256,
    pub bytes: Vec<u8>,
}

impl Raw {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { sha256: Sha256::of(&bytes), bytes }
    }
    /// Whether the hash is that of the bytes.
    pub fn is_intact(&self) -> bool {
        Sha256::of(&self.bytes) == self.sha256
    }
}

/// A SHA-256 digest, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

/// Why a text is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal digits")]
pub struct Sha256Error;

impl FromStr for Sha256 {
    type Err = Sha256Error;
    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let digits = text.as_bytes();
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Sha256Error);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| Sha256Error)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Sha256Error)?;
        }
        Ok(Self(bytes))
    }
}
impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    sha256: Sha256,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
    #[serde(with = "base64_bytes")]
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    /// RFC 1951, without a head.
    Deflate,
}

impl From<Raw> for Wire {
    fn from(raw: Raw) -> Self {
        let Raw { sha256, bytes } = raw;
        if bytes.len() < DEFLATED_FROM_LEN {
            return Self { sha256, encoding: None, bytes };
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        let deflated = encoder.write_all(&bytes).and_then(|()| encoder.finish());
        match deflated {
            Ok(deflated) if deflated.len() < bytes.len() => {
                Self { sha256, encoding: Some(Encoding::Deflate), bytes: deflated }
            }
            _ => Self { sha256, encoding: None, bytes },
        }
    }
}

impl TryFrom<Wire> for Raw {
    type Error = String;
    fn try_from(wire: Wire) -> Result<Self, String> {
        let Wire { sha256, encoding, bytes } = wire;
        let Some(Encoding::Deflate) = encoding else { return Ok(Self { sha256, bytes }) };
        let limit = RAW_LEN_MAX as u64 + 1;
        let mut inflated = Vec::new();
        let read = DeflateDecoder::new(bytes.as_slice()).take(limit).read_to_end(&mut inflated);
        read.map_err(|error| format!("raw bytes cannot be inflated: {error}"))?;
        if inflated.len() > RAW_LEN_MAX {
            return Err(format!("raw bytes of more than {RAW_LEN_MAX}"));
        }
        Ok(Self { sha256, bytes: inflated })
    }
}

pub(crate) mod base64_bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_bytes_are_deflated_on_the_wire_and_come_back() {
        for len in [0, 1, DEFLATED_FROM_LEN - 1, DEFLATED_FROM_LEN, 3_000_000] {
            let raw =
                Raw::new(b"<Value>1.2345</Value>".iter().copied().cycle().take(len).collect());
            let wire = serde_json::to_value(&raw).unwrap();
            assert_eq!(wire.get("encoding").is_some(), len >= DEFLATED_FROM_LEN, "{len}");
            assert!(wire.to_string().len() < 2 * DEFLATED_FROM_LEN, "{len}");
            let back: Raw = serde_json::from_value(wire).unwrap();
            assert!(back == raw && back.is_intact(), "{len}");
        }
    }

    /// Frozen: "chiasm" as another program deflated it.
    #[test]
    fn deflated_bytes_of_others_are_read() {
        let sha256 = Sha256::of(b"chiasm");
        let wire = json!({ "sha256": sha256, "encoding": "deflate", "bytes": "S87ITCzOBQA=" });
        let raw: Raw = serde_json::from_value(wire).unwrap();
        assert!(raw.bytes == b"chiasm" && raw.is_intact());
        for (encoding, bytes) in [("deflate", "AAAA"), ("lzw", "S87ITCzOBQA=")] {
            let wire = json!({ "sha256": sha256, "encoding": encoding, "bytes": bytes });
            assert!(serde_json::from_value::<Raw>(wire).is_err(), "{encoding}");
        }
    }

    #[test]
    fn what_inflates_beyond_all_measure_is_refused() {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![0; RAW_LEN_MAX + 1]).unwrap();
        let bomb = STANDARD.encode(encoder.finish().unwrap());
        let wire = json!({ "sha256": Sha256::of(b""), "encoding": "deflate", "bytes": bomb });
        assert!(serde_json::from_value::<Raw>(wire).is_err());
    }
}
