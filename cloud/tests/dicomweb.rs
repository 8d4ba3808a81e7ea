//! DICOMweb: what other viewers and archives find, get and store, over a real port; and as the
//! dicomweb-client of PyPI sees it (`tests/dicomweb-client/install.sh`).

mod common;
#[path = "world/dicom.rs"]
mod dicom;
#[path = "common/imager.rs"]
mod imager;

use chiasm_cloud::{
    app::password,
    store::{account, fleet, instance},
};
use chiasm_proto::Sha256;
use common::{Cloud, Kind, gateway::enrol};
use imager::{Object, Sender, offer};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

macro_rules! on_both {
    ($($name:ident => $test:ident),+ $(,)?) => {$(
        mod $name {
            use super::common::Kind;
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() { super::$test(Kind::Sqlite).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() { super::$test(Kind::Postgres).await }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn bucket() { super::$test(Kind::Bucket).await }
        }
    )+};
}

on_both! {
    finds => qido_finds_by_its_keys,
    gives => wado_gives_what_is_stored,
    stores => stow_files_what_can_be_read,
    tenants => practices_never_meet,
    client => the_dicomweb_client_of_pypi_gets_along,
}

const PASSWORD: &str = "a password for tests";

struct Web {
    cloud: Cloud,
    client: reqwest::Client,
    base: String,
    token: String,
}

/// Two studies of `acme`, the second with two series, and a person who is signed in.
async fn web(kind: Kind) -> Web {
    let cloud = Cloud::start(kind).await;
    let sender = Sender::new(&cloud, &enrol(&cloud, "acme", "gw-1").await);
    for object in objects() {
        let file = object.file();
        sender.filed(&offer(&file), &file).await;
    }
    for tenant in ["acme", "other"] {
        let account = account::Account {
            tenant_id: tenant.into(),
            account_id: format!("{tenant}-1"),
            login: tenant.into(),
            display_name: "Dr. Okafor".into(),
            role: "doctor".into(),
            password_hash: password::hash(PASSWORD).unwrap(),
        };
        let mut tx = cloud.core.db.tenant(tenant).await.unwrap();
        assert!(account::insert(&mut tx, &account, 1).await.unwrap());
        tx.commit().await.unwrap();
    }
    let client = reqwest::Client::builder().tls_backend_preconfigured(no_tls()).build().unwrap();
    let base = format!("http://{}", cloud.running.pages);
    let mut web = Web { cloud, client, base, token: String::new() };
    web.token = web.sign_in("acme").await;
    web
}

/// Nothing here speaks TLS, but the client wants to know how.
fn no_tls() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore::empty();
    rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
}

fn objects() -> [Object<'static>; 4] {
    let of_4711 = Object {
        study: "1.2.1",
        series: "1.2.1.1",
        sop: "1.2.1.1.1",
        patient_id: "4711",
        birth_date: "19610304",
        ..Object::default()
    };
    let other = Object {
        study: "1.2.2",
        series: "1.2.2.1",
        sop: "1.2.2.1.1",
        patient_id: "4712",
        acquired: "20260101120000",
        pixel: 1,
        ..Object::default()
    };
    [
        of_4711.clone(),
        Object { sop: "1.2.1.1.2", pixel: 8, ..of_4711.clone() },
        Object { series: "1.2.1.2", sop: "1.2.1.2.1", pixel: 9, ..of_4711 },
        other,
    ]
}

impl Web {
    async fn sign_in(&self, login: &str) -> String {
        let body = json!({"login": login, "password": PASSWORD});
        let request = self.client.post(format!("{}/api/v1/sign-in", self.base)).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, path: &str, accept: &str) -> (u16, String, Vec<u8>) {
        let request = self.client.get(format!("{}/dicomweb{path}", self.base));
        let request = request.bearer_auth(&self.token).header("accept", accept);
        let response = request.send().await.unwrap();
        let kind = response.headers().get("content-type");
        let kind = kind.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
        let status = response.status().as_u16();
        (status, kind, response.bytes().await.unwrap().to_vec())
    }

    /// The values of an attribute in the answers to a query.
    async fn find(&self, query: &str, name: &str) -> Vec<String> {
        let (status, kind, body) = self.ask(query, "application/dicom+json").await;
        if status == 204 {
            return vec![];
        }
        assert_eq!((status, kind.as_str()), (200, "application/dicom+json"), "{query}");
        let found: Vec<Value> = serde_json::from_slice(&body).unwrap();
        let value = |it: &Value| match &it[name]["Value"][0] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        found.iter().map(value).collect()
    }

    async fn store(&self, path: &str, files: &[Vec<u8>]) -> (u16, Value) {
        let mut body = Vec::new();
        for file in files {
            body.extend_from_slice(b"--XYZ\r\nContent-Type: application/dicom\r\n\r\n");
            body.extend_from_slice(file);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XYZ--\r\n");
        let kind = "multipart/related; type=\"application/dicom\"; boundary=XYZ";
        let request = self.client.post(format!("{}/dicomweb{path}", self.base));
        let request = request.bearer_auth(&self.token).header("content-type", kind).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }
}

const STUDY: &str = "0020000D";
const SERIES: &str = "0020000E";
const SOP: &str = "00080018";

async fn qido_finds_by_its_keys(kind: Kind) {
    let web = web(kind).await;
    for (query, name, expected) in [
        ("/studies?PatientID=4711", STUDY, &["1.2.1"][..]),
        ("/studies?00100020=4712", STUDY, &["1.2.2"]),
        ("/studies?PatientID=471*", STUDY, &[]),
        ("/studies?PatientName=SOME*", STUDY, &["1.2.2", "1.2.1"]),
        ("/studies?PatientName=Some", STUDY, &[]),
        ("/studies?PatientName=Som_body*", STUDY, &[]),
        ("/studies?StudyDate=20260101", STUDY, &["1.2.2"]),
        ("/studies?StudyDate=-20251231", STUDY, &["1.2.1"]),
        ("/studies?ModalitiesInStudy=OPT&limit=1", STUDY, &["1.2.2"]),
        ("/studies?limit=1&offset=1", STUDY, &["1.2.1"]),
        ("/studies?Modality=OP", STUDY, &[]),
        ("/studies?PatientID=4711", "00201208", &["3"]),
        ("/studies?PatientID=4711", "00201206", &["2"]),
        ("/studies/1.2.1/series", SERIES, &["1.2.1.1", "1.2.1.2"]),
        ("/series?StudyInstanceUID=1.2.2", SERIES, &["1.2.2.1"]),
        ("/studies/1.2.1/series", "00201209", &["2", "1"]),
        ("/studies/1.2.1/instances", SOP, &["1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1"]),
        ("/studies/1.2.1/series/1.2.1.2/instances", SOP, &["1.2.1.2.1"]),
        ("/studies/1.2.1/series/1.2.2.1/instances", SOP, &[]),
        ("/instances?SOPInstanceUID=1.2.2.1.1", "00280008", &["4"]),
    ] {
        assert_eq!(web.find(query, name).await, expected, "{query}");
    }
    for wrong in ["?limit=-1", "?limit=x", "?Rows=8", "?StudyDate=today", "?PatientID=%00"] {
        let (status, _, body) = web.ask(&format!("/studies{wrong}"), "*/*").await;
        assert_eq!(status, 400, "{wrong}");
        let fault: Value = serde_json::from_slice(&body).unwrap();
        assert!(fault["message"].as_str().is_some_and(|it| !it.is_empty()), "{wrong}");
    }
    let looks = "SELECT COUNT(*) FROM audit_entry WHERE action = 'images_read' AND is_look";
    assert!(web.cloud.count(looks).await > 0, "who sees patients leaves a look");
}

async fn wado_gives_what_is_stored(kind: Kind) {
    let web = web(kind).await;
    let instance = "/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.2";
    let file = objects()[1].file();
    let (status, kind, body) = web.ask(instance, "application/dicom").await;
    assert_eq!((status, kind.as_str()), (200, "application/dicom"));
    assert_eq!(body, file, "not a byte is different");
    let (status, kind, body) = web.ask("/studies/1.2.1", "multipart/related").await;
    assert_eq!(status, 200);
    assert!(kind.starts_with("multipart/related; type=\"application/dicom\""), "{kind}");
    for object in &objects()[..3] {
        let file = object.file();
        assert!(body.windows(file.len()).any(|part| part == file));
    }
    let (_, kind, body) = web.ask(&format!("{instance}/metadata"), "application/dicom+json").await;
    assert_eq!(kind, "application/dicom+json");
    let metadata: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(metadata[0]["00100010"]["Value"][0]["Alphabetic"], "Somebody^Else");
    assert_eq!(metadata[0]["00280010"], json!({"vr": "US", "Value": [8]}));
    let bulk = metadata[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
    let bulk = bulk.split_once("/dicomweb").unwrap().1;
    let (status, _, body) = web.ask(bulk, "*/*").await;
    assert_eq!(status, 200);
    assert!(body.windows(512).any(|part| part == [8; 512]), "all frames");
    let (status, kind, body) = web.ask(&format!("{instance}/frames/1,4"), "*/*").await;
    assert_eq!(status, 200);
    assert!(kind.contains("application/octet-stream"), "{kind}");
    assert_eq!(body.iter().filter(|byte| **byte == 8).count(), 2 * 16 * 8);
    for path in ["/rendered", "/rendered?window=7,3,linear", "/frames/4/rendered"] {
        let (status, kind, body) = web.ask(&format!("{instance}{path}"), "image/png").await;
        assert_eq!((status, kind.as_str()), (200, "image/png"), "{path}");
        assert!(body.starts_with(b"\x89PNG"), "{path}");
    }
    for (path, expected) in [
        ("/rendered?window=7", 400),
        ("/rendered?window=a,b", 400),
        ("/rendered?window=7,3,sigmoid", 400),
        ("/frames/5/rendered", 404),
        ("/frames/0/rendered", 404),
        ("/frames/1,2/rendered", 400),
        ("/frames/0", 400),
        ("/frames/x", 400),
        ("/frames/5", 404),
        ("/bulkdata/00100010", 404),
        ("/bulkdata/nonsense", 404),
    ] {
        let (status, ..) = web.ask(&format!("{instance}{path}"), "*/*").await;
        assert_eq!(status, expected, "{path}");
    }
    assert_eq!(web.ask("/studies/1.2.9", "*/*").await.0, 404);
    assert_eq!(web.ask("/studies/..%2F..%2Fetc/metadata", "*/*").await.0, 404);
}

async fn stow_files_what_can_be_read(kind: Kind) {
    let web = web(kind).await;
    let of = |sop| Object { study: "1.2.7", series: "1.2.7.1", sop, ..Object::default() }.file();
    let (first, second) = (of("1.2.7.1.1"), of("1.2.7.1.2"));
    let (status, answer) = web.store("/studies", &[first.clone(), second.clone()]).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["00081199"]["Value"].as_array().unwrap().len(), 2);
    assert_eq!(web.find("/studies/1.2.7/instances", SOP).await, ["1.2.7.1.1", "1.2.7.1.2"]);
    let (_, _, body) =
        web.ask("/studies/1.2.7/series/1.2.7.1/instances/1.2.7.1.1", "application/dicom").await;
    assert_eq!(body, first);
    let mut tx = web.cloud.core.db.tenant_read("acme").await.unwrap();
    let sha256 = Sha256::of(&first).to_string();
    let id = instance::id_of_content(&mut tx, "acme", &sha256).await.unwrap().unwrap();
    let row = instance::by_id(&mut tx, "acme", &id).await.unwrap().unwrap();
    drop(tx);
    assert_eq!((row.source.as_str(), row.place.as_str()), ("stow", "inbox"));
    // Again, with something that is no object, and under another study's address.
    let garbage = b"this is no object".to_vec();
    let (status, answer) = web.store("/studies", &[garbage.clone(), second.clone()]).await;
    assert_eq!(status, 202);
    assert_eq!(answer["00081198"]["Value"][0]["00081197"]["Value"][0], 0xC000);
    let (status, _) = web.store("/studies", &[garbage]).await;
    assert_eq!(status, 409);
    let (status, answer) = web.store("/studies/1.2.8", &[of("1.2.7.1.3")]).await;
    assert_eq!(
        (status, &answer["00081198"]["Value"][0]["00081197"]["Value"][0]),
        (409, &json!(0xA900))
    );
    assert_eq!(web.cloud.count("SELECT COUNT(*) FROM instance WHERE source = 'stow'").await, 2);
    // With a second location, somebody has to say at which the objects were made.
    let mut tx = web.cloud.core.db.tenant("acme").await.unwrap();
    fleet::put_location(&mut tx, "acme", "annex", "Annex", "Europe/Berlin").await.unwrap();
    tx.commit().await.unwrap();
    let (status, answer) = web.store("/studies", &[of("1.2.7.1.4")]).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("?location="), "{answer}");
    assert_eq!(web.store("/studies?location=nowhere", &[of("1.2.7.1.4")]).await.0, 404);
    assert_eq!(web.store("/studies?location=annex", &[of("1.2.7.1.4")]).await.0, 200);
    let at_annex = "SELECT COUNT(*) FROM instance WHERE location_id = 'annex'";
    assert_eq!(web.cloud.count(at_annex).await, 1);
    let folder = web.cloud.core.archive.incoming("acme", &Sha256::of(b"")).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.parent().unwrap()).unwrap().collect();
    assert!(left.is_empty(), "nothing is left behind: {left:?}");
}

async fn practices_never_meet(kind: Kind) {
    let mut web = web(kind).await;
    let instance = "/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.1";
    web.token = web.sign_in("other").await;
    assert_eq!(web.find("/studies", STUDY).await, Vec::<String>::new());
    assert_eq!(web.find("/instances", SOP).await, Vec::<String>::new());
    for path in ["", "/metadata", "/frames/1", "/bulkdata/7FE00010"] {
        let (status, ..) = web.ask(&format!("{instance}{path}"), "*/*").await;
        assert_eq!(status, 404, "{path}");
    }
    // The same object is theirs as well, and each practice has its own.
    let (status, _) = web.store("/studies", &[objects()[0].file()]).await;
    assert_eq!(status, 200);
    assert_eq!(web.find("/studies", STUDY).await, ["1.2.1"]);
    assert_eq!(web.find("/studies/1.2.1/instances", SOP).await.len(), 1);
    web.token = "nobody".into();
    assert_eq!(web.ask("/studies", "*/*").await.0, 401);
    assert_eq!(web.store("/studies", &[objects()[0].file()]).await.0, 401);
}

async fn the_dicomweb_client_of_pypi_gets_along(kind: Kind) {
    let web = web(kind).await;
    let new = web.cloud.store.dir.path().join("new.dcm");
    let sop = "1.2.5.1.1";
    let object = Object { study: "1.2.5", series: "1.2.5.1", sop, ..Object::default() };
    std::fs::write(&new, object.file()).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let python = target.join("dicomweb-client/bin/python");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/dicomweb-client/ask.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(format!("{}/dicomweb", web.base)).arg(&web.token).arg(&new);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| {
        panic!("{}: {error}; run tests/dicomweb-client/install.sh", python.display())
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pixels = Sha256::of(&[7; 512]).to_string();
    let expected = json!({
        "studies": ["1.2.1"],
        "by_name": 2,
        "by_date": 0,
        "series": ["1.2.1.1", "1.2.1.2"],
        "modality": "OPT",
        "instances": ["1.2.1.1.1", "1.2.1.1.2", "1.2.1.2.1"],
        "patient_name": "Somebody^Else",
        "pixels_sha256": pixels,
        "whole_study": 3,
        "rows": 8,
        "eye": "R",
        "bulk_sha256": pixels,
        "frames": [[128, 7], [128, 7]],
        "rendered": [0x89, 0x50, 0x4E, 0x47],
        "stored": [sop],
    });
    assert_eq!(found, expected);
}
