//! Asking the audit (C11), and taking it out as a file. Both are entries themselves.

use super::{
    AppError, about, csv, local_time, look,
    principal::{Principal, Role},
    work::Work,
};
use crate::{
    Core,
    store::{
        Db, StoreError,
        audit::About,
        audit_list::{self, Filter, Listed, Position},
        patient,
    },
};
use futures_util::{Stream, stream};
use jiff::{Timestamp, civil, tz::TimeZone};

/// Entries on one page.
pub const ENTRIES_MAX: i64 = 100;
/// Entries that an export reads at once.
const CHUNK_MAX: i64 = 1_000;

/// What may be asked for in "looked or changed".
pub const LOOKED: &str = "looked";
pub const CHANGED: &str = "changed";

/// Those who may ask: the audit shows patients' data, so whoever sees no patients may not.
pub const ROLES: &[Role] = &[Role::Doctor];

/// Entries, and where the next page begins.
#[derive(Debug)]
pub struct Page {
    pub entries: Vec<Listed>,
    pub older: Option<Position>,
}

/// The moments between which clinic-local days lie, both included; an empty text has no end.
pub fn days(from: &str, until: &str, zone: &TimeZone) -> Result<(i64, i64), AppError> {
    let begin = |field: &'static str, text: &str, plus: i64| -> Result<i64, AppError> {
        let wrong = || AppError::Field(field, "give days as year-month-day".into());
        let day: civil::Date = text.trim().parse().map_err(|_| wrong())?;
        let day = day.checked_add(jiff::Span::new().days(plus)).map_err(|_| wrong())?;
        let at = zone.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| wrong())?;
        Ok(at.as_microsecond())
    };
    let from_us = if from.is_empty() { i64::MIN } else { begin("from", from, 0)? };
    let until_us = if until.is_empty() { i64::MAX } else { begin("until", until, 1)? };
    Ok((from_us, until_us))
}

/// A kind that there is, or none.
pub fn check_kind(kind: &str) -> Result<(), AppError> {
    match kind.is_empty() || about::all_kinds().any(|it| it == kind) {
        true => Ok(()),
        false => Err(AppError::Field("kind", "there is no such kind of values".into())),
    }
}

/// "looked", "changed", or both.
pub fn only(word: &str) -> Result<Option<bool>, AppError> {
    match word {
        "" => Ok(None),
        LOOKED => Ok(Some(true)),
        CHANGED => Ok(Some(false)),
        _ => Err(AppError::Field("only", "say looked or changed".into())),
    }
}

/// One page. That somebody asked is an entry, about the patient if one was asked for.
pub async fn page(
    db: &Db,
    who: &Principal,
    filter: &Filter,
    before: Option<&Position>,
    now_us: i64,
) -> Result<Page, AppError> {
    let mut tx = db.tenant_read(&who.tenant).await?;
    let filter = &of_survivor(&mut tx, who, filter).await?;
    let mut entries =
        audit_list::page(&mut tx, &who.tenant, filter, before, ENTRIES_MAX + 1).await?;
    drop(tx);
    let has_older = entries.len() as i64 > ENTRIES_MAX;
    entries.truncate(ENTRIES_MAX as usize);
    let (subject, about) = of_filter(who, filter);
    look::look_at(db, who, ("audit_seen", &subject), about, now_us).await?;
    let older = entries.last().filter(|_| has_older).map(Position::of);
    Ok(Page { entries, older })
}

async fn of_survivor(
    tx: &mut crate::store::Tx,
    who: &Principal,
    filter: &Filter,
) -> Result<Filter, AppError> {
    if filter.patient.is_empty() {
        return Ok(filter.clone());
    }
    let found = patient::by_id(tx, &who.tenant, &filter.patient).await?;
    let found = found.ok_or(AppError::NotFound("patient"))?;
    Ok(Filter { patient: found.merged_into.unwrap_or(found.patient_id), ..filter.clone() })
}

fn of_filter(who: &Principal, filter: &Filter) -> (String, About) {
    let about = match filter.patient.as_str() {
        "" => About::default(),
        patient => About::patient(patient),
    };
    let kinds = Some(filter.kind.clone()).filter(|kind| !kind.is_empty());
    let subject = if filter.patient.is_empty() { &who.tenant } else { &filter.patient };
    (subject.clone(), about.kinds(kinds))
}

/// Notes the export, and gives its lines as they are read. What is written meanwhile is not in it.
pub async fn export(
    core: &Core,
    who: &Principal,
    filter: &Filter,
    (zone, now_us): (&TimeZone, i64),
) -> Result<impl Stream<Item = Result<String, StoreError>> + use<>, AppError> {
    let mut work = Work::begin(core, who, now_us).await?;
    let filter = of_survivor(&mut work.tx, who, filter).await?;
    let filter = Filter { until_us: filter.until_us.min(now_us), ..filter };
    let (subject, about) = of_filter(who, &filter);
    work.audit_about(("audit_exported", &subject), about).await?;
    work.commit().await?;
    let (db, tenant, zone) = (core.db.clone(), who.tenant.clone(), zone.clone());
    let head = stream::once(std::future::ready(Ok(csv::line(&COLUMNS))));
    let lines = stream::try_unfold(Some(None), move |next: Option<Option<Position>>| {
        let (db, tenant, filter, zone) = (db.clone(), tenant.clone(), filter.clone(), zone.clone());
        async move {
            let Some(before) = next else { return Ok(None) };
            let mut tx = db.tenant_read(&tenant).await?;
            let entries =
                audit_list::page(&mut tx, &tenant, &filter, before.as_ref(), CHUNK_MAX).await?;
            drop(tx);
            let next = entries.last().filter(|_| entries.len() as i64 == CHUNK_MAX);
            let next = next.map(|last| Some(Position::of(last)));
            let lines = entries.iter().map(|entry| line(entry, &zone)).collect::<String>();
            Ok(Some((lines, next)))
        }
    });
    Ok(futures_util::StreamExt::chain(head, lines))
}

const COLUMNS: [&str; 19] = [
    "number",
    "at",
    "person",
    "role",
    "looked_or_changed",
    "action",
    "chart_number",
    "family_name",
    "given_name",
    "kinds",
    "before",
    "after",
    "why",
    "address",
    "encounter_id",
    "reading_id",
    "subject",
    "account_id",
    "sha256",
];

fn line(it: &Listed, zone: &TimeZone) -> String {
    let at = Timestamp::from_microsecond(it.at_us).unwrap_or(Timestamp::UNIX_EPOCH);
    let at = at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string();
    let number = if it.seq == 0 { String::new() } else { it.seq.to_string() };
    let text = |it: &Option<String>| it.clone().unwrap_or_default();
    csv::line(&[
        &number,
        &at,
        it.account_name.as_deref().unwrap_or(&it.account_id),
        &it.role,
        if it.is_look { LOOKED } else { CHANGED },
        &it.action,
        &text(&it.chart_number),
        &text(&it.family_name),
        &text(&it.given_name),
        &it.kinds,
        &it.value_before,
        &it.value_after,
        &it.why,
        &it.address,
        &text(&it.encounter_id),
        &text(&it.reading_id),
        &it.subject,
        &it.account_id,
        &it.sha256,
    ])
}

/// The clinic's day of a moment, for a form.
pub fn day_of(at_us: i64, zone: &TimeZone) -> String {
    local_time::date(at_us, zone).to_string()
}

impl Position {
    pub fn of(entry: &Listed) -> Self {
        Self { at_us: entry.at_us, audit_entry_id: entry.audit_entry_id.clone() }
    }
    /// As it stands in a URL.
    pub fn to_text(&self) -> String {
        format!("{}.{}", self.at_us, self.audit_entry_id)
    }
    pub fn from_text(text: &str) -> Option<Self> {
        let (at_us, id) = text.split_once('.')?;
        Some(Self { at_us: at_us.parse().ok()?, audit_entry_id: id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_clinics_day() {
        let zone = local_time::zone("America/New_York");
        let hour_us = 3_600_000_000;
        let (from, until) = days("2026-05-03", "2026-05-03", &zone).unwrap();
        assert_eq!(until - from, 24 * hour_us);
        let start: Timestamp = "2026-05-03T04:00:00Z".parse().unwrap();
        assert_eq!(from, start.as_microsecond());
        let (from, until) = days("2026-03-08", "2026-03-08", &zone).unwrap();
        assert_eq!(until - from, 23 * hour_us, "the day on which clocks go forward");
        assert_eq!(days("", "", &zone).unwrap(), (i64::MIN, i64::MAX));
        for wrong in ["3 May", "2026-02-30", "9999-12-31"] {
            assert!(days("", wrong, &zone).is_err(), "{wrong}");
        }
    }
}
