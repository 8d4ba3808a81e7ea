//! What people change in an exam after the instruments have spoken, and who is told. Each test
//! bears the number of its story.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    browser::Browser,
    clinic::{Clinic, Patient, patients},
    person::{Person, visit_of},
    story::story,
    visit::{self, Encounter, Shown},
    wait,
};
use serde_json::json;

/// Prints on an instrument of lane 1 for the visit, and waits until the exam has it.
async fn measure(clinic: &mut Clinic, station: usize, exam: &Encounter) -> Result<Shown> {
    let http = clinic.technician().await?;
    visit::open_session(clinic, &http, "lane-1", exam).await?;
    let print = clinic.stations[station].print_both_eyes().await?;
    let link = clinic.stations[station].link.id.clone();
    wait::until("the print to stand in the exam", wait::USUAL_MAX, async || {
        let readings = visit::readings(&http, exam).await?;
        Ok(readings.into_iter().find(|reading| reading.is_print(&link, &print)))
    })
    .await
}

/// The lenses were held the wrong way round, and it is found after the signature: the correction is
/// a version, the doctor has it on the list without asking, what was signed can still be read.
#[test]
fn d9_swapped_eyes_after_signing() {
    story("D9", async {
        let mut clinic = Clinic::with_one_lane(&["LM-7P"], 1).await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let page = format!("/exams/{}", exam.id);
        let reading = measure(&mut clinic, 0, &exam).await?;
        let accept = format!("/api/v1/encounters/{}/readings/{}/accept", exam.id, reading.id);
        http.post(&accept, json!({})).await?;
        let doctor = Person::sign_in(&clinic, "doctor").await?;
        doctor.signs(&exam).await?;
        let right = doctor.browser.text("#wearing .eye-right .line-main").await?;
        let left = doctor.browser.text("#wearing .eye-left .line-main").await?;
        ensure!(right != left, "both lenses are {right}: nothing would be seen");
        doctor.follow("/lanes").await?;

        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow(&page).await?;
        ana.browser.unfold(&format!("#correct-{}", reading.id)).await?;
        ana.browser.fill(&format!("#swap-why-{}", reading.id), "frame held upside down").await?;
        ana.browser.click("form[action$='/swap'] button").await?;
        ana.sees("#wearing .eye-right", &left).await?;
        ana.sees("#wearing .eye-left", &right).await?;

        doctor.sees("#bell", "1").await?;
        doctor.has_not_reloaded().await?;
        doctor.browser.click("#bell").await?;
        doctor.sees("main .notice-item", "eyes exchanged: frame held upside down").await?;
        doctor.follow(&page).await?;
        doctor.sees("#told", "corrected by technician").await?;
        doctor.sees("#signature", "1 reading is not as signed").await?;
        doctor.sees("#signature .automatic", "eyes exchanged: frame held upside down").await?;
        doctor.browser.unfold("#history").await?;
        doctor.sees("#history", "technician: eyes exchanged").await?;
        let signed = http.get(&format!("/api/v1/encounters/{}/sign", exam.id)).await?;
        let signed = signed.to_string();
        for reading in visit::readings(&http, &exam).await? {
            ensure!(signed.contains(&reading.id), "what was signed cannot be read: {signed}");
        }
        doctor.browser.click("#told form button").await?;
        doctor.sees_no_more("#bell", "1").await?;
        doctor.has_not_reloaded().await
    });
}

/// Two charts of one person become one: both visits show, each with its own chart number; taken
/// back, each chart has what came from it.
#[test]
fn d10_patient_merged() {
    story("D10", async {
        let mut clinic = Clinic::with_one_lane(&["NT-530", "ARK-1a"], 1).await?;
        let kept = patients(1).remove(0);
        let doubled =
            Patient { chart_number: "P09001".into(), family_name: "Abell".into(), ..kept.clone() };
        clinic.schedule(std::slice::from_ref(&doubled))?;
        let http = clinic.technician().await?;
        let schedule = visit::schedule(&http).await?;
        let (kept_exam, doubled_exam) =
            (visit_of(&schedule, &kept)?, visit_of(&schedule, &doubled)?);
        measure(&mut clinic, 0, &kept_exam).await?;
        measure(&mut clinic, 1, &doubled_exam).await?;
        let found = http.get(&format!("/api/v1/patients?q={}", kept.chart_number)).await?;
        let id = found[0]["patient_id"].as_str().context("the patient is found")?;
        let ana = Person::sign_in(&clinic, "technician").await?;
        let all_visits = async |shows: &[&str], lacks: &[&str]| {
            ana.open(&format!("/patients/{id}")).await?;
            let page = ana.browser.text("main").await?;
            for word in shows {
                ensure!(page.contains(word), "`{word}` is missing in:\n{page}");
            }
            for word in lacks {
                ensure!(!page.contains(word), "`{word}` stands in:\n{page}");
            }
            anyhow::Ok(())
        };
        all_visits(&["NT-5"], &["ARK-1a", "P09001"]).await?;

        let charts = format!("/patients/{id}/charts");
        ana.open(&charts).await?;
        ana.browser.fill("#merge-chart", &doubled.chart_number).await?;
        ana.browser.fill("#merge-why", "registered twice").await?;
        ana.browser.click("form[action$='/merges'] button").await?;
        ana.sees("#chart-2", "registered twice").await?;
        all_visits(&["NT-5", "ARK-1a", "under chart P09001"], &[]).await?;

        ana.open(&charts).await?;
        ana.browser.unfold("#unmerge-2").await?;
        ana.browser.fill("#unmerge-why-2", "two people after all").await?;
        ana.browser.click("#unmerge-2 button").await?;
        ana.sees_no_more("main", "registered twice").await?;
        all_visits(&["NT-5"], &["ARK-1a", "P09001"]).await?;
        ensure!(visit::readings(&http, &doubled_exam).await?.len() == 1, "a reading was carried");
        Ok(())
    });
}

/// A reading that the doctor rejects stays where it is, greyed, with name and reason, and goes into
/// no letter.
#[test]
fn d6_reject_with_reason() {
    story("D6", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let id = measure(&mut clinic, 0, &exam).await?.id;
        let accept = format!("/api/v1/encounters/{}/readings/{id}/accept", exam.id);
        http.post(&accept, json!({})).await?;
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        let doctor = Person::sign_in(&clinic, "doctor").await?;
        doctor.open(&format!("/exams/{}/letter", exam.id)).await?;
        doctor.sees("main", "ARK-1a").await?;

        doctor.follow(&format!("/exams/{}", exam.id)).await?;
        doctor.browser.unfold(&format!("#reject-{id}")).await?;
        doctor.browser.click(&format!("#reject-{id} button")).await?;
        ensure!(visit::readings(&http, &exam).await?[0].acceptance == "accepted", "no reason");
        doctor.browser.fill(&format!("#reject-why-{id}"), "blinked").await?;
        doctor.browser.click(&format!("#reject-{id} button")).await?;
        doctor.sees(&format!("#reading-{id} .status-rejected"), "doctor").await?;
        doctor.sees(&format!("#reading-{id}"), "Reason: blinked").await?;
        doctor.browser.unfold("#earlier-autorefraction").await?;
        doctor.sees("#earlier-autorefraction .entry-rejected", "Rejected · doctor").await?;
        ana.sees(&format!("#reading-{id} .status"), "Rejected · doctor").await?;
        ana.has_not_reloaded().await?;
        doctor.open(&format!("/exams/{}/letter", exam.id)).await?;
        doctor.sees_no_more("main", "ARK-1a").await
    });
}

/// Two people act on what both see as it was: one is done, the other is told what happened and
/// sees how it is now.
#[test]
fn two_people_act_on_the_same_reading_at_once() {
    story("at once", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let id = measure(&mut clinic, 0, &exam).await?.id;
        let mut people = Vec::new();
        for _ in 0..2 {
            let browser = Browser::start().await?;
            // Pages that hear of nothing, as behind a connection that has just been cut.
            browser.before_each_page("window.EventSource = class extends EventTarget {}").await?;
            let person = Person::with(browser, clinic.cloud.http_port());
            person.type_password("technician", chiasm_testbed::clinic::PASSWORD).await?;
            person.open("/lanes/lane-1").await?;
            people.push(person);
        }
        let accept = format!("#reading-{id} form[action$='/accept'] button");
        let (first, second) =
            tokio::join!(people[0].browser.click(&accept), people[1].browser.click(&accept));
        first.and(second)?;
        for person in &people {
            person.sees(&format!("#reading-{id} .status"), "Accepted · technician").await?;
        }
        let mut told = 0;
        for person in &people {
            told += usize::from(person.browser.text("#notice").await?.contains("changed"));
        }
        ensure!(told == 1, "{told} of the two were told that they came second");
        let readings = visit::readings(&http, &exam).await?;
        ensure!(readings.len() == 1 && readings[0].acceptance == "accepted", "{readings:?}");
        Ok(())
    });
}
