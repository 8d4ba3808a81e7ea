//! The database goes, the cloud is killed, the broker is another: every reading is filed once.

mod common;

use common::{
    Cloud, Kind, Store,
    gateway::{Gateway, enrol},
};
use std::{
    process::{Child, Command},
    time::Duration,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ack_without_commit_sqlite() {
    no_ack_without_commit(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ack_without_commit_postgres() {
    no_ack_without_commit(Kind::Postgres).await;
}

async fn run(cloud: &Cloud, sql: &'static str) {
    let mut tx = cloud.core.db.all_tenants().await.unwrap();
    tx.execute(sql, []).await.unwrap();
    tx.commit().await.unwrap();
}

async fn no_ack_without_commit(kind: Kind) {
    let cloud = Cloud::start(kind).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let mut gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    run(&cloud, "ALTER TABLE document RENAME TO document_away").await;
    let reading = gateway.reading(1);
    gateway.send(&reading).await;
    let no_ack = tokio::time::timeout(Duration::from_secs(1), gateway.ack(|_| true)).await;
    assert!(no_ack.is_err(), "acknowledged without a commit: {no_ack:?}");
    run(&cloud, "ALTER TABLE document_away RENAME TO document").await;
    gateway.send(&reading).await;
    gateway.ack(|ack| ack.upto == 1).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM reading").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_cloud_comes_back_on_its_ports_and_files_once() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let broker = cloud.broker();
    let mut gateway = Gateway::connect(broker, &credentials, "acme", "gw-1").await;
    let epoch = gateway.epoch;
    let readings: Vec<_> = (1..=300).map(|seq| gateway.reading(seq)).collect();
    for reading in &readings {
        gateway.send(reading).await;
    }
    gateway.ack(|ack| ack.upto >= 1).await;
    // In the middle of it, most likely.
    cloud.running.stop().await;
    drop(cloud.core);
    let cloud = Cloud::start_on(cloud.store, &broker.to_string(), "").await;
    let mut gateway = Gateway::connect(broker, &credentials, "acme", "gw-1").await;
    gateway.epoch = epoch;
    for reading in &readings {
        gateway.send(reading).await;
    }
    gateway.ack(|ack| ack.upto == 300 && ack.missing.is_empty()).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM document").await, 300);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM rejected_document").await, 0);
}

/// Mosquitto with the configuration that we ship, on a free port.
struct Mosquitto {
    child: Child,
    port: u16,
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start_mosquitto(store: &Store) -> Mosquitto {
    let dir = store.dir.path();
    let authority = chiasm_cloud::pki::Authority::load_or_make(dir).unwrap();
    let issued = authority.issue_server(&["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("authority.pem", authority.certificate_pem());
    write("broker.pem", &issued.issued.certificate_pem);
    write("broker.key", &issued.key.serialize_pem());
    write("acl", include_str!("../../deploy/broker/mosquitto/acl"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = include_str!("../../deploy/broker/mosquitto/mosquitto.conf")
        .replace("/etc/mosquitto/chiasm", &dir.display().to_string())
        .replace("listener 8883", &format!("listener {port} 127.0.0.1"));
    // As root it would change to a user who cannot read the test's files.
    config.push_str("\nuser root\n");
    write("mosquitto.conf", &config);
    let program = "/usr/sbin/mosquitto";
    let mut command = Command::new(program);
    command.arg("-c").arg(dir.join("mosquitto.conf"));
    if std::env::var_os("CHIASM_LOG").is_some() {
        command.arg("-v");
    } else {
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    }
    let child = command.spawn().expect("Mosquitto is needed: apt-get install mosquitto");
    Mosquitto { child, port }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_broker_does_as_well() {
    let store = Store::new(Kind::Sqlite).await;
    let mosquitto = start_mosquitto(&store);
    let broker = format!("url = \"mqtts://localhost:{}\"", mosquitto.port);
    // Returns when ingest is connected and subscribed.
    let cloud = Cloud::start_on(store, "127.0.0.1:0", &broker).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    enrol(&cloud, "acme", "gw-2").await;
    let address = ([127, 0, 0, 1], mosquitto.port).into();
    let mut gateway = Gateway::connect(address, &credentials, "acme", "gw-1").await;
    gateway.send(&gateway.reading(1)).await;
    gateway.ack(|ack| ack.upto == 1).await;
    // Another gateway's topic: Mosquitto drops it.
    let mut foreign = gateway.reading(2);
    foreign.source = "chiasm/acme/gw-2".into();
    let payload = serde_json::to_vec(&foreign).unwrap();
    let topic = "chiasm/v1/acme/gw-2/up/reading";
    let at_least_once = rumqttc::v5::mqttbytes::QoS::AtLeastOnce;
    gateway.client.publish(topic, at_least_once, false, payload).await.unwrap();
    gateway.send(&gateway.reading(2)).await;
    gateway.ack(|ack| ack.upto == 2 && ack.rejected.is_empty()).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM document").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work_and_wake_each_other() {
    let store = Store::new(Kind::Postgres).await;
    let mosquitto = start_mosquitto(&store);
    let broker = format!("url = \"mqtts://localhost:{}\"", mosquitto.port);
    let one = Cloud::start_on(store, "127.0.0.1:0", &broker).await;
    let other = chiasm_cloud::Core::new(
        chiasm_cloud::store::Db::open(&one.store.url).await.unwrap(),
        (*one.core.config).clone(),
    )
    .unwrap();
    let _running = chiasm_cloud::commands::serve::start(&other).await.unwrap();
    common::wait_until_ready(&other).await;
    let credentials = enrol(&one, "acme", "gw-1").await;
    let address = ([127, 0, 0, 1], mosquitto.port).into();
    let mut gateway = Gateway::connect(address, &credentials, "acme", "gw-1").await;
    let mut page_of_one = one.core.live.subscribe();
    let mut page_of_other = other.live.subscribe();
    for seq in 1..=200 {
        gateway.send(&gateway.reading(seq)).await;
    }
    gateway.ack(|ack| ack.upto == 200 && ack.missing.is_empty()).await;
    assert_eq!(one.count("SELECT COUNT(*) FROM reading").await, 200);
    for page in [&mut page_of_one, &mut page_of_other] {
        tokio::time::timeout(common::PATIENCE, page.changed("acme")).await.unwrap();
    }
    // Numbered without gaps in the order of commit, whoever committed.
    let sql = "SELECT MAX(event_id) - COUNT(*) FROM live_event WHERE tenant_id = 'acme'";
    assert_eq!(one.count(sql).await, 0);
}
