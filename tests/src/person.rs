//! Somebody in front of a browser: signs in, looks at pages, and notices when a page is not the same
//! any more.

use crate::{
    browser::Browser,
    clinic::{Clinic, PASSWORD, Patient},
    visit::{self, Encounter},
    wait,
};
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

/// A page must show what changed that fast on a busy test machine; how fast it is, the benchmark
/// says.
pub const APPEARS_MAX: Duration = Duration::from_secs(20);

/// As WebDriver names the keys.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";
/// More often nobody presses Tab to get to something on a page.
const TABS_MAX: usize = 60;

/// A person with a browser of their own.
pub struct Person {
    pub browser: Browser,
    origin: String,
}

impl Person {
    /// Signs in to the clinic.
    pub async fn sign_in(clinic: &Clinic, login: &str) -> Result<Self> {
        Self::sign_in_at(clinic.cloud.http_port(), login, PASSWORD).await
    }

    pub async fn sign_in_at(port: u16, login: &str, password: &str) -> Result<Self> {
        let person = Self::with(Browser::start().await?, port);
        person.type_password(login, password).await?;
        Ok(person)
    }

    /// A browser in which nobody has signed in yet.
    pub fn with(browser: Browser, port: u16) -> Self {
        Self { browser, origin: format!("http://localhost:{port}") }
    }

    /// Fills the sign-in form.
    pub async fn type_password(&self, login: &str, password: &str) -> Result<()> {
        self.open("/sign-in").await?;
        self.browser.fill("input[name=login]", login).await?;
        self.browser.fill("input[name=password]", password).await?;
        self.browser.click("form[action='/sign-in'] button").await?;
        self.sees("header", "Sign out").await
    }

    pub async fn open(&self, path: &str) -> Result<()> {
        self.browser.open(&format!("{}{path}", self.origin)).await
    }

    /// Opens a page that is followed live, and leaves a mark on it that a reload would wipe off.
    pub async fn follow(&self, path: &str) -> Result<()> {
        self.open(path).await?;
        self.is_followed().await?;
        self.browser.script("window.notReloaded = true; return null").await.map(drop)
    }

    /// Waits until the page hears of what happens.
    pub async fn is_followed(&self) -> Result<()> {
        wait::until("the page to be followed live", wait::USUAL_MAX, async || {
            Ok(self.browser.has("body[data-stream=open]").await?.then_some(()))
        })
        .await
    }

    /// Fails if the page was loaded again since it was opened.
    pub async fn has_not_reloaded(&self) -> Result<()> {
        let mark = self.browser.script("return window.notReloaded === true").await?;
        ensure!(mark == true, "the page was loaded again");
        Ok(())
    }

    /// Waits until the page shows it, by itself.
    pub async fn sees(&self, selector: &str, text: &str) -> Result<()> {
        self.browser.shows(selector, text, APPEARS_MAX).await
    }

    /// Waits until the page shows it no longer, by itself.
    pub async fn sees_no_more(&self, selector: &str, text: &str) -> Result<()> {
        self.browser.lacks(selector, text, APPEARS_MAX).await
    }

    /// Does something by which a patient comes into the lane, and waits until page and gateways
    /// know it.
    pub async fn brings(
        &self,
        clinic: &Clinic,
        lane: &str,
        patient: &Patient,
        act: impl AsyncFnOnce(&Browser) -> Result<()>,
    ) -> Result<()> {
        let told = visit::Told::now(clinic, lane);
        act(&self.browser).await?;
        self.sees("#session h2", &patient.family_name).await?;
        told.again(clinic).await
    }

    /// Taps the patient in today's list of the lane's page, which is open.
    pub async fn taps(&self, clinic: &Clinic, lane: &str, patient: &Patient) -> Result<()> {
        let tile = format!("li[data-chart='{}'] button", patient.chart_number);
        self.brings(clinic, lane, patient, async |browser| browser.click(&tile).await).await
    }

    /// Presses Tab until the focus is where a selector says.
    pub async fn tabs_to(&self, selector: &str) -> Result<()> {
        let is_there = format!("return document.activeElement.matches({selector:?})");
        for _ in 0..TABS_MAX {
            if self.browser.script(&is_there).await? == true {
                return Ok(());
            }
            self.browser.type_blindly(TAB).await?;
        }
        bail!("{TABS_MAX} times Tab do not lead to `{selector}`")
    }

    /// Tabs to something and presses Enter on it.
    pub async fn enters(&self, selector: &str) -> Result<()> {
        self.tabs_to(selector).await?;
        self.browser.type_blindly(ENTER).await
    }

    /// Signs the exam, whose page is open, with what is open.
    pub async fn signs(&self, encounter: &Encounter) -> Result<()> {
        self.open(&format!("/exams/{}/sign", encounter.id)).await?;
        self.browser.click("form[action$='/sign'] button").await?;
        self.sees("#signature", "From now on").await
    }
}

/// The visit of a patient of today.
pub fn visit_of(schedule: &[Encounter], patient: &Patient) -> Result<Encounter> {
    let name = format!("{} {}", patient.given_name, patient.family_name);
    let found = schedule.iter().find(|encounter| encounter.name == name);
    found.cloned().with_context(|| format!("{name} is not on the schedule"))
}
