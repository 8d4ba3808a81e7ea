//! `config show`: which configuration counts.

use crate::{
    config,
    remote::{self, kept::Kept},
};
use chiasm_proto::config::{Configuration, ConfigurationFailure, Document};
use std::{
    io::{self, Write},
    path::Path,
};

pub(super) fn show(path: &Path) -> anyhow::Result<()> {
    let file = config::load(path)?;
    let kept = Kept::new(&file.data_dir);
    let (_, in_use) = remote::load(path)?;
    let mut out = io::stdout().lock();
    match in_use.version {
        0 => writeln!(out, "# {}: the file's own links and imagers count", path.display())?,
        version => writeln!(out, "# version {version} of the cloud counts, not the file's links")?,
    }
    if let Some(trial) = kept.trial()? {
        writeln!(out, "# version {} is on trial; a restart gives it up", trial.version)?;
    }
    if let Some(failed) = kept.failed()? {
        let outcome = match failed.outcome {
            ConfigurationFailure::Refused => "refused",
            ConfigurationFailure::Reverted => "given up",
        };
        let (version, at, reason) = (failed.version, failed.at, &failed.reason);
        writeln!(out, "# version {version} was {outcome} at {at}: {reason}")?;
    }
    write!(out, "{}", as_toml(&in_use)?)?;
    Ok(())
}

/// As the file would have it.
fn as_toml(configuration: &Configuration) -> anyhow::Result<String> {
    Ok(toml::to_string(&Document::from_json(&configuration.document)?)?)
}
