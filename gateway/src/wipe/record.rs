//! What is said of a wipe, and the signature under it.

use super::WipeError;
use crate::{
    clock,
    enrol::{Stored, crypto_provider},
};
use chiasm_proto::wipe::{Lost, SignedWipe, WipeRecord};
use rustls::SignatureScheme;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Where a machine's maker, or else its system, names it.
const SERIALS: [&str; 3] =
    ["/sys/class/dmi/id/product_serial", "/proc/device-tree/serial-number", "/etc/machine-id"];
/// Longest serial that is believed, in characters.
const SERIAL_LEN_MAX: usize = 64;

fn cannot<E: ToString>(error: E) -> WipeError {
    WipeError::Sign(error.to_string())
}

pub(super) fn of(stored: &Stored, by: &str, lost: Option<Lost>) -> Result<WipeRecord, WipeError> {
    let der = CertificateDer::from_pem_slice(stored.certificate_pem.as_bytes()).map_err(cannot)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).map_err(cannot)?;
    let serial = certificate.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(WipeRecord {
        tenant: stored.identity.tenant.clone(),
        gateway: stored.identity.gateway.clone(),
        certificate_serial: serial,
        machine_serial: SERIALS.iter().find_map(|path| machine_serial(path)),
        wiped_at: clock::wall(),
        clock: clock::state(),
        by: by.into(),
        lost,
        software_version: env!("CARGO_PKG_VERSION").into(),
    })
}

fn machine_serial(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|it: char| it.is_whitespace() || it == '\0');
    let is_one =
        !text.is_empty() && text.len() <= SERIAL_LEN_MAX && !text.contains(char::is_control);
    is_one.then(|| text.to_owned())
}

/// Signs the record as the text that travels.
pub(super) fn sign(stored: &Stored, record: &WipeRecord) -> Result<SignedWipe, WipeError> {
    let record = serde_json::to_string(record).expect("plain data always serialises");
    let key = PrivateKeyDer::from_pem_slice(stored.key_pem.as_bytes()).map_err(cannot)?;
    let key = crypto_provider().key_provider.load_private_key(key).map_err(cannot)?;
    let signer = key
        .choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256])
        .ok_or_else(|| cannot("the gateway's key is no ECDSA key on P-256"))?;
    let signature = signer.sign(record.as_bytes()).map_err(cannot)?;
    Ok(SignedWipe { record, signature, certificate_pem: stored.certificate_pem.clone() })
}
