//! Configurations of gateways: sent when a person has made one, and what gateways say of them. A
//! gateway tells at each connection which one it uses, and is answered with what it lacks.

use super::{filing::Filing, outbox::Outbox};
use crate::{
    Core, clock,
    domain::configuration::{self, Known},
    store::{
        StoreError, Tx,
        gateway_config::{self, VersionRow},
    },
};
use chiasm_proto::{
    GatewayId, Sha256, TenantId,
    config::{
        Configuration, ConfigurationFailure, ConfigurationReport, DOCUMENT_LEN_MAX, Document,
        FailedConfiguration,
    },
};
use std::time::Duration;

const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How late a gateway hears of what a command has made.
const LOOK_EVERY: Duration = Duration::from_secs(5);
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

/// Sends the newest version if it has not left yet.
async fn send(core: &Core, outbox: &Outbox, key: (&str, &str)) -> Result<(), StoreError> {
    let mut tx = core.db.tenant(key.0).await?;
    let newest = gateway_config::versions(&mut tx, key).await?.into_iter().next();
    let (Some(row), Ok(tenant), Ok(gateway)) =
        (newest, TenantId::new(key.0), GatewayId::new(key.1))
    else {
        return Ok(());
    };
    if row.state != "waiting" && row.state != "sent" {
        return Ok(());
    }
    let what = (row.version, row.sha256.as_str());
    gateway_config::set_state(&mut tx, key, what, ("sent", ""), clock::now_us()).await?;
    tx.commit().await?;
    outbox.configuration(&tenant, &gateway, &of_row(&row, false));
    Ok(())
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
    /// A gateway says which configuration it uses. It may be wrong in every part of it.
    pub(super) async fn take_report(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        report: &ConfigurationReport,
    ) -> Result<(), StoreError> {
        let key = (self.tenant, gateway.as_str());
        let Ok(version) = i64::try_from(report.version) else { return Ok(()) };
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
        let row = VersionRow {
            version,
            document: report.document.clone(),
            sha256,
            made_at_us: self.now_us,
            made_by: "gateway".into(),
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

fn known(row: &VersionRow) -> Known {
    Known {
        version: row.version,
        is_failed: matches!(row.state.as_str(), "refused" | "reverted"),
        is_confirmed: row.state == "confirmed",
    }
}
