//! What goes wrong, as a page for people and as JSON for programs.

use super::{guard::Who, pages::frame::Frame};
use crate::app::{AppError, sign_in::SignInError};
use askama::Template;
use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use serde::Serialize;

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
}

impl Fault {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
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
            AppError::IdsDiffer { .. } => {
                let message = format!(
                    "{} If you are sure, choose \u{201c}File although the ids differ\u{201d} and \
                     say why.",
                    sentence(&error)
                );
                Fault::new(StatusCode::CONFLICT, "ids_differ", message)
            }
            AppError::Refused(_) | AppError::Fields(_) => {
                Fault::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", sentence(&error))
            }
            AppError::Store(store) => Fault::ours(store),
        }
    }
}

impl From<crate::store::StoreError> for Fault {
    fn from(error: crate::store::StoreError) -> Self {
        Fault::ours(&error)
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

#[derive(Serialize)]
struct FaultJson<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Template)]
#[template(path = "fault.html")]
struct FaultPage {
    frame: Frame,
    status: u16,
    heading: &'static str,
    message: String,
}

/// Gives faults their form: JSON below `/api/` and for our scripts, a page otherwise.
pub async fn dress(request: Request, next: Next) -> Response {
    let wants_json = wants_json(request.uri().path(), request.headers());
    let response = next.run(request).await;
    let Some(fault) = response.extensions().get::<Fault>().cloned() else { return response };
    let who = response.extensions().get::<Who>().cloned();
    let mut dressed = if wants_json {
        let body = FaultJson { code: fault.code, message: &fault.message };
        (fault.status, Json(body)).into_response()
    } else {
        let page = FaultPage {
            frame: Frame::new(heading(fault.status), who.as_ref(), ""),
            status: fault.status.as_u16(),
            heading: heading(fault.status),
            message: fault.message,
        };
        let html = page.render().unwrap_or_else(|_| heading(fault.status).to_owned());
        (fault.status, Html(html)).into_response()
    };
    if fault.status == StatusCode::UNAUTHORIZED {
        let value = HeaderValue::from_static("Bearer");
        dressed.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    dressed
}

fn wants_json(path: &str, headers: &HeaderMap) -> bool {
    path.starts_with("/api/") || path == "/live" || headers.contains_key(FETCH_HEADER)
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
