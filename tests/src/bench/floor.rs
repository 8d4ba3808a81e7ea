//! The least that a reading could cost here: one durable commit on each side and one message that
//! the same broker takes, with nothing around them.

use super::prints;
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

/// Length of the rows and of the message, in bytes: about a reading.
const PAYLOAD_LEN: usize = 2048;

/// Two databases and a connection, ready to be measured.
pub struct Floor {
    gateway_side: SqliteConnection,
    cloud_side: SqliteConnection,
    client: Client,
    payload: Vec<u8>,
}

impl Floor {
    pub async fn new(folder: &Path, port: u16, identity: &Identity) -> Result<Self> {
        let payload = prints::frame(0).into_iter().cycle().take(PAYLOAD_LEN).collect();
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
        self.client.send(Up::Reply, self.payload.clone()).await?;
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
    sqlx::query("CREATE TABLE reading (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

async fn commit(connection: &mut SqliteConnection, payload: &[u8]) -> Result<()> {
    sqlx::query("INSERT INTO reading (body) VALUES ($1)").bind(payload).execute(connection).await?;
    Ok(())
}
