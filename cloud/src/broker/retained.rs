//! Retained messages, in memory: only gateways' states are kept, one for each gateway.

use async_trait::async_trait;
use chiasm_proto::{Topic, topic::Leaf};
use rmqtt::{
    Result,
    retain::{DefaultRetainStorage, RetainStorage},
    types::{Retain, TopicFilter, TopicName},
};
use std::time::Duration;

/// Gateways whose state is kept.
const RETAINED_MAX: isize = 100_000;

#[derive(Default)]
pub struct Retained(DefaultRetainStorage);

#[async_trait]
impl RetainStorage for Retained {
    fn enable(&self) -> bool {
        true
    }

    async fn set(&self, topic: &TopicName, retain: Retain, expiry: Option<Duration>) -> Result<()> {
        let is_state = topic.parse::<Topic>().is_ok_and(|topic| topic.leaf == Leaf::State);
        if !is_state || self.0.count().await >= RETAINED_MAX {
            return Ok(());
        }
        self.0.set_with_timeout(topic, retain, expiry).await
    }

    async fn get(&self, filter: &TopicFilter) -> Result<Vec<(TopicName, Retain)>> {
        self.0.get_message(filter).await
    }

    async fn count(&self) -> isize {
        self.0.count().await
    }

    async fn max(&self) -> isize {
        self.0.max().await
    }
}
