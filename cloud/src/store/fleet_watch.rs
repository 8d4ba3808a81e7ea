//! What the watch over the fleet looks at: gateways of all tenants, opening hours, and the readings
//! of each link by hour.

use super::{StoreError, Tx};
use crate::args;

/// Readings whose instrument's clock is looked at in one count of a location.
const CLOCKS_MAX: i64 = 500;

crate::row! {
    pub struct GatewayRow {
        pub tenant_id: String,
        pub gateway_id: String,
        pub location_id: String,
        pub time_zone: String,
        pub status: String,
        pub status_at_us: Option<i64>,
        pub telemetry: Option<String>,
        pub telemetry_at_us: Option<i64>,
        pub certificate_expires_at_us: Option<i64>,
    }
}

/// Gateways of all tenants that have ever connected and are not shut out.
pub async fn gateways(tx: &mut Tx) -> Result<Vec<GatewayRow>, StoreError> {
    let sql = "SELECT g.tenant_id, g.gateway_id, g.location_id,
            COALESCE(l.time_zone, 'UTC') AS time_zone, g.status, g.status_at_us, g.telemetry,
            g.telemetry_at_us, g.certificate_expires_at_us
        FROM gateway g LEFT JOIN location l
            ON l.tenant_id = g.tenant_id AND l.location_id = g.location_id
        WHERE g.revoked_at_us IS NULL AND g.status <> 'never_seen'
        ORDER BY g.tenant_id, g.gateway_id";
    tx.fetch_all(sql, args![]).await
}

/// Practice, location, weekday, and the minutes from and to which it is open; of all tenants.
pub async fn hours(tx: &mut Tx) -> Result<Vec<(String, String, i64, i64, i64)>, StoreError> {
    let sql = "SELECT tenant_id, location_id, weekday, opens_minute, closes_minute
        FROM opening_hours ORDER BY tenant_id, location_id, weekday";
    tx.fetch_all(sql, args![]).await
}

/// Practice, location, day and name of all holidays; of all tenants.
pub async fn holidays(tx: &mut Tx) -> Result<Vec<(String, String, String, String)>, StoreError> {
    let sql = "SELECT tenant_id, location_id, day, name FROM holiday
        ORDER BY tenant_id, location_id, day";
    tx.fetch_all(sql, args![]).await
}

/// The same of one location: weekday and minutes.
pub async fn hours_of(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
) -> Result<Vec<(i64, i64, i64)>, StoreError> {
    let sql = "SELECT weekday, opens_minute, closes_minute FROM opening_hours
        WHERE tenant_id = $1 AND location_id = $2 ORDER BY weekday";
    tx.fetch_all(sql, args![tenant, location]).await
}

/// Day and name of a location's holidays.
pub async fn holidays_of(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT day, name FROM holiday WHERE tenant_id = $1 AND location_id = $2
        ORDER BY day";
    tx.fetch_all(sql, args![tenant, location]).await
}

/// Sets the hours of a weekday; `None` is closed.
pub async fn put_hours(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    weekday: i64,
    hours: Option<(i64, i64)>,
) -> Result<(), StoreError> {
    let Some((opens, closes)) = hours else {
        let sql = "DELETE FROM opening_hours
            WHERE tenant_id = $1 AND location_id = $2 AND weekday = $3";
        tx.execute(sql, args![tenant, location, weekday]).await?;
        return Ok(());
    };
    let sql = "INSERT INTO opening_hours (tenant_id, location_id, weekday, opens_minute,
            closes_minute) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (tenant_id, location_id, weekday) DO UPDATE
        SET opens_minute = excluded.opens_minute, closes_minute = excluded.closes_minute";
    tx.execute(sql, args![tenant, location, weekday, opens, closes]).await?;
    Ok(())
}

pub async fn put_holiday(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    (day, name): (&str, &str),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO holiday (tenant_id, location_id, day, name) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, location_id, day) DO UPDATE SET name = excluded.name";
    tx.execute(sql, args![tenant, location, day, name]).await?;
    Ok(())
}

/// Gives whether there was one.
pub async fn remove_holiday(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    day: &str,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM holiday WHERE tenant_id = $1 AND location_id = $2 AND day = $3";
    Ok(tx.execute(sql, args![tenant, location, day]).await? == 1)
}

/// Practice, location, zone of every location, and up to when its hours were counted.
pub async fn counted(
    tx: &mut Tx,
) -> Result<Vec<(String, String, String, Option<i64>)>, StoreError> {
    let sql = "SELECT l.tenant_id, l.location_id, l.time_zone, c.counted_at_us
        FROM location l LEFT JOIN link_hour_counted c
            ON c.tenant_id = l.tenant_id AND c.location_id = l.location_id
        ORDER BY l.tenant_id, l.location_id";
    tx.fetch_all(sql, args![]).await
}

/// Counts the hours of a location from the beginning of one on, and notes that. What a person typed
/// was sent by no link.
pub async fn count_hours(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    (from_us, now_us): (i64, i64),
) -> Result<(), StoreError> {
    let sql = "INSERT INTO link_hour (tenant_id, location_id, gateway_id, link_id, hour_us,
            readings)
        SELECT tenant_id, location_id, gateway_id, link_id,
            captured_at_us / 3600000000 * 3600000000, COUNT(*)
        FROM reading WHERE tenant_id = $1 AND location_id = $2 AND captured_at_us >= $3
            AND captured_at_us <= $4 AND is_manual = $5
        GROUP BY tenant_id, location_id, gateway_id, link_id,
            captured_at_us / 3600000000 * 3600000000
        ON CONFLICT (tenant_id, location_id, gateway_id, link_id, hour_us)
        DO UPDATE SET readings = excluded.readings";
    tx.execute(sql, args![tenant, location, from_us, now_us, false]).await?;
    let sql = "INSERT INTO link_hour_counted (tenant_id, location_id, counted_at_us)
        VALUES ($1, $2, $3) ON CONFLICT (tenant_id, location_id)
        DO UPDATE SET counted_at_us = excluded.counted_at_us";
    tx.execute(sql, args![tenant, location, now_us]).await?;
    Ok(())
}

/// Gateway, link, hour and readings of a location since a moment.
pub async fn hours_counted(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    since_us: i64,
) -> Result<Vec<(String, String, i64, i64)>, StoreError> {
    let sql = "SELECT gateway_id, link_id, hour_us, readings FROM link_hour
        WHERE tenant_id = $1 AND location_id = $2 AND hour_us >= $3
        ORDER BY gateway_id, link_id, hour_us";
    tx.fetch_all(sql, args![tenant, location, since_us]).await
}

/// Gateway, link, moment and document of what came of a location's links since, oldest first.
pub async fn recent_bodies(
    tx: &mut Tx,
    (tenant, location): (&str, &str),
    since_us: i64,
) -> Result<Vec<(String, String, i64, String)>, StoreError> {
    let sql = "SELECT r.gateway_id, r.link_id, r.captured_at_us, d.body
        FROM reading r JOIN document d ON d.tenant_id = r.tenant_id
            AND d.gateway_id = r.gateway_id AND d.epoch = r.epoch AND d.seq = r.seq
        WHERE r.tenant_id = $1 AND r.location_id = $2 AND r.captured_at_us >= $3
            AND r.is_manual = $4
        ORDER BY r.captured_at_us DESC, r.reading_id LIMIT $5";
    let args = args![tenant, location, since_us, false, CLOCKS_MAX];
    let mut rows: Vec<(String, String, i64, String)> = tx.fetch_all(sql, args).await?;
    rows.reverse();
    Ok(rows)
}

/// What an instrument's clock showed; a reading that comes late changes nothing.
pub async fn put_clock(
    tx: &mut Tx,
    (tenant, gateway, link): (&str, &str, &str),
    (offset_us, at_us): (i64, i64),
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO link_watch (tenant_id, gateway_id, link_id, clock_offset_us, clock_at_us)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant_id, gateway_id, link_id)
        DO UPDATE SET clock_offset_us = $4, clock_at_us = $5
            WHERE link_watch.clock_at_us IS NULL OR link_watch.clock_at_us <= $5";
    tx.execute(sql, args![tenant, gateway, link, offset_us, at_us]).await?;
    Ok(())
}

/// A link's day so far. Once quiet, it is quiet until it sends.
pub async fn put_day(
    tx: &mut Tx,
    (tenant, gateway, link): (&str, &str, &str),
    (today, usual): (i64, Option<i64>),
    quiet_since_us: Option<i64>,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO link_watch (tenant_id, gateway_id, link_id, today, usual, quiet_since_us)
        VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, gateway_id, link_id)
        DO UPDATE SET today = $4, usual = $5, quiet_since_us = CASE WHEN $4 > 0 THEN NULL
            ELSE COALESCE(link_watch.quiet_since_us, $6) END";
    tx.execute(sql, args![tenant, gateway, link, today, usual, quiet_since_us]).await?;
    Ok(())
}

crate::row! {
    pub struct LinkWatch {
        pub tenant_id: String,
        pub gateway_id: String,
        pub link_id: String,
        pub clock_offset_us: Option<i64>,
        pub clock_at_us: Option<i64>,
        pub today: i64,
        pub usual: Option<i64>,
        pub quiet_since_us: Option<i64>,
    }
}

/// Links of all tenants of which something is known.
pub async fn links(tx: &mut Tx) -> Result<Vec<LinkWatch>, StoreError> {
    let sql = "SELECT tenant_id, gateway_id, link_id, clock_offset_us, clock_at_us, today, usual,
            quiet_since_us FROM link_watch ORDER BY tenant_id, gateway_id, link_id";
    tx.fetch_all(sql, args![]).await
}

/// Those of one practice.
pub async fn links_of(tx: &mut Tx, tenant: &str) -> Result<Vec<LinkWatch>, StoreError> {
    let sql = "SELECT tenant_id, gateway_id, link_id, clock_offset_us, clock_at_us, today, usual,
            quiet_since_us FROM link_watch WHERE tenant_id = $1 ORDER BY gateway_id, link_id";
    tx.fetch_all(sql, args![tenant]).await
}

/// Forgets counted hours that nobody compares with any more, of all tenants.
pub async fn prune(tx: &mut Tx, before_us: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM link_hour WHERE hour_us < $1", args![before_us]).await?;
    Ok(())
}
