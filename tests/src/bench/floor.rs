//! The least that a reading could cost here: one durable commit on each side and one round trip to
//! the same broker, with nothing around them.

use crate::mqtt::{Client, Identity};
use anyhow::Result;
use chiasm_proto::Up;
use sqlx::{
    Connection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Two databases and a connection, ready to be measured.
pub struct Floor {
    gateway_side: SqliteConnection,
    cloud_side: SqliteConnection,
    client: Client,
    payload: Vec<u8>,
}

impl Floor {
    pub async fn new(
        folder: &Path,
        port: u16,
        identity: &Identity,
        payload: Vec<u8>,
    ) -> Result<Self> {
        Ok(Self {
            gateway_side: database(&folder.join("floor-gateway.db")).await?,
            cloud_side: database(&folder.join("floor-cloud.db")).await?,
            client: Client::connect(port, identity).await?,
            payload,
        })
    }

    /// One commit, one message taken by the broker, one commit.
    pub async fn measure(&mut self) -> Result<Duration> {
        let start = Instant::now();
        commit(&mut self.gateway_side, &self.payload).await?;
        // A reply to no command is taken by the broker and kept nowhere.
        self.client.send(Up::Reply, b"{}".to_vec()).await?;
        self.client.taken().await?;
        commit(&mut self.cloud_side, &self.payload).await?;
        Ok(start.elapsed())
    }
}

async fn database(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS reading (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

async fn commit(connection: &mut SqliteConnection, payload: &[u8]) -> Result<()> {
    sqlx::query("INSERT INTO reading (body) VALUES ($1)").bind(payload).execute(connection).await?;
    Ok(())
}
