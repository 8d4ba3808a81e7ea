//! STOW-RS: programs store objects, which go the way of all objects. What cannot be read is refused:
//! unlike an imager, a program can be told.

use super::{
    Address, base_url,
    json::{self, texts},
    multipart::{self, MultipartError, Next},
};
use crate::{
    app::intake::{self, Arrived, Source},
    clock,
    http::{Fault, Web, Who, extract::Params},
    imaging::Header,
    store::{instance, site},
};
use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chiasm_proto::{ClockState, Sha256};
use futures_util::Stream;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use sha2::Digest;
use std::path::PathBuf;
use tokio::{fs::File, io::AsyncWriteExt};

/// Objects of one request.
const OBJECTS_MAX: usize = 1_000;
/// After so many bytes the room on the disk is looked at again.
const ROOM_STEP_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of one request. It may take as long as it moves.
pub const BODY_LEN_MAX: usize = 2 * 1024 * 1024 * 1024;

/// Failure Reason: out of resources, cannot understand, and not of the study that the path names.
const OUT_OF_RESOURCES: u32 = 0xA700;
const CANNOT_UNDERSTAND: u32 = 0xC000;
const OTHER_STUDY: u32 = 0xA900;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// Where the objects were made, in a practice with several locations.
    location: String,
}

/// What became of an object.
struct Stored {
    class: String,
    sop: String,
    outcome: Result<String, u32>,
}

pub async fn store(
    State(web): State<Web>,
    who: Who,
    address: Option<Path<Address>>,
    Params(ask): Params<Ask>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("multipart/related") {
        let message = "Send objects as multipart/related; type=\"application/dicom\".";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Fault::new(status, "wrong_content_type", message));
    }
    let boundary = multipart::boundary_of(kind).map_err(malformed)?;
    let study = address.map(|Path(address)| address.study).unwrap_or_default();
    let storing = Storing {
        location: location(&web, &who, &ask.location).await?,
        web: &web,
        who: &who,
        study,
        base: base_url(&headers),
    };
    let stored = storing.take_all(body, &boundary).await?;
    Ok(answer(&stored))
}

fn malformed(error: MultipartError) -> Fault {
    Fault::bad_request(format!("The body cannot be taken: {error}."))
}

/// The location that was named, or the only one there is: at which of several objects were made,
/// nobody but the sender can say.
async fn location(web: &Web, who: &Who, named: &str) -> Result<String, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let locations = site::locations(&mut tx, &who.tenant).await?;
    if named.is_empty() && locations.len() > 1 {
        let message = "This practice has several locations: say where the objects were made, by \
                       `?location=` and the location's name.";
        return Err(Fault::bad_request(message));
    }
    let found = locations.into_iter().find(|it| named.is_empty() || it.location_id == named);
    Ok(found.ok_or_else(|| Fault::not_found("location"))?.location_id)
}

struct Storing<'a> {
    web: &'a Web,
    who: &'a Who,
    location: String,
    /// The study that the path names; empty where it names none.
    study: String,
    base: String,
}

impl Storing<'_> {
    async fn take_all(&self, body: Body, boundary: &str) -> Result<Vec<Stored>, Fault> {
        let chunks = Box::pin(body.into_data_stream());
        let mut parts = multipart::Reader::new(chunks, boundary);
        let mut stored = Vec::new();
        loop {
            match parts.next().await.map_err(malformed)? {
                Next::End => return Ok(stored),
                Next::Part if stored.len() >= OBJECTS_MAX => {
                    let message = format!("A request stores at most {OBJECTS_MAX} objects.");
                    return Err(Fault::bad_request(message));
                }
                Next::Part => stored.push(self.take(&mut parts).await?),
                Next::Bytes(_) | Next::PartEnd => {}
            }
        }
    }

    /// Writes a part into a file of its own, and files it.
    async fn take<S, E>(&self, parts: &mut multipart::Reader<S>) -> Result<Stored, Fault>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: std::fmt::Display,
    {
        let archive = &self.web.core.archive;
        let scratch = Scratch(archive.scratch(&self.who.tenant).await?);
        let io = |error: std::io::Error| Fault::ours(&error);
        let mut file = File::create(&scratch.0).await.map_err(io)?;
        let (mut hasher, mut len_bytes, mut checked_upto) = (sha2::Sha256::new(), 0, 0);
        loop {
            match parts.next().await.map_err(malformed)? {
                Next::Bytes(bytes) => {
                    hasher.update(&bytes);
                    len_bytes += bytes.len() as u64;
                    if len_bytes > checked_upto {
                        archive.has_room(ROOM_STEP_BYTES)?;
                        checked_upto = len_bytes + ROOM_STEP_BYTES;
                    }
                    file.write_all(&bytes).await.map_err(io)?;
                }
                Next::PartEnd => break,
                Next::Part | Next::End => return Err(malformed(MultipartError::Cut)),
            }
        }
        file.flush().await.map_err(io)?;
        drop(file);
        let sha256 = Sha256(hasher.finalize().into());
        let header = match intake::read_header_of(scratch.0.clone()).await {
            Ok(header) => header,
            Err(why) => {
                tracing::info!(%why, "an object from a program is refused");
                return Ok(Stored::failed(&Header::default(), CANNOT_UNDERSTAND));
            }
        };
        if !self.study.is_empty() && header.study_instance_uid.as_ref() != Some(&self.study) {
            return Ok(Stored::failed(&header, OTHER_STUDY));
        }
        match self.file(&scratch, (sha256, len_bytes)).await {
            Ok(()) => Ok(self.stored(&header)),
            Err(error) => {
                tracing::error!(error = error.message, "an object from a program is not filed");
                Ok(Stored::failed(&header, OUT_OF_RESOURCES))
            }
        }
    }

    async fn file(
        &self,
        scratch: &Scratch,
        (sha256, len_bytes): (Sha256, u64),
    ) -> Result<(), Fault> {
        let (core, tenant) = (&self.web.core, self.who.tenant.as_str());
        let turn = core.uploads.lock(tenant, sha256).await;
        let mut tx = core.db.tenant_read(tenant).await?;
        let known = instance::id_of_content(&mut tx, tenant, &sha256.to_string()).await?;
        drop(tx);
        if known.is_some() {
            return Ok(());
        }
        let incoming = core.archive.incoming(tenant, &sha256).await?;
        let moved = tokio::fs::rename(&scratch.0, &incoming).await;
        moved.map_err(|error| Fault::ours(&error))?;
        let _turn = core.archive.take_in_under(turn, tenant, sha256).await?;
        let now_us = clock::now_us();
        let arrived = Arrived {
            tenant: tenant.to_owned(),
            source: Source::Stow,
            sender: self.who.account.clone(),
            location: self.location.clone(),
            link: String::new(),
            lane: String::new(),
            lane_session: None,
            clock: ClockState::Synced,
            received_at_us: now_us,
            calling_ae: String::new(),
            sha256,
            len_bytes,
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            transfer_syntax_uid: String::new(),
            contradicts_earlier: false,
        };
        intake::file(core, &arrived, now_us).await?;
        core.uploads.forget(tenant, sha256);
        Ok(())
    }

    fn stored(&self, header: &Header) -> Stored {
        let text = |uid: &Option<String>| uid.clone().unwrap_or_default();
        let (study, series) = (text(&header.study_instance_uid), text(&header.series_instance_uid));
        let (class, sop) = (text(&header.sop_class_uid), text(&header.sop_instance_uid));
        let url = format!("{}/studies/{study}/series/{series}/instances/{sop}", self.base);
        Stored { class, sop, outcome: Ok(url) }
    }
}

impl Stored {
    fn failed(header: &Header, reason: u32) -> Self {
        let text = |uid: &Option<String>| uid.clone().unwrap_or_default();
        let (class, sop) = (text(&header.sop_class_uid), text(&header.sop_instance_uid));
        Self { class, sop, outcome: Err(reason) }
    }
}

/// A file that is gone when nobody needs it any more.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is not there when it was moved into the archive.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn answer(stored: &[Stored]) -> Response {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for it in stored {
        let mut item = Map::new();
        item.insert("00081150".into(), texts("UI", [it.class.as_str()]));
        item.insert("00081155".into(), texts("UI", [it.sop.as_str()]));
        match &it.outcome {
            Ok(url) => {
                item.insert("00081190".into(), texts("UR", [url.as_str()]));
                good.push(Json::Object(item));
            }
            Err(reason) => {
                item.insert("00081197".into(), json::number("US", Some(i64::from(*reason))));
                bad.push(Json::Object(item));
            }
        }
    }
    let status = match (good.is_empty(), bad.is_empty()) {
        (_, true) => StatusCode::OK,
        (false, false) => StatusCode::ACCEPTED,
        (true, false) => StatusCode::CONFLICT,
    };
    let mut object = Map::new();
    for (name, items) in [("00081199", good), ("00081198", bad)] {
        if !items.is_empty() {
            object.insert(name.into(), json!({ "vr": "SQ", "Value": items }));
        }
    }
    let kind = [(header::CONTENT_TYPE, "application/dicom+json")];
    (status, kind, Json::Object(object).to_string()).into_response()
}
