//! `kill -9` of the cloud while images are uploaded, moved and filed. Afterwards every image is there
//! once, byte by byte, and nothing else is.
//!
//! ```text
//! CHIASM_KILLS=200 CHIASM_SEED=42 cargo test -p chiasm-testbed --test image_kills
//! ```

use anyhow::{Context, Result, bail, ensure};
use chiasm_proto::{
    ClockState, InstanceOffer, InstanceProgress, InstanceStatus, Sha256,
    instance::{INSTANCES_PATH, PART_SHA256_HEADER},
};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    practice::world::{dicom, oct},
    story::story,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::time::Duration;

/// Kills of one run, unless the environment says otherwise.
const KILLS: u64 = 12;
/// The latest moment to strike, counted from the beginning of an upload.
const STRIKE_AFTER_MAX: Duration = Duration::from_millis(120);
/// Longest image, in bytes, and longest part of it.
const IMAGE_LEN_MAX: usize = 3_000_000;
const PART_LEN: usize = 300_000;
/// How often an upload may be begun anew.
const ATTEMPTS_MAX: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

#[test]
fn every_image_is_filed_exactly_once_whenever_the_cloud_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("CHIASM_SEED").unwrap_or_else(rand::random);
    println!("CHIASM_SEED={seed}");
    story("image-kills", run(seed, number("CHIASM_KILLS").unwrap_or(KILLS)));
}

async fn run(seed: u64, kills: u64) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let neighbours = Neighbours { postgres: false, mosquitto: false };
    let mut clinic = Clinic::open(neighbours, &["lane-1"], 1).await?;
    let gateway = clinic.enrolled_gateway("gw-1", vec![])?;
    let sender = Sender::new(&gateway.identity()?, clinic.cloud.endpoint_port())?;
    let mut files = Vec::new();
    for at in 0..kills {
        let file = image(&mut rng, at);
        let upload = sender.upload(&file);
        let strike = async {
            tokio::time::sleep(rng.random_range(Duration::ZERO..STRIKE_AFTER_MAX)).await;
            clinic.cloud.kill()?;
            clinic.cloud.start().await
        };
        let (uploaded, struck) = tokio::join!(upload, strike);
        struck.with_context(|| format!("seed {seed}, kill {at}"))?;
        uploaded.with_context(|| format!("seed {seed}, image {at}"))?;
        files.push(file);
    }
    check(&clinic, &files).await
}

/// A volume whose pixels are noise.
fn image(rng: &mut StdRng, at: u64) -> Vec<u8> {
    let mut pixels = vec![0; rng.random_range(1_000..IMAGE_LEN_MAX)];
    rng.fill(&mut pixels[..]);
    let uid = format!("1.2.{at}");
    let set = oct::oct(&uid, &format!("{uid}.1"), &format!("{uid}.1.1"));
    set.pixels(8, &pixels).file(dicom::EXPLICIT)
}

/// A gateway's side, as stubborn as a gateway.
struct Sender {
    client: reqwest::Client,
    base: String,
}

impl Sender {
    fn new(identity: &chiasm_testbed::mqtt::Identity, port: u16) -> Result<Self> {
        let tls = identity.tls()?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(Duration::from_secs(20))
            .build()?;
        Ok(Self { client, base: format!("https://localhost:{port}{INSTANCES_PATH}") })
    }

    async fn upload(&self, file: &[u8]) -> Result<()> {
        let offer = offer(file)?;
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            match self.attempt(&offer, file).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("it is not filed: {last:?}")
    }

    /// Offers it and sends what is missing; an error is a broken connection.
    async fn attempt(&self, offer: &InstanceOffer, file: &[u8]) -> Result<()> {
        let request = self.client.post(&self.base).json(offer);
        let mut progress: InstanceProgress =
            request.send().await?.error_for_status()?.json().await?;
        loop {
            match progress.status {
                InstanceStatus::Filed => return Ok(()),
                InstanceStatus::Damaged => bail!("damaged"),
                InstanceStatus::Incomplete => {}
            }
            let at = usize::try_from(progress.offset)?;
            let part = &file[at..(at + PART_LEN).min(file.len())];
            ensure!(!part.is_empty(), "everything is there and it is not filed");
            let url = format!("{}/{}/{at}", self.base, offer.sha256);
            let hash = Sha256::of(part).to_string();
            let request = self.client.put(url).header(PART_SHA256_HEADER, hash);
            let answer = request.body(part.to_vec()).send().await?;
            progress = answer.error_for_status()?.json().await?;
        }
    }
}

fn offer(file: &[u8]) -> Result<InstanceOffer> {
    Ok(InstanceOffer {
        sha256: Sha256::of(file),
        len_bytes: file.len() as u64,
        link: "oct-1".parse()?,
        lane: "lane-1".parse()?,
        lane_session: None,
        received_at: jiff::Timestamp::now(),
        clock: ClockState::Synced,
        calling_ae: "OCT1".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.77.1.5.4".into(),
        sop_instance_uid: "1.2".into(),
        transfer_syntax_uid: dicom::EXPLICIT.into(),
        contradicts_earlier: false,
    })
}

async fn check(clinic: &Clinic, files: &[Vec<u8>]) -> Result<()> {
    let doctor = clinic.doctor().await?;
    let found = doctor.get("/dicomweb/instances?limit=1000").await?;
    let found = found.as_array().context("a list of instances")?.len();
    ensure!(found == files.len(), "{found} images are filed, {} were sent", files.len());
    let objects = clinic.cloud.data_dir().join("instances/objects");
    let mut kept = Vec::new();
    walk(&objects, &mut kept)?;
    ensure!(kept.len() == files.len(), "{} objects are kept: {kept:?}", kept.len());
    for file in files {
        let name = format!("{}.dcm", Sha256::of(file));
        let path = kept.iter().find(|path| path.ends_with(&name));
        let path = path.with_context(|| format!("{name} is not kept"))?;
        ensure!(std::fs::read(path)? == *file, "{name} is not what was sent");
    }
    let mut left = Vec::new();
    walk(&clinic.cloud.data_dir().join("instances/incoming"), &mut left)?;
    ensure!(left.is_empty(), "uploads are left behind: {left:?}");
    Ok(())
}

fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, found)? } else { found.push(path) }
    }
    Ok(())
}
