//! DICOM over TLS with dcmtk's and Python's OpenSSL: who is let in, who is not, and what is told.

mod support;

use chiasm_gateway::dicom::tls::{HANDSHAKE_WAIT_MAX, HANDSHAKES_MAX};
use chiasm_proto::{Sha256, fleet::LinkStatus};
use serde_json::{Value, json};
use std::{fs, path::PathBuf, process::Stdio, time::Duration};
use support::{
    dicom::{EXPLICIT, OPT, Object, Sender, World, dcmtk, python, said, visit, worklist},
    free_port,
    pki::Authority,
    until,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
};

/// A clinic with an authority of its own, and an imager with a certificate.
struct Hall {
    world: World,
    tls_port: u16,
    /// Of the imager's certificate, key and authority.
    files: [String; 3],
    authority: Authority,
}

impl Hall {
    /// `tls` stands in `[dicom.tls]`, `imager` in `[[imager]]`; both may name `{ca}`, `{sha256}`.
    async fn new(tls: &str, imager: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let signed = authority.sign("oct");
        let files = [
            ("imager.pem", &signed.certificate_pem),
            ("imager.key", &signed.key_pem),
            ("ca.pem", &authority.pem()),
        ]
        .map(|(name, text)| write(dir.path().join(name), text));
        let fill =
            |text: &str| text.replace("{ca}", &files[2]).replace("{sha256}", &fingerprint(&signed));
        let tls_port = free_port();
        let tables = format!(
            "[dicom.tls]\nlisten = \"127.0.0.1:{tls_port}\"\n{}\n[[imager]]\nid = \"oct-1\"\n\
             lane = \"lane-1\"\ncalling_ae = \"OCT\"\n{}\n",
            fill(tls),
            fill(imager)
        );
        let world = World::in_dir(dir, &tables).await;
        until("the TLS port", async || TcpStream::connect(("127.0.0.1", tls_port)).await.ok())
            .await;
        Self { world, tls_port, files, authority }
    }

    fn own_certificate(&self) -> String {
        self.world.dir.path().join("dicom-tls/certificate.pem").display().to_string()
    }

    /// A program of dcmtk on a port, with what it says.
    async fn call(&self, program: &str, port: u16, args: &[&str]) -> (bool, String) {
        let output = dcmtk(program, "OCT", port, args).await;
        (output.status.success(), said(&output))
    }
}

fn write(path: PathBuf, text: &str) -> String {
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn fingerprint(signed: &support::pki::Signed) -> String {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    let der = CertificateDer::from_pem_slice(signed.certificate_pem.as_bytes()).unwrap();
    Sha256::of(&der).to_string()
}

const WITH_CLIENT: &str = "authority_file = \"{ca}\"";

#[tokio::test]
async fn dcmtk_stores_finds_and_echoes_by_tls() {
    let hall =
        Hall::new(WITH_CLIENT, "tls = \"required\"\ncertificate_sha256 = \"{sha256}\"").await;
    let object = Object::new("1.2.3.1", EXPLICIT, 1);
    let large = Object::with_pixels("1.2.3.2", EXPLICIT, &vec![7; 5_000_000]);
    let paths = [&object, &large].map(|it| it.write(hall.world.dir.path()).display().to_string());
    let visits = vec![visit("A1", "2026-11-30T09:00:00", "Otto", "A")];
    hall.world.worklist.store(worklist(visits)).unwrap();
    let own = hall.own_certificate();
    let [certificate, key, _] = &hall.files;
    let tls = ["+tls", key, certificate, "+cf", &own];
    let (stored, said) = hall
        .call("storescu", hall.tls_port, &[&tls[..], &["-xe", &paths[0], &paths[1]]].concat())
        .await;
    assert!(stored, "{said}");
    for sent in [&object, &large] {
        assert!(hall.world.file_of(&sent.uid).await.ends_with(&sent.data_set));
    }
    let (echoed, said) = hall.call("echoscu", hall.tls_port, &tls).await;
    assert!(echoed, "{said}");
    let keys = ["-W", "-k", "PatientName=Otto*", "-k", "AccessionNumber"];
    let (found, said) = hall.call("findscu", hall.tls_port, &[&tls[..], &keys].concat()).await;
    assert!(found && said.contains("A1"), "{said}");
    let link = hall.world.health.links().into_iter().next().unwrap();
    assert_eq!(link.status, LinkStatus::Up, "{link:?}");
}

/// The certificate that the gateway made is kept, and its key is nobody else's.
#[tokio::test]
async fn without_an_authority_nobody_is_asked_for_a_certificate() {
    use std::os::unix::fs::PermissionsExt;
    let hall = Hall::new("", "").await;
    let own = hall.own_certificate();
    let (echoed, said) = hall.call("echoscu", hall.tls_port, &["+tla", "+cf", &own]).await;
    assert!(echoed, "{said}");
    let (plain, said) = hall.call("echoscu", hall.world.port, &[]).await;
    assert!(plain, "optional: {said}");
    let key = hall.world.dir.path().join("dicom-tls/key.pem");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&own).unwrap();
    let dir = hall.world.kill().await;
    let tables = format!("[dicom.tls]\nlisten = \"127.0.0.1:{}\"\n", hall.tls_port);
    let _again = World::in_dir(dir, &tables).await;
    until("the TLS port", async || TcpStream::connect(("127.0.0.1", hall.tls_port)).await.ok())
        .await;
    assert_eq!(fs::read(&own).unwrap(), before);
}

#[tokio::test]
async fn who_may_not_is_refused_and_it_is_told() {
    let hall =
        Hall::new(WITH_CLIENT, "tls = \"required\"\ncertificate_sha256 = \"{sha256}\"").await;
    let own = hall.own_certificate();
    let [certificate, key, ca] = &hall.files;
    let dir = hall.world.dir.path();
    let stranger = Authority::new().sign("stranger");
    let colleague = hall.authority.sign("colleague");
    let pair = |name: &str, signed: &support::pki::Signed| {
        [
            write(dir.join(format!("{name}.key")), &signed.key_pem),
            write(dir.join(format!("{name}.pem")), &signed.certificate_pem),
        ]
    };
    let stranger = pair("stranger", &stranger);
    let colleague = pair("colleague", &colleague);
    let good = ["+tls", key, certificate, "+cf", &own];
    let cases: [(&str, u16, Vec<&str>, &str); 6] = [
        ("no certificate", hall.tls_port, vec!["+tla", "+cf", &own], "came to nothing"),
        (
            "another authority's",
            hall.tls_port,
            vec!["+tls", &stranger[0], &stranger[1], "+cf", &own],
            "came to nothing",
        ),
        (
            "another imager's",
            hall.tls_port,
            vec!["+tls", &colleague[0], &colleague[1], "+cf", &own],
            "shows another certificate",
        ),
        ("plain on the TLS port", hall.tls_port, vec![], "came to nothing"),
        ("plain, which it must not be", hall.world.port, vec![], "calls without TLS"),
        ("TLS on the plain port", hall.world.port, good.to_vec(), "came to the plain port"),
    ];
    for (what, port, args, event) in cases {
        let (echoed, said) = hall.call("echoscu", port, &args).await;
        assert!(!echoed, "{what}: {said}");
        until(what, async || {
            hall.world.documents().await.into_iter().find(|body| {
                matches!(body, chiasm_proto::Body::Event(it)
                    if it.code == "imager_refused" && it.detail.contains(event))
            })
        })
        .await;
    }
    // The imager trusts another gateway.
    let (echoed, said) =
        hall.call("echoscu", hall.tls_port, &["+tls", key, certificate, "+cf", ca]).await;
    assert!(!echoed, "{said}");
    let (echoed, said) = hall.call("echoscu", hall.tls_port, &good).await;
    assert!(echoed, "{said}");
}

#[tokio::test]
async fn a_hanging_handshake_ends_and_holds_up_nobody() {
    let hall = Hall::new("", "").await;
    let mut hanging = Vec::new();
    for _ in 0..HANDSHAKES_MAX {
        hanging.push(TcpStream::connect(("127.0.0.1", hall.tls_port)).await.unwrap());
    }
    // One more is closed unheard; the plain port does not mind.
    let mut more = TcpStream::connect(("127.0.0.1", hall.tls_port)).await.unwrap();
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(5), more.read(&mut byte));
    assert!(matches!(read.await.expect("it is closed"), Ok(0) | Err(_)));
    let mut sender = Sender::new(hall.world.port, OPT, EXPLICIT).await;
    assert_eq!(sender.store(&Object::new("1.2.3.1", EXPLICIT, 1), 1_000).await, 0);
    sender.release().await;
    for mut stream in hanging {
        let read = tokio::time::timeout(HANDSHAKE_WAIT_MAX * 2, stream.read(&mut byte));
        assert!(matches!(read.await.expect("it ends"), Ok(0) | Err(_)));
    }
    let own = hall.own_certificate();
    let (echoed, said) = hall.call("echoscu", hall.tls_port, &["+tla", "+cf", &own]).await;
    assert!(echoed, "{said}");
    assert!(hall.world.until_event("imager_refused").await.contains("longer than 10 s"));
}

/// We call the imager by TLS, show our certificate and check its; and so does it.
#[tokio::test]
async fn commitment_is_reported_by_tls() {
    let own_port = free_port();
    let address = format!("tls = \"required\"\naddress = \"127.0.0.1:{own_port}\"");
    let hall = Hall::new(WITH_CLIENT, &address).await;
    let [certificate, key, _] = &hall.files;
    let own = hall.own_certificate();
    let path = Object::new("1.2.3.1", EXPLICIT, 1).write(hall.world.dir.path());
    let args = ["+tls", key, certificate, "+cf", &own, "-xe", path.to_str().unwrap()];
    let (stored, said) = hall.call("storescu", hall.tls_port, &args).await;
    assert!(stored, "{said}");
    let mut asker = python("commit.py")
        .args([&hall.tls_port.to_string(), &own_port.to_string(), "1.2.77", "0", "1.2.3.1"])
        .env("TLS_CERTIFICATE", certificate)
        .env("TLS_KEY", key)
        .env("TLS_AUTHORITY", &own)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(asker.stdout.take().unwrap()).lines();
    let mut line = async || {
        let line = tokio::time::timeout(support::WAIT_MAX, lines.next_line()).await;
        serde_json::from_str::<Value>(&line.expect("a line").unwrap().expect("a line")).unwrap()
    };
    assert_eq!(line().await, json!({"asked": 0}));
    hall.world.file("1.2.3.1").await;
    let told = line().await;
    assert_eq!((told["via"].as_str(), told["event_type"].as_u64()), (Some("new"), Some(1)));
    assert!(asker.wait().await.unwrap().success());
}

/// An imager whose certificate is not in the authority's file is told nothing.
#[tokio::test]
async fn an_imager_with_a_strange_certificate_is_not_told() {
    let own_port = free_port();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (ours, strange) = (authority.sign("oct"), Authority::new().sign("oct"));
    let ca = write(dir.path().join("ca.pem"), &authority.pem());
    let config = dir.path().join("gateway.toml");
    let text = format!(
        "data_dir = \"{}\"\n[dicom.tls]\nauthority_file = \"{ca}\"\n[[imager]]\nid = \"oct-1\"\n\
         lane = \"lane-1\"\ncalling_ae = \"OCT\"\ntls = \"required\"\n\
         address = \"127.0.0.1:{own_port}\"\n",
        dir.path().join("data").display()
    );
    fs::write(&config, text).unwrap();
    for (signed, is_right) in [(&ours, true), (&strange, false)] {
        let certificate = write(dir.path().join("imager.pem"), &signed.certificate_pem);
        let key = write(dir.path().join("imager.key"), &signed.key_pem);
        let mut imager = tokio::process::Command::new("/usr/bin/storescp")
            .args(["-aet", "OCT", "+tls", &key, &certificate, "-ic", &own_port.to_string()])
            .current_dir(dir.path())
            .kill_on_drop(true)
            .spawn()
            .expect("dcmtk is installed (apt-get install dcmtk)");
        until("the imager", async || TcpStream::connect(("127.0.0.1", own_port)).await.ok()).await;
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_chiasm-gateway"))
            .arg("--config")
            .arg(&config)
            .args(["echo", "oct-1"])
            .output()
            .await
            .unwrap();
        assert_eq!(output.status.success(), is_right, "{}", said(&output));
        if !is_right {
            assert!(said(&output).contains("no TLS with"), "{}", said(&output));
        }
        imager.kill().await.unwrap();
    }
}
