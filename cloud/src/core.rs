//! What every part of a running replica shares.

use crate::{
    app::look,
    clock,
    config::Config,
    imaging::{
        archive::{Archive, ArchiveError},
        pictures::Pictures,
        upload::Uploads,
    },
    live,
    metrics::Metrics,
    pending::Pending,
    store::Db,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Handle to the database, the live events and the way down to the gateways. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Core {
    pub db: Db,
    pub live: live::Bus,
    pub downlink: Downlink,
    /// The bytes of DICOM instances, and those that are on their way.
    pub archive: Archive,
    pub uploads: Uploads,
    /// Their pictures, which are made when they are asked for.
    pub pictures: Pictures,
    pub looks: look::Recent,
    pub config: Arc<Config>,
    /// Whether ingest is connected to the broker and subscribed.
    pub ingest_connected: Arc<AtomicBool>,
    pub metrics: Metrics,
    pub started_at_us: i64,
}

impl Core {
    /// Fails where the configuration names a place of images that cannot be.
    pub fn new(db: Db, config: Config) -> Result<Self, ArchiveError> {
        let archive = Archive::new(&config.images_folder(), &config.images)?;
        Ok(Self {
            db,
            live: live::Bus::default(),
            downlink: Downlink::default(),
            archive,
            uploads: Uploads::default(),
            pictures: Pictures::default(),
            looks: look::Recent::default(),
            config: Arc::new(config),
            ingest_connected: Arc::default(),
            metrics: Metrics::default(),
            started_at_us: clock::now_us(),
        })
    }

    /// Whether this replica can do its work, for `/readyz`: the database answers and ingest hears
    /// the gateways. The error says what is missing.
    pub async fn readiness(&self) -> Result<(), String> {
        if !self.ingest_connected.load(Ordering::Relaxed) {
            return Err("ingest is not connected to the broker".to_owned());
        }
        let answer = async {
            let mut tx = self.db.all_tenants_read().await?;
            tx.fetch_one::<(i64,)>("SELECT CAST(1 AS BIGINT)", []).await
        };
        answer.await.map(drop).map_err(|err| err.to_string())
    }
}

/// What pages ask the ingest client to tell gateways. Call after the commit; it never waits.
#[derive(Debug, Clone, Default)]
pub struct Downlink {
    lanes: Pending<(String, String)>,
    locations: Pending<(String, String)>,
    configurations: Pending<(String, String)>,
}

impl Downlink {
    /// A lane session was opened or closed: the gateways of the lane's location get the whole truth
    /// about the open sessions on `down/session`.
    pub fn sessions_changed(&self, tenant: &str, lane: &str) {
        self.lanes.add((tenant.to_owned(), lane.to_owned()));
    }

    /// The schedule of a location changed: its gateways get the worklist on `down/worklist`.
    pub fn schedule_changed(&self, tenant: &str, location: &str) {
        self.locations.add((tenant.to_owned(), location.to_owned()));
    }

    /// A gateway has a new version of its configuration, which goes down on `down/config`.
    pub fn configuration_changed(&self, tenant: &str, gateway: &str) {
        self.configurations.add((tenant.to_owned(), gateway.to_owned()));
    }

    /// Tenant and gateway of every change since the last call. One reader: the ingest client.
    pub async fn changed_configurations(&self) -> std::collections::BTreeSet<(String, String)> {
        self.configurations.take().await
    }

    /// Tenant and location of every change since the last call. One reader: the ingest client.
    pub async fn changed_schedules(&self) -> std::collections::BTreeSet<(String, String)> {
        self.locations.take().await
    }

    /// Tenant and lane of every change since the last call. One reader: the ingest client.
    pub async fn changed_lanes(&self) -> std::collections::BTreeSet<(String, String)> {
        self.lanes.take().await
    }
}
