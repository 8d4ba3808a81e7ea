//! The internet of one clinic is cut for a simulated day, and its gateway loses its power in the
//! middle of it. Another clinic goes on. Afterwards both sides' numbers have to agree.

use crate::{
    clinic::{Clinic, LOCATION, Neighbours, patients},
    cut::Cut,
    gateway::Gateway,
    http::Http,
    imager::{self, Imager, Scheduled},
    ledger::{Filed, Ledger},
    station::{Print, Station, Wire},
    stats::{Summary, millis},
    table::table,
    visit::{self, Announced, Encounter},
    wait,
};
use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The clinic that is cut off, its gateways, and what stands there.
const NORTH: &str = "gw-north";
const NORTH_IMAGING: &str = "gw-north-imaging";
const NORTH_MODELS: [&str; 3] = ["ARK-1a", "LM-7P", "NT-530"];
/// The clinic that goes on.
const SOUTH: &str = "gw-south";
const SOUTH_LOCATION: &str = "south";
const SOUTH_LANE: &str = "south-1";
const SOUTH_MODEL: &str = "NT-530";
/// The hours of the simulated day, the one in which the internet ends, the one of the power cut.
const HOURS: std::ops::RangeInclusive<u32> = 8..=17;
const CUT_AT: u32 = 9;
const POWER_CUT_AT: u32 = 13;
/// Every so many patients have an OCT volume taken.
const PATIENTS_PER_VOLUME: usize = 4;
/// Longest wait for everything to be filed when the internet is back.
const DRAINED_MAX: Duration = Duration::from_secs(1800);

/// Two clinics and what has been measured in the one that is cut off.
struct Day {
    clinic: Clinic,
    technician: Http,
    announced: Announced,
    cuts: [Cut; 2],
    imager: Imager,
    north: Vec<Encounter>,
    south: Vec<Encounter>,
    /// By link; and the volumes' studies.
    prints: Vec<(String, Print)>,
    volumes: Vec<Scheduled>,
    /// From the last byte of a print in the other clinic to the event on the page.
    live: Vec<Duration>,
}

/// Plays the day; an error if anything is lost, there twice, wrong, or not accounted for.
pub async fn play(patients_per_day: usize) -> Result<()> {
    let mut day = Day::begin(patients_per_day.max(1)).await?;
    let mut seen = 0;
    let mut cut_at = None;
    for hour in HOURS {
        if hour == CUT_AT {
            day.cuts.iter().for_each(Cut::cut);
            cut_at = Some(Timestamp::now());
            println!("{hour:02}:00  the internet of the northern clinic is cut");
        }
        if hour == POWER_CUT_AT {
            day.power_cut().await?;
            println!("{hour:02}:00  its gateways lose their power, and start without internet");
        }
        let upto = day.north.len() * (hour - HOURS.start() + 1) as usize / HOURS.count();
        for index in seen..upto {
            day.measure_in_the_north(index, hour >= CUT_AT).await?;
        }
        seen = upto;
        let latency = day.measure_in_the_south(hour as usize).await?;
        println!(
            "{hour:02}:30  north: {} prints and {} volumes so far, {} documents wait in the spool; \
             south: live after {} ms",
            day.prints.len(),
            day.volumes.len(),
            day.gateway(NORTH)?.waiting()?,
            millis(latency)
        );
    }
    let window = (cut_at.context("the internet is cut within the day")?, Timestamp::now());
    day.recover().await?;
    day.check(window).await
}

impl Day {
    async fn begin(patients_per_day: usize) -> Result<Self> {
        let mut clinic = Clinic::open(Neighbours::NONE, &["lane-1"], patients_per_day).await?;
        let broker = Cut::in_front_of(clinic.cloud.broker_port()).await?;
        let endpoint = Cut::in_front_of(clinic.cloud.endpoint_port()).await?;
        let ports = (broker.port(), endpoint.port());

        let stations = attach(&clinic, "lane-1", &NORTH_MODELS).await?;
        let links = stations.iter().map(|station| station.link.clone()).collect();
        let gateway = clinic.enrolled_gateway(NORTH, links)?;
        gateway.reach_cloud_by("localhost", ports.0, ports.1)?;
        clinic.stations.extend(stations);
        clinic.start_gateway(gateway).await?;
        let (imager, gateway) = clinic.enrolled_imaging_gateway(NORTH_IMAGING)?;
        gateway.reach_cloud_by("localhost", ports.0, ports.1)?;
        clinic.start_gateway(gateway).await?;

        clinic.add_location(SOUTH_LOCATION, "South street", &[SOUTH_LANE])?;
        clinic.schedule_at(SOUTH_LOCATION, &patients(patients_per_day))?;
        let stations = attach(&clinic, SOUTH_LANE, &[SOUTH_MODEL]).await?;
        let links = stations.iter().map(|station| station.link.clone()).collect();
        let gateway = clinic.enrolled_gateway_at(SOUTH_LOCATION, SOUTH, links)?;
        clinic.stations.extend(stations);
        clinic.start_gateway(gateway).await?;

        let technician = clinic.technician().await?;
        let (announced, _listener) = Announced::listen(&technician).await?;
        let north = visit::schedule_at(&technician, LOCATION).await?;
        let south = visit::schedule_at(&technician, SOUTH_LOCATION).await?;
        // Its worklist has to be in the clinic before the internet ends.
        imager::visit::find(&imager, north.first().context("nobody is scheduled")?).await?;
        let cuts = [broker, endpoint];
        let (prints, volumes, live) = (vec![], vec![], vec![]);
        let day = Self {
            clinic,
            technician,
            announced,
            cuts,
            imager,
            north,
            south,
            prints,
            volumes,
            live,
        };
        println!("two clinics of one practice; north has {} visits today\n", day.north.len());
        Ok(day)
    }

    fn gateway(&self, id: &str) -> Result<&Gateway> {
        let mut gateways = self.clinic.gateways.iter();
        gateways.find(|it| it.id == id).with_context(|| format!("no gateway {id}"))
    }

    /// One patient: with the internet the technician chooses who sits there, without it nobody can.
    async fn measure_in_the_north(&mut self, index: usize, is_cut: bool) -> Result<()> {
        let patient = self.north[index].clone();
        if !is_cut {
            visit::open_session(&self.clinic, &self.technician, "lane-1", &patient).await?;
        }
        for station in self.clinic.stations.iter_mut().filter(|it| it.link.lane == "lane-1") {
            let (print, _) = station.press_print().await?;
            self.prints.push((station.link.id.clone(), print));
        }
        if !is_cut {
            // Nobody stays chosen: who sits there when the internet ends is not known.
            self.all_filed().await?;
            let told = visit::Told::now(&self.clinic, "lane-1");
            self.technician.post("/api/v1/lanes/lane-1/session/end", Value::Null).await?;
            told.again(&self.clinic).await?;
        }
        if index.is_multiple_of(PATIENTS_PER_VOLUME) {
            let scheduled = imager::visit::find(&self.imager, &patient).await?;
            let file = imager::visit::volume(&scheduled, "R").await?;
            self.imager.send(&[file]).await?;
            self.volumes.push(scheduled);
        }
        Ok(())
    }

    async fn measure_in_the_south(&mut self, round: usize) -> Result<Duration> {
        let patient = self.south[round % self.south.len()].clone();
        visit::open_session(&self.clinic, &self.technician, SOUTH_LANE, &patient).await?;
        let mut stations = self.clinic.stations.iter_mut();
        let station = stations.find(|it| it.link.lane == SOUTH_LANE).context("no instrument")?;
        let (print, at) = station.press_print().await?;
        let link = station.link.id.clone();
        let sent = (&print, at);
        let filed = visit::filed(&self.technician, &self.announced, &patient, &link, sent).await?;
        self.live.push(filed.latency);
        Ok(filed.latency)
    }

    /// `kill -9` of both gateways of the clinic that is cut off.
    async fn power_cut(&mut self) -> Result<()> {
        let count = self.prints.len() as u64;
        wait::until("the gateway to have every print", wait::USUAL_MAX, async || {
            let last = self.gateway(NORTH)?.spool()?["last_seq"].as_u64();
            Ok(last.is_some_and(|last| last >= count).then_some(()))
        })
        .await?;
        for index in 0..self.clinic.gateways.len() {
            if self.clinic.gateways[index].id.starts_with(NORTH) {
                self.clinic.gateways[index].kill()?;
                self.clinic.restart_gateway(index).await?;
            }
        }
        Ok(())
    }

    async fn all_filed(&self) -> Result<()> {
        let what = format!("{NORTH} to have sent everything");
        let count = self.prints.len() as u64;
        wait::until(&what, wait::USUAL_MAX, async || {
            let spool = self.gateway(NORTH)?.spool()?;
            let has_all = spool["last_seq"].as_u64().is_some_and(|last| last >= count);
            Ok((has_all && spool["depth"] == 0).then_some(()))
        })
        .await
    }

    /// The internet is back: what waited is filed while the other clinic goes on.
    async fn recover(&mut self) -> Result<()> {
        let waiting = self.gateway(NORTH)?.waiting()?;
        self.cuts.iter().for_each(Cut::join);
        let began = Instant::now();
        self.live.clear();
        let (mut readings_after, mut volumes_after) = (None, None);
        println!("\nthe internet is back; {waiting} documents wait in the north");
        for round in 0.. {
            if readings_after.is_none() && self.gateway(NORTH)?.waiting()? == 0 {
                readings_after = Some(began.elapsed());
            }
            if volumes_after.is_none() && self.volumes_are_there().await? {
                volumes_after = Some(began.elapsed());
            }
            if readings_after.is_some() && volumes_after.is_some() {
                break;
            }
            ensure!(began.elapsed() < DRAINED_MAX, "not drained: {readings_after:?} readings");
            self.measure_in_the_south(round).await?;
        }
        let seconds = |after: Option<Duration>| after.unwrap_or_default().as_secs_f64();
        println!(
            "readings drained after {:.1} s, volumes after {:.1} s",
            seconds(readings_after),
            seconds(volumes_after)
        );
        if let Some(live) = Summary::of(&self.live) {
            println!(
                "south meanwhile: {} prints, live after {} ms (p50), {} ms (worst)\n",
                live.count,
                millis(live.p50),
                millis(live.max)
            );
        }
        Ok(())
    }

    async fn volumes_are_there(&self) -> Result<bool> {
        for scheduled in &self.volumes {
            if imager::visit::instances(&self.technician, scheduled).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every print is filed once, with its values and the time at which it was measured; the sums
    /// of gateways and cloud are the same.
    async fn check(&self, (cut_at, joined_at): (Timestamp, Timestamp)) -> Result<()> {
        let ledger = Ledger::open(self.clinic.cloud.store_url()).await?;
        let filed: Vec<Filed> = ledger.readings().await?.into_values().flatten().collect();
        let mut while_cut = 0;
        for (link, print) in &self.prints {
            let mut same = filed.iter().filter(|it| it.is_print(link, print));
            let (Some(reading), None) = (same.next(), same.next()) else {
                bail!("print {} of {link} is filed twice or not at all", print.number)
            };
            reading.check(print)?;
            let at = reading.envelope.time;
            ensure!(at <= joined_at, "print {} of {link} is dated {at}", print.number);
            while_cut += usize::from(at >= cut_at);
        }
        for scheduled in &self.volumes {
            let count = imager::visit::instances(&self.technician, scheduled).await?;
            ensure!(count == 1, "a volume is there {count} times");
        }
        println!("{}", self.numbers()?);
        println!(
            "{} prints in the north, {while_cut} of them without internet: each is filed once, with \
             the values that were sent, and with the date of its measurement; {} volumes are in \
             their exams",
            self.prints.len(),
            self.volumes.len()
        );
        Ok(())
    }

    /// What each gateway counts beside what the cloud counts of it.
    fn numbers(&self) -> Result<String> {
        let printed = self.clinic.cloud.run(&["admin", "reconcile", "--json"])?;
        let accounts: Vec<Value> =
            printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let mut rows = Vec::new();
        for gateway in &self.clinic.gateways {
            let spool = gateway.spool()?;
            let account = accounts.iter().find(|it| it["gateway"] == *gateway.id);
            let Some(account) = account else {
                ensure!(spool["last_seq"] == 0, "the cloud knows nothing of {}", gateway.id);
                continue;
            };
            let sum = |of: &Value| -> u64 {
                of.as_object().map_or(0, |of| of.values().filter_map(Value::as_u64).sum())
            };
            let filed = sum(&account["documents"]);
            let rejected = account["rejected"].as_u64().context("no `rejected`")?;
            let numbered = spool["last_seq"].as_u64().context("no `last_seq`")?;
            let held = spool["depth"].as_u64().context("no `depth`")?;
            ensure!(
                numbered == filed + rejected + held && account["balanced"] == true,
                "the numbers of {} do not agree: {spool}, {account}",
                gateway.id
            );
            let place = |name: &str| account["readings"][name].as_u64().unwrap_or(0);
            let waiting = place("tray") + place("inbox") + place("held");
            let cells =
                [numbered, held, filed, place("exam"), waiting, place("duplicate"), rejected];
            let cells = cells.map(|n| n.to_string());
            rows.push([vec![gateway.id.clone()], cells.to_vec(), vec!["agree".into()]].concat());
        }
        let header = [
            "gateway",
            "numbered",
            "still in its spool",
            "filed",
            "in exams",
            "waiting",
            "duplicate",
            "rejected",
            "both sides",
        ];
        Ok(table(&header, &rows))
    }
}

async fn attach(clinic: &Clinic, lane: &str, models: &[&str]) -> Result<Vec<Station>> {
    let mut stations = Vec::new();
    for model in models {
        stations.push(Station::attach(clinic.folder(), lane, model, Wire::Serial).await?);
    }
    Ok(stations)
}
