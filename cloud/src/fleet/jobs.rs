//! What happens because time passes: readings leave the tray, idle lane sessions end, what is old
//! is forgotten, and pages hear of changes that another process made. Every replica does it; doing
//! it twice changes nothing.

use crate::{
    Core,
    app::{decode_again, report},
    archive, clock,
    domain::placement::{SESSION_IDLE_MAX_US, TRAY_MAX_US},
    fleet::{notices, reconcile, volume, watch},
    store::{StoreError, aging, fleet_watch, incident, live, patient, prune, upload},
};
use std::{
    collections::HashMap,
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};
use tokio::task::JoinSet;

const DAY_US: i64 = 24 * 3600 * 1_000_000;
/// How long live events can be replayed; a page that was away for longer loads itself anew.
pub const LIVE_EVENTS_KEPT_US: i64 = 7 * DAY_US;
/// How long a refusal is shown that does not come again.
pub const REFUSALS_KEPT_US: i64 = 90 * DAY_US;
/// How long an expired claim code is told from an unknown one.
pub const CLAIMS_KEPT_US: i64 = 30 * DAY_US;
/// How long an upload is kept that does not go on.
pub const UPLOADS_KEPT_US: i64 = 14 * DAY_US;
const UPLOADS_AT_ONCE_MAX: i64 = 1_000;
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// How far the reports may be behind.
const REPORT_EVERY: Duration = Duration::from_secs(20);
const COUNT_EVERY: Duration = Duration::from_secs(600);
/// How long a reading that was just accepted waits until it is sent to the archive.
const EXPORT_EVERY: Duration = Duration::from_secs(5);
/// How long somebody who asks for a decoding waits until it begins.
const DECODE_EVERY: Duration = Duration::from_secs(5);
/// How long it takes until an incident begins, is raised or ends.
const WATCH_EVERY: Duration = Duration::from_secs(10);
const VOLUME_EVERY: Duration = Duration::from_secs(300);
const NOTICES_EVERY: Duration = Duration::from_secs(5);
/// How long incidents that are over are kept, and what was told of them.
pub const INCIDENTS_KEPT_US: i64 = 400 * DAY_US;
const AGING_EVERY: Duration = Duration::from_secs(10);
/// How late a page hears of what an `admin` command or a replica whose hint was lost has done.
const HEADS_EVERY: Duration = Duration::from_secs(2);

pub fn start(core: &Core, tasks: &mut JoinSet<()>) {
    tasks.spawn(age(core.clone()));
    tasks.spawn(watch_heads(core.clone()));
    tasks.spawn(prune(core.clone()));
    tasks.spawn(count(core.clone()));
    tasks.spawn(report(core.clone()));
    tasks.spawn(export(core.clone()));
    tasks.spawn(decode(core.clone()));
    tasks.spawn(watch(core.clone()));
    tasks.spawn(count_volume(core.clone()));
    tasks.spawn(send_notices(core.clone()));
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

async fn prune(core: Core) {
    let mut tick = tokio::time::interval(PRUNE_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = prune_once(&core, clock::now_us()).await {
            tracing::warn!(%error, "cannot forget what is old, will try again");
        }
    }
}

/// Forgets what is older than it is kept, of all tenants, in small transactions.
pub async fn prune_once(core: &Core, now_us: i64) -> Result<(), StoreError> {
    let mut tx = core.db.all_tenants().await?;
    prune::sign_ins(&mut tx, now_us).await?;
    prune::refusals(&mut tx, now_us - REFUSALS_KEPT_US).await?;
    prune::claims(&mut tx, now_us - CLAIMS_KEPT_US).await?;
    incident::prune(&mut tx, now_us - INCIDENTS_KEPT_US).await?;
    fleet_watch::prune(&mut tx, now_us - volume::KEPT_US).await?;
    tx.commit().await?;
    patient::fold_all(&core.db).await?;
    abandoned_uploads(core, now_us).await?;
    for (tenant, _) in heads(core).await? {
        loop {
            let mut tx = core.db.tenant(&tenant).await?;
            let before_us = now_us - LIVE_EVENTS_KEPT_US;
            let forgotten = prune::live_events(&mut tx, &tenant, before_us).await?;
            tx.commit().await?;
            if i64::try_from(forgotten).is_ok_and(|forgotten| forgotten < prune::EVENTS_MAX) {
                break;
            }
        }
    }
    Ok(())
}

/// Uploads that do not go on. A gateway that still has the instance offers it again.
async fn abandoned_uploads(core: &Core, now_us: i64) -> Result<(), StoreError> {
    let mut tx = core.db.all_tenants().await?;
    let before_us = now_us - UPLOADS_KEPT_US;
    for (tenant, sha256) in upload::abandoned(&mut tx, before_us, UPLOADS_AT_ONCE_MAX).await? {
        if let Ok(name) = sha256.parse()
            && let Err(error) = core.archive.discard(&tenant, &name).await
        {
            tracing::warn!(%tenant, %error, "cannot remove an abandoned upload");
        }
        upload::remove(&mut tx, &tenant, &sha256).await?;
    }
    tx.commit().await?;
    // What a process left behind that ended in the middle of it; twice as old, so that nothing
    // that a row knows of is among it.
    let kept = Duration::from_micros(2 * UPLOADS_KEPT_US.unsigned_abs());
    if let Some(before) = SystemTime::now().checked_sub(kept)
        && let Err(error) = core.archive.sweep(before).await
    {
        tracing::warn!(%error, "cannot remove what was left of uploads");
    }
    Ok(())
}

async fn count(core: Core) {
    let mut tick = tokio::time::interval(COUNT_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = count_once(&core).await {
            tracing::warn!(%error, "cannot count the ledger, will try again");
        }
    }
}

/// Counts what the fleet page need not count again.
pub async fn count_once(core: &Core) -> Result<(), StoreError> {
    for (tenant, _) in heads(core).await? {
        reconcile::count_once(&core.db, &tenant).await?;
    }
    Ok(())
}

async fn report(core: Core) {
    let mut tick = tokio::time::interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = report::count_all(&core.db, clock::now_us()).await {
            tracing::warn!(%error, "cannot count for the reports, will try again");
        }
    }
}

async fn export(core: Core) {
    let mut tick = tokio::time::interval(EXPORT_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = archive::export_once(&core, clock::now_us()).await {
            tracing::warn!(%error, "cannot send to archives, will try again");
        }
    }
}

async fn decode(core: Core) {
    let mut tick = tokio::time::interval(DECODE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = decode_again::run_asked(&core).await {
            tracing::warn!(%error, "cannot decode again, will try again");
        }
    }
}

async fn watch(core: Core) {
    let mut tick = tokio::time::interval(WATCH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // Who hears nobody knows nothing about anybody.
        if !core.ingest_connected.load(Ordering::Relaxed) {
            continue;
        }
        if let Err(error) = watch::watch_once(&core, clock::now_us()).await {
            tracing::warn!(%error, "cannot look after the gateways, will try again");
        }
    }
}

async fn count_volume(core: Core) {
    let mut tick = tokio::time::interval(VOLUME_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = volume::count_once(&core, clock::now_us()).await {
            tracing::warn!(%error, "cannot count what instruments send, will try again");
        }
    }
}

async fn send_notices(core: Core) {
    let mut tick = tokio::time::interval(NOTICES_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = notices::send_once(&core, clock::now_us()).await {
            tracing::warn!(%error, "cannot send notices, will try again");
        }
    }
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
