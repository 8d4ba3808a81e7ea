//! A gateway made of nothing but the wire format: enrols, connects, publishes, reads its acks.

use super::{Cloud, PATIENCE};
use chiasm_cloud::{
    app::claim_code::code_sha256,
    pki::Authority,
    store::{certificate, claim, fleet},
};
use chiasm_proto::{
    Ack, Body, ClaimedPatient, ClockState, Decoded, Down, DriverRef, Envelope, Epoch, GatewayId,
    Instrument, Integrity, LaneId, LaneSessionId, LinkId, Raw, Reading, ReadingId, TenantId, Topic,
    Up, topic,
};
use jiff::Timestamp;
use rumqttc::{
    NetworkOptions, TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{LastWill, Packet, PubAckReason, SubscribeReasonCode},
        },
    },
};
use std::{net::SocketAddr, sync::Arc};
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

/// What the gateway saw.
#[derive(Debug)]
pub enum Seen {
    Connected,
    Subscribed(SubscribeReasonCode),
    Published(PubAckReason),
    Message(String, Vec<u8>),
    Ended(String),
}

pub struct Gateway {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    pub epoch: Epoch,
    pub client: AsyncClient,
    pub seen: mpsc::Receiver<Seen>,
    poll: tokio::task::JoinHandle<()>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// What a gateway may see before the test looks.
const SEEN_MAX: usize = 100_000;

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub certificate: String,
    pub key: String,
    pub authority: String,
}

/// Registers the gateway and signs its key, without the enrolment endpoint.
pub async fn enrol(cloud: &Cloud, tenant: &str, gateway: &str) -> Credentials {
    let credentials = credentials(&cloud.authority, tenant, gateway);
    let mut tx = cloud.core.db.tenant(tenant).await.unwrap();
    fleet::put_gateway(&mut tx, tenant, gateway, "main", gateway, 1).await.unwrap();
    let key = (tenant, gateway);
    certificate::put_enrolled(&mut tx, key, &credentials.1, i64::MAX, 1).await.unwrap();
    tx.commit().await.unwrap();
    credentials.0
}

/// Adds a claim code.
pub async fn add_claim(cloud: &Cloud, gateway: &str, code: &str, expires_at_us: i64) {
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    fleet::put_gateway(&mut tx, "acme", gateway, "main", gateway, 1).await.unwrap();
    let hash = code_sha256(code).unwrap();
    claim::add(&mut tx, "acme", gateway, &hash, (1, expires_at_us)).await.unwrap();
    tx.commit().await.unwrap();
}

pub fn new_request() -> (rcgen::KeyPair, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
    (key, request.pem().unwrap())
}

/// Credentials and the certificate's serial.
pub fn credentials(authority: &Authority, tenant: &str, gateway: &str) -> (Credentials, String) {
    let (key, request) = new_request();
    let (tenant, gateway) = (TenantId::new(tenant).unwrap(), GatewayId::new(gateway).unwrap());
    let issued = authority.issue_gateway(&tenant, &gateway, &request).unwrap();
    let credentials = Credentials {
        certificate: issued.certificate_pem,
        key: key.serialize_pem(),
        authority: authority.certificate_pem().to_owned(),
    };
    (credentials, issued.serial)
}

impl Credentials {
    pub fn tls(&self) -> rustls::ClientConfig {
        use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let builder = rustls::ClientConfig::builder().with_root_certificates(roots);
        builder.with_client_auth_cert(chain, key).unwrap()
    }

    pub fn options(&self, broker: SocketAddr, client_id: &str) -> MqttOptions {
        let mut options = MqttOptions::new(client_id, "localhost", broker.port());
        options.set_transport(Transport::Tls(TlsConfiguration::Rustls(Arc::new(self.tls()))));
        options.set_clean_start(true);
        options
    }
}

/// Connects with these options and reports what happens until the connection ends.
pub fn connect(options: MqttOptions) -> (AsyncClient, mpsc::Receiver<Seen>, Task) {
    let (client, mut events) = AsyncClient::new(options, 2048);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.options.set_network_options(network);
    let (sender, seen) = mpsc::channel(SEEN_MAX);
    let poll = tokio::spawn(async move {
        loop {
            let event = events.poll().await;
            let ended = event.is_err();
            if report(event).is_some_and(|what| sender.try_send(what).is_err()) || ended {
                return;
            }
        }
    });
    (client, seen, poll)
}
type Task = tokio::task::JoinHandle<()>;

fn report(event: Result<Event, ConnectionError>) -> Option<Seen> {
    match event {
        Ok(Event::Incoming(Packet::ConnAck(_))) => Some(Seen::Connected),
        Ok(Event::Incoming(Packet::SubAck(ack))) => Some(Seen::Subscribed(ack.return_codes[0])),
        Ok(Event::Incoming(Packet::PubAck(ack))) => Some(Seen::Published(ack.reason)),
        Ok(Event::Incoming(Packet::Publish(publish))) => {
            let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
            Some(Seen::Message(topic, publish.payload.to_vec()))
        }
        Ok(_) => None,
        Err(err) => Some(Seen::Ended(err.to_string())),
    }
}

impl Gateway {
    /// Connects and subscribes as a gateway does.
    pub async fn connect(
        broker: SocketAddr,
        credentials: &Credentials,
        tenant: &str,
        gateway: &str,
    ) -> Self {
        let mut options = credentials.options(broker, &format!("{tenant}/{gateway}"));
        let (tenant, gateway) = (TenantId::new(tenant).unwrap(), GatewayId::new(gateway).unwrap());
        let will = Topic::state(&tenant, &gateway).to_string();
        options.set_last_will(LastWill::new(will, "{}", QoS::AtLeastOnce, true, None));
        options.set_max_packet_size(Some(2 * 1024 * 1024));
        let (client, seen, poll) = connect(options);
        let epoch = Epoch(Uuid::now_v7());
        let mut gateway = Self { tenant, gateway, epoch, client, seen, poll };
        gateway.until(|seen| matches!(seen, Seen::Connected).then_some(())).await;
        let filter = topic::down_filter(&gateway.tenant, &gateway.gateway);
        gateway.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        gateway
            .until(|seen| match seen {
                Seen::Subscribed(SubscribeReasonCode::Success(_)) => Some(()),
                _ => None,
            })
            .await;
        gateway
    }

    /// Waits for something; what is not looked for is dropped.
    pub async fn until<T>(&mut self, mut look: impl FnMut(Seen) -> Option<T>) -> T {
        let wait = async {
            loop {
                let seen = self.seen.recv().await.expect("the connection has ended");
                if let Some(found) = look(seen) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, wait).await.expect("what is waited for comes")
    }

    /// Waits for an ack of our epoch that satisfies the condition.
    pub async fn ack(&mut self, mut is_it: impl FnMut(&Ack) -> bool) -> Ack {
        let (topic, epoch) =
            (Topic::down(&self.tenant, &self.gateway, Down::Ack).to_string(), self.epoch);
        self.until(|seen| match seen {
            Seen::Message(on, payload) if on == topic => {
                let ack: Ack = serde_json::from_slice(&payload).unwrap();
                (ack.epoch == epoch && is_it(&ack)).then_some(ack)
            }
            _ => None,
        })
        .await
    }

    pub async fn publish(&self, up: Up, payload: Vec<u8>) {
        let topic = Topic::up(&self.tenant, &self.gateway, up).to_string();
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
    }

    pub async fn send(&self, envelope: &Envelope) {
        self.publish(envelope.body.up(), serde_json::to_vec(envelope).unwrap()).await;
    }

    pub async fn send_state(&self, state: &chiasm_proto::fleet::State) {
        let topic = Topic::state(&self.tenant, &self.gateway).to_string();
        let payload = serde_json::to_vec(state).unwrap();
        self.client.publish(topic, QoS::AtLeastOnce, true, payload).await.unwrap();
    }

    /// A reading of lane-1 under the number, with content of its own.
    pub fn reading(&self, seq: u64) -> Envelope {
        let instrument = Instrument { vendor: "Test".into(), ..Instrument::default() };
        let decoded = Decoded {
            instrument,
            instrument_time: None,
            running_number: Some(seq.to_string()),
            claimed_patient: None,
            integrity: Integrity::Checksum,
            measurements: vec![],
            flags: vec![],
            unknown_records: vec![],
        };
        let reading = Reading {
            link: LinkId::new("ark-1").unwrap(),
            lane: LaneId::new("lane-1").unwrap(),
            lane_session: None,
            is_lane_empty: false,
            clock: ClockState::Synced,
            driver: DriverRef { id: "test".into(), version: "1".into() },
            decoded,
            raw: Raw::new(format!("bytes of {seq}").into_bytes()),
        };
        Envelope::new(
            (&self.tenant, &self.gateway),
            (self.epoch, seq),
            ReadingId(Uuid::now_v7()),
            Timestamp::now(),
            Body::Reading(Box::new(reading)),
        )
    }
}

/// The reading inside, to be changed.
pub fn inner(envelope: &mut Envelope) -> &mut Reading {
    match &mut envelope.body {
        Body::Reading(reading) => reading,
        _ => unreachable!("made as a reading"),
    }
}

pub fn stamp(envelope: &mut Envelope, session: Uuid, claimed: Option<&str>) {
    let reading = inner(envelope);
    reading.lane_session = Some(LaneSessionId(session));
    reading.decoded.claimed_patient =
        claimed.map(|id| ClaimedPatient { id: id.into(), found_in: "test".into() });
}
