//! What a gateway costs while nobody measures: eight instruments attached, connected to its cloud.

use super::{
    Plan,
    edge::Edge,
    report::{Aim, Figure},
};
use crate::{
    clinic::{Clinic, Neighbours},
    gateway::{Endpoint, Link},
    process::{self, Process},
    pty::Pty,
};
use anyhow::Result;
use std::path::Path;
use tokio::time::sleep;

const LANES: [&str; 2] = ["lane-1", "lane-2"];
const DRIVERS: [&str; 4] = ["nidek_ark", "nidek_lm", "nidek_nt", "nidek_tonoref"];
const PSS_MAX_MIB: f64 = 25.0;
const CPU_MAX_PERCENT: f64 = 1.0;

/// Measures and gives the lines of the table.
pub async fn measure(plan: &Plan, folder: &Path) -> Result<Vec<Figure>> {
    eprintln!("idle: setting a clinic up");
    let clinic = Clinic::open_below(folder, Neighbours::NONE, &LANES, 1).await?;
    let mut lines = Vec::new();
    for lane in LANES {
        for driver in DRIVERS {
            let id = format!("{lane}-{}", driver.replace('_', "-"));
            let pty = Pty::plug_in(&clinic.folder().join(format!("{id}.tty")))?;
            let endpoint = Endpoint::Serial(pty.path().into());
            let link = Link {
                id,
                lane: lane.into(),
                driver: driver.into(),
                model: None,
                listen_only: false,
                endpoint,
            };
            lines.push((link, pty));
        }
    }
    let links = lines.iter().map(|(link, _)| link.clone()).collect();
    let gateway = clinic.enrolled_gateway("gw-idle", links)?;
    let edge = Edge::start(&gateway, "info").await?;
    let links = lines.len();
    let mut figures = vec![Figure::plain(
        format!("gateway, {links} links, exec to links read and online"),
        format!("{} ms", edge.ready_after.as_millis()),
    )];
    figures.extend(rest(plan, &edge.process, links).await?);
    let size = std::fs::metadata(process::binary("chiasm-gateway")?)?.len();
    figures.push(Figure::plain("gateway, size of the program", format!("{:.1} MiB", mib(size))));
    Ok(figures)
}

/// Memory and processor time while nothing happens.
async fn rest(plan: &Plan, process: &Process, links: usize) -> Result<Vec<Figure>> {
    let samples = plan.idle_samples;
    let every = plan.idle_sample_every;
    eprintln!("idle: {} s of warm-up, then {samples} samples", plan.idle_warm_up.as_secs());
    sleep(plan.idle_warm_up).await;
    let (cpu_before, before) = (process.cpu_time()?, std::time::Instant::now());
    let mut pss = Vec::new();
    for _ in 0..samples {
        sleep(every).await;
        pss.push(process.pss_bytes()?);
    }
    let cpu = process.cpu_time()?.saturating_sub(cpu_before).as_secs_f64();
    let percent = 100.0 * cpu / before.elapsed().as_secs_f64();
    pss.sort_unstable();
    let (median, most) = (pss[pss.len() / 2], pss[pss.len() - 1]);
    let seconds = samples * every.as_secs();
    Ok(vec![
        Figure::plain(
            format!("gateway, {links} links, idle, PSS"),
            format!("{:.1} MiB, at most {:.1}", mib(median), mib(most)),
        )
        .judged(mib(most), Aim::AtMost(PSS_MAX_MIB)),
        Figure::plain(
            format!("gateway, {links} links, idle, processor over {seconds} s"),
            format!("{percent:.2} %"),
        )
        .judged(percent, Aim::AtMost(CPU_MAX_PERCENT)),
    ])
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}
