//! Setting instruments up (I2): which are read, how each is wired, set and tried, which driver fits a
//! file, and what came lately that nobody could read. Bytes are examined and never shown here:
//! whoever sets instruments up sees no patients.

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
};
use crate::http::extract::Form;
use crate::{
    app::{local_time, principal::Role},
    clock,
    http::show,
    store::capture::{self, CaptureRow},
};
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use chiasm_drivers::{
    DriverOptions, DriverSpec, Evidence, Sniff,
    detect::{self, Examination},
    handbook, registry,
};
use chiasm_proto::{Body, CAPTURE_LEN_MAX, Envelope};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// Captures on the page.
const CAPTURES_MAX: i64 = 12;
/// Bytes of a file that is examined.
const EXAMINED_LEN_MAX: usize = 768 * 1024;
/// Examinations at a time: whoever asks for many waits, and filing keeps its processors.
static EXAMINATIONS: Semaphore = Semaphore::const_new(1);

#[derive(Template)]
#[template(path = "instruments.html")]
struct InstrumentsPage {
    frame: Frame,
    query: String,
    groups: Vec<Vendor>,
    drivers: usize,
    models: usize,
    captures: Vec<Capture>,
    sees_captures: bool,
    answer: Option<Answer>,
}

struct Vendor {
    name: &'static str,
    drivers: Vec<Driver>,
}

struct Driver {
    id: &'static str,
    models: String,
    measures: String,
    attached_by: String,
    proved: &'static str,
    is_read: bool,
}

/// What came and could not be read.
struct Capture {
    gateway: String,
    link: String,
    lane: String,
    driver: String,
    time: String,
    /// What happened, without anything that was sent.
    why: String,
    len: usize,
    answer: Answer,
}

/// What can be said about bytes.
#[derive(Default)]
struct Answer {
    /// What was examined, for people.
    what: String,
    /// Driver and instruments.
    reads: Vec<(&'static str, String)>,
    /// Driver and why not.
    cannot: Vec<(&'static str, String)>,
    hints: Vec<String>,
}

#[derive(Template)]
#[template(path = "instrument.html")]
struct InstrumentPage {
    frame: Frame,
    spec: &'static DriverSpec,
    models: String,
    measures: String,
    attached_by: String,
    line_settings: String,
    ending: &'static str,
    proved: &'static str,
    is_read: bool,
    configuration: String,
}

#[derive(Deserialize)]
pub struct Search {
    #[serde(default)]
    q: String,
}

pub async fn list(
    State(web): State<Web>,
    who: Who,
    Query(search): Query<Search>,
) -> Result<Response, Fault> {
    render(&web, &who, search.q, None).await
}

#[derive(Deserialize)]
pub struct Examine {
    /// The bytes in hexadecimal, with white space wherever it stands.
    bytes: String,
    #[serde(default)]
    name: String,
}

/// Which driver fits the bytes of a file.
pub async fn examine(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<Examine>,
) -> Result<Response, Fault> {
    let bytes = from_hex(&form.bytes).ok_or_else(|| {
        let message = "These are not bytes in hexadecimal, two digits for each.";
        Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "not_hexadecimal", message)
    })?;
    if bytes.len() > EXAMINED_LEN_MAX {
        let message = format!("At most {EXAMINED_LEN_MAX} bytes can be examined here.");
        return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "too_large", message));
    }
    let name: String = form.name.chars().take(100).collect();
    let what = if name.is_empty() { "these bytes".into() } else { name };
    let answer = examined(bytes, what).await?;
    render(&web, &who, String::new(), Some(answer)).await
}

async fn render(
    web: &Web,
    who: &Who,
    query: String,
    answer: Option<Answer>,
) -> Result<Response, Fault> {
    let sees_captures = matches!(who.role, Role::ClinicIt | Role::CloudStaff);
    let mut captures = Vec::new();
    if sees_captures {
        let mut tx = web.core.db.tenant_read(&who.tenant).await?;
        let rows = capture::latest(&mut tx, &who.tenant, CAPTURES_MAX).await?;
        drop(tx);
        for row in rows {
            captures.extend(capture_of(row).await?);
        }
    }
    let read = registry::DRIVERS.iter().filter(|spec| spec.evidence != Evidence::NeedsCapture);
    page(InstrumentsPage {
        frame: Frame::new("Instruments", Some(who), "none"),
        groups: vendors(&query),
        drivers: read.clone().count(),
        models: read.map(|spec| spec.models.len()).sum(),
        query,
        captures,
        sees_captures,
        answer,
    })
}

/// Vendors with the drivers in which every word of the query stands somewhere.
fn vendors(query: &str) -> Vec<Vendor> {
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let mut vendors: Vec<Vendor> = Vec::new();
    for spec in registry::DRIVERS {
        let driver = driver(spec);
        let text = format!("{} {} {} {}", spec.vendor, driver.models, driver.measures, spec.id);
        let text = text.to_lowercase();
        if !words.iter().all(|word| text.contains(word)) {
            continue;
        }
        match vendors.iter_mut().find(|vendor| vendor.name == spec.vendor) {
            Some(vendor) => vendor.drivers.push(driver),
            None => vendors.push(Vendor { name: spec.vendor, drivers: vec![driver] }),
        }
    }
    vendors.sort_by_key(|vendor| vendor.name.to_lowercase());
    vendors
}

fn driver(spec: &'static DriverSpec) -> Driver {
    Driver {
        id: spec.id,
        models: spec.models.join(", "),
        measures: handbook::measures(spec),
        attached_by: handbook::attached_by(spec),
        proved: spec.evidence.in_words(),
        is_read: spec.evidence != Evidence::NeedsCapture,
    }
}

async fn capture_of(row: CaptureRow) -> Result<Option<Capture>, Fault> {
    let envelope = serde_json::from_str::<Envelope>(&row.body).ok();
    let Some(Body::Capture(capture)) = envelope.map(|envelope| envelope.body) else {
        return Ok(None);
    };
    let zone = local_time::zone(&row.time_zone);
    let why = why(&capture);
    let bytes = capture.raw.bytes;
    let len = bytes.len();
    let mut answer = examined(bytes, String::new()).await?;
    if len >= CAPTURE_LEN_MAX {
        // Of course a driver cannot read the beginning of something longer.
        answer.cannot.clear();
        answer.hints = vec!["Only the beginning was kept. Examine the file itself.".into()];
    }
    Ok(Some(Capture {
        gateway: row.gateway_id,
        link: capture.link.to_string(),
        lane: capture.lane.to_string(),
        driver: capture.driver.map(|driver| driver.id).unwrap_or_default(),
        time: show::date_and_time(row.captured_at_us, &zone),
        why,
        len,
        answer,
    }))
}

/// Code and position. The detail stays out: it may hold a file's name, and so a patient's.
fn why(capture: &chiasm_proto::Capture) -> String {
    let code = capture.code.replace('_', " ");
    capture.offset.map_or(code.clone(), |offset| format!("{code}, byte {offset}"))
}

/// Trying every driver may take milliseconds, so it does not stand in the way of others.
async fn examined(bytes: Vec<u8>, what: String) -> Result<Answer, Fault> {
    let turn = EXAMINATIONS.acquire().await.map_err(|error| Fault::ours(&error))?;
    let look = move || {
        let _turn = turn; // until it ends, even if nobody waits for it any more
        answer(&detect::examine(clock::monotonic(), &bytes, &DriverOptions::default()), what)
    };
    tokio::task::spawn_blocking(look).await.map_err(|error| Fault::ours(&error))
}

fn answer(examination: &Examination, what: String) -> Answer {
    let mut answer = Answer { what, ..Answer::default() };
    for trial in &examination.trials {
        let id = trial.spec.id;
        if trial.readings() > 0 {
            let names = format!("{} {}", trial.spec.vendor, trial.spec.models.join(", "));
            answer.reads.push((id, names));
            continue;
        }
        let fits = if trial.sniff == Sniff::Yes { "fits, but" } else { "might fit, but" };
        let why = match trial.refusal() {
            // Code, field and position: nothing of what stood there.
            Some((at, error)) => {
                let field = error.field.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
                format!("{fits} cannot read byte {at}{field}: {}", error.code.as_str())
            }
            None => format!("{fits} there is no transmission in it"),
        };
        answer.cannot.push((id, why));
    }
    answer.hints = examination.hints.iter().map(ToString::to_string).collect();
    answer
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if digits.len() % 2 == 1 {
        return None;
    }
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

pub async fn one(who: Who, Path(id): Path<String>) -> Result<Response, Fault> {
    let spec = registry::find(&id).ok_or_else(|| Fault::not_found("driver"))?;
    page(InstrumentPage {
        frame: Frame::new(format!("{} {}", spec.vendor, spec.models[0]), Some(&who), "none"),
        spec,
        models: spec.models.join(", "),
        measures: handbook::measures(spec),
        attached_by: handbook::attached_by(spec),
        line_settings: handbook::line_settings(spec),
        ending: handbook::ending(spec),
        proved: spec.evidence.in_words(),
        is_read: spec.evidence != Evidence::NeedsCapture,
        configuration: handbook::configuration(spec),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_with_any_white_space() {
        assert_eq!(from_hex("01 44\n4c4D 02"), Some(vec![1, 0x44, 0x4C, 0x4D, 2]));
        assert_eq!(from_hex(""), Some(vec![]));
        for wrong in ["0", "0g", "01 4", "0x01"] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_search_finds_by_vendor_model_and_measure() {
        let ids = |query: &str| -> Vec<&str> {
            vendors(query).iter().flat_map(|it| it.drivers.iter().map(|it| it.id)).collect()
        };
        assert!(ids("nidek ark-1").contains(&"nidek_ark"));
        assert!(ids("tonometry").contains(&"nidek_nt") && !ids("tonometry").contains(&"nidek_lm"));
        assert!(ids("no such instrument").is_empty());
        assert_eq!(ids("").len(), registry::DRIVERS.len());
    }
}
