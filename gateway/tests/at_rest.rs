//! What lies on the gateway's disk says nothing about a patient, and what was changed there is never
//! given out as a reading (I4).

mod support;

use chiasm_gateway::{
    journal::Position,
    seal::Key,
    spool::{Document, Entry, Spool},
};
use chiasm_proto::{Body, GatewayEvent, LinkId};
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::io::AsyncWriteExt;

/// What must not be found on the disk.
const SECRET: &str = "PATIENT-4711-MILLER";

fn key() -> Key {
    Key::from_bytes(&[7; 32])
}

fn link() -> LinkId {
    LinkId::new("ark").unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files under a folder that hold a text.
fn that_say(dir: &Path, text: &str) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
    };
    files(dir).into_iter().filter(holds).collect()
}

fn entry(detail: &str) -> Entry {
    let event = GatewayEvent { code: "test".into(), link: Some(link()), detail: detail.to_owned() };
    let documents = vec![Document::new(jiff::Timestamp::now(), Body::Event(event))];
    Entry { link: link(), documents, position: Position::default(), imported: None }
}

async fn database(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

#[tokio::test]
async fn a_spool_says_nothing_without_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, writer) = Spool::open(dir.path(), None, &key()).await.unwrap();
    spool.commit(entry(SECRET)).await.unwrap();
    // In the write-ahead log first, then in the database.
    assert_eq!(that_say(dir.path(), SECRET), Vec::<PathBuf>::new());
    let document = spool.pending(1).await.unwrap().unwrap();
    assert!(document.body.contains(SECRET));
    drop(spool);
    writer.await.unwrap().unwrap();
    assert_eq!(that_say(dir.path(), SECRET), Vec::<PathBuf>::new());
    assert_eq!(that_say(dir.path(), "4711"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_lost_key_begins_a_new_epoch_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, writer) = Spool::open(dir.path(), None, &key()).await.unwrap();
    spool.commit(entry(SECRET)).await.unwrap();
    let old = spool.progress().borrow().epoch;
    drop(spool);
    writer.await.unwrap().unwrap();
    let other = Key::from_bytes(&[8; 32]);
    let (spool, writer) = Spool::open(dir.path(), None, &other).await.unwrap();
    spool.commit(entry("later")).await.unwrap();
    assert_ne!(spool.progress().borrow().epoch, old);
    let event = spool.pending(1).await.unwrap().unwrap().body;
    assert!(event.contains("epoch_started") && event.contains("key was lost"), "{event}");
    drop(spool);
    writer.await.unwrap().unwrap();
    // Nothing was deleted: the right key opens what was set aside.
    let is_aside = |path: &PathBuf| path.to_string_lossy().ends_with(".set-aside");
    let aside = files(dir.path()).into_iter().find(is_aside).unwrap();
    let again = tempfile::tempdir().unwrap();
    fs::copy(aside, again.path().join("spool.sqlite")).unwrap();
    let (spool, _writer) = Spool::open(again.path(), None, &key()).await.unwrap();
    assert!(spool.pending(1).await.unwrap().unwrap().body.contains(SECRET));
}

#[tokio::test]
async fn a_changed_document_is_refused_and_the_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, writer) = Spool::open(dir.path(), None, &key()).await.unwrap();
    for detail in ["first", "second", "third"] {
        spool.commit(entry(detail)).await.unwrap();
    }
    drop(spool);
    writer.await.unwrap().unwrap();
    let mut sqlite = database(&dir.path().join("spool.sqlite")).await;
    // One byte of the second is another; the third's body stands under the first's number.
    sqlx::query(
        "update document set body = substr(body, 1, 40) || x'00' || substr(body, 42) where seq = 2",
    )
    .execute(&mut sqlite)
    .await
    .unwrap();
    sqlx::query(
        "update document set body = (select body from document where seq = 3) where seq = 1",
    )
    .execute(&mut sqlite)
    .await
    .unwrap();
    drop(sqlite);
    let (spool, _writer) = Spool::open(dir.path(), None, &key()).await.unwrap();
    for seq in [1, 2] {
        let error = spool.pending(seq).await.unwrap_err();
        assert!(error.is_damaged_document(), "{error}");
    }
    assert!(spool.pending(3).await.unwrap().unwrap().body.contains("third"));
}

#[tokio::test]
async fn a_spool_from_before_is_read_on() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, writer) = Spool::open(dir.path(), None, &key()).await.unwrap();
    spool.commit(entry("was in clear")).await.unwrap();
    let body = spool.pending(1).await.unwrap().unwrap().body;
    let epoch = spool.progress().borrow().epoch;
    drop(spool);
    writer.await.unwrap().unwrap();
    // As a version before has left it.
    let mut sqlite = database(&dir.path().join("spool.sqlite")).await;
    sqlx::query("update document set body = $1").bind(&body).execute(&mut sqlite).await.unwrap();
    sqlx::query("delete from meta where key = 'key_id'").execute(&mut sqlite).await.unwrap();
    drop(sqlite);
    let (spool, _writer) = Spool::open(dir.path(), None, &key()).await.unwrap();
    spool.commit(entry("sealed")).await.unwrap();
    assert_eq!(spool.progress().borrow().epoch, epoch);
    assert_eq!(spool.pending(1).await.unwrap().unwrap().body, body);
    assert!(spool.pending(2).await.unwrap().unwrap().body.contains("sealed"));
}

/// The whole gateway, with a reading in its spool and half a transmission in its journal.
#[tokio::test]
async fn a_running_gateway_writes_nothing_of_a_print_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let (port, print) = (support::free_port(), support::frame());
    let gateway = support::Gateway::with_tcp_server(dir.path(), port);
    let mut stream = support::send(port, &print).await;
    gateway.until_spooled(1).await;
    stream.write_all(&print[..200]).await.unwrap();
    let journal = dir.path().join("journal/ark.0.sealed");
    support::until("the half to be in the journal", async || {
        let len = fs::metadata(&journal).ok()?.len();
        (len > print.len() as u64 + 200).then_some(())
    })
    .await;
    let found = |dir: &Path| {
        let says = |part: &[u8], bytes: &[u8]| bytes.windows(part.len()).any(|it| it == part);
        let bytes: Vec<Vec<u8>> = files(dir).iter().map(|path| fs::read(path).unwrap()).collect();
        let parts = print.chunks_exact(12);
        parts.filter(|part| bytes.iter().any(|bytes| says(part, bytes))).count()
    };
    assert_eq!(found(dir.path()), 0);
    // What is in clear would be found.
    fs::write(dir.path().join("in-clear"), &print).unwrap();
    assert_eq!(found(dir.path()), print.len() / 12);
    gateway.stop().await;
}
