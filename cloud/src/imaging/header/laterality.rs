//! Which eye an instance shows, from all the places that say so.

use super::super::data_set::DataSet;
use super::geometry;
use chiasm_proto::Eye;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

/// Carl Zeiss's own element, in objects that lack the standard's.
const ZEISS_LATERALITY: Tag = Tag(0x0057, 0x1015);

/// The eye, and whether all places of the header agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Laterality {
    /// [`Eye::NotGiven`] where places disagree: a swapped eye is worse than an open question.
    pub eye: Eye,
    /// What disagrees, in words.
    pub disagreement: Option<String>,
}

impl Default for Laterality {
    fn default() -> Self {
        Laterality { eye: Eye::NotGiven, disagreement: None }
    }
}

/// Image Laterality, Measurement Laterality, the series' Laterality and Frame Laterality are
/// compared; the maker's own element counts only where they are silent.
pub fn of(set: &DataSet) -> Laterality {
    let said = |name: &'static str, eye: Option<Eye>| eye.map(|eye| (name, eye));
    let standard: Vec<(&str, Eye)> = [
        said("Image Laterality", eye(set, tags::IMAGE_LATERALITY)),
        said("Measurement Laterality", eye(set, tags::MEASUREMENT_LATERALITY)),
        said("the series' Laterality", eye(set, tags::LATERALITY)),
        said("Frame Laterality", of_frames(set)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let Some((first, rest)) = standard.split_first() else {
        let eye = eye(set, ZEISS_LATERALITY).unwrap_or(Eye::NotGiven);
        return Laterality { eye, disagreement: None };
    };
    match rest.iter().find(|(_, eye)| *eye != first.1) {
        None => Laterality { eye: first.1, disagreement: None },
        Some(other) => Laterality {
            eye: Eye::NotGiven,
            disagreement: Some(format!(
                "{} says {}, {} says {}",
                first.0,
                first.1.abbreviation(),
                other.0,
                other.1.abbreviation()
            )),
        },
    }
}

/// The eye of all frames: both, if frames of both are there.
fn of_frames(set: &DataSet) -> Option<Eye> {
    let shared = geometry::shared(set, tags::FRAME_ANATOMY_SEQUENCE);
    let own = set
        .items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)
        .iter()
        .filter_map(|frame| frame.item(tags::FRAME_ANATOMY_SEQUENCE));
    shared
        .into_iter()
        .chain(own)
        .filter_map(|anatomy| eye(anatomy, tags::FRAME_LATERALITY))
        .reduce(|one, other| if one == other { one } else { Eye::Both })
}

fn eye(set: &DataSet, tag: Tag) -> Option<Eye> {
    match set.word(tag)?.to_ascii_uppercase().as_str() {
        "R" | "OD" | "RIGHT" => Some(Eye::Right),
        "L" | "OS" | "LEFT" => Some(Eye::Left),
        "B" | "OU" | "BOTH" => Some(Eye::Both),
        _ => None,
    }
}
