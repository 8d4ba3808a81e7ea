//! NIDEK's XML files, which the instruments write into a shared folder. Two dialects, none of them in
//! JOIA's namespaces, which have nothing but the maker in common:
//!
//! | file | reads |
//! |---|---|
//! | [`data`] | root `Data`: autorefractors, keratometers, tonometers, OPD |
//! | [`lm`] | root `Ophthalmology` with `Measure` of type `LM`: lensmeters |
//! | [`tomey`], [`rodenstock`] | the same tree as [`lm`] under another maker's name |
//!
//! `head` reads who, when and for whom in both; `values` reads numbers whose unit may stand inside
//! the text; `lens` reads the tree of a lensmeter.

pub mod data;
pub(super) mod head;
mod lens;
pub mod lm;
pub mod prism;
pub mod rodenstock;
pub mod tomey;
pub(super) mod values;

use chiasm_proto::Eye;

/// The tokens of the two eyes.
const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

#[cfg(test)]
mod tests;
