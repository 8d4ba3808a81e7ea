//! Configurations of gateways: sent when a person has made one, and what gateways say of them. A
//! gateway tells at each connection which one it uses, and is answered with what it lacks.

use super::{filing::Filing, outbox::Outbox};
use crate::{
    Core, clock,
    domain::configuration::{self, Known},
    store::{
        StoreError, Tx,
        gateway_config::{self, VersionRow},
        gateway_listening::{self, ListeningRow},
    },
};
use chiasm_proto::{
    GatewayId, Sha256, TenantId,
    config::{
        Configuration, ConfigurationFailure, ConfigurationReport, DOCUMENT_LEN_MAX, Document,
        FailedConfiguration, Reply,
    },
    listening::{
        Command, DETECT_S_MAX, HEARD_LEN_MAX, Heard, LISTEN_S_MAX, PORTS_MAX, Ports, VERDICTS_MAX,
    },
};
use std::time::Duration;

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How late a gateway hears of what a command has made.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Who has made what a gateway tells and the cloud did not make.
const LEARNT_FROM: &str = "gateway";
/// Most of these among the newest versions.
const LEARNT_MAX: usize = 20;
/// Longest reason that is kept, in characters.
const REASON_LEN_MAX: usize = 500;

/// Serves [`crate::core::Downlink::configuration_changed`], for ever.
pub async fn run(core: Core, outbox: Outbox) {
    loop {
        for (tenant, gateway) in core.downlink.changed_configurations().await {
            if let Err(error) = send(&core, &outbox, (&tenant, &gateway)).await {
                tracing::warn!(%tenant, %gateway, %error, "cannot send a configuration, will retry");
                core.downlink.configuration_changed(&tenant, &gateway);
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

/// Looks for versions that commands or other replicas have made, for ever.
pub async fn look(core: Core) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        let found = async {
            let mut tx = core.db.all_tenants_read().await?;
            gateway_config::waiting(&mut tx).await
        };
        match found.await {
            Ok(waiting) => waiting
                .iter()
                .for_each(|(tenant, gateway)| core.downlink.configuration_changed(tenant, gateway)),
            Err(error) => tracing::warn!(%error, "cannot look for configurations, will try again"),
        }
    }
}

/// Sends what has not left yet: the newest version, and what somebody wants to listen to.
async fn send(core: &Core, outbox: &Outbox, key: (&str, &str)) -> Result<(), StoreError> {
    let (Ok(tenant), Ok(gateway)) = (TenantId::new(key.0), GatewayId::new(key.1)) else {
        return Ok(());
    };
    let mut tx = core.db.tenant(key.0).await?;
    let newest = gateway_config::versions(&mut tx, key).await?.into_iter().next();
    let newest = newest.filter(|row| row.state == "waiting");
    if let Some(row) = &newest {
        let what = (row.version, row.sha256.as_str());
        gateway_config::set_state(&mut tx, key, what, ("sent", ""), clock::now_us()).await?;
    }
    let listening = gateway_listening::get(&mut tx, key).await?.filter(|row| !row.is_sent);
    if listening.is_some() {
        gateway_listening::sent(&mut tx, key).await?;
    }
    tx.commit().await?;
    if let Some(row) = newest {
        outbox.configuration(&tenant, &gateway, &of_row(&row, false));
    }
    if let Some(command) = listening.and_then(command) {
        outbox.command(&tenant, &gateway, &command);
    }
    Ok(())
}

fn command(row: ListeningRow) -> Option<Command> {
    let id = row.listening_id.parse().ok()?;
    Some(match row.is_search {
        true => Command::Detect { id, port: row.target, seconds: DETECT_S_MAX },
        false => Command::Listen { id, link: row.target.parse().ok()?, seconds: LISTEN_S_MAX },
    })
}

fn of_row(row: &VersionRow, keep: bool) -> Configuration {
    Configuration {
        version: u64::try_from(row.version).unwrap_or_default(),
        sha256: Sha256::of(row.document.as_bytes()),
        document: row.document.clone(),
        keep,
    }
}

impl Filing<'_> {
    pub(super) async fn take_reply(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        reply: &Reply,
    ) -> Result<(), StoreError> {
        match reply {
            Reply::Configuration(report) => self.take_report(tx, gateway, report).await,
            Reply::Heard(heard) => self.take_heard(tx, gateway, heard).await,
            Reply::Ports(ports) => {
                let ports = Ports { ports: ports.ports.iter().take(PORTS_MAX).cloned().collect() };
                let json = text(&ports);
                gateway_listening::put_ports(tx, (self.tenant, gateway.as_str()), &json).await?;
                self.gateway_changed(gateway);
                Ok(())
            }
        }
    }

    /// It may be longer than a gateway of ours makes it.
    async fn take_heard(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        heard: &Heard,
    ) -> Result<(), StoreError> {
        let short = |text: &String| text.chars().take(REASON_LEN_MAX).collect();
        let heard = Heard {
            masked: heard.masked.chars().take(HEARD_LEN_MAX).collect(),
            verdicts: heard.verdicts.iter().take(VERDICTS_MAX).map(short).collect(),
            ended: heard.ended.as_ref().map(short),
            ..heard.clone()
        };
        let key = (self.tenant, gateway.as_str());
        let id = heard.id.to_string();
        if gateway_listening::put_heard(tx, key, &id, &text(&heard)).await? {
            self.gateway_changed(gateway);
        }
        Ok(())
    }

    /// A gateway says which configuration it uses. It may be wrong in every part of it.
    async fn take_report(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        report: &ConfigurationReport,
    ) -> Result<(), StoreError> {
        let key = (self.tenant, gateway.as_str());
        let version = i64::try_from(report.version).unwrap_or(i64::MAX);
        if version > configuration::VERSION_MAX {
            tracing::warn!(tenant = key.0, gateway = key.1, version, "no version of ours");
            return Ok(());
        }
        let mut changed = self.learn_document(tx, key, version, report).await?;
        let state = if report.is_on_trial { "applied" } else { "confirmed" };
        let sha256 = report.sha256.to_string();
        changed |= gateway_config::set_state(tx, key, (version, &sha256), (state, ""), self.now_us)
            .await?;
        changed |= gateway_config::set_in_use(tx, key, version).await?;
        if let Some(failed) = &report.failed {
            changed |= take_failure(tx, key, failed, self.now_us).await?;
        }
        let rows = gateway_config::versions(tx, key).await?;
        let known: Vec<Known> = rows.iter().map(known).collect();
        let failed = report.failed.as_ref().and_then(|it| i64::try_from(it.version).ok());
        let answer = configuration::answer(&known, (version, report.is_on_trial), failed);
        if let Some(answer) = answer
            && let Some(row) = rows.iter().find(|row| row.version == answer.version)
        {
            if !answer.keep && row.state == "waiting" {
                let what = (row.version, row.sha256.as_str());
                gateway_config::set_state(tx, key, what, ("sent", ""), self.now_us).await?;
            }
            self.configurations.push((gateway.clone(), of_row(row, answer.keep)));
        }
        if changed {
            self.gateway_changed(gateway);
        }
        Ok(())
    }

    /// What the cloud did not make: the gateway's own file, or what it made before it was restored
    /// from a backup.
    async fn learn_document(
        &self,
        tx: &mut Tx,
        key: (&str, &str),
        version: i64,
        report: &ConfigurationReport,
    ) -> Result<bool, StoreError> {
        let is_right = report.document.len() <= DOCUMENT_LEN_MAX
            && Sha256::of(report.document.as_bytes()) == report.sha256
            && !report.document.contains('\0')
            && Document::from_json(&report.document).is_ok();
        if !is_right {
            tracing::warn!(tenant = key.0, gateway = key.1, "a configuration is malformed");
            return Ok(false);
        }
        let sha256 = report.sha256.to_string();
        if version == 0 {
            let what = (report.document.as_str(), sha256.as_str());
            gateway_config::replace_own(tx, key, what, self.now_us).await?;
        }
        let rows = gateway_config::versions(tx, key).await?;
        let learnt = rows.iter().filter(|row| row.made_by == LEARNT_FROM).count();
        if learnt >= LEARNT_MAX && rows.iter().all(|row| row.version != version) {
            tracing::warn!(tenant = key.0, gateway = key.1, "it tells too many versions");
            return Ok(false);
        }
        let row = VersionRow {
            version,
            document: report.document.clone(),
            sha256,
            made_at_us: self.now_us,
            made_by: LEARNT_FROM.into(),
            why: String::new(),
            state: "confirmed".into(),
            state_detail: String::new(),
            state_at_us: self.now_us,
            is_in_use: false,
        };
        gateway_config::insert(tx, key, &row).await
    }
}

async fn take_failure(
    tx: &mut Tx,
    key: (&str, &str),
    failed: &FailedConfiguration,
    now_us: i64,
) -> Result<bool, StoreError> {
    let Ok(version) = i64::try_from(failed.version) else { return Ok(false) };
    let state = match failed.outcome {
        ConfigurationFailure::Refused => "refused",
        ConfigurationFailure::Reverted => "reverted",
    };
    let reason: String =
        failed.reason.chars().filter(|it| *it != '\0').take(REASON_LEN_MAX).collect();
    let sha256 = failed.sha256.to_string();
    gateway_config::set_state(tx, key, (version, &sha256), (state, &reason), now_us).await
}

/// JSON that every database takes.
fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data always serialises").replace("\\u0000", "")
}

fn known(row: &VersionRow) -> Known {
    Known {
        version: row.version,
        is_failed: matches!(row.state.as_str(), "refused" | "reverted"),
        is_confirmed: row.state == "confirmed",
    }
}
