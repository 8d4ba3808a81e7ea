//! Sign-in and sign-out, for browsers by cookie and for programs by bearer token.

use super::{
    Fault, Web, Who,
    pages::frame::{Frame, page},
    tls::Peer,
};
use crate::{
    app::sign_in::{self, ABSOLUTE_MAX_S, SignInError, SignedIn},
    clock,
};
use askama::Template;
use axum::{
    Form, Json,
    extract::{ConnectInfo, FromRequestParts, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use std::{convert::Infallible, net::SocketAddr};

const COOKIE: &str = "chiasm_session";

/// The address that a request came from, if the server tells it. Behind a proxy it is the proxy's,
/// and the limit per login alone holds.
pub struct Address(String);

impl<S: Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let plain = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let peer = plain.or_else(|| parts.extensions.get::<Peer>().map(|peer| peer.0));
        Ok(Self(peer.map_or_else(|| "unknown".into(), |peer| peer.ip().to_string())))
    }
}

/// The session token in the cookies, if there is one.
pub fn cookie_token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = cookies.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Where somebody signs in to come to a page.
pub fn sign_in_url(then: &str) -> String {
    let mut url = "/sign-in".to_owned();
    let is_plain = then.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_".contains(&byte));
    if then != "/" && is_plain {
        url.push_str("?then=");
        url.push_str(then);
    }
    url
}

/// A path of ours, whatever a request claims.
pub fn own_path(then: &str) -> &str {
    let is_own = then.starts_with('/') && !then.starts_with("//") && !then.contains(['\\', '\n']);
    if is_own { then } else { "/" }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SignInForm {
    login: String,
    password: String,
    then: String,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    login: String,
    then: String,
    fault: String,
}

pub async fn show_sign_in(Query(form): Query<SignInForm>) -> Result<Response, Fault> {
    let SignInForm { login, then, .. } = form;
    page(SignInPage { frame: Frame::new("Sign in", None, ""), login, then, fault: String::new() })
}

pub async fn sign_in_by_form(
    State(web): State<Web>,
    address: Address,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Result<Response, Fault> {
    let SignInForm { login, password, then } = form;
    let signed_in = match attempt(&web, &address, (&login, &password)).await {
        Ok(signed_in) => signed_in,
        Err(SignInError::App(error)) => return Err(error.into()),
        Err(error) => {
            let Fault { status, message, .. } = error.into();
            let frame = Frame::new("Sign in", None, "");
            let body = page(SignInPage { frame, login, then, fault: message })?;
            return Ok((status, body).into_response());
        }
    };
    let cookie = cookie(&signed_in.token, ABSOLUTE_MAX_S, is_loopback(&headers));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&then))).into_response())
}

async fn attempt(
    web: &Web,
    address: &Address,
    credentials: (&str, &str),
) -> Result<SignedIn, SignInError> {
    let now_us = clock::now_us();
    sign_in::sign_in(&web.core.db, &web.attempts, credentials, &address.0, now_us).await
}

pub async fn sign_out_by_form(
    State(web): State<Web>,
    who: Who,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    sign_in::sign_out(&web.core.db, &who, clock::now_us()).await?;
    let cookie = cookie("", 0, is_loopback(&headers));
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/sign-in")).into_response())
}

#[derive(Debug, Deserialize)]
pub struct Credentials {
    login: String,
    password: String,
}

/// What a program needs to go on.
#[derive(Debug, Serialize)]
pub struct Session {
    /// For `Authorization: Bearer …`.
    token: String,
    tenant_id: String,
    role: &'static str,
    display_name: String,
    expires_at_us: i64,
}

pub async fn sign_in_by_json(
    State(web): State<Web>,
    address: Address,
    Json(form): Json<Credentials>,
) -> Result<Json<Session>, Fault> {
    let signed_in = attempt(&web, &address, (&form.login, &form.password)).await?;
    Ok(Json(Session {
        token: signed_in.token,
        tenant_id: signed_in.principal.tenant,
        role: signed_in.principal.role.as_str(),
        display_name: signed_in.principal.name,
        expires_at_us: signed_in.expires_at_us,
    }))
}

pub async fn sign_out_by_json(State(web): State<Web>, who: Who) -> Result<StatusCode, Fault> {
    sign_in::sign_out(&web.core.db, &who, clock::now_us()).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn cookie(token: &str, max_age_s: i64, is_loopback: bool) -> HeaderValue {
    let secure = if is_loopback { "" } else { "; Secure" };
    let text =
        format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::from_str(&text).expect("a token is hexadecimal")
}

/// Whether the browser talks to its own machine, where no TLS is needed.
fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}
