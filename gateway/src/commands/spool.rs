//! `spool status`.

use crate::{cli::SpoolCommand, config, spool};
use anyhow::Context;
use std::{
    io::{self, Write},
    path::Path,
};

pub(super) async fn execute(path: &Path, command: &SpoolCommand) -> anyhow::Result<()> {
    let SpoolCommand::Status { json } = command;
    let dir = config::load(path)?.data_dir.join("spool");
    let state = spool::inspect(&dir)
        .await
        .with_context(|| format!("{}: no spool yet, or not ours to read", dir.display()))?;
    let mut out = io::stdout().lock();
    if *json {
        writeln!(out, "{}", serde_json::to_string(&state)?)?;
        return Ok(());
    }
    writeln!(out, "epoch        {}", state.epoch)?;
    writeln!(out, "last number  {}", state.last_seq)?;
    writeln!(out, "waiting      {}", state.depth)?;
    if let Some(oldest_at) = state.oldest_at {
        writeln!(out, "oldest       {oldest_at}")?;
    }
    writeln!(out, "quarantined  {}", state.quarantined)?;
    Ok(())
}
