//! Encryption at rest. What an instrument or an imager sent is sealed before it reaches the disk,
//! with a key that stands outside the data folder: a copy of that folder, or a disk that was taken
//! out, says nothing about a patient.
//!
//! Every sealed text and every sealed file has a key of its own, derived (HKDF-SHA256) from the
//! gateway's key and 16 random bytes that stand in front of it. No nonce is ever used twice,
//! whatever is restored or written again. ChaCha20-Poly1305, because small gateways have no AES in
//! hardware. The purpose and the place (such as a document's identifier) go into the derivation:
//! what is moved to another place does not open there.
//!
//! | module | holds |
//! |---|---|
//! | `key_file` | the file with the key: found, made, never replaced |
//! | [`stream`] | files that are too long for memory: sealed in chunks, read from any offset |

mod key_file;
pub mod stream;

pub use key_file::{KEY_FILE, KeyFileError, fresh, load, load_or_make};

use ring::{
    aead::{self, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    hkdf,
    rand::{SecureRandom, SystemRandom},
};
use std::{fmt, sync::Arc};

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Random bytes in front of what is sealed.
pub const SALT_LEN: usize = 16;
/// Bytes behind what is sealed, by which a change is found.
pub const TAG_LEN: usize = 16;
/// The first byte of a sealed text.
const VERSION: u8 = 1;

/// What is sealed. Part of the derivation, so that one cannot stand for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Document,
    Journal,
    Instance,
    ProcedureStep,
    Worklist,
    Staff,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Document => b"chiasm document",
            Purpose::Journal => b"chiasm journal",
            Purpose::Instance => b"chiasm instance",
            Purpose::ProcedureStep => b"chiasm procedure step",
            Purpose::Worklist => b"chiasm worklist",
            Purpose::Staff => b"chiasm staff",
        }
    }
}

/// What was sealed cannot be opened: it was changed, belongs elsewhere, or has another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes are damaged, or were sealed with another key")]
pub struct Unsealable;

/// The gateway's key. Cheap to clone; never shown.
#[derive(Clone)]
pub struct Key(Arc<hkdf::Prk>);

impl Key {
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"chiasm-gateway spool key");
        Self(Arc::new(salt.extract(bytes)))
    }

    /// Tells keys apart without saying anything of them.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        let derived = self.0.expand(&[b"chiasm key id"], IdLen);
        derived.and_then(|okm| okm.fill(&mut id)).expect("eight bytes can be derived");
        KeyId(id)
    }

    /// Seals a text for a place.
    pub fn seal(&self, purpose: Purpose, place: &[u8], text: &[u8]) -> Vec<u8> {
        let salt = random::<SALT_LEN>();
        let mut sealed = Vec::with_capacity(1 + SALT_LEN + text.len() + TAG_LEN);
        sealed.push(VERSION);
        sealed.extend_from_slice(&salt);
        sealed.extend_from_slice(text);
        let key = self.derive(purpose, &salt, place);
        let tag = key
            .seal_in_place_separate_tag(first_nonce(), Aad::empty(), &mut sealed[1 + SALT_LEN..])
            .expect("a text is shorter than a cipher's limit");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what was sealed for this place.
    pub fn open(
        &self,
        purpose: Purpose,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Vec<u8>, Unsealable> {
        let (version, rest) = sealed.split_first().ok_or(Unsealable)?;
        let (salt, text) = rest.split_at_checked(SALT_LEN).ok_or(Unsealable)?;
        if *version != VERSION {
            return Err(Unsealable);
        }
        let key = self.derive(purpose, salt, place);
        let mut text = text.to_vec();
        let len = key
            .open_in_place(first_nonce(), Aad::empty(), &mut text)
            .map_err(|_| Unsealable)?
            .len();
        text.truncate(len);
        Ok(text)
    }

    /// The key of one text or file.
    pub(crate) fn derive(&self, purpose: Purpose, salt: &[u8], place: &[u8]) -> LessSafeKey {
        let info = [purpose.label(), salt, place];
        let okm = self.0.expand(&info, &CHACHA20_POLY1305).expect("a cipher's key can be derived");
        LessSafeKey::new(UnboundKey::from(okm))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id())
    }
}

/// Which key it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct IdLen;

impl hkdf::KeyType for IdLen {
    fn len(&self) -> usize {
        8
    }
}

/// For a key that seals one text only.
fn first_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; aead::NONCE_LEN])
}

/// Random bytes of the kernel.
pub(crate) fn random<const LEN: usize>() -> [u8; LEN] {
    let mut bytes = [0; LEN];
    SystemRandom::new().fill(&mut bytes).expect("the kernel has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> Key {
        Key::from_bytes(&[7; KEY_LEN])
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_where_it_was_sealed(
            text in proptest::collection::vec(any::<u8>(), 0..600),
            place in "[a-z]{0,20}",
        ) {
            let sealed = key().seal(Purpose::Document, place.as_bytes(), &text);
            prop_assert_eq!(
                key().open(Purpose::Document, place.as_bytes(), &sealed),
                Ok(text.clone())
            );
            let elsewhere = format!("{place}x");
            prop_assert!(key().open(Purpose::Document, elsewhere.as_bytes(), &sealed).is_err());
            prop_assert!(key().open(Purpose::Instance, place.as_bytes(), &sealed).is_err());
            let other = Key::from_bytes(&[8; KEY_LEN]);
            prop_assert!(other.open(Purpose::Document, place.as_bytes(), &sealed).is_err());
        }

        #[test]
        fn any_changed_byte_is_found(
            text in proptest::collection::vec(any::<u8>(), 0..200),
            flip in 1..=255_u8,
        ) {
            let sealed = key().seal(Purpose::Document, b"1", &text);
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= flip;
                prop_assert!(key().open(Purpose::Document, b"1", &changed).is_err());
                prop_assert!(key().open(Purpose::Document, b"1", &sealed[..at]).is_err());
            }
        }
    }

    #[test]
    fn the_same_text_is_never_sealed_the_same_way() {
        let sealed = |_| key().seal(Purpose::Document, b"1", b"text");
        assert_ne!(sealed(1), sealed(2));
        assert_eq!(key().id(), key().id());
        assert_ne!(key().id(), Key::from_bytes(&[8; KEY_LEN]).id());
    }
}
