//! What the record knows about an instance, for the rule that places it.

use super::Arrived;
use crate::{
    app::{accession, local_time},
    domain::{
        image_placement::{Facts, Person, Visit},
        placement::{self, CLOCK_BEHIND_MAX_US, LaneSession},
    },
    imaging::Header,
    store::{StoreError, Tx, encounter, instance, lane_open, patient},
};
use jiff::tz::{Offset, TimeZone};

/// Everything that was looked up; [`Gathered::facts`] gives it to the rule.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub contradicts: Option<String>,
    contradicts_earlier: bool,
    patient_id: Option<String>,
    birth_date: Option<String>,
    by_study: Option<Visit>,
    by_accession: Option<Visit>,
    person: Option<Person>,
    that_day: Vec<String>,
    /// With its identifier.
    session: Option<(String, Visit)>,
    study_in: Option<String>,
}

impl Gathered {
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            contradicts_earlier: self.contradicts_earlier,
            patient_id: self.patient_id.as_deref(),
            birth_date: self.birth_date.as_deref(),
            by_study: self.by_study.as_ref(),
            by_accession: self.by_accession.as_ref(),
            person: self.person.as_ref(),
            that_day: &self.that_day,
            session: self.session.as_ref().map(|(_, visit)| visit),
            study_in: self.study_in.as_deref(),
        }
    }

    /// The lane session of the exam in which it was filed.
    pub fn session_of(&self, encounter: Option<&str>) -> Option<&str> {
        let (id, visit) = self.session.as_ref()?;
        (encounter == Some(&visit.encounter_id)).then_some(id)
    }

    pub async fn of(
        tx: &mut Tx,
        arrived: &Arrived,
        header: &Header,
        (instance, now_us): (&str, i64),
    ) -> Result<Self, StoreError> {
        let tenant = arrived.tenant.as_str();
        let sop = header.sop_instance_uid.as_deref().unwrap_or_default();
        let contradicts = instance::claim_uid(tx, tenant, sop, instance).await?;
        let zone = lane_open::time_zone(tx, tenant, &arrived.location).await?;
        let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
        let acquired_at_us = moment(header, &zone);
        let id = trimmed(header.patient_id.as_deref());
        let mut gathered = Self {
            contradicts_earlier: arrived.contradicts_earlier || contradicts.is_some(),
            contradicts,
            birth_date: header.birth_date.map(|date| date.to_string()),
            by_study: by_study(tx, tenant, header.study_instance_uid.as_deref()).await?,
            patient_id: id.map(str::to_owned),
            ..Self::default()
        };
        gathered.look_up_person(tx, tenant, trimmed(header.accession.as_deref())).await?;
        let day_us = acquired_at_us.unwrap_or(arrived.received_at_us);
        let day = (arrived.location.as_str(), local_time::date(day_us, &zone).to_string());
        if let Some(person) = &gathered.person {
            let visits = encounter::of_charts_on;
            gathered.that_day = visits(tx, tenant, (day.0, &day.1), &person.chart_numbers).await?;
        }
        gathered.session = session(tx, arrived, acquired_at_us, now_us).await?;
        let study = header.study_instance_uid.as_deref().unwrap_or_default();
        gathered.study_in = study_in(tx, arrived, study, &gathered).await?;
        Ok(gathered)
    }

    /// Whose the patient id is, and which visit the accession number names. A patient id that is no
    /// chart number may be an identifier of ours that was scanned from the visit's slip.
    async fn look_up_person(
        &mut self,
        tx: &mut Tx,
        tenant: &str,
        accession_number: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut candidates: Vec<String> = accession_number.map(str::to_owned).into_iter().collect();
        if let Some(id) = self.patient_id.clone() {
            match patient::by_chart_number(tx, tenant, &id).await? {
                Some(found) => self.person = Some(person(tx, tenant, &found).await?),
                None => candidates.push(id),
            }
        }
        for text in candidates.iter().filter(|text| accession::is_valid(text)) {
            if self.by_accession.is_some() {
                return Ok(());
            }
            if let Some(encounter) = encounter::id_of_accession(tx, tenant, text).await? {
                self.by_accession = visit(tx, tenant, &encounter).await?;
            }
        }
        Ok(())
    }
}

fn trimmed(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The visit whose Study Instance UID we issued: `2.25.` and its identifier as a number.
async fn by_study(
    tx: &mut Tx,
    tenant: &str,
    uid: Option<&str>,
) -> Result<Option<Visit>, StoreError> {
    match uid.and_then(accession::visit_of_study) {
        Some(encounter) => visit(tx, tenant, &encounter).await,
        None => Ok(None),
    }
}

async fn visit(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<Option<Visit>, StoreError> {
    let Some(found) = encounter::by_id(tx, tenant, encounter).await? else { return Ok(None) };
    let Some(chart) = patient::by_id(tx, tenant, &found.patient_id).await? else {
        return Ok(None);
    };
    let person = person(tx, tenant, &chart).await?;
    Ok(Some(Visit { encounter_id: found.encounter_id, person, accession: found.accession }))
}

async fn person(tx: &mut Tx, tenant: &str, chart: &patient::Patient) -> Result<Person, StoreError> {
    let charts = patient::family(tx, tenant, &chart.patient_id).await?;
    Ok(Person {
        chart_numbers: charts.into_iter().map(|it| it.chart_number).collect(),
        birth_date: chart.birth_date.clone(),
    })
}

/// The lane's session, if the instance was also acquired while it was open: imagers send later than
/// they acquire, and the next patient may sit there by then.
async fn session(
    tx: &mut Tx,
    arrived: &Arrived,
    acquired_at_us: Option<i64>,
    now_us: i64,
) -> Result<Option<(String, Visit)>, StoreError> {
    let Some(acquired_at_us) = acquired_at_us.filter(|_| !arrived.lane.is_empty()) else {
        return Ok(None);
    };
    let tenant = arrived.tenant.as_str();
    let until = arrived.received_at_us.saturating_add(CLOCK_BEHIND_MAX_US).max(now_us);
    let around = (arrived.received_at_us, until);
    let Some(lane) = lane_open::lane_between(tx, tenant, &arrived.lane, around).await? else {
        return Ok(None);
    };
    let facts = placement::Facts {
        captured_at_us: arrived.received_at_us,
        clock: arrived.clock,
        stamped: arrived.lane_session.as_deref(),
        is_lane_empty: false,
        claimed: None,
        known: placement::Known::default(),
    };
    let is_of_it = |session: &&LaneSession| {
        acquired_at_us >= session.opened_at_us.saturating_sub(CLOCK_BEHIND_MAX_US)
            && session.closed_at_us.is_none_or(|closed| acquired_at_us < closed)
    };
    let open = placement::session_of(facts, &lane.sessions).ok().filter(is_of_it);
    let Some(open) = open.filter(|_| lane.location_id == arrived.location) else {
        return Ok(None);
    };
    let visit = visit(tx, tenant, &open.encounter_id).await?;
    Ok(visit.map(|visit| (open.lane_session_id.clone(), visit)))
}

async fn study_in(
    tx: &mut Tx,
    arrived: &Arrived,
    study: &str,
    gathered: &Gathered,
) -> Result<Option<String>, StoreError> {
    let patient_id = gathered.patient_id.as_deref().unwrap_or_default();
    let says = (patient_id, gathered.birth_date.as_deref());
    let of = (arrived.sender.as_str(), study);
    let places = instance::places_of_study(tx, &arrived.tenant, of, says).await?;
    match &places[..] {
        [(place, encounter)] if place == "exam" => Ok(encounter.clone()),
        _ => Ok(None),
    }
}

/// The imager's time as a moment: by its own offset, else by the clinic's zone. A time that the
/// clinic's clocks skip or show twice is none.
fn moment(header: &Header, zone: &TimeZone) -> Option<i64> {
    let zone = match header.acquired_offset_min {
        Some(minutes) => Offset::from_seconds(i32::from(minutes) * 60).ok()?.to_time_zone(),
        None => zone.clone(),
    };
    let zoned = zone.to_ambiguous_zoned(header.acquired_at?).unambiguous().ok()?;
    Some(zoned.timestamp().as_microsecond())
}
