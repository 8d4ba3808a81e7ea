//! What a person has set up wrongly: one line that says what is wrong and what to do.

use anyhow::{Context, Result, ensure};
use chiasm_proto::{GatewayId, TenantId};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    cloud::TENANT,
    gateway::{Endpoint, Gateway, Link},
    mqtt::Client,
    net, process,
    story::story,
    wait,
};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};
use std::{fs, path::Path, process::Command};

/// Runs a command that has to fail; gives what it wrote on standard error.
fn refusal(mut command: Command) -> Result<String> {
    let output = command.output()?;
    ensure!(!output.status.success(), "{command:?} succeeded");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!text.contains("panicked"), "{text}");
    Ok(text)
}

fn expect_words(text: &str, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(text.contains(word), "`{word}` is missing in:\n{text}");
    }
    Ok(())
}

fn gateway_refuses(folder: &Path, config: &str, words: &[&str]) -> Result<()> {
    let path = folder.join("gateway.toml");
    fs::write(&path, config)?;
    for what in ["check-config", "run"] {
        let mut command = Command::new(process::binary("chiasm-gateway")?);
        command.arg("--config").arg(&path).arg(what);
        let text = refusal(command)?;
        expect_words(&text, words).with_context(|| format!("`{what}` of:\n{config}"))?;
    }
    Ok(())
}

#[test]
fn a_gateway_names_the_key_that_is_wrong() {
    story("gateway configuration", async {
        let folder = tempfile::tempdir()?;
        let refuses = |config: &str, words: &[&str]| gateway_refuses(folder.path(), config, words);
        let link = "[[link]]\nid = \"ark\"\nlane = \"lane-1\"\ndriver = \"nidek_ark\"\n";
        refuses("data_dir = \"/tmp/x\"\nspeed = 9600\n", &["gateway.toml", "speed", "unknown"])?;
        refuses("data_dir = \"relative\"\n", &["data_dir", "absolute"])?;
        refuses(
            &format!("data_dir = \"/tmp/x\"\n{}", link.replace("nidek_ark", "nidek_arc")),
            &["ark", "nidek_arc", "nidek_ark", "choose"],
        )?;
        refuses(&format!("data_dir = \"/tmp/x\"\n{link}"), &["ark", "serial", "tcp_client"])?;
        refuses(
            &format!("data_dir = \"/tmp/x\"\n{link}[link.serial]\nport = \"ttyUSB0\"\n"),
            &["ark", "ttyUSB0", "ports"],
        )?;
        refuses(
            &format!("data_dir = \"/tmp/x\"\n{link}[link.serial]\nport = \"/dev/x\"\nbaut = 1\n"),
            &["baut", "unknown"],
        )?;
        let mut command = Command::new(process::binary("chiasm-gateway")?);
        command.args(["--config", "/nowhere/gateway.toml", "run"]);
        expect_words(&refusal(command)?, &["/nowhere/gateway.toml", "--config"])
    });
}

#[test]
fn a_cloud_names_the_key_that_is_wrong() {
    story("cloud configuration", async {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        for (config, words) in [
            ("[broker]\nlisten_on = \"0.0.0.0:1\"", &["cloud.toml", "listen_on", "unknown"][..]),
            ("[http]\nlisten = \"0.0.0.0:80\"", &["http.listen", "behind_proxy"]),
            ("[broker]\nurl = \"mqtt://h:1\"", &["broker.url", "mqtts://"]),
            ("[store]\nurl = \"mysql://h/d\"", &["mysql", "sqlite:", "postgres:"]),
        ] {
            let path = folder.path().join("cloud.toml");
            fs::write(&path, format!("data_dir = \"{}\"\n{config}\n", data.display()))?;
            let mut command = Command::new(process::binary("chiasm-cloud")?);
            command.arg("--config").arg(&path).arg("serve");
            expect_words(&refusal(command)?, words).with_context(|| config.to_owned())?;
        }
        Ok(())
    });
}

#[test]
fn a_port_that_is_not_there_is_a_link_that_is_down_and_nothing_else() {
    story("missing port", async {
        let folder = tempfile::tempdir()?;
        let link = Link {
            id: "ark".into(),
            lane: "lane-1".into(),
            driver: "nidek_ark".into(),
            model: None,
            listen_only: false,
            endpoint: Endpoint::Serial(folder.path().join("no-such-adapter")),
        };
        let mut gateway = Gateway::new(folder.path(), "gw-1", vec![link])?;
        gateway.launch()?;
        let process = gateway.process()?;
        process.says("nothing is plugged in there", wait::USUAL_MAX).await?;
        process.check_running()?;
        let line = one_line(&process.log(), "nothing is plugged in there")?;
        expect_words(&line, &["ark", "no-such-adapter"])?;
        // Without a certificate it reads all the same, and says what is missing.
        process.says("enrol", wait::USUAL_MAX).await?;
        ensure!(gateway.stop().await?.success(), "it does not stop cleanly");
        Ok(())
    });
}

fn one_line(log: &str, text: &str) -> Result<String> {
    let line = log.lines().find(|line| line.contains(text));
    Ok(line.with_context(|| format!("no line with `{text}` in:\n{log}"))?.to_owned())
}

#[test]
fn wrong_claim_codes_and_wrong_authorities_are_refused() {
    story("enrolment", async {
        let clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        let claim = clinic.claim("gw-1")?;
        let gateway = Gateway::new(&clinic.folder().join("gw-1"), "gw-1", vec![])?;
        let port = clinic.cloud.endpoint_port();
        let mut wrong = claim.clone();
        wrong.code = "22222222".into();
        let error = gateway.enrol(port, &wrong).err().context("a wrong code is let in")?;
        expect_words(&format!("{error:#}"), &["unknown_code"])?;
        let mut wrong = claim.clone();
        wrong.authority_sha256 = "0".repeat(64);
        let error = gateway.enrol(port, &wrong).err().context("a wrong authority is trusted")?;
        expect_words(&format!("{error:#}"), &["authority"])?;
        gateway.enrol(port, &claim)?;
        let error = gateway.enrol(port, &claim).err().context("a code is good twice")?;
        expect_words(&format!("{error:#}"), &["used"])?;
        let [nobody] = net::free_ports()?;
        let error = gateway.enrol(nobody, &claim).err().context("nobody listens there")?;
        expect_words(&format!("{error:#}"), &["cannot reach", &nobody.to_string()])
    });
}

/// Puts a certificate with other dates in the place of a gateway's, for the same key, by the same
/// authority.
fn redate(clinic: &Clinic, gateway: &Gateway, from: i64, to: i64) -> Result<()> {
    let authority = clinic.cloud.data_dir().join("authority");
    let issuer_key = KeyPair::from_pem(&fs::read_to_string(authority.join("authority.key"))?)?;
    let issuer_pem = fs::read_to_string(authority.join("authority.pem"))?;
    let issuer = Issuer::from_ca_cert_pem(&issuer_pem, issuer_key)?;
    let identity = gateway.data_dir().join("identity");
    let key = KeyPair::from_pem(&fs::read_to_string(identity.join("key.pem"))?)?;
    let mut params = CertificateParams::default();
    let name =
        chiasm_proto::enrol::common_name(&TenantId::new(TENANT)?, &GatewayId::new(&gateway.id)?);
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now + time::Duration::days(from);
    params.not_after = now + time::Duration::days(to);
    fs::write(identity.join("certificate.pem"), params.signed_by(&key, &issuer)?.pem())?;
    Ok(())
}

#[test]
fn certificates_of_the_past_and_of_the_future_are_named_as_such() {
    story("certificate dates", async {
        let clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        for (id, days, words) in [
            ("gw-old", (-30, -1), "the gateway's certificate has expired; enrol it again"),
            ("gw-new", (1, 30), "clock stands before the start of its certificate; set the clock"),
        ] {
            let mut gateway = clinic.enrolled_gateway(id, vec![])?;
            redate(&clinic, &gateway, days.0, days.1)?;
            gateway.launch()?;
            gateway.process()?.says(words, wait::USUAL_MAX).await?;
            gateway.process()?.says("no connection to the cloud", wait::USUAL_MAX).await?;
            gateway.process()?.check_running()?;
        }
        Ok(())
    });
}

#[test]
fn a_revoked_gateway_is_cut_off_and_told_what_to_do() {
    story("revoked", async {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        clinic.add_gateway("gw-1", vec![]).await?;
        clinic.cloud.run(&["admin", "gateway", "revoke", TENANT, "gw-1"])?;
        let process = clinic.gateways[0].process()?;
        process.says("no connection to the cloud", wait::USUAL_MAX).await?;
        process.says("revoked or replaced", wait::USUAL_MAX).await
    });
}

#[test]
fn a_gateway_cannot_speak_or_listen_for_another() {
    story("topics", async {
        let clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        let gateway = clinic.enrolled_gateway("gw-1", vec![])?;
        clinic.claim("gw-2")?;
        let identity = gateway.identity()?;
        let port = clinic.cloud.broker_port();
        let mut client = Client::connect(port, &identity).await?;
        client.publish(&format!("chiasm/v1/{TENANT}/gw-2/up/reading"), b"{}".to_vec()).await?;
        client.is_refused().await.context("publishing for another")?;
        for filter in [&format!("chiasm/v1/{TENANT}/gw-2/down/+"), "#", "chiasm/v1/+/+/up/+"] {
            let mut client = Client::connect(port, &identity).await?;
            client.subscribe(filter).await?;
            client.is_refused().await.with_context(|| format!("subscribing to {filter}"))?;
        }
        Ok(())
    });
}
