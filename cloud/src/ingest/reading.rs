//! A reading of the batch: its place, and whether it is a second print.

use super::{
    filing::{Filing, number},
    parse::{Checked, Content, Document, ReadingFacts},
};
use crate::{
    app::{check_in, placing},
    domain::placement::{DUPLICATE_WITHIN_US, Facts, Known, Place, Placement},
    store::{
        StoreError, Tx,
        document::{self, NewReading, Print},
        lane_open::Lane,
        live::{Kind, NewEvent},
    },
};
use chiasm_proto::{ClockState, GatewayId};

impl Filing<'_> {
    /// Places a reading and adds it with its live event.
    pub(super) async fn add_reading(
        &mut self,
        tx: &mut Tx,
        gateway: &GatewayId,
        document: &Document,
        (checked, facts): (&Checked, &ReadingFacts),
        lane: Lane,
    ) -> Result<(), StoreError> {
        let placed = self.place(tx, (checked, facts), &lane).await?;
        // The opening of its session may be carried out at this very moment.
        self.has_acts |= placed.place == Place::Tray && facts.lane_session.is_some();
        let first = self.first_print(gateway, (checked, facts), &placed);
        if let Some(first) = &first {
            self.count_sent_again(tx, first).await?;
        }
        // A session that a gateway stamped wrongly is not kept open by it.
        if matches!(placed.place, Place::Exam | Place::Held)
            && let Some(session) = &placed.lane_session_id
        {
            let last_us = self.touched.entry(session.clone()).or_insert(i64::MIN);
            // A gateway's clock that is ahead, or not set, must not keep a session open for ever.
            let at_us = match facts.clock {
                ClockState::Synced => checked.captured_at_us.min(self.now_us),
                ClockState::Unsynced => self.now_us,
            };
            *last_us = at_us.max(*last_us);
        }
        // "This print is of pair 2", said before it (T10).
        let correction = match (facts.has_lens, placed.place, &placed.lane_session_id) {
            (true, Place::Exam, Some(session)) => lane.correction_of(session),
            _ => None,
        };
        let lane_id = checked.lane.as_ref().map(ToString::to_string).unwrap_or_default();
        let reading = NewReading {
            reading_id: checked.document_id.clone(),
            gateway_id: gateway.to_string(),
            epoch: document.epoch.to_string(),
            seq: number(document.seq),
            location_id: lane.location_id,
            lane_id,
            link_id: facts.link.clone(),
            vendor: facts.vendor.clone(),
            model: facts.model.clone(),
            content_sha256: facts.content_sha256.clone(),
            captured_at_us: checked.captured_at_us,
            received_at_us: document.received_at_us,
            claimed_patient: facts.claimed_patient.clone(),
            lane_session_id: placed.lane_session_id,
            place: if first.is_some() { Place::Duplicate } else { placed.place },
            reason: if first.is_some() { "printed again".into() } else { placed.reason },
            encounter_id: if first.is_some() { None } else { placed.encounter_id },
            needs_a_look: facts.needs_a_look,
            duplicate_of: first,
            correction,
        };
        if let Some(encounter) = &reading.encounter_id
            && lane.signed.contains(encounter)
            && !check_in::is_check_in(reading.correction.as_deref())
        {
            let instrument = format!("{} {}", reading.vendor, reading.model);
            self.late.push((encounter.clone(), instrument));
        }
        *self.filed.readings.entry(reading.place.as_str()).or_default() += 1;
        self.stale.add(&reading.location_id, reading.captured_at_us);
        self.events.push(NewEvent {
            location_id: Some(reading.location_id.clone()),
            lane_id: Some(reading.lane_id.clone()),
            encounter_id: reading.encounter_id.clone(),
            gateway_id: Some(reading.gateway_id.clone()),
            subject: Some(reading.reading_id.clone()),
            ..NewEvent::new(self.now_us, Kind::ReadingFiled)
        });
        if reading.duplicate_of.is_none() {
            let print = Print {
                reading_id: reading.reading_id.clone(),
                gateway_id: reading.gateway_id.clone(),
                link_id: reading.link_id.clone(),
                lane_session_id: reading.lane_session_id.clone(),
                encounter_id: reading.encounter_id.clone(),
                captured_at_us: reading.captured_at_us,
            };
            self.prints.entry(reading.content_sha256.clone()).or_default().push(print);
        }
        self.readings.push(reading);
        Ok(())
    }

    async fn place(
        &self,
        tx: &mut Tx,
        (checked, facts): (&Checked, &ReadingFacts),
        lane: &Lane,
    ) -> Result<Placement, StoreError> {
        let facts = Facts {
            captured_at_us: checked.captured_at_us,
            clock: facts.clock,
            stamped: facts.lane_session.as_deref(),
            is_lane_empty: facts.is_lane_empty,
            claimed: facts.claimed_patient.as_deref(),
            known: Known::default(),
        };
        placing::place(tx, self.tenant, facts, lane).await
    }

    /// The reading that this one repeats (T5), of this transaction or an earlier one. Only within a
    /// lane session, and only while the first is where this one goes: two patients may well have
    /// the same values.
    fn first_print(
        &self,
        gateway: &GatewayId,
        (checked, facts): (&Checked, &ReadingFacts),
        placed: &Placement,
    ) -> Option<String> {
        placed.lane_session_id.as_ref()?;
        let same = |first: &&Print| {
            first.gateway_id == gateway.as_str()
                && first.link_id == facts.link
                && first.lane_session_id == placed.lane_session_id
                && first.encounter_id == placed.encounter_id
                && first.captured_at_us.abs_diff(checked.captured_at_us)
                    <= DUPLICATE_WITHIN_US.unsigned_abs()
        };
        let prints = self.prints.get(&facts.content_sha256)?;
        prints.iter().find(same).map(|first| first.reading_id.clone())
    }

    /// Every reading with the content of one of the batch, in one query.
    pub(super) async fn look_up_prints(
        &mut self,
        tx: &mut Tx,
        batch: &[(GatewayId, Content)],
    ) -> Result<(), StoreError> {
        let mut contents = Vec::new();
        let mut span = (i64::MAX, i64::MIN);
        for (_, content) in batch {
            let Content::Document(document) = content else { continue };
            let Ok(Checked { reading: Some(facts), captured_at_us: at, .. }) = &document.checked
            else {
                continue;
            };
            contents.push(facts.content_sha256.as_str());
            span = (span.0.min(*at), span.1.max(*at));
        }
        if !contents.is_empty() {
            let between_us = (
                span.0.saturating_sub(DUPLICATE_WITHIN_US),
                span.1.saturating_add(DUPLICATE_WITHIN_US),
            );
            self.prints = document::prints(tx, self.tenant, &contents, between_us).await?;
        }
        Ok(())
    }

    async fn count_sent_again(&mut self, tx: &mut Tx, first: &str) -> Result<(), StoreError> {
        // A first print of this very batch has to be there to be counted.
        if self.readings.iter().any(|reading| reading.reading_id == first) {
            self.flush(tx).await?;
        }
        document::count_sent_again(tx, self.tenant, first).await
    }
}
