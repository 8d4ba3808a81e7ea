//! What imagers have asked us to commit to, until they were told. Kept over restarts: an imager
//! deletes its images after the answer, and waits for it for days.

use super::{Instances, InstancesError, index::fails};
use chiasm_proto::LinkId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;

pub(super) const SCHEMA: &str = "create table if not exists commitment (
        link text not null,
        transaction_uid text not null,
        wanted text not null,
        asked_at text not null,
        primary key (link, transaction_uid)
    ) without rowid";

/// One request for storage commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    /// The imager that asked.
    pub link: LinkId,
    pub transaction_uid: String,
    pub wanted: Vec<Reference>,
    pub asked_at: Timestamp,
}

/// An instance as the imager names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
}

impl Instances {
    /// Keeps a request. The same transaction asked again replaces what it asked before.
    pub async fn keep_commitment(&self, commitment: &Commitment) -> Result<(), InstancesError> {
        let wanted = serde_json::to_string(&commitment.wanted).expect("plain data serialises");
        let mut index = self.index.lock().await;
        sqlx::query(
            "insert into commitment (link, transaction_uid, wanted, asked_at) values (?, ?, ?, ?)
             on conflict (link, transaction_uid) do update
             set wanted = excluded.wanted, asked_at = excluded.asked_at",
        )
        .bind(commitment.link.as_str())
        .bind(&commitment.transaction_uid)
        .bind(wanted)
        .bind(commitment.asked_at.to_string())
        .execute(index.connection())
        .await
        .map_err(fails("take a row"))?;
        Ok(())
    }

    /// What an imager has asked and was not told, oldest first.
    pub async fn commitments(&self, link: &LinkId) -> Result<Vec<Commitment>, InstancesError> {
        let mut index = self.index.lock().await;
        let rows = sqlx::query(
            "select transaction_uid, wanted, asked_at from commitment
             where link = ? order by asked_at",
        )
        .bind(link.as_str())
        .fetch_all(index.connection())
        .await
        .map_err(fails("be read"))?;
        let parse = |row: &sqlx::sqlite::SqliteRow| {
            let decode =
                |error: Box<dyn std::error::Error + Send + Sync>| sqlx::Error::Decode(error);
            Ok(Commitment {
                link: link.clone(),
                transaction_uid: row.try_get(0)?,
                wanted: serde_json::from_str(row.try_get(1)?).map_err(|e| decode(e.into()))?,
                asked_at: row.try_get::<&str, _>(2)?.parse().map_err(|e| decode(Box::new(e)))?,
            })
        };
        rows.iter().map(parse).collect::<sqlx::Result<_>>().map_err(fails("be read"))
    }

    /// The imager was told.
    pub async fn close_commitment(
        &self,
        link: &LinkId,
        transaction_uid: &str,
    ) -> Result<(), InstancesError> {
        let mut index = self.index.lock().await;
        sqlx::query("delete from commitment where link = ? and transaction_uid = ?")
            .bind(link.as_str())
            .bind(transaction_uid)
            .execute(index.connection())
            .await
            .map_err(fails("be changed"))?;
        Ok(())
    }
}
