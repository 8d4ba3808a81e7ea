//! Carries out what was done at gateways' pages, as soon as it is filed. What cannot be carried out
//! yet is tried again: a replica may have died between the two, or documents came out of order.

use crate::{Core, app::lane_acts, clock, pending::Pending, store::lane_act};
use std::{collections::BTreeSet, time::Duration};

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Serves what was filed, for ever.
pub async fn run(core: Core, filed: Pending<String>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        let tenants = tokio::select! {
            tenants = filed.take() => tenants,
            _ = tick.tick() => waiting(&core).await,
        };
        for tenant in tenants {
            if let Err(error) = lane_acts::carry_out(&core, &tenant, clock::now_us()).await {
                tracing::warn!(tenant, %error, "cannot carry out an act, will try again");
            }
        }
    }
}

async fn waiting(core: &Core) -> BTreeSet<String> {
    let found = async {
        let mut tx = core.db.all_tenants_read().await?;
        lane_act::tenants_with_waiting(&mut tx).await
    };
    match found.await {
        Ok(tenants) => tenants.into_iter().collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot look for acts of gateways' pages, will try again");
            BTreeSet::new()
        }
    }
}
