//! The serial ports as the cloud is told them (I3).

use crate::link::serial::{self, Port};
use chiasm_proto::{
    fleet::LinkState,
    listening::{PORTS_MAX, PortState, Ports},
};
use std::path::Path;

/// What is plugged in, and which link reads it.
pub fn look(links: &[LinkState]) -> Result<Ports, serial::OpenError> {
    Ok(of(&serial::list()?, links))
}

/// Names that stay. An adapter without a serial number of its own, or with that of another, is named
/// by its socket, and it is said why.
pub fn of(ports: &[Port], links: &[LinkState]) -> Ports {
    let states = ports.iter().take(PORTS_MAX).map(|port| {
        let ambiguous = port.usb.as_ref().and_then(|usb| {
            let is_twin =
                |other: &&Port| other.usb.as_ref().is_some_and(|it| it.serial == usb.serial);
            match (&usb.serial, ports.iter().filter(is_twin).count()) {
                (None, _) => Some("the adapter has no serial number".to_owned()),
                (Some(serial), count) if count > 1 => {
                    Some(format!("{count} adapters have the serial number {serial}"))
                }
                _ => None,
            }
        });
        PortState {
            name: name(port, ambiguous.is_some()),
            what: port.usb.as_ref().map_or_else(|| "serial port".into(), ToString::to_string),
            link: links.iter().find(|link| reads(link, port)).map(|it| it.link.clone()),
            ambiguous,
        }
    });
    Ports { ports: states.collect() }
}

fn name(port: &Port, is_ambiguous: bool) -> String {
    let serial = port.usb.as_ref().and_then(|usb| usb.serial.as_ref());
    if let Some(serial) = serial.filter(|_| !is_ambiguous) {
        return format!("usb:{serial}");
    }
    let by_path = port.stable.iter().find(|name| name.starts_with("/dev/serial/by-path"));
    by_path.unwrap_or(&port.path).display().to_string()
}

fn reads(link: &LinkState, port: &Port) -> bool {
    match (link.endpoint.strip_prefix("usb:"), &port.usb) {
        (Some(named), Some(usb)) => usb.serial.as_deref() == Some(named),
        (Some(_), None) => false,
        (None, _) => {
            let path = Path::new(&link.endpoint);
            path == port.path || port.stable.iter().any(|name| name == path)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::parse, health::Health, link::serial::Usb};

    fn port(path: &str, serial: Option<&str>) -> Port {
        let usb = Usb {
            vendor_id: 0x0403,
            product_id: 0x6001,
            serial: serial.map(Into::into),
            product: None,
        };
        let by_path = format!("/dev/serial/by-path/of{}", path.replace('/', "-"));
        Port { path: path.into(), stable: vec![by_path.into()], usb: Some(usb) }
    }

    #[test]
    fn i3_adapters_that_cannot_be_told_apart_are_named_by_their_socket() {
        let ports = [
            port("/dev/ttyUSB0", Some("A1")),
            port("/dev/ttyUSB1", None),
            port("/dev/ttyUSB2", Some("B")),
            port("/dev/ttyUSB3", Some("B")),
        ];
        let text = "data_dir = \"/x\"\n[[link]]\nid = \"ark\"\nlane = \"lane-1\"\n\
            driver = \"nidek_ark\"\n[link.serial]\nport = \"usb:A1\"\n";
        let config = parse(Path::new("gateway.toml"), text).unwrap();
        let links = Health::new(&config.links, Path::new("/x")).links();
        let told = of(&ports, &links).ports;
        let links: Vec<_> = told.iter().map(|it| it.link.as_ref().map(|id| id.as_str())).collect();
        assert_eq!(links, [Some("ark"), None, None, None]);
        assert_eq!(told[0].name, "usb:A1");
        assert_eq!(told[1].name, "/dev/serial/by-path/of-dev-ttyUSB1");
        assert!(told[1].ambiguous.as_ref().unwrap().contains("no serial number"));
        assert!(told[2].ambiguous.as_ref().unwrap().contains("2 adapters"));
        assert_eq!(told[3].name, "/dev/serial/by-path/of-dev-ttyUSB3");
    }
}
