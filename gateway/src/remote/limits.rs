//! What a configuration of the cloud may name here. A cloud in wrong hands must not make a gateway
//! read files that are no readings, call services that are no instruments, or open doors.
//!
//! What the gateway's own file names is allowed, whatever it is: who writes that file can log in.

use crate::config::{Config, Dicom};
use chiasm_proto::config::{DOCUMENT_LEN_MAX, Document, IMAGERS_MAX, LINKS_MAX, LinkTable};
use std::{
    net::{IpAddr, SocketAddr},
    path::{Component, Path},
};

/// How serial ports begin.
const SERIAL_PORTS: [&str; 6] = [
    "usb:",
    "/dev/serial/by-id/",
    "/dev/serial/by-path/",
    "/dev/ttyUSB",
    "/dev/ttyACM",
    "/dev/ttyS",
];
/// Below it stand services of the computer and the network, not instruments.
const PORT_MIN: u16 = 1024;
/// The port of DICOM, which stands below.
const DICOM_PORT: u16 = 104;
/// Longest text in any field, in characters.
const TEXT_LEN_MAX: usize = 200;

/// Before it is parsed.
pub fn check_len(document: &str) -> Result<(), String> {
    match document.len() {
        len if len > DOCUMENT_LEN_MAX => {
            Err(format!("{len} bytes; a configuration has at most {DOCUMENT_LEN_MAX}"))
        }
        _ => Ok(()),
    }
}

/// Says what a configuration names that it may not.
pub fn check(config: &Config, document: &Document) -> Result<(), String> {
    if document.link.len() > LINKS_MAX || document.imager.len() > IMAGERS_MAX {
        return Err(format!("more than {LINKS_MAX} links or {IMAGERS_MAX} imagers"));
    }
    for link in &document.link {
        check_link(config, link).map_err(|reason| format!("link \"{}\": {reason}", link.id))?;
    }
    for imager in &document.imager {
        let is_own = config.own.imager.iter().any(|own| own.address == imager.address);
        let Some(address) = imager.address.as_deref().filter(|_| !is_own) else { continue };
        let to_imager = |port| port == DICOM_PORT || port >= PORT_MIN;
        check_peer(address, to_imager).map_err(|it| format!("imager \"{}\": {it}", imager.id))?;
    }
    Ok(())
}

fn check_link(config: &Config, link: &LinkTable) -> Result<(), String> {
    let texts = link.model.iter().chain(link.columns.values()).chain([&link.driver]);
    if texts.into_iter().any(|text| text.chars().count() > TEXT_LEN_MAX) {
        return Err(format!("a text is longer than {TEXT_LEN_MAX} characters"));
    }
    let own: Vec<_> = config.own.link.iter().flat_map(LinkTable::attached).collect();
    let is_own = link.attached().iter().all(|attached| own.contains(attached));
    if is_own {
        return Ok(());
    }
    if let Some(serial) = &link.serial {
        check_serial_port(&serial.port)?;
    }
    if let Some(client) = &link.tcp_client {
        check_peer(&client.address, |port| port >= PORT_MIN)?;
    }
    if let Some(server) = &link.tcp_server {
        check_listen(config.dicom.as_ref(), &server.listen)?;
    }
    if let Some(folder) = &link.folder {
        check_folder(&config.remote.folders, &folder.path)?;
    }
    Ok(())
}

fn check_serial_port(port: &str) -> Result<(), String> {
    let rest = SERIAL_PORTS.iter().find_map(|begin| port.strip_prefix(begin));
    let is_one = rest.is_some_and(|rest| {
        !rest.is_empty()
            && rest.len() <= TEXT_LEN_MAX
            && !rest.contains('/')
            && !rest.contains('\0')
    });
    is_one.then_some(()).ok_or_else(|| {
        format!("`{port}` is no serial port by a name that `chiasm-gateway ports` lists")
    })
}

/// Instruments and device servers stand in the clinic's own network, under an address: a name could
/// be made to mean another computer.
fn check_peer(address: &str, is_allowed: impl Fn(u16) -> bool) -> Result<(), String> {
    let peer: SocketAddr = address.parse().map_err(|_| {
        format!("`{address}` is no IP address and port; only gateway.toml may name hosts")
    })?;
    if !is_in_clinic(peer.ip()) {
        return Err(format!("{} is no address of a private network", peer.ip()));
    }
    if !is_allowed(peer.port()) {
        return Err(format!("port {} is no port of instruments", peer.port()));
    }
    Ok(())
}

fn is_in_clinic(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

fn check_listen(dicom: Option<&Dicom>, listen: &str) -> Result<(), String> {
    let socket: SocketAddr =
        listen.parse().map_err(|_| format!("`{listen}` is no IP address and port"))?;
    if socket.port() < PORT_MIN {
        return Err(format!("ports below {PORT_MIN} are not for instruments"));
    }
    let taken = dicom.into_iter().flat_map(|dicom| {
        [Some(&dicom.listen), dicom.tls.as_ref().map(|tls| &tls.listen)].into_iter().flatten()
    });
    let port_of = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    if taken.into_iter().any(|taken| port_of(taken) == Some(socket.port())) {
        return Err(format!("port {} is the DICOM node's", socket.port()));
    }
    Ok(())
}

fn check_folder(roots: &[std::path::PathBuf], path: &Path) -> Result<(), String> {
    let is_plain =
        path.components().all(|it| matches!(it, Component::RootDir | Component::Normal(_)));
    let is_below = roots.iter().any(|root| path.starts_with(root));
    if is_plain && is_below && path.as_os_str().len() <= TEXT_LEN_MAX {
        return Ok(());
    }
    let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
    Err(format!(
        "`{}` is not below {}; gateway.toml allows more by remote.folders",
        path.display(),
        roots.join(" or ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const OWN: &str = "data_dir = \"/var/lib/x\"\n[dicom]\nlisten = \"0.0.0.0:11112\"\n\
        [[link]]\nid = \"own\"\nlane = \"lane-1\"\ndriver = \"nidek_ark\"\n\
        [link.tcp_client]\naddress = \"lantronix.example:23\"\n";

    fn refusal(tables: &str) -> Option<String> {
        let config = parse(Path::new("gateway.toml"), OWN).unwrap();
        let document: Document = toml::from_str(tables).unwrap();
        check(&config, &document).err()
    }

    fn link(driver: &str, attached: &str) -> String {
        format!(
            "[[link]]\nid = \"a\"\nlane = \"lane-1\"\ndriver = \"{driver}\"\n[link.{attached}\n"
        )
    }

    #[test]
    fn instruments_are_allowed() {
        for attached in [
            "serial]\nport = \"usb:A50285BI\"",
            "serial]\nport = \"/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0\"",
            "serial]\nport = \"/dev/ttyUSB0\"",
            "tcp_client]\naddress = \"192.168.1.20:4001\"",
            "tcp_client]\naddress = \"lantronix.example:23\"",
            "tcp_server]\nlisten = \"0.0.0.0:4001\"",
            "folder]\npath = \"/srv/instruments/oct\"",
        ] {
            assert_eq!(refusal(&link("nidek_ark", attached)), None, "{attached}");
        }
        let imager = "[[imager]]\nid = \"oct\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n";
        assert_eq!(refusal(&format!("{imager}address = \"10.0.0.7:104\"\n")), None);
    }

    #[test]
    fn what_a_hostile_cloud_would_name_is_refused() {
        for (attached, words) in [
            ("serial]\nport = \"/etc/shadow\"", "no serial port"),
            ("serial]\nport = \"/dev/serial/by-id/../../sda\"", "no serial port"),
            ("serial]\nport = \"/dev/ttyUSB0/../mem\"", "no serial port"),
            ("serial]\nport = \"/dev/tty\"", "no serial port"),
            ("tcp_client]\naddress = \"127.0.0.1:6379\"", "private network"),
            ("tcp_client]\naddress = \"169.254.169.254:8080\"", "private network"),
            ("tcp_client]\naddress = \"8.8.8.8:4001\"", "private network"),
            ("tcp_client]\naddress = \"[::ffff:127.0.0.1]:4001\"", "private network"),
            ("tcp_client]\naddress = \"10.0.0.1:22\"", "no port of instruments"),
            ("tcp_client]\naddress = \"evil.example:4001\"", "only gateway.toml"),
            ("tcp_server]\nlisten = \"0.0.0.0:22\"", "below 1024"),
            ("tcp_server]\nlisten = \"0.0.0.0:11112\"", "DICOM node"),
            ("folder]\npath = \"/etc\"", "not below /srv/instruments"),
            ("folder]\npath = \"/srv/instruments/../../etc\"", "not below"),
            ("folder]\npath = \"/srv/instruments-of-others\"", "not below"),
        ] {
            let reason = refusal(&link("nidek_ark", attached)).expect(attached);
            assert!(reason.contains(words), "{attached}: {reason}");
        }
        let many: String = (0..=LINKS_MAX)
            .map(|n| {
                link("nidek_ark", "serial]\nport = \"usb:A\"")
                    .replace("\"a\"", &format!("\"a{n}\""))
            })
            .collect();
        assert!(refusal(&many).unwrap().contains("more than 64 links"));
        let long = link("nidek_ark", "serial]\nport = \"usb:A\"")
            .replace("driver", &format!("model = \"{}\"\ndriver", "x".repeat(201)));
        assert!(refusal(&long).unwrap().contains("longer than"));
        assert!(check_len(&" ".repeat(DOCUMENT_LEN_MAX + 1)).is_err());
    }
}
