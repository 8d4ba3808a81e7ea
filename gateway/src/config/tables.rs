//! The configuration file as it is written.

use super::{DateOrderWord, Dicom, FlowControl, Imager, Metrics, Uplink};
use chiasm_proto::{LaneId, LinkId};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) data_dir: PathBuf,
    #[serde(default)]
    pub(super) uplink: Uplink,
    #[serde(default)]
    pub(super) link: Vec<LinkTable>,
    pub(super) dicom: Option<Dicom>,
    #[serde(default)]
    pub(super) imager: Vec<Imager>,
    #[serde(default)]
    pub(super) metrics: Metrics,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkTable {
    pub(super) id: LinkId,
    pub(super) lane: LaneId,
    pub(super) driver: String,
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) listen_only: bool,
    pub(super) date_order: Option<DateOrderWord>,
    #[serde(default)]
    pub(super) columns: BTreeMap<String, String>,
    pub(super) serial: Option<SerialTable>,
    pub(super) tcp_client: Option<TcpClientTable>,
    pub(super) tcp_server: Option<TcpServerTable>,
    pub(super) folder: Option<FolderTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SerialTable {
    pub(super) port: String,
    pub(super) baud: Option<u32>,
    pub(super) data_bits: Option<u8>,
    pub(super) parity: Option<ParityWord>,
    pub(super) stop_bits: Option<u8>,
    #[serde(default)]
    pub(super) flow_control: FlowControl,
    #[serde(default = "yes")]
    pub(super) dtr: bool,
    #[serde(default = "yes")]
    pub(super) rts: bool,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ParityWord {
    None,
    Even,
    Odd,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpClientTable {
    pub(super) address: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TcpServerTable {
    pub(super) listen: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderTable {
    pub(super) path: PathBuf,
}
