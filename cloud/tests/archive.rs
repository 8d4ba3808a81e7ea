//! Accepted readings reach an archive as DICOM objects: dcmtk's storescp receives, dciodvfy checks,
//! our own reader reads back.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    archive::{RETRY_MIN_US, export_once},
    store::archive::{self, Destination, Export},
};
use chiasm_drivers::{DriverOptions, makers::dicom_measurements::decode};
use chiasm_proto::{Decoded, Eye, Measured, RefractionValue};
use serde_json::json;
use site::{
    Site,
    world::{Put, TENANT, past, readings},
};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

on_both!(
    an_accepted_reading_is_sent_once_and_a_corrected_one_again,
    every_kind_of_object_is_valid,
    what_an_archive_does_not_take_is_tried_again,
    what_cannot_be_written_is_told_and_not_tried_again,
    tls_is_spoken_with_whom_the_authority_has_signed_and_nobody_else,
);

/// Not the one that a Python package may put in front of it.
const STORESCP: &str = "/usr/bin/storescp";
const READY_MAX: Duration = Duration::from_secs(20);
/// Lines of dciodvfy that are allowed. The standard lists Vertex Distance, the tool does not, and
/// says once more that there is such an attribute (each has a line of its own beside that one). And
/// a lens without a side is what the last one asks for: the side is actually unknown.
const ALLOWED: [&str; 3] = [
    "Vertex Distance",
    "this is a Standard Extended SOP Class",
    "is only permitted to be empty when actually unknown",
];

/// A real archive that keeps what it takes.
struct Archive {
    process: Child,
    folder: tempfile::TempDir,
}

impl Archive {
    async fn start(port: u16, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(STORESCP);
        command.args(["--aetitle", "PACS", "--output-directory"]).arg(folder.path()).args(more);
        let process = command.arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = process.spawn().expect("tests/install-packages.sh installs dcmtk");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < READY_MAX, "storescp does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { process, folder }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// What was stored, read back.
    fn decoded(&self) -> Vec<Decoded> {
        let read = |path: &PathBuf| {
            let raw = fs::read(path).unwrap();
            let options = DriverOptions::default();
            decode(&raw, &options).unwrap_or_else(|error| panic!("{path:?}: {error}"))
        };
        self.files().iter().map(read).collect()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What dciodvfy has against a file, beyond what is allowed.
fn complaints(path: &Path) -> Vec<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    let program = target.join("dicom3tools/bin/dciodvfy");
    let output = Command::new(&program).arg(path).output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program:?}: {error}; tests/dicom3tools/install.sh installs it")
    });
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let is_complaint = |line: &&str| line.starts_with("Error") || line.starts_with("Warning");
    let is_allowed = |line: &&str| ALLOWED.iter().any(|allowed| line.contains(allowed));
    assert!(!text.trim().is_empty(), "dciodvfy names the object at least");
    text.lines().filter(is_complaint).filter(|it| !is_allowed(it)).map(Into::into).collect()
}

impl Site {
    async fn archive_at(&self, port: u16) {
        self.archive_with_tls(port, ["", "", ""], "").await;
    }

    /// Files of the authority, of our certificate and of its key.
    async fn archive_with_tls(&self, port: u16, files: [&str; 3], name: &str) {
        let [tls_authority, tls_certificate, tls_key] = files.map(str::to_owned);
        let destination = Destination {
            location_id: "main".into(),
            host: "127.0.0.1".into(),
            port: port.into(),
            called_ae: "PACS".into(),
            calling_ae: "CHIASM".into(),
            is_enabled: true,
            tls_authority,
            tls_certificate,
            tls_key,
            tls_name: name.into(),
            waiting: 0,
            detail: None,
        };
        let mut tx = self.world.core.db.tenant(TENANT).await.unwrap();
        archive::put(&mut tx, TENANT, &destination, self.world.now_us).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A reading in the exam of a visit, accepted by a person.
    async fn accepted(&mut self, decoded: Decoded, visit: &str) -> String {
        let put = Put {
            lane: "lane-1",
            place: "exam",
            reason: "the lane session of lane 1",
            encounter: Some(visit),
            ago_s: 5,
            sent_count: 1,
        };
        let reading = self.world.file(TENANT, decoded, put).await;
        let token = self.token("ana").await;
        let path = format!("/api/v1/encounters/{visit}/readings/{reading}/accept");
        let (status, answer) = self.api(&token, Method::POST, &path, json!({})).await;
        assert!(status < 300, "{status} {answer}");
        reading
    }

    async fn exports(&self, reading: &str) -> Vec<Export> {
        let mut tx = self.world.core.db.tenant_read(TENANT).await.unwrap();
        archive::of_reading(&mut tx, TENANT, reading).await.unwrap()
    }

    /// The job's next round, so many microseconds from now.
    async fn export(&self, later_us: i64) -> usize {
        // Acceptance is stamped with the clock, which has gone on since the world was made.
        let now_us = jiff::Timestamp::now().as_microsecond();
        export_once(&self.world.core, now_us + later_us).await.unwrap()
    }
}

fn right_refraction(decoded: &Decoded) -> Option<RefractionValue> {
    decoded.measurements.iter().find_map(|it| match &it.measured {
        Measured::Refraction(refraction) if it.eye == Eye::Right => {
            refraction.representative.as_ref().map(|chosen| chosen.value)
        }
        _ => None,
    })
}

fn sent_refraction(decoded: &Decoded, eye: Eye) -> RefractionValue {
    let found = decoded.measurements.iter().find_map(|it| match &it.measured {
        Measured::Refraction(refraction) if it.eye == eye => refraction.representative.clone(),
        _ => None,
    });
    found.expect("the instrument declares a value").value
}

async fn an_accepted_reading_is_sent_once_and_a_corrected_one_again(mut site: Site) {
    let port = free_port();
    let archive = Archive::start(port, &[]).await;
    let visit = site.visits["A-11203"].clone();
    let before = site.accepted(readings::lensmeter(), &visit).await;
    assert!(site.exports(&before).await.is_empty(), "there was no archive yet");
    site.archive_at(port).await;
    let reading = site.accepted(readings::ark(), &visit).await;
    assert!(archive.files().is_empty(), "nothing is sent within the request");
    assert_eq!(site.export(0).await, 1);
    assert_eq!(site.export(RETRY_MIN_US).await, 0, "it is sent once");
    let stored = archive.decoded();
    assert!(!stored.is_empty());
    for path in archive.files() {
        let none: Vec<String> = vec![];
        assert_eq!(complaints(&path), none, "{path:?}");
    }
    let sent = readings::ark();
    let ar = stored.iter().find(|it| right_refraction(it).is_some()).expect("an AR object");
    assert_eq!(right_refraction(ar).unwrap().sphere, sent_refraction(&sent, Eye::Right).sphere);
    assert_eq!(ar.instrument.model, sent.instrument.model);
    assert_eq!(ar.claimed_patient.as_ref().unwrap().id, "A-11203");
    let [export] = &site.exports(&reading).await[..] else { panic!("one version") };
    assert_eq!((export.state.as_str(), export.attempts), ("sent", 1), "{export:?}");

    // Sent again with the same content, it is the same instance.
    let count = archive.files().len();
    let token = site.token("ana").await;
    let swap = format!("/api/v1/encounters/{visit}/readings/{reading}/swap");
    let body = json!({"version": export.version, "reason": "the wrong way round"});
    let (status, answer) = site.api(&token, Method::POST, &swap, body).await;
    assert!(status < 300, "{status} {answer}");
    assert_eq!(site.export(0).await, 1);
    let after = archive.decoded();
    assert_eq!(after.len(), 2 * count, "a corrected reading is another instance");
    let left = strip(sent_refraction(&sent, Eye::Left));
    assert!(after.iter().any(|it| right_refraction(it) == Some(left)), "{after:#?}");
    let states: Vec<String> = site.exports(&reading).await.into_iter().map(|it| it.state).collect();
    assert_eq!(states, ["sent", "sent"]);
}

async fn every_kind_of_object_is_valid(mut site: Site) {
    let port = free_port();
    let archive = Archive::start(port, &[]).await;
    site.archive_at(port).await;
    let visit = site.visits["A-11203"].clone();
    let refractor = past::refractor("-4.25 -0.75 175", "-3.75 -1.25 5");
    for decoded in [readings::ark(), readings::lensmeter(), readings::single_lens(), refractor] {
        let what = decoded.instrument.model.clone();
        let reading = site.accepted(decoded, &visit).await;
        site.export(0).await;
        let [export] = &site.exports(&reading).await[..] else { panic!("{what}") };
        assert_eq!(export.state, "sent", "{what}: {export:?}");
    }
    // An autorefraction with a keratometry, a pair of glasses, a lens without a side, a refraction.
    assert_eq!(archive.files().len(), 5);
    for path in archive.files() {
        let found = complaints(&path);
        assert!(found.is_empty(), "{path:?}: {found:?}");
    }
    let stored = archive.decoded();
    let mut sides: Vec<Eye> =
        stored.iter().flat_map(|it| &it.measurements).map(|it| it.eye).collect();
    sides.sort();
    sides.dedup();
    assert_eq!(sides, [Eye::Right, Eye::Left, Eye::Both, Eye::NotGiven]);
}

/// What a DICOM object keeps of a refraction.
fn strip(value: RefractionValue) -> RefractionValue {
    RefractionValue { spherical_equivalent: None, ..value }
}

async fn what_an_archive_does_not_take_is_tried_again(mut site: Site) {
    let port = free_port();
    site.archive_at(port).await;
    let visit = site.visits["A-11203"].clone();
    let reading = site.accepted(readings::ark(), &visit).await;
    assert_eq!(site.export(0).await, 0);
    let [export] = &site.exports(&reading).await[..] else { panic!() };
    assert_eq!((export.state.as_str(), export.attempts), ("waiting", 1));
    assert!(export.detail.contains("no association with PACS"), "{}", export.detail);
    assert!(!export.detail.contains("11203"), "no patient: {}", export.detail);

    // One that is there but wants nothing of us.
    let refusing = Archive::start(port, &["--refuse"]).await;
    assert_eq!(site.export(1_000_000).await, 0, "not before its time");
    assert_eq!(site.export(RETRY_MIN_US + 5_000_000).await, 0);
    assert_eq!(site.exports(&reading).await[0].attempts, 2);
    drop(refusing);

    let archive = Archive::start(port, &["--prefer-little"]).await;
    assert_eq!(site.export(4 * RETRY_MIN_US).await, 1);
    assert!(!archive.files().is_empty());
    let [export] = &site.exports(&reading).await[..] else { panic!() };
    assert_eq!((export.state.as_str(), export.attempts), ("sent", 3));

    // Implicit VR only: what is sent is encoded anew, and the values stay.
    drop(archive);
    let implicit = Archive::start(port, &["--implicit"]).await;
    let second = site.accepted(readings::ark_low(), &visit).await;
    site.export(5 * RETRY_MIN_US).await;
    assert_eq!(site.exports(&second).await[0].state, "sent");
    assert!(!implicit.decoded().is_empty());
}

async fn what_cannot_be_written_is_told_and_not_tried_again(mut site: Site) {
    site.archive_at(free_port()).await;
    let visit = site.visits["A-11203"].clone();
    let pressure = site.accepted(readings::tonometer(), &visit).await;
    site.export(0).await;
    let [export] = &site.exports(&pressure).await[..] else { panic!() };
    assert_eq!(export.state, "nothing", "DICOM has no object of pressures: {export:?}");
    // Rejected before it was sent: it is not sent any more.
    let reading = site.accepted(readings::ark(), &visit).await;
    let token = site.token("ana").await;
    let path = format!("/api/v1/encounters/{visit}/readings/{reading}/reject");
    let body = json!({"reason": "another patient"});
    let (status, answer) = site.api(&token, Method::POST, &path, body).await;
    assert!(status < 300, "{status} {answer}");
    assert_eq!(site.exports(&reading).await[0].state, "superseded");
}

/// An authority in a folder, with certificates that it has signed.
struct Hospital {
    dir: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Hospital {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Hospital");
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { dir, issuer: rcgen::Issuer::new(params, key) }
    }

    /// Files of a certificate and of its key.
    fn signed(&self, file: &str, name: &str) -> [String; 2] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.dir.path().join(format!("{file}.pem")), certificate.pem()).unwrap();
        fs::write(self.dir.path().join(format!("{file}.key")), key.serialize_pem()).unwrap();
        [self.path(&format!("{file}.pem")), self.path(&format!("{file}.key"))]
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

async fn tls_is_spoken_with_whom_the_authority_has_signed_and_nobody_else(mut site: Site) {
    let (hospital, stranger, port) = (Hospital::new(), Hospital::new(), free_port());
    let ca = hospital.path("ca.pem");
    let [certificate, key] = hospital.signed("pacs", "pacs.hospital.example");
    let [ours, our_key] = hospital.signed("chiasm", "chiasm");
    let tls = ["--enable-tls", &key, &certificate, "--add-cert-file", &ca];
    let archive = Archive::start(port, &tls).await;
    let visit = site.visits["A-11203"].clone();
    let name = "pacs.hospital.example";
    site.archive_with_tls(port, [&stranger.path("ca.pem"), &ours, &our_key], name).await;
    let reading = site.accepted(readings::ark(), &visit).await;
    let missing = hospital.path("missing.pem");
    let no_key = [ca.as_str(), &ours, &ca];
    let mut later_us = 0;
    for (files, name, expected) in [
        (
            [stranger.path("ca.pem").as_str(), &ours, &our_key],
            name,
            "`--tls-ca` is not the authority",
        ),
        ([&ca, &ours, &our_key], "", "`--tls-name`"),
        ([&missing, &ours, &our_key], name, "missing.pem"),
        (no_key, name, "cannot read"),
        // It asks for a certificate; and it does not speak without TLS.
        ([&ca, "", ""], name, "no association"),
        (["", "", ""], "", "no association"),
    ] {
        site.archive_with_tls(port, files, name).await;
        assert_eq!(site.export(later_us).await, 0, "{expected}");
        later_us += 2 * chiasm_cloud::archive::RETRY_MAX_US;
        let [export] = &site.exports(&reading).await[..] else { panic!("one version") };
        assert_eq!(export.state, "waiting");
        assert!(export.detail.contains(expected), "{expected}: {}", export.detail);
    }
    assert!(archive.files().is_empty());
    site.archive_with_tls(port, [&ca, &ours, &our_key], name).await;
    assert_eq!(site.export(later_us).await, 1, "{:?}", site.exports(&reading).await);
    assert!(!archive.decoded().is_empty());
    assert_eq!(site.exports(&reading).await[0].state, "sent");
}
