//! `serve`: one replica.

use super::open_store;
use crate::{
    Core, broker,
    config::Config,
    fleet::jobs,
    http, ingest,
    pki::{Authority, CLOUD_NAME, Clients},
};
use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: Config) -> anyhow::Result<()> {
    allow_descriptors()?;
    let core = Core::new(open_store(&config).await?, config)?;
    let running = start(&core).await?;
    stop_signal().await?;
    tracing::info!("stopping");
    running.stop().await;
    core.db.close().await;
    Ok(())
}

/// A gateway takes three descriptors, and shells allow a thousand unless they are asked.
fn allow_descriptors() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")?;
    let descriptors = limit.maximum.map_or_else(|| "unlimited".into(), |it| it.to_string());
    tracing::debug!(descriptors, "open files");
    Ok(())
}

/// Everything that runs; it stops when this is dropped.
pub struct Running {
    pub broker: Option<broker::Broker>,
    /// Where gateways enrol.
    pub gateway_endpoint: std::net::SocketAddr,
    /// Pages and API.
    pub pages: std::net::SocketAddr,
    /// Numbers for monitoring, where they are wanted.
    pub metrics: Option<std::net::SocketAddr>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Stops everything; the ports are free when this returns.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

pub async fn start(core: &Core) -> anyhow::Result<Running> {
    let authority = Arc::new(Authority::load_or_make(&core.config.data_dir)?);
    core.archive.check().await?;
    let mut tasks = JoinSet::new();
    let broker = match core.config.broker.url {
        None => Some(broker::start(core, &authority).await?),
        Some(_) => None,
    };
    let access = match &broker {
        Some(broker) => ingest::Endpoint::Embedded(broker.ingest.clone()),
        None => external_broker(core, &authority)?,
    };
    ingest::start(core, access, &mut tasks);
    let pages = http::listen::start(core, &mut tasks)?;
    let metrics = http::metrics::start(core, &mut tasks)?;
    jobs::start(core, &mut tasks);
    let endpoint = &core.config.gateway_endpoint;
    let listener = broker::listen_at(endpoint.listen)?;
    let gateway_endpoint = listener.local_addr()?;
    let tls = Arc::new(authority.server_config(&endpoint.names, Clients::VerifiedOrAnonymous)?);
    let router = http::gateway::router(core.clone(), authority.clone());
    let most = (http::gateway::CONNECTIONS_MAX, http::gateway::BODY_TIME);
    tasks.spawn(http::serve::serve_large(listener, tls, router, most));
    tracing::info!(address = %gateway_endpoint, "gateway endpoint listens");
    Ok(Running { broker, gateway_endpoint, pages, metrics, tasks })
}

/// The broker elsewhere, to which we show a certificate of our own authority.
fn external_broker(core: &Core, authority: &Authority) -> anyhow::Result<ingest::Endpoint> {
    let broker = &core.config.broker;
    let url = broker.url.as_deref().unwrap_or_default();
    let address =
        url.strip_prefix("mqtts://").and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'));
    let (host, port) = address.with_context(|| format!("broker.url `{url}` has no port"))?;
    let port = port.parse().with_context(|| format!("broker.url `{url}` has no valid port"))?;
    let shown = authority.issue_client(CLOUD_NAME)?;
    Ok(ingest::Endpoint::External {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        tls: Arc::new(authority.client_config(shown)?),
        shared_group: broker.shared_group.clone(),
    })
}

async fn stop_signal() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
