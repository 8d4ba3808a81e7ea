//! Who watches the fleet: somebody looks after an incident, and says when a location is open.

use super::{AppError, work::Work};
use crate::{
    domain::opening::{self, weekday_name},
    store::{audit::About, fleet, fleet_watch, incident},
};
use jiff::civil::Date;

/// Longest name of a holiday, in characters.
pub const NAME_LEN_MAX: usize = 60;
/// Holidays that a location may have, years of them.
pub const HOLIDAYS_MAX: usize = 400;

/// Somebody looks after an incident: the first who says so stands there.
pub async fn acknowledge(work: &mut Work, id: &str) -> Result<(), AppError> {
    let (tenant, account) = (work.who.tenant.clone(), work.who.account.clone());
    let key = (tenant.as_str(), id);
    let found = incident::acknowledge(&mut work.tx, key, &account, work.now_us).await?;
    let (gateway, is_new) = found.ok_or(AppError::NotFound("incident"))?;
    if !is_new {
        return Ok(());
    }
    let locations = fleet::gateway_locations(&mut work.tx, &tenant, &[&gateway]).await?;
    if let Some(location) = locations.get(&gateway) {
        work.tell_gateway(location, &gateway);
    }
    work.audit("incident_acknowledged", id).await
}

/// Sets the hours of the week: from and to for Monday to Sunday, empty where it is closed.
pub async fn set_hours(
    work: &mut Work,
    location: &str,
    week: [(&str, &str); 7],
) -> Result<(), AppError> {
    let tenant = known(work, location).await?;
    for (weekday, (opens, closes)) in (1..).zip(week) {
        let hours = match (opens.trim(), closes.trim()) {
            ("", "") => None,
            (opens, closes) => Some(opening::span(opens, closes).map_err(|error| {
                AppError::Refused(format!("{}: {error}", weekday_name(weekday)))
            })?),
        };
        fleet_watch::put_hours(&mut work.tx, (&tenant, location), weekday, hours).await?;
    }
    work.audit("opening_hours_set", location).await
}

/// Adds a day on which the location is closed, or renames it.
pub async fn add_holiday(
    work: &mut Work,
    location: &str,
    (day, name): (&str, &str),
) -> Result<(), AppError> {
    let tenant = known(work, location).await?;
    let wrong = |_| AppError::Refused(format!("`{day}` is not a date: use YYYY-MM-DD"));
    let day: Date = day.trim().parse().map_err(wrong)?;
    let name = name.trim();
    if name.chars().count() > NAME_LEN_MAX {
        let message = format!("a name has at most {NAME_LEN_MAX} characters");
        return Err(AppError::Refused(message));
    }
    let key = (tenant.as_str(), location);
    if fleet_watch::holidays_of(&mut work.tx, key).await?.len() >= HOLIDAYS_MAX {
        let message = format!("a location has at most {HOLIDAYS_MAX} holidays: remove old ones");
        return Err(AppError::Refused(message));
    }
    let day = day.to_string();
    fleet_watch::put_holiday(&mut work.tx, key, (&day, name)).await?;
    note(work, "holiday_added", location, ("", &day)).await
}

pub async fn remove_holiday(work: &mut Work, location: &str, day: &str) -> Result<(), AppError> {
    let tenant = known(work, location).await?;
    if !fleet_watch::remove_holiday(&mut work.tx, (&tenant, location), day).await? {
        return Err(AppError::NotFound("holiday"));
    }
    note(work, "holiday_removed", location, (day, "")).await
}

/// The practice, if the location is one of its own.
async fn known(work: &mut Work, location: &str) -> Result<String, AppError> {
    let tenant = work.who.tenant.clone();
    if !fleet::location_exists(&mut work.tx, &tenant, location).await? {
        return Err(AppError::NotFound("location"));
    }
    Ok(tenant)
}

async fn note(
    work: &mut Work,
    action: &str,
    location: &str,
    values: (&str, &str),
) -> Result<(), AppError> {
    work.audit_about((action, location), About::default().values(values)).await
}
