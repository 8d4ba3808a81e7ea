//! The task tree: one task per link, the uplink, the spool's writer. A task that fails or panics is
//! started again and the others go on; only a spool that cannot be used ends the process.

use crate::{
    binding::Lanes,
    config::{Config, Link},
    dicom::{Node, tls::Tls, worklist::WorklistCache},
    enrol::{self, IdentityError, renewal::Renewal},
    forward::Forward,
    health::Health,
    instances::Instances,
    link, metrics,
    session::Shared,
    spool::{DatabaseError, OpenError, Owner, Progress, Spool, SpoolError, WriterTask},
    support,
    uplink::Uplink,
};
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
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the spool is damaged: {0}; start again and it is set aside")]
    Damaged(#[source] DatabaseError),
    #[error("the spool's writer panicked; start again")]
    WriterPanicked,
}

/// Runs a gateway until it is told to stop.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let _lock = lock(&config.data_dir)?;
    let owner = enrol::load(&config.data_dir)?
        .map(|stored| Owner { tenant: stored.identity.tenant, gateway: stored.identity.gateway });
    let (spool, writer) = Spool::open(&config.data_dir.join("spool"), owner.as_ref()).await?;
    let (sessions, last_readings) = spool.lanes().await?;
    let lanes = Arc::new(Mutex::new(Lanes::new(sessions, last_readings)));
    let health = Health::new(&config.links, &config.data_dir).with_imagers(&config.imagers);
    let health = Arc::new(health);
    let journal_dir: Arc<Path> = config.data_dir.join("journal").into();
    let shared =
        Shared { spool: spool.clone(), health: health.clone(), lanes: lanes.clone(), journal_dir };
    let mut links = JoinSet::new();
    for link in config.links {
        links.spawn(keep_link(Arc::new(link), shared.clone()));
    }
    let worklist = WorklistCache::open(&config.data_dir);
    if let Some(instances) = open_instances(&config.data_dir).await {
        if let Some(dicom) = config.dicom {
            let (instances, worklist) = (instances.clone(), worklist.clone());
            let tls = Tls::new(dicom.tls.clone(), &config.data_dir);
            let node = Node::new(dicom, tls, config.imagers, instances, worklist, shared.clone());
            links.spawn(keep_node(Arc::new(node)));
        }
        let forward =
            Forward { data_dir: config.data_dir.clone(), instances, spool: spool.clone() };
        links.spawn(forward.run(stop.clone()));
    } else {
        for imager in &config.imagers {
            health.down(&imager.id, "the folder of instances cannot be used; see the log");
        }
    }
    drop(shared);
    links.spawn(show_spool_fault(spool.progress(), health.clone()));
    if let Some(listen) = config.metrics.listen {
        let sources = metrics::Sources {
            data_dir: config.data_dir.clone(),
            spool: spool.clone(),
            health: health.clone(),
        };
        links.spawn(metrics::run(listen, sources));
    }
    links.spawn(support::note::tell(config.data_dir.clone(), spool.clone()));
    let (renewal, renewed) = watch::channel(0);
    links.spawn(Renewal { data_dir: config.data_dir.clone(), renewed: renewal }.run());
    let uplink = Uplink {
        data_dir: config.data_dir,
        telemetry_interval: Duration::from_secs(config.uplink.telemetry_interval_s.into()),
        spool,
        health,
        lanes,
        worklist,
        owner,
        has_numbered_anew: AtomicBool::new(false),
        renewed,
    };
    let uplink = tokio::spawn(uplink.run(stop.clone()));
    finish(links, uplink, writer, stop).await
}

async fn finish(
    mut links: JoinSet<()>,
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
    links.shutdown().await;
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
async fn open_instances(data_dir: &Path) -> Option<Instances> {
    match Instances::open(&data_dir.join("instances")).await {
        Ok(instances) => Some(instances),
        Err(error) => {
            tracing::error!(%error, "no images are received or sent");
            None
        }
    }
}

/// One gateway per data directory: two would give out the same numbers.
fn lock(data_dir: &Path) -> Result<File, RunError> {
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

async fn keep_link(link: Arc<Link>, shared: Shared) {
    loop {
        let task = AbortOnDrop(tokio::spawn(link::run(link.clone(), shared.clone())));
        let reason = match task.join().await {
            Ok(error) => error.to_string(),
            Err(error) if error.is_cancelled() => return,
            Err(_) => "its task panicked; this is a defect".into(),
        };
        shared.health.down(&link.id, &reason);
        sleep(RESTART_PAUSE).await;
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
