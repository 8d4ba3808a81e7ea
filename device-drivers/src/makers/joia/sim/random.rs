//! Plausible values out of a seed.

use super::{Knobs, Model, Print};
use chiasm_proto::{
    Base, Confidence, CorrectedIop, CylinderMode, Eye, Hundredths, IopValue, Keratometry,
    KeratometryValue, Lensometry, Measured, Measurement, Meridian, Pachymetry, Prism,
    PrismComponent, PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative,
    Shot, Tonometry, TonometryMethod,
};
use jiff::{ToSpan, civil};

/// Good shots of each eye.
const SHOTS: u32 = 3;

/// SplitMix64: small, seedable, good enough to vary values.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
    /// A number from `low` to `high`, both included.
    fn within(&mut self, low: i32, high: i32) -> i32 {
        let count = (high - low + 1) as u64;
        low + (self.next() % count) as i32
    }
    /// Quarters of a dioptre, in hundredths.
    fn quarters(&mut self, low: i32, high: i32) -> i32 {
        self.within(low * 4, high * 4) * 25
    }
}

pub fn print(model: Model, seed: u64, knobs: &Knobs) -> Print {
    let mut random = Random(seed);
    let eyes: Vec<(Eye, &str)> = [(Eye::Right, "R"), (Eye::Left, "L")]
        .into_iter()
        .filter(|(eye, _)| knobs.one_eye.is_none_or(|only| only == *eye))
        .collect();
    let mut measurements = vec![];
    let mut add = |eye: Eye, token: Option<&str>, measured| {
        measurements.push(match token {
            Some(token) => Measurement::of(eye, token, measured),
            None => Measurement::without_token(eye, measured),
        });
    };
    if model.measures_refraction() {
        for (eye, token) in &eyes {
            add(*eye, Some(token), Measured::Refraction(refraction(&mut random, knobs)));
        }
        if knobs.with_pd {
            add(Eye::Both, None, Measured::PupillaryDistance(far_distance(&mut random)));
        }
        for (eye, token) in &eyes {
            add(*eye, Some(token), Measured::Keratometry(keratometry(&mut random, knobs)));
        }
    }
    if model == Model::Cl300 {
        for (eye, token) in &eyes {
            add(*eye, Some(token), Measured::Lensometry(lens(&mut random)));
        }
        if knobs.with_pd {
            add(Eye::Both, None, Measured::PupillaryDistance(halves(&mut random)));
        }
    }
    if model.measures_pressure() {
        let has_blocks = model == Model::Trk2P;
        for (eye, token) in &eyes {
            let tonometry = tonometry(&mut random, knobs, has_blocks);
            add(*eye, Some(token), Measured::Tonometry(tonometry));
        }
        for (eye, token) in eyes.iter().filter(|_| has_blocks) {
            add(*eye, Some(token), Measured::Pachymetry(pachymetry(&mut random, knobs)));
        }
    }
    let minutes = random.within(0, 500_000);
    Print {
        model,
        running_number: random.within(1, 9999) as u16,
        patient_id: knobs.patient_id.clone(),
        at: civil::date(2026, 1, 1).at(8, 0, 0, 0) + i64::from(minutes).minutes(),
        decimal_comma: knobs.decimal_comma,
        name: "検査 表子".into(),
        measurements,
    }
}

/// Good shots, then failed ones; the instrument declares the middle of the good.
fn series<V: Clone>(knobs: &Knobs, error: &str, mut value: impl FnMut() -> V) -> (Vec<Shot<V>>, V) {
    let mut shots: Vec<Shot<V>> = (0..SHOTS).map(|_| Shot::of(value())).collect();
    let declared = shots[1].value.clone().expect("good shots have values");
    shots.extend((0..knobs.failed_shots).map(|_| Shot::failed(error)));
    shots.iter_mut().zip(1..).for_each(|(shot, no)| shot.no = Some(no));
    (shots, declared)
}

/// To whole steps, halves away from zero, as the instruments do.
fn rounded(hundredths: i32, step: i32) -> i32 {
    let steps = (hundredths.abs() * 2 + step) / (2 * step);
    steps * step * hundredths.signum()
}

fn refraction(random: &mut Random, knobs: &Knobs) -> Refraction {
    let (sphere, cylinder) = (random.quarters(-8, 5), -random.quarters(0, 3));
    let axis = random.within(1, 180);
    let (mut shots, value) = series(knobs, "NO CENTER", || {
        let sphere = sphere + random.within(-1, 1) * 25;
        // In halves of hundredths, so that nothing is lost before rounding.
        let equivalent = rounded(2 * sphere + cylinder, 50) / 2;
        RefractionValue {
            sphere: Hundredths(sphere),
            cylinder: Hundredths(cylinder),
            axis_deg: (cylinder != 0).then_some(axis as i16),
            spherical_equivalent: Some(Hundredths(equivalent)),
        }
    });
    shots[0].confidence = Some(Confidence {
        as_sent: "9".into(),
        scale: "Topcon ConfidenceIndex".into(),
        low: false,
    });
    Refraction {
        vertex_distance_mm: Some(Hundredths(1200)),
        dioptre_step: Some(Hundredths(25)),
        axis_step_deg: Some(1),
        cylinder_mode: Some(CylinderMode::Minus),
        representative: Some(Representative { label: "median".into(), value }),
        shots,
        ..Refraction::new(RefractionKind::Autorefraction)
    }
}

fn far_distance(random: &mut Random) -> PupillaryDistance {
    let far_mm = Some(Hundredths(random.within(108, 146) * 50));
    PupillaryDistance { far_mm, ..PupillaryDistance::default() }
}

fn halves(random: &mut Random) -> PupillaryDistance {
    let [right, left] = [0; 2].map(|_| random.within(56, 72) * 50);
    PupillaryDistance {
        far_mm: Some(Hundredths(right + left)),
        right_mm: Some(Hundredths(right)),
        left_mm: Some(Hundredths(left)),
        ..PupillaryDistance::default()
    }
}

fn keratometry(random: &mut Random, knobs: &Knobs) -> Keratometry {
    let (flat, difference) = (random.within(740, 830), random.within(0, 25));
    let axis = random.within(1, 180);
    let power = |radius: i32| rounded(3_375_000 / radius, 25);
    let (shots, value) = series(knobs, "ERROR", || {
        let r1 = flat + random.within(0, 2);
        let r2 = r1 - difference;
        let cylinder = power(r1) - power(r2);
        let mean = (r1 + r2) / 2;
        let meridian = |radius: i32, axis: i32| Meridian {
            radius_mm: Some(Hundredths(radius)),
            power: Some(Hundredths(power(radius))),
            axis_deg: Some(axis as i16),
        };
        KeratometryValue {
            r1: meridian(r1, axis),
            r2: meridian(r2, if axis > 90 { axis - 90 } else { axis + 90 }),
            average_mm: Some(Hundredths(mean)),
            average_power: Some(Hundredths(power(mean))),
            cylinder: Some(Hundredths(cylinder)),
            cylinder_axis_deg: (cylinder != 0).then_some(axis as i16),
        }
    });
    Keratometry {
        mire: None,
        refractive_index: Some("1.3375".into()),
        dioptre_step: Some(Hundredths(25)),
        representative: Some(Representative { label: "median".into(), value }),
        shots,
    }
}

fn lens(random: &mut Random) -> Lensometry {
    let cylinder = random.quarters(-3, 3);
    let axis = random.within(1, 180);
    let add = random.within(0, 12) * 25;
    let mut component =
        || PrismComponent { amount: Hundredths(random.quarters(-2, 2)), base: Base::Unverified };
    let prism =
        Prism { horizontal: Some(component()), vertical: Some(component()), ..Prism::default() };
    Lensometry {
        sphere: Some(Hundredths(random.quarters(-9, 7))),
        cylinder: Some(Hundredths(cylinder)),
        axis_deg: (cylinder != 0).then_some(axis as i16),
        cylinder_mode: Some(CylinderMode::Mixed),
        add: (add > 0).then_some(Hundredths(add)),
        prism: Some(prism),
        lens_type: Some("glass".into()),
        dioptre_step: Some(Hundredths(25)),
        ..Lensometry::default()
    }
}

fn tonometry(random: &mut Random, knobs: &Knobs, has_blocks: bool) -> Tonometry {
    let value = |mmhg: i32| IopValue { iop_mmhg: Hundredths::whole(mmhg), iop_kpa: None };
    let base = random.within(10, 21);
    let mut no = 0;
    let mut shots: Vec<Shot<IopValue>> = vec![];
    for index in 0..SHOTS + knobs.starred_shots {
        no += 1 + u32::from(index < knobs.failed_shots); // the number of a failed shot is skipped
        let is_starred = index >= SHOTS;
        let mmhg = if is_starred { base + 9 } else { base + random.within(-1, 1) };
        let confidence = is_starred.then(|| Confidence {
            as_sent: "*".into(),
            scale: "Topcon *".into(),
            low: true,
        });
        shots.push(Shot { no: Some(no), value: Some(value(mmhg)), confidence, error: None });
    }
    let good = shots.iter().filter(|shot| shot.confidence.is_none());
    let sum: i32 = good.filter_map(|shot| shot.value).map(|value| value.iop_mmhg.0).sum();
    let mean = Hundredths(rounded(sum / SHOTS as i32, 10));
    let cct_um = random.within(500, 600);
    let correction = (cct_um - 540) * 45 / 10; // hundredths of mmHg
    let by_formula = CorrectedIop {
        label: "Formula1".into(),
        shot_no: None,
        corrected_mmhg: Some(Hundredths(rounded(mean.0 - correction, 100))),
        measured_mmhg: Some(mean),
        cct_um: Some(cct_um as u16),
        parameters: vec!["Param1 0.540 mm".into(), "Param2 0.045".into()],
        error: None,
    };
    let by_shot = shots.iter().filter(|_| has_blocks).map(|shot| CorrectedIop {
        label: "CorrectedIOP".into(),
        shot_no: shot.no,
        corrected_mmhg: shot
            .value
            .filter(|_| shot.confidence.is_none())
            .map(|value| Hundredths(rounded(value.iop_mmhg.0 - correction, 100))),
        measured_mmhg: None,
        cct_um: None,
        parameters: vec![],
        error: shot.confidence.as_ref().map(|_| "ERROR".into()),
    });
    let corrected = std::iter::once(by_formula).chain(by_shot).collect();
    Tonometry {
        method: TonometryMethod::NonContact,
        count_as_sent: None,
        representative: Some(Representative {
            label: "average".into(),
            value: IopValue { iop_mmhg: mean, iop_kpa: None },
        }),
        shots,
        corrected,
    }
}

fn pachymetry(random: &mut Random, knobs: &Knobs) -> Pachymetry {
    let base = random.within(500, 600);
    let (shots_um, _) = series(knobs, "ERROR", || (base + random.within(-4, 4)) as u16);
    Pachymetry { count_as_sent: None, representative_um: None, shots_um }
}
