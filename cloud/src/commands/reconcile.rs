//! `admin reconcile`: the numbers that prove that nothing is lost.

use crate::{
    fleet::reconcile::{Account, accounts},
    store::{Db, live},
};
use anyhow::bail;
use std::fmt::Write;

/// Prints every account; an account that does not balance is an error.
pub async fn run(db: &Db, tenant: Option<String>, json: bool) -> anyhow::Result<()> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => {
            let mut tx = db.all_tenants_read().await?;
            live::heads(&mut tx).await?.into_iter().map(|(tenant, _)| tenant).collect()
        }
    };
    let mut all = Vec::new();
    for tenant in tenants {
        let mut tx = db.tenant_read(&tenant).await?;
        all.extend(accounts(&mut tx, &tenant).await?);
    }
    for account in &all {
        if json {
            println!("{}", serde_json::to_string(account)?);
        } else {
            println!("{}", line(account));
        }
    }
    match all.iter().filter(|account| !account.balanced).count() {
        0 => Ok(()),
        n => bail!("{n} accounts do not balance"),
    }
}

fn line(account: &Account) -> String {
    let mut line = format!(
        "{}/{} epoch {} highest {} rejected {} missing {}",
        account.tenant,
        account.gateway,
        account.epoch,
        account.highest,
        account.rejected,
        account.missing
    );
    for (what, n) in account.documents.iter().chain(&account.readings) {
        // Writing to a String cannot fail.
        let _ = write!(line, " {what} {n}");
    }
    if account.differing + account.unnumbered > 0 {
        let (differing, unnumbered) = (account.differing, account.unnumbered);
        let _ = write!(line, " differing {differing} unnumbered {unnumbered}");
    }
    if let Some(spool) = &account.spool {
        let _ = write!(line, " spool-last {} spool-depth {}", spool.last_seq, spool.depth);
        let _ = write!(line, " quarantined {} lost {}", spool.quarantined, account.lost);
    }
    line.push_str(if account.balanced { " balanced" } else { " DOES NOT BALANCE" });
    line
}
