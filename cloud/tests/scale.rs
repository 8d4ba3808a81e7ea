//! What must stay fast with much data: the inbox a page at a time with owners (C6), looking people
//! up, the ledger's count, and the plans of the queries behind them.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    args, clock,
    fleet::{jobs, reconcile},
    store::{Tx, aging, db::Arg, patient, reconcile as ledger, report, waiting},
};
use serde_json::{Value, json};
use site::{
    Site,
    world::{Put, TENANT, readings},
};

on_both!(
    c6_an_inbox_has_pages_and_owners,
    an_item_is_offered_the_visits_of_its_day_and_of_today,
    people_are_found_whatever_the_case,
    the_ledger_is_counted_once,
    queries_use_their_indexes,
);

const DAY_S: i64 = 86_400;

async fn wait_for_somebody(site: &mut Site, ago_s: i64) -> String {
    let put = Put {
        lane: "lane-2",
        place: "inbox",
        reason: "nobody took it",
        encounter: None,
        ago_s,
        sent_count: 1,
    };
    site.world.file(TENANT, readings::lensmeter(), put).await
}

async fn an_item_is_offered_the_visits_of_its_day_and_of_today(mut site: Site) {
    let visits = site.visits.clone();
    site.world.past(&visits).await;
    let sql = "SELECT encounter_id, scheduled_at_us FROM encounter
        WHERE tenant_id = $1 ORDER BY scheduled_at_us LIMIT 2";
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let old: Vec<(String, i64)> = tx.fetch_all(sql, chiasm_cloud::args![TENANT]).await.unwrap();
    drop(tx);
    let mut items = Vec::new();
    for (_, at_us) in &old {
        let ago_s = (site.world.now_us - at_us) / 1_000_000;
        items.push(wait_for_somebody(&mut site, ago_s).await);
    }
    let token = site.token("ana").await;
    let headers = [("authorization", token.as_str())];
    let (_, _, page) = site.send(Method::GET, "/inbox/main", &headers, "").await;
    for (mine, other) in [(0, 1), (1, 0)] {
        let start = page.find(&format!("id=\"to-{}\"", items[mine])).unwrap();
        let choice = page[start..].split("</select>").next().unwrap();
        assert!(choice.contains(&old[mine].0), "the day of the measurement");
        assert!(choice.contains(&visits["A-10977"]), "today");
        assert!(!choice.contains(&old[other].0), "another item's day is none of this one's");
    }
}

async fn c6_an_inbox_has_pages_and_owners(mut site: Site) {
    let few = waiting::PAGE_MAX + 5;
    let mut old = Vec::new();
    for index in 0..few {
        old.push(wait_for_somebody(&mut site, 3 * DAY_S - index).await);
    }
    let (ana, okafor) = (site.token("ana").await, site.token("okafor").await);
    let get = async |path: &str| site.api(&ana, Method::GET, path, json!({})).await;
    let inbox = async || get("/api/v1/inboxes").await.1[0].clone();
    let (waiting_before, overdue) =
        (inbox().await["waiting"].clone(), inbox().await["overdue"].clone());
    // Four wait in the made-up day.
    assert_eq!((&waiting_before, &overdue), (&json!(few + 4), &json!(few)));
    let pages = async || {
        let (mut after, mut ids) = (String::new(), Vec::new());
        loop {
            let (status, page) = get(&format!("/api/v1/inboxes/main?after={after}")).await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().unwrap();
            assert!(items.len() as i64 <= waiting::PAGE_MAX);
            ids.extend(items.iter().map(|it| it["reading_id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = next.to_owned(),
                None => return ids,
            }
        }
    };
    let all = pages().await;
    assert_eq!(all.len() as i64, few + 4, "each once");
    assert_eq!(all[..old.len()], old, "overdue first, oldest first");
    // Taken by a person: no longer overdue, behind those that are.
    let act = async |token: &str, id: &str, what: &str| {
        let path = format!("/api/v1/waiting/{id}/{what}");
        site.api(token, Method::POST, &path, json!({})).await.0
    };
    assert_eq!(act(&ana, &old[0], "take").await, 204);
    assert_eq!(act(&ana, &old[0], "take").await, 204, "twice is once");
    assert_eq!(inbox().await["overdue"], few - 1);
    let all = pages().await;
    assert_eq!(all[..old.len() - 1], old[1..]);
    assert_eq!(all[old.len() - 1], old[0], "the oldest of the rest");
    let headers = [("authorization", okafor.as_str())];
    let page = async |path: &str| site.send(Method::GET, path, &headers, "").await;
    let (_, _, second) = page(&format!("/inbox/main?after=o_{}_", i64::MAX)).await;
    assert!(second.contains("Ana Ruiz sees to it"), "{second}");
    assert!(second.contains("First page"));
    assert!(second.contains(", the day of the measurement\">"), "whose visits are offered first");
    let (_, _, first) = page("/inbox/main").await;
    assert!(first.contains(&format!("{} waiting", few + 4)) && first.contains("Next page"));
    assert!(first.contains("Over 24 hours, nobody"));
    assert_eq!(page("/inbox/main?after=nonsense").await.0, 400);
    // Somebody else takes over; then it leaves the inbox, and nobody owns it any more.
    assert_eq!(act(&okafor, &old[0], "take").await, 204);
    let to = json!({"encounter_id": site.visits["A-10482"]});
    let assign = format!("/api/v1/waiting/{}/assign", old[0]);
    assert_eq!(site.api(&okafor, Method::POST, &assign, to).await.0, 204);
    assert_eq!(act(&ana, &old[0], "take").await, 409, "it waits no longer");
    let exam = site.exam(&ana, &site.visits["A-10482"]).await;
    assert_eq!(exam[0]["owned_by"], Value::Null);
    assert_eq!(act(&ana, &old[1], "take").await, 204);
    assert_eq!(act(&ana, &old[1], "give-back").await, 204);
    assert_eq!(inbox().await["overdue"], few - 1);
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT COUNT(*) FROM audit_entry WHERE tenant_id = $1
        AND action IN ('reading_taken', 'reading_given_back')";
    assert_eq!(tx.fetch_one::<(i64,)>(sql, args![TENANT]).await.unwrap(), (4,));
    // All inboxes: the one with something overdue says so.
    drop(tx);
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let zone = "America/New_York";
    let put = chiasm_cloud::store::fleet::put_location;
    put(&mut tx, TENANT, "annex", "Annex", zone).await.unwrap();
    tx.commit().await.unwrap();
    let (_, _, all) = page("/inbox").await;
    assert!(all.contains(&format!("{} over 24 hours", few - 1)), "{all}");
    assert!(all.find("Main Street") < all.find("Annex"), "overdue first");
}

async fn people_are_found_whatever_the_case(site: Site) {
    let ana = site.token("ana").await;
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    // As an earlier version has written it.
    let sql = "INSERT INTO patient (tenant_id, patient_id, chart_number, family_name, given_name,
        birth_date, created_at_us) VALUES ($1, 'p-oe', 'Z-1', 'ÖZIL', 'Élodie', '1970-01-02', 1)";
    tx.execute(sql, args![TENANT]).await.unwrap();
    tx.commit().await.unwrap();
    patient::fold_all(&site.world.core.db).await.unwrap();
    let find = async |query: &str| {
        let path = format!("/patients?{query}");
        let headers = [("authorization", ana.as_str())];
        let (status, _, page) = site.send(Method::GET, &path, &headers, "").await;
        assert_eq!(status, 200);
        page.matches("<tr><th scope=\"row\">").count()
    };
    for query in ["q=%C3%B6z", "q=%C3%96Z", "q=%C3%A9lo", "q=Z-1", "born=1970-01-02"] {
        assert_eq!(find(query).await, 1, "{query}");
    }
    assert_eq!(find("q=%C3%B6zz").await, 0);
    assert_eq!(find("q=%25").await, 0, "no wildcards");
    assert_eq!(find("q=nguyen&born=2016-05-02").await, 1);
    assert_eq!(find("q=nguyen&born=2016-05-03").await, 0);
    assert_eq!(find("q=s").await, 2, "Smith by family name, Siobhán by given name");
}

async fn the_ledger_is_counted_once(mut site: Site) {
    let ana = site.token("ana").await;
    let numbers = async || {
        let (_, all) = site.api(&ana, Method::GET, "/api/v1/conservation", json!({})).await;
        all.as_array().unwrap().iter().find(|it| it["gateway_id"] == "gw-main").unwrap().clone()
    };
    let before = numbers().await;
    assert_eq!(before["balanced"], true);
    let db = site.world.core.db.clone();
    jobs::count_once(&site.world.core).await.unwrap();
    let upto = async || {
        let mut tx = db.tenant_read(TENANT).await.unwrap();
        let epochs = ledger::epochs(&mut tx, TENANT).await.unwrap();
        (epochs[0].counted_upto, epochs[0].counted.clone())
    };
    let (counted_upto, counted) = upto().await;
    assert_eq!(Some(counted_upto), before["received_upto"].as_i64());
    assert_eq!(counted.documents["reading"], counted_upto);
    assert_eq!(numbers().await, before, "the same numbers from the count");
    reconcile::count_once(&db, TENANT).await.unwrap();
    assert_eq!(upto().await, (counted_upto, counted), "twice is once");
    // What comes later is counted on top; what is counted is not looked at again, but for proof.
    let mut tx = db.tenant(TENANT).await.unwrap();
    let forget = "DELETE FROM document WHERE tenant_id = $1 AND seq = 2";
    tx.execute(forget, args![TENANT]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(numbers().await["balanced"], true);
    let mut tx = db.tenant_read(TENANT).await.unwrap();
    let proof = reconcile::accounts(&mut tx, TENANT).await.unwrap();
    assert!(proof.iter().any(|it| !it.balanced), "the command counts every document");
    drop(tx);
    wait_for_somebody(&mut site, 60).await;
    let mut tx = db.tenant(TENANT).await.unwrap();
    let on = "UPDATE stream SET upto = upto + 1, highest = highest + 1 WHERE tenant_id = $1";
    tx.execute(on, args![TENANT]).await.unwrap();
    tx.commit().await.unwrap();
    let (_, all) = site.api(&ana, Method::GET, "/api/v1/conservation", json!({})).await;
    let all = all.as_array().unwrap();
    let after = all.iter().find(|it| it["gateway_id"] == "gw-main").unwrap();
    assert_eq!(after["in_inbox"].as_u64(), before["in_inbox"].as_u64().map(|it| it + 1));
    assert_eq!(after["in_exams"], before["in_exams"]);
    assert_eq!(after["balanced"], true);
}

/// The plan of a query, one step a line.
async fn plan(tx: &mut Tx, sql: &'static str, args: Vec<Arg>) -> String {
    let explain = |word: &str| -> &'static str { Box::leak(format!("{word} {sql}").into()) };
    match tx {
        Tx::Sqlite(_) => {
            let sql = explain("EXPLAIN QUERY PLAN");
            let rows: Vec<(i64, i64, i64, String)> = tx.fetch_all(sql, args).await.unwrap();
            rows.into_iter().map(|row| row.3 + "\n").collect()
        }
        Tx::Postgres(_) => {
            // A table of a few rows is read as a whole, whatever indexes it has.
            tx.execute("SET LOCAL enable_seqscan = off", args![]).await.unwrap();
            let rows: Vec<(String,)> = tx.fetch_all(explain("EXPLAIN"), args).await.unwrap();
            rows.into_iter().map(|row| row.0 + "\n").collect()
        }
    }
}

async fn queries_use_their_indexes(site: Site) {
    let (t, now) = (TENANT, clock::now_us());
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let is_sqlite = matches!(tx, Tx::Sqlite(_));
    let cases: Vec<(&'static str, Vec<Arg>, &[&str])> = vec![
        (waiting::COUNTS.of(&tx), args![t, now].into(), &["reading_waiting"]),
        (
            waiting::IN_TRAYS.of(&tx),
            args![t].into(),
            &["reading_waiting_lane", "reading_waiting_tray"],
        ),
        (waiting::OF_LANE, args![t, "lane-1", 9_i64].into(), &["reading_waiting_lane"]),
        (waiting::OF_LOCATION.of(&tx), args![t, "main", 9_i64].into(), &["reading_waiting"]),
        (
            waiting::OVERDUE.of(&tx),
            args![t, "main", now, i64::MIN, "", 9_i64].into(),
            &["reading_waiting"],
        ),
        (
            waiting::NOT_OVERDUE.of(&tx),
            args![t, "main", now, i64::MIN, "", 9_i64].into(),
            &["reading_waiting"],
        ),
        (patient::BY_FAMILY_NAME, args![t, "a", "b", 9_i64].into(), &["patient_family_name"]),
        (patient::BY_GIVEN_NAME, args![t, "a", "b", 9_i64].into(), &["patient_given_name"]),
        (
            patient::BY_BIRTH_DATE.of(&tx),
            args![t, "a", "b", 9_i64, "1970-01-01", "A"].into(),
            // Without statistics PostgreSQL takes either.
            if is_sqlite { &["patient_birth_date"] } else { &["patient_"] },
        ),
        (aging::OLD_TRAYS.of(&tx), args![now].into(), &["reading_waiting_tray"]),
        (aging::OLD_IN_TRAY.of(&tx), args![t, now, 9_i64].into(), &["reading_waiting_tray"]),
        (ledger::NOT_IN_EXAM, args![t].into(), &["reading_not_in_exam"]),
        (report::FACTS, args![t, "main", 0_i64, "", now, 9_i64].into(), &["reading_day"]),
        (report::EARLIER_STATES.of(&tx), args![t, "main", 0_i64, now].into(), &["reading_day"]),
    ];
    for (sql, args, indexes) in cases {
        let plan = plan(&mut tx, sql, args).await;
        // On tables of a few rows PostgreSQL takes any of the small indexes.
        let is_waiting = !is_sqlite && plan.contains(" using reading_waiting");
        // Without statistics it begins with either table of a join.
        let is_joined = !is_sqlite && plan.contains("reading_version");
        let is_used = is_joined
            || is_waiting && indexes[0].starts_with("reading_waiting")
            || indexes.iter().any(|index| plan.contains(index));
        assert!(is_used, "{sql}\nuses none of {indexes:?}:\n{plan}");
        if sql == patient::BY_FAMILY_NAME || sql == patient::BY_GIVEN_NAME {
            // The names narrow the index itself, behind row-level security as well.
            let narrows = |line: &str| line.contains("_folded>") || line.contains("Index Cond");
            let line = plan.lines().find(|line| narrows(line) && line.contains("_folded"));
            assert!(line.is_some(), "{sql}\n{plan}");
        }
        let reads_all = [
            "SCAN reading",
            "SCAN r\n",
            "SCAN patient",
            "Seq Scan on reading",
            "Seq Scan on patient",
        ];
        for word in reads_all {
            // A partial index that is read from end to end holds little.
            let line = plan.lines().find(|line| line.contains(word.trim_end()));
            let is_partial = line.is_some_and(|line| line.contains("USING"));
            assert!(line.is_none() || is_partial, "{sql}\nreads a whole table:\n{plan}");
        }
    }
}
