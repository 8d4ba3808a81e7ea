//! The API against its own document: schemathesis makes requests of every kind that the document
//! allows, and of those that it does not, in each role; nothing may fail on our side, and no answer
//! may be one that the document does not describe.
//!
//! `make api-fuzz` runs this alone, each time with other requests. `CHIASM_API_SEED` repeats a run,
//! `CHIASM_API_EXAMPLES` makes it longer.

#[path = "../../cloud/tests/world/mod.rs"]
mod world;

use anyhow::{Context, Result, bail, ensure};
use chiasm_testbed::{
    cloud::{Cloud, Setup},
    http::Http,
    postgres::Postgres,
    process::Process,
    story::story,
};
use reqwest::Method;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use world::{PASSWORD, TENANT, World};

/// Longest run of one role.
const RUN_MAX: Duration = Duration::from_secs(120);
/// Requests for each operation and kind, if nothing else is said.
const EXAMPLES: u32 = 15;
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection";

/// A practice in the middle of its day, served by the real program.
struct Site {
    cloud: Cloud,
    visits: BTreeMap<String, String>,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start(store_url: Option<String>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut cloud = Cloud::new(folder.path(), &Setup { store_url, ..Setup::default() })?;
        let mut world = World::new(cloud.store_url(), &cloud.data_dir()).await;
        let visits = world.day().await;
        world.core.db.close().await;
        cloud.start().await?;
        Ok(Self { cloud, visits, folder })
    }

    async fn sign_in(&self, login: &str) -> Result<Http> {
        Http::sign_in(self.cloud.http_port(), login, PASSWORD).await
    }

    /// Where schemathesis finds what identifiers there are.
    async fn write_dictionaries(&self) -> Result<PathBuf> {
        let http = self.sign_in("ana").await?;
        let encounter = self.visits.get("A-10977").context("the visit under way")?;
        let in_exam = http.get(&format!("/api/v1/encounters/{encounter}/readings")).await?;
        let waiting = http.get("/api/v1/waiting?location=main").await?;
        let patients = http.get("/api/v1/patients?q=o").await?;
        let ids = |of: &Value, name: &str| -> Vec<String> {
            let all = of.as_array().into_iter().flatten();
            all.filter_map(|it| it[name].as_str().map(ToOwned::to_owned)).collect()
        };
        let mut readings = ids(&in_exam, "reading_id");
        readings.extend(ids(&waiting, "reading_id"));
        ensure!(readings.len() >= 8, "the practice has readings: {readings:?}");
        let other = self.visits.get("A-11203").context("another visit")?;
        let words = |all: &[&str]| all.iter().map(ToString::to_string).collect();
        for (name, lines) in [
            ("lanes", words(&["lane-1", "lane-2", "lane-3"])),
            ("locations", words(&["main"])),
            ("encounters", words(&[encounter, encounter, other])),
            ("readings", readings),
            ("patients", ids(&patients, "patient_id")),
        ] {
            let file = self.folder.path().join(format!("{name}.txt"));
            let quoted: Vec<_> = lines.iter().map(|line| format!("{line:?}\n")).collect();
            std::fs::write(file, quoted.concat())?;
        }
        let config = self.folder.path().join("schemathesis.toml");
        std::fs::copy(folder_of_this().join("schemathesis/schemathesis.toml"), &config)?;
        Ok(config)
    }

    /// Lets schemathesis ask as somebody, or as nobody.
    async fn fuzz(&self, login: Option<&str>, config: &Path, seed: u32) -> Result<()> {
        let http = match login {
            Some(login) => self.sign_in(login).await?,
            None => Http::anonymous(self.cloud.http_port())?,
        };
        let mut command = Command::new(schemathesis()?);
        command.arg("--config-file").arg(config).args(["--no-color", "run"]);
        command.arg(format!("{}/api/v1/openapi.json", http.origin()));
        command.args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"]);
        command.args(["--max-examples", &number("CHIASM_API_EXAMPLES", EXAMPLES).to_string()]);
        command.args(["--seed", &seed.to_string(), "--generation-database", "none"]);
        command.args(["--request-timeout", "20", "--warnings", "off", "--no-shrink"]);
        // Few texts are wrong for an identifier of any text: that is no fault of ours.
        command.args(["--suppress-health-check", "filter_too_much"]);
        // It would end its own sign-in; and each attempt to sign in costs a second on purpose.
        command.args(["--exclude-path-regex", "sign-(in|out)$"]);
        if login.is_some() {
            command.args(["--header", &format!("Authorization: Bearer {}", http.token())]);
        }
        command.current_dir(self.folder.path());
        let who = login.unwrap_or("nobody");
        let mut run = Process::start("schemathesis", command)?;
        let status = run.exit(RUN_MAX).await?;
        if !status.success() {
            bail!(
                "asked as {who}: see schemathesis' words; repeat with CHIASM_API_SEED={seed} \
                 make api-fuzz"
            );
        }
        println!("asked as {who}: {}", told(&run.log()));
        if login.is_some() {
            let status = http.status(Method::GET, "/api/v1/me", None).await?;
            ensure!(status == 200, "{who} is signed in no longer, so little was tried");
        }
        Ok(())
    }
}

/// The line with the number of requests.
fn told(log: &str) -> &str {
    log.lines().map(str::trim).find(|line| line.contains(" generated")).unwrap_or("no numbers")
}

fn folder_of_this() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pinned one that `tests/schemathesis/install.sh` installs.
fn schemathesis() -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    while folder.pop() {
        let program = folder.join("schemathesis/bin/schemathesis");
        if program.is_file() {
            return Ok(program);
        }
    }
    bail!("schemathesis is not installed: run tests/schemathesis/install.sh (make test does)")
}

fn number(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The same from run to run, so that a change is to blame for what it breaks.
fn seed() -> u32 {
    let seed = number("CHIASM_API_SEED", 1);
    println!("CHIASM_API_SEED={seed} make api-fuzz repeats this");
    seed
}

#[test]
fn every_answer_is_described_in_every_role() {
    story("SQLite", async {
        let site = Site::start(None).await?;
        let (config, seed) = (site.write_dictionaries().await?, seed());
        for login in [None, Some("it"), Some("staff"), Some("okafor")] {
            site.fuzz(login, &config, seed).await?;
        }
        Ok(())
    });
}

#[test]
fn every_answer_is_described_on_postgresql() {
    story("PostgreSQL", async {
        let cluster = Postgres::start().await?;
        let site = Site::start(Some(cluster.create_database("fuzz")?)).await?;
        let (config, seed) = (site.write_dictionaries().await?, seed());
        site.fuzz(Some("ana"), &config, seed).await?;
        // It got behind the ids: something was done.
        let opened = cluster.sql("fuzz", "SELECT COUNT(*) FROM lane_session")?;
        let sql = format!("SELECT COUNT(*) FROM reading_version WHERE tenant_id = '{TENANT}'");
        let changed = cluster.sql("fuzz", &sql)?;
        let numbers = [opened.trim().parse::<u32>()?, changed.trim().parse()?];
        ensure!(numbers[0] > 2 && numbers[1] > 2, "little was reached: {numbers:?}");
        site.fuzz(Some("it"), &config, seed).await
    });
}
