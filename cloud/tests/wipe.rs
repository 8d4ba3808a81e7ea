//! The record of a wiped gateway (I9): taken from nobody but its maker, once, with its certificate
//! shut out, and given to clinic IT so that it can be checked without us.
#![allow(clippy::duplicate_mod, reason = "the endpoint needs a cloud, the page a practice")]

mod common;
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::wipe_gateway,
    pki::Authority,
    store::{certificate, fleet, wipe},
};
use chiasm_proto::{
    ClockState, GatewayId, TenantId,
    wipe::{Lost, SignedWipe, WIPED_PATH, WipeRecord},
};
use common::{
    Cloud, Kind,
    gateway::{Credentials, credentials, enrol},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use serde_json::Value;
use site::{Site, world::TENANT};
use std::{path::Path, process::Command};

on_both!(clinic_it_sees_and_downloads_the_record);

fn record(of: (&str, &str), serial: &str, lost: Option<Lost>) -> WipeRecord {
    WipeRecord {
        tenant: TenantId::new(of.0).unwrap(),
        gateway: GatewayId::new(of.1).unwrap(),
        certificate_serial: serial.into(),
        machine_serial: Some("SN-1".into()),
        wiped_at: "2026-11-30T10:00:00Z".parse().unwrap(),
        clock: ClockState::Synced,
        by: "Jo <Meyer>".into(),
        lost,
        software_version: "0.1.0".into(),
    }
}

fn sign(record: &WipeRecord, with: &Credentials) -> SignedWipe {
    let record = serde_json::to_string(record).unwrap();
    let key = PrivateKeyDer::from_pem_slice(with.key.as_bytes()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let signer = key.choose_scheme(&[rustls::SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let signature = signer.sign(record.as_bytes()).unwrap();
    SignedWipe { record, signature, certificate_pem: with.certificate.clone() }
}

async fn post(cloud: &Cloud, shown: &Credentials, body: Vec<u8>) -> u16 {
    let client = reqwest::Client::builder().tls_backend_preconfigured(shown.tls()).build().unwrap();
    let port = cloud.running.gateway_endpoint.port();
    let url = format!("https://127.0.0.1:{port}{WIPED_PATH}");
    client.post(url).body(body).send().await.unwrap().status().as_u16()
}

async fn tell(cloud: &Cloud, shown: &Credentials, signed: &SignedWipe) -> u16 {
    post(cloud, shown, serde_json::to_vec(signed).unwrap()).await
}

async fn serial(cloud: &Cloud, gateway: &str) -> Option<String> {
    let mut tx = cloud.core.db.tenant_read("acme").await.unwrap();
    let known = certificate::known(&mut tx, ("acme", gateway)).await.unwrap();
    known.and_then(|known| known.serial)
}

async fn records_are_taken_from_their_maker_only(kind: Kind) {
    let cloud = Cloud::start(kind).await;
    let mine = enrol(&cloud, "acme", "gw-1").await;
    let other = enrol(&cloud, "acme", "gw-2").await;
    let own = serial(&cloud, "gw-1").await.unwrap();
    let right = sign(&record(("acme", "gw-1"), &own, Some(Lost::default())), &mine);
    // Another's signature, another's name, another authority, a changed text, another's connection.
    let by_other = sign(&record(("acme", "gw-1"), &own, None), &other);
    let named_other = sign(&record(("other", "gw-1"), &own, None), &mine);
    let serial_of_other = sign(&record(("acme", "gw-1"), "00", None), &mine);
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Authority::load_or_make(elsewhere.path()).unwrap();
    let (forged, forged_serial) = credentials(&foreign, "acme", "gw-1");
    let forged = sign(&record(("acme", "gw-1"), &forged_serial, None), &forged);
    let mut changed = right.clone();
    changed.record = changed.record.replace("Meyer", "Mayer");
    for (what, signed) in [
        ("by another", &by_other),
        ("named another", &named_other),
        ("serial of another", &serial_of_other),
        ("forged", &forged),
        ("changed", &changed),
    ] {
        assert_eq!(tell(&cloud, &mine, signed).await, 403, "{what}");
    }
    assert_eq!(tell(&cloud, &other, &right).await, 403, "on another's connection");
    for body in [b"".to_vec(), b"{}".to_vec(), b"[".repeat(10_000)] {
        assert_eq!(post(&cloud, &mine, body).await, 400);
    }
    assert_eq!(post(&cloud, &mine, vec![b' '; 100_000]).await, 413);
    assert_eq!(cloud.count("SELECT COUNT(*) FROM gateway_wipe").await, 0);
    assert_eq!(serial(&cloud, "gw-1").await, Some(own.clone()));
    // The right one shuts it out; the answer may be lost, so that it is told again.
    for _ in 0..2 {
        assert_eq!(tell(&cloud, &mine, &right).await, 204);
        assert_eq!(serial(&cloud, "gw-1").await, None);
    }
    assert_eq!(cloud.count("SELECT COUNT(*) FROM gateway_wipe").await, 1);
    assert!(serial(&cloud, "gw-2").await.is_some());
    // A machine that has taken the name since goes on, although the old record comes late.
    enrol(&cloud, "acme", "gw-1").await;
    let (next, next_serial) = credentials(&cloud.authority, "acme", "gw-1");
    let mut tx = cloud.core.db.tenant("acme").await.unwrap();
    let key = ("acme", "gw-1");
    certificate::put_enrolled(&mut tx, key, &next_serial, i64::MAX, 2).await.unwrap();
    tx.commit().await.unwrap();
    let mut again = record(("acme", "gw-1"), &own, None);
    again.wiped_at = "2026-11-30T11:00:00Z".parse().unwrap();
    assert_eq!(tell(&cloud, &mine, &sign(&again, &mine)).await, 204);
    assert_eq!(serial(&cloud, "gw-1").await, Some(next_serial));
    assert_eq!(cloud.count("SELECT COUNT(*) FROM gateway_wipe").await, 2);
    // No more than some of one certificate.
    for number in 0..wipe_gateway::WIPES_MAX {
        again.wiped_at += jiff::SignedDuration::from_secs(1);
        let expected = if number + 2 < wipe_gateway::WIPES_MAX { 204 } else { 429 };
        assert_eq!(tell(&cloud, &mine, &sign(&again, &mine)).await, expected, "{number}");
    }
    drop(next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_on_sqlite() {
    records_are_taken_from_their_maker_only(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_on_postgres() {
    records_are_taken_from_their_maker_only(Kind::Postgres).await;
}

/// Keeps a record of the gateway of the practice, as the command line does with a file.
async fn keep(site: &Site, lost: Option<Lost>) {
    let core = &site.world.core;
    let authority = Authority::load_or_make(&core.config.data_dir).unwrap();
    let (mine, serial) = credentials(&authority, TENANT, "gw-main");
    let mut tx = core.db.tenant(TENANT).await.unwrap();
    let key = (TENANT, "gw-main");
    fleet::put_gateway(&mut tx, TENANT, "gw-main", "main", "Main", 1).await.unwrap();
    certificate::put_enrolled(&mut tx, key, &serial, i64::MAX, 1).await.unwrap();
    let signed = sign(&record(key, &serial, lost), &mine);
    let proven = wipe_gateway::prove(&authority, signed).unwrap();
    wipe_gateway::put(&mut tx, &proven, site.world.now_us).await.unwrap();
    tx.commit().await.unwrap();
}

async fn clinic_it_sees_and_downloads_the_record(site: Site) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let it = site.token("it").await;
    let headers = [("authorization", it.as_str())];
    let path = "/fleet/gateways/gw-main/wiped.json";
    assert_eq!(site.send(Method::GET, path, &headers, "").await.0, 404);
    keep(&site, Some(Lost { documents: 3, ..Lost::default() })).await;
    let (_, _, page) = site.send(Method::GET, "/fleet", &headers, "").await;
    assert!(page.contains("Jo &#60;Meyer&#62;") || page.contains("Jo &lt;Meyer&gt;"), "{page}");
    assert!(page.contains("3 documents") && page.contains("Wiped"), "{page}");
    let (status, answer, body) = site.send(Method::GET, path, &headers, "").await;
    assert_eq!(status, 200);
    assert!(answer["content-disposition"].to_str().unwrap().contains("wiped-gw-main.json"));
    let dir = tempfile::tempdir().unwrap();
    assert!(openssl_verifies(&body, dir.path()));
    assert!(!openssl_verifies(&body.replace("Meyer", "Mayer"), dir.path()));
    // Another practice sees nothing of it.
    let bea = site.token("bea").await;
    let theirs = [("authorization", bea.as_str())];
    let (status, _, _) = site.send(Method::GET, path, &theirs, "").await;
    assert!(status == 403 || status == 404, "{status}");
    let mut tx = site.world.core.db.tenant_read(site::world::OTHER).await.unwrap();
    assert!(wipe::newest(&mut tx, site::world::OTHER).await.unwrap().is_empty());
}

/// As the documentation says it, without our code.
fn openssl_verifies(json: &str, dir: &Path) -> bool {
    let json: Value = serde_json::from_str(json).unwrap();
    let signed: SignedWipe = serde_json::from_value(json.clone()).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    write("record", signed.record.as_bytes());
    write("signature", &signed.signature);
    write("certificate.pem", signed.certificate_pem.as_bytes());
    write("authority.pem", json["authority_pem"].as_str().unwrap().as_bytes());
    let openssl = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
        (output.status.success(), output.stdout)
    };
    let (_, public) = openssl(&["x509", "-in", "certificate.pem", "-pubkey", "-noout"]);
    write("public.pem", &public);
    let args = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "record"];
    openssl(&args).0 && openssl(&["verify", "-CAfile", "authority.pem", "certificate.pem"]).0
}
