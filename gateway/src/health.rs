//! What the gateway knows of itself and tells in telemetry.

use crate::{
    clock,
    config::{Imager, Link},
    spool::Spool,
};
use chiasm_proto::{
    LaneId, LinkId,
    fleet::{LinkState, LinkStatus, Telemetry},
};
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
};
use tokio::sync::watch;

/// Longest detail of a link's state, in characters.
pub const DETAIL_LEN_MAX: usize = 300;

/// What the uplink has done.
#[derive(Debug, Default)]
pub struct UplinkCounts {
    pub is_connected: AtomicBool,
    /// Connections that came to a birth.
    pub connections: AtomicU64,
    /// Documents given to the broker, those that were sent again included.
    pub sent: AtomicU64,
    /// Acknowledgements of this spool that came from the cloud.
    pub acks: AtomicU64,
}

/// Shared by the links, which write, and the uplink, which tells.
pub struct Health {
    started_at: Timestamp,
    data_dir: PathBuf,
    links: Mutex<BTreeMap<LinkId, LinkState>>,
    /// What keeps the spool from writing: every link then waits with what it reads.
    spool_fault: Mutex<Option<String>>,
    /// What the uplink has done since the process began.
    pub uplink: UplinkCounts,
    /// Counts the changes that people want to know of at once.
    changes: watch::Sender<u64>,
    has_lane_page: bool,
}

impl Health {
    pub fn new(links: &[Link], data_dir: &Path) -> Self {
        let links = links.iter().map(|link| (link.id.clone(), of_link(link))).collect();
        Self {
            started_at: clock::wall(),
            data_dir: data_dir.into(),
            links: Mutex::new(links),
            spool_fault: Mutex::new(None),
            uplink: UplinkCounts::default(),
            changes: watch::Sender::new(0),
            has_lane_page: false,
        }
    }

    /// Imagers are links too: fixed to a lane, up while the DICOM node listens.
    #[must_use]
    pub fn with_imagers(mut self, imagers: &[Imager]) -> Self {
        let links = self.links.get_mut().unwrap_or_else(PoisonError::into_inner);
        links.extend(imagers.iter().map(|imager| (imager.id.clone(), of_imager(imager))));
        self
    }

    /// Another configuration: what stays as it was keeps its state and its counts.
    pub fn replace(&self, links: &[Link], imagers: &[Imager]) {
        let fresh = links.iter().map(of_link).chain(imagers.iter().map(of_imager));
        let mut links = self.lock();
        let before = std::mem::take(&mut *links);
        links.extend(fresh.map(|fresh| {
            let kept = before.get(&fresh.link).filter(|it| is_same(it, &fresh)).cloned();
            (fresh.link.clone(), kept.unwrap_or(fresh))
        }));
        drop(links);
        self.changes.send_modify(|count| *count += 1);
    }

    /// The cloud is to tell who may use the gateway's page.
    #[must_use]
    pub fn with_lane_page(mut self, has_lane_page: bool) -> Self {
        self.has_lane_page = has_lane_page;
        self
    }

    /// Wakes whenever a link went up or down, or is new.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn up(&self, link: &LinkId) {
        self.set_status(link, LinkStatus::Up, None);
    }

    pub fn down(&self, link: &LinkId, detail: &str) {
        let detail = detail.chars().take(DETAIL_LEN_MAX).collect();
        self.set_status(link, LinkStatus::Down, Some(detail));
    }

    pub fn reading(&self, link: &LinkId, at: Timestamp) {
        if let Some(state) = self.lock().get_mut(link) {
            state.readings += 1;
            state.last_reading_at = Some(at);
        }
    }

    pub fn failure(&self, link: &LinkId) {
        if let Some(state) = self.lock().get_mut(link) {
            state.failures += 1;
        }
    }

    /// The spool cannot write, or can again.
    pub fn spool_fault(&self, fault: Option<String>) {
        *self.spool_fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn links(&self) -> Vec<LinkState> {
        let fault = self.spool_fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut links: Vec<LinkState> = self.lock().values().cloned().collect();
        if fault.is_some() {
            for link in &mut links {
                link.detail.clone_from(&fault);
            }
        }
        links
    }

    /// Everything, for a birth or an interval.
    pub async fn telemetry(
        &self,
        spool: &Spool,
        certificate_expires_at: Option<Timestamp>,
    ) -> Result<Telemetry, crate::spool::SpoolError> {
        Ok(Telemetry {
            time: clock::wall(),
            software_version: env!("CARGO_PKG_VERSION").into(),
            started_at: self.started_at,
            clock: clock::state(),
            spool: spool.state().await?,
            links: self.links(),
            disk_free_bytes: disk_free(&self.data_dir),
            certificate_expires_at,
            has_lane_page: self.has_lane_page,
        })
    }

    fn set_status(&self, link: &LinkId, status: LinkStatus, detail: Option<String>) {
        let mut links = self.lock();
        let Some(state) = links.get_mut(link) else { return };
        let is_new = state.status != status;
        if is_new || state.detail != detail {
            match &detail {
                Some(detail) => {
                    tracing::warn!(%link, driver = state.driver, detail, "link is down")
                }
                None => tracing::info!(%link, driver = state.driver, "link is up"),
            }
        }
        (state.status, state.detail) = (status, detail);
        drop(links);
        if is_new {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LinkId, LinkState>> {
        // The map is whole at every step, whatever panicked while it was held.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(before: &LinkState, now: &LinkState) -> bool {
    (&before.lane, &before.driver, &before.endpoint) == (&now.lane, &now.driver, &now.endpoint)
}

fn of_link(link: &Link) -> LinkState {
    not_opened((&link.id, &link.lane), link.driver.id, link.endpoint.describe())
}

fn of_imager(imager: &Imager) -> LinkState {
    not_opened((&imager.id, &imager.lane), "dicom", imager.calling_ae.clone())
}

fn not_opened((link, lane): (&LinkId, &LaneId), driver: &str, endpoint: String) -> LinkState {
    LinkState {
        link: link.clone(),
        lane: lane.clone(),
        driver: driver.into(),
        endpoint,
        status: LinkStatus::Down,
        detail: Some("not opened yet".into()),
        last_reading_at: None,
        readings: 0,
        failures: 0,
    }
}

pub(crate) fn disk_free(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}
