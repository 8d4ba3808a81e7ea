//! `admin restored`: what has to be done once to a database that came from a backup.

use crate::{
    clock,
    store::{Db, aging, live},
};
use jiff::Timestamp;

/// Ends the lane sessions that stand open in the database, of all practices.
pub async fn run(db: &Db, backup_from: Timestamp) -> anyhow::Result<()> {
    let (at_us, now_us) = (backup_from.as_microsecond(), clock::now_us());
    anyhow::ensure!(
        at_us <= now_us,
        "{backup_from} is in the future: say when the backup was made"
    );
    let mut tx = db.all_tenants_read().await?;
    let tenants = live::heads(&mut tx).await?;
    drop(tx);
    let mut ended = 0;
    for (tenant, _) in tenants {
        let mut tx = db.tenant(&tenant).await?;
        let events = aging::end_all_sessions(&mut tx, &tenant, at_us, now_us).await?;
        live::append(&mut tx, &tenant, &events).await?;
        tx.commit().await?;
        ended += events.len();
    }
    println!("{ended} lane sessions ended as of {backup_from}; people choose their patients anew");
    Ok(())
}
