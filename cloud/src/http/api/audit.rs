//! Who saw or changed what.

use super::{Fault, Params, Web, Who};
use crate::{
    app::audit_list,
    clock,
    http::extract::{ID_LEN_MAX, text},
    store::audit_list::{Filter, Listed, Position},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which entries; what is left out is not asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ask {
    /// A patient, with all charts that are merged into one.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    patient_id: String,
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    account_id: String,
    /// From this moment on.
    from_us: i64,
    /// Before this moment.
    until_us: i64,
    /// A kind of values, such as `tonometry`.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    kind: String,
    /// `looked` or `changed`.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    only: String,
    /// `older` of the answer before; left out for the latest entries.
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[param(max_length = 200)]
    before: String,
}

impl Default for Ask {
    fn default() -> Self {
        let text = String::new;
        Self {
            patient_id: text(),
            account_id: text(),
            from_us: i64::MIN,
            until_us: i64::MAX,
            kind: text(),
            only: text(),
            before: text(),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = Audit)]
pub struct AuditJson {
    /// Latest first.
    entries: Vec<EntryJson>,
    /// Give it as `before` for older entries; `null` at the end.
    older: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
struct EntryJson {
    /// Its place in the chain; 0 for entries from before there was one.
    number: i64,
    at_us: i64,
    account_id: String,
    /// The role that the person had then.
    role: String,
    /// Where the request came from; empty where that is not known.
    address: String,
    is_look: bool,
    /// A word such as `exam_seen`.
    action: String,
    subject: String,
    patient_id: Option<String>,
    encounter_id: Option<String>,
    reading_id: Option<String>,
    /// Kinds of values that it was about.
    kinds: Vec<String>,
    value_before: String,
    value_after: String,
    why: String,
    /// The hash over this entry and the one before it.
    sha256: String,
}

impl From<Listed> for EntryJson {
    fn from(it: Listed) -> Self {
        Self {
            number: it.seq,
            at_us: it.at_us,
            account_id: it.account_id,
            role: it.role,
            address: it.address,
            is_look: it.is_look,
            action: it.action,
            subject: it.subject,
            patient_id: it.patient_id,
            encounter_id: it.encounter_id,
            reading_id: it.reading_id,
            kinds: it.kinds.split(' ').filter(|it| !it.is_empty()).map(Into::into).collect(),
            value_before: it.value_before,
            value_after: it.value_after,
            why: it.why,
            sha256: it.sha256,
        }
    }
}

/// Who looked at what and who changed it, latest first. Asking is an entry itself.
#[utoipa::path(get, path = "/api/v1/audit", params(Ask),
    responses((status = 200, body = AuditJson), (status = 404), (status = 422)))]
pub async fn list(
    State(web): State<Web>,
    who: Who,
    Params(ask): Params<Ask>,
) -> Result<Json<AuditJson>, Fault> {
    audit_list::check_kind(&ask.kind)?;
    let wrong = || {
        let message = "`before` is not what `older` of an earlier answer gave.";
        Fault::bad_request(message).at_field("before")
    };
    let before = match ask.before.as_str() {
        "" => None,
        text => Some(Position::from_text(text).ok_or_else(wrong)?),
    };
    let filter = Filter {
        patient: ask.patient_id,
        account: ask.account_id,
        from_us: ask.from_us,
        until_us: ask.until_us,
        kind: ask.kind,
        is_look: audit_list::only(&ask.only)?,
    };
    let now_us = clock::now_us();
    let page = audit_list::page(&web.core.db, &who, &filter, before.as_ref(), now_us).await?;
    Ok(Json(AuditJson {
        entries: page.entries.into_iter().map(EntryJson::from).collect(),
        older: page.older.map(|position| position.to_text()),
    }))
}
