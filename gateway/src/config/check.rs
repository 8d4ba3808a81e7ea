//! From what is written to what can be used, or what to do about it.

use super::{ConfigError, Endpoint, LanePage, Link, Remote, Serial, Uplink};
use crate::drivers;
use chiasm_drivers::{DateOrder, DriverSpec, LineSettings, Parity, Transport, registry};
use chiasm_proto::config::{self, FolderTable, LinkTable, SerialTable};
use std::{collections::BTreeMap, path::Path};

/// Longest heading of a column, in bytes.
const HEADING_LEN_MAX: usize = 200;

pub(super) struct Check<'a> {
    pub(super) path: &'a Path,
}

impl Check<'_> {
    pub(super) fn fail(&self, key: &str, problem: impl Into<String>, remedy: &str) -> ConfigError {
        ConfigError::Value {
            path: self.path.into(),
            key: key.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    pub(super) fn uplink(&self, uplink: &Uplink) -> Result<(), ConfigError> {
        let interval_s = uplink.telemetry_interval_s;
        if (1..=3600).contains(&interval_s) {
            return Ok(());
        }
        let problem = format!("{interval_s} seconds is out of range");
        Err(self.fail("uplink.telemetry_interval_s", problem, "choose 1 to 3600, 30 is usual"))
    }

    pub(super) fn remote(&self, remote: &Remote) -> Result<(), ConfigError> {
        let within_s = remote.confirm_within_s;
        if !(1..=3600).contains(&within_s) {
            let problem = format!("{within_s} seconds is out of range");
            let remedy = "choose 1 to 3600, 300 is usual";
            return Err(self.fail("remote.confirm_within_s", problem, remedy));
        }
        match remote.folders.iter().find(|folder| !folder.is_absolute()) {
            None => Ok(()),
            Some(folder) => {
                let problem = format!("`{}` is not an absolute path", folder.display());
                Err(self.fail("remote.folders", problem, "begin it with /"))
            }
        }
    }

    pub(super) fn lane_page(&self, page: Option<&LanePage>) -> Result<(), ConfigError> {
        let Some(page) = page else { return Ok(()) };
        if let Some(url) = page.cloud_pages.as_deref().filter(|url| !url.starts_with("https://")) {
            let problem = format!("`{url}` does not begin with https://");
            let remedy = "write it as people open the cloud's pages";
            return Err(self.fail("lane_page.cloud_pages", problem, remedy));
        }
        if !(1..=3600).contains(&page.offline_after_s) {
            let problem = format!("{} seconds is out of range", page.offline_after_s);
            let remedy = "choose 1 to 3600, 30 is usual";
            return Err(self.fail("lane_page.offline_after_s", problem, remedy));
        }
        Ok(())
    }

    pub(super) fn link(&self, table: LinkTable) -> Result<Link, ConfigError> {
        let key = format!("link \"{}\"", table.id);
        let driver = drivers::find(&table.driver).ok_or_else(|| {
            let problem = format!("there is no driver `{}`", table.driver);
            let remedy = format!("choose one of: {}", drivers::ids());
            self.fail(&format!("{key}.driver"), problem, &remedy)
        })?;
        self.columns(&key, &table.columns, driver)?;
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
            date_order: table.date_order.map(|word| match word {
                config::DateOrder::DayFirst => DateOrder::DayFirst,
                config::DateOrder::MonthFirst => DateOrder::MonthFirst,
                config::DateOrder::YearFirst => DateOrder::YearFirst,
            }),
            columns: table.columns,
            endpoint,
        })
    }

    /// The quantities to which the site gave headings.
    fn columns(
        &self,
        key: &str,
        columns: &BTreeMap<String, String>,
        driver: &DriverSpec,
    ) -> Result<(), ConfigError> {
        let known = registry::columns(driver);
        let remedy = format!("`chiasm-gateway drivers {}` lists what it takes", driver.id);
        for (name, heading) in columns {
            let key = format!("{key}.columns.{name}");
            if !known.iter().any(|(column, _)| column == name) {
                let problem = format!("driver `{}` has no such column", driver.id);
                return Err(self.fail(&key, problem, &remedy));
            }
            if heading.trim().is_empty() || heading.len() > HEADING_LEN_MAX {
                let problem = format!("a heading has 1 to {HEADING_LEN_MAX} bytes");
                return Err(self.fail(&key, problem, "copy it from the file's first line"));
            }
        }
        Ok(())
    }

    pub(super) fn address(&self, key: &str, address: &str) -> Result<(), ConfigError> {
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
                config::Parity::None => Parity::None,
                config::Parity::Even => Parity::Even,
                config::Parity::Odd => Parity::Odd,
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
            flow_control: table.flow_control.into(),
            dtr: table.dtr,
            rts: table.rts,
        }))
    }
}
