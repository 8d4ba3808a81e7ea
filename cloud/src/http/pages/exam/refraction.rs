//! Writing acuities, the subjective refraction and the final prescription: a page of its own that
//! nothing refreshes, so that what is being typed stays, and its forms.

use super::{
    super::{
        Fault, Names, Web, Who, begin,
        frame::{Frame, page},
        visit::Visit,
    },
    record::{self, ACUITY_ROWS, RecordView},
};
use crate::{
    app::{
        local_time, look,
        prescribe::{self, Kind, SaveError},
    },
    clock,
    domain::prescription::{self, Draft, Field, FieldFault, Prescription},
    http::fault,
    store::{
        encounter, exam,
        exam_entry::{self, Entry},
        site,
    },
};
use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use chiasm_proto::{Eye, Measured};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "refraction.html")]
struct RefractionPage {
    frame: Frame,
    visit: Visit,
    here: String,
    record: RecordView,
    /// What was measured, to look at while writing: label, right, left.
    measured: Vec<(String, String, String)>,
    acuity: EntryForm,
    acuity_rows: [(&'static str, &'static str); 5],
    subjective: EntryForm,
    final_rx: EntryForm,
}

/// A form with what it shows: what is saved, or what was typed and not taken.
pub struct EntryForm {
    kind: Kind,
    version: i64,
    draft: Draft,
    faults: Vec<FieldFault>,
    /// What somebody else saved meanwhile, with who and when.
    theirs: Option<(Draft, String)>,
    saved: Prescription,
    by: String,
}

impl EntryForm {
    fn id(&self) -> &'static str {
        self.kind.as_str()
    }
    fn value(&self, field: impl AsRef<str>) -> &str {
        self.draft.get(field.as_ref()).map_or("", String::as_str)
    }
    fn is(&self, field: impl AsRef<str>, value: impl AsRef<str>) -> bool {
        self.value(field) == value.as_ref()
    }
    fn fault(&self, field: impl AsRef<str>) -> Option<&str> {
        let fault = self.faults.iter().find(|fault| fault.field == field.as_ref())?;
        Some(&fault.message)
    }
    /// What the other person saved in this field, where it is not what stands here.
    fn theirs(&self, field: impl AsRef<str>) -> Option<&str> {
        let ((theirs, _), field) = (self.theirs.as_ref()?, field.as_ref());
        let text = theirs.get(field).map_or("", String::as_str);
        (text != self.value(field)).then_some(if text.is_empty() { "empty" } else { text })
    }
    fn is_ar(&self, side: &str, field: &str) -> bool {
        let rx = if side == "right" { &self.saved.right } else { &self.saved.left };
        match field {
            "sphere" => rx.is_untouched(Field::Sphere),
            "cylinder" => rx.is_untouched(Field::Cylinder),
            "axis" => rx.is_untouched(Field::Axis),
            _ => false,
        }
    }
    fn has_ar(&self, side: &str) -> bool {
        ["sphere", "cylinder", "axis"].iter().any(|field| self.is_ar(side, field))
    }
}

/// What was typed and not saved.
struct Unsaved {
    kind: Kind,
    draft: Draft,
    faults: Vec<FieldFault>,
    is_meanwhile: bool,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    render(&web, &who, &id, None).await
}

async fn render(
    web: &Web,
    who: &Who,
    id: &str,
    unsaved: Option<Unsaved>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, id).await?;
    let found = found.ok_or_else(|| Fault::not_found("exam"))?;
    let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    let zone = local_time::zone(&location.time_zone);
    let names = Names::load(&mut tx, &who.tenant).await?;
    let rows = exam::readings(&mut tx, &who.tenant, id).await?;
    let entries = exam_entry::all(&mut tx, &who.tenant, id).await?;
    let record = RecordView::load(&mut tx, who, (id, &rows), (&zone, &names)).await?;
    drop(tx);
    look::look(&web.core.db, who, ("exam_seen", id), clock::now_us()).await?;
    let form = |kind: Kind| {
        let entry = entries.iter().find(|entry| entry.kind == kind.as_str());
        let by = entry.map(|it| record::by(it, &zone, &names)).unwrap_or_default();
        entry_form(kind, entry, by, unsaved.as_ref().filter(|it| it.kind == kind))
    };
    let status = match &unsaved {
        Some(it) if it.is_meanwhile => StatusCode::CONFLICT,
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let body = page(RefractionPage {
        frame: Frame::new("Refraction", Some(who), "none"),
        visit: Visit::new(&found, &zone),
        here: format!("/exams/{id}"),
        measured: measured(&rows),
        acuity: form(Kind::Acuity),
        acuity_rows: ACUITY_ROWS,
        subjective: form(Kind::Subjective),
        final_rx: form(Kind::Final),
        record,
    })?;
    Ok((status, body).into_response())
}

fn entry_form(
    kind: Kind,
    entry: Option<&Entry>,
    by: String,
    unsaved: Option<&Unsaved>,
) -> EntryForm {
    let saved = match kind {
        Kind::Acuity => Prescription::default(),
        _ => entry.and_then(prescribe::prescription_of).unwrap_or_default(),
    };
    let draft = match kind {
        Kind::Acuity => entry.map(prescribe::acuities_of).unwrap_or_default(),
        _ => prescription::typed(&saved),
    };
    let version = entry.map_or(0, |entry| entry.version);
    let mut form = EntryForm { kind, version, draft, faults: vec![], theirs: None, saved, by };
    if let Some(unsaved) = unsaved {
        let saved_draft = std::mem::replace(&mut form.draft, unsaved.draft.clone());
        form.faults = unsaved.faults.clone();
        form.theirs = unsaved.is_meanwhile.then(|| (saved_draft, form.by.clone()));
    }
    form
}

/// What the instruments say of the refraction, in one line each.
fn measured(rows: &[exam::ReadingRow]) -> Vec<(String, String, String)> {
    let mut lines = Vec::new();
    let eye = |eye| prescribe::autorefraction(rows, eye).map(|(it, _)| record::value_words(&it));
    if let (right, left) = (eye(Eye::Right), eye(Eye::Left))
        && (right.is_some() || left.is_some())
    {
        let label = "Autorefraction, a starting point".to_owned();
        lines.push((label, right.unwrap_or_default(), left.unwrap_or_default()));
    }
    let (right, left) = (wearing(rows, Eye::Right), wearing(rows, Eye::Left));
    if right.is_some() || left.is_some() {
        let label = "Wearing, from the lensmeter".to_owned();
        lines.push((label, right.unwrap_or_default(), left.unwrap_or_default()));
    }
    lines
}

/// The latest lens of an eye that nobody rejected.
fn wearing(rows: &[exam::ReadingRow], eye: Eye) -> Option<String> {
    for row in rows.iter().filter(|row| row.acceptance != "rejected") {
        let Some(reading) = row.reading_of_patient() else { continue };
        for measurement in reading.decoded.measurements.iter().filter(|it| it.eye == eye) {
            let Measured::Lensometry(lens) = &measurement.measured else { continue };
            let Some(sphere) = lens.sphere else { continue };
            let mut text = format!("{sphere:+}");
            if let Some(cylinder) = lens.cylinder.filter(|it| !it.is_zero()) {
                text.push_str(&format!(" {cylinder:+}"));
                let axis = lens.axis_deg.map(|axis| if axis == 0 { 180 } else { axis });
                text.push_str(&axis.map(|it| format!(" \u{d7} {it:03}")).unwrap_or_default());
            }
            text.push_str(&lens.add.map(|add| format!(" add {add:+}")).unwrap_or_default());
            return Some(text);
        }
    }
    None
}

async fn save(
    (web, who, id): (Web, Who, String),
    kind: Kind,
    draft: Draft,
) -> Result<Response, Fault> {
    let seen_version = draft.get("version").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut work = begin(&web, &who).await?;
    let unsaved = match prescribe::save(&mut work, &id, kind, &draft, seen_version).await {
        Ok(()) => {
            work.commit().await?;
            let here = format!("/exams/{id}/refraction#form-{}", kind.as_str());
            return Ok(Redirect::to(&here).into_response());
        }
        Err(SaveError::Fields(faults)) => Unsaved { kind, draft, faults, is_meanwhile: false },
        Err(SaveError::Meanwhile(_)) => Unsaved { kind, draft, faults: vec![], is_meanwhile: true },
        Err(SaveError::App(error)) => return Err(error.into()),
    };
    drop(work);
    render(&web, &who, &id, Some(unsaved)).await
}

pub async fn save_acuity(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(draft): Form<Draft>,
) -> Result<Response, Fault> {
    save((web, who, id), Kind::Acuity, draft).await
}

pub async fn save_subjective(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(draft): Form<Draft>,
) -> Result<Response, Fault> {
    save((web, who, id), Kind::Subjective, draft).await
}

pub async fn save_final(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(draft): Form<Draft>,
) -> Result<Response, Fault> {
    save((web, who, id), Kind::Final, draft).await
}

/// Fields of the forms with one button.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tap {
    version: i64,
    /// `OD`, `OS`, or empty for both.
    eye: String,
    replace: Option<String>,
    back: String,
}

/// The eyes that a form names.
fn eyes(text: &str) -> Result<Vec<Eye>, Fault> {
    match text {
        "OD" => Ok(vec![Eye::Right]),
        "OS" => Ok(vec![Eye::Left]),
        "" => Ok(vec![Eye::Right, Eye::Left]),
        _ => Err(Fault::bad_request("The eye is `OD` or `OS`, or left out for both.")),
    }
}

impl Tap {
    fn done(&self, encounter: &str) -> Response {
        let page = format!("/exams/{encounter}/refraction");
        let exam = format!("/exams/{encounter}#refraction");
        Redirect::to(if self.back == "page" { &page } else { &exam }).into_response()
    }
}

pub async fn start(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(tap): Form<Tap>,
) -> Result<Response, Fault> {
    let how = (tap.replace.is_some(), tap.version);
    let mut work = begin(&web, &who).await?;
    let eyes = eyes(&tap.eye)?;
    prescribe::start_from_autorefraction(&mut work, &id, &eyes, how).await.map_err(save_fault)?;
    work.commit().await?;
    Ok(tap.done(&id))
}

pub async fn finalise(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Form(tap): Form<Tap>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    prescribe::finalise(&mut work, &id, tap.version).await.map_err(save_fault)?;
    work.commit().await?;
    Ok(tap.done(&id))
}

/// A save that failed, for forms without fields and for programs.
pub fn save_fault(error: SaveError) -> Fault {
    match error {
        SaveError::Fields(faults) => {
            let words: Vec<String> =
                faults.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
            let mut fault =
                Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", words.join("; "));
            fault.fields =
                faults.iter().map(|it| fault::FieldFault::new(&it.field, &it.message)).collect();
            fault
        }
        SaveError::Meanwhile(_) => {
            let message = "Somebody else saved this meanwhile. Look at it again, then repeat.";
            Fault::new(StatusCode::CONFLICT, "changed_meanwhile", message)
        }
        SaveError::App(error) => error.into(),
    }
}
