//! The MQTT client of ingest. The poll loop only reads and hands on; publishing is another task's,
//! because a publish inside the loop waits for the loop itself as soon as its channel is full.

use super::outbox::Outbox;
use crate::{
    broker::{LocalAccess, PACKET_BYTES_MAX},
    live,
};
use bytes::Bytes;
use chiasm_proto::topic::{LIVE_HINT_TOPIC, STATE_FILTER, UP_FILTER, shared};
use rumqttc::{
    NetworkOptions, TlsConfiguration, Transport,
    v5::{
        AsyncClient, Event, EventLoop, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{Filter, Packet, Publish, SubscribeReasonCode},
        },
    },
};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use uuid::Uuid;

/// Messages that the broker may send us before we acknowledge.
const RECEIVE_MAX: u16 = 1000;
/// Requests that wait for the poll loop.
const REQUESTS_MAX: usize = 256;
/// How long a message waits for a place in the channel. Then it is dropped, and its gateway sends
/// it again; waiting longer would cost us the connection.
const HAND_ON_MAX: Duration = Duration::from_secs(5);
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Which broker, and how to prove who we are.
pub enum Endpoint {
    Embedded(LocalAccess),
    External { host: String, port: u16, tls: Arc<rustls::ClientConfig>, shared_group: String },
}

/// A message with its share of the memory that messages may take.
pub struct Raw {
    pub topic: Bytes,
    pub payload: Bytes,
    _bytes: OwnedSemaphorePermit,
}

/// Wakes other replicas.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hint {
    pub replica: Uuid,
    pub tenants: Vec<String>,
}

/// The client for publishers, and the poll loop to be spawned.
pub fn start(
    endpoint: Endpoint,
    sender: mpsc::Sender<Raw>,
    bytes: Arc<Semaphore>,
    replica: Uuid,
    connected: Arc<AtomicBool>,
) -> (AsyncClient, impl Future<Output = ()>) {
    let (options, filters) = options(endpoint, replica);
    let (client, mut events) = AsyncClient::new(options, REQUESTS_MAX);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.options.set_network_options(network);
    let poll = poll(events, client.clone(), filters, sender, bytes, connected);
    (client, poll)
}

fn options(endpoint: Endpoint, replica: Uuid) -> (MqttOptions, Vec<String>) {
    let client_id = format!("chiasm-cloud-{replica}");
    let (mut options, filters) = match endpoint {
        Endpoint::Embedded(access) => {
            let (host, port) = (access.address.ip().to_string(), access.address.port());
            let mut options = MqttOptions::new(client_id, host, port);
            options.set_credentials(access.username, access.secret);
            (options, vec![UP_FILTER.to_owned(), STATE_FILTER.to_owned()])
        }
        Endpoint::External { host, port, tls, shared_group } => {
            let mut options = MqttOptions::new(client_id, host, port);
            options.set_transport(Transport::Tls(TlsConfiguration::Rustls(tls)));
            // States are retained, and retained messages do not come by shared subscriptions.
            let up = shared(&shared_group, UP_FILTER);
            (options, vec![up, STATE_FILTER.to_owned(), LIVE_HINT_TOPIC.to_owned()])
        }
    };
    options
        .set_clean_start(true)
        .set_keep_alive(Duration::from_secs(30))
        .set_receive_maximum(Some(RECEIVE_MAX))
        .set_max_packet_size(Some(PACKET_BYTES_MAX))
        .set_outgoing_inflight_upper_limit(RECEIVE_MAX);
    (options, filters)
}

async fn poll(
    mut events: EventLoop,
    client: AsyncClient,
    filters: Vec<String>,
    sender: mpsc::Sender<Raw>,
    bytes: Arc<Semaphore>,
    connected: Arc<AtomicBool>,
) {
    let mut backoff = BACKOFF_MIN;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                if !hand_on(publish, &sender, &bytes).await {
                    return;
                }
            }
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                backoff = BACKOFF_MIN;
                tracing::info!("ingest is connected to the broker");
                tokio::spawn(subscribe(client.clone(), filters.clone()));
            }
            Ok(Event::Incoming(Packet::SubAck(ack))) => {
                let refused =
                    |code: &&SubscribeReasonCode| !matches!(code, SubscribeReasonCode::Success(_));
                match ack.return_codes.iter().find(refused) {
                    None => connected.store(true, Ordering::Relaxed),
                    Some(code) => {
                        let advice = "the broker refuses ingest its subscriptions: check its ACL";
                        tracing::error!(?code, advice);
                    }
                }
            }
            Ok(_) => {}
            Err(error) => {
                connected.store(false, Ordering::Relaxed);
                tracing::warn!(%error, "ingest has no connection to the broker, will try again");
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Gives a message to the parser; false when there is none any more.
async fn hand_on(publish: Publish, sender: &mpsc::Sender<Raw>, bytes: &Arc<Semaphore>) -> bool {
    let size = u32::try_from(publish.payload.len()).unwrap_or(u32::MAX).max(1);
    let handed = timeout(HAND_ON_MAX, async {
        // Neither semaphore nor channel is closed while ingest runs.
        let _bytes = bytes.clone().acquire_many_owned(size).await.ok()?;
        sender.send(Raw { topic: publish.topic, payload: publish.payload, _bytes }).await.ok()
    });
    match handed.await {
        Ok(handed) => handed.is_some(),
        Err(_) => {
            tracing::warn!("ingest is behind, a message is left to be sent again");
            true
        }
    }
}

async fn subscribe(client: AsyncClient, filters: Vec<String>) {
    let filters = filters.into_iter().map(|filter| Filter::new(filter, QoS::AtLeastOnce));
    if let Err(error) = client.subscribe_many(filters).await {
        tracing::warn!(%error, "cannot subscribe");
    }
}

/// Sends what the outbox holds, for ever.
pub async fn publish(client: AsyncClient, outbox: Outbox) {
    loop {
        for (topic, payload) in outbox.take().await {
            if let Err(error) = client.publish(topic, QoS::AtLeastOnce, false, payload).await {
                tracing::warn!(%error, "cannot publish");
            }
        }
    }
}

/// Tells other replicas which tenants have new live events, for ever.
pub async fn publish_hints(client: AsyncClient, bus: live::Bus, replica: Uuid) {
    loop {
        let tenants = bus.hints().await.into_iter().collect();
        let hint = serde_json::to_vec(&Hint { replica, tenants }).expect("plain data");
        if let Err(error) = client.publish(LIVE_HINT_TOPIC, QoS::AtMostOnce, false, hint).await {
            tracing::warn!(%error, "cannot publish");
        }
    }
}
