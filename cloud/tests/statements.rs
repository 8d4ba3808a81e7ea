//! How many statements an answer costs: as many for fifty studies as for one. What is counted is
//! counted in the whole process, so there is one test.

mod site;

use axum::http::Method;
use serde_json::json;
use site::{
    Site,
    world::{TENANT, images::Taken},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

/// What databases have been asked.
struct Statements;

static COUNT: AtomicUsize = AtomicUsize::new(0);
/// A statement is counted by a thread of its own, behind the answer.
const COUNTED_AFTER: Duration = Duration::from_millis(100);

async fn counted() -> usize {
    tokio::time::sleep(COUNTED_AFTER).await;
    COUNT.load(Ordering::Relaxed)
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[tokio::test]
async fn an_answer_costs_the_same_for_one_study_and_for_fifty() {
    let counting = tracing_subscriber::registry().with(Statements);
    tracing::subscriber::set_global_default(counting).unwrap();
    for is_postgres in [false, true] {
        one_and_fifty(Site::new(is_postgres).await).await;
    }
}

async fn one_and_fifty(site: Site) {
    let token = site.token("ana").await;
    let cost = async |path: &str, found: usize| {
        let ask = async || site.api(&token, Method::GET, path, json!({})).await;
        // The first time looks are noted, once for each exam; the second time they are known.
        let (status, answer) = ask().await;
        assert_eq!((status, answer.as_array().map(Vec::len)), (200, Some(found)), "{path}");
        let before = counted().await;
        ask().await;
        counted().await - before
    };
    let taken = site.world.taken(&site.visits["A-10977"], "R", "2.25.7").await;
    let add = async |at: usize| {
        let (study, uid) = (format!("2.25.8{at}"), format!("2.25.9{at}"));
        let taken = Taken { study, uid, ..taken.clone() };
        site.world.image(TENANT, &taken.volume((1, 2, 4))).await;
    };
    add(0).await;
    let one = [cost("/dicomweb/studies", 1).await, cost("/dicomweb/series", 1).await];
    for at in 1..50 {
        add(at).await;
    }
    let fifty = [cost("/dicomweb/studies", 50).await, cost("/dicomweb/series", 50).await];
    assert!(one.iter().all(|count| (1..20).contains(count)), "{one:?}: statements are counted");
    assert_eq!(one, fifty);
}
