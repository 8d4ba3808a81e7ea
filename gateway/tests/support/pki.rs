//! An authority and what it signs.

use chiasm_gateway::enrol::{self, Identity, Stored};
use chiasm_proto::{GatewayId, TenantId};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    DistinguishedName, DnType, IsCa, KeyPair,
};
use std::{path::Path, sync::Arc};

#[derive(Clone)]
pub struct Authority {
    issuer: Arc<CertifiedIssuer<'static, KeyPair>>,
}

pub struct Signed {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = name("test authority");
        let key = KeyPair::generate().unwrap();
        Self { issuer: Arc::new(CertifiedIssuer::self_signed(params, key).unwrap()) }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn der(&self) -> Vec<u8> {
        self.issuer.der().to_vec()
    }

    /// A certificate for whoever asks, as the cloud gives it.
    pub fn sign_request(&self, common_name: &str, csr_pem: &str) -> String {
        let request = CertificateSigningRequestParams::from_pem(csr_pem).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = name(common_name);
        params.signed_by(&request.public_key, &self.issuer).unwrap().pem()
    }

    pub fn sign(&self, common_name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = name(common_name);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Signed { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// Leaves a gateway as enrolment does.
    pub fn enrol(&self, data_dir: &Path, broker_port: u16) {
        let signed = self.sign("t/g");
        let identity = Identity {
            tenant: TenantId::new("t").unwrap(),
            gateway: GatewayId::new("g").unwrap(),
            broker_url: format!("mqtts://localhost:{broker_port}"),
            cloud_url: None,
        };
        let stored = Stored {
            identity,
            key_pem: signed.key_pem,
            certificate_pem: signed.certificate_pem,
            authority_pem: self.pem(),
        };
        enrol::store(data_dir, &stored).unwrap();
    }
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
