//! A cloud that lies, or whoever has its keys: nothing is forgotten that it did not say it has
//! filed, what it can make the gateway keep is bounded, and the links go on.

mod support;

use chiasm_gateway::{
    forward::Forward,
    instances::{Head, Instances},
    spool::{COPIES_MAX, Document, Entry, Spool},
};
use chiasm_proto::{
    Body, ClockState, Envelope, GatewayEvent, LaneId, LinkId, fleet::SpoolState,
    instance::INSTANCES_PATH,
};
use rumqttc::{
    Transport,
    v5::{AsyncClient, Event, Incoming, MqttOptions, mqttbytes::QoS},
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use support::{Gateway, cloud::Broker, frame, free_port, pki::Authority, send, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Says anything on any topic, and writes down what the gateway sends.
struct Liar {
    client: AsyncClient,
    seen: Arc<Mutex<Vec<Envelope>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Liar {
    async fn start(broker: &Broker, authority: &Authority) -> Self {
        let signed = authority.sign("cloud");
        let mut options = MqttOptions::new("cloud", "localhost", broker.port);
        options.set_transport(Transport::tls(
            authority.pem().into_bytes(),
            Some((signed.certificate_pem.into_bytes(), signed.key_pem.into_bytes())),
            None,
        ));
        options.set_max_packet_size(Some(8 << 20));
        let (client, mut events) = AsyncClient::new(options, 1000);
        client.subscribe("chiasm/v1/t/g/up/+", QoS::AtLeastOnce).await.unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inner = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        if let Ok(envelope) = serde_json::from_slice(&publish.payload) {
                            inner.lock().unwrap().push(envelope);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Self { client, seen, task }
    }

    async fn say(&self, leaf: &str, payload: impl Into<Vec<u8>>) {
        let topic = format!("chiasm/v1/t/g/down/{leaf}");
        self.client.publish(topic, QoS::AtLeastOnce, false, payload.into()).await.unwrap();
    }

    /// The raw bytes of all readings in the newest epoch that was seen.
    fn readings(&self) -> Vec<Vec<u8>> {
        let seen = self.seen.lock().unwrap();
        let newest = seen.iter().map(|envelope| envelope.epoch.0).max();
        let mut readings: Vec<(u64, Vec<u8>)> = seen
            .iter()
            .filter(|envelope| Some(envelope.epoch.0) == newest)
            .filter_map(|envelope| match &envelope.body {
                Body::Reading(reading) => Some((envelope.seq, reading.raw.bytes.clone())),
                _ => None,
            })
            .collect();
        readings.sort();
        readings.dedup();
        readings.into_iter().map(|(_, raw)| raw).collect()
    }
}

struct World {
    dir: tempfile::TempDir,
    _broker: Broker,
    liar: Liar,
    gateway: Gateway,
    port: u16,
}

impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let broker = Broker::start(dir.path(), &authority).await;
        let liar = Liar::start(&broker, &authority).await;
        let data_dir = dir.path().join("data");
        authority.enrol(&data_dir, broker.port);
        let port = free_port();
        let gateway = Gateway::with_tcp_server(&data_dir, port);
        Self { dir, _broker: broker, liar, gateway, port }
    }

    async fn state(&self) -> SpoolState {
        until("the spool to answer", async || self.gateway.spool().await).await
    }

    async fn until_seen(&self, readings: usize) {
        until("the cloud to see the readings", async || {
            (self.liar.readings().len() >= readings).then_some(())
        })
        .await;
    }

    /// One more reading is spooled and sent: the gateway lives, and has handled what was said before.
    async fn is_well(&self) {
        let before = self.liar.readings().len();
        let _stream = send(self.port, &frame()).await;
        self.until_seen(before + 1).await;
    }
}

fn ack(state: &SpoolState, more: Value) -> Vec<u8> {
    let mut ack = json!({"epoch": state.epoch, "upto": 0});
    for (name, value) in more.as_object().unwrap() {
        ack[name] = value.clone();
    }
    serde_json::to_vec(&ack).unwrap()
}

#[tokio::test]
async fn acknowledgements_that_cannot_be_true_forget_nothing() {
    let world = World::new().await;
    let _stream = send(world.port, &frame()).await;
    world.until_seen(1).await;
    let state = world.state().await;
    let rejections: Vec<Value> =
        (0..5_000).map(|seq| json!({"seq": seq, "code": "x", "detail": "y"})).collect();
    let numbers: Vec<u64> = (1..200_000).map(|it| it % 7 + 2).collect();
    let ranges: Vec<(u64, u64)> = (0..5_000).map(|_| (1, 1)).collect();
    let other = "01890000-0000-7000-8000-000000000000";
    let lies: Vec<(&str, Vec<u8>)> = vec![
        ("of another epoch", ack(&state, json!({"epoch": other, "upto": 1}))),
        ("too many missing", ack(&state, json!({"upto": 1, "missing": numbers}))),
        ("too many refused", ack(&state, json!({"rejected": rejections}))),
        ("too many ranges", ack(&state, json!({"above": ranges}))),
        ("a range that ends before it begins", ack(&state, json!({"above": [[1, 0]]}))),
        ("negative", ack(&state, json!({"upto": -1}))),
        ("a fraction", ack(&state, json!({"upto": 1.5}))),
        ("a text", ack(&state, json!({"upto": "1"}))),
        (
            "beyond 64 bits",
            format!("{{\"epoch\":\"{}\",\"upto\":1{}}}", state.epoch, "0".repeat(30)).into(),
        ),
        ("nothing", vec![]),
        ("deep", b"[".repeat(100_000)),
        ("no text", vec![0xff; 1000]),
        ("large", vec![b' '; 1_900_000]),
    ];
    for (what, lie) in lies {
        world.liar.say("ack", lie).await;
        world.is_well().await;
        let state = world.state().await;
        assert_eq!(state.depth, state.last_seq, "{what}: something counts as filed");
        assert_eq!(state.quarantined, 0, "{what}");
    }
}

/// Says again and again that it has more than there is: each time a new epoch begins with everything,
/// and the copies of the database do not fill the disk.
#[tokio::test]
async fn a_cloud_that_is_always_ahead_loses_nothing_and_fills_no_disk() {
    let world = World::new().await;
    for number in 1..=3 {
        let _stream = send(world.port, &frame()).await;
        world.until_seen(number).await;
    }
    // One is refused first: it exists in the gateway only.
    let state = world.state().await;
    let refusal = json!({"rejected": [{"seq": 1, "code": "x", "detail": "y"}]});
    world.liar.say("ack", ack(&state, refusal)).await;
    until("the refusal", async || (world.state().await.quarantined == 1).then_some(())).await;
    for round in 0..COPIES_MAX + 3 {
        let state = world.state().await;
        let lie = if round % 2 == 0 {
            json!({"upto": u64::MAX})
        } else {
            json!({"above": [[1, u64::MAX]]})
        };
        let lie = ack(&state, lie);
        until("a new epoch", async || {
            // The connection may just be made again, and hear nothing.
            world.liar.say("ack", lie.clone()).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            (world.state().await.epoch != state.epoch).then_some(())
        })
        .await;
    }
    // All readings come again in the newest epoch, the refused one too.
    world.until_seen(3).await;
    until("the newest epoch to be sent whole", async || {
        (world.liar.readings() == vec![frame(); 3]).then_some(())
    })
    .await;
    assert_eq!(world.state().await.quarantined, 0);
    let spool = world.dir.path().join("data/spool");
    let names = std::fs::read_dir(spool).unwrap().map(|entry| entry.unwrap().file_name());
    let copies = names.filter(|name| name.to_string_lossy().contains("set-aside")).count();
    assert!(copies <= COPIES_MAX + 1, "{copies} copies");
}

#[tokio::test]
async fn sessions_and_worklists_without_measure_are_ignored() {
    let world = World::new().await;
    world.is_well().await;
    let at = "2026-11-30T07:00:00Z";
    let id = "01890000-0000-7000-8000-000000000000";
    let session = json!({"lane": "lane-1", "session": id, "opened_at": at,
        "idle_timeout_s": 4_000_000_000_u32});
    let sessions = |count: usize| json!({"sessions": vec![session.clone(); count]}).to_string();
    let far = json!({"sessions": [{"lane": "lane-1", "session": id, "idle_timeout_s": 1,
        "opened_at": "-009999-01-02T00:00:00Z"}]});
    for lie in [
        sessions(10_000),
        json!({"sessions": {}}).to_string(),
        json!({"sessions": [{"lane": "../../x", "session": id}]}).to_string(),
        far.to_string(),
        sessions(2),
    ] {
        world.liar.say("session", lie).await;
        world.is_well().await;
    }
    let visit = json!({"x": "y"});
    for lie in [
        json!({"generated_at": at, "location": "x", "visits": vec![visit; 3]}).to_string(),
        json!({"generated_at": at, "location": "x".repeat(1_800_000), "visits": 1}).to_string(),
        "[".repeat(1_000_000),
    ] {
        world.liar.say("worklist", lie).await;
        world.is_well().await;
    }
    assert!(!world.dir.path().join("data/worklist.sealed").exists());
}

/// An HTTPS server that answers every request with these bytes, the last of them without end.
async fn https(authority: &Authority, answer: Vec<u8>, sent: Arc<AtomicUsize>) -> String {
    let signed = authority.sign("localhost");
    let leaf = CertificateDer::from_pem_slice(signed.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(signed.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf, authority.der().into()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let (answer, sent) = (answer.clone(), sent.clone());
            tokio::spawn(async move {
                let mut request = vec![0; 64 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                let endless = answer.ends_with(b"...");
                let more = vec![b' '; 16 * 1024];
                while endless && stream.write_all(&more).await.is_ok() {
                    sent.fetch_add(more.len(), Ordering::Relaxed);
                }
                let _ = stream.shutdown().await;
            });
        }
    });
    url
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}").into_bytes()
}

/// A gateway's forwarding with one instance, against such a server.
async fn forward(answer: Vec<u8>) -> (usize, u64) {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let sent = Arc::new(AtomicUsize::new(0));
    let url = https(&authority, answer, sent.clone()).await;
    authority.enrol(dir.path(), 8883);
    let identity = dir.path().join("identity/identity.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&identity).unwrap()).unwrap();
    json["cloud_url"] = url.into();
    std::fs::write(identity, json.to_string()).unwrap();
    let key = support::key();
    let (spool, _writer) = Spool::open(&dir.path().join("spool"), None, &key).await.unwrap();
    let instances = Instances::open(&dir.path().join("instances"), &key).await.unwrap();
    let mut incoming = instances.begin(head()).await.unwrap();
    incoming.write(&[7; 200_000]).await.unwrap();
    incoming.finish(None, ClockState::Synced).await.unwrap();
    let stop = CancellationToken::new();
    let forward = Forward { data_dir: dir.path().into(), instances: instances.clone(), spool };
    let running = tokio::spawn(forward.run(stop.clone()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!running.is_finished(), "forwarding panicked");
    stop.cancel();
    running.abort();
    (sent.load(Ordering::Relaxed), instances.counts().await.unwrap().waiting)
}

fn head() -> Head {
    Head {
        link: LinkId::new("oct-1").unwrap(),
        lane: LaneId::new("imaging").unwrap(),
        calling_ae: "OCT".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.77.1.5.4".into(),
        sop_instance_uid: "1.2.3".into(),
        transfer_syntax_uid: "1.2.840.10008.1.2.1".into(),
    }
}

#[tokio::test]
async fn answers_to_an_upload_that_no_cloud_gives_file_nothing_and_are_not_read_to_their_end() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let json = "content-type: application/json\r\nconnection: close\r\n";
    let far = r#"{"status":"incomplete","offset":18446744073709551615}"#;
    let answers = [
        http("200 OK", json, "..."),
        http("500 No", json, "..."),
        http("200 OK", &format!("{json}x: "), "..."),
        http("200 OK", json, far),
        http("200 OK", json, r#"{"status":"incomplete","offset":-1}"#),
        http("200 OK", json, r#"{"status":"complete","offset":0}"#),
        http("200 OK", json, r#"["filed"]"#),
        http("204 No Content", "", ""),
        http("301 Moved", "location: https://localhost:1/\r\ncontent-length: 0\r\n", ""),
        http("200 OK", "content-length: 18446744073709551615\r\n", "{}"),
        b"SSH-2.0-OpenSSH\r\n".to_vec(),
    ];
    let all = answers.map(forward);
    for (number, (sent, waiting)) in
        futures_util::future::join_all(all).await.into_iter().enumerate()
    {
        assert_eq!(waiting, 1, "answer {number} to {INSTANCES_PATH}");
        // What the sockets hold, and what a few attempts read before they gave up.
        assert!(sent < 64 << 20, "answer {number}: {sent} bytes were taken");
    }
}

/// Documents in a spool of their own, so that what is asked here has no connection.
#[tokio::test]
async fn a_spool_takes_no_acknowledgement_of_numbers_that_it_has_not_given() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _writer) = Spool::open(Path::new(dir.path()), None, &support::key()).await.unwrap();
    let event = GatewayEvent { code: "x".into(), link: None, detail: String::new() };
    let entry = || Entry {
        link: LinkId::new("ark").unwrap(),
        documents: vec![Document::new(jiff::Timestamp::now(), Body::Event(event.clone()))],
        position: Default::default(),
        imported: None,
    };
    spool.commit(entry()).await.unwrap();
    let epoch = spool.progress().borrow().epoch;
    let mut ack = chiasm_proto::Ack {
        epoch,
        upto: 0,
        missing: vec![u64::MAX, 0, 5],
        above: vec![(u64::MAX, 0), (5, 2)],
        ids: None,
        rejected: vec![chiasm_proto::Rejection {
            seq: u64::MAX,
            code: "x".into(),
            detail: "y".into(),
        }],
    };
    spool.acknowledge(ack.clone(), true).await.unwrap();
    ack.upto = 1;
    ack.missing = vec![1];
    spool.acknowledge(ack, true).await.unwrap();
    spool.commit(entry()).await.unwrap();
    let state = spool.state().await.unwrap();
    assert_eq!((state.depth, state.quarantined), (2, 0));
}
