//! What people see, in a real browser: a technician signs in, chooses the patient, and the reading
//! appears by itself; what is accepted in the lane is accepted in the exam.

use anyhow::ensure;
use chiasm_testbed::{
    clinic::{Clinic, Neighbours, patients},
    person::{APPEARS_MAX, Person},
    station::{Station, Wire},
    story::story,
    visit, wait,
};
use fantoccini::Locator;

#[test]
fn a_reading_appears_by_itself_and_is_accepted() {
    story("browser", async {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 2).await?;
        let folder = clinic.folder();
        let ark = Station::attach(folder, "lane-1", "ARK-1a", Wire::Serial).await?;
        clinic.add_gateway("gw-1", vec![ark]).await?;
        let told = clinic.gateways[0].sessions_told();
        let patient = patients(1).remove(0);

        let port = clinic.cloud.http_port();
        let person = Person::sign_in(&clinic, "technician").await?;
        let browser = &person.browser;
        browser.shows("main", "Lane 1", wait::USUAL_MAX).await?;
        browser.open(&format!("http://localhost:{port}/lanes/lane-1")).await?;
        browser.shows("#session-none", "No patient", wait::USUAL_MAX).await?;
        browser.click(&format!("li[data-chart='{}'] button", patient.chart_number)).await?;
        browser.shows("#session", &patient.family_name, wait::USUAL_MAX).await?;
        wait::until("the gateway to know the patient is there", wait::USUAL_MAX, async || {
            Ok((clinic.gateways[0].sessions_told() > told).then_some(()))
        })
        .await?;

        // A page that is loaded again forgets this.
        browser.script("window.notReloaded = true; return null").await?;
        let (print, _) = clinic.stations[0].press_print().await?;
        browser.shows("#readings .reading h3", "ARK-1a", APPEARS_MAX).await?;
        ensure!(browser.script("return window.notReloaded").await? == true, "it was reloaded");

        let http = clinic.technician().await?;
        let encounter = visit::schedule(&http).await?.remove(0);
        let filed = visit::readings(&http, &encounter).await?;
        ensure!(filed.len() == 1 && filed[0].acceptance == "pending", "{filed:?}");
        filed[0].check(&print)?;

        browser.click("#readings .reading form[action$='/accept'] button").await?;
        browser.shows("#readings .reading .status", "ccepted", APPEARS_MAX).await?;
        browser.open(&format!("http://localhost:{port}/exams/{}", encounter.id)).await?;
        browser.shows("main", "ARK-1a", APPEARS_MAX).await?;
        browser.shows("main", "ccepted", APPEARS_MAX).await?;
        let filed = visit::readings(&http, &encounter).await?;
        ensure!(filed[0].acceptance == "accepted", "{filed:?}");
        Ok(())
    });
}

#[test]
fn a_doctor_sees_the_exam_fill_while_it_is_open() {
    story("doctor", async {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        let folder = clinic.folder();
        let station = Station::attach(folder, "lane-1", "NT-530", Wire::Serial).await?;
        clinic.add_gateway("gw-1", vec![station]).await?;
        let technician = clinic.technician().await?;
        let encounter = visit::schedule(&technician).await?.remove(0);
        visit::open_session(&clinic, &technician, "lane-1", &encounter).await?;

        let port = clinic.cloud.http_port();
        let person = Person::sign_in(&clinic, "doctor").await?;
        let browser = &person.browser;
        browser.shows("main", "Lane 1", wait::USUAL_MAX).await?;
        browser.open(&format!("http://localhost:{port}/exams/{}", encounter.id)).await?;
        browser.script("window.notReloaded = true; return null").await?;
        clinic.stations[0].press_print().await?;
        browser.shows("main", "NT-5", APPEARS_MAX).await?;
        ensure!(browser.script("return window.notReloaded").await? == true, "it was reloaded");
        Ok(())
    });
}

/// I2: whoever attaches instruments looks a model up, and asks which driver fits a file.
#[test]
fn clinic_it_sets_an_instrument_up() {
    story("set-up", async {
        let clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        let port = clinic.cloud.http_port();
        let person = Person::sign_in(&clinic, "it").await?;
        let browser = &person.browser;
        browser.shows("main", "Fleet", wait::USUAL_MAX).await?;
        browser.click("nav a[href='/instruments']").await?;
        browser.shows("main", "could not be read", wait::USUAL_MAX).await?;
        browser.fill("#find-instrument", "rt-5100\n").await?;
        browser.click("a[href='/instruments/nidek_rt']").await?;
        browser.shows("main", "2400 7 E 2", wait::USUAL_MAX).await?;
        browser.shows("main", "driver = \"nidek_rt\"", wait::USUAL_MAX).await?;
        browser.open(&format!("http://localhost:{port}/instruments")).await?;
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../device-drivers/fixtures");
        let file = std::fs::canonicalize(format!("{fixtures}/tomey_form/01_ref.raw"))?;
        let chooser = browser.client().find(Locator::Css("#examine-file")).await?;
        chooser.send_keys(&file.display().to_string()).await?;
        browser.shows("#answer", "tomey_form reads it", APPEARS_MAX).await
    });
}
