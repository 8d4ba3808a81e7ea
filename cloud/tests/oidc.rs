//! Sign-in by OpenID Connect against a provider that runs (`tests/oidc-provider/install.sh`).

mod site;

use axum::{
    Json, Router,
    http::{HeaderMap, Method},
    routing,
};
use chiasm_cloud::{config::Oidc, http};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use site::{Site, world::TENANT};
use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

const PUBLIC_URL: &str = "https://chiasm.example";
const ANA: &str = "ana@clinic.example";

/// The provider's process.
struct Provider {
    process: Child,
    url: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Provider {
    async fn start(token_max_age_s: u32) -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let program = target.join("oidc-provider/bin/oidc-provider-mock");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(&program);
        command.args(["--port", &port.to_string(), "--require-nonce"]);
        command.args(["--token-max-age", &token_max_age_s.to_string()]);
        for (sub, email, verified) in [
            ("s-ana", "Ana@clinic.example", true),
            ("s-liar", ANA, false),
            ("s-stranger", "stranger@clinic.example", true),
        ] {
            let claims = json!({"sub": sub, "email": email, "email_verified": verified});
            command.args(["--user-claims", &claims.to_string()]);
        }
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("run `make test-packages` first");
        let provider = Self { process, url: format!("http://127.0.0.1:{port}") };
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let up = tokio::time::timeout(Duration::from_secs(60), async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tick.tick().await;
            }
        });
        up.await.expect("the provider starts");
        provider
    }

    /// What a person does there: chooses who they are. Gives where the browser is sent back to.
    async fn consent(url: &str, subject: &str) -> String {
        let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let request = client.post(url).header(form.0, form.1).body(format!("sub={subject}"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 302, "{}", response.text().await.unwrap());
        let back = response.headers()["location"].to_str().unwrap().to_owned();
        back.strip_prefix(PUBLIC_URL).expect("back to us").to_owned()
    }
}

/// A practice that trusts the provider, with Ana prepared.
async fn practice(issuer: &str) -> Site {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut site = Site::new(false).await;
    let secret = tempfile::NamedTempFile::new().unwrap().into_temp_path().keep().unwrap();
    std::fs::write(&secret, "a secret\n").unwrap();
    let mut config = (*site.world.core.config).clone();
    config.oidc = Some(Oidc {
        issuer: issuer.to_owned(),
        client_id: "chiasm".into(),
        client_secret_file: secret,
        public_url: PUBLIC_URL.into(),
        name: "Clinic login".into(),
        tenant: TENANT.into(),
        claim: "email".into(),
    });
    site.world.core.config = Arc::new(config);
    site.router = http::router(site.world.core.clone());
    let it = site.token("it").await;
    assert_eq!(site.it(&it, "claim", &format!("claim={ANA}")).await, 303);
    site
}

impl Site {
    /// What clinic IT does with Ana's account.
    async fn it(&self, token: &str, what: &str, body: &str) -> u16 {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let path = format!("/people/{TENANT}-ana/{what}");
        self.send(Method::POST, &path, &[("authorization", token), form], body).await.0
    }
    /// Where the browser is sent, and the cookie that it keeps.
    async fn begin(&self) -> (String, String) {
        let path = "/sign-in/provider?then=%2Fpatients";
        let (status, headers, page) = self.send(Method::GET, path, &[], "").await;
        assert_eq!(status, 303, "{page}");
        (headers["location"].to_str().unwrap().to_owned(), cookie_of(&headers, "chiasm_provider"))
    }
    async fn come_back(&self, path: &str, cookie: &str) -> (u16, HeaderMap, String) {
        self.send(Method::GET, path, &[("cookie", cookie)], "").await
    }
    /// The whole way; gives the answer to the browser that came back.
    async fn sign_in_as(&self, subject: &str) -> (u16, HeaderMap, String) {
        let (url, cookie) = self.begin().await;
        self.come_back(&Provider::consent(&url, subject).await, &cookie).await
    }
}

fn cookie_of(headers: &HeaderMap, name: &str) -> String {
    let all = headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap());
    let found = all.into_iter().find(|it| it.starts_with(&format!("{name}=")));
    let found = found.unwrap_or_else(|| panic!("no cookie {name}"));
    assert!(found.contains("HttpOnly") && found.contains("Secure"), "{found}");
    found.split(';').next().unwrap().to_owned()
}

#[track_caller]
fn assert_refused((status, headers, page): &(u16, HeaderMap, String), want: u16, words: &str) {
    assert_eq!(*status, want, "{page}");
    assert!(page.contains(words), "{words} is missing in {page}");
    let cookies = headers.get_all("set-cookie").iter();
    assert!(!cookies.into_iter().any(|it| it.to_str().unwrap().starts_with("chiasm_session=")));
}

#[tokio::test]
async fn people_who_are_prepared_sign_in_and_nobody_else() {
    let provider = Provider::start(3600).await;
    let site = practice(&provider.url).await;
    let (_, _, page) = site.send(Method::GET, "/sign-in", &[], "").await;
    assert!(page.contains("Sign in with Clinic login"));
    let (url, _) = site.begin().await;
    for part in ["code_challenge_method=S256", "nonce=", "state=", "scope=openid"] {
        assert!(url.contains(part), "{part} is missing in {url}");
    }
    // An address that the provider has not verified is nobody's, and no account makes itself.
    assert_refused(&site.sign_in_as("s-liar").await, 403, "Nobody here is prepared");
    assert_refused(&site.sign_in_as("s-stranger").await, 403, "Nobody here is prepared");
    let (status, headers, page) = site.sign_in_as("s-ana").await;
    assert_eq!((status, headers["location"].to_str().unwrap()), (303, "/patients"), "{page}");
    let session = cookie_of(&headers, "chiasm_session");
    let me = site.send(Method::GET, "/api/v1/me", &[("cookie", &session)], "").await.2;
    assert!(me.contains(&format!("{TENANT}-ana")), "{me}");
    // The link is to the subject: it stays when the provider names the person otherwise.
    let client = reqwest::Client::new();
    let renamed = json!({"email": "ana.ruiz@clinic.example", "email_verified": true}).to_string();
    let put = client.put(format!("{}/users/s-ana", provider.url)).body(renamed);
    let put = put.header("content-type", "application/json").send().await.unwrap();
    assert!(put.status().is_success());
    assert_eq!(site.sign_in_as("s-ana").await.0, 303);
    // Passwords go on beside it; who is kept out is kept out here as well.
    assert_eq!(site.token("okafor").await.len(), "Bearer ".len() + 64);
    let it = site.token("it").await;
    assert_eq!(site.it(&it, "disable", "").await, 303);
    assert_refused(&site.sign_in_as("s-ana").await, 403, "may not sign in");
}

#[tokio::test]
async fn what_was_not_begun_here_or_comes_twice_is_refused() {
    let provider = Provider::start(3600).await;
    let site = practice(&provider.url).await;
    let not_begun = "not begun in this browser";
    // Another state, another browser, and no browser.
    let (url, cookie) = site.begin().await;
    let back = Provider::consent(&url, "s-ana").await;
    let (_, others) = site.begin().await;
    let forged = back.replace("state=", "state=x");
    assert_refused(&site.come_back(&forged, &cookie).await, 401, not_begun);
    assert_refused(&site.come_back(&back, &others).await, 401, not_begun);
    assert_refused(&site.come_back(&back, "x=y").await, 401, not_begun);
    // The right one, once.
    assert_eq!(site.come_back(&back, &cookie).await.0, 303);
    assert_refused(&site.come_back(&back, &cookie).await, 401, not_begun);
    // The spent code under a new state.
    let (url, cookie) = site.begin().await;
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let replayed = format!("/sign-in/provider/callback?code={code}&state={state}");
    assert_refused(&site.come_back(&replayed, &cookie).await, 401, "answer is not right");
    // A token of another sign-in.
    let (url, cookie) = site.begin().await;
    let other = Provider::consent(&url.replace("nonce=", "nonce=x"), "s-ana").await;
    assert_refused(&site.come_back(&other, &cookie).await, 401, "answer is not right");
    // Refused by the person.
    let (url, cookie) = site.begin().await;
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let denied = format!("/sign-in/provider/callback?error=access_denied&state={state}");
    assert_refused(&site.come_back(&denied, &cookie).await, 401, "answer is not right");
}

#[tokio::test]
async fn expired_and_foreign_tokens_are_refused() {
    let expired = Provider::start(0).await;
    let site = practice(&expired.url).await;
    assert_refused(&site.sign_in_as("s-ana").await, 401, "answer is not right");

    let (provider, other) = (Provider::start(3600).await, Provider::start(3600).await);
    // The tokens are named after another issuer than the one that we asked.
    let posed =
        pose(&provider.url, |url, own| json!({"issuer": own, "jwks_uri": format!("{url}/jwks")}));
    let site = practice(&posed.await).await;
    assert_refused(&site.sign_in_as("s-ana").await, 401, "answer is not right");
    // The right issuer with the right keys, and with keys that did not sign.
    for (keys, status) in [(provider.url.clone(), 303), (other.url.clone(), 401)] {
        let posed = pose(&provider.url, move |_, own| {
            let (jwks_uri, token) = (format!("{keys}/jwks"), format!("{own}/oauth2/token"));
            json!({"issuer": own, "jwks_uri": jwks_uri, "token_endpoint": token})
        });
        let site = practice(&posed.await).await;
        assert_eq!(site.sign_in_as("s-ana").await.0, status);
    }
    // A document that names another issuer than the configured one.
    let posed =
        pose(&provider.url, |url, _| json!({"issuer": url, "jwks_uri": format!("{url}/jwks")}));
    let site = practice(&posed.await).await;
    let answer = site.send(Method::GET, "/sign-in/provider", &[], "").await;
    assert_refused(&answer, 502, "cannot be reached");
}

/// A server that gives the provider's document with some of it replaced, and passes requests for
/// tokens on in its own name.
async fn pose(
    provider: &str,
    replaced: impl Fn(&str, &str) -> Value + Send + Sync + 'static,
) -> String {
    let path = "/.well-known/openid-configuration";
    let document = reqwest::get(format!("{provider}{path}")).await.unwrap().text().await.unwrap();
    let mut document: Value = serde_json::from_str(&document).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    for (key, value) in replaced(provider, &own).as_object().unwrap() {
        document[key] = value.clone();
    }
    let answer = move || std::future::ready(Json(document.clone()));
    let (host, to) = (own.replace("http://", ""), format!("{provider}/oauth2/token"));
    let token = move |headers: HeaderMap, body: String| async move {
        let mut request = reqwest::Client::new().post(to).header("host", host).body(body);
        for name in ["authorization", "content-type"] {
            request = request.header(name, headers[name].clone());
        }
        let answer = request.send().await.unwrap();
        ([("content-type", "application/json")], answer.text().await.unwrap())
    };
    let router = Router::new().route(path, routing::get(answer));
    let router = router.route("/oauth2/token", routing::post(token));
    tokio::spawn(async move { axum::serve(listener, router).await });
    own
}
