//! Pages and API over the real router, on both kinds of database.

#[macro_use]
mod site;

use axum::{body::Body, http::Method};
use chiasm_cloud::{
    app::principal::Role,
    http::{guard::Access, routes},
};
use chiasm_proto::CAPTURE_LEN_MAX;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use site::{
    Site,
    world::{OTHER, PASSWORD, Put, TENANT, readings},
};
use tower::ServiceExt;

on_both!(
    routes_are_guarded,
    tenants_never_meet,
    csrf_is_refused,
    readings_are_versioned,
    replay,
    conservation,
    gateways_are_enrolled,
    instruments_are_set_up,
    t6_what_could_not_be_read_is_said_in_its_lane,
    a_schedule_overwrites_nobody,
);

fn fill(path: &str, site: &Site, encounter: &str, reading: &str) -> String {
    let _ = site;
    path.replace("{lane}", "lane-1")
        .replace("{location}", "main")
        .replace("{encounter}", encounter)
        .replace("{reading}", reading)
        .replace("{name}", "base.css")
        .replace("{driver}", "nidek_ark")
        .replace("{test}", "tonometry")
        .replace("{patient}", "none")
        .replace("{note}", "none")
        .replace("{merge}", "none")
        .replace("{notice}", "none")
        .replace("{order}", "none")
        .replace("{code}", "92015")
        .replace("{account}", "none")
        .replace("{session}", "none")
        .replace("{instance}", "none")
        .replace("{gateway}", "none")
        .replace("{version}", "1")
        .replace("{capture}", "none")
        .replace("{incident}", "none")
        .replace("{study}", "1.2.3")
        .replace("{series}", "1.2.3.4")
        .replace("{sop}", "1.2.3.4.5")
        .replace("{frames}", "1")
        .replace("{element}", "7FE00010")
        .replace("{frame}", "1")
}

async fn routes_are_guarded(site: Site) {
    let logins = [
        (Role::Technician, "ana"),
        (Role::Doctor, "okafor"),
        (Role::Optician, "nils"),
        (Role::ClinicIt, "it"),
        (Role::CloudStaff, "staff"),
    ];
    let mut tokens = Vec::new();
    for (role, login) in logins {
        tokens.push((role, site.token(login).await));
    }
    let encounter = &site.visits["A-10977"];
    let mut refused = 0;
    for route in routes::routes() {
        let path = fill(route.path, &site, encounter, "none");
        let Access::Roles(roles) = route.access else { continue };
        let (status, headers, _) = site.send(route.method.clone(), &path, &[], "").await;
        let is_api = path.starts_with("/api") || path.starts_with("/dicomweb");
        let is_page = !is_api && path != "/live" && route.method == Method::GET;
        assert_eq!(status, if is_page { 303 } else { 401 }, "{} {path}", route.method);
        if is_page {
            assert!(headers["location"].to_str().unwrap().starts_with("/sign-in"));
        }
        for (role, token) in tokens.iter().filter(|(role, _)| !roles.contains(role)) {
            let headers = [("authorization", token.as_str())];
            let (status, headers, _) = site.send(route.method.clone(), &path, &headers, "").await;
            assert_eq!(status, 403, "{role} {} {path}", route.method);
            assert_eq!(headers["cache-control"], "no-store");
            assert!(headers.contains_key("content-security-policy"));
            refused += 1;
        }
    }
    assert!(refused > 50, "the table has roles to refuse");
}

/// A body that the route takes, so that nothing but the tenant can be the reason for a refusal.
fn right_body(path: &str, encounter: &str) -> Value {
    let reason = json!({"reason": "x"});
    match path.rsplit('/').next().unwrap() {
        "accept" | "undo" | "start" | "take-over" | "seen"
            if !path.contains("merges") && !path.contains("{note}") =>
        {
            json!({})
        }
        "undo" | "reject" | "swap" | "withdraw" => reason,
        "move" | "assign" => json!({"encounter_id": encounter, "reason": "x"}),
        "side" => json!({"eye": "OD"}),
        "purpose" => json!({"purpose": {"kind": "presenting", "pair": 1}}),
        "drops" if path.contains("{reading}") => json!({"drops": "after"}),
        "drops" => json!({"agent": "x"}),
        "amend" => {
            json!({"test": "tonometry", "values": {"od_iop": "17", "method": "goldmann"},
                "reason": "x"})
        }
        "readings" => json!({"test": "tonometry", "vendor": "x", "model": "x", "lane_id": "lane-1",
            "values": {"od_iop": "17", "method": "goldmann"}}),
        "not-taken" => json!({"test": "tonometry", "eyes": "OU", "reason": "x"}),
        "merges" => json!({"chart_number": "x", "reason": "x"}),
        "acuity" | "subjective" | "final" => json!({"version": 0, "values": {}}),
        "sign" => json!({"digest": "x"}),
        "addenda" => json!({"text": "x"}),
        "received" | "take" | "give-back" => json!({}),
        "orders" => json!({"what": {"lens_use": "distance", "eyes": "OU", "pd_both": "62"}}),
        "decide" => json!({"order_version": 1, "reading_version": 1, "accepts": true}),
        "{code}" => json!({"mark": "ordered"}),
        _ => panic!("say what body POST {path} takes"),
    }
}

async fn tenants_never_meet(site: Site) {
    let (ours, theirs) = (site.token("ana").await, site.token("bea").await);
    let encounter = site.visits["A-10977"].clone();
    let reading = site.exam(&ours, &encounter).await[0]["reading_id"].as_str().unwrap().to_owned();
    // Right in every form, so that nothing but the tenant can be the reason.
    let form_body = format!(
        "reason=x&encounter={encounter}&eye=OD&drops=after&purpose=1&test=tonometry&agent=x\
         &od_iop=17&method=goldmann&vendor=x&model=x&lane=lane-1&chart_number=x&decision=accept"
    );
    for route in routes::routes() {
        let is_of_a_patient =
            ["{encounter}", "{reading}", "{patient}"].iter().any(|it| route.path.contains(it));
        if !is_of_a_patient {
            continue;
        }
        let path = fill(route.path, &site, &encounter, &reading);
        let is_api = path.starts_with("/api/");
        let (kind, body) = match is_api {
            true if route.method == Method::GET => ("application/json", String::new()),
            true => ("application/json", right_body(route.path, &encounter).to_string()),
            false => ("application/x-www-form-urlencoded", form_body.clone()),
        };
        let headers = [("authorization", theirs.as_str()), ("content-type", kind)];
        let (status, _, body) = site.send(route.method.clone(), &path, &headers, &body).await;
        assert_eq!(status, 404, "{} {path} of {TENANT} asked by {OTHER}: {body}", route.method);
    }
    let body = json!({"encounter_id": encounter});
    let (status, _) = site.api(&theirs, Method::POST, "/api/v1/lanes/lane-1/session", body).await;
    assert_eq!(status, 404, "a session for another tenant's encounter");
    let (_, found) = site.api(&theirs, Method::GET, "/api/v1/patients?q=A-10977", json!({})).await;
    assert_eq!(found, json!([]));
}

async fn csrf_is_refused(site: Site) {
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = format!("login=ana&password={}", PASSWORD.replace(' ', "+"));
    let (status, headers, _) = site.send(Method::POST, "/sign-in", &[form], &body).await;
    assert_eq!(status, 303);
    let cookie = headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{part} is missing in {cookie}");
    }
    let cookie = cookie.split(';').next().unwrap();
    let (_, _, me) = site.send(Method::GET, "/api/v1/me", &[("cookie", cookie)], "").await;
    let me: Value = serde_json::from_str(&me).unwrap();
    let csrf = me["csrf_token"].as_str().unwrap();
    let end = "/lanes/lane-1/session/end";
    let post = async |headers: &[(&str, &str)], body: &str| {
        site.send(Method::POST, end, headers, body).await.0
    };
    assert_eq!(post(&[("cookie", cookie), form], "").await, 403);
    assert_eq!(post(&[("cookie", cookie), form], "csrf=0000").await, 403);
    let right = format!("csrf={csrf}");
    let elsewhere = ("origin", "https://evil.example");
    let host = ("host", "clinic.example");
    assert_eq!(post(&[("cookie", cookie), form, elsewhere, host], &right).await, 403);
    assert_eq!(post(&[("cookie", cookie), form], &right).await, 303);
    assert_eq!(post(&[("cookie", cookie), ("x-csrf-token", csrf)], "").await, 303);
    let wrong = "login=ana&password=wrong+password";
    let (status, _, page) = site.send(Method::POST, "/sign-in", &[form], wrong).await;
    assert_eq!(status, 401);
    let unknown = "login=nobody&password=wrong+password";
    let (_, _, other) = site.send(Method::POST, "/sign-in", &[form], unknown).await;
    let words = "Login or password is not right";
    assert!(page.contains(words) && other.contains(words), "the same words for both");
}

async fn readings_are_versioned(site: Site) {
    let token = site.token("okafor").await;
    let lars = site.visits["A-10977"].clone();
    let path = |of: &Value, what: &str| {
        let id = of["reading_id"].as_str().unwrap();
        format!("/api/v1/encounters/{lars}/readings/{id}/{what}")
    };
    let post = async |path: String, body: Value| site.api(&token, Method::POST, &path, body).await;
    let all = site.exam(&token, &lars).await;
    let flagged = all.iter().find(|it| it["needs_a_look"] == true).unwrap();
    let (status, answer) = post(format!("/api/v1/encounters/{lars}/accept"), json!({})).await;
    assert_eq!((status, &answer["accepted"]), (200, &json!(1)), "only what needs no look");
    assert_eq!(post(path(flagged, "accept"), json!({"version": 7})).await.0, 409);
    assert_eq!(post(path(flagged, "accept"), json!({"version": 1})).await.0, 204);
    assert_eq!(post(path(flagged, "accept"), json!({})).await.0, 422, "already accepted");
    assert_eq!(post(path(flagged, "undo"), json!({})).await.0, 204);
    assert_eq!(post(path(flagged, "reject"), json!({"reason": " "})).await.0, 422);
    let to = json!({"encounter_id": site.visits["A-11203"], "reason": "wrong patient active"});
    assert_eq!(post(path(flagged, "move"), to).await.0, 204);
    assert_eq!(post(path(flagged, "accept"), json!({})).await.0, 404, "no longer in this exam");
    let moved = site.exam(&token, &site.visits["A-11203"]).await;
    assert_eq!(moved[0]["acceptance"], "pending");
    assert_eq!(moved[0]["version"], 4, "accepted, taken back, moved");
    let headers = [("authorization", token.as_str())];
    let (_, _, page) = site.send(Method::GET, &format!("/exams/{lars}"), &headers, "").await;
    assert!(page.contains("moved out") && page.contains("wrong patient active"));

    let held = site.api(&token, Method::GET, "/api/v1/waiting?location=main", json!({})).await.1;
    let held = held.as_array().unwrap().iter().find(|it| it["place"] == "held").unwrap().clone();
    let assign = format!("/api/v1/waiting/{}/assign", held["reading_id"].as_str().unwrap());
    let (status, answer) = post(assign.clone(), json!({"encounter_id": lars})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("ids_differ")));
    let bare = json!({"encounter_id": lars, "although_ids_differ": true});
    assert_eq!(post(assign.clone(), bare).await.0, 422, "needs a reason");
    let body = json!({"encounter_id": site.visits["A-11203"]});
    assert_eq!(post(assign.clone(), body).await.0, 204, "the id in the data agrees");
    assert_eq!(post(assign, json!({"encounter_id": lars})).await.0, 409, "waits no longer");
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT COUNT(*) FROM reading_version WHERE tenant_id = $1";
    let (versions,): (i64,) = tx.fetch_one(sql, chiasm_cloud::args![TENANT]).await.unwrap();
    assert_eq!(versions, 1 + 1 + 3 + 1, "one kept state per change");
}

async fn replay(site: Site) {
    let ana = site.token("ana").await;
    let read = async |token: &str, path: &str, last: Option<&str>, until: &str| {
        let mut request = axum::http::Request::get(path).header("authorization", token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = site.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let mut text = String::new();
        while !text.contains(until) {
            let frame = body.frame().await.unwrap().unwrap();
            text.push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
        }
        text
    };
    let text = read(&ana, "/live?after=0", None, "id: 3\n").await;
    for kind in ["visit_changed", "session_opened", "reading_changed"] {
        assert!(text.contains(kind), "{kind} is missing in {text}");
    }
    assert!(!text.contains("Lars") && !text.contains("A-10977"), "nothing personal");
    let text = read(&ana, "/live", Some("1"), "id: 2\n").await;
    assert!(!text.contains("id: 1\n"), "{text}");
    let text = read(&ana, "/live", Some("999"), "event: reload").await;
    assert!(!text.contains("event: change"));
    let work = site.world.work();
    let live = read(&ana, "/live?lane=lane-3", Some("3"), "id: 4\n");
    let open = async {
        let mut work = work.await;
        let visit = &site.visits["A-11203"];
        chiasm_cloud::app::session::open(&mut work, "lane-3", visit).await.unwrap();
        work.commit().await.unwrap();
    };
    let (text, ()) = tokio::join!(live, open);
    assert!(text.contains("\"lane\":\"lane-3\""));
}

/// The page, the API and the command show one calculation, over all epochs.
async fn conservation(site: Site) {
    let (ana, it) = (site.token("ana").await, site.token("it").await);
    let numbers = async || {
        let (status, all) = site.api(&it, Method::GET, "/api/v1/conservation", json!({})).await;
        assert_eq!(status, 200);
        let all = all.as_array().unwrap().clone();
        all.into_iter().find(|of| of["gateway_id"] == "gw-main").unwrap()
    };
    let before = numbers().await;
    let waits = ["in_trays", "in_inbox", "held"].map(|place| before[place].as_u64().unwrap());
    assert_eq!((&before["in_exams"], waits), (&json!(4), [2, 1, 1]));
    assert_eq!(
        (&before["balanced"], &before["lost"], &before["gaps"]),
        (&json!(true), &json!(0), &json!(0))
    );
    // A person rejects what waits: it stays where it was, and is counted there.
    let waiting = site.api(&ana, Method::GET, "/api/v1/waiting?location=main", json!({})).await.1;
    let path = format!("/api/v1/waiting/{}", waiting[0]["reading_id"].as_str().unwrap());
    let why = json!({"reason": "blink", "encounter_id": site.visits["A-10977"]});
    let reject = format!("{path}/reject");
    assert_eq!(site.api(&ana, Method::POST, &reject, why.clone()).await.0, 204);
    assert_eq!(site.api(&ana, Method::POST, &reject, why.clone()).await.0, 422);
    assert_eq!(site.api(&ana, Method::POST, &format!("{path}/assign"), why).await.0, 422);
    // Other content came under a filed number; a number was refused; an older epoch has a gap.
    let now = before["epochs"][0]["epoch"].as_str().unwrap().to_owned();
    let (older, at) = ("01900000-0000-7000-8000-000000000000", site.world.now_us);
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let reject = "INSERT INTO rejected_document (tenant_id, gateway_id, epoch, seq, sha256, code,
        detail, received_at_us, body) VALUES ($1, 'gw-main', $2, $3, 'other', $4, '', $5, '')";
    for (epoch, seq, code) in
        [(now.as_str(), 1_i64, "content_differs"), (older, 3, "malformed"), (older, 0, "malformed")]
    {
        tx.execute(reject, chiasm_cloud::args![TENANT, epoch, seq, code, at]).await.unwrap();
    }
    let stream =
        "INSERT INTO stream (tenant_id, gateway_id, epoch, upto, highest, gaps, first_at_us,
        last_at_us) VALUES ($1, 'gw-main', $2, 0, 3, '[[1,2]]', 1, 1)";
    tx.execute(stream, chiasm_cloud::args![TENANT, older]).await.unwrap();
    tx.commit().await.unwrap();
    let after = numbers().await;
    assert_eq!((&after["balanced"], &after["lost"]), (&json!(true), &json!(0)), "{after}");
    assert_eq!((&after["gaps"], &after["rejected_documents"]), (&json!(2), &json!(3)));
    for same in ["documents", "in_trays", "in_inbox", "held", "sent_upto", "received_upto"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    let accounts = after["epochs"].as_array().unwrap();
    assert_eq!((&accounts[0]["rejected"], &accounts[0]["unnumbered"]), (&json!(1), &json!(1)));
    assert_eq!((&accounts[1]["rejected"], &accounts[1]["differing"]), (&json!(0), &json!(1)));
    let headers = [("authorization", it.as_str())];
    let (_, _, page) = site.send(Method::GET, "/fleet", &headers, "").await;
    assert!(page.contains("2 numbers have not arrived"), "{page}");
    // A document that neither side has.
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let forget = "DELETE FROM document WHERE tenant_id = $1 AND epoch = $2 AND seq = 2";
    tx.execute(forget, chiasm_cloud::args![TENANT, now]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(numbers().await["balanced"], false);
}

async fn gateways_are_enrolled(site: Site) {
    let it = site.token("it").await;
    let form =
        [("authorization", it.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let store = chiasm_cloud::store::fleet::put_location;
    store(&mut tx, TENANT, "annex", "Annex", "America/New_York").await.unwrap();
    tx.commit().await.unwrap();
    let enrol = async |body: &str| site.send(Method::POST, "/fleet/gateways", &form, body).await;
    let (status, _, page) = enrol("gateway=gw-new&location=annex&name=New+one").await;
    assert_eq!(status, 200, "{page}");
    let code = page.split("--code ").nth(1).unwrap().split('<').next().unwrap().trim();
    let hash = chiasm_cloud::app::claim_code::code_sha256(code).expect("a code");
    let mut tx = site.world.core.db.all_tenants_read().await.unwrap();
    let claim = chiasm_cloud::store::claim::find(&mut tx, &hash).await.unwrap().unwrap();
    drop(tx);
    assert_eq!((claim.tenant.as_str(), claim.gateway.as_str()), (TENANT, "gw-new"));
    // A second code makes the first worthless.
    assert_eq!(enrol("gateway=gw-new&location=annex&name=New+one").await.0, 200);
    let mut tx = site.world.core.db.all_tenants_read().await.unwrap();
    assert_eq!(chiasm_cloud::store::claim::find(&mut tx, &hash).await.unwrap(), None);
    drop(tx);
    let revoke = async |gateway: &str| {
        let path = format!("/fleet/gateways/{gateway}/revoke");
        site.send(Method::POST, &path, &form, "").await.0
    };
    assert_eq!(revoke("gw-new").await, 303);
    assert_eq!(revoke("gw-new").await, 404, "it is shut out");
    assert_eq!(revoke("gw-other").await, 404);
    for (refused, status) in [
        ("gateway=gw-new&location=main&name=Elsewhere", 422),
        ("gateway=gw-new&location=nowhere&name=New", 404),
        ("gateway=Not+a+name&location=annex&name=New", 422),
        ("gateway=gw-new&location=annex&name=", 422),
    ] {
        assert_eq!(enrol(refused).await.0, status, "{refused}");
    }
}

/// I2: the settings of a model, which driver fits a file, and what could not be read lately.
async fn t6_what_could_not_be_read_is_said_in_its_lane(mut site: Site) {
    site.world.unread("nt-530p", "nidek_nt", b"\x01DNT").await;
    let ana = site.token("ana").await;
    let lane = async |site: &Site, lane: &str| {
        let headers = [("authorization", ana.as_str())];
        let path = format!("/lanes/{lane}");
        let (status, _, page) = site.send(Method::GET, &path, &headers, "").await;
        assert_eq!(status, 200);
        page
    };
    let page = lane(&site, "lane-1").await;
    assert!(page.contains("id=\"unread-nt-530p\"") && page.contains("press it again"), "{page}");
    assert!(!page.contains("DOE_JANE"), "a file's name may be a person's");
    assert!(!lane(&site, "lane-2").await.contains("unread-"), "it was another lane");
    // The next print of the same instrument ends it.
    let (place, reason, encounter) = ("tray", "no session was open in the lane", None);
    let put = Put { lane: "lane-1", place, reason, encounter, ago_s: -1, sent_count: 1 };
    site.world.file(TENANT, readings::tonometer(), put).await;
    assert!(!lane(&site, "lane-1").await.contains("unread-"), "it was printed again");
}

async fn instruments_are_set_up(mut site: Site) {
    let asks = b"\x01C**\x02RS\x17\x04";
    site.world.unread("lane-1-ark", "nidek_ark", asks).await;
    let mut cut = b"<?xml version=\"1.0\"?><Ophthalmology xmlns=\"urn:x\">".to_vec();
    cut.resize(CAPTURE_LEN_MAX, b' ');
    site.world.unread("lane-1-share", "joia_xml", &cut).await;
    let (it, ana) = (site.token("it").await, site.token("ana").await);
    let get = async |token: &str, path: &str| {
        site.send(Method::GET, path, &[("authorization", token)], "").await
    };
    let (status, _, page) = get(&it, "/instruments").await;
    assert_eq!(status, 200);
    assert!(page.contains("lane-1-ark") && page.contains("switch it to NCP10"), "{page}");
    assert!(page.contains("noise, byte 0"), "{page}");
    // What was sent, and what a file is called, may be a person's name.
    assert!(!page.contains("DOE") && !page.contains("something unknown"), "{page}");
    assert!(page.contains("Only the beginning was kept"), "{page}");
    let (_, _, page) = get(&ana, "/instruments").await;
    assert!(!page.contains("lane-1-ark"), "captures are for those who set instruments up");
    let (_, _, page) = get(&ana, "/instruments?q=lensometry+nidek").await;
    assert!(page.contains("/instruments/nidek_lm") && !page.contains("/instruments/nidek_nt"));
    let (status, _, page) = get(&ana, "/instruments/nidek_ark").await;
    assert_eq!(status, 200);
    for word in ["OPIF-11", "NCP10", "9600 8 E 1", "driver = &#34;nidek_ark&#34;", "Dry test"] {
        assert!(page.contains(word), "{word} is not in {page}");
    }
    assert_eq!(get(&ana, "/instruments/nobody_knows").await.0, 404);
    let form =
        [("authorization", it.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let examine = async |bytes: &str| {
        site.send(Method::POST, "/instruments/examine", &form, &format!("bytes={bytes}")).await
    };
    // SOH DLM STX, a single lens, ETB EOT.
    let lens = b"\x01DLM\x02IDNIDEK/LM-7P\x17  -00.25+01.75180\x17\x04";
    let lens: String = lens.iter().map(|byte| format!("{byte:02x}")).collect();
    let (status, _, page) = examine(&lens).await;
    assert_eq!(status, 200);
    assert!(page.contains(">nidek_lm</a> reads it"), "{page}");
    let (_, _, page) = examine("25504446").await;
    assert!(page.contains("this is a PDF"), "{page}");
    assert_eq!(examine("0x12").await.0, 422);
}

async fn a_schedule_overwrites_nobody(site: Site) {
    let it = site.token("it").await;
    let headers = [("authorization", it.as_str()), ("content-type", "text/csv")];
    let csv = "appointment_key,location,scheduled_at,chart_number,family_name,given_name,\
        birth_date,reason\n\
        k1,main,2026-11-23T15:00,A-10482,Okonkwo,Ngozi,1961-03-05,Visit\n\
        k2,main,2026-11-23T15:10,A-10482,Okonkwo,Chidi,1961-03-04,Visit\n\
        k3,main,2026-11-23T15:20,A-10482,OKONKWO,Ngozi,1961-03-04,Visit\n\
        k4,main,2026-11-23T15:30,B-1,Twin,Ada,2001-01-01,Visit\n\
        k5,main,2026-11-23T15:40,B-1,Twin,Bea,2001-01-01,Visit\n";
    let (status, _, body) = site.send(Method::POST, "/api/v1/schedule/import", &headers, csv).await;
    assert_eq!(status, 200, "{body}");
    let imported: Value = serde_json::from_str(&body).unwrap();
    let lines: Vec<_> =
        imported["faults"].as_array().unwrap().iter().map(|it| &it["line"]).collect();
    assert_eq!(lines, [&json!(2), &json!(3), &json!(6)], "{body}");
    assert_eq!(imported["appointments_added"], 2);
    let ana = site.token("ana").await;
    let found = site.api(&ana, Method::GET, "/api/v1/patients?q=B-1", json!({})).await.1;
    assert_eq!(found[0]["given_name"], "Ada");
}
