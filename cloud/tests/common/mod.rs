//! A real cloud for tests: real database, real broker, real certificates.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod gateway;
pub mod postgres;
pub mod s3;

use chiasm_cloud::{
    Core,
    commands::serve::{self, Running},
    config::Config,
    pki::Authority,
    store::{Db, fleet},
};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

/// Nothing in a test takes longer, but on a machine that is very busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The two kinds of database, every store test runs on both; and SQLite with the instances in a
/// bucket in place of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    Bucket,
}

/// A database of its own, migrated, with practice `acme` (location `main`, lanes `lane-1`,
/// `lane-2`) and practice `other`.
pub struct Store {
    pub db: Db,
    pub url: String,
    pub dir: TempDir,
    /// Where the instances are, if it is not a folder in `dir`.
    pub s3: Option<s3::S3Server>,
}

impl Store {
    pub async fn new(kind: Kind) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite | Kind::Bucket => {
                format!("sqlite:{}", dir.path().join("chiasm.db").display())
            }
            Kind::Postgres => postgres::fresh_database().await,
        };
        let db = Db::open(&url).await.unwrap();
        db.migrate().await.unwrap();
        for (tenant, location) in [("acme", "main"), ("other", "main")] {
            let mut tx = db.tenant(tenant).await.unwrap();
            fleet::put_tenant(&mut tx, tenant, tenant, 1).await.unwrap();
            fleet::put_location(&mut tx, tenant, location, "Main", "Europe/Berlin").await.unwrap();
            for lane in ["lane-1", "lane-2"] {
                fleet::put_lane(&mut tx, tenant, lane, location, lane).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        let s3 = if kind == Kind::Bucket { Some(s3::S3Server::start().await) } else { None };
        Self { db, url, dir, s3 }
    }
}

/// A running replica.
pub struct Cloud {
    pub core: Core,
    pub running: Running,
    pub authority: Authority,
    pub store: Store,
}

impl Cloud {
    pub async fn start(kind: Kind) -> Self {
        Self::start_on(Store::new(kind).await, "127.0.0.1:0", "").await
    }

    /// `broker` is the embedded broker's address; `more` is further configuration.
    pub async fn start_on(store: Store, broker: &str, more: &str) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(std::env::var("CHIASM_LOG").unwrap_or_else(|_| "off".into()))
            .with_test_writer()
            .try_init();
        let bucket = store.s3.as_ref().map(s3::S3Server::config).unwrap_or_default();
        let text = format!(
            "data_dir = {:?}\n[store]\nurl = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [gateway_endpoint]\nlisten = \"127.0.0.1:0\"\nnames = [\"localhost\", \"127.0.0.1\"]\n\
             [broker]\nlisten = {broker:?}\n{more}{bucket}",
            store.dir.path(),
            store.url,
        );
        let config = Config::parse(Path::new("test.toml"), &text).unwrap();
        let core = Core::new(store.db.clone(), config).unwrap();
        let running = serve::start(&core).await.unwrap();
        let authority = Authority::load_or_make(store.dir.path()).unwrap();
        let cloud = Self { core, running, authority, store };
        wait_until_ready(&cloud.core).await;
        cloud
    }

    pub fn broker(&self) -> std::net::SocketAddr {
        self.running.broker.as_ref().unwrap().address
    }

    /// One number from the database.
    pub async fn count(&self, sql: &'static str) -> i64 {
        let mut tx = self.core.db.all_tenants_read().await.unwrap();
        let (count,): (i64,) = tx.fetch_one(sql, []).await.unwrap();
        count
    }

    /// Waits until the query gives the number.
    pub async fn wait_for(&self, sql: &'static str, expected: i64) {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        let reached = tokio::time::timeout(PATIENCE, async {
            while self.count(sql).await != expected {
                tick.tick().await;
            }
        });
        if reached.await.is_err() {
            panic!("{sql} gives {}, not {expected}", self.count(sql).await);
        }
    }
}

pub async fn wait_until_ready(core: &Core) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let ready = tokio::time::timeout(PATIENCE, async {
        while core.readiness().await.is_err() {
            tick.tick().await;
        }
    });
    ready.await.expect("the cloud becomes ready");
}
