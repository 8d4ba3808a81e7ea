//! A gateway that is wiped (I9), with a real cloud: it refuses while something waits, tells the
//! cloud, is shut out, and what is left of its folder says nothing. Without a connection the record
//! comes as a file.

use anyhow::{Context, Result, ensure};
use chiasm_gateway::{
    enrol,
    uplink::{identity::Credentials, try_out},
};
use chiasm_testbed::{station::Wire, story::story, wait, ward::Ward};
use reqwest::Method;
use std::{fs, path::Path, time::Duration};

const CUT_MAX: Duration = Duration::from_secs(60);
const WIPE: [&str; 4] = ["wipe", "--by", "Jo Meyer", "--yes"];

fn names(dir: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into()));
    let mut names = names.collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

async fn fleet_page(ward: &Ward) -> Result<String> {
    let doctor = ward.clinic.doctor().await?;
    Ok(doctor.send(Method::GET, "/fleet", None).await?.text().await?)
}

/// A copy of what lets the gateway in, as a thief would have made it.
fn stolen(ward: &Ward) -> Result<Credentials> {
    let stored = enrol::load(&ward.clinic.gateways[0].data_dir())?.context("no enrolment")?;
    Ok(Credentials::new(stored)?)
}

async fn is_refused(credentials: &Credentials) -> Result<()> {
    wait::until("the broker to refuse", CUT_MAX, async || {
        Ok(try_out(credentials).await.is_err().then_some(()))
    })
    .await
}

#[test]
fn i9_a_wiped_gateway_tells_the_cloud_and_holds_nothing() {
    story("wipe", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        ward.is_well().await?;
        let credentials = stolen(&ward)?;
        let running = ward.clinic.gateways[0].run(&WIPE).err().context("wiped while it runs")?;
        ensure!(format!("{running:#}").contains("stop the gateway first"), "{running:#}");
        wait::until("nothing to wait", wait::USUAL_MAX, async || {
            Ok((ward.clinic.gateways[0].waiting()? == 0).then_some(()))
        })
        .await?;
        let gateway = &mut ward.clinic.gateways[0];
        ensure!(gateway.stop().await?.success(), "it does not stop cleanly");
        let said = gateway.run(&WIPE)?;
        ensure!(said.contains("the cloud has the record") && said.contains("nothing"), "{said}");
        let key = gateway.config_path().with_file_name("spool.key");
        ensure!(!key.exists(), "the key is left");
        let left = names(&gateway.data_dir())?;
        ensure!(left == ["lock", "wiped.json", "wiped.told"], "left are {left:?}");
        let again = gateway.run(&WIPE)?;
        ensure!(again.contains("is wiped"), "{again}");
        let runs = gateway.run(&["run"]).err().context("a wiped gateway runs")?;
        ensure!(format!("{runs:#}").contains("was wiped"), "{runs:#}");
        is_refused(&credentials).await?;
        let page = fleet_page(&ward).await?;
        ensure!(
            page.contains("Jo Meyer") && page.contains("Everything it held was here"),
            "{page}"
        );
        // The machine is used again under its name; nothing is said to be lost.
        let claim = ward.clinic.claim("gw-1")?;
        ward.clinic.gateways[0].enrol(ward.clinic.cloud.endpoint_port(), &claim)?;
        ward.clinic.restart_gateway(0).await?;
        ward.is_well().await?;
        let page = fleet_page(&ward).await?;
        ensure!(!page.contains("may be lost"), "{page}");
        Ok(())
    });
}

#[test]
fn i9_without_a_connection_the_record_comes_as_a_file() {
    story("wipe offline", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        ward.is_well().await?;
        let credentials = stolen(&ward)?;
        ward.clinic.cloud.stop().await?;
        ward.patient().press_print().await?;
        wait::until("the reading to wait", wait::USUAL_MAX, async || {
            Ok((ward.clinic.gateways[0].waiting()? > 0).then_some(()))
        })
        .await?;
        let gateway = &mut ward.clinic.gateways[0];
        gateway.stop().await?;
        let refused = gateway.run(&WIPE).err().context("it wiped what waits")?;
        ensure!(format!("{refused:#}").contains("--lose-readings"), "{refused:#}");
        let said = gateway.run(&[&WIPE[..], &["--lose-readings"]].concat())?;
        ensure!(said.contains("The cloud does not know yet"), "{said}");
        let left = names(&gateway.data_dir())?;
        ensure!(left == ["lock", "wiped.json"], "left are {left:?}");
        let record = gateway.data_dir().join("wiped.json");
        ward.clinic.cloud.start().await?;
        let file = record.to_str().context("a path of text")?;
        let said = ward.clinic.cloud.run(&["admin", "gateway", "wiped", file])?;
        ensure!(said.contains("was wiped by Jo Meyer"), "{said}");
        is_refused(&credentials).await?;
        let page = fleet_page(&ward).await?;
        ensure!(page.contains("Not here were"), "{page}");
        // A record that was changed on the way is refused.
        let changed = fs::read_to_string(&record)?.replace("Jo Meyer", "Jo Mayer");
        fs::write(&record, changed)?;
        let refused = ward.clinic.cloud.run(&["admin", "gateway", "wiped", file]);
        let error = refused.err().context("a changed record was taken")?;
        ensure!(format!("{error:#}").contains("not signed"), "{error:#}");
        Ok(())
    });
}
