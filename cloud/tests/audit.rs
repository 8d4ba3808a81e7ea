//! The audit: complete, append-only and chained (C11), on both kinds of database.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::audit_chain::{self, Noted},
    args,
    store::audit::{self, Stored},
};
use serde_json::json;
use site::{
    Site,
    world::{OTHER, TENANT},
};

on_both!(
    looks_and_changes_are_entries,
    the_chain_cannot_be_bent,
    many_at_once_make_one_chain,
    who_saw_the_pressure,
    the_next_patient_in_a_lane_is_another_look,
    the_export_is_whole_and_safe,
    only_those_who_answer_for_it_ask,
);

impl Site {
    async fn entries(&self) -> Vec<Stored> {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        audit::after(&mut tx, TENANT, 0, 1_000).await.unwrap()
    }
    /// Runs SQL as nobody should, in a transaction of its own.
    async fn tamper(&self, sql: &'static str) -> Result<u64, chiasm_cloud::store::StoreError> {
        let mut tx = self.world.core.db.tenant(TENANT).await?;
        let touched = tx.execute(sql, args![TENANT]).await?;
        tx.commit().await?;
        Ok(touched)
    }
}

/// "Who saw or changed the IOP of patient X": every look and every change says whose, what kind, and
/// old and new.
async fn looks_and_changes_are_entries(site: Site) {
    let token = site.token("okafor").await;
    let lars = site.visits["A-10977"].clone();
    let get = async |path: &str| {
        let headers = [("authorization", token.as_str())];
        assert_eq!(site.send(Method::GET, path, &headers, "").await.0, 200, "{path}");
    };
    get(&format!("/exams/{lars}")).await;
    get(&format!("/exams/{lars}")).await;
    let all = site.exam(&token, &lars).await;
    // Latest first.
    let tonometer = &all[0];
    let id = tonometer["reading_id"].as_str().unwrap().to_owned();
    get(&format!("/readings/{id}/raw")).await;
    let post = async |path: &str, body| site.api(&token, Method::POST, path, body).await.0;
    let of = format!("/api/v1/encounters/{lars}/readings/{id}");
    assert_eq!(post(&format!("{of}/accept"), json!({})).await, 204);
    assert_eq!(post(&format!("{of}/reject"), json!({"reason": "blinked"})).await, 204);
    let acuity = json!({"version": 0, "values": {"unaided_far_right": "20/40"}});
    let save = format!("/api/v1/encounters/{lars}/acuity");
    assert_eq!(post(&save, acuity).await, 204);
    let acuity = json!({"version": 1, "values": {"unaided_far_right": "20/30"}});
    assert_eq!(post(&save, acuity).await, 204);
    // A kind that was not in the exam when it was looked at before.
    get(&format!("/exams/{lars}")).await;

    let entries = site.entries().await;
    let doctor = format!("{TENANT}-okafor");
    let of_doctor: Vec<&Stored> = entries.iter().filter(|it| it.account_id == doctor).collect();
    let actions: Vec<&str> = of_doctor.iter().map(|it| it.action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "sign_in",
            "exam_seen",
            "raw_seen",
            "reading_accepted",
            "reading_rejected",
            "acuity_saved",
            "acuity_saved",
            "exam_seen",
        ],
        "looking again at the same is the same look"
    );
    let patient = of_doctor[1].patient_id.clone().expect("a patient");
    for entry in &of_doctor[1..] {
        assert_eq!(entry.patient_id.as_ref(), Some(&patient), "{}", entry.action);
        assert_eq!(entry.encounter_id.as_ref(), Some(&lars), "{}", entry.action);
        assert_eq!(entry.role, "doctor");
    }
    let kinds = |at: usize| of_doctor[at].kinds.split(' ').collect::<Vec<_>>();
    assert!(kinds(1).contains(&"tonometry") && !kinds(1).contains(&"visual_acuity"));
    assert!(kinds(7).contains(&"visual_acuity"), "{:?}", kinds(7));
    assert!(of_doctor[1].is_look && !of_doctor[3].is_look);
    let change = |at: usize| {
        let it = of_doctor[at];
        (it.value_before.as_str(), it.value_after.as_str())
    };
    assert_eq!(change(3), ("pending", "accepted"));
    assert_eq!(change(4), ("accepted", "rejected"));
    assert_eq!(of_doctor[4].why, "blinked");
    assert_eq!(of_doctor[4].reading_id.as_ref(), Some(&id));
    assert_eq!(change(5), ("", "unaided_far_right 20/40"));
    assert_eq!(change(6), ("unaided_far_right 20/40", "unaided_far_right 20/30"));
}

async fn the_chain_cannot_be_bent(site: Site) {
    let db = &site.world.core.db;
    let verify =
        async |noted: Option<&Noted>| audit_chain::verify(db, TENANT, noted).await.unwrap();
    site.token("ana").await;
    site.token("okafor").await;
    let whole = verify(None).await;
    assert_eq!(whole.broken, None);
    assert!(whole.entries > 4, "{whole:?}");
    let empty = audit_chain::verify(db, OTHER, None).await.unwrap();
    assert_eq!((empty.entries, empty.broken), (0, None));
    // The database itself refuses.
    for refused in [
        "UPDATE audit_entry SET account_id = 'x' WHERE tenant_id = $1 AND seq = 2",
        "DELETE FROM audit_entry WHERE tenant_id = $1 AND seq = 2",
        "INSERT INTO audit_entry (tenant_id, audit_entry_id, at_us, account_id, action, subject)
            VALUES ($1, 'x', 1, 'a', 'b', 'c')",
        "INSERT INTO audit_entry (tenant_id, audit_entry_id, at_us, account_id, action, subject,
            seq) VALUES ($1, 'x', 1, 'a', 'b', 'c', 2)",
        "UPDATE audit_head SET last_seq = 1 WHERE tenant_id = $1",
        "DELETE FROM audit_head WHERE tenant_id = $1",
    ] {
        assert!(site.tamper(refused).await.is_err(), "{refused}");
    }
    if matches!(db, chiasm_cloud::store::Db::Sqlite { .. }) {
        let replace = "INSERT OR REPLACE INTO audit_entry (tenant_id, audit_entry_id, at_us,
            account_id, action, subject, seq) VALUES ($1, 'x', 1, 'a', 'b', 'c', 2)";
        assert!(site.tamper(replace).await.is_err(), "replacing deletes without a trigger");
    }
    assert_eq!(verify(None).await, whole);
    // Somebody with the database in their hands takes the triggers away first.
    let is_sqlite = matches!(db, chiasm_cloud::store::Db::Sqlite { .. });
    let drops: &[&'static str] = match is_sqlite {
        true => &[
            "DROP TRIGGER audit_entry_update",
            "DROP TRIGGER audit_entry_delete",
            "DROP TRIGGER audit_head_update",
        ],
        false => &[
            "DROP TRIGGER audit_entry_change ON audit_entry",
            "DROP TRIGGER audit_head_update ON audit_head",
        ],
    };
    let mut tx = db.all_tenants().await.unwrap();
    for drop in drops {
        tx.execute(drop, args![]).await.unwrap();
    }
    tx.commit().await.unwrap();
    let rename = "UPDATE audit_entry SET account_id = account_id || 'x'
        WHERE tenant_id = $1 AND seq = 2";
    site.tamper(rename).await.unwrap();
    let broken = verify(None).await;
    assert_eq!((broken.entries, broken.broken.unwrap().seq), (1, 2));
    let back = "UPDATE audit_entry SET account_id = SUBSTR(account_id, 1, LENGTH(account_id) - 1)
        WHERE tenant_id = $1 AND seq = 2";
    site.tamper(back).await.unwrap();
    assert_eq!(verify(None).await, whole);
    // The end is cut off, and the head made to fit: only what was noted elsewhere tells.
    site.tamper(
        "DELETE FROM audit_entry WHERE tenant_id = $1
            AND seq = (SELECT last_seq FROM audit_head WHERE tenant_id = $1)",
    )
    .await
    .unwrap();
    assert_eq!(verify(None).await.broken.unwrap().seq, whole.entries);
    site.tamper(
        "UPDATE audit_head SET last_seq = last_seq - 1, last_sha256 = (SELECT e.sha256
            FROM audit_entry e WHERE e.tenant_id = $1 ORDER BY e.seq DESC LIMIT 1)
            WHERE tenant_id = $1",
    )
    .await
    .unwrap();
    assert_eq!(verify(None).await.broken, None);
    let noted: Noted = format!("{}:{}", whole.entries, whole.last_sha256).parse().unwrap();
    assert_eq!(verify(Some(&noted)).await.broken.unwrap().seq, whole.entries);
    // One in the middle is taken out.
    site.tamper("DELETE FROM audit_entry WHERE tenant_id = $1 AND seq = 3").await.unwrap();
    let broken = verify(None).await;
    assert_eq!((broken.entries, broken.broken.unwrap().seq), (2, 3));
}

/// People who work at once wait for each other at the chain's end, and none is refused for it.
async fn many_at_once_make_one_chain(site: Site) {
    let token = site.token("okafor").await;
    let before = site.entries().await.len();
    let encounters: Vec<&String> = site.visits.values().collect();
    let work = encounters.iter().enumerate().map(|(at, encounter)| {
        let (site, token) = (&site, &token);
        async move {
            let path = format!("/api/v1/encounters/{encounter}/not-taken");
            let body = json!({"test": "tonometry", "eyes": "OU", "reason": format!("{at}")});
            let mut done = 0;
            for _ in 0..5 {
                let (status, answer) = site.api(token, Method::POST, &path, body.clone()).await;
                assert!((200..300).contains(&status), "{status} {answer}");
                done += 1;
            }
            done
        }
    });
    let done: usize = futures_util::future::join_all(work).await.into_iter().sum();
    assert_eq!(done, 5 * encounters.len());
    assert_eq!(site.entries().await.len(), before + done);
    let verdict = audit_chain::verify(&site.world.core.db, TENANT, None).await.unwrap();
    assert_eq!(verdict.broken, None);
}

/// C11: who saw or changed the pressure of this patient on this day.
async fn who_saw_the_pressure(site: Site) {
    let (doctor, ana) = (site.token("okafor").await, site.token("ana").await);
    let (lars, ngozi) = (site.visits["A-10977"].clone(), site.visits["A-10482"].clone());
    let get = async |token: &str, path: &str| {
        let headers = [("authorization", token)];
        let (status, _, body) = site.send(Method::GET, path, &headers, "").await;
        assert_eq!(status, 200, "{path} {body}");
        body
    };
    get(&ana, &format!("/exams/{lars}")).await;
    get(&ana, &format!("/exams/{ngozi}")).await;
    let pressure = site.exam(&doctor, &lars).await[0]["reading_id"].as_str().unwrap().to_owned();
    let reject = format!("/api/v1/encounters/{lars}/readings/{pressure}/reject");
    let (status, _) = site.api(&doctor, Method::POST, &reject, json!({"reason": "blinked"})).await;
    assert_eq!(status, 204);

    let today = jiff::Timestamp::from_microsecond(site.world.now_us).unwrap();
    let today = today.in_tz("America/New_York").unwrap().date();
    let day = format!("from={today}&until={today}");
    let page = get(&doctor, &format!("/audit?q=A-10977&kind=tonometry&{day}")).await;
    for part in ["Bergström, Lars", "Ana Ruiz", "Looked at the exam", "Rejected a reading"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(page.contains("<del>pending</del><ins>rejected</ins>") && page.contains("blinked"));
    assert!(!page.contains("Okonkwo"), "another patient");
    let rows = |page: &str| page.matches("class=\"audit-time\"").count();
    let looked = get(&doctor, &format!("/audit?q=A-10977&kind=tonometry&only=looked&{day}")).await;
    let changed =
        get(&doctor, &format!("/audit?q=A-10977&kind=tonometry&only=changed&{day}")).await;
    assert!(!looked.contains("Rejected a reading") && changed.contains("Rejected a reading"));
    assert_eq!(rows(&changed), 1, "the sessions and the lens are of other kinds");
    let of_ana = format!("/audit?q=A-10977&account={TENANT}-ana&only=changed");
    assert!(!get(&doctor, &of_ana).await.contains("Rejected a reading"));
    let yesterday = today.yesterday().unwrap();
    let before = get(&doctor, &format!("/audit?q=A-10977&until={yesterday}")).await;
    assert!(before.contains("Nothing fits"));
    assert!(get(&doctor, "/audit?q=nobody+at+all").await.contains("Nobody is found"));
    assert!(get(&doctor, "/audit?from=yesterday").await.contains("year-month-day"));

    // The same through the API, whose pages do not overlap.
    let path = "/api/v1/audit?kind=tonometry&only=changed";
    let (status, found) = site.api(&doctor, Method::GET, path, json!({})).await;
    assert_eq!(status, 200);
    let entry = &found["entries"][0];
    assert_eq!((&entry["action"], &entry["why"]), (&json!("reading_rejected"), &json!("blinked")));
    assert_eq!(entry["kinds"], json!(["pachymetry", "tonometry"]));
    // Asking was an entry.
    let patient = entry["patient_id"].as_str().unwrap();
    let (_, asked) = site
        .api(&doctor, Method::GET, &format!("/api/v1/audit?patient_id={patient}"), json!({}))
        .await;
    let actions: Vec<&str> = asked["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["action"].as_str().unwrap())
        .collect();
    assert!(actions.contains(&"audit_seen"), "{actions:?}");
    for (wrong, status) in [
        ("kind=mood", 422),
        ("only=both", 422),
        ("before=soon", 400),
        ("patient_id=nobody", 404),
        ("colour=red", 400),
    ] {
        let path = format!("/api/v1/audit?{wrong}");
        assert_eq!(site.api(&doctor, Method::GET, &path, json!({})).await.0, status, "{wrong}");
    }
}

async fn the_next_patient_in_a_lane_is_another_look(site: Site) {
    let ana = site.token("ana").await;
    let look = async || {
        let headers = [("authorization", ana.as_str())];
        assert_eq!(site.send(Method::GET, "/lanes/lane-1", &headers, "").await.0, 200);
    };
    look().await;
    look().await;
    // Within the time that makes one look of several, with nothing measured yet.
    let mut work = site.world.work().await;
    let next = &site.visits["A-11203"];
    chiasm_cloud::app::session::open(&mut work, "lane-1", next).await.unwrap();
    work.commit().await.unwrap();
    look().await;
    let entries = site.entries().await;
    let looks: Vec<_> = entries.iter().filter(|it| it.action == "lane_seen").collect();
    let exams: Vec<_> = looks.iter().map(|it| it.encounter_id.as_deref().unwrap()).collect();
    assert_eq!(exams, [site.visits["A-10977"].as_str(), next.as_str()]);
    assert_ne!(looks[0].patient_id, looks[1].patient_id);
    assert!(looks[0].kinds.contains("tonometry"), "{}", looks[0].kinds);
}

async fn the_export_is_whole_and_safe(site: Site) {
    let doctor = site.token("okafor").await;
    let auth = [("authorization", doctor.as_str())];
    assert_eq!(site.send(Method::GET, "/patients?q=%3Dcmd0", &auth, "").await.0, 200);
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let one = site.entries().await.pop().unwrap();
    let many: Vec<audit::Entry> = (0..2_100)
        .map(|at| audit::Entry {
            at_us: one.at_us - at,
            account_id: one.account_id.clone(),
            role: one.role.clone(),
            address: String::new(),
            is_look: true,
            action: "exam_seen".into(),
            subject: format!("{at}"),
            about: audit::About::default(),
        })
        .collect();
    audit::append(&mut tx, TENANT, &many).await.unwrap();
    tx.commit().await.unwrap();
    let (status, headers, text) = site.send(Method::GET, "/audit.csv", &auth, "").await;
    assert_eq!(status, 200);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert!(headers["content-disposition"].to_str().unwrap().contains(".csv"));
    let lines = chiasm_cloud::app::csv::parse(&text, 100_000).unwrap();
    let mut numbers: Vec<&str> = lines[1..].iter().map(|(_, line)| line[0].as_str()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut tx = site.world.core.db.tenant_read(TENANT).await.unwrap();
    let (last, _) = audit::head(&mut tx, TENANT).await.unwrap().unwrap();
    drop(tx);
    assert_eq!(numbers.len() as i64, last - 1, "each once, but for the export's own entry");
    assert!(text.contains(",'=cmd0,") && !text.contains(",=cmd"), "no formulas");
    let latest = site.api(&doctor, Method::GET, "/api/v1/audit", json!({})).await.1;
    assert_eq!(latest["entries"].as_array().unwrap().len(), 100);
    assert!(latest["older"].is_string());
    let exported = site.api(&doctor, Method::GET, "/api/v1/audit?only=changed", json!({})).await.1;
    assert_eq!(exported["entries"][0]["action"], "audit_exported");
}

async fn only_those_who_answer_for_it_ask(site: Site) {
    for (login, status) in [("okafor", 200), ("ana", 403), ("it", 403), ("staff", 403)] {
        let token = site.token(login).await;
        for path in ["/audit", "/audit.csv", "/api/v1/audit"] {
            let headers = [("authorization", token.as_str())];
            let (got, _, page) = site.send(Method::GET, path, &headers, "").await;
            assert_eq!(got, status, "{login} {path}");
            assert_eq!(page.contains("href=\"/audit\""), path == "/audit" && status == 200);
        }
    }
    // Another practice's patient.
    let bea = site.token("bea").await;
    assert_eq!(site.api(&bea, Method::GET, "/api/v1/audit", json!({})).await.0, 403);
}
