//! Mosquitto, and a cloud that files what it gets and acknowledges it.

use super::{free_port, pki::Authority, until};
use chiasm_proto::{Ack, Body, Envelope, Rejection, Seq, fleet::Sessions, fleet::State};
use rumqttc::{
    Transport,
    v5::{
        AsyncClient, Event, Incoming, MqttOptions,
        mqttbytes::{QoS, v5::Publish},
    },
};
use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpStream, task::JoinHandle};

pub struct Broker {
    process: Child,
    pub port: u16,
    config: std::path::PathBuf,
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Broker {
    pub async fn start(dir: &Path, authority: &Authority) -> Self {
        let port = free_port();
        let server = authority.sign("localhost");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            dir.join(name).display().to_string()
        };
        let config = format!(
            "listener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\n\
             require_certificate true\nallow_anonymous true\nset_tcp_nodelay true\n\
             max_inflight_messages 1000\nuser root\npersistence false\n",
            write("authority.pem", &authority.pem()),
            write("server.pem", &server.certificate_pem),
            write("server.key", &server.key_pem),
        );
        let config = write("mosquitto.conf", &config).into();
        let broker = Self { process: spawn(&config), port, config };
        broker.until_up().await;
        broker
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.process = spawn(&self.config);
        self.until_up().await;
    }

    async fn until_up(&self) {
        until("mosquitto to listen", async || {
            TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }
}

fn spawn(config: &std::path::PathBuf) -> Child {
    Command::new("mosquitto")
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env("PATH", "/usr/sbin:/usr/bin:/bin")
        .spawn()
        .expect("mosquitto is installed (apt-get install mosquitto)")
}

/// What the cloud knows.
#[derive(Default)]
pub struct Filed {
    pub documents: BTreeMap<Seq, Envelope>,
    /// How often each number came.
    pub arrivals: BTreeMap<Seq, usize>,
    pub states: Vec<State>,
    pub is_silent: bool,
    pub rejects: Vec<Seq>,
}

pub struct Cloud {
    pub filed: Arc<Mutex<Filed>>,
    client: AsyncClient,
    task: JoinHandle<()>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Cloud {
    pub async fn start(broker: &Broker, authority: &Authority) -> Self {
        let signed = authority.sign("cloud");
        let mut options = MqttOptions::new("cloud", "localhost", broker.port);
        options.set_transport(Transport::tls(
            authority.pem().into_bytes(),
            Some((signed.certificate_pem.into_bytes(), signed.key_pem.into_bytes())),
            None,
        ));
        options.set_max_packet_size(Some(1 << 20));
        options.set_clean_start(true);
        let (client, mut event_loop) = AsyncClient::new(options, 1000);
        let filed = Arc::new(Mutex::new(Filed::default()));
        let (inner, sender) = (filed.clone(), client.clone());
        let (subscribed, mut is_subscribed) = tokio::sync::mpsc::channel(16);
        let task = tokio::spawn(async move {
            loop {
                match event_loop.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        for filter in ["chiasm/v1/t/g/up/+", "chiasm/v1/t/g/state"] {
                            sender.try_subscribe(filter, QoS::AtLeastOnce).unwrap();
                        }
                    }
                    Ok(Event::Incoming(Incoming::SubAck(_))) => {
                        let _ = subscribed.try_send(());
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        if let Some(ack) = take(&inner, &publish) {
                            let json = serde_json::to_vec(&ack).unwrap();
                            let topic = "chiasm/v1/t/g/down/ack";
                            let _ = sender.try_publish(topic, QoS::AtLeastOnce, false, json);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        is_subscribed.recv().await.unwrap();
        is_subscribed.recv().await.unwrap();
        Self { filed, client, task }
    }

    pub fn tell_sessions(&self, sessions: &Sessions) {
        let json = serde_json::to_vec(sessions).unwrap();
        self.client
            .try_publish("chiasm/v1/t/g/down/session", QoS::AtLeastOnce, false, json)
            .unwrap();
    }

    pub fn tell_worklist(&self, worklist: &chiasm_proto::Worklist) {
        let json = serde_json::to_vec(worklist).unwrap();
        self.client
            .try_publish("chiasm/v1/t/g/down/worklist", QoS::AtLeastOnce, false, json)
            .unwrap();
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Filed) -> T) -> T {
        look(&mut self.filed.lock().unwrap())
    }

    pub async fn until_filed(&self, count: usize) {
        until("the cloud to have everything", async || {
            self.with(|filed| (filed.documents.len() >= count).then_some(()))
        })
        .await;
    }

    pub async fn until_state(&self, what: &str, fits: impl Fn(&State) -> bool) -> State {
        until(what, async || {
            self.with(|filed| filed.states.iter().rev().find(|state| fits(state)).cloned())
        })
        .await
    }
}

/// Files a message and gives the acknowledgement that follows the commit.
fn take(filed: &Mutex<Filed>, publish: &Publish) -> Option<Ack> {
    let mut filed = filed.lock().unwrap();
    let topic = String::from_utf8_lossy(&publish.topic);
    let epoch = if topic.ends_with("/state") {
        let state: State = serde_json::from_slice(&publish.payload).unwrap();
        filed.states.push(state.clone());
        state.telemetry?.spool.epoch
    } else if topic.ends_with("/telemetry") || topic.ends_with("/reply") {
        return None;
    } else {
        let envelope: Envelope = serde_json::from_slice(&publish.payload).unwrap();
        if let Body::Reading(reading) = &envelope.body {
            assert!(reading.raw.is_intact());
        }
        *filed.arrivals.entry(envelope.seq).or_default() += 1;
        let (seq, epoch) = (envelope.seq, envelope.epoch);
        let before = filed.documents.insert(seq, envelope.clone());
        assert!(before.is_none_or(|before| before == envelope), "number {seq} has other content");
        epoch
    };
    if filed.is_silent {
        return None;
    }
    let upto = filed.documents.keys().last().copied().unwrap_or(0);
    let missing = (1..=upto).filter(|seq| !filed.documents.contains_key(seq)).collect();
    let rejected = filed
        .rejects
        .iter()
        .filter(|seq| **seq <= upto)
        .map(|seq| Rejection { seq: *seq, code: "malformed".into(), detail: "test".into() })
        .collect();
    Some(Ack { epoch, upto, missing, above: vec![], ids: None, rejected })
}
