//! `instances`.

use crate::{config, instances};
use anyhow::Context;
use std::{
    io::{self, Write},
    path::Path,
};

pub(super) async fn execute(path: &Path, json: bool) -> anyhow::Result<()> {
    let dir = config::load(path)?.data_dir.join("instances");
    let counts = instances::inspect(&dir)
        .await
        .with_context(|| format!("{}: no instances yet, or not ours to read", dir.display()))?;
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&counts)?)?;
        return Ok(());
    }
    writeln!(out, "waiting  {}, {} bytes", counts.waiting, counts.waiting_bytes)?;
    writeln!(out, "filed    {}", counts.filed)?;
    writeln!(out, "damaged  {}", counts.damaged)?;
    Ok(())
}
