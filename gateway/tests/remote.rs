//! Configurations of the cloud, from their arrival to what is left of them after a crash (I2).

use chiasm_gateway::{
    binding::Lanes,
    config::{self, Config},
    health::Health,
    remote::{self, Handle, kept::Kept},
    seal::Key,
    session::Shared,
    spool::Spool,
    supervisor::links::Links,
};
use chiasm_proto::{
    Sha256,
    config::{
        Configuration, ConfigurationFailure, ConfigurationReport, DOCUMENT_LEN_MAX, Document,
    },
};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinHandle, time::timeout};

const WAIT_MAX: Duration = Duration::from_secs(30);

/// What stands in the gateway's own file: one link, and little time for the cloud's word.
fn own(data_dir: &Path, confirm_within_s: u32) -> Config {
    let text = format!(
        "data_dir = \"{}\"\n[remote]\nconfirm_within_s = {confirm_within_s}\n{}",
        data_dir.display(),
        link("own", 41001)
    );
    config::parse(Path::new("gateway.toml"), &text).unwrap()
}

fn link(id: &str, port: u16) -> String {
    format!(
        "[[link]]\nid = \"{id}\"\nlane = \"lane-1\"\ndriver = \"nidek_ark\"\n\
         [link.tcp_server]\nlisten = \"127.0.0.1:{port}\"\n"
    )
}

fn document(id: &str) -> Document {
    toml::from_str(&link(id, 41002)).unwrap()
}

/// A gateway's task of configurations, with its links.
struct World {
    handle: Handle,
    health: Arc<Health>,
    task: JoinHandle<()>,
}

impl World {
    async fn open(config: Config) -> Self {
        let data_dir = config.data_dir.clone();
        let start = remote::start(config).unwrap();
        let key = Key::from_bytes(&[7; 32]);
        let (spool, _writer) = Spool::open(&data_dir.join("spool"), None, &key).await.unwrap();
        let health = Arc::new(Health::new(&start.config.links, &data_dir));
        let shared = Shared {
            spool,
            health: health.clone(),
            lanes: Arc::new(Mutex::new(Lanes::default())),
            journal_dir: data_dir.join("journal").into(),
            listening: Default::default(),
            key,
        };
        let mut links = Links::new(shared, None);
        links.apply(&start.config.links, &start.config.imagers);
        let (task, handle) = start.into_task(links);
        Self { handle, health, task: tokio::spawn(task.run()) }
    }

    async fn tells(&mut self, is_it: impl Fn(&ConfigurationReport) -> bool) -> ConfigurationReport {
        let told = self.handle.report.wait_for(is_it);
        timeout(WAIT_MAX, told).await.expect("it tells").unwrap().clone()
    }

    fn reads(&self) -> Vec<String> {
        self.health.links().into_iter().map(|link| link.link.to_string()).collect()
    }

    /// As `kill -9` would.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

#[tokio::test]
async fn what_the_cloud_has_heard_of_is_kept_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(own(dir.path(), 300)).await;
    assert_eq!((world.handle.report.borrow().version, world.reads()), (0, vec!["own".into()]));
    let sent = Configuration::new(1, &document("fresh"));
    world.handle.offer(sent.clone());
    world.tells(|told| told.version == 1 && told.is_on_trial).await;
    assert_eq!(world.reads(), ["fresh"]);
    world.handle.offer(Configuration { keep: true, ..sent });
    world.tells(|told| told.version == 1 && !told.is_on_trial).await;
    world.kill().await;
    let world = World::open(own(dir.path(), 300)).await;
    assert_eq!((world.handle.report.borrow().version, world.reads()), (1, vec!["fresh".into()]));
    // A gateway that does not want it reads its own file.
    let mut config = own(dir.path(), 300);
    config.remote.accept = false;
    assert_eq!(remote::start(config).unwrap().config.links[0].id.as_str(), "own");
}

#[tokio::test]
async fn without_the_clouds_word_the_links_before_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(own(dir.path(), 1)).await;
    let sent = Configuration::new(1, &document("fresh"));
    world.handle.offer(sent.clone());
    let told = world.tells(|told| told.failed.is_some()).await;
    let failed = told.failed.unwrap();
    assert_eq!((told.version, failed.version), (0, 1));
    assert_eq!(failed.outcome, ConfigurationFailure::Reverted);
    assert!(failed.reason.contains("not reached within 1 s"), "{}", failed.reason);
    assert_eq!(world.reads(), ["own"]);
    // A word that comes too late does not bring it back.
    world.handle.offer(Configuration { keep: true, ..sent });
    world.handle.offer(Configuration::new(2, &document("second")));
    world.tells(|told| told.version == 2).await;
    world.kill().await;
}

#[tokio::test]
async fn what_is_wrong_or_hostile_is_refused_whole_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::open(own(dir.path(), 300)).await;
    let sent = |version, text: &str| Configuration {
        version,
        sha256: Sha256::of(text.as_bytes()),
        document: text.into(),
        keep: false,
    };
    let with =
        |link: &str| format!(r#"{{"link":[{{"id":"a","lane":"l","driver":"nidek_ark",{link}}}]}}"#);
    let long = with(&format!(r#""model":"{}""#, "x".repeat(DOCUMENT_LEN_MAX)));
    let cases = [
        ("not json".to_owned(), "expected"),
        (r#"{"link":[],"data_dir":"/"}"#.to_owned(), "unknown field `data_dir`"),
        (r#"{"link":[],"uplink":{"cloud":"evil"}}"#.to_owned(), "unknown field `uplink`"),
        (with(r#""command":"rm""#), "unknown field `command`"),
        (with(r#""folder":{"path":"/etc"}"#), "not below"),
        (with(r#""serial":{"port":"/dev/mem"}"#), "no serial port"),
        (with(r#""tcp_client":{"address":"127.0.0.1:22"}"#), "private network"),
        (with(r#""serial":{"port":"usb:A","baud":1}"#), "out of range"),
        (with(r#""serial":{"port":"usb:A"}"#).replace("nidek_ark", "no_driver"), "no driver"),
        (with(r#""serial":{"port":"usb:A"}"#).replace("\"a\"", "\"../a\""), "not a valid"),
        (with("\"listen_only\":true"), "exactly one of"),
        (long, "at most"),
        (r#"{"imager":[{"id":"o","lane":"l","calling_ae":"O"}]}"#.to_owned(), "DICOM node"),
    ];
    let mut version = 0;
    for (text, words) in cases {
        version += 1;
        world.handle.offer(sent(version, &text));
        let told = world
            .tells(|told| told.failed.as_ref().is_some_and(|failed| failed.version == version))
            .await;
        let failed = told.failed.unwrap();
        assert_eq!(failed.outcome, ConfigurationFailure::Refused);
        assert!(failed.reason.contains(words), "{text:.80}: {}", failed.reason);
        assert_eq!((told.version, world.reads()), (0, vec!["own".to_owned()]));
    }
    version += 1;
    let forged = Configuration { sha256: Sha256::of(b"x"), ..sent(version, "{}") };
    world.handle.offer(forged);
    let is_told =
        |told: &ConfigurationReport| told.failed.as_ref().is_some_and(|it| it.version == version);
    assert!(world.tells(is_told).await.failed.unwrap().reason.contains("hash"));
    // The next good one is taken.
    world.handle.offer(Configuration::new(version + 1, &document("good")));
    world.tells(|told| told.version == version + 1).await;
    world.kill().await;
}

/// What each step of writing leaves when the power goes, and what is read after it.
#[tokio::test]
async fn a_crash_at_any_step_leaves_one_configuration_whole() {
    let first = Configuration::new(1, &document("first"));
    let second = Configuration::new(2, &document("second"));
    let half = |it: &Configuration| {
        let json = serde_json::to_vec(it).unwrap();
        json[..json.len() / 2].to_vec()
    };
    type Step<'a> = (&'a str, Box<dyn Fn(&Kept, &Path)>, u64, Option<u64>);
    let (one, two) = (first.clone(), second.clone());
    let keep_first = move |kept: &Kept| {
        kept.put_on_trial(&one).unwrap();
        kept.keep().unwrap();
    };
    let steps: Vec<Step<'_>> = vec![
        ("nothing written", Box::new(|_, _| {}), 1, None),
        (
            "half of the new one",
            {
                let bytes = half(&second);
                Box::new(move |_, dir| fs::write(dir.join("trial.json.new"), &bytes).unwrap())
            },
            1,
            None,
        ),
        (
            "the new one in place, not confirmed",
            {
                let two = two.clone();
                Box::new(move |kept, _| kept.put_on_trial(&two).unwrap())
            },
            1,
            Some(2),
        ),
        (
            "half of why it failed",
            {
                let two = two.clone();
                Box::new(move |kept, dir| {
                    kept.put_on_trial(&two).unwrap();
                    fs::write(dir.join("failed.json.new"), b"{\"version\":2").unwrap();
                })
            },
            1,
            Some(2),
        ),
        (
            "confirmed",
            {
                let two = two.clone();
                Box::new(move |kept, _| {
                    kept.put_on_trial(&two).unwrap();
                    kept.keep().unwrap();
                })
            },
            2,
            None,
        ),
        (
            "a disk that lies",
            {
                let bytes = half(&second);
                Box::new(move |_, dir| fs::write(dir.join("trial.json"), &bytes).unwrap())
            },
            1,
            None,
        ),
    ];
    for (what, crash, counts, failed) in steps {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path());
        keep_first(&kept);
        crash(&kept, &dir.path().join("config"));
        // Twice: a crash while it recovers changes nothing.
        for _ in 0..2 {
            let start = remote::start(own(dir.path(), 300)).unwrap();
            let link = start.config.links[0].id.to_string();
            assert_eq!(link, if counts == 1 { "first" } else { "second" }, "{what}");
            assert!(kept.trial().unwrap().is_none(), "{what}");
            assert_eq!(kept.failed().unwrap().map(|it| it.version), failed, "{what}");
        }
    }
    // What was kept is damaged: the file's own links are read, and nobody is left without.
    let dir = tempfile::tempdir().unwrap();
    keep_first(&Kept::new(dir.path()));
    fs::write(dir.path().join("config/good.json"), half(&first)).unwrap();
    let start = remote::start(own(dir.path(), 300)).unwrap();
    assert_eq!(start.config.links[0].id.as_str(), "own");
}
