//! Instances in a bucket of a real S3 server.

mod common;
#[path = "world/dicom.rs"]
mod dicom;
#[path = "common/imager.rs"]
mod imager;

use chiasm_cloud::{
    Core,
    commands::serve,
    config::Config,
    imaging::{
        archive::{Archive, ArchiveError},
        pictures::{Opened, Stored},
    },
};
use chiasm_proto::{InstanceOffer, InstanceStatus, Sha256, instance::PART_LEN_MAX};
use common::{Cloud, Kind, Store, gateway::enrol, s3::S3Server};
use flate2::{Compression, write::DeflateEncoder};
use imager::{Object, Sender, offer};
use object_store::{ObjectStore, ObjectStoreExt};
use std::{
    fs,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Three parts of 8 MiB.
const LARGE_BYTES: usize = 24 * 1024 * 1024 - 1000;

fn server(cloud: &mut Cloud) -> &mut S3Server {
    cloud.store.s3.as_mut().unwrap()
}

/// Bytes that are no object: filed as what cannot be read, and whole.
fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|at| (at / 1000) as u8).collect()
}

/// 40 frames of 1 MB.
fn volume() -> Vec<u8> {
    let mut pixels = vec![0; 40 * 1024 * 1024];
    for (frame, pixels) in pixels.chunks_mut(1024 * 1024).enumerate() {
        pixels.fill(frame as u8);
    }
    let set =
        Object { study: "1.2.40", series: "1.2.40.1", sop: "1.2.40.1.1", ..Object::default() };
    let set = set.set().text(0x0028_0008, "IS", "40");
    let set = set.us(0x0028_0010, &[1024]).us(0x0028_0011, &[1024]);
    set.pixels(8, &pixels).file(dicom::EXPLICIT)
}

async fn stored(cloud: &Cloud, sha256: &Sha256) -> Vec<u8> {
    let key = Archive::key("acme", sha256);
    let got = cloud.core.archive.store().unwrap().get(&key).await.unwrap();
    got.bytes().await.unwrap().into()
}

/// The one instance that there is, for the viewer.
async fn opened(cloud: &Cloud, it: &InstanceOffer) -> (Arc<dyn ObjectStore>, Arc<Opened>) {
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let sql = "SELECT instance_id, header FROM instance";
    let (id, header): (String, String) = tx.fetch_one(sql, []).await.unwrap();
    drop(tx);
    let stored = Stored {
        object_key: Archive::key("acme", &it.sha256).to_string(),
        len_bytes: it.len_bytes,
        sha256: it.sha256.to_string(),
        header: serde_json::from_str(&header).unwrap(),
    };
    let store = cloud.core.archive.store().unwrap();
    let opened = cloud.core.pictures.open(&store, ("acme", &id), stored).await.unwrap();
    (store, opened)
}

fn incoming(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir.join("instances/incoming/acme")) else { return vec![] };
    entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_goes_in_parts_and_its_frames_come_by_range() {
    let mut cloud = Cloud::start(Kind::Bucket).await;
    let sender = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-1").await);
    let file = volume();
    let it = offer(&file);
    server(&mut cloud).seen();
    let (status, progress) = sender.send(&it, &file, PART_LEN_MAX).await;
    assert_eq!((status, progress.unwrap().status), (200, InstanceStatus::Filed));
    let asked = server(&mut cloud).seen();
    let count = |text: &str| asked.iter().filter(|line| line.contains(text)).count();
    assert_eq!((count("partNumber="), count("POST")), (6, 2), "{asked:#?}");
    let key = format!("/images/clinic/a/{}", Archive::key("acme", &it.sha256));
    assert!(count(&key) >= 8, "{asked:#?}");
    assert!(stored(&cloud, &it.sha256).await == file, "not a byte is different");
    assert_eq!(server(&mut cloud).loose_parts(), 0);
    assert_eq!(incoming(cloud.store.dir.path()), Vec::<String>::new());
    let objects = cloud.store.dir.path().join("instances/objects");
    assert!(!objects.exists(), "nothing lies in the folder");

    // One frame is asked for, and not the volume around it.
    let (store, opened) = opened(&cloud, &it).await;
    assert_eq!(opened.frames(), 40);
    server(&mut cloud).seen();
    let frame = cloud.core.pictures.read(&store, &opened, 17).await.unwrap();
    assert!(frame.len() == 1024 * 1024 && frame.iter().all(|byte| *byte == 17));
    let [asked] = &server(&mut cloud).seen()[..] else { panic!("one request") };
    let range = asked.split_once("bytes=").expect("a range").1;
    let (first, last) = range.split_once('-').unwrap();
    let [first, last] = [first, last].map(|it| it.parse::<u64>().unwrap());
    assert_eq!(last - first + 1, 1024 * 1024);
    // Again, as after an answer that was lost.
    let (_, again) = sender.offer(&it).await;
    assert_eq!(again.unwrap().status, InstanceStatus::Filed);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deflated_object_is_fetched_and_inflated_once() {
    let mut cloud = Cloud::start(Kind::Bucket).await;
    let sender = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-1").await);
    let set = Object::default().set();
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&set.encode(false)).unwrap();
    let file = set.file_of("1.2.840.10008.1.2.1.99", &encoder.finish().unwrap());
    let it = offer(&file);
    sender.filed(&it, &file).await;
    server(&mut cloud).seen();
    let (store, opened) = opened(&cloud, &it).await;
    assert_eq!((opened.frames(), server(&mut cloud).seen().len()), (4, 1));
    for frame in 0..4 {
        let bytes = cloud.core.pictures.read(&store, &opened, frame).await.unwrap();
        assert_eq!(bytes[..], [7; 16 * 8]);
    }
    assert_eq!(server(&mut cloud).seen(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_keeps_what_a_server_that_is_away_cannot_take() {
    let mut cloud = Cloud::start(Kind::Bucket).await;
    let sender = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-1").await);
    let (file, small) = (large(), Object::default().file());
    let it = offer(&file);
    // It goes away in the middle of the parts to the bucket, behind the last part from the gateway.
    server(&mut cloud).hold("partNumber=3");
    let sending = tokio::spawn({
        let (it, file, sender) = (it.clone(), file.clone(), sender.clone());
        async move { sender.send(&it, &file, PART_LEN_MAX).await }
    });
    server(&mut cloud).wait_for("partNumber=3").await;
    server(&mut cloud).stop().await;
    let (status, progress) = sending.await.unwrap();
    assert_eq!((status, progress), (503, None), "nobody says that it is filed");
    assert_eq!(sender.offer(&it).await.0, 503);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 0);
    // Something else arrives whole while it is away.
    let (status, _) = sender.send(&offer(&small), &small, PART_LEN_MAX).await;
    assert_eq!(status, 503);
    server(&mut cloud).hold("");
    server(&mut cloud).start_again().await;
    for (it, file) in [(&it, &file), (&offer(&small), &small)] {
        let (status, progress) = sender.send(it, file, PART_LEN_MAX).await;
        assert_eq!((status, progress.unwrap().status), (200, InstanceStatus::Filed));
        assert!(stored(&cloud, &it.sha256).await == *file, "not a byte is different");
    }
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 2);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance_upload").await, 0);
    assert_eq!(server(&mut cloud).loose_parts(), 0, "what was begun is ended");
    assert_eq!(incoming(cloud.store.dir.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_ends_in_the_middle_leaves_nothing_that_costs() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!("data_dir = {:?}\n{}", dir.path(), server.config());
    let config = Config::parse(Path::new("test.toml"), &text).unwrap();
    let archive = || Archive::new(&config.images_folder(), &config.images).unwrap();
    let file = large();
    let sha256 = Sha256::of(&file);
    let begin = async || {
        fs::write(archive().incoming("acme", &sha256).await.unwrap(), &file).unwrap();
        server.seen();
        server.hold("partNumber=2");
        let archive = archive();
        let moving = tokio::spawn(async move { archive.take_in("acme", &sha256).await });
        server.wait_for("partNumber=2").await;
        // As if killed: nothing of it runs any more, and the bucket hears nothing.
        moving.abort();
        assert!(moving.await.unwrap_err().is_cancelled());
        server.hold("");
        assert!(server.loose_parts() > 0);
        assert_eq!(incoming(dir.path()).len(), 2, "the upload and the note");
    };
    begin().await;
    let key = archive().take_in("acme", &sha256).await.unwrap();
    assert_eq!(archive().len_of(&key).await.unwrap(), Some(file.len() as u64));
    assert_eq!(server.loose_parts(), 0);
    // The gateway never comes again: the upload is given up by its row, or by its age.
    for is_known in [true, false] {
        begin().await;
        if is_known {
            archive().discard("acme", &sha256).await.unwrap();
        } else {
            let yesterday = SystemTime::now() - Duration::from_secs(24 * 3600);
            archive().sweep(yesterday).await.unwrap();
            assert_eq!(incoming(dir.path()).len(), 2, "it is not old");
            archive().sweep(SystemTime::now() + Duration::from_secs(1)).await.unwrap();
        }
        assert_eq!((server.loose_parts(), incoming(dir.path()).len()), (0, 0), "{is_known}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_changed_on_the_disk_does_not_get_into_the_bucket() {
    let server = S3Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!("data_dir = {:?}\n{}", dir.path(), server.config());
    let config = Config::parse(Path::new("test.toml"), &text).unwrap();
    let archive = Archive::new(&config.images_folder(), &config.images).unwrap();
    for mut file in [large(), vec![7; 1000]] {
        let sha256 = Sha256::of(&file);
        *file.last_mut().unwrap() ^= 1;
        fs::write(archive.incoming("acme", &sha256).await.unwrap(), &file).unwrap();
        let error = archive.take_in("acme", &sha256).await.unwrap_err();
        assert!(matches!(error, ArchiveError::Changed(_)), "{error}");
        let there = archive.len_of(&Archive::key("acme", &sha256)).await.unwrap();
        assert_eq!((there, server.loose_parts()), (None, 0));
    }
}

/// What a cloud says that does not start with this configuration.
async fn refused(config: &str) -> String {
    let store = Store::new(Kind::Sqlite).await;
    let text = format!("data_dir = {:?}\n{config}", store.dir.path());
    let config = Config::parse(Path::new("test.toml"), &text).unwrap();
    let core = match Core::new(store.db.clone(), config) {
        Ok(core) => core,
        Err(error) => return error.to_string(),
    };
    serve::start(&core).await.err().expect("it does not start").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_says_what_is_wrong_with_the_bucket() {
    let mut server = S3Server::start().await;
    let right = server.config();
    let missing = refused(&right.replace("\"images\"", "\"nowhere\"")).await;
    assert!(missing.contains("there is no bucket `nowhere`: make it"), "{missing}");
    let path = right.split('"').find(|it| it.ends_with("/credentials")).unwrap().to_owned();
    for (key, secret) in [("somebody", common::s3::SECRET), (common::s3::ACCESS_KEY, "wrong")] {
        let text = format!("aws_access_key_id={key}\naws_secret_access_key={secret}\n");
        fs::write(&path, text).unwrap();
        let denied = refused(&right).await;
        assert!(denied.contains("check the access key, its secret"), "{denied}");
        assert!(!denied.contains(secret), "no secret is told: {denied}");
    }
    fs::write(&path, "aws_access_key_id = only\n").unwrap();
    let incomplete = refused(&right).await;
    assert!(incomplete.contains("aws_secret_access_key"), "{incomplete}");
    fs::remove_file(&path).unwrap();
    let unread = refused(&right).await;
    assert!(unread.contains("cannot read") && unread.contains(&path), "{unread}");
    // A server that is away does not keep readings from flowing.
    let right = server.config();
    server.stop().await;
    let store = Store::new(Kind::Sqlite).await;
    let cloud = Cloud::start_on(store, "127.0.0.1:0", &right).await;
    let sender = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-1").await);
    let file = Object::default().file();
    assert_eq!(sender.offer(&offer(&file)).await.0, 503);
    server.start_again().await;
    sender.filed(&offer(&file), &file).await;
}
