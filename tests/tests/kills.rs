//! `kill -9` of the gateway in the middle of a transmission, of the cloud in the middle of filing,
//! of the broker at any moment, which comes back empty; and PostgreSQL that ends in the middle of a
//! batch. Afterwards every reading is filed exactly once.
//!
//! What a killed gateway had read from the line and not yet written down is gone with it; a
//! technician sees nothing on the screen and prints again. So does this test, but only once the
//! system has come to rest without the reading; it counts these prints and tolerates no reading
//! that is filed twice, whatever was printed again.
//!
//! ```text
//! CHIASM_KILLS=1000 CHIASM_SEED=42 cargo test -p chiasm-testbed --test kills
//! ```

use anyhow::{Context, Result, ensure};
use chiasm_testbed::{
    clinic::{Clinic, Neighbours},
    ledger::{Ledger, Number},
    station::{Print, Station, Wire},
    story::story,
    table::table,
    wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    time::{Duration, Instant},
};

/// Kills of one run, unless the environment says otherwise.
const KILLS: u32 = 200;
/// And with PostgreSQL, which takes its time to recover.
const KILLS_WITH_POSTGRES: u32 = 20;
/// How long nothing may come of a print, with everything running and nothing waiting, before it is
/// taken for lost and made again. Longer than any driver waits for the rest of a frame.
const REST: Duration = Duration::from_secs(5);
/// Most prints made again, as a part of the kills. A gateway that forgot half-received frames would
/// need one for every second kill.
const REPRINTS_PER_KILL_MAX: f64 = 0.1;
/// A transmission goes out in pieces of up to this many bytes, as a line delivers them.
const PIECE_LEN_MAX: usize = 64;
/// And with pauses of up to this long between them.
const PAUSE_MAX: Duration = Duration::from_millis(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Gateway,
    Cloud,
    Broker,
    Database,
}

impl Victim {
    /// The latest moment to strike, counted from the first byte of the prints.
    fn delay_max(self) -> Duration {
        Duration::from_millis(match self {
            Victim::Gateway => 60,
            Victim::Cloud | Victim::Broker | Victim::Database => 120,
        })
    }
}

#[derive(Debug, Default)]
struct Tally {
    kills: BTreeMap<Victim, u32>,
    printed: BTreeSet<Number>,
    reprinted: u32,
}

#[test]
fn every_reading_is_filed_exactly_once_through_two_hundred_kills() {
    through(KILLS, false);
}

#[test]
fn every_reading_is_filed_exactly_once_while_postgresql_is_restarted() {
    through(KILLS_WITH_POSTGRES, true);
}

fn through(kills: u32, postgres: bool) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("CHIASM_SEED").unwrap_or_else(rand::random);
    let kills = number("CHIASM_KILLS").map_or(kills, |kills| u32::try_from(kills).unwrap());
    show(&format!("CHIASM_SEED={seed} CHIASM_KILLS={kills}\n"));
    story("kills", run(seed, kills, postgres));
}

/// Past the test runner's capture: the numbers are wanted when all is well, too.
fn show(text: &str) {
    // Nobody reads it where standard error is closed.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

async fn run(seed: u64, kills: u32, postgres: bool) -> Result<()> {
    let started = Instant::now();
    let mut rng = StdRng::seed_from_u64(seed);
    let neighbours = Neighbours { postgres, mosquitto: true };
    let mut clinic = Clinic::open(neighbours, &["lane-1"], 1).await?;
    let mut stations = Vec::new();
    for model in ["ARK-1a", "LM-7P", "NT-530"] {
        stations.push(Station::attach(clinic.folder(), "lane-1", model, Wire::Serial).await?);
    }
    clinic.add_gateway("gw-1", stations).await?;
    let ledger = Ledger::open(clinic.cloud.store_url()).await?;
    let mut tally = Tally::default();
    while tally.kills.values().sum::<u32>() < kills {
        round(&mut clinic, &ledger, &mut rng, &mut tally).await.with_context(|| {
            format!("seed {seed}, after {} kills", tally.kills.values().sum::<u32>())
        })?;
    }
    report(&clinic, &ledger, &tally, started.elapsed()).await
}

/// All instruments print at once, something is killed meanwhile and started again, and then every
/// print has to arrive.
async fn round(
    clinic: &mut Clinic,
    ledger: &Ledger,
    rng: &mut StdRng,
    tally: &mut Tally,
) -> Result<()> {
    let victim = match rng.random_range(0..10) {
        0..4 if clinic.postgres.is_some() => Victim::Database,
        0..5 => Victim::Gateway,
        5..8 => Victim::Cloud,
        _ => Victim::Broker,
    };
    let delay = rng.random_range(Duration::ZERO..=victim.delay_max());
    let mut prints = Vec::new();
    for station in &mut clinic.stations {
        let print = station.next_print()?;
        tally.printed.insert((station.link.id.clone(), print.number.clone()));
        prints.push(print);
    }
    let mut stations = std::mem::take(&mut clinic.stations);
    let play = play_all(&mut stations, &prints, rng.random());
    let strike = async {
        // The moment is the test's randomness, not its synchronisation.
        tokio::time::sleep(delay).await;
        kill(clinic, victim).await
    };
    let (played, killed) = tokio::join!(play, strike);
    clinic.stations = stations;
    killed?;
    start_again(clinic, victim).await?;
    played?;
    *tally.kills.entry(victim).or_default() += 1;
    settle(clinic, ledger, &prints, tally).await
}

async fn play_all(stations: &mut [Station], prints: &[Print], seed: u64) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut rest: Vec<&[u8]> = prints.iter().map(|print| &print.transmission.bytes[..]).collect();
    while rest.iter().any(|bytes| !bytes.is_empty()) {
        for (station, bytes) in stations.iter_mut().zip(&mut rest) {
            let length = rng.random_range(0..=PIECE_LEN_MAX).min(bytes.len());
            let (piece, later) = bytes.split_at(length);
            station.attachment.send(piece).await?;
            *bytes = later;
        }
        tokio::time::sleep(rng.random_range(Duration::ZERO..=PAUSE_MAX)).await;
    }
    Ok(())
}

async fn kill(clinic: &mut Clinic, victim: Victim) -> Result<()> {
    match victim {
        Victim::Database => clinic.postgres.as_mut().context("there is a database")?.crash().await,
        Victim::Gateway => clinic.gateways[0].kill(),
        Victim::Cloud => clinic.cloud.kill(),
        Victim::Broker => clinic.mosquitto.as_mut().context("there is a broker")?.kill(),
    }
}

async fn start_again(clinic: &mut Clinic, victim: Victim) -> Result<()> {
    match victim {
        Victim::Gateway => clinic.restart_gateway(0).await,
        Victim::Cloud => clinic.cloud.start().await,
        Victim::Database => {
            clinic.postgres.as_mut().context("there is a database")?.start_again().await
        }
        Victim::Broker => {
            clinic.mosquitto.as_mut().context("there is a broker")?.start_again().await
        }
    }
}

/// Waits until every print of the round is filed. One that is not, although the system is at rest,
/// is made again.
async fn settle(
    clinic: &mut Clinic,
    ledger: &Ledger,
    prints: &[Print],
    tally: &mut Tally,
) -> Result<()> {
    let mut missing: Vec<usize> = (0..prints.len()).collect();
    while !missing.is_empty() {
        let mut last_change = (Instant::now(), 0);
        let stations = &clinic.stations;
        let gateway = &clinic.gateways[0];
        let links: Vec<String> = stations.iter().map(|station| station.link.id.clone()).collect();
        missing = wait::until("every print to be filed", wait::USUAL_MAX * 2, async || {
            let documents = ledger.documents().await?;
            if documents != last_change.1 {
                last_change = (Instant::now(), documents);
            }
            let is_quiet = last_change.0.elapsed() > REST;
            // The ledger is read after the spool: what is in neither has not arrived. The other way
            // round, what moves from one to the other meanwhile would be taken for lost.
            let is_at_rest = is_quiet && gateway.waiting()? == 0;
            let filed = ledger.readings().await?;
            let not_filed = |index: &usize| {
                let number = &prints[*index].number;
                !filed.contains_key(&(links[*index].clone(), number.clone()))
            };
            let missing: Vec<usize> = missing.iter().copied().filter(not_filed).collect();
            Ok((missing.is_empty() || is_at_rest).then_some(missing))
        })
        .await?;
        for index in &missing {
            tally.reprinted += 1;
            clinic.stations[*index].send(&prints[*index]).await?;
        }
    }
    Ok(())
}

async fn report(clinic: &Clinic, ledger: &Ledger, tally: &Tally, elapsed: Duration) -> Result<()> {
    let filed = ledger.readings().await?;
    let twice: Vec<&Number> =
        filed.iter().filter(|(_, times)| times.len() > 1).map(|(number, _)| number).collect();
    let lost: Vec<&Number> =
        tally.printed.iter().filter(|number| !filed.contains_key(*number)).collect();
    let strange: Vec<&Number> =
        filed.keys().filter(|number| !tally.printed.contains(*number)).collect();
    let row = |what: &str, count: usize| vec![what.to_owned(), count.to_string()];
    let mut rows: Vec<Vec<String>> = tally
        .kills
        .iter()
        .map(|(victim, count)| {
            vec![format!("kills of the {victim:?}").to_lowercase(), count.to_string()]
        })
        .collect();
    rows.push(row("readings printed", tally.printed.len()));
    rows.push(row("readings filed", filed.len()));
    rows.push(row("printed again because the bytes were lost", tally.reprinted as usize));
    rows.push(row("captures that gave no reading", ledger.count("capture").await? as usize));
    rows.push(row("filed twice", twice.len()));
    rows.push(row("lost", lost.len()));
    rows.push(row("seconds", elapsed.as_secs() as usize));
    show(&table(&["what", "count"], &rows));
    ensure!(twice.is_empty(), "filed twice: {twice:?}");
    ensure!(lost.is_empty(), "lost: {lost:?}");
    ensure!(strange.is_empty(), "never printed, but filed: {strange:?}");
    let reprints_max = f64::from(tally.kills.values().sum::<u32>()) * REPRINTS_PER_KILL_MAX;
    let is_rare = f64::from(tally.reprinted) <= reprints_max.max(2.0);
    ensure!(is_rare, "{} prints had to be made again", tally.reprinted);
    ensure!(clinic.gateways[0].waiting()? == 0, "the spool still holds documents");
    clinic.cloud.run(&["admin", "reconcile"]).context("the numbers do not add up")?;
    Ok(())
}
