//! The identifier that we issue for a visit (R31): printed on the visit's slip, scanned at an
//! instrument, and sent back inside its data. It names one visit and says nothing of the person.

use chiasm_proto::enrol::CLAIM_ALPHABET;
use rand::{TryRngCore, rngs::OsRng};
use uuid::Uuid;

/// Length of an identifier; instruments take ten characters and more. The last one checks the others.
pub const LEN: usize = 10;

/// The Study Instance UID that we issue for a visit: `2.25.` and its identifier as a number. None
/// where an older version has named the visit in a way that makes no UID.
pub fn study_uid(encounter: &str) -> Option<String> {
    let id: Uuid = encounter.parse().ok()?;
    Some(format!("2.25.{}", id.as_u128()))
}

/// The visit that a Study Instance UID of ours is issued for, whether there is such a visit or not.
pub fn visit_of_study(uid: &str) -> Option<String> {
    let number = uid.strip_prefix("2.25.")?.parse().ok()?;
    Some(Uuid::from_u128(number).to_string())
}

/// A new identifier: 45 random bits and the check character. The database holds it unique.
pub fn generate() -> String {
    let mut bytes = [0; LEN - 1];
    OsRng.try_fill_bytes(&mut bytes).expect("the system gives random bytes");
    let mut values: Vec<u8> = bytes.iter().map(|byte| byte % 32).collect();
    values.push(check(&values));
    values.into_iter().map(|value| char::from(CLAIM_ALPHABET[usize::from(value)])).collect()
}

/// Whether a text is an identifier of ours; a mistyped character or two exchanged neighbours are not.
pub fn is_valid(text: &str) -> bool {
    let place = |byte| CLAIM_ALPHABET.iter().position(|it| *it == byte);
    let values: Option<Vec<u8>> =
        text.bytes().map(|byte| place(byte).and_then(|at| u8::try_from(at).ok())).collect();
    values.is_some_and(|values| values.len() == LEN && check(&values[..LEN - 1]) == values[LEN - 1])
}

/// A sum over the field with 32 elements, each character multiplied by another power of its
/// generator, so that every single error and every exchange of two characters shows.
fn check(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| double(sum) ^ double(*value))
}

/// Times the generator of the field (x^5 + x^2 + 1).
fn double(value: u8) -> u8 {
    let shifted = value << 1;
    if shifted & 32 == 0 { shifted } else { (shifted ^ 0b10_0101) & 31 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_people_show() {
        for _ in 0..200 {
            let id = generate();
            assert!(is_valid(&id), "{id}");
            let bytes = id.as_bytes();
            for at in 0..LEN {
                for other in CLAIM_ALPHABET.iter().filter(|other| **other != bytes[at]) {
                    let mut wrong = bytes.to_vec();
                    wrong[at] = *other;
                    assert!(!is_valid(std::str::from_utf8(&wrong).unwrap()), "{id} at {at}");
                }
                for then in at + 1..LEN {
                    let mut swapped = bytes.to_vec();
                    swapped.swap(at, then);
                    let swapped = String::from_utf8(swapped).unwrap();
                    assert!(swapped == id || !is_valid(&swapped), "{id} and {swapped}");
                }
            }
        }
        let encounter = Uuid::now_v7().to_string();
        assert_eq!(visit_of_study(&study_uid(&encounter).unwrap()), Some(encounter));
        assert_eq!((study_uid("e1"), visit_of_study("1.2.840.1")), (None, None));
        assert!(!is_valid(""));
        assert!(!is_valid("A-10482"));
    }
}
