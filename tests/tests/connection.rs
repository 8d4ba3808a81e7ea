//! When the line is cut, the cloud is away, or the browser's clock is wrong: what people see stays
//! true, says when it may be old, and is complete again afterwards.

use anyhow::ensure;
use chiasm_testbed::{
    browser::Browser,
    clinic::{Clinic, Neighbours, PASSWORD, patients},
    cloud::TENANT,
    cut::Cut,
    mqtt::Client,
    person::{APPEARS_MAX, Person},
    story::story,
    visit, wait,
};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

/// The page's own connection breaks off again and again while readings arrive: afterwards the page
/// has every one of them, and was not loaded again.
#[test]
fn a_lost_stream_resumes_without_a_gap() {
    story("lost stream", async {
        const CUTS: usize = 5;
        let mut clinic = Clinic::with_one_lane(&["NT-530"], 1).await?;
        let patient = patients(1).remove(0);
        let line = Cut::in_front_of(clinic.cloud.http_port()).await?;
        let ana = Person::sign_in_at(line.port(), "technician", PASSWORD).await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let mut printed = 0;
        for _ in 0..CUTS {
            clinic.stations[0].press_print().await?;
            line.cut();
            clinic.stations[0].press_print().await?;
            printed += 2;
            wait::until("the cloud to have both", wait::USUAL_MAX, async || {
                let filed = visit::readings(&http, &exam).await?.len();
                Ok((filed == printed).then_some(()))
            })
            .await?;
            ana.sees("#offline", "Not live").await?;
            line.join();
            ana.sees("#readings h2", &printed.to_string()).await?;
            ana.sees_no_more("#offline", "Not live").await?;
        }
        ana.has_not_reloaded().await?;
        let shown = "return document.querySelectorAll('#readings .reading').length";
        ensure!(ana.browser.script(shown).await? == printed, "not every reading is shown");
        // What was typed into a form while nobody answers is not lost.
        line.cut();
        ana.browser.click("#session form[action$='/session/end'] button").await?;
        ana.sees("#notice", "Nothing was changed").await?;
        line.join();
        ana.sees_no_more("#offline", "Not live").await?;
        ana.sees("#session h2", &patient.family_name).await
    });
}

/// The cloud cannot be reached for a while: what is measured meanwhile is filed afterwards, once,
/// in the right exam and at the time when it was measured.
#[test]
fn i4_internet_down() {
    story("I4", async {
        const PRINTS: usize = 6;
        let mut clinic = Clinic::with_one_lane(&["ARK-1a", "NT-530"], 1).await?;
        let patient = patients(1).remove(0);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        ensure!(clinic.cloud.stop().await?.success(), "the cloud does not stop cleanly");
        ana.sees("#offline", "what you see may be old").await?;
        let down = Timestamp::now();
        let mut prints = Vec::new();
        for index in 0..PRINTS {
            let station = &mut clinic.stations[index % 2];
            prints.push((station.link.id.clone(), station.press_print().await?.0));
        }
        wait::until("the gateway to keep them", wait::USUAL_MAX, async || {
            Ok((clinic.gateways[0].waiting()? >= PRINTS as u64).then_some(()))
        })
        .await?;
        let up = Timestamp::now();
        clinic.cloud.start().await?;
        ana.sees("#readings h2", &PRINTS.to_string()).await?;
        ana.sees_no_more("#offline", "what you see").await?;
        ana.has_not_reloaded().await?;

        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let filed = visit::readings(&http, &exam).await?;
        ensure!(filed.len() == PRINTS, "{} readings", filed.len());
        let page = ana.browser.text("#readings").await?;
        for (link, print) in &prints {
            let mut same = filed.iter().filter(|reading| reading.is_print(link, print));
            let (Some(reading), None) = (same.next(), same.next()) else {
                anyhow::bail!("print {} of {link} stands twice or not at all", print.number)
            };
            reading.check(print)?;
            let at = reading.envelope.time;
            ensure!(down <= at && at <= up, "measured {at}, not between {down} and {up}");
            let time = at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
            ensure!(page.contains(&time), "{time} is missing in:\n{page}");
        }
        ensure!(visit::waiting(&http).await?.is_empty(), "a reading waits");
        Ok(())
    });
}

/// The browser stands in another time zone and its clock is three hours ahead: times are the
/// clinic's, and what waits has waited as long as it has.
#[test]
fn a_browser_with_a_wrong_clock_shows_the_clinics_time() {
    story("browser's clock", async {
        const AHEAD: &str = "{
            const Real = Date, ahead = 3 * 3600e3;
            window.Date = class extends Real {
                constructor(...given) { given.length ? super(...given) : super(Date.now()) }
                static now() { return Real.now() + ahead }
            };
        }";
        let mut clinic = Clinic::with_one_lane(&["NT-530"], 1).await?;
        let browser = Browser::start().await?;
        let zone = json!({ "timezoneId": "Asia/Tokyo" });
        browser.devtools("Emulation.setTimezoneOverride", zone).await?;
        browser.before_each_page(AHEAD).await?;
        let ana = Person::with(browser, clinic.cloud.http_port());
        ana.type_password("technician", PASSWORD).await?;
        ana.follow("/lanes/lane-1").await?;
        let their_hour = "return [new Date().getHours(), new Date().getTimezoneOffset()]";
        let hour = ana.browser.script(their_hour).await?;
        ensure!(hour[1] == -540, "the browser is not in Tokyo: {hour}");
        clinic.stations[0].press_print().await?;
        ana.sees("#tray .age", "waiting 00:").await?;
        let http = clinic.technician().await?;
        let at = visit::waiting(&http).await?.remove(0).envelope.time;
        let time = at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string();
        ana.sees("#tray", &time).await?;
        ana.taps(&clinic, "lane-1", &patients(1)[0]).await?;
        ana.sees("#session .clock", "00:").await?;
        ensure!(!ana.browser.text("#session").await?.contains("ends in"), "it warns already");
        Ok(())
    });
}

/// A gateway of one practice that speaks in another one's name is refused, and clinic IT sees it.
#[test]
fn c7_other_tenant() {
    story("C7", async {
        let clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        clinic.cloud.run(&["admin", "tenant", "add", "elsewhere", "--name", "Elsewhere"])?;
        let identity = clinic.enrolled_gateway("gw-1", vec![])?.identity()?;
        let it = Person::sign_in(&clinic, "it").await?;
        it.follow("/fleet").await?;
        it.sees("#gateway-gw-1", "never seen").await?;
        let mut client = Client::connect(clinic.cloud.broker_port(), &identity).await?;
        client.publish("chiasm/v1/elsewhere/gw-1/up/reading", b"{}".to_vec()).await?;
        client.is_refused().await?;
        let words = "tried to publish outside its own topics";
        it.browser.shows("#gateway-gw-1 .flag", words, APPEARS_MAX).await?;
        it.has_not_reloaded().await?;
        let ours = clinic.cloud.run(&["admin", "reconcile"])?;
        ensure!(!ours.contains(&format!("{TENANT}/gw-1 1")), "it was filed: {ours}");
        Ok(())
    });
}
