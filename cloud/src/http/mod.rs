//! Pages and API, and the gateways' endpoint. Every route of the pages and the API stands in one
//! table with the roles that may use it; the guard in front of each handler finds out who asks.

mod api;
pub mod assets;
pub mod attempts;
pub mod auth;
pub mod dicomweb;
pub mod extract;
pub mod fault;
pub mod gateway;
pub mod guard;
pub mod headers;
mod health;
pub mod listen;
pub mod locale;
pub mod metrics;
pub mod oidc;
pub mod pages;
pub mod plot;
mod provider;
pub mod routes;
pub mod serve;
pub mod show;
pub mod sse;

pub use fault::Fault;
pub use guard::Who;

use crate::{Core, app::sign_in::Attempts};
use axum::{Router, extract::DefaultBodyLimit, middleware};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Largest request body, in bytes: a schedule file of some thousand lines.
pub const BODY_LEN_MAX: usize = 2 * 1024 * 1024;

/// What handlers share.
#[derive(Debug, Clone)]
pub struct Web {
    pub core: Core,
    pub attempts: Arc<Attempts>,
    /// One permit per open event stream of this replica.
    pub streams: Arc<Semaphore>,
}

/// Everything that browsers and API clients see of a replica.
pub fn router(core: Core) -> Router {
    let web = Web {
        core,
        attempts: Arc::new(Attempts::default()),
        streams: Arc::new(Semaphore::new(sse::STREAMS_MAX)),
    };
    let mut router = health::routes();
    for route in routes::routes() {
        let guard = middleware::from_fn_with_state((web.clone(), route.access), guard::guard);
        router = router.route(route.path, route.handler.route_layer(guard));
    }
    router
        .fallback(fault::no_such_page)
        .method_not_allowed_fallback(fault::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(middleware::from_fn(fault::dress))
        .layer(middleware::from_fn(locale::read))
        .layer(middleware::from_fn(headers::add))
        .with_state(web)
}
