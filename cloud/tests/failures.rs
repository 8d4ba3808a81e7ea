//! What no driver understood, and what a mended driver makes of it (C4), on both kinds of database.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::{
        accept, correct,
        decode_again::{self, Order, Outcome, Tally},
    },
    args,
    store::exam::{self, ReadingRow},
};
use chiasm_drivers::{DriverOptions, DriverSpec, Event, detect, registry};
use chiasm_proto::{Decoded, DriverRef};
use site::{
    Site,
    world::{Put, TENANT},
};
use std::time::Instant;

on_both!(
    c4_failures_are_grouped_and_masked,
    c4_a_mended_driver_reads_a_capture,
    c4_a_reading_that_is_read_otherwise_is_a_version,
    c4_what_people_said_stays,
    c4_it_goes_on_where_it_was,
    r31_another_identity_is_held,
);

const ARK: &[u8] = include_bytes!("../../device-drivers/fixtures/nidek_ark/01_full.raw");

fn ark() -> &'static DriverSpec {
    registry::find("nidek_ark").unwrap()
}

/// What the driver of today reads in the bytes.
fn read(bytes: &[u8]) -> Decoded {
    let events = detect::events(ark(), Instant::now(), bytes, &DriverOptions::default());
    let decoded = events.into_iter().find_map(|(_, event)| match event {
        Event::Decoded { decoded, .. } => Some(*decoded),
        _ => None,
    });
    decoded.unwrap()
}

/// The same with a value less, as a driver with a defect had read it.
fn read_wrong(bytes: &[u8]) -> Decoded {
    let mut decoded = read(bytes);
    decoded.measurements.pop().unwrap();
    decoded
}

impl Site {
    async fn get(&self, login: &str, path: &str) -> (u16, String) {
        let token = self.token(login).await;
        let headers = [("authorization", token.as_str())];
        let (status, _, page) = self.send(Method::GET, path, &headers, "").await;
        (status, page)
    }
    async fn post(&self, login: &str, path: &str, body: &str) -> (u16, String) {
        let token = self.token(login).await;
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let (status, _, page) = self.send(Method::POST, path, &headers, body).await;
        (status, page)
    }
    /// A reading of a driver with a defect, in an exam.
    async fn put_wrong(&mut self, encounter: &str) -> String {
        self.put(read_wrong(ARK), ARK, encounter).await
    }
    async fn put(&mut self, decoded: Decoded, raw: &[u8], encounter: &str) -> String {
        let driver = DriverRef { id: "nidek_ark".into(), version: "0".into() };
        let put = Put {
            lane: "lane-1",
            place: "exam",
            reason: "the lane session of lane 1",
            encounter: Some(encounter),
            ago_s: 5,
            sent_count: 1,
        };
        self.world.file_as(TENANT, decoded, (driver, raw.to_vec()), put).await
    }
    async fn again(&self, is_dry: bool) -> Tally {
        let order = Order { tenant: TENANT, driver: ark(), is_dry };
        decode_again::run(&self.world.core, order, |_| ()).await.unwrap()
    }
    async fn row(&self, reading: &str) -> ReadingRow {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        exam::reading(&mut tx, TENANT, reading).await.unwrap().unwrap()
    }
    async fn number(&self, sql: &'static str) -> i64 {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        let (number,): (i64,) = tx.fetch_one(sql, args![]).await.unwrap();
        number
    }
    /// Readings that came of captures.
    async fn readings_of_captures(&self) -> Vec<ReadingRow> {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        let sql = "SELECT reading_id FROM reading
            WHERE tenant_id = $1 AND gateway_id = '@again' ORDER BY reading_id";
        let ids: Vec<(String,)> = tx.fetch_all(sql, args![TENANT]).await.unwrap();
        drop(tx);
        let mut rows = Vec::new();
        for (id,) in ids {
            rows.push(self.row(&id).await);
        }
        rows
    }
}

fn tally<const N: usize>(outcomes: [(Outcome, u64); N]) -> Tally {
    Tally::from(outcomes)
}

async fn c4_failures_are_grouped_and_masked(mut site: Site) {
    let sent = b"\x01DRM\x02ID Quixote-77\x17OR- 4.25\x04";
    for _ in 0..3 {
        site.world.unread("ark", "nidek_ark", sent).await;
    }
    site.world.unread("nt", "nidek_nt", b"\x01DNT").await;
    assert_eq!(site.get("ana", "/fleet/failures").await.0, 403, "no work of the lanes");
    let (status, page) = site.get("staff", "/fleet/failures").await;
    assert_eq!(status, 200);
    let row = page.split("<tr>").find(|row| row.contains("/instruments/nidek_ark")).unwrap();
    assert!(row.contains("<td class=\"num\">3") && row.contains("byte 0"), "{row}");
    assert!(row.contains("gw-main") && !page.contains("DOE_JANE"), "{page}");
    let path = row.split("href=\"").find(|it| it.starts_with("/fleet/failures/")).unwrap();
    let path = path.split('"').next().unwrap();
    let (status, sample) = site.get("staff", path).await;
    assert_eq!(status, 200);
    assert!(sample.contains("\u{2401}XXX\u{2402}XX Xxxxxx"), "the framing is seen: {sample}");
    assert!(sample.contains("58 58 58"), "and in hexadecimal");
    for said in ["Quixo", "DOE_JANE", "44 52 4d", "51 75 69"] {
        assert!(!sample.contains(said), "{said} in {sample}");
    }
    let unmask = format!("{path}/unmask");
    assert_eq!(site.post("staff", &unmask, "reason=x").await.0, 403);
    assert_eq!(site.post("ana", &unmask, "reason=x").await.0, 403);
    assert_eq!(site.post("it", &unmask, "reason=+").await.0, 422, "a reason is needed");
    let (status, open) = site.post("it", &unmask, "reason=the+maker+asks").await;
    assert_eq!(status, 200);
    assert!(open.contains("\u{2401}DRM\u{2402}ID Quix") && open.contains("44 52 4d"), "{open}");
    let audited = "SELECT COUNT(*) FROM audit_entry WHERE action = 'capture_seen'
        AND why = 'the maker asks' AND account_id = 'lakeside-it'";
    assert_eq!(site.number(audited).await, 1);
    // Another practice has no such capture.
    assert_eq!(site.get("bea", path).await.0, 403);
}

async fn c4_a_mended_driver_reads_a_capture(mut site: Site) {
    let lars = site.visits["A-10977"].clone();
    // Before the session of lane 1 was opened, and while it is open.
    site.world.now_us -= 60_000_000;
    site.world.unread("ark", "nidek_ark", ARK).await;
    site.world.now_us += 62_000_000;
    site.world.unread("ark", "nidek_ark", ARK).await;
    site.world.unread("ark", "nidek_ark", &ARK[..ARK.len() / 2]).await;
    site.world.unread("ark", "nidek_ark", b"\x02\x03 noise \x04").await;
    let expected = tally([(Outcome::Read, 2), (Outcome::StillRefused, 2)]);
    assert_eq!(site.again(true).await, expected);
    assert_eq!(site.readings_of_captures().await.len(), 0, "a dry run changes nothing");
    assert_eq!(site.number("SELECT COUNT(*) FROM decoded_again").await, 0);
    assert_eq!(site.again(false).await, expected);
    let rows = site.readings_of_captures().await;
    let places: Vec<&str> = rows.iter().map(|row| row.place.as_str()).collect();
    assert_eq!(places, ["tray", "exam"], "{rows:?}");
    assert_eq!(rows[1].encounter_id.as_deref(), Some(lars.as_str()));
    for row in &rows {
        assert_eq!(row.reading().unwrap().decoded, read(ARK));
        assert!(row.acceptance == "pending" && row.needs_a_look, "a person looks at it");
        assert!(row.reason.contains("decoded again"), "{}", row.reason);
    }
    assert_eq!(site.again(false).await, Tally::new(), "a second time does nothing");
    assert_eq!(site.readings_of_captures().await.len(), 2);
    let (_, page) = site.get("staff", "/fleet/failures").await;
    assert!(page.contains("2 read since") && page.contains("2 now read"), "{page}");
    let exam = site.exam(&site.token("okafor").await, &lars).await;
    assert!(exam.iter().any(|it| it["reading_id"] == rows[1].reading_id));
    // The proof of what gateways numbered counts the captures, and not what was made of them.
    let sql = "SELECT COUNT(*) FROM document WHERE kind = 'capture'";
    assert_eq!(site.number(sql).await, 4);
}

async fn c4_a_reading_that_is_read_otherwise_is_a_version(mut site: Site) {
    let lars = site.visits["A-10977"].clone();
    let wrong = site.put_wrong(&lars).await;
    let right = site.put(read(ARK), ARK, &lars).await;
    let garbled = site.put(read(ARK), &ARK[..ARK.len() / 2], &lars).await;
    let expected =
        tally([(Outcome::NewVersion, 1), (Outcome::Same, 1), (Outcome::StillRefused, 1)]);
    assert_eq!(site.again(true).await, expected);
    assert_eq!(site.row(&wrong).await.version, 1, "a dry run changes nothing");
    assert_eq!(site.again(false).await, expected);
    let row = site.row(&wrong).await;
    assert_eq!((row.version, row.place.as_str()), (2, "exam"));
    let shown = row.reading().unwrap();
    assert_eq!(shown.decoded, read(ARK));
    assert_eq!(shown.driver.version, ark().version);
    assert_eq!(row.reading_as_sent().unwrap().decoded, read_wrong(ARK), "as sent, for ever");
    assert!(row.needs_a_look && row.acceptance == "pending");
    for untouched in [&right, &garbled] {
        assert_eq!(site.row(untouched).await.version, 1);
    }
    let kept = "SELECT COUNT(*) FROM reading_version WHERE correction IS NULL
        AND superseded_by = 'system' AND superseded_why LIKE 'decoded again with nidek_ark%'";
    assert_eq!(site.number(kept).await, 1, "the old version is kept");
    assert_eq!(site.again(false).await, Tally::new());
    // A person's word is a layer over it.
    let mut work = site.world.work().await;
    let of = correct::Of { encounter: &lars, reading: &wrong, version: Some(2) };
    correct::swap_eyes(&mut work, of, "measured the wrong way round").await.unwrap();
    work.commit().await.unwrap();
    let swapped = site.row(&wrong).await.reading().unwrap().decoded.measurements;
    assert_eq!(swapped.len(), read(ARK).measurements.len());
    assert_ne!(swapped, read(ARK).measurements);
}

async fn c4_what_people_said_stays(mut site: Site) {
    let (lars, siobhan) = (site.visits["A-10977"].clone(), site.visits["A-11203"].clone());
    let in_signed = site.put_wrong(&siobhan).await;
    let visits = site.visits.clone();
    site.world.signed(&visits).await;
    let accepted = site.put_wrong(&lars).await;
    let mut work = site.world.work().await;
    accept::accept(&mut work, &lars, &accepted, None).await.unwrap();
    work.commit().await.unwrap();
    let expected = tally([(Outcome::LeftToPerson, 1), (Outcome::Signed, 1)]);
    let addenda = "SELECT COUNT(*) FROM addendum WHERE addendum_text LIKE '%reads it otherwise%'";
    let told = "SELECT COUNT(*) FROM notice WHERE kind = 'decoded_again'";
    assert_eq!(site.again(true).await, expected);
    assert_eq!((site.number(addenda).await, site.number(told).await), (0, 0));
    assert_eq!(site.again(false).await, expected);
    assert_eq!((site.number(addenda).await, site.number(told).await), (1, 2));
    assert_eq!(site.again(false).await, Tally::new(), "nobody is told twice");
    assert_eq!((site.number(addenda).await, site.number(told).await), (1, 2));
    for (reading, version, acceptance) in [(&in_signed, 1, "pending"), (&accepted, 2, "accepted")] {
        let row = site.row(reading).await;
        assert_eq!((row.version, row.acceptance.as_str()), (version, acceptance));
        assert_eq!(row.reading().unwrap().decoded, read_wrong(ARK));
    }
}

async fn c4_it_goes_on_where_it_was(mut site: Site) {
    let lars = site.visits["A-10977"].clone();
    let mut readings = Vec::new();
    for _ in 0..5 {
        readings.push(site.put_wrong(&lars).await);
        site.world.unread("ark", "nidek_ark", ARK).await;
    }
    // Stopped in the middle, as by a kill: the future is dropped where it waits.
    let order = Order { tenant: TENANT, driver: ark(), is_dry: false };
    let (sender, stopped) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    let begun = decode_again::run(&site.world.core, order, |tally| {
        if tally.values().sum::<u64>() == 7 {
            sender.take().unwrap().send(()).unwrap();
        }
    });
    tokio::select! {
        biased;
        _ = stopped => {}
        done = begun => panic!("it ended before it was stopped: {done:?}"),
    }
    let done = site.number("SELECT COUNT(*) FROM decoded_again").await;
    assert!((7..10).contains(&done), "{done}");
    // Two at once do the rest, each document once.
    let (one, other) = tokio::join!(site.again(false), site.again(false));
    let rest: u64 = one.values().chain(other.values()).sum();
    assert_eq!(i64::try_from(rest).unwrap(), 10 - done);
    for reading in &readings {
        assert_eq!(site.row(reading).await.version, 2);
    }
    assert_eq!(site.readings_of_captures().await.len(), 5);
    // The button asks a job for it, which finds nothing more to do.
    let (status, _) = site.post("staff", "/fleet/failures/decode-again", "driver=nidek_ark").await;
    assert_eq!(status, 303);
    let (_, page) = site.get("staff", "/fleet/failures").await;
    assert!(page.contains("Being decoded, asked for by Kim Berg"), "{page}");
    decode_again::run_asked(&site.world.core).await.unwrap();
    let (_, page) = site.get("staff", "/fleet/failures").await;
    assert!(page.contains("Done; asked for by Kim Berg"), "{page}");
    assert_eq!(site.row(&readings[0]).await.version, 2);
    assert_eq!(site.post("ana", "/fleet/failures/decode-again", "driver=x").await.0, 403);
}

async fn r31_another_identity_is_held(mut site: Site) {
    let lars = site.visits["A-10977"].clone();
    let bytes = read(ARK);
    let claimed = bytes.claimed_patient.clone();
    // The driver with the defect had read the chart of the exam's patient.
    let mut wrong = bytes;
    wrong.claimed_patient =
        Some(chiasm_proto::ClaimedPatient { id: "A-10977".into(), found_in: "a test".into() });
    let reading = site.put(wrong, ARK, &lars).await;
    assert_eq!(site.again(false).await, tally([(Outcome::NewVersion, 1)]));
    let row = site.row(&reading).await;
    assert_eq!(row.claimed_patient, claimed.as_ref().map(|it| it.id.clone()));
    assert_eq!((row.place.as_str(), row.encounter_id), ("held", None), "{}", row.reason);
}
