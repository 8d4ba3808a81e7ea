//! One person's change: a transaction, the audit entries and live events that belong to it, and who
//! has to be told after the commit.

use super::{AppError, about, principal::Principal, record};
use crate::{
    Core,
    store::{
        Tx, archive,
        audit::{self, About},
        encounter::{self, Encounter},
        exam::{self, Next, ReadingRow},
        live::{self, Kind, NewEvent},
        report::{self, Stale},
    },
};

/// A change that is under way. Dropped without [`Work::commit`], nothing of it happened.
pub struct Work {
    core: Core,
    pub who: Principal,
    pub tx: Tx,
    pub now_us: i64,
    events: Vec<NewEvent>,
    lanes: Vec<String>,
    /// Locations whose schedule changed.
    schedules: Vec<String>,
    /// Gateways that have a new configuration.
    configurations: Vec<String>,
    entries: Vec<audit::Entry>,
    /// What the reports have to count again.
    stale: Stale,
}

impl Work {
    pub async fn begin(core: &Core, who: &Principal, now_us: i64) -> Result<Self, AppError> {
        let tx = core.db.tenant(&who.tenant).await?;
        let (core, who) = (core.clone(), who.clone());
        let (events, lanes, schedules) = (Vec::new(), Vec::new(), Vec::new());
        let (configurations, entries, stale) = (Vec::new(), Vec::new(), Stale::default());
        Ok(Self { core, who, tx, now_us, events, lanes, schedules, configurations, entries, stale })
    }

    /// Makes it durable, and only then tells pages and gateways.
    pub async fn commit(mut self) -> Result<(), AppError> {
        report::mark(&mut self.tx, &self.who.tenant, &self.stale).await?;
        // The ends of the audit and of the live events are locked last and in this order: others
        // wait for them only as long as a commit takes, and never for each other.
        self.write_entries().await?;
        live::append(&mut self.tx, &self.who.tenant, &self.events).await?;
        self.tx.commit().await?;
        if !self.events.is_empty() {
            self.core.live.announce(&self.who.tenant);
        }
        for lane in &self.lanes {
            self.core.downlink.sessions_changed(&self.who.tenant, lane);
        }
        for location in &self.schedules {
            self.core.downlink.schedule_changed(&self.who.tenant, location);
        }
        for gateway in &self.configurations {
            self.core.downlink.configuration_changed(&self.who.tenant, gateway);
        }
        Ok(())
    }

    /// An encounter of the person's tenant.
    pub async fn encounter(&mut self, id: &str) -> Result<Encounter, AppError> {
        let found = encounter::by_id(&mut self.tx, &self.who.tenant, id).await?;
        found.ok_or(AppError::NotFound("encounter"))
    }

    /// A reading of the person's tenant, in the version that the person saw.
    pub async fn reading(
        &mut self,
        id: &str,
        version: Option<i64>,
    ) -> Result<ReadingRow, AppError> {
        let found = exam::reading(&mut self.tx, &self.who.tenant, id).await?;
        let row = found.ok_or(AppError::NotFound("reading"))?;
        match version {
            Some(version) if version != row.version => Err(AppError::Conflict),
            _ => Ok(row),
        }
    }

    /// A reading that waits for a patient.
    pub async fn waiting(
        &mut self,
        id: &str,
        version: Option<i64>,
    ) -> Result<ReadingRow, AppError> {
        let row = self.reading(id, version).await?;
        if !matches!(row.place.as_str(), "tray" | "inbox" | "held") {
            return Err(AppError::Conflict);
        }
        if row.acceptance == "rejected" {
            return Err(AppError::Refused("this reading is already rejected".into()));
        }
        Ok(row)
    }

    /// Puts a reading into its next state, keeps the earlier one, and tells of it. Gives what the
    /// audit says about it.
    pub async fn change(
        &mut self,
        row: &ReadingRow,
        next: Next<'_>,
        why: &str,
    ) -> Result<About, AppError> {
        let about = About::change(row, &next, why);
        let is_archived = next.acceptance == "accepted" && next.place == "exam" && !row.is_manual;
        let to = next.encounter_id.map(ToOwned::to_owned);
        let touches = record::touches(row, &next);
        let by = (self.who.account.as_str(), why, self.now_us);
        if !exam::change(&mut self.tx, &self.who.tenant, row, next, by).await? {
            return Err(AppError::Conflict);
        }
        if is_archived {
            let version = (row.reading_id.as_str(), row.version + 1, row.location_id.as_str());
            archive::queue(&mut self.tx, &self.who.tenant, version, self.now_us).await?;
        } else {
            let (tenant, reading) = (&self.who.tenant, &row.reading_id);
            archive::supersede(&mut self.tx, tenant, reading, self.now_us).await?;
        }
        self.counts(&row.location_id, row.captured_at_us);
        self.tell_reading(row, to.as_deref());
        for (encounter, what) in touches {
            record::touch_by_reading(self, &encounter, what, row, why).await?;
        }
        Ok(about)
    }

    /// The reports have to count the hour of a reading again.
    pub fn counts(&mut self, location: &str, captured_at_us: i64) {
        self.stale.add(location, captured_at_us);
    }

    /// The imagers of a location get its new schedule after the commit.
    pub fn tell_schedule(&mut self, location: &str) {
        self.schedules.push(location.to_owned());
    }

    /// Tells pages of something.
    pub fn tell(&mut self, event: NewEvent) {
        self.events.push(event);
    }

    /// Tells the pages of an encounter that something about the visit changed.
    pub async fn tell_visit(&mut self, encounter: &str) -> Result<(), AppError> {
        let visit = self.encounter(encounter).await?;
        self.events.push(NewEvent {
            location_id: Some(visit.location_id),
            encounter_id: Some(visit.encounter_id),
            ..NewEvent::new(self.now_us, Kind::VisitChanged)
        });
        Ok(())
    }

    /// Tells the pages of an encounter that its exam changed.
    pub fn tell_exam(&mut self, encounter: &str) {
        self.events.push(NewEvent {
            encounter_id: Some(encounter.to_owned()),
            subject: Some(encounter.to_owned()),
            ..NewEvent::new(self.now_us, Kind::ExamChanged)
        });
    }

    /// Tells the pages of an encounter that one of its readings changed.
    pub fn tell_reading(&mut self, row: &ReadingRow, encounter: Option<&str>) {
        self.events.push(NewEvent {
            location_id: Some(row.location_id.clone()),
            lane_id: Some(row.lane_id.clone()),
            encounter_id: encounter.map(ToOwned::to_owned),
            gateway_id: Some(row.gateway_id.clone()),
            subject: Some(row.reading_id.clone()),
            ..NewEvent::new(self.now_us, Kind::ReadingChanged)
        });
    }

    /// Tells pages, and after the commit the lane's gateways, which session is open.
    pub fn tell_session(
        &mut self,
        kind: Kind,
        (location, lane): (&str, &str),
        encounter: Option<&str>,
        lane_session: &str,
    ) {
        self.events.push(NewEvent {
            location_id: Some(location.to_owned()),
            lane_id: Some(lane.to_owned()),
            encounter_id: encounter.map(ToOwned::to_owned),
            subject: Some(lane_session.to_owned()),
            ..NewEvent::new(self.now_us, kind)
        });
        self.lanes.push(lane.to_owned());
    }

    /// Tells the lane's gateways after the commit what the cloud knows of their lanes.
    pub fn tell_gateways(&mut self, lane: &str) {
        self.lanes.push(lane.to_owned());
    }

    /// Tells the fleet page of a gateway.
    pub fn tell_gateway(&mut self, location: &str, gateway: &str) {
        self.events.push(NewEvent {
            location_id: Some(location.to_owned()),
            gateway_id: Some(gateway.to_owned()),
            ..NewEvent::new(self.now_us, Kind::GatewayChanged)
        });
    }

    /// Sends a gateway, after the commit, what it shall read from now on.
    pub fn tell_configuration(&mut self, location: &str, gateway: &str) {
        self.tell_gateway(location, gateway);
        self.configurations.push(gateway.to_owned());
    }

    /// Notes for the audit what concerns no patient.
    pub async fn audit(&mut self, action: &str, subject: &str) -> Result<(), AppError> {
        self.audit_about((action, subject), About::default()).await
    }

    /// Notes for the audit what concerns a patient's data.
    pub async fn audit_about(&mut self, what: (&str, &str), about: About) -> Result<(), AppError> {
        let about = about.of_patient(&mut self.tx, &self.who.tenant).await?;
        self.entries.push(about::entry(&self.who, what, about, self.now_us));
        Ok(())
    }

    async fn write_entries(&mut self) -> Result<(), AppError> {
        Ok(audit::append(&mut self.tx, &self.who.tenant, &self.entries).await?)
    }
}
