//! What the gateway of the made-up practice reads, in three versions.

use super::TENANT;
use chiasm_cloud::store::{
    Tx,
    gateway_config::{self, VersionRow},
    gateway_listening,
};
use chiasm_proto::{
    Sha256,
    config::Document,
    listening::{Heard, PortState, Ports, mask},
};

const OWN: &str = r#"{"link":[
    {"id":"ark-1a","lane":"lane-1","driver":"nidek_ark","model":"ARK-1a",
     "serial":{"port":"/dev/serial/by-id/usb-FTDI_A50285BI"}},
    {"id":"nt-530p","lane":"lane-1","driver":"nidek_nt","model":"NT-530P",
     "serial":{"port":"/dev/serial/by-id/usb-FTDI_A5028AAA","baud":2400,"parity":"even"}}]}"#;
const LENSMETER: &str = r#"{"id":"lm-1800p","lane":"lane-2","driver":"nidek_lm","model":"LM-1800P",
    "tcp_server":{"listen":"0.0.0.0:4001"}}"#;

/// One that works, and a newer one that the gateway refused.
pub async fn configured(tx: &mut Tx, now_us: i64) {
    let own = Document::from_json(OWN).unwrap();
    let mut second = own.clone();
    second.link.push(serde_json::from_str(LENSMETER).unwrap());
    let mut third = second.clone();
    third.link[2].tcp_server.as_mut().unwrap().listen = "0.0.0.0:22".into();
    let why = "link \"lm-1800p\": ports below 1024 are not for instruments";
    let it = format!("{TENANT}-it");
    let versions = [
        (0, &own, "gateway", "", ("confirmed", ""), 40),
        (1, &second, &it, "New lensmeter in lane 2", ("confirmed", ""), 12),
        (2, &third, &it, "Another port", ("refused", why), 1),
    ];
    for (version, document, made_by, reason, (state, detail), days) in versions {
        let document = document.to_json();
        let at_us = now_us - days * 86_400_000_000;
        let row = VersionRow {
            version,
            sha256: Sha256::of(document.as_bytes()).to_string(),
            document,
            made_at_us: at_us,
            made_by: made_by.into(),
            why: reason.into(),
            state: state.into(),
            state_detail: detail.into(),
            state_at_us: at_us,
            is_in_use: version == 1,
        };
        assert!(gateway_config::insert(tx, (TENANT, "gw-main"), &row).await.unwrap());
    }
    plugged_in(tx, now_us).await;
}

/// Two adapters that nobody has set up, and what came over a link a minute ago.
async fn plugged_in(tx: &mut Tx, now_us: i64) {
    let port = |name: &str, ambiguous: Option<&str>| PortState {
        name: name.into(),
        what: "USB 0403:6001 FT232R USB UART".into(),
        link: None,
        ambiguous: ambiguous.map(Into::into),
    };
    let twin = port(
        "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0",
        Some("the adapter has no serial number"),
    );
    let ports = Ports { ports: vec![port("usb:A50285BJ", None), twin] };
    let (key, id) = ((TENANT, "gw-main"), uuid::Uuid::now_v7());
    let json = serde_json::to_string(&ports).unwrap();
    gateway_listening::put_ports(tx, key, &json).await.unwrap();
    let by = ("command-line", now_us - 60_000_000);
    gateway_listening::begin(tx, key, (&id.to_string(), "ark-1a", false), by).await.unwrap();
    let heard = Heard {
        id,
        bytes: 46,
        masked: mask(b"\x01DRM\x02OR-04.25-00.75175\x17OL-03.75-01.25005\x17\x04"),
        verdicts: vec!["read by nidek_ark: 2 measurements".into()],
        ended: None,
    };
    let json = serde_json::to_string(&heard).unwrap();
    assert!(gateway_listening::put_heard(tx, key, &id.to_string(), &json).await.unwrap());
}
