//! Sign-in and sign-out, for browsers by cookie and for programs by bearer token.

use super::{
    Fault, Web, Who,
    extract::{Body, Form, ID_LEN_MAX, text},
    pages::frame::{Frame, page},
    serve::Peer,
};
use crate::{
    app::{
        password::PASSWORD_LEN_MAX,
        sign_in::{self, ABSOLUTE_MAX_S, SignInError, SignedIn},
    },
    clock,
};
use askama::Template;
use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};
use utoipa::ToSchema;

pub(super) const COOKIE: &str = "chiasm_session";

/// The address that a request came from, if the server tells it. Behind a proxy it is what the
/// proxy nearest to us saw: only that entry of the header is not the client's own invention.
pub struct Address(String, &'static str);

impl FromRequestParts<Web> for Address {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        let found = Self::of(web, &parts.headers, &parts.extensions);
        let address = found.map_or_else(|| "unknown".into(), |address| address.to_string());
        Ok(Self(address, browser(&parts.headers)))
    }
}

impl Address {
    pub(super) fn text(&self) -> &str {
        &self.0
    }
    /// The address and the browser, as the sign-in keeps them.
    pub(super) fn place(&self) -> (&str, &str) {
        (&self.0, self.1)
    }
    /// The address, where it is known.
    pub fn of(web: &Web, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let is_behind_proxy = web.core.config.http.behind_proxy;
        let forwarded = is_behind_proxy.then(|| last_forwarded_for(headers)).flatten();
        let peer = || extensions.get::<Peer>().map(|peer| peer.0.ip());
        forwarded.or_else(peer)
    }
}

fn last_forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").into_iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    let with_port = || last.parse::<SocketAddr>().ok().map(|address| address.ip());
    last.parse().ok().or_else(with_port)
}

/// The browser by its name, as its owner knows it.
fn browser(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("");
    // The order counts: each claims to be those after it as well.
    let known = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("Mozilla/", "a browser"),
    ];
    let found = known.iter().find(|(mark, _)| agent.contains(mark));
    found.map_or("a program", |(_, name)| name)
}

/// The session token in the cookies, if there is one.
pub fn cookie_token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// A cookie by its name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = cookies.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
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
    // Browsers drop tabs and line ends, so that "/<tab>/elsewhere" would lead away.
    let is_plain = !then.contains(|c: char| c == '\\' || c.is_control());
    let is_own = then.starts_with('/') && !then.starts_with("//") && is_plain;
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
    /// Name of the identity provider, if there is one, and where its sign-in begins.
    provider: Option<(String, String)>,
}

impl SignInPage {
    fn new(web: &Web, (login, then): (String, String), fault: String) -> Self {
        let provider = web.core.config.oidc.as_ref().map(|oidc| {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("then", own_path(&then))
                .finish();
            (oidc.name.clone(), format!("/sign-in/provider?{query}"))
        });
        Self { frame: Frame::new("Sign in", None, ""), login, then, fault, provider }
    }
}

pub async fn show_sign_in(
    State(web): State<Web>,
    Query(form): Query<SignInForm>,
) -> Result<Response, Fault> {
    page(SignInPage::new(&web, (form.login, form.then), String::new()))
}

/// The page again, with why somebody was not signed in.
pub(super) fn refused_page(
    web: &Web,
    status: StatusCode,
    why: &str,
    then: &str,
) -> Result<Response, Fault> {
    let mut chars = why.chars();
    let first = chars.next().map(|char| char.to_uppercase().to_string()).unwrap_or_default();
    let fault = format!("{first}{}.", chars.as_str());
    let body = page(SignInPage::new(web, (String::new(), then.to_owned()), fault))?;
    Ok((status, body).into_response())
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
            let body = page(SignInPage::new(&web, (login, then), message))?;
            return Ok((status, body).into_response());
        }
    };
    let cookie = set_cookie(COOKIE, &signed_in.token, ABSOLUTE_MAX_S, &headers);
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(own_path(&then))).into_response())
}

async fn attempt(
    web: &Web,
    address: &Address,
    credentials: (&str, &str),
) -> Result<SignedIn, SignInError> {
    let now_us = clock::now_us();
    sign_in::sign_in(&web.core.db, &web.attempts, credentials, address.place(), now_us).await
}

/// Pictures of patients leave the cache of a browser that others use next.
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const FORGET_PICTURES: HeaderValue = HeaderValue::from_static("\"cache\"");

pub async fn sign_out_by_form(
    State(web): State<Web>,
    who: Who,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    sign_in::sign_out(&web.core.db, &who, clock::now_us()).await?;
    let cookie = set_cookie(COOKIE, "", 0, &headers);
    let answer = [(header::SET_COOKIE, cookie), (CLEAR_SITE_DATA, FORGET_PICTURES)];
    Ok((answer, Redirect::to("/sign-in")).into_response())
}

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    #[schema(max_length = 200)]
    login: String,
    #[serde(deserialize_with = "text::<PASSWORD_LEN_MAX, _>")]
    #[schema(max_length = 200)]
    password: String,
}

/// What a program needs to go on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct Session {
    /// For `Authorization: Bearer …`.
    token: String,
    tenant_id: String,
    role: &'static str,
    display_name: String,
    expires_at_us: i64,
}

/// Signs in a program and gives it a bearer token.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "Signing in",
    request_body = Credentials,
    responses((status = 200, body = Session), (status = 401), (status = 429)))]
pub async fn sign_in_by_json(
    State(web): State<Web>,
    address: Address,
    Body(form): Body<Credentials>,
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

/// Ends the sign-in; its token is worth nothing from then on.
#[utoipa::path(post, path = "/api/v1/sign-out", tag = "Signing in", responses((status = 204)))]
pub async fn sign_out_by_json(State(web): State<Web>, who: Who) -> Result<StatusCode, Fault> {
    sign_in::sign_out(&web.core.db, &who, clock::now_us()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The header that sets a cookie which no script reads.
pub(super) fn set_cookie(
    name: &str,
    token: &str,
    max_age_s: i64,
    headers: &HeaderMap,
) -> HeaderValue {
    let secure = if is_loopback(headers) { "" } else { "; Secure" };
    let text =
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::from_str(&text).expect("a token is hexadecimal")
}

/// Whether the browser talks to its own machine, where no TLS is needed.
fn is_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_nearest_proxy_is_believed() {
        let mut headers = HeaderMap::new();
        assert_eq!(last_forwarded_for(&headers), None);
        for (value, last) in [
            ("203.0.113.9", "203.0.113.9"),
            ("127.0.0.1, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1,2001:db8::1", "2001:db8::1"),
            ("192.0.2.1:5123", "192.0.2.1"),
        ] {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
            assert_eq!(last_forwarded_for(&headers), last.parse().ok(), "{value}");
        }
        headers.append("x-forwarded-for", HeaderValue::from_static("nonsense"));
        assert_eq!(last_forwarded_for(&headers), None);
    }

    #[test]
    fn nobody_is_led_elsewhere() {
        assert_eq!(own_path("/lanes/lane-1"), "/lanes/lane-1");
        for path in ["https://e.example", "//e.example", "/\\e.example", "/\t/e.example", ""] {
            assert_eq!(own_path(path), "/", "{path}");
        }
    }
}
