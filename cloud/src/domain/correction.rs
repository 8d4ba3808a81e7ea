//! What people say about a reading beyond what the instrument sent: the eyes were exchanged, the
//! side of a lens, what a lens was measured for, values in the place of wrong ones. The document
//! stays as sent; a correction is a layer over it, and each change of it a version of the reading.

use chiasm_proto::{
    Decoded, DriverRef, Eye, FlagCode, Measured, Measurement, PupillaryDistance, Reading,
};
use serde::{Deserialize, Serialize};

/// Longest number of an order, in characters.
pub const ORDER_LEN_MAX: usize = 40;

/// The layer. Nothing is said where everything is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Correction {
    /// OD and OS are exchanged in the whole reading (R4).
    #[serde(skip_serializing_if = "is_false")]
    pub is_swapped: bool,
    /// The side of what the instrument sent without one (R1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated_eye: Option<Eye>,
    /// What a lens was measured for (R25).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Whether drops were in the eyes, where the times of the visit do not tell (R11).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drops: Option<Drops>,
    /// Measurements in the place of those that were sent, with the same sides and in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amended: Option<Vec<Measurement>>,
    /// What a later driver reads in the same bytes, in the place of what the gateway's read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_again: Option<Box<DecodedAgain>>,
}

/// A second decoding of a reading's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedAgain {
    pub driver: DriverRef,
    pub decoded: Decoded,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a lensmeter's reading was taken for (R25). Only presenting pairs are the patient's wearing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Purpose {
    /// Glasses that the patient brought: pair 1, 2 or 3.
    Presenting {
        pair: u8,
        #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
        used_for: Option<PairUse>,
    },
    /// Somebody else's glasses.
    SomebodyElse,
    /// Finished glasses against the order that they were made for.
    OrderCheckIn { order: String },
}

/// Pairs that a patient brings at most.
pub const PAIRS_MAX: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairUse {
    Distance,
    Reading,
    Sun,
}

impl PairUse {
    pub const ALL: [Self; 3] = [Self::Distance, Self::Reading, Self::Sun];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distance => "distance",
            Self::Reading => "reading",
            Self::Sun => "sun",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl Purpose {
    /// Whether the lens is what the patient wears.
    pub fn is_wearing(&self) -> bool {
        matches!(self, Self::Presenting { .. })
    }
    /// For people: `Pair 2, reading`.
    pub fn label(&self) -> String {
        match self {
            Self::Presenting { pair, used_for: None } => format!("Pair {pair}"),
            Self::Presenting { pair, used_for: Some(used_for) } => {
                format!("Pair {pair}, {}", used_for.as_str())
            }
            Self::SomebodyElse => "Somebody else's glasses".into(),
            Self::OrderCheckIn { order } => format!("Check-in of order {order}"),
        }
    }
}

/// Before or after drops that widen the pupil or rest the focus (R11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drops {
    Before,
    After,
}

impl Correction {
    /// Reads the column. A layer of a newer version that this one does not know is an error: it
    /// must not be shown as if nobody had said anything.
    pub fn parse(column: Option<&str>) -> Result<Self, serde_json::Error> {
        column.map_or_else(|| Ok(Self::default()), serde_json::from_str)
    }
    /// The column; NULL when nothing is said.
    pub fn to_column(&self) -> Option<String> {
        let says_something = *self != Self::default();
        says_something.then(|| serde_json::to_string(self).expect("plain data always serialises"))
    }

    /// Puts a later decoding in the place of the gateway's, and nothing else.
    pub fn decode_again(&self, reading: &mut Reading) {
        if let Some(again) = &self.decoded_again {
            reading.driver.clone_from(&again.driver);
            reading.decoded.clone_from(&again.decoded);
        }
    }

    /// Whether a person has said something about the values or their sides.
    pub fn speaks_of_values(&self) -> bool {
        self.is_swapped || self.stated_eye.is_some() || self.amended.is_some()
    }

    /// Puts the layer over a reading. What was sent keeps its tokens (R2): only the side changes.
    pub fn apply(&self, reading: &mut Reading) {
        self.decode_again(reading);
        let measurements = &mut reading.decoded.measurements;
        if let Some(amended) = &self.amended {
            measurements.clone_from(amended);
        }
        for measurement in measurements {
            if let (Eye::NotGiven, Some(eye)) = (measurement.eye, self.stated_eye) {
                measurement.eye = eye;
            } else if self.is_swapped {
                swap(measurement);
            }
        }
        if self.stated_eye.is_some() {
            reading.decoded.flags.retain(|flag| flag.code != FlagCode::SideNotGiven);
        }
    }

    /// Whether a person still has to look at the reading by itself before it is accepted.
    pub fn needs_a_look(&self, reading: &Reading) -> bool {
        let mut corrected = reading.clone();
        self.apply(&mut corrected);
        corrected.decoded.flags.iter().any(|flag| flag.code.needs_a_look())
    }
}

fn swap(measurement: &mut Measurement) {
    measurement.eye = match measurement.eye {
        Eye::Right => Eye::Left,
        Eye::Left => Eye::Right,
        other => other,
    };
    if let (Eye::Both, Measured::PupillaryDistance(it)) =
        (measurement.eye, &mut measurement.measured)
    {
        let PupillaryDistance { right_mm, left_mm, near_right_mm, near_left_mm, .. } = it;
        std::mem::swap(right_mm, left_mm);
        std::mem::swap(near_right_mm, near_left_mm);
    }
}

/// Whether a prism with a horizontal base was measured under the other side's name: in and out are
/// what the instrument made of the side it was told, so the direction has to be measured again (R24).
pub fn has_doubtful_base(correction: &Correction, reading: &Reading) -> bool {
    correction.is_swapped
        && reading.decoded.measurements.iter().any(|measurement| {
            matches!(&measurement.measured, Measured::Lensometry(lens)
                if lens.prism.as_ref().is_some_and(|prism| prism.horizontal.is_some()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{Flag, Hundredths, Instrument, Integrity, Lensometry, Raw};
    use proptest::prelude::*;

    fn lens(eye: Eye, sphere: i32) -> Measurement {
        let lens = Lensometry { sphere: Some(Hundredths(sphere)), ..Lensometry::default() };
        Measurement::of(eye, if eye == Eye::Left { "L" } else { "R" }, Measured::Lensometry(lens))
    }

    fn distance() -> Measurement {
        let distance = PupillaryDistance {
            far_mm: Some(Hundredths(6200)),
            right_mm: Some(Hundredths(3050)),
            left_mm: Some(Hundredths(3150)),
            ..PupillaryDistance::default()
        };
        Measurement::without_token(Eye::Both, Measured::PupillaryDistance(distance))
    }

    fn reading(measurements: Vec<Measurement>) -> Reading {
        let instrument = Instrument { vendor: "NIDEK".into(), ..Instrument::default() };
        let mut decoded = Decoded::new(instrument, Integrity::Checksum);
        decoded.measurements = measurements;
        Reading {
            link: "lm".parse().unwrap(),
            lane: "lane-1".parse().unwrap(),
            lane_session: None,
            is_lane_empty: false,
            clock: chiasm_proto::ClockState::Synced,
            driver: DriverRef { id: "nidek_lm".into(), version: "1".into() },
            decoded,
            raw: Raw::new(b"raw".to_vec()),
        }
    }

    #[test]
    fn r4_a_swap_exchanges_the_whole_set_and_keeps_the_tokens() {
        let sent = vec![lens(Eye::Right, -125), lens(Eye::Left, -300), distance()];
        let mut shown = reading(sent.clone());
        Correction { is_swapped: true, ..Correction::default() }.apply(&mut shown);
        let shown = shown.decoded.measurements;
        assert_eq!((shown[0].eye, shown[1].eye), (Eye::Left, Eye::Right));
        assert_eq!(shown[0].eye_as_sent.as_deref(), Some("R"), "R2: as the instrument sent it");
        assert_eq!(shown[0].measured, sent[0].measured, "values do not change");
        let Measured::PupillaryDistance(it) = &shown[2].measured else { panic!("the distance") };
        assert_eq!((it.right_mm, it.left_mm), (Some(Hundredths(3150)), Some(Hundredths(3050))));
        assert_eq!(it.far_mm, Some(Hundredths(6200)));
    }

    #[test]
    fn r1_a_stated_side_fills_what_was_not_given_and_nothing_else() {
        let mut single = reading(vec![lens(Eye::NotGiven, -125), lens(Eye::Left, -300)]);
        let flag = Flag { code: FlagCode::SideNotGiven, detail: "no side".into() };
        single.decoded.flags = vec![flag];
        let correction = Correction { stated_eye: Some(Eye::Right), ..Correction::default() };
        assert!(Correction::default().needs_a_look(&single));
        assert!(!correction.needs_a_look(&single), "it was looked at");
        correction.apply(&mut single);
        let eyes: Vec<Eye> = single.decoded.measurements.iter().map(|it| it.eye).collect();
        assert_eq!(eyes, [Eye::Right, Eye::Left]);
    }

    #[test]
    fn r25_only_presenting_pairs_are_wearing() {
        let pair = Purpose::Presenting { pair: 2, used_for: Some(PairUse::Reading) };
        assert!(pair.is_wearing());
        assert_eq!(pair.label(), "Pair 2, reading");
        assert!(!Purpose::SomebodyElse.is_wearing());
        assert!(!Purpose::OrderCheckIn { order: "4711".into() }.is_wearing());
    }

    #[test]
    fn a_layer_of_a_newer_version_is_not_taken_for_none() {
        assert_eq!(Correction::parse(None).unwrap(), Correction::default());
        assert_eq!(Correction::default().to_column(), None);
        assert!(Correction::parse(Some(r#"{"is_swapped":true,"is_mirrored":true}"#)).is_err());
    }

    proptest! {
        #[test]
        fn swapping_twice_is_nothing(
            spheres in prop::collection::vec((-2000_i32..2000, 0..4_u8), 0..6),
        ) {
            let eye = |n| [Eye::Right, Eye::Left, Eye::Both, Eye::NotGiven][usize::from(n)];
            let mut sent: Vec<Measurement> =
                spheres.into_iter().map(|(sphere, n)| lens(eye(n), sphere)).collect();
            sent.push(distance());
            let mut shown = reading(sent.clone());
            let swapped = Correction { is_swapped: true, ..Correction::default() };
            swapped.apply(&mut shown);
            swapped.apply(&mut shown);
            prop_assert_eq!(shown.decoded.measurements, sent);
        }

        #[test]
        fn a_layer_survives_its_column(
            is_swapped: bool,
            eye in prop::option::of(prop::sample::select(vec![Eye::Right, Eye::Left])),
            pair in prop::option::of(1_u8..=PAIRS_MAX),
        ) {
            let purpose = pair.map(|pair| Purpose::Presenting { pair, used_for: Some(PairUse::Sun) });
            let amended = pair.map(|_| vec![lens(Eye::Right, -125)]);
            let layer = Correction { is_swapped, stated_eye: eye, purpose, drops: None, amended,
                decoded_again: None };
            let column = layer.to_column();
            prop_assert_eq!(Correction::parse(column.as_deref()).unwrap(), layer);
        }
    }
}
