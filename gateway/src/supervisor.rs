//! The task tree: one task per link, the uplink, the spool's writer. A task that fails or panics is
//! started again and the others go on; only a spool that cannot be used ends the process.

pub mod links;
mod page;

use crate::{
    binding::Lanes,
    clock,
    config::Config,
    dicom::{Node, worklist},
    enrol::{self, IdentityError, renewal::Renewal},
    forward::Forward,
    health::Health,
    instances::Instances,
    lane_page::{self, Reach, certificate::CertificateError},
    listening::Listening,
    metrics,
    remote::{self, kept::KeptError},
    seal::{self, Key, KeyFileError},
    session::Shared,
    spool::{DatabaseError, OpenError, Owner, Progress, Spool, SpoolError, WriterTask},
    support,
    uplink::Uplink,
    wipe,
};
use links::{Links, NodeParts};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// Pause before a link whose task ended is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for the last commits at a stop.
const STOP_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why the gateway cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot use {path}: {source}; make it, owned by the gateway's user")]
    DataDir { path: PathBuf, source: std::io::Error },
    #[error("{path} is in use: another gateway runs with the same data_dir")]
    InUse { path: PathBuf },
    #[error(
        "this gateway was wiped ({path}); `chiasm-gateway wipe` goes on with it, and once it is \
         done, enrolling begins anew"
    )]
    Wiped { path: PathBuf },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Key(#[from] KeyFileError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Configuration(#[from] KeptError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the spool is damaged: {0}; start again and it is set aside")]
    Damaged(#[source] DatabaseError),
    #[error("the spool's writer panicked; start again")]
    WriterPanicked,
}

/// Runs a gateway until it is told to stop.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let _lock = lock(&config.data_dir)?;
    if config.data_dir.join(wipe::RECORD_FILE).exists() {
        return Err(RunError::Wiped { path: config.data_dir.join(wipe::RECORD_FILE) });
    }
    let start = remote::start(config)?;
    let config = start.config.clone();
    let owner = enrol::load(&config.data_dir)?
        .map(|stored| Owner { tenant: stored.identity.tenant, gateway: stored.identity.gateway });
    let key = seal::load_or_make(&config.spool_key)?;
    let (spool, writer) = Spool::open(&config.data_dir.join("spool"), owner.as_ref(), &key).await?;
    let (sessions, last_readings) = spool.lanes().await?;
    let lanes = Lanes::new(sessions, last_readings).with_local(spool.local_lanes().await?);
    let lanes = Arc::new(Mutex::new(lanes));
    let health = Health::new(&config.links, &config.data_dir).with_imagers(&config.imagers);
    let health = Arc::new(health.with_lane_page(config.lane_page.is_some()));
    let journal_dir: Arc<Path> = config.data_dir.join("journal").into();
    let listening = Listening::default();
    let shared = Shared {
        spool: spool.clone(),
        health: health.clone(),
        lanes: lanes.clone(),
        journal_dir,
        key: key.clone(),
        listening: listening.clone(),
    };
    let mut tasks = JoinSet::new();
    let worklist = worklist::open(&config.data_dir, &key);
    let staff = lane_page::open_staff(&config.data_dir, &key);
    let reach = Reach::new(clock::wall());
    if config.lane_page.is_some() {
        let parts = page::Parts {
            spool: spool.clone(),
            lanes: lanes.clone(),
            worklist: worklist.clone(),
            staff: staff.clone(),
            reach: reach.clone(),
        };
        page::start(&config, parts, &mut tasks)?;
    }
    let instances = open_instances(&config.data_dir, &key).await;
    let node = instances.clone().zip(config.dicom.clone()).map(|(instances, dicom)| NodeParts {
        dicom,
        data_dir: config.data_dir.clone(),
        instances,
        worklist: worklist.clone(),
    });
    let mut links = Links::new(shared, node);
    links.apply(&config.links, &config.imagers);
    let (remote, configuration) = start.into_task(links);
    tasks.spawn(remote.run());
    if let Some(instances) = instances {
        let forward =
            Forward { data_dir: config.data_dir.clone(), instances, spool: spool.clone() };
        tasks.spawn(forward.run(stop.clone()));
    }
    tasks.spawn(show_spool_fault(spool.progress(), health.clone()));
    if let Some(listen) = config.metrics.listen {
        let sources = metrics::Sources {
            data_dir: config.data_dir.clone(),
            spool: spool.clone(),
            health: health.clone(),
        };
        tasks.spawn(metrics::run(listen, sources));
    }
    tasks.spawn(support::note::tell(config.data_dir.clone(), spool.clone()));
    let (renewal, renewed) = watch::channel(0);
    tasks.spawn(Renewal { data_dir: config.data_dir.clone(), renewed: renewal }.run());
    let uplink = Uplink {
        data_dir: config.data_dir,
        telemetry_interval: Duration::from_secs(config.uplink.telemetry_interval_s.into()),
        spool,
        health,
        lanes,
        worklist,
        staff,
        reach,
        owner,
        has_numbered_anew: AtomicBool::new(false),
        renewed,
        configuration,
        listening,
    };
    let uplink = tokio::spawn(uplink.run(stop.clone()));
    finish(tasks, uplink, writer, stop).await
}

async fn finish(
    mut tasks: JoinSet<()>,
    uplink: tokio::task::JoinHandle<()>,
    mut writer: WriterTask,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let early = tokio::select! {
        () = stop.cancelled() => None,
        ended = &mut writer => Some(ended),
    };
    stop.cancel();
    // What a link has read is in its journal, wherever it is stopped.
    tasks.shutdown().await;
    if uplink.await.is_err() {
        tracing::error!("the uplink panicked; this is a defect");
    }
    let ended = match early {
        Some(ended) => ended,
        None => match tokio::time::timeout(STOP_WAIT_MAX, writer).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!(
                    "stopping while the spool cannot write; the journals keep the bytes"
                );
                return Ok(());
            }
        },
    };
    ended.map_err(|_| RunError::WriterPanicked)?.map_err(RunError::Damaged)
}

/// Readings go on without images.
async fn open_instances(data_dir: &Path, key: &Key) -> Option<Instances> {
    match Instances::open(&data_dir.join("instances"), key).await {
        Ok(instances) => Some(instances),
        Err(error) => {
            tracing::error!(%error, "no images are received or sent");
            None
        }
    }
}

/// One gateway per data directory: two would give out the same numbers.
pub fn lock(data_dir: &Path) -> Result<File, RunError> {
    let fail = |source| RunError::DataDir { path: data_dir.into(), source };
    std::fs::create_dir_all(data_dir).map_err(fail)?;
    let file = File::create(data_dir.join("lock")).map_err(fail)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(RunError::InUse { path: data_dir.into() }),
        Err(error) => Err(fail(error.into())),
    }
}

/// Shows on every link that the spool cannot write.
async fn show_spool_fault(mut progress: watch::Receiver<Progress>, health: Arc<Health>) {
    let mut shown = None;
    while progress.changed().await.is_ok() {
        let fault = progress.borrow_and_update().fault.clone();
        if fault != shown {
            shown.clone_from(&fault);
            health.spool_fault(fault);
        }
    }
}

/// Associations run in tasks of their own; this is for what may fail around them.
async fn keep_node(node: Arc<Node>) {
    loop {
        let task = AbortOnDrop(tokio::spawn(node.clone().run()));
        match task.join().await {
            Ok(()) => {}
            Err(error) if error.is_cancelled() => return,
            Err(_) => tracing::error!("the DICOM node panicked; this is a defect"),
        }
        sleep(RESTART_PAUSE).await;
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> AbortOnDrop<T> {
    async fn join(mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
