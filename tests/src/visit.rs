//! A visit: people choose a patient, press Print on instruments, and look at what was filed.

use crate::{
    clinic::{Clinic, LOCATION},
    http::{Http, Live},
    station::Print,
    wait,
};
use anyhow::{Context, Result, bail, ensure};
use chiasm_proto::{Body, Envelope};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// A scheduled visit.
#[derive(Debug, Clone)]
pub struct Encounter {
    pub id: String,
    pub name: String,
}

/// A reading as the API shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    pub id: String,
    pub place: String,
    pub acceptance: String,
    pub needs_a_look: bool,
    pub envelope: Envelope,
}

impl Shown {
    fn parse(reading: &Value) -> Result<Self> {
        let text = |key: &str| {
            let value = reading[key].as_str().map(ToOwned::to_owned);
            value.with_context(|| format!("no `{key}` in {reading}"))
        };
        Ok(Self {
            id: text("reading_id")?,
            place: text("place")?,
            acceptance: text("acceptance")?,
            needs_a_look: reading["needs_a_look"].as_bool().context("no `needs_a_look`")?,
            envelope: serde_json::from_value(reading["document"].clone())?,
        })
    }

    /// Whether this is what the instrument on that link printed.
    pub fn is_print(&self, link: &str, print: &Print) -> bool {
        match &self.envelope.body {
            Body::Reading(reading) => {
                reading.link.as_str() == link && print.is_raw(&reading.raw.bytes)
            }
            Body::Capture(_) | Body::Event(_) | Body::ProcedureStep(_) | Body::LaneAct(_) => false,
        }
    }

    /// Fails with the first value that is not what the instrument sent.
    pub fn check(&self, print: &Print) -> Result<()> {
        let Body::Reading(reading) = &self.envelope.body else { bail!("it is no reading") };
        print.check(&reading.decoded.measurements)
    }
}

/// Today's visits, in the order of the schedule.
pub async fn schedule(http: &Http) -> Result<Vec<Encounter>> {
    schedule_at(http, LOCATION).await
}

/// The same, of another location.
pub async fn schedule_at(http: &Http, location: &str) -> Result<Vec<Encounter>> {
    let encounters = http.get(&format!("/api/v1/schedule?location={location}")).await?;
    let encounters = encounters.as_array().context("the schedule is a list")?;
    encounters
        .iter()
        .map(|encounter| {
            let text = |key: &str| {
                let value = encounter[key].as_str().map(ToOwned::to_owned);
                value.with_context(|| format!("no `{key}` in {encounter}"))
            };
            let name = format!("{} {}", text("given_name")?, text("family_name")?);
            Ok(Encounter { id: text("encounter_id")?, name })
        })
        .collect()
}

/// "This lane now measures this patient": returns when every gateway of the lane knows it.
pub async fn open_session(
    clinic: &Clinic,
    http: &Http,
    lane: &str,
    encounter: &Encounter,
) -> Result<()> {
    let told = Told::now(clinic, lane);
    let body = json!({ "encounter_id": encounter.id });
    http.post(&format!("/api/v1/lanes/{lane}/session"), body).await?;
    told.again(clinic).await
}

/// How often the gateways of a lane had been told who is in which lane.
pub struct Told {
    lane: String,
    times: Vec<usize>,
}

impl Told {
    pub fn now(clinic: &Clinic, lane: &str) -> Self {
        Self { times: Self::times(clinic, lane), lane: lane.into() }
    }

    fn times(clinic: &Clinic, lane: &str) -> Vec<usize> {
        let is_in_lane = |gateway: &&crate::gateway::Gateway| {
            gateway.links().iter().any(|link| link.lane == lane)
        };
        clinic.gateways.iter().filter(is_in_lane).map(|it| it.sessions_told()).collect()
    }

    /// Waits until every gateway of the lane was told again.
    pub async fn again(&self, clinic: &Clinic) -> Result<()> {
        wait::until("the gateway to know who is in the lane", wait::USUAL_MAX, async || {
            let now = Self::times(clinic, &self.lane);
            Ok(now.iter().zip(&self.times).all(|(now, before)| now > before).then_some(()))
        })
        .await
    }
}

/// The readings in a visit's exam.
pub async fn readings(http: &Http, encounter: &Encounter) -> Result<Vec<Shown>> {
    let readings = http.get(&format!("/api/v1/encounters/{}/readings", encounter.id)).await?;
    readings.as_array().context("readings are a list")?.iter().map(Shown::parse).collect()
}

/// What waits at the location for a person to say whose it is.
pub async fn waiting(http: &Http) -> Result<Vec<Shown>> {
    waiting_at(http, LOCATION).await
}

/// The same, at another location.
pub async fn waiting_at(http: &Http, location: &str) -> Result<Vec<Shown>> {
    let readings = http.get(&format!("/api/v1/waiting?location={location}")).await?;
    readings.as_array().context("readings are a list")?.iter().map(Shown::parse).collect()
}

/// Waits until a print waits for a person, with every value as it was sent.
pub async fn waits(http: &Http, link: &str, print: &Print) -> Result<Shown> {
    let what = format!("print {} of {link} to wait for a person", print.number);
    let reading = wait::until(&what, wait::USUAL_MAX, async || {
        Ok(waiting(http).await?.into_iter().find(|reading| reading.is_print(link, print)))
    })
    .await?;
    reading.check(print)?;
    Ok(reading)
}

/// When each reading was announced on an open live stream.
#[derive(Clone, Default)]
pub struct Announced {
    at: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Announced {
    /// Listens from now on.
    pub async fn listen(http: &Http) -> Result<(Self, JoinHandle<()>)> {
        let live = http.live("/live", None).await?;
        let announced = Self::default();
        let listener = tokio::spawn(announced.clone().follow(live));
        Ok((announced, listener))
    }

    async fn follow(self, mut live: Live) {
        while let Ok(event) = live.next().await {
            let now = Instant::now();
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
            if let Some(reading) = data["subject"].as_str() {
                let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
                at.entry(reading.to_owned()).or_insert(now);
            }
        }
    }

    pub fn at(&self, reading: &str) -> Option<Instant> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner).get(reading).copied()
    }
}

/// What became of one print.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub reading: Shown,
    /// From the print's last byte to the event on an open live stream, after the commit.
    pub latency: Duration,
}

/// Waits until a print stands in the visit's exam, announced, and with every value as it was sent.
pub async fn filed(
    http: &Http,
    announced: &Announced,
    encounter: &Encounter,
    link: &str,
    (print, sent_at): (&Print, Instant),
) -> Result<Outcome> {
    let what = format!("print {} of {link} to stand in the exam", print.number);
    let reading = wait::until(&what, wait::USUAL_MAX, async || {
        let mut readings = readings(http, encounter).await?;
        readings.retain(|reading| reading.is_print(link, print));
        ensure!(readings.len() <= 1, "print {} stands {} times", print.number, readings.len());
        // Asked again until the event is there too, which comes after the commit.
        Ok(readings.pop().filter(|reading| announced.at(&reading.id).is_some()))
    })
    .await?;
    reading.check(print)?;
    ensure!(reading.place == "exam", "print {} is in the {}", print.number, reading.place);
    let at = announced.at(&reading.id).context("the reading was announced")?;
    Ok(Outcome { reading, latency: at.saturating_duration_since(sent_at) })
}
