//! Names and numbers of things. A slug stands in topics, certificates and URLs, so it is checked
//! when it is made: 1 to 64 of `a-z`, `0-9` and `-`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Longest slug, in characters.
pub const SLUG_LEN_MAX: usize = 64;

/// Why a text is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}: 1 to {SLUG_LEN_MAX} of a-z, 0-9 and '-' are allowed")]
pub struct SlugError {
    what: &'static str,
    text: String,
}

fn slug_is_valid(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SLUG_LEN_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text and wraps it.
            pub fn new(text: impl Into<String>) -> Result<Self, SlugError> {
                let text = text.into();
                if slug_is_valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(SlugError { what: $what, text })
                }
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl FromStr for $name {
            type Err = SlugError;
            fn from_str(text: &str) -> Result<Self, SlugError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = SlugError;
            fn try_from(text: String) -> Result<Self, SlugError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

slug!(
    /// A practice: the boundary of isolation and of billing.
    TenantId, "tenant id"
);
slug!(
    /// A clinic of a tenant.
    LocationId, "location id"
);
slug!(
    /// A room with instruments and one patient at a time.
    LaneId, "lane id"
);
slug!(
    /// The edge computer of a location.
    GatewayId, "gateway id"
);
slug!(
    /// A serial port, TCP connection or folder through which one instrument is read.
    LinkId, "link id"
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One numbered document of a gateway (a reading, a capture, an event). UUIDv7.
    ReadingId
);
uuid_id!(
    /// "This lane now measures this patient's encounter."
    LaneSessionId
);
uuid_id!(
    /// One life of a gateway's spool database. A spool that is made anew or restored from a backup
    /// begins a new epoch, so that its numbers can never be taken for those of the old one.
    Epoch
);

/// The number of a document within its epoch, counted from 1 without gaps.
pub type Seq = u64;
