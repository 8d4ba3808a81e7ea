//! A practice in the middle of its day behind the real router, asked without a socket.
#![allow(dead_code, reason = "each test uses its part")]

use super::{
    postgres,
    world::{PASSWORD, World},
};
use axum::{Router, body::Body, http::Method};
use chiasm_cloud::http;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tower::ServiceExt;

pub struct Site {
    pub world: World,
    pub router: Router,
    pub visits: BTreeMap<String, String>,
    _dir: tempfile::TempDir,
}

impl Site {
    pub async fn new(is_postgres: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite:{}", dir.path().join("db").display());
        let url = if is_postgres { postgres::fresh_database().await } else { sqlite };
        let mut world = World::new(&url, dir.path()).await;
        let visits = world.day().await;
        let router = http::router(world.core.clone());
        Self { world, router, visits, _dir: dir }
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, axum::http::HeaderMap, String) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
    }

    pub async fn token(&self, login: &str) -> String {
        let body = json!({"login": login, "password": PASSWORD}).to_string();
        let json = [("content-type", "application/json")];
        let (status, _, body) = self.send(Method::POST, "/api/v1/sign-in", &json, &body).await;
        assert_eq!(status, 200, "{body}");
        let answer: Value = serde_json::from_str(&body).unwrap();
        format!("Bearer {}", answer["token"].as_str().unwrap())
    }

    pub async fn api(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let headers = [("authorization", token), ("content-type", "application/json")];
        let (status, _, body) = self.send(method, path, &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// The exam's readings by model, latest first.
    pub async fn exam(&self, token: &str, encounter: &str) -> Vec<Value> {
        let path = format!("/api/v1/encounters/{encounter}/readings");
        let (status, readings) = self.api(token, Method::GET, &path, json!({})).await;
        assert_eq!(status, 200);
        readings.as_array().unwrap().clone()
    }
}

/// Runs a test on SQLite and on PostgreSQL.
#[allow(unused_macros, reason = "each test uses its part")]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(super::Site::new(false).await).await;
            }
            #[tokio::test]
            async fn postgres() {
                super::$name(super::Site::new(true).await).await;
            }
        }
    )+ };
}
#[allow(unused_imports, reason = "each test uses its part")]
pub(crate) use on_both;
