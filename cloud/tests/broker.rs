//! What the embedded broker lets in, and what it refuses and writes down.

mod common;

use chiasm_proto::{
    Sha256, Up,
    enrol::{CLAIM_PATH, ClaimError, ClaimRequest, ClaimResponse},
    topic,
};
use common::{
    Cloud, Kind,
    gateway::{Credentials, Gateway, Seen, add_claim, connect, credentials, enrol, new_request},
};
use rumqttc::v5::mqttbytes::{
    QoS,
    v5::{LastWill, PubAckReason, SubscribeReasonCode},
};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Test = tokio::sync::mpsc::Receiver<Seen>;

async fn until_ended(seen: &mut Test) -> Vec<Seen> {
    let mut all = Vec::new();
    let wait = async {
        while let Some(what) = seen.recv().await {
            all.push(what);
        }
    };
    tokio::time::timeout(common::PATIENCE, wait).await.expect("the connection ends");
    all
}

fn was_connected(seen: &[Seen]) -> bool {
    seen.iter().any(|what| matches!(what, Seen::Connected))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_topics_are_refused_and_written_down() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let victim = enrol(&cloud, "other", "gw-1").await;
    let mut victim = Gateway::connect(cloud.broker(), &victim, "other", "gw-1").await;
    let mut gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    for filter in ["chiasm/v1/other/gw-1/down/+", "chiasm/v1/+/+/up/+", "#"] {
        gateway.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
        let code = gateway
            .until(|seen| match seen {
                Seen::Subscribed(code) => Some(code),
                _ => None,
            })
            .await;
        assert!(!matches!(code, SubscribeReasonCode::Success(_)), "{filter}: {code:?}");
    }
    drop(gateway);
    let options = credentials.options(cloud.broker(), "acme/gw-1");
    let (client, mut seen, _poll) = connect(options);
    let document = serde_json::to_vec(&victim.reading(1)).unwrap();
    let foreign = "chiasm/v1/other/gw-1/up/reading";
    client.publish(foreign, QoS::AtLeastOnce, false, document).await.unwrap();
    let seen = until_ended(&mut seen).await;
    let accepted = |what: &Seen| matches!(what, Seen::Published(PubAckReason::Success));
    assert!(was_connected(&seen) && !seen.iter().any(accepted), "{seen:?}");
    cloud.wait_for("SELECT COUNT(*) FROM refusal WHERE tenant_id = 'acme'", 4).await;
    cloud.wait_for("SELECT COUNT(*) FROM live_event WHERE kind = 'refusal'", 4).await;
    // The victim's own reading is the first of its numbers.
    victim.send(&victim.reading(1)).await;
    let ack = victim.ack(|ack| ack.upto == 1).await;
    assert_eq!(ack.rejected, []);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM rejected_document").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_over_a_session_or_wills_for_another() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    let mine = enrol(&cloud, "acme", "gw-1").await;
    let (_, mut seen, _poll) = connect(mine.options(cloud.broker(), "acme/gw-2"));
    assert!(!was_connected(&until_ended(&mut seen).await));
    let mut options = mine.options(cloud.broker(), "acme/gw-1");
    let foreign = "chiasm/v1/acme/gw-2/state";
    options.set_last_will(LastWill::new(foreign, "{}", QoS::AtLeastOnce, true, None));
    let (_, mut seen, _poll) = connect(options);
    assert!(!was_connected(&until_ended(&mut seen).await));
    // Another process on the machine finds the loopback listener and claims to be somebody.
    let inside = cloud.running.broker.as_ref().unwrap().ingest.address;
    let mut options = rumqttc::v5::MqttOptions::new("acme/gw-1", "127.0.0.1", inside.port());
    let (_, mut seen, _poll) = connect(options.clone());
    assert!(!was_connected(&until_ended(&mut seen).await));
    options.set_credentials("chiasm-cloud", "guessed");
    let (_, mut seen, _poll) = connect(options);
    assert!(!was_connected(&until_ended(&mut seen).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_revoked_gateways_are_cut_off() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    // Our authority signed it, but no such gateway is enrolled.
    let (unknown, _) = credentials(&cloud.authority, "acme", "gw-9");
    let (_, mut seen, _poll) = connect(unknown.options(cloud.broker(), "acme/gw-9"));
    assert!(!was_connected(&until_ended(&mut seen).await));
    // Another authority signed it.
    let elsewhere = tempfile::tempdir().unwrap();
    let authority = chiasm_cloud::pki::Authority::load_or_make(elsewhere.path()).unwrap();
    let (mut forged, _) = credentials(&authority, "acme", "gw-1");
    forged.authority = cloud.authority.certificate_pem().to_owned();
    let enrolled = enrol(&cloud, "acme", "gw-1").await;
    let (_, mut seen, _poll) = connect(forged.options(cloud.broker(), "acme/gw-1"));
    assert!(!was_connected(&until_ended(&mut seen).await));
    // Revoked while it is connected.
    let mut gateway = Gateway::connect(cloud.broker(), &enrolled, "acme", "gw-1").await;
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    assert!(chiasm_cloud::store::fleet::revoke_gateway(&mut tx, "acme", "gw-1", 5).await.unwrap());
    tx.commit().await.unwrap();
    gateway.until(|seen| matches!(seen, Seen::Ended(_)).then_some(())).await;
    let (_, mut seen, _poll) = connect(enrolled.options(cloud.broker(), "acme/gw-1"));
    assert!(!was_connected(&until_ended(&mut seen).await));
    cloud
        .wait_for(
            "SELECT COUNT(*) FROM refusal WHERE action = 'connect' AND gateway_id = 'gw-1'",
            1,
        )
        .await;
}

/// POST over TLS by hand; gives status and body, and the authority the server sent along.
async fn claim(cloud: &Cloud, body: Vec<u8>) -> (u16, Vec<u8>, Sha256) {
    let mut roots = rustls::RootCertStore::empty();
    let pem = cloud.authority.certificate_pem();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(cloud.running.gateway_endpoint).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    let sent_along = stream.get_ref().1.peer_certificates().unwrap()[1].clone();
    let head = format!(
        "POST {CLAIM_PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    let body = text.split_once("\r\n\r\n").unwrap().1.as_bytes().to_vec();
    (status, body, Sha256::of(&sent_along))
}

fn request(code: &str) -> (Vec<u8>, String) {
    let (key, csr_pem) = new_request();
    let request =
        ClaimRequest { claim_code: code.into(), csr_pem, software_version: "test".into() };
    (serde_json::to_vec(&request).unwrap(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_code_gives_one_certificate_that_works() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    add_claim(&cloud, "gw-1", "ABCD2345", i64::MAX).await;
    let (body, key) = request("abcd-2345");
    let (status, answer, pinned) = claim(&cloud, body).await;
    assert_eq!(status, 200);
    assert_eq!(pinned, cloud.authority.sha256());
    let answer: ClaimResponse = serde_json::from_slice(&answer).unwrap();
    assert_eq!((answer.tenant.as_str(), answer.gateway.as_str()), ("acme", "gw-1"));
    let credentials =
        Credentials { certificate: answer.certificate_pem, key, authority: answer.authority_pem };
    let mut gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    gateway.send(&gateway.reading(1)).await;
    gateway.ack(|ack| ack.upto == 1).await;
    assert_eq!(refused(&cloud, "ABCD2345").await, (409, "used".into()));
}

async fn refused(cloud: &Cloud, code: &str) -> (u16, String) {
    let (status, body, _) = claim(cloud, request(code).0).await;
    (status, serde_json::from_slice::<ClaimError>(&body).unwrap().code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_refused_with_the_reason_and_guessing_ends() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    // Not so long ago that the code would be forgotten.
    let an_hour_ago_us = chiasm_cloud::clock::now_us() - 3_600_000_000;
    add_claim(&cloud, "gw-1", "ABCD2345", an_hour_ago_us).await;
    assert_eq!(refused(&cloud, "ABCD2345").await, (410, "expired".into()));
    assert_eq!(claim(&cloud, b"{".to_vec()).await.0, 400);
    for _ in 2..chiasm_cloud::http::attempts::FAILURES_PER_ADDRESS_MAX {
        assert_eq!(refused(&cloud, "ZZZZ2345").await, (404, "unknown_code".into()));
    }
    assert_eq!(refused(&cloud, "ZZZZ2345").await, (429, "too_many_attempts".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_may_use_what_is_its_own() {
    let cloud = Cloud::start(Kind::Sqlite).await;
    let credentials = enrol(&cloud, "acme", "gw-1").await;
    let mut gateway = Gateway::connect(cloud.broker(), &credentials, "acme", "gw-1").await;
    let filter = topic::down_filter(&gateway.tenant, &gateway.gateway);
    gateway.client.subscribe(filter.replace('+', "ack"), QoS::AtLeastOnce).await.unwrap();
    gateway
        .until(|seen| {
            matches!(seen, Seen::Subscribed(SubscribeReasonCode::Success(_))).then_some(())
        })
        .await;
    gateway.publish(Up::Reply, b"{}".to_vec()).await;
    gateway
        .until(|seen| matches!(seen, Seen::Published(PubAckReason::Success)).then_some(()))
        .await;
    assert_eq!(cloud.count("SELECT COUNT(*) FROM refusal").await, 0);
}
