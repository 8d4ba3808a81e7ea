//! Where a reading goes, with what the record knows about the identity inside it.

use super::local_time;
use crate::{
    domain::placement::{self, Facts, Known, Place, Placement},
    store::{
        StoreError, Tx, identity, lane_act,
        lane_open::{self, Lane},
    },
};

/// Asks the record what it needs, and the rule.
pub async fn place(
    tx: &mut Tx,
    tenant: &str,
    mut facts: Facts<'_>,
    lane: &Lane,
) -> Result<Placement, StoreError> {
    let placed = placement::place(facts, &lane.sessions);
    if placed.place == Place::Exam {
        return Ok(placed);
    }
    let refused = match facts.stamped.filter(|id| !lane.has(id)) {
        Some(unknown) => lane_act::refusal(tx, tenant, unknown).await?,
        None => None,
    };
    // Most files name the chart of the open session; only for others the record is asked.
    let Some(claimed) = placement::claimed_id(facts.claimed) else {
        facts.known = Known { refused: refused.as_deref(), ..Known::default() };
        return Ok(placement::place(facts, &lane.sessions));
    };
    let zone = lane_open::time_zone(tx, tenant, &lane.location_id).await?;
    let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
    let date = local_time::date(facts.captured_at_us, &zone).to_string();
    let visit = (lane.location_id.as_str(), date.as_str());
    let identity = identity::of(tx, tenant, visit, claimed).await?;
    facts.known = Known { refused: refused.as_deref(), ..identity.known() };
    Ok(placement::place(facts, &lane.sessions))
}
