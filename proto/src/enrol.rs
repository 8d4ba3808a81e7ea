//! Enrolment over HTTPS: a claim code and a certificate request against a certificate.
//!
//! `POST /enrol/v1/claim` on the cloud's gateway endpoint. The gateway knows the endpoint by the
//! SHA-256 of the authority's certificate, which is printed beside the claim code. The key is made
//! on the gateway and never leaves it.

use crate::{GatewayId, TenantId};
use serde::{Deserialize, Serialize};

/// Path of the claim request.
pub const CLAIM_PATH: &str = "/enrol/v1/claim";
/// Path of a [`RenewRequest`], under the certificate that is to be replaced.
pub const RENEW_PATH: &str = "/enrol/v1/renew";
/// Path of an empty `POST` under the new certificate: from then on the old one is refused. Answered
/// with 204, also if it was confirmed before.
pub const CONFIRM_PATH: &str = "/enrol/v1/confirm";
/// Characters of a claim code: no 0, O, 1, I that people mix up.
pub const CLAIM_ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// Length of a claim code.
pub const CLAIM_LEN: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    pub claim_code: String,
    /// PKCS #10 in PEM. Only its public key is used.
    pub csr_pem: String,
    pub software_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimResponse {
    pub tenant: TenantId,
    pub gateway: GatewayId,
    /// The gateway's certificate, subject `CN={tenant}/{gateway}`.
    pub certificate_pem: String,
    /// The authority that signed it and the broker's certificate.
    pub authority_pem: String,
    /// `mqtts://host:port`.
    pub broker_url: String,
}

/// Asks for a certificate in place of the one that is shown. Both are let in until the new one is
/// confirmed, so that a gateway that cannot use the new one is not shut out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewRequest {
    /// PKCS #10 in PEM, of a key that was made for it. Only its public key is used.
    pub csr_pem: String,
    pub software_version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewResponse {
    pub certificate_pem: String,
    /// As in [`ClaimResponse`]; may hold more than one authority while that is replaced.
    pub authority_pem: String,
    pub broker_url: String,
}

/// Why a claim was refused: body of a 4xx answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimError {
    /// `unknown_code`, `expired`, `used`, `malformed`, `too_many_attempts`; of a renewal
    /// `no_certificate`, `not_let_in`, `too_soon`.
    pub code: String,
    /// What to do about it.
    pub message: String,
}

/// The certificate subject's common name by which brokers know a gateway.
pub fn common_name(tenant: &TenantId, gateway: &GatewayId) -> String {
    format!("{tenant}/{gateway}")
}
