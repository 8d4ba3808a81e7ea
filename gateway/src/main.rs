//! The gateway's command line.

use chiasm_gateway::{cli::Cli, commands};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    keep_panic_messages_out_of_logs();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_stack_size(512 * 1024)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chiasm-gateway: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(commands::execute(cli));
    // A share that hangs in the middle of a look must not keep the process.
    runtime.shutdown_background();
    code
}

/// A panic's message may repeat what an instrument sent, and so personal data: the place is enough.
fn keep_panic_messages_out_of_logs() {
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(place) => eprintln!("panicked at {place}"),
        None => eprintln!("panicked"),
    }));
}
