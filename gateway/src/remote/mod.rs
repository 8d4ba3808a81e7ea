//! Links and imagers that the cloud sends (I2, I7): checked like the configuration file, limited to
//! what is an instrument, tried, and given up if the cloud is not reached with them.
//!
//! What stands in `gateway.toml` is version 0. Once the cloud has sent a version and it was kept,
//! that counts, and the file's links and imagers do not.

pub mod kept;
pub mod limits;
pub mod trial;

use crate::{
    clock,
    config::{self, Config, ConfigError, Link},
    supervisor::links::Links,
};
use chiasm_proto::{
    Sha256,
    config::{
        Configuration, ConfigurationFailure, ConfigurationReport, Document, FailedConfiguration,
    },
};
use kept::{Kept, KeptError};
use std::{path::Path, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use trial::{Step, Trial, Version};

/// Configurations that wait to be looked at; the cloud sends again what finds no place.
const OFFERS_MAX: usize = 4;
/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

/// How messages name a document of the cloud.
const FROM_CLOUD: &str = "the cloud's configuration";

/// Where the uplink hands over what came and reads what to tell.
#[derive(Clone)]
pub struct Handle {
    offers: mpsc::Sender<Configuration>,
    pub report: watch::Receiver<ConfigurationReport>,
}

impl Handle {
    pub fn offer(&self, configuration: Configuration) {
        if self.offers.try_send(configuration).is_err() {
            tracing::warn!("a configuration is left out: others wait; the cloud sends it again");
        }
    }
}

/// What counts when the gateway starts, and what was kept for it.
pub struct Start {
    pub config: Config,
    kept: Kept,
    in_use: Configuration,
    failed: Option<FailedConfiguration>,
}

/// The task that tries what the cloud sends.
pub struct Remote {
    config: Config,
    kept: Kept,
    trial: Trial,
    good: Configuration,
    failed: Option<FailedConfiguration>,
    offers: mpsc::Receiver<Configuration>,
    report: watch::Sender<ConfigurationReport>,
    links: Links,
}

/// The configuration that counts: the file, and on top of it what was kept of the cloud's. For
/// commands; changes nothing.
pub fn load(path: &Path) -> Result<(Config, Configuration), ConfigError> {
    let mut config = config::load(path)?;
    let own = Configuration::new(0, &config.own);
    let in_use = Kept::new(&config.data_dir).good().unwrap_or_else(|error| {
        tracing::error!(%error, "the links of the file count");
        None
    });
    let Some(good) = in_use.filter(|_| config.remote.accept) else { return Ok((config, own)) };
    match checked(&config, &good) {
        Ok(checked) => {
            take_over(&mut config, checked);
            Ok((config, good))
        }
        Err(_) => Ok((config, own)),
    }
}

/// Which configuration a gateway starts with. One that was never confirmed is given up.
pub fn start(mut config: Config) -> Result<Start, KeptError> {
    let kept = Kept::new(&config.data_dir);
    if let Some(unconfirmed) = or_damaged(kept.trial()) {
        let reason = "the gateway was started again before the cloud had confirmed it";
        give_up(&kept, &unconfirmed, ConfigurationFailure::Reverted, reason)?;
    }
    kept.forget_trial()?;
    let mut failed = or_damaged(kept.failed());
    let mut in_use = Configuration::new(0, &config.own);
    if let Some(good) = or_damaged(kept.good()).filter(|_| config.remote.accept) {
        match checked(&config, &good) {
            Ok(checked) => {
                take_over(&mut config, checked);
                in_use = good;
            }
            Err(reason) => {
                let reason = format!("it is not right any more: {reason}");
                failed = Some(give_up(&kept, &good, ConfigurationFailure::Reverted, &reason)?);
            }
        }
    }
    Ok(Start { config, kept, in_use, failed })
}

/// A damaged file must not keep the gateway from reading its instruments.
fn or_damaged<T>(read: Result<Option<T>, KeptError>) -> Option<T> {
    read.unwrap_or_else(|error| {
        tracing::error!(%error, "it is left out");
        None
    })
}

fn take_over(config: &mut Config, (document, links): (Document, Vec<Link>)) {
    config.links = links;
    config.imagers = document.imager;
}

/// Checks what the cloud sent as the file is checked, and what it may name.
fn checked(config: &Config, sent: &Configuration) -> Result<(Document, Vec<Link>), String> {
    limits::check_len(&sent.document)?;
    if !sent.is_intact() {
        return Err("its hash is not that of its content".into());
    }
    let document = Document::from_json(&sent.document).map_err(|error| error.to_string())?;
    limits::check(config, &document)?;
    let links = config::check_document(Path::new(FROM_CLOUD), config.dicom.as_ref(), &document);
    Ok((document, links.map_err(|error| error.to_string())?))
}

/// What stands in the file may name anything.
fn own(config: &Config) -> Result<(Document, Vec<Link>), String> {
    let links =
        config::check_document(Path::new("gateway.toml"), config.dicom.as_ref(), &config.own);
    Ok((config.own.clone(), links.map_err(|error| error.to_string())?))
}

fn give_up(
    kept: &Kept,
    configuration: &Configuration,
    outcome: ConfigurationFailure,
    reason: &str,
) -> Result<FailedConfiguration, KeptError> {
    let version = configuration.version;
    tracing::error!(version, reason, "a configuration of the cloud is not used");
    let failed = FailedConfiguration {
        version,
        sha256: configuration.sha256,
        outcome,
        reason: reason.chars().take(REASON_LEN_MAX).collect(),
        at: clock::wall(),
    };
    kept.give_up(&failed)?;
    Ok(failed)
}

fn version(number: u64, sha256: Sha256) -> Version {
    Version { number, sha256 }
}

impl Start {
    /// The task, for links that run already, and its handle for the uplink.
    pub fn into_task(self, links: Links) -> (Remote, Handle) {
        let config = self.config;
        let (offer, offers) = mpsc::channel(OFFERS_MAX);
        let within = Duration::from_secs(config.remote.confirm_within_s.into());
        let good = version(self.in_use.version, self.in_use.sha256);
        let failed = self.failed.as_ref().map(|it| version(it.version, it.sha256));
        let first = report_of(&self.in_use, false, self.failed.clone());
        let (report, told) = watch::channel(first);
        let remote = Remote {
            config,
            kept: self.kept,
            trial: Trial::new(good, failed, within),
            good: self.in_use,
            failed: self.failed,
            offers,
            report,
            links,
        };
        (remote, Handle { offers: offer, report: told })
    }
}

fn report_of(
    in_use: &Configuration,
    is_on_trial: bool,
    failed: Option<FailedConfiguration>,
) -> ConfigurationReport {
    ConfigurationReport {
        version: in_use.version,
        sha256: in_use.sha256,
        document: in_use.document.clone(),
        is_on_trial,
        failed,
    }
}

impl Remote {
    /// Tries what comes, for ever.
    pub async fn run(mut self) {
        loop {
            let until = self.trial.revert_at().map(Instant::from_std);
            let step = tokio::select! {
                offered = self.offers.recv() => match offered {
                    Some(offered) => self.offered(offered),
                    // The uplink has ended, and so does the gateway.
                    None => return std::future::pending().await,
                },
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    self.look_at_the_clock()
                }
            };
            if let Err(error) = step {
                tracing::error!(%error, "what becomes of a configuration cannot be written down");
            }
        }
    }

    fn offered(&mut self, offered: Configuration) -> Result<(), KeptError> {
        let number = offered.version;
        match self.trial.offered(version(number, offered.sha256), offered.keep) {
            Step::Tell => self.report.send_modify(|_| {}),
            Step::Keep => {
                self.kept.keep()?;
                self.trial.kept();
                self.good = Configuration { keep: false, ..offered };
                tracing::info!(version = number, "the cloud's configuration is kept");
                self.tell(false);
            }
            Step::Refuse(reason) => self.refuse(&offered, reason)?,
            Step::Try if !self.config.remote.accept => {
                self.refuse(&offered, "gateway.toml says remote.accept = false")?;
            }
            Step::Try => match checked(&self.config, &offered) {
                Ok((document, links)) => {
                    let offered = Configuration { keep: false, ..offered };
                    self.kept.put_on_trial(&offered)?;
                    tracing::info!(
                        version = number,
                        links = links.len(),
                        "applying the cloud's \
                        configuration"
                    );
                    self.links.apply(&links, &document.imager);
                    self.trial.applied(version(number, offered.sha256), clock::monotonic());
                    let failed = self.failed.clone();
                    self.report.send_replace(report_of(&offered, true, failed));
                }
                Err(reason) => self.refuse(&offered, &reason)?,
            },
        }
        Ok(())
    }

    /// What is in use stays in use, also if that is on trial.
    fn refuse(&mut self, offered: &Configuration, reason: &str) -> Result<(), KeptError> {
        if self.trial.on_trial().is_some() {
            // One at a time: the trial ends first, and the cloud sends this one again.
            tracing::warn!(version = offered.version, reason, "refused while another is tried");
            self.report.send_modify(|_| {});
            return Ok(());
        }
        let failed = give_up(&self.kept, offered, ConfigurationFailure::Refused, reason)?;
        self.trial.failed(version(failed.version, failed.sha256));
        self.failed = Some(failed);
        self.tell(false);
        Ok(())
    }

    fn look_at_the_clock(&mut self) -> Result<(), KeptError> {
        let Some(tried) =
            self.trial.on_trial().filter(|_| self.trial.is_overdue(clock::monotonic()))
        else {
            return Ok(());
        };
        let within = self.config.remote.confirm_within_s;
        let reason = format!("the cloud was not reached within {within} s after it was applied");
        let back = match self.good.version {
            0 => own(&self.config),
            _ => checked(&self.config, &self.good),
        };
        self.trial.failed(tried);
        let failed = FailedConfiguration {
            version: tried.number,
            sha256: tried.sha256,
            outcome: ConfigurationFailure::Reverted,
            reason,
            at: clock::wall(),
        };
        tracing::error!(version = tried.number, reason = failed.reason, "going back");
        match back {
            Ok((document, links)) => self.links.apply(&links, &document.imager),
            Err(error) => tracing::error!(error, "the configuration before is not right any more"),
        }
        let written = self.kept.give_up(&failed);
        self.failed = Some(failed);
        self.tell(false);
        written
    }

    fn tell(&self, is_on_trial: bool) {
        self.report.send_replace(report_of(&self.good, is_on_trial, self.failed.clone()));
    }
}
