//! Instruments that write DICOM objects of measurements.

use super::{
    Knob, Knobs, SimPrint, Simulator,
    dice::Dice,
    dicom_file::{Head, Set, Style},
    nidek_wire::some_time,
};
use chiasm_proto::{
    AcuityCondition, Base, Biometry, CornealSize, Correction, Eye, Hundredths, Keratometry,
    KeratometryValue, Lensometry, Measured, Measurement, Meridian, OtherTest, OtherValue, Prism,
    PrismComponent, PupilSize, PupillaryDistance, Refraction, RefractionKind, RefractionValue,
    Representative, Vision, VisualAcuity,
};

const DRIVER: &str = "dicom_measurements";
const VENDOR: &str = "DICOM";
const ROOT: &str = "1.2.840.10008.5.1.4.1.1.78";
const EYES: [Eye; 2] = [Eye::Right, Eye::Left];

macro_rules! simulator {
    ($name:ident, $model:literal, $print:ident, [$($knob:ident),*]) => {
        pub static $name: Simulator = Simulator {
            driver: DRIVER,
            vendor: VENDOR,
            model: $model,
            knobs: &[$(Knob::$knob),*],
            print: $print,
        };
    };
}
simulator!(AR, "AR object", ar, [OneEye, MissingPd, Extremes, PlusCylinder, PatientId, ClockUnset]);
simulator!(KER, "KER object", ker, [OneEye, Extremes, PatientId]);
simulator!(LEN, "LEN object", len, [OneEye, Extremes, PlusCylinder, Prism, SingleLens]);
simulator!(SRF, "SRF object", srf, [OneEye, MissingPd, Extremes, PlusCylinder, Prism, PatientId]);
simulator!(VA, "VA object", va, [OneEye, PatientId]);
simulator!(OAM, "OAM object", oam, [OneEye, Extremes, PatientId]);

/// An object that is being printed.
struct Printing<'k> {
    dice: Dice,
    knobs: &'k Knobs,
    style: Style,
    seed: u64,
    measurements: Vec<Measurement>,
}

impl<'k> Printing<'k> {
    fn new(seed: u64, knobs: &'k Knobs, salt: u64) -> Self {
        let mut dice = Dice::new(seed ^ salt);
        let style = Style { implicit: dice.once_in(3), undefined: dice.once_in(3) };
        Self { dice, knobs, style, seed, measurements: vec![] }
    }

    fn add(&mut self, eye: Eye, measured: Measured) {
        self.measurements.push(Measurement::without_token(eye, measured));
    }

    fn set(&self) -> Set {
        Set::new(self.style)
    }

    fn print(
        mut self,
        class: u8,
        modality: &str,
        put: impl FnOnce(&mut Self, Set) -> Set,
    ) -> SimPrint {
        let at = some_time(&mut self.dice);
        let date = at.strftime("%Y%m%d").to_string();
        let date = if self.knobs.clock_unset { "20000101" } else { &date };
        let time = at.strftime("%H%M%S").to_string();
        let class_uid = format!("{ROOT}.{class}");
        let instance_uid = format!("2.25.{}", self.seed | 1);
        let laterality = match self.knobs.only_eye {
            _ if self.knobs.single_lens && modality == "LEN" => "",
            Some(Eye::Right) => "R",
            Some(Eye::Left) => "L",
            _ => "B",
        };
        let head = Head {
            class_uid: &class_uid,
            instance_uid: &instance_uid,
            modality,
            patient_id: self.knobs.patient_id.as_deref().unwrap_or_default(),
            content: (date, &time),
            laterality,
        };
        let set = head.set(self.style);
        let set = put(&mut self, set);
        SimPrint {
            bytes: set.file(&class_uid, &instance_uid),
            file_name: Some(format!("{modality}_{:05}.dcm", self.seed % 100_000)),
            running_number: None,
            patient_id: self.knobs.patient_id.clone(),
            measurements: self.measurements,
        }
    }

    /// Sphere and cylinder in quarters of a dioptre, and an axis.
    fn powers(&mut self) -> (Set, RefractionValue) {
        let limit = if self.knobs.extremes { 2975 } else { 800 };
        let sphere = Hundredths(self.dice.stepped(-limit, limit, 25));
        let cylinder = self.dice.stepped(0, if self.knobs.extremes { 975 } else { 350 }, 25);
        let cylinder = if self.knobs.plus_cylinder { cylinder } else { -cylinder };
        let axis = self.dice.between(0, 180) as i16;
        let has_cylinder = cylinder != 0;
        let mut set = self.set().hundredths((0x46, 0x146), sphere.0);
        if has_cylinder {
            let inside = self.set().fl((0x22, 9), f32::from(axis));
            set = set.item((0x46, 0x18), inside.hundredths((0x46, 0x147), cylinder));
        }
        let value = RefractionValue {
            sphere,
            cylinder: Hundredths(cylinder),
            axis_deg: has_cylinder.then_some(axis),
            spherical_equivalent: None,
        };
        (set, value)
    }

    fn distances(&mut self, set: Set) -> Set {
        let far = self.dice.stepped(5600, 7200, 50);
        let near = self.dice.once_in(2).then(|| far - 300);
        if self.knobs.missing_pd {
            return set;
        }
        let distance = PupillaryDistance {
            far_mm: Some(Hundredths(far)),
            near_mm: near.map(Hundredths),
            ..PupillaryDistance::default()
        };
        self.add(Eye::Both, Measured::PupillaryDistance(distance));
        set.hundredths((0x46, 0x60), far).with(near, |set, near| set.hundredths((0x46, 0x62), near))
    }

    /// Both components, with the bases that the knobs say or that chance does.
    fn prism(&mut self, set: Set) -> (Set, Option<Prism>) {
        let bases = self.knobs.prism;
        let [horizontal, vertical] = [0, 1].map(|_| self.dice.stepped(25, 600, 25));
        let Some((to_side, up_or_down)) = bases else { return (set, None) };
        let prism = self
            .set()
            .hundredths((0x46, 0x30), horizontal)
            .text((0x46, 0x32), "CS", if to_side == Base::In { "IN" } else { "OUT" })
            .hundredths((0x46, 0x34), vertical)
            .text((0x46, 0x36), "CS", if up_or_down == Base::Up { "UP" } else { "DOWN" });
        let component = |amount, base| PrismComponent { amount: Hundredths(amount), base };
        let value = Prism {
            horizontal: Some(component(horizontal, to_side)),
            vertical: Some(component(vertical, up_or_down)),
            ..Prism::default()
        };
        (set.item((0x46, 0x28), prism), Some(value))
    }
}

fn result<V>(value: V) -> Option<Representative<V>> {
    Some(Representative { label: "result".into(), value })
}

fn ar(seed: u64, knobs: &Knobs) -> SimPrint {
    Printing::new(seed, knobs, 0x4152).print(2, "AR", |it, mut set| {
        for (eye, tag) in EYES.into_iter().zip([0x50, 0x52]) {
            let (item, value) = it.powers();
            let pupil = it.dice.stepped(250, 750, 10);
            let cornea = it.dice.once_in(3).then(|| it.dice.stepped(1080, 1320, 10));
            if !knobs.measures(eye) {
                continue;
            }
            let item = item
                .fd((0x22, 0xF), 12.0)
                .hundredths((0x46, 0x44), pupil)
                .with(cornea, |set, cornea| set.hundredths((0x46, 0x46), cornea));
            set = set.item((0x46, tag), item);
            it.add(
                eye,
                Measured::Refraction(Refraction {
                    vertex_distance_mm: Some(Hundredths(1200)),
                    representative: result(value),
                    ..Refraction::new(RefractionKind::Autorefraction)
                }),
            );
            let size = PupilSize { diameter_mm: Hundredths(pupil), state_as_sent: None };
            it.add(eye, Measured::PupilSize(size));
            if let Some(cornea) = cornea {
                let diameter_mm = Hundredths(cornea);
                it.add(eye, Measured::CornealSize(CornealSize { diameter_mm }));
            }
        }
        it.distances(set)
    })
}

fn srf(seed: u64, knobs: &Knobs) -> SimPrint {
    Printing::new(seed, knobs, 0x5352).print(4, "SRF", |it, mut set| {
        for (eye, tag) in EYES.into_iter().zip([0x97, 0x98]) {
            let (item, value) = it.powers();
            let (item, prism) = it.prism(item);
            let add = it.dice.stepped(75, 300, 25);
            let add = it.dice.once_in(2).then_some(add);
            if !knobs.measures(eye) {
                continue;
            }
            let item = item.with(add, |set, add| {
                let inside = it.set().hundredths((0x46, 0x104), add);
                set.item((0x46, 0x100), inside)
            });
            set = set.item((0x46, tag), item);
            it.add(
                eye,
                Measured::Refraction(Refraction {
                    representative: result(value),
                    add: add.map(Hundredths),
                    prism,
                    ..Refraction::new(RefractionKind::Subjective)
                }),
            );
        }
        it.distances(set)
    })
}

fn len(seed: u64, knobs: &Knobs) -> SimPrint {
    Printing::new(seed, knobs, 0x4C45).print(1, "LEN", |it, mut set| {
        let description = ["Progressive", "Single vision"][it.dice.between(0, 1) as usize];
        set = set.text((0x46, 0x12), "LO", description);
        let lenses = [(Eye::Right, 0x14), (Eye::Left, 0x15)];
        let single = [(Eye::NotGiven, 0x16)];
        let lenses = if knobs.single_lens { single.as_slice() } else { lenses.as_slice() };
        for (eye, tag) in lenses {
            let (item, value) = it.powers();
            let (item, prism) = it.prism(item);
            let add = it.dice.stepped(75, 300, 25);
            if *eye != Eye::NotGiven && !knobs.measures(*eye) {
                continue;
            }
            let inside = it.set().hundredths((0x46, 0x104), add);
            set = set.item((0x46, *tag), item.item((0x46, 0x100), inside));
            let lens = Lensometry {
                sphere: Some(value.sphere),
                cylinder: value.axis_deg.map(|_| value.cylinder),
                axis_deg: value.axis_deg,
                add: Some(Hundredths(add)),
                prism,
                lens_type: Some(description.into()),
                ..Lensometry::default()
            };
            it.add(*eye, Measured::Lensometry(lens));
        }
        set
    })
}

fn ker(seed: u64, knobs: &Knobs) -> SimPrint {
    Printing::new(seed, knobs, 0x4B45).print(3, "KER", |it, mut set| {
        for (eye, tag) in EYES.into_iter().zip([0x70, 0x71]) {
            let (flat, steep) = if knobs.extremes {
                (it.dice.between(950, 1300), it.dice.between(500, 640))
            } else {
                (it.dice.between(780, 830), it.dice.between(720, 779))
            };
            let axis = it.dice.between(0, 180);
            if !knobs.measures(eye) {
                continue;
            }
            let meridian = |radius: i32, axis_deg: i32| {
                let power = (33_750_000 / radius + 50) / 100 * 100 / 100;
                let item = it
                    .set()
                    .hundredths((0x46, 0x75), radius)
                    .hundredths((0x46, 0x76), power)
                    .fd((0x46, 0x77), f64::from(axis_deg));
                let value = Meridian {
                    radius_mm: Some(Hundredths(radius)),
                    power: Some(Hundredths(power)),
                    axis_deg: Some(axis_deg as i16),
                };
                (item, value)
            };
            let (flat, r1) = meridian(flat, axis);
            let (steep, r2) = meridian(steep, (axis + 90) % 180);
            let item = it.set().item((0x46, 0x80), flat).item((0x46, 0x74), steep);
            set = set.item((0x46, tag), item);
            let value = KeratometryValue { r1, r2, ..KeratometryValue::default() };
            let representative = result(value);
            let measured = Keratometry { representative, ..Keratometry::default() };
            it.add(eye, Measured::Keratometry(measured));
        }
        set
    })
}

fn va(seed: u64, knobs: &Knobs) -> SimPrint {
    Printing::new(seed, knobs, 0x5641).print(5, "VA", |it, set| {
        let (code, correction) = [
            (("DCM", "111686", "Habitual Visual Acuity"), Correction::Wearing),
            (("SCT", "419775003", "Best corrected visual acuity"), Correction::Corrected),
            (("SCT", "420050001", "Uncorrected visual acuity"), Correction::Unaided),
        ][it.dice.between(0, 2) as usize];
        let (word, vision) = match it.dice.once_in(3) {
            true => ("NEAR", Vision::Near),
            false => ("DISTANCE", Vision::Far),
        };
        let mut set = set
            .code((0x46, 0x121), code)
            .text((0x46, 0x125), "CS", word)
            .text((0x46, 0x92), "CS", "WHITE")
            .text((0x46, 0x94), "CS", "LETTERS")
            .text((0x46, 0x95), "CS", "MULTIPLE");
        for (eye, tag) in EYES.into_iter().zip([0x122, 0x123]) {
            let decimal = it.dice.stepped(5, 200, 5);
            let letters = it.dice.once_in(3).then(|| it.dice.between(-2, 2) as i16);
            if !knobs.measures(eye) {
                continue;
            }
            let item = it.set().hundredths((0x46, 0x137), decimal).with(letters, |set, letters| {
                let both = [letters.to_le_bytes(), 0_i16.to_le_bytes()].concat();
                set.raw((0x46, 0x135), "SS", &both)
            });
            set = set.item((0x46, tag), item);
            let as_sent = format!("{}", f64::from(decimal) / 100.0);
            it.add(
                eye,
                Measured::VisualAcuity(VisualAcuity {
                    correction,
                    vision,
                    condition: AcuityCondition::Standard,
                    as_sent,
                    letters_as_sent: letters.map(|letters| format!("{letters}\\0")),
                    notation: Some("Decimal".into()),
                }),
            );
        }
        set
    })
}

fn oam(seed: u64, knobs: &Knobs) -> SimPrint {
    Printing::new(seed, knobs, 0x4F41).print(7, "OAM", |it, set| {
        let mut set = set.text((0x22, 0x1009), "CS", "OPTICAL");
        for (eye, tag) in EYES.into_iter().zip([0x1007, 0x1008]) {
            let range = if knobs.extremes { [1402, 3798] } else { [2100, 2700] };
            let length = it.dice.between(range[0], range[1]);
            let lens = it.dice.between(340, 520);
            let shots = [0, 1, 2].map(|_| length + it.dice.between(-2, 2));
            if !knobs.measures(eye) {
                continue;
            }
            let single = |hundredths: i32| f64::from(hundredths) as f32 / 100.0;
            let length_item = |hundredths| it.set().fl((0x22, 0x1019), single(hundredths));
            let total = it.set().item((0x22, 0x1260), length_item(length));
            let measured =
                shots.map(|shot| it.set().item((0x22, 0x1210), length_item(shot))).to_vec();
            let thickness = it.set().fl((0x22, 0x1130), single(lens));
            let item = it
                .set()
                .code((0x22, 0x1024), ("SCT", "259292005", "Phakic"))
                .items((0x22, 0x1050), measured)
                .item((0x22, 0x1127), thickness)
                .item((0x22, 0x1255), total);
            set = set.item((0x22, tag), item);
            let biometry = Biometry {
                axial_length_mm: Some(Hundredths(length)),
                aqueous_depth_mm: None,
                lens_thickness_mm: Some(Hundredths(lens)),
                lens_status_as_sent: Some("Phakic".into()),
            };
            let biometry = Measurement::without_token(eye, Measured::Biometry(biometry));
            it.measurements.push(biometry.in_set("optical"));
            let value = |shot: i32| OtherValue {
                name: "measured length, total".into(),
                as_sent: format!("{}", single(shot)),
                unit: Some("mm".into()),
            };
            let values = shots.map(value).to_vec();
            let (code, name) = ("OAM".into(), "axial measurements".into());
            it.add(eye, Measured::OtherTest(OtherTest { code, name, values }));
        }
        set
    })
}
