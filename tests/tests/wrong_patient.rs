//! What must never happen, played: a reading that comes under the wrong patient, or before any. Each
//! test bears the number of its story or rule, and goes as far as what a person sees.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    clinic::{Clinic, Patient, patients},
    person::{Person, visit_of},
    story::story,
    visit::{self, Shown},
    wait,
};
use jiff::SignedDuration;

async fn waiting_in(clinic: &Clinic, place: &str) -> Result<Shown> {
    let http = clinic.technician().await?;
    wait::until(&format!("a reading in the {place}"), wait::USUAL_MAX, async || {
        let waiting = visit::waiting(&http).await?;
        Ok(waiting.into_iter().find(|reading| reading.place == place))
    })
    .await
}

/// A reading of the wrong patient's exam is moved: both exams say so, the trail has two entries,
/// and the doctor who had looked at it is told.
#[test]
fn t8_wrong_patient_active() {
    story("T8", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 2).await?;
        let [wrong, right] = <[Patient; 2]>::try_from(patients(2)).expect("two");
        let http = clinic.technician().await?;
        let schedule = visit::schedule(&http).await?;
        let (wrong_exam, right_exam) = (visit_of(&schedule, &wrong)?, visit_of(&schedule, &right)?);
        let ana = Person::sign_in(&clinic, "technician").await?;
        let doctor = Person::sign_in(&clinic, "doctor").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &wrong).await?;
        doctor.follow(&format!("/exams/{}", wrong_exam.id)).await?;
        let (print, _) = clinic.stations[0].press_print().await?;
        ana.sees("#readings .reading h3", "ARK-1a").await?;
        doctor.sees("#autorefraction", "ARK-1a").await?;

        let id = visit::readings(&http, &wrong_exam).await?.remove(0).id;
        ana.browser.unfold(&format!("#move-{id}")).await?;
        ana.browser.choose(&format!("#move-to-{id}"), &right_exam.id).await?;
        ana.browser.fill(&format!("#move-why-{id}"), "wrong patient was active").await?;
        ana.browser.click(&format!("#move-{id} button")).await?;
        ana.sees_no_more("#readings", "ARK-1a").await?;
        doctor.sees("#told", "moved out of this exam by technician").await?;
        doctor.sees_no_more("#exam", "ARK-1a").await?;
        doctor.sees("#bell", "1").await?;
        doctor.has_not_reloaded().await?;
        doctor.sees("#log-empty", "ARK-1a moved out").await?;
        doctor.sees("#log-empty", "by technician: wrong patient was active").await?;
        ana.open(&format!("/exams/{}", right_exam.id)).await?;
        ana.sees("#autorefraction", "ARK-1a").await?;
        ana.browser.unfold("#history").await?;
        ana.sees("#history", "technician moved a reading in: wrong patient was active").await?;

        let moved = visit::readings(&http, &right_exam).await?.remove(0);
        moved.check(&print)?;
        ensure!(moved.acceptance == "pending", "another patient's acceptance came along");
        ensure!(visit::readings(&http, &wrong_exam).await?.is_empty(), "it is in both exams");
        Ok(())
    });
}

/// A reading that comes before its patient waits in the lane's tray and asks; "No", or nobody for a
/// quarter of an hour, and it is in the location's inbox. Nothing files itself.
#[test]
fn t7_reading_before_patient() {
    story("T7", async {
        let mut clinic = Clinic::with_one_lane(&["NT-530"], 1).await?;
        let patient = patients(1).remove(0);
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        let (first, _) = clinic.stations[0].press_print().await?;
        ana.sees("#tray h2", "1 waiting").await?;
        ana.sees("#tray .age", "waiting 00:").await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        let born = patient.birth_date.get(..4).context("a year")?;
        let Patient { family_name, given_name, .. } = &patient;
        let question = format!("Belongs to {family_name}, {given_name}, born {born}?");
        ana.sees("#tray .question", &question).await?;
        ensure!(visit::readings(&http, &exam).await?.is_empty(), "it filed itself");
        ana.browser.click("#tray form[action$='/assign'] button").await?;
        ana.sees("#readings .reading h3", "NIDEK NT-5").await?;
        visit::readings(&http, &exam).await?.remove(0).check(&first)?;

        ana.browser.click("form[action$='/session/end'] button").await?;
        ana.sees("#session-none", "No patient").await?;
        let (second, _) = clinic.stations[0].press_print().await?;
        let third = {
            ana.sees("#tray h2", "1 waiting").await?;
            let (third, _) = clinic.stations[0].press_print().await?;
            ana.sees("#tray h2", "2 waiting").await?;
            third
        };
        ana.taps(&clinic, "lane-1", &patient).await?;
        ana.browser.click("#tray li:first-child form[action$='/inbox'] button").await?;
        ana.sees("#tray h2", "1 waiting").await?;
        waiting_in(&clinic, "inbox").await?.check(&second)?;
        clinic.let_time_pass(SignedDuration::from_mins(14)).await?;
        ensure!(waiting_in(&clinic, "tray").await?.check(&third).is_ok(), "it left too early");
        clinic.let_time_pass(SignedDuration::from_mins(16)).await?;
        ana.sees_no_more("main", "waiting").await?;
        ana.has_not_reloaded().await?;
        ana.open("/inbox/main").await?;
        ana.sees("h1", "2 waiting").await?;
        ana.sees("main .why", "no lane session").await?;
        ensure!(visit::readings(&http, &exam).await?.len() == 1, "it went into an exam");
        Ok(())
    });
}

/// The id in the data is another patient's than the lane's: held, and filed only against the ids'
/// disagreement by an explicit word, or where they agree.
#[test]
fn r31_id_in_data_disagrees() {
    story("R31", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 2).await?;
        let [active, claimed] = <[Patient; 2]>::try_from(patients(2)).expect("two");
        let http = clinic.technician().await?;
        let schedule = visit::schedule(&http).await?;
        let (active_exam, claimed_exam) =
            (visit_of(&schedule, &active)?, visit_of(&schedule, &claimed)?);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &active).await?;
        let agreeing = clinic.stations[0].print_for(&active.chart_number).await?;
        ana.sees("#readings .reading h3", "ARK-1a").await?;
        let differing = clinic.stations[0].print_for(&claimed.chart_number).await?;
        ana.sees("#tray .held", &claimed.chart_number).await?;
        ana.sees("#tray .held", &active.chart_number).await?;
        ensure!(!ana.browser.has("#tray form[action$='/assign']").await?, "one tap would file it");
        let filed = visit::readings(&http, &active_exam).await?;
        ensure!(filed.len() == 1, "{} readings in the exam", filed.len());
        filed[0].check(&agreeing)?;
        let held = waiting_in(&clinic, "held").await?;
        ana.open(&format!("/exams/{}", active_exam.id)).await?;
        ana.sees(&format!("#held-{}", held.id), "Not filed").await?;

        ana.follow("/inbox/main").await?;
        let form = format!("#waiting-{} form[action$='/assign']", held.id);
        ana.browser.choose(&format!("#to-{}", held.id), &active_exam.id).await?;
        ana.browser.click(&format!("{form} button")).await?;
        ana.sees("#notice", "File although the ids differ").await?;
        ensure!(visit::readings(&http, &active_exam).await?.len() == 1, "it was filed");
        ana.browser.choose(&format!("#to-{}", held.id), &claimed_exam.id).await?;
        ana.browser.click(&format!("{form} button")).await?;
        ana.sees("#inbox-empty", "Nothing waits").await?;
        visit::readings(&http, &claimed_exam).await?.remove(0).check(&differing)
    });
}

/// The schedule is missing: an id in the data files nothing by itself, not even when its patient
/// comes onto the schedule afterwards.
#[test]
fn r31_schedule_missing() {
    story("R31 c", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 0).await?;
        let patient = patients(1).remove(0);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.sees("#patients", "No visit is scheduled here today").await?;
        let print = clinic.stations[0].print_for(&patient.chart_number).await?;
        ana.sees("#tray h2", "1 waiting").await?;
        clinic.let_time_pass(SignedDuration::from_mins(16)).await?;
        ana.sees_no_more("main", "waiting").await?;
        clinic.schedule(std::slice::from_ref(&patient))?;
        ana.sees("#patients", &patient.family_name).await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        ana.sees("#readings", "Nothing yet").await?;
        ana.has_not_reloaded().await?;

        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let held = waiting_in(&clinic, "inbox").await?;
        ana.follow("/inbox/main").await?;
        ana.sees(&format!("#waiting-{} .why", held.id), &patient.chart_number).await?;
        ana.sees(&format!("#to-{}", held.id), "id agrees").await?;
        ana.browser.choose(&format!("#to-{}", held.id), &exam.id).await?;
        ana.browser.click("form[action$='/assign'] button").await?;
        ana.sees("#inbox-empty", "Nothing waits").await?;
        visit::readings(&http, &exam).await?.remove(0).check(&print)
    });
}
