//! The rows. One connection, which writes and reads.

use super::{Counts, Head, Held, InstancesError};
use chiasm_proto::{ClockState, LaneId, LaneSessionId, LinkId, Sha256};
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use std::path::PathBuf;
use uuid::Uuid;

/// Most instances that one round deletes after their retention.
const EXPIRED_MAX: i64 = 500;

const COLUMNS: &str = "id, link, lane, calling_ae, sop_class_uid, sop_instance_uid, \
    transfer_syntax_uid, sha256, len_bytes, received_at, clock, lane_session, \
    contradicts_earlier, filed_at is not null as is_filed";

pub(super) struct Index {
    connection: SqliteConnection,
    /// Removed at a clean end.
    running: Option<PathBuf>,
}

impl Drop for Index {
    fn drop(&mut self) {
        if let Some(path) = self.running.take().filter(|_| !std::thread::panicking()) {
            let _ = std::fs::remove_file(path);
        }
    }
}

pub(super) fn fails(what: &'static str) -> impl FnOnce(sqlx::Error) -> InstancesError {
    move |source| InstancesError::Index { what, source }
}

impl Index {
    pub(super) fn new(connection: SqliteConnection, running: Option<PathBuf>) -> Self {
        Self { connection, running }
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    pub(super) async fn under(&mut self, uid: &str) -> Result<Vec<Held>, InstancesError> {
        let sql = format!(
            "select {COLUMNS} from instance
             where sop_instance_uid = ? and damaged_at is null order by id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(uid);
        let rows = rows.fetch_all(&mut self.connection).await.map_err(fails("be read"))?;
        rows.iter().map(held).collect::<sqlx::Result<_>>().map_err(fails("be read"))
    }

    /// Commits a row; `small` is the whole instance, if it has no file.
    pub(super) async fn insert(
        &mut self,
        held: &Held,
        small: Option<&[u8]>,
        follow_up: bool,
    ) -> Result<(), InstancesError> {
        let clock = word(held.clock);
        let received_at = held.received_at.to_string();
        let received_day = &received_at[..received_at.len().min(10)];
        sqlx::query(
            "insert into instance (id, link, lane, calling_ae, sop_class_uid, sop_instance_uid,
                transfer_syntax_uid, sha256, len_bytes, received_at, received_day, clock,
                lane_session, contradicts_earlier, small, follow_up)
             values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(held.id.to_string())
        .bind(held.head.link.as_str())
        .bind(held.head.lane.as_str())
        .bind(&held.head.calling_ae)
        .bind(&held.head.sop_class_uid)
        .bind(&held.head.sop_instance_uid)
        .bind(&held.head.transfer_syntax_uid)
        .bind(held.sha256.0.as_slice())
        .bind(held.len_bytes.cast_signed())
        .bind(&received_at)
        .bind(received_day)
        .bind(clock)
        .bind(held.lane_session.map(|session| session.to_string()))
        .bind(held.contradicts_earlier)
        .bind(small)
        .bind(follow_up)
        .execute(&mut self.connection)
        .await
        .map_err(fails("take a row"))?;
        Ok(())
    }

    pub(super) async fn next_waiting(
        &mut self,
        skip: &[Uuid],
    ) -> Result<Option<Held>, InstancesError> {
        // A handful are on their way at most, so that the first rows of the index are enough.
        let sql = format!(
            "select {COLUMNS} from instance where filed_at is null
             and damaged_at is null order by received_day desc, received_at limit ?"
        );
        let limit = i64::try_from(skip.len()).unwrap_or(i64::MAX).saturating_add(1);
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(limit);
        let rows = rows.fetch_all(&mut self.connection).await.map_err(fails("be read"))?;
        for row in &rows {
            let held = held(row).map_err(fails("be read"))?;
            if !skip.contains(&held.id) {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    pub(super) async fn filed(&mut self, id: Uuid, at: Timestamp) -> Result<(), InstancesError> {
        let update = sqlx::query("update instance set filed_at = ? where id = ?");
        let update = update.bind(at.as_second()).bind(id.to_string());
        update.execute(&mut self.connection).await.map_err(fails("be changed"))?;
        Ok(())
    }

    pub(super) async fn small(&mut self, id: Uuid) -> Result<Option<Vec<u8>>, InstancesError> {
        let select = sqlx::query("select small from instance where id = ?").bind(id.to_string());
        let row = select.fetch_optional(&mut self.connection).await.map_err(fails("be read"))?;
        row.map_or(Ok(None), |row| row.try_get(0)).map_err(fails("be read"))
    }

    /// Instances with a mark, oldest first, and the bytes of small ones.
    pub(super) async fn marked(
        &mut self,
        limit: usize,
    ) -> Result<Vec<(Held, Option<Vec<u8>>)>, InstancesError> {
        let sql = format!(
            "select {COLUMNS}, small from instance where follow_up = 1 order by id limit ?"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(limit);
        let rows = rows.fetch_all(&mut self.connection).await.map_err(fails("be read"))?;
        let marked = rows.iter().map(|row| Ok((held(row)?, row.try_get("small")?)));
        marked.collect::<sqlx::Result<_>>().map_err(fails("be read"))
    }

    pub(super) async fn large_ids(&mut self) -> Result<Vec<Uuid>, InstancesError> {
        let select = "select id from instance where small is null";
        ids(sqlx::query(select).fetch_all(&mut self.connection).await)
    }

    pub(super) async fn filed_before(
        &mut self,
        at: Timestamp,
    ) -> Result<Vec<Uuid>, InstancesError> {
        let select = "select id from instance where filed_at < ? order by filed_at limit ?";
        let select = sqlx::query(select).bind(at.as_second()).bind(EXPIRED_MAX);
        ids(select.fetch_all(&mut self.connection).await)
    }

    pub(super) async fn counts(&mut self) -> Result<Counts, InstancesError> {
        let select = "select
            (select count(*) from instance where filed_at is null and damaged_at is null),
            (select coalesce(sum(len_bytes), 0) from instance
                where filed_at is null and damaged_at is null),
            (select count(*) from instance where filed_at is not null),
            (select count(*) from instance where damaged_at is not null)";
        let row: (i64, i64, i64, i64) = sqlx::query_as(select)
            .fetch_one(&mut self.connection)
            .await
            .map_err(fails("be counted"))?;
        Ok(Counts {
            waiting: row.0.cast_unsigned(),
            waiting_bytes: row.1.cast_unsigned(),
            filed: row.2.cast_unsigned(),
            damaged: row.3.cast_unsigned(),
        })
    }
}

fn ids(rows: sqlx::Result<Vec<SqliteRow>>) -> Result<Vec<Uuid>, InstancesError> {
    let rows = rows.map_err(fails("be read"))?;
    let ids = rows.iter().map(|row| parse(row.try_get::<&str, _>(0)?));
    ids.collect::<sqlx::Result<_>>().map_err(fails("be read"))
}

fn held(row: &SqliteRow) -> sqlx::Result<Held> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let sha256: Vec<u8> = row.try_get("sha256")?;
    let lane_session: Option<String> = row.try_get("lane_session")?;
    Ok(Held {
        id: parse(&text("id")?)?,
        head: Head {
            link: LinkId::new(text("link")?).map_err(decode)?,
            lane: LaneId::new(text("lane")?).map_err(decode)?,
            calling_ae: text("calling_ae")?,
            sop_class_uid: text("sop_class_uid")?,
            sop_instance_uid: text("sop_instance_uid")?,
            transfer_syntax_uid: text("transfer_syntax_uid")?,
        },
        sha256: Sha256(
            sha256.try_into().map_err(|_| sqlx::Error::Decode("a hash has 32 bytes".into()))?,
        ),
        len_bytes: row.try_get::<i64, _>("len_bytes")?.cast_unsigned(),
        received_at: parse(&text("received_at")?)?,
        clock: if text("clock")? == word(ClockState::Synced) {
            ClockState::Synced
        } else {
            ClockState::Unsynced
        },
        lane_session: lane_session.map(|it| parse(&it).map(LaneSessionId)).transpose()?,
        is_filed: row.try_get("is_filed")?,
        contradicts_earlier: row.try_get("contradicts_earlier")?,
    })
}

fn word(clock: ClockState) -> &'static str {
    match clock {
        ClockState::Synced => "synced",
        ClockState::Unsynced => "unsynced",
    }
}

fn parse<T>(text: &str) -> sqlx::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(decode)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
