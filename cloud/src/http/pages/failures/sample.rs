//! One capture: how it is built, and for clinic IT, after saying why, what it says.

use super::super::{
    Action, Fault, Web, Who, begin,
    frame::{Frame, page},
    raw::{HexLine, LINE_LEN, SHOWN_MAX, hex_lines},
};
use crate::{
    app::{local_time, principal::Role, reason},
    domain::again::{self, Refusal},
    http::{extract::Form, show},
    store::{audit::About, parse_failure},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use chiasm_drivers::registry;
use chiasm_proto::{Body, Capture, Envelope, mask};
use std::time::Instant;

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage {
    frame: Frame,
    id: String,
    gateway: String,
    link: String,
    lane: String,
    time: String,
    driver: String,
    code: String,
    first_byte: Option<usize>,
    /// What the driver of this build says of it.
    today: String,
    len: usize,
    shown: usize,
    sha256: String,
    is_masked: bool,
    may_unmask: bool,
    lines: Vec<Line>,
}

struct Line {
    hex: HexLine,
    /// The first byte that the driver refused stands in it.
    is_refused: bool,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    sample(&web, &who, &id, true).await
}

/// The bytes without their mask: an act of its own, with a reason, in the audit before anything is
/// shown.
pub async fn unmask(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let why = reason(&form.reason)?.to_owned();
    let mut work = begin(&web, &who).await?;
    let row = parse_failure::capture(&mut work.tx, &who.tenant, &id).await?;
    row.ok_or_else(|| Fault::not_found("capture"))?;
    work.audit_about(("capture_seen", &id), About::default().why(&why)).await?;
    work.commit().await?;
    sample(&web, &who, &id, false).await
}

async fn sample(web: &Web, who: &Who, id: &str, is_masked: bool) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let row = parse_failure::capture(&mut tx, &who.tenant, id).await?;
    drop(tx);
    let row = row.ok_or_else(|| Fault::not_found("capture"))?;
    let envelope: Envelope =
        serde_json::from_str(&row.body).map_err(|error| Fault::ours(&error))?;
    let Body::Capture(capture) = envelope.body else { return Err(Fault::not_found("capture")) };
    let today = today(&capture).await?;
    let bytes = &capture.raw.bytes;
    let shown = &bytes[..bytes.len().min(SHOWN_MAX)];
    let lines = if is_masked { hex_lines(&mask(shown)) } else { hex_lines(shown) };
    let refused_line = capture.offset.map(|offset| offset / LINE_LEN);
    let line = |(index, hex)| Line { hex, is_refused: refused_line == Some(index) };
    page(FailurePage {
        frame: Frame::new("What could not be read", Some(who), "none"),
        id: row.document_id,
        gateway: row.gateway_id,
        link: capture.link.to_string(),
        lane: capture.lane.to_string(),
        time: show::date_and_time(row.captured_at_us, &local_time::zone(&row.time_zone)),
        driver: capture.driver.as_ref().map_or_else(
            || "none".to_owned(),
            |driver| format!("{} version {}", driver.id, driver.version),
        ),
        code: capture.code.replace('_', " "),
        first_byte: capture.offset,
        today,
        len: bytes.len(),
        shown: shown.len(),
        sha256: capture.raw.sha256.to_string(),
        is_masked,
        may_unmask: is_masked && who.role == Role::ClinicIt,
        lines: lines.into_iter().enumerate().map(line).collect(),
    })
}

/// Code, field and position, and nothing of what stood there. The gateway's own words stay out: they
/// may hold a file's name, and so a patient's.
async fn today(capture: &Capture) -> Result<String, Fault> {
    let Some(spec) = capture.driver.as_ref().and_then(|it| registry::find(&it.id)) else {
        return Ok("This build has no such driver.".into());
    };
    let bytes = capture.raw.bytes.clone();
    let decode = move || again::of_capture(spec, &bytes, None, Instant::now());
    let decoded = tokio::task::spawn_blocking(decode).await;
    let version = format!("Version {}", spec.version);
    Ok(match decoded.map_err(|error| Fault::ours(&error))? {
        Ok(found) if found.len() == 1 => format!("{version} reads it."),
        Ok(found) => format!("{version} reads {} readings in it.", found.len()),
        Err(Refusal::Refused(begin, error)) => {
            let field = error.field.map_or_else(String::new, |it| format!(" in {it}"));
            let code = error.code.as_str().replace('_', " ");
            format!("{version} refuses byte {}{field}: {code}.", begin + error.offset)
        }
        Err(Refusal::Nothing) => format!("{version} finds no transmission in it."),
        Err(Refusal::Cut) => {
            "Only the beginning was kept: it cannot be decoded again.".to_owned()
        }
        Err(Refusal::Configured) => {
            "What its columns mean stands in the gateway's configuration: it cannot be decoded here."
                .to_owned()
        }
    })
}
