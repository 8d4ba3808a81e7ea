//! WADO-RS: objects, their metadata, their frames and what else is too long for JSON.

use super::{Address, base_url, json, multipart, note_look};
use crate::{
    http::{Fault, Web, Who, extract::Params, pages::instance},
    imaging::{Charset, Header, Span, frames, header::Window, object_reader::ObjectReader, walk},
    store::{
        instance::InstanceRow,
        instance_index::{self as index, Filter},
    },
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use dicom_core::Tag;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{ObjectStoreExt, path::Path as Key};
use serde::Deserialize;
use serde_json::Value as Json;
use std::io::BufReader;

/// Most frames of one answer.
const FRAMES_MAX: usize = 1_000;

/// The objects under an address, each UID once; a look at them is written down.
async fn rows(web: &Web, who: &Who, address: &Address) -> Result<Vec<InstanceRow>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let filter = Filter { ..address.filter() };
    let page = (index::INSTANCES_MAX, 0);
    let mut rows = index::instances(&mut tx, &who.tenant, &filter, page).await?;
    drop(tx);
    rows.dedup_by(|later, first| later.sop_instance_uid == first.sop_instance_uid);
    if rows.is_empty() {
        return Err(Fault::not_found("study, series or instance"));
    }
    note_look(&web.core, who, &rows).await?;
    Ok(rows)
}

async fn one(web: &Web, who: &Who, address: &Address) -> Result<InstanceRow, Fault> {
    rows(web, who, address).await?.pop().ok_or_else(|| Fault::not_found("instance"))
}

fn not_acceptable(what: &str) -> Fault {
    Fault::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", what.to_owned())
}

/// Whole objects, one after the other, streamed from the object store.
pub async fn objects(
    State(web): State<Web>,
    who: Who,
    Path(address): Path<Address>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let rows = rows(&web, &who, &address).await?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let store = web.core.archive.store()?;
    if let [row] = &rows[..]
        && accept.trim().starts_with("application/dicom")
    {
        let got = store.get(&Key::from(row.object_key.as_str())).await;
        let got = got.map_err(|error| Fault::ours(&error))?;
        let kind = [(header::CONTENT_TYPE, "application/dicom")];
        return Ok((kind, Body::from_stream(got.into_stream())).into_response());
    }
    let boundary = multipart::boundary();
    let parts = stream::iter(rows).then(move |row| {
        let store = store.clone();
        async move {
            let got = store.get(&Key::from(row.object_key.as_str())).await?;
            let kind = format!("application/dicom; transfer-syntax={}", row.transfer_syntax_uid);
            Ok::<_, object_store::Error>((kind, got.into_stream()))
        }
    });
    let body = multipart::stream(&boundary, parts);
    Ok(multipart::response("application/dicom", &boundary, Body::from_stream(body)))
}

/// The JSON of every object under an address.
pub async fn metadata(
    State(web): State<Web>,
    who: Who,
    Path(address): Path<Address>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    let rows = rows(&web, &who, &address).await?;
    let base = base_url(&headers);
    let archive = web.core.archive.clone();
    let read = tokio::task::spawn_blocking(move || {
        let one = |row: &InstanceRow| {
            let key = Key::from(row.object_key.as_str());
            let reader = archive.reader(&key, row.len_bytes.cast_unsigned())?;
            of_file(reader, row, &base)
        };
        rows.iter().map(one).collect::<Result<Vec<Json>, Fault>>()
    });
    let found = read.await.map_err(|error| Fault::ours(&error))??;
    let body = Json::Array(found).to_string();
    Ok(([(header::CONTENT_TYPE, "application/dicom+json")], body).into_response())
}

fn of_file(file: ObjectReader, row: &InstanceRow, base: &str) -> Result<Json, Fault> {
    let walked = walk(BufReader::new(file)).map_err(|error| Fault::ours(&error))?;
    let url = format!(
        "{base}/studies/{}/series/{}/instances/{}",
        row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid
    );
    let bulk = |tag: Tag, _: Span| format!("{url}/bulkdata/{}", json::name(tag));
    let charset = Charset::of(&walked.data_set);
    let mut object = json::data_set(&walked.data_set, &charset, &bulk);
    if let (Some(pixels), Json::Object(object)) = (walked.pixels, &mut object) {
        let uri = format!("{url}/bulkdata/{}", json::name(pixels.tag));
        let element = serde_json::json!({ "vr": "OW", "BulkDataURI": uri });
        object.insert(json::name(pixels.tag), element);
        let syntax = json::texts("UI", [row.transfer_syntax_uid.as_str()]);
        object.insert("00083002".into(), syntax);
    }
    Ok(object)
}

/// Frames as they are stored, numbered from 1: `1,2,5`.
pub async fn frames(
    State(web): State<Web>,
    who: Who,
    Path(address): Path<Address>,
) -> Result<Response, Fault> {
    let row = one(&web, &who, &address).await?;
    let wanted: Option<Vec<usize>> = address
        .frames
        .split(',')
        .map(|number| number.trim().parse::<usize>().ok()?.checked_sub(1))
        .collect();
    let wanted = wanted
        .filter(|wanted| wanted.len() <= FRAMES_MAX)
        .ok_or_else(|| Fault::bad_request("Frames are numbered from 1 and separated by commas."))?;
    let header: Header = serde_json::from_str(&row.header).map_err(|error| Fault::ours(&error))?;
    let key = Key::from(row.object_key.as_str());
    let reader = web.core.archive.reader(&key, row.len_bytes.cast_unsigned())?;
    let read = tokio::task::spawn_blocking(move || {
        frames::index(reader, &header).map_err(|error| not_acceptable(&error.to_string()))
    });
    let index = read.await.map_err(|error| Fault::ours(&error))??;
    let spans: Option<Vec<Span>> = wanted.iter().map(|frame| index.span(*frame)).collect();
    let spans = spans.ok_or_else(|| Fault::not_found("frame"))?;
    let store = web.core.archive.store()?;
    let kind = media_type(&row.transfer_syntax_uid);
    let of_part = format!("{kind}; transfer-syntax={}", row.transfer_syntax_uid);
    let boundary = multipart::boundary();
    let parts = stream::iter(spans).then(move |span| {
        let (store, key, of_part) = (store.clone(), key.clone(), of_part.clone());
        let index = index.clone();
        async move {
            let bytes = store.get_range(&key, span.offset..span.offset + span.len).await?;
            let payload = match index.payload(&bytes) {
                Ok(payload) => payload.into_owned(),
                Err(source) => {
                    let source = Box::new(source);
                    return Err(object_store::Error::Generic { store: "frames", source });
                }
            };
            let whole = stream::iter([Ok(bytes::Bytes::from(payload))]);
            Ok::<_, object_store::Error>((of_part, whole))
        }
    });
    let body = Body::from_stream(multipart::stream(&boundary, parts));
    Ok(multipart::response(kind, &boundary, body))
}

/// How a picture is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rendering {
    /// Center, width and function: `127,255,linear`.
    window: Option<String>,
}

impl Rendering {
    fn window(&self) -> Result<Option<Window>, Fault> {
        let Some(text) = self.window.as_deref() else { return Ok(None) };
        let mut parts = text.split(',').map(str::trim);
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (center, width) = (number(), number());
        if !matches!(parts.next(), None | Some("" | "linear")) {
            return Err(Fault::bad_request("Only the function `linear` is known of a window."));
        }
        // One of them alone is a fault, and so is none.
        instance::window(center, Some(width.unwrap_or(f64::NAN)))
    }
}

/// A frame, by default the first, as a picture for people.
pub async fn rendered(
    State(web): State<Web>,
    who: Who,
    Path(address): Path<Address>,
    Params(ask): Params<Rendering>,
) -> Result<Response, Fault> {
    let window = ask.window()?;
    let row = one(&web, &who, &address).await?;
    let number: u32 = match address.frames.as_str() {
        "" => 1,
        text => text.parse().map_err(|_| {
            Fault::bad_request("One frame is rendered at a time; they are numbered from 1.")
        })?,
    };
    let opened = instance::opened(&web, &who, &row.instance_id).await?;
    // Here frames are numbered as they are stored, there as they are shown.
    let order = opened.header.frame_order.as_deref();
    let place = match order {
        Some(order) => order.iter().position(|frame| *frame == number).map(|at| at + 1),
        None => usize::try_from(number).ok(),
    };
    let place = place.ok_or_else(|| Fault::not_found("frame"))?;
    let name = (who.tenant.as_str(), row.instance_id.as_str());
    let store = instance::store(&web)?;
    let shown = web.core.pictures.frame(&store, name, &opened, (place, window)).await?;
    Ok(([(header::CONTENT_TYPE, shown.media_type)], shown.bytes).into_response())
}

/// What a frame is outside of its object (PS3.18, table 8.7.3-5).
fn media_type(transfer_syntax: &str) -> &'static str {
    match transfer_syntax.strip_prefix("1.2.840.10008.1.2.") {
        Some("4.50" | "4.51" | "4.57" | "4.70") => "image/jpeg",
        Some("4.80" | "4.81") => "image/jls",
        Some("4.90" | "4.91") => "image/jp2",
        Some("4.92" | "4.93") => "image/jpx",
        Some("5") => "image/dicom-rle",
        _ => "application/octet-stream",
    }
}

/// One element of the object that is too long for JSON, as it is stored.
pub async fn bulk_data(
    State(web): State<Web>,
    who: Who,
    Path((study, series, sop, name)): Path<(String, String, String, String)>,
) -> Result<Response, Fault> {
    let tag = json::tag(&name).ok_or_else(|| Fault::not_found("element"))?;
    let address = Address { study, series, sop, frames: String::new() };
    let row = one(&web, &who, &address).await?;
    let key = Key::from(row.object_key.as_str());
    let reader = web.core.archive.reader(&key, row.len_bytes.cast_unsigned())?;
    let read = tokio::task::spawn_blocking(move || {
        let walked = walk(BufReader::new(reader)).map_err(|error| Fault::ours(&error))?;
        let pixels = walked.pixels.filter(|pixels| pixels.tag == tag);
        let span = match pixels {
            Some(pixels) => {
                // Encapsulated pixels are had frame by frame.
                let len = pixels.len.ok_or_else(|| {
                    not_acceptable("These pixels are compressed: ask for the frames.")
                })?;
                Some(Span { offset: pixels.offset, len })
            }
            None => walked.data_set.elsewhere(tag),
        };
        span.ok_or_else(|| Fault::not_found("element that is too long for JSON"))
    });
    let span = read.await.map_err(|error| Fault::ours(&error))??;
    let store = web.core.archive.store()?;
    let options = object_store::GetOptions {
        range: Some((span.offset..span.offset + span.len).into()),
        ..Default::default()
    };
    let got = object_store::ObjectStore::get_opts(&*store, &key, options).await;
    let got = got.map_err(|error| Fault::ours(&error))?;
    let boundary = multipart::boundary();
    let bytes = got.into_stream().map_err(object_store::Error::from);
    let kind = "application/octet-stream".to_owned();
    let parts = stream::iter([Ok::<_, object_store::Error>((kind, bytes))]);
    let body = Body::from_stream(multipart::stream(&boundary, parts));
    Ok(multipart::response("application/octet-stream", &boundary, body))
}
