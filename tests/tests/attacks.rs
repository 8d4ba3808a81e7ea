//! What somebody can do who has the address of the cloud, or the certificate of one gateway.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    clinic::Clinic,
    cloud::TENANT,
    ledger::Ledger,
    mqtt::Client,
    station::{Station, Wire},
    story::story,
    wait,
};
use serde_json::json;
use std::net::Ipv4Addr;
use tokio::net::TcpStream;

/// To the port of the readings, and to that of enrolment and images.
const SILENT: [usize; 2] = [10_000, 4_000];

/// Opens connections and says nothing on them.
async fn be_silent(port: u16, count: usize) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        streams.push(stream.with_context(|| format!("after {} connections", streams.len()))?);
    }
    Ok(streams)
}

/// While ten thousand connections wait for ever, readings are filed and a new gateway is enrolled.
#[test]
fn silent_connections_keep_no_gateway_out() {
    story("silent connections", async {
        allow_descriptors()?;
        let mut clinic = Clinic::with_one_lane(&["NT-530"], 1).await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        let readings = be_silent(clinic.cloud.broker_port(), SILENT[0]).await?;
        let enrolments = be_silent(clinic.cloud.endpoint_port(), SILENT[1]).await?;
        let (print, _) = clinic.stations[0].press_print().await?;
        ledger.wait_filed(&clinic.stations[0].link.id, &print).await?;
        let station = Station::attach(clinic.folder(), "lane-1", "LM-7P", Wire::Serial).await?;
        clinic.add_gateway("gw-2", vec![station]).await?;
        let (print, _) = clinic.stations[1].press_print().await?;
        ledger.wait_filed(&clinic.stations[1].link.id, &print).await?;
        ensure!(readings.len() + enrolments.len() == SILENT.iter().sum::<usize>(), "all are open");
        ensure!(!clinic.gateways[0].log().contains("no connection"), "a gateway was put out");
        Ok(())
    });
}

/// As many as the system allows.
fn allow_descriptors() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let needed = SILENT.iter().sum::<usize>() as u64 + 500;
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "this test needs {needed} open files; raise the hard limit (ulimit -Hn)"
    );
    Ok(())
}

/// Who has the certificate of one gateway cannot make another one forget its readings.
#[test]
fn forged_acknowledgements_reach_nobody() {
    story("forged acknowledgements", async {
        let mut clinic = Clinic::with_one_lane(&["NT-530"], 1).await?;
        let thief = clinic.enrolled_gateway("gw-2", vec![])?.identity()?;
        let epoch = clinic.gateways[0].spool()?["epoch"].clone();
        let ack = json!({ "epoch": epoch, "upto": 1_000_000, "missing": [] }).to_string();
        for topic in ["gw-1/down/ack", "gw-2/down/ack", "gw-1/down/session", "gw-1/state"] {
            let mut client = Client::connect(clinic.cloud.broker_port(), &thief).await?;
            let topic = format!("chiasm/v1/{TENANT}/{topic}");
            client.publish(&topic, ack.clone().into_bytes()).await?;
            client.is_refused().await.with_context(|| format!("publishing on {topic}"))?;
        }
        let (print, _) = clinic.stations[0].press_print().await?;
        let ledger = Ledger::open(clinic.cloud.store_url()).await?;
        ledger.wait_filed(&clinic.stations[0].link.id, &print).await?;
        let gateway = &clinic.gateways[0];
        wait::until("the gateway to know it", wait::USUAL_MAX, async || {
            Ok((gateway.waiting()? == 0).then_some(()))
        })
        .await?;
        let spool = gateway.spool()?;
        ensure!(spool["last_seq"] == 1 && spool["epoch"] == epoch, "{spool}");
        Ok(())
    });
}
