//! Measures the product as it is shipped and prints one table. For release builds, on a machine
//! that does nothing else: `make bench`.

use anyhow::Result;
use chiasm_testbed::{
    bench::{Plan, backlog, flood, idle, imaging, latency, machine, pages, report, viewer},
    story,
};
use clap::{Parser, ValueEnum};
use std::{path::PathBuf, process::ExitCode};

/// Measures latency, throughput and footprint, and prints a table.
#[derive(Debug, Parser)]
struct Args {
    /// What to measure; everything but pages if nothing is named.
    measurements: Vec<Measurement>,
    /// A few seconds of each, to see that the program works; the figures say nothing.
    #[arg(long)]
    quick: bool,
    /// Print Markdown for a document, with the machine as a list.
    #[arg(long)]
    markdown: bool,
    /// How much data the pages are measured with: 100 is 100,000 patients and 5 million readings,
    /// some 13 GB of disk for a while.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    #[arg(value_parser = clap::value_parser!(i64).range(1..=100))]
    sizes: Vec<i64>,
    /// Measure the pages on one database only: sqlite or postgres.
    #[arg(long)]
    only: Option<String>,
    /// Folder for the databases; must be on a disk.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// From an instrument's last byte to the acknowledgement and to the open page.
    Latency,
    /// How fast readings are filed after an outage.
    Backlog,
    /// What a reading waits beside an instrument that never stops.
    Flood,
    /// What a gateway costs while nobody measures.
    Idle,
    /// How fast a gateway takes images, beside other receivers
    Imaging,
    /// How soon a scan is seen in the browser, and how fast a volume is scrolled through.
    Viewer,
    /// How long pages take with little and with much data; only if it is named.
    Pages,
}

fn main() -> ExitCode {
    let args = Args::parse();
    story::program(async { run(&args).await })
}

async fn run(args: &Args) -> Result<ExitCode> {
    machine::check_is_on_disk(&args.folder)?;
    let facts = machine::describe(&args.folder)?;
    let plan = if args.quick { Plan::QUICK } else { Plan::FULL };
    let is_wanted =
        |it: Measurement| args.measurements.is_empty() || args.measurements.contains(&it);
    let mut figures = Vec::new();
    if is_wanted(Measurement::Latency) {
        figures.extend(latency::measure(&plan, &args.folder).await?);
    }
    if is_wanted(Measurement::Backlog) {
        figures.extend(backlog::measure(&plan, &args.folder).await?);
    }
    if is_wanted(Measurement::Flood) {
        figures.extend(flood::measure(&plan, &args.folder).await?);
    }
    if is_wanted(Measurement::Idle) {
        figures.extend(idle::measure(&plan, &args.folder).await?);
    }
    if is_wanted(Measurement::Imaging) {
        figures.extend(imaging::measure(args.quick, &args.folder).await?);
    }
    if is_wanted(Measurement::Viewer) {
        figures.extend(viewer::measure(&plan, &args.folder).await?);
    }
    if args.measurements.contains(&Measurement::Pages) {
        figures.extend(pages::measure(&args.sizes, args.only.as_deref(), &args.folder).await?);
    }
    for (name, fact) in facts {
        println!("{}{name}: {fact}", if args.markdown { "* " } else { "" });
    }
    println!("\n{}", report::markdown(&figures));
    Ok(ExitCode::SUCCESS)
}
