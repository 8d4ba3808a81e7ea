//! For load balancers and container platforms: no login, and nothing about anybody.

use super::Web;
use axum::{Router, extract::State, http::StatusCode, routing::get};

pub fn routes() -> Router<Web> {
    Router::new().route("/healthz", get(handle_health)).route("/readyz", get(handle_readiness))
}

/// The process runs.
async fn handle_health() -> &'static str {
    "ok\n"
}

/// The database answers and ingest hears the gateways.
async fn handle_readiness(State(web): State<Web>) -> (StatusCode, &'static str) {
    match web.core.readiness().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(reason) => {
            tracing::warn!(%reason, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "not ready: see the log\n")
        }
    }
}
