//! What a reading waits when its neighbour on the same gateway never stops sending what cannot be
//! read.

use super::{
    Plan,
    edge::Edge,
    gateway_log, prints,
    report::{Aim, Figure},
};
use crate::{
    clinic::{Clinic, Neighbours},
    gateway::{Endpoint, Link},
    ledger::Ledger,
    pty::Pty,
    stats::{Summary, millis},
    wait,
};
use anyhow::{Context, Result};
use jiff::Timestamp;
use std::{path::Path, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

const LANES: [&str; 2] = ["lane-1", "lane-2"];
/// Between two readings.
const PERIOD: Duration = Duration::from_millis(50);
/// A line of 115200 baud, in bytes and times of a second.
const LINE_SPEED: usize = 11_520;
const TICKS: usize = 100;
const DELAY_MAX_MS: f64 = 100.0;

/// Measures and gives the line of the table.
pub async fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    eprintln!("flood: setting a clinic up");
    let mut clinic = Clinic::open_below(folder, Neighbours::NONE, &LANES, 1).await?;
    let pty = Pty::plug_in(&clinic.folder().join("ark.tty"))?;
    let noisy = Pty::plug_in(&clinic.folder().join("noisy.tty"))?;
    let links = vec![link("ark", LANES[0], &pty), link("noisy", LANES[1], &noisy)];
    let gateway = clinic.enrolled_gateway("gw-flood", links)?;
    let edge = Edge::start(&gateway, "info,chiasm_gateway::uplink=debug").await?;
    let ledger = Ledger::open(clinic.cloud.store_url()).await?;
    let count = plan.latency_readings / 4;
    let quiet = round(0..count, &pty, &ledger, &edge).await?;
    let flood = tokio::spawn(async move { rubbish(&noisy).await });
    let beside = round(count..2 * count, &pty, &ledger, &edge).await?;
    let is_flooded = !flood.is_finished();
    flood.abort();
    clinic.cloud.stop().await?;
    anyhow::ensure!(is_flooded, "the flood broke off");
    let more = beside.p99.saturating_sub(quiet.p99);
    let what = format!("latency, ack, beside {LINE_SPEED} bytes of rubbish a second, p99");
    Ok(vec![
        Figure::plain(what, format!("{} ms", millis(beside.p99)))
            .beside(format!("{} ms", millis(quiet.p99)))
            .judged(1000.0 * more.as_secs_f64(), Aim::AtMost(DELAY_MAX_MS)),
    ])
}

fn link(id: &str, lane: &str, pty: &Pty) -> Link {
    Link {
        id: id.into(),
        lane: lane.into(),
        driver: prints::driver().id.into(),
        model: None,
        listen_only: false,
        endpoint: Endpoint::Serial(pty.path().into()),
    }
}

/// Transmissions that are wrong, one after the other, as fast as a line brings them.
async fn rubbish(pty: &Pty) -> Result<()> {
    let mut wrong = prints::frame(0);
    let middle = wrong.len() / 2;
    wrong[middle] ^= 0x55;
    let mut endless = wrong.into_iter().cycle();
    let mut tick = interval(Duration::from_secs(1) / u32::try_from(TICKS)?);
    loop {
        tick.tick().await;
        let part: Vec<u8> = endless.by_ref().take(LINE_SPEED / TICKS).collect();
        pty.write_all(&part).await?;
    }
}

/// From the write of each print to the acknowledgement at the gateway.
async fn round(
    numbers: std::ops::Range<u32>,
    pty: &Pty,
    ledger: &Ledger,
    edge: &Edge,
) -> Result<Summary> {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    for n in numbers.clone() {
        tick.tick().await;
        let frame = prints::frame(n);
        sent.push((prints::running_number(n), Timestamp::now()));
        pty.write_all(&frame).await?;
    }
    wait::until("the last reading to be filed", wait::USUAL_MAX, async || {
        Ok((ledger.count("reading").await? >= u64::from(numbers.end)).then_some(()))
    })
    .await?;
    let readings = ledger.readings().await?;
    let seq_of = |number: &str| {
        let mut of = readings.iter().filter(|((_, it), _)| it == number);
        of.next().and_then(|(_, readings)| readings.first()).map(|it| it.envelope.seq)
    };
    let (last, _) = sent.last().context("nothing was sent")?;
    let last = seq_of(last).context("the last print was not filed")?;
    let acks = wait::until("the last acknowledgement", wait::USUAL_MAX, async || {
        let acks = gateway_log::acks(&edge.process.log());
        Ok(gateway_log::acknowledged_at(&acks, last).map(|_| acks))
    })
    .await?;
    let mut durations = Vec::new();
    for (number, at) in &sent {
        let seq = seq_of(number).with_context(|| format!("print {number} was not filed"))?;
        let acked = gateway_log::acknowledged_at(&acks, seq)
            .with_context(|| format!("no acknowledgement of number {seq}"))?;
        durations.push(Duration::try_from(acked.duration_since(*at))?);
    }
    Summary::of(&durations).context("no reading was measured")
}
