//! Gateways' certificates: renewed while readings flow, over a crash at any step, replaced with their
//! gateway (I5), and refused when they are revoked or were replaced.

use anyhow::{Context, Result, ensure};
use chiasm_gateway::{
    enrol::{self, renewal},
    uplink::{identity::Credentials, try_out},
};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    gateway::Gateway,
    station::Wire,
    story::story,
    visit, wait,
    ward::Ward,
};
use reqwest::Method;
use std::{fs, path::Path, time::Duration};

/// A revoked gateway is cut off within this time (I5).
const CUT_MAX: Duration = Duration::from_secs(60);
const NEXT: &str = "identity.next";
const REPLACED: &str = "identity.replaced";

/// The enrolment in a folder `data_dir/identity`.
fn credentials(data_dir: &Path) -> Result<Credentials> {
    let stored = enrol::load(data_dir)?.context("no enrolment")?;
    Ok(Credentials::new(stored)?)
}

fn certificate(gateway: &Gateway) -> Result<String> {
    Ok(fs::read_to_string(gateway.data_dir().join("identity/certificate.pem"))?)
}

/// Copies an enrolment as a thief would.
fn steal(gateway: &Gateway, to: &Path) -> Result<()> {
    fs::create_dir_all(to.join("identity"))?;
    for file in fs::read_dir(gateway.data_dir().join("identity"))? {
        let file = file?;
        fs::copy(file.path(), to.join("identity").join(file.file_name()))?;
    }
    Ok(())
}

/// Waits until one enrolment is left, and the cloud knows it.
async fn settled(gateway: &Gateway) -> Result<()> {
    let dir = gateway.data_dir();
    wait::until("the renewal to end", wait::USUAL_MAX, async || {
        let is_left = [NEXT, REPLACED].iter().any(|name| dir.join(name).exists());
        Ok((!is_left).then_some(()))
    })
    .await
}

async fn is_refused(stolen: &Path) -> Result<()> {
    let credentials = credentials(stolen)?;
    wait::until("the broker to refuse", CUT_MAX, async || {
        Ok(try_out(&credentials).await.is_err().then_some(()))
    })
    .await?;
    let asked = renewal::ask(stolen).await;
    let error = asked.err().context("a certificate that is refused was renewed")?;
    ensure!(error.to_string().contains("not_let_in"), "{error}");
    Ok(())
}

#[test]
fn a_renewed_certificate_is_in_use_before_the_old_one_is_refused() {
    story("renewal", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        ward.is_well().await?;
        let gateway = &ward.clinic.gateways[0];
        let (old, stolen) = (certificate(gateway)?, ward.clinic.folder().join("stolen"));
        steal(gateway, &stolen)?;
        gateway.run(&["renew"])?;
        wait::until("a new certificate", wait::USUAL_MAX, async || {
            Ok((certificate(gateway)? != old).then_some(()))
        })
        .await?;
        settled(gateway).await?;
        is_refused(&stolen).await?;
        ward.is_well().await?;
        // Not twice within a minute, whoever asks.
        let error = ward.clinic.gateways[0].run(&["renew"]).err().context("renewed twice")?;
        ensure!(format!("{error:#}").contains("wait"), "{error:#}");
        Ok(())
    });
}

#[test]
fn a_crash_at_any_step_of_a_renewal_leaves_a_certificate_that_is_let_in() {
    story("renewal and crash", async {
        let clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        let exchange = |dir: &Path| -> Result<()> {
            fs::rename(dir.join(NEXT), dir.join("other"))?;
            fs::rename(dir.join("identity"), dir.join(NEXT))?;
            Ok(fs::rename(dir.join("other"), dir.join("identity"))?)
        };
        for (id, crashed_after) in [("gw-a", "asking"), ("gw-b", "exchange"), ("gw-c", "rename")] {
            let mut gateway = clinic.enrolled_gateway(id, vec![])?;
            gateway.run(&["renew"])?;
            let dir = gateway.data_dir();
            if crashed_after != "asking" {
                exchange(&dir)?;
            }
            if crashed_after == "rename" {
                fs::rename(dir.join(NEXT), dir.join(REPLACED))?;
            }
            gateway.launch()?;
            gateway.process()?.says("online", wait::USUAL_MAX).await?;
            settled(&gateway).await.with_context(|| format!("after {crashed_after}"))?;
            try_out(&credentials(&dir)?).await.map_err(anyhow::Error::msg)?;
            ensure!(gateway.stop().await?.success(), "it does not stop cleanly");
        }
        Ok(())
    });
}

#[test]
fn i5_a_replaced_gateway_goes_on_under_its_name_and_the_old_one_is_cut_off() {
    story("I5", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        ward.is_well().await?;
        let technician = ward.clinic.technician().await?;
        let visits = visit::schedule(&technician).await?;
        visit::open_session(&ward.clinic, &technician, "lane-1", &visits[0]).await?;
        let stolen = ward.clinic.folder().join("stolen");
        steal(&ward.clinic.gateways[0], &stolen)?;
        // The old machine dies; another one claims its name.
        ward.clinic.gateways[0].kill()?;
        fs::remove_dir_all(ward.clinic.gateways[0].data_dir())?;
        let claim = ward.clinic.claim("gw-1")?;
        ward.clinic.gateways[0].enrol(ward.clinic.cloud.endpoint_port(), &claim)?;
        is_refused(&stolen).await?;
        ward.clinic.restart_gateway(0).await?;
        ward.is_well().await?;
        // Who was measured meanwhile is told: the lane's session was open when the machine died.
        let doctor = ward.clinic.doctor().await?;
        let page = doctor.send(Method::GET, "/fleet", None).await?.text().await?;
        ensure!(page.contains("1 lane session of that time"), "no unknown gap:\n{page}");
        // A code is good once.
        let again = ward.clinic.gateways[0].enrol(ward.clinic.cloud.endpoint_port(), &claim);
        let error = again.err().context("a claim code was good twice")?;
        ensure!(format!("{error:#}").contains("used"), "{error:#}");
        Ok(())
    });
}
