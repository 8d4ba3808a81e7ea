//! The MQTT client library, wrapped: the only file that knows it.
//!
//! The library may forget what it has in flight, so nothing relies on it: delivery is what the
//! cloud acknowledges. Its loop is polled by a task of its own, and nothing is published from
//! there, because a full request queue would then block the very loop that empties it.

use super::identity::Credentials;
use chiasm_proto::{Topic, topic};
use rumqttc::{
    NetworkOptions, TlsConfiguration, Transport,
    v5::{
        AsyncClient, ConnectionError, Event, EventLoop, Incoming as Packet, MqttOptions,
        StateError,
        mqttbytes::{
            QoS,
            v5::{ConnAck, LastWill, LastWillProperties, SubscribeReasonCode},
        },
    },
};
use std::time::Duration;
use tokio::{sync::mpsc, task::JoinHandle};

/// Largest packet in either direction, in bytes.
pub const PACKET_LEN_MAX: u32 = 2 * 1024 * 1024;
/// Requests that wait for the library's loop: more than our own window and everything beside it.
const REQUESTS_MAX: usize = 256;
/// The library's own limit of unacknowledged publishes: far above ours, because with its limit
/// reached it confuses packet ids, and small enough not to cost memory.
const LIBRARY_INFLIGHT_MAX: u16 = 1024;
/// Packets that wait to be looked at.
const INCOMING_MAX: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const CONNECT_WAIT_MAX_S: u64 = 20;
const WILL_DELAY_S: u32 = 30;

/// What comes from the broker.
#[derive(Debug)]
pub enum Incoming {
    Connected(Offer),
    /// The subscription is made, or was refused.
    Subscribed {
        is_granted: bool,
    },
    Message {
        topic: String,
        payload: Vec<u8>,
    },
    Failed(String),
}

/// What the broker offers.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    pub is_retain_available: bool,
    pub packet_len_max: u32,
}

/// One connection. Dropping it ends it without a word, so that the broker sends the will.
pub struct Connection {
    client: AsyncClient,
    pub incoming: mpsc::Receiver<Incoming>,
    poll: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// The library's queue is full: the network takes nothing at the moment.
#[derive(Debug, thiserror::Error)]
#[error("the connection takes nothing at the moment")]
pub struct QueueFull;

/// Begins to connect. The outcome comes as [`Incoming`].
pub fn connect(credentials: &Credentials, state: &Topic, will: Vec<u8>) -> Connection {
    let mut options = options(credentials, "");
    let delay = LastWillProperties {
        delay_interval: Some(WILL_DELAY_S),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    };
    // Not retained: brokers without retained messages refuse such a will, and the cloud keeps
    // the state in its database.
    options.set_last_will(LastWill::new(
        state.to_string(),
        will,
        QoS::AtLeastOnce,
        false,
        Some(delay),
    ));
    begin(options)
}

/// Begins a connection beside the one in use that only shows whether the broker takes us.
pub fn connect_for_trial(credentials: &Credentials) -> Connection {
    begin(options(credentials, "/trial"))
}

/// `suffix` makes a client of its own of a connection, under the gateway's name.
fn options(credentials: &Credentials, suffix: &str) -> MqttOptions {
    let identity = &credentials.identity;
    let client_id = format!("{}/{}{suffix}", identity.tenant, identity.gateway);
    let mut options = MqttOptions::new(client_id, credentials.host.clone(), credentials.port);
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(
        credentials.tls.clone(),
    )));
    let mut network = NetworkOptions::new();
    // Without it every acknowledgement waits for a timer of the other end.
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_WAIT_MAX_S);
    options.set_network_options(network);
    options.set_connection_timeout(CONNECT_WAIT_MAX_S);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_start(true);
    options.set_max_packet_size(Some(PACKET_LEN_MAX));
    options.set_outgoing_inflight_upper_limit(LIBRARY_INFLIGHT_MAX);
    options
}

fn begin(options: MqttOptions) -> Connection {
    let (client, event_loop) = AsyncClient::new(options, REQUESTS_MAX);
    let (sender, incoming) = mpsc::channel(INCOMING_MAX);
    Connection { client, incoming, poll: tokio::spawn(poll(event_loop, sender)) }
}

impl Connection {
    /// Subscribes to everything that is sent down to this gateway.
    pub fn subscribe(&self, credentials: &Credentials) -> Result<(), QueueFull> {
        let identity = &credentials.identity;
        let filter = topic::down_filter(&identity.tenant, &identity.gateway);
        self.client.try_subscribe(filter, QoS::AtLeastOnce).map_err(|_| QueueFull)
    }

    pub fn publish(
        &self,
        topic: &Topic,
        is_retained: bool,
        payload: Vec<u8>,
    ) -> Result<(), QueueFull> {
        self.client
            .try_publish(topic.to_string(), QoS::AtLeastOnce, is_retained, payload)
            .map_err(|_| QueueFull)
    }

    /// Says good-bye; the broker then forgets the will.
    pub fn disconnect(&self) -> Result<(), QueueFull> {
        self.client.try_disconnect().map_err(|_| QueueFull)
    }
}

async fn poll(mut event_loop: EventLoop, sender: mpsc::Sender<Incoming>) {
    loop {
        let incoming = match event_loop.poll().await {
            Ok(Event::Incoming(packet)) => from_packet(packet),
            Ok(Event::Outgoing(_)) => None,
            Err(error) => {
                let _ = sender.send(Incoming::Failed(describe(&error))).await;
                return;
            }
        };
        if let Some(incoming) = incoming
            && sender.send(incoming).await.is_err()
        {
            return;
        }
    }
}

fn from_packet(packet: Packet) -> Option<Incoming> {
    match packet {
        Packet::ConnAck(ack) => Some(Incoming::Connected(offer(&ack))),
        Packet::SubAck(ack) => {
            let is_granted =
                ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_)));
            Some(Incoming::Subscribed { is_granted })
        }
        Packet::Publish(publish) => Some(Incoming::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
        }),
        _ => None,
    }
}

fn offer(ack: &ConnAck) -> Offer {
    let properties = ack.properties.as_ref();
    let packet_len_max = properties.and_then(|properties| properties.max_packet_size);
    let retain = properties.and_then(|properties| properties.retain_available);
    Offer {
        is_retain_available: retain != Some(0),
        packet_len_max: packet_len_max.unwrap_or(PACKET_LEN_MAX).min(PACKET_LEN_MAX),
    }
}

/// What is wrong and what to do, in one line.
fn describe(error: &ConnectionError) -> String {
    use rumqttc::v5::mqttbytes::v5::ConnectReturnCode as Code;
    let io = match error {
        ConnectionError::Io(io)
        | ConnectionError::Tls(rumqttc::TlsError::Io(io))
        | ConnectionError::MqttState(StateError::Io(io)) => Some(io),
        _ => None,
    };
    if let Some(io) = io {
        return super::fault::describe_io(io);
    }
    match error {
        ConnectionError::ConnectionRefused(Code::NotAuthorized | Code::BadUserNamePassword) => {
            "the broker does not know this gateway; enrol it again or ask the cloud's staff \
             whether it was revoked"
                .into()
        }
        ConnectionError::ConnectionRefused(code) => format!("the broker refused: {code:?}"),
        ConnectionError::Timeout(_) => {
            format!("no answer from the broker in {CONNECT_WAIT_MAX_S} s; check the network")
        }
        other => super::fault::describe_text(&other.to_string()),
    }
}
