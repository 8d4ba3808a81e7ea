//! Storage commitment, asked by pynetdicom: an imager deletes what we commit to.

mod support;

use serde_json::{Value, json};
use std::process::Stdio;
use support::{
    dicom::{EXPLICIT, OPT, Object, Sender, World, python, said},
    free_port, until,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

struct Asker {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Asker {
    fn start(world: &World, own_port: u16, stay_s: u32, uids: &[&str]) -> Self {
        let mut process = python("commit.py")
            .args([world.port.to_string(), own_port.to_string(), "1.2.77".into()])
            .arg(stay_s.to_string())
            .args(uids)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    async fn line(&mut self) -> Value {
        let line = tokio::time::timeout(support::WAIT_MAX, self.lines.next_line()).await;
        serde_json::from_str(&line.expect("a line").unwrap().expect("a line")).unwrap()
    }

    async fn says_nothing(&mut self) {
        let line = tokio::time::timeout(std::time::Duration::from_secs(2), self.lines.next_line());
        assert!(line.await.is_err(), "it was told too early");
    }
}

fn imager(own_port: u16) -> String {
    let address = match own_port {
        0 => String::new(),
        port => format!("address = \"127.0.0.1:{port}\"\n"),
    };
    format!("[[imager]]\nid = \"oct-1\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n{address}")
}

async fn store(world: &World, uids: &[&str]) {
    let mut sender = Sender::new(world.port, OPT, EXPLICIT).await;
    for uid in uids {
        assert_eq!(sender.store(&Object::new(uid, EXPLICIT, 1), 16_000).await, 0);
    }
    sender.release().await;
}

async fn until_closed(world: &World) {
    until("the request to be closed", async || {
        let open = world.instances.commitments(&World::link()).await.unwrap();
        open.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_committed_before_the_cloud_has_it() {
    let port = free_port();
    let world = World::with(&imager(port)).await;
    store(&world, &["1.2.3.1", "1.2.3.2"]).await;
    let mut asker = Asker::start(&world, port, 0, &["1.2.3.1", "1.2.3.2"]);
    assert_eq!(asker.line().await, json!({"asked": 0}));
    world.file("1.2.3.1").await;
    asker.says_nothing().await;
    world.file("1.2.3.2").await;
    let told = asker.line().await;
    assert_eq!(
        told,
        json!({"via": "new", "event_type": 1, "transaction": "1.2.77",
               "committed": ["1.2.3.1", "1.2.3.2"], "failed": []})
    );
    until_closed(&world).await;
    assert!(asker.process.wait().await.unwrap().success());
}

#[tokio::test]
async fn the_association_that_asked_is_told_if_it_stays() {
    for port in [0, free_port()] {
        let world = World::with(&imager(port)).await;
        store(&world, &["1.2.3.1"]).await;
        let mut asker = Asker::start(&world, port, 20, &["1.2.3.1"]);
        assert_eq!(asker.line().await, json!({"asked": 0}));
        world.file("1.2.3.1").await;
        let told = asker.line().await;
        assert_eq!(told["via"], "same");
        assert_eq!(told["event_type"], 1);
        until_closed(&world).await;
    }
}

/// Whom we cannot call is told when it comes again.
#[tokio::test]
async fn an_imager_without_an_address_is_told_at_its_next_association() {
    let world = World::with(&imager(0)).await;
    store(&world, &["1.2.3.1"]).await;
    let mut asker = Asker::start(&world, 0, 0, &["1.2.3.1"]);
    assert_eq!(asker.line().await, json!({"asked": 0}));
    drop(asker.process.stdin.take());
    assert!(asker.process.wait().await.unwrap().success());
    world.file("1.2.3.1").await;
    let mut again = Asker::start(&world, 0, 20, &["-"]);
    let told = again.line().await;
    assert_eq!((told["via"].as_str(), told["event_type"].as_u64()), (Some("same"), Some(1)));
    until_closed(&world).await;
}

#[tokio::test]
async fn what_is_not_here_fails_and_the_rest_is_committed() {
    let port = free_port();
    let world = World::with(&imager(port)).await;
    store(&world, &["1.2.3.1"]).await;
    world.file("1.2.3.1").await;
    let mut asker = Asker::start(&world, port, 0, &["1.2.3.1", "1.2.3.404"]);
    assert_eq!(asker.line().await, json!({"asked": 0}));
    let told = asker.line().await;
    assert_eq!(told["event_type"], 2);
    assert_eq!(told["committed"], json!(["1.2.3.1"]));
    assert_eq!(told["failed"], json!([["1.2.3.404", 0x0112]]));
}

/// Some ask long after. What the cloud has is known for 400 days.
#[tokio::test]
async fn what_was_deleted_here_after_its_retention_is_still_committed() {
    let port = free_port();
    let world = World::with(&imager(port)).await;
    store(&world, &["1.2.3.1"]).await;
    world.file("1.2.3.1").await;
    let day = jiff::SignedDuration::from_hours(24);
    let now = jiff::Timestamp::now();
    assert_eq!(world.instances.delete_expired(now + day * 8).await.unwrap(), 1);
    assert!(world.held("1.2.3.1").await.is_empty());
    let mut asker = Asker::start(&world, port, 0, &["1.2.3.1", "1.2.3.404"]);
    assert_eq!(asker.line().await, json!({"asked": 0}));
    let told = asker.line().await;
    assert_eq!(told["committed"], json!(["1.2.3.1"]));
    assert_eq!(told["failed"], json!([["1.2.3.404", 0x0112]]));
    world.instances.delete_expired(now + day * 407).await.unwrap();
    assert_eq!(world.instances.committed("1.2.3.1").await.unwrap(), [OPT]);
    world.instances.delete_expired(now + day * 409).await.unwrap();
    assert!(world.instances.committed("1.2.3.1").await.unwrap().is_empty());
}

/// The imager is switched off, the gateway starts again, and still it is told.
#[tokio::test]
async fn a_request_outlives_a_restart_and_an_imager_that_is_off() {
    let port = free_port();
    let world = World::with(&imager(port)).await;
    store(&world, &["1.2.3.1"]).await;
    let mut asker = Asker::start(&world, port, 0, &["1.2.3.1"]);
    assert_eq!(asker.line().await, json!({"asked": 0}));
    asker.process.kill().await.unwrap();
    world.file("1.2.3.1").await;
    // Tried, in vain.
    asker.says_nothing_more().await;
    let dir = world.kill().await;
    let world = World::in_dir(dir, &imager(port)).await;
    let mut listener = Asker::start(&world, port, 0, &[]);
    let told = listener.line().await;
    assert_eq!((told["via"].as_str(), told["event_type"].as_u64()), (Some("new"), Some(1)));
    until_closed(&world).await;
}

impl Asker {
    async fn says_nothing_more(&mut self) {
        let line = tokio::time::timeout(std::time::Duration::from_secs(1), self.lines.next_line());
        assert!(line.await.is_ok_and(|line| line.unwrap().is_none()), "it was told");
    }
}

/// Both ways: the imager asks us, and we the imager.
#[tokio::test]
async fn echo_goes_both_ways() {
    let port = free_port();
    let dir = tempfile::tempdir().unwrap();
    let mut scp = tokio::process::Command::new("/usr/bin/storescp")
        .args(["-aet", "OCT", &port.to_string()])
        .current_dir(dir.path())
        .kill_on_drop(true)
        .spawn()
        .expect("dcmtk is installed (apt-get install dcmtk)");
    let node_port = free_port();
    let config = dir.path().join("gateway.toml");
    let text = format!(
        "data_dir = \"{}\"\n[dicom]\nlisten = \"127.0.0.1:{node_port}\"\n{}",
        dir.path().join("data").display(),
        imager(port)
    );
    std::fs::write(&config, text).unwrap();
    let echo = async || {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_chiasm-gateway"))
            .arg("--config")
            .arg(&config)
            .args(["echo", "oct-1"])
            .output()
            .await
            .unwrap()
    };
    let answered = until("the imager to listen", async || {
        let output = echo().await;
        output.status.success().then_some(output)
    })
    .await;
    assert!(said(&answered).contains("oct-1 (OCT) answers after"), "{}", said(&answered));
    scp.kill().await.unwrap();
    let silent = echo().await;
    assert!(!silent.status.success());
    assert!(said(&silent).contains("is the imager on"), "{}", said(&silent));
}
