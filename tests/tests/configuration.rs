//! What a gateway reads, set up in the cloud: real gateway, real broker, real cloud (I2, I7).

use anyhow::{Context, Result, ensure};
use chiasm_cloud::store::{Db, gateway_config, gateway_config::VersionRow, gateway_listening};
use chiasm_gateway::remote::kept::Kept;
use chiasm_proto::{
    config::{Configuration, Document},
    listening::Heard,
};
use chiasm_testbed::{
    clinic::{Clinic, PASSWORD},
    cloud::TENANT,
    http::Http,
    ledger::Ledger,
    net,
    station::{Station, Wire},
    story::story,
    wait,
};
use reqwest::Method;
use std::fs;

const GATEWAY: &str = "gw-1";

async fn versions(clinic: &Clinic) -> Result<Vec<VersionRow>> {
    let db = Db::open(clinic.cloud.store_url()).await?;
    let mut tx = db.tenant_read(TENANT).await?;
    Ok(gateway_config::versions(&mut tx, (TENANT, GATEWAY)).await?)
}

/// Waits until the cloud knows that of a version.
async fn becomes(clinic: &Clinic, version: i64, state: &str) -> Result<VersionRow> {
    wait::until(&format!("version {version} to be {state}"), wait::USUAL_MAX, async || {
        let rows = versions(clinic).await?;
        Ok(rows.into_iter().find(|row| row.version == version && row.state == state))
    })
    .await
}

/// Imports what is exported, with these lines behind it.
fn import(clinic: &Clinic, lines: &str, extra: &[&str]) -> Result<String> {
    let text = clinic.cloud.run(&["admin", "config", "export", TENANT, GATEWAY])?;
    let file = clinic.folder().join("instruments.csv");
    fs::write(&file, format!("{text}{lines}"))?;
    let file = file.to_str().context("a plain name")?;
    clinic.cloud.run(&[&["admin", "config", "import", TENANT, GATEWAY, file], extra].concat())
}

#[test]
fn i7_an_instrument_from_a_file_is_read_and_the_others_are_not_disturbed() {
    story("I7", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        let own = becomes(&clinic, 0, "confirmed").await?;
        ensure!(own.is_in_use && own.document.contains("lane-1-ark-1a"), "{}", own.document);
        let [port] = net::free_ports()?;
        let folder = clinic.folder().to_owned();
        let added = Station::attach(&folder, "lane-2", "NT-530", Wire::TcpServer(port)).await?;
        let line = format!(
            "lane-2,Lane 2,{},tcp_server,127.0.0.1:{port},{},NT-530,,,,,,,,\r\n",
            added.link.id, added.link.driver
        );
        let shown = import(&clinic, &line, &["--dry-run"])?;
        ensure!(
            shown.contains("+ lane lane-2") && shown.contains("lane-2-nt-530 added"),
            "{shown}"
        );
        ensure!(versions(&clinic).await?.len() == 1, "a dry run made a version");
        import(&clinic, &line, &["--why", "a tonometer came"])?;
        let row = becomes(&clinic, 1, "confirmed").await?;
        ensure!(row.is_in_use && row.why == "a tonometer came", "{row:?}");
        clinic.stations.push(added);
        for at in 0..2 {
            let (print, _) = clinic.stations[at].press_print().await?;
            ledger.wait_filed(&clinic.stations[at].link.id, &print).await?;
        }
        let ups = |clinic: &Clinic| clinic.gateways[0].log().matches("link=lane-1-ark-1a").count();
        let before = ups(&clinic);
        // It stays over a kill; the gateway's own file does not count any more.
        clinic.gateways[0].kill()?;
        clinic.release_lines()?;
        clinic.gateways[0].launch()?;
        wait::until("both links after the kill", wait::USUAL_MAX, async || {
            Ok((ups(&clinic) > before).then_some(()))
        })
        .await?;
        let shown = clinic.gateways[0].run(&["config", "show"])?;
        ensure!(shown.contains("version 1 of the cloud counts"), "{shown}");
        for at in 0..2 {
            let (print, _) = clinic.stations[at].press_print().await?;
            ledger.wait_filed(&clinic.stations[at].link.id, &print).await?;
        }
        Ok(())
    });
}

#[test]
fn what_the_gateway_refuses_is_told_and_what_it_reads_goes_on() {
    story("refused configuration", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        becomes(&clinic, 0, "confirmed").await?;
        import(&clinic, "lane-1,,spy,tcp_client,127.0.0.1:6379,nidek_ark,,,,,,,,,\r\n", &[])?;
        let row = becomes(&clinic, 1, "refused").await?;
        ensure!(row.state_detail.contains("private network"), "{}", row.state_detail);
        let (print, _) = clinic.stations[0].press_print().await?;
        ledger.wait_filed(&clinic.stations[0].link.id, &print).await?;
        // A half transmission of a link that is changed is kept, with what was wrong.
        let half = {
            let print = clinic.stations[0].next_print()?;
            print.transmission.bytes[..print.transmission.bytes.len() / 2].to_vec()
        };
        clinic.stations[0].attachment.send(&half).await?;
        let link = clinic.stations[0].link.id.clone();
        clinic.gateways[0].has_journaled(&link, half.len()).await?;
        let text = clinic.cloud.run(&["admin", "config", "export", TENANT, GATEWAY])?;
        let file = clinic.folder().join("model.csv");
        fs::write(&file, text.replace(",ARK-1a,", ",ARK-1s,"))?;
        let file = file.to_str().context("a plain name")?;
        clinic.cloud.run(&["admin", "config", "import", TENANT, GATEWAY, file])?;
        becomes(&clinic, 2, "confirmed").await?;
        wait::until("the half transmission", wait::USUAL_MAX, async || {
            let captures = ledger.captures().await?;
            Ok(captures.into_iter().find(|capture| capture.raw.bytes == half))
        })
        .await?;
        let (print, _) = clinic.stations[0].press_print().await?;
        ledger.wait_filed(&link, &print).await?;
        // The page says all of it to clinic IT.
        let it = Http::sign_in(clinic.cloud.http_port(), "it", PASSWORD).await?;
        let path = format!("/fleet/gateways/{GATEWAY}/configuration");
        let page = it.send(Method::GET, &path, None).await?.text().await?;
        for words in ["private network", "Go back to 0", "Refused", "In use"] {
            ensure!(page.contains(words), "no `{words}`:\n{page}");
        }
        Ok(())
    });
}

#[test]
fn what_was_never_confirmed_is_given_up_after_a_crash_and_the_cloud_is_told() {
    story("configuration and crash", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        becomes(&clinic, 0, "confirmed").await?;
        clinic.gateways[0].kill()?;
        // A person makes a version while the gateway is away; it had it, and died before the cloud
        // had confirmed it.
        let removed = clinic.folder().join("none.csv");
        fs::write(&removed, "lane,instrument,attached,at\r\nlane-1,,,\r\n")?;
        let removed = removed.to_str().context("a plain name")?;
        clinic.cloud.run(&["admin", "config", "import", TENANT, GATEWAY, removed])?;
        Kept::new(&clinic.gateways[0].data_dir())
            .put_on_trial(&Configuration::new(1, &Document::default()))?;
        clinic.restart_gateway(0).await?;
        let row = becomes(&clinic, 1, "reverted").await?;
        ensure!(row.state_detail.contains("started again"), "{}", row.state_detail);
        ensure!(becomes(&clinic, 0, "confirmed").await?.is_in_use, "its own links do not count");
        let (print, _) = clinic.stations[0].press_print().await?;
        ledger.wait_filed(&clinic.stations[0].link.id, &print).await?;
        Ok(())
    });
}

/// Asks for it on the page.
async fn listen(it: &Http, body: &str) -> Result<()> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let request = client
        .post(format!("{}/fleet/gateways/{GATEWAY}/listen", it.origin()))
        .bearer_auth(it.token())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body.to_owned());
    let status = request.send().await?.status();
    ensure!(status == 303, "{status}");
    Ok(())
}

/// Waits until this is told of what was heard.
async fn hears(clinic: &Clinic, is_it: impl Fn(&Heard) -> bool) -> Result<Heard> {
    wait::until("what the gateway hears", LISTEN_MAX, async || {
        let db = Db::open(clinic.cloud.store_url()).await?;
        let mut tx = db.tenant_read(TENANT).await?;
        let row = gateway_listening::get(&mut tx, (TENANT, GATEWAY)).await?;
        let heard = row.and_then(|row| row.heard).map(|json| serde_json::from_str(&json));
        Ok(heard.transpose()?.filter(|heard| is_it(heard)))
    })
    .await
}

/// The story allows ten seconds; a busy test machine gets more.
const LISTEN_MAX: std::time::Duration = std::time::Duration::from_secs(20);

#[test]
fn i2_what_comes_over_a_link_is_shown_without_values_while_it_is_read() {
    story("I2", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        let it = Http::sign_in(clinic.cloud.http_port(), "it", PASSWORD).await?;
        listen(&it, "link=lane-1-ark-1a").await?;
        hears(&clinic, |heard| heard.bytes == 0).await?;
        let (print, _) = clinic.stations[0].press_print().await?;
        let heard = hears(&clinic, |heard| !heard.verdicts.is_empty()).await?;
        ensure!(heard.verdicts[0].starts_with("read by nidek_ark"), "{heard:?}");
        ensure!(heard.bytes >= u64::try_from(print.transmission.bytes.len())?, "{heard:?}");
        let gives_values_away =
            |text: &str| text.contains(|it: char| it.is_ascii_digit() && it != '9' && it != '0');
        let plain = heard.masked.split(['<', '>']).step_by(2).collect::<String>();
        ensure!(!gives_values_away(&plain) && plain.contains("A"), "{}", heard.masked);
        ledger.wait_filed("lane-1-ark-1a", &print).await?;
        let path = format!("/fleet/gateways/{GATEWAY}/configuration");
        let page = it.send(Method::GET, &path, None).await?.text().await?;
        ensure!(page.contains("read by nidek_ark"), "{page}");
        // What is no port is not opened, whoever asks.
        listen(&it, "port=%2Fetc%2Fpasswd").await?;
        let heard = hears(&clinic, |heard| heard.ended.is_some()).await?;
        let ended = heard.ended.unwrap_or_default();
        ensure!(ended.contains("no port /etc/passwd is plugged in"), "{ended}");
        Ok(())
    });
}
