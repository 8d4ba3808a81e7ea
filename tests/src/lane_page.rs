//! Somebody at a gateway's own page: a browser without a screen, which trusts that gateway's
//! certificate and no other.

use crate::{clinic::PASSWORD, gateway::Gateway, wait};
use anyhow::{Context, Result, ensure};
use reqwest::{Client, RequestBuilder, Response, StatusCode, header, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use std::fs;

/// The PIN that the technician of a simulated clinic chooses.
pub const PIN: &str = "204816";

/// Signs in at the cloud's pages as a person does, and chooses the PIN on the account page.
pub async fn choose_pin(http_port: u16, login: &str) -> Result<()> {
    let cloud = format!("http://127.0.0.1:{http_port}");
    let client = Client::builder().redirect(Policy::none()).build()?;
    let form = [("login", login), ("password", PASSWORD)];
    let signed_in = with_form(client.post(format!("{cloud}/sign-in")), &form).send().await?;
    let cookie = cookie_of(&signed_in)?;
    let page = client.get(format!("{cloud}/account")).header(header::COOKIE, &cookie);
    let page = page.send().await?.text().await?;
    let csrf = value_of(&page, "csrf").context("no csrf on the account page")?;
    let form = [("csrf", csrf.as_str()), ("pin", PIN), ("again", PIN)];
    let set = client.post(format!("{cloud}/account/pin")).header(header::COOKIE, &cookie);
    let answer = with_form(set, &form).send().await?.text().await?;
    ensure!(answer.contains("Your PIN is set"), "the PIN is not set: {answer}");
    Ok(())
}

/// A form as browsers send it. What stands in ours needs no more than spaces to be written otherwise.
fn with_form(request: RequestBuilder, form: &[(&str, &str)]) -> RequestBuilder {
    let pairs: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
    let kind = "application/x-www-form-urlencoded";
    request.header(header::CONTENT_TYPE, kind).body(pairs.join("&"))
}

fn cookie_of(answer: &Response) -> Result<String> {
    let set = answer.headers().get(header::SET_COOKIE).context("no cookie: not signed in")?;
    Ok(set.to_str()?.split(';').next().unwrap_or_default().to_owned())
}

/// The value of the first hidden field of a name.
fn value_of(page: &str, name: &str) -> Option<String> {
    let field = page.split(&format!("name=\"{name}\" value=\"")).nth(1)?;
    field.split('"').next().map(ToOwned::to_owned)
}

/// A person at a gateway's page.
pub struct AtGateway {
    client: Client,
    origin: String,
    cookie: String,
}

impl AtGateway {
    /// Waits until the page is there; nobody is signed in.
    pub async fn open(gateway: &Gateway, port: u16) -> Result<Self> {
        let file = gateway.data_dir().join("lane-page").join("certificate.pem");
        let pem = wait::until("the page's certificate", wait::USUAL_MAX, async || {
            Ok(fs::read(&file).ok())
        })
        .await?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem)?)?;
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(Policy::none())
            .build()?;
        let origin = format!("https://localhost:{port}");
        wait::until("the page to listen", wait::USUAL_MAX, async || {
            Ok(client.get(format!("{origin}/sign-in")).send().await.ok())
        })
        .await?;
        Ok(Self { client, origin, cookie: String::new() })
    }

    /// The status that the sign-in is answered with.
    pub async fn sign_in(&mut self, login: &str, pin: &str) -> Result<StatusCode> {
        let form = [("login", login), ("pin", pin)];
        let request = self.client.post(format!("{}/sign-in", self.origin));
        let answer = with_form(request, &form).send().await?;
        let status = answer.status();
        if status == StatusCode::SEE_OTHER {
            self.cookie = cookie_of(&answer)?;
        }
        Ok(status)
    }

    pub async fn page(&self, path: &str) -> Result<String> {
        let request = self.client.get(format!("{}{path}", self.origin));
        let answer = request.header(header::COOKIE, &self.cookie).send().await?;
        ensure!(answer.status() == StatusCode::OK, "{path} answers {}", answer.status());
        Ok(answer.text().await?)
    }

    /// Waits until a page satisfies a condition.
    pub async fn sees(
        &self,
        path: &str,
        what: &str,
        is_it: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let mut last = String::new();
        let found = wait::until(what, wait::USUAL_MAX, async || {
            last = self.page(path).await?;
            Ok(is_it(&last).then_some(()))
        })
        .await;
        found.with_context(|| format!("on the page:\n{last}"))?;
        Ok(last)
    }

    /// Sends a form of the lane's page; an answer other than back to the page is an error.
    pub async fn does(&self, lane: &str, what: &str, field: Option<(&str, &str)>) -> Result<()> {
        let path = format!("/lanes/{lane}");
        let csrf = value_of(&self.page(&path).await?, "csrf").context("no csrf on the page")?;
        let mut form = vec![("csrf", csrf.as_str())];
        form.extend(field);
        let request = self.client.post(format!("{}{path}/{what}", self.origin));
        let request = with_form(request, &form);
        let answer = request.header(header::COOKIE, &self.cookie).send().await?;
        let status = answer.status();
        ensure!(status == StatusCode::SEE_OTHER, "{what}: {status}: {}", answer.text().await?);
        Ok(())
    }

    /// Chooses a patient of today's list by a text that stands on their line.
    pub async fn chooses(&self, lane: &str, patient: &str) -> Result<()> {
        let page = self.page(&format!("/lanes/{lane}")).await?;
        let lines = page.split("data-find=\"").skip(1);
        let line = lines
            .into_iter()
            .find(|line| line.split('"').next().is_some_and(|found| found.contains(patient)));
        let line = line.with_context(|| format!("{patient} is not on the list:\n{page}"))?;
        let accession = value_of(line, "accession").context("the patient cannot be chosen")?;
        self.does(lane, "open", Some(("accession", &accession))).await
    }
}

/// The readings in a section of the page, by their identifiers.
pub fn readings_on(page: &str) -> Vec<String> {
    let ids = page.split("id=\"reading-").skip(1);
    ids.filter_map(|rest| rest.split('"').next().map(ToOwned::to_owned)).collect()
}

/// The first reading in the tray that can be given to the patient in the lane.
pub fn first_of_tray(page: &str) -> Option<String> {
    value_of(page.split("id=\"tray\"").nth(1)?, "reading")
}
