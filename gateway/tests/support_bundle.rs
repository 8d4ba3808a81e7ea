//! A support bundle says how a gateway is, and nothing of a patient (I11).

mod support;

use chiasm_gateway::{
    config,
    support::{self as bundle, WithData},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use support::{Gateway, fixture, until};

/// What stands in the fixture that is sent: see its `.md`.
const PRINT: &str = "joia_xml/02_kr800s_km.raw";

struct World {
    dir: tempfile::TempDir,
    text: String,
    share: PathBuf,
}

impl World {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let share = dir.path().join("share");
        std::fs::create_dir(&share).unwrap();
        let text = format!(
            "# Dr. Quixote's gateway\ndata_dir = {:?}\n[uplink]\ntelemetry_interval_s = 1\n\
             [[link]]\nid = \"ark\"\nlane = \"lane-1\"\ndriver = \"joia_xml\"\n\
             [link.folder]\npath = {share:?}\n",
            dir.path().join("data"),
        );
        Self { dir, text, share }
    }

    fn gateway(&self) -> Gateway {
        let link = format!("driver = \"joia_xml\"\n[link.folder]\npath = {:?}", self.share);
        Gateway::start(&self.dir.path().join("data"), &link)
    }

    /// The files of a new bundle by name.
    async fn bundle(&self, name: &str, with_data: Option<&WithData>) -> BTreeMap<String, Vec<u8>> {
        let config = config::parse(&self.dir.path().join("data/gateway.toml"), &self.text).unwrap();
        let out = self.dir.path().join(name);
        bundle::make((&config, &self.text), &out, with_data).await.unwrap();
        let again = bundle::make((&config, &self.text), &out, with_data).await;
        assert!(again.is_err() || with_data.is_some(), "nothing is written over");
        // As everybody unpacks it.
        let unpacked = self.dir.path().join(format!("{name}.d"));
        std::fs::create_dir(&unpacked).unwrap();
        let mut tar = std::process::Command::new("tar");
        tar.arg("-xzf").arg(&out).arg("-C").arg(&unpacked);
        assert!(tar.status().unwrap().success());
        let mut files = BTreeMap::new();
        collect(&unpacked.join("support-bundle"), "", &mut files);
        files
    }
}

fn collect(dir: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|it| it == text.as_bytes())
}

#[tokio::test]
async fn a_bundle_holds_no_patient_unless_a_person_says_why() {
    let world = World::new();
    let gateway = world.gateway();
    let print = String::from_utf8(fixture(PRINT)).unwrap();
    // A chart number and a value that nothing else contains, in a print and in a broken one.
    let print = print.replace("P-000123", "QX77319");
    std::fs::write(world.share.join("DOE_JANE_1.xml"), &print).unwrap();
    let broken = &print[..print.len() - 40];
    std::fs::write(world.share.join("DOE_JANE_2.xml"), broken).unwrap();
    gateway.until_spooled(2).await;
    let secrets = ["QX77319", "DOE_JANE", "Quixote"];
    let files = world.bundle("plain.tar.gz", None).await;
    for name in [
        "about.json",
        "config.toml",
        "machine.json",
        "certificate.json",
        "spool.json",
        "links.json",
        "log.txt",
        "failures.json",
    ] {
        assert!(!files[name].is_empty(), "{name}");
    }
    for (name, bytes) in &files {
        for secret in secrets {
            assert!(!contains(bytes, secret), "{secret} in {name}");
        }
    }
    let failures: serde_json::Value = serde_json::from_slice(&files["failures.json"]).unwrap();
    let failure = &failures[0];
    assert_eq!(failure["link"], "ark");
    let masked = failure["masked"].as_str().unwrap();
    assert!(masked.contains("<xxXxxxxx:XX>XX99999"), "the structure is seen: {masked}");
    assert!(contains(&files["spool.json"], "\"last_seq\": 2"));

    let who = WithData { person: "Sam Lee".into(), reason: "the maker asks".into() };
    let files = world.bundle("data.tar.gz", Some(&who)).await;
    assert!(files.iter().any(|(name, bytes)| name.starts_with("data/") && !bytes.is_empty()));
    assert!(contains(&files["about.json"], "Sam Lee") && contains(&files["about.json"], "maker"));
    // The running gateway numbers an event of it, for the cloud.
    let event = until("the event", async || {
        let dir = gateway.data_dir.join("spool");
        let key = chiasm_gateway::seal::load(&gateway.data_dir.join("spool.key")).ok()??;
        let events = chiasm_gateway::spool::inspect_last(&dir, &key, "event", 10).await.ok()?;
        events.into_iter().find(|it| it.body.contains("support_bundle_with_data"))
    })
    .await;
    assert!(event.body.contains("Sam Lee") && event.body.contains("the maker asks"));
    gateway.stop().await;
}
