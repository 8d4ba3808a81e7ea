//! Waiting by condition. Nothing in the testbed sleeps and hopes.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// What most things may take at most on a busy machine.
pub const USUAL_MAX: Duration = Duration::from_secs(60);

/// Looks at a condition until it gives a value.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if start.elapsed() > within {
            bail!("waited {} s in vain for {what}", within.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
