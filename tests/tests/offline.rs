//! T12: the internet is down, and the clinic works on at the gateway's own page. What is done there
//! is in the exams afterwards, once, in the names and at the times of those who did it.

use anyhow::{Result, ensure};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours, patients},
    cut::Cut,
    lane_page::{AtGateway, PIN, choose_pin, first_of_tray, readings_on},
    net,
    station::{Station, Wire},
    story::story,
    visit, wait,
};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::json;

const LANE: &str = "/lanes/lane-1";

/// A lane with instruments, whose gateway has a page and an internet that can be cut.
struct Offline {
    clinic: Clinic,
    line: Cut,
    page_port: u16,
}

impl Offline {
    async fn new(models: &[&str]) -> Result<Self> {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 2).await?;
        choose_pin(clinic.cloud.http_port(), "technician").await?;
        let mut stations = Vec::new();
        for model in models {
            stations.push(Station::attach(clinic.folder(), "lane-1", model, Wire::Serial).await?);
        }
        let links = stations.iter().map(|station| station.link.clone()).collect();
        let mut gateway = clinic.enrolled_gateway("gw-1", links)?;
        let line = Cut::in_front_of(clinic.cloud.broker_port()).await?;
        gateway.reach_broker_by(line.port())?;
        let [page_port] = net::free_ports()?;
        gateway.serve_page(page_port)?;
        gateway.start().await?;
        gateway
            .process()?
            .says("the cloud told who may use the lane page", wait::USUAL_MAX)
            .await?;
        gateway.process()?.says("the cloud told the worklist", wait::USUAL_MAX).await?;
        clinic.gateways.push(gateway);
        clinic.stations = stations;
        Ok(Self { clinic, line, page_port })
    }

    /// Somebody signs in at the page while the cloud is away for long enough.
    async fn person(&self) -> Result<AtGateway> {
        let mut ana = AtGateway::open(&self.clinic.gateways[0], self.page_port).await?;
        ensure!(ana.sign_in("technician", "111112").await? == StatusCode::UNAUTHORIZED);
        ensure!(ana.sign_in("technician", PIN).await? == StatusCode::SEE_OTHER);
        Ok(ana)
    }

    /// Everything that waited is filed, and the numbers add up.
    async fn is_settled(&self) -> Result<()> {
        wait::until("the gateway to be rid of everything", wait::USUAL_MAX, async || {
            Ok((self.clinic.gateways[0].waiting()? == 0).then_some(()))
        })
        .await?;
        self.clinic.cloud.run(&["admin", "reconcile"])?;
        Ok(())
    }
}

#[test]
fn t12_the_clinic_works_on_and_nothing_is_asked_twice() {
    story("T12", async {
        let mut offline = Offline::new(&["ARK-1a", "NT-530", "LM-7P"]).await?;
        let people = patients(2);
        let [first, second] = [&people[0], &people[1]];
        let ana = offline.person().await?;
        ana.sees(LANE, "the cloud to count", |page| page.contains("The cloud answers")).await?;
        let early = ana.chooses("lane-1", &first.chart_number).await;
        ensure!(early.is_err(), "while the cloud answers, sessions are opened there");

        let down = Timestamp::now();
        offline.line.cut();
        let page = ana.sees(LANE, "work here", |page| page.contains("<button>Choose<")).await?;
        ensure!(page.contains("Saving in the clinic since"), "{page}");
        ana.chooses("lane-1", &first.chart_number).await?;
        let page = ana.page(LANE).await?;
        for identifier in [&first.family_name, &first.chart_number] {
            let session = page.split("id=\"session\"").nth(1).unwrap_or_default();
            ensure!(session.contains(identifier.as_str()), "no {identifier} in {session}");
        }
        let mut prints = Vec::new();
        for station in &mut offline.clinic.stations {
            prints.push((station.link.id.clone(), station.press_print().await?.0));
        }
        ana.sees(LANE, "three readings", |page| readings_on(page).len() == 3).await?;

        // The gateway dies, and has forgotten nothing but who was signed in.
        offline.clinic.gateways[0].kill()?;
        offline.clinic.restart_gateway(0).await?;
        let ana = offline.person().await?;
        ana.sees(LANE, "the readings", |page| readings_on(page).len() == 3).await?;
        // A gateway that was just started waits for the cloud a moment before work is done here.
        let page = ana.sees(LANE, "work here", |page| page.contains("<button>Choose<")).await?;
        ensure!(page.contains("End session"), "the session is gone:\n{page}");
        for reading in readings_on(&page) {
            ana.does("lane-1", "accept", Some(("reading", &reading))).await?;
        }

        // Printed before the patient is chosen: somebody says whose it is.
        ana.does("lane-1", "end", None).await?;
        let tonometer = &mut offline.clinic.stations[1];
        let early = (tonometer.link.id.clone(), tonometer.press_print().await?.0);
        ana.sees(LANE, "the tray", |page| page.contains("1 waiting")).await?;
        ana.chooses("lane-1", &second.chart_number).await?;
        let reading = first_of_tray(&ana.page(LANE).await?);
        let reading = reading.expect("a reading in the tray");
        ana.does("lane-1", "assign", Some(("reading", &reading))).await?;
        ana.does("lane-1", "accept", Some(("reading", &reading))).await?;

        let up = Timestamp::now();
        offline.line.join();
        offline.is_settled().await?;
        let http = offline.clinic.technician().await?;
        let visits = visit::schedule(&http).await?;
        let filed = wait::until("everything to be accepted", wait::USUAL_MAX, async || {
            let (of_first, of_second) = (
                visit::readings(&http, &visits[0]).await?,
                visit::readings(&http, &visits[1]).await?,
            );
            let are_accepted =
                of_first.iter().chain(&of_second).all(|it| it.acceptance == "accepted");
            let is_all = (of_first.len(), of_second.len()) == (3, 1);
            Ok((are_accepted && is_all).then_some([of_first, of_second]))
        })
        .await?;
        for (link, print) in &prints {
            let mut same = filed[0].iter().filter(|reading| reading.is_print(link, print));
            let (Some(reading), None) = (same.next(), same.next()) else {
                anyhow::bail!("print {} of {link} stands twice or not at all", print.number)
            };
            reading.check(print)?;
            let at = reading.envelope.time;
            ensure!(down <= at && at <= up, "measured {at}, not between {down} and {up}");
        }
        ensure!(filed[1][0].is_print(&early.0, &early.1), "another reading is in the second exam");
        ensure!(visit::waiting(&http).await?.is_empty(), "a reading waits");
        let lanes = http.get("/api/v1/lanes").await?.to_string();
        ensure!(lanes.contains(&visits[1].id), "the session does not go on: {lanes}");
        ana.sees(LANE, "the cloud's word", |page| page.contains("The cloud answers")).await?;
        offline.clinic.cloud.run(&["admin", "audit", "verify", "acme"])?;
        Ok(())
    });
}

#[test]
fn t12_two_patients_in_one_lane_are_held() {
    story("T12 conflict", async {
        let mut offline = Offline::new(&["NT-530"]).await?;
        let patient = patients(2).remove(0);
        let ana = offline.person().await?;
        offline.line.cut();
        ana.sees(LANE, "work here", |page| page.contains("<button>Choose<")).await?;
        ana.chooses("lane-1", &patient.chart_number).await?;
        let link = offline.clinic.stations[0].link.id.clone();
        let before = offline.clinic.stations[0].press_print().await?.0;
        ana.sees(LANE, "the first reading", |page| readings_on(page).len() == 1).await?;
        // Somebody with another way to the cloud opens the lane for another patient.
        let http = offline.clinic.technician().await?;
        let visits = visit::schedule(&http).await?;
        let body = json!({ "encounter_id": visits[1].id });
        http.post("/api/v1/lanes/lane-1/session", body).await?;
        let during = offline.clinic.stations[0].press_print().await?.0;
        ana.sees(LANE, "the second reading", |page| readings_on(page).len() == 2).await?;
        offline.line.join();
        offline.is_settled().await?;
        let held = visit::waits(&http, &link, &during).await?;
        wait::until("it to be held", wait::USUAL_MAX, async || {
            let waiting = visit::waiting(&http).await?;
            let is_held = |it: &visit::Shown| it.id == held.id && it.place == "held";
            Ok(waiting.iter().any(is_held).then_some(()))
        })
        .await?;
        let of_first = wait::until("the first to be filed", wait::USUAL_MAX, async || {
            let readings = visit::readings(&http, &visits[0]).await?;
            Ok((!readings.is_empty()).then_some(readings))
        })
        .await?;
        ensure!(of_first.len() == 1 && of_first[0].is_print(&link, &before), "{of_first:?}");
        ensure!(visit::readings(&http, &visits[1]).await?.is_empty(), "it was guessed");
        Ok(())
    });
}
