//! Where readings go, with real sessions in real databases; and what time does to them.

mod common;

use chiasm_cloud::{
    args, clock,
    domain::placement::{SESSION_IDLE_MAX_US, TRAY_MAX_US},
    fleet::{jobs, reconcile},
    store::Tx,
};
use chiasm_proto::{
    Down, Eye, Hundredths, Lensometry, Measured, Measurement, Topic,
    fleet::{Sessions, SpoolState, State, Status, Telemetry},
};
use common::{
    Cloud, Kind,
    gateway::{Gateway, Seen, enrol, inner, stamp},
};
use jiff::Timestamp;
use uuid::Uuid;

macro_rules! on_both {
    ($($name:ident => $test:ident),+ $(,)?) => {$(
        mod $name {
            use super::common::Kind;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() { super::$test(Kind::Sqlite).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() { super::$test(Kind::Postgres).await }
        }
    )+};
}

on_both! {
    session => a_session_files_and_a_mismatch_is_held,
    duplicate => a_second_print_is_counted,
    no_duplicate => the_same_values_of_others_are_no_second_print,
    late => a_reading_of_a_signed_exam_is_an_addendum,
    time => trays_age_and_idle_sessions_end,
    birth => a_birth_is_answered_and_a_late_will_ignored,
    tenants => a_tenant_sees_nothing_of_another,
}

async fn world(kind: Kind) -> (Cloud, Gateway) {
    let cloud = Cloud::start(kind).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    (cloud, gateway)
}

/// Patient with chart number 4711, on today's schedule, with an open session in lane-1.
async fn open_session(cloud: &Cloud) -> Uuid {
    let session = Uuid::now_v7();
    let now_us = clock::now_us();
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    insert_visit(&mut tx).await;
    tx.execute(
        "INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
             opened_at_us, opened_by) VALUES ('acme', $1, 'lane-1', 'e1', $2, 'test')",
        args![session.to_string(), now_us],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    session
}

async fn insert_visit(tx: &mut Tx) {
    tx.execute(
        "INSERT INTO patient (tenant_id, patient_id, chart_number, family_name, given_name,
             birth_date, created_at_us)
         VALUES ('acme', 'p1', '4711', 'Test', 'Patient', '1961-01-01', 1)",
        args![],
    )
    .await
    .unwrap();
    tx.execute(
        "INSERT INTO encounter (tenant_id, encounter_id, patient_id, location_id, visit_date,
             scheduled_at_us, reason, appointment_key, created_at_us)
         VALUES ('acme', 'e1', 'p1', 'main', '2026-01-01', 1, '', 'a1', 1)",
        args![],
    )
    .await
    .unwrap();
}

async fn place_of(cloud: &Cloud, seq: i64) -> (String, Option<String>) {
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let sql = "SELECT place, encounter_id FROM reading WHERE tenant_id = 'acme' AND seq = $1";
    tx.fetch_one(sql, args![seq]).await.unwrap()
}

async fn a_session_files_and_a_mismatch_is_held(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let session = open_session(&cloud).await;
    for (seq, claimed) in [(1, None), (2, Some("4711")), (3, Some("4712"))] {
        let mut reading = gateway.reading(seq);
        stamp(&mut reading, session, claimed);
        gateway.send(&reading).await;
    }
    let mut elsewhere = gateway.reading(4);
    stamp(&mut elsewhere, Uuid::now_v7(), None);
    gateway.send(&elsewhere).await;
    let mut other_lane = gateway.reading(5);
    inner(&mut other_lane).lane = "lane-2".parse().unwrap();
    gateway.send(&other_lane).await;
    gateway.send(&gateway.reading(6)).await;
    gateway.ack(|ack| ack.upto == 6).await;
    let exam = || ("exam".to_owned(), Some("e1".to_owned()));
    assert_eq!(place_of(&cloud, 1).await, exam());
    assert_eq!(place_of(&cloud, 2).await, exam());
    assert_eq!(place_of(&cloud, 3).await, ("held".into(), None));
    assert_eq!(place_of(&cloud, 4).await, ("tray".into(), None));
    assert_eq!(place_of(&cloud, 5).await, ("tray".into(), None));
    assert_eq!(place_of(&cloud, 6).await, exam(), "covered by the cloud's session");
}

async fn a_second_print_is_counted(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let session = open_session(&cloud).await;
    for seq in 1..=3 {
        let mut reading = gateway.reading(seq);
        stamp(&mut reading, session, None);
        inner(&mut reading).decoded.running_number = None;
        gateway.send(&reading).await;
    }
    gateway.ack(|ack| ack.upto == 3).await;
    assert_eq!(place_of(&cloud, 1).await.0, "exam");
    assert_eq!(place_of(&cloud, 2).await.0, "duplicate");
    assert_eq!(place_of(&cloud, 3).await.0, "duplicate");
    assert_eq!(cloud.count("SELECT sent_count FROM reading WHERE seq = 1").await, 3);
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let accounts = reconcile::accounts(&mut tx, "acme").await.unwrap();
    assert!(accounts[0].balanced, "{accounts:?}");
}

async fn the_same_values_of_others_are_no_second_print(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let same = |gateway: &Gateway, seq, session: Option<Uuid>| {
        let mut reading = gateway.reading(seq);
        inner(&mut reading).decoded.running_number = None;
        inner(&mut reading).lane_session = session.map(chiasm_proto::LaneSessionId);
        reading
    };
    // Nobody knows whose these are: both wait.
    for seq in 1..=2 {
        gateway.send(&same(&gateway, seq, None)).await;
    }
    gateway.ack(|ack| ack.upto == 2).await;
    for seq in 1..=2 {
        assert_eq!(place_of(&cloud, seq).await.0, "tray");
    }
    let session = Some(open_session(&cloud).await);
    gateway.send(&same(&gateway, 3, session)).await;
    gateway.ack(|ack| ack.upto == 3).await;
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    let reject = "UPDATE reading SET acceptance = 'rejected' WHERE tenant_id = 'acme' AND seq = 3";
    tx.execute(reject, args![]).await.unwrap();
    tx.commit().await.unwrap();
    // What was rejected and is measured again is seen; and a clock that is ahead keeps no session.
    let mut again = same(&gateway, 4, session);
    again.time = Timestamp::now() + jiff::SignedDuration::from_hours(1_000);
    inner(&mut again).clock = chiasm_proto::ClockState::Unsynced;
    gateway.send(&again).await;
    gateway.ack(|ack| ack.upto == 4).await;
    assert_eq!(place_of(&cloud, 4).await.0, "exam");
    jobs::age_once(&cloud.core, clock::now_us() + SESSION_IDLE_MAX_US).await.unwrap();
    let open = "SELECT COUNT(*) FROM lane_session WHERE closed_at_us IS NULL";
    assert_eq!(cloud.count(open).await, 0);
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let accounts = reconcile::accounts(&mut tx, "acme").await.unwrap();
    assert!(accounts[0].balanced, "{accounts:?}");
}

/// D7: it joins the exam, and the signer is told.
async fn a_reading_of_a_signed_exam_is_an_addendum(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let session = open_session(&cloud).await;
    let send = async |gateway: &mut Gateway, seq: u64, number: &str| {
        let mut reading = gateway.reading(seq);
        stamp(&mut reading, session, None);
        inner(&mut reading).decoded.running_number = Some(number.into());
        gateway.send(&reading).await;
        gateway.ack(|ack| ack.upto == seq).await;
    };
    send(&mut gateway, 1, "1").await;
    let addenda = "SELECT COUNT(*) FROM addendum WHERE encounter_id = 'e1'";
    assert_eq!(cloud.count(addenda).await, 0);
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    tx.execute(
        "INSERT INTO exam_signature (tenant_id, encounter_id, signed_at_us, signed_by,
             signature_text, snapshot, snapshot_sha256)
         VALUES ('acme', 'e1', $1, 'dr', 'signed', '{}', '')",
        args![clock::now_us()],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    send(&mut gateway, 2, "2").await;
    assert_eq!(place_of(&cloud, 2).await, ("exam".to_owned(), Some("e1".to_owned())));
    assert_eq!(cloud.count(addenda).await, 1);
    let told = "SELECT COUNT(*) FROM notice WHERE account_id = 'dr' AND kind = 'late'";
    assert_eq!(cloud.count(told).await, 1);
    // Sent again, it is filed and told once.
    send(&mut gateway, 2, "2").await;
    assert_eq!(cloud.count(told).await, 1);
    // R25: finished glasses, said to be before the print, are no part of the exam.
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    let say = "UPDATE lane_session SET lens_purpose = $1 WHERE tenant_id = 'acme'";
    tx.execute(say, args![r#"{"kind":"order_check_in","order":"4711"}"#]).await.unwrap();
    tx.commit().await.unwrap();
    let mut reading = gateway.reading(3);
    stamp(&mut reading, session, None);
    let lens = Lensometry { sphere: Some(Hundredths(-100)), ..Lensometry::default() };
    inner(&mut reading).decoded.measurements =
        vec![Measurement::of(Eye::Right, "R", Measured::Lensometry(lens))];
    gateway.send(&reading).await;
    gateway.ack(|ack| ack.upto == 3).await;
    assert_eq!(place_of(&cloud, 3).await.0, "exam");
    assert_eq!((cloud.count(addenda).await, cloud.count(told).await), (1, 1));
}

async fn trays_age_and_idle_sessions_end(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let mut reading = gateway.reading(1);
    inner(&mut reading).lane = "lane-2".parse().unwrap();
    gateway.send(&reading).await;
    gateway.ack(|ack| ack.upto == 1).await;
    open_session(&cloud).await;
    let now_us = clock::now_us();
    jobs::age_once(&cloud.core, now_us + TRAY_MAX_US - 60_000_000).await.unwrap();
    assert_eq!(place_of(&cloud, 1).await.0, "tray");
    for _ in 0..2 {
        jobs::age_once(&cloud.core, now_us + TRAY_MAX_US).await.unwrap();
    }
    assert_eq!(place_of(&cloud, 1).await.0, "inbox");
    assert_eq!(cloud.count("SELECT COUNT(*) FROM reading_version").await, 1);
    let open = "SELECT COUNT(*) FROM lane_session WHERE closed_at_us IS NULL";
    assert_eq!(cloud.count(open).await, 1);
    jobs::age_once(&cloud.core, now_us + SESSION_IDLE_MAX_US).await.unwrap();
    assert_eq!(cloud.count(open).await, 0);
    let sessions = sessions(&mut gateway).await;
    assert!(sessions.sessions.is_empty());
}

async fn sessions(gateway: &mut Gateway) -> Sessions {
    let topic = Topic::down(&gateway.tenant, &gateway.gateway, Down::Session).to_string();
    gateway
        .until(|seen| match seen {
            Seen::Message(on, payload) if on == topic => serde_json::from_slice(&payload).ok(),
            _ => None,
        })
        .await
}

fn state(gateway: &Gateway, session: Uuid, status: Status) -> State {
    let telemetry = Telemetry {
        time: Timestamp::now(),
        software_version: "1".into(),
        started_at: Timestamp::now(),
        clock: chiasm_proto::ClockState::Synced,
        spool: SpoolState {
            epoch: gateway.epoch,
            last_seq: 2,
            depth: 1,
            oldest_at: None,
            quarantined: 0,
        },
        links: vec![],
        disk_free_bytes: None,
        certificate_expires_at: None,
        has_lane_page: false,
    };
    let telemetry = (status == Status::Online).then_some(telemetry);
    State { session, status, detail: None, telemetry }
}

async fn a_birth_is_answered_and_a_late_will_ignored(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let open = open_session(&cloud).await;
    gateway.send(&gateway.reading(2)).await;
    gateway.ack(|ack| ack.upto == 2 && ack.missing == [1]).await;
    let (older, newer) = (Uuid::now_v7(), Uuid::now_v7());
    gateway.send_state(&state(&gateway, older, Status::Online)).await;
    let told = sessions(&mut gateway).await;
    assert_eq!(told.sessions[0].session.0, open);
    gateway.send_state(&state(&gateway, newer, Status::Online)).await;
    gateway.ack(|ack| ack.upto == 2 && ack.missing == [1]).await;
    gateway.send_state(&state(&gateway, older, Status::Lost)).await;
    gateway.send(&gateway.reading(1)).await;
    gateway.ack(|ack| ack.upto == 2 && ack.missing.is_empty()).await;
    let online = "SELECT COUNT(*) FROM gateway WHERE status = 'online'";
    assert_eq!(cloud.count(online).await, 1, "a late will changes nothing");
    gateway.send_state(&state(&gateway, newer, Status::Lost)).await;
    cloud.wait_for("SELECT COUNT(*) FROM gateway WHERE status = 'lost'", 1).await;
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let accounts = reconcile::accounts(&mut tx, "acme").await.unwrap();
    assert!(accounts[0].balanced && accounts[0].spool.is_some(), "{accounts:?}");
}

async fn a_tenant_sees_nothing_of_another(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    gateway.send(&gateway.reading(1)).await;
    gateway.ack(|ack| ack.upto == 1).await;
    let mut tx = cloud.core.db.tenant_read("other").await.unwrap();
    assert!(reconcile::accounts(&mut tx, "other").await.unwrap().is_empty());
    if kind == Kind::Postgres {
        // Row-level security stands behind a query that forgets the tenant.
        let sql = "SELECT COUNT(*) FROM document";
        assert_eq!(tx.fetch_one::<(i64,)>(sql, args![]).await.unwrap(), (0,));
    }
}
