//! What is said to an OpenID Connect provider: discovery, the code for a token, and whether the ID
//! token is the provider's, ours, in time and of this sign-in. The protocol and the checks are the
//! library's; the one HTTP client and its limits are ours.

use crate::{
    app::provider::{Identity, ProviderError},
    config::Oidc,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthenticationFlow, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IdTokenClaims, IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
        CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, pin::Pin, time::Duration};

/// Where the provider sends browsers back to.
pub const CALLBACK: &str = "/sign-in/provider/callback";
/// Longest answer of a provider, in bytes.
const ANSWER_LEN_MAX: usize = 1024 * 1024;
/// How long a provider may take for one answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// Claims that the standard does not name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Further(BTreeMap<String, serde_json::Value>);
impl AdditionalClaims for Further {}

type Claims = IdTokenClaims<Further, CoreGenderClaim>;
type Fields = IdTokenFields<
    Further,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Client = openidconnect::Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Where the browser goes, and what has to come back.
pub struct Begun {
    pub url: String,
    pub state: String,
    pub nonce: String,
    pub pkce_verifier: String,
}

/// Finds the provider and makes the address of a new sign-in there.
pub async fn begin(config: Oidc) -> Result<Begun, ProviderError> {
    let client = discover(&http_client()?, &config).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scope(Scope::new("email".into()))
        .add_scope(Scope::new("profile".into()))
        .set_pkce_challenge(challenge)
        .url();
    Ok(Begun {
        url: url.into(),
        state: state.into_secret(),
        nonce: nonce.secret().clone(),
        pkce_verifier: verifier.into_secret(),
    })
}

/// Gives the code for a token and believes it only if everything about it is right.
pub async fn redeem(
    config: Oidc,
    code: String,
    (nonce, pkce_verifier): (String, String),
) -> Result<Identity, ProviderError> {
    let http = http_client()?;
    let client = discover(&http, &config).await?;
    let request = client.exchange_code(AuthorizationCode::new(code));
    let request = request.map_err(|error| not_right(&error))?;
    let request = request.set_pkce_verifier(PkceCodeVerifier::new(pkce_verifier));
    let answer = request.request_async(&http).await.map_err(|error| not_right(&error))?;
    let token = answer.id_token().ok_or(ProviderError::NotRight)?;
    let nonce = Nonce::new(nonce);
    let claims = token.claims(&client.id_token_verifier(), &nonce);
    let claims = claims.map_err(|error| not_right(&error))?;
    Ok(Identity {
        issuer: claims.issuer().to_string(),
        subject: claims.subject().to_string(),
        claim: claim(claims, &config.claim),
    })
}

/// The claim that names the person to clinic IT. An address that the provider has not verified is
/// nobody's.
fn claim(claims: &Claims, name: &str) -> Option<String> {
    match name {
        "email" => {
            let email = claims.email().filter(|_| claims.email_verified() == Some(true));
            email.map(|email| email.to_string())
        }
        "preferred_username" => claims.preferred_username().map(|it| it.to_string()),
        "sub" => Some(claims.subject().to_string()),
        other => claims.additional_claims().0.get(other)?.as_str().map(ToOwned::to_owned),
    }
}

async fn discover(http: &Http, config: &Oidc) -> Result<Client, ProviderError> {
    let wrong = |what: &str| {
        tracing::error!(what, "the configuration of [oidc] cannot be used");
        ProviderError::Away
    };
    let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|_| wrong("issuer"))?;
    let secret = tokio::fs::read_to_string(&config.client_secret_file).await;
    let secret = secret.map_err(|_| wrong("client_secret_file"))?;
    let back = RedirectUrl::new(format!("{}{CALLBACK}", config.public_url));
    let back = back.map_err(|_| wrong("public_url"))?;
    let found = CoreProviderMetadata::discover_async(issuer, http).await;
    let found = found.map_err(|error| {
        tracing::warn!(%error, "the identity provider does not answer as it should");
        ProviderError::Away
    })?;
    let secret = ClientSecret::new(secret.trim().to_owned());
    let id = ClientId::new(config.client_id.clone());
    Ok(Client::from_provider_metadata(found, id, Some(secret)).set_redirect_uri(back))
}

/// The log says what was wrong; neither code nor token is in it.
fn not_right(error: &dyn std::error::Error) -> ProviderError {
    tracing::warn!(%error, "the identity provider's answer is refused");
    ProviderError::NotRight
}

/// What the library sends its requests with.
struct Http(reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send>>;
    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(send(self.0.clone(), request))
    }
}

fn http_client() -> Result<Http, ProviderError> {
    // The one of the process; a second call only says so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        // What a provider says must not lead us elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(ANSWER_TIME_MAX)
        .build();
    client.map(Http).map_err(|error| not_right(&error))
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Http(#[from] reqwest::Error),
    #[error("the answer is longer than {ANSWER_LEN_MAX} bytes")]
    TooLong,
    #[error("the request or the answer is none: {0}")]
    Form(String),
}

async fn send(http: reqwest::Client, request: HttpRequest) -> Result<HttpResponse, SendError> {
    let form = |error: &dyn std::error::Error| SendError::Form(error.to_string());
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    let request = http.request(parts.method, url).headers(parts.headers).body(body);
    let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
    let mut answer = HttpResponse::new(Vec::new());
    *answer.status_mut() = response.status();
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    while let Some(chunk) = response.chunk().await.map_err(|error| form(&error))? {
        if answer.body().len() + chunk.len() > ANSWER_LEN_MAX {
            return Err(SendError::TooLong);
        }
        answer.body_mut().extend_from_slice(&chunk);
    }
    Ok(answer)
}
