//! What follows from instances that are durable, after their sender was answered: readings from
//! measurements, and the event that two objects have one UID.
//!
//! The spool takes an instance's documents once, under its hash: after a crash between the spool's
//! commit and the clearing of the mark, the second attempt changes nothing.

use super::{Node, measurements};
use crate::{
    clock,
    instances::Held,
    journal::Position,
    spool::{Document, Entry},
};
use chiasm_proto::{Body, GatewayEvent};
use futures_util::future::try_join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};

/// Between two rounds: what comes meanwhile shares the next commits.
const GATHER_PAUSE: Duration = Duration::from_millis(50);
/// A look, if nothing wakes it.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// After a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Runs for ever.
pub(super) async fn run(node: Arc<Node>) {
    let mut changes = node.instances.changes();
    loop {
        changes.mark_unchanged();
        match round(&node).await {
            Ok(0) => {
                let _ = timeout(LOOK_INTERVAL, changes.changed()).await;
            }
            Ok(_) => sleep(GATHER_PAUSE).await,
            Err(error) => {
                tracing::error!(%error, "readings from objects wait; trying again");
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Gives how many instances were looked at.
async fn round(node: &Arc<Node>) -> anyhow::Result<usize> {
    let marked = node.instances.next_follow_ups().await?;
    if marked.is_empty() {
        return Ok(0);
    }
    let ids: Vec<_> = marked.iter().map(|(held, _)| held.id).collect();
    let mut entries = Vec::new();
    for (held, small) in marked {
        // Looked up before the driver runs: it counts what it reads.
        if !node.shared.spool.is_imported(&held.head.link, held.sha256).await? {
            entries.push(entry(node, &held, small).await);
        }
    }
    // All at once, so that they share a commit.
    try_join_all(entries.into_iter().map(|entry| node.shared.spool.commit(entry))).await?;
    node.instances.followed_up(&ids).await?;
    Ok(ids.len())
}

async fn entry(node: &Node, held: &Held, small: Option<Vec<u8>>) -> Entry {
    let mut documents = Vec::new();
    if held.contradicts_earlier {
        let event = GatewayEvent {
            code: "instance_contradicts".into(),
            link: Some(held.head.link.clone()),
            detail: "An imager sent two objects with one SOP Instance UID and different content. \
                     Both are kept; ask its maker."
                .into(),
        };
        documents.push(Document::new(clock::wall(), Body::Event(event)));
    }
    documents.extend(measurements::documents(node, held, small).await);
    Entry {
        link: held.head.link.clone(),
        documents,
        // An imager has no journal: its bytes are durable as an instance.
        position: Position::default(),
        imported: Some(held.sha256),
    }
}
