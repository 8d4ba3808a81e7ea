//! What happens because time passes: readings leave the tray, idle lane sessions end, and pages
//! hear of changes that another process made. Every replica does it; doing it twice changes
//! nothing.

use crate::{
    Core, clock,
    domain::placement::{SESSION_IDLE_MAX_US, TRAY_MAX_US},
    store::{StoreError, aging, live},
};
use std::{collections::HashMap, time::Duration};
use tokio::task::JoinSet;

const AGING_EVERY: Duration = Duration::from_secs(10);
/// How late a page hears of what an `admin` command or a replica whose hint was lost has done.
const HEADS_EVERY: Duration = Duration::from_secs(2);

pub fn start(core: &Core, tasks: &mut JoinSet<()>) {
    tasks.spawn(age(core.clone()));
    tasks.spawn(watch_heads(core.clone()));
}

async fn age(core: Core) {
    let mut tick = tokio::time::interval(AGING_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = age_once(&core, clock::now_us()).await {
            tracing::warn!(%error, "cannot look for what waits too long, will try again");
        }
    }
}

/// One round over all tenants.
pub async fn age_once(core: &Core, now_us: i64) -> Result<(), StoreError> {
    let mut tx = core.db.all_tenants_read().await?;
    let tray = aging::tenants_with_old_tray(&mut tx, now_us - TRAY_MAX_US).await?;
    let idle = aging::tenants_with_idle_sessions(&mut tx, now_us - SESSION_IDLE_MAX_US).await?;
    drop(tx);
    for tenant in tray {
        let mut tx = core.db.tenant(&tenant).await?;
        let events = aging::tray_to_inbox(&mut tx, &tenant, now_us - TRAY_MAX_US, now_us).await?;
        live::append(&mut tx, &tenant, &events).await?;
        tx.commit().await?;
        core.live.announce(&tenant);
    }
    for tenant in idle {
        let mut tx = core.db.tenant(&tenant).await?;
        let idle_since_us = now_us - SESSION_IDLE_MAX_US;
        let events = aging::close_idle(&mut tx, &tenant, idle_since_us, now_us).await?;
        live::append(&mut tx, &tenant, &events).await?;
        tx.commit().await?;
        core.live.announce(&tenant);
        for lane in events.iter().filter_map(|event| event.lane_id.as_deref()) {
            core.downlink.sessions_changed(&tenant, lane);
        }
    }
    Ok(())
}

async fn watch_heads(core: Core) {
    let mut tick = tokio::time::interval(HEADS_EVERY);
    let mut seen: HashMap<String, i64> = HashMap::new();
    loop {
        tick.tick().await;
        match heads(&core).await {
            Ok(heads) => {
                for (tenant, head) in heads {
                    if seen.get(&tenant) != Some(&head) {
                        core.live.announce_here(&tenant);
                        seen.insert(tenant, head);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "cannot look for new events, will try again"),
        }
    }
}

async fn heads(core: &Core) -> Result<Vec<(String, i64)>, StoreError> {
    let mut tx = core.db.all_tenants_read().await?;
    live::heads(&mut tx).await
}
