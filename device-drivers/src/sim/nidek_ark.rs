//! A NIDEK ARK: refraction by day and by night, keratometry, distances.

use super::{
    dice::Dice,
    nidek_wire::{WireStyle, one_decimal, signed, some_time, time, transmission, unsigned},
};
use chiasm_proto::{
    Confidence, CornealSize, Eye, Hundredths, Keratometry, KeratometryValue, Light, Measured,
    Measurement, Meridian, PupilSize, PupillaryDistance, Refraction, RefractionKind,
    RefractionValue, Representative, Shot,
};
use jiff::civil::DateTime;

/// One print. A pair holds the right eye first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArkPrint {
    pub style: WireStyle,
    pub model: String,
    /// The running number, to 9999.
    pub no: u16,
    pub patient_id: Option<String>,
    pub time: DateTime,
    pub vertex_distance_mm: Hundredths,
    /// Whole centimetres.
    pub working_distance_cm: Hundredths,
    pub day: [Option<RefractedEye>; 2],
    /// Measured again with a large pupil.
    pub night: [Option<RefractedEye>; 2],
    /// Contact lens values are printed, the same as the median.
    pub contact_lens: bool,
    /// Trial lens values are printed, the same as the median (TONOREF only).
    pub trial_lens: bool,
    pub cornea: [Option<CurvedEye>; 2],
    /// Whole millimetres; `None` leaves the line out.
    pub distance: Option<PupillaryDistance>,
}

/// One eye's refraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefractedEye {
    /// Left out by the instrument when there is one shot only.
    pub median: Option<RefractionValue>,
    /// With the confidence from `1` to `9`, or `E`.
    pub shots: Vec<(RefractionValue, char)>,
}

/// One eye's cornea and pupil. The first curve is the result, the others are shots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurvedEye {
    pub curves: Vec<Curve>,
    pub size_mm: Option<Hundredths>,
    pub pupil_mm: Option<Hundredths>,
}

/// Radii and powers of one shot; the axis is that of the flat meridian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Curve {
    pub flat_mm: Hundredths,
    pub steep_mm: Hundredths,
    pub mean_mm: Hundredths,
    pub axis_deg: i16,
    pub flat: Hundredths,
    pub steep: Hundredths,
    pub mean: Hundredths,
    pub cylinder: Hundredths,
}

const SIDES: [(Eye, char); 2] = [(Eye::Right, 'R'), (Eye::Left, 'L')];

impl ArkPrint {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let has_night = dice.once_in(3);
        let has_cornea = !dice.once_in(4);
        let missing = if dice.once_in(12) { dice.between(0, 1) } else { 2 };
        let eyes = |dice: &mut Dice, wanted: bool| {
            [0, 1].map(|at| (wanted && at != missing).then(|| RefractedEye::random(dice)))
        };
        let day = eyes(&mut dice, true);
        let night = eyes(&mut dice, has_night);
        let cornea =
            [0, 1].map(|at| (has_cornea && at != missing).then(|| CurvedEye::random(&mut dice)));
        let far = dice.stepped(5400, 7200, 100);
        let distance = PupillaryDistance {
            far_mm: Some(Hundredths(far)),
            near_mm: (!dice.once_in(3)).then_some(Hundredths(far - 400)),
            ..PupillaryDistance::default()
        };
        Self {
            style: WireStyle { year_first: dice.once_in(2), ..WireStyle::default() },
            model: "ARK-1a".into(),
            no: u16::try_from(seed % 10_000).expect("below 10000"),
            patient_id: None,
            time: some_time(&mut dice),
            vertex_distance_mm: Hundredths([0, 1200, 1375][dice.between(0, 2) as usize]),
            working_distance_cm: Hundredths::whole(40),
            day,
            night,
            contact_lens: dice.once_in(2),
            trial_lens: false,
            cornea,
            distance: (missing == 2).then_some(distance),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        transmission(&self.blocks(), self.style)
    }

    pub(super) fn blocks(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut blocks = Vec::new();
        if self.night.iter().any(Option::is_some) {
            let mut night = self.opening();
            night.extend(lines(&self.night, "O"));
            night.extend(self.differences());
            blocks.push(("Drm", night));
        }
        let mut day = self.opening();
        day.extend(lines(&self.day, "O"));
        for (is_sent, code) in [(self.contact_lens, 'C'), (self.trial_lens, 'T')] {
            for (at, (_, side)) in SIDES.into_iter().enumerate().rev().filter(|_| is_sent) {
                // An eye that was not measured has its line all the same, full of zeros.
                let value = self.day[at].as_ref().map(RefractedEye::result);
                day.push(format!("{code}{side}{}", columns(value.unwrap_or(PLANO))));
            }
        }
        day.extend(self.distance.map(|distance| distance_segment(&distance)));
        blocks.push(("DRM", day));
        if self.cornea.iter().any(Option::is_some) {
            blocks.push(("DKM", cornea_segments(&self.cornea)));
        }
        blocks
    }

    fn opening(&self) -> Vec<String> {
        let mut segments = vec![format!("IDNIDEK/{}", self.model), format!("NO{:04}", self.no)];
        segments.extend(self.patient_id.as_ref().map(|id| format!("IP{id}")));
        segments.push(time(self.time, self.style));
        segments.push(format!("VD{}", unsigned(self.vertex_distance_mm)));
        segments.push(format!("WD{:02}", self.working_distance_cm.0 / 100));
        segments
    }

    /// Night minus day, for eyes that have both.
    fn difference(&self, at: usize) -> Option<RefractionValue> {
        let night = self.night[at].as_ref()?.result();
        let day = self.day[at].as_ref()?.result();
        let turn = night.axis_deg.unwrap_or(0) - day.axis_deg.unwrap_or(0);
        let turn = (turn + 270).rem_euclid(180) - 90;
        Some(RefractionValue {
            sphere: Hundredths(night.sphere.0 - day.sphere.0),
            cylinder: Hundredths(night.cylinder.0 - day.cylinder.0),
            axis_deg: Some(turn),
            spherical_equivalent: None,
        })
    }

    fn differences(&self) -> Vec<String> {
        let one = |at: usize| {
            let value = self.difference(at)?;
            let (sphere, cylinder) = (signed(value.sphere), signed(value.cylinder));
            let turn = value.axis_deg.unwrap_or(0);
            let sign = if turn < 0 { '-' } else { '+' };
            Some(format!("D{}{sphere}{cylinder}{sign}{:02}", SIDES[at].1, turn.unsigned_abs()))
        };
        [1, 0].into_iter().filter_map(one).collect()
    }

    /// What a reading of it has to hold.
    pub fn measurements(&self) -> Vec<Measurement> {
        let mut all = self.refractions(Light::Night);
        let difference = |at: usize| {
            let value = self.difference(at)?;
            let kind = RefractionKind::NightMinusDay;
            Some(of(at, Measured::Refraction(self.converted(kind, Light::Night, value))))
        };
        all.extend([0, 1].into_iter().filter_map(difference));
        all.extend(self.refractions(Light::Day));
        let kinds = [
            (self.contact_lens, RefractionKind::ContactLensEquivalent),
            (self.trial_lens, RefractionKind::TrialLens),
        ];
        for (_, kind) in kinds.into_iter().filter(|(is_sent, _)| *is_sent) {
            for (at, eye) in self.day.iter().enumerate() {
                let Some(eye) = eye else { continue };
                let refraction = self.converted(kind, Light::Day, eye.result());
                all.push(of(at, Measured::Refraction(refraction)));
            }
        }
        if let Some(mut distance) = self.distance {
            distance.working_distance_cm = distance.near_mm.map(|_| self.working_distance_cm);
            let measured = Measured::PupillaryDistance(distance);
            all.push(Measurement::without_token(Eye::Both, measured));
        }
        all.extend(cornea_measurements(&self.cornea, None));
        all
    }

    fn refractions(&self, light: Light) -> Vec<Measurement> {
        let eyes = if light == Light::Day { &self.day } else { &self.night };
        let one = |(at, eye): (usize, &Option<RefractedEye>)| {
            let eye = eye.as_ref()?;
            let refraction = Refraction {
                representative: eye
                    .median
                    .map(|value| Representative { label: "median".into(), value }),
                shots: eye.shots.iter().map(|(value, grade)| graded(*value, *grade)).collect(),
                ..self.bare(RefractionKind::Autorefraction, light)
            };
            Some(of(at, Measured::Refraction(refraction)))
        };
        eyes.iter().enumerate().filter_map(one).collect()
    }

    fn bare(&self, kind: RefractionKind, light: Light) -> Refraction {
        Refraction {
            light,
            vertex_distance_mm: Some(self.vertex_distance_mm),
            working_distance_cm: Some(self.working_distance_cm),
            ..Refraction::new(kind)
        }
    }

    fn converted(&self, kind: RefractionKind, light: Light, value: RefractionValue) -> Refraction {
        let representative = Some(Representative { label: "converted".into(), value });
        let refraction = Refraction { representative, ..self.bare(kind, light) };
        if kind == RefractionKind::ContactLensEquivalent {
            return Refraction {
                vertex_distance_mm: None,
                working_distance_cm: None,
                ..refraction
            };
        }
        refraction
    }
}

fn graded(value: RefractionValue, grade: char) -> Shot<RefractionValue> {
    let confidence = Confidence {
        as_sent: grade.to_string(),
        scale: "NIDEK 1-9".into(),
        low: matches!(grade, '1'..='4' | 'E'),
    };
    Shot { confidence: Some(confidence), ..Shot::of(value) }
}

fn of(at: usize, measured: Measured) -> Measurement {
    let (eye, letter) = SIDES[at];
    Measurement::of(eye, &letter.to_string(), measured)
}

const PLANO: RefractionValue = RefractionValue {
    sphere: Hundredths::ZERO,
    cylinder: Hundredths::ZERO,
    axis_deg: None,
    spherical_equivalent: None,
};

/// Sphere, cylinder, axis; the axis of no cylinder is printed as zeros.
fn columns(value: RefractionValue) -> String {
    let axis = value.axis_deg.unwrap_or(0);
    format!("{}{}{axis:03}", signed(value.sphere), signed(value.cylinder))
}

/// The left eye is printed first.
fn lines(eyes: &[Option<RefractedEye>; 2], code: &str) -> Vec<String> {
    let mut segments = Vec::new();
    for (at, (_, side)) in SIDES.into_iter().enumerate().rev() {
        let Some(eye) = &eyes[at] else { continue };
        segments.extend(eye.median.map(|value| format!("{code}{side}{}", columns(value))));
        let shots = eye.shots.iter();
        segments
            .extend(shots.map(|(value, grade)| format!("{code}{side}{}{grade} ", columns(*value))));
    }
    segments
}

fn distance_segment(distance: &PupillaryDistance) -> String {
    let parts = [distance.far_mm, distance.right_mm, distance.left_mm, distance.near_mm];
    let digits = parts.map(|part| match part {
        Some(mm) => format!("{:02}", mm.0 / 100),
        None => "??".to_owned(),
    });
    if parts[1..].iter().all(Option::is_none) {
        format!("PD{}", digits[0])
    } else {
        format!("PD{}", digits.concat())
    }
}

/// Curves of both eyes, left first, then sizes.
pub(super) fn cornea_segments(eyes: &[Option<CurvedEye>; 2]) -> Vec<String> {
    let mut segments = Vec::new();
    let sides = || {
        let sides = SIDES.into_iter().zip(eyes).rev();
        sides.filter_map(|((_, side), eye)| Some((side, eye.as_ref()?)))
    };
    for (side, eye) in sides() {
        for curve in &eye.curves {
            let (flat, steep) = (unsigned(curve.flat_mm), unsigned(curve.steep_mm));
            let (axis, mean) = (curve.axis_deg, unsigned(curve.mean_mm));
            segments.push(format!(" {side}{flat}{steep}{axis:03}{mean}"));
            let (flat, steep) = (unsigned(curve.flat), unsigned(curve.steep));
            let (mean, cylinder) = (unsigned(curve.mean), signed(curve.cylinder));
            segments.push(format!("D{side}{flat}{steep}{axis:03}{mean}{cylinder}"));
        }
    }
    for (side, eye) in sides() {
        segments.extend(eye.size_mm.map(|size| format!("S{side}{}", one_decimal(size))));
        segments.extend(eye.pupil_mm.map(|size| format!("P{side}{}N", one_decimal(size))));
    }
    segments
}

/// What a reading holds of one ring.
pub(super) fn cornea_measurements(
    eyes: &[Option<CurvedEye>; 2],
    mire: Option<&str>,
) -> Vec<Measurement> {
    let sides = || eyes.iter().enumerate().filter_map(|(at, eye)| Some((at, eye.as_ref()?)));
    let mut all = Vec::new();
    for (at, eye) in sides() {
        let mut values = eye.curves.iter().map(Curve::value);
        let Some(value) = values.next() else { continue };
        let keratometry = Keratometry {
            mire: mire.map(str::to_owned),
            refractive_index: None,
            dioptre_step: None,
            representative: Some(Representative { label: "result".into(), value }),
            shots: values.map(Shot::of).collect(),
        };
        all.push(of(at, Measured::Keratometry(keratometry)));
    }
    for (at, eye) in sides() {
        let size = eye.size_mm.map(|diameter_mm| CornealSize { diameter_mm });
        all.extend(size.map(|size| of(at, Measured::CornealSize(size))));
    }
    for (at, eye) in sides() {
        let state_as_sent = Some("N".to_owned());
        let size = eye.pupil_mm.map(|diameter_mm| PupilSize { diameter_mm, state_as_sent });
        all.extend(size.map(|size| of(at, Measured::PupilSize(size))));
    }
    all
}

impl RefractedEye {
    /// Three to five shots, rarely one; now and then an unsure one.
    pub fn random(dice: &mut Dice) -> Self {
        let step = [25, 25, 12, 1][dice.between(0, 3) as usize];
        let sphere = dice.stepped(-900, 500, step);
        let cylinder = if dice.once_in(6) { 0 } else { -dice.stepped(0, 350, step) };
        let axis = dice.between(1, 180);
        let count = if dice.once_in(8) { 1 } else { dice.between(3, 5) };
        let one = |dice: &mut Dice, spread: i32| {
            let turn = dice.between(-3 * spread, 3 * spread);
            let cylinder = (cylinder + dice.between(-spread, spread) * step).min(0);
            RefractionValue {
                sphere: Hundredths(sphere + dice.between(-spread, spread) * step),
                cylinder: Hundredths(cylinder),
                axis_deg: (cylinder != 0).then_some(((axis + turn - 1).rem_euclid(180) + 1) as i16),
                spherical_equivalent: None,
            }
        };
        let median = (count > 1).then(|| one(dice, 0));
        let grade = |dice: &mut Dice| {
            let lowest = if dice.once_in(12) { 2 } else { 6 };
            match dice.between(lowest, 9) {
                2 => 'E',
                digit => char::from(b'0' + digit as u8),
            }
        };
        let shots = (0..count).map(|_| (one(dice, 1), grade(dice))).collect();
        Self { median, shots }
    }

    /// The median, or the only shot.
    fn result(&self) -> RefractionValue {
        let first = self.shots.first().map(|(value, _)| *value);
        self.median.or(first).unwrap_or(PLANO)
    }
}

impl CurvedEye {
    pub fn random(dice: &mut Dice) -> Self {
        let flat = dice.between(720, 850);
        let gap = dice.between(0, 35);
        let axis = dice.between(1, 180);
        let curves = (0..dice.between(1, 3)).map(|shot| Curve::new(flat + shot, gap, axis as i16));
        Self {
            curves: curves.collect(),
            size_mm: Some(Hundredths(dice.stepped(1080, 1260, 10))),
            pupil_mm: Some(Hundredths(dice.stepped(280, 690, 10))),
        }
    }
}

impl Curve {
    /// Powers as an instrument prints them: 337.5 over the radius, in quarters.
    pub fn new(flat_mm: i32, gap_mm: i32, axis_deg: i16) -> Self {
        let power = |radius: i32| (3_375_000 / radius + 12) / 25 * 25;
        let (steep_mm, mean_mm) = (flat_mm - gap_mm, flat_mm - gap_mm / 2);
        let (flat, steep) = (power(flat_mm), power(steep_mm));
        Self {
            flat_mm: Hundredths(flat_mm),
            steep_mm: Hundredths(steep_mm),
            mean_mm: Hundredths(mean_mm),
            axis_deg,
            flat: Hundredths(flat),
            steep: Hundredths(steep),
            mean: Hundredths(power(mean_mm)),
            cylinder: Hundredths(flat - steep),
        }
    }

    fn value(&self) -> KeratometryValue {
        let flat = (Some(self.flat_mm), Some(self.flat), Some(self.axis_deg));
        let steep = (Some(self.steep_mm), Some(self.steep), None);
        let meridian = |(radius_mm, power, axis_deg)| Meridian { radius_mm, power, axis_deg };
        KeratometryValue {
            r1: meridian(flat),
            r2: meridian(steep),
            average_mm: Some(self.mean_mm),
            average_power: Some(self.mean),
            cylinder: Some(self.cylinder),
            cylinder_axis_deg: None,
        }
    }
}
