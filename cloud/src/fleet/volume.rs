//! How much each link sends: its readings by hour, what is usual by now (C2), and how far its
//! instrument's clock is off (I6).

use super::watch;
use crate::{
    Core,
    app::local_time,
    domain::{
        opening::Opening,
        quiet::{self, Hours},
    },
    store::{StoreError, Tx, fleet_watch},
};
use chiasm_proto::{Body, ClockState, Envelope};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

const HOUR_US: i64 = 3600 * 1_000_000;
/// What comes later than this is not counted: a gateway's backlog of a long weekend is.
const LATE_MAX_US: i64 = 96 * HOUR_US;
/// How far back counts are kept.
pub const KEPT_US: i64 = (quiet::WEEKS + 1) * 7 * 24 * HOUR_US;

/// Counts and compares every location of all tenants, each in a transaction of its own.
pub async fn count_once(core: &Core, now_us: i64) -> Result<(), StoreError> {
    let mut tx = core.db.all_tenants_read().await?;
    let openings = watch::openings(&mut tx).await?;
    let locations = fleet_watch::counted(&mut tx).await?;
    drop(tx);
    for (tenant, location, zone, counted_us) in locations {
        let key = (tenant.clone(), location.clone());
        let mut tx = core.db.tenant(&tenant).await?;
        let place = Place {
            tenant: &tenant,
            location: &location,
            zone: local_time::zone(&zone),
            opening: openings.get(&key).cloned().unwrap_or_default(),
            now_us,
        };
        place.count(&mut tx, counted_us).await?;
        tx.commit().await?;
    }
    Ok(())
}

struct Place<'a> {
    tenant: &'a str,
    location: &'a str,
    zone: TimeZone,
    opening: Opening,
    now_us: i64,
}

impl Place<'_> {
    async fn count(&self, tx: &mut Tx, counted_us: Option<i64>) -> Result<(), StoreError> {
        let (key, now_us) = ((self.tenant, self.location), self.now_us);
        let from_us = counted_us.map_or(i64::MIN, |at_us| at_us - LATE_MAX_US);
        let from_us = from_us.max(now_us - KEPT_US);
        let from_us = from_us - from_us.rem_euclid(HOUR_US);
        fleet_watch::count_hours(tx, key, (from_us, now_us)).await?;
        self.compare(tx).await?;
        let since_us = counted_us.unwrap_or(now_us - LATE_MAX_US).max(now_us - LATE_MAX_US);
        self.clocks(tx, since_us).await
    }

    /// Today against what is usual, for each link.
    async fn compare(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let (key, now_us) = ((self.tenant, self.location), self.now_us);
        let mut links: BTreeMap<(String, String), Hours> = BTreeMap::new();
        for (gateway, link, hour_us, readings) in
            fleet_watch::hours_counted(tx, key, now_us - KEPT_US).await?
        {
            let at = local_time::local(hour_us, &self.zone);
            let hours = links.entry((gateway, link)).or_default();
            *hours.entry(at).or_default() += u64::try_from(readings).unwrap_or(0);
        }
        let now = local_time::local(now_us, &self.zone);
        for ((gateway, link), hours) in links {
            let day = quiet::look(&hours, &self.opening, now);
            let number = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
            let counts = (number(day.today), day.usual.map(number));
            let quiet_since_us = day.is_quiet.then_some(now_us);
            let key = (self.tenant, gateway.as_str(), link.as_str());
            fleet_watch::put_day(tx, key, counts, quiet_since_us).await?;
        }
        Ok(())
    }

    /// The newest clock that each link's instrument has sent, against a gateway's that is right.
    async fn clocks(&self, tx: &mut Tx, since_us: i64) -> Result<(), StoreError> {
        let mut newest: BTreeMap<(String, String), (i64, i64)> = BTreeMap::new();
        let key = (self.tenant, self.location);
        for (gateway, link, at_us, body) in fleet_watch::recent_bodies(tx, key, since_us).await? {
            if let Some(offset_us) = offset_us(&body, at_us, &self.zone) {
                newest.insert((gateway, link), (offset_us, at_us));
            }
        }
        for ((gateway, link), clock) in newest {
            let key = (self.tenant, gateway.as_str(), link.as_str());
            fleet_watch::put_clock(tx, key, clock).await?;
        }
        Ok(())
    }
}

/// The instrument's wall clock less the location's, where both are known.
fn offset_us(body: &str, at_us: i64, zone: &TimeZone) -> Option<i64> {
    let envelope: Envelope = serde_json::from_str(body).ok()?;
    let Body::Reading(reading) = envelope.body else { return None };
    let sent = reading.decoded.instrument_time?.local?;
    if reading.clock != ClockState::Synced {
        return None;
    }
    let offset = sent.duration_since(local_time::local(at_us, zone));
    i64::try_from(offset.as_micros()).ok()
}
