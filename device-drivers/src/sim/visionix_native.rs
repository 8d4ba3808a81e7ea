//! The text files of Visionix instruments' own folders, with their knobs. The eye stands in the
//! file's name, so nothing that is read from the content has a side.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Eye, Hundredths, Measured, Measurement, OtherTest, OtherValue, PupillaryDistance, Refraction,
    RefractionKind, RefractionValue, Shot,
};

const KNOBS: &[Knob] = &[Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder, Knob::ClockUnset];

pub static VX120: Simulator = Simulator {
    driver: "visionix_native",
    vendor: "Visionix",
    model: "VX120 (native)",
    knobs: &[Knob::Extremes, Knob::PlusCylinder, Knob::ClockUnset],
    print: wavefront,
};
pub static L80: Simulator = Simulator {
    driver: "visionix_native",
    vendor: "Visionix",
    model: "L80 (native)",
    knobs: KNOBS,
    print: autorefraction,
};

/// Sphere, cylinder and axis in hundredths and whole degrees.
fn power(dice: &mut Dice, knobs: &Knobs) -> (i32, i32, i16) {
    let sign = if knobs.plus_cylinder { 1 } else { -1 };
    let axis = dice.between(0, 180) as i16;
    match knobs.extremes {
        true => (dice.between(-2000, -1900), sign * 800, axis),
        false => (dice.between(-800, 600), sign * dice.between(0, 300), axis),
    }
}

/// Six decimals, as C prints a number.
fn long(hundredths: i32) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}0000", size / 100, size % 100)
}

fn radians(degrees: i16) -> String {
    format!("{:.6}", f64::from(degrees).to_radians())
}

fn measurement(zone: &str, (sphere, cylinder, axis): (i32, i32, i16)) -> Measurement {
    let value = RefractionValue {
        sphere: Hundredths(sphere),
        cylinder: Hundredths(cylinder),
        axis_deg: (cylinder != 0).then_some(axis),
        spherical_equivalent: None,
    };
    let refraction = Refraction {
        shots: vec![Shot::of(value)],
        ..Refraction::new(RefractionKind::Autorefraction)
    };
    Measurement::without_token(Eye::NotGiven, Measured::Refraction(refraction)).in_set(zone)
}

fn head(dice: &mut Dice, knobs: &Knobs) -> String {
    let (day, minute) = (dice.between(1, 28), dice.between(0, 59));
    let date = if knobs.clock_unset { "01/01/2000".into() } else { format!("{day:02}/03/2026") };
    format!(
        "[PATIENT]\r\nSurname=SAMPLE\r\nFirstname=A\r\nCurrentDate={date}\r\n\
         CurrentTime=10:{minute:02}:00\r\nBirthDate=02/01/1970\r\nSex=F\r\n"
    )
}

fn wavefront(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed);
    let zones = [("3", "3 mm"), ("5", "5 mm"), ("7", "7 mm")];
    let powers = zones.map(|(key, name)| (key, name, power(&mut dice, knobs)));
    let mut text = head(&mut dice, knobs);
    let mut section = |name: &str, pick: fn((i32, i32, i16)) -> String| {
        text += &format!("[{name}]\r\n");
        for (key, _, power) in powers {
            text += &format!("r_{key}={}\r\n", pick(power));
        }
    };
    section("SPHERE", |power| long(power.0));
    section("CYLINDER", |power| long(power.1));
    section("AXIS", |power| radians(power.2));
    let bom = [0xFF, 0xFE];
    let units = text.encode_utf16().flat_map(u16::to_le_bytes);
    SimPrint {
        bytes: bom.into_iter().chain(units).collect(),
        file_name: Some(format!("RightWF_Meas_{}.txt", seed % 100)),
        running_number: None,
        patient_id: None,
        measurements: powers.map(|(_, name, power)| measurement(name, power)).to_vec(),
    }
}

fn autorefraction(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed);
    let power = power(&mut dice, knobs);
    let mut text = head(&mut dice, knobs);
    text += &format!(
        "[AR]\r\nsphere_3={}\r\ncylinder_3={}\r\naxis_3={}\r\n",
        long(power.0),
        long(power.1),
        radians(power.2)
    );
    let k1 = format!("{}.{:06}", dice.between(7, 8), dice.between(0, 999_999));
    text += &format!("[KR]\r\nk1={k1}\r\nk2=-1.#QNAN0\r\n");
    let value = OtherValue { name: "k1".into(), as_sent: k1, unit: None };
    let test = OtherTest { code: "KR".into(), name: "keratometry".into(), values: vec![value] };
    let mut measurements = vec![
        measurement("3 mm", power),
        Measurement::without_token(Eye::NotGiven, Measured::OtherTest(test)),
    ];
    let far = dice.stepped(5400, 7200, 50);
    let sent = if knobs.missing_pd { "-1.#QNAN0".into() } else { long(far) };
    text += &format!("[GENERAL]\r\npd={sent}\r\n");
    if !knobs.missing_pd {
        let distance =
            PupillaryDistance { far_mm: Some(Hundredths(far)), ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        measurements.push(Measurement::without_token(Eye::Both, measured));
    }
    let side = if knobs.measures(Eye::Right) { "Right" } else { "Left" };
    SimPrint {
        bytes: text.into_bytes(),
        file_name: Some(format!("{side}ARK_Meas_{}.txt", seed % 100)),
        running_number: None,
        patient_id: None,
        measurements,
    }
}
