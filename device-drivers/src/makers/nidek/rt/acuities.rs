//! Acuities. The first letter of a code tells what stood before the eye and how it was taken.
//!
//! | letter  | columns | acuity                           | with letters in |
//! |---------|---------|----------------------------------|-----------------|
//! | `W`     | 5       | unaided                          | `M`, 7          |
//! | `K`     | 7       | unaided, through a pinhole       |                 |
//! | `v` `V` | 5       | corrected                        | `u` `U`, 7      |
//! | `q` `Q` | 7       | corrected, low light             |                 |
//! | `h` `H` | 7       | corrected, through a pinhole     |                 |
//! | `y` `Y` | 5       | corrected, through the addition  | `j` `J`, 7      |

use super::numbers::{AcuityText, acuity};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{AcuityCondition, Correction, Eye, Vision, VisualAcuity};

/// What a letter says about an acuity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub is_unaided: bool,
    condition: AcuityCondition,
    columns: usize,
}

/// The kind behind a letter, whose case says nothing here.
pub fn kind(letter: u8) -> Option<Kind> {
    use AcuityCondition::{Low, Pinhole, Standard, WithAddition};
    let (is_unaided, condition, columns) = match letter.to_ascii_lowercase() {
        b'w' => (true, Standard, 5),
        b'm' => (true, Standard, 7),
        b'k' => (true, Pinhole, 7),
        b'v' => (false, Standard, 5),
        b'u' => (false, Standard, 7),
        b'q' => (false, Low, 7),
        b'h' => (false, Pinhole, 7),
        b'y' => (false, WithAddition, 5),
        b'j' => (false, WithAddition, 7),
        _ => return None,
    };
    Some(Kind { is_unaided, condition, columns })
}

/// One acuity and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acuity {
    pub eye: Eye,
    pub letter: String,
    pub value: VisualAcuity,
}

pub fn read(
    kind: Kind,
    (eye, vision, letter): (Eye, Vision, &str),
    correction: Correction,
    rest: &Field,
) -> Result<Acuity, DecodeError> {
    rest.expect_len(kind.columns)?;
    let AcuityText { as_sent, notation, letters } = acuity(rest)?;
    let value = VisualAcuity {
        correction,
        vision,
        condition: kind.condition,
        as_sent,
        letters_as_sent: letters,
        notation: notation.map(str::to_owned),
    };
    Ok(Acuity { eye, letter: letter.to_owned(), value })
}

/// Adds an acuity. The refractor writes the same one twice, without letters and with them: those
/// are one. Gives back false if two of the same kind differ in more than the letters; both stay.
pub fn add(all: &mut Vec<Acuity>, new: Acuity) -> bool {
    let bare = |it: &Acuity| VisualAcuity { letters_as_sent: None, ..it.value.clone() };
    let kind = |it: &Acuity| {
        let value = VisualAcuity { as_sent: String::new(), notation: None, ..bare(it) };
        (it.eye, value)
    };
    let Some(known) = all.iter_mut().find(|known| kind(known) == kind(&new)) else {
        all.push(new);
        return true;
    };
    if bare(known) == bare(&new) {
        known.value.letters_as_sent =
            known.value.letters_as_sent.take().or(new.value.letters_as_sent);
        return true;
    }
    all.push(new);
    false
}
