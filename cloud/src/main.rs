//! `chiasm-cloud`: the cloud core's binary.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    chiasm_cloud::commands::Cli::parse().run().await
}
