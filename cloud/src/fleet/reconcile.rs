//! The proof that nothing is lost (C5): for every epoch of every gateway, each number up to the
//! highest is filed, rejected or missing, and what is missing still lies in the gateway's spool.
//! The one calculation behind the fleet page, the API and `admin reconcile`. The command counts every
//! document anew; page and API take the beginning of each epoch as a job has counted it, and count
//! what came since.

use crate::store::{Db, StoreError, Tx, fleet, reconcile as store};
use chiasm_proto::fleet::SpoolState;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One epoch of one gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = EpochNumbers)]
pub struct Account {
    pub tenant: String,
    pub gateway: String,
    pub epoch: String,
    /// Highest number that has arrived, and the number up to which all have.
    pub highest: u64,
    pub upto: u64,
    /// Documents by kind.
    pub documents: BTreeMap<String, u64>,
    /// Readings by place; what a person rejected counts where it stands.
    pub readings: BTreeMap<String, u64>,
    /// Numbers that were refused, and under which nothing is filed.
    pub rejected: u64,
    /// Other contents of filed numbers, kept and never filed: each is an alarm.
    pub differing: u64,
    /// Documents that were kept although they had no number.
    pub unnumbered: u64,
    /// Numbers below the highest that have not arrived, and the first and last of each gap.
    pub missing: u64,
    pub gaps: Vec<(u64, u64)>,
    /// What the gateway last told of this epoch.
    #[schema(value_type = Option<Object>)]
    pub spool: Option<SpoolState>,
    /// Numbers that the gateway had given out then, that have not arrived, and that it did not hold
    /// any more. Anything but 0 is a loss.
    pub lost: u64,
    /// Whether the equations hold: highest = documents + rejected + missing, the readings' places
    /// add up to the reading documents, and nothing is lost.
    pub balanced: bool,
}

/// One gateway: all its epochs, oldest first, and their sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GatewayNumbers)]
pub struct Numbers {
    pub gateway_id: String,
    /// Highest number of the newest epoch that the gateway said it had given out.
    pub sent_upto: Option<u64>,
    /// Every number of the newest epoch up to here is filed or rejected.
    pub received_upto: u64,
    /// Documents that the gateway said it still holds.
    pub in_spool: Option<u64>,
    pub documents: u64,
    pub in_exams: u64,
    pub in_trays: u64,
    pub in_inbox: u64,
    pub held: u64,
    pub duplicates: u64,
    /// Documents that were refused and kept, whatever the reason.
    pub rejected_documents: u64,
    pub gaps: u64,
    pub lost: u64,
    pub balanced: bool,
    pub epochs: Vec<Account>,
}

/// The numbers of every gateway of a tenant, by its id.
pub async fn numbers(tx: &mut Tx, tenant: &str) -> Result<BTreeMap<String, Numbers>, StoreError> {
    let mut numbers: BTreeMap<String, Numbers> = BTreeMap::new();
    for account in accounts_since_count(tx, tenant).await? {
        let of = numbers.entry(account.gateway.clone()).or_insert_with(|| Numbers {
            gateway_id: account.gateway.clone(),
            balanced: true,
            ..Numbers::default()
        });
        of.add(account);
    }
    Ok(numbers)
}

impl Numbers {
    /// Whether somebody should look: something is missing, or the equations do not hold.
    pub fn needs_a_look(&self) -> bool {
        self.gaps > 0 || !(self.balanced || self.epochs.is_empty())
    }

    fn add(&mut self, account: Account) {
        let of = |place: &str| account.readings.get(place).copied().unwrap_or(0);
        self.in_exams += of("exam");
        self.in_trays += of("tray");
        self.in_inbox += of("inbox");
        self.held += of("held");
        self.duplicates += of("duplicate");
        self.documents += account.documents.values().sum::<u64>();
        self.rejected_documents += account.rejected + account.differing + account.unnumbered;
        self.gaps += account.missing;
        self.lost += account.lost;
        self.balanced &= account.balanced;
        // Epochs are ordered by time; but the one that the gateway speaks of is the newest.
        if self.sent_upto.is_none() || account.spool.is_some() {
            self.received_upto = account.upto;
        }
        if let Some(spool) = &account.spool {
            self.sent_upto = Some(spool.last_seq);
            self.in_spool = Some(spool.depth);
        }
        self.epochs.push(account);
    }
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// Every epoch of every gateway of a tenant, by gateway and age; every document is counted.
pub async fn accounts(tx: &mut Tx, tenant: &str) -> Result<Vec<Account>, StoreError> {
    let mut accounts = Accounts { tenant, accounts: BTreeMap::new() };
    for epoch in store::epochs(tx, tenant).await? {
        accounts.progress(&epoch);
    }
    for (gateway, epoch, kind, n) in store::documents(tx, tenant).await? {
        accounts.of(gateway, epoch).documents.insert(kind, count(n));
    }
    for (gateway, epoch, place, n) in store::readings(tx, tenant).await? {
        accounts.of(gateway, epoch).readings.insert(place, count(n));
    }
    finish(tx, accounts).await
}

/// The same, trusting what a job has counted: costs what came since, not what there is.
async fn accounts_since_count(tx: &mut Tx, tenant: &str) -> Result<Vec<Account>, StoreError> {
    let mut accounts = Accounts { tenant, accounts: BTreeMap::new() };
    let mut in_exams: BTreeMap<(String, String), i64> = BTreeMap::new();
    for epoch in store::epochs(tx, tenant).await? {
        let key = (epoch.gateway_id.as_str(), epoch.epoch.as_str());
        let mut counted = store::count(tx, tenant, key, (epoch.counted_upto, i64::MAX)).await?;
        counted.add(epoch.counted.clone());
        let account = accounts.progress(&epoch);
        for (kind, n) in counted.documents {
            account.documents.insert(kind, count(n));
        }
        if counted.second_prints > 0 {
            account.readings.insert("duplicate".into(), count(counted.second_prints));
        }
        let others = counted.readings - counted.second_prints;
        in_exams.insert((epoch.gateway_id, epoch.epoch), others);
    }
    for (gateway, epoch, place, n) in store::not_in_exam(tx, tenant).await? {
        if let Some(others) = in_exams.get_mut(&(gateway.clone(), epoch.clone())) {
            *others -= n;
            accounts.of(gateway, epoch).readings.insert(place, count(n));
        }
    }
    for ((gateway, epoch), n) in in_exams.into_iter().filter(|(_, n)| *n > 0) {
        accounts.of(gateway, epoch).readings.insert("exam".into(), count(n));
    }
    finish(tx, accounts).await
}

/// Documents that are counted in one transaction.
const COUNTED_AT_ONCE_MAX: i64 = 20_000;

/// Counts the beginning of every epoch that is not counted yet, as far as it has no gaps: what is
/// filed there never changes. The job's part of the fleet page.
pub async fn count_once(db: &Db, tenant: &str) -> Result<(), StoreError> {
    let mut tx = db.tenant_read(tenant).await?;
    let epochs = store::epochs(&mut tx, tenant).await?;
    drop(tx);
    for mut epoch in epochs {
        let complete = i64::try_from(epoch.progress.upto()).unwrap_or(i64::MAX);
        while epoch.counted_upto < complete {
            let upto = complete.min(epoch.counted_upto + COUNTED_AT_ONCE_MAX);
            let mut tx = db.tenant_read(tenant).await?;
            let key = (epoch.gateway_id.as_str(), epoch.epoch.as_str());
            let more = store::count(&mut tx, tenant, key, (epoch.counted_upto, upto)).await?;
            drop(tx);
            let mut counted = epoch.counted.clone();
            counted.add(more);
            let mut tx = db.tenant(tenant).await?;
            if !store::keep_count(&mut tx, tenant, &epoch, (upto, &counted)).await? {
                break;
            }
            tx.commit().await?;
            (epoch.counted_upto, epoch.counted) = (upto, counted);
        }
    }
    Ok(())
}

/// What was refused, and what gateways tell.
async fn finish(tx: &mut Tx, mut accounts: Accounts<'_>) -> Result<Vec<Account>, StoreError> {
    let tenant = accounts.tenant;
    for rejected in store::rejected(tx, tenant).await? {
        let account = accounts.of(rejected.gateway_id, rejected.epoch);
        account.rejected = count(rejected.numbers);
        account.differing = count(rejected.differing);
        account.unnumbered = count(rejected.unnumbered);
    }
    for gateway in fleet::gateways(tx, tenant).await? {
        if let Some(told) = super::telemetry(gateway.telemetry.as_deref()) {
            let account = accounts.of(gateway.gateway_id, told.spool.epoch.to_string());
            account.spool = Some(told.spool);
        }
    }
    Ok(accounts.accounts.into_values().map(balance).collect())
}

/// By gateway and epoch; epochs are named by the time at which they began.
struct Accounts<'t> {
    tenant: &'t str,
    accounts: BTreeMap<(String, String), Account>,
}

impl Accounts<'_> {
    fn progress(&mut self, epoch: &store::Epoch) -> &mut Account {
        let account = self.of(epoch.gateway_id.clone(), epoch.epoch.clone());
        account.highest = epoch.progress.highest();
        account.upto = epoch.progress.upto();
        account.missing = epoch.progress.missing_count();
        account.gaps = epoch.progress.gaps().to_vec();
        account
    }
    fn of(&mut self, gateway: String, epoch: String) -> &mut Account {
        let tenant = self.tenant;
        self.accounts.entry((gateway, epoch)).or_insert_with_key(|(gateway, epoch)| Account {
            tenant: tenant.to_owned(),
            gateway: gateway.clone(),
            epoch: epoch.clone(),
            ..Account::default()
        })
    }
}

fn balance(mut account: Account) -> Account {
    let documents: u64 = account.documents.values().sum();
    let readings: u64 = account.readings.values().sum();
    account.lost = account.spool.as_ref().map_or(0, |spool| lost(&account, spool));
    account.balanced = account.highest == documents + account.rejected + account.missing
        && account.documents.get("reading").copied().unwrap_or(0) == readings
        && account.lost == 0;
    account
}

/// The gateway counted its spool before we counted ours: what has not arrived now had not arrived
/// then, was not acknowledged, and must have been among what it held.
fn lost(account: &Account, spool: &SpoolState) -> u64 {
    let told = spool.last_seq;
    let in_gaps: u64 = account
        .gaps
        .iter()
        .filter(|(first, _)| *first <= told)
        .map(|(first, last)| last.min(&told) - first + 1)
        .sum();
    (in_gaps + told.saturating_sub(account.highest)).saturating_sub(spool.depth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_neither_side_holds_is_lost() {
        let spool = |last_seq, depth| SpoolState {
            epoch: chiasm_proto::Epoch(uuid::Uuid::nil()),
            last_seq,
            depth,
            oldest_at: None,
            quarantined: 0,
        };
        let gaps = vec![(3, 4), (9, 12)];
        let account = Account { highest: 20, gaps, ..Account::default() };
        assert_eq!(lost(&account, &spool(20, 6)), 0);
        assert_eq!(lost(&account, &spool(25, 11)), 0, "five more are on their way");
        assert_eq!(lost(&account, &spool(25, 10)), 1);
        assert_eq!(lost(&account, &spool(10, 4)), 0, "told before the later ones were sent");
        assert_eq!(lost(&account, &spool(10, 0)), 4);
        assert_eq!(lost(&Account::default(), &spool(7, 7)), 0, "nothing has arrived yet");
    }
}
