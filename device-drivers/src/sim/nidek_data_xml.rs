//! NIDEK instruments that write `<Data>` files: an ARK, an NT, a TONOREF.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice, nidek_wire::some_time};
use chiasm_proto::{
    AcuityCondition, Confidence, CornealSize, CorrectedIop, Correction, CylinderMode, Eye,
    Hundredths, IopValue, Keratometry, KeratometryValue, Measured, Measurement, Meridian,
    Pachymetry, PupilSize, PupillaryDistance, Refraction, RefractionKind, RefractionValue,
    Representative, Shot, Tonometry, TonometryMethod, Vision, VisualAcuity,
};
use jiff::civil::datetime;

pub static ARK1S: Simulator = simulator("ARK-1s (LAN)", REFRACTING, |seed, knobs| {
    print("ARK-1s", (true, false), seed, knobs)
});
pub static NT530P: Simulator =
    simulator("NT-530P (LAN)", PUFFING, |seed, knobs| print("NT-530P", (false, true), seed, knobs));
pub static TONOREF3: Simulator = simulator("TONOREF III (LAN)", REFRACTING, |seed, knobs| {
    print("TONOREF III", (true, true), seed, knobs)
});

const PUFFING: &[Knob] =
    &[Knob::OneEye, Knob::FailedShots, Knob::Extremes, Knob::PatientId, Knob::ClockUnset];
const REFRACTING: &[Knob] = &[
    Knob::OneEye,
    Knob::FailedShots,
    Knob::LowConfidence,
    Knob::MissingPd,
    Knob::Extremes,
    Knob::PlusCylinder,
    Knob::PatientId,
    Knob::ClockUnset,
];

const fn simulator(
    model: &'static str,
    knobs: &'static [Knob],
    print: fn(u64, &Knobs) -> SimPrint,
) -> Simulator {
    Simulator { driver: "nidek_data_xml", vendor: "NIDEK", model, knobs, print }
}

/// The file as it grows, and what has to be read from it.
struct File<'k> {
    text: String,
    dice: Dice,
    knobs: &'k Knobs,
    measurements: Vec<Measurement>,
    side: (Eye, &'static str),
}

fn print(model: &str, (refracts, puffs): (bool, bool), seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4441_5441 ^ model.len() as u64);
    let at = some_time(&mut dice);
    let at = if knobs.clock_unset { datetime(2000, 1, 1, 0, 3, 0, 0) } else { at };
    let number = format!("{:04}", seed % 10_000);
    let id = format!("{:<14}", knobs.patient_id.as_deref().unwrap_or(""));
    let side = (Eye::Both, "");
    let mut file = File { text: String::new(), dice, knobs, measurements: vec![], side };
    file.line("<?xml version=\"1.0\" encoding=\"UTF-16\"?>");
    file.line("<?xml-stylesheet type=\"text/xsl\" href=\"RKT_style.xsl\"?>");
    file.line("<Data>");
    for (name, text) in [("Company", "NIDEK"), ("ModelName", model), ("Version", "1.01")] {
        file.leaf(name, text);
    }
    file.leaf("Date", at.strftime("%Y/%m/%d").to_string());
    file.leaf("Time", at.strftime("%H:%M:%S").to_string());
    file.line(&format!("<Patient><No.>{number}</No.><ID>{id}</ID></Patient>"));
    file.leaf("Comment", format!("     NIDEK {model}      "));
    if refracts {
        file.settings();
    }
    for side in [(Eye::Right, "R"), (Eye::Left, "L")] {
        file.side = side;
        file.line(&format!("<{}>", side.1));
        if knobs.measures(side.0) && refracts {
            file.refraction();
            file.acuity();
            file.keratometry("ø2.4mm");
            file.keratometry("Φ3.3mm");
            file.sizes();
        }
        if knobs.measures(side.0) && puffs {
            file.pressure();
        }
        file.line(&format!("</{}>", side.1));
    }
    if refracts && !knobs.missing_pd {
        file.distance();
    }
    file.line("</Data>");
    let prefix = if refracts { "ARK" } else { "NTP" };
    SimPrint {
        bytes: utf_16(&file.text),
        file_name: Some(format!("{prefix}_{id}_{}.xml", at.strftime("%Y%m%d%H%M%S"))),
        running_number: Some(number),
        patient_id: knobs.patient_id.clone(),
        measurements: file.measurements,
    }
}

fn utf_16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// With a sign, or without one where the number is positive.
fn signed(value: Hundredths) -> String {
    if value.0 % 2 == 0 { format!("{value:+}") } else { value.to_string() }
}

fn tenths(value: Hundredths) -> String {
    format!("{}.{}", value.0 / 100, value.0 % 100 / 10)
}

impl File<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push_str("\r\n");
    }
    fn leaf(&mut self, name: &str, text: impl AsRef<str>) {
        let text = text.as_ref();
        self.line(&format!("\t<{name}>{text}</{name}>"));
    }
    fn push(&mut self, measured: Measured) {
        self.measurements.push(Measurement::of(self.side.0, self.side.1, measured));
    }
    fn cylinder_mode(&self) -> (CylinderMode, &'static str) {
        if self.knobs.plus_cylinder {
            (CylinderMode::Plus, "+")
        } else {
            (CylinderMode::Minus, "-")
        }
    }

    fn settings(&mut self) {
        self.leaf("VD", "12.00 mm");
        self.leaf("WorkingDistance", "40 cm");
        self.leaf("DiopterStep", "0.01D");
        self.leaf("AxisStep", "1°");
        self.leaf("CylinderMode", self.cylinder_mode().1);
        self.leaf("RefractiveIndex", "1.3375");
    }

    fn value(&mut self) -> RefractionValue {
        let (mut sphere, mut cylinder) =
            (self.dice.between(-900, 600), self.dice.between(-300, -10));
        let mut axis = self.dice.between(1, 180);
        if self.knobs.extremes {
            (sphere, cylinder) = (if sphere < 0 { -2999 } else { 2499 }, -1200);
        }
        if self.knobs.plus_cylinder {
            (sphere, cylinder, axis) = (sphere + cylinder, -cylinder, (axis + 89) % 180 + 1);
        }
        if self.dice.once_in(8) {
            cylinder = 0;
        }
        let twice = 2 * sphere + cylinder;
        let half = if twice < 0 { (twice - 1) / 2 } else { (twice + 1) / 2 };
        RefractionValue {
            sphere: Hundredths(sphere),
            cylinder: Hundredths(cylinder),
            axis_deg: (cylinder != 0).then_some(axis as i16),
            spherical_equivalent: Some(Hundredths(half)),
        }
    }

    fn write_value(&mut self, value: &RefractionValue) {
        self.leaf("Sphere", signed(value.sphere));
        self.leaf("Cylinder", signed(value.cylinder));
        self.leaf("Axis", value.axis_deg.unwrap_or(0).to_string());
        if let Some(equivalent) = value.spherical_equivalent {
            self.leaf("SE", signed(equivalent));
        }
    }

    fn refraction(&mut self) {
        let cylinder_mode = Some(self.cylinder_mode().0);
        let conditions = |kind| Refraction { cylinder_mode, ..Refraction::new(kind) };
        let placed = |kind| Refraction {
            vertex_distance_mm: Some(Hundredths(1200)),
            working_distance_cm: Some(Hundredths(4000)),
            ..conditions(kind)
        };
        let mut measured = Refraction {
            dioptre_step: Some(Hundredths(1)),
            axis_step_deg: Some(1),
            ..placed(RefractionKind::Autorefraction)
        };
        self.line("<AR>");
        for no in 1..=self.dice.between(1, 4) as u32 {
            let value = self.value();
            let is_low = self.knobs.low_confidence && no == 1;
            let confidence = if is_low { "3".to_owned() } else { (10 - no).to_string() };
            self.line(&format!("<ARList No = \"{no}\">"));
            self.write_value(&value);
            self.leaf("CataractMode", "OFF");
            self.leaf("ConfidenceIndex", &confidence);
            self.line("</ARList>");
            let scale = "NIDEK 1-9".to_owned();
            let confidence = Some(Confidence { as_sent: confidence, scale, low: is_low });
            measured.shots.push(Shot { no: Some(no), confidence, ..Shot::of(value) });
        }
        if self.knobs.failed_shots {
            self.line("<ARList No = \"9\"><Error>COVR </Error></ARList>");
            measured.shots.push(Shot { no: Some(9), ..Shot::failed("COVR") });
        }
        let trial = RefractionValue { spherical_equivalent: None, ..self.value() };
        let mut all = vec![];
        for (name, label, value, mut refraction) in [
            ("ARMedian", "median", self.value(), measured),
            ("TrialLens", "converted", trial, placed(RefractionKind::TrialLens)),
            (
                "ContactLens",
                "converted",
                self.value(),
                conditions(RefractionKind::ContactLensEquivalent),
            ),
        ] {
            self.line(&format!("<{name}>"));
            self.write_value(&value);
            self.line(&format!("</{name}>"));
            refraction.representative = Some(Representative { label: label.into(), value });
            all.push(refraction);
        }
        self.leaf("RingImage", "ARK_RA1.jpg");
        self.line("</AR>");
        all.into_iter().for_each(|refraction| self.push(Measured::Refraction(refraction)));
    }

    fn acuity(&mut self) {
        let as_sent = format!("0.{}", self.dice.between(1, 9));
        self.line(&format!("<VA><UCVA>{as_sent}</UCVA><BCVA></BCVA></VA>"));
        let acuity = VisualAcuity {
            correction: Correction::Unaided,
            vision: Vision::Far,
            condition: AcuityCondition::Standard,
            as_sent,
            letters_as_sent: None,
            notation: None,
        };
        self.push(Measured::VisualAcuity(acuity));
        let last = self.measurements.pop().map(|measurement| measurement.in_set("UCVA"));
        self.measurements.extend(last);
    }

    fn keratometry(&mut self, ring: &str) {
        let flat = self.dice.between(720, 830);
        let (radii, axis) =
            ([flat, flat - self.dice.between(1, 40)], self.dice.between(1, 90) as i16);
        let mut meridians = radii.map(|radius| Meridian {
            radius_mm: Some(Hundredths(radius)),
            power: Some(Hundredths((3_375_000 + radius / 2) / radius)),
            axis_deg: Some(axis),
        });
        meridians[1].axis_deg = Some(axis + 90);
        let power = |meridian: Meridian| meridian.power.map_or(0, |power| power.0);
        let difference = power(meridians[0]) - power(meridians[1]);
        let value = KeratometryValue {
            r1: meridians[0],
            r2: meridians[1],
            average_mm: None,
            average_power: None,
            cylinder: Some(Hundredths(difference)),
            cylinder_axis_deg: (difference != 0).then_some(axis),
        };
        self.line(&format!("<KM condition=\"{ring}\">"));
        for name in ["KMList No = \"1\"", "KMMedian"] {
            self.line(&format!("<{name}>"));
            for (name, meridian) in [("R1", meridians[0]), ("R2", meridians[1])] {
                let radius = meridian.radius_mm.unwrap_or_default();
                let power = meridian.power.unwrap_or_default();
                let axis = meridian.axis_deg.unwrap_or(0);
                self.line(&format!("<{name}><Radius>{radius}</Radius><Power>{power}</Power>"));
                self.line(&format!("<Axis>{axis}</Axis></{name}>"));
            }
            self.line("<Average><Radius></Radius><Power/></Average>");
            let cylinder = signed(Hundredths(difference));
            self.line(&format!("<KMCylinder><Power>{cylinder}</Power><Axis>{axis}</Axis>"));
            self.line("</KMCylinder>");
            self.line(if name == "KMMedian" { "</KMMedian>" } else { "</KMList>" });
        }
        self.line("</KM>");
        self.push(Measured::Keratometry(Keratometry {
            mire: Some(ring.to_owned()),
            refractive_index: Some("1.3375".into()),
            dioptre_step: None,
            representative: Some(Representative { label: "median".into(), value: value.clone() }),
            shots: vec![Shot { no: Some(1), ..Shot::of(value) }],
        }));
    }

    fn sizes(&mut self) {
        let cornea = Hundredths(self.dice.stepped(1050, 1300, 10));
        let pupil = Hundredths(self.dice.stepped(250, 800, 10));
        self.line(&format!("<CS><CSList No = \"1\"><Size>{}</Size></CSList></CS>", tenths(cornea)));
        self.line(&format!("<PS><PSList No = \"1\"><Size>{}</Size>", tenths(pupil)));
        self.line("<Lamp>OFF</Lamp></PSList></PS>");
        self.push(Measured::CornealSize(CornealSize { diameter_mm: cornea }));
        let state_as_sent = Some("OFF".into());
        self.push(Measured::PupilSize(PupilSize { diameter_mm: pupil, state_as_sent }));
    }

    fn iop(&mut self) -> (IopValue, String) {
        let mmhg = if self.knobs.extremes { 60 } else { self.dice.between(9, 26) };
        // Tenths of a kPa, rounded by itself.
        let kpa = (mmhg * 1333 + 500) / 1000;
        let (iop_mmhg, kpa) = (Hundredths(mmhg * 100), Hundredths(kpa * 10));
        let text = format!("<mmHg>{mmhg}</mmHg><kPa>{}</kPa>", tenths(kpa));
        (IopValue { iop_mmhg, iop_kpa: Some(kpa) }, text)
    }

    fn pressure(&mut self) {
        let mut tonometry = Tonometry::new(TonometryMethod::NonContact);
        let mut pachymetry = Pachymetry::default();
        let mut thicknesses = String::new();
        self.line("<NT>");
        for no in 1..=self.dice.between(1, 3) as u32 {
            let (value, text) = self.iop();
            self.line(&format!("<NTList No   =   \"{no}\">{text}</NTList>"));
            tonometry.shots.push(Shot { no: Some(no), ..Shot::of(value) });
            let um = if self.knobs.extremes { 299 } else { self.dice.between(480, 610) as u16 };
            thicknesses.push_str(&format!("<PACHYList No = \"{no}\"><Thickness>{um}</Thickness>"));
            thicknesses.push_str("</PACHYList>\r\n");
            pachymetry.shots_um.push(Shot { no: Some(no), ..Shot::of(um) });
        }
        if self.knobs.failed_shots {
            self.line("<NTList No   =   \"9\"><Error>APL</Error></NTList>");
            tonometry.shots.push(Shot { no: Some(9), ..Shot::failed("APL") });
        }
        let (value, text) = self.iop();
        self.line(&format!("<NTAverage>{text}</NTAverage>"));
        tonometry.representative = Some(Representative { label: "average".into(), value });
        let cct = self.dice.between(480, 610);
        let corrected = Hundredths(self.dice.stepped(900, 2600, 10));
        self.line("<CorrectedIOP><Param1>540um</Param1><Param2>0.0450</Param2>");
        self.line(&format!("<CCT>{cct}um</CCT><Measured>{text}</Measured><Corrected>"));
        self.line(&format!("<mmHg>{}</mmHg></Corrected></CorrectedIOP></NT>", tenths(corrected)));
        tonometry.corrected.push(CorrectedIop {
            label: "CorrectedIOP".into(),
            corrected_mmhg: Some(corrected),
            measured_mmhg: Some(value.iop_mmhg),
            cct_um: u16::try_from(cct).ok(),
            parameters: vec!["Param1 540um".into(), "Param2 0.0450".into()],
            ..CorrectedIop::default()
        });
        self.line(&format!("<PACHY>{thicknesses}"));
        self.line(&format!("<PACHYAverage><Thickness>{cct}</Thickness></PACHYAverage></PACHY>"));
        pachymetry.representative_um =
            Some(Representative { label: "average".into(), value: cct as u16 });
        self.push(Measured::Tonometry(tonometry));
        self.push(Measured::Pachymetry(pachymetry));
    }

    fn distance(&mut self) {
        let halves = [(); 2].map(|()| Hundredths(self.dice.stepped(2800, 3500, 50)));
        let far = Hundredths(halves[0].0 + halves[1].0);
        let [right, left] = halves.map(tenths);
        self.line(&format!("<PD><PDList No = \"1\"><FarPD>{}</FarPD>", tenths(far)));
        self.line(&format!("<RPD>{right}</RPD><LPD>{left}</LPD><NearPD></NearPD></PDList></PD>"));
        let distance = PupillaryDistance {
            far_mm: Some(far),
            right_mm: Some(halves[0]),
            left_mm: Some(halves[1]),
            ..PupillaryDistance::default()
        };
        let measured = Measured::PupillaryDistance(distance);
        self.measurements.push(Measurement::without_token(Eye::Both, measured));
    }
}
