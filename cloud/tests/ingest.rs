//! From a gateway's publish to the row and the ack, on both databases and real brokers.

mod common;

use chiasm_proto::Up;
use common::{
    Cloud, Kind,
    gateway::{Gateway, enrol, inner},
};

async fn connected(cloud: &Cloud) -> Gateway {
    let credentials = enrol(cloud, "acme", "gw-1").await;
    Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await
}

macro_rules! on_both {
    ($($name:ident => $test:ident),+ $(,)?) => {$(
        mod $name {
            use super::common::Kind;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() { super::$test(Kind::Sqlite).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() { super::$test(Kind::Postgres).await }
        }
    )+};
}

on_both! {
    files_once => files_and_acknowledges_once,
    rejects => rejects_without_blocking,
}

async fn files_and_acknowledges_once(kind: Kind) {
    let cloud = Cloud::start(kind).await;
    let mut gateway = connected(&cloud).await;
    let readings: Vec<_> = (1..=20).map(|seq| gateway.reading(seq)).collect();
    for reading in &readings {
        gateway.send(reading).await;
    }
    let ack = gateway.ack(|ack| ack.upto == 20 && ack.missing.is_empty()).await;
    assert_eq!(ack.rejected, []);
    // A replay of the whole spool changes nothing and is acknowledged again.
    for reading in &readings {
        gateway.send(reading).await;
    }
    gateway.ack(|ack| ack.upto == 20).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM document").await, 20);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM reading WHERE place = 'tray'").await, 20);
    assert_eq!(
        cloud.count("SELECT COUNT(*) FROM live_event WHERE kind = 'reading_filed'").await,
        20
    );
    assert_eq!(cloud.count("SELECT COUNT(*) FROM rejected_document").await, 0);
}

async fn rejects_without_blocking(kind: Kind) {
    let cloud = Cloud::start(kind).await;
    let mut gateway = connected(&cloud).await;
    let first = gateway.reading(1);
    gateway.send(&first).await;
    let mut no_lane = gateway.reading(2);
    inner(&mut no_lane).lane = "lane-9".parse().unwrap();
    gateway.send(&no_lane).await;
    let mut tampered = gateway.reading(3);
    inner(&mut tampered).raw.bytes.push(0);
    gateway.send(&tampered).await;
    let malformed = format!("{{\"epoch\":\"{}\",\"seq\":4,\"type\":\"\\u0000\"}}", gateway.epoch);
    gateway.publish(Up::Reading, malformed.into_bytes()).await;
    let mut same_id = gateway.reading(5);
    same_id.id = first.id;
    gateway.send(&same_id).await;
    let mut filed_before = gateway.reading(7);
    filed_before.id = first.id;
    filed_before.time = first.time;
    filed_before.body = first.body.clone();
    gateway.send(&filed_before).await;
    let mut other_content = gateway.reading(1);
    inner(&mut other_content).decoded.running_number = Some("other".into());
    gateway.send(&other_content).await;
    gateway.send(&gateway.reading(6)).await;
    let ack = gateway.ack(|ack| ack.upto == 7 && ack.rejected.len() == 6).await;
    assert!(ack.missing.is_empty());
    let mut codes: Vec<_> =
        ack.rejected.iter().map(|rejection| (rejection.seq, &*rejection.code)).collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [
            (1, "content_differs"),
            (2, "unknown_lane"),
            (3, "hash_mismatch"),
            (4, "malformed"),
            (5, "malformed"),
            (7, "filed_before"),
        ]
    );
    assert_eq!(cloud.count("SELECT COUNT(*) FROM document").await, 2);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM rejected_document").await, 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_the_database() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt;
    let cloud = Cloud::start(Kind::Sqlite).await;
    let router = chiasm_cloud::http::router(cloud.core.clone());
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    assert_eq!((ask("/healthz").await, ask("/readyz").await), (200, 200));
    cloud.core.db.close().await;
    assert_eq!((ask("/healthz").await, ask("/readyz").await), (200, 503));
}
