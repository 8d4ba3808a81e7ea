//! Gateways in networks of their own whose cables are pulled, and made so slow that packets are lost,
//! at any moment: afterwards every reading is filed once, and both sides count the same.
//!
//! ```text
//! CHIASM_ROUNDS=500 CHIASM_SEED=42 cargo test -p chiasm-testbed --test network
//! ```

use anyhow::{Context, Result, bail};
use chiasm_testbed::{
    clinic::Clinic,
    ledger::{Filed, Ledger},
    network::{self, Cable},
    station::{Print, Station, Wire},
    story::story,
    wait,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::time::Duration;

const ROUNDS: u32 = 40;
const GATEWAYS: u8 = 3;
const MODELS: [&str; 2] = ["ARK-1a", "LM-7P"];
/// Between two faults.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// A reading is some kilobytes: it takes seconds, and many packets twice.
const KBIT_PER_S: std::ops::Range<u32> = 16..128;
/// Longest wait for everything to be filed, when the network is whole again: connections have to find
/// out that they are dead.
const FILED_MAX: Duration = Duration::from_secs(120);

#[test]
fn cut_slow_and_lossy_networks_lose_nothing() {
    if !network::is_inside() {
        return network::run_inside("cut_slow_and_lossy_networks_lose_nothing").unwrap();
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("CHIASM_SEED").unwrap_or_else(rand::random);
    let rounds = number("CHIASM_ROUNDS").map_or(ROUNDS, |rounds| u32::try_from(rounds).unwrap());
    eprintln!("CHIASM_SEED={seed} CHIASM_ROUNDS={rounds}");
    story("network", run(seed, rounds));
}

#[derive(Debug, Default)]
struct Tally {
    pulled: u32,
    choked: u32,
    packets_lost: u64,
}

async fn run(seed: u64, rounds: u32) -> Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let lanes: Vec<String> = (1..=GATEWAYS).map(|number| format!("lane-{number}")).collect();
    let lane_names: Vec<&str> = lanes.iter().map(String::as_str).collect();
    let mut clinic = Clinic::open_in_network(&lane_names, 1).await?;
    let mut cables = Vec::new();
    for (number, lane) in (1..).zip(&lanes) {
        let cable = Cable::lay(number)?;
        let mut stations = Vec::new();
        for model in MODELS {
            stations.push(Station::attach(clinic.folder(), lane, model, Wire::Serial).await?);
        }
        clinic.add_gateway_behind(&cable, &format!("gw-{number}"), stations).await?;
        cables.push(cable);
    }
    let (mut prints, mut tally) = (Vec::new(), Tally::default());
    for _ in 0..rounds {
        fault(&cables[rng.random_range(0..cables.len())], &mut rng, &mut tally)?;
        for station in &mut clinic.stations {
            prints.push((station.link.id.clone(), station.press_print().await?.0));
        }
        // The moment of the next fault is the test's randomness, not its synchronisation.
        tokio::time::sleep(rng.random_range(Duration::ZERO..=PAUSE_MAX)).await;
    }
    for cable in &cables {
        tally.packets_lost += cable.dropped()?;
        cable.free()?;
        cable.plug_in()?;
    }
    check(&clinic, &prints).await?;
    eprintln!(
        "{rounds} rounds, cables pulled {}, choked {}, packets lost {} at least; \
         {} readings, lost 0, twice 0",
        tally.pulled,
        tally.choked,
        tally.packets_lost,
        prints.len()
    );
    Ok(())
}

/// Another state for one cable.
fn fault(cable: &Cable, rng: &mut StdRng, tally: &mut Tally) -> Result<()> {
    tally.packets_lost += cable.dropped()?;
    match rng.random_range(0..4) {
        0 => {
            tally.pulled += 1;
            cable.pull()
        }
        1 => {
            tally.choked += 1;
            cable.plug_in()?;
            cable.choke(rng.random_range(KBIT_PER_S))
        }
        _ => {
            cable.free()?;
            cable.plug_in()
        }
    }
}

async fn check(clinic: &Clinic, prints: &[(String, Print)]) -> Result<()> {
    let ledger = Ledger::open(clinic.cloud.store_url()).await?;
    wait::until("every reading to be filed", FILED_MAX, async || {
        Ok((ledger.count("reading").await? >= prints.len() as u64).then_some(()))
    })
    .await?;
    for gateway in &clinic.gateways {
        wait::until("the gateways to know it", wait::USUAL_MAX, async || {
            Ok((gateway.waiting()? == 0).then_some(()))
        })
        .await?;
    }
    let filed: Vec<Filed> = ledger.readings().await?.into_values().flatten().collect();
    for (link, print) in prints {
        let mut same = filed.iter().filter(|it| it.is_print(link, print));
        let (Some(reading), None) = (same.next(), same.next()) else {
            bail!("print {} of {link} is filed twice or not at all", print.number)
        };
        reading.check(print)?;
    }
    clinic.cloud.run(&["admin", "reconcile"]).context("the numbers do not add up")?;
    Ok(())
}
