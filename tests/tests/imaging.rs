//! Images from an imager to the exam: through a real gateway, real uploads and real kills.

use anyhow::{Context, Result, ensure};
use chiasm_cloud::store::Db;
use chiasm_proto::Sha256;
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    cloud::TENANT,
    imager::{
        Imager, Scheduled,
        dicom::{EXPLICIT, Set},
    },
    person::Person,
    story::story,
    visit, wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, io::Write, time::Duration};

const OPT: &str = "1.2.840.10008.5.1.4.1.1.77.1.5.4";
/// Kills of one run, unless the environment says otherwise.
const KILLS: u32 = 12;
/// Of the objects sent meanwhile: two parts and a bit, and small ones.
const FRAMES: [u16; 3] = [36, 1, 4];
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

/// The data set behind the file's header, which gateway and test write differently.
fn data_set(file: &[u8]) -> Result<&[u8]> {
    let len = file.get(140..144).context("no group length")?;
    let len = usize::try_from(u32::from_le_bytes(len.try_into()?))?;
    file.get(144 + len..).context("the file ends in its header")
}

/// What the cloud has filed: place and stored bytes, by SOP Instance UID.
async fn filed(clinic: &Clinic) -> Result<BTreeMap<String, Vec<(String, Vec<u8>)>>> {
    let db = Db::open(clinic.cloud.store_url()).await?;
    let mut tx = db.tenant_read(TENANT).await?;
    let sql = "SELECT sop_instance_uid, place, object_key, sha256 FROM instance
        WHERE tenant_id = $1";
    let rows: Vec<(String, String, String, String)> =
        tx.fetch_all(sql, chiasm_cloud::args![TENANT]).await?;
    drop(tx);
    db.close().await;
    let mut filed: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for (sop, place, key, sha256) in rows {
        let bytes = std::fs::read(clinic.cloud.data_dir().join("instances").join(key))?;
        ensure!(Sha256::of(&bytes).to_string() == sha256, "{sop} is damaged in the archive");
        filed.entry(sop).or_default().push((place, bytes));
    }
    Ok(filed)
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

/// `kill -9` of gateway and cloud while imagers send and gateways upload. What an imager was told is
/// stored is filed once, byte for byte.
///
/// ```text
/// CHIASM_IMAGE_KILLS=200 CHIASM_SEED=42 cargo test -p chiasm-testbed --test imaging
/// ```
#[test]
fn every_image_is_filed_exactly_once_through_kills() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("CHIASM_SEED").unwrap_or_else(rand::random);
    let kills = number("CHIASM_IMAGE_KILLS").map_or(KILLS, |kills| u32::try_from(kills).unwrap());
    // Past the test runner's capture: whoever sees it fail needs the seed.
    let _ = writeln!(std::io::stderr(), "CHIASM_SEED={seed} CHIASM_IMAGE_KILLS={kills}");
    story("image-kills", kill_and_count(seed, kills));
}

async fn kill_and_count(seed: u64, kills: u32) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
    let imager = clinic.add_imaging_gateway("gw-1").await?;
    let patient = first_scheduled(&imager).await?;
    let mut promised = BTreeMap::new();
    let mut unanswered = 0;
    for round in 0..kills {
        let frames = FRAMES[round as usize % FRAMES.len()];
        let sop = format!("2.25.{}", 3000 + round);
        let file = volume(Some(&patient), &sop, frames, round as u8);
        let sending = {
            let (imager, file) = (imager.clone(), file.clone());
            tokio::spawn(async move { imager.send(&[file]).await })
        };
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..120))).await;
        if rng.random_bool(0.5) {
            clinic.gateways[0].kill()?;
            clinic.gateways[0].start().await?;
        } else {
            clinic.cloud.kill()?;
            clinic.cloud.start().await?;
        }
        if sending.await?.is_ok() {
            promised.insert(sop, file);
        } else {
            // The imager was told nothing: it sends again, as imagers do.
            unanswered += 1;
            imager.send(std::slice::from_ref(&file)).await?;
            promised.insert(sop, file);
        }
    }
    for (sop, file) in &promised {
        until_filed(&clinic, sop, file, "exam").await?;
    }
    let filed = filed(&clinic).await?;
    ensure!(filed.len() == promised.len(), "{} filed, {} sent", filed.len(), promised.len());
    let _ = writeln!(
        std::io::stderr(),
        "{kills} kills, {} images filed once, {unanswered} sent again, 0 lost",
        promised.len()
    );
    Ok(())
}
