//! How frames lie in the eye and how bright they are meant: from the top level, or from the
//! functional groups of multi-frame instances.

use super::super::data_set::DataSet;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use serde::{Deserialize, Serialize};

/// Most frames of one instance.
pub const FRAMES_MAX: u32 = 16_384;
/// Most points of one frame's place on the fundus.
pub const POINTS_MAX: usize = 64;

/// Distance between the centres of neighbouring pixels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PixelSpacing {
    /// From row to row; in an OCT scan along the depth.
    pub row_mm: f64,
    /// From column to column; in an OCT scan along the line.
    pub column_mm: f64,
}

impl PixelSpacing {
    /// A pixel's width divided by its height.
    pub fn aspect(self) -> f64 {
        self.column_mm / self.row_mm
    }
}

/// Which stored values are shown from black to white, after rescaling.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    pub center: f64,
    pub width: f64,
}

/// Frames that were taken along lines on another instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameLocation {
    /// The picture they lie on.
    pub sop_instance_uid: String,
    /// For each stored frame its points as row, column, row, column …, in that picture's pixels;
    /// empty for a frame that lies elsewhere.
    pub points: Vec<Vec<f32>>,
}

/// One functional group's item that all frames share.
pub fn shared(set: &DataSet, group: Tag) -> Option<&DataSet> {
    set.item(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE)?.item(group)
}

/// A functional group that all frames share, or else the first frame's.
fn group(set: &DataSet, group: Tag) -> Option<&DataSet> {
    shared(set, group).or_else(|| set.item(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)?.item(group))
}

/// Of the pixels, else of the imager's detector, else only their ratio.
pub fn spacing(set: &DataSet) -> Option<PixelSpacing> {
    let measured = group(set, tags::PIXEL_MEASURES_SEQUENCE)
        .map(|measures| measures.numbers(tags::PIXEL_SPACING))
        .filter(|pair| pair.len() == 2);
    let pair = measured.or_else(|| {
        [tags::PIXEL_SPACING, tags::IMAGER_PIXEL_SPACING]
            .into_iter()
            .map(|tag| set.numbers(tag))
            .find(|pair| pair.len() == 2)
    })?;
    let [row_mm, column_mm] = *pair else { return None };
    // Anything else is a mistake of units or a division by zero in the imager.
    let real = |mm: f64| (1e-6..=1e3).contains(&mm);
    (real(row_mm) && real(column_mm)).then_some(PixelSpacing { row_mm, column_mm })
}

pub fn window(set: &DataSet) -> Option<Window> {
    let from = |set: &DataSet| {
        let center = set.number(tags::WINDOW_CENTER)?;
        let width = set.number(tags::WINDOW_WIDTH)?;
        (center.is_finite() && width.is_finite() && width >= 1.0)
            .then_some(Window { center, width })
    };
    from(set).or_else(|| from(group(set, tags::FRAME_VOILUT_SEQUENCE)?))
}

pub fn rescale(set: &DataSet) -> Option<(f64, f64)> {
    let from = |set: &DataSet| {
        let slope = set.number(tags::RESCALE_SLOPE)?;
        let intercept = set.number(tags::RESCALE_INTERCEPT)?;
        (slope.is_finite() && slope != 0.0 && intercept.is_finite()).then_some((slope, intercept))
    };
    from(set).or_else(|| from(group(set, tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE)?))
}

/// The stored frames in the order of their dimension index, else of their place in the stack.
/// None: they are stored in that order, or do not say.
pub fn frame_order(set: &DataSet, frames: u32) -> Option<Vec<u32>> {
    let groups = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if frames > FRAMES_MAX || groups.len() != frames as usize {
        return None;
    }
    let content = |frame: &DataSet, read: fn(&DataSet) -> Option<Vec<f64>>| {
        read(frame.item(tags::FRAME_CONTENT_SEQUENCE)?)
    };
    let keys = |read: fn(&DataSet) -> Option<Vec<f64>>| -> Option<Vec<Vec<f64>>> {
        groups.iter().map(|frame| content(frame, read)).collect()
    };
    let by_dimension = keys(|content| {
        Some(content.numbers(tags::DIMENSION_INDEX_VALUES)).filter(|key| !key.is_empty())
    });
    let keys = by_dimension.or_else(|| {
        keys(|content| {
            let stack = content.word(tags::STACK_ID).and_then(|id| id.parse().ok()).unwrap_or(0.0);
            Some(vec![stack, content.number(tags::IN_STACK_POSITION_NUMBER)?])
        })
    })?;
    let mut order: Vec<u32> = (1..=frames).collect();
    let key = |frame: &u32| &keys[*frame as usize - 1];
    order.sort_by(|one, other| {
        key(one).partial_cmp(key(other)).unwrap_or(std::cmp::Ordering::Equal)
    });
    (!order.is_sorted()).then_some(order)
}

pub fn frame_locations(set: &DataSet, frames: u32) -> Vec<FrameLocation> {
    let groups = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if frames > FRAMES_MAX || groups.len() > frames as usize {
        return Vec::new();
    }
    let mut found: Vec<FrameLocation> = Vec::new();
    for (frame, group) in groups.iter().enumerate() {
        for place in group.items(tags::OPHTHALMIC_FRAME_LOCATION_SEQUENCE).iter().take(4) {
            let Some(on) = super::uid(place, tags::REFERENCED_SOP_INSTANCE_UID) else { continue };
            let points = place.numbers(tags::REFERENCE_COORDINATES);
            let good = (4..=2 * POINTS_MAX).contains(&points.len()) && points.len() % 2 == 0;
            if !good || !points.iter().all(|number| number.is_finite()) {
                continue;
            }
            let at = found.iter().position(|location| location.sop_instance_uid == on);
            let at = at.unwrap_or_else(|| {
                let points = vec![Vec::new(); groups.len()];
                found.push(FrameLocation { sop_instance_uid: on, points });
                found.len() - 1
            });
            found[at].points[frame] = points.into_iter().map(|number| number as f32).collect();
            // A place of its own on another picture for every frame is no stack on a picture.
            if found.len() > 8 {
                return Vec::new();
            }
        }
    }
    found
}
