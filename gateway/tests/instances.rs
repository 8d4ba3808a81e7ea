//! DICOM instances on the gateway's disk: what is held is held whole, whatever happens around it.

use chiasm_gateway::{
    instances::{Content, Head, Held, Instances, InstancesError, Stored},
    seal::Key,
};
use chiasm_proto::{ClockState, LaneId, LaneSessionId, LinkId, Sha256};
use jiff::{SignedDuration, Timestamp};
use std::path::Path;
use uuid::Uuid;

const LARGE: usize = 3 * 1024 * 1024 + 17;

fn key() -> Key {
    Key::from_bytes(&[7; 32])
}

fn head(uid: &str) -> Head {
    Head {
        link: LinkId::new("oct-1").unwrap(),
        lane: LaneId::new("imaging").unwrap(),
        calling_ae: "OCT".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.77.1.5.4".into(),
        sop_instance_uid: uid.into(),
        transfer_syntax_uid: "1.2.840.10008.1.2.1".into(),
    }
}

fn data_set(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

async fn store(instances: &Instances, uid: &str, bytes: &[u8]) -> Stored {
    let mut incoming = instances.begin(head(uid)).await.unwrap();
    for part in bytes.chunks(16_000) {
        incoming.write(part).await.unwrap();
    }
    let session = Some(LaneSessionId(Uuid::from_u128(7)));
    incoming.finish(session, ClockState::Synced).await.unwrap()
}

fn whole(content: &Content, held: &Held) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < held.len_bytes as usize {
        let part = content.read_at(bytes.len() as u64, 1_000_000).unwrap();
        assert!(!part.is_empty(), "the content ends early");
        bytes.extend(part);
    }
    assert!(content.read_at(held.len_bytes, 10).unwrap().is_empty());
    bytes
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn small_and_large_instances_are_kept_as_they_came_and_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("instances");
    let instances = Instances::open(&root, &key()).await.unwrap();
    let mut kept = Vec::new();
    for (uid, len) in [("1.2.3", 900), ("1.2.4", LARGE), ("1.2.5", 100_000), ("1.2.6", 0)] {
        let bytes = data_set(len, 1);
        let stored = store(&instances, uid, &bytes).await;
        assert!(matches!(stored, Stored::New(_)), "{stored:?}");
        kept.push((stored.held().clone(), bytes));
    }
    drop(instances);
    let instances = Instances::open(&root, &key()).await.unwrap();
    for (held, bytes) in kept {
        assert_eq!(
            instances.held(&held.head.sop_instance_uid).await.unwrap(),
            std::slice::from_ref(&held)
        );
        let file = whole(&instances.content(&held).await.unwrap(), &held);
        assert_eq!(Sha256::of(&file), held.sha256);
        assert_eq!(&file[128..132], b"DICM");
        assert_eq!(&file[file.len() - bytes.len()..], bytes, "the data set is as it came");
        assert_eq!(held.lane_session, Some(LaneSessionId(Uuid::from_u128(7))));
    }
    assert_eq!(names(&root.join("files")).len(), 2, "small ones lie in the index");
}

#[tokio::test]
async fn the_same_instance_again_is_kept_once_and_other_content_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    for len in [500, LARGE] {
        let uid = format!("1.2.{len}");
        let first = store(&instances, &uid, &data_set(len, 1)).await;
        let again = store(&instances, &uid, &data_set(len, 1)).await;
        assert_eq!(again, Stored::Again(first.held().clone()));
        let other = store(&instances, &uid, &data_set(len, 2)).await;
        assert!(matches!(&other, Stored::Contradicts(held) if held.contradicts_earlier));
        assert_eq!(instances.held(&uid).await.unwrap().len(), 2);
    }
    assert_eq!(names(&dir.path().join("files")).len(), 2);
    assert!(names(&dir.path().join("incoming")).is_empty());
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    for len in [300, LARGE] {
        let mut incoming = instances.begin(head("1.2.9")).await.unwrap();
        incoming.write(&data_set(len, 1)).await.unwrap();
        drop(incoming);
    }
    assert!(names(&dir.path().join("incoming")).is_empty());
    assert!(names(&dir.path().join("files")).is_empty());
    assert!(instances.held("1.2.9").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_crash_left_behind_is_cleared_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let kept = store(&instances, "1.2.3", &data_set(LARGE, 1)).await;
    drop(instances);
    // Received in part, and renamed without a row.
    std::fs::write(dir.path().join("incoming").join(Uuid::now_v7().to_string()), "x").unwrap();
    let orphan = format!("{}.dcm", Uuid::now_v7());
    std::fs::write(dir.path().join("files").join(orphan), "x").unwrap();
    Instances::open(dir.path(), &key()).await.unwrap();
    assert!(names(&dir.path().join("incoming")).is_empty());
    let kept = format!("{}.sealed", kept.held().id);
    assert_eq!(names(&dir.path().join("files")), [kept]);
}

#[tokio::test]
async fn a_damaged_index_is_set_aside_with_its_images() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("instances");
    let instances = Instances::open(&root, &key()).await.unwrap();
    store(&instances, "1.2.3", &data_set(LARGE, 1)).await;
    drop(instances);
    // The connection closes on a thread of its own, and takes its write-ahead log with it.
    while root.join("index.sqlite-wal").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    std::fs::write(root.join("index.sqlite"), vec![b'x'; 8192]).unwrap();
    let instances = Instances::open(&root, &key()).await.unwrap();
    assert_eq!(instances.counts().await.unwrap().waiting, 0);
    let aside = names(dir.path()).into_iter().find(|name| name.contains("damaged")).unwrap();
    assert_eq!(names(&dir.path().join(aside).join("files")).len(), 1, "nothing is deleted");
}

/// A page that was torn by a power cut is found at the next start; a clean end needs no look.
#[tokio::test]
async fn the_index_is_checked_after_an_end_that_was_not_clean() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("instances");
    let instances = Instances::open(&root, &key()).await.unwrap();
    for number in 0..200 {
        store(&instances, &format!("1.2.{number}"), &data_set(2_000, number)).await;
    }
    assert!(root.join("index.running").exists());
    drop(instances);
    assert!(!root.join("index.running").exists());
    while root.join("index.sqlite-wal").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mut bytes = std::fs::read(root.join("index.sqlite")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40_000].fill(0x55);
    std::fs::write(root.join("index.sqlite"), bytes).unwrap();
    // As after a kill.
    std::fs::write(root.join("index.running"), "").unwrap();
    let instances = Instances::open(&root, &key()).await.unwrap();
    assert_eq!(instances.counts().await.unwrap().waiting, 0);
    assert!(names(dir.path()).iter().any(|name| name.contains("damaged")));
}

/// An index from before there were marks for what follows is taken over.
#[tokio::test]
async fn an_older_index_is_taken_over() {
    use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let kept = store(&instances, "1.2.3", &data_set(900, 1)).await;
    drop(instances);
    let options = SqliteConnectOptions::new().filename(dir.path().join("index.sqlite"));
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for sql in ["drop index instance_follow_up", "alter table instance drop column follow_up"] {
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    assert_eq!(&instances.held("1.2.3").await.unwrap()[0], kept.held());
    assert!(instances.next_follow_ups().await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_of_an_instance_is_on_the_disk_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let secret = b"MILLER^JOHN";
    for (uid, len) in [("1.2.3", 100), ("1.2.4", LARGE)] {
        let bytes = [&secret[..], &data_set(len, 1), secret].concat();
        store(&instances, uid, &bytes).await;
    }
    let mut incoming = instances.begin(head("1.2.5")).await.unwrap();
    incoming.write(&secret.repeat(LARGE / secret.len())).await.unwrap();
    for folder in ["", "files", "incoming"] {
        for name in names(&dir.path().join(folder)) {
            let path = dir.path().join(folder).join(name);
            let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { vec![] };
            let says = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!says, "{} names a patient", path.display());
        }
    }
    drop(incoming);
}

#[tokio::test]
async fn a_changed_instance_is_set_aside_and_taken_again() {
    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let large = store(&instances, "1.2.4", &data_set(LARGE, 1)).await.held().clone();
    let small = store(&instances, "1.2.3", &data_set(100, 1)).await.held().clone();
    let path = dir.path().join("files").join(format!("{}.sealed", large.id));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let options = SqliteConnectOptions::new().filename(dir.path().join("index.sqlite"));
    let mut index = options.connect().await.unwrap();
    let change = "update instance set small = substr(small, 1, 60) || x'00' || substr(small, 62)
        where small is not null";
    sqlx::query(change).execute(&mut index).await.unwrap();
    let content = instances.content(&large).await.unwrap();
    assert_eq!(content.read_at(0, 500_000).unwrap().len(), 500_000, "the chunks before are whole");
    let error = content.read_at(900_000, 200_000).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let error = instances.content(&small).await.unwrap_err();
    assert!(matches!(error, InstancesError::Damaged(_)), "{error}");
    for held in [&large, &small] {
        instances.set_aside(held.id).await.unwrap();
    }
    let counts = instances.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.damaged), (0, 2));
    assert!(path.exists(), "nothing is deleted");
    let again = store(&instances, "1.2.4", &data_set(LARGE, 1)).await;
    assert!(matches!(&again, Stored::New(held) if held.id != large.id), "{again:?}");
}

#[tokio::test]
async fn what_a_version_before_stored_in_clear_is_read_on() {
    use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let large = store(&instances, "1.2.4", &data_set(LARGE, 1)).await.held().clone();
    let small = store(&instances, "1.2.3", &data_set(100, 1)).await.held().clone();
    let files = dir.path().join("files");
    let clear = whole(&instances.content(&large).await.unwrap(), &large);
    std::fs::write(files.join(format!("{}.dcm", large.id)), &clear).unwrap();
    std::fs::remove_file(files.join(format!("{}.sealed", large.id))).unwrap();
    let clear = whole(&instances.content(&small).await.unwrap(), &small);
    drop(instances);
    let options = SqliteConnectOptions::new().filename(dir.path().join("index.sqlite"));
    let mut index = options.connect().await.unwrap();
    let change = "update instance set small = ? where small is not null";
    sqlx::query(change).bind(clear).execute(&mut index).await.unwrap();
    sqlx::query("delete from meta").execute(&mut index).await.unwrap();
    drop(index);
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    for held in [large, small] {
        let file = whole(&instances.content(&held).await.unwrap(), &held);
        assert_eq!(Sha256::of(&file), held.sha256);
    }
}

#[tokio::test]
async fn a_folder_of_another_key_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("instances");
    let instances = Instances::open(&root, &key()).await.unwrap();
    store(&instances, "1.2.3", &data_set(LARGE, 1)).await;
    drop(instances);
    let instances = Instances::open(&root, &Key::from_bytes(&[8; 32])).await.unwrap();
    assert_eq!(instances.counts().await.unwrap().waiting, 0);
    assert!(names(dir.path()).iter().any(|name| name.contains("damaged")));
}

#[tokio::test]
async fn uids_never_become_part_of_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("instances");
    let instances = Instances::open(&root, &key()).await.unwrap();
    for uid in ["../../x", "/etc/passwd", "..", "a\0b", "1.2.3/../../../y"] {
        let stored = store(&instances, uid, &data_set(LARGE, 1)).await;
        assert_eq!(stored.held().head.sop_instance_uid, uid);
    }
    assert_eq!(names(dir.path()), ["instances"]);
    assert_eq!(names(&root.join("files")).len(), 5);
    let too_long = instances.begin(head(&"1".repeat(500))).await.err().unwrap();
    assert!(matches!(too_long, InstancesError::Uid { len: 500, .. }), "{too_long}");
    assert!(instances.begin(head("")).await.is_err());
}

#[tokio::test]
async fn waiting_ones_come_oldest_first_and_filed_ones_go_after_their_retention() {
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let mut changes = instances.changes();
    let mut ids = Vec::new();
    for number in 0..3 {
        let len = if number == 1 { LARGE } else { 400 };
        let stored = store(&instances, &format!("1.2.{number}"), &data_set(len, number)).await;
        ids.push(stored.held().id);
    }
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let next = async |skip: &[Uuid]| instances.next_waiting(skip).await.unwrap().map(|it| it.id);
    assert_eq!(next(&[]).await, Some(ids[0]));
    assert_eq!(next(&ids[..1]).await, Some(ids[1]));
    assert_eq!(next(&ids).await, None);
    let now = Timestamp::now();
    for id in &ids[..2] {
        instances.filed(*id, now).await.unwrap();
    }
    assert!(changes.has_changed().unwrap(), "storage commitment waits for this");
    assert_eq!(next(&[]).await, Some(ids[2]));
    let counts = instances.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.filed), (1, 2));
    assert_eq!(instances.delete_expired(now).await.unwrap(), 0, "kept for a while");
    let later = now + SignedDuration::from_hours(24 * 8);
    assert_eq!(instances.delete_expired(later).await.unwrap(), 2);
    assert!(names(&dir.path().join("files")).is_empty());
    assert_eq!(next(&[]).await, Some(ids[2]), "what waits is never deleted");
}

#[tokio::test]
async fn the_same_instance_on_two_associations_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let instances = Instances::open(dir.path(), &key()).await.unwrap();
    let bytes = data_set(LARGE, 5);
    let both = tokio::join!(store(&instances, "1.2.3", &bytes), store(&instances, "1.2.3", &bytes));
    let new = [&both.0, &both.1].iter().filter(|it| matches!(it, Stored::New(_))).count();
    assert_eq!(new, 1, "{both:?}");
    assert_eq!(names(&dir.path().join("files")).len(), 1);
}
