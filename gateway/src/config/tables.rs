//! The configuration file as it is written.

use super::{Dicom, LanePage, Metrics, Remote, Uplink};
use chiasm_proto::config::{Imager, LinkTable};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) data_dir: PathBuf,
    pub(super) spool_key: Option<PathBuf>,
    #[serde(default)]
    pub(super) uplink: Uplink,
    #[serde(default)]
    pub(super) remote: Remote,
    #[serde(default)]
    pub(super) link: Vec<LinkTable>,
    pub(super) lane_page: Option<LanePage>,
    pub(super) dicom: Option<Dicom>,
    #[serde(default)]
    pub(super) imager: Vec<Imager>,
    #[serde(default)]
    pub(super) metrics: Metrics,
}
