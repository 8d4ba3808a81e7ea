//! The configuration file. Unknown keys are errors, and every error names the file, the key and
//! what to do.

use crate::drivers;
use chiasm_drivers::{DateOrder, DriverOptions, DriverSpec, LineSettings, Parity, Transport};
use chiasm_proto::{LaneId, LinkId};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

/// Where the file stands if nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/chiasm-gateway/gateway.toml";
/// Longest configuration file.
pub const CONFIG_LEN_MAX: u64 = 1024 * 1024;
/// Most links of one gateway.
pub const LINKS_MAX: usize = 64;

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
    pub uplink: Uplink,
    pub links: Vec<Link>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Uplink {
    /// Seconds between two telemetry documents.
    pub telemetry_interval_s: u32,
}

impl Default for Uplink {
    fn default() -> Self {
        Self { telemetry_interval_s: 30 }
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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum FlowControl {
    #[default]
    None,
    Software,
    Hardware,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data_dir: PathBuf,
    #[serde(default)]
    uplink: Uplink,
    #[serde(default)]
    link: Vec<LinkTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkTable {
    id: LinkId,
    lane: LaneId,
    driver: String,
    model: Option<String>,
    #[serde(default)]
    listen_only: bool,
    date_order: Option<DateOrderWord>,
    #[serde(default)]
    columns: BTreeMap<String, String>,
    serial: Option<SerialTable>,
    tcp_client: Option<TcpClientTable>,
    tcp_server: Option<TcpServerTable>,
    folder: Option<FolderTable>,
}

/// [`DateOrder`] as it is written.
#[derive(Debug, Clone, Copy, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerialTable {
    port: String,
    baud: Option<u32>,
    data_bits: Option<u8>,
    parity: Option<ParityWord>,
    stop_bits: Option<u8>,
    #[serde(default)]
    flow_control: FlowControl,
    #[serde(default = "yes")]
    dtr: bool,
    #[serde(default = "yes")]
    rts: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ParityWord {
    None,
    Even,
    Odd,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TcpClientTable {
    address: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TcpServerTable {
    listen: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FolderTable {
    path: PathBuf,
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
    if !file.data_dir.is_absolute() {
        let problem = format!("`{}` is not an absolute path", file.data_dir.display());
        return Err(check.fail("data_dir", problem, "begin it with /"));
    }
    if file.link.len() > LINKS_MAX {
        let problem = format!("{} links, at most {LINKS_MAX} are allowed", file.link.len());
        return Err(check.fail("link", problem, "split them among several gateways"));
    }
    let mut links = Vec::new();
    let (mut ids, mut endpoints) = (BTreeSet::new(), BTreeSet::new());
    for table in file.link {
        let link = check.link(table)?;
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
    Ok(Config { data_dir: file.data_dir, uplink: file.uplink, links })
}

struct Check<'a> {
    path: &'a Path,
}

impl Check<'_> {
    fn fail(&self, key: &str, problem: impl Into<String>, remedy: &str) -> ConfigError {
        ConfigError::Value {
            path: self.path.into(),
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    fn uplink(&self, uplink: &Uplink) -> Result<(), ConfigError> {
        let interval_s = uplink.telemetry_interval_s;
        if (1..=3600).contains(&interval_s) {
            return Ok(());
        }
        let problem = format!("{interval_s} seconds is out of range");
        Err(self.fail("uplink.telemetry_interval_s", problem, "choose 1 to 3600, 30 is usual"))
    }

    fn link(&self, table: LinkTable) -> Result<Link, ConfigError> {
        let key = format!("link \"{}\"", table.id);
        let driver = drivers::find(&table.driver).ok_or_else(|| {
            let problem = format!("there is no driver `{}`", table.driver);
            let remedy = format!("choose one of: {}", drivers::ids());
            self.fail(&format!("{key}.driver"), problem, &remedy)
        })?;
        let mut endpoints = Vec::new();
        if let Some(serial) = table.serial {
            endpoints.push(self.serial(&key, serial, driver)?);
        }
        if let Some(tcp) = table.tcp_client {
            self.address(&format!("{key}.tcp_client.address"), &tcp.address)?;
            endpoints.push(Endpoint::TcpClient { address: tcp.address });
        }
        if let Some(tcp) = table.tcp_server {
            self.address(&format!("{key}.tcp_server.listen"), &tcp.listen)?;
            endpoints.push(Endpoint::TcpServer { listen: tcp.listen });
        }
        if let Some(folder) = table.folder {
            endpoints.push(self.folder(&key, folder, driver)?);
        }
        let (Some(endpoint), true) = (endpoints.pop(), endpoints.is_empty()) else {
            let remedy = "give exactly one of serial, tcp_client, tcp_server, folder";
            return Err(self.fail(&key, "where the instrument is attached is not clear", remedy));
        };
        Ok(Link {
            id: table.id,
            lane: table.lane,
            driver,
            model: table.model,
            listen_only: table.listen_only,
            date_order: table.date_order.map(DateOrder::from),
            columns: table.columns,
            endpoint,
        })
    }

    fn address(&self, key: &str, address: &str) -> Result<(), ConfigError> {
        let is_right = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if is_right {
            return Ok(());
        }
        Err(self.fail(key, format!("`{address}` is not host:port"), "write it like 10.0.0.5:4001"))
    }

    fn folder(
        &self,
        key: &str,
        table: FolderTable,
        driver: &DriverSpec,
    ) -> Result<Endpoint, ConfigError> {
        let key = format!("{key}.folder.path");
        let Transport::Folder { extension } = driver.transport else {
            let problem = format!("driver `{}` reads a line, not files", driver.id);
            return Err(self.fail(&key, problem, "use serial, tcp_client or tcp_server"));
        };
        if !table.path.is_absolute() {
            let problem = format!("`{}` is not an absolute path", table.path.display());
            return Err(self.fail(&key, problem, "begin it with /"));
        }
        Ok(Endpoint::Folder { path: table.path, extension })
    }

    fn serial(
        &self,
        key: &str,
        table: SerialTable,
        driver: &DriverSpec,
    ) -> Result<Endpoint, ConfigError> {
        let key = |word: &str| format!("{key}.serial.{word}");
        let Some(first) = drivers::first_line_settings(driver) else {
            let problem = format!("driver `{}` reads files, not a line", driver.id);
            return Err(self.fail(&key("port"), problem, "use folder"));
        };
        if !table.port.starts_with('/') && !table.port.starts_with("usb:") {
            let problem = format!("`{}` is neither a path nor usb:serialnumber", table.port);
            let remedy = "`chiasm-gateway ports` lists what is plugged in by its stable name";
            return Err(self.fail(&key("port"), problem, remedy));
        }
        let line = LineSettings {
            baud: table.baud.unwrap_or(first.baud),
            data_bits: table.data_bits.unwrap_or(first.data_bits),
            parity: table.parity.map_or(first.parity, |word| match word {
                ParityWord::None => Parity::None,
                ParityWord::Even => Parity::Even,
                ParityWord::Odd => Parity::Odd,
            }),
            stop_bits: table.stop_bits.unwrap_or(first.stop_bits),
        };
        let out_of_range = |word: &str, value: u32, remedy: &str| {
            Err(self.fail(&key(word), format!("{value} is out of range"), remedy))
        };
        if !(50..=4_000_000).contains(&line.baud) {
            return out_of_range("baud", line.baud, "choose 50 to 4000000, 9600 is usual");
        }
        if !(7..=8).contains(&line.data_bits) {
            return out_of_range("data_bits", line.data_bits.into(), "choose 7 or 8");
        }
        if !(1..=2).contains(&line.stop_bits) {
            return out_of_range("stop_bits", line.stop_bits.into(), "choose 1 or 2");
        }
        Ok(Endpoint::Serial(Serial {
            port: table.port,
            line,
            flow_control: table.flow_control,
            dtr: table.dtr,
            rts: table.rts,
        }))
    }
}
