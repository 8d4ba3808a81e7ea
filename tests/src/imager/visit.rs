//! An OCT at the end of a visit: finds its patient in the worklist, takes a volume, sends it; and
//! what the exam makes of it.

use super::{Imager, Scheduled};
use crate::{
    http::Http,
    practice::world::{dicom::EXPLICIT, images::Taken},
    visit::Encounter,
    wait,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Scans, rows, columns.
const VOLUME: (u32, u16, u16) = (64, 512, 512);
/// Longest wait for a volume to be filed.
const FILED_MAX: Duration = Duration::from_secs(60);

/// What became of a volume.
#[derive(Debug, Clone, Copy)]
pub struct Filed {
    pub len_bytes: usize,
    /// Until the imager was told that it is stored, and until the exam had it.
    pub stored_after: Duration,
    pub filed_after: Duration,
}

/// The line of the worklist with this chart number: what came from the schedule through the cloud.
pub async fn find(imager: &Imager, encounter: &Encounter) -> Result<Scheduled> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let today = today.strftime("%Y%m%d").to_string();
    let study = study_of(encounter)?;
    let what = format!("{} to be in the worklist", encounter.name);
    wait::until(&what, wait::USUAL_MAX, async || {
        // Declined as long as no schedule has come from the cloud.
        let found = imager.worklist(&today).await.unwrap_or_default();
        Ok(found.into_iter().find(|line| line.study_instance_uid == study))
    })
    .await
}

/// `2.25.` and the encounter's UUID as a decimal number: what the cloud issues.
fn study_of(encounter: &Encounter) -> Result<String> {
    let id: uuid::Uuid = encounter.id.parse().context("an encounter's id is a UUID")?;
    Ok(format!("2.25.{}", id.as_u128()))
}

/// A volume of one eye, as a file; nothing is sent.
pub async fn volume(patient: &Scheduled, eye: &'static str) -> Result<Vec<u8>> {
    let now = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let taken = Taken {
        eye,
        study: patient.study_instance_uid.clone(),
        uid: format!("2.25.{}", uuid::Uuid::now_v7().as_u128()),
        at: now,
        patient_id: patient.patient_id.clone(),
        birth_date: patient.birth_date.clone(),
        oedema_mm: 0.0,
    };
    let name = patient.patient_name.clone();
    let made = move || taken.volume(VOLUME).text(0x0010_0010, "PN", &name).file(EXPLICIT);
    Ok(tokio::task::spawn_blocking(made).await?)
}

/// Takes a volume of one eye and sends it; returns when the exam has it.
pub async fn take(
    imager: &Imager,
    http: &Http,
    patient: &Scheduled,
    eye: &'static str,
) -> Result<Filed> {
    let file = volume(patient, eye).await?;
    let len_bytes = file.len();
    let before = instances(http, patient).await?;
    let began = Instant::now();
    imager.send(&[file]).await?;
    let stored_after = began.elapsed();
    wait::until("the volume to be in the exam", FILED_MAX, async || {
        let now = instances(http, patient).await?;
        Ok((now > before).then_some(()))
    })
    .await?;
    Ok(Filed { len_bytes, stored_after, filed_after: began.elapsed() })
}

/// How many instances of a patient's study the cloud has.
pub async fn instances(http: &Http, patient: &Scheduled) -> Result<usize> {
    let path = format!("/dicomweb/instances?StudyInstanceUID={}", patient.study_instance_uid);
    let found = http.get(&path).await?;
    Ok(found.as_array().map_or(0, Vec::len))
}

/// Signs an exam as it is now.
pub async fn sign(doctor: &Http, encounter: &Encounter) -> Result<()> {
    let path = format!("/api/v1/encounters/{}/sign", encounter.id);
    let digest = doctor.get(&path).await?["digest"].clone();
    doctor.post(&path, serde_json::json!({ "digest": digest })).await?;
    Ok(())
}

/// The addenda of a signed exam.
pub async fn addenda(doctor: &Http, encounter: &Encounter) -> Result<Vec<Value>> {
    let path = format!("/api/v1/encounters/{}/addenda", encounter.id);
    let addenda = doctor.get(&path).await?;
    addenda.as_array().cloned().context("addenda are a list")
}
