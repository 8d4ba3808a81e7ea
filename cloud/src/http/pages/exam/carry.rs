//! What carries on from this exam, as the exam page shows it.

use super::super::{Fault, Names, Who, charges::ChargeView, optical::received_words};
use crate::{
    app::{charges, check_in, optical, order::status_words, principal::Role},
    http::show,
    store::{Tx, encounter::Encounter, exam::ReadingRow, optical as store, order as orders},
};
use jiff::tz::TimeZone;

pub struct CarryView {
    /// Of a signed exam with a final prescription.
    pub optical: Option<OpticalView>,
    /// Readings of finished glasses whose order number leads nowhere.
    pub told: Vec<String>,
    pub charges: Vec<ChargeView>,
}

pub struct OpticalView {
    pub encounter_id: String,
    /// Empty as long as it is not received.
    pub received: String,
    pub is_changed: bool,
    /// Id, number and status of each order.
    pub orders: Vec<(String, String, String)>,
}

impl CarryView {
    pub(super) async fn load(
        tx: &mut Tx,
        who: &Who,
        (visit, rows): (&Encounter, &[ReadingRow]),
        (zone, names): (&TimeZone, &Names),
    ) -> Result<Self, Fault> {
        let (tenant, encounter) = (&who.tenant, visit.encounter_id.as_str());
        let signed = optical::signed_if_any(tx, tenant, encounter).await?;
        let of = (rows, signed.as_ref(), zone);
        let proposals = charges::of_rows(tx, tenant, visit, of).await?;
        let is_doctor = who.role == Role::Doctor;
        let view = |it| ChargeView::new(it, is_doctor, (zone, names));
        let charges = proposals.iter().map(view).collect();
        let mut told = Vec::new();
        for row in rows.iter().filter(|row| row.acceptance != "rejected") {
            told.extend(check_in::named(tx, tenant, row).await?.fault());
        }
        let Some(signed) = signed else { return Ok(Self { optical: None, told, charges }) };
        let received = store::handoff(tx, tenant, encounter).await?;
        let received = received.map(|(at_us, by)| received_words(at_us, &by, zone, names));
        let is_changed = optical::changed_since(tx, tenant, (encounter, &signed)).await?;
        let orders = orders::of_exam(tx, tenant, encounter).await?.into_iter().map(|it| {
            let when = show::date_and_time(it.changed_at_us, zone);
            let words =
                format!("{}, {when} by {}", status_words(&it.status), names.of(&it.changed_by));
            (it.order_id, it.order_number, words)
        });
        Ok(Self {
            optical: Some(OpticalView {
                encounter_id: encounter.to_owned(),
                received: received.unwrap_or_default(),
                is_changed,
                orders: orders.collect(),
            }),
            told,
            charges,
        })
    }
}
