//! Huvitz instruments and a relative on a serial line: `S-R-R` text, lensmeter line, JSON.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Base, Eye, Hundredths, Lensometry, Measured, Measurement, Prism, PrismComponent,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative, Shot,
};

pub static SRR: Simulator = Simulator {
    driver: "huvitz_srr",
    vendor: "Huvitz",
    model: "HRK-8000A",
    knobs: &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder],
    print: srr,
};

pub static HLM: Simulator = Simulator {
    driver: "huvitz_hlm",
    vendor: "Huvitz",
    model: "HLM-1",
    knobs: &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder, Knob::Prism],
    print: hlm,
};

pub static RMK_JSON: Simulator = Simulator {
    driver: "xiongbo_rmk_json",
    vendor: "Xiongbo",
    model: "RMK-800",
    knobs: &[Knob::OneEye, Knob::Extremes, Knob::PlusCylinder],
    print: rmk_json,
};

pub(super) const SIDES: [(Eye, char); 2] = [(Eye::Right, 'R'), (Eye::Left, 'L')];

/// Values of both eyes that differ, and what the knobs make of them.
pub(super) fn values(dice: &mut Dice, knobs: &Knobs) -> [RefractionValue; 2] {
    let mut offset = 0;
    SIDES.map(|_| {
        let sphere = dice.stepped(-400, 400, 25) + offset;
        offset = 25 * dice.between(33, 40);
        let cylinder = if dice.once_in(5) { 0 } else { -25 * dice.between(1, 12) };
        let axis = dice.between(1, 180);
        let mut value = value(sphere, cylinder, axis);
        if knobs.extremes {
            value = self::value(if sphere < 0 { -2975 } else { 2500 } - offset, -975, 180);
        }
        if knobs.plus_cylinder {
            value.cylinder = Hundredths(-value.cylinder.0);
        }
        value
    })
}

fn value(sphere: i32, cylinder: i32, axis: i32) -> RefractionValue {
    RefractionValue {
        sphere: Hundredths(sphere),
        cylinder: Hundredths(cylinder),
        axis_deg: i16::try_from(axis).ok().filter(|_| cylinder != 0),
        spherical_equivalent: None,
    }
}

pub(super) fn print_of(bytes: String, measurements: Vec<Measurement>) -> SimPrint {
    SimPrint {
        bytes: bytes.into_bytes(),
        file_name: None,
        running_number: None,
        patient_id: None,
        measurements,
    }
}

pub(super) fn lone(value: RefractionValue) -> Measured {
    Measured::Refraction(Refraction {
        shots: vec![Shot::of(value)],
        ..Refraction::new(RefractionKind::Autorefraction)
    })
}

pub(super) fn far(mm: i32) -> Measurement {
    let distance =
        PupillaryDistance { far_mm: Some(Hundredths::whole(mm)), ..PupillaryDistance::default() };
    Measurement::without_token(Eye::Both, Measured::PupillaryDistance(distance))
}

/// A sign, whole digits of this width with zeros in front, two decimals.
fn padded(number: Hundredths, width: usize) -> String {
    let sign = if number.0 < 0 { '-' } else { '+' };
    let magnitude = number.0.unsigned_abs();
    format!("{sign}{:0width$}.{:02}", magnitude / 100, magnitude % 100)
}

fn srr(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x535252);
    let values = values(&mut dice, knobs);
    let distance = dice.between(50, 75);
    let mut text = String::new();
    if dice.once_in(2) {
        text = format!("S No={:05} R B ", seed % 10_000);
    }
    let mut measurements = vec![];
    for ((eye, letter), value) in SIDES.into_iter().zip(values) {
        if !knobs.measures(eye) {
            continue;
        }
        let sphere = match value.sphere.0 {
            0 if dice.once_in(2) => "-00.00".to_owned(),
            _ => padded(value.sphere, 2),
        };
        let cylinder = padded(value.cylinder, 2);
        let axis = value.axis_deg.unwrap_or(0);
        text += &format!("ES-R-{letter} {sphere} {cylinder} +{axis:03} ");
        if !knobs.missing_pd {
            text += &format!("{distance} ");
        }
        measurements.push(Measurement::of(eye, &letter.to_string(), lone(value)));
    }
    text += "E\r\n";
    if !knobs.missing_pd {
        measurements.push(far(distance));
    }
    print_of(text, measurements)
}

fn hlm(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x484C4D);
    let values = values(&mut dice, knobs);
    let no = format!("{:05}", seed % 10_000);
    let mut text = format!("LM2RK   No={no}");
    let mut measurements = vec![];
    let mut halves = [None, None];
    for (at, ((eye, letter), value)) in SIDES.into_iter().zip(values).enumerate() {
        let amounts = [dice.stepped(-200, 200, 25), dice.stepped(-200, 200, 25)];
        let add = if dice.once_in(3) { 0 } else { dice.stepped(75, 350, 25) };
        let half = if knobs.missing_pd { 0 } else { dice.stepped(2600, 3700, 50) + 10 };
        let uv = dice.between(0, 100);
        if !knobs.measures(eye) {
            continue;
        }
        let lens = lens(value, directed(amounts, knobs), add, uv);
        let prism = lens.prism.clone().unwrap_or_default();
        let part = |part: Option<PrismComponent>| padded(part.expect("set above").amount, 2);
        text += &format!(
            "   {letter}: S={} C={} A={:03} PX={} PY={} PD={:02}.{} ADD={} U{letter}={uv:3}",
            padded(value.sphere, 2),
            padded(value.cylinder, 2),
            value.axis_deg.unwrap_or(0),
            part(prism.horizontal),
            part(prism.vertical),
            half / 100,
            half % 100 / 10,
            padded(Hundredths(add), 1),
        );
        halves[at] = Some(Hundredths(half)).filter(|_| half != 0);
        let measured = Measured::Lensometry(lens);
        measurements.push(Measurement::of(eye, &letter.to_string(), measured));
    }
    text += "   E$\n";
    let [right_mm, left_mm] = halves;
    if right_mm.or(left_mm).is_some() {
        let distance = PupillaryDistance { right_mm, left_mm, ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        measurements.push(Measurement::without_token(Eye::Both, measured));
    }
    SimPrint { running_number: Some(no), ..print_of(text, measurements) }
}

/// The direction that a knob asks for can only be given by the sign.
fn directed([horizontal, vertical]: [i32; 2], knobs: &Knobs) -> [i32; 2] {
    match knobs.prism {
        Some((bases, other)) => {
            let h = if bases == Base::In { 175 } else { -175 };
            [h, if other == Base::Up { 325 } else { -325 }]
        }
        None => [horizontal, vertical],
    }
}

fn lens(value: RefractionValue, [h, v]: [i32; 2], add: i32, uv: i32) -> Lensometry {
    let part = |amount| Some(PrismComponent { amount: Hundredths(amount), base: Base::Unverified });
    Lensometry {
        sphere: Some(value.sphere),
        cylinder: Some(value.cylinder),
        axis_deg: value.axis_deg,
        add: Some(Hundredths(add)).filter(|_| add != 0),
        prism: Some(Prism { horizontal: part(h), vertical: part(v), ..Prism::default() }),
        uv_transmittance_percent: Some(Hundredths::whole(uv)),
        ..Lensometry::default()
    }
}

fn rmk_json(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4A53);
    let values = values(&mut dice, knobs);
    let is_quoted = dice.once_in(2);
    let mut members = vec![];
    let mut measurements = vec![];
    for ((eye, word), value) in [(Eye::Right, "right"), (Eye::Left, "left")].into_iter().zip(values)
    {
        let axis = value.axis_deg.map_or("null".to_owned(), |axis| axis.to_string());
        for (part, text) in
            [("s", value.sphere.to_string()), ("c", value.cylinder.to_string()), ("a", axis)]
        {
            let text = match knobs.measures(eye) {
                false => "null".to_owned(),
                true if is_quoted && text != "null" => format!("\"{text}\""),
                true => text,
            };
            members.push(format!("\"{word}_{part}_avg\": {text}"));
        }
        if knobs.measures(eye) {
            let measured = Measured::Refraction(Refraction {
                representative: Some(Representative { label: "avg".into(), value }),
                ..Refraction::new(RefractionKind::Autorefraction)
            });
            measurements.push(Measurement::of(eye, word, measured));
        }
    }
    print_of(format!("{{{}}}\r\n", members.join(", ")), measurements)
}
