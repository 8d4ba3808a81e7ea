//! The DICOM node: imagers send studies, find their patients, and ask whether they may delete.
//!
//! | module | holds |
//! |---|---|
//! | [`units`] | protocol data units; pure |
//! | `listen`, `wire`, [`tls`] | the two ports, a connection, what it goes over |
//! | [`negotiation`] | who may associate, and for what; pure |
//! | [`classes`] | SOP classes that are taken; pure |
//! | `messages` | commands and data sets over an association |
//! | [`command`], [`data_set`] | their encodings; pure |
//! | `association` | one association of an imager |
//! | `storage`, `follow_up`, `measurements` | C-STORE, and readings from small objects |
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
mod follow_up;
mod listen;
pub mod matching;
mod measurements;
mod messages;
pub mod negotiation;
mod procedure_step;
pub mod query;
pub mod requestor;
mod storage;
pub mod tls;
pub mod units;
mod wire;
pub mod worklist;

pub use association::{IDLE_MAX, REQUEST_WAIT_MAX};
pub use find::ANSWERS_MAX;
pub use listen::CONNECTIONS_MAX;

use crate::{
    config::{Dicom, Imager},
    instances::Instances,
    session::Shared,
    spool::SpoolError,
};
use chiasm_proto::{GatewayEvent, LinkId};
use commitment::Claimed;
use dicom_ul::pdu::Pdu;
use futures_util::FutureExt;
use negotiation::Refusal;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tls::Tls;
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};
use worklist::WorklistCache;

/// Most associations at once.
pub const ASSOCIATIONS_MAX: usize = 32;
/// A refusal that repeats is told again after so long.
const REFUSAL_INTERVAL: Duration = Duration::from_secs(3600);
/// Refusals that are remembered for this.
const REFUSALS_MAX: usize = 256;
/// Pairs of imager and unknown class that are told.
const UNKNOWN_CLASSES_MAX: usize = 256;
/// Before a task is begun again after a defect.
const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// What all associations share.
pub struct Node {
    dicom: Dicom,
    tls: Tls,
    imagers: Vec<Arc<Imager>>,
    ae_titles: Vec<String>,
    instances: Instances,
    worklist: WorklistCache,
    shared: Shared,
    associations: Arc<Semaphore>,
    claimed: Arc<Claimed>,
    refusals: Mutex<BTreeMap<String, Instant>>,
    unknown_classes: Mutex<BTreeSet<(String, String)>>,
}

impl Node {
    pub fn new(
        dicom: Dicom,
        tls: Tls,
        imagers: Vec<Imager>,
        instances: Instances,
        worklist: WorklistCache,
        shared: Shared,
    ) -> Self {
        Self {
            dicom,
            tls,
            ae_titles: imagers.iter().map(|imager| imager.calling_ae.clone()).collect(),
            imagers: imagers.into_iter().map(Arc::new).collect(),
            instances,
            worklist,
            shared,
            associations: Arc::new(Semaphore::new(ASSOCIATIONS_MAX)),
            claimed: Arc::default(),
            refusals: Mutex::default(),
            unknown_classes: Mutex::default(),
        }
    }

    /// Listens and serves for ever. Dropping it ends all associations.
    pub async fn run(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        let node = self.clone();
        tasks.spawn(keep("readings from objects", move || follow_up::run(node.clone())));
        for imager in &self.imagers {
            let (node, imager) = (self.clone(), imager.clone());
            let report = move || commitment::report(node.clone(), imager.clone());
            tasks.spawn(keep("reports of commitments", report));
        }
        self.listen().await;
    }

    /// Refuses an association, and tells people at most once an hour for the same reason.
    async fn refuse(&self, mut connection: wire::Connection, refusal: &Refusal) {
        let peer = connection.peer.ip();
        let _ = connection.send(&Pdu::AssociationRJ(refusal.unit())).await;
        connection.close().await;
        let reason = refusal.to_string();
        let detail = format!("an association from {peer} was refused: {reason}");
        let link = refusal.imager();
        if self.tell_once(link.clone(), detail).await
            && let Some(link) = &link
        {
            self.shared.health.down(link, &reason);
        }
    }

    /// Tells people of a refusal, once in a while; gives whether it did.
    async fn tell_once(&self, link: Option<LinkId>, detail: String) -> bool {
        if !self.is_new_refusal(&detail) {
            tracing::debug!(detail, "refused again");
            return false;
        }
        tracing::warn!(detail, "refused");
        let event = GatewayEvent { code: "imager_refused".into(), link, detail };
        if let Err(error) = self.shared.spool.event(event).await {
            tracing::error!(%error, "a refusal could not be told");
        }
        true
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

/// Begins again after a panic, until it ends by itself.
async fn keep<F: Future<Output = ()>>(what: &str, mut begin: impl FnMut() -> F) {
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        tracing::error!(what, "a task of the DICOM node panicked; this is a defect");
        sleep(RESTART_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_is_begun_again_after_a_panic() {
        let mut begun = 0;
        keep("a test", || {
            begun += 1;
            let fails = begun < 2;
            async move { assert!(!fails, "a defect") }
        })
        .await;
        assert_eq!(begun, 2);
    }
}
