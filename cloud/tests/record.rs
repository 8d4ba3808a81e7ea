//! What doctors write, sign and are told (D5, D8, D9, T8, R12), on both kinds of database.

mod site;

use axum::http::Method;
use chiasm_proto::Sha256;
use serde_json::{Value, json};
use site::{
    Site,
    world::{Put, TENANT, readings},
};

on_both!(
    d5_a_start_is_refined_before_it_is_final,
    r12_an_autorefraction_fills_nothing_by_itself,
    two_people_write_and_nobody_loses,
    faults_stand_at_their_fields,
    d8_signing_lists_what_is_open,
    d8_what_came_since_is_not_signed,
    d9_a_signed_exam_changes_by_addendum_only,
    t8_who_looked_is_told,
    r12_paper_shows_no_autorefraction_as_prescription,
    only_doctors_decide,
    d3_what_doctors_write_is_compared,
);

const LARS: &str = "A-10977";

/// A place in a visit's exam, just now.
fn into_exam(encounter: &str) -> Put<'_> {
    Put {
        lane: "lane-1",
        place: "exam",
        reason: "the lane session of lane 1",
        encounter: Some(encounter),
        ago_s: 1,
        sent_count: 1,
    }
}

impl Site {
    fn url(&self, chart: &str, what: &str) -> String {
        format!("/api/v1/encounters/{}/{what}", self.visits[chart])
    }
    async fn get(&self, token: &str, chart: &str, what: &str) -> Value {
        let (status, body) = self.api(token, Method::GET, &self.url(chart, what), json!({})).await;
        assert_eq!(status, 200, "{what}: {body}");
        body
    }
    async fn post(&self, token: &str, chart: &str, what: &str, body: Value) -> (u16, Value) {
        self.api(token, Method::POST, &self.url(chart, what), body).await
    }
    async fn entry(&self, token: &str, kind: &str) -> Option<Value> {
        let all = self.get(token, LARS, "prescription").await;
        all.as_array().unwrap().iter().find(|it| it["kind"] == kind).cloned()
    }
    /// Signs what is there now.
    async fn sign(&self, token: &str, chart: &str) -> (u16, Value) {
        let seen = self.get(token, chart, "sign").await;
        self.post(token, chart, "sign", json!({"digest": seen["digest"]})).await
    }
    async fn page(&self, token: &str, path: &str) -> (u16, String) {
        let headers = [("authorization", token)];
        let (status, _, body) = self.send(Method::GET, path, &headers, "").await;
        (status, body)
    }
    /// The id of an exam's reading of a model.
    async fn reading_of(&self, token: &str, chart: &str, model: &str) -> String {
        let readings = self.exam(token, &self.visits[chart]).await;
        let found =
            readings.iter().find(|it| it["document"]["data"]["instrument"]["model"] == model);
        found.unwrap()["reading_id"].as_str().unwrap().to_owned()
    }
    async fn notices(&self, token: &str) -> Vec<Value> {
        let (status, notices) = self.api(token, Method::GET, "/api/v1/notices", json!({})).await;
        assert_eq!(status, 200);
        notices.as_array().unwrap().clone()
    }
}

fn rx() -> Value {
    json!({"version": 0, "values": {
        "right_sphere": "-4.00", "right_cylinder": "-0.75", "right_axis": "178",
        "left_sphere": "-3.50", "left_prism_horizontal": "1", "left_base_horizontal": "in"
    }})
}

async fn d5_a_start_is_refined_before_it_is_final(site: Site) {
    let doctor = site.token("okafor").await;
    let start = json!({"eye": "OD"});
    assert_eq!(site.post(&doctor, LARS, "subjective/start", start).await.0, 204);
    let entry = site.entry(&doctor, "subjective").await.unwrap();
    let right = &entry["values"]["right"];
    assert_eq!(right["sphere"], json!(-4.25), "the latest reading's median: {entry}");
    assert_eq!(right["axis_deg"], 175);
    assert_eq!(right["from_ar"]["untouched"], json!(["sphere", "cylinder", "axis"]));
    assert_eq!(entry["values"]["left"], json!({}), "one eye at a time");
    let (status, fault) = site.post(&doctor, LARS, "final/take-over", json!({})).await;
    assert_eq!(status, 422);
    assert!(
        fault["message"].as_str().unwrap().contains("OD: sphere, cylinder and axis"),
        "{fault}"
    );
    let (_, page) = site.page(&doctor, &format!("/exams/{}", site.visits[LARS])).await;
    assert!(page.contains("from AR, not refined"));
    // One field is touched, the others are confirmed.
    let touched = json!({"version": 1, "values": {
        "right_sphere": "-4.00", "right_cylinder": "-0.75", "right_axis": "175"}});
    assert_eq!(site.post(&doctor, LARS, "subjective", touched).await.0, 204);
    let entry = site.entry(&doctor, "subjective").await.unwrap();
    assert_eq!(entry["values"]["right"]["from_ar"]["untouched"], json!(["cylinder", "axis"]));
    assert_eq!(site.post(&doctor, LARS, "final/take-over", json!({})).await.0, 422);
    let refined = json!({"version": 2, "values": {
        "right_sphere": "-4.00", "right_cylinder": "-0.75", "right_axis": "175",
        "right_refined": "1"}});
    assert_eq!(site.post(&doctor, LARS, "subjective", refined).await.0, 204);
    let (status, answer) = site.post(&doctor, LARS, "final/take-over", json!({})).await;
    assert_eq!(status, 204, "{answer}");
    let entry = site.entry(&doctor, "final").await.unwrap();
    assert_eq!(entry["values"]["right"]["sphere"], json!(-4));
    assert_eq!(entry["values"]["right"].get("from_ar"), None);
    assert_eq!(entry["values"]["based_on"]["subjective_version"], 3);
    // One eye right after the other is not too late, as it replaces nothing.
    let left = json!({"eye": "OS", "version": 0});
    assert_eq!(site.post(&doctor, LARS, "subjective/start", left).await.0, 204);
    // Refined values are replaced only on request, and then only as they were seen.
    let stale = json!({"eye": "OD", "version": 3, "replace": true});
    assert_eq!(site.post(&doctor, LARS, "subjective/start", stale).await.0, 409);
    let again = json!({"eye": "OD", "version": 3});
    assert_eq!(site.post(&doctor, LARS, "subjective/start", again).await.0, 422);
    let again = json!({"eye": "OD", "version": 4, "replace": true});
    assert_eq!(site.post(&doctor, LARS, "subjective/start", again).await.0, 204);
}

async fn r12_an_autorefraction_fills_nothing_by_itself(site: Site) {
    let doctor = site.token("okafor").await;
    let path = format!("/exams/{}/refraction", site.visits[LARS]);
    let (status, page) = site.page(&doctor, &path).await;
    assert_eq!(status, 200);
    assert!(page.contains("Autorefraction, a starting point"), "{page}");
    assert!(page.contains("name=\"right_sphere\" value=\"\""), "the field is empty");
    assert_eq!(site.get(&doctor, LARS, "prescription").await, json!([]));
    // A rejected autorefraction is no start; the one before it is.
    let latest = site.reading_of(&doctor, LARS, "ARK-1a").await;
    let reject = format!("readings/{latest}/reject");
    assert_eq!(site.post(&doctor, LARS, &reject, json!({"reason": "blink"})).await.0, 204);
    assert_eq!(site.post(&doctor, LARS, "subjective/start", json!({})).await.0, 204);
    let entry = site.entry(&doctor, "subjective").await.unwrap();
    assert_eq!(entry["values"]["right"]["axis_deg"], 171, "{entry}");
}

async fn two_people_write_and_nobody_loses(site: Site) {
    let (doctor, ana) = (site.token("okafor").await, site.token("ana").await);
    assert_eq!(site.post(&ana, LARS, "subjective", rx()).await.0, 204);
    assert_eq!(site.post(&doctor, LARS, "subjective", rx()).await.0, 409, "seen version 0");
    let path = format!("/exams/{}/subjective", site.visits[LARS]);
    let form = "version=0&right_sphere=-1.25&left_sphere=-3.50";
    let headers =
        [("authorization", doctor.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let (status, _, page) = site.send(Method::POST, &path, &headers, form).await;
    assert_eq!(status, 409);
    assert!(page.contains("value=\"-1.25\""), "what was typed stays: {page}");
    assert!(page.contains("saved: -4.00"), "and theirs is shown: {page}");
    assert!(page.contains("Ana Ruiz"));
    let form = "version=1&right_sphere=-1.25&left_sphere=-3.50";
    assert_eq!(site.send(Method::POST, &path, &headers, form).await.0, 303);
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let earlier = chiasm_cloud::store::exam_entry::earlier(&mut tx, TENANT, &site.visits[LARS]);
    let earlier = earlier.await.unwrap();
    assert_eq!(earlier.len(), 1);
    assert_eq!(earlier[0].changed_by, "lakeside-ana");
    assert!(earlier[0].body.contains("178"), "{}", earlier[0].body);
}

async fn faults_stand_at_their_fields(site: Site) {
    let doctor = site.token("okafor").await;
    let path = format!("/exams/{}/final", site.visits[LARS]);
    let headers =
        [("authorization", doctor.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let form = "version=0&right_sphere=2.25&right_cylinder=-0.50&left_sphere=-1";
    let (status, _, page) = site.send(Method::POST, &path, &headers, form).await;
    assert_eq!(status, 422);
    assert!(
        page.contains("id=\"final-right_sphere-fault\">write the sign: +2.25 or -2.25"),
        "{page}"
    );
    assert!(page.contains("id=\"final-right_axis-fault\">a cylinder needs its axis"), "{page}");
    assert!(page.contains("value=\"2.25\""), "what was typed stays");
    assert_eq!(site.entry(&doctor, "final").await, None);
    let (status, fault) = site
        .post(
            &doctor,
            LARS,
            "acuity",
            json!({"values": {"unaided_far_right": "a text that is too long"}}),
        )
        .await;
    assert_eq!((status, fault["code"].as_str()), (422, Some("refused")));
    assert_eq!(fault["fields"][0]["field"], "unaided_far_right");
    let misspelt = json!({"values": {"right_spere": "-1.00"}});
    let (status, fault) = site.post(&doctor, LARS, "final", misspelt).await;
    assert_eq!(status, 422, "a misspelt name leaves nothing out in silence");
    assert_eq!(fault["fields"][0]["field"], "values.right_spere");
}

async fn d8_signing_lists_what_is_open(mut site: Site) {
    let doctor = site.token("okafor").await;
    // A mismatch that was measured in this patient's session.
    let session = "SELECT lane_session_id FROM lane_session WHERE tenant_id = $1 AND lane_id = $2";
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let (session,): (String,) =
        tx.fetch_one(session, chiasm_cloud::args![TENANT, "lane-1"]).await.unwrap();
    let stamp = "UPDATE reading SET lane_session_id = $2 WHERE tenant_id = $1 AND place = 'held'";
    tx.execute(stamp, chiasm_cloud::args![TENANT, session]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(site.post(&doctor, LARS, "subjective/start", json!({"eye": "OS"})).await.0, 204);
    let (_, page) = site.page(&doctor, &format!("/exams/{}/sign", site.visits[LARS])).await;
    let open = site.get(&doctor, LARS, "sign").await["open"].clone();
    let open: Vec<&str> = open.as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let has = |word: &str| open.iter().any(|it| it.contains(word));
    assert!(has("not accepted: NIDEK NT-530P"), "{open:?}");
    assert!(has("held, names another patient: Topcon KR-800"), "{open:?}");
    assert!(has("from the autorefractor, not refined: OS: sphere, cylinder and axis"), "{open:?}");
    assert!(has("no final prescription"), "{open:?}");
    for item in &open {
        assert!(page.contains(item), "{item} is not on the page");
    }
    assert!(page.contains(&format!("Sign and leave {} open", open.len())));
    assert_eq!(site.sign(&doctor, LARS).await.0, 204);
    let signed = site.get(&doctor, LARS, "sign").await;
    assert_eq!(signed["is_signed"], true);
    for item in &open {
        assert!(signed["text"].as_str().unwrap().contains(item), "{signed}");
    }
    assert_eq!(signed["snapshot"]["readings"].as_array().unwrap().len(), 4);
    assert_eq!(signed["snapshot"]["entries"][0]["kind"], "subjective");
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let stored = chiasm_cloud::store::signature::of(&mut tx, TENANT, &site.visits[LARS]).await;
    let stored = stored.unwrap().unwrap();
    drop(tx);
    assert_eq!(stored.snapshot_sha256, Sha256::of(stored.snapshot.as_bytes()).to_string());
    assert_eq!(site.sign(&doctor, LARS).await.0, 422, "once");
    // The instrument goes on: nothing of it changes the signature.
    let lars = site.visits[LARS].clone();
    site.world.file(TENANT, readings::tonometer(), into_exam(&lars)).await;
    assert_eq!(site.get(&doctor, LARS, "sign").await["text"], signed["text"]);
    let (_, page) = site.page(&doctor, &format!("/exams/{}", site.visits[LARS])).await;
    assert!(page.contains("1 reading is not as signed"), "{page}");
}

async fn d8_what_came_since_is_not_signed(mut site: Site) {
    let doctor = site.token("okafor").await;
    let seen = site.get(&doctor, LARS, "sign").await;
    let lars = site.visits[LARS].clone();
    site.world.file(TENANT, readings::tonometer(), into_exam(&lars)).await;
    let (status, fault) = site.post(&doctor, LARS, "sign", json!({"digest": seen["digest"]})).await;
    assert_eq!(status, 409, "{fault}");
    assert_eq!(site.get(&doctor, LARS, "sign").await["is_signed"], false);
    assert_eq!(site.sign(&doctor, LARS).await.0, 204);
}

async fn d9_a_signed_exam_changes_by_addendum_only(site: Site) {
    let (doctor, ana) = (site.token("okafor").await, site.token("ana").await);
    assert_eq!(site.post(&doctor, LARS, "final", rx()).await.0, 204);
    let lens = site.reading_of(&ana, LARS, "LM-1800P").await;
    let (status, fault) = site.post(&doctor, LARS, "addenda", json!({"text": "early"})).await;
    assert_eq!(status, 422, "{fault}");
    assert_eq!(site.sign(&doctor, LARS).await.0, 204);
    let signed = site.get(&doctor, LARS, "sign").await;
    for (what, body) in [
        ("final", json!({"version": 1, "values": {"right_sphere": "-9.00"}})),
        ("acuity", json!({"values": {"unaided_far_right": "20/20"}})),
        ("subjective/start", json!({})),
    ] {
        let (status, fault) = site.post(&doctor, LARS, what, body).await;
        assert_eq!(status, 422, "{what}");
        assert!(fault["message"].as_str().unwrap().contains("addendum"), "{fault}");
    }
    let reject = format!("readings/{lens}/reject");
    let body = json!({"reason": "the eyes were exchanged"});
    assert_eq!(site.post(&ana, LARS, &reject, body).await.0, 204);
    assert_eq!(site.get(&doctor, LARS, "sign").await, signed, "what was signed stays");
    let addenda = site.get(&doctor, LARS, "addenda").await;
    assert_eq!(addenda.as_array().unwrap().len(), 1);
    assert_eq!(addenda[0]["is_automatic"], true);
    let text = addenda[0]["text"].as_str().unwrap();
    assert!(text.contains("NIDEK LM-1800P") && text.contains("exchanged"), "{text}");
    let notices = site.notices(&doctor).await;
    assert_eq!(notices.len(), 1, "one word to the signer, who also looked: {notices:?}");
    assert_eq!(notices[0]["kind"], "rejected");
    let (_, page) = site.page(&doctor, &format!("/exams/{}", site.visits[LARS])).await;
    assert!(page.contains("Changed since you looked.") && page.contains("bell-on"), "{page}");
    let seen = format!("/api/v1/notices/{}/seen", notices[0]["notice_id"].as_str().unwrap());
    assert_eq!(site.api(&ana, Method::POST, &seen, json!({})).await.0, 404, "not Ana's");
    assert_eq!(site.api(&doctor, Method::POST, &seen, json!({})).await.0, 204);
    let (_, page) = site.page(&doctor, "/notices").await;
    assert!(page.contains("0 not seen") && !page.contains("bell-on"), "{page}");
    let text = json!({"text": "Glasses remade from the corrected reading."});
    assert_eq!(site.post(&doctor, LARS, "addenda", text).await.0, 204);
    assert_eq!(site.get(&doctor, LARS, "addenda").await[1]["is_automatic"], false);
    assert!(site.notices(&doctor).await.iter().all(|it| !it["seen_at_us"].is_null()));
}

async fn d3_what_doctors_write_is_compared(site: Site) {
    let doctor = site.token("okafor").await;
    let exam = format!("/exams/{}", site.visits[LARS]);
    let row = |page: &str, key: &str| {
        let start = page.find(&format!("id=\"compare-{key}\"")).unwrap_or_else(|| panic!("{key}"));
        page[start..].split("</tr>").next().unwrap().to_owned()
    };
    assert_eq!(site.post(&doctor, LARS, "subjective/start", json!({})).await.0, 204);
    let (_, page) = site.page(&doctor, &exam).await;
    let start = row(&page, "subjective");
    assert!(start.contains("Dr. Okafor, from the autorefractor and not refined"), "{start}");
    assert_eq!(site.post(&doctor, LARS, "final", rx()).await.0, 204);
    let (_, page) = site.page(&doctor, &format!("{exam}?base=wearing")).await;
    let last = row(&page, "final");
    assert!(last.contains("written by Dr. Okafor") && last.contains("not accepted"), "{last}");
    assert_eq!(site.sign(&doctor, LARS).await.0, 204);
    let (_, page) = site.page(&doctor, &exam).await;
    assert!(!row(&page, "final").contains("not accepted"), "signed");
}

async fn t8_who_looked_is_told(site: Site) {
    let (doctor, ana) = (site.token("okafor").await, site.token("ana").await);
    let to = site.visits["A-11203"].clone();
    let tonometer = site.reading_of(&ana, LARS, "NT-530P").await;
    let ark = site.reading_of(&ana, LARS, "ARK-1a").await;
    let away = |reading: &str| format!("readings/{reading}/move");
    let body = json!({"reason": "wrong patient", "encounter_id": to});
    assert_eq!(site.post(&ana, LARS, &away(&ark), body.clone()).await.0, 204);
    assert!(site.notices(&doctor).await.is_empty(), "nobody had looked");
    site.page(&doctor, &format!("/exams/{}", site.visits[LARS])).await;
    assert_eq!(site.post(&ana, LARS, &away(&tonometer), body).await.0, 204);
    let told = site.get(&doctor, LARS, "notices").await;
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert_eq!(told[0]["kind"], "moved_out");
    assert!(told[0]["text"].as_str().unwrap().contains("NT-530P"), "{told}");
    assert_eq!(told[0]["encounter_id"], json!(site.visits[LARS]), "on that exam");
    assert!(site.notices(&ana).await.is_empty(), "who did it knows");
    // What a doctor does is no news to that doctor.
    let lens = site.reading_of(&ana, LARS, "LM-1800P").await;
    let reject = format!("readings/{lens}/reject");
    assert_eq!(site.post(&doctor, LARS, &reject, json!({"reason": "blink"})).await.0, 204);
    assert_eq!(site.notices(&doctor).await.len(), 1);
}

async fn r12_paper_shows_no_autorefraction_as_prescription(site: Site) {
    let doctor = site.token("okafor").await;
    let exam = format!("/exams/{}", site.visits[LARS]);
    let ark = site.reading_of(&doctor, LARS, "ARK-1a").await;
    let accept = format!("readings/{ark}/accept");
    assert_eq!(site.post(&doctor, LARS, &accept, json!({})).await.0, 204);
    assert_eq!(site.post(&doctor, LARS, "subjective/start", json!({})).await.0, 204);
    let (status, letter) = site.page(&doctor, &format!("{exam}/letter")).await;
    assert_eq!(status, 200);
    assert!(letter.contains("They are not a prescription"), "{letter}");
    assert!(letter.contains("Draft. This exam is not signed."));
    assert!(letter.contains("LM-1800P") && !letter.contains("NT-530P"), "accepted only: {letter}");
    for table in letter.split("<table").skip(1) {
        let table = table.split("</table>").next().unwrap();
        assert!(!table.contains("-4.25"), "the autorefractor's sphere stands in a table: {table}");
    }
    assert_eq!(site.page(&doctor, &format!("{exam}/prescription")).await.0, 404);
    assert_eq!(site.post(&doctor, LARS, "final", rx()).await.0, 204);
    assert_eq!(site.page(&doctor, &format!("{exam}/prescription")).await.0, 404, "not signed");
    assert_eq!(site.sign(&doctor, LARS).await.0, 204);
    let (status, paper) = site.page(&doctor, &format!("{exam}/prescription")).await;
    assert_eq!(status, 200);
    assert!(paper.contains("1.00 base in") && paper.contains("Signed by Dr. Okafor"), "{paper}");
    assert!(!paper.contains("-4.25"));
}

async fn only_doctors_decide(site: Site) {
    let ana = site.token("ana").await;
    assert_eq!(site.post(&ana, LARS, "final", rx()).await.0, 403);
    assert_eq!(site.post(&ana, LARS, "final/take-over", json!({})).await.0, 403);
    assert_eq!(site.sign(&ana, LARS).await.0, 403);
    assert_eq!(site.post(&ana, LARS, "addenda", json!({"text": "x"})).await.0, 403);
    let acuity = json!({"values": {"wearing_near_both": "N6"}});
    assert_eq!(site.post(&ana, LARS, "acuity", acuity).await.0, 204);
    let entry = site.entry(&ana, "acuity").await.unwrap();
    assert_eq!(entry["values"], json!({"wearing_near_both": "N6"}));
}
