//! A claim code for a new gateway, or for one that is set up anew (I1).

use super::{AppError, work::Work};
use crate::{
    http::gateway::code_sha256,
    store::{claim, fleet},
};
use chiasm_proto::{
    GatewayId,
    enrol::{CLAIM_ALPHABET, CLAIM_LEN},
};
use rand::{TryRngCore, rngs::OsRng};

/// How long a claim code can be used.
pub const CLAIM_VALID_S: i64 = 24 * 3600;
/// Longest name of a gateway, in characters.
const NAME_LEN_MAX: usize = 100;

/// Adds the gateway if it is new, and gives a claim code. The code is kept as a hash only; older
/// unused codes of the gateway stop to work.
pub async fn enrol(
    work: &mut Work,
    gateway: &str,
    location: &str,
    name: &str,
) -> Result<String, AppError> {
    let refused = |error: chiasm_proto::ids::SlugError| AppError::Refused(error.to_string());
    let gateway = GatewayId::new(gateway.trim()).map_err(refused)?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LEN_MAX {
        let message = format!("give the gateway a name of at most {NAME_LEN_MAX} characters");
        return Err(AppError::Refused(message));
    }
    let tenant = work.who.tenant.clone();
    if !fleet::location_exists(&mut work.tx, &tenant, location).await? {
        return Err(AppError::NotFound("location"));
    }
    let code = new_code();
    let hash = code_sha256(&code).expect("a new code has the length of a code");
    let until_us = work.now_us + CLAIM_VALID_S * 1_000_000;
    let gateway = gateway.as_str();
    fleet::put_gateway(&mut work.tx, &tenant, gateway, location, name, work.now_us).await?;
    claim::add(&mut work.tx, &tenant, gateway, &hash, (work.now_us, until_us)).await?;
    work.tell_gateway(location, gateway);
    work.audit("gateway_claim_made", gateway).await?;
    Ok(code)
}

/// Without modulo bias: the alphabet has 32 characters.
fn new_code() -> String {
    let mut bytes = [0; CLAIM_LEN];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| char::from(CLAIM_ALPHABET[usize::from(byte % 32)])).collect()
}
