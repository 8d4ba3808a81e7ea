//! The watch over the fleet: incidents, who is told, opening hours and silent instruments.

#![allow(clippy::duplicate_mod, reason = "common and site both bring the database")]

mod common;
#[macro_use]
mod site;

use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, Method, StatusCode},
    routing,
};
use chiasm_cloud::{
    args, clock,
    config::Webhook,
    fleet::{
        notices::{self, RETRY_MIN_US, SIGNATURE, signature},
        volume, watch,
    },
    store::{audit, fleet, fleet_watch, incident},
};
use chiasm_proto::{
    ClockState, Epoch, InstrumentTime, LaneId, LinkId, Topic,
    fleet::{LinkState, LinkStatus, SpoolState, State, Status, Telemetry},
};
use common::{
    Cloud, Kind,
    gateway::{Gateway, connect, enrol, inner},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rumqttc::v5::mqttbytes::{QoS, v5::LastWill};
use serde_json::{Value, json};
use site::{
    Site,
    world::{OTHER, TENANT},
};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

on_both!(
    an_offline_gateway_is_one_incident_and_people_hear_of_it,
    a_gateway_that_comes_and_goes_is_one_incident,
    replicas_tell_once,
    says_whether_it_is_one_gateway_or_the_location,
    telemetry_tells_of_disk_links_and_clock,
    a_silent_instrument_is_noted_on_an_open_day,
    hours_are_set_on_their_page,
);

const MINUTE_US: i64 = 60 * 1_000_000;
/// Monday, five past eleven in New York.
const MONDAY: &str = "2026-11-30T16:05:00Z";

fn us(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn telemetry(at_us: i64, change: impl FnOnce(&mut Telemetry)) -> String {
    let time = Timestamp::from_microsecond(at_us).unwrap();
    let mut told = Telemetry {
        time,
        software_version: "1.0.0".into(),
        started_at: time,
        clock: ClockState::Synced,
        spool: SpoolState {
            epoch: Epoch(Uuid::nil()),
            last_seq: 0,
            depth: 0,
            oldest_at: None,
            quarantined: 0,
        },
        links: vec![link(LinkStatus::Up)],
        disk_free_bytes: Some(20_000_000_000),
        certificate_expires_at: None,
        has_lane_page: false,
    };
    change(&mut told);
    serde_json::to_string(&told).unwrap()
}

fn link(status: LinkStatus) -> LinkState {
    LinkState {
        link: LinkId::new("ark-1").unwrap(),
        lane: LaneId::new("lane-1").unwrap(),
        driver: "nidek_ark".into(),
        endpoint: "/dev/serial/by-id/ark".into(),
        status,
        detail: None,
        last_reading_at: None,
        readings: 0,
        failures: 0,
    }
}

impl Site {
    /// Leaves one gateway, of which nothing is known yet.
    async fn one_gateway(&self) {
        let mut tx = self.world.core.db.tenant(TENANT).await.unwrap();
        let others = "DELETE FROM gateway WHERE tenant_id = $1 AND gateway_id <> 'gw-main'";
        tx.execute(others, args![TENANT]).await.unwrap();
        let new = "UPDATE gateway SET status = 'never_seen', status_session = NULL,
                status_at_us = NULL, telemetry = NULL, telemetry_at_us = NULL,
                certificate_expires_at_us = NULL
            WHERE tenant_id = $1";
        tx.execute(new, args![TENANT]).await.unwrap();
        tx.commit().await.unwrap();
    }
    async fn status(&self, gateway: &str, status: &str, at_us: i64) {
        let mut tx = self.world.core.db.tenant(TENANT).await.unwrap();
        let (key, session) = ((TENANT, gateway), "s");
        fleet::put_state(&mut tx, key, status, session, None, at_us).await.unwrap();
        tx.commit().await.unwrap();
    }
    async fn online(&self, gateway: &str, at_us: i64, change: impl FnOnce(&mut Telemetry)) {
        self.status(gateway, "online", at_us).await;
        let told = telemetry(at_us, change);
        let mut tx = self.world.core.db.tenant(TENANT).await.unwrap();
        fleet::put_telemetry(&mut tx, (TENANT, gateway), &told, at_us).await.unwrap();
        tx.commit().await.unwrap();
    }
    async fn watch(&self, at_us: i64) {
        watch::watch_once(&self.world.core, at_us).await.unwrap();
    }
    async fn incidents(&self) -> Vec<incident::IncidentRow> {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        incident::list(&mut tx, TENANT, 0).await.unwrap()
    }
    async fn kinds(&self) -> Vec<String> {
        let open = self.incidents().await.into_iter().filter(|it| it.closed_at_us.is_none());
        let mut kinds: Vec<String> = open.map(|it| it.kind).collect();
        kinds.sort();
        kinds
    }
    async fn page(&self, login: &str, path: &str) -> (u16, String) {
        let token = self.token(login).await;
        let headers = [("authorization", token.as_str())];
        let (status, _, page) = self.send(Method::GET, path, &headers, "").await;
        (status, page)
    }
    async fn form(&self, login: &str, path: &str, body: &str) -> (u16, String) {
        let token = self.token(login).await;
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [("authorization", token.as_str()), form];
        let (status, _, page) = self.send(Method::POST, path, &headers, body).await;
        (status, page)
    }
}

/// A receiver that refuses the first so many posts, and what it took: signature and body.
struct Receiver {
    taken: Arc<Mutex<Vec<(String, String)>>>,
    refuses: Arc<Mutex<u32>>,
    url: String,
}

type Kept = (Arc<Mutex<Vec<(String, String)>>>, Arc<Mutex<u32>>);

impl Receiver {
    async fn start(refuses: u32) -> Self {
        async fn take(
            Shared((taken, refuses)): Shared<Kept>,
            headers: HeaderMap,
            body: Bytes,
        ) -> StatusCode {
            let mut left = refuses.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let signature = headers[SIGNATURE].to_str().unwrap().to_owned();
            taken.lock().unwrap().push((signature, String::from_utf8(body.to_vec()).unwrap()));
            StatusCode::NO_CONTENT
        }
        let (taken, refuses) = (Arc::default(), Arc::new(Mutex::new(refuses)));
        let kept: Kept = (Arc::clone(&taken), Arc::clone(&refuses));
        let router = Router::new().route("/hook", routing::post(take)).with_state(kept);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { taken, refuses, url }
    }
    /// Signature and body of what came since.
    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.taken.lock().unwrap())
    }
}

/// Lets the site tell a receiver.
fn tell(site: &mut Site, receiver: &Receiver) {
    let mut config = (*site.world.core.config).clone();
    let secret_file = config.data_dir.join("webhook-secret");
    std::fs::write(&secret_file, "a secret\n").unwrap();
    config.notices.webhook = Some(Webhook { url: receiver.url.clone(), secret_file });
    site.world.core.config = Arc::new(config);
}

async fn an_offline_gateway_is_one_incident_and_people_hear_of_it(mut site: Site) {
    site.one_gateway().await;
    let receiver = Receiver::start(1).await;
    tell(&mut site, &receiver);
    let began_us = clock::now_us() - 20 * MINUTE_US;
    site.online("gw-main", began_us - MINUTE_US, |_| {}).await;
    site.watch(began_us - MINUTE_US).await;
    assert!(site.kinds().await.is_empty());

    site.status("gw-main", "lost", began_us).await;
    site.watch(began_us + 5_000_000).await;
    assert_eq!(site.kinds().await, ["offline"], "seen at once");
    site.watch(began_us + 4 * MINUTE_US).await;
    let core = site.world.core.clone();
    assert_eq!(notices::send_once(&core, clock::now_us()).await.unwrap(), 0, "not told yet");
    for login in ["it", "staff"] {
        let (status, page) = site.page(login, "/incidents").await;
        assert_eq!(status, 200);
        assert!(page.contains("Offline: Main Street gateway"), "{page}");
        assert!(page.contains("not yet: five bad minutes first"));
    }
    assert_eq!(site.page("ana", "/incidents").await.0, 403);

    let raised_us = began_us + 5 * MINUTE_US;
    site.watch(raised_us).await;
    site.watch(raised_us + MINUTE_US).await;
    assert_eq!(notices::send_once(&core, raised_us).await.unwrap(), 0, "it was refused");
    assert_eq!(*receiver.refuses.lock().unwrap(), 0);
    assert_eq!(notices::send_once(&core, raised_us + RETRY_MIN_US - 1).await.unwrap(), 0);
    // Whoever comes next, be it after a restart, finds it in the database.
    assert_eq!(notices::send_once(&core, raised_us + RETRY_MIN_US).await.unwrap(), 1);
    assert_eq!(notices::send_once(&core, raised_us + 60 * MINUTE_US).await.unwrap(), 0, "once");
    let taken = receiver.take();
    let [(signed, body)] = &taken[..] else { panic!("{taken:?}") };
    let seconds = signed.strip_prefix("t=").unwrap().split(',').next().unwrap();
    assert_eq!(*signed, signature("a secret", seconds.parse().unwrap(), body));
    let notice: Value = serde_json::from_str(body).unwrap();
    let told = &notice["incidents"][0];
    assert_eq!(notice["practice"], TENANT);
    assert_eq!((&told["state"], &told["kind"]), (&json!("raised"), &json!("offline")));
    assert_eq!((&told["gateway"], &told["location"]), (&json!("gw-main"), &json!("main")));

    let id = site.incidents().await[0].incident_id.clone();
    let path = format!("/incidents/{id}/acknowledge");
    assert_eq!(site.form("ana", &path, "").await.0, 403);
    assert_eq!(site.form("staff", &path, "").await.0, 303);
    assert_eq!(site.form("it", &path, "").await.0, 303, "the first stays");
    let mut tx = core.db.tenant_read(TENANT).await.unwrap();
    let entries = audit::after(&mut tx, TENANT, 0, 1_000).await.unwrap();
    let noted =
        entries.iter().filter(|it| it.action == "incident_acknowledged" && it.subject == id);
    assert_eq!(noted.count(), 1);
    drop(tx);
    let mut tx = core.db.tenant_read(OTHER).await.unwrap();
    assert!(incident::list(&mut tx, OTHER, 0).await.unwrap().is_empty());
    drop(tx);

    site.online("gw-main", raised_us + 2 * MINUTE_US, |_| {}).await;
    site.watch(raised_us + 2 * MINUTE_US).await;
    site.watch(raised_us + 11 * MINUTE_US).await;
    assert_eq!(site.kinds().await, ["offline"], "it is watched for ten minutes");
    site.watch(raised_us + 12 * MINUTE_US).await;
    assert!(site.kinds().await.is_empty());
    assert_eq!(notices::send_once(&core, raised_us + 12 * MINUTE_US).await.unwrap(), 1);
    assert!(receiver.take()[0].1.contains("\"state\":\"over\""));
    let (_, page) = site.page("it", "/incidents").await;
    assert!(page.contains("Over in the last 30 days") && page.contains("Nothing is wrong"));
}

async fn a_gateway_that_comes_and_goes_is_one_incident(mut site: Site) {
    site.one_gateway().await;
    let receiver = Receiver::start(0).await;
    tell(&mut site, &receiver);
    let began_us = us(MONDAY);
    for round in 0..10 {
        let at_us = began_us + round * 3 * MINUTE_US;
        site.status("gw-main", "lost", at_us).await;
        site.watch(at_us).await;
        site.online("gw-main", at_us + MINUTE_US, |_| {}).await;
        site.watch(at_us + MINUTE_US).await;
    }
    let all = site.incidents().await;
    let [one] = &all[..] else { panic!("{} incidents", all.len()) };
    assert_eq!((one.times, one.opened_at_us), (10, began_us));
    let core = &site.world.core;
    assert_eq!(notices::send_once(core, began_us + 60 * MINUTE_US).await.unwrap(), 1);
}

async fn replicas_tell_once(mut site: Site) {
    site.one_gateway().await;
    let receiver = Receiver::start(0).await;
    tell(&mut site, &receiver);
    let began_us = us(MONDAY);
    site.status("gw-main", "online", began_us - MINUTE_US).await;
    site.status("gw-main", "lost", began_us).await;
    let core = &site.world.core;
    for at_us in [began_us, began_us + 5 * MINUTE_US] {
        let looks = (0..6).map(|_| watch::watch_once(core, at_us));
        for look in futures_util::future::join_all(looks).await {
            look.unwrap();
        }
    }
    assert_eq!(site.incidents().await.len(), 1);
    let late_us = began_us + 6 * MINUTE_US;
    let sends = (0..4).map(|_| notices::send_once(core, late_us));
    let sent = futures_util::future::join_all(sends).await;
    assert_eq!(sent.into_iter().map(Result::unwrap).sum::<usize>(), 1);
    assert_eq!(receiver.take().len(), 1);
}

async fn says_whether_it_is_one_gateway_or_the_location(site: Site) {
    site.one_gateway().await;
    let now_us = us(MONDAY);
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    fleet::put_gateway(&mut tx, TENANT, "gw-two", "main", "Second", now_us).await.unwrap();
    tx.commit().await.unwrap();
    site.online("gw-main", now_us, |_| {}).await;
    site.online("gw-two", now_us, |_| {}).await;
    site.status("gw-two", "lost", now_us).await;
    site.watch(now_us).await;
    let detail = |all: &[incident::IncidentRow], gateway: &str| {
        all.iter().find(|it| it.gateway_id == gateway).unwrap().detail.clone()
    };
    assert!(detail(&site.incidents().await, "gw-two").starts_with("Other gateways"));
    site.status("gw-main", "lost", now_us + MINUTE_US).await;
    site.watch(now_us + MINUTE_US).await;
    let all = site.incidents().await;
    assert!(detail(&all, "gw-main").starts_with("Every gateway of the location"));
    site.status("gw-main", "online", now_us + 2 * MINUTE_US).await;
    site.watch(now_us + 2 * MINUTE_US).await;
    site.status("gw-main", "stopped", now_us + 3 * MINUTE_US).await;
    site.watch(now_us + 3 * MINUTE_US).await;
    assert!(detail(&site.incidents().await, "gw-main").starts_with("It said goodbye"));
}

async fn telemetry_tells_of_disk_links_and_clock(site: Site) {
    site.one_gateway().await;
    let now_us = us(MONDAY);
    site.online("gw-main", now_us, |told| {
        told.disk_free_bytes = Some(100);
        told.clock = ClockState::Unsynced;
        told.links = vec![link(LinkStatus::Down)];
    })
    .await;
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let sql = "UPDATE gateway SET certificate_expires_at_us = $2 WHERE tenant_id = $1";
    let ends_us = now_us + watch::CERTIFICATE_LEFT_MIN_US - 1;
    tx.execute(sql, args![TENANT, ends_us]).await.unwrap();
    tx.commit().await.unwrap();
    site.watch(now_us).await;
    let kinds = ["certificate_ends", "clock_unsynced", "disk_low", "link_down"];
    assert_eq!(site.kinds().await, kinds);
    let (_, page) = site.page("it", "/incidents").await;
    assert!(page.contains("ark-1 (lane-1)"));
    // The links of a gateway that is away cannot be seen: they do not become well by that.
    site.status("gw-main", "lost", now_us + MINUTE_US).await;
    for minute in 1..30 {
        site.watch(now_us + minute * MINUTE_US).await;
    }
    assert_eq!(site.kinds().await.len(), 5);
    site.online("gw-main", now_us + 30 * MINUTE_US, |_| {}).await;
    site.watch(now_us + 30 * MINUTE_US).await;
    site.watch(now_us + 40 * MINUTE_US).await;
    assert_eq!(site.kinds().await, ["certificate_ends"]);
}

/// Eighteen readings of a link between eight and eleven, on this many Mondays before.
async fn mondays(site: &Site, weeks: i64) {
    for week in 1..=weeks {
        for number in 0..18 {
            let at_us = us(MONDAY) - week * 7 * 24 * 60 * MINUTE_US - (10 + number * 9) * MINUTE_US;
            put_reading(site, (week * 100 + number, at_us)).await;
        }
    }
}

async fn put_reading(site: &Site, (seq, at_us): (i64, i64)) {
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let sql = "INSERT INTO reading (tenant_id, reading_id, gateway_id, epoch, seq, location_id,
            lane_id, link_id, vendor, model, content_sha256, captured_at_us, received_at_us, place,
            reason, needs_a_look)
        VALUES ($1, $2, 'gw-main', 'e', $3, 'main', 'lane-1', 'ark-1', 'v', 'm', $2, $4, $4,
            'inbox', 'r', $5)";
    let id = Uuid::now_v7().to_string();
    tx.execute(sql, args![TENANT, id, seq, at_us, false]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_silent_instrument_is_noted_on_an_open_day(site: Site) {
    site.one_gateway().await;
    let now_us = us(MONDAY);
    let core = &site.world.core;
    mondays(&site, 6).await;
    site.online("gw-main", now_us, |_| {}).await;
    let count = async |at_us| {
        volume::count_once(core, at_us).await.unwrap();
        site.watch(at_us).await;
        let mut tx = core.db.tenant_read(TENANT).await.unwrap();
        let links = fleet_watch::links_of(&mut tx, TENANT).await.unwrap();
        let link = links.into_iter().find(|it| it.link_id == "ark-1").unwrap();
        (link.today, link.usual)
    };
    // Nobody has said when the location is open.
    assert_eq!(count(now_us).await, (0, None));
    assert!(site.kinds().await.is_empty());
    let hours = "mon_from=08:00&mon_to=18:00";
    assert_eq!(site.form("it", "/locations/main/hours", hours).await.0, 303);
    let holiday = "day=2026-11-30&name=A+day+off";
    assert_eq!(site.form("it", "/locations/main/holidays", holiday).await.0, 303);
    count(now_us).await;
    assert!(site.kinds().await.is_empty(), "a holiday");
    assert_eq!(site.form("it", "/locations/main/holidays/remove", holiday).await.0, 303);
    assert_eq!(count(now_us).await, (0, Some(18)));
    assert_eq!(site.kinds().await, ["quiet"]);
    assert_eq!(site.incidents().await[0].detail, "ark-1: none today, usually 18 by now");
    // After hours nothing changes, and what comes at last ends it.
    let evening_us = now_us + 10 * 60 * MINUTE_US;
    site.online("gw-main", evening_us, |_| {}).await;
    count(evening_us).await;
    site.watch(evening_us + 20 * MINUTE_US).await;
    assert_eq!(site.kinds().await, ["quiet"]);
    let next_us = now_us + 7 * 24 * 60 * MINUTE_US;
    site.online("gw-main", next_us, |_| {}).await;
    put_reading(&site, (9_999, next_us - MINUTE_US)).await;
    assert_eq!(count(next_us).await.0, 1);
    site.watch(next_us + 10 * MINUTE_US).await;
    assert!(site.kinds().await.is_empty());
}

async fn hours_are_set_on_their_page(site: Site) {
    let path = "/locations/main/hours";
    let (status, page) = site.page("it", path).await;
    assert!(status == 200 && page.contains("No hours are set yet"), "{page}");
    let (status, page) = site.form("it", path, "mon_from=18:00&mon_to=08:00").await;
    assert!(status == 422 && page.contains("Monday"), "{page}");
    assert_eq!(site.form("it", path, "tue_from=07:30&tue_to=19:00").await.0, 303);
    let (_, page) = site.page("it", path).await;
    assert!(page.contains("name=\"tue_from\" value=\"07:30\""), "{page}");
    assert_eq!(site.form("it", "/locations/main/holidays", "day=tomorrow").await.0, 422);
    assert_eq!(site.page("it", "/locations/nowhere/hours").await.0, 404);
    assert_eq!(site.page("ana", path).await.0, 403);
}

/// The real way: a broker, a gateway whose connection breaks, an instrument whose clock is wrong.
#[tokio::test]
async fn a_broken_connection_and_a_wrong_clock_become_incidents() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    let session = Uuid::now_v7();
    let told = serde_json::from_str(&telemetry(clock::now_us(), |_| {})).unwrap();
    let birth = State { session, status: Status::Online, detail: None, telemetry: Some(told) };
    gateway.send_state(&birth).await;
    let mut envelope = gateway.reading(1);
    let local = TimeZone::get("Europe/Berlin").unwrap().to_datetime(envelope.time);
    let wrong = local.checked_sub(SignedDuration::from_mins(47)).unwrap();
    inner(&mut envelope).decoded.instrument_time =
        Some(InstrumentTime { as_sent: "x".into(), local: Some(wrong) });
    gateway.send(&envelope).await;
    cloud.wait_for("SELECT COUNT(*) FROM reading", 1).await;
    cloud.wait_for("SELECT COUNT(*) FROM gateway WHERE status = 'online'", 1).await;
    volume::count_once(&cloud.core, clock::now_us()).await.unwrap();
    // The job looks by itself.
    cloud.wait_for("SELECT COUNT(*) FROM incident WHERE kind = 'clock_offset'", 1).await;
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let all = incident::list(&mut tx, "acme", 0).await.unwrap();
    assert!(all[0].detail.starts_with("ark-1 is 47 min behind"), "{}", all[0].detail);
    drop((tx, gateway));

    let mut options = credentials.options(cloud.broker(), "acme/gw-1");
    let topic = Topic::state(&"acme".parse().unwrap(), &"gw-1".parse().unwrap()).to_string();
    let will = State { session, status: Status::Lost, detail: None, telemetry: None };
    let will = serde_json::to_string(&will).unwrap();
    options.set_last_will(LastWill::new(topic, will, QoS::AtLeastOnce, true, None));
    let (_client, mut seen, task) = connect(options);
    seen.recv().await.expect("it connects");
    task.abort();
    cloud.wait_for("SELECT COUNT(*) FROM incident WHERE kind = 'offline'", 1).await;
}
