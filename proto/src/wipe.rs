//! What a gateway says before it destroys everything it holds, signed with its key.
//!
//! `POST /enrol/v1/wiped` on the cloud's gateway endpoint, under the gateway's certificate; or as a
//! file that is brought to the cloud later. The record is signed as the text that travels, so that
//! anybody can check it without this software:
//!
//! ```text
//! jq -j .record wiped.json > record; jq -r .signature wiped.json | base64 -d > signature
//! jq -r .certificate_pem wiped.json > certificate.pem
//! openssl x509 -in certificate.pem -pubkey -noout > public.pem
//! openssl dgst -sha256 -verify public.pem -signature signature record
//! openssl verify -CAfile authority.pem certificate.pem
//! ```

use crate::{ClockState, GatewayId, TenantId, raw::base64_bytes};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Path of a [`SignedWipe`]. Answered with 204, also if it was told before.
pub const WIPED_PATH: &str = "/enrol/v1/wiped";
/// Longest name of who wipes, in characters.
pub const BY_LEN_MAX: usize = 100;

/// That a gateway is wiped. Its key and certificate do not outlive the next moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipeRecord {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    /// Of the certificate that the gateway had, in lower-case hexadecimal.
    pub certificate_serial: String,
    /// Of the machine, as its maker or its system names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_serial: Option<String>,
    pub wiped_at: Timestamp,
    pub clock: ClockState,
    /// Who did it, as they said.
    pub by: String,
    /// What the cloud had not acknowledged. Absent where it could not be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    pub software_version: String,
}

/// What a wiped gateway took along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Documents, mostly readings.
    pub documents: u64,
    /// Documents that the cloud had refused; they existed in the gateway only.
    pub quarantined: u64,
    pub instances: u64,
    pub instance_bytes: u64,
    /// Bytes that instruments sent and no document accounted for.
    pub journal_bytes: u64,
    /// Databases and folders that the gateway had set aside, which may hold readings as well.
    pub set_aside: u64,
}

impl Lost {
    /// Whether the cloud has everything that was to go there.
    pub fn is_nothing(&self) -> bool {
        self.documents == 0 && self.instances == 0 && self.journal_bytes == 0
    }
}

/// A [`WipeRecord`] with proof of who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedWipe {
    /// A [`WipeRecord`] as JSON, exactly as it was signed.
    pub record: String,
    /// ECDSA on P-256 over the SHA-256 of `record`, in DER.
    #[serde(with = "base64_bytes")]
    pub signature: Vec<u8>,
    /// The gateway's certificate, whose key has signed.
    pub certificate_pem: String,
}
