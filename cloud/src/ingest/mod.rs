//! From the broker into the database, and the answer back.
//!
//! ```text
//! mqtt (poll loop) ─► parse ─► commit ─► outbox ─► mqtt (publisher)
//!     bounded by count and bytes │         └ what queued up while the last commit ran, one
//!     and never waited for       │           transaction per tenant, then acks, then live events
//! ```
//!
//! Truth is our own acknowledgement after the commit. Whatever is dropped on the way, by the broker
//! or here, is sent again by its gateway.

mod commit;
mod configs;
mod filing;
mod known;
mod lane_acts;
mod mqtt;
mod outbox;
mod parse;
mod reading;
mod sessions;
mod staff;
mod steps;
mod worklists;

use crate::{Core, pending::Pending};
pub use mqtt::Endpoint;
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

/// Most documents in one transaction.
pub const BATCH_MAX: usize = 200;
/// Messages that wait in each of the two channels.
const WAITING_MAX: usize = 1000;
/// Bytes of messages that wait, all together.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Starts ingest; it stops when the set is dropped.
pub fn start(core: &Core, endpoint: Endpoint, tasks: &mut JoinSet<()>) {
    let (raw_sender, raw) = mpsc::channel(WAITING_MAX);
    let (parsed_sender, parsed) = mpsc::channel(WAITING_MAX);
    let outbox = outbox::Outbox::default();
    let acts = Pending::default();
    let bytes = Arc::new(Semaphore::new(WAITING_BYTES_MAX));
    let replica = uuid::Uuid::new_v4();
    let has_other_replicas = matches!(endpoint, Endpoint::External { .. });
    let (client, poll) =
        mqtt::start(endpoint, raw_sender, bytes, replica, core.ingest_connected.clone());
    tasks.spawn(poll);
    tasks.spawn(parse::run(raw, parsed_sender, core.live.clone(), replica));
    tasks.spawn(commit::run(core.clone(), parsed, outbox.clone(), acts.clone()));
    tasks.spawn(lane_acts::run(core.clone(), acts));
    tasks.spawn(sessions::run(core.clone(), outbox.clone()));
    tasks.spawn(worklists::run(core.clone(), outbox.clone()));
    tasks.spawn(worklists::look(core.clone()));
    tasks.spawn(configs::run(core.clone(), outbox.clone()));
    tasks.spawn(configs::look(core.clone()));
    if has_other_replicas {
        tasks.spawn(mqtt::publish_hints(client.clone(), core.live.clone(), replica));
    }
    tasks.spawn(mqtt::publish(client, outbox));
}
