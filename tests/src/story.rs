//! Runs one story: a future on a runtime of its own. If it fails, the logs of all processes that it
//! started are printed, so that a red test on a machine far away can be understood.

use anyhow::Result;
use std::{
    cell::RefCell,
    future::Future,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Most bytes of one log that are shown after a failure.
const LOG_SHOWN_LEN_MAX: usize = 12_000;
/// How long a runtime may take to end what still runs in it.
const RUNTIME_STOP_MAX: Duration = Duration::from_secs(5);

thread_local! {
    static LOGS: RefCell<Vec<(String, PathBuf)>> = const { RefCell::new(Vec::new()) };
}

/// Runs a test's future; panics with the whole chain of causes if it fails.
pub fn story(name: &str, future: impl Future<Output = Result<()>>) {
    if let Err(error) = run(future) {
        panic!("{name}: {error:#}");
    }
}

/// Runs a program's future; prints the whole chain of causes if it fails.
pub fn program(future: impl Future<Output = Result<ExitCode>>) -> ExitCode {
    run(future).unwrap_or_else(|error| {
        eprintln!("failed: {error:#}");
        ExitCode::FAILURE
    })
}

fn run<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    crate::use_ring();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shown = ShowLogsOnPanic;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(RUNTIME_STOP_MAX);
    let logs = LOGS.with_borrow_mut(std::mem::take);
    if result.is_err() {
        show(&logs);
    }
    for (_, path) in &logs {
        // A log that cannot be removed is only litter in the folder of temporary files.
        let _ = std::fs::remove_file(path);
    }
    drop(shown);
    result
}

struct ShowLogsOnPanic;

impl Drop for ShowLogsOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show(&LOGS.with_borrow(Clone::clone));
        }
    }
}

fn show(logs: &[(String, PathBuf)]) {
    for (name, path) in logs {
        eprintln!("---- log of {name} ({}) ----\n{}", path.display(), tail(path));
    }
}

/// The end of a log.
pub(crate) fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let from = bytes.len().saturating_sub(LOG_SHOWN_LEN_MAX);
    String::from_utf8_lossy(&bytes[from..]).into_owned()
}

/// A new file for the log of one process, remembered for a failure.
pub(crate) fn new_log(name: &str) -> Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = std::env::temp_dir().join(format!("chiasm-logs-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{number:04}-{name}.log"));
    LOGS.with_borrow_mut(|logs| logs.push((name.into(), path.clone())));
    Ok(path)
}
