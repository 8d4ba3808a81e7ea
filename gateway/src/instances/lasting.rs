//! What outlives the instances themselves: that the cloud has them, and which procedure steps
//! were begun.

use super::{Instances, InstancesError, index::Index, index::fails};
use crate::seal::Purpose;
use chiasm_proto::ProcedureStep;
use jiff::Timestamp;
use sqlx::{Connection, Row};
use std::time::Duration;
use uuid::Uuid;

/// How long it is known that the cloud has an instance which is no longer here: an imager may ask
/// late whether it may delete.
pub const COMMITTED_RETENTION: Duration = Duration::from_secs(400 * 24 * 3600);
/// Procedure steps that are remembered: what an imager says at the end leaves out what it said at
/// the beginning.
pub const STEPS_MAX: i64 = 1000;

pub(super) const COMMITTED_SCHEMA: &str = "create table if not exists committed (
        sop_instance_uid text not null,
        sha256 blob not null,
        sop_class_uid text not null,
        held_at integer not null,
        primary key (sop_instance_uid, sha256)
    ) without rowid";
pub(super) const STEP_SCHEMA: &str = "create table if not exists procedure_step (
        number integer primary key,
        uid text not null unique,
        step text not null
    )";

impl Index {
    /// Deletes an instance that the cloud has, and remembers that.
    pub(super) async fn delete(&mut self, id: Uuid, now: Timestamp) -> Result<(), InstancesError> {
        let done: sqlx::Result<()> = async {
            let mut transaction = self.connection().begin().await?;
            sqlx::query(
                "insert into committed (sop_instance_uid, sha256, sop_class_uid, held_at)
                 select sop_instance_uid, sha256, sop_class_uid, ? from instance where id = ?
                 on conflict do update set held_at = excluded.held_at",
            )
            .bind(now.as_second())
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
            sqlx::query("delete from instance where id = ?")
                .bind(id.to_string())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        }
        .await;
        done.map_err(fails("be changed"))
    }

    pub(super) async fn forget_committed(&mut self, now: Timestamp) -> Result<(), InstancesError> {
        sqlx::query("delete from committed where held_at < ?")
            .bind((now - COMMITTED_RETENTION).as_second())
            .execute(self.connection())
            .await
            .map_err(fails("be changed"))?;
        Ok(())
    }
}

impl Instances {
    /// The classes of instances under a UID which the cloud has and which are no longer here.
    pub async fn committed(&self, sop_instance_uid: &str) -> Result<Vec<String>, InstancesError> {
        let mut index = self.index.lock().await;
        let rows: Vec<(String,)> =
            sqlx::query_as("select sop_class_uid from committed where sop_instance_uid = ?")
                .bind(sop_instance_uid)
                .fetch_all(index.connection())
                .await
                .map_err(fails("be read"))?;
        Ok(rows.into_iter().map(|(class,)| class).collect())
    }

    /// Remembers a procedure step, without the instances that it names; the oldest is forgotten.
    pub async fn keep_step(&self, step: &ProcedureStep) -> Result<(), InstancesError> {
        let bare = ProcedureStep { instances: vec![], ..step.clone() };
        let json = serde_json::to_vec(&bare).expect("plain data serialises");
        let place = step.sop_instance_uid.as_bytes();
        let sealed = self.key.seal(Purpose::ProcedureStep, place, &json);
        let mut index = self.index.lock().await;
        let done: sqlx::Result<()> = async {
            let mut transaction = index.connection().begin().await?;
            sqlx::query("insert or replace into procedure_step (uid, step) values (?, ?)")
                .bind(&step.sop_instance_uid)
                .bind(sealed)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(
                "delete from procedure_step
                 where number <= (select max(number) from procedure_step) - ?",
            )
            .bind(STEPS_MAX)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await
        }
        .await;
        done.map_err(fails("take a row"))
    }

    /// What was said last of a procedure step.
    pub async fn step(&self, uid: &str) -> Result<Option<ProcedureStep>, InstancesError> {
        let mut index = self.index.lock().await;
        let row = sqlx::query("select cast(step as blob) from procedure_step where uid = ?")
            .bind(uid)
            .fetch_optional(index.connection())
            .await
            .map_err(fails("be read"))?;
        let parse = |row: sqlx::sqlite::SqliteRow| {
            let stored: &[u8] = row.try_get(0)?;
            let opened;
            // In clear, if a version before stored it.
            let json = if stored.starts_with(b"{") {
                stored
            } else {
                opened = self.key.open(Purpose::ProcedureStep, uid.as_bytes(), stored);
                opened.as_deref().map_err(|error| sqlx::Error::Decode((*error).into()))?
            };
            serde_json::from_slice(json).map_err(|error| sqlx::Error::Decode(error.into()))
        };
        row.map(parse).transpose().map_err(fails("be read"))
    }
}
