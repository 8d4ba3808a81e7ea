//! An RT-6100: the file of results that it writes to a folder.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    AcuityCondition, Base, Correction, CylinderMode, Eye, Hundredths, IopValue, Keratometry,
    KeratometryValue, Lensometry, Light, Measured, Measurement, Meridian, OtherTest, Pachymetry,
    Prism, PrismComponent, PupillaryDistance, Refraction, RefractionKind, RefractionValue,
    Representative, Tonometry, TonometryMethod, Vision, VisualAcuity,
};
use jiff::civil;
use std::fmt::Write;

pub static RT6100: Simulator = Simulator {
    driver: "nidek_rt_xml",
    vendor: "NIDEK",
    model: "RT-6100",
    knobs: &[
        Knob::OneEye,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::Night,
        Knob::PlusCylinder,
        Knob::Prism,
        Knob::PatientId,
    ],
    print,
};

const SIDES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

#[derive(Clone, Copy)]
struct Powers {
    sphere: i32,
    cylinder: i32,
    axis: i32,
    add: Option<i32>,
    prism: Option<[(i32, Base); 2]>,
}

/// One `Corrected`.
struct Set {
    kind: &'static str,
    is_night: bool,
    powers: [Option<Powers>; 2],
    acuity: [Option<String>; 3],
    /// Halves of the pupillary distance.
    halves: Option<[i32; 2]>,
}

/// What the refractor was sent by a TONOREF.
struct Relayed {
    kerato: [[i32; 5]; 2],
    iop: [i32; 2],
    um: [u16; 2],
}

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x5254_3631);
    let at = civil::date(2026, 1, 1)
        .at(8, 0, 0, 0)
        .saturating_add(jiff::Span::new().seconds(dice.between(0, 30_000_000)));
    let mode = if knobs.plus_cylinder { '+' } else { '-' };
    let sets = sets(&mut dice, knobs);
    let relayed = dice.once_in(2).then(|| relayed(&mut dice));
    let seconds = dice.between(60, 900).to_string();
    let number = format!("{:04}", seed % 10_000);
    let mut text = head(&number, knobs.patient_id.as_deref().unwrap_or(""), at);
    let _ = write!(
        text,
        "<Measure Type=\"RT\">\r\n<Phoropter>\r\n<DiopterStep unit=\"D\"/>\r\n\
         <AxisStep unit=\"deg\"/>\r\n<CylinderMode>{mode}</CylinderMode>\r\n"
    );
    sets.iter().for_each(|set| write_set(&mut text, set));
    text.push_str("<Other/>\r\n</Phoropter>\r\n");
    if let Some(relayed) = &relayed {
        write_relayed(&mut text, relayed, knobs);
    }
    let _ = write!(
        text,
        "<Test_Time unit=\"sec\">{seconds}</Test_Time>\r\n<SystemNo>0</SystemNo>\r\n\
         </Measure>\r\n</Ophthalmology>"
    );
    let mode = if knobs.plus_cylinder { CylinderMode::Plus } else { CylinderMode::Minus };
    let mut measurements: Vec<Measurement> =
        sets.iter().flat_map(|set| expected(set, mode)).collect();
    measurements.extend(relayed.iter().flat_map(|relayed| expected_relayed(relayed, knobs)));
    let test = OtherTest::one("Test_Time", "duration of the examination", &seconds, Some("s"));
    measurements.push(Measurement::without_token(Eye::Both, Measured::OtherTest(test)));
    let is_wide = dice.once_in(2);
    let wide = || format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    SimPrint {
        bytes: if is_wide { wide() } else { text.clone().into_bytes() },
        file_name: Some(format!("RT__{}__.xml", at.strftime("%Y%m%d_%H%M%S"))),
        running_number: Some(number),
        patient_id: knobs.patient_id.clone(),
        measurements,
    }
}

fn head(number: &str, id: &str, at: civil::DateTime) -> String {
    let (date, time) = (at.strftime("%Y-%m-%d"), at.strftime("%H-%M-%S"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>\r\n\
         <?xml-stylesheet type=\"text/xsl\" href=\"NIDEK_RT_Stylesheet.xsl\"?>\r\n\
         <Ophthalmology>\r\n<Common>\r\n<Company>NIDEK</Company>\r\n\
         <ModelName>RT-6100</ModelName>\r\n<MachineNo>000012</MachineNo>\r\n\
         <ROMVersion>V9.0.0</ROMVersion>\r\n<Version>NIDEK_RT_V1.00</Version>\r\n\
         <Date>{date}</Date>\r\n<Time>{time}</Time>\r\n<Patient>\r\n<No>{number}</No>\r\n\
         <ID>{id}</ID>\r\n<FirstName/>\r\n<LastName/>\r\n<DOB/>\r\n</Patient>\r\n\
         </Common>\r\n"
    )
}

fn sets(dice: &mut Dice, knobs: &Knobs) -> Vec<Set> {
    let base = SIDES.map(|(eye, _)| knobs.measures(eye).then(|| powers(dice, eye, knobs)));
    let halves = match (knobs.missing_pd, knobs.extremes) {
        (true, _) => None,
        (false, true) => Some([2000, 4400]),
        (false, false) => Some([0, 1].map(|_| 50 * dice.between(56, 70))),
    };
    let mut set = |kind: &'static str, is_night: bool, by: i32| {
        let shifted = |it: Powers| Powers {
            sphere: it.sphere + by,
            add: it.add.filter(|_| kind == "Best"),
            prism: it.prism.filter(|_| kind == "Best" || kind == "LM_Base"),
            ..it
        };
        let acuity = [Eye::Right, Eye::Left, Eye::Both].map(|eye| {
            let text = format!("{}.{}0", dice.between(0, 1), dice.between(1, 9));
            let is_pair = eye == Eye::Both && knobs.only_eye.is_none();
            (kind != "REF_Base" && (is_pair || (eye != Eye::Both && knobs.measures(eye))))
                .then_some(text)
        });
        let powers = base.map(|powers| powers.map(shifted));
        Set { kind, is_night, powers, acuity, halves: halves.filter(|_| kind != "LM_Base") }
    };
    let mut sets = vec![
        set("LM_Base", false, 50),
        set("REF_Base", false, -25),
        set("Full", false, 25),
        set("Best", false, 0),
    ];
    if knobs.night {
        sets.push(set("Best", true, -50));
    }
    sets
}

fn powers(dice: &mut Dice, eye: Eye, knobs: &Knobs) -> Powers {
    let sign = if knobs.plus_cylinder { 1 } else { -1 };
    let mut powers = Powers {
        sphere: dice.stepped(-900, 600, 25),
        cylinder: sign * dice.stepped(0, 300, 25),
        axis: dice.between(1, 180),
        add: dice.once_in(2).then(|| dice.stepped(75, 350, 25)),
        prism: None,
    };
    if knobs.extremes {
        powers.sphere = if eye == Eye::Right { -2900 } else { 2625 };
        powers.cylinder = sign * if eye == Eye::Right { 875 } else { 850 };
        powers.add = Some(if eye == Eye::Right { 1000 } else { 975 });
    }
    let amounts = [0, 1].map(|_| dice.stepped(25, 2000, 25));
    powers.prism = knobs
        .prism
        .map(|(horizontal, vertical)| [(amounts[0], horizontal), (amounts[1], vertical)]);
    powers
}

fn relayed(dice: &mut Dice) -> Relayed {
    let kerato = [0, 1].map(|_| {
        let (flat, difference) = (dice.between(740, 830), dice.between(1, 25));
        let axis = dice.between(1, 180);
        let steep = flat - difference;
        [flat, 3_375_000 / flat, steep, 3_375_000 / steep, axis]
    });
    let iop = [0, 1].map(|_| dice.stepped(900, 2400, 10));
    Relayed { kerato, iop, um: [0, 1].map(|_| dice.between(480, 610) as u16) }
}

fn across(axis: i32) -> i32 {
    if axis > 90 { axis - 90 } else { axis + 90 }
}

fn kpa(mmhg: i32) -> i32 {
    (mmhg * 1333 + 5000) / 10_000
}

fn two(hundredths: i32) -> String {
    Hundredths(hundredths).to_string()
}

fn leaf(text: &mut String, name: &str, attributes: &str, value: Option<String>) {
    let _ = match value {
        None => write!(text, "<{name}{attributes}/>\r\n"),
        Some(value) => write!(text, "<{name}{attributes}>{value}</{name}>\r\n"),
    };
}

fn write_set(text: &mut String, set: &Set) {
    let situation = if set.is_night { "Night" } else { "Standard" };
    let _ = write!(
        text,
        "<Corrected CorrectionType=\"{}\" Vision=\"Distant\" Situation=\"{situation}\">\r\n",
        set.kind
    );
    leaf(text, "VD", " unit=\"mm\"", Some("13.75".into()));
    leaf(text, "WorkingDistance", " unit=\"cm\"", Some("40".into()));
    for (at, (_, token)) in SIDES.iter().enumerate() {
        let powers = set.powers[at];
        let _ = write!(text, "<{token}>\r\n");
        leaf(text, "Sphere", " unit=\"D\"", powers.map(|it| two(it.sphere)));
        leaf(text, "Cylinder", " unit=\"D\"", powers.map(|it| two(it.cylinder)));
        let axis = powers.map(|it| if it.cylinder == 0 { 0 } else { it.axis });
        leaf(text, "Axis", " unit=\"deg\"", axis.map(|axis| axis.to_string()));
        leaf(text, "ADD", " unit=\"D\"", powers.and_then(|it| it.add).map(two));
        leaf(text, "Prism", " unit=\"pri\"", None);
        leaf(text, "PrismBase", " unit=\"deg\"", None);
        let prism = powers.and_then(|it| it.prism);
        for (at, name) in ["PrismX", "PrismY"].into_iter().enumerate() {
            let base = match prism.map(|prism| prism[at].1) {
                Some(Base::Out) => "out",
                Some(Base::Up) => "up",
                Some(Base::Down) => "down",
                None if at == 1 => "up",
                _ => "in",
            };
            let attributes = format!(" unit=\"pri\" base=\"{base}\"");
            leaf(text, name, &attributes, prism.map(|prism| two(prism[at].0)));
        }
        let half = set.halves.filter(|_| powers.is_some()).map(|halves| halves[at]);
        write_acuity(text, set.acuity[at].clone(), half);
        let _ = write!(text, "</{token}>\r\n");
    }
    text.push_str("<B>\r\n");
    write_acuity(text, set.acuity[2].clone(), set.halves.map(|[right, left]| right + left));
    text.push_str("</B>\r\n</Corrected>\r\n");
}

fn write_acuity(text: &mut String, acuity: Option<String>, pd: Option<i32>) {
    leaf(text, "VA", "", acuity);
    ["ADDVA", "PHVA", "LIVA"].into_iter().for_each(|name| leaf(text, name, "", None));
    leaf(text, "PD", " unit=\"mm\"", pd.map(two));
}

fn write_relayed(text: &mut String, relayed: &Relayed, knobs: &Knobs) {
    let mut block = |name: &str, head: &str, side: &dyn Fn(usize) -> String| {
        let _ = write!(text, "<{name}>\r\n{head}");
        for (at, (eye, token)) in SIDES.into_iter().enumerate() {
            let inner = if knobs.measures(eye) { side(at) } else { String::new() };
            let _ = write!(text, "<{token}>{inner}</{token}>\r\n");
        }
        let _ = write!(text, "</{name}>\r\n");
    };
    block("KM", "<DiopterStep Unit=\"D\">0.25D</DiopterStep>\r\n", &|at| {
        let [r1, p1, r2, p2, axis] = relayed.kerato[at];
        let meridian = |name: &str, radius: i32, power: i32, axis: i32| {
            let (radius, power) = (two(radius), two(power));
            format!(
                "<{name}><Radius>{radius}</Radius><Power>{power}</Power>\
                 <Axis>{axis}</Axis></{name}>"
            )
        };
        let (flat, steep) = (meridian("R1", r1, p1, axis), meridian("R2", r2, p2, across(axis)));
        format!("<Median>{flat}{steep}</Median>")
    });
    block("TM", "<ReferenceInstance></ReferenceInstance>\r\n", &|at| {
        let (mmhg, kpa) = (two(relayed.iop[at]), two(kpa(relayed.iop[at])));
        format!(
            "<Average><IOP_mmHg unit=\"mmHg\">{mmhg}</IOP_mmHg>\
             <IOP_Pa unit=\"kPa\">{kpa}</IOP_Pa></Average>"
        )
    });
    block("PACHY", "", &|at| {
        format!("<Average><Thickness>{}</Thickness></Average>", relayed.um[at])
    });
}

fn expected(set: &Set, mode: CylinderMode) -> Vec<Measurement> {
    let mut all = vec![];
    let name = if set.is_night { format!("{} Night", set.kind) } else { set.kind.to_owned() };
    let is_relayed = set.kind.ends_with("_Base");
    let mut add = |measurement: Measurement, is_relayed: bool| {
        let measurement = measurement.in_set(&name);
        all.push(if is_relayed { measurement.relayed() } else { measurement });
    };
    let correction = match set.kind {
        "LM_Base" => Correction::Wearing,
        "REF_Base" => Correction::Objective,
        "Full" => Correction::Subjective,
        _ => Correction::Final,
    };
    let acuity = |as_sent: &str| {
        Measured::VisualAcuity(VisualAcuity {
            correction,
            vision: Vision::Far,
            condition: AcuityCondition::Standard,
            as_sent: as_sent.into(),
            letters_as_sent: None,
            notation: None,
        })
    };
    for (at, (eye, token)) in SIDES.into_iter().enumerate() {
        if let Some(powers) = set.powers[at] {
            add(Measurement::of(eye, token, measured(set, powers, mode)), is_relayed);
        }
        if let Some(sent) = &set.acuity[at] {
            add(Measurement::of(eye, token, acuity(sent)), false);
        }
    }
    if let Some(sent) = &set.acuity[2] {
        add(Measurement::of(Eye::Both, "B", acuity(sent)), false);
    }
    if let Some([right, left]) = set.halves {
        let of = |at: usize, half: i32| set.powers[at].map(|_| Hundredths(half));
        let distance = PupillaryDistance {
            far_mm: Some(Hundredths(right + left)),
            right_mm: of(0, right),
            left_mm: of(1, left),
            ..PupillaryDistance::default()
        };
        let measured = Measured::PupillaryDistance(distance);
        add(Measurement::without_token(Eye::Both, measured), is_relayed);
    }
    all
}

fn measured(set: &Set, powers: Powers, mode: CylinderMode) -> Measured {
    let [sphere, cylinder] = [powers.sphere, powers.cylinder].map(Hundredths);
    let axis_deg = (powers.cylinder != 0).then_some(powers.axis as i16);
    let add = powers.add.map(Hundredths);
    let component =
        |(amount, base): (i32, Base)| PrismComponent { amount: Hundredths(amount), base };
    let prism = powers.prism.map(|[horizontal, vertical]| Prism {
        horizontal: Some(component(horizontal)),
        vertical: Some(component(vertical)),
        ..Prism::default()
    });
    let kind = match set.kind {
        "LM_Base" => {
            return Measured::Lensometry(Lensometry {
                sphere: Some(sphere),
                cylinder: Some(cylinder),
                axis_deg,
                cylinder_mode: Some(mode),
                add,
                prism,
                ..Lensometry::default()
            });
        }
        "REF_Base" => RefractionKind::Autorefraction,
        "Full" => RefractionKind::Subjective,
        _ => RefractionKind::Final,
    };
    let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None };
    Measured::Refraction(Refraction {
        light: if set.is_night { Light::Night } else { Light::Day },
        vertex_distance_mm: Some(Hundredths(1375)),
        working_distance_cm: Some(Hundredths(4000)),
        cylinder_mode: Some(mode),
        representative: Some(Representative { label: "result".into(), value }),
        add,
        prism,
        ..Refraction::new(kind)
    })
}

fn expected_relayed(relayed: &Relayed, knobs: &Knobs) -> Vec<Measurement> {
    let sides = || SIDES.into_iter().enumerate().filter(|(_, (eye, _))| knobs.measures(*eye));
    let kerato = sides().map(|(at, (eye, token))| {
        let [r1, p1, r2, p2, axis] = relayed.kerato[at];
        let meridian = |radius: i32, power: i32, axis: i32| Meridian {
            radius_mm: Some(Hundredths(radius)),
            power: Some(Hundredths(power)),
            axis_deg: Some(axis as i16),
        };
        let value = KeratometryValue {
            r1: meridian(r1, p1, axis),
            r2: meridian(r2, p2, across(axis)),
            ..KeratometryValue::default()
        };
        let keratometry = Keratometry {
            dioptre_step: Some(Hundredths(25)),
            representative: Some(Representative { label: "median".into(), value }),
            ..Keratometry::default()
        };
        Measurement::of(eye, token, Measured::Keratometry(keratometry)).relayed()
    });
    let pressure = sides().map(|(at, (eye, token))| {
        let mmhg = relayed.iop[at];
        let (iop_mmhg, iop_kpa) = (Hundredths(mmhg), Some(Hundredths(kpa(mmhg))));
        let value = IopValue { iop_mmhg, iop_kpa };
        let tonometry = Tonometry {
            representative: Some(Representative { label: "average".into(), value }),
            ..Tonometry::new(TonometryMethod::NotGiven)
        };
        Measurement::of(eye, token, Measured::Tonometry(tonometry)).relayed()
    });
    let thickness = sides().map(|(at, (eye, token))| {
        let pachymetry = Pachymetry {
            count_as_sent: None,
            representative_um: Some(Representative {
                label: "average".into(),
                value: relayed.um[at],
            }),
            shots_um: vec![],
        };
        Measurement::of(eye, token, Measured::Pachymetry(pachymetry)).relayed()
    });
    kerato.chain(pressure).chain(thickness).collect()
}
