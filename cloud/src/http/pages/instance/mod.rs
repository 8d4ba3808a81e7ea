//! One instance to look at: a stack of scans, a photo, a map or a document; a second one beside it
//! if wanted. The first frame stands in the page, so that it works without script.

pub mod files;
mod pane;
mod stack;

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
    visit::Visit,
};
use crate::{
    app::local_time,
    clock,
    http::{extract::Params, show},
    imaging::{
        Header,
        header::Window,
        pictures::{Opened, Stored, ViewError},
    },
    store::{
        audit::About,
        encounter, instance,
        instance_view::{self, OfPatient},
        patient, site,
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use object_store::ObjectStore;
use pane::{Pane, Shelf};
use serde::Deserialize;
use std::sync::Arc;

/// The kind of value that looking at a picture shows, in the audit.
const IMAGE: &str = "image";

#[derive(Template)]
#[template(path = "instance.html")]
struct InstancePage {
    frame: Frame,
    visit: Option<Visit>,
    location_name: String,
    /// The exam, or the inbox.
    back: String,
    panes: Vec<Pane>,
    /// What else there is of this visit.
    shelf: Vec<Shelf>,
    /// What can stand beside: the visits of the patient, each with its images.
    offers: Vec<Offers>,
    beside: String,
    /// What is most often wanted beside.
    quick: Vec<pane::Quick>,
    has_stack: bool,
    has_picture: bool,
}

/// The images of one visit, to be chosen from.
struct Offers {
    label: String,
    offers: Vec<Offer>,
}

struct Offer {
    id: String,
    label: String,
    is_chosen: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// From 1.
    frame: Option<usize>,
    center: Option<f64>,
    width: Option<f64>,
    /// Another instance of the same patient.
    beside: Option<String>,
}

impl Ask {
    fn window(&self) -> Result<Option<Window>, Fault> {
        window(self.center, self.width)
    }
}

/// Both or neither, and something that can be seen through.
pub(in crate::http) fn window(
    center: Option<f64>,
    width: Option<f64>,
) -> Result<Option<Window>, Fault> {
    match (center, width) {
        (None, None) => Ok(None),
        (Some(center), Some(width))
            if center.is_finite() && width.is_finite() && (1.0..=1e9).contains(&width) =>
        {
            Ok(Some(Window { center, width }))
        }
        _ => Err(Fault::bad_request("A window needs a center and a width of at least 1.")),
    }
}

pub(in crate::http) fn store(web: &Web) -> Result<Arc<dyn ObjectStore>, Fault> {
    web.core.archive.store().map_err(|error| Fault::ours(&error))
}

/// An instance of the tenant.
pub(in crate::http) async fn opened(web: &Web, who: &Who, id: &str) -> Result<Arc<Opened>, Fault> {
    let pictures = &web.core.pictures;
    let found = match pictures.known(&who.tenant, id) {
        Some(found) => found,
        None => {
            let mut tx = web.core.db.tenant_read(&who.tenant).await?;
            let row = instance::by_id(&mut tx, &who.tenant, id).await?;
            drop(tx);
            let row = row.ok_or_else(|| Fault::not_found("image"))?;
            let stored = Stored {
                object_key: row.object_key,
                len_bytes: row.len_bytes.cast_unsigned(),
                sha256: row.sha256,
                header: serde_json::from_str(&row.header).unwrap_or_default(),
            };
            pictures.open(&store(web)?, (&who.tenant, id), stored).await?
        }
    };
    Ok(found)
}

/// The exam that an instance is in now. Asked anew each time: an image that was moved is another
/// patient's from then on, and so is every look at it.
async fn exam_of(web: &Web, who: &Who, id: &str) -> Result<Option<String>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    Ok(instance_view::exam_of(&mut tx, &who.tenant, id).await?)
}

/// Notes that somebody looks at an instance: once for all of its frames.
async fn note_look(web: &Web, who: &Who, id: &str, encounter: Option<&str>) -> Result<(), Fault> {
    let about = encounter.map(About::exam).unwrap_or_default().kinds([IMAGE]);
    let (db, now_us) = (&web.core.db, clock::now_us());
    web.core.looks.look_at(db, who, ("image_seen", id), about, now_us).await?;
    Ok(())
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Params(ask): Params<Ask>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let row = instance::by_id(&mut tx, &who.tenant, &id).await?;
    let row = row.ok_or_else(|| Fault::not_found("image"))?;
    let mut visit = None;
    let mut location_name = String::new();
    let mut of_patient = Vec::new();
    let in_exam = row.encounter_id.as_ref().filter(|_| row.place == "exam");
    if let Some(encounter) = in_exam {
        let found = encounter::by_id(&mut tx, &who.tenant, encounter).await?;
        let found = found.ok_or_else(|| Fault::not_found("exam"))?;
        let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
        let location = location.ok_or_else(|| Fault::not_found("location"))?;
        let survivor = patient::survivor(&mut tx, &who.tenant, &found.patient_id).await?;
        of_patient = instance_view::of_patient(&mut tx, &who.tenant, &survivor).await?;
        visit = Some(Visit::new(&found, &local_time::zone(&location.time_zone)));
        location_name = location.name;
    }
    drop(tx);
    let images = parsed(of_patient);
    // Only the same patient's images are ever shown beside.
    let beside = ask.beside.as_deref().filter(|it| *it != id);
    let beside = beside.and_then(|it| images.iter().find(|(row, _)| row.instance_id == it));
    note_look(&web, &who, &id, in_exam.map(String::as_str)).await?;
    let mut panes = vec![Pane::load(&web, &who, &id, (&images, &ask)).await?];
    if let Some((other, _)) = beside {
        note_look(&web, &who, &other.instance_id, Some(&other.encounter_id)).await?;
        let plain = Ask { frame: ask.frame, ..Ask::default() };
        panes.push(Pane::load(&web, &who, &other.instance_id, (&images, &plain)).await?);
    }
    let beside = beside.map(|(row, _)| row.instance_id.clone()).unwrap_or_default();
    page(InstancePage {
        frame: Frame::new(panes[0].title.clone(), Some(&who), "none"),
        back: match in_exam {
            Some(encounter) => format!("/exams/{encounter}#images"),
            None => format!("/inbox/{}", row.location_id),
        },
        shelf: pane::shelf(&images, in_exam.map_or("", String::as_str), &id),
        offers: offers(&images, &id, &beside),
        quick: pane::quick(&images, &id),
        has_stack: panes.iter().any(Pane::is_stack),
        has_picture: panes.iter().any(|pane| pane.frames > 0),
        visit,
        location_name,
        panes,
        beside,
    })
}

/// An instance with its header.
type Image = (OfPatient, Header);

fn parsed(rows: Vec<OfPatient>) -> Vec<Image> {
    rows.into_iter()
        .map(|row| {
            let header = serde_json::from_str(&row.header).unwrap_or_default();
            (row, header)
        })
        .collect()
}

/// By visits, the latest first; what has no picture is left out.
fn offers(images: &[Image], shown: &str, beside: &str) -> Vec<Offers> {
    images
        .chunk_by(|one, other| one.0.encounter_id == other.0.encounter_id)
        .map(|visit| Offers {
            label: format!("Visit of {}", show::date(&visit[0].0.visit_date)),
            offers: visit
                .iter()
                .filter(|(row, header)| header.pixels.is_some() && row.instance_id != shown)
                .map(|(row, header)| Offer {
                    id: row.instance_id.clone(),
                    label: pane::name(header),
                    is_chosen: row.instance_id == beside,
                })
                .collect(),
        })
        .filter(|visit: &Offers| !visit.offers.is_empty())
        .collect()
}

impl From<ViewError> for Fault {
    fn from(error: ViewError) -> Self {
        match &error {
            ViewError::NotShown(sentence) => {
                Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "not_shown", sentence)
            }
            ViewError::NoSuchFrame(_) => Fault::not_found("frame"),
            ViewError::Store(_) | ViewError::Failed(_) => Fault::ours(&error),
        }
    }
}
