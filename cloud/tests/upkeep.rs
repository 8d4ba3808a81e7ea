//! Live events, refusals, and what is forgotten after a time, on both kinds of database.

mod common;

use chiasm_cloud::{
    Core, args, clock,
    config::Config,
    fleet::jobs::{self, LIVE_EVENTS_KEPT_US},
    store::{
        Tx, fleet_view,
        live::{self, Kind as Happened, NewEvent},
        prune, refusal, sign_in,
    },
};
use common::{Kind, Store};
use std::path::Path;

macro_rules! on_both {
    ($($name:ident => $test:ident),+ $(,)?) => {$(
        mod $name {
            use super::common::Kind;
            #[tokio::test]
            async fn sqlite() { super::$test(Kind::Sqlite).await }
            #[tokio::test]
            async fn postgres() { super::$test(Kind::Postgres).await }
        }
    )+};
}

on_both! {
    events => events_are_numbered_by_tenant,
    refusals => refusals_are_counted_within_a_limit,
    forgotten => what_is_old_is_forgotten,
}

fn event(at_us: i64, lane: &str) -> NewEvent {
    NewEvent { lane_id: Some(lane.into()), ..NewEvent::new(at_us, Happened::SessionOpened) }
}

async fn count(tx: &mut Tx, sql: &'static str) -> i64 {
    let (count,): (i64,) = tx.fetch_one(sql, []).await.unwrap();
    count
}

async fn events_are_numbered_by_tenant(kind: Kind) {
    let store = Store::new(kind).await;
    for (tenant, lanes) in [("acme", vec!["a", "b"]), ("other", vec!["c"]), ("acme", vec!["d"])] {
        let mut tx = store.db.tenant(tenant).await.unwrap();
        let events: Vec<_> = lanes.into_iter().map(|lane| event(7, lane)).collect();
        live::append(&mut tx, tenant, &events).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = store.db.tenant("acme").await.unwrap();
    live::append(&mut tx, "acme", &[event(8, "rolled back")]).await.unwrap();
    drop(tx);
    let mut tx = store.db.tenant_read("acme").await.unwrap();
    let all = live::after(&mut tx, "acme", 0, 10).await.unwrap();
    let seen: Vec<_> = all.iter().map(|it| (it.event_id, it.lane_id.as_deref())).collect();
    assert_eq!(seen, [(1, Some("a")), (2, Some("b")), (3, Some("d"))]);
    assert_eq!((all[0].kind.as_str(), all[0].at_us), ("session_opened", 7));
    assert_eq!(live::after(&mut tx, "acme", 1, 1).await.unwrap()[0].event_id, 2);
    assert_eq!(live::last_event_id(&mut tx, "acme").await.unwrap(), 3);
    drop(tx);
    let mut tx = store.db.all_tenants_read().await.unwrap();
    let mut heads = live::heads(&mut tx).await.unwrap();
    heads.sort();
    assert_eq!(heads, [("acme".to_owned(), 3), ("other".to_owned(), 1)]);
}

async fn refusals_are_counted_within_a_limit(kind: Kind) {
    let store = Store::new(kind).await;
    let mut tx = store.db.tenant("acme").await.unwrap();
    let topics = refusal::TOPICS_MAX + 10;
    for round in 0..2 {
        for topic in 0..topics {
            let topic = format!("t/{topic}");
            let key = ("acme", "gw-1");
            let event =
                refusal::count(&mut tx, key, "publish", &topic, 5 + round, 2).await.unwrap();
            assert_eq!(event.subject.as_deref(), Some("publish"));
        }
    }
    let rows = count(&mut tx, "SELECT COUNT(*) FROM refusal WHERE tenant_id = 'acme'").await;
    assert_eq!(rows, refusal::TOPICS_MAX + 1, "beyond the limit they have no topic");
    let all = fleet_view::refusals(&mut tx, "acme").await.unwrap();
    assert_eq!((all.len(), all[0].times, all[0].last_at_us), (1, 4 * topics, 6));
}

async fn what_is_old_is_forgotten(kind: Kind) {
    let store = Store::new(kind).await;
    let text = format!("data_dir = {:?}", store.dir.path());
    let config = Config::parse(Path::new("test.toml"), &text).unwrap();
    let core = Core::new(store.db.clone(), config).unwrap();
    let now_us = clock::now_us();
    let old_us = now_us - LIVE_EVENTS_KEPT_US - 1;
    let mut tx = store.db.tenant("acme").await.unwrap();
    let mut events = vec![event(old_us, "old"); usize::try_from(prune::EVENTS_MAX).unwrap() + 5];
    events.extend([event(now_us, "new"), event(now_us, "new")]);
    live::append(&mut tx, "acme", &events).await.unwrap();
    for (token, until_us) in [("ended", now_us - 1), ("running", now_us + 1_000_000)] {
        let times = (now_us - 10, until_us);
        sign_in::insert(&mut tx, ("acme", "ana"), (token, "csrf"), times).await.unwrap();
    }
    let then_us = now_us - jobs::REFUSALS_KEPT_US - 1;
    refusal::count(&mut tx, ("acme", "gw-1"), "publish", "then", then_us, 1).await.unwrap();
    refusal::count(&mut tx, ("acme", "gw-1"), "publish", "now", now_us, 1).await.unwrap();
    let audit = "INSERT INTO audit_entry (tenant_id, audit_entry_id, at_us, account_id, action,
        subject, seq) VALUES ('acme', 'a', $1, 'ana', 'exam_seen', 'e1', 1)";
    tx.execute(audit, args![0_i64]).await.unwrap();
    tx.commit().await.unwrap();
    for _ in 0..2 {
        jobs::prune_once(&core, now_us).await.unwrap();
    }
    let mut tx = store.db.tenant_read("acme").await.unwrap();
    assert_eq!(count(&mut tx, "SELECT COUNT(*) FROM live_event").await, 2);
    assert_eq!(count(&mut tx, "SELECT COUNT(*) FROM sign_in").await, 1);
    assert_eq!(count(&mut tx, "SELECT COUNT(*) FROM refusal").await, 1);
    assert_eq!(count(&mut tx, "SELECT COUNT(*) FROM audit_entry").await, 1);
    // Numbers go on where they were.
    assert_eq!(live::last_event_id(&mut tx, "acme").await.unwrap(), prune::EVENTS_MAX + 7);
}
