//! The page's server. Everything that is HTTP stands below this module.

mod pages;
mod serve;
mod views;

use super::{desk::Desk, sign_in::SignIns};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
pub use serve::serve;
use std::sync::Arc;

/// Longest form.
const BODY_LEN_MAX: usize = 16 * 1024;

/// What every request may use.
pub struct LanePage {
    pub desk: Arc<Desk>,
    pub sign_ins: SignIns,
    /// Where the cloud's pages are, to be linked to.
    pub cloud_pages: Option<String>,
}

pub(super) type Page = Arc<LanePage>;

pub(super) fn router(page: Page) -> Router {
    Router::new()
        .route("/", get(pages::lanes))
        .route("/sign-in", get(pages::sign_in_form).post(pages::sign_in))
        .route("/sign-out", post(pages::sign_out))
        .route("/switch", post(pages::switch))
        .route("/lanes/{lane}", get(pages::lane))
        .route("/lanes/{lane}/open", post(pages::open))
        .route("/lanes/{lane}/end", post(pages::end))
        .route("/lanes/{lane}/accept", post(pages::accept))
        .route("/lanes/{lane}/assign", post(pages::assign))
        .route("/static/lane.css", get(style))
        .route("/static/lane.js", get(script))
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(middleware::from_fn(add_headers))
        .with_state(page)
}

async fn style() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (kind, include_str!("../../../static/lane.css")).into_response()
}

async fn script() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (kind, include_str!("../../../static/lane.js")).into_response()
}

/// No script and no style but our own files, nothing from elsewhere, in nobody's frame, in no cache.
async fn add_headers(request: Request, next: Next) -> Response {
    const HEADERS: [(HeaderName, &str); 6] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
             connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
