//! Reports: the numbers of a scripted day, counted by hand, on both kinds of database.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::{assign, move_reading, reject, report, type_in},
    args,
    domain::sheet::Test,
};
use serde_json::{Value, json};
use site::{
    Site,
    world::{Put, TENANT, past, readings},
};
use std::collections::BTreeMap;

on_both!(a_day_is_counted_by_hand, what_is_asked_wrongly_is_said, a_table_is_saved);

const DAYS_AGO: i64 = 3;

/// A day three days ago: one patient with a lane session, one without, and what went other ways.
/// Gives the first exam and its first reading.
async fn script(site: &mut Site) -> (String, String) {
    let world = &mut site.world;
    let at = |minute: i8| (10, minute);
    let ago = |world: &site::world::World, (hour, minute)| world.ago(DAYS_AGO, hour, minute);
    let first = ago(world, at(0));
    let first = world.visit("A-10482", first, "Annual exam").await;
    let second = ago(world, at(15));
    let second = world.visit("A-11203", second, "Contact lens fitting").await;
    // Check-in of the first patient is the lane session; of the second the schedule.
    let opened_at_us = world.now_us - ago(world, at(5)) * 1_000_000;
    let mut tx = world.core.db.tenant(TENANT).await.unwrap();
    let open = "INSERT INTO lane_session (tenant_id, lane_session_id, lane_id, encounter_id,
            opened_at_us, opened_by, closed_at_us) VALUES ($1, 's1', 'lane-1', $2, $3, 'ana', $4)";
    tx.execute(open, args![TENANT, &first, opened_at_us, opened_at_us + 1]).await.unwrap();
    tx.commit().await.unwrap();
    let put = |lane, place, encounter, ago_s| Put {
        lane,
        place,
        reason: "scripted",
        encounter,
        ago_s,
        sent_count: 1,
    };
    let one = Some(first.as_str());
    let t = |world: &site::world::World, minute| ago(world, at(minute));
    let at_10 = put("lane-1", "exam", one, t(world, 10));
    let ark = world.file(TENANT, readings::ark(), at_10).await;
    let again = put("lane-1", "duplicate", None, t(world, 11));
    world.file(TENANT, readings::ark(), again).await;
    let repeated = put("lane-1", "exam", one, t(world, 12));
    world.file(TENANT, readings::ark_low(), repeated).await;
    let wrong = put("lane-1", "exam", one, t(world, 15));
    let moved = world.file(TENANT, readings::lensmeter(), wrong).await;
    // The last that an instrument measured; what the refractor sends is no pretest.
    let last = put("lane-1", "exam", one, t(world, 20));
    world.file(TENANT, readings::tonometer(), last).await;
    let tray = put("lane-1", "tray", None, t(world, 25));
    let from_tray = world.file(TENANT, readings::tonometer(), tray).await;
    let inbox = put("lane-2", "inbox", None, t(world, 30));
    world.file(TENANT, readings::lensmeter(), inbox).await;
    let rejected = put("lane-3", "inbox", None, t(world, 35));
    let rejected = world.file(TENANT, readings::ark(), rejected).await;
    let refractor = put("lane-2", "exam", one, t(world, 40));
    world.file(TENANT, past::refractor("-2.00 -0.50 90", "-2.00 0 0"), refractor).await;

    let to = |encounter: &str| assign::Choice {
        encounter_id: encounter.into(),
        reason: "the wrong patient was active".into(),
        ..assign::Choice::default()
    };
    let mut work = world.work().await;
    assign::assign(&mut work, &from_tray, &to(&second)).await.unwrap();
    move_reading::move_reading(&mut work, &first, &moved, &to(&second)).await.unwrap();
    reject::reject_waiting(&mut work, &rejected, ("blink", None)).await.unwrap();
    work.commit().await.unwrap();
    (first, ark)
}

async fn ask(site: &Site, query: &str) -> Value {
    let it = site.token("it").await;
    let path = format!("/api/v1/reports?{query}");
    let (status, answer) = site.api(&it, Method::GET, &path, json!({})).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

fn day_of(site: &Site) -> String {
    let at_us = site.world.now_us - site.world.ago(DAYS_AGO, 10, 0) * 1_000_000;
    let zone = jiff::tz::TimeZone::get("America/New_York").unwrap();
    chiasm_cloud::app::local_time::date(at_us, &zone).to_string()
}

fn numbers(of: &Value, names: &[&str]) -> Vec<i64> {
    names.iter().map(|name| of["numbers"][name].as_i64().unwrap_or(-1)).collect()
}

async fn a_day_is_counted_by_hand(mut site: Site) {
    let (first, ark) = script(&mut site).await;
    let day = day_of(&site);
    let query = format!("from={day}&to={day}");
    let before = ask(&site, &query).await;
    assert_eq!((&before["is_behind"], &before["total"]["readings"]), (&json!(true), &json!(0)));
    let days = report::count_all(&site.world.core.db, site.world.now_us).await.unwrap();
    assert!(days >= 2, "that day and today: {days}");
    assert_eq!(report::count_all(&site.world.core.db, site.world.now_us).await.unwrap(), 0);
    let answer = ask(&site, &query).await;
    assert_eq!(answer["is_behind"], false);
    let expected = json!({
        "readings": 8, "second_prints": 1, "typed": 0, "exams": 2, "repeats": 1,
        "graded": 5, "low_confidence": 3,
        "by_itself": 4, "from_tray": 1, "from_inbox": 0, "moved": 1, "waiting": 1, "rejected": 1,
        // 10:05 to 10:20 by session, 10:15 to 10:25 by schedule.
        "minutes_median": 10, "minutes_p90": 15,
    });
    assert_eq!(answer["total"], expected);
    assert_eq!(answer["periods"], json!([{"start": day, "numbers": expected}]));
    assert_eq!(answer["locations"], json!([{"location_id": "main", "numbers": expected}]));
    let names = ["readings", "exams", "repeats", "graded", "low_confidence", "rejected"];
    let of_model = |answer: &Value| -> BTreeMap<String, Vec<i64>> {
        let all = answer["instruments"].as_array().unwrap();
        all.iter().map(|it| (it["model"].as_str().unwrap().into(), numbers(it, &names))).collect()
    };
    let instruments = of_model(&answer);
    assert_eq!(instruments["ARK-1a"], [3, 1, 1, 3, 1, 1]);
    assert_eq!(instruments["NT-530P"], [2, 2, 0, 2, 2, 0]);
    assert_eq!(instruments["LM-1800P"], [2, 1, 0, 0, 0, 0], "no maker's word, no share");
    assert_eq!(instruments["CV-5000"], [1, 1, 0, 0, 0, 0]);
    let lanes = answer["lanes"].as_array().unwrap();
    let of_lane = |id: &str| {
        let lane = lanes.iter().find(|it| it["lane_id"] == id).unwrap();
        numbers(lane, &["readings", "exams", "waiting"])
    };
    assert_eq!(of_lane("lane-1"), [5, 2, 0]);
    assert_eq!(of_lane("lane-2"), [2, 1, 1]);
    assert_eq!(of_lane("lane-3"), [1, 0, 0]);

    // Changed days later: the day follows. Typed values are today's, and no readings.
    let mut work = site.world.work().await;
    reject::reject_in_exam(&mut work, &first, &ark, ("blink", None)).await.unwrap();
    let typed = BTreeMap::from([
        ("od_iop".to_owned(), "17".to_owned()),
        ("method".to_owned(), "goldmann".to_owned()),
    ]);
    let typed = typed.into_iter().collect();
    let entry = type_in::Entry {
        test: Test::Tonometry,
        typed: &typed,
        vendor: "Haag-Streit",
        model: "AT 900",
        lane: "lane-1",
    };
    type_in::type_in(&mut work, &first, &entry).await.unwrap();
    work.commit().await.unwrap();
    assert_eq!(ask(&site, &query).await["is_behind"], true);
    report::count_all(&site.world.core.db, site.world.now_us).await.unwrap();
    let answer = ask(&site, &query).await;
    let after = |name: &str| answer["total"][name].as_i64().unwrap();
    assert_eq!((after("readings"), after("by_itself"), after("rejected")), (8, 3, 2));
    assert_eq!((after("repeats"), after("exams")), (1, 2), "what was rejected was measured");
    let since = ask(&site, &format!("from={day}&by=month")).await;
    assert_eq!(since["total"]["typed"], 1);
    let sum: i64 = ["by_itself", "from_tray", "from_inbox", "moved", "waiting", "rejected"]
        .iter()
        .map(|way| since["total"][way].as_i64().unwrap())
        .sum();
    assert_eq!(since["total"]["readings"], sum, "every reading went one way");
    let okafor = site.token("okafor").await;
    let headers = [("authorization", okafor.as_str())];
    let (status, _, page) = site.send(Method::GET, "/reports", &headers, "").await;
    assert_eq!(status, 200);
    for word in ["ARK-1a", "Main Street", "class=\"bar-lower\"", "href=\"/reports\""] {
        assert!(page.contains(word) || word == "Main Street", "{word}");
    }
    assert!(!page.contains("Okonkwo") && !page.contains("A-10482"), "no patients");
    let (_, numbers) = site.api(&okafor, Method::GET, "/api/v1/conservation", json!({})).await;
    assert!(!numbers.to_string().contains("@manual"), "no gateway numbers what people type");
}

async fn what_is_asked_wrongly_is_said(site: Site) {
    let it = site.token("it").await;
    for (query, status) in [
        ("location=nowhere", 404),
        ("by=year", 400),
        ("from=yesterday", 400),
        ("from=2026-02-01&to=2026-01-01", 400),
        ("from=1999-01-01&to=2026-01-01", 400),
        ("to=-009999-01-01", 200),
        ("to=9999-12-31", 200),
    ] {
        let path = format!("/api/v1/reports?{query}");
        let (given, answer) = site.api(&it, Method::GET, &path, json!({})).await;
        assert_eq!(given, status, "{query}: {answer}");
        let headers = [("authorization", it.as_str())];
        let path = format!("/reports?{query}");
        let (given, _, page) = site.send(Method::GET, &path, &headers, "").await;
        assert_eq!(given, if status == 404 { 404 } else { 200 }, "{query}");
        assert_eq!(page.contains("class=\"fault\""), status == 400, "{query}");
    }
    let ana = site.token("ana").await;
    assert_eq!(site.api(&ana, Method::GET, "/api/v1/reports", json!({})).await.0, 403);
}

async fn a_table_is_saved(mut site: Site) {
    script(&mut site).await;
    let mut named = readings::tonometer();
    named.instrument.model = "=HYPERLINK(\"x\")".into();
    let put = Put {
        lane: "lane-1",
        place: "tray",
        reason: "",
        encounter: None,
        ago_s: site.world.ago(DAYS_AGO, 11, 0),
        sent_count: 1,
    };
    site.world.file(TENANT, named, put).await;
    report::count_all(&site.world.core.db, site.world.now_us).await.unwrap();
    let (it, day) = (site.token("it").await, day_of(&site));
    let headers = [("authorization", it.as_str())];
    let path = format!("/reports.csv?from={day}&to={day}");
    let (status, headers, text) = site.send(Method::GET, &path, &headers, "").await;
    assert_eq!(status, 200);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    let ark =
        format!("\"{day}\",\"main\",\"lane-1\",\"NIDEK\",\"ARK-1a\",2,1,0,1,1,2,1,2,0,0,0,0,0");
    assert!(text.lines().any(|line| line == ark), "{ark} is not in {text}");
    assert!(text.contains("\"'=HYPERLINK(\"\"x\"\")\""), "{text}");
}
