//! C-STORE: what an imager sends is kept exactly, and nothing else is.

mod support;

use chiasm_gateway::dicom::command::{ERROR_COMMENT, STATUS};
use chiasm_proto::{
    Body, LaneId, LaneSessionId,
    fleet::{LinkStatus, OpenSession},
};
use dicom_dictionary_std::uids;
use std::{fs, path::Path, time::Duration};
use support::{
    dicom::{EXPLICIT, IMPLICIT, J2K, OCT, OPT, Object, RLE, Sender, World, dcmtk, said},
    fixture, free_port, until,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

#[tokio::test]
async fn dcmtk_sends_in_four_syntaxes_and_the_bytes_are_kept() {
    let world = World::new().await;
    for (index, (syntax, option)) in
        [(EXPLICIT, "-xe"), (IMPLICIT, "-xi"), (RLE, "-xr"), (J2K, "-xv")].into_iter().enumerate()
    {
        let object = Object::new(&format!("1.2.3.9.{index}"), syntax, 1);
        let path = object.write(world.dir.path());
        let sent = world.dcmtk("storescu", "OCT", &[option, path.to_str().unwrap()]).await;
        assert!(sent.status.success(), "{syntax}: {}", said(&sent));
        let kept = world.file_of(&object.uid).await;
        assert!(kept.ends_with(&object.data_set), "{syntax}: other bytes");
        let header = kept.len() - object.data_set.len();
        assert_eq!(&kept[128..132], b"DICM");
        assert!(header < 600, "something stands before the data set");
        let held = &world.held(&object.uid).await[0];
        assert_eq!(held.head.transfer_syntax_uid, syntax);
        assert_eq!(held.head.calling_ae, "OCT");
    }
    let link = world.health.links().into_iter().find(|link| link.link == World::link()).unwrap();
    assert_eq!((link.status, link.readings), (LinkStatus::Up, 4));
    assert_eq!((link.driver.as_str(), link.endpoint.as_str()), ("dicom", "OCT"));
}

/// Whatever the class, the syntax and the bytes are; they are not looked at.
#[tokio::test]
async fn unknown_classes_and_private_syntaxes_are_kept_byte_for_byte() {
    let world = World::new().await;
    let noise: Vec<u8> =
        (0..300_001_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cases = [
        ("1.2.840.10008.5.1.4.1.1.2", EXPLICIT, 16_000),
        ("1.3.6.1.4.1.99999.1.2", "1.3.6.1.4.1.99999.5", 1),
        (OPT, "1.2.840.113619.5.2", 30_000),
        (uids::HEIGHT_MAP_SEGMENTATION_STORAGE, IMPLICIT, 7_777),
    ];
    for (index, (class, syntax, chunk)) in cases.into_iter().enumerate() {
        let len = if chunk == 1 { 333 } else { noise.len() };
        let object = Object {
            class: class.into(),
            uid: format!("1.2.3.{index}"),
            syntax: syntax.into(),
            data_set: noise[..len].to_vec(),
        };
        let mut sender = Sender::new(world.port, class, syntax).await;
        assert_eq!(sender.store(&object, chunk).await, 0x0000, "{class}");
        sender.release().await;
        assert!(world.file_of(&object.uid).await.ends_with(&object.data_set), "{class}");
    }
    let unknown = world.until_event("sop_class_unknown").await;
    assert!(unknown.contains("1.2.840.10008.5.1.4.1.1.2,"), "{unknown}");
    assert_eq!(world.documents().await.len(), 2, "one for each unknown class");
}

#[tokio::test]
async fn strangers_are_refused_and_people_are_told_once() {
    let world = World::new().await;
    for _ in 0..2 {
        let refused = world.dcmtk("echoscu", "STRANGER", &[]).await;
        assert!(!refused.status.success());
        assert!(said(&refused).contains("Calling AE Title Not Recognized"), "{}", said(&refused));
    }
    let detail = world.until_event("imager_refused").await;
    assert!(detail.contains("no imager has the AE title `STRANGER`"), "{detail}");
    assert_eq!(world.documents().await.len(), 1, "told once");
    let called = dcmtk("echoscu", "OCT", world.port, &["-aec", "OTHER"]).await;
    assert!(said(&called).contains("Called AE Title Not Recognized"), "{}", said(&called));
    let state = || world.health.links().remove(0);
    let why = state().detail.expect("a reason");
    assert!(why.contains("calls `OTHER`, but this node is `CHIASM`"), "{why}");
    let echo = world.dcmtk("echoscu", "OCT", &[]).await;
    assert!(echo.status.success(), "{}", said(&echo));
    assert_eq!(state().status, LinkStatus::Up);
}

#[tokio::test]
async fn an_imager_that_calls_from_elsewhere_is_refused() {
    let world = World::with(
        "[[imager]]\nid = \"oct-1\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n\
         peer_ip = \"192.0.2.7\"\n",
    )
    .await;
    let refused = world.dcmtk("echoscu", "OCT", &[]).await;
    assert!(said(&refused).contains("Calling AE Title Not Recognized"), "{}", said(&refused));
    let detail = world.until_event("imager_refused").await;
    assert!(detail.contains("not from its peer_ip"), "{detail}");
}

#[tokio::test]
async fn a_sender_that_dies_leaves_nothing_and_disturbs_nobody() {
    let world = World::new().await;
    let large = Object::with_pixels("1.2.3.1", EXPLICIT, &vec![3; 5_000_000]);
    let mut dying = Sender::new(world.port, OPT, EXPLICIT).await;
    let request = dying.store_request(OPT, &large.uid);
    dying.command(&request, 100).await;
    dying.data(&large.data_set[..3_000_000], 16_000, false).await;
    // Another one in the middle of it.
    let whole = Object::with_pixels("1.2.3.2", EXPLICIT, &vec![5; 3_000_000]);
    let mut other = Sender::new(world.port, OPT, EXPLICIT).await;
    let request = other.store_request(OPT, &whole.uid);
    other.command(&request, 16_000).await;
    other.data(&whole.data_set[..1_000_000], 16_000, false).await;
    drop(dying);
    other.data(&whole.data_set[1_000_000..], 16_000, true).await;
    assert_eq!(other.answer().await.unwrap().u16(STATUS), Some(0));
    other.release().await;
    assert!(world.file_of(&whole.uid).await.ends_with(&whole.data_set));
    assert!(world.held(&large.uid).await.is_empty());
    let incoming = world.dir.path().join("instances/incoming");
    until("the half object to be gone", async || {
        (fs::read_dir(&incoming).unwrap().count() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_path_as_uid_is_declined_and_the_association_goes_on() {
    let world = World::new().await;
    let mut sender = Sender::new(world.port, OPT, EXPLICIT).await;
    for uid in ["../../x", "", "1.2.3/../../../etc/passwd"] {
        let object = Object { uid: uid.into(), ..Object::new("1.2.3.1", EXPLICIT, 1) };
        let request = sender.store_request(OPT, uid);
        sender.command(&request, 4_000).await;
        sender.data(&object.data_set, 4_000, true).await;
        let answer = sender.answer().await.unwrap();
        assert_eq!(answer.u16(STATUS), Some(0xC000));
        assert_eq!(answer.uid(ERROR_COMMENT), "a UID that is none");
    }
    let other_class =
        Object { class: "1.2.840.10008.5.1.4.1.1.7".into(), ..Object::new("1.2.9", EXPLICIT, 1) };
    assert_eq!(sender.store(&other_class, 4_000).await, 0xA900);
    let empty = Object { data_set: vec![1], ..Object::new("1.2.8", EXPLICIT, 1) };
    assert_eq!(sender.store(&empty, 4_000).await, 0x0000, "bytes are not judged");
    assert_eq!(sender.store(&Object::new("1.2.3.1", EXPLICIT, 1), 4_000).await, 0x0000);
    sender.release().await;
    let inside: Vec<_> = fs::read_dir(world.dir.path()).unwrap().collect();
    assert!(inside.len() <= 4, "{inside:?}");
}

#[tokio::test]
async fn one_uid_with_two_contents_is_kept_twice_and_told() {
    let world = World::new().await;
    let mut sender = Sender::new(world.port, OPT, EXPLICIT).await;
    let (first, second) =
        (Object::new("1.2.3.1", EXPLICIT, 1), Object::new("1.2.3.1", EXPLICIT, 2));
    for object in [&first, &first, &second] {
        assert_eq!(sender.store(object, 16_000).await, 0x0000);
    }
    assert_eq!(world.held("1.2.3.1").await.len(), 2);
    world.until_event("instance_contradicts").await;
}

/// Nothing that a stranger, or a broken imager, writes to the port hurts the others.
#[tokio::test]
async fn hostile_bytes_end_their_own_connection_only() {
    let world = World::new().await;
    let mut good = Sender::new(world.port, OPT, EXPLICIT).await;
    let request = [b"\x01\x00\x00\x00\x00\x4a\x00\x01\x00\x00".to_vec(), vec![b' '; 64]].concat();
    let hostile: [&[u8]; 9] = [
        b"\x01\x00\xff\xff\xff\xff",
        b"\x04\x00\xff\xff\xff\xff",
        b"\x04\x00\x00\x00\x00\x06\xff\xff\xff\xff\x01\x03",
        b"\x04\x00\x00\x00\x00\x00",
        b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &request,
        b"",
    ];
    for bytes in hostile {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
        let _ = read.await.expect("the node closes");
    }
    // The same inside an association: a fragment that is longer than its unit.
    let mut random = 0x9e37_79b9_u32;
    for round in 0..30 {
        let mut stream = TcpStream::connect(("127.0.0.1", world.port)).await.unwrap();
        let mut bytes = association_request();
        for _ in 0..400 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((random >> 24) as u8);
        }
        if round % 2 == 0 {
            let at = 6 + random as usize % (bytes.len() - 6);
            bytes[at] ^= 0x55;
        }
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
        let _ = read.await.expect("the node closes");
    }
    assert_eq!(good.store(&Object::new("1.2.3.1", EXPLICIT, 1), 16_000).await, 0x0000);
    good.release().await;
    assert_eq!(world.instances.counts().await.unwrap().waiting, 1);
}

fn association_request() -> Vec<u8> {
    use dicom_ul::pdu::{
        AssociationRQ, Pdu, PresentationContextProposed, UserVariableItem, write_pdu,
    };
    let request = AssociationRQ {
        protocol_version: 1,
        calling_ae_title: "OCT".into(),
        called_ae_title: "CHIASM".into(),
        application_context_name: "1.2.840.10008.3.1.1.1".into(),
        presentation_contexts: vec![PresentationContextProposed {
            id: 1,
            abstract_syntax: OPT.into(),
            transfer_syntaxes: vec![EXPLICIT.into()],
        }],
        user_variables: vec![UserVariableItem::MaxLength(16_384)],
    };
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, &Pdu::AssociationRQ(request)).unwrap();
    bytes
}

#[tokio::test]
async fn many_at_once_are_served_and_more_are_told_to_come_again() {
    use chiasm_gateway::dicom::ASSOCIATIONS_MAX;
    let world = World::new().await;
    let mut senders = Vec::new();
    for _ in 0..ASSOCIATIONS_MAX {
        senders.push(Sender::new(world.port, OPT, EXPLICIT).await);
    }
    let refused = Sender::calling("OCT", world.port, OPT, EXPLICIT).await.err().unwrap();
    assert!(refused.to_string().contains("rejected"), "{refused}");
    let sends = senders.into_iter().enumerate().map(|(index, mut sender)| async move {
        let object = Object::new(&format!("1.2.3.{index}"), EXPLICIT, 1);
        assert_eq!(sender.store(&object, 1_000).await, 0x0000);
        sender.release().await;
    });
    futures_util::future::join_all(sends).await;
    assert_eq!(world.instances.counts().await.unwrap().waiting, ASSOCIATIONS_MAX as u64);
    until("room again", async || Sender::calling("OCT", world.port, OPT, EXPLICIT).await.ok())
        .await;
}

/// An object of measurements is a reading like that of a serial instrument, once.
#[tokio::test]
async fn an_autorefraction_becomes_one_reading_of_its_lane() {
    let world = World::new().await;
    let session = LaneSessionId(Uuid::from_u128(7));
    world.lanes.lock().unwrap().replace(vec![OpenSession {
        lane: LaneId::new("lane-1").unwrap(),
        session,
        opened_at: jiff::Timestamp::now(),
        idle_timeout_s: 900,
    }]);
    let path = world.dir.path().join("ar.dcm");
    fs::write(&path, fixture("dicom_measurements/01_ar_both_eyes.raw")).unwrap();
    for _ in 0..2 {
        let sent = world.dcmtk("storescu", "OCT", &["-R", path.to_str().unwrap()]).await;
        assert!(sent.status.success(), "{}", said(&sent));
    }
    world.until_followed_up().await;
    let documents = world.documents().await;
    let [Body::Reading(reading)] = &documents[..] else { panic!("{documents:?}") };
    assert_eq!((reading.link.as_str(), reading.lane.as_str()), ("oct-1", "lane-1"));
    assert_eq!(reading.lane_session, Some(session));
    assert_eq!(reading.driver.id, "dicom_measurements");
    assert!(!reading.decoded.measurements.is_empty());
    assert_eq!(world.instances.counts().await.unwrap().waiting, 1, "the object is kept too");
}

/// Killed when the spool has the reading and the mark still stands, the gateway makes it again, and
/// the spool does not take it again; killed before, nothing is forgotten.
#[tokio::test]
async fn a_reading_is_made_once_however_the_gateway_ends() {
    let mut world = World::new().await;
    let path = world.dir.path().join("ar.dcm");
    fs::write(&path, fixture("dicom_measurements/01_ar_both_eyes.raw")).unwrap();
    let sent = world.dcmtk("storescu", "OCT", &["-R", path.to_str().unwrap()]).await;
    assert!(sent.status.success(), "{}", said(&sent));
    world.until_followed_up().await;
    for spool_is_lost in [false, true] {
        let dir = world.kill().await;
        mark_all_again(&dir.path().join("instances/index.sqlite")).await;
        if spool_is_lost {
            fs::remove_dir_all(dir.path().join("spool")).unwrap();
        }
        world = World::in_dir(dir, OCT).await;
        world.until_followed_up().await;
        let readings = world.documents().await;
        let readings = readings.iter().filter(|body| matches!(body, Body::Reading(_))).count();
        assert_eq!(readings, 1, "spool lost: {spool_is_lost}");
    }
}

async fn mark_all_again(index: &Path) {
    use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(index);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let marked = sqlx::query("update instance set follow_up = 1").execute(&mut connection).await;
    assert_eq!(marked.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

/// A real sender that is killed in the middle of a large object.
#[tokio::test]
async fn a_killed_storescu_leaves_nothing_and_sends_again() {
    let world = World::new().await;
    let pixels: Vec<u8> = (0..150_000_000_u32).map(|at| (at / 251) as u8).collect();
    let object = Object::with_pixels("1.2.3.1", EXPLICIT, &pixels);
    let path = object.write(world.dir.path());
    let incoming = world.dir.path().join("instances/incoming");
    let mut sending = tokio::process::Command::new("/usr/bin/storescu")
        // Small units make it slow enough to be hit in the middle.
        .args(["-aet", "OCT", "-aec", "CHIASM", "--max-send-pdu", "4096", "-xe", "127.0.0.1"])
        .arg(world.port.to_string())
        .arg(&path)
        .kill_on_drop(true)
        .spawn()
        .expect("dcmtk is installed (apt-get install dcmtk)");
    until("some of it to be on the disk", async || {
        let partial = fs::read_dir(&incoming).unwrap().next()?.unwrap();
        (partial.metadata().ok()?.len() > 2_000_000).then_some(())
    })
    .await;
    sending.kill().await.unwrap();
    let told = world.until_event("instance_broken_off").await;
    assert!(told.contains("broke off after") && told.contains(OPT), "{told}");
    until("the partial file to be gone", async || {
        (fs::read_dir(&incoming).unwrap().count() == 0).then_some(())
    })
    .await;
    assert_eq!(fs::read_dir(world.dir.path().join("instances/files")).unwrap().count(), 0);
    assert!(world.held(&object.uid).await.is_empty(), "nothing partial is indexed");
    let sent = world.dcmtk("storescu", "OCT", &["-xe", path.to_str().unwrap()]).await;
    assert!(sent.status.success(), "{}", said(&sent));
    assert!(world.file_of(&object.uid).await.ends_with(&object.data_set));
}

/// Readings go before images: the last GiB of the disk is not for them.
#[tokio::test]
async fn an_almost_full_disk_answers_out_of_resources() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let port = free_port();
    let config = dir.path().join("gateway.toml");
    let text = format!(
        "data_dir = \"{}\"\n[dicom]\nlisten = \"127.0.0.1:{port}\"\n\
         [[imager]]\nid = \"oct-1\"\nlane = \"lane-1\"\ncalling_ae = \"OCT\"\n",
        disk.join("data").display()
    );
    fs::write(&config, text).unwrap();
    let _process = start_on_small_disk(&config, &disk);
    until("the node to listen", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    let mut sender = Sender::new(port, OPT, EXPLICIT).await;
    let object = Object::new("1.2.3.1", EXPLICIT, 1);
    assert_eq!(sender.store(&object, 1_000).await, 0xA700);
    // dcmtk understands it too, and the association outlives it.
    let path = object.write(dir.path());
    let sent = dcmtk("storescu", "OCT", port, &["-v", path.to_str().unwrap()]).await;
    assert!(said(&sent).contains("Refused: OutOfResources"), "{}", said(&sent));
    assert_eq!(sender.store(&object, 1_000).await, 0xA700);
    sender.release().await;
}

fn start_on_small_disk(config: &Path, disk: &Path) -> tokio::process::Child {
    let script = "mount -t tmpfs -o size=64m tmpfs \"$1\" && exec \"$2\" --config \"$3\" run";
    tokio::process::Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(disk)
        .arg(env!("CARGO_BIN_EXE_chiasm-gateway"))
        .arg(config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("unshare is installed (apt-get install util-linux)")
}
