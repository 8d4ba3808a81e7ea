//! DICOM instances from gateways: over real TLS into real databases and a real folder.

mod common;
#[path = "world/dicom.rs"]
mod dicom;
#[path = "common/imager.rs"]
mod imager;

use chiasm_cloud::{
    app::{
        assign::Choice,
        assign_images, import_schedule,
        principal::{Principal, Role},
        work::Work,
    },
    args, clock,
    fleet::jobs,
    imaging::archive::Archive,
    store::{
        encounter::{self, Encounter},
        fleet, instance,
        instance::InstanceRow,
        signature,
    },
};
use chiasm_proto::{
    Down, InstanceStatus, ProcedureStep, ProcedureStepStatus, Sha256, Topic, Worklist,
    instance::PART_LEN_MAX,
};
use common::{
    Cloud, Kind,
    gateway::{Gateway, Seen, credentials, enrol},
};
use imager::{Object, Sender, offer};
use object_store::ObjectStoreExt;
use uuid::Uuid;

macro_rules! on_both {
    ($($name:ident => $test:ident),+ $(,)?) => {$(
        mod $name {
            use super::common::Kind;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() { super::$test(Kind::Sqlite).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() { super::$test(Kind::Postgres).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn bucket() { super::$test(Kind::Bucket).await }
        }
    )+};
}

on_both! {
    parts => parts_become_one_filed_instance,
    restart => an_upload_goes_on_after_a_restart,
    abandoned => an_upload_that_nobody_continues_is_thrown_away,
    damage => what_was_not_offered_is_not_filed,
    strangers => only_a_gateway_that_is_let_in_sends,
    places => instances_go_where_the_data_says,
    unreadable => what_cannot_be_read_is_kept,
    contradiction => the_same_uid_with_other_content_is_held,
    late => d7_a_late_series_is_one_addendum,
    people => people_decide_what_waits,
    worklist => gateways_are_told_the_schedule,
}

struct Clinic {
    cloud: Cloud,
    sender: Sender,
    visits: Vec<Encounter>,
}

fn who(role: Role) -> Principal {
    Principal {
        tenant: "acme".into(),
        account: format!("acme-{}", role.as_str()),
        name: "Ana".into(),
        role,
        csrf_token: String::new(),
        address: String::new(),
        must_change_password: false,
        token_sha256: String::new(),
    }
}

/// Two patients on today's schedule of `main`, and an enrolled gateway.
async fn clinic(kind: Kind) -> Clinic {
    let cloud = Cloud::start(kind).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let sender = Sender::new(&cloud, &credentials);
    let visits = schedule(&cloud).await;
    Clinic { cloud, sender, visits }
}

async fn schedule(cloud: &Cloud) -> Vec<Encounter> {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let today = jiff::Timestamp::now().to_zoned(zone).date().to_string();
    let csv = format!(
        "appointment_key,location,scheduled_at,chart_number,family_name,given_name,birth_date,\
         reason\n1,main,{today}T09:00,4711,Weber,Eva,1961-03-04,Annual\n\
         2,main,{today}T09:30,4712,Weber,Eva,1948-12-30,Cataract\n"
    );
    let mut work = work(cloud, Role::ClinicIt).await;
    let imported = import_schedule::import(&mut work, &csv).await.unwrap();
    assert_eq!((imported.appointments_added, imported.faults.len()), (2, 0));
    work.commit().await.unwrap();
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    encounter::of_day(&mut tx, "acme", "main", &today).await.unwrap()
}

async fn work(cloud: &Cloud, role: Role) -> Work {
    Work::begin(&cloud.core, &who(role), clock::now_us()).await.unwrap()
}

impl Clinic {
    async fn row(&self, file: &[u8]) -> InstanceRow {
        let mut tx = self.cloud.core.db.tenant_read("acme").await.unwrap();
        let sha256 = Sha256::of(file).to_string();
        let id = instance::id_of_content(&mut tx, "acme", &sha256).await.unwrap();
        let id = id.expect("it is filed");
        instance::by_id(&mut tx, "acme", &id).await.unwrap().unwrap()
    }
    async fn filed(&self, file: &[u8]) -> InstanceRow {
        self.sender.filed(&offer(file), file).await;
        self.row(file).await
    }
    fn study_of(&self, at: usize) -> String {
        let id: Uuid = self.visits[at].encounter_id.parse().unwrap();
        format!("2.25.{}", id.as_u128())
    }
}

/// What the archive has under a key.
async fn stored(cloud: &Cloud, key: &str) -> Vec<u8> {
    let got = cloud.core.archive.store().unwrap().get(&key.into()).await.unwrap();
    got.bytes().await.unwrap().into()
}

/// Now, as an imager in the clinic writes it.
fn now_there() -> String {
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    jiff::Timestamp::now().to_zoned(zone).strftime("%Y%m%d%H%M%S").to_string()
}

async fn parts_become_one_filed_instance(kind: Kind) {
    let clinic = clinic(kind).await;
    let file = Object { study: &clinic.study_of(0), ..Object::default() }.file();
    let it = offer(&file);
    let (status, progress) = clinic.sender.offer(&it).await;
    let progress = progress.unwrap();
    assert_eq!((status, progress.status, progress.offset), (200, InstanceStatus::Incomplete, 0));
    let (_, progress) = clinic.sender.send(&it, &file, 300).await;
    assert_eq!(progress.unwrap().status, InstanceStatus::Filed);
    let row = clinic.row(&file).await;
    assert_eq!(row.place, "exam", "{}", row.reason);
    assert_eq!(row.encounter_id.as_ref(), Some(&clinic.visits[0].encounter_id));
    assert_eq!((row.eye.as_str(), row.frames, row.modality.as_str()), ("R", 4, "OPT"));
    assert!(stored(&clinic.cloud, &row.object_key).await == file, "not a byte is different");
    // Again, as after an answer that was lost; and under another name.
    let (_, again) = clinic.sender.send(&it, &file, 300).await;
    assert_eq!(again.unwrap().status, InstanceStatus::Filed);
    let cloud = &clinic.cloud;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 1);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance_upload").await, 0);
    let audited = "SELECT COUNT(*) FROM audit_entry WHERE action = 'image_filed'
        AND patient_id IS NOT NULL";
    assert_eq!(cloud.count(audited).await, 1);
    let told = "SELECT COUNT(*) FROM live_event WHERE kind = 'image_filed'";
    assert_eq!(cloud.count(told).await, 1);
}

async fn an_upload_goes_on_after_a_restart(kind: Kind) {
    let Clinic { cloud, sender, .. } = clinic(kind).await;
    let file = Object::default().file();
    let it = offer(&file);
    sender.offer(&it).await;
    let half = file.len() / 2;
    let (_, progress) = sender.part(it.sha256, 0, &file[..half]).await;
    assert_eq!(progress.unwrap().offset, half as u64);
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    cloud.running.stop().await;
    let cloud = Cloud::start_on(cloud.store, "127.0.0.1:0", "").await;
    let sender = Sender::new(&cloud, &credentials);
    // Not from the beginning: the cloud says where.
    let (_, progress) = sender.part(it.sha256, 0, &file[..half]).await;
    let progress = progress.unwrap();
    assert_eq!((progress.status, progress.offset), (InstanceStatus::Incomplete, half as u64));
    let (_, progress) = sender.part(it.sha256, half as u64, &file[half..]).await;
    assert_eq!(progress.unwrap().status, InstanceStatus::Filed);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 1);

    // Killed when everything was there, and again when it was moved but not committed.
    for is_moved in [false, true] {
        let object =
            Object { sop: if is_moved { "1.2.3.8" } else { "1.2.3.9" }, ..Object::default() };
        let file = object.file();
        let it = offer(&file);
        sender.offer(&it).await;
        let path = cloud.core.archive.incoming("acme", &it.sha256).await.unwrap();
        std::fs::write(path, &file).unwrap();
        if is_moved {
            cloud.core.archive.take_in("acme", &it.sha256).await.unwrap();
        }
        let (_, progress) = sender.offer(&it).await;
        assert_eq!(progress.unwrap().status, InstanceStatus::Filed, "moved: {is_moved}");
    }
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 3);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance_upload").await, 0);
}

async fn an_upload_that_nobody_continues_is_thrown_away(kind: Kind) {
    let Clinic { cloud, sender, .. } = clinic(kind).await;
    let file = Object::default().file();
    let it = offer(&file);
    sender.offer(&it).await;
    sender.part(it.sha256, 0, &file[..200]).await;
    let path = cloud.core.archive.incoming("acme", &it.sha256).await.unwrap();
    let now_us = clock::now_us();
    jobs::prune_once(&cloud.core, now_us + jobs::UPLOADS_KEPT_US - 60_000_000).await.unwrap();
    assert!(path.exists(), "it is not old enough");
    jobs::prune_once(&cloud.core, now_us + jobs::UPLOADS_KEPT_US + 60_000_000).await.unwrap();
    assert!(!path.exists());
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance_upload").await, 0);
    // A gateway that comes late all the same begins anew.
    assert_eq!(sender.part(it.sha256, 200, &file[200..]).await.0, 404);
    sender.filed(&it, &file).await;
}

async fn what_was_not_offered_is_not_filed(kind: Kind) {
    let Clinic { cloud, sender, .. } = clinic(kind).await;
    let file = Object::default().file();
    let mut forged = offer(&file);
    forged.sha256 = Sha256::of(b"something else");
    let (_, progress) = sender.send(&forged, &file, 100_000).await;
    assert_eq!(progress.unwrap().status, InstanceStatus::Damaged);
    let path = cloud.core.archive.incoming("acme", &forged.sha256).await.unwrap();
    assert!(!path.exists(), "nothing is left of it");
    // Too short: the length was a lie.
    let mut longer = offer(&file);
    longer.len_bytes += 10;
    let (_, progress) = sender.send(&longer, &file, 100_000).await;
    assert!(progress.is_none_or(|it| it.status != InstanceStatus::Filed));

    let other = Object { sop: "1.2.3.5", ..Object::default() }.file();
    let it = offer(&other);
    assert_eq!(sender.part(it.sha256, 0, &other).await.0, 404, "it was not offered");
    sender.offer(&it).await;
    let wrong = Sha256::of(b"wrong");
    let at_zero = |answer: imager::Answer| {
        let progress = answer.1.unwrap();
        assert_eq!((progress.status, progress.offset), (InstanceStatus::Incomplete, 0));
        assert!(progress.detail.is_some());
    };
    at_zero(sender.part_as(it.sha256, 0, &other, wrong).await);
    at_zero(sender.part(it.sha256, 7, &other).await);
    at_zero(sender.part(it.sha256, u64::MAX, &other).await);
    let mut long = other.clone();
    long.push(0);
    assert_eq!(sender.part(it.sha256, 0, &long).await.0, 413, "more than was offered");
    let status = sender.part(it.sha256, 0, &vec![0; PART_LEN_MAX + 1]).await.0;
    assert!(status == 413 || status == 0, "no part is so long: {status}");
    let mut endless = it.clone();
    endless.len_bytes = u64::MAX;
    assert_eq!(sender.offer(&endless).await.0, 413);
    endless.len_bytes = 0;
    assert_eq!(sender.offer(&endless).await.0, 413);
    // And after all of it the right one.
    sender.filed(&it, &other).await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 1);
    // No more than so many at once.
    for at in 0..64 {
        let mut it = it.clone();
        it.sha256 = Sha256::of(&[at]);
        let status = sender.offer(&it).await.0;
        assert_eq!(status, if at < 62 { 200 } else { 429 }, "two are begun already: {at}");
    }
}

async fn only_a_gateway_that_is_let_in_sends(kind: Kind) {
    let Clinic { cloud, sender, .. } = clinic(kind).await;
    let file = Object::default().file();
    let it = offer(&file);
    sender.offer(&it).await;
    let (_, begun) = sender.part(it.sha256, 0, &file[..100]).await;
    assert_eq!(begun.unwrap().offset, 100);
    // Another gateway of the practice does not go on with it in its own name.
    let colleague = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-2").await);
    assert_eq!(colleague.part(it.sha256, 100, &file[100..]).await.0, 404);
    assert_eq!(sender.offer(&it).await.1.unwrap().offset, 100);
    // Another practice's gateway sees nothing of it and files its own.
    let theirs = enrol(&cloud, "other", "gw-1").await;
    let them = Sender::new(&cloud, &theirs);
    assert_eq!(them.part(it.sha256, 100, &file[100..]).await.0, 404);
    them.filed(&it, &file).await;
    assert_eq!(sender.offer(&it).await.1.unwrap().offset, 100);
    let of_other = "SELECT COUNT(*) FROM instance WHERE tenant_id = 'other'";
    assert_eq!(cloud.count(of_other).await, 1);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance").await, 1);
    // No certificate; one of our authority for nobody who is enrolled; one of another authority.
    let mut roots = rustls::RootCertStore::empty();
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    let pem = cloud.authority.certificate_pem().as_bytes();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let bare = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    assert_eq!(Sender::with(&cloud, bare).offer(&it).await.0, 401);
    let (unknown, _) = credentials(&cloud.authority, "acme", "gw-9");
    assert_eq!(Sender::new(&cloud, &unknown).offer(&it).await.0, 403);
    let elsewhere = tempfile::tempdir().unwrap();
    let authority = chiasm_cloud::pki::Authority::load_or_make(elsewhere.path()).unwrap();
    let (mut forged, _) = credentials(&authority, "acme", "gw-1");
    forged.authority = cloud.authority.certificate_pem().to_owned();
    assert!(Sender::new(&cloud, &forged).try_offer(&it).await.is_err(), "TLS refuses it");
    // Revoked in the middle.
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    assert!(fleet::revoke_gateway(&mut tx, "acme", "gw-1", 5).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(sender.part(it.sha256, 100, &file[100..]).await.0, 403);
    assert_eq!(sender.offer(&it).await.0, 403);
    let noted = "SELECT COUNT(*) FROM refusal WHERE action = 'upload' AND tenant_id = 'acme'";
    assert_eq!(cloud.count(noted).await, 2, "the unknown one and the revoked one");
}

async fn instances_go_where_the_data_says(kind: Kind) {
    let clinic = clinic(kind).await;
    let study = clinic.study_of(0);
    let accession = clinic.visits[1].accession.clone().unwrap();
    let now = now_there();
    let object = |study, sop, (patient_id, birth_date, accession)| Object {
        study,
        sop,
        patient_id,
        birth_date,
        accession,
        ..Object::default()
    };
    let (first, second) =
        (Some(&clinic.visits[0].encounter_id), Some(&clinic.visits[1].encounter_id));
    let today = |it| Object { acquired: &now, ..it };
    let cases = [
        ("our study UID", object(&study, "1.1", ("4711", "19610304", "")), "exam", first),
        ("our accession", object("1.9.2", "1.2", ("", "", &accession)), "exam", second),
        ("both, of two visits", object(&study, "1.3", ("", "", &accession)), "held", None),
        ("the id was edited", object(&study, "1.4", ("4712", "", "")), "held", None),
        ("an id of another day", object("1.9.5", "1.5", ("4711", "19610304", "")), "inbox", None),
        ("the name alone", object("1.9.6", "1.6", ("", "", "")), "inbox", None),
        (
            "id and birth date of today",
            today(object("1.9.7", "1.7", ("4712", "19481230", ""))),
            "exam",
            second,
        ),
        (
            "the birth date of somebody else",
            today(object("1.9.8", "1.8", ("4712", "19610304", ""))),
            "held",
            None,
        ),
        // Names the patient not at all, but its study is filed by an identifier of ours.
        ("the rest of a study", object("1.9.7", "1.10", ("4712", "19481230", "")), "exam", second),
    ];
    for (name, object, place, encounter) in cases {
        let row = clinic.filed(&object.file()).await;
        assert_eq!(row.place, place, "{name}: {}", row.reason);
        assert_eq!(row.encounter_id.as_ref(), encounter, "{name}: {}", row.reason);
    }
    sessions(&clinic).await;
}

/// The lane's session says whose it is, if it was open when the image was acquired.
async fn sessions(clinic: &Clinic) {
    let session = Uuid::now_v7();
    let mut tx = clinic.cloud.core.db.tenant("acme").await.unwrap();
    let sql = "INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
            opened_at_us, opened_by) VALUES ('acme', $1, 'lane-1', $2, $3, 'test')";
    let encounter = clinic.visits[0].encounter_id.as_str();
    let opened_us = clock::now_us() - 60_000_000;
    tx.execute(sql, args![session.to_string(), encounter, opened_us]).await.unwrap();
    tx.commit().await.unwrap();
    let now = now_there();
    for (sop, id, acquired, place) in [
        ("3.1", "", now.as_str(), "exam"),
        ("3.2", "4711", &now, "exam"),
        ("3.3", "4712", &now, "held"),
        // It was acquired long before: who sits there now says nothing.
        ("3.4", "", "20200101100000", "inbox"),
    ] {
        let study = format!("4.{sop}");
        let object = Object { study: &study, sop, patient_id: id, acquired, ..Object::default() };
        let file = object.file();
        let mut it = offer(&file);
        it.lane_session = Some(chiasm_proto::LaneSessionId(session));
        clinic.sender.filed(&it, &file).await;
        let row = clinic.row(&file).await;
        assert_eq!(row.place, place, "{sop}: {}", row.reason);
    }
}

async fn what_cannot_be_read_is_kept(kind: Kind) {
    let clinic = clinic(kind).await;
    let good = Object::default();
    let cut = good.file()[..200].to_vec();
    let garbage = b"this is no DICOM file at all".to_vec();
    let path = good.set().text(0x0008_0018, "UI", "../../x").file(dicom::EXPLICIT);
    let no_study = good.set().without(0x0020_000D).file(dicom::EXPLICIT);
    for (name, file) in
        [("garbage", garbage), ("cut", cut), ("a path as UID", path), ("no study", no_study)]
    {
        let mut it = offer(&file);
        it.sop_instance_uid = "../../../etc/passwd".into();
        clinic.sender.filed(&it, &file).await;
        let row = clinic.row(&file).await;
        assert_eq!(row.place, "quarantined", "{name}: {}", row.reason);
        assert!(row.reason.contains("cannot be read"), "{name}: {}", row.reason);
        let key = Archive::key("acme", &it.sha256).to_string();
        assert_eq!(row.object_key, key, "no UID stands in a path");
        assert_eq!(stored(&clinic.cloud, &key).await, file);
    }
    assert_eq!(clinic.filed(&good.file()).await.place, "inbox", "the next one is not disturbed");
}

async fn the_same_uid_with_other_content_is_held(kind: Kind) {
    let clinic = clinic(kind).await;
    let study = clinic.study_of(0);
    let first = Object { study: &study, ..Object::default() };
    let second = Object { pixel: 9, ..first.clone() };
    let first = clinic.filed(&first.file()).await;
    let second = clinic.filed(&second.file()).await;
    assert_eq!((first.place.as_str(), second.place.as_str()), ("exam", "held"));
    assert_eq!(second.contradicts, Some(first.instance_id));
    let file = Object { study: &study, sop: "1.2.99", ..Object::default() }.file();
    let mut it = offer(&file);
    it.contradicts_earlier = true;
    clinic.sender.filed(&it, &file).await;
    assert_eq!(clinic.row(&file).await.place, "held", "the gateway has seen another one");
}

async fn sign(clinic: &Clinic, at: usize) {
    let mut tx = clinic.cloud.core.db.tenant("acme").await.unwrap();
    let signed = signature::Signature {
        encounter_id: clinic.visits[at].encounter_id.clone(),
        signed_at_us: clock::now_us(),
        signed_by: "acme-doctor".into(),
        signature_text: "signed".into(),
        snapshot: "{}".into(),
        snapshot_sha256: "0".into(),
    };
    assert!(signature::insert(&mut tx, "acme", &signed).await.unwrap());
    tx.commit().await.unwrap();
}

async fn d7_a_late_series_is_one_addendum(kind: Kind) {
    let clinic = clinic(kind).await;
    let study = clinic.study_of(0);
    let of = |series, sop| Object { study: &study, series, sop, ..Object::default() }.file();
    assert!(!clinic.filed(&of("1.1", "1.1.1")).await.is_late);
    sign(&clinic, 0).await;
    for (series, sop) in [("1.2", "1.2.1"), ("1.2", "1.2.2"), ("1.3", "1.3.1")] {
        let row = clinic.filed(&of(series, sop)).await;
        assert!(row.is_late && row.place == "exam", "{series}");
    }
    let cloud = &clinic.cloud;
    let addenda = "SELECT COUNT(*) FROM addendum WHERE is_automatic AND addendum_text LIKE
        'OCT volume, OD, Testmaker OCT-1: arrived after the signature'";
    assert_eq!(cloud.count(addenda).await, 2, "one for each series");
    let notices = "SELECT COUNT(*) FROM notice WHERE account_id = 'acme-doctor' AND kind = 'late'";
    assert_eq!(cloud.count(notices).await, 2);
}

async fn people_decide_what_waits(kind: Kind) {
    let clinic = clinic(kind).await;
    let cloud = &clinic.cloud;
    let of = |sop, id, born| {
        Object { study: "7.1", sop, patient_id: id, birth_date: born, ..Object::default() }.file()
    };
    let (one, two) = (of("7.1.1", "4711", ""), of("7.1.2", "4711", ""));
    let strange = of("7.1.3", "9", "19000101");
    let row = clinic.filed(&one).await;
    clinic.filed(&two).await;
    let strange = clinic.filed(&strange).await;
    assert_eq!((row.place.as_str(), strange.place.as_str()), ("inbox", "inbox"));
    sign(&clinic, 0).await;
    let choice = |at: usize, version| Choice {
        encounter_id: clinic.visits[at].encounter_id.clone(),
        version: Some(version),
        ..Choice::default()
    };
    // To the wrong one: the id is looked at again (R33).
    let mut to_wrong = work(cloud, Role::Technician).await;
    let refused = assign_images::assign(&mut to_wrong, &row.instance_id, &choice(1, 1)).await;
    assert!(refused.unwrap_err().to_string().contains("4711"));
    drop(to_wrong);
    let mut right = work(cloud, Role::Technician).await;
    assign_images::assign(&mut right, &row.instance_id, &choice(0, 1)).await.unwrap();
    right.commit().await.unwrap();
    for file in [&one, &two] {
        let row = clinic.row(file).await;
        assert_eq!((row.place.as_str(), row.is_late, row.version), ("exam", true, 2));
    }
    assert_eq!(cloud.count("SELECT COUNT(*) FROM addendum").await, 1);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM instance_version").await, 2);
    // A third of the same patient and study follows by itself; the strange one needs a reason.
    let three = clinic.filed(&of("7.1.4", "4711", "")).await;
    assert_eq!(three.place, "exam", "{}", three.reason);
    let mut although = choice(1, 1);
    although.although_ids_differ = true;
    let mut bare = work(cloud, Role::Technician).await;
    let refused = assign_images::assign(&mut bare, &strange.instance_id, &although).await;
    assert!(refused.is_err(), "needs a reason");
    drop(bare);
    although.reason = "the patient said so".into();
    let mut reasoned = work(cloud, Role::Technician).await;
    assign_images::assign(&mut reasoned, &strange.instance_id, &although).await.unwrap();
    reasoned.commit().await.unwrap();
    // Out again, and away.
    let encounter = clinic.visits[1].encounter_id.as_str();
    let mut out = work(cloud, Role::Technician).await;
    let of = (encounter, strange.instance_id.as_str());
    assign_images::take_out(&mut out, of, ("no, it was not", Some(2))).await.unwrap();
    assign_images::reject(&mut out, of.1, ("nobody's", Some(3))).await.unwrap();
    out.commit().await.unwrap();
    let sql = "SELECT COUNT(*) FROM instance_version WHERE reason <> ''";
    assert_eq!(cloud.count(sql).await, 5, "every state is kept");
    let sql = "SELECT COUNT(*) FROM audit_entry WHERE action IN
        ('image_assigned', 'image_moved_out', 'image_rejected')";
    assert_eq!(cloud.count(sql).await, 4);
}

async fn gateways_are_told_the_schedule(kind: Kind) {
    let cloud = Cloud::start(kind).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let mut gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    let visits = schedule(&cloud).await;
    let topic = Topic::down(&gateway.tenant, &gateway.gateway, Down::Worklist).to_string();
    let worklist: Worklist = gateway
        .until(|seen| match seen {
            Seen::Message(on, payload) if on == topic => serde_json::from_slice(&payload).ok(),
            _ => None,
        })
        .await;
    assert_eq!((worklist.location.as_str(), worklist.visits.len()), ("Main", 2));
    let (said, visit) = (&worklist.visits[0], &visits[0]);
    assert_eq!(Some(&said.accession), visit.accession.as_ref());
    let id: Uuid = visit.encounter_id.parse().unwrap();
    assert_eq!(said.study_instance_uid, format!("2.25.{}", id.as_u128()));
    assert_eq!(said.scheduled_at.time().to_string(), "09:00:00", "at the clinic");
    assert_eq!(said.birth_date.to_string(), "1961-03-04");

    // The imager says that it has begun, then that it has ended (MPPS).
    for (seq, status) in [(1, ProcedureStepStatus::InProgress), (2, ProcedureStepStatus::Completed)]
    {
        let mut document = gateway.reading(seq);
        document.body = chiasm_proto::Body::ProcedureStep(ProcedureStep {
            link: "oct-1".parse().unwrap(),
            lane: "lane-1".parse().unwrap(),
            sop_instance_uid: "1.2.3.77".into(),
            status,
            accession: visit.accession.clone(),
            study_instance_uid: Some(said.study_instance_uid.clone()),
            instances: vec!["1.2.3.1.1.1".into()],
            clock: chiasm_proto::ClockState::Synced,
        });
        document.subject = Some("oct-1".into());
        gateway.send(&document).await;
    }
    gateway.ack(|ack| ack.upto == 2).await;
    let sql = "SELECT COUNT(*) FROM procedure_step WHERE status = 'completed'
        AND encounter_id IS NOT NULL";
    assert_eq!(cloud.count(sql).await, 1);
}
