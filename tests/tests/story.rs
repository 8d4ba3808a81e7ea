//! One patient through every instrument: what is printed is filed, in the right exam, value by
//! value.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    ledger::Ledger,
    station::{Station, Wire},
    story::story,
    visit::{self, Announced},
    wait,
};

#[test]
fn one_machine_files_every_value_of_every_instrument() {
    story("one machine", every_instrument(Neighbours::NONE));
}

#[test]
fn a_larger_installation_files_every_value_of_every_instrument() {
    story("PostgreSQL and Mosquitto", every_instrument(Neighbours::ALL));
}

async fn every_instrument(neighbours: Neighbours) -> Result<()> {
    let mut clinic = Clinic::with_all_instruments(neighbours, 2).await?;
    let http = clinic.technician().await?;
    let (announced, _listener) = Announced::listen(&http).await?;
    let encounters = visit::schedule(&http).await?;
    ensure!(encounters.len() == 2, "the schedule shows {} visits", encounters.len());
    let patient = &encounters[0];
    for lane in clinic.lanes() {
        visit::open_session(&clinic, &http, &lane, patient).await?;
    }
    for index in 0..clinic.stations.len() {
        let link = clinic.stations[index].link.id.clone();
        let (print, at) = clinic.stations[index].press_print().await?;
        visit::filed(&http, &announced, patient, &link, (&print, at)).await?;
    }
    let others = visit::readings(&http, &encounters[1]).await?;
    ensure!(others.is_empty(), "another patient's exam holds {} readings", others.len());
    let waiting = visit::waiting(&http).await?;
    ensure!(waiting.is_empty(), "{} readings wait", waiting.len());
    conservation_holds(&clinic).await
}

/// Both sides count the same: nothing waits at a gateway, and the cloud misses no number.
async fn conservation_holds(clinic: &Clinic) -> Result<()> {
    let ledger = Ledger::open(clinic.cloud.store_url()).await?;
    for gateway in &clinic.gateways {
        let what = format!("the spool of {} to be empty", gateway.id);
        let spool = wait::until(&what, wait::USUAL_MAX, async || {
            let spool = gateway.spool()?;
            Ok((spool["depth"] == 0).then_some(spool))
        })
        .await?;
        ensure!(spool["quarantined"] == 0, "{} has documents in quarantine: {spool}", gateway.id);
        let filed = ledger.documents_of(&gateway.id).await?;
        ensure!(spool["last_seq"] == filed, "{}: {spool}, but {filed} are filed", gateway.id);
    }
    clinic.cloud.run(&["admin", "reconcile"]).context("the numbers do not add up")?;
    Ok(())
}

#[test]
fn a_reading_without_a_patient_waits_in_the_tray_and_is_filed_by_a_person() {
    story("tray", async {
        let mut clinic = Clinic::with_all_instruments(Neighbours::NONE, 1).await?;
        let http = clinic.technician().await?;
        let link = clinic.stations[0].link.id.clone();
        let lane = clinic.stations[0].link.lane.clone();
        let (print, _) = clinic.stations[0].press_print().await?;
        let reading = wait::until("the reading to wait", wait::USUAL_MAX, async || {
            Ok(visit::waiting(&http).await?.pop())
        })
        .await?;
        ensure!(reading.is_print(&link, &print), "another reading waits");
        ensure!(reading.place == "tray", "it waits in the {}", reading.place);
        reading.check(&print)?;
        let patient = visit::schedule(&http).await?.remove(0);
        visit::open_session(&clinic, &http, &lane, &patient).await?;
        let path = format!("/api/v1/waiting/{}/assign", reading.id);
        http.post(&path, serde_json::json!({ "encounter_id": patient.id })).await?;
        let readings = visit::readings(&http, &patient).await?;
        ensure!(readings.len() == 1 && readings[0].id == reading.id, "it is not in the exam");
        ensure!(visit::waiting(&http).await?.is_empty(), "it still waits");
        Ok(())
    });
}

#[test]
fn what_is_printed_while_the_cloud_is_down_is_filed_when_it_is_back() {
    story("cloud down", async {
        let mut clinic = Clinic::with_all_instruments(Neighbours::NONE, 1).await?;
        let http = clinic.technician().await?;
        let patient = visit::schedule(&http).await?.remove(0);
        for lane in clinic.lanes() {
            visit::open_session(&clinic, &http, &lane, &patient).await?;
        }
        ensure!(clinic.cloud.stop().await?.success(), "the cloud does not stop cleanly");
        let mut prints = Vec::new();
        for station in &mut clinic.stations {
            let (print, _) = station.press_print().await?;
            prints.push((station.link.id.clone(), print));
        }
        // The gateways restart as well while there is no cloud.
        for index in 0..clinic.gateways.len() {
            ensure!(clinic.gateways[index].stop().await?.success(), "a gateway does not stop");
            clinic.restart_gateway(index).await?;
        }
        clinic.cloud.start().await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        for (link, print) in &prints {
            ledger.wait_filed(link, print).await?;
        }
        conservation_holds(&clinic).await
    });
}

/// T9: the same instrument in two lanes, twenty prints in each at the same time.
#[test]
fn two_lanes_at_once_never_cross() {
    story("two lanes", async {
        const PRINTS: usize = 20;
        let lanes = ["lane-1", "lane-2"];
        let mut clinic = Clinic::open(Neighbours::NONE, &lanes, 2).await?;
        let mut stations = Vec::new();
        for lane in lanes {
            let folder = clinic.folder();
            stations.push(Station::attach(folder, lane, "ARK-1a", Wire::Serial).await?);
        }
        clinic.add_gateway("gw-1", stations).await?;
        let http = clinic.technician().await?;
        let patients = visit::schedule(&http).await?;
        for (lane, patient) in lanes.iter().zip(&patients) {
            visit::open_session(&clinic, &http, lane, patient).await?;
        }
        let mut prints = vec![Vec::new(); lanes.len()];
        for _ in 0..PRINTS {
            for (station, printed) in clinic.stations.iter_mut().zip(&mut prints) {
                printed.push(station.press_print().await?.0);
            }
        }
        for ((station, patient), printed) in clinic.stations.iter().zip(&patients).zip(&prints) {
            let what = format!("all prints of {} to be filed", station.link.id);
            let filed = wait::until(&what, wait::USUAL_MAX, async || {
                let filed = visit::readings(&http, patient).await?;
                Ok((filed.len() >= PRINTS).then_some(filed))
            })
            .await?;
            ensure!(filed.len() == PRINTS, "{} readings in one exam", filed.len());
            for print in printed {
                let reading =
                    filed.iter().find(|reading| reading.is_print(&station.link.id, print));
                reading.context("a reading is in another exam")?.check(print)?;
            }
        }
        conservation_holds(&clinic).await
    });
}
