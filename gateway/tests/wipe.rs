//! A gateway that is wiped (I9): it refuses while something waits, says what it did in a record that
//! anybody can check, and goes on after a power cut at any step.

mod support;

use chiasm_gateway::{
    config::{self, Config},
    instances::{Head, Instances},
    journal::{Arrival, Journal, Position},
    seal::{self, KEY_FILE, Key},
    spool::{Document, Entry, Spool},
    supervisor::{self, RunError},
    wipe::{self, Order, RECORD_FILE, Step, WipeError},
};
use chiasm_proto::{
    Ack, Body, ClockState, GatewayEvent, LaneId, LinkId,
    wipe::{SignedWipe, WipeRecord},
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use support::pki::Authority;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "MILLER-4711";

fn link() -> LinkId {
    LinkId::new("ark").unwrap()
}

fn arrival() -> Arrival {
    Arrival { at: jiff::Timestamp::now(), clock: ClockState::Synced, may_bind: true }
}

/// An enrolled gateway's folder with one acknowledged document, and its configuration beside it.
async fn filled(dir: &Path, authority: &Authority) -> Config {
    let data = dir.join("data");
    let text = format!(
        "data_dir = \"{}\"\n[[link]]\nid = \"ark\"\nlane = \"lane-1\"\ndriver = \"nidek_ark\"\n\
         [link.tcp_server]\nlisten = \"127.0.0.1:1\"\n",
        data.display()
    );
    fs::write(dir.join("gateway.toml"), text).unwrap();
    let config = config::load(&dir.join("gateway.toml")).unwrap();
    authority.enrol(&data, 8883);
    let key = seal::load_or_make(&config.spool_key).unwrap();
    let (spool, writer) = Spool::open(&data.join("spool"), None, &key).await.unwrap();
    spool.commit(entry()).await.unwrap();
    let epoch = spool.progress().borrow().epoch;
    let ack = Ack { epoch, upto: 1, missing: vec![], above: vec![], ids: None, rejected: vec![] };
    spool.acknowledge(ack, true).await.unwrap();
    drop(spool);
    writer.await.unwrap().unwrap();
    Instances::open(&data.join("instances"), &key).await.unwrap();
    config
}

fn entry() -> Entry {
    let event = GatewayEvent { code: "test".into(), link: Some(link()), detail: SECRET.to_owned() };
    let documents = vec![Document::new(jiff::Timestamp::now(), Body::Event(event))];
    Entry { link: link(), documents, position: Position::default(), imported: None }
}

fn key(config: &Config) -> Key {
    seal::load(&config.spool_key).unwrap().unwrap()
}

fn order(lose_readings: bool) -> Order<'static> {
    Order { by: "Jo Meyer", lose_readings }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn record(config: &Config) -> (SignedWipe, WipeRecord) {
    let signed = wipe::recorded(&config.data_dir).unwrap().unwrap();
    let record = serde_json::from_str(&signed.record).unwrap();
    (signed, record)
}

/// As the documentation says it, without our code.
fn openssl_verifies(signed: &SignedWipe, authority: &Authority, dir: &Path) -> bool {
    fs::write(dir.join("record"), &signed.record).unwrap();
    fs::write(dir.join("signature"), &signed.signature).unwrap();
    fs::write(dir.join("certificate.pem"), &signed.certificate_pem).unwrap();
    fs::write(dir.join("authority.pem"), authority.pem()).unwrap();
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
        (output.status.success(), output.stdout)
    };
    let (is_read, public) = openssl(&["x509", "-in", "certificate.pem", "-pubkey", "-noout"]);
    assert!(is_read);
    fs::write(dir.join("public.pem"), public).unwrap();
    let args = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "record"];
    openssl(&args).0 && openssl(&["verify", "-CAfile", "authority.pem", "certificate.pem"]).0
}

#[tokio::test]
async fn every_kind_of_what_waits_stops_a_wipe() {
    let refused = async |config: &Config, word: &str| {
        let error = wipe::begin(config, &order(false)).await.unwrap_err();
        let says = error.to_string();
        assert!(matches!(error, WipeError::Waiting(_)) && says.contains(word), "{says}");
        assert_eq!(wipe::next(config).unwrap(), Step::Begin);
    };
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let config = filled(dir.path(), &authority).await;
    let key = key(&config);
    let (spool, writer) = Spool::open(&config.data_dir.join("spool"), None, &key).await.unwrap();
    spool.commit(entry()).await.unwrap();
    drop(spool);
    writer.await.unwrap().unwrap();
    refused(&config, "1 document is").await;
    let (mut journal, _) =
        Journal::open(&config.data_dir.join("journal"), &link(), Some(Position::default()), &key)
            .unwrap();
    journal.append(arrival(), b"half a frame").unwrap();
    refused(&config, "12 bytes of transmissions").await;
    let instances = Instances::open(&config.data_dir.join("instances"), &key).await.unwrap();
    let mut incoming = instances.begin(head()).await.unwrap();
    incoming.write(&[7; 100]).await.unwrap();
    incoming.finish(None, ClockState::Synced).await.unwrap();
    refused(&config, "1 DICOM instance,").await;
    // Given up: the record says what was lost.
    let record = wipe::begin(&config, &order(true)).await.unwrap();
    let lost = record.lost.unwrap();
    assert_eq!((lost.documents, lost.instances, lost.journal_bytes), (1, 1, 12));
    assert_eq!((record.by.as_str(), record.gateway.as_str()), ("Jo Meyer", "g"));
}

fn head() -> Head {
    Head {
        link: LinkId::new("oct-1").unwrap(),
        lane: LaneId::new("imaging").unwrap(),
        calling_ae: "OCT".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.77.1.5.4".into(),
        sop_instance_uid: "1.2.3".into(),
        transfer_syntax_uid: "1.2.840.10008.1.2.1".into(),
    }
}

#[tokio::test]
async fn a_spool_that_cannot_be_read_is_given_up_only_by_word() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let config = filled(dir.path(), &authority).await;
    fs::write(config.data_dir.join("spool/spool.sqlite"), vec![b'x'; 20_000]).unwrap();
    let error = wipe::begin(&config, &order(false)).await.unwrap_err();
    assert!(matches!(error, WipeError::Unknown(_)), "{error}");
    let record = wipe::begin(&config, &order(true)).await.unwrap();
    assert_eq!(record.lost, None);
    let long = "x".repeat(101);
    for by in ["", " ", "a\nb", &long] {
        let order = Order { by, lose_readings: true };
        assert!(matches!(wipe::begin(&config, &order).await, Err(WipeError::By)));
    }
}

/// A power cut between any two steps: whoever comes next sees what is left, the record is the same,
/// and the gateway does not run in between.
#[tokio::test]
async fn a_cut_after_any_step_leaves_what_can_be_gone_on_with() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let config = filled(dir.path(), &authority).await;
    // As a crash while the key was made, and one of a renewal, leave them.
    fs::copy(&config.spool_key, seal::fresh(&config.spool_key)).unwrap();
    let data = &config.data_dir;
    fs::create_dir(data.join("identity.next")).unwrap();
    fs::copy(data.join("identity/key.pem"), data.join("identity.next/key.pem")).unwrap();
    let key_digits = fs::read_to_string(&config.spool_key).unwrap();
    wipe::begin(&config, &order(false)).await.unwrap();
    let (signed, said) = record(&config);
    assert!(said.lost.unwrap().is_nothing());
    assert!(openssl_verifies(&signed, &authority, dir.path()));
    let mut changed = signed.clone();
    changed.record = changed.record.replace("Jo Meyer", "Jo Mayer");
    assert!(!openssl_verifies(&changed, &authority, dir.path()), "openssl takes anything");
    let mut steps = Vec::new();
    loop {
        let step = wipe::next(&config).unwrap();
        assert_eq!(record(&config).0, signed);
        let run = supervisor::run(config.clone(), CancellationToken::new()).await;
        assert!(matches!(run, Err(RunError::Wiped { .. })), "a half-wiped gateway runs");
        if !matches!(step, Step::Done) {
            assert!(matches!(wipe::begin_anew(&config), Err(WipeError::Unfinished { .. })));
            wipe::take(&step).unwrap();
            steps.push(step);
            continue;
        }
        break;
    }
    assert!(
        matches!(
            &steps[..4],
            [Step::SpoolKey(_), Step::SpoolKey(_), Step::Identity(_), Step::Identity(_)]
        ),
        "{steps:?}"
    );
    assert_eq!(names(data), ["lock", RECORD_FILE]);
    assert_eq!(names(dir.path()).iter().filter(|it| it.starts_with(KEY_FILE)).count(), 0);
    for name in names(dir.path()).iter().filter(|name| dir.path().join(name).is_file()) {
        let bytes = fs::read(dir.path().join(name)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(key_digits.trim()) && !text.contains(SECRET), "{name}");
    }
    // A new enrolment begins with nothing, and keeps the record.
    wipe::begin_anew(&config).unwrap();
    assert_eq!(wipe::next(&config).unwrap(), Step::Begin);
    assert_eq!(names(data).iter().filter(|name| name.starts_with("wiped-")).count(), 1);
}

/// Killed at any moment: nothing was destroyed without a record, and the second attempt ends it.
#[tokio::test]
async fn kill_9_at_any_moment_is_gone_on_with() {
    const ROUNDS: u32 = 24;
    let authority = Authority::new();
    let (mut untouched, mut half, mut whole) = (0, 0, 0);
    for round in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        let config = filled(dir.path(), &authority).await;
        let wipe_process = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_chiasm-gateway"));
            command.arg("--config").arg(dir.path().join("gateway.toml"));
            command.args(["wipe", "--by", "Jo", "--yes"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut child = wipe_process().spawn().unwrap();
        let record_file = config.data_dir.join(RECORD_FILE);
        if round % 2 == 0 {
            // Around the moment when the record is there and things begin to go.
            while !record_file.exists() && child.try_wait().unwrap().is_none() {
                std::hint::spin_loop();
            }
            tokio::time::sleep(Duration::from_micros(u64::from(round) * 60)).await;
        } else {
            tokio::time::sleep(Duration::from_millis(u64::from(round))).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        match wipe::next(&config).unwrap() {
            Step::Begin => {
                untouched += 1;
                let key = key(&config);
                let spool = Spool::open(&config.data_dir.join("spool"), None, &key).await;
                assert_eq!(spool.unwrap().0.state().await.unwrap().last_seq, 1);
                assert!(config.data_dir.join("identity/key.pem").exists());
            }
            Step::Done => whole += 1,
            _ => half += 1,
        }
        assert!(wipe_process().status().unwrap().success());
        assert_eq!(wipe::next(&config).unwrap(), Step::Done);
        let (signed, _) = record(&config);
        assert!(openssl_verifies(&signed, &authority, dir.path()));
    }
    assert!(half > 0, "no kill hit: {untouched} before, {half} within, {whole} after");
}
