//! The commit loop: whatever queued up while the last commit ran becomes the next transaction of
//! its tenant. Acknowledged and announced is only what is committed.

use super::{
    BATCH_MAX,
    filing::{self, Answers},
    outbox::Outbox,
    parse::{Content, Parsed, Rejected},
};
use crate::{
    Core, clock,
    pending::Pending,
    store::{StoreError, document},
};
use chiasm_proto::{Envelope, GatewayId, TenantId, ack::FILED_BEFORE};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// How often a batch is tried while the database is away; then it is left to be sent again.
const ATTEMPTS_MAX: u32 = 5;
const BACKOFF_MIN: Duration = Duration::from_millis(100);

/// What came from one tenant since the last commit.
type Batch = Vec<(GatewayId, Content)>;
/// Who is told after a commit: gateways, and who carries out what was done at their pages.
type Told<'a> = (&'a Outbox, &'a Pending<String>);

pub async fn run(
    core: Core,
    mut parsed: mpsc::Receiver<Parsed>,
    outbox: Outbox,
    acts: Pending<String>,
) {
    let mut queued = Vec::with_capacity(BATCH_MAX);
    while parsed.recv_many(&mut queued, BATCH_MAX).await > 0 {
        let mut batches: BTreeMap<TenantId, Batch> = BTreeMap::new();
        for Parsed { tenant, gateway, content, .. } in queued.drain(..) {
            batches.entry(tenant).or_default().push((gateway, content));
        }
        for (tenant, mut batch) in batches {
            // By number: the database sees one order whatever the broker made of it, and replicas
            // lock gateways in the same order.
            batch.sort_by(|a, b| key(a).cmp(&key(b)));
            file(&core, &tenant, batch, (&outbox, &acts)).await;
        }
    }
}

fn key((gateway, content): &(GatewayId, Content)) -> (&GatewayId, u64) {
    match content {
        Content::Document(document) => (gateway, document.seq),
        Content::State(_) | Content::Telemetry(_) | Content::Reply(_) => (gateway, u64::MAX),
    }
}

/// Files a batch whole, or if the database takes offence at its content, document by document.
async fn file(core: &Core, tenant: &TenantId, mut batch: Batch, told: Told<'_>) {
    let begun = Instant::now();
    match try_often(core, tenant, &batch).await {
        Ok(mut answers) => {
            let filed = std::mem::take(&mut answers.filed);
            core.metrics.committed(filed, answers.acks.len(), begun.elapsed());
            answer(core, tenant, answers, told);
        }
        Err(error) if error.is_about_content() && batch.len() > 1 => {
            tracing::warn!(%tenant, %error, "a batch is refused, filing its documents one by one");
            for one in batch {
                Box::pin(file(core, tenant, vec![one], told)).await;
            }
        }
        Err(error) if error.is_about_content() => {
            if let Some((gateway, Content::Document(document))) = batch.first_mut()
                && let Ok(checked) = &document.checked
            {
                let key = (tenant.as_str(), gateway.as_str());
                let sent = (checked.document_id.as_str(), document.body.as_str());
                document.checked = Err(why_not(core, key, sent, &error).await);
                return Box::pin(file(core, tenant, batch, told)).await;
            }
            tracing::error!(%tenant, %error, "the database refuses a message");
        }
        Err(error) => {
            tracing::error!(%tenant, %error, "nothing is filed; gateways will send again");
        }
    }
}

/// A document that the database cannot take must not hold up the others. Most often it is filed under
/// another number: a gateway that was restored sends everything again.
async fn why_not(
    core: &Core,
    key: (&str, &str),
    (document_id, body): (&str, &str),
    error: &StoreError,
) -> Rejected {
    let filed = async {
        let mut tx = core.db.tenant_read(key.0).await?;
        document::body_of(&mut tx, key, document_id).await
    };
    match filed.await {
        Ok(Some(filed)) if differ_in_number_only(&filed, body) => {
            Rejected::new(FILED_BEFORE, "it is filed under another number")
        }
        _ => Rejected::new("malformed", format!("the database refuses it: {error}")),
    }
}

fn differ_in_number_only(filed: &str, sent: &str) -> bool {
    let parsed = |text| serde_json::from_str::<Envelope>(text);
    match (parsed(filed), parsed(sent)) {
        (Ok(filed), Ok(sent)) => filed == Envelope { epoch: filed.epoch, seq: filed.seq, ..sent },
        _ => false,
    }
}

async fn try_often(core: &Core, tenant: &TenantId, batch: &Batch) -> Result<Answers, StoreError> {
    let mut backoff = BACKOFF_MIN;
    for attempt in 1.. {
        match filing::file(core, tenant, batch, clock::now_us()).await {
            Err(error) if attempt < ATTEMPTS_MAX && !error.is_about_content() => {
                tracing::warn!(%tenant, %error, attempt, "cannot commit, will try again");
                tokio::time::sleep(backoff).await;
                backoff *= 2;
            }
            done => return done,
        }
    }
    unreachable!("the last attempt returns")
}

fn answer(core: &Core, tenant: &TenantId, answers: Answers, (outbox, acts): Told<'_>) {
    for (gateway, ack) in &answers.acks {
        outbox.ack(tenant, gateway, ack);
    }
    for (gateway, sessions) in &answers.sessions {
        outbox.sessions(tenant, gateway, sessions);
    }
    for (gateway, worklist) in &answers.worklists {
        outbox.worklist(tenant, gateway, worklist);
    }
    for (gateway, configuration) in &answers.configurations {
        outbox.configuration(tenant, gateway, configuration);
    }
    for (gateway, staff) in &answers.staff {
        outbox.staff(tenant, gateway, staff);
    }
    if answers.has_acts {
        acts.add(tenant.to_string());
    }
    if answers.has_events {
        core.live.announce(tenant.as_str());
    }
}
