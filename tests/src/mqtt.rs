//! A bare MQTT client with a gateway's certificate: for load that a real gateway would pace, and
//! for what a gateway must not be able to do.

use crate::cloud::TENANT;
use anyhow::{Context, Result, bail};
use chiasm_proto::{Ack, Down, GatewayId, TenantId, Topic, Up, topic};
use rumqttc::{
    TlsConfiguration, Transport,
    v5::{
        AsyncClient, Event, Incoming, MqttOptions,
        mqttbytes::{
            QoS,
            v5::{PubAckReason, SubscribeReasonCode},
        },
    },
};
use std::{fs, path::Path, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle};

/// Packets that may wait for the harness to look at them.
const INCOMING_MAX: usize = 4096;
/// Largest packet, as in the product.
const PACKET_LEN_MAX: u32 = 4 * 1024 * 1024;
/// Far above what the harness lets be in flight.
const INFLIGHT_MAX: u16 = 1000;
/// Longest wait for a packet.
const PACKET_MAX: Duration = Duration::from_secs(60);

/// What a client needs to be known as a gateway.
#[derive(Debug, Clone)]
pub struct Identity {
    pub gateway: GatewayId,
    pub authority_pem: Vec<u8>,
    pub certificate_pem: Vec<u8>,
    pub key_pem: Vec<u8>,
}

impl Identity {
    /// Reads PEM files.
    pub fn read(gateway: &str, authority: &Path, certificate: &Path, key: &Path) -> Result<Self> {
        let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
        Ok(Self {
            gateway: GatewayId::new(gateway)?,
            authority_pem: read(authority)?,
            certificate_pem: read(certificate)?,
            key_pem: read(key)?,
        })
    }

    /// As a client that shows this certificate.
    pub fn tls(&self) -> Result<rustls::ClientConfig> {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.authority_pem)?)?;
        let chain = CertificateDer::pem_slice_iter(&self.certificate_pem);
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(&self.key_pem)?;
        let config = rustls::ClientConfig::builder().with_root_certificates(roots);
        Ok(config.with_client_auth_cert(chain, key)?)
    }
}

/// What came from the broker.
#[derive(Debug)]
pub enum Packet {
    /// The broker took a message: the number it gave, and whether it was let through.
    Taken(PubAckReason),
    /// The cloud has filed something.
    Filed(Ack),
    /// A subscription was granted.
    Subscribed,
    /// A subscription was refused.
    NotSubscribed,
    /// The connection ended, with the reason.
    Ended(String),
}

/// A connected client. Dropped, it goes without a word.
pub struct Client {
    gateway: GatewayId,
    client: AsyncClient,
    packets: mpsc::Receiver<Packet>,
    poll: JoinHandle<()>,
}

impl Client {
    /// Waits until the broker does not take what was sent, or ends the connection.
    pub async fn is_refused(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                Packet::Ended(_) | Packet::NotSubscribed => return Ok(()),
                Packet::Taken(PubAckReason::Success | PubAckReason::NoMatchingSubscribers) => {
                    bail!("it was taken")
                }
                Packet::Taken(_) => return Ok(()),
                Packet::Subscribed => bail!("the subscription was granted"),
                Packet::Filed(_) => {}
            }
        }
    }

    /// Connects to a broker on this machine and listens to what the cloud sends down.
    pub async fn connect(port: u16, identity: &Identity) -> Result<Self> {
        // The broker lets a gateway be only clients that begin with its name.
        let name = format!("{TENANT}/{}/bare", identity.gateway);
        let mut options = MqttOptions::new(name, "localhost", port);
        options.set_transport(Transport::Tls(TlsConfiguration::Simple {
            ca: identity.authority_pem.clone(),
            alpn: None,
            client_auth: Some((identity.certificate_pem.clone(), identity.key_pem.clone())),
        }));
        options.set_keep_alive(Duration::from_secs(30));
        options.set_outgoing_inflight_upper_limit(INFLIGHT_MAX);
        options.set_max_packet_size(Some(PACKET_LEN_MAX));
        let mut network = options.network_options();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, mut events) = AsyncClient::new(options, INCOMING_MAX);
        let (sender, packets) = mpsc::channel(INCOMING_MAX);
        let (connected, is_connected) = tokio::sync::oneshot::channel();
        let mut connected = Some(connected);
        // Publishing from the loop that polls would deadlock once the request channel is full.
        let poll = tokio::spawn(async move {
            loop {
                let packet = match events.poll().await {
                    Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                        // Who waits may have given up.
                        connected.take().map(|connected| connected.send(()).ok());
                        continue;
                    }
                    Ok(Event::Incoming(Incoming::PubAck(puback))) => Packet::Taken(puback.reason),
                    Ok(Event::Incoming(Incoming::SubAck(suback))) => {
                        let is_granted = |code: &SubscribeReasonCode| {
                            matches!(code, SubscribeReasonCode::Success(_))
                        };
                        if suback.return_codes.iter().all(is_granted) {
                            Packet::Subscribed
                        } else {
                            Packet::NotSubscribed
                        }
                    }
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        match serde_json::from_slice(&publish.payload) {
                            Ok(ack) => Packet::Filed(ack),
                            Err(_) => continue,
                        }
                    }
                    Ok(_) => continue,
                    Err(error) => Packet::Ended(error.to_string()),
                };
                let is_end = matches!(packet, Packet::Ended(_));
                if sender.send(packet).await.is_err() || is_end {
                    return;
                }
            }
        });
        let mut client = Self { gateway: identity.gateway.clone(), client, packets, poll };
        if tokio::time::timeout(PACKET_MAX, is_connected).await?.is_err() {
            bail!("the broker refuses: {:?}", client.next().await?);
        }
        Ok(client)
    }

    /// Asks for the cloud's acknowledgements.
    pub async fn subscribe_acks(&self) -> Result<()> {
        let tenant = TenantId::new(TENANT)?;
        let acks = Topic::down(&tenant, &self.gateway, Down::Ack);
        Ok(self.client.subscribe(acks.to_string(), QoS::AtLeastOnce).await?)
    }

    /// Publishes on one of the gateway's own topics.
    pub async fn send(&self, up: Up, payload: Vec<u8>) -> Result<()> {
        let tenant = TenantId::new(TENANT)?;
        self.publish(&Topic::up(&tenant, &self.gateway, up).to_string(), payload).await
    }

    /// Publishes on any topic.
    pub async fn publish(&self, topic: &str, payload: Vec<u8>) -> Result<()> {
        Ok(self.client.publish(topic, QoS::AtLeastOnce, false, payload).await?)
    }

    /// Subscribes to any filter.
    pub async fn subscribe(&self, filter: &str) -> Result<()> {
        Ok(self.client.subscribe(filter, QoS::AtLeastOnce).await?)
    }

    /// The next packet.
    pub async fn next(&mut self) -> Result<Packet> {
        let next = tokio::time::timeout(PACKET_MAX, self.packets.recv()).await;
        next.context("the broker is silent")?.context("the connection has ended")
    }

    /// Waits until the broker has taken one message.
    pub async fn taken(&mut self) -> Result<()> {
        loop {
            match self.next().await? {
                Packet::Taken(PubAckReason::Success | PubAckReason::NoMatchingSubscribers) => {
                    return Ok(());
                }
                Packet::Filed(_) | Packet::Subscribed => {}
                packet => bail!("the broker did not take a message: {packet:?}"),
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.poll.abort();
    }
}

/// The filter by which a gateway reads everything that is meant for it.
pub fn own_filter(gateway: &GatewayId) -> Result<String> {
    Ok(topic::down_filter(&TenantId::new(TENANT)?, gateway))
}
