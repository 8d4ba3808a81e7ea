//! Enrolment against a cloud that is known by its authority's hash only.

mod support;

use chiasm_gateway::enrol::{self, EnrolError};
use chiasm_proto::{
    GatewayId, Sha256, TenantId,
    enrol::{ClaimError, ClaimRequest, ClaimResponse},
};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{os::unix::fs::PermissionsExt, sync::Arc};
use support::pki::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// In an answer: the certificate for the key that was asked with.
const CERTIFICATE: &str = "certificate of the request";

/// A cloud that answers one request; gives back what was asked.
async fn cloud(
    authority: &Authority,
    name: &str,
    status: &'static str,
    answer: Vec<u8>,
) -> (String, JoinHandle<Option<ClaimRequest>>) {
    let signed = authority.sign(name);
    let leaf = CertificateDer::from_pem_slice(signed.certificate_pem.as_bytes()).unwrap();
    let chain = vec![leaf, authority.der().into()];
    let key = PrivateKeyDer::from_pem_slice(signed.key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(enrol::crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let signer = authority.clone();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()?;
        let mut request = Vec::new();
        let body = loop {
            let mut buffer = [0; 4096];
            let len = stream.read(&mut buffer).await.ok()?;
            request.extend_from_slice(&buffer[..len]);
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && serde_json::from_str::<ClaimRequest>(body).is_ok()
            {
                assert!(head.starts_with("POST /enrol/v1/claim "), "{head}");
                break body.to_owned();
            }
            assert!(len > 0, "no request: {text}");
        };
        let asked: ClaimRequest = serde_json::from_str(&body).unwrap();
        let certificate = signer.sign_request("t/g", &asked.csr_pem);
        let certificate = serde_json::to_string(&certificate).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let answer = answer.replace(&format!("{CERTIFICATE:?}"), &certificate).into_bytes();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            answer.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
        stream.shutdown().await.unwrap();
        Some(serde_json::from_str(&body).unwrap())
    });
    (format!("https://localhost:{port}"), task)
}

fn granted(authority: &Authority) -> Vec<u8> {
    let response = ClaimResponse {
        tenant: TenantId::new("t").unwrap(),
        gateway: GatewayId::new("g").unwrap(),
        certificate_pem: CERTIFICATE.into(),
        authority_pem: authority.pem(),
        broker_url: "mqtts://localhost:8883".into(),
    };
    serde_json::to_vec(&response).unwrap()
}

#[tokio::test]
async fn a_claim_code_becomes_an_identity_whose_key_never_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (url, cloud) = cloud(&authority, "localhost", "200 OK", granted(&authority)).await;
    let pin = Sha256::of(&authority.der());
    enrol::enrol(dir.path(), &url, pin, "abcd-2345").await.unwrap();
    let request = cloud.await.unwrap().unwrap();
    assert_eq!(request.claim_code, "ABCD2345");
    let stored = enrol::load(dir.path()).unwrap().unwrap();
    assert_eq!(stored.identity.gateway.as_str(), "g");
    assert!(request.csr_pem.contains("CERTIFICATE REQUEST"));
    assert!(!request.csr_pem.contains("PRIVATE"));
    for name in ["key.pem", "certificate.pem", "authority.pem", "identity.json"] {
        let meta = std::fs::metadata(dir.path().join("identity").join(name)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_cloud_of_another_authority_learns_no_claim_code() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let (url, cloud) = cloud(&authority, "localhost", "200 OK", granted(&authority)).await;
    let pin = Sha256::of(b"another authority");
    let error = enrol::enrol(dir.path(), &url, pin, "ABCD2345").await.unwrap_err();
    assert!(matches!(error, EnrolError::Unreachable { .. }), "{error}");
    assert!(cloud.await.unwrap().is_none());
    assert!(enrol::load(dir.path()).unwrap().is_none());
}

#[tokio::test]
async fn a_chain_with_the_pinned_authority_but_a_foreign_leaf_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (pinned, foreign) = (Authority::new(), Authority::new());
    let signed = foreign.sign("localhost");
    let leaf = CertificateDer::from_pem_slice(signed.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(signed.key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(enrol::crypto_provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf, pinned.der().into()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await.is_ok()
    });
    let pin = Sha256::of(&pinned.der());
    assert!(enrol::enrol(dir.path(), &url, pin, "ABCD2345").await.is_err());
    assert!(!server.await.unwrap());
}

#[tokio::test]
async fn a_refusal_says_what_to_do_and_keeps_the_old_identity() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.enrol(dir.path(), 8883);
    let refusal = ClaimError { code: "expired".into(), message: "ask for a new code".into() };
    let answer = serde_json::to_vec(&refusal).unwrap();
    let (url, _cloud) = cloud(&authority, "localhost", "410 Gone", answer).await;
    let pin = Sha256::of(&authority.der());
    let error = enrol::enrol(dir.path(), &url, pin, "ABCD2345").await.unwrap_err();
    assert_eq!(error.to_string(), "ask for a new code (expired)");
    assert!(enrol::load(dir.path()).unwrap().is_some());
    assert!(matches!(
        enrol::enrol(dir.path(), &url, pin, "ABCD0000").await,
        Err(EnrolError::Code(_))
    ));
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.enrol(dir.path(), 8883);
    let before = enrol::load(dir.path()).unwrap().unwrap();
    let right: serde_json::Value = serde_json::from_slice(&granted(&authority)).unwrap();
    let other = Authority::new().sign("t/g").certificate_pem;
    for (field, lie) in [
        ("certificate_pem", serde_json::json!("")),
        ("certificate_pem", serde_json::json!("-----BEGIN CERTIFICATE-----\nAAAA\n")),
        ("certificate_pem", serde_json::json!(7)),
        // Of another key: it would never be let in.
        ("certificate_pem", serde_json::json!(other)),
        ("authority_pem", serde_json::json!("-----BEGIN CERTIFICATE-----\n!\n-----END")),
        ("broker_url", serde_json::json!("file:///etc/passwd")),
        ("gateway", serde_json::json!("../../x")),
        ("tenant", serde_json::json!("x".repeat(10_000))),
    ] {
        let mut answer = right.clone();
        answer[field] = lie;
        let answer = serde_json::to_vec(&answer).unwrap();
        let (url, _cloud) = cloud(&authority, "localhost", "200 OK", answer).await;
        let pin = Sha256::of(&authority.der());
        let error = enrol::enrol(dir.path(), &url, pin, "ABCD2345").await.unwrap_err();
        assert!(matches!(error, EnrolError::Answer { .. }), "{field}: {error}");
        let after = enrol::load(dir.path()).unwrap().unwrap();
        assert_eq!(after.key_pem, before.key_pem, "{field}");
    }
}
