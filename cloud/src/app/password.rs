//! Password hashing with argon2id. Off the async threads: one hash takes tens of milliseconds.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use rand::{TryRngCore, rngs::OsRng};
use std::sync::LazyLock;

/// Memory of one hash, in KiB (OWASP's first choice for argon2id: 19 MiB, two passes, one lane).
pub const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
pub const PASSES: u32 = 2;
/// Parallel lanes.
pub const LANES: u32 = 1;
/// Bounds of a password, in bytes. The upper one keeps hashing bounded.
pub const PASSWORD_LEN_MIN: usize = 10;
pub const PASSWORD_LEN_MAX: usize = 200;
/// Characters of a generated password: 16 of 32 make 80 bits.
const GENERATED_LEN: usize = 16;
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has {PASSWORD_LEN_MIN} to {PASSWORD_LEN_MAX} characters")]
    Length,
    #[error("cannot hash the password: {0}")]
    Hash(String),
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are valid");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// What is verified for a login that does not exist, so that it takes as long as one that does.
static NOBODY: LazyLock<String> =
    LazyLock::new(|| hash(&generate()).expect("a generated password can be hashed"));

/// Hashes a password into a PHC string.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    if !(PASSWORD_LEN_MIN..=PASSWORD_LEN_MAX).contains(&password.len()) {
        return Err(PasswordError::Length);
    }
    hash_checked(password)
}

/// Hashes what is not a password and has bounds of its own.
pub fn hash_checked(secret: &str) -> Result<String, PasswordError> {
    let hash = argon2().hash_password(secret.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|err| PasswordError::Hash(err.to_string()))
}

/// Whether the password is right. Takes as long for nobody (`None`) as for somebody.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    if password.len() > PASSWORD_LEN_MAX {
        return false;
    }
    let hash = stored.unwrap_or(&NOBODY);
    let is_right = argon2().verify_password(password.as_bytes(), hash).is_ok();
    is_right && stored.is_some()
}

/// A new random password without characters that people mix up.
pub fn generate() -> String {
    let mut bytes = [0; GENERATED_LEN];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// 32 random bytes in hexadecimal: session and CSRF tokens.
pub fn random_token() -> String {
    let mut bytes = [0; 32];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_of_somebody_is_right() {
        let stored = hash("correct horse battery").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(verify("correct horse battery", Some(&stored)));
        assert!(!verify("correct horse batterz", Some(&stored)));
        assert!(!verify("correct horse battery", None));
        assert!(!verify(&"a".repeat(PASSWORD_LEN_MAX + 1), Some(&stored)));
        assert!(hash("short").is_err());
        assert_ne!(generate(), generate());
    }
}
