//! A gateway's links and imagers: as its configuration file has them, and as the cloud sends them.
//!
//! Unknown keys are errors here, against the rule of the rest of the wire format: a gateway must not
//! leave out what somebody has set, so it refuses a document that it does not understand whole.

use crate::{
    LaneId, LinkId, Sha256,
    listening::{Heard, Ports},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

/// Longest document, in bytes.
pub const DOCUMENT_LEN_MAX: usize = 64 * 1024;
/// Most links of one gateway.
pub const LINKS_MAX: usize = 64;
/// Most imagers of one gateway.
pub const IMAGERS_MAX: usize = 64;

/// Published on `…/down/config`: what a gateway shall read from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Grows with every change of one gateway. 0 is what stands in the gateway's own file.
    pub version: u64,
    /// Of the document's bytes.
    pub sha256: Sha256,
    /// A [`Document`] as JSON.
    pub document: String,
    /// The cloud has heard that the gateway has applied it: the gateway keeps it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep: bool,
}

impl Configuration {
    pub fn new(version: u64, document: &Document) -> Self {
        let document = document.to_json();
        Self { version, sha256: Sha256::of(document.as_bytes()), document, keep: false }
    }

    /// Whether the document is the one that was hashed.
    pub fn is_intact(&self) -> bool {
        Sha256::of(self.document.as_bytes()) == self.sha256
    }
}

/// What the cloud can change of a gateway. It names no certificate, no cloud and no data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[serde(default)]
    pub link: Vec<LinkTable>,
    #[serde(default)]
    pub imager: Vec<Imager>,
}

impl Document {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data always serialises")
    }
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// One instrument: where it is attached, which lane it serves, which driver reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkTable {
    pub id: LinkId,
    pub lane: LaneId,
    pub driver: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listen_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<SerialTable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_client: Option<TcpClientTable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_server: Option<TcpServerTable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<FolderTable>,
}

impl LinkTable {
    /// Where it is attached, each word that was given.
    pub fn attached(&self) -> Vec<(Attachment, String)> {
        let serial = self.serial.iter().map(|it| (Attachment::Serial, it.port.clone()));
        let client = self.tcp_client.iter().map(|it| (Attachment::TcpClient, it.address.clone()));
        let server = self.tcp_server.iter().map(|it| (Attachment::TcpServer, it.listen.clone()));
        let folder =
            self.folder.iter().map(|it| (Attachment::Folder, it.path.display().to_string()));
        serial.chain(client).chain(server).chain(folder).collect()
    }
}

/// How an instrument is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    Serial,
    TcpClient,
    TcpServer,
    Folder,
}

impl Attachment {
    pub const ALL: [Self; 4] = [Self::Serial, Self::TcpClient, Self::TcpServer, Self::Folder];

    /// As the table is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::TcpClient => "tcp_client",
            Self::TcpServer => "tcp_server",
            Self::Folder => "folder",
        }
    }
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// What is left out is what the driver's instruments do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialTable {
    /// A path, or `usb:` and the adapter's serial number.
    pub port: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baud: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_bits: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_bits: Option<u8>,
    #[serde(default, skip_serializing_if = "FlowControl::is_none")]
    pub flow_control: FlowControl,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub dtr: bool,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub rts: bool,
}

impl SerialTable {
    /// A port with the driver's own line settings.
    pub fn at(port: impl Into<String>) -> Self {
        Self {
            port: port.into(),
            baud: None,
            data_bits: None,
            parity: None,
            stop_bits: None,
            flow_control: FlowControl::None,
            dtr: true,
            rts: true,
        }
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Declares an enumeration of words that people read and write, in files and on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$of])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(Parity { None = "none", Even = "even", Odd = "odd" });
words!(
    #[derive(Default)]
    FlowControl { #[default] None = "none", Software = "software", Hardware = "hardware" }
);
words!(
    /// In which order an instrument writes day, month and year.
    DateOrder { DayFirst = "day_first", MonthFirst = "month_first", YearFirst = "year_first" }
);

impl FlowControl {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpClientTable {
    pub address: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpServerTable {
    pub listen: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderTable {
    pub path: PathBuf,
}

/// Whether an imager speaks TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagerTls {
    /// It may call either port; we call it without.
    #[default]
    Optional,
    /// It is refused on the plain port, and we call it by TLS.
    Required,
}

impl ImagerTls {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_optional(&self) -> bool {
        *self == Self::Optional
    }
}

/// An instrument that speaks DICOM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imager {
    pub id: LinkId,
    pub lane: LaneId,
    pub calling_ae: String,
    /// `host:port` where it listens itself, for commitment reports and C-ECHO.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The only address that it may call from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_ip: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "ImagerTls::is_optional")]
    pub tls: ImagerTls,
    /// The only certificate that it may show: SHA-256 of its DER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<Sha256>,
}

/// Which configuration a gateway uses, and what became of the last one that it does not use. Told
/// whole at each connection and whenever it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationReport {
    /// In use.
    pub version: u64,
    pub sha256: Sha256,
    /// So that the cloud knows what it did not send: the gateway's own file, or what it sent before
    /// its own database was restored from a backup.
    pub document: String,
    /// Applied, and waits for the cloud's word to be kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_on_trial: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedConfiguration>,
}

/// A configuration that a gateway does not use, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedConfiguration {
    pub version: u64,
    pub sha256: Sha256,
    pub outcome: ConfigurationFailure,
    /// For people.
    pub reason: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigurationFailure {
    /// It was never applied.
    Refused,
    /// It was applied and given up.
    Reverted,
}

/// Published on `…/up/reply`: what a gateway says to what the cloud has sent down. Carries no number
/// and is not kept: it is the whole truth of its kind each time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reply {
    Configuration(ConfigurationReport),
    Heard(Heard),
    Ports(Ports),
}
