//! From the last byte of a frame on a real pseudo-terminal to the acknowledgement at the gateway,
//! and to the event in an open live stream; beside the floor, measured between the readings.
//!
//! The clock is read before the write of the frame's bytes, so the write itself counts. When the
//! acknowledgement came is what the gateway logs of it, with microseconds of the same clock.

use super::{
    Plan,
    edge::Edge,
    floor::Floor,
    gateway_log, identity_of, prints,
    report::{Aim, Figure},
};
use crate::{
    clinic::{Clinic, Neighbours},
    gateway::{Endpoint, Link},
    http::{Http, Live, LiveEvent},
    ledger::Ledger,
    pty::Pty,
    stats::{Summary, millis},
    visit, wait,
};
use anyhow::{Context, Result, bail};
use chiasm_proto::Seq;
use jiff::Timestamp;
use serde_json::Value;
use std::{collections::HashMap, path::Path, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

/// Between two readings.
const PERIOD: Duration = Duration::from_millis(50);
/// Events that may wait to be looked at.
const EVENTS_MAX: usize = 100_000;
const LANE: &str = "lane-1";
/// What the gateway logs when it knows that a session is open.
const SESSION_TOLD: &str = "the open lane sessions open=1";
/// p50 and p99 of the path over those of its floor.
const RATIO_P50_MAX: f64 = 3.0;
const RATIO_P99_MAX: f64 = 10.0;

/// A print that went out.
struct Sent {
    number: String,
    at: Timestamp,
}

/// When an event of a reading came, by the reading's id.
type Seen = HashMap<String, Timestamp>;

/// Measures and gives the lines of the table.
pub async fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    eprintln!("latency: setting a clinic up");
    let mut clinic = Clinic::open_below(folder, Neighbours::NONE, &[LANE], 1).await?;
    let pty = Pty::plug_in(&clinic.folder().join("ark.tty"))?;
    let gateway = clinic.enrolled_gateway("gw-bench", vec![link(&pty)])?;
    let mut edge = Edge::start(&gateway, "info,chiasm_gateway::uplink=debug").await?;
    let technician = clinic.technician().await?;
    open_session(&clinic, &technician, &mut edge).await?;
    let mut seen = watch(technician.live("/live", None).await?);
    let mut floor = floor_beside(&clinic).await?;
    let (sent, floors) = run(plan, &pty, &mut floor).await?;
    eprintln!("latency: waiting until all are filed");
    let ledger = Ledger::open(clinic.cloud.store_url()).await?;
    let filed = wait::until("the last reading to be filed", wait::USUAL_MAX, async || {
        Ok((ledger.count("reading").await? >= sent.len() as u64).then_some(()))
    });
    filed.await?;
    let live = collect(&mut seen, sent.len()).await?;
    let durations = durations(&sent, &ledger, &edge, &live).await?;
    clinic.cloud.stop().await?;
    figures(durations, &floors)
}

fn link(pty: &Pty) -> Link {
    Link {
        id: "ark".into(),
        lane: LANE.into(),
        driver: prints::driver().id.into(),
        model: None,
        listen_only: false,
        endpoint: Endpoint::Serial(pty.path().into()),
    }
}

/// The lane measures today's first patient, so that readings go into an exam.
async fn open_session(clinic: &Clinic, technician: &Http, edge: &mut Edge) -> Result<()> {
    let visits = visit::schedule(technician).await?;
    let first = visits.first().context("nobody is on the schedule")?;
    visit::open_session(clinic, technician, LANE, first).await?;
    edge.process.says(SESSION_TOLD, wait::USUAL_MAX).await
}

/// A second identity at the same broker, and two databases on the same disk.
async fn floor_beside(clinic: &Clinic) -> Result<Floor> {
    let beside = clinic.enrolled_gateway("gw-floor", vec![])?;
    let identity = identity_of(&beside)?;
    Floor::new(clinic.folder(), clinic.cloud.broker_port(), &identity).await
}

/// Notes when each event comes.
fn watch(mut live: Live) -> mpsc::Receiver<(Timestamp, LiveEvent)> {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    tokio::spawn(async move {
        while let Ok(event) = live.next().await {
            if sender.send((Timestamp::now(), event)).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// Sends a print in every period and measures the floor half-way to the next.
async fn run(plan: &Plan, pty: &Pty, floor: &mut Floor) -> Result<(Vec<Sent>, Vec<Duration>)> {
    let mut ticks = interval_at(Instant::now() + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut sent, mut floors) = (Vec::new(), Vec::new());
    for n in 0..plan.latency_readings {
        if n % 200 == 0 {
            eprintln!("latency: {n} of {} readings", plan.latency_readings);
        }
        let tick = ticks.tick().await;
        let frame = prints::frame(n);
        let at = Timestamp::now();
        pty.write_all(&frame).await?;
        sent.push(Sent { number: prints::running_number(n), at });
        sleep_until(tick + PERIOD / 2).await;
        floors.push(floor.measure().await?);
    }
    Ok((sent, floors))
}

async fn collect(seen: &mut mpsc::Receiver<(Timestamp, LiveEvent)>, count: usize) -> Result<Seen> {
    let mut live = HashMap::new();
    while live.len() < count {
        let next = tokio::time::timeout(wait::USUAL_MAX, seen.recv()).await;
        let missing = || format!("{} of {count} events came", live.len());
        let (at, event) = next.with_context(missing)?.context("the live stream ended")?;
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if let ("reading_filed", Some(reading)) =
            (data["kind"].as_str().unwrap_or_default(), data["subject"].as_str())
        {
            live.entry(reading.to_owned()).or_insert(at);
        }
    }
    Ok(live)
}

#[derive(Default)]
struct Durations {
    ack: Vec<Duration>,
    live: Vec<Duration>,
    in_exam: usize,
}

/// Brings together by running number what went out, what was filed, and when it was told.
async fn durations(sent: &[Sent], ledger: &Ledger, edge: &Edge, live: &Seen) -> Result<Durations> {
    let filed: HashMap<String, _> = ledger
        .readings()
        .await?
        .into_iter()
        .map(|((_, number), readings)| (number, readings))
        .collect();
    let last = filed.values().flatten().map(|it| it.envelope.seq).max().unwrap_or(0);
    let acks = wait::until("the last acknowledgement", wait::USUAL_MAX, async || {
        let acks = gateway_log::acks(&edge.process.log());
        Ok(gateway_log::acknowledged_at(&acks, last).map(|_| acks))
    })
    .await?;
    let mut durations = Durations::default();
    for Sent { number, at } in sent {
        let [reading] = filed.get(number).map_or(&[][..], Vec::as_slice) else {
            bail!("print {number} was not filed exactly once");
        };
        let seq: Seq = reading.envelope.seq;
        let acked = gateway_log::acknowledged_at(&acks, seq)
            .with_context(|| format!("no acknowledgement of number {seq}"))?;
        let id = reading.envelope.id.to_string();
        let told = live.get(&id).with_context(|| format!("no live event of reading {id}"))?;
        durations.ack.push(acked.duration_since(*at).try_into()?);
        durations.live.push(told.duration_since(*at).try_into()?);
        durations.in_exam += usize::from(reading.place == "exam");
    }
    Ok(durations)
}

fn figures(durations: Durations, floors: &[Duration]) -> Result<Vec<Figure>> {
    let floor = Summary::of(floors).context("no floor was measured")?;
    let mut figures = Vec::new();
    for (what, durations) in
        [("ack at the gateway", &durations.ack), ("live event", &durations.live)]
    {
        let ours = Summary::of(durations).context("no reading was measured")?;
        let ratio = |ours: Duration, floor: Duration| ours.as_secs_f64() / floor.as_secs_f64();
        let line = |percentile: &str, ours, floor| {
            Figure::plain(format!("latency, {what}, {percentile}"), format!("{} ms", millis(ours)))
                .beside(format!("{} ms", millis(floor)))
        };
        let of_p50 = ratio(ours.p50, floor.p50);
        let of_p99 = ratio(ours.p99, floor.p99);
        figures.push(line("p50", ours.p50, floor.p50).judged(of_p50, Aim::AtMost(RATIO_P50_MAX)));
        figures.push(line("p99", ours.p99, floor.p99).judged(of_p99, Aim::AtMost(RATIO_P99_MAX)));
        figures.push(line("max", ours.max, floor.max));
    }
    let sent = durations.ack.len();
    let what = format!("readings sent at {} per second", 1000 / PERIOD.as_millis());
    let filed = format!("{sent}, {} in an exam", durations.in_exam);
    figures.push(Figure::plain(what, filed));
    Ok(figures)
}
