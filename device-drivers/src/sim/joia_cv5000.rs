//! A CV-5000: what a refractor with its PC writes to its folder of results.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    AcuityCondition, Base, Correction, Eye, Hundredths, Lensometry, Measured, Measurement, Prism,
    PrismComponent, PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative,
    Vision, VisualAcuity,
};
use jiff::civil;
use std::fmt::Write;

pub static CV5000: Simulator = Simulator {
    driver: "joia_xml",
    vendor: "Topcon",
    model: "CV-5000",
    knobs: &[
        Knob::OneEye,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::PlusCylinder,
        Knob::Prism,
        Knob::PatientId,
    ],
    print,
};

const URI: &str = "http://www.joia.or.jp/standardized/namespaces";
const SIDES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

/// What one eye got in one set at one distance.
#[derive(Clone, Copy)]
struct Powers {
    sphere: i32,
    cylinder: i32,
    axis: i32,
    /// Hundredths of a prism dioptre with their bases.
    prism: Option<[(i32, Base); 2]>,
}

/// One `ExamDistance`.
struct Block {
    vision: Vision,
    distance: &'static str,
    distance_cm: i32,
    powers: [Option<Powers>; 2],
    acuity: [Option<String>; 3],
    /// Right, left, both, in hundredths of a millimetre.
    pd: [Option<i32>; 3],
}

struct Set {
    name: &'static str,
    blocks: Vec<Block>,
}

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4356_3530);
    let at = civil::date(2026, 1, 1)
        .at(8, 0, 0, 0)
        .saturating_add(jiff::Span::new().minutes(dice.between(0, 500_000)))
        .saturating_add(jiff::Span::new().milliseconds(dice.between(1, 59_999)));
    let has_comma = dice.once_in(3);
    let sets = sets(&mut dice, knobs);
    let number = (seed % 10_000).to_string();
    let mut text = head(&number, knobs.patient_id.as_deref(), at);
    let body = sets.iter().zip(1..).map(|(set, no)| write_set(set, no, has_comma));
    text.extend(body);
    text.push_str("\t\t</nsSBJ:RefractionTest>\n\t</nsSBJ:Measure>\n</Ophthalmology>\n");
    let whose = match &knobs.patient_id {
        Some(id) => id.clone(),
        None => format!("M-Serial{number:0>4}"),
    };
    let stamp = at.strftime("%Y%m%d_%H%M%S%3f");
    SimPrint {
        bytes: text.into_bytes(),
        file_name: Some(format!("{whose}_{stamp}_TOPCON_CV-5000_1020030.xml")),
        running_number: Some(number),
        patient_id: knobs.patient_id.clone(),
        measurements: sets.iter().flat_map(|set| expected(set, has_comma)).collect(),
    }
}

fn head(number: &str, patient_id: Option<&str>, at: civil::DateTime) -> String {
    let id = patient_id.unwrap_or(number);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?>\n\
         <Ophthalmology xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:nsCommon=\"{URI}/Common\" xmlns:nsSBJ=\"{URI}/SBJ\">\n\t<nsCommon:Common>\n"
    );
    let (date, time) = (at.strftime("%Y-%m-%d"), at.strftime("%H:%M:%S%.3f"));
    let leaves = [
        ("Company", "TOPCON"),
        ("ModelName", "CV-5000"),
        ("MachineNo", "1020030"),
        ("ROMVersion", "9.00.01"),
        ("Version", "1.2"),
        ("Date", &date.to_string()),
        ("Time", &time.to_string()),
    ];
    for (name, value) in leaves {
        let _ = writeln!(text, "\t\t<nsCommon:{name}>{value}</nsCommon:{name}>");
    }
    let _ = write!(
        text,
        "\t\t<nsCommon:Patient>\n\t\t\t<nsCommon:No.>{number}</nsCommon:No.>\n\
         \t\t\t<nsCommon:ID>{id}</nsCommon:ID>\n\t\t\t<nsCommon:LastName/>\n\
         \t\t\t<nsCommon:DOB/>\n\t\t</nsCommon:Patient>\n\t\t<Duration>00:06:12</Duration>\n\
         \t\t<DateFormat>D_M_Y</DateFormat>\n\t</nsCommon:Common>\n\
         \t<nsSBJ:Measure type=\"SBJ\">\n\t\t<nsSBJ:RefractionTest>\n"
    );
    text
}

fn sets(dice: &mut Dice, knobs: &Knobs) -> Vec<Set> {
    let subjective = both(dice, knobs);
    let shifted =
        |by: i32| subjective.map(|powers| powers.map(|it| Powers { sphere: it.sphere + by, ..it }));
    let halves =
        if knobs.extremes { [2025, 4050] } else { [0, 1].map(|_| 50 * dice.between(56, 70)) };
    let pd = |by: i32| match (knobs.missing_pd, by) {
        (true, _) => [None; 3],
        (_, 0) => [Some(halves[0]), Some(halves[1]), Some(halves[0] + halves[1])],
        (_, by) => [None, None, Some(halves[0] + halves[1] - by)],
    };
    let mut block = |vision: Vision, powers, pd| {
        let (distance, distance_cm) = match vision {
            Vision::Far => ("500.000", 50_000),
            Vision::Near => ("40.000", 4_000),
        };
        Block { vision, distance, distance_cm, powers, acuity: acuities(dice, knobs), pd }
    };
    let mut sets = vec![
        Set {
            name: "Full Correction",
            blocks: vec![
                block(Vision::Far, subjective, pd(0)),
                block(Vision::Near, shifted(175), pd(400)),
            ],
        },
        Set {
            name: "Prescription",
            blocks: vec![
                block(Vision::Far, shifted(25), pd(0)),
                Block {
                    distance: "0.000",
                    acuity: [None, None, None],
                    ..block(Vision::Near, [None; 2], [None; 3])
                },
            ],
        },
        Set { name: "Unaided Data", blocks: vec![block(Vision::Far, [None; 2], [None; 3])] },
    ];
    let mut measured = |name| {
        let mut block = block(Vision::Far, shifted(50), pd(0));
        block.acuity = [None, None, None];
        Set { name, blocks: vec![block] }
    };
    sets.push(measured("Objective Data"));
    sets.push(measured("Current Spectacles"));
    sets.push(measured("Last Prescription"));
    sets
}

fn both(dice: &mut Dice, knobs: &Knobs) -> [Option<Powers>; 2] {
    SIDES.map(|(eye, _)| {
        let sign = if knobs.plus_cylinder { 1 } else { -1 };
        let mut powers = Powers {
            sphere: dice.stepped(-900, 600, 25),
            cylinder: sign * dice.stepped(0, 300, 25),
            axis: dice.between(1, 180),
            prism: None,
        };
        if knobs.extremes {
            powers.sphere = if eye == Eye::Right { -2900 } else { 2650 };
            powers.cylinder = sign * if eye == Eye::Right { 875 } else { 800 };
        }
        let amounts = [0, 1].map(|_| dice.stepped(25, 2000, 25));
        let bases = knobs.prism.map(|(horizontal, vertical)| [horizontal, vertical]);
        powers.prism = bases.map(|bases| [(amounts[0], bases[0]), (amounts[1], bases[1])]);
        knobs.measures(eye).then_some(powers)
    })
}

fn acuities(dice: &mut Dice, knobs: &Knobs) -> [Option<String>; 3] {
    [Eye::Right, Eye::Left, Eye::Both].map(|eye| {
        let text = format!("{}.{}", dice.between(0, 1), dice.between(1, 9));
        let is_taken =
            if eye == Eye::Both { knobs.only_eye.is_none() } else { knobs.measures(eye) };
        is_taken.then_some(text)
    })
}

fn two(hundredths: i32) -> String {
    Hundredths(hundredths).to_string()
}

/// An element, closed at once where nothing stands in it.
fn leaf(name: &str, unit: &str, text: &str) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!(" unit=\"{unit}\"") };
    match text {
        "" => format!("<nsSBJ:{name}{unit}/>"),
        text => format!("<nsSBJ:{name}{unit}>{text}</nsSBJ:{name}>"),
    }
}

fn write_set(set: &Set, no: usize, has_comma: bool) -> String {
    let mut text = format!("\t\t\t<nsSBJ:Type No=\"{no}\">\n\t\t\t\t");
    text.push_str(&leaf("TypeName", "", set.name));
    for block in &set.blocks {
        let no = if block.vision == Vision::Far { 1 } else { 2 };
        let _ = write!(text, "\n\t\t\t\t<nsSBJ:ExamDistance No=\"{no}\">\n\t\t\t\t\t");
        text.push_str(&with_mark(&write_block(block), has_comma));
        text.push_str("\n\t\t\t\t</nsSBJ:ExamDistance>");
    }
    text.push_str("\n\t\t\t</nsSBJ:Type>\n");
    text
}

/// On a PC with a comma as its decimal mark. Nothing else in a block has a point.
fn with_mark(text: &str, has_comma: bool) -> String {
    if has_comma { text.replace('.', ",") } else { text.to_owned() }
}

fn write_block(block: &Block) -> String {
    let mut text = leaf("Distance", "cm", block.distance);
    text.push_str("<nsSBJ:RefractionData>");
    for ((_, token), powers) in SIDES.iter().zip(&block.powers) {
        let _ = write!(text, "<nsSBJ:{token}>{}</nsSBJ:{token}>", write_powers(*powers));
    }
    text.push_str(&leaf("VD", "mm", "12.00"));
    text.push_str("</nsSBJ:RefractionData><nsSBJ:VA>");
    for (token, acuity) in ["R", "L", "B"].iter().zip(&block.acuity) {
        let padded = acuity.as_ref().map_or(String::new(), |acuity| format!(" {acuity}"));
        text.push_str(&leaf(token, "Decimal", &padded));
    }
    text.push_str("</nsSBJ:VA><nsSBJ:PD>");
    for (token, pd) in ["R", "L", "B"].iter().zip(block.pd) {
        text.push_str(&leaf(token, "mm", &pd.map_or(String::new(), two)));
    }
    text.push_str("</nsSBJ:PD>");
    text
}

/// Bases and an angle are filled in for eyes without prism too.
fn write_powers(powers: Option<Powers>) -> String {
    let [sphere, cylinder, axis] = match powers {
        Some(it) => [two(it.sphere), two(it.cylinder), it.axis.to_string()],
        None => Default::default(),
    };
    let prism = powers.and_then(|it| it.prism);
    let amount = |at: usize| prism.map_or(String::new(), |prism| two(prism[at].0));
    let base = |at: usize| match prism.map(|prism| prism[at].1) {
        Some(Base::Out) => "BO",
        Some(Base::Up) => "BU",
        Some(Base::Down) => "BD",
        None if at == 1 => "BU",
        _ => "BI",
    };
    [
        leaf("Sph", "D", &sphere),
        leaf("Cyl", "D", &cylinder),
        leaf("Axis", "deg", &axis),
        leaf("HPri", "prism", &amount(0)),
        leaf("HBase", "", base(0)),
        leaf("VPri", "prism", &amount(1)),
        leaf("VBase", "", base(1)),
        leaf("Prism", "prism", ""),
        leaf("Angle", "deg", "0"),
    ]
    .concat()
}

fn expected(set: &Set, has_comma: bool) -> Vec<Measurement> {
    let mut all = vec![];
    let mut distance = PupillaryDistance::default();
    let is_relayed = matches!(set.name, "Objective Data" | "Current Spectacles");
    let mut add = |measurement: Measurement, is_relayed: bool| {
        let measurement = measurement.in_set(set.name);
        all.push(if is_relayed { measurement.relayed() } else { measurement });
    };
    for block in set.blocks.iter().filter(|block| block.distance != "0.000") {
        for ((eye, token), powers) in SIDES.into_iter().zip(block.powers) {
            let Some(powers) = powers else { continue };
            let measured = measured(set.name, block, powers);
            add(Measurement::of(eye, token, measured), is_relayed);
        }
        let tokens = [SIDES[0], SIDES[1], (Eye::Both, "B")];
        for ((eye, token), acuity) in tokens.into_iter().zip(&block.acuity) {
            let Some(acuity) = acuity else { continue };
            let measured = Measured::VisualAcuity(VisualAcuity {
                correction: match set.name {
                    "Prescription" => Correction::Final,
                    "Unaided Data" => Correction::Unaided,
                    _ => Correction::Subjective,
                },
                vision: block.vision,
                condition: AcuityCondition::Standard,
                as_sent: with_mark(acuity, has_comma),
                letters_as_sent: None,
                notation: Some("Decimal".into()),
            });
            add(Measurement::of(eye, token, measured), false);
        }
        let [right, left, both] = block.pd.map(|pd| pd.map(Hundredths));
        if block.vision == Vision::Far {
            (distance.right_mm, distance.left_mm, distance.far_mm) = (right, left, both);
        } else {
            (distance.near_right_mm, distance.near_left_mm, distance.near_mm) = (right, left, both);
            distance.working_distance_cm = both.map(|_| Hundredths(block.distance_cm));
        }
    }
    if distance != PupillaryDistance::default() {
        let measured = Measured::PupillaryDistance(distance);
        add(Measurement::without_token(Eye::Both, measured), is_relayed);
    }
    all
}

fn measured(name: &str, block: &Block, powers: Powers) -> Measured {
    let axis_deg = (powers.cylinder != 0).then_some(powers.axis as i16);
    let [sphere, cylinder] = [powers.sphere, powers.cylinder].map(Hundredths);
    let component =
        |(amount, base): (i32, Base)| PrismComponent { amount: Hundredths(amount), base };
    let prism = powers.prism.map(|[horizontal, vertical]| Prism {
        horizontal: Some(component(horizontal)),
        vertical: Some(component(vertical)),
        ..Prism::default()
    });
    let kind = match name {
        "Prescription" => RefractionKind::Final,
        "Objective Data" => RefractionKind::Autorefraction,
        "Last Prescription" => RefractionKind::PreviousPrescription,
        "Current Spectacles" => {
            let (sphere, cylinder) = (Some(sphere), Some(cylinder));
            let lens = Lensometry { sphere, cylinder, axis_deg, prism, ..Lensometry::default() };
            return Measured::Lensometry(lens);
        }
        _ => RefractionKind::Subjective,
    };
    let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None };
    Measured::Refraction(Refraction {
        vision: block.vision,
        vertex_distance_mm: Some(Hundredths(1200)),
        working_distance_cm: Some(Hundredths(block.distance_cm)),
        representative: Some(Representative { label: "result".into(), value }),
        prism,
        ..Refraction::new(kind)
    })
}
