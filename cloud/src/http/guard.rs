//! Who asks, whether their role may, and whether the request really comes from our pages.

use super::{BODY_LEN_MAX, Fault, Web, auth, dicomweb, extract::is_plain};
use crate::{
    app::{
        principal::{Principal, Role},
        sign_in,
    },
    clock,
    store::notice,
};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use std::net::IpAddr;

/// Who may use a route.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    /// Anybody, signed in or not.
    Public,
    /// People signed in with one of these roles.
    Roles(&'static [Role]),
}

/// Header that carries the CSRF token of a fetch; forms carry the field `csrf`.
pub const CSRF_HEADER: &str = "x-csrf-token";
const CSRF_FIELD: &[u8] = b"csrf=";
/// Header of requests that a page makes by itself: they keep nobody signed in.
pub const BY_ITSELF_HEADER: &str = "x-chiasm-by-itself";

/// The signed-in person, as handlers take it, and how many notices they have not seen (counted for
/// pages only). Present only behind [`Access::Roles`].
#[derive(Debug, Clone)]
pub struct Who(pub Principal, pub i64);

impl std::ops::Deref for Who {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Fault;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        parts.extensions.get::<Who>().cloned().ok_or_else(not_signed_in)
    }
}

/// Stands in front of every handler.
pub async fn guard(
    State((web, access)): State<(Web, Access)>,
    request: Request,
    next: Next,
) -> Response {
    if !is_plain(request.uri().path()) {
        return Fault::not_found("page").into_response();
    }
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe && !is_same_origin(request.headers()) {
        return cross_site().into_response();
    }
    let Access::Roles(roles) = access else { return next.run(request).await };
    let address = auth::Address::of(&web, request.headers(), request.extensions());
    let (mut who, is_by_cookie) = match identify(&web, request.headers(), address).await {
        Ok(Some(found)) => found,
        Ok(None) => return ask_to_sign_in(&request),
        Err(fault) => return fault.into_response(),
    };
    let refused = |fault: Fault, who: &Who| {
        let mut response = fault.into_response();
        response.extensions_mut().insert(who.clone());
        response
    };
    if !roles.contains(&who.role) {
        return refused(wrong_role(who.role), &who);
    }
    if who.must_change_password && !is_own_account(request.uri().path()) {
        return match is_page(request.uri().path()) && is_safe {
            true => Redirect::to("/account").into_response(),
            false => refused(must_change_password(), &who),
        };
    }
    if is_safe && who.role.is_clinical() && is_page(request.uri().path()) {
        who.1 = match unseen_notices(&web, &who).await {
            Ok(count) => count,
            Err(fault) => return refused(fault, &who),
        };
    }
    let mut request = request;
    if !is_safe && is_by_cookie {
        request = match check_csrf(request, &who.csrf_token).await {
            Ok(request) => request,
            Err(fault) => return refused(fault, &who),
        };
    }
    request.extensions_mut().insert(who.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(who);
    response
}

async fn identify(
    web: &Web,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Option<(Who, bool)>, Fault> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let Some(token) = bearer.or_else(|| auth::cookie_token(headers)) else { return Ok(None) };
    let is_person = !headers.contains_key(BY_ITSELF_HEADER);
    let found = sign_in::authenticate(&web.core.db, token, is_person, clock::now_us()).await?;
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let who = |principal| Who(Principal { address, ..principal }, 0);
    Ok(found.map(|principal| (who(principal), bearer.is_none())))
}

/// What somebody may do whose password was made by somebody else.
fn is_own_account(path: &str) -> bool {
    matches!(path, "/account" | "/account/password" | "/sign-out" | "/api/v1/sign-out")
}

fn is_page(path: &str) -> bool {
    !path.starts_with("/api/") && !path.starts_with(dicomweb::PREFIX) && path != "/live"
}

async fn unseen_notices(web: &Web, who: &Who) -> Result<i64, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    Ok(notice::unseen(&mut tx, &who.tenant, &who.account).await?)
}

fn ask_to_sign_in(request: &Request) -> Response {
    let path = request.uri().path();
    let is_page = is_page(path);
    let is_by_script = request.headers().contains_key(super::fault::FETCH_HEADER);
    if is_page && !is_by_script && request.method() == Method::GET {
        return Redirect::to(&auth::sign_in_url(path)).into_response();
    }
    not_signed_in().into_response()
}

/// Browsers say where a request comes from. One that says nothing is no browser, and holds no
/// cookie that another site could abuse.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host))
        }
        (Some(_), None) => false,
        (None, _) => true,
    }
}

/// Looks for the token in the header, or else in the form, whose body is put back for the handler.
async fn check_csrf(request: Request, expected: &str) -> Result<Request, Fault> {
    if let Some(given) = request.headers().get(CSRF_HEADER) {
        return if is_equal(given.as_bytes(), expected) { Ok(request) } else { Err(no_csrf()) };
    }
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let is_form = content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return Err(no_csrf());
    }
    let (parts, body) = request.into_parts();
    let body: Bytes = to_bytes(body, BODY_LEN_MAX).await.map_err(|_| too_large())?;
    // The token is hexadecimal, so it stands in the form as it is.
    let mut fields = body.split(|&byte| byte == b'&');
    let given = fields.find_map(|field| field.strip_prefix(CSRF_FIELD));
    if !given.is_some_and(|given| is_equal(given, expected)) {
        return Err(no_csrf());
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// Compares without telling by its time where the difference is.
fn is_equal(given: &[u8], expected: &str) -> bool {
    let expected = expected.as_bytes();
    let difference = given.iter().zip(expected).fold(0, |all, (a, b)| all | (a ^ b));
    given.len() == expected.len() && difference == 0
}

fn not_signed_in() -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, "not_signed_in", "Sign in first.")
}
fn wrong_role(role: Role) -> Fault {
    let message = format!("Somebody signed in as {} may not do or see this.", role.label());
    Fault::new(StatusCode::FORBIDDEN, "wrong_role", message)
}
fn must_change_password() -> Fault {
    let message = "Choose a password of your own first: sign in with a browser.";
    Fault::new(StatusCode::FORBIDDEN, "password_is_not_yours", message)
}
fn no_csrf() -> Fault {
    let message = "The page was too old for this. Load it again and repeat what you did.";
    Fault::new(StatusCode::FORBIDDEN, "csrf", message)
}
fn cross_site() -> Fault {
    Fault::new(StatusCode::FORBIDDEN, "cross_site", "This did not come from one of our pages.")
}
fn too_large() -> Fault {
    let message = format!("The request is larger than {BODY_LEN_MAX} bytes.");
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}
