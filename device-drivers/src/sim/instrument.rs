//! What all simulated instruments have in common: knobs to turn, and a print that comes out.

use chiasm_proto::{Base, Eye, Measurement};

/// A simulated instrument of one model.
#[derive(Debug, Clone, Copy)]
pub struct Simulator {
    /// The driver that reads it.
    pub driver: &'static str,
    pub vendor: &'static str,
    pub model: &'static str,
    /// Which knobs change what it prints. The others are ignored.
    pub knobs: &'static [Knob],
    /// Makes the print of a seed: plausible values, others for every seed, always the same for the
    /// same one. `seed % 10_000` is the running number, where the format has one.
    pub print: fn(seed: u64, knobs: &Knobs) -> SimPrint,
}

/// One print as it leaves the instrument, and what has to be read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimPrint {
    /// What goes over the line, or stands in the file.
    pub bytes: Vec<u8>,
    /// The file's name, for an instrument that writes files.
    pub file_name: Option<String>,
    /// As the reading has to name it, where the format has one.
    pub running_number: Option<String>,
    /// As the reading has to claim it.
    pub patient_id: Option<String>,
    /// In the order of the reading.
    pub measurements: Vec<Measurement>,
}

/// One thing that may be different about a print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knob {
    OneEye,
    FailedShots,
    LowConfidence,
    MissingPd,
    Extremes,
    Night,
    PlusCylinder,
    Prism,
    SingleLens,
    PatientId,
    ClockUnset,
}

impl Knob {
    pub const ALL: [Knob; 11] = [
        Knob::OneEye,
        Knob::FailedShots,
        Knob::LowConfidence,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::Night,
        Knob::PlusCylinder,
        Knob::Prism,
        Knob::SingleLens,
        Knob::PatientId,
        Knob::ClockUnset,
    ];
}

/// How the knobs stand. By default an ordinary print of both eyes without a patient's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knobs {
    /// Only this eye is measured.
    pub only_eye: Option<Eye>,
    /// At least one shot fails.
    pub failed_shots: bool,
    /// At least one shot is unsure by the maker's own scale.
    pub low_confidence: bool,
    /// The pupillary distance was not measured.
    pub missing_pd: bool,
    /// Values at the ends of what the format can carry.
    pub extremes: bool,
    /// Measured again with a large pupil.
    pub night: bool,
    /// Plus cylinders.
    pub plus_cylinder: bool,
    /// Prism with the base in these horizontal and vertical directions.
    pub prism: Option<(Base, Base)>,
    /// One lens without a side.
    pub single_lens: bool,
    /// Typed or scanned at the instrument. Blank without.
    pub patient_id: Option<String>,
    /// The instrument's clock was never set.
    pub clock_unset: bool,
}

impl Knobs {
    /// One knob turned. `variant` chooses the eye and the direction of a prism.
    pub fn turned(knob: Knob, variant: u64) -> Self {
        let either = |bit: u64| variant >> bit & 1 == 0;
        let mut knobs = Self::default();
        match knob {
            Knob::OneEye => {
                knobs.only_eye = Some(if either(0) { Eye::Right } else { Eye::Left });
            }
            Knob::FailedShots => knobs.failed_shots = true,
            Knob::LowConfidence => knobs.low_confidence = true,
            Knob::MissingPd => knobs.missing_pd = true,
            Knob::Extremes => knobs.extremes = true,
            Knob::Night => knobs.night = true,
            Knob::PlusCylinder => knobs.plus_cylinder = true,
            Knob::Prism => {
                let horizontal = if either(0) { Base::In } else { Base::Out };
                let vertical = if either(1) { Base::Up } else { Base::Down };
                knobs.prism = Some((horizontal, vertical));
            }
            Knob::SingleLens => knobs.single_lens = true,
            Knob::PatientId => knobs.patient_id = Some(format!("P-{:05}", variant % 100_000)),
            Knob::ClockUnset => knobs.clock_unset = true,
        }
        knobs
    }

    /// Whether this eye is measured.
    pub fn measures(&self, eye: Eye) -> bool {
        self.only_eye.is_none_or(|only| only == eye)
    }
}
