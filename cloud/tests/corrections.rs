//! What people say about readings, by the forms that they use, on both kinds of database.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::principal::Role,
    args,
    domain::correction::{PairUse, Purpose},
};
use site::{
    Site,
    world::{self, Put, TENANT, readings},
};

on_both!(
    d9_swapped_eyes_are_a_version,
    t10_a_lens_has_a_side_and_a_purpose,
    t11_typed_values_are_marked,
    t11_an_amended_value_keeps_what_was_sent,
    r16_not_taken_is_a_note,
    r11_drops_make_two_kinds,
    d10_merge_and_unmerge,
    acceptance_outlives_a_correction,
);

impl Site {
    /// A form of a page, as a browser without script sends it, but signed in by token.
    async fn form(&self, path: &str, body: &str) -> (u16, String) {
        let token = self.token("ana").await;
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let (status, _, page) = self.send(Method::POST, path, &headers, body).await;
        (status, page)
    }
    async fn page(&self, path: &str) -> String {
        let token = self.token("okafor").await;
        let headers = [("authorization", token.as_str())];
        let (status, _, page) = self.send(Method::GET, path, &headers, "").await;
        assert_eq!(status, 200, "{path}: {page}");
        page
    }
    async fn put(&mut self, decoded: chiasm_proto::Decoded, encounter: &str) -> String {
        let put = Put {
            lane: "lane-1",
            place: "exam",
            reason: "the lane session of lane 1",
            encounter: Some(encounter),
            ago_s: 5,
            sent_count: 1,
        };
        self.world.file(TENANT, decoded, put).await
    }
    /// Version and correction of every state that a reading had, the last one first.
    async fn states(&self, reading: &str) -> Vec<(i64, String)> {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        let sql = "SELECT version, COALESCE(correction, '') FROM reading
                WHERE tenant_id = $1 AND reading_id = $2
            UNION ALL SELECT version, COALESCE(correction, '') FROM reading_version
                WHERE tenant_id = $1 AND reading_id = $2 ORDER BY version DESC";
        tx.fetch_all(sql, args![TENANT, reading]).await.unwrap()
    }
}

/// What stands on a page between two texts that come one after the other.
fn between<'p>(page: &'p str, from: &str, to: &str) -> &'p str {
    let start = page.find(from).unwrap_or_else(|| panic!("no {from} in {page}"));
    let rest = &page[start..];
    &rest[..rest.find(to).unwrap_or(rest.len())]
}

async fn d9_swapped_eyes_are_a_version(mut site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    let lens = site.put(readings::lensmeter(), &siobhan).await;
    let exam = format!("/exams/{siobhan}");
    let right_of = |page: &str| {
        let panel = between(page, "panel-wearing", "entry-foot").to_owned();
        between(&panel, "eye-right", "eye-left").to_owned()
    };
    let left_of = |page: &str| {
        let panel = between(page, "panel-wearing", "entry-foot").to_owned();
        between(&panel, "eye-left", "entry-foot").to_owned()
    };
    let before = site.page(&exam).await;
    let swap = format!("{exam}/readings/{lens}/swap");
    let (status, message) = site.form(&swap, "reason=+").await;
    assert_eq!(status, 422, "a reason is needed: {message}");
    let (status, _) = site.form(&swap, "version=1&reason=measured+the+wrong+way+round").await;
    assert_eq!(status, 303);
    let after = site.page(&exam).await;
    let strip = |html: String| -> String {
        html.lines().filter(|line| line.contains("value")).collect::<String>()
    };
    assert_eq!(strip(right_of(&after)), strip(left_of(&before)));
    assert_eq!(strip(left_of(&after)), strip(right_of(&before)));
    assert!(after.contains("OD and OS exchanged by a person"));
    assert!(after.contains("measured the wrong way round"));
    let states = site.states(&lens).await;
    let expected = [(2, r#"{"is_swapped":true}"#.to_owned()), (1, String::new())];
    assert_eq!(states, expected, "R35: the old state stays");
    let (status, _) = site.form(&swap, "version=1&reason=again").await;
    assert_eq!(status, 409, "somebody was faster");
    let (status, _) = site.form(&swap, "version=2&reason=it+was+right").await;
    assert_eq!(status, 303);
    let back = site.page(&exam).await;
    assert_eq!(strip(right_of(&back)), strip(right_of(&before)));
}

async fn t10_a_lens_has_a_side_and_a_purpose(mut site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    let single = site.put(readings::single_lens(), &siobhan).await;
    let exam = format!("/exams/{siobhan}");
    let page = site.page(&exam).await;
    assert!(page.contains("Which eye?") && page.contains("Side not given"), "R1: asked");
    assert!(page.contains("purpose not stated"), "R25");
    let of = format!("{exam}/readings/{single}");
    assert_eq!(site.form(&format!("{of}/side"), "version=1&eye=OU").await.0, 400);
    assert_eq!(site.form(&format!("{of}/side"), "version=1&eye=OS").await.0, 303);
    let page = site.page(&exam).await;
    assert!(!page.contains("Which eye?") && !page.contains("Side not given"));
    assert!(page.contains("side stated by a person: OS"));
    assert_eq!(site.form(&format!("{of}/side"), "eye=OD").await.0, 303, "can be said anew");
    let purpose = format!("{of}/purpose");
    assert_eq!(site.form(&purpose, "purpose=4").await.0, 422, "there are three pairs");
    assert_eq!(site.form(&purpose, "purpose=2&used_for=reading").await.0, 303);
    assert!(site.page(&exam).await.contains("Pair 2, reading"));
    assert_eq!(site.form(&purpose, "purpose=order&order=").await.0, 422, "which order?");
    assert_eq!(site.form(&purpose, "purpose=order&order=4711").await.0, 303);
    let page = site.page(&exam).await;
    assert!(page.contains("Check-in of order 4711"));
    assert!(!page.contains("panel-wearing"), "R25: only presenting pairs are wearing");

    let lane = "/lanes/lane-1/lens-purpose";
    assert_eq!(site.form(lane, "purpose=3&used_for=sun").await.0, 303);
    assert!(site.page("/lanes/lane-1").await.contains("Next glasses: Pair 3, sun"));
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT lens_purpose FROM lane_session WHERE tenant_id = $1 AND closed_at_us IS NULL";
    let (said,): (String,) = tx.fetch_one(sql, args![TENANT]).await.unwrap();
    let expected = Purpose::Presenting { pair: 3, used_for: Some(PairUse::Sun) };
    assert_eq!(serde_json::from_str::<Purpose>(&said).unwrap(), expected);
}

async fn t11_typed_values_are_marked(site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    let path = format!("/exams/{siobhan}/type/tonometry");
    assert!(site.page(&path).await.contains("Method"));
    let (status, page) = site.form(&path, "od_iop=17&os_iop=5000&lane=lane-1").await;
    assert_eq!(status, 422);
    assert!(page.contains("value=\"5000\""), "what was typed stays");
    for id in ["fault-os_iop", "fault-method", "fault-vendor", "fault-model"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "{id} has its message: {page}");
    }
    let right = "od_iop=17&os_iop=68&method=goldmann&vendor=Haag-Streit&model=AT+900&lane=lane-1";
    assert_eq!(site.form(&path, right).await.0, 303);
    let page = site.page(&format!("/exams/{siobhan}")).await;
    assert!(page.contains("Typed") && page.contains("typed by Ana Ruiz"), "marked, with who");
    assert!(page.contains("Goldmann") && page.contains("68"), "R19, R22");
    let of_elsewhere = right.replace("lane-1", "lane-9");
    assert_eq!(site.form(&path, &of_elsewhere).await.0, 422, "a lane of the location");
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT acceptance, accepted_by, is_manual FROM reading
        WHERE tenant_id = $1 AND gateway_id = '@manual'";
    let row: (String, String, bool) = tx.fetch_one(sql, args![TENANT]).await.unwrap();
    assert_eq!(row, ("accepted".into(), format!("{TENANT}-ana"), true));
    drop(tx);
    let fleet = site.page("/fleet").await;
    assert!(!fleet.contains("@manual"), "no gateway of that name");
    assert!(!fleet.contains("do not add up"));
}

async fn t11_an_amended_value_keeps_what_was_sent(mut site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    let id = site.put(readings::tonometer(), &siobhan).await;
    let path = format!("/exams/{siobhan}/readings/{id}/amend/tonometry");
    let form = site.page(&path).await;
    assert!(form.contains("name=\"od_iop\" value=\""), "shows what is there: {form}");
    let typed = "version=1&od_iop=27&method=non_contact";
    let (status, page) = site.form(&path, typed).await;
    assert_eq!(status, 422, "a reason is needed");
    assert!(page.contains("id=\"fault-reason\""));
    let (status, _) = site.form(&path, &format!("{typed}&reason=misread")).await;
    assert_eq!(status, 303);
    let page = site.page(&format!("/exams/{siobhan}")).await;
    assert!(page.contains("amended") && page.contains("misread"));
    assert_eq!(site.states(&id).await.len(), 2);
    let raw = site.page(&format!("/readings/{id}/raw")).await;
    assert!(raw.contains("SHA-256") || raw.contains("sha256"), "what was sent stays readable");
}

async fn r16_not_taken_is_a_note(site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    let path = format!("/exams/{siobhan}/not-taken");
    assert_eq!(site.form(&path, "test=tonometry&eye=OS&reason=").await.0, 422);
    let body = "test=tonometry&eye=OS&reason=child+did+not+cooperate";
    assert_eq!(site.form(&path, body).await.0, 303);
    let page = site.page(&format!("/exams/{siobhan}")).await;
    assert!(page.contains("Eye pressure OS not taken: child did not cooperate (Ana Ruiz"));
    let note = between(&page, "not-taken-0", "\"").trim_start_matches("not-taken-").to_owned();
    assert_eq!(site.form(&format!("{path}/{note}/withdraw"), "").await.0, 303);
    assert!(!site.page(&format!("/exams/{siobhan}")).await.contains("not taken: child"));
    assert_eq!(site.form(&format!("{path}/{note}/withdraw"), "").await.0, 404);
}

async fn r11_drops_make_two_kinds(mut site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    site.put(readings::ark_low(), &siobhan).await;
    let exam = format!("/exams/{siobhan}");
    assert!(!site.page(&exam).await.contains("before drops"), "nothing was given");
    let body = "agent=Tropicamide+1+%25&minutes_ago=0";
    assert_eq!(site.form(&format!("{exam}/drops"), body).await.0, 303);
    assert_eq!(site.form(&format!("{exam}/drops"), "agent=&minutes_ago=0").await.0, 422);
    assert_eq!(site.form(&format!("{exam}/drops"), "agent=x&minutes_ago=2000").await.0, 422);
    let page = site.page(&exam).await;
    assert!(page.contains("Autorefraction, before drops"), "{page}");
    let after = site.put(readings::ark(), &siobhan).await;
    let said = format!("{exam}/readings/{after}/drops");
    assert_eq!(site.form(&said, "version=1&drops=after").await.0, 303);
    let page = site.page(&exam).await;
    assert!(page.contains("Autorefraction, after drops"));
    assert!(page.contains("Autorefraction, before drops"), "both are offered");
}

async fn d10_merge_and_unmerge(site: Site) {
    let (lars, siobhan) = (site.visits["A-10977"].clone(), site.visits["A-11203"].clone());
    let patient = async |site: &Site, encounter: &str| {
        let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
        let sql = "SELECT patient_id FROM encounter WHERE tenant_id = $1 AND encounter_id = $2";
        let (id,): (String,) = tx.fetch_one(sql, args![TENANT, encounter]).await.unwrap();
        id
    };
    let (survivor, other) = (patient(&site, &lars).await, patient(&site, &siobhan).await);
    let merges = format!("/patients/{survivor}/merges");
    let (status, page) = site.form(&merges, "chart_number=A-11203&reason=two+charts").await;
    assert_eq!(status, 422, "other people, by their birth dates");
    assert!(page.contains("birth date"), "{page}");
    site.world.same_birth_date(&other, &survivor).await;
    let body = "chart_number=A-11203&reason=registered+twice";
    assert_eq!(site.form(&merges, body).await.0, 303);
    let page = site.page(&format!("/patients/{survivor}/charts")).await;
    assert!(
        page.contains("A-10977") && page.contains("A-11203") && page.contains("registered twice")
    );
    // A reading that names the merged chart now agrees with the survivor's exam.
    let held = site.world.waiting_reading("A-11203").await;
    let assign = format!("/inbox/main/{held}/assign");
    assert_eq!(site.form(&assign, &format!("encounter={lars}")).await.0, 303);
    let (status, _) = site.form(&merges, body).await;
    assert_eq!(status, 422, "merged already");
    let merge = between(&page, "/merges/", "/undo").trim_start_matches("/merges/").to_owned();
    let undo = format!("/patients/{survivor}/merges/{merge}/undo");
    assert_eq!(site.form(&undo, "reason=they+are+brothers").await.0, 303);
    assert_eq!(site.form(&undo, "reason=again").await.0, 422);
    let page = site.page(&format!("/patients/{survivor}/charts")).await;
    assert!(!page.contains("A-11203"));
}

async fn acceptance_outlives_a_correction(mut site: Site) {
    let siobhan = site.visits["A-11203"].clone();
    let lens = site.put(readings::lensmeter(), &siobhan).await;
    let of = format!("/exams/{siobhan}/readings/{lens}");
    assert_eq!(site.form(&format!("{of}/accept"), "version=1").await.0, 303);
    let who = world::who(TENANT, "okafor", Role::Doctor);
    assert_eq!(who.role, Role::Doctor);
    assert_eq!(site.form(&format!("{of}/purpose"), "version=2&purpose=1").await.0, 303);
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let sql = "SELECT acceptance, accepted_by FROM reading
        WHERE tenant_id = $1 AND reading_id = $2";
    let row: (String, Option<String>) = tx.fetch_one(sql, args![TENANT, &lens]).await.unwrap();
    assert_eq!(row, ("accepted".into(), Some(format!("{TENANT}-ana"))));
}
