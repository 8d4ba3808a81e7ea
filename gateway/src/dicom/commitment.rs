//! Storage commitment (PS3.4 J). The imager may delete what we commit to, so nothing is committed
//! before the cloud holds it: filed, not just received here.
//!
//! The report goes over the association that asked, if it is still open a short time later, and
//! else over one that we open to the imager. What was not told is tried again, also after a restart.

use super::{
    Node,
    association::{Association, AssociationError},
    classes::Service,
    command::{ACTION_TYPE_ID, is_uid, status},
    data_set::DataSet,
    messages::Message,
    requestor,
};
use crate::{
    clock,
    config::Imager,
    instances::{Commitment, Instances, InstancesError, Reference},
};
use chiasm_proto::LinkId;
use dicom_dictionary_std::tags;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};

/// Most instances in one request.
pub const REFERENCES_MAX: usize = 10_000;
/// So long the report may go over the association that asked, if the imager can be called.
pub const REPORT_HERE_MAX: Duration = Duration::from_secs(10);
/// Shortest and longest pause before the next attempt to tell an imager.
pub const RETRY_MIN: Duration = Duration::from_secs(1);
pub const RETRY_MAX: Duration = Duration::from_secs(600);
/// A request that could not be answered for so long is given up: the imager keeps its images.
pub const AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Between two looks, while instances are being filed.
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// The only action: request storage commitment.
const REQUEST_COMMITMENT: u16 = 1;
const EVENT_ALL_COMMITTED: u16 = 1;
const EVENT_SOME_FAILED: u16 = 2;

/// What can be said about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    committed: Vec<Reference>,
    failed: Vec<(Reference, u16)>,
}

/// N-ACTION: kept durably, then answered; the report comes later.
pub(super) async fn action(
    association: &mut Association,
    message: &Message,
    claims: &mut Claims,
) -> Result<(), AssociationError> {
    let set = match association.messages.data_set(message).await? {
        Ok(set) => set,
        Err(unusable) => {
            let why = unusable.to_string();
            return association.decline(message, status::INVALID_ARGUMENT, &why).await;
        }
    };
    if message.command.u16(ACTION_TYPE_ID) != Some(REQUEST_COMMITMENT) {
        return association.decline(message, status::NO_SUCH_ACTION, "no such action").await;
    }
    let transaction_uid = set.ascii(tags::TRANSACTION_UID);
    let wanted: Vec<Reference> = set
        .items(tags::REFERENCED_SOP_SEQUENCE)
        .iter()
        .map(|item| Reference {
            sop_class_uid: item.ascii(tags::REFERENCED_SOP_CLASS_UID),
            sop_instance_uid: item.ascii(tags::REFERENCED_SOP_INSTANCE_UID),
        })
        .collect();
    if !is_uid(&transaction_uid) || wanted.is_empty() || wanted.len() > REFERENCES_MAX {
        let why = format!("needs a Transaction UID and 1 to {REFERENCES_MAX} references");
        return association.decline(message, status::INVALID_ARGUMENT, &why).await;
    }
    let link = association.imager.id.clone();
    let commitment = Commitment { link, transaction_uid, wanted, asked_at: clock::wall() };
    association.node.instances.keep_commitment(&commitment).await?;
    claims.take(commitment, message.context_id);
    association.answer(message, status::SUCCESS).await
}

/// None while an instance that is here is not yet filed.
async fn verdict(
    instances: &Instances,
    commitment: &Commitment,
) -> Result<Option<Verdict>, InstancesError> {
    let mut verdict = Verdict { committed: vec![], failed: vec![] };
    for wanted in &commitment.wanted {
        let held = instances.held(&wanted.sop_instance_uid).await?;
        let mut of_class =
            held.iter().filter(|held| held.head.sop_class_uid == wanted.sop_class_uid);
        if held.is_empty() {
            // No longer here, but known to be at the cloud.
            let classes = instances.committed(&wanted.sop_instance_uid).await?;
            if classes.contains(&wanted.sop_class_uid) {
                verdict.committed.push(wanted.clone());
            } else if classes.is_empty() {
                verdict.failed.push((wanted.clone(), status::NO_SUCH_INSTANCE));
            } else {
                verdict.failed.push((wanted.clone(), status::CLASS_INSTANCE_CONFLICT));
            }
        } else if of_class.clone().next().is_none() {
            verdict.failed.push((wanted.clone(), status::CLASS_INSTANCE_CONFLICT));
        } else if of_class.all(|held| held.is_filed) {
            verdict.committed.push(wanted.clone());
        } else {
            return Ok(None);
        }
    }
    Ok(Some(verdict))
}

impl Verdict {
    fn event_type(&self) -> u16 {
        if self.failed.is_empty() { EVENT_ALL_COMMITTED } else { EVENT_SOME_FAILED }
    }

    fn data_set(&self, transaction_uid: &str) -> DataSet {
        let reference = |reference: &Reference| {
            let mut item = DataSet::default();
            item.put(tags::REFERENCED_SOP_CLASS_UID, &reference.sop_class_uid);
            item.put(tags::REFERENCED_SOP_INSTANCE_UID, &reference.sop_instance_uid);
            item
        };
        let mut set = DataSet::default();
        set.put(tags::TRANSACTION_UID, transaction_uid);
        if !self.committed.is_empty() {
            let items = self.committed.iter().map(reference).collect();
            set.put_items(tags::REFERENCED_SOP_SEQUENCE, items);
        }
        if !self.failed.is_empty() {
            let items = self.failed.iter().map(|(failed, reason)| {
                let mut item = reference(failed);
                item.put_u16(tags::FAILURE_REASON, *reason);
                item
            });
            set.put_items(tags::FAILED_SOP_SEQUENCE, items.collect());
        }
        set
    }
}

/// The requests that an open association will report on: nobody else does so meanwhile.
#[derive(Default)]
pub struct Claimed {
    keys: Mutex<BTreeSet<(LinkId, String)>>,
    freed: Notify,
}

impl Claimed {
    fn holds(&self, commitment: &Commitment) -> bool {
        let key = (commitment.link.clone(), commitment.transaction_uid.clone());
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).contains(&key)
    }
}

struct Claim {
    commitment: Commitment,
    context_id: u8,
    /// When it is left to an association that we open.
    until: Option<Instant>,
    /// The number of the report that was sent.
    reported_as: Option<u16>,
    claimed: Arc<Claimed>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let key = (self.commitment.link.clone(), self.commitment.transaction_uid.clone());
        self.claimed.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        self.claimed.freed.notify_waiters();
    }
}

/// What one association will report on.
pub(super) struct Claims {
    node: Arc<Node>,
    imager: Arc<Imager>,
    open: Vec<Claim>,
    changes: watch::Receiver<u64>,
    /// The context in which reports of earlier associations may go, to an imager that cannot be
    /// called.
    resume_in: Option<u8>,
    /// The claim whose report was given out last.
    due: Option<usize>,
}

impl Claims {
    pub(super) fn new(association: &Association) -> Self {
        let (node, imager) = (association.node.clone(), association.imager.clone());
        let mut contexts = association.messages.agreed.contexts.iter();
        let context = contexts.find(|(_, context)| context.service == Service::Commitment);
        let resume_in = context.map(|(id, _)| *id).filter(|_| imager.address.is_none());
        let changes = node.instances.changes();
        Self { node, imager, open: vec![], changes, resume_in, due: None }
    }

    fn take(&mut self, commitment: Commitment, context_id: u8) {
        let claimed = self.node.claimed.clone();
        let key = (commitment.link.clone(), commitment.transaction_uid.clone());
        self.open.retain(|claim| claim.commitment.transaction_uid != key.1);
        let is_new = claimed.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        if is_new {
            let here = Instant::now() + REPORT_HERE_MAX;
            let until = self.imager.address.is_some().then_some(here);
            self.open.push(Claim { commitment, context_id, until, reported_as: None, claimed });
        }
    }

    /// Waits for a report that can be made here: its context, event type and data set. May be
    /// dropped and called again.
    pub(super) async fn due(&mut self) -> Result<(u8, u16, DataSet), InstancesError> {
        if let Some(context_id) = self.resume_in.take() {
            for commitment in self.node.instances.commitments(&self.imager.id).await? {
                if !self.node.claimed.holds(&commitment) {
                    self.take(commitment, context_id);
                }
            }
        }
        loop {
            let now = Instant::now();
            let is_kept = |claim: &Claim| {
                claim.reported_as.is_some() || claim.until.is_none_or(|until| until > now)
            };
            self.open.retain(is_kept);
            self.changes.borrow_and_update();
            for (index, claim) in self.open.iter().enumerate() {
                if claim.reported_as.is_some() {
                    continue;
                }
                if let Some(verdict) = verdict(&self.node.instances, &claim.commitment).await? {
                    self.due = Some(index);
                    let data_set = verdict.data_set(&claim.commitment.transaction_uid);
                    return Ok((claim.context_id, verdict.event_type(), data_set));
                }
            }
            let waiting = self.open.iter().filter(|claim| claim.reported_as.is_none());
            let until = waiting.clone().filter_map(|claim| claim.until).min();
            if waiting.count() == 0 {
                std::future::pending::<()>().await;
            }
            tokio::select! {
                _ = self.changes.changed() => sleep(LOOK_PAUSE).await,
                () = sleep_until(until.unwrap_or(now)), if until.is_some() => {}
            }
        }
    }

    /// The report that was due is sent under this number.
    pub(super) fn reported(&mut self, id: u16) {
        if let Some(claim) = self.due.take().and_then(|index| self.open.get_mut(index)) {
            claim.reported_as = Some(id);
        }
    }

    /// The imager has answered a report. If it did not take it, it is told again by a new
    /// association.
    pub(super) async fn answered(
        &mut self,
        id: Option<u16>,
        answer: Option<u16>,
    ) -> Result<(), InstancesError> {
        let is_it = |claim: &Claim| claim.reported_as.is_some() && claim.reported_as == id;
        let Some(index) = self.open.iter().position(is_it) else { return Ok(()) };
        if answer == Some(status::SUCCESS) {
            close(&self.node, &self.open[index].commitment).await?;
        } else {
            tracing::warn!(link = %self.imager.id, "the imager did not take a commitment report");
        }
        self.open.remove(index);
        Ok(())
    }
}

async fn close(node: &Node, commitment: &Commitment) -> Result<(), InstancesError> {
    tracing::info!(link = %commitment.link, instances = commitment.wanted.len(),
        "the imager knows what is committed");
    node.instances.close_commitment(&commitment.link, &commitment.transaction_uid).await
}

/// Tells one imager what no association of its own does. Runs for ever.
pub(super) async fn report(node: Arc<Node>, imager: Arc<Imager>) {
    if imager.address.is_none() {
        return;
    }
    let mut changes = node.instances.changes();
    let mut pauses = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        let freed = node.claimed.freed.notified();
        if let Err(error) = round(&node, &imager, &mut pauses).await {
            tracing::error!(link = %imager.id, %error, "commitments cannot be looked up");
        }
        tokio::select! {
            _ = changes.changed() => sleep(LOOK_PAUSE).await,
            () = freed => {}
            () = sleep(RETRY_MIN) , if !pauses.is_empty() => {}
        }
    }
}

/// When to try again, and the pause after that.
type Pauses = BTreeMap<String, (Instant, Duration)>;

async fn round(
    node: &Arc<Node>,
    imager: &Imager,
    pauses: &mut Pauses,
) -> Result<(), InstancesError> {
    let open = node.instances.commitments(&imager.id).await?;
    pauses.retain(|uid, _| open.iter().any(|commitment| commitment.transaction_uid == *uid));
    for commitment in open {
        let uid = &commitment.transaction_uid;
        let is_early = pauses.get(uid).is_some_and(|(at, _)| *at > Instant::now());
        if is_early || node.claimed.holds(&commitment) {
            continue;
        }
        let age = clock::wall().duration_since(commitment.asked_at).unsigned_abs();
        if age > AGE_MAX {
            tracing::error!(link = %imager.id, "a commitment could not be reported in 30 days and \
                is given up; the imager keeps its images");
            node.instances.close_commitment(&imager.id, uid).await?;
            continue;
        }
        let Some(verdict) = verdict(&node.instances, &commitment).await? else { continue };
        let data_set = verdict.data_set(uid);
        match requestor::report(&node.dicom, &node.tls, imager, verdict.event_type(), &data_set)
            .await
        {
            Ok(()) => close(node, &commitment).await?,
            Err(error) => {
                let pause = pauses.get(uid).map_or(RETRY_MIN, |(_, pause)| *pause);
                tracing::warn!(link = %imager.id, %error, again_in_s = pause.as_secs(),
                    "the imager cannot be told what is committed");
                let next = (pause * 2).min(RETRY_MAX);
                pauses.insert(uid.clone(), (Instant::now() + pause, next));
            }
        }
    }
    Ok(())
}
