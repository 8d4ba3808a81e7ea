//! The embedded broker: rmqtt behind a TLS front of our own (docs/adr/0001).
//!
//! ```text
//! gateway ══mTLS══► front ──127.0.0.1──► rmqtt ◄──127.0.0.1── ingest (a secret of this process)
//!                     └── local address → identity ──► hooks: authenticate, publish, subscribe
//! ```

mod front;
mod hooks;
mod identity;
mod refusals;
mod retained;

pub use identity::Identity;

use crate::{
    Core,
    pki::{Authority, Clients, PkiError},
};
use hooks::Guard;
use identity::Identities;
use rmqtt::{
    context::ServerContext,
    hook::Type,
    net::{Builder, Listener},
    server::MqttServer,
};
use std::{net::SocketAddr, num::NonZeroU16, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};

/// Largest packet, reading included; images do not travel by MQTT.
pub const PACKET_BYTES_MAX: u32 = 2 * 1024 * 1024;
/// Messages to one client that it has not acknowledged.
const INFLIGHT_MAX: NonZeroU16 = NonZeroU16::new(1000).expect("not zero");
/// Messages that wait for ingest. Beyond it rmqtt drops, silently: gateways send again.
const INGEST_QUEUE_MAX: usize = 200_000;
/// Messages that wait for one gateway: acknowledgements and sessions, each covering the last.
const GATEWAY_QUEUE_MAX: usize = 256;
const CLIENT_ID_LEN_MAX: usize = 200;
const TOPIC_LEVELS_MAX: usize = 8;
const SUBSCRIPTIONS_MAX: usize = 16;
/// Sessions end with their connection, or little later.
const SESSION_EXPIRY_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot start the embedded broker: {0}")]
    Start(String),
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// A running broker; it stops when this is dropped.
pub struct Broker {
    /// Where gateways connect.
    pub address: SocketAddr,
    /// How ingest connects.
    pub ingest: LocalAccess,
    tasks: JoinSet<()>,
}

impl Broker {
    /// Cuts every connection; the port is free when this returns.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The way in for ingest: plain TCP on loopback, proved by a secret of this process.
#[derive(Clone)]
pub struct LocalAccess {
    pub address: SocketAddr,
    pub username: String,
    pub secret: String,
}

/// Starts the broker that the configuration asks for.
pub async fn start(core: &Core, authority: &Arc<Authority>) -> Result<Broker, BrokerError> {
    let listen = core.config.broker.listen;
    let listener = listen_at(listen)?;
    let tls = authority.server_config(&core.config.gateway_endpoint.names, Clients::Verified)?;
    let secret = hex(&rand::random::<[u8; 32]>());
    let identities = Identities::default();
    let mut tasks = JoinSet::new();
    let refusals = refusals::start(core.clone(), &mut tasks);
    let guard = Guard::new(identities.clone(), secret.clone(), refusals.clone());
    let inside = start_rmqtt(guard, &mut tasks).await?;
    let address =
        listener.local_addr().map_err(|source| BrokerError::Listen { address: listen, source })?;
    let front = front::Front::new(core, identities, refusals, inside);
    tasks.spawn(front.clone().cut_the_revoked());
    tasks.spawn(front.accept(listener, Arc::new(tls)));
    tracing::info!(%address, "broker listens");
    let username = hooks::INGEST_USERNAME.to_owned();
    let ingest = LocalAccess { address: inside, username, secret };
    Ok(Broker { address, ingest, tasks })
}

/// A listener that can be opened again at once after a restart.
pub fn listen_at(address: SocketAddr) -> Result<TcpListener, BrokerError> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1024)
    };
    listen().map_err(|source| BrokerError::Listen { address, source })
}

async fn start_rmqtt(guard: Guard, tasks: &mut JoinSet<()>) -> Result<SocketAddr, BrokerError> {
    let failed = |err: rmqtt::Error| BrokerError::Start(err.to_string());
    // Its own busy check refuses connections by CPU load; ours are counted by the front.
    let context = ServerContext::new().busy_check_enable(false).build().await;
    *context.extends.retain_mut().await = Box::new(retained::Retained::default());
    *context.extends.fitter_mgr_mut().await =
        Box::new(hooks::Limits { ingest_queue: INGEST_QUEUE_MAX });
    let register = context.extends.hook_mgr().register();
    for kind in
        [Type::ClientAuthenticate, Type::ClientSubscribeCheckAcl, Type::MessagePublishCheckAcl]
    {
        register.add(kind, Box::new(guard.clone())).await;
    }
    register.start().await;
    let listener = loopback_listener().map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let server = MqttServer::new(context).listener_by_id(listener, 1).build();
    tasks.spawn(async move {
        if let Err(error) = server.run().await {
            tracing::error!(%error, "the embedded broker ended");
        }
    });
    Ok(address)
}

fn loopback_listener() -> Result<Listener, rmqtt::Error> {
    Builder::new()
        .name("loopback")
        .laddr(SocketAddr::from(([127, 0, 0, 1], 0)))
        .nodelay(true)
        .reuseaddr(Some(true))
        .allow_anonymous(false)
        .max_packet_size(PACKET_BYTES_MAX)
        .max_connections(front::CONNECTIONS_MAX + 16)
        .max_inflight(INFLIGHT_MAX)
        .max_mqueue_len(GATEWAY_QUEUE_MAX)
        .max_clientid_len(CLIENT_ID_LEN_MAX)
        .max_topic_levels(TOPIC_LEVELS_MAX)
        .max_subscriptions(SUBSCRIPTIONS_MAX)
        .max_session_expiry_interval(SESSION_EXPIRY_MAX)
        .max_keepalive(120)
        .allow_zero_keepalive(false)
        .bind()?
        .tcp()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
