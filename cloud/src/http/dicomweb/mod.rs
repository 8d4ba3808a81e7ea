//! DICOMweb for other viewers and archives: QIDO-RS finds, WADO-RS gives, STOW-RS takes. Objects are
//! given as they are stored, in the transfer syntax in which they came; corrections that people made
//! stand in our record and not in the objects.

mod json;
pub mod multipart;
pub mod qido;
pub mod stow;
pub mod wado;

use super::Fault;
use crate::{
    Core,
    app::{about, principal::Principal},
    clock,
    store::{audit::About, instance::InstanceRow, instance_index::Filter},
};
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Where all of it stands.
pub const PREFIX: &str = "/dicomweb";

/// The UIDs of a path; those that it does not have are empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Address {
    study: String,
    series: String,
    sop: String,
    frames: String,
}

impl Address {
    fn filter(&self) -> Filter {
        let Address { study, series, sop, .. } = self.clone();
        Filter { study, series, sop, ..Filter::default() }
    }
}

/// The address under which this request has reached us.
fn base_url(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or("localhost");
    let is_local = host.starts_with("127.") || host.starts_with("localhost");
    let scheme = text("x-forwarded-proto").unwrap_or(if is_local { "http" } else { "https" });
    format!("{scheme}://{host}{PREFIX}")
}

/// Writes down who has seen images of which exams. One entry for each exam, not for each object.
async fn note_look(core: &Core, who: &Principal, rows: &[InstanceRow]) -> Result<(), Fault> {
    let seen = rows.iter().map(|row| (row.encounter_id.clone(), row.study_instance_uid.clone()));
    note_exams(core, who, seen).await
}

/// The same of exams, each with the study that was seen.
async fn note_exams(
    core: &Core,
    who: &Principal,
    seen: impl Iterator<Item = (Option<String>, String)>,
) -> Result<(), Fault> {
    // Of an inbox: by the study.
    let named = |(exam, study): (Option<String>, String)| (exam.clone().unwrap_or(study), exam);
    for (subject, exam) in seen.map(named).collect::<BTreeMap<_, _>>() {
        let about = exam.as_deref().map(About::exam).unwrap_or_default().kinds([about::IMAGE]);
        let what = ("images_read", subject.as_str());
        core.looks.look_at(&core.db, who, what, about, clock::now_us()).await?;
    }
    Ok(())
}
