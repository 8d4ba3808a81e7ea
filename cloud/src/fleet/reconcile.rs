//! The proof that nothing is lost: for every epoch of every gateway, each number up to the highest
//! is filed, rejected or missing, and the gateway's own numbers stand beside them.

use crate::store::{StoreError, Tx, fleet, reconcile as store};
use chiasm_proto::fleet::{SpoolState, Telemetry};
use serde::Serialize;
use std::collections::BTreeMap;

/// One epoch of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    pub tenant: String,
    pub gateway: String,
    pub epoch: String,
    /// Highest number that has arrived.
    pub highest: u64,
    /// Documents by kind.
    pub documents: BTreeMap<String, u64>,
    /// Readings by place.
    pub readings: BTreeMap<String, u64>,
    pub rejected: u64,
    pub missing: u64,
    /// First and last number of each gap.
    pub gaps: Vec<(u64, u64)>,
    /// What the gateway last told of this epoch.
    pub spool: Option<SpoolState>,
    /// Whether the equations hold: highest = documents + rejected + missing, and the readings'
    /// places add up to the reading documents.
    pub balanced: bool,
}

pub async fn accounts(tx: &mut Tx, tenant: &str) -> Result<Vec<Account>, StoreError> {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let mut accounts: BTreeMap<(String, String), Account> = BTreeMap::new();
    for epoch in store::epochs(tx, tenant).await? {
        let account = Account {
            tenant: tenant.to_owned(),
            gateway: epoch.gateway_id.clone(),
            epoch: epoch.epoch.clone(),
            highest: epoch.progress.highest(),
            documents: BTreeMap::new(),
            readings: BTreeMap::new(),
            rejected: 0,
            missing: epoch.progress.missing_count(),
            gaps: epoch.progress.gaps().to_vec(),
            spool: None,
            balanced: false,
        };
        accounts.insert((epoch.gateway_id, epoch.epoch), account);
    }
    for (gateway, epoch, kind, n) in store::documents(tx, tenant).await? {
        if let Some(account) = accounts.get_mut(&(gateway, epoch)) {
            account.documents.insert(kind, count(n));
        }
    }
    for (gateway, epoch, place, n) in store::readings(tx, tenant).await? {
        if let Some(account) = accounts.get_mut(&(gateway, epoch)) {
            account.readings.insert(place, count(n));
        }
    }
    for (gateway, epoch, n) in store::rejected(tx, tenant).await? {
        if let Some(account) = accounts.get_mut(&(gateway, epoch)) {
            account.rejected = count(n);
        }
    }
    for gateway in fleet::gateways(tx, tenant).await? {
        let told = gateway.telemetry.as_deref().map(serde_json::from_str::<Telemetry>);
        if let Some(Ok(telemetry)) = told
            && let key = (gateway.gateway_id, telemetry.spool.epoch.to_string())
            && let Some(account) = accounts.get_mut(&key)
        {
            account.spool = Some(telemetry.spool);
        }
    }
    Ok(accounts.into_values().map(balance).collect())
}

fn balance(mut account: Account) -> Account {
    let documents: u64 = account.documents.values().sum();
    let readings: u64 = account.readings.values().sum();
    account.balanced = account.highest == documents + account.rejected + account.missing
        && account.documents.get("reading").copied().unwrap_or(0) == readings;
    account
}
