//! Lensmeters that write `<Ophthalmology>` files: NIDEK, and the makers that write alike.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice, nidek_wire::some_time};
use chiasm_proto::{
    Base, CylinderMode, Eye, Hundredths, Lensometry, Measured, Measurement, OtherTest, OtherValue,
    Prism, PrismComponent, PupillaryDistance,
};
use jiff::civil::datetime;

pub static LM7P: Simulator = Simulator {
    driver: "nidek_lm_xml",
    vendor: "NIDEK",
    model: "LM-7P (LAN)",
    knobs: KNOBS,
    print: |seed, knobs| print("NIDEK", "LM-7P", seed, knobs),
};
pub static TL7000: Simulator = Simulator {
    driver: "tomey_tl_xml",
    vendor: "Tomey",
    model: "TL-7000",
    knobs: KNOBS,
    print: |seed, knobs| print("TOMEY", "TL-7000", seed, knobs),
};
pub static AL6600: Simulator = Simulator {
    driver: "rodenstock_al_xml",
    vendor: "Rodenstock",
    model: "AL 6600",
    knobs: KNOBS,
    print: |seed, knobs| print("RODENSTOCK", "AL 6600", seed, knobs),
};

const KNOBS: &[Knob] = &[
    Knob::OneEye,
    Knob::FailedShots,
    Knob::MissingPd,
    Knob::Extremes,
    Knob::PlusCylinder,
    Knob::Prism,
    Knob::SingleLens,
    Knob::PatientId,
    Knob::ClockUnset,
];

/// How a firmware spells what it writes.
#[derive(Clone, Copy)]
struct Spelling {
    sphere: &'static str,
    kind: &'static str,
    number: &'static str,
}

const EARLY: Spelling = Spelling { sphere: "Sphare", kind: "type", number: "No." };
const LATE: Spelling = Spelling { sphere: "Sphere", kind: "Type", number: "No" };
const MODE: &str = "AutoProgressive";

fn print(company: &str, model: &str, seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4C4D_584D ^ model.len() as u64);
    let at = some_time(&mut dice);
    let at = if knobs.clock_unset { datetime(2000, 1, 1, 0, 3, 0, 0) } else { at };
    let spelling = if dice.once_in(2) { EARLY } else { LATE };
    let no = format!("{:04}", seed % 10_000);
    let id = knobs.patient_id.clone().unwrap_or_default();
    let (mut lines, mut measurements) = (vec![], vec![]);
    for (eye, token) in sides(knobs) {
        let lens = lens(&mut dice, knobs, spelling.sphere == "Sphare");
        lines.push(write_lens(token, &lens, spelling));
        measurements.push(Measurement::of(eye, token, Measured::Lensometry(lens)));
    }
    if knobs.failed_shots {
        // A lens that failed stands among the single ones, in front of the pair.
        lines.push("<S><Error>MEASUREMENT ERROR</Error></S>".to_owned());
        let lens = Lensometry { error: Some("MEASUREMENT ERROR".into()), ..settings(knobs) };
        let failed = Measurement::of(Eye::NotGiven, "S", Measured::Lensometry(lens));
        measurements.insert(usize::from(knobs.single_lens), failed);
    }
    let mut blocks = format!("<LM>\n{}\n</LM>\n", lines.join("\n"));
    if !knobs.missing_pd && !knobs.single_lens && knobs.only_eye.is_none() {
        let (block, measurement) = distance(&mut dice);
        blocks.push_str(&block);
        measurements.push(measurement);
    }
    if company == "NIDEK" && dice.once_in(2) {
        let (block, measurement) = net_prism(&mut dice);
        blocks.push_str(&block);
        measurements.push(measurement);
    }
    let sign = if knobs.plus_cylinder { "+" } else { "-" };
    let Spelling { kind, number, .. } = spelling;
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <?xml-stylesheet type=\"text/xsl\" href=\"NIDEK_LM_Stylesheet.xsl\" ?>\n\
         <Ophthalmology>\n<Common>\n<Company>{company}</Company>\n<ModelName>{model}</ModelName>\n\
         <MachineNo></MachineNo>\n<ROMVersion>V9.0.0</ROMVersion>\n<Version>NIDEK_V1.00</Version>\n\
         <Date>{}</Date>\n<Time>{}</Time>\n<Patient>\n<{number}>{no}</{number}>\n<ID>{id}</ID>\n\
         <FirstName></FirstName>\n<LastName></LastName>\n</Patient>\n</Common>\n\
         <Measure {kind}=\"LM\">\n<MeasureMode>{MODE}</MeasureMode>\n\
         <DiopterStep unit=\"D\">0.25</DiopterStep>\n<AxisStep unit=\"deg\">1</AxisStep>\n\
         <CylinderMode>{sign}</CylinderMode>\n<PrismMode>xy</PrismMode>\n<AddMode>add</AddMode>\n\
         {blocks}</Measure>\n</Ophthalmology>\n",
        at.strftime("%Y-%m-%d"),
        at.strftime("%H:%M:%S"),
    );
    SimPrint {
        bytes: text.into_bytes(),
        file_name: Some(format!("LM_{id}_{}_00C0FFEE.xml", at.strftime("%Y%m%d%H%M%S"))),
        running_number: Some(no),
        patient_id: knobs.patient_id.clone(),
        measurements,
    }
}

fn sides(knobs: &Knobs) -> Vec<(Eye, &'static str)> {
    if knobs.single_lens {
        return vec![(Eye::NotGiven, "S")];
    }
    let both = [(Eye::Right, "R"), (Eye::Left, "L")];
    both.into_iter().filter(|(eye, _)| knobs.measures(*eye)).collect()
}

/// What the instrument is set to, as it stands on every lens.
fn settings(knobs: &Knobs) -> Lensometry {
    let plus = knobs.plus_cylinder;
    Lensometry {
        cylinder_mode: Some(if plus { CylinderMode::Plus } else { CylinderMode::Minus }),
        dioptre_step: Some(Hundredths(25)),
        lens_type: Some(MODE.into()),
        ..Lensometry::default()
    }
}

fn lens(dice: &mut Dice, knobs: &Knobs, may_be_polar: bool) -> Lensometry {
    let mut sphere = dice.stepped(-900, 600, 25);
    let mut cylinder = if dice.once_in(4) { 0 } else { dice.stepped(-300, -25, 25) };
    if knobs.extremes {
        (sphere, cylinder) = (if sphere < 0 { -2500 } else { 2500 }, -1000);
    }
    if knobs.plus_cylinder {
        cylinder = -cylinder;
    }
    let add = dice.once_in(2).then(|| dice.stepped(75, 300, 25));
    Lensometry {
        sphere: Some(Hundredths(sphere)),
        cylinder: Some(Hundredths(cylinder)),
        axis_deg: (cylinder != 0).then(|| dice.between(1, 180) as i16),
        add: add.map(Hundredths),
        near_sphere: add.map(|add| Hundredths(sphere + add)),
        prism: prism(dice, knobs, may_be_polar),
        uv_transmittance_percent: dice.once_in(3).then(|| Hundredths::whole(dice.between(1, 99))),
        ..settings(knobs)
    }
}

fn prism(dice: &mut Dice, knobs: &Knobs, may_be_polar: bool) -> Option<Prism> {
    let [one, other] = [(); 2].map(|()| Hundredths(dice.stepped(25, 400, 25)));
    let component = |amount, base| Some(PrismComponent { amount, base });
    if let Some((horizontal, vertical)) = knobs.prism {
        return Some(Prism {
            horizontal: component(one, horizontal),
            vertical: component(other, vertical),
            ..Prism::default()
        });
    }
    if may_be_polar && dice.once_in(4) {
        let base_deg = Some(dice.between(0, 359) as i16);
        return Some(Prism { amount: Some(one), base_deg, ..Prism::default() });
    }
    let base = if dice.once_in(2) { Base::In } else { Base::Out };
    dice.once_in(3).then(|| Prism { horizontal: component(one, base), ..Prism::default() })
}

fn word(base: Base) -> &'static str {
    match base {
        Base::In => "in",
        Base::Out => "out",
        Base::Up => "up",
        Base::Down | Base::Unverified => "down",
    }
}

fn write_lens(token: &str, lens: &Lensometry, spelling: Spelling) -> String {
    let number = |value: Option<Hundredths>| value.map_or(String::new(), |it| it.to_string());
    let sphere = spelling.sphere;
    let prism = lens.prism.clone().unwrap_or_default();
    let base = prism.base_deg.map_or(String::new(), |deg| deg.to_string());
    let component = |name: &str, component: Option<PrismComponent>, default: &str| {
        let base = component.map_or(default, |component| word(component.base));
        let amount = number(component.map(|component| component.amount));
        format!("<{name} unit=\"pri\" base=\"{base}\">{amount}</{name}>\n")
    };
    [
        format!("<{token}>\n<{sphere} unit=\"D\">{}</{sphere}>\n", number(lens.sphere)),
        format!("<Cylinder unit=\"D\">{}</Cylinder>\n", number(lens.cylinder)),
        format!("<Axis unit=\"deg\">{}</Axis>\n<SE unit=\"D\"/>\n", lens.axis_deg.unwrap_or(0)),
        format!("<ADD unit=\"D\">{}</ADD>\n<ADD2 unit=\"D\"></ADD2>\n", number(lens.add)),
        format!("<Near{sphere} unit=\"D\">{}</Near{sphere}>\n", number(lens.near_sphere)),
        format!("<Prism unit=\"pri\">{}</Prism>\n", number(prism.amount)),
        format!("<PrismBase unit=\"deg\">{base}</PrismBase>\n"),
        component("PrismX", prism.horizontal, "in"),
        component("PrismY", prism.vertical, "up"),
        format!(
            "<UVTransmittance unit=\"%\">{}</UVTransmittance>\n</{token}>",
            lens.uv_transmittance_percent.map_or(String::new(), |it| (it.0 / 100).to_string())
        ),
    ]
    .concat()
}

fn distance(dice: &mut Dice) -> (String, Measurement) {
    let halves = [(); 2].map(|()| Hundredths(dice.stepped(2800, 3500, 50)));
    let whole = Hundredths(halves[0].0 + halves[1].0);
    let block = format!(
        "<PD>\n<Distance unit=\"mm\">{whole}</Distance>\n<DistanceR unit=\"mm\">{}</DistanceR>\n\
         <DistanceL unit=\"mm\">{}</DistanceL>\n</PD>\n",
        halves[0], halves[1],
    );
    let distance = PupillaryDistance {
        far_mm: Some(whole),
        right_mm: Some(halves[0]),
        left_mm: Some(halves[1]),
        ..PupillaryDistance::default()
    };
    (block, Measurement::without_token(Eye::Both, Measured::PupillaryDistance(distance)))
}

fn net_prism(dice: &mut Dice) -> (String, Measurement) {
    let as_sent = Hundredths(dice.stepped(25, 400, 25)).to_string();
    let block = format!(
        "<NIDEK>\n<NetPrism>\n<NetHPrism unit=\"pri\" base=\"out\">{as_sent}</NetHPrism>\n\
         <NetVPrism unit=\"pri\" base=\"up\"></NetVPrism>\n</NetPrism>\n</NIDEK>\n"
    );
    let value = OtherValue {
        name: "horizontal, base out".into(),
        as_sent,
        unit: Some("prism dioptres".into()),
    };
    let test = OtherTest {
        code: "NetPrism".into(),
        name: "net prism of the pair".into(),
        values: vec![value],
    };
    (block, Measurement::without_token(Eye::Both, Measured::OtherTest(test)))
}
