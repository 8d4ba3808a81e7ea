//! Waking pages when something has changed.
//!
//! The events themselves stand in the database, numbered per tenant in the order of commit
//! ([`crate::store::live`]). What travels here is only "this tenant has new ones": a lost or
//! doubled wake-up costs nothing, because readers always ask the database for what comes after the
//! last event they have seen.

use crate::pending::Pending;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::broadcast;

/// Wake-ups that a slow page may be behind before it is simply woken.
const BEHIND_MAX: usize = 1024;

/// Wakes the pages of this replica, and hands wake-ups for the other replicas to the broker client.
#[derive(Debug, Clone)]
pub struct Bus {
    local: broadcast::Sender<Arc<str>>,
    hints: Pending<String>,
}

/// A page's ear.
#[derive(Debug)]
pub struct Subscription {
    receiver: broadcast::Receiver<Arc<str>>,
}

impl Default for Bus {
    fn default() -> Self {
        Self { local: broadcast::Sender::new(BEHIND_MAX), hints: Pending::default() }
    }
}

impl Bus {
    /// Tells every replica that the tenant has new live events. Call after the commit.
    pub fn announce(&self, tenant: &str) {
        self.announce_here(tenant);
        self.hints.add(tenant.to_owned());
    }

    /// Tells the pages of this replica only: the hint came from elsewhere.
    pub fn announce_here(&self, tenant: &str) {
        // No receiver only means that no page is open.
        let _ = self.local.send(Arc::from(tenant));
    }

    pub fn subscribe(&self) -> Subscription {
        Subscription { receiver: self.local.subscribe() }
    }

    /// Tenants whose hint the other replicas have not been given yet. One reader: the ingest
    /// client.
    pub async fn hints(&self) -> BTreeSet<String> {
        self.hints.take().await
    }
}

impl Subscription {
    /// Waits until the tenant may have new events. May wake without any; never misses one, also not
    /// one announced between two calls.
    pub async fn changed(&mut self, tenant: &str) {
        loop {
            match self.receiver.recv().await {
                Ok(announced) if &*announced == tenant => return,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The bus lives as long as the process; without it there is nothing to wait for.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_for_its_tenant_and_when_it_fell_behind() {
        let bus = Bus::default();
        let mut page = bus.subscribe();
        bus.announce("other");
        bus.announce("mine");
        page.changed("mine").await;
        for _ in 0..=BEHIND_MAX {
            bus.announce_here("other");
        }
        page.changed("mine").await;
        assert_eq!(bus.hints().await, BTreeSet::from(["mine".into(), "other".into()]));
    }
}
