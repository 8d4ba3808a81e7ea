//! What a person should look at, derived from the values in one place for all drivers.
//!
//! Flags drop nothing and change nothing. A driver adds the flags that only it can know (an error
//! record of the instrument) and then calls [`complete`].

use crate::range::{self, Range};
use chiasm_proto::{
    Base, Biometry, Decoded, Eye, Flag, FlagCode, Hundredths, Integrity, Keratometry,
    KeratometryValue, Lensometry, Measured, Measurement, Meridian, Pachymetry, Prism,
    PrismComponent, PupillaryDistance, Refraction, RefractionKind, RefractionValue, Shot,
    Tonometry,
};
use std::collections::BTreeSet;

/// Most flags on one reading; what is beyond is summed up in the last one.
pub const FLAGS_MAX: usize = 64;
/// An instrument whose calendar stands before this year was never set.
pub(crate) const CLOCK_YEAR_MIN: i16 = 2010;
/// How far radius and power of one meridian may lie apart, in dioptres at n = 1.3375.
const RADIUS_POWER_GAP_MAX: f64 = 0.3;
/// kPa that are printed beside mmHg are rounded by themselves.
const KPA_GAP_MAX: f64 = 0.1;
const KPA_PER_MMHG: f64 = 0.133_322;
/// The halves of a pupillary distance and the whole, in millimetres.
const PD_GAP_MAX: Hundredths = Hundredths(100);

/// Adds every flag that follows from the values, once each, in the order of the measurements.
pub fn complete(decoded: &mut Decoded) {
    let mut notes = Notes { flags: std::mem::take(&mut decoded.flags), subject: String::new() };
    for measurement in &decoded.measurements {
        notes.subject = subject(measurement);
        notes.measurement(measurement);
    }
    notes.subject.clear();
    if !decoded.unknown_records.is_empty() {
        let count = decoded.unknown_records.len();
        notes.add(
            FlagCode::UnknownRecord,
            format!("records of unknown kind, kept as text: {count}"),
        );
    }
    let clock = decoded.instrument_time.as_ref().and_then(|time| time.local);
    if clock.is_some_and(|clock| clock.year() < CLOCK_YEAR_MIN) {
        notes.add(FlagCode::ClockUnset, "the instrument's clock was never set");
    }
    if decoded.integrity == Integrity::None {
        notes.add(FlagCode::NoChecksum, "sent without a checksum");
    }
    decoded.flags = notes.finish();
}

fn subject(measurement: &Measurement) -> String {
    let kind = measurement.measured.type_name().replace('_', " ");
    match measurement.eye {
        Eye::Right => format!("right {kind}"),
        Eye::Left => format!("left {kind}"),
        Eye::Both | Eye::NotGiven => kind,
    }
}

struct Notes {
    flags: Vec<Flag>,
    /// Whose values are being looked at: `left refraction`.
    subject: String,
}

impl Notes {
    fn add(&mut self, code: FlagCode, what: impl AsRef<str>) {
        let what = what.as_ref();
        let detail = match self.subject.as_str() {
            "" => what.to_owned(),
            subject => format!("{subject}: {what}"),
        };
        self.flags.push(Flag { code, detail });
    }

    fn finish(mut self) -> Vec<Flag> {
        let mut seen = BTreeSet::new();
        self.flags.retain(|flag| seen.insert((flag.code as u8, flag.detail.clone())));
        if self.flags.len() > FLAGS_MAX {
            let more = self.flags.len() - FLAGS_MAX + 1;
            self.flags.truncate(FLAGS_MAX - 1);
            let detail = format!("{more} more flags");
            self.flags.push(Flag { code: FlagCode::Implausible, detail });
        }
        self.flags
    }

    fn judge(&mut self, what: &str, unit: &str, value: Hundredths, range: &Range) {
        match range.judge(value) {
            Some(FlagCode::Implausible) => self.add(
                FlagCode::Implausible,
                format!("{what} {value:+} {unit} is beyond what is plausible"),
            ),
            Some(code) => {
                self.add(code, format!("{what} {value:+} {unit} is beyond the usual range"))
            }
            None => {}
        }
    }

    /// A cylinder means nothing without the direction it lies in (R7).
    fn axis_of_cylinder(&mut self, cylinder: Option<Hundredths>, axis_deg: Option<i16>) {
        if let (Some(cylinder), None) = (cylinder.filter(|it| !it.is_zero()), axis_deg) {
            self.add(FlagCode::Inconsistent, format!("cylinder {cylinder:+} D without an axis"));
        }
        self.axis(axis_deg);
    }

    fn axis(&mut self, axis_deg: Option<i16>) {
        if let Some(axis) = axis_deg.filter(|axis| !(0..=180).contains(axis)) {
            self.add(FlagCode::Implausible, format!("axis {axis} is not within 0 to 180 degrees"));
        }
    }

    fn measurement(&mut self, measurement: &Measurement) {
        if measurement.eye == Eye::NotGiven {
            self.add(FlagCode::SideNotGiven, "the side was not sent");
        }
        match &measurement.measured {
            Measured::Refraction(refraction) => self.refraction(refraction),
            Measured::Keratometry(keratometry) => self.keratometry(keratometry),
            Measured::Lensometry(lens) => self.lensometry(lens),
            Measured::Tonometry(tonometry) => self.tonometry(tonometry),
            Measured::Pachymetry(pachymetry) => self.pachymetry(pachymetry),
            Measured::PupillaryDistance(distance) => self.pupillary_distance(distance),
            Measured::Biometry(biometry) => self.biometry(biometry),
            Measured::CornealSize(cornea) => {
                self.judge("diameter", "mm", cornea.diameter_mm, &range::CORNEA);
            }
            Measured::PupilSize(pupil) => {
                self.judge("diameter", "mm", pupil.diameter_mm, &range::PUPIL);
            }
            Measured::OtherTest(_) | Measured::VisualAcuity(_) => {}
        }
    }

    fn shots<V>(&mut self, shots: &[Shot<V>], has_representative: bool) {
        let failed: Vec<&str> = shots.iter().filter_map(|shot| shot.error.as_deref()).collect();
        if !failed.is_empty() {
            let (count, of) = (failed.len(), shots.len());
            let marks = failed.join(", ");
            self.add(FlagCode::ShotFailed, format!("{count} of {of} shots failed ({marks})"));
        }
        let low: Vec<String> = shots
            .iter()
            .filter_map(|shot| shot.confidence.as_ref())
            .filter(|confidence| confidence.low)
            .map(|confidence| format!("{} on {}", confidence.as_sent, confidence.scale))
            .collect();
        if !low.is_empty() {
            self.add(FlagCode::LowConfidence, format!("low confidence {}", low.join(", ")));
        }
        let values = shots.iter().filter(|shot| shot.value.is_some()).count();
        if values > 1 && !has_representative {
            let what = format!("{values} shots and none that the instrument declares the result");
            self.add(FlagCode::NoRepresentative, what);
        }
    }

    fn refraction(&mut self, refraction: &Refraction) {
        self.shots(&refraction.shots, refraction.representative.is_some());
        if let Some(distance) = refraction.vertex_distance_mm {
            self.judge("vertex distance", "mm", distance, &range::VERTEX_DISTANCE);
        }
        if let Some(distance) = refraction.working_distance_cm {
            self.judge("working distance", "cm", distance, &range::WORKING_DISTANCE);
        }
        let is_difference = refraction.kind == RefractionKind::NightMinusDay;
        let step = refraction.dioptre_step.unwrap_or(Hundredths(25));
        let representative = refraction.representative.iter().map(|chosen| &chosen.value);
        let shots = refraction.shots.iter().filter_map(|shot| shot.value.as_ref());
        for value in representative.chain(shots) {
            self.refraction_value(value, is_difference, step);
        }
        if let Some(add) = refraction.add {
            self.judge("addition", "D", add, &range::ADD);
        }
        if let Some(prism) = &refraction.prism {
            self.prism(prism);
        }
    }

    fn biometry(&mut self, biometry: &Biometry) {
        if let Some(length) = biometry.axial_length_mm {
            self.judge("axial length", "mm", length, &range::AXIAL_LENGTH);
        }
    }

    fn refraction_value(&mut self, value: &RefractionValue, is_difference: bool, step: Hundredths) {
        self.judge("sphere", "D", value.sphere, &range::SPHERE_EYE);
        self.judge("cylinder", "D", value.cylinder, &range::CYLINDER);
        if !is_difference {
            self.axis_of_cylinder(Some(value.cylinder), value.axis_deg);
        }
        if let Some(sent) = value.spherical_equivalent {
            let twice = 2 * i64::from(value.sphere.0) + i64::from(value.cylinder.0);
            if (2 * i64::from(sent.0) - twice).abs() > 2 * i64::from(step.0) {
                let what =
                    format!("spherical equivalent {sent:+} does not fit sphere and cylinder");
                self.add(FlagCode::Inconsistent, what);
            }
        }
    }

    fn keratometry(&mut self, keratometry: &Keratometry) {
        self.shots(&keratometry.shots, keratometry.representative.is_some());
        let representative = keratometry.representative.iter().map(|chosen| &chosen.value);
        let shots = keratometry.shots.iter().filter_map(|shot| shot.value.as_ref());
        let index = keratometry.refractive_index.as_deref();
        for value in representative.chain(shots) {
            self.keratometry_value(value, index);
        }
    }

    fn keratometry_value(&mut self, value: &KeratometryValue, index: Option<&str>) {
        let index = index.and_then(|text| text.parse::<f64>().ok()).unwrap_or(1.3375);
        let average = Meridian {
            radius_mm: value.average_mm,
            power: value.average_power,
            axis_deg: value.cylinder_axis_deg,
        };
        for (name, meridian) in [("R1", value.r1), ("R2", value.r2), ("mean", average)] {
            if let Some(radius) = meridian.radius_mm {
                self.judge(&format!("{name} radius"), "mm", radius, &range::K_RADIUS);
            }
            if let Some(power) = meridian.power {
                self.judge(&format!("{name} power"), "D", power, &range::K_POWER);
            }
            if let (Some(radius), Some(power)) = (meridian.radius_mm, meridian.power)
                && (power.to_f64() - (index - 1.0) * 1000.0 / radius.to_f64()).abs()
                    > RADIUS_POWER_GAP_MAX
            {
                let what = format!("{name} {radius} mm and {power} D do not agree");
                self.add(FlagCode::Inconsistent, what);
            }
            self.axis(meridian.axis_deg);
        }
        if let Some(cylinder) = value.cylinder {
            self.judge("corneal cylinder", "D", cylinder, &range::K_CYLINDER);
        }
    }

    fn lensometry(&mut self, lens: &Lensometry) {
        if let Some(error) = &lens.error {
            self.add(FlagCode::InstrumentError, format!("the instrument reports {error}"));
        }
        let powers = [
            ("sphere", lens.sphere, &range::SPHERE_LENS),
            ("cylinder", lens.cylinder, &range::CYLINDER),
            ("addition", lens.add, &range::ADD),
            ("second addition", lens.add2, &range::ADD),
            ("near sphere", lens.near_sphere, &range::SPHERE_LENS),
            ("second near sphere", lens.near_sphere2, &range::SPHERE_LENS),
        ];
        for (what, value, range) in powers {
            if let Some(value) = value {
                self.judge(what, "D", value, range);
            }
        }
        self.axis_of_cylinder(lens.cylinder, lens.axis_deg);
        if let Some(prism) = &lens.prism {
            self.prism(prism);
        }
    }

    fn prism(&mut self, prism: &Prism) {
        let components = [prism.horizontal, prism.vertical].into_iter().flatten();
        let amounts = components.clone().map(|component| component.amount).chain(prism.amount);
        for amount in amounts {
            self.judge("prism", "prism dioptres", amount, &range::PRISM);
        }
        if let Some(base) = prism.base_deg.filter(|base| !(0..=360).contains(base)) {
            self.add(FlagCode::Implausible, format!("prism base {base} is not an angle"));
        }
        let needs_direction =
            |it: PrismComponent| it.base == Base::Unverified && !it.amount.is_zero();
        if components.clone().any(needs_direction) {
            let what = "the maker does not document the direction of this prism";
            self.add(FlagCode::PrismDirectionUnverified, what);
        }
    }

    fn tonometry(&mut self, tonometry: &Tonometry) {
        self.shots(&tonometry.shots, tonometry.representative.is_some());
        let representative = tonometry.representative.iter().map(|chosen| chosen.value);
        let shots = tonometry.shots.iter().filter_map(|shot| shot.value);
        for value in representative.chain(shots) {
            self.judge("pressure", "mmHg", value.iop_mmhg, &range::IOP);
            if let Some(kpa) = value.iop_kpa
                && (kpa.to_f64() - value.iop_mmhg.to_f64() * KPA_PER_MMHG).abs()
                    > KPA_GAP_MAX + 1e-9
            {
                let what = format!("{} mmHg and {kpa} kPa do not agree", value.iop_mmhg);
                self.add(FlagCode::Inconsistent, what);
            }
        }
        for corrected in &tonometry.corrected {
            let pressures =
                [("corrected", corrected.corrected_mmhg), ("measured", corrected.measured_mmhg)];
            for (what, value) in pressures {
                if let Some(value) = value {
                    let what = format!("{what} pressure ({})", corrected.label);
                    self.judge(&what, "mmHg", value, &range::IOP);
                }
            }
            if let Some(error) = &corrected.error {
                let what = format!("correction {}: {error}", corrected.label);
                self.add(FlagCode::InstrumentError, what);
            }
        }
    }

    fn pachymetry(&mut self, pachymetry: &Pachymetry) {
        self.shots(&pachymetry.shots_um, pachymetry.representative_um.is_some());
        let representative = pachymetry.representative_um.iter().map(|chosen| chosen.value);
        let shots = pachymetry.shots_um.iter().filter_map(|shot| shot.value);
        for um in representative.chain(shots) {
            self.judge("thickness", "µm", Hundredths::whole(um.into()), &range::CCT);
        }
    }

    fn pupillary_distance(&mut self, distance: &PupillaryDistance) {
        for (what, value) in [("far", distance.far_mm), ("near", distance.near_mm)] {
            if let Some(value) = value {
                self.judge(what, "mm", value, &range::PUPILLARY_DISTANCE);
            }
        }
        let halves = [
            ("right", distance.right_mm),
            ("left", distance.left_mm),
            ("near right", distance.near_right_mm),
            ("near left", distance.near_left_mm),
        ];
        for (what, value) in halves {
            if let Some(value) = value {
                self.judge(what, "mm", value, &range::PUPILLARY_DISTANCE_HALF);
            }
        }
        if let (Some(far), Some(right), Some(left)) =
            (distance.far_mm, distance.right_mm, distance.left_mm)
            && Hundredths(right.0 + left.0 - far.0).abs() > PD_GAP_MAX
        {
            let what = format!("right {right} and left {left} do not add up to {far} mm");
            self.add(FlagCode::Inconsistent, what);
        }
    }
}

#[cfg(test)]
mod tests;
