//! An encounter with its patient, as tiles and headers show it.

use crate::{app::local_time, http::show, store::encounter::Encounter};
use jiff::tz::TimeZone;

#[derive(Debug, Clone)]
pub struct Visit {
    pub encounter_id: String,
    /// `Family, Given`.
    pub name: String,
    pub birth_date: String,
    pub birth_year: String,
    /// `65`; empty when the birth date makes no sense.
    pub age: String,
    pub chart_number: String,
    /// The identifier that we issued for the visit.
    pub accession: String,
    /// `10:30` at the clinic.
    pub time: String,
    pub date: String,
    pub reason: String,
    pub pending: i64,
    pub filed: i64,
}

impl Visit {
    pub fn new(it: &Encounter, zone: &TimeZone) -> Self {
        let on = local_time::date(it.scheduled_at_us, zone);
        let age = show::age(&it.birth_date, on).map(|age| age.to_string());
        Self {
            encounter_id: it.encounter_id.clone(),
            name: format!("{}, {}", it.family_name, it.given_name),
            birth_date: show::date(&it.birth_date),
            birth_year: it.birth_date.chars().take(4).collect(),
            age: age.unwrap_or_default(),
            chart_number: it.chart_number.clone(),
            accession: it.accession.clone().unwrap_or_default(),
            time: show::hours_and_minutes(it.scheduled_at_us, zone),
            date: show::date(&it.visit_date),
            reason: it.reason.clone(),
            pending: it.pending,
            filed: it.filed,
        }
    }
    /// What a search looks in.
    pub fn haystack(&self) -> String {
        format!("{} {} {}", self.name, self.chart_number, self.birth_year).to_lowercase()
    }
}
