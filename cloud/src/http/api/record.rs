//! What doctors write into an exam, its signature, addenda and notices.

use super::{Body, Fault, Web, Who, begin, corrections::Side};
use crate::{
    app::{
        local_time, look,
        prescribe::{self, Kind, SaveError},
        record::{self, ADDENDUM_LEN_MAX},
        sign,
    },
    clock,
    domain::prescription::{self, Draft, FieldFault},
    http::{extract, pages::exam::refraction::save_fault},
    store::{encounter, exam_entry, lane_open, notice, signature},
};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use chiasm_proto::Eye;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An entry as it is now. `values` as `domain/prescription.rs` keeps them.
#[derive(Serialize, ToSchema)]
#[schema(as = ExamEntry)]
pub struct EntryJson {
    kind: String,
    version: i64,
    changed_at_us: i64,
    changed_by: String,
    change_reason: String,
    #[schema(value_type = Object)]
    values: Box<RawValue>,
}

/// Acuities, the subjective refraction and the final prescription, as far as they were written.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/prescription",
    responses((status = 200, body = Vec<EntryJson>)))]
pub async fn entries(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<EntryJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    found.ok_or_else(|| Fault::not_found("encounter"))?;
    let entries = exam_entry::all(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("exam_seen", &id), clock::now_us()).await?;
    let json = |it: exam_entry::Entry| {
        let values = RawValue::from_string(it.body).map_err(|error| Fault::ours(&error))?;
        Ok(EntryJson {
            kind: it.kind,
            version: it.version,
            changed_at_us: it.changed_at_us,
            changed_by: it.changed_by,
            change_reason: it.change_reason,
            values,
        })
    };
    entries.into_iter().map(json).collect::<Result<_, _>>().map(Json)
}

/// Fields as a person would type them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Typed {
    /// The version that was seen; 0 for none.
    version: i64,
    /// Texts by name. Acuities: `unaided_far_right`, `wearing_near_left`, `pinhole_far_both` and so
    /// on. Prescriptions: for each eye, behind `right_` or `left_`, `sphere`, `cylinder`, `axis`,
    /// `add`, `prism_horizontal` with `base_horizontal`, `prism_vertical` with `base_vertical`,
    /// `acuity`, `near_acuity`, `refined`; and once `both_acuity`, `vertex_distance_mm`, `note`.
    values: Draft,
}

async fn save(
    (web, who, id): (Web, Who, String),
    kind: Kind,
    typed: Typed,
) -> Result<StatusCode, Fault> {
    let is_known = |name: &str| match kind {
        Kind::Acuity => prescription::ACUITIES.contains(&name),
        Kind::Subjective | Kind::Final => prescription::is_field(name),
    };
    let unknown = typed.values.keys().filter(|name| !is_known(name));
    // A misspelt name would leave a value out without a word.
    let faults = unknown.map(|name| FieldFault {
        field: format!("values.{name}"),
        message: "is no field here".into(),
    });
    let faults: Vec<_> = faults.collect();
    if !faults.is_empty() {
        return Err(save_fault(SaveError::Fields(faults)));
    }
    let mut work = begin(&web, &who).await?;
    prescribe::save(&mut work, &id, kind, &typed.values, typed.version)
        .await
        .map_err(save_fault)?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes acuities; what is left out is taken away.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/acuity",
    request_body = Typed,
    responses((status = 204)))]
pub async fn save_acuity(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(typed): Body<Typed>,
) -> Result<StatusCode, Fault> {
    save((web, who, id), Kind::Acuity, typed).await
}

/// Writes the subjective refraction. `right_refined` confirms an eye that began with the
/// autorefractor's values.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/subjective",
    request_body = Typed,
    responses((status = 204)))]
pub async fn save_subjective(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(typed): Body<Typed>,
) -> Result<StatusCode, Fault> {
    save((web, who, id), Kind::Subjective, typed).await
}

/// Writes the final prescription. Doctors only.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/final",
    request_body = Typed,
    responses((status = 204)))]
pub async fn save_final(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(typed): Body<Typed>,
) -> Result<StatusCode, Fault> {
    save((web, who, id), Kind::Final, typed).await
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The version that was seen; 0 for none.
    #[serde(default)]
    version: i64,
    /// Left out for both.
    #[serde(default)]
    eye: Option<Side>,
    /// Also where the eye has values of its own.
    #[serde(default)]
    replace: bool,
}

/// Copies the autorefractor's values as a start, to be refined.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/subjective/start",
    request_body = Start,
    responses((status = 204)))]
pub async fn start(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(start): Body<Start>,
) -> Result<StatusCode, Fault> {
    let how = (start.replace, start.version);
    let mut work = begin(&web, &who).await?;
    let eyes = start.eye.map_or(vec![Eye::Right, Eye::Left], |eye| vec![eye.into()]);
    prescribe::start_from_autorefraction(&mut work, &id, &eyes, how).await.map_err(save_fault)?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Seen {
    /// The version of the final prescription that was seen; 0 for none.
    version: i64,
}

/// Takes the subjective refraction over as the final prescription; refused while an eye is not
/// refined. Doctors only.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/final/take-over",
    request_body = Seen,
    responses((status = 204)))]
pub async fn finalise(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(seen): Body<Seen>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    prescribe::finalise(&mut work, &id, seen.version).await.map_err(save_fault)?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The signature, or what signing now would leave open.
#[derive(Serialize, ToSchema)]
#[schema(as = Signature)]
pub struct SignatureJson {
    is_signed: bool,
    /// What was left open, or would be.
    open: Vec<String>,
    /// To be sent with the signature: names what was looked at. Absent when signed.
    digest: Option<String>,
    signed_at_us: Option<i64>,
    signed_by: Option<String>,
    text: Option<String>,
    #[schema(value_type = Option<Object>)]
    snapshot: Option<Box<RawValue>>,
    snapshot_sha256: Option<String>,
}

/// The signature, or what signing now would leave open.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/sign",
    responses((status = 200, body = SignatureJson)))]
pub async fn signature(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<SignatureJson>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    let found = found.ok_or_else(|| Fault::not_found("encounter"))?;
    let zone = lane_open::time_zone(&mut tx, &who.tenant, &found.location_id).await?;
    let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
    let signed = signature::of(&mut tx, &who.tenant, &id).await?;
    let content = sign::content(&mut tx, &who.tenant, &id, &zone).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("exam_seen", &id), clock::now_us()).await?;
    let Some(signed) = signed else {
        let digest = Some(content.digest());
        return Ok(Json(SignatureJson {
            is_signed: false,
            open: content.open,
            digest,
            signed_at_us: None,
            signed_by: None,
            text: None,
            snapshot: None,
            snapshot_sha256: None,
        }));
    };
    let open = serde_json::from_str::<Open>(&signed.snapshot).map(|it| it.open);
    let snapshot = RawValue::from_string(signed.snapshot).map_err(|error| Fault::ours(&error))?;
    Ok(Json(SignatureJson {
        is_signed: true,
        open: open.unwrap_or_default(),
        digest: None,
        signed_at_us: Some(signed.signed_at_us),
        signed_by: Some(signed.signed_by),
        text: Some(signed.signature_text),
        snapshot: Some(snapshot),
        snapshot_sha256: Some(signed.snapshot_sha256),
    }))
}

#[derive(Deserialize)]
struct Open {
    open: Vec<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sign {
    #[serde(deserialize_with = "extract::text::<64, _>")]
    #[schema(max_length = 64)]
    digest: String,
}

/// Signs what was looked at: the digest is that of the answer to the same path. Doctors only.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/sign",
    request_body = Sign,
    responses((status = 204)))]
pub async fn sign(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(form): Body<Sign>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    sign::sign(&mut work, &id, &form.digest).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Addendum)]
pub struct AddendumJson {
    addendum_id: String,
    added_at_us: i64,
    added_by: String,
    is_automatic: bool,
    text: String,
}

/// What was added to the signed exam, oldest first.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/addenda",
    responses((status = 200, body = Vec<AddendumJson>)))]
pub async fn addenda(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<AddendumJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    found.ok_or_else(|| Fault::not_found("encounter"))?;
    let addenda = signature::addenda(&mut tx, &who.tenant, &id).await?;
    drop(tx);
    look::look(&web.core.db, &who, ("exam_seen", &id), clock::now_us()).await?;
    let json = |it: signature::Addendum| AddendumJson {
        addendum_id: it.addendum_id,
        added_at_us: it.added_at_us,
        added_by: it.added_by,
        is_automatic: it.is_automatic,
        text: it.addendum_text,
    };
    Ok(Json(addenda.into_iter().map(json).collect()))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewAddendum {
    #[serde(deserialize_with = "extract::text::<ADDENDUM_LEN_MAX, _>")]
    #[schema(max_length = 4000)]
    text: String,
}

/// Adds to a signed exam. Doctors only.
#[utoipa::path(post, path = "/api/v1/encounters/{encounter}/addenda",
    request_body = NewAddendum,
    responses((status = 204)))]
pub async fn add(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
    Body(form): Body<NewAddendum>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    record::add(&mut work, &id, &form.text).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Something that the person who asks was told.
#[derive(Serialize, ToSchema)]
#[schema(as = Notice)]
pub struct NoticeJson {
    notice_id: String,
    encounter_id: String,
    noticed_at_us: i64,
    kind: String,
    text: String,
    seen_at_us: Option<i64>,
}

impl From<notice::Notice> for NoticeJson {
    fn from(it: notice::Notice) -> Self {
        Self {
            notice_id: it.notice_id,
            encounter_id: it.encounter_id,
            noticed_at_us: it.noticed_at_us,
            kind: it.kind,
            text: it.notice_text,
            seen_at_us: it.seen_at_us,
        }
    }
}

/// What the person was told about one exam and has not seen.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/notices",
    responses((status = 200, body = Vec<NoticeJson>)))]
pub async fn notices_of_exam(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Json<Vec<NoticeJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    found.ok_or_else(|| Fault::not_found("encounter"))?;
    let notices = notice::unseen_of_exam(&mut tx, &who.tenant, (&who.account, &id)).await?;
    Ok(Json(notices.into_iter().map(Into::into).collect()))
}

/// Everything that the person was told, what is not seen first.
#[utoipa::path(get, path = "/api/v1/notices",
    responses((status = 200, body = Vec<NoticeJson>)))]
pub async fn notices(State(web): State<Web>, who: Who) -> Result<Json<Vec<NoticeJson>>, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let notices = notice::of_account(&mut tx, &who.tenant, &who.account).await?;
    Ok(Json(notices.into_iter().map(Into::into).collect()))
}

/// Notes that the person has seen a notice.
#[utoipa::path(post, path = "/api/v1/notices/{notice}/seen",
    responses((status = 204)))]
pub async fn see(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<StatusCode, Fault> {
    let mut work = begin(&web, &who).await?;
    record::see_notice(&mut work, &id).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
