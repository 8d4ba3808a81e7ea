//! What people did at a gateway's page while the cloud could not be reached, carried out on both
//! databases (T12).

mod common;

use chiasm_cloud::{app::audit_chain, args, store::Tx};
use chiasm_proto::{
    Body, ClockState, Deed, Down, Envelope, LaneAct, LaneId, LaneSessionId, ReadingId, Topic,
    fleet::Sessions, lane_page::SessionEnd,
};
use common::{
    Cloud, Kind,
    gateway::{Gateway, Seen, enrol, inner, stamp},
};
use jiff::{SignedDuration, Timestamp};
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
    carried_out => a_session_and_an_acceptance_are_carried_out_in_any_order,
    conflict => two_patients_at_once_are_held,
    gone => a_visit_that_is_gone_holds_its_readings,
    next => the_next_patient_ends_the_session_before,
    assigned => a_reading_of_the_tray_is_assigned_and_accepted,
    stranger => who_may_not_is_refused,
}

async fn world(kind: Kind) -> (Cloud, Gateway) {
    let cloud = Cloud::start(kind).await;
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    insert_people(&mut tx).await;
    tx.commit().await.unwrap();
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    (cloud, gateway)
}

/// Ana, Otto the optician, and the visits e1 and e2 of two patients.
async fn insert_people(tx: &mut Tx) {
    for (account, role) in [("ana", "technician"), ("otto", "optician")] {
        tx.execute(
            "INSERT INTO account (tenant_id, account_id, login, display_name, role, password_hash,
                 created_at_us) VALUES ('acme', $1, $1, $1, $2, '', 1)",
            args![account, role],
        )
        .await
        .unwrap();
    }
    for (number, chart) in [("1", "4711"), ("2", "4712")] {
        tx.execute(
            "INSERT INTO patient (tenant_id, patient_id, chart_number, family_name, given_name,
                 birth_date, created_at_us)
             VALUES ('acme', $1, $2, 'Test', 'Patient', '1961-01-01', 1)",
            args![format!("p{number}"), chart],
        )
        .await
        .unwrap();
        tx.execute(
            "INSERT INTO encounter (tenant_id, encounter_id, patient_id, location_id, visit_date,
                 scheduled_at_us, reason, appointment_key, created_at_us, accession)
             VALUES ('acme', $1, $2, 'main', '2026-01-01', 1, '', $1, 1, $3)",
            args![format!("e{number}"), format!("p{number}"), format!("ACCESSION{number}")],
        )
        .await
        .unwrap();
    }
}

/// Seconds before now.
fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(seconds)
}

fn act(gateway: &Gateway, seq: u64, time: Timestamp, account: &str, deed: Deed) -> Envelope {
    let lane = LaneId::new("lane-1").unwrap();
    let act = LaneAct { lane, account: account.into(), clock: ClockState::Synced, deed };
    Envelope::new(
        (&gateway.tenant, &gateway.gateway),
        (gateway.epoch, seq),
        ReadingId(Uuid::now_v7()),
        time,
        Body::LaneAct(act),
    )
}

fn opened(session: Uuid, accession: &str, ends: Option<Uuid>) -> Deed {
    let (session, ends) = (LaneSessionId(session), ends.map(LaneSessionId));
    Deed::SessionOpened { session, accession: accession.into(), ends }
}

fn accepted(reading: &Envelope) -> Deed {
    Deed::ReadingAccepted { reading: reading.id, accession: "ACCESSION1".into() }
}

fn stamped(gateway: &Gateway, seq: u64, session: Uuid, time: Timestamp) -> Envelope {
    let mut reading = gateway.reading(seq);
    stamp(&mut reading, session, None);
    Envelope { time, ..reading }
}

/// A session that the cloud had opened itself.
async fn open_in_the_cloud(cloud: &Cloud, encounter: &str, at: Timestamp) -> Uuid {
    let session = Uuid::now_v7();
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    tx.execute(
        "INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
             opened_at_us, opened_by) VALUES ('acme', $1, 'lane-1', $2, $3, 'ana')",
        args![session.to_string(), encounter, at.as_microsecond()],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    session
}

type Place = (String, String, Option<String>, String);

/// Place, reason, exam and acceptance.
async fn place_of(cloud: &Cloud, reading: &Envelope) -> Place {
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let sql = "SELECT place, reason, encounter_id, acceptance FROM reading
        WHERE tenant_id = 'acme' AND reading_id = $1";
    tx.fetch_one(sql, args![reading.id.to_string()]).await.unwrap()
}

async fn settled(cloud: &Cloud, acts: i64) {
    cloud.wait_for("SELECT COUNT(*) FROM lane_act WHERE state <> 'waiting'", acts).await;
}

/// The next word of the cloud on who is in which lane that satisfies a condition.
async fn sessions(gateway: &mut Gateway, mut is_it: impl FnMut(&Sessions) -> bool) -> Sessions {
    let topic = Topic::down(&gateway.tenant, &gateway.gateway, Down::Session).to_string();
    gateway
        .until(|seen| match seen {
            Seen::Message(on, payload) if on == topic => {
                let sessions: Sessions = serde_json::from_slice(&payload).unwrap();
                is_it(&sessions).then_some(sessions)
            }
            _ => None,
        })
        .await
}

/// The audit's chain holds, and has an entry of this action in this name.
async fn is_audited(cloud: &Cloud, action: &str, account: &str) {
    let checked = audit_chain::verify(&cloud.core.db, "acme", None).await.unwrap();
    assert_eq!(checked.broken, None);
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let sql = "SELECT COUNT(*) FROM audit_entry WHERE action = $1 AND account_id = $2";
    let (count,): (i64,) = tx.fetch_one(sql, args![action, account]).await.unwrap();
    assert!(count > 0, "no {action} by {account}");
}

async fn a_session_and_an_acceptance_are_carried_out_in_any_order(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let session = Uuid::now_v7();
    let opening = act(&gateway, 1, ago(300), "ana", opened(session, "ACCESSION1", None));
    let early = stamped(&gateway, 2, session, ago(200));
    let accept = act(&gateway, 3, ago(100), "ana", accepted(&early));
    let late = stamped(&gateway, 4, session, ago(50));
    // Live ones come before the backlog.
    for document in [&accept, &early] {
        gateway.send(document).await;
    }
    gateway.ack(|ack| ack.upto == 3 && ack.missing == [1]).await;
    assert_eq!(place_of(&cloud, &early).await.0, "tray", "its session is not known yet");
    gateway.send(&opening).await;
    let told = sessions(&mut gateway, |told| !told.sessions.is_empty()).await;
    assert_eq!(told.sessions[0].session, LaneSessionId(session), "it goes on in the cloud");
    assert_eq!(told.sessions[0].opened_at.as_microsecond(), opening.time.as_microsecond());
    assert_eq!(told.heard[0].act, opening.id);
    settled(&cloud, 2).await;
    gateway.send(&late).await;
    gateway.ack(|ack| ack.upto == 4 && ack.missing.is_empty()).await;
    let (place, _, exam, acceptance) = place_of(&cloud, &early).await;
    assert_eq!((place.as_str(), exam.as_deref()), ("exam", Some("e1")));
    assert_eq!(acceptance, "accepted");
    let (place, _, exam, acceptance) = place_of(&cloud, &late).await;
    assert_eq!((place.as_str(), exam.as_deref()), ("exam", Some("e1")));
    assert_eq!(acceptance, "pending");
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let sql = "SELECT accepted_by, accepted_at_us FROM reading WHERE reading_id = $1";
    let by: (Option<String>, Option<i64>) =
        tx.fetch_one(sql, args![early.id.to_string()]).await.unwrap();
    assert_eq!(by, (Some("ana".into()), Some(accept.time.as_microsecond())));
    drop(tx);
    for action in ["lane_session_opened", "reading_placed", "reading_accepted"] {
        is_audited(&cloud, action, "ana").await;
    }
    // A replay of the whole spool changes nothing.
    for document in [&opening, &early, &accept, &late] {
        gateway.send(document).await;
    }
    gateway.ack(|ack| ack.upto == 4).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM lane_act").await, 2);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM lane_session").await, 1);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM reading").await, 2);
}

async fn two_patients_at_once_are_held(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let theirs = open_in_the_cloud(&cloud, "e2", ago(200)).await;
    let session = Uuid::now_v7();
    let opening = act(&gateway, 1, ago(300), "ana", opened(session, "ACCESSION1", None));
    let before = stamped(&gateway, 2, session, ago(250));
    let during = stamped(&gateway, 3, session, ago(100));
    let accept = act(&gateway, 4, ago(50), "ana", accepted(&during));
    for document in [&opening, &before, &during, &accept] {
        gateway.send(document).await;
    }
    let told = sessions(&mut gateway, |told| !told.heard.is_empty()).await;
    let open: Vec<_> = told.sessions.iter().map(|it| it.session).collect();
    assert_eq!(open, [LaneSessionId(theirs)], "the cloud's word counts from now on");
    settled(&cloud, 2).await;
    cloud.wait_for("SELECT COUNT(*) FROM reading WHERE place = 'exam'", 1).await;
    assert_eq!(place_of(&cloud, &before).await.2.as_deref(), Some("e1"));
    let (place, reason, exam, acceptance) = place_of(&cloud, &during).await;
    assert_eq!((place.as_str(), exam, acceptance.as_str()), ("held", None, "pending"));
    assert!(reason.contains("one patient at the gateway's page and another one"), "{reason}");
    is_audited(&cloud, "lane_act_refused", "ana").await;
}

async fn a_visit_that_is_gone_holds_its_readings(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let session = Uuid::now_v7();
    let opening = act(&gateway, 1, ago(300), "ana", opened(session, "NOTTHERE11", None));
    let first = stamped(&gateway, 2, session, ago(250));
    gateway.send(&first).await;
    gateway.send(&opening).await;
    let told = sessions(&mut gateway, |told| !told.heard.is_empty()).await;
    assert_eq!((told.sessions.len(), told.heard[0].act), (0, opening.id));
    let second = stamped(&gateway, 3, session, ago(100));
    gateway.send(&second).await;
    gateway.ack(|ack| ack.upto == 3 && ack.missing.is_empty()).await;
    cloud.wait_for("SELECT COUNT(*) FROM reading WHERE place = 'held'", 2).await;
    for reading in [&first, &second] {
        let (_, reason, exam, _) = place_of(&cloud, reading).await;
        assert!(reason.contains("not in the record any more"), "{reason}");
        assert_eq!(exam, None);
    }
}

async fn the_next_patient_ends_the_session_before(kind: Kind) {
    let (cloud, mut gateway) = world(kind).await;
    let before = open_in_the_cloud(&cloud, "e2", ago(600)).await;
    let session = Uuid::now_v7();
    let at = ago(300);
    let opening = act(&gateway, 1, at, "ana", opened(session, "ACCESSION1", Some(before)));
    let reading = stamped(&gateway, 2, session, ago(250));
    let why = SessionEnd::Person;
    let ending = Deed::SessionEnded { session: LaneSessionId(session), why };
    let ending = act(&gateway, 3, ago(200), "ana", ending);
    let mut after = Envelope { time: ago(100), ..gateway.reading(4) };
    inner(&mut after).is_lane_empty = true;
    for document in [&opening, &reading, &ending, &after] {
        gateway.send(document).await;
    }
    let told = sessions(&mut gateway, |told| told.heard.iter().any(|it| it.act == ending.id)).await;
    assert_eq!(told.sessions, [], "nobody is in the lane");
    settled(&cloud, 2).await;
    assert_eq!(place_of(&cloud, &reading).await.2.as_deref(), Some("e1"));
    assert_eq!(place_of(&cloud, &after).await.0, "tray", "after the end it is nobody's");
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let sql = "SELECT closed_at_us, closed_by, close_reason FROM lane_session
        WHERE lane_session_id = $1";
    let end: (Option<i64>, Option<String>, Option<String>) =
        tx.fetch_one(sql, args![before.to_string()]).await.unwrap();
    let expected = (Some(at.as_microsecond()), Some("ana".into()), Some("next patient".into()));
    assert_eq!(end, expected);
}

async fn a_reading_of_the_tray_is_assigned_and_accepted(kind: Kind) {
    let (cloud, gateway) = world(kind).await;
    let reading = Envelope { time: ago(300), ..gateway.reading(1) };
    let assigned = Deed::ReadingAssigned { reading: reading.id, accession: "ACCESSION1".into() };
    let assigned = act(&gateway, 2, ago(200), "ana", assigned);
    let accept = act(&gateway, 3, ago(190), "ana", accepted(&reading));
    for document in [&reading, &assigned, &accept] {
        gateway.send(document).await;
    }
    settled(&cloud, 2).await;
    let (place, reason, exam, acceptance) = place_of(&cloud, &reading).await;
    assert_eq!((place.as_str(), exam.as_deref()), ("exam", Some("e1")), "{reason}");
    assert_eq!(acceptance, "accepted");
}

async fn who_may_not_is_refused(kind: Kind) {
    let (cloud, gateway) = world(kind).await;
    for (seq, account) in [(1, "otto"), (2, "nobody")] {
        let opening = opened(Uuid::now_v7(), "ACCESSION1", None);
        gateway.send(&act(&gateway, seq, ago(100), account, opening)).await;
    }
    cloud.wait_for("SELECT COUNT(*) FROM lane_act WHERE state = 'refused'", 2).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM lane_session").await, 0);
}
