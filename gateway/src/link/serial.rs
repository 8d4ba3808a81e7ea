//! Serial ports and USB adapters. The only place that opens one.

use super::Backoff;
use crate::{
    config::{FlowControl, Link, Serial},
    health::Health,
    session::{Session, SessionError},
};
use chiasm_drivers::{Parity, detect::probe::LineErrors};
use std::{
    fmt, io,
    path::{Path, PathBuf},
};
use tokio_serial::{SerialPort, SerialPortBuilderExt, SerialPortType, SerialStream};

/// Why a port could not be opened, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("no USB adapter with serial number `{serial}` is plugged in")]
    NotPlugged { serial: String },
    #[error(
        "{count} USB adapters have the serial number `{serial}`: name one by its path under \
         /dev/serial/by-path"
    )]
    Ambiguous { serial: String, count: usize },
    #[error("cannot list the ports: {0}")]
    List(#[source] tokio_serial::Error),
    #[error("cannot open {path}: {source}{}", advice(source))]
    Open { path: PathBuf, source: io::Error },
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; nothing is plugged in there",
        io::ErrorKind::PermissionDenied => "; add the gateway's user to the group of the port",
        io::ErrorKind::ResourceBusy => "; another program has it open",
        _ => "",
    }
}

pub(super) async fn run(
    link: &Link,
    serial: &Serial,
    mut session: Session,
    health: &Health,
) -> SessionError {
    let mut backoff = Backoff::new();
    loop {
        match open(serial) {
            Ok(mut stream) => {
                health.up(&link.id);
                backoff.reset();
                match session.run(&mut stream).await {
                    SessionError::Port(error) => {
                        // Closed before it is looked for again, or an adapter that comes back
                        // would get another name.
                        drop(stream);
                        health.down(&link.id, &format!("{} went away: {error}", serial.port));
                    }
                    other => return other,
                }
                if let Err(error) = session.end().await {
                    return error;
                }
            }
            Err(error) => health.down(&link.id, &error.to_string()),
        }
        if let Err(error) = session.waiting(backoff.pause()).await {
            return error;
        }
    }
}

/// Opens a port exclusively with all its settings said, so that nothing is left from before.
pub fn open(serial: &Serial) -> Result<SerialStream, OpenError> {
    let path = find(&serial.port)?;
    let fail =
        |error: tokio_serial::Error| OpenError::Open { path: path.clone(), source: to_io(error) };
    let mut stream = tokio_serial::new(path.display().to_string(), serial.line.baud)
        .data_bits(match serial.line.data_bits {
            7 => tokio_serial::DataBits::Seven,
            _ => tokio_serial::DataBits::Eight,
        })
        .parity(match serial.line.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Even => tokio_serial::Parity::Even,
            Parity::Odd => tokio_serial::Parity::Odd,
        })
        .stop_bits(match serial.line.stop_bits {
            2 => tokio_serial::StopBits::Two,
            _ => tokio_serial::StopBits::One,
        })
        .flow_control(match serial.flow_control {
            FlowControl::None => tokio_serial::FlowControl::None,
            FlowControl::Software => tokio_serial::FlowControl::Software,
            FlowControl::Hardware => tokio_serial::FlowControl::Hardware,
        })
        .open_native_async()
        .map_err(fail)?;
    // Some instruments send only while these lines are raised. A pseudo-terminal has none.
    let lines = stream
        .write_data_terminal_ready(serial.dtr)
        .and_then(|()| stream.write_request_to_send(serial.rts));
    match lines.map_err(to_io) {
        Err(source) if !has_no_modem_lines(&source) => Err(OpenError::Open { path, source }),
        _ => Ok(stream),
    }
}

/// What the port has counted since the computer started; nothing where it counts nothing, as a
/// pseudo-terminal.
pub fn line_errors(stream: &SerialStream) -> Option<LineErrors> {
    super::line_errors::read(stream)
}

fn to_io(error: tokio_serial::Error) -> io::Error {
    match error.kind {
        tokio_serial::ErrorKind::Io(kind) => io::Error::new(kind, error.description),
        tokio_serial::ErrorKind::NoDevice if error.description.contains("busy") => {
            io::Error::new(io::ErrorKind::ResourceBusy, error.description)
        }
        tokio_serial::ErrorKind::NoDevice => {
            io::Error::new(io::ErrorKind::NotFound, error.description)
        }
        _ => io::Error::other(error.description),
    }
}

fn has_no_modem_lines(error: &io::Error) -> bool {
    let text = error.to_string();
    error.kind() == io::ErrorKind::InvalidInput
        || text.contains("Inappropriate ioctl")
        || text.contains("Invalid argument")
        || text.contains("Not a typewriter")
}

/// The path behind a configured name.
fn find(port: &str) -> Result<PathBuf, OpenError> {
    let Some(serial) = port.strip_prefix("usb:") else { return Ok(port.into()) };
    let matching: Vec<Port> = list()?
        .into_iter()
        .filter(|port| port.usb.as_ref().is_some_and(|usb| usb.serial.as_deref() == Some(serial)))
        .collect();
    match &matching[..] {
        [only] => Ok(only.path.clone()),
        [] => Err(OpenError::NotPlugged { serial: serial.into() }),
        several => Err(OpenError::Ambiguous { serial: serial.into(), count: several.len() }),
    }
}

/// A serial port of this computer.
#[derive(Debug, Clone)]
pub struct Port {
    pub path: PathBuf,
    /// The names that stay when adapters are plugged in another order.
    pub stable: Vec<PathBuf>,
    pub usb: Option<Usb>,
}

/// A USB adapter as it describes itself.
#[derive(Debug, Clone)]
pub struct Usb {
    pub vendor_id: u16,
    pub product_id: u16,
    pub serial: Option<String>,
    pub product: Option<String>,
}

impl fmt::Display for Usb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "USB {:04x}:{:04x}", self.vendor_id, self.product_id)?;
        if let Some(product) = &self.product {
            write!(f, " {product}")?;
        }
        match &self.serial {
            Some(serial) => write!(f, ", serial number {serial}"),
            None => f.write_str(", without a serial number"),
        }
    }
}

/// What is plugged in.
pub fn list() -> Result<Vec<Port>, OpenError> {
    let links: Vec<(PathBuf, PathBuf)> = ["/dev/serial/by-id", "/dev/serial/by-path"]
        .iter()
        .filter_map(|dir| std::fs::read_dir(dir).ok())
        .flatten()
        .filter_map(|entry| {
            let link = entry.ok()?.path();
            let target = link.canonicalize().ok()?;
            Some((link, target))
        })
        .collect();
    let ports = tokio_serial::available_ports().map_err(OpenError::List)?;
    Ok(ports
        .into_iter()
        .map(|port| {
            let path = PathBuf::from(&port.port_name);
            let stable = stable_names(&links, &path);
            let usb = match port.port_type {
                SerialPortType::UsbPort(usb) => Some(Usb {
                    vendor_id: usb.vid,
                    product_id: usb.pid,
                    serial: usb.serial_number,
                    product: usb.product,
                }),
                _ => None,
            };
            Port { path, stable, usb }
        })
        .collect())
}

fn stable_names(links: &[(PathBuf, PathBuf)], path: &Path) -> Vec<PathBuf> {
    links.iter().filter(|(_, target)| target == path).map(|(link, _)| link.clone()).collect()
}
