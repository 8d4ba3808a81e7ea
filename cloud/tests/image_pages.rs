//! Images on the pages: in the exam, in the inbox, on paper and in the charge proposals.

mod site;

use axum::http::Method;
use chiasm_cloud::{args, clock};
use serde_json::{Value, json};
use site::{
    Site,
    world::{TENANT, oct},
};

on_both!(
    an_exam_lists_its_images,
    d7_images_are_expected_and_arriving,
    a_person_decides_what_waits,
    images_are_evidence_for_charges,
);

const LARS: &str = "A-10977";
const SIOBHAN: &str = "A-11203";

impl Site {
    async fn page(&self, token: &str, path: &str) -> String {
        let (status, _, page) = self.send(Method::GET, path, &[("authorization", token)], "").await;
        assert_eq!(status, 200, "{path}: {page}");
        page
    }
    async fn form(&self, token: &str, path: &str, form: &str) -> (u16, String) {
        let kind = "application/x-www-form-urlencoded";
        let headers = [("authorization", token), ("content-type", kind)];
        let (status, _, body) = self.send(Method::POST, path, &headers, form).await;
        (status, body)
    }
}

async fn an_exam_lists_its_images(site: Site) {
    let okafor = site.token("okafor").await;
    let lars = &site.visits[LARS];
    let exam = format!("/exams/{lars}");
    assert!(!site.page(&okafor, &exam).await.contains("id=\"images\""), "nothing, no section");
    let study = oct::study_of(lars);
    let first = site.world.image(TENANT, &oct::oct(&study, "1.1", "1.1.1")).await;
    site.world.image(TENANT, &oct::oct(&study, "1.1", "1.1.2")).await;
    let left = oct::oct(&study, "1.2", "1.2.1").text(0x0020_0062, "CS", "L");
    // The eye of the series is another one than that of the image.
    let torn = oct::oct(&study, "1.3", "1.3.1").text(0x0020_0060, "CS", "L");
    site.world.image(TENANT, &left).await;
    site.world.image(TENANT, &torn).await;
    let page = site.page(&okafor, &exam).await;
    for words in [
        &format!("href=\"/instances/{first}\""),
        &format!("src=\"/instances/{first}/thumbnail.png\""),
        "OCT volume",
        "Macular cube",
        "8 frames in 2 images",
        "Testmaker OCT-1",
        "30 Nov 2026, 10:05",
        "it carries the study UID that was issued for this visit",
        "The image contradicts itself about the eye",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page.matches("class=\"image-series\"").count(), 3);
    // The patient id was edited on the imager: said here, shown in the inbox only.
    let edited = oct::oct(&study, "1.4", "1.4.1").text(0x0010_0020, "LO", SIOBHAN);
    let edited = site.world.image(TENANT, &edited).await;
    let page = site.page(&okafor, &exam).await;
    assert!(page.contains(&format!("id=\"held-{edited}\"")) && page.contains("is held"));
    assert!(!page.contains(&format!("/instances/{edited}")), "without its picture");
    let letter = site.page(&okafor, &format!("{exam}/letter")).await;
    assert!(letter.contains("<h2>Images</h2>") && !letter.contains("<img"), "only a list");
    // Not of this patient, says a person.
    let out = format!("{exam}/images/{first}/out");
    assert_eq!(site.form(&okafor, &out, "reason=&version=1").await.0, 422, "needs a reason");
    assert_eq!(site.form(&okafor, &out, "reason=wrong+row&version=9").await.0, 409);
    assert_eq!(site.form(&okafor, &out, "reason=wrong+row&version=1").await.0, 303);
    let page = site.page(&okafor, &exam).await;
    assert!(!page.contains(&first), "the whole study is out");
    assert!(site.page(&okafor, "/inbox/main").await.contains(&first));
    let bea = site.token("bea").await;
    assert_eq!(site.form(&bea, &out, "reason=x").await.0, 404);
}

async fn d7_images_are_expected_and_arriving(site: Site) {
    let okafor = site.token("okafor").await;
    let lars = &site.visits[LARS];
    let study = oct::study_of(lars);
    let now_us = clock::now_us();
    let mut tx = site.world.core.db.tenant(TENANT).await.unwrap();
    let sql = "INSERT INTO procedure_step (tenant_id, gateway_id, step_uid, link_id, lane_id, status,
            study_instance_uid, encounter_id, instances, begun_at_us, said_at_us)
        VALUES ($1, 'gw-main', '1.9', 'oct-1', 'lane-3', 'completed', $2, $3, '[\"1.1.1\"]', $4, $4)";
    tx.execute(sql, args![TENANT, &study, lars, now_us]).await.unwrap();
    let sql = "INSERT INTO instance_upload (tenant_id, sha256, gateway_id, offer, len_bytes,
            received_bytes, sop_instance_uid, encounter_id, offered_at_us, moved_at_us)
        VALUES ($1, 'abcdefabcdefab', 'gw-main', '{}', 180000000, 81000000, '1.1.1', $2, $3, $3)";
    tx.execute(sql, args![TENANT, lars, now_us]).await.unwrap();
    tx.commit().await.unwrap();
    let page = site.page(&okafor, &format!("/exams/{lars}")).await;
    assert!(page.contains("Expected \u{2013} acquired ") && page.contains(", waiting"), "D7");
    assert!(page.contains("Arriving, 45 % of 180 MB"));
    let sign = format!("/exams/{lars}/sign");
    assert!(site.page(&okafor, &sign).await.contains("images expected: oct-1"), "D8");
    site.world.image(TENANT, &oct::oct(&study, "1.1", "1.1.1")).await;
    let page = site.page(&okafor, &format!("/exams/{lars}")).await;
    assert!(!page.contains("Expected \u{2013}"), "it is there");
    assert!(!site.page(&okafor, &sign).await.contains("images expected"));
}

async fn a_person_decides_what_waits(site: Site) {
    let ana = site.token("ana").await;
    let (lars, siobhan) = (&site.visits[LARS], &site.visits[SIOBHAN]);
    let unknown = oct::oct("1.5", "1.5.1", "1.5.1.1").text(0x0010_0020, "LO", SIOBHAN);
    let unknown = site.world.image(TENANT, &unknown).await;
    let broken = site.world.image_file(TENANT, b"no DICOM file".to_vec()).await;
    let inbox = site.page(&ana, "/inbox/main").await;
    for words in [
        &format!("id=\"waiting-{unknown}\""),
        &format!("id=\"waiting-{broken}\""),
        "the data says patient A-11203 and no birth date",
        "Cannot be read; kept as it came",
        "id agrees: ",
    ] {
        assert!(inbox.contains(words), "{words}");
    }
    let assign = format!("/inbox/main/images/{unknown}/assign");
    let (status, body) = site.form(&ana, &assign, &format!("encounter={lars}&version=1")).await;
    assert_eq!(status, 409);
    assert!(body.contains("A-11203") && body.contains(LARS), "says both: {body}");
    let elsewhere = format!("/inbox/other/images/{unknown}/assign");
    assert_eq!(site.form(&ana, &elsewhere, &format!("encounter={siobhan}")).await.0, 404);
    let (status, _) = site.form(&ana, &assign, &format!("encounter={siobhan}&version=1")).await;
    assert_eq!(status, 303);
    assert!(site.page(&ana, &format!("/exams/{siobhan}")).await.contains(&unknown));
    let (status, _) = site.form(&ana, &assign, &format!("encounter={siobhan}&version=2")).await;
    assert_eq!(status, 409, "it waits no longer");
    let reject = format!("/inbox/main/images/{broken}/reject");
    assert_eq!(site.form(&ana, &reject, "reason=test+picture&version=1").await.0, 303);
    let inbox = site.page(&ana, "/inbox/main").await;
    assert!(!inbox.contains(&broken) && !inbox.contains(&unknown));
}

async fn images_are_evidence_for_charges(site: Site) {
    let okafor = site.token("okafor").await;
    let lars = &site.visits[LARS];
    let study = oct::study_of(lars);
    let proposals = async || {
        let path = format!("/api/v1/encounters/{lars}/charges");
        let (status, found) = site.api(&okafor, Method::GET, &path, json!({})).await;
        assert_eq!(status, 200);
        let codes = found.as_array().unwrap().iter();
        codes.map(|it| it["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = proposals().await;
    assert!(!before.iter().any(|code| code == "92134"));
    let id = site.world.image(TENANT, &oct::oct(&study, "1.1", "1.1.1")).await;
    assert!(proposals().await.contains(&"92134".to_owned()), "OCT of the retina");
    let nerve = oct::oct(&study, "1.2", "1.2.1").text(0x0018_1030, "LO", "ONH and RNFL");
    site.world.image(TENANT, &nerve).await;
    assert!(proposals().await.contains(&"92133".to_owned()), "OCT of the optic nerve");
    let (_, _, day) =
        site.send(Method::GET, "/charges.csv", &[("authorization", &okafor)], "").await;
    assert!(day.contains("92134") && day.contains("OCT volume by OCT-1 10:05"), "{day}");
    // The proposal goes with its evidence.
    let out = format!("/exams/{lars}/images/{id}/out");
    assert_eq!(site.form(&okafor, &out, "reason=wrong+patient").await.0, 303);
    assert_eq!(proposals().await, before);
}
