//! What the viewer asks for: frames, thumbnails, documents, and the file itself.

use super::{Ask, exam_of, note_look, opened, stack::Stack, store};
use crate::{
    http::{Fault, Web, Who, extract::Params},
    imaging::pictures::{Shown, ViewError},
    store::{audit::About, instance},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use object_store::{ObjectStoreExt, path::Path as Key};

/// What is shown never changes; it is kept by this browser only, and not for longer than a visit
/// lasts.
const CACHING: &str = "private, max-age=3600, immutable";

/// `{frame}` is a number from 1, with or without `.png`; of a concatenation it counts over all parts,
/// and how many there were stands before it (`3-17.png`), so that a browser does not show what it
/// kept from before another part came.
pub async fn frame(
    State(web): State<Web>,
    who: Who,
    Path((id, place)): Path<(String, String)>,
    Params(ask): Params<Ask>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let window = ask.window()?;
    let place = place.strip_suffix(".png").unwrap_or(&place);
    let number = place.rsplit('-').next().and_then(|number| number.parse().ok());
    let stack = Stack::load(&web, &who, &id).await?;
    let found = number.and_then(|number| stack.find(number));
    let (part, number) = found.ok_or_else(|| Fault::not_found("frame"))?;
    let (id, opened) = (part.id.as_str(), &part.opened);
    let window = stack.window(&web, window).await?;
    note_look(&web, &who, id, exam_of(&web, &who, id).await?.as_deref()).await?;
    let bits = window.map_or((0, 0), |it| (it.center.to_bits(), it.width.to_bits()));
    let tag = format!("\"{}-{number}-{:x}-{:x}\"", &opened.sha256, bits.0, bits.1);
    if let Some(unchanged) = unchanged(&headers, &tag) {
        return Ok(unchanged);
    }
    let name = (who.tenant.as_str(), id);
    let store = store(&web)?;
    let shown = web.core.pictures.frame(&store, name, opened, (number, window)).await?;
    Ok(picture(shown, &tag))
}

pub async fn thumbnail(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let opened = opened(&web, &who, &id).await?;
    // Pages that list images have noted the look at the exam; thumbnails are part of it.
    match exam_of(&web, &who, &id).await? {
        Some(encounter) => {
            let what = ("exam_seen", encounter.as_str());
            let about = About::exam(&encounter).kinds(["image"]);
            let now_us = crate::clock::now_us();
            web.core.looks.look_at(&web.core.db, &who, what, about, now_us).await?;
        }
        None => note_look(&web, &who, &id, None).await?,
    }
    let tag = format!("\"{}-thumbnail\"", &opened.sha256);
    if let Some(unchanged) = unchanged(&headers, &tag) {
        return Ok(unchanged);
    }
    let name = (who.tenant.as_str(), id.as_str());
    match web.core.pictures.thumbnail(&store(&web)?, name, &opened).await {
        Ok(shown) => Ok(picture(shown, &tag)),
        // Pages show it among others: a sign in its place, and the reason where it is opened.
        Err(ViewError::NotShown(_)) => {
            Ok(([(header::CONTENT_TYPE, "image/svg+xml")], NO_PICTURE).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// Stands for a picture that cannot be shown.
const NO_PICTURE: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"320\" height=\"208\" \
    viewBox=\"0 0 320 208\"><rect width=\"320\" height=\"208\"/><text x=\"160\" y=\"112\" \
    fill=\"#d7dfe3\" font-family=\"sans-serif\" font-size=\"24\" text-anchor=\"middle\">cannot be \
    shown</text></svg>";

fn unchanged(headers: &HeaderMap, tag: &str) -> Option<Response> {
    let known = headers.get(header::IF_NONE_MATCH)?;
    let caching = [(header::CACHE_CONTROL, CACHING), (header::ETAG, tag)];
    (known == tag).then(|| (StatusCode::NOT_MODIFIED, caching).into_response())
}

fn picture(shown: Shown, tag: &str) -> Response {
    let caching = [(header::CACHE_CONTROL, CACHING), (header::ETAG, tag)];
    (caching, [(header::CONTENT_TYPE, shown.media_type)], shown.bytes).into_response()
}

/// The encapsulated document, to be read in the browser. Only PDF: anything else could be a page
/// with scripts of somebody else.
pub async fn document(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let opened = opened(&web, &who, &id).await?;
    note_look(&web, &who, &id, exam_of(&web, &who, &id).await?.as_deref()).await?;
    let bytes = web.core.pictures.document(&store(&web)?, &opened).await?;
    if !bytes.starts_with(b"%PDF-") {
        let message = "This document is no PDF and cannot be shown here. It is stored as received.";
        return Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "not_shown", message));
    }
    let headers = [
        (header::CONTENT_TYPE, "application/pdf".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}.pdf\"", file_name(&id))),
    ];
    Ok((headers, bytes).into_response())
}

/// The file exactly as it is stored.
pub async fn file(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let row = instance::by_id(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    let row = row.ok_or_else(|| Fault::not_found("image"))?;
    note_look(&web, &who, &id, row.encounter_id.as_deref()).await?;
    let key = Key::parse(&row.object_key).map_err(|error| Fault::ours(&error))?;
    let object = store(&web)?.get(&key).await.map_err(|error| Fault::ours(&error))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/dicom"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(object.meta.size));
    let disposition = format!("attachment; filename=\"{}.dcm\"", file_name(&id));
    let disposition = HeaderValue::try_from(disposition).map_err(|error| Fault::ours(&error))?;
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok((headers, Body::from_stream(object.into_stream())).into_response())
}

/// Our own identifier, made of nothing that a header would misread.
fn file_name(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}
