//! What goes wrong, as a page for people and as JSON for programs.

use super::{dicomweb, guard::Who, pages::frame::Frame};
use crate::{
    app::{
        AppError,
        intake::IntakeError,
        sign_in::{ATTEMPTS_WINDOW_S, SignInError},
    },
    imaging::archive::ArchiveError,
    store::StoreError,
};
use askama::Template;
use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use futures_util::FutureExt;
use serde::Serialize;
use std::panic::AssertUnwindSafe;
use utoipa::ToSchema;

/// Seconds until a busy database may be asked again.
const BUSY_RETRY_S: u32 = 2;
/// The same of a disk that is full.
const FULL_RETRY_S: u32 = 60;
/// Header by which our own scripts ask for JSON instead of a page.
pub const FETCH_HEADER: &str = "x-chiasm-fetch";

/// An answer that is not what was asked for.
#[derive(Debug, Clone)]
pub struct Fault {
    pub status: StatusCode,
    /// Short and stable, for programs.
    pub code: &'static str,
    /// What happened and what to do, for people.
    pub message: String,
    /// What is wrong with which field, where that is known.
    pub fields: Vec<FieldFault>,
    /// When to come again, in seconds.
    pub retry_after_s: Option<u32>,
}

/// What is wrong with one field of a body, a query or a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldFault {
    /// The field's name; below it with dots. Empty for the body as a whole.
    pub field: String,
    pub message: String,
}

impl FieldFault {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Fault {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new(), retry_after_s: None }
    }
    /// Names the field that the message is about.
    pub fn at_field(mut self, field: &str) -> Self {
        self.fields.push(FieldFault::new(field, self.message.clone()));
        self
    }
    /// Says when to come again.
    pub fn retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
    pub fn not_found(what: &str) -> Self {
        let message = format!("There is no such {what} here. It may belong to another practice.");
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }
    /// Something of ours failed: logged here, once; people see no details.
    pub fn ours(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %error, "request failed");
        let message = "Something failed on our side. Nothing was changed; try again.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<AppError> for Fault {
    fn from(error: AppError) -> Self {
        match &error {
            AppError::NotFound(what) => Fault::not_found(what),
            AppError::Conflict => {
                Fault::new(StatusCode::CONFLICT, "changed_meanwhile", sentence(&error))
            }
            AppError::Stale(_) => {
                Fault::new(StatusCode::CONFLICT, "changed_meanwhile", sentence(&error))
            }
            AppError::NotYet(_) => Fault::new(StatusCode::CONFLICT, "not_yet", sentence(&error)),
            AppError::WrongRole(_) => {
                Fault::new(StatusCode::FORBIDDEN, "wrong_role", sentence(&error))
            }
            AppError::IdsDiffer { .. } => {
                let message = format!(
                    "{} If you are sure, choose \u{201c}File although the ids differ\u{201d} and \
                     say why.",
                    sentence(&error)
                );
                Fault::new(StatusCode::CONFLICT, "ids_differ", message)
            }
            AppError::Refused(_) => {
                Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", sentence(&error))
            }
            AppError::Field(field, _) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Fault::new(status, "refused", sentence(&error)).at_field(field)
            }
            AppError::Fields(faults) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                let mut fault = Fault::new(status, "refused", sentence(&error));
                fault.fields =
                    faults.iter().map(|it| FieldFault::new(&it.field, &it.message)).collect();
                fault
            }
            AppError::Store(store) => store.into(),
        }
    }
}

impl From<&StoreError> for Fault {
    fn from(error: &StoreError) -> Self {
        if error.is_busy() {
            tracing::warn!(error = %error, "the database has no time");
            let message = "Too much is going on just now. Nothing was changed; try again.";
            return Fault::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message)
                .retry_after_s(BUSY_RETRY_S);
        }
        if error.is_about_text() {
            let message = "One of the texts holds a character that cannot be stored.";
            return Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", message);
        }
        Fault::ours(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        (&error).into()
    }
}

impl From<ArchiveError> for Fault {
    fn from(error: ArchiveError) -> Self {
        if let ArchiveError::Full { .. } = &error {
            tracing::error!(%error, "an object cannot be taken");
            let message = "The disk for images is full: whoever runs this has to make room.";
            return Fault::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", message)
                .retry_after_s(FULL_RETRY_S);
        }
        Fault::ours(&error)
    }
}

impl From<IntakeError> for Fault {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Store(error) => error.into(),
            IntakeError::Archive(error) => error.into(),
        }
    }
}

impl From<SignInError> for Fault {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => {
                Fault::new(StatusCode::UNAUTHORIZED, "wrong_login", sentence(&error))
            }
            SignInError::TooMany => {
                Fault::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", sentence(&error))
                    .retry_after_s(ATTEMPTS_WINDOW_S as u32)
            }
            SignInError::App(error) => error.into(),
        }
    }
}

/// An error's text as a sentence.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|char| char.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Why a request was not done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultJson {
    /// Short and stable, for programs.
    code: String,
    /// What happened and what to do, for people.
    message: String,
    /// What is wrong with which field, where that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldFault>,
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    frame: Frame,
    status: u16,
    heading: &'static str,
    message: String,
}

/// Gives faults their form: JSON below `/api/` and for our scripts, a page otherwise. What panics
/// is answered as well, and what a library refused in plain text becomes a fault like the others.
pub async fn dress(request: Request, next: Next) -> Response {
    let wants_json = wants_json(request.uri().path(), request.headers());
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answer.unwrap_or_else(|_| panicked().into_response());
    let fault = response.extensions().get::<Fault>().cloned();
    let Some(fault) = fault.or_else(|| of_library(&response)) else { return response };
    let who = response.extensions().get::<Who>().cloned();
    let retry_after_s = fault.retry_after_s;
    let status = fault.status;
    let mut dressed = if wants_json {
        let Fault { code, message, fields, .. } = fault;
        (status, Json(FaultJson { code: code.into(), message, fields })).into_response()
    } else {
        let page = FaultPage {
            frame: Frame::new(heading(status), who.as_ref(), ""),
            status: status.as_u16(),
            heading: heading(status),
            message: fault.message,
        };
        let html = page.render().unwrap_or_else(|_| heading(status).to_owned());
        (status, Html(html)).into_response()
    };
    if status == StatusCode::UNAUTHORIZED {
        let value = HeaderValue::from_static("Bearer");
        dressed.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    if let Some(seconds) = retry_after_s {
        dressed.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = response.headers().get(header::ALLOW) {
        dressed.headers_mut().insert(header::ALLOW, allow.clone());
    }
    dressed
}

fn panicked() -> Fault {
    // The panic itself is in the log already.
    let message = "Something failed on our side. Try again.";
    Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
}

/// A refusal that came from an extractor which is not one of ours.
fn of_library(response: &Response) -> Option<Fault> {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    if !status.is_client_error() || !kind.starts_with("text/plain") {
        return None;
    }
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "The request is too large.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The content type does not fit.",
        _ => "Something in the request is missing or has the wrong form.",
    };
    Some(Fault::new(status, "invalid", message))
}

fn wants_json(path: &str, headers: &HeaderMap) -> bool {
    let is_api = path.starts_with("/api/") || path.starts_with(dicomweb::PREFIX);
    is_api || path == "/live" || headers.contains_key(FETCH_HEADER)
}

fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not here",
        StatusCode::FORBIDDEN => "Not for this sign-in",
        StatusCode::UNAUTHORIZED => "Please sign in",
        StatusCode::CONFLICT => "Please look again",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        status if status.is_server_error() => "Something failed",
        _ => "That cannot be done",
    }
}

pub async fn no_such_page() -> Fault {
    Fault::not_found("page")
}

pub async fn no_such_method() -> Fault {
    let message = "This address cannot be used in that way.";
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
