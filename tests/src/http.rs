//! A program's client of the cloud: signs in, calls the API, and follows the live events. How
//! people do the same is [`crate::browser`]'s.

use crate::wait;
use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest line of a live stream.
const LINE_LEN_MAX: usize = 1024 * 1024;

/// Somebody who is signed in.
pub struct Http {
    client: Client,
    origin: String,
    token: String,
}

/// One event of the live stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveEvent {
    pub id: String,
    pub event: String,
    pub data: String,
}

/// An open live stream.
pub struct Live {
    response: Response,
    pending: Vec<u8>,
}

impl Http {
    /// A client that nobody has signed in with.
    pub fn anonymous(port: u16) -> Result<Self> {
        let client = Client::builder()
            .timeout(ANSWER_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let origin = format!("http://127.0.0.1:{port}");
        Ok(Self { client, origin, token: String::new() })
    }

    /// Signs in and keeps the token.
    pub async fn sign_in(port: u16, login: &str, password: &str) -> Result<Self> {
        let mut http = Self::anonymous(port)?;
        let credentials = json!({ "login": login, "password": password });
        let session = http.post("/api/v1/sign-in", credentials).await?;
        let token = session["token"].as_str().context("the answer holds no token")?;
        http.token = token.into();
        Ok(http)
    }

    /// The bearer token, for a program that asks by itself.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        let response = self.send(Method::GET, path, None).await?;
        body_of("GET", path, response).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        body_of("POST", path, response).await
    }

    /// The status alone, for what has to be refused.
    pub async fn status(&self, method: Method, path: &str, body: Option<Value>) -> Result<u16> {
        Ok(self.send(method, path, body).await?.status().as_u16())
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.origin));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.with_context(|| format!("{path} cannot be reached"))
    }

    /// Follows the live events from now on, or from after the given id.
    pub async fn live(&self, path: &str, after: Option<&str>) -> Result<Live> {
        // Without the total timeout of the other requests: a stream has no end.
        let mut request = Client::builder().build()?.get(format!("{}{path}", self.origin));
        request = request.bearer_auth(&self.token);
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            bail!("{path} answers {}", response.status());
        }
        Ok(Live { response, pending: Vec::new() })
    }
}

async fn body_of(method: &str, path: &str, response: Response) -> Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("{method} {path} answers {status}: {text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{method} {path} answers no JSON: {text}"))
}

impl Live {
    /// The next event; comments that only keep the connection open are passed over.
    pub async fn next(&mut self) -> Result<LiveEvent> {
        let mut event = LiveEvent::default();
        loop {
            let line = self.line().await?;
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() && event != LiveEvent::default() => return Ok(event),
                "id" => event.id = value.into(),
                "event" => event.event = value.into(),
                "data" => event.data.push_str(value),
                _ => {}
            }
        }
    }

    /// The first event that fulfils a condition.
    pub async fn find(
        &mut self,
        what: &str,
        mut is_it: impl FnMut(&LiveEvent) -> bool,
    ) -> Result<LiveEvent> {
        let search = async {
            loop {
                let event = self.next().await?;
                if is_it(&event) {
                    return anyhow::Ok(event);
                }
            }
        };
        let found = tokio::time::timeout(wait::USUAL_MAX, search).await;
        found.with_context(|| format!("no live event came: {what}"))?
    }

    async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                let line = String::from_utf8(line)?;
                return Ok(line.trim_end_matches(['\r', '\n']).into());
            }
            if self.pending.len() > LINE_LEN_MAX {
                bail!("a line of the live stream is longer than {LINE_LEN_MAX} bytes");
            }
            let chunk = self.response.chunk().await?.context("the live stream ended")?;
            self.pending.extend_from_slice(&chunk);
        }
    }
}
