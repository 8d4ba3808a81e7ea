//! A clinic's morning in real browsers: two technicians in two lanes with the same instruments, and
//! a doctor.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    browser::Browser,
    clinic::{Clinic, Neighbours, PASSWORD, Patient, patients},
    person::{ENTER, Person, TAB, visit_of},
    station::{Print, Station, Wire},
    story::story,
    visit::{self, Encounter, Shown},
    wait,
};
use std::time::{Duration, Instant};

const LANES: [&str; 2] = ["lane-1", "lane-2"];
/// In each lane at the same time (T9).
const PRINTS: usize = 20;
const PRINTS_WITHIN: Duration = Duration::from_secs(60);

async fn two_lanes(count: usize) -> Result<Clinic> {
    let mut clinic = Clinic::open(Neighbours::NONE, &LANES, count).await?;
    let mut stations = Vec::new();
    for (lane, from) in LANES.iter().zip([1, 501]) {
        for model in ["ARK-1a", "NT-530", "LM-7P"] {
            let station = Station::attach(clinic.folder(), lane, model, Wire::Serial).await?;
            stations.push(station.counting_from(from));
        }
    }
    clinic.add_gateway("gw-1", stations).await?;
    Ok(clinic)
}

/// Every print stands in the exam exactly once, with every value as it was sent, and nothing else.
fn check_exam(filed: &[Shown], prints: &[(String, Print)]) -> Result<()> {
    ensure!(filed.len() == prints.len(), "{} of {} prints", filed.len(), prints.len());
    for (link, print) in prints {
        let reading = filed.iter().find(|reading| reading.is_print(link, print));
        let reading = reading.with_context(|| format!("{link} {} is missing", print.number))?;
        reading.check(print)?;
    }
    Ok(())
}

async fn all_filed(clinic: &Clinic, exam: &Encounter, count: usize) -> Result<Vec<Shown>> {
    let http = clinic.technician().await?;
    wait::until(&format!("{count} readings in the exam"), wait::USUAL_MAX, async || {
        let filed = visit::readings(&http, exam).await?;
        Ok((filed.len() >= count).then_some(filed))
    })
    .await
}

/// T1, T9, T3, D1: by tap, by number and by barcode; nothing crosses; accepted by one tap and one
/// by one; the doctor sees it without asking.
#[test]
fn t9_two_technicians_measure_at_the_same_time() {
    story("morning", async {
        let mut clinic = two_lanes(3).await?;
        let [tapped, typed, scanned] = <[Patient; 3]>::try_from(patients(3)).expect("three");
        let http = clinic.technician().await?;
        let schedule = visit::schedule(&http).await?;
        let exams = [visit_of(&schedule, &tapped)?, visit_of(&schedule, &typed)?];
        let ana = Person::sign_in(&clinic, "technician").await?;
        let ben = Person::sign_in(&clinic, "colleague").await?;
        let doctor = Person::sign_in(&clinic, "doctor").await?;
        ana.follow("/lanes/lane-1").await?;
        ben.follow("/lanes/lane-2").await?;
        doctor.follow(&format!("/exams/{}", exams[0].id)).await?;
        ana.taps(&clinic, "lane-1", &tapped).await?;
        ben.brings(&clinic, "lane-2", &typed, async |browser| {
            browser.click("#find").await?;
            browser.type_blindly(&format!("{}{ENTER}", typed.chart_number)).await
        })
        .await?;

        let started = Instant::now();
        let mut prints: [Vec<(String, Print)>; 2] = Default::default();
        for number in 0..PRINTS {
            for (lane, printed) in prints.iter_mut().enumerate() {
                let station = &mut clinic.stations[lane * 3 + number % 2];
                printed.push((station.link.id.clone(), station.press_print().await?.0));
            }
        }
        for (person, (exam, printed)) in [&ana, &ben].iter().zip(exams.iter().zip(&prints)) {
            person.sees("#readings h2", &PRINTS.to_string()).await?;
            check_exam(&all_filed(&clinic, exam, PRINTS).await?, printed)?;
        }
        ensure!(started.elapsed() < PRINTS_WITHIN, "it took {:?}", started.elapsed());
        doctor.sees("#log h2", &PRINTS.to_string()).await?;
        doctor.has_not_reloaded().await?;

        accept_everything(&ana, &http, &exams[0]).await?;
        doctor.sees_no_more("#patient", "not accepted").await?;
        doctor.has_not_reloaded().await?;

        // The next patient's slip is scanned, with nothing focused, as a scanner types.
        let tile = format!("li[data-chart='{}']", scanned.chart_number);
        let accession = format!("return document.querySelector({tile:?}).dataset.accession");
        let accession = ana.browser.script(&accession).await?;
        let accession = accession.as_str().context("the visit has an identifier")?;
        ensure!(!accession.is_empty(), "the visit has an empty identifier");
        ana.browser.script("document.activeElement.blur(); return null").await?;
        ana.brings(&clinic, "lane-1", &scanned, async |browser| {
            browser.type_blindly(&format!("{accession}{ENTER}")).await
        })
        .await?;
        ana.sees("#readings", "Nothing yet").await?;
        ana.has_not_reloaded().await
    });
}

/// T3: one tap for all that need no look, one for each of the others, and one taken back.
async fn accept_everything(
    ana: &Person,
    http: &chiasm_testbed::http::Http,
    exam: &Encounter,
) -> Result<()> {
    let flagged =
        visit::readings(http, exam).await?.iter().filter(|reading| reading.needs_a_look).count();
    ensure!((1..PRINTS).contains(&flagged), "{flagged} of {PRINTS} are flagged");
    ana.browser.click("#accept-all").await?;
    ana.sees_no_more("#readings", "Accept all").await?;
    let accepted = visit::readings(http, exam).await?;
    let accepted = accepted.iter().filter(|reading| reading.acceptance == "accepted").count();
    ensure!(accepted == PRINTS - flagged, "{accepted} accepted, {flagged} flagged");
    let first = "#readings .reading-pending form[action$='/accept'] button";
    for left in (0..flagged).rev() {
        ana.browser.click(first).await?;
        wait::until("one fewer to be left", wait::USUAL_MAX, async || {
            let pending = "return document.querySelectorAll('.reading-pending').length";
            Ok((ana.browser.script(pending).await? == left).then_some(()))
        })
        .await?;
    }
    ana.browser.click("#readings form[action$='/undo'] button").await?;
    ana.sees("#readings .reading-pending .status", "not accepted").await?;
    ana.browser.click(first).await?;
    ana.sees_no_more("#readings .status", "not accepted").await
}

/// D3, D5, D8: the doctor compares, starts from the autorefraction, refines, signs with one reading
/// left open by name, adds, and prints.
#[test]
fn a_doctor_writes_signs_and_prints() {
    story("doctor", async {
        let mut clinic = two_lanes(1).await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        visit::open_session(&clinic, &http, "lane-1", &exam).await?;
        clinic.stations[0].print_both_eyes().await?;
        clinic.stations[2].print_both_eyes().await?;
        let filed = all_filed(&clinic, &exam, 2).await?;
        for reading in &filed {
            let path = format!("/api/v1/encounters/{}/readings/{}/accept", exam.id, reading.id);
            http.post(&path, serde_json::json!({})).await?;
        }
        let doctor = Person::sign_in(&clinic, "doctor").await?;
        let page = format!("/exams/{}", exam.id);
        doctor.follow(&page).await?;
        doctor.sees("#compare", "Difference").await?;
        for (eye, words) in [("OD", "Not refined yet: OD"), ("OS", "OS")] {
            let start = format!("#refraction form:has(input[value={eye}]) button");
            doctor.browser.click(&start).await?;
            doctor.sees("#refraction .flag", words).await?;
        }
        doctor.sees("#refraction .rx", "from AR, not refined").await?;
        ensure!(!doctor.browser.has("form[action$='/take-over']").await?, "AR became final");
        doctor.has_not_reloaded().await?;

        doctor.browser.click("#refraction a[href$='/refraction']").await?;
        doctor.browser.fill("#subjective-right_sphere", "-1.25").await?;
        doctor.browser.fill("#subjective-right_acuity", "20/20").await?;
        doctor.browser.click("#subjective-right-refined").await?;
        doctor.browser.click("#subjective-left-refined").await?;
        doctor.browser.click("#form-subjective form[action$='/subjective'] button").await?;
        doctor.open(&page).await?;
        doctor.browser.click("form[action$='/take-over'] button").await?;
        doctor.sees("#refraction caption", "Final prescription").await?;

        clinic.stations[1].press_print().await?;
        doctor.sees("#pressure", "NIDEK NT-5").await?;
        doctor.browser.click("#signature a[href$='/sign']").await?;
        doctor.sees("#open", "NIDEK NT-5").await?;
        doctor.browser.click("form[action$='/sign'] button").await?;
        doctor.sees("#signature .signed", "Signed by doctor").await?;
        doctor.sees("#signature .signed", "Left open: not accepted: NIDEK NT-5").await?;
        doctor.follow(&page).await?;
        doctor.browser.unfold("#add-addendum").await?;
        doctor.browser.fill("#addendum-text", "Pressure to be taken again.").await?;
        doctor.browser.click("#add-addendum button").await?;
        doctor.sees("#signature .addenda", "Pressure to be taken again.").await?;
        doctor.has_not_reloaded().await?;

        doctor.browser.click("#signature a[href$='/prescription']").await?;
        doctor.sees("main", "-1.25").await?;
        doctor.open(&format!("{page}/letter")).await?;
        doctor.sees("main", "-1.25").await?;
        let values = doctor.browser.text(".paper-values").await?;
        ensure!(!values.contains("NT-5"), "what was not accepted is in the letter:\n{values}");
        Ok(())
    });
}

/// Nobody needs a mouse: sign in, open a session, accept everything, sign.
#[test]
fn the_main_path_needs_only_the_keyboard() {
    story("keyboard", async {
        let mut clinic = two_lanes(2).await?;
        let patient = patients(1).remove(0);
        let port = clinic.cloud.http_port();
        let ana = Person::with(Browser::start().await?, port);
        ana.open("/sign-in").await?;
        ana.browser.type_blindly(&format!("technician{TAB}{PASSWORD}{ENTER}")).await?;
        ana.sees("h1", "Choose a lane").await?;
        ana.enters("a[href='/lanes/lane-1']").await?;
        ana.sees("h1", "Lane 1").await?;
        ana.is_followed().await?;
        let tile = format!("li[data-chart='{}'] button", patient.chart_number);
        ana.brings(&clinic, "lane-1", &patient, async |_| ana.enters(&tile).await).await?;
        let mut number = 0;
        while !ana.browser.has("#accept-all").await? {
            number += 1;
            ensure!(number < 20, "every print is flagged");
            clinic.stations[0].press_print().await?;
            ana.sees("#readings h2", &number.to_string()).await?;
        }
        ana.enters("#accept-all").await?;
        ana.sees("#readings .status", "Accepted · technician").await?;

        let doctor = Person::with(Browser::start().await?, port);
        doctor.open("/sign-in").await?;
        doctor.browser.type_blindly(&format!("doctor{TAB}{PASSWORD}{ENTER}")).await?;
        doctor.sees("h1", "Choose a lane").await?;
        doctor.enters("a[href='/lanes/lane-1']").await?;
        doctor.sees("#session h2", &patient.family_name).await?;
        doctor.enters("#session a[href^='/exams/']").await?;
        doctor.sees("#patient h1", &patient.family_name).await?;
        doctor.enters("#signature a[href$='/sign']").await?;
        doctor.sees("h1", "Sign the exam").await?;
        doctor.enters("form[action$='/sign'] button").await?;
        doctor.sees("#signature .signed", "Signed by doctor").await
    });
}
