//! Questions to the spool.

use super::{
    LinkCount, SpoolError, StoredDocument,
    open::{IDS, meta_value},
};
use crate::{
    binding::LocalLane,
    journal::Position,
    seal::{Key, Purpose},
};
use chiasm_proto::{
    Ack, LaneId, LinkId, ReadingId, Seq, Sha256, Up, ack::IdDigest, fleet::OpenSession,
    fleet::SpoolState,
};
use jiff::Timestamp;
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteRow};

fn read(what: &'static str) -> impl FnOnce(sqlx::Error) -> SpoolError {
    move |source| SpoolError::Read { what, source }
}

fn decode<T: std::str::FromStr>(text: &str) -> Result<T, sqlx::Error> {
    text.parse().map_err(|_| sqlx::Error::Decode("a stored value is malformed".into()))
}

pub(super) fn to_seq(number: i64) -> Seq {
    number.unsigned_abs()
}
pub(super) fn from_seq(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

pub(super) async fn position(
    connection: &mut SqliteConnection,
    link: &LinkId,
) -> Result<Option<Position>, SpoolError> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("select generation, consumed from link_position where link = $1")
            .bind(link.as_str())
            .fetch_optional(connection)
            .await
            .map_err(read("tell a link's position"))?;
    Ok(row.map(|(generation, consumed)| Position {
        generation: generation.unsigned_abs(),
        consumed: consumed.unsigned_abs(),
    }))
}

pub(super) async fn lanes(
    connection: &mut SqliteConnection,
) -> Result<(Vec<OpenSession>, Vec<(LaneId, Timestamp)>), SpoolError> {
    let fail = read("tell the open sessions");
    let result: Result<_, sqlx::Error> = async {
        let sessions: Option<(String,)> =
            sqlx::query_as("select value from meta where key = 'sessions'")
                .fetch_optional(&mut *connection)
                .await?;
        let sessions = match sessions {
            Some((json,)) => {
                serde_json::from_str(&json).map_err(|error| sqlx::Error::Decode(Box::new(error)))?
            }
            None => Vec::new(),
        };
        let rows: Vec<(String, String)> =
            sqlx::query_as("select lane, last_reading_at from lane").fetch_all(connection).await?;
        let lanes = rows
            .iter()
            .map(|(lane, at)| Ok((decode(lane)?, decode(at)?)))
            .collect::<Result<_, sqlx::Error>>()?;
        Ok((sessions, lanes))
    }
    .await;
    result.map_err(fail)
}

pub(super) async fn local_lanes(
    connection: &mut SqliteConnection,
) -> Result<Vec<(LaneId, LocalLane)>, SpoolError> {
    let rows: Result<Vec<(String, String)>, _> =
        sqlx::query_as("select lane, state from local_lane").fetch_all(connection).await;
    let lane = |(lane, state): (String, String)| {
        let state =
            serde_json::from_str(&state).map_err(|error| sqlx::Error::Decode(Box::new(error)));
        Ok((decode(&lane)?, state?))
    };
    rows.and_then(|rows| rows.into_iter().map(lane).collect())
        .map_err(read("tell what was done at the page"))
}

/// What can be read of it: a damaged document is set aside where it is sent.
pub(super) async fn kept_after(
    connection: &mut SqliteConnection,
    key: &Key,
    after: Seq,
    limit: usize,
) -> Result<Vec<StoredDocument>, SpoolError> {
    let result: Result<Vec<StoredDocument>, sqlx::Error> = async {
        let rows = sqlx::query(
            "select seq, id, time, kind, link, body, typeof(body) = 'blob' as is_sealed
             from document where seq > $1 and kind in ('reading', 'event') order by seq limit $2",
        )
        .bind(from_seq(after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
        Ok(rows.iter().filter_map(|row| stored(row, key).ok()).collect())
    }
    .await;
    result.map_err(read("list what is kept"))
}

pub(super) async fn is_rejected(
    connection: &mut SqliteConnection,
    id: ReadingId,
) -> Result<bool, SpoolError> {
    // From the newest: acts that wait to be heard of are recent.
    let row: Option<(String,)> =
        sqlx::query_as("select state from document where id = $1 order by seq desc limit 1")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await
            .map_err(read("tell what became of a document"))?;
    Ok(row.is_some_and(|(state,)| state == "rejected"))
}

pub(super) async fn is_imported(
    connection: &mut SqliteConnection,
    link: &LinkId,
    file: Sha256,
) -> Result<bool, SpoolError> {
    let row: Option<(i64,)> =
        sqlx::query_as("select 1 from imported where link = $1 and sha256 = $2")
            .bind(link.as_str())
            .bind(&file.0[..])
            .fetch_optional(connection)
            .await
            .map_err(read("tell what was imported"))?;
    Ok(row.is_some())
}

pub(super) async fn pending_after(
    connection: &mut SqliteConnection,
    after: Seq,
    limit: usize,
) -> Result<Vec<Seq>, SpoolError> {
    let rows: Vec<(i64,)> = sqlx::query_as(
        "select seq from document where state = 'pending' and seq > $1 order by seq limit $2",
    )
    .bind(from_seq(after))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await
    .map_err(read("list what is pending"))?;
    Ok(rows.into_iter().map(|(seq,)| to_seq(seq)).collect())
}

pub(super) async fn pending(
    connection: &mut SqliteConnection,
    key: &Key,
    seq: Seq,
) -> Result<Option<StoredDocument>, SpoolError> {
    let result: Result<Option<StoredDocument>, sqlx::Error> = async {
        let row = sqlx::query(
            "select seq, id, time, kind, link, body, typeof(body) = 'blob' as is_sealed from document
             where seq = $1 and state = 'pending'",
        )
        .bind(from_seq(seq))
        .fetch_optional(connection)
        .await?;
        row.map(|row| stored(&row, key)).transpose()
    }
    .await;
    result.map_err(read("read a document"))
}

pub(super) async fn by_link(
    connection: &mut SqliteConnection,
) -> Result<Vec<LinkCount>, SpoolError> {
    let rows: Vec<(String, String, i64, String)> = sqlx::query_as(
        "select link, kind, count(*), max(time) from document
         where link is not null group by link, kind order by link, kind",
    )
    .fetch_all(connection)
    .await
    .map_err(read("count by link"))?;
    let count = |(link, kind, count, last): (String, String, i64, String)| LinkCount {
        link,
        kind,
        count: count.unsigned_abs(),
        last,
    };
    Ok(rows.into_iter().map(count).collect())
}

/// What can be read of them, newest first.
pub(super) async fn last(
    connection: &mut SqliteConnection,
    key: &Key,
    kind: &str,
    count: usize,
) -> Result<Vec<StoredDocument>, SpoolError> {
    let result: Result<Vec<StoredDocument>, sqlx::Error> = async {
        let rows = sqlx::query(
            "select seq, id, time, kind, link, body, typeof(body) = 'blob' as is_sealed
             from document where kind = $1 order by seq desc limit $2",
        )
        .bind(kind)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
        Ok(rows.iter().filter_map(|row| stored(row, key).ok()).collect())
    }
    .await;
    result.map_err(read("list the last documents"))
}

fn stored(row: &SqliteRow, key: &Key) -> Result<StoredDocument, sqlx::Error> {
    let kind: String = row.try_get("kind")?;
    let up = Up::ALL.iter().copied().find(|up| up.as_str() == kind);
    Ok(StoredDocument {
        seq: to_seq(row.try_get("seq")?),
        id: decode(row.try_get("id")?)?,
        time: decode(row.try_get("time")?)?,
        up: up.ok_or_else(|| sqlx::Error::Decode("a stored kind is unknown".into()))?,
        link: row.try_get("link")?,
        body: body(row, key)?,
    })
}

/// A document's text, which must be what was stored under its identifier.
fn body(row: &SqliteRow, key: &Key) -> Result<String, sqlx::Error> {
    if !row.try_get::<bool, _>("is_sealed")? {
        return row.try_get("body");
    }
    let sealed: Vec<u8> = row.try_get_unchecked("body")?;
    let id: &str = row.try_get("id")?;
    let text = key
        .open(Purpose::Document, id.as_bytes(), &sealed)
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    String::from_utf8(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

pub(super) async fn state(connection: &mut SqliteConnection) -> Result<SpoolState, SpoolError> {
    let result: Result<SpoolState, sqlx::Error> = async {
        let row = sqlx::query(
            "select
                (select value from meta where key = 'epoch') as epoch,
                (select value from meta where key = 'last_seq') as last_seq,
                (select count(*) from document where state = 'pending') as depth,
                (select time from document where state = 'pending' order by seq limit 1)
                    as oldest_at,
                (select count(*) from document where state = 'rejected') as quarantined",
        )
        .fetch_one(connection)
        .await?;
        let oldest_at: Option<String> = row.try_get("oldest_at")?;
        Ok(SpoolState {
            epoch: decode(row.try_get("epoch")?)?,
            last_seq: decode(row.try_get("last_seq")?)?,
            depth: row.try_get::<i64, _>("depth")?.unsigned_abs(),
            oldest_at: oldest_at.as_deref().map(decode).transpose()?,
            quarantined: row.try_get::<i64, _>("quarantined")?.unsigned_abs(),
        })
    }
    .await;
    result.map_err(read("tell its state"))
}

/// Documents beyond an acknowledgement for which it is still compared: while a backlog is sent, every
/// acknowledgement would cost a look at all that is left of it.
const BEYOND_MAX: u64 = 256;

pub(super) async fn contradicts(
    connection: &mut SqliteConnection,
    ack: &Ack,
) -> Result<bool, SpoolError> {
    let Some(theirs) = ack.ids else { return Ok(false) };
    let ours = ids_of(connection, ack).await.map_err(read("compare an acknowledgement"))?;
    Ok(ours.is_some_and(|ours| ours != theirs))
}

/// The digest of the documents that an acknowledgement speaks of, as far as they are here.
async fn ids_of(
    connection: &mut SqliteConnection,
    ack: &Ack,
) -> Result<Option<IdDigest>, sqlx::Error> {
    // One state of the database for all questions.
    let mut transaction = connection.begin().await?;
    let epoch = meta_value(&mut transaction, "epoch").await?;
    let last_seq = meta_value(&mut transaction, "last_seq").await?;
    let all = meta_value(&mut transaction, IDS).await?;
    let (Some(last_seq), Some(all)) = (last_seq, all) else { return Ok(None) };
    let (last_seq, mut ids): (Seq, IdDigest) = (decode(&last_seq)?, decode(&all)?);
    let beyond = last_seq.checked_sub(ack.upto);
    let is_comparable =
        epoch == Some(ack.epoch.to_string()) && beyond.is_some_and(|beyond| beyond <= BEYOND_MAX);
    if !is_comparable {
        return Ok(None);
    }
    let missing = serde_json::to_string(&ack.missing).expect("numbers always serialise");
    let others: Vec<(String,)> = sqlx::query_as(
        "select id from document
         where seq > $1 or seq in (select value from json_each($2))",
    )
    .bind(from_seq(ack.upto))
    .bind(missing)
    .fetch_all(&mut *transaction)
    .await?;
    let expected = beyond.unwrap_or(0) + ack.missing.len() as u64;
    if others.len() as u64 != expected {
        return Ok(None);
    }
    for (id,) in &others {
        ids = ids.with(decode(id)?);
    }
    Ok(Some(ids))
}
