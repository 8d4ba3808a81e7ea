//! Signing in with the practice's identity provider: there, and back.

use super::{
    Fault, Web,
    auth::{self, Address},
    extract::{ID_LEN_MAX, Params, text},
    oidc,
};
use crate::{
    app::{
        password,
        provider::{self, PENDING_MAX_S, ProviderError},
        sign_in::{ABSOLUTE_MAX_S, SignedIn},
    },
    clock,
    config::Oidc,
    store::provider::Pending,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

/// Holds what binds a sign-in to the browser that it began in.
const COOKIE: &str = "chiasm_provider";
/// Longest code and state, in characters.
const CODE_LEN_MAX: usize = 4_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Then {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    then: String,
}

/// What the provider gives back: a code, or why not. Further parameters are none of ours.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    #[serde(deserialize_with = "text::<CODE_LEN_MAX, _>")]
    code: String,
    #[serde(deserialize_with = "text::<CODE_LEN_MAX, _>")]
    state: String,
    #[serde(deserialize_with = "text::<CODE_LEN_MAX, _>")]
    error: String,
}

fn config(web: &Web) -> Result<&Oidc, Fault> {
    web.core.config.oidc.as_ref().ok_or_else(|| Fault::not_found("page"))
}

/// Sends the browser to the provider.
pub async fn begin(
    State(web): State<Web>,
    address: Address,
    headers: HeaderMap,
    Params(ask): Params<Then>,
) -> Result<Response, Fault> {
    let config = config(&web)?;
    match go(&web, config, &address, &ask.then).await {
        Ok((url, browser)) => {
            let cookie = auth::set_cookie(COOKIE, &browser, PENDING_MAX_S, &headers);
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&url)).into_response())
        }
        Err(error) => refuse(&web, error, &ask.then),
    }
}

async fn go(
    web: &Web,
    config: &Oidc,
    address: &Address,
    then: &str,
) -> Result<(String, String), ProviderError> {
    let now_us = clock::now_us();
    // Before the provider is asked for anything: nobody is signed in yet.
    web.attempts.begin_provider(address.text(), now_us)?;
    let begun = oidc::begin(config.clone()).await?;
    let browser = password::random_token();
    let pending = Pending {
        nonce: begun.nonce,
        pkce_verifier: begun.pkce_verifier,
        then_path: auth::own_path(then).to_owned(),
    };
    let bound = (begun.state.as_str(), browser.as_str());
    provider::begin(&web.core.db, &config.tenant, bound, (&pending, now_us)).await?;
    Ok((begun.url, browser))
}

/// Takes the browser that comes back from the provider.
pub async fn callback(
    State(web): State<Web>,
    address: Address,
    headers: HeaderMap,
    Params(answer): Params<Answer>,
) -> Result<Response, Fault> {
    let config = config(&web)?;
    let browser = auth::cookie(&headers, COOKIE).unwrap_or_default();
    let mut response = match come(&web, config, (&address, browser), &answer).await {
        Ok((signed_in, then)) => {
            let token = &signed_in.token;
            let cookie = auth::set_cookie(auth::COOKIE, token, ABSOLUTE_MAX_S, &headers);
            ([(header::SET_COOKIE, cookie)], Redirect::to(&then)).into_response()
        }
        Err(error) => refuse(&web, error, "")?,
    };
    let over: HeaderValue = auth::set_cookie(COOKIE, "", 0, &headers);
    response.headers_mut().append(header::SET_COOKIE, over);
    Ok(response)
}

async fn come(
    web: &Web,
    config: &Oidc,
    (address, browser): (&Address, &str),
    answer: &Answer,
) -> Result<(SignedIn, String), ProviderError> {
    let now_us = clock::now_us();
    let bound = (answer.state.as_str(), browser);
    let pending = provider::take(&web.core.db, &config.tenant, bound, now_us).await?;
    if answer.code.is_empty() || !answer.error.is_empty() {
        return Err(ProviderError::NotRight);
    }
    let secrets = (pending.nonce, pending.pkce_verifier);
    let identity = oidc::redeem(config.clone(), answer.code.clone(), secrets).await?;
    let (db, tenant) = (&web.core.db, &config.tenant);
    let signed_in = provider::sign_in(db, tenant, &identity, address.place(), now_us).await?;
    Ok((signed_in, pending.then_path))
}

/// The sign-in page, with what happened and what to do.
fn refuse(web: &Web, error: ProviderError, then: &str) -> Result<Response, Fault> {
    let status = match &error {
        ProviderError::Unknown | ProviderError::Disabled => StatusCode::FORBIDDEN,
        ProviderError::NotBegun | ProviderError::NotRight => StatusCode::UNAUTHORIZED,
        ProviderError::Away => StatusCode::BAD_GATEWAY,
        ProviderError::SignIn(_) => StatusCode::TOO_MANY_REQUESTS,
    };
    if let ProviderError::SignIn(error @ crate::app::sign_in::SignInError::App(_)) = error {
        return Err(error.into());
    }
    auth::refused_page(web, status, &error.to_string(), then)
}
