//! The configuration file. Unknown keys are errors, and every error names the file, the key and
//! what to do.

mod check;
mod dicom;
mod tables;

pub use dicom::{ClientCertificate, Dicom, DicomTls, IMAGERS_MAX, Imager, ImagerTls};

use crate::{lane_page::desk::OFFLINE_AFTER, seal};
use check::Check;
use chiasm_drivers::{DateOrder, DriverOptions, DriverSpec, LineSettings};
pub use chiasm_proto::config::LINKS_MAX;
use chiasm_proto::{LaneId, LinkId, config::Document};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tables::ConfigFile;

/// Where the file stands if nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/chiasm-gateway/gateway.toml";
/// Longest configuration file.
pub const CONFIG_LEN_MAX: u64 = 1024 * 1024;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {source}; create it or name another with --config")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: longer than {CONFIG_LEN_MAX} bytes; this is no configuration of a gateway")]
    TooLong { path: PathBuf },
    #[error("{path}: {message}")]
    Syntax { path: PathBuf, message: String },
    #[error("{path}: {key}: {problem}; {remedy}")]
    Value { path: PathBuf, key: String, problem: String, remedy: String },
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    /// The file with the key that seals what lies in `data_dir`; beside the configuration, unless
    /// it says another place.
    pub spool_key: PathBuf,
    pub uplink: Uplink,
    pub remote: Remote,
    /// Links and imagers as they stand in the file.
    pub own: Document,
    pub links: Vec<Link>,
    /// None: the gateway has no page of its own.
    pub lane_page: Option<LanePage>,
    /// None: no imagers, and nothing listens.
    pub dicom: Option<Dicom>,
    pub imagers: Vec<Imager>,
    pub metrics: Metrics,
}

/// Numbers for monitoring.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Where `/metrics` is, without sign-in; nowhere by default.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uplink {
    /// Seconds between two telemetry documents.
    pub telemetry_interval_s: u32,
}

/// The page by which the clinic works on while the internet is down.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanePage {
    pub listen: SocketAddr,
    /// Names and addresses by which browsers reach the gateway; they stand in its certificate.
    #[serde(default)]
    pub names: Vec<String>,
    /// Where the cloud's pages are.
    pub cloud_pages: Option<String>,
    /// Seconds without the cloud until people may work here.
    #[serde(default = "offline_after_s")]
    pub offline_after_s: u32,
}

fn offline_after_s() -> u32 {
    u32::try_from(OFFLINE_AFTER.as_secs()).unwrap_or(u32::MAX)
}

impl Default for Uplink {
    fn default() -> Self {
        Self { telemetry_interval_s: 30 }
    }
}

/// What a configuration from the cloud may do here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Remote {
    /// False: the links of this file count, whatever the cloud sends.
    pub accept: bool,
    /// Below which it may name folders.
    pub folders: Vec<PathBuf>,
    /// Seconds in which the cloud has to confirm it; then the one before counts again.
    pub confirm_within_s: u32,
}

impl Default for Remote {
    fn default() -> Self {
        Self { accept: true, folders: vec!["/srv/instruments".into()], confirm_within_s: 300 }
    }
}

/// One instrument: where it is attached, which lane it serves, which driver reads it.
#[derive(Clone)]
pub struct Link {
    pub id: LinkId,
    pub lane: LaneId,
    pub driver: &'static DriverSpec,
    pub model: Option<String>,
    pub listen_only: bool,
    pub date_order: Option<DateOrder>,
    pub columns: BTreeMap<String, String>,
    pub endpoint: Endpoint,
}

impl Link {
    /// What the configuration says to the driver.
    pub fn driver_options(&self) -> DriverOptions {
        DriverOptions {
            model: self.model.clone(),
            listen_only: self.listen_only,
            date_order: self.date_order,
            columns: self.columns.clone(),
        }
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        let options = |link: &Self| {
            (link.model.clone(), link.listen_only, link.date_order, link.columns.clone())
        };
        self.id == other.id
            && self.lane == other.lane
            && self.driver.id == other.driver.id
            && self.endpoint == other.endpoint
            && options(self) == options(other)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} at {})", self.id, self.driver.id, self.endpoint.describe())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Serial(Serial),
    TcpClient { address: String },
    TcpServer { listen: String },
    Folder { path: PathBuf, extension: &'static str },
}

impl Endpoint {
    /// What the link is fixed to, for people.
    pub fn describe(&self) -> String {
        match self {
            Endpoint::Serial(serial) => serial.port.clone(),
            Endpoint::TcpClient { address } => address.clone(),
            Endpoint::TcpServer { listen } => listen.clone(),
            Endpoint::Folder { path, .. } => path.display().to_string(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// A path, or `usb:` and the adapter's serial number.
    pub port: String,
    pub line: LineSettings,
    pub flow_control: FlowControl,
    pub dtr: bool,
    pub rts: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FlowControl {
    #[default]
    None,
    Software,
    Hardware,
}

impl From<chiasm_proto::config::FlowControl> for FlowControl {
    fn from(word: chiasm_proto::config::FlowControl) -> Self {
        match word {
            chiasm_proto::config::FlowControl::None => FlowControl::None,
            chiasm_proto::config::FlowControl::Software => FlowControl::Software,
            chiasm_proto::config::FlowControl::Hardware => FlowControl::Hardware,
        }
    }
}

/// [`DateOrder`] as it is typed.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum DateOrderWord {
    DayFirst,
    MonthFirst,
    YearFirst,
}

impl From<DateOrderWord> for DateOrder {
    fn from(word: DateOrderWord) -> Self {
        match word {
            DateOrderWord::DayFirst => DateOrder::DayFirst,
            DateOrderWord::MonthFirst => DateOrder::MonthFirst,
            DateOrderWord::YearFirst => DateOrder::YearFirst,
        }
    }
}

/// Reads and checks a configuration file.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let read = |source| ConfigError::Read { path: path.into(), source };
    if std::fs::metadata(path).map_err(read)?.len() > CONFIG_LEN_MAX {
        return Err(ConfigError::TooLong { path: path.into() });
    }
    parse(path, &std::fs::read_to_string(path).map_err(read)?)
}

/// Checks the text of a configuration file; `path` is for messages.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let file: ConfigFile = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        path: path.into(),
        message: error.to_string().trim_end().into(),
    })?;
    let check = Check { path };
    check.uplink(&file.uplink)?;
    check.remote(&file.remote)?;
    if !file.data_dir.is_absolute() {
        let problem = format!("`{}` is not an absolute path", file.data_dir.display());
        return Err(check.fail("data_dir", problem, "begin it with /"));
    }
    let spool_key = file.spool_key.unwrap_or_else(|| path.with_file_name(seal::KEY_FILE));
    // Beside a configuration that itself lies there it has no better place.
    if spool_key.starts_with(&file.data_dir) && path.parent() != Some(&*file.data_dir) {
        let problem = format!("`{}` lies in data_dir", spool_key.display());
        let remedy = "whoever copies that folder must not get the key with it; choose another";
        return Err(check.fail("spool_key", problem, remedy));
    }
    check.lane_page(file.lane_page.as_ref())?;
    let own = Document { link: file.link, imager: file.imager };
    let links = checked(&check, file.dicom.as_ref(), &own)?;
    Ok(Config {
        data_dir: file.data_dir,
        spool_key,
        uplink: file.uplink,
        remote: file.remote,
        links,
        lane_page: file.lane_page,
        metrics: file.metrics,
        dicom: file.dicom,
        imagers: own.imager.clone(),
        own,
    })
}

/// Checks links and imagers that came from elsewhere as those of the file are checked. `path` is for
/// messages.
pub fn check_document(
    path: &Path,
    dicom: Option<&Dicom>,
    document: &Document,
) -> Result<Vec<Link>, ConfigError> {
    checked(&Check { path }, dicom, document)
}

fn checked(
    check: &Check<'_>,
    dicom: Option<&Dicom>,
    document: &Document,
) -> Result<Vec<Link>, ConfigError> {
    if document.link.len() > LINKS_MAX {
        let problem = format!("{} links, at most {LINKS_MAX} are allowed", document.link.len());
        return Err(check.fail("link", problem, "split them among several gateways"));
    }
    let mut links = Vec::new();
    let (mut ids, mut endpoints) = (BTreeSet::new(), BTreeSet::new());
    for table in &document.link {
        let link = check.link(table.clone())?;
        let key = format!("link \"{}\"", link.id);
        if !ids.insert(link.id.clone()) {
            return Err(check.fail(
                &format!("{key}.id"),
                "stands twice",
                "give each link its own id",
            ));
        }
        if !endpoints.insert(link.endpoint.describe()) {
            let problem = format!("`{}` is already read by another link", link.endpoint.describe());
            return Err(check.fail(&key, problem, "give each link its own port or folder"));
        }
        links.push(link);
    }
    check.dicom(dicom, &document.imager)?;
    for imager in &document.imager {
        if !ids.insert(imager.id.clone()) {
            let key = format!("imager \"{}\".id", imager.id);
            return Err(check.fail(&key, "stands twice", "give each link and imager its own id"));
        }
    }
    Ok(links)
}
