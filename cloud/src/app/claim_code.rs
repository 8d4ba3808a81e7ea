//! Claim codes: what a person types on a new gateway.

use chiasm_proto::{
    Sha256,
    enrol::{CLAIM_ALPHABET, CLAIM_LEN},
};
use rand::{TryRngCore, rngs::OsRng};

/// How long a claim code can be used.
pub const VALID_S: i64 = 24 * 3600;

/// A new code, without modulo bias: the alphabet has 32 characters.
pub fn generate() -> String {
    let mut bytes = [0; CLAIM_LEN];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| char::from(CLAIM_ALPHABET[usize::from(byte % 32)])).collect()
}

/// The form in which codes are kept. People type small letters, blanks and dashes. None for what
/// has not the length of a code.
pub fn code_sha256(code: &str) -> Option<String> {
    let clean = |c: &char| !c.is_whitespace() && *c != '-';
    let code: String = code.chars().filter(clean).take(CLAIM_LEN + 1).collect();
    (code.len() == CLAIM_LEN).then(|| Sha256::of(code.to_ascii_uppercase().as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_typed() {
        let code = generate();
        assert!(code.bytes().all(|byte| CLAIM_ALPHABET.contains(&byte)), "{code}");
        let (front, back) = code.split_at(CLAIM_LEN / 2);
        let typed = format!(" {}-{} ", front.to_lowercase(), back.to_lowercase());
        assert_eq!(code_sha256(&typed), code_sha256(&code));
        assert!(code_sha256(&code).is_some());
        assert_eq!(code_sha256(&format!("{code}A")), None);
        assert_eq!(code_sha256(front), None);
    }
}
