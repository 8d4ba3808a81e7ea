//! The gateway's own page, started again when it fails.

use super::{AbortOnDrop, RESTART_PAUSE};
use crate::{
    config::{self, Config},
    dicom::worklist::WorklistCache,
    lane_page::{
        self, LanePage, Reach, StaffCache,
        certificate::{self, CertificateError},
        desk::Desk,
        sign_in::SignIns,
    },
    spool::{SharedLanes, Spool},
};
use chiasm_proto::LaneId;
use jiff::SignedDuration;
use rustls::ServerConfig;
use std::{collections::BTreeSet, io, sync::Arc};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

/// What the page shows and writes to.
pub(super) struct Parts {
    pub spool: Spool,
    pub lanes: SharedLanes,
    pub worklist: WorklistCache,
    pub staff: StaffCache,
    pub reach: Reach,
}

/// Starts the page, if the configuration wants one.
pub(super) fn start(
    config: &Config,
    parts: Parts,
    tasks: &mut JoinSet<()>,
) -> Result<(), CertificateError> {
    let Some(page) = config.lane_page.clone() else { return Ok(()) };
    let tls = certificate::server_config(&config.data_dir, &page.names)?;
    let offline_after = SignedDuration::from_secs(page.offline_after_s.into());
    let Parts { spool, lanes, worklist, staff, reach } = parts;
    let lanes_and_time = (own_lanes(config), offline_after);
    let desk = Desk::new((spool, lanes), worklist, staff.clone(), reach, lanes_and_time);
    tasks.spawn(keep_page(Arc::new(PageTask { desk: Arc::new(desk), staff, tls, config: page })));
    Ok(())
}

/// The lanes of the gateway's links, in the order of their names.
fn own_lanes(config: &Config) -> Vec<LaneId> {
    let of_links = config.links.iter().map(|link| link.lane.clone());
    let lanes: BTreeSet<LaneId> =
        of_links.chain(config.imagers.iter().map(|imager| imager.lane.clone())).collect();
    lanes.into_iter().collect()
}

/// The page, and what it needs to begin again after a fault.
struct PageTask {
    desk: Arc<Desk>,
    staff: StaffCache,
    tls: Arc<ServerConfig>,
    config: config::LanePage,
}

async fn keep_page(page: Arc<PageTask>) {
    loop {
        let task = AbortOnDrop(tokio::spawn(serve_page(page.clone())));
        match task.join().await {
            Ok(error) => tracing::error!(%error, listen = %page.config.listen, "no lane page"),
            Err(error) if error.is_cancelled() => return,
            Err(_) => tracing::error!("the lane page panicked; this is a defect"),
        }
        sleep(RESTART_PAUSE).await;
    }
}

/// Serves until it cannot: people are signed out then, and nothing else is lost.
async fn serve_page(page: Arc<PageTask>) -> io::Error {
    let listener = match TcpListener::bind(page.config.listen).await {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    tracing::info!(listen = %page.config.listen, "the lane page listens");
    let lane_page = LanePage {
        desk: page.desk.clone(),
        sign_ins: SignIns::new(page.staff.clone()),
        cloud_pages: page.config.cloud_pages.clone(),
    };
    let serving = lane_page::serve(listener, page.tls.clone(), Arc::new(lane_page));
    tokio::select! {
        () = serving => io::Error::other("it has ended"),
        () = page.desk.run() => io::Error::other("its clock has ended"),
    }
}
