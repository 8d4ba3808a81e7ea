//! Writing down what was refused: counted in the database, told to pages, said in the log once.

use super::identity::Identity;
use crate::{
    Core, clock,
    store::{live, refusal},
};
use std::{collections::HashMap, time::Duration};
use tokio::{sync::mpsc, task::JoinSet};

/// Refusals that wait to be written; beyond it they are only logged.
const WAITING_MAX: usize = 1024;
/// Longest topic that is written down, in characters.
const TOPIC_LEN_MAX: usize = 256;
/// Different topics that are written down for one gateway and action in one go. A gateway that
/// tries more is written down without topic.
const TOPICS_MAX: usize = 16;

/// Tenant, gateway, action, topic.
type Key = (String, String, &'static str, String);

#[derive(Debug, Clone)]
pub struct Refusals {
    sender: mpsc::Sender<Key>,
}

impl Refusals {
    /// Notes a refusal without waiting. `action`: `connect`, `publish`, `subscribe`.
    pub fn note(&self, who: &Identity, action: &'static str, topic: &str) {
        tracing::warn!(tenant = %who.tenant, gateway = %who.gateway, action, topic, "refused");
        let topic = topic.chars().filter(|c| *c != '\0').take(TOPIC_LEN_MAX).collect();
        let key = (who.tenant.to_string(), who.gateway.to_string(), action, topic);
        if self.sender.try_send(key).is_err() {
            tracing::warn!("refusals come faster than they can be written down");
        }
    }
}

pub fn start(core: Core, tasks: &mut JoinSet<()>) -> Refusals {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tasks.spawn(write(core, receiver));
    Refusals { sender }
}

async fn write(core: Core, mut receiver: mpsc::Receiver<Key>) {
    let mut waiting = Vec::new();
    while receiver.recv_many(&mut waiting, WAITING_MAX).await > 0 {
        for (tenant, counted) in count(waiting.drain(..)) {
            while let Err(error) = write_tenant(&core, &tenant, &counted).await {
                tracing::warn!(%error, "cannot write refusals down, will try again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            core.live.announce(&tenant);
        }
    }
}

/// Counts by tenant and key; keeps the number of rows that one gateway can cause small.
fn count(keys: impl Iterator<Item = Key>) -> HashMap<String, HashMap<Key, i64>> {
    let mut counted: HashMap<String, HashMap<Key, i64>> = HashMap::new();
    for (tenant, gateway, action, topic) in keys {
        let of_tenant = counted.entry(tenant.clone()).or_default();
        let key = (tenant, gateway, action, topic);
        let same = |k: &&Key| k.1 == key.1 && k.2 == key.2;
        let key = match of_tenant.contains_key(&key)
            || of_tenant.keys().filter(same).count() < TOPICS_MAX
        {
            true => key,
            false => (key.0, key.1, key.2, String::new()),
        };
        *of_tenant.entry(key).or_default() += 1;
    }
    counted
}

async fn write_tenant(
    core: &Core,
    tenant: &str,
    counted: &HashMap<Key, i64>,
) -> Result<(), crate::store::StoreError> {
    let now_us = clock::now_us();
    let mut tx = core.db.tenant(tenant).await?;
    if !crate::store::fleet::tenant_exists(&mut tx, tenant).await? {
        return Ok(());
    }
    let mut events = Vec::with_capacity(counted.len());
    for ((_, gateway, action, topic), times) in counted {
        let key = (tenant, gateway.as_str());
        events.push(refusal::count(&mut tx, key, action, topic, now_us, *times).await?);
    }
    live::append(&mut tx, tenant, &events).await?;
    tx.commit().await
}
