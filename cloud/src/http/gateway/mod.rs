//! The gateways' endpoint: enrolment for those who have no certificate yet, renewal, images and
//! the record of a wipe for those who have one.

mod claim;
mod instances;
mod peer;
mod renew;
mod wipe;

use super::{
    attempts::Attempts,
    serve::{BODY_TIME_MAX, limit_body_time},
};
use crate::{Core, pki::Authority};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{post, put},
};
use chiasm_proto::{
    enrol::{CLAIM_PATH, CONFIRM_PATH, RENEW_PATH},
    instance::INSTANCES_PATH,
    wipe::WIPED_PATH,
};
use std::{sync::Arc, time::Duration};

/// Connections at the same time: some for each gateway of a large group that sends images.
pub const CONNECTIONS_MAX: usize = 1024;
/// How long a body may take here: a part of 4 MiB over a line of 128 kbit/s.
pub const BODY_TIME: Duration = Duration::from_secs(300);

#[derive(Clone)]
struct Endpoint {
    core: Core,
    authority: Arc<Authority>,
    attempts: Arc<Attempts>,
}

pub fn router(core: Core, authority: Arc<Authority>) -> Router {
    let endpoint = Endpoint { core, authority, attempts: Arc::default() };
    let claims = Router::new()
        .route(CLAIM_PATH, post(claim::handle_claim))
        .route(RENEW_PATH, post(renew::renew))
        .route(CONFIRM_PATH, post(renew::confirm))
        .route(WIPED_PATH, post(wipe::wiped))
        .layer(DefaultBodyLimit::max(claim::BODY_BYTES_MAX))
        // Anybody may ask here: nobody holds a connection with a body that never comes.
        .layer(middleware::from_fn_with_state(BODY_TIME_MAX, limit_body_time));
    let instances = Router::new()
        .route(INSTANCES_PATH, post(instances::offer))
        .route(&format!("{INSTANCES_PATH}/{{sha256}}/{{offset}}"), put(instances::part))
        .layer(DefaultBodyLimit::max(instances::OFFER_BYTES_MAX));
    claims.merge(instances).with_state(endpoint)
}
