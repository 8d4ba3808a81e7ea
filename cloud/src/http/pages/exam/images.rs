//! The images of an exam, and taking some out of it again.

use super::super::{Action, Fault, Web, Who, begin};
use crate::{
    app::{about, accession::study_uid, assign_images},
    http::{
        extract::Form,
        show::images::{self, Expected, SeriesView},
    },
    store::{Tx, instance, procedure_step, upload},
};
use axum::{
    extract::{Path, State},
    response::Response,
};
use jiff::tz::TimeZone;

pub struct ImagesView {
    pub series: Vec<SeriesView>,
    /// Of this visit by one sign, and not by another: shown without their pictures.
    pub held: Vec<SeriesView>,
    pub expected: Vec<Expected>,
    pub arriving: Vec<Expected>,
}

impl ImagesView {
    pub async fn load(
        tx: &mut Tx,
        who: &Who,
        encounter: &str,
        zone: &TimeZone,
    ) -> Result<Self, Fault> {
        let rows = instance::of_encounter(tx, &who.tenant, encounter).await?;
        let steps = procedure_step::of_encounter(tx, &who.tenant, encounter).await?;
        let uploads = upload::of_encounter(tx, &who.tenant, encounter).await?;
        let study = study_uid(encounter).unwrap_or_default();
        let held = instance::held_of_visit(tx, &who.tenant, (encounter, &study)).await?;
        Ok(Self {
            held: images::series(&held),
            series: images::series(&rows),
            expected: images::expected(&steps, &rows, zone),
            arriving: images::arriving(&uploads, zone),
        })
    }

    /// What the audit calls what is shown.
    pub fn kind(&self) -> Option<String> {
        (!self.series.is_empty()).then(|| about::IMAGE.to_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
            && self.held.is_empty()
            && self.expected.is_empty()
            && self.arriving.is_empty()
    }
}

/// Not of this patient: back into the inbox.
pub async fn take_out(
    State(web): State<Web>,
    who: Who,
    Path((encounter, instance)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    let why = (form.reason.as_str(), form.version);
    assign_images::take_out(&mut work, (&encounter, &instance), why).await?;
    work.commit().await?;
    Ok(form.done(&format!("/exams/{encounter}")))
}
