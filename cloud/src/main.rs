//! `chiasm-cloud`: the cloud core's binary.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    keep_panic_messages_out_of_logs();
    chiasm_cloud::commands::Cli::parse().run().await
}

/// A panic's message may repeat what an instrument sent, and so personal data: the place is enough.
fn keep_panic_messages_out_of_logs() {
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => eprintln!("panicked at {place}"),
        None => eprintln!("panicked"),
    }));
}
