//! What is to be sent down. A later message of the same kind covers an earlier one that has not
//! left yet, so the outbox never has more than a few messages for each gateway, and filling it
//! never waits.

use chiasm_proto::{
    Ack, Down, GatewayId, Staff, TenantId, Topic, config::Configuration, fleet::Sessions,
    listening::Command, worklist::Worklist,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Topic, and what tells apart messages on it that do not cover each other.
type Key = (String, String);

#[derive(Debug, Clone, Default)]
pub struct Outbox {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<BTreeMap<Key, Vec<u8>>>,
    notify: Notify,
}

impl Outbox {
    /// An acknowledgement is cumulative within its epoch.
    pub fn ack(&self, tenant: &TenantId, gateway: &GatewayId, ack: &Ack) {
        let topic = Topic::down(tenant, gateway, Down::Ack).to_string();
        self.put((topic, ack.epoch.to_string()), ack);
    }

    /// The open sessions are the whole truth each time.
    pub fn sessions(&self, tenant: &TenantId, gateway: &GatewayId, sessions: &Sessions) {
        let topic = Topic::down(tenant, gateway, Down::Session).to_string();
        self.put((topic, String::new()), sessions);
    }

    /// The worklist is the whole truth each time.
    pub fn worklist(&self, tenant: &TenantId, gateway: &GatewayId, worklist: &Worklist) {
        let topic = Topic::down(tenant, gateway, Down::Worklist).to_string();
        self.put((topic, String::new()), worklist);
    }

    /// A newer version covers an older one; the word to keep one covers the version itself, which
    /// the gateway has.
    pub fn configuration(&self, tenant: &TenantId, gateway: &GatewayId, it: &Configuration) {
        let topic = Topic::down(tenant, gateway, Down::Config).to_string();
        self.put((topic, String::new()), it);
    }

    /// The last command counts: a gateway listens to one thing at a time.
    pub fn command(&self, tenant: &TenantId, gateway: &GatewayId, command: &Command) {
        let topic = Topic::down(tenant, gateway, Down::Command).to_string();
        self.put((topic, String::new()), command);
    }

    /// The staff is the whole truth each time.
    pub fn staff(&self, tenant: &TenantId, gateway: &GatewayId, staff: &Staff) {
        let topic = Topic::down(tenant, gateway, Down::Staff).to_string();
        self.put((topic, String::new()), staff);
    }

    fn put(&self, key: Key, message: &impl Serialize) {
        let payload = serde_json::to_vec(message).expect("plain data always serialises");
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(key, payload);
        self.inner.notify.notify_one();
    }

    /// Waits until there is something, and takes all of it: topics and payloads.
    pub async fn take(&self) -> Vec<(String, Vec<u8>)> {
        loop {
            let taken = std::mem::take(
                &mut *self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner),
            );
            if !taken.is_empty() {
                return taken.into_iter().map(|((topic, _), payload)| (topic, payload)).collect();
            }
            self.inner.notify.notified().await;
        }
    }
}
