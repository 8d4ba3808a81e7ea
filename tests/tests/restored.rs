//! A gateway whose disk was put back to an earlier state, as a snapshot of a virtual machine does: it
//! gives numbers out that the cloud knows for other readings (invariants 2 and 3). And a cloud
//! whose database was restored: nobody knows who sat where since (R31).

use anyhow::{Result, ensure};
use chiasm_testbed::{station::Wire, story::story, visit, ward::Ward};
use std::{fs, path::Path};

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Restores a gateway and lets it measure so often while the cloud is away.
fn measured_after_a_restore(prints_after: usize) {
    story("restored gateway", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        ward.is_well().await?;
        let (data, saved) =
            (ward.clinic.gateways[0].data_dir(), ward.clinic.folder().join("saved"));
        ward.clinic.gateways[0].stop().await?;
        copy(&data, &saved)?;
        ward.clinic.restart_gateway(0).await?;
        for _ in 0..2 {
            ward.is_well().await?;
        }
        ward.clinic.gateways[0].stop().await?;
        ward.clinic.cloud.stop().await?;
        fs::remove_dir_all(&data)?;
        copy(&saved, &data)?;
        ward.clinic.restart_gateway(0).await?;
        let mut prints = Vec::new();
        for _ in 0..prints_after {
            prints.push(ward.clinic.stations[0].press_print().await?.0);
        }
        ward.clinic.cloud.start().await?;
        for print in &prints {
            ward.filed(0, print).await?;
        }
        ward.is_well().await?;
        let log = ward.clinic.gateways[0].log();
        ensure!(log.contains("restored from a backup"), "nobody was told:\n{log}");
        Ok(())
    });
}

#[test]
fn a_restored_gateway_that_is_behind_loses_nothing() {
    measured_after_a_restore(1);
}

#[test]
fn a_restored_gateway_that_went_on_beyond_what_the_cloud_has_loses_nothing() {
    measured_after_a_restore(9);
}

#[test]
fn r31_a_restored_cloud_gives_nothing_to_who_sat_there_at_the_time_of_the_backup() {
    story("restored cloud", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        let technician = ward.clinic.technician().await?;
        let visits = visit::schedule(&technician).await?;
        visit::open_session(&ward.clinic, &technician, "lane-1", &visits[0]).await?;
        ward.clinic.cloud.stop().await?;
        let from = jiff::Timestamp::now();
        let restored =
            |from: &str| ward.clinic.cloud.run(&["admin", "restored", "--backup-from", from]);
        ensure!(restored("2999-01-01T00:00:00Z").is_err(), "a backup of the future was believed");
        let told = restored(&from.to_string())?;
        ensure!(told.starts_with("1 lane sessions ended"), "{told}");
        // Measured while the cloud was away, by a gateway that still knows the session.
        let (print, _) = ward.clinic.stations[0].press_print().await?;
        ward.clinic.cloud.start().await?;
        ward.filed(0, &print).await?;
        let readings = ward.ledger.readings().await?;
        let places: Vec<&str> = readings.values().flatten().map(|it| it.place.as_str()).collect();
        ensure!(places == ["tray"], "{places:?}");
        Ok(())
    });
}
