//! `kill -9` of sender, gateway and cloud while a real imager's program sends and the gateway
//! uploads. What the sender was told is stored is there after the restart, byte for byte; what it
//! was not told is there whole or not at all; sent again, everything is filed once, every
//! measurement is one reading, and no file is left over anywhere.
//!
//! ```text
//! CHIASM_IMAGE_KILLS=200 CHIASM_SEED=42 cargo test -p chiasm-testbed --test image_kills
//! ```

use anyhow::{Context, Result, ensure};
use chiasm_gateway::seal::{self, Purpose, stream::SealedFile};
use chiasm_proto::Sha256;
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    imager::archive::{data_set, filed},
    ledger::Ledger,
    practice::world::{
        dicom::{EXPLICIT, Set},
        oct,
    },
    story::story,
    wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};
use uuid::Uuid;

/// Kills of one run, unless the environment says otherwise.
const KILLS: usize = 12;
/// The latest moment to strike, counted from the sender's start.
const STRIKE_AFTER_MAX: Duration = Duration::from_millis(300);
/// Longest volume, in bytes: more than two parts of an upload.
const VOLUME_LEN_MAX: usize = 9_500_000;
const SENDER: &str = "/usr/bin/storescu";

#[test]
fn every_image_is_filed_exactly_once_whoever_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("CHIASM_SEED").unwrap_or_else(rand::random);
    let kills = number("CHIASM_IMAGE_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    // Past the test runner's capture: whoever sees it fail needs the seed.
    let _ = writeln!(std::io::stderr(), "CHIASM_SEED={seed} CHIASM_IMAGE_KILLS={kills}");
    story("image-kills", run(seed, kills));
}

/// What is sent, by SOP Instance UID.
type Sent = BTreeMap<String, Vec<u8>>;

async fn run(seed: u64, kills: usize) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], 1).await?;
    let port = clinic.add_imaging_gateway("gw-1").await?.gateway_port;
    let (mut all, mut counts) = (Sent::new(), Counts::default());
    for round in 0..kills {
        let objects = objects(&mut rng, round);
        let folder = clinic.folder().join(format!("round-{round}"));
        let sender = Sender { port, paths: write(&folder, &objects)?, folder };
        strike(&mut rng, round, &mut clinic, &sender, &objects, &mut counts)
            .await
            .with_context(|| format!("seed {seed}, kill {round}"))?;
        all.extend(objects);
    }
    // Once more, while it uploads: it begins anew at once, without the pause after a failure.
    clinic.gateways[0].kill()?;
    clinic.gateways[0].start().await?;
    check_cloud(&clinic, &all).await?;
    check_gateway(&clinic, &all, &all.keys().cloned().collect()).await?;
    let _ = writeln!(
        std::io::stderr(),
        "{kills} kills, {} objects filed once, {} answered before a kill of the gateway, \
         {} broken off, 0 lost",
        all.len(),
        counts.promised,
        counts.broken_off
    );
    Ok(())
}

#[derive(Default)]
struct Counts {
    promised: usize,
    broken_off: usize,
}

/// Sends, kills somebody meanwhile, looks what is there, and sends again.
async fn strike(
    rng: &mut StdRng,
    round: usize,
    clinic: &mut Clinic,
    sender: &Sender,
    objects: &Sent,
    counts: &mut Counts,
) -> Result<()> {
    let mut sending = sender.start("first")?;
    tokio::time::sleep(rng.random_range(Duration::ZERO..STRIKE_AFTER_MAX)).await;
    match round % 3 {
        0 => {
            clinic.gateways[0].kill()?;
            sending.wait().await?;
            let answered = sender.answered("first")?;
            clinic.gateways[0].start().await?;
            counts.promised += answered.len();
            check_gateway(clinic, objects, &answered).await?;
        }
        1 => {
            sending.kill().await?;
            let answered = sender.answered("first")?;
            settled(clinic, objects, &answered).await?;
        }
        _ => {
            clinic.cloud.kill()?;
            clinic.cloud.start().await?;
            ensure!(sending.wait().await?.success(), "the gateway needs the cloud to store");
        }
    }
    if sender.answered("first")?.len() < objects.len() {
        counts.broken_off += 1;
        let again = sender.start("again")?.wait().await?;
        ensure!(again.success(), "what is sent again is not taken: {}", sender.log("again")?);
    }
    Ok(())
}

/// A volume of noise, two measurements, a small image, in an order of chance.
fn objects(rng: &mut StdRng, round: usize) -> Sent {
    let mut volume = vec![0; rng.random_range(70_000..VOLUME_LEN_MAX)];
    rng.fill(&mut volume[..]);
    let first = rng.random_range(0..4);
    let uid = |at: usize| format!("2.25.3{round:04}{}", (at + first) % 4);
    let image = |uid: &str, pixels: &[u8]| {
        let set = oct::oct("2.25.3", "2.25.3.1", uid);
        set.pixels(8, pixels).file(EXPLICIT)
    };
    let mut objects = Sent::new();
    objects.insert(uid(0), image(&uid(0), &volume));
    objects.insert(uid(1), autorefraction(&uid(1)));
    objects.insert(uid(2), autorefraction(&uid(2)));
    objects.insert(uid(3), image(&uid(3), &volume[..900]));
    objects
}

fn autorefraction(uid: &str) -> Vec<u8> {
    let cylinder = Set::default().fd(0x0046_0147, &[-0.75]).fl(0x0022_0009, &[90.0]);
    let eye = Set::default().fd(0x0046_0146, &[-2.25]).items(0x0046_0018, vec![cylinder]);
    Set::default()
        .text(0x0008_0016, "UI", AUTOREFRACTION)
        .text(0x0008_0018, "UI", uid)
        .text(0x0008_0023, "DA", "20261130")
        .text(0x0008_0033, "TM", "101500")
        .text(0x0008_0060, "CS", "AR")
        .text(0x0008_0070, "LO", "Maker")
        .text(0x0010_0020, "LO", "B-1")
        .text(0x0020_000D, "UI", "2.25.3")
        .text(0x0020_000E, "UI", "2.25.3.2")
        .items(0x0046_0050, vec![eye.clone()])
        .items(0x0046_0052, vec![eye])
        .file(EXPLICIT)
}

const AUTOREFRACTION: &str = "1.2.840.10008.5.1.4.1.1.78.2";

fn write(folder: &Path, objects: &Sent) -> Result<Vec<(String, PathBuf)>> {
    fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for (uid, file) in objects {
        let path = folder.join(format!("{uid}.dcm"));
        fs::write(&path, file)?;
        paths.push((uid.clone(), path));
    }
    Ok(paths)
}

/// dcmtk's `storescu`, one association for all objects.
struct Sender {
    port: u16,
    folder: PathBuf,
    paths: Vec<(String, PathBuf)>,
}

impl Sender {
    fn start(&self, name: &str) -> Result<Child> {
        let log = File::create(self.folder.join(name))?;
        Command::new(SENDER)
            .args(["-v", "-aet", "OCT", "-aec", "CHIASM", "-R", "-xe", "127.0.0.1"])
            .arg(self.port.to_string())
            .args(self.paths.iter().map(|(_, path)| path))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("dcmtk is not installed: apt-get install dcmtk")
    }

    fn log(&self, name: &str) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.folder.join(name))?).into_owned())
    }

    /// The objects of which it was told that they are stored: it sends them in their order.
    fn answered(&self, name: &str) -> Result<BTreeSet<String>> {
        let count = self.log(name)?.matches("Received Store Response (Success)").count();
        Ok(self.paths.iter().take(count).map(|(uid, _)| uid.clone()).collect())
    }
}

fn instances_dir(clinic: &Clinic) -> PathBuf {
    clinic.gateways[0].data_dir().join("instances")
}

/// The gateway lives: it may still be keeping the last object that came whole, and removing half
/// of one.
async fn settled(clinic: &Clinic, sent: &Sent, promised: &BTreeSet<String>) -> Result<()> {
    let mut last = None;
    let settled = wait::until("the gateway to settle", wait::USUAL_MAX, async || {
        last = check_gateway(clinic, sent, promised).await.err();
        Ok(last.is_none().then_some(()))
    });
    match settled.await {
        Err(_) if last.is_some() => Err(last.expect("it was looked at")),
        other => other,
    }
}

/// SOP Instance UID, our name, SHA-256, and the file if it is small.
type Row = (String, String, Vec<u8>, Option<Vec<u8>>);

/// What the gateway holds is whole, what it promised is there, and there are no other files.
async fn check_gateway(clinic: &Clinic, sent: &Sent, promised: &BTreeSet<String>) -> Result<()> {
    let dir = instances_dir(clinic);
    let key = clinic.gateways[0].config_path().with_file_name(seal::KEY_FILE);
    let key = seal::load(&key)?.context("the gateway has no key")?;
    let options = SqliteConnectOptions::new().filename(dir.join("index.sqlite")).read_only(true);
    let mut index = SqliteConnection::connect_with(&options).await?;
    let rows: Vec<Row> = sqlx::query_as("select sop_instance_uid, id, sha256, small from instance")
        .fetch_all(&mut index)
        .await?;
    index.close().await?;
    let (mut held, mut names) = (BTreeSet::new(), BTreeSet::new());
    for (uid, id, sha256, small) in rows {
        let id: Uuid = id.parse()?;
        let file = match small {
            Some(small) => key.open(Purpose::Instance, id.as_bytes(), &small)?,
            None => {
                let name = format!("{id}.sealed");
                let file = File::open(dir.join("files").join(&name))?;
                let file = SealedFile::open(file, &key, Purpose::Instance, id.as_bytes())?;
                names.insert(name);
                file.read_at(0, 2 * VOLUME_LEN_MAX)?
            }
        };
        ensure!(Sha256::of(&file).0[..] == sha256, "{uid} is damaged at the gateway");
        if let Some(whole) = sent.get(&uid) {
            ensure!(data_set(&file)? == data_set(whole)?, "{uid} is not what was sent");
        }
        ensure!(held.insert(uid.clone()), "{uid} is held twice");
    }
    let missing: Vec<_> = promised.difference(&held).collect();
    ensure!(missing.is_empty(), "answered with success and lost: {missing:?}");
    for entry in fs::read_dir(dir.join("files"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(names.contains(&name), "{name} belongs to nothing");
    }
    ensure!(fs::read_dir(dir.join("incoming"))?.count() == 0, "something partial is left");
    Ok(())
}

/// Every object once, byte for byte, every measurement one reading, and nothing else.
async fn check_cloud(clinic: &Clinic, sent: &Sent) -> Result<()> {
    let found = wait::until("everything to be filed", Duration::from_secs(90), async || {
        let found = filed(clinic).await?;
        Ok((found.len() >= sent.len()).then_some(found))
    })
    .await?;
    ensure!(found.len() == sent.len(), "{} filed, {} sent", found.len(), sent.len());
    for (uid, stored) in &found {
        ensure!(stored.len() == 1, "{uid} is filed {} times", stored.len());
        let whole = sent.get(uid).with_context(|| format!("{uid} was never sent"))?;
        ensure!(data_set(&stored[0].1)? == data_set(whole)?, "{uid} is not what was sent");
    }
    let mut kept = Vec::new();
    walk(&clinic.cloud.data_dir().join("instances/objects"), &mut kept)?;
    ensure!(kept.len() == sent.len(), "{} objects are kept: {kept:?}", kept.len());
    let mut left = Vec::new();
    walk(&clinic.cloud.data_dir().join("instances/incoming"), &mut left)?;
    ensure!(left.is_empty(), "uploads are left behind: {left:?}");
    let options = SqliteConnectOptions::new()
        .filename(instances_dir(clinic).join("index.sqlite"))
        .read_only(true);
    let mut index = SqliteConnection::connect_with(&options).await?;
    wait::until("all readings to leave the gateway", wait::USUAL_MAX, async || {
        let (marked,): (i64,) = sqlx::query_as("select count(*) from instance where follow_up = 1")
            .fetch_one(&mut index)
            .await?;
        Ok((marked == 0 && clinic.gateways[0].waiting()? == 0).then_some(()))
    })
    .await?;
    index.close().await?;
    let measured = u64::try_from(sent.len() / 2)?;
    let ledger = Ledger::open(clinic.cloud.store_url()).await?;
    let readings = ledger.count("reading").await?;
    ensure!(readings == measured, "{readings} readings of {measured} measurements");
    Ok(())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { walk(&path, found)? } else { found.push(path) }
    }
    Ok(())
}
