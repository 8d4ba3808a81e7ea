//! Simulated instruments that write JOIA XML, built from the format's layout and independent of the
//! decoder: the tests compare the two.

mod encode;
mod random;

use chiasm_proto::{Eye, Measurement};
use jiff::civil;

/// Which instrument writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Autorefractor and keratometer, Shift_JIS.
    Kr1,
    /// The same, with a block of confidences.
    Kr800S,
    /// Lensmeter.
    Cl300,
    /// Tonometer with typed-in or measured thickness in its correction.
    Ct1P,
    /// Refraction, keratometry, tonometry and pachymetry.
    Trk2P,
}

impl Model {
    pub const ALL: [Self; 5] = [Self::Kr1, Self::Kr800S, Self::Cl300, Self::Ct1P, Self::Trk2P];

    /// As the instrument names itself.
    pub fn name(self) -> &'static str {
        match self {
            Model::Kr1 => "KR-1",
            Model::Kr800S => "KR-800S",
            Model::Cl300 => "CL-300",
            Model::Ct1P => "CT-1P",
            Model::Trk2P => "TRK-2P",
        }
    }
    fn is_shift_jis(self) -> bool {
        matches!(self, Model::Kr1 | Model::Kr800S)
    }
    fn measures_refraction(self) -> bool {
        matches!(self, Model::Kr1 | Model::Kr800S | Model::Trk2P)
    }
    fn measures_pressure(self) -> bool {
        matches!(self, Model::Ct1P | Model::Trk2P)
    }
}

/// What happens at the instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knobs {
    /// Only this eye is measured.
    pub one_eye: Option<Eye>,
    /// So many shots of each eye and test fail.
    pub failed_shots: u32,
    /// So many pressures of each eye are marked `*`.
    pub starred_shots: u32,
    /// Typed or scanned at the instrument.
    pub patient_id: Option<String>,
    /// The pupillary distance is measured.
    pub with_pd: bool,
    /// A PC with such a locale writes the file.
    pub decimal_comma: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            one_eye: None,
            failed_shots: 0,
            starred_shots: 0,
            patient_id: None,
            with_pd: true,
            decimal_comma: false,
        }
    }
}

/// One print: what the instrument measured and writes to its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Print {
    pub model: Model,
    /// Counts prints, four digits.
    pub running_number: u16,
    pub patient_id: Option<String>,
    /// The instrument's clock.
    pub at: civil::DateTime,
    pub decimal_comma: bool,
    /// Free text of the patient's Japanese name, which nobody reads.
    pub name: String,
    /// What a decoder has to find.
    pub measurements: Vec<Measurement>,
}

impl Print {
    /// A print with plausible values that follow from the seed; another seed gives another print.
    pub fn random(model: Model, seed: u64, knobs: &Knobs) -> Self {
        random::print(model, seed, knobs)
    }

    /// The file's content.
    pub fn encode(&self) -> Vec<u8> {
        let text = encode::document(self);
        if self.model.is_shift_jis() {
            encoding_rs::SHIFT_JIS.encode(&text).0.into_owned()
        } else {
            text.into_bytes()
        }
    }

    /// The running number as it stands in the document.
    pub fn running_number(&self) -> String {
        format!("{:04}", self.running_number)
    }

    /// `M-Serial0417_20260314_094107_TOPCON_KR-1_4499001.xml`, or the patient's id in front.
    pub fn file_name(&self) -> String {
        let whose = match &self.patient_id {
            Some(id) => id.clone(),
            None => format!("M-Serial{}", self.running_number()),
        };
        let at = self.at.strftime("%Y%m%d_%H%M%S");
        format!("{whose}_{at}_TOPCON_{}_4499001.xml", self.model.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DriverOptions, makers::joia::document};
    use proptest::prelude::*;

    fn knobs() -> impl Strategy<Value = Knobs> {
        let eyes = prop_oneof![Just(None), Just(Some(Eye::Right)), Just(Some(Eye::Left))];
        let id = proptest::option::of("[A-Z][A-Z0-9/ -]{0,10}[A-Z0-9]");
        (eyes, 0..4_u32, 0..3_u32, id, any::<bool>(), any::<bool>()).prop_map(
            |(one_eye, failed_shots, starred_shots, patient_id, with_pd, decimal_comma)| Knobs {
                one_eye,
                failed_shots,
                starred_shots,
                patient_id,
                with_pd,
                decimal_comma,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            model in proptest::sample::select(&Model::ALL), seed in any::<u64>(), knobs in knobs(),
        ) {
            let print = Print::random(model, seed, &knobs);
            prop_assert!(!print.measurements.is_empty());
            let decoded = document::decode(&print.encode(), &DriverOptions::default());
            let decoded = decoded.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(&decoded.measurements, &print.measurements);
            prop_assert_eq!(decoded.running_number, Some(print.running_number()));
            prop_assert_eq!(decoded.claimed_patient.map(|claimed| claimed.id), print.patient_id);
            prop_assert_eq!(decoded.instrument.model, model.name());
            prop_assert_eq!(decoded.instrument_time.and_then(|time| time.local), Some(print.at));
            prop_assert!(decoded.unknown_records.is_empty(), "{:?}", decoded.unknown_records);
        }

        #[test]
        fn seeds_give_distinct_prints(
            model in proptest::sample::select(&Model::ALL), seed in any::<u64>(),
        ) {
            let [one, other] = [seed, seed.wrapping_add(1)]
                .map(|seed| Print::random(model, seed, &Knobs::default()));
            prop_assert_ne!(one.measurements, other.measurements);
        }
    }

    #[test]
    fn file_names_follow_the_instruments() {
        let mut print = Print::random(Model::Kr1, 7, &Knobs::default());
        print.running_number = 417;
        print.at = civil::date(2026, 3, 14).at(9, 41, 7, 0);
        assert_eq!(print.file_name(), "M-Serial0417_20260314_094107_TOPCON_KR-1_4499001.xml");
        print.patient_id = Some("P_00_88".into());
        assert_eq!(print.file_name(), "P_00_88_20260314_094107_TOPCON_KR-1_4499001.xml");
    }
}
