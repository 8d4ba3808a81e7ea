//! The DICOM node: imagers send studies, find their patients, and ask whether they may delete.
//!
//! | module | holds |
//! |---|---|
//! | [`units`] | protocol data units; pure |
//! | `wire` | a connection |
//! | [`negotiation`] | who may associate, and for what; pure |
//! | [`classes`] | SOP classes that are taken; pure |
//! | `messages` | commands and data sets over an association |
//! | [`command`], [`data_set`] | their encodings; pure |
//! | `association` | one association of an imager |
//! | `storage`, `measurements` | C-STORE, and readings from small objects |
//! | `find`, [`query`], [`matching`] | C-FIND from the [`worklist`] |
//! | `commitment`, `procedure_step` | N-ACTION with its report, N-CREATE and N-SET |
//! | [`requestor`] | associations that we open |
//!
//! The association protocol is `dicom-ul`'s types on a stream of our own: its acceptor takes either
//! every abstract syntax or a fixed list, only transfer syntaxes that it knows, and reads each unit
//! twice. Here objects pass through in pieces, in whatever syntax they come.

mod association;
pub mod classes;
pub mod command;
mod commitment;
pub mod data_set;
mod find;
pub mod matching;
mod measurements;
mod messages;
pub mod negotiation;
mod procedure_step;
pub mod query;
pub mod requestor;
mod storage;
pub mod units;
mod wire;
pub mod worklist;

pub use association::{IDLE_MAX, REQUEST_WAIT_MAX};
pub use find::ANSWERS_MAX;

use crate::{
    config::{Dicom, Imager},
    instances::Instances,
    session::Shared,
    spool::SpoolError,
};
use chiasm_proto::GatewayEvent;
use commitment::Claimed;
use dicom_ul::pdu::Pdu;
use negotiation::Refusal;
use procedure_step::Steps;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};
use worklist::WorklistCache;

/// Most associations at once.
pub const ASSOCIATIONS_MAX: usize = 32;
/// Most connections at once, with those that have not yet asked for an association.
pub const CONNECTIONS_MAX: usize = 64;
/// A refusal that repeats is told again after so long.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(3600);
/// Refusals that are remembered for this.
const REFUSALS_MAX: usize = 256;
/// Pairs of imager and unknown class that are told.
const UNKNOWN_CLASSES_MAX: usize = 256;
/// Between two attempts to listen.
const LISTEN_RETRY: Duration = Duration::from_secs(2);

/// What all associations share.
pub struct Node {
    dicom: Dicom,
    imagers: Vec<Arc<Imager>>,
    ae_titles: Vec<String>,
    instances: Instances,
    worklist: WorklistCache,
    shared: Shared,
    associations: Arc<Semaphore>,
    claimed: Arc<Claimed>,
    steps: Steps,
    refusals: Mutex<BTreeMap<String, Instant>>,
    unknown_classes: Mutex<BTreeSet<(String, String)>>,
}

impl Node {
    pub fn new(
        dicom: Dicom,
        imagers: Vec<Imager>,
        instances: Instances,
        worklist: WorklistCache,
        shared: Shared,
    ) -> Self {
        Self {
            dicom,
            ae_titles: imagers.iter().map(|imager| imager.calling_ae.clone()).collect(),
            imagers: imagers.into_iter().map(Arc::new).collect(),
            instances,
            worklist,
            shared,
            associations: Arc::new(Semaphore::new(ASSOCIATIONS_MAX)),
            claimed: Arc::default(),
            steps: Steps::default(),
            refusals: Mutex::default(),
            unknown_classes: Mutex::default(),
        }
    }

    /// Listens and serves for ever. Dropping it ends all associations.
    pub async fn run(self: Arc<Self>) {
        let mut reports = JoinSet::new();
        for imager in &self.imagers {
            reports.spawn(commitment::report(self.clone(), imager.clone()));
        }
        loop {
            match TcpListener::bind(&self.dicom.listen).await {
                Ok(listener) => {
                    self.show(None);
                    tracing::info!(
                        listen = self.dicom.listen,
                        ae_title = self.dicom.ae_title,
                        imagers = self.imagers.len(),
                        "the DICOM node listens"
                    );
                    self.accept(listener).await;
                }
                Err(error) => {
                    self.show(Some(&format!("cannot listen on {}: {error}", self.dicom.listen)));
                }
            }
            sleep(LISTEN_RETRY).await;
        }
    }

    /// One task for each connection: what happens to one disturbs no other.
    async fn accept(self: &Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((_, peer)) if connections.len() >= CONNECTIONS_MAX => {
                        tracing::warn!(%peer, "too many connections; one was closed unheard");
                    }
                    Ok((stream, _)) => {
                        connections.spawn(association::serve(self.clone(), stream));
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: it passes.
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(Duration::from_millis(100)).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    if ended.is_err() {
                        tracing::error!("an association panicked; this is a defect");
                    }
                }
            }
        }
    }

    fn show(&self, fault: Option<&str>) {
        for imager in &self.imagers {
            match fault {
                Some(fault) => self.shared.health.down(&imager.id, fault),
                None => self.shared.health.up(&imager.id),
            }
        }
    }

    /// Refuses an association, and tells people at most once an hour for the same reason.
    async fn refuse(&self, mut connection: wire::Connection, refusal: &Refusal) {
        let peer = connection.peer.ip();
        let _ = connection.send(&Pdu::AssociationRJ(refusal.unit())).await;
        let reason = refusal.to_string();
        let detail = format!("an association from {peer} was refused: {reason}");
        if !self.is_new_refusal(&detail) {
            tracing::debug!(%peer, reason, "an association is refused again");
            return;
        }
        tracing::warn!(%peer, reason, "an association is refused");
        let link = refusal.imager();
        if let Some(link) = &link {
            self.shared.health.down(link, &reason);
        }
        let event = GatewayEvent { code: "imager_refused".into(), link, detail };
        if let Err(error) = self.shared.spool.event(event).await {
            tracing::error!(%error, "a refusal could not be told");
        }
    }

    fn is_new_refusal(&self, detail: &str) -> bool {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.retain(|_, at| at.elapsed() < REFUSAL_INTERVAL);
        if refusals.contains_key(detail) || refusals.len() >= REFUSALS_MAX {
            return false;
        }
        refusals.insert(detail.to_owned(), Instant::now());
        true
    }

    /// Tells once that an imager sends what this software does not know.
    async fn note_unknown_class(&self, imager: &Imager, class: &str) -> Result<(), SpoolError> {
        let key = (imager.id.to_string(), class.to_owned());
        {
            let mut known = self.unknown_classes.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= UNKNOWN_CLASSES_MAX || !known.insert(key) {
                return Ok(());
            }
        }
        tracing::warn!(link = %imager.id, class, "an object of a class that is not known is kept");
        let event = GatewayEvent {
            code: "sop_class_unknown".into(),
            link: Some(imager.id.clone()),
            detail: format!(
                "An imager sends objects of the class {class}, which is not known here. They are \
                 kept and sent on."
            ),
        };
        self.shared.spool.event(event).await
    }
}
