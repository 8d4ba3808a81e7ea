//! Measures the product as it is shipped and prints one table. For release builds, on a machine that
//! does nothing else: `make bench`.

use anyhow::Result;
use chiasm_testbed::{
    bench::{machine, report},
    story,
};
use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// Measures latency, throughput and footprint, and prints a table.
#[derive(Debug, Parser)]
struct Args {
    /// Print Markdown for a document, with the machine as a list.
    #[arg(long)]
    markdown: bool,
    /// Folder for the databases; must be on a disk.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    let args = Args::parse();
    story::program(async { run(&args).await })
}

async fn run(args: &Args) -> Result<ExitCode> {
    machine::check_is_on_disk(&args.folder)?;
    for (name, fact) in machine::describe(&args.folder)? {
        println!("{}{name}: {fact}", if args.markdown { "* " } else { "" });
    }
    println!("\n{}", report::markdown(&[]));
    Ok(ExitCode::SUCCESS)
}
