//! A made-up practice in the middle of its day, served by the real program, and every page of it:
//! for looking at them, by machine or by eye.

#[path = "../../cloud/tests/world/mod.rs"]
pub mod world;

use crate::{
    cloud::{Cloud, Setup},
    http::Http,
    person::Person,
    visit::{self, Encounter, Shown},
};
use anyhow::{Context, Result, bail};
use chiasm_cloud::{
    app::principal::Role,
    http::{
        guard::Access,
        routes::{self, Route},
    },
};
use chiasm_proto::Body;
use reqwest::Method;
use std::collections::BTreeMap;
use tempfile::TempDir;
use world::{PASSWORD, World};

/// One under way, one signed, one in which nothing was measured.
const VISITS: usize = 3;

/// A running practice. Dropped, it is gone.
pub struct Practice {
    pub cloud: Cloud,
    visits: [(&'static str, String); VISITS],
    patient: String,
    reading: String,
    order: String,
    /// What could not be read.
    capture: String,
    /// By the words of `World::imaged`.
    pub images: BTreeMap<&'static str, String>,
    _folder: TempDir,
}

/// A page, and who may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// For files: `exams-signed-letter`.
    pub name: String,
    pub path: String,
    /// Nobody for what is seen without signing in.
    pub roles: Vec<Role>,
}

impl Practice {
    pub async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut cloud = Cloud::new(folder.path(), &Setup::default())?;
        let mut world = World::new(cloud.store_url(), &cloud.data_dir()).await;
        let visits = world.day().await;
        world.past(&visits).await;
        world.signed(&visits).await;
        let order = world.carried(&visits).await;
        let images = world.imaged(&visits).await;
        chiasm_cloud::app::report::count_all(&world.core.db, world.now_us).await?;
        let capture = world.unread("nt-530p", "nidek_nt", b"\x01DNT\x02R 17").await;
        world.core.db.close().await;
        cloud.start().await?;
        let of = |chart: &str| visits.get(chart).cloned().context("the practice has the visit");
        let visits =
            [("running", of("A-10977")?), ("signed", of("A-11203")?), ("empty", of("A-11317")?)];
        let http = Http::sign_in(cloud.http_port(), "okafor", PASSWORD).await?;
        let found = http.get("/api/v1/patients?q=A-10977").await?;
        let patient = found[0]["patient_id"].as_str().context("the patient is found")?.to_owned();
        let running = Encounter { id: visits[0].1.clone(), name: String::new() };
        let readings = visit::readings(&http, &running).await?;
        let is_ark = |it: &&Shown| match &it.envelope.body {
            Body::Reading(reading) => reading.decoded.instrument.model.starts_with("ARK"),
            _ => false,
        };
        let refracted = readings.iter().find(is_ark).map(|it| it.id.clone());
        let reading = refracted.context("the exam has a reading of an autorefractor")?;
        Ok(Self { cloud, visits, patient, reading, order, capture, images, _folder: folder })
    }

    /// Before anybody was booked or measured: lanes and people, and nothing in them.
    pub async fn on_its_first_day() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut cloud = Cloud::new(folder.path(), &Setup::default())?;
        let world = World::new(cloud.store_url(), &cloud.data_dir()).await;
        world.core.db.close().await;
        cloud.start().await?;
        let visits = ["running", "signed", "empty"].map(|name| (name, String::new()));
        let none = String::new;
        Ok(Self {
            cloud,
            visits,
            patient: none(),
            reading: none(),
            order: none(),
            capture: none(),
            images: BTreeMap::new(),
            _folder: folder,
        })
    }

    /// Somebody of the practice in front of a browser.
    pub async fn person(&self, role: Role) -> Result<Person> {
        let login = match role {
            Role::Technician => "ana",
            Role::Doctor => "okafor",
            Role::ClinicIt => "it",
            Role::CloudStaff => "staff",
            Role::Optician => "nils",
        };
        Person::sign_in_at(self.cloud.http_port(), login, PASSWORD).await
    }

    /// Every page that the routes name. A page with a parameter that is not known here fails, so
    /// that no page is forgotten.
    pub fn pages(&self) -> Result<Vec<Page>> {
        let mut pages = Vec::new();
        for route in page_routes() {
            for (name, path) in self.fill(route.path)? {
                pages.push(Page { name, path, roles: roles_of(&route) });
            }
        }
        Ok(pages)
    }

    /// The pages that are about nobody and nothing in particular.
    pub fn general_pages() -> Vec<Page> {
        let general = page_routes().filter(|route| !route.path.contains('{'));
        let page = |route: Route| {
            let name = route.path.trim_start_matches("/api/v1").trim_matches('/').replace('/', "-");
            Page { name, path: route.path.to_owned(), roles: roles_of(&route) }
        };
        general.map(page).collect()
    }

    fn fill(&self, path: &str) -> Result<Vec<(String, String)>> {
        let name = path.trim_start_matches("/api/v1").trim_matches('/').replace('/', "-");
        let mut filled = vec![(name, path.to_owned())];
        let visits: Vec<_> = self.visits.iter().map(|(name, id)| (*name, id.as_str())).collect();
        let images: Vec<_> = self.images.iter().map(|(name, id)| (*name, id.as_str())).collect();
        for (parameter, values) in [
            ("{instance}", &images[..]),
            ("{encounter}", &visits[..]),
            ("{lane}", &[("lane-1", "lane-1"), ("lane-3", "lane-3")]),
            ("{location}", &[("main", "main")]),
            ("{patient}", &[("patient", self.patient.as_str())]),
            ("{reading}", &[("reading", self.reading.as_str())]),
            ("{capture}", &[("capture", self.capture.as_str())]),
            ("{order}", &[("order", self.order.as_str())]),
            ("{driver}", &[("nidek-ark", "nidek_ark")]),
            ("{gateway}", &[("gw-main", "gw-main"), ("gw-spare", "gw-spare")]),
            ("{test}", &[("autorefraction", "autorefraction"), ("tonometry", "tonometry")]),
        ] {
            let each = |(name, path): (String, String)| {
                let is_there = path.contains(parameter);
                let filled = values.iter().map(move |(word, value)| {
                    (name.replace(parameter, word), path.replace(parameter, value))
                });
                filled.take(if is_there { values.len() } else { 1 })
            };
            filled = filled.into_iter().flat_map(each).collect();
        }
        filled.retain(|(_, path)| self.is_sensible(path));
        if let Some((_, path)) = filled.iter().find(|(_, path)| path.contains('{')) {
            bail!("{path} has a parameter that `Practice::fill` does not know");
        }
        Ok(filled)
    }

    /// Whether there is something to see: a reading is amended in its own exam and by the test that
    /// it holds, a prescription is printed when it is signed.
    fn is_sensible(&self, path: &str) -> bool {
        let [running, signed, empty] = &self.visits;
        if path.contains("/amend/") {
            return path.contains(&running.1) && path.ends_with("/autorefraction");
        }
        let is_form_elsewhere = path.contains("/type/") && !path.contains(&running.1);
        let is_signed_already = path.ends_with(&format!("{}/sign", signed.1));
        let is_not_signed = path.ends_with(&format!("{}/prescription", running.1));
        let is_not_carried = path.starts_with("/optical/") && !path.contains(&signed.1);
        let is_about_nothing = path.contains(&format!("{}/", empty.1));
        !(is_form_elsewhere
            || is_signed_already
            || is_not_signed
            || is_not_carried
            || is_about_nothing)
    }
}

/// Every route that shows a page; the practice has no identity provider.
fn page_routes() -> impl Iterator<Item = Route> {
    routes::routes().into_iter().filter(|route| {
        let is_of = |prefix| route.path.starts_with(prefix);
        let is_page = !["/api/", "/static/", "/dicomweb/"].into_iter().any(is_of);
        let is_document = route.path == "/api/v1/docs";
        let is_stream = route.path == "/live";
        let is_provider = route.path.starts_with("/sign-in/provider");
        let is_file = [".csv", ".json", ".png", ".pdf", ".dcm", "/{frame}"]
            .iter()
            .any(|ending| route.path.ends_with(ending));
        route.method == Method::GET
            && (is_page || is_document)
            && !(is_stream || is_file || is_provider)
    })
}

fn roles_of(route: &Route) -> Vec<Role> {
    match route.access {
        Access::Public => Vec::new(),
        Access::Roles(roles) => roles.to_vec(),
    }
}
