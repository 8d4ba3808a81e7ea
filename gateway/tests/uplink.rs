//! Readings reach the cloud through a real broker, whatever happens in between.

mod support;

use chiasm_proto::{
    Body, LaneId, LaneSessionId,
    fleet::{OpenSession, Sessions, Status},
};
use std::path::Path;
use support::{
    Gateway, cloud::Broker, cloud::Cloud, frame, free_port, pki::Authority, send, until,
};
use tokio::io::AsyncWriteExt;

struct World {
    dir: tempfile::TempDir,
    broker: Broker,
    cloud: Cloud,
    port: u16,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let broker = Broker::start(dir.path(), &authority).await;
        let cloud = Cloud::start(&broker, &authority).await;
        authority.enrol(&dir.path().join("data"), broker.port);
        Self { dir, broker, cloud, port: free_port() }
    }
    fn gateway(&self) -> Gateway {
        Gateway::with_tcp_server(&self.data_dir(), self.port)
    }
    fn data_dir(&self) -> std::path::PathBuf {
        Path::new(self.dir.path()).join("data")
    }
    async fn until_acknowledged(&self, gateway: &Gateway) {
        until("the spool to be empty", async || {
            gateway.spool().await.filter(|state| state.depth == 0)
        })
        .await;
    }
}

#[tokio::test]
async fn a_reading_is_filed_once_and_the_state_tells_it() {
    let world = World::new().await;
    let gateway = world.gateway();
    let _stream = send(world.port, &frame()).await;
    world.cloud.until_filed(1).await;
    world.until_acknowledged(&gateway).await;
    world.cloud.with(|filed| {
        assert_eq!(filed.arrivals, [(1, 1)].into());
        let Body::Reading(reading) = &filed.documents[&1].body else { panic!("no reading") };
        assert_eq!(reading.raw.bytes, frame());
        assert_eq!(reading.lane_session, None);
    });
    let birth = world.cloud.until_state("a birth", |state| state.status == Status::Online).await;
    gateway.stop().await;
    let end = world.cloud.until_state("an end", |state| state.status == Status::Stopped).await;
    assert_eq!(birth.session, end.session);
}

#[tokio::test]
async fn what_was_read_while_the_broker_was_away_comes_later_without_gaps() {
    let mut world = World::new().await;
    world.broker.kill();
    let gateway = world.gateway();
    let mut stream = send(world.port, &frame()).await;
    for _ in 1..100 {
        stream.write_all(&frame()).await.unwrap();
    }
    gateway.until_spooled(100).await;
    world.broker.start_again().await;
    world.cloud.until_filed(100).await;
    world.until_acknowledged(&gateway).await;
    stream.write_all(&frame()).await.unwrap();
    world.cloud.until_filed(101).await;
    world.cloud.with(|filed| {
        assert_eq!(
            filed.documents.keys().copied().collect::<Vec<_>>(),
            (1..=101).collect::<Vec<_>>()
        );
    });
    gateway.stop().await;
}

#[tokio::test]
async fn what_only_the_broker_has_taken_is_sent_again() {
    let mut world = World::new().await;
    world.cloud.with(|filed| filed.is_silent = true);
    let gateway = world.gateway();
    let _stream = send(world.port, &frame()).await;
    world.cloud.until_filed(1).await;
    assert_eq!(gateway.spool().await.unwrap().depth, 1);
    world.broker.kill();
    // The cloud comes back without what it had not committed.
    world.cloud.with(|filed| {
        filed.documents.clear();
        filed.is_silent = false;
    });
    world.broker.start_again().await;
    world.cloud.until_filed(1).await;
    world.until_acknowledged(&gateway).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_cloud_that_was_restored_from_a_backup_gets_everything_again() {
    let mut world = World::new().await;
    let gateway = world.gateway();
    let mut stream = send(world.port, &frame()).await;
    stream.write_all(&frame()).await.unwrap();
    world.cloud.until_filed(2).await;
    world.until_acknowledged(&gateway).await;
    world.broker.kill();
    world.cloud.with(|filed| filed.documents.remove(&2));
    world.broker.start_again().await;
    world.cloud.until_filed(2).await;
    world.until_acknowledged(&gateway).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_refused_document_goes_to_quarantine_and_blocks_nothing() {
    let world = World::new().await;
    world.cloud.with(|filed| filed.rejects.push(1));
    let gateway = world.gateway();
    let mut stream = send(world.port, &frame()).await;
    stream.write_all(&frame()).await.unwrap();
    world.cloud.until_filed(2).await;
    world.until_acknowledged(&gateway).await;
    assert_eq!(gateway.spool().await.unwrap().quarantined, 1);
    gateway.stop().await;
}

#[tokio::test]
async fn the_open_lane_session_stamps_readings_also_after_a_restart() {
    let world = World::new().await;
    let gateway = world.gateway();
    world.cloud.until_state("a birth", |state| state.status == Status::Online).await;
    let session = LaneSessionId(uuid::Uuid::now_v7());
    world.cloud.tell_sessions(&Sessions {
        heard: vec![],
        sessions: vec![OpenSession {
            lane: LaneId::new("lane-1").unwrap(),
            session,
            opened_at: jiff::Timestamp::now(),
            idle_timeout_s: 900,
        }],
    });
    let mut stream = send(world.port, &frame()).await;
    let stamped = until("a stamped reading", async || {
        stream.write_all(&frame()).await.unwrap();
        world.cloud.with(|filed| {
            let body = filed.documents.values().next_back().map(|envelope| envelope.body.clone());
            match body {
                Some(Body::Reading(reading)) => reading.lane_session,
                _ => None,
            }
        })
    })
    .await;
    assert_eq!(stamped, session);
    drop(stream);
    gateway.stop().await;
    let before = world.cloud.with(|filed| filed.documents.len());
    let gateway = world.gateway();
    let _stream = send(world.port, &frame()).await;
    until("one more reading", async || {
        world.cloud.with(|filed| (filed.documents.len() > before).then_some(()))
    })
    .await;
    world.cloud.with(|filed| {
        let (_, last) = filed.documents.last_key_value().unwrap();
        let Body::Reading(reading) = &last.body else { panic!("no reading") };
        assert_eq!(reading.lane_session, Some(session));
    });
    gateway.stop().await;
}
