//! Huvitz instruments that write documents: `<datalab>` and the refractor's flat elements.

use super::{
    Knob, Knobs, SimPrint, Simulator,
    dice::Dice,
    huvitz::{SIDES, far, lone, print_of, values},
};
use chiasm_proto::{
    CorrectedIop, Eye, Hundredths, IopValue, Keratometry, KeratometryValue, Measured, Measurement,
    Meridian, OtherTest, Pachymetry, PupillaryDistance, Refraction, RefractionKind, Representative,
    Shot, Tonometry, TonometryMethod,
};

pub static DATALAB: Simulator = Simulator {
    driver: "huvitz_datalab",
    vendor: "Huvitz",
    model: "HTR-1A",
    knobs: &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder],
    print: datalab,
};

pub static HDR: Simulator = Simulator {
    driver: "huvitz_hdr",
    vendor: "Huvitz",
    model: "HDR-9000",
    knobs: &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder, Knob::PatientId],
    print: hdr,
};

/// Without zeros behind the last decimal that counts: `-0.5`, `8.2`, `0`.
fn short(number: Hundredths) -> String {
    let text = number.to_string();
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A document that is being written.
struct Writer {
    text: String,
    /// With the slip of the published example.
    is_backslashed: bool,
}

impl Writer {
    fn open(&mut self, name: &str) {
        self.text += &format!("<{name}>");
    }
    fn close(&mut self, name: &str) {
        let slash = if self.is_backslashed { '\\' } else { '/' };
        self.text += &format!("<{slash}{name}>\r\n");
    }
    fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        self.text += text;
        self.close(name);
    }
}

fn datalab(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x444C);
    let mut to = Writer { text: String::new(), is_backslashed: dice.once_in(2) };
    let no = format!("{:05}", seed % 10_000);
    to.open("datalab");
    to.leaf("patient", &no);
    to.leaf("date", &format!("2026/{:02}/{:02}", dice.between(1, 12), dice.between(1, 28)));
    to.leaf("version", "9.00.00");
    let mut measurements = refractions(&mut to, &mut dice, knobs);
    if dice.once_in(2) {
        measurements.extend(corneas(&mut to, &mut dice, knobs));
    }
    measurements.extend(pressures(&mut to, &mut dice, knobs));
    if dice.once_in(2) {
        measurements.extend(thicknesses(&mut to, &mut dice, knobs));
    }
    to.close("datalab");
    SimPrint {
        file_name: Some(format!("{no}.xml")),
        running_number: Some(no),
        ..print_of(to.text, measurements)
    }
}

fn refractions(to: &mut Writer, dice: &mut Dice, knobs: &Knobs) -> Vec<Measurement> {
    let distance = dice.between(50, 75);
    let mut all = vec![];
    to.open("ref");
    for ((eye, letter), value) in SIDES.into_iter().zip(values(dice, knobs)) {
        let name = |part: &str| format!("r{}{part}", letter.to_ascii_lowercase());
        let is_there = knobs.measures(eye);
        let axis = value.axis_deg.unwrap_or(0).to_string();
        let parts = [("s", short(value.sphere)), ("c", short(value.cylinder)), ("a", axis)];
        for (part, text) in parts {
            to.leaf(&name(part), if is_there { &text } else { "" });
        }
        let far = if knobs.missing_pd { String::new() } else { distance.to_string() };
        to.leaf(&name("p"), &far);
        if is_there {
            all.push(Measurement::of(eye, &letter.to_string(), lone(value)));
        }
    }
    to.close("ref");
    if !knobs.missing_pd {
        all.push(far(distance));
    }
    all
}

fn corneas(to: &mut Writer, dice: &mut Dice, knobs: &Knobs) -> Vec<Measurement> {
    let mut all = vec![];
    to.open("ker");
    for (eye, letter) in SIDES {
        let name = |part: &str| format!("k{}{part}", letter.to_ascii_lowercase());
        let (r1, r2) = (Hundredths(dice.between(770, 840)), Hundredths(dice.between(700, 765)));
        let axis = dice.between(1, 180);
        if !knobs.measures(eye) {
            continue;
        }
        to.leaf(&name("r1"), &short(r1));
        to.leaf(&name("r2"), &short(r2));
        to.leaf(&name("ax"), &axis.to_string());
        let axis_deg = i16::try_from(axis).ok();
        let value = KeratometryValue {
            r1: Meridian { radius_mm: Some(r1), power: None, axis_deg },
            r2: Meridian { radius_mm: Some(r2), ..Meridian::default() },
            ..KeratometryValue::default()
        };
        let shots = vec![Shot::of(value)];
        let measured = Measured::Keratometry(Keratometry { shots, ..Keratometry::default() });
        all.push(Measurement::of(eye, &letter.to_string(), measured));
    }
    to.close("ker");
    all
}

fn pressures(to: &mut Writer, dice: &mut Dice, knobs: &Knobs) -> Vec<Measurement> {
    let mut all = vec![];
    let mut corrected_leaves = vec![];
    to.open("tono");
    for (eye, letter) in SIDES {
        let code = format!("t{}", letter.to_ascii_lowercase());
        let base = if knobs.extremes { dice.between(52, 60) } else { dice.between(10, 22) };
        let mut tonometry = Tonometry::new(TonometryMethod::NonContact);
        let count = dice.between(1, 3);
        let mut sum = 0;
        for no in 1..=count {
            let mmhg = base + dice.between(-1, 1);
            sum += mmhg;
            let value = IopValue { iop_mmhg: Hundredths::whole(mmhg), iop_kpa: None };
            tonometry.shots.push(Shot { no: u32::try_from(no).ok(), ..Shot::of(value) });
        }
        let average = Hundredths(sum * 10 / count * 10);
        let corrected = dice.once_in(2).then(|| Hundredths(average.0 - 50));
        if !knobs.measures(eye) {
            to.leaf(&format!("{code}01"), "");
            to.leaf(&code, "");
            continue;
        }
        for (at, shot) in tonometry.shots.iter().enumerate() {
            let text = shot.value.map(|value| short(value.iop_mmhg)).unwrap_or_default();
            to.leaf(&format!("{code}{:02}", at + 1), &text);
        }
        to.leaf(&code, &short(average));
        let value = IopValue { iop_mmhg: average, iop_kpa: None };
        tonometry.representative = Some(Representative { label: "average".into(), value });
        if let Some(corrected_mmhg) = corrected {
            let label = format!("C-{letter}-A");
            corrected_leaves.push((label.clone(), short(corrected_mmhg)));
            let corrected_mmhg = Some(corrected_mmhg);
            let corrected = CorrectedIop { label, corrected_mmhg, ..CorrectedIop::default() };
            tonometry.corrected.push(corrected);
        }
        let measured = Measured::Tonometry(tonometry);
        all.push(Measurement::of(eye, &letter.to_string(), measured));
    }
    to.close("tono");
    to.open("misc");
    corrected_leaves.iter().for_each(|(name, text)| to.leaf(name, text));
    to.close("misc");
    all
}

fn thicknesses(to: &mut Writer, dice: &mut Dice, knobs: &Knobs) -> Vec<Measurement> {
    let mut all = vec![];
    to.open("pachy");
    for (eye, letter) in SIDES {
        let code = format!("p{}", letter.to_ascii_lowercase());
        let um = dice.between(480, 610);
        let tenths = dice.between(0, 3);
        if !knobs.measures(eye) {
            continue;
        }
        let average = short(Hundredths(um * 100 + tenths * 10));
        to.leaf(&format!("{code}01"), &um.to_string());
        to.leaf(&code, &average);
        let um = u16::try_from(um).expect("below 1000");
        let label = "average".into();
        let pachymetry = Pachymetry {
            count_as_sent: None,
            representative_um: (tenths == 0).then_some(Representative { label, value: um }),
            shots_um: vec![Shot { no: Some(1), ..Shot::of(um) }],
        };
        let of = |measured| Measurement::of(eye, &letter.to_string(), measured);
        all.push(of(Measured::Pachymetry(pachymetry)));
        if tenths > 0 {
            let name = "average central corneal thickness";
            let test = OtherTest::one(&code, name, &average, Some("µm"));
            all.push(of(Measured::OtherTest(test)));
        }
    }
    to.close("pachy");
    all
}

fn hdr(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4844);
    let mut to = Writer { text: String::new(), is_backslashed: false };
    to.text += "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n";
    to.open("Measurement_Data");
    to.leaf("Product_Model", "HDR-9000");
    to.leaf("Patient_ID", knobs.patient_id.as_deref().unwrap_or(""));
    to.leaf(
        "Measurement_Date",
        &format!("2026{:02}{:02}", dice.between(1, 12), dice.between(1, 28)),
    );
    let values = values(&mut dice, knobs);
    let mut measurements = vec![];
    for ((eye, word), value) in [(Eye::Right, "Right"), (Eye::Left, "Left")].into_iter().zip(values)
    {
        let is_there = knobs.measures(eye);
        let axis = value.axis_deg.unwrap_or(0).to_string();
        let parts = [
            ("Sph", value.sphere.to_string()),
            ("Cyl", value.cylinder.to_string()),
            ("Axis", axis),
        ];
        for (part, text) in parts {
            let name = format!("Final_Prescription_Data_FAR_{part}-{word}");
            to.leaf(&name, if is_there { &text } else { "" });
        }
        if is_there {
            let label = "Final_Prescription_Data".into();
            let measured = Measured::Refraction(Refraction {
                representative: Some(Representative { label, value }),
                ..Refraction::new(RefractionKind::Final)
            });
            measurements.push(Measurement::of(eye, word, measured));
        }
    }
    if !knobs.missing_pd {
        let mm = Hundredths(dice.stepped(5000, 7500, 50));
        to.leaf("Far_PD_OU", &short(mm));
        let distance = PupillaryDistance { far_mm: Some(mm), ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        measurements.push(Measurement::of(Eye::Both, "OU", measured));
    }
    to.close("Measurement_Data");
    SimPrint {
        file_name: Some(format!("{:06}.xml", seed % 10_000)),
        patient_id: knobs.patient_id.clone(),
        ..print_of(to.text, measurements)
    }
}
