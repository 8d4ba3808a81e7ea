//! Topcon autorefractors on a serial line.

use super::{
    Knob, Knobs, SimPrint, Simulator,
    dice::Dice,
    huvitz::{SIDES, far, lone, print_of, values},
};
use chiasm_proto::{
    Hundredths, Keratometry, KeratometryValue, Measured, Measurement, Meridian, Refraction,
    RefractionKind, RefractionValue, Representative, Shot,
};

pub static RM8900: Simulator = Simulator {
    driver: "topcon_rm8900",
    vendor: "Topcon",
    model: "RM-8900",
    knobs: &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder],
    print: rm8900,
};

pub static KR8900: Simulator = Simulator {
    driver: "topcon_kr8900",
    vendor: "Topcon",
    model: "KR-8900",
    knobs: &[Knob::Extremes, Knob::PlusCylinder, Knob::ClockUnset],
    print: kr8900,
};

/// A sign unless it is zero.
fn signed(number: Hundredths) -> String {
    if number.0 == 0 { "0.00".to_owned() } else { format!("{number:+}") }
}

fn rm8900(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x524D);
    let values = values(&mut dice, knobs);
    let distance = dice.between(50, 75);
    let mut text = "A\r".to_owned();
    let mut measurements = vec![];
    for ((eye, letter), value) in SIDES.into_iter().zip(values) {
        if !knobs.measures(eye) {
            continue;
        }
        let (sphere, cylinder) = (signed(value.sphere), signed(value.cylinder));
        let axis = value.axis_deg.unwrap_or(0);
        text += &format!("{letter}\r{sphere:>6}\r{cylinder:>5}\r{axis:>3}\r");
        measurements.push(Measurement::of(eye, &letter.to_string(), lone(value)));
    }
    if !knobs.missing_pd {
        text += &format!("{distance}\r");
        measurements.push(far(distance));
    }
    text += "\x04";
    print_of(text, measurements)
}

fn kr8900(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4B52);
    let mut text = clock(&mut dice, knobs);
    let (pd, vd) = (dice.between(50, 75), dice.between(8, 18));
    let is_pd_first = dice.once_in(2);
    text += &if is_pd_first { format!("{pd}\r\n{vd}\r\n") } else { format!("{vd}\r\n{pd}\r\n") };
    let mut measurements = vec![];
    for ((eye, _), mut value) in SIDES.into_iter().zip(values(&mut dice, knobs)) {
        let mut rows = vec![];
        for _ in 0..4 {
            value.sphere.0 += 25 * dice.between(-1, 1);
            let equivalent = 2 * value.sphere.0 + value.cylinder.0;
            value.spherical_equivalent = Some(half_away_from_zero(equivalent));
            text += &row(&value);
            rows.push(value);
        }
        let result = Representative { label: "result".into(), value };
        rows.pop();
        let measured = Measured::Refraction(Refraction {
            vertex_distance_mm: Some(Hundredths::whole(vd)),
            representative: Some(result),
            shots: rows.into_iter().map(Shot::of).collect(),
            ..Refraction::new(RefractionKind::Autorefraction)
        });
        measurements.push(Measurement::without_token(eye, measured));
    }
    measurements.push(far(pd));
    if dice.once_in(2) {
        text += "..........\r\n";
        for (eye, _) in SIDES {
            let value = cornea(&mut dice);
            text += &cornea_rows(&value);
            let shots = vec![Shot::of(value)];
            let measured = Measured::Keratometry(Keratometry { shots, ..Keratometry::default() });
            measurements.push(Measurement::without_token(eye, measured));
        }
    }
    let no = format!("{:04}", seed % 10_000);
    text += &format!("KR-8900   001.02\r\n{no}\r\n");
    SimPrint { running_number: Some(no), ..print_of(text, measurements) }
}

fn clock(dice: &mut Dice, knobs: &Knobs) -> String {
    if knobs.clock_unset {
        return "2000_01_01\r\nAM 12:03\r\n".to_owned();
    }
    let (month, day) = (dice.between(1, 12), dice.between(1, 28));
    let half = if dice.once_in(2) { "AM" } else { "PM" };
    let (hour, minute) = (dice.between(1, 12), dice.between(0, 59));
    format!("2026_{month:02}_{day:02}\r\n{half} {hour:02}:{minute:02}\r\n")
}

fn half_away_from_zero(twice: i32) -> Hundredths {
    Hundredths((twice + twice.signum()) / 2)
}

fn row(value: &RefractionValue) -> String {
    let axis = value.axis_deg.unwrap_or(0);
    let equivalent = signed(value.spherical_equivalent.unwrap_or_default());
    format!("{} {} {axis} {equivalent}\r\n", signed(value.sphere), signed(value.cylinder))
}

fn cornea(dice: &mut Dice) -> KeratometryValue {
    let axis_deg = i16::try_from(dice.between(1, 90)).ok();
    let (flat, steep) = (dice.between(770, 840), dice.between(700, 765));
    let power = |radius: i32| Hundredths(3_375_000 / radius / 10 * 10);
    let meridian = |radius: i32, axis_deg| Meridian {
        radius_mm: Some(Hundredths(radius)),
        power: Some(power(radius)),
        axis_deg,
    };
    let (r1, r2) = (meridian(flat, axis_deg), meridian(steep, axis_deg.map(|axis| axis + 90)));
    KeratometryValue {
        r1,
        r2,
        average_mm: Some(Hundredths((flat + steep) / 2)),
        average_power: Some(power((flat + steep) / 2)),
        cylinder: Some(Hundredths(power(flat).0 - power(steep).0)),
        cylinder_axis_deg: axis_deg,
    }
}

fn cornea_rows(value: &KeratometryValue) -> String {
    let number = |number: Option<Hundredths>| number.unwrap_or_default().to_string();
    let meridian = |mark: &str, it: &Meridian| {
        let axis = it.axis_deg.unwrap_or(0);
        format!("{mark} {} {} {axis}\r\n", number(it.power), number(it.radius_mm))
    };
    format!(
        "{}{}AVE: {} {}\r\nCYL {:+} {}\r\n",
        meridian("H:", &value.r1),
        meridian("V:", &value.r2),
        number(value.average_power),
        number(value.average_mm),
        value.cylinder.unwrap_or_default(),
        value.cylinder_axis_deg.unwrap_or(0),
    )
}
