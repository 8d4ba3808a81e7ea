//! Requests to the cloud's endpoint for gateways: small, with limits, never redirected.

use super::{EnrolError, innermost};
use chiasm_proto::enrol::ClaimError;
use rustls::ClientConfig;
use serde::{Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Longest answer of the cloud, in bytes.
const ANSWER_LEN_MAX: usize = 64 * 1024;
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

/// The cloud's endpoint and how it is trusted.
pub(super) struct Endpoint {
    url: String,
    http: reqwest::Client,
}

impl Endpoint {
    /// `url` like `https://cloud.example:8443`.
    pub fn new(url: &str, tls: ClientConfig) -> Result<Self, EnrolError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_WAIT_MAX)
            .build()
            .map_err(|error| EnrolError::Tls(error.to_string()))?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// Sends JSON and reads JSON.
    pub async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<A, EnrolError> {
        let url = format!("{}{path}", self.url);
        let answer = self.send(&url, self.http.post(&url).json(body)).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| EnrolError::Answer { url, reason: error.to_string() })
    }

    /// Sends JSON; the answer says nothing but that it was taken.
    pub async fn hand_over(&self, path: &str, body: &impl Serialize) -> Result<(), EnrolError> {
        let url = format!("{}{path}", self.url);
        self.send(&url, self.http.post(&url).json(body)).await.map(drop)
    }

    /// Sends nothing but who we are.
    pub async fn tell(&self, path: &str) -> Result<(), EnrolError> {
        let url = format!("{}{path}", self.url);
        self.send(&url, self.http.post(&url)).await.map(drop)
    }

    async fn send(
        &self,
        url: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<Vec<u8>, EnrolError> {
        let unreachable = |error: reqwest::Error| EnrolError::Unreachable {
            url: url.into(),
            reason: innermost(&error),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LEN_MAX {
                let reason = format!("more than {ANSWER_LEN_MAX} bytes");
                return Err(EnrolError::Answer { url: url.into(), reason });
            }
        }
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<ClaimError>(&body) {
            Ok(it) => Err(EnrolError::Refused { code: it.code, message: it.message }),
            Err(_) => Err(EnrolError::Answer { url: url.into(), reason: format!("HTTP {status}") }),
        }
    }
}
