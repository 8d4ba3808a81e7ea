//! Images from an imager to the exam: through a real gateway and real uploads.

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    imager::{
        Imager, Scheduled,
        archive::{data_set, filed},
    },
    person::Person,
    practice::world::dicom::{EXPLICIT, Set},
    story::story,
    visit, wait,
};
use std::time::Duration;

const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
const ROWS: u16 = 512;
const COLUMNS: u16 = 512;

/// A volume of one eye, as an imager fills it in from its worklist.
fn volume(of: Option<&Scheduled>, sop: &str, frames: u16, seed: u8) -> Vec<u8> {
    let text = |field: fn(&Scheduled) -> &str| of.map_or("", field).to_owned();
    let now = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let study = of.map_or("2.25.99", |it| &it.study_instance_uid);
    let len = usize::from(frames) * usize::from(ROWS) * usize::from(COLUMNS);
    let pixels: Vec<u8> = (0..len).map(|at| (at / 97) as u8 ^ seed).collect();
    Set::default()
        .text(0x0008_0016, "UI", OPT)
        .text(0x0008_0018, "UI", sop)
        .text(0x0008_002A, "DT", &now)
        .text(0x0008_0050, "SH", &text(|it| &it.accession))
        .text(0x0008_0060, "CS", "OPT")
        .text(0x0008_0070, "LO", "Testmaker")
        .text(0x0008_1090, "LO", "OCT-1")
        .text(0x0010_0010, "PN", &text(|it| &it.patient_name))
        .text(0x0010_0020, "LO", &text(|it| &it.patient_id))
        .text(0x0010_0030, "DA", &text(|it| &it.birth_date))
        .text(0x0020_000D, "UI", study)
        .text(0x0020_000E, "UI", &format!("{sop}.1"))
        .text(0x0020_0062, "CS", "R")
        .us(0x0028_0002, &[1])
        .text(0x0028_0004, "CS", "MONOCHROME2")
        .text(0x0028_0008, "IS", &frames.to_string())
        .us(0x0028_0010, &[ROWS])
        .us(0x0028_0011, &[COLUMNS])
        .us(0x0028_0100, &[8])
        .us(0x0028_0101, &[8])
        .us(0x0028_0102, &[7])
        .us(0x0028_0103, &[0])
        .pixels(8, &pixels)
        .file(EXPLICIT)
}

async fn until_filed(clinic: &Clinic, sop: &str, file: &[u8], place: &str) -> Result<()> {
    let what = format!("instance {sop} to be filed");
    let found =
        wait::until(&what, Duration::from_secs(60), async || Ok(filed(clinic).await?.remove(sop)))
            .await?;
    ensure!(found.len() == 1, "{sop} is filed {} times", found.len());
    ensure!(found[0].0 == place, "{sop} is in {}", found[0].0);
    ensure!(data_set(&found[0].1)? == data_set(file)?, "{sop} is not what was sent");
    Ok(())
}

/// The first patient of today, as the imager's worklist says.
async fn first_scheduled(imager: &Imager) -> Result<Scheduled> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y%m%d");
    let today = today.to_string();
    let found = wait::until("the worklist to have patients", wait::USUAL_MAX, async || {
        // Declined as long as no schedule has come from the cloud.
        let found = imager.worklist(&today).await.unwrap_or_default();
        Ok((!found.is_empty()).then_some(found))
    });
    let mut found = found.await?;
    found.sort_by(|a, b| a.patient_id.cmp(&b.patient_id));
    found.into_iter().next().context("nobody is scheduled")
}

/// An OCT finds its patient in the worklist, sends the volume, and the exam shows it. Another volume
/// comes when the exam is signed: it joins as an addendum, and the doctor is told.
#[test]
fn d7_a_volume_arrives_and_a_late_one_is_an_addendum() {
    story("D7", async {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 2).await?;
        let imager = clinic.add_imaging_gateway("gw-1").await?;
        let patient = first_scheduled(&imager).await?;
        let exam = visit::schedule(&clinic.technician().await?).await?.remove(0);
        let first = volume(Some(&patient), "2.25.1001", 24, 1);
        imager.send(std::slice::from_ref(&first)).await?;
        until_filed(&clinic, "2.25.1001", &first, "exam").await?;

        let doctor = Person::sign_in(&clinic, "doctor").await?;
        let page = format!("/exams/{}", exam.id);
        doctor.open(&page).await?;
        doctor.sees("#images", "24 frames").await?;
        doctor.signs(&exam).await?;

        let late = volume(Some(&patient), "2.25.1002", 3, 2);
        imager.send(std::slice::from_ref(&late)).await?;
        until_filed(&clinic, "2.25.1002", &late, "exam").await?;
        doctor.sees("#bell", "1").await?;
        doctor.open(&page).await?;
        doctor.sees("#images", "Addendum").await?;
        doctor.sees("#signature .automatic", "arrived after the signature").await
    });
}

/// Without an identifier of ours, and with a patient who is on no schedule: the inbox, and nobody's
/// exam.
#[test]
fn r31_an_image_of_nobody_waits_in_the_inbox() {
    story("R31", async {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
        let imager = clinic.add_imaging_gateway("gw-1").await?;
        let file = volume(None, "2.25.2001", 1, 3);
        imager.send(std::slice::from_ref(&file)).await?;
        until_filed(&clinic, "2.25.2001", &file, "inbox").await?;
        let technician = Person::sign_in(&clinic, "technician").await?;
        technician.open("/inbox/main").await?;
        technician.sees("main", "OCT").await
    });
}
