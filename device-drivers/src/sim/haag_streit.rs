//! A Lenstar whose EyeSuite exports XML.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice, nidek_wire::some_time};
use chiasm_proto::{
    Biometry, CornealSize, Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement,
    Meridian, OtherTest, OtherValue, Pachymetry, PupilSize, Shot,
};

pub static EYESUITE: Simulator = Simulator {
    driver: "haag_streit_eyesuite",
    vendor: "Haag-Streit",
    model: "Lenstar (EyeSuite)",
    knobs: &[Knob::OneEye, Knob::Extremes, Knob::ClockUnset],
    print,
};

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4853);
    let in_dioptres = dice.once_in(3);
    let at = some_time(&mut dice);
    let date = match knobs.clock_unset {
        true => "2000.01.01 00:03:00".to_owned(),
        false => at.strftime("%Y.%m.%d %H:%M:%S").to_string(),
    };
    let mut text = format!(
        "<EXAMINATION>\r\n\t<DATE>{date}</DATE>\r\n\t<PATIENT><BIRTHDAY>02/01/1970</BIRTHDAY>\
         </PATIENT>\r\n"
    );
    let mut measurements = vec![];
    for (eye, token) in [(Eye::Right, "OD"), (Eye::Left, "OS")] {
        let (inside, measured) = one_eye(&mut dice, in_dioptres, knobs.extremes);
        if knobs.measures(eye) {
            text += &format!("\t<EYE side=\"{token}\">\r\n{inside}\t</EYE>\r\n");
            measurements.extend(measured.into_iter().map(|it| Measurement::of(eye, token, it)));
        }
    }
    text += "</EXAMINATION>\r\n";
    SimPrint {
        bytes: text.into_bytes(),
        file_name: Some(format!("EXPORT_{:05}.xml", seed % 100_000)),
        running_number: None,
        patient_id: None,
        measurements,
    }
}

/// With a decimal comma: `24,13`, `-0,2`.
fn comma(hundredths: i32, decimals: usize) -> String {
    let (sign, magnitude) = (if hundredths < 0 { "-" } else { "" }, hundredths.abs());
    match decimals {
        1 => format!("{sign}{},{}", magnitude / 100, magnitude % 100 / 10),
        _ => format!("{sign}{},{:02}", magnitude / 100, magnitude % 100),
    }
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{text}</{name}>")
}

fn one_eye(dice: &mut Dice, in_dioptres: bool, extremes: bool) -> (String, Vec<Measured>) {
    let mut measured = vec![];
    let mut text = a_scan(dice, extremes, &mut measured);
    text += &keratometry(dice, in_dioptres, extremes, &mut measured);
    for (code, name, range) in [
        ("WHITE-WHITE", "centre of the white-to-white circle", (1080, 1320)),
        ("PUPILLOMETRY", "centre of the pupil", (210, 780)),
    ] {
        if dice.once_in(3) {
            continue;
        }
        let diameter_mm = Hundredths(dice.stepped(range.0, range.1, 10));
        measured.push(match code {
            "PUPILLOMETRY" => Measured::PupilSize(PupilSize { diameter_mm, state_as_sent: None }),
            _ => Measured::CornealSize(CornealSize { diameter_mm }),
        });
        let [x, y] = [0, 1].map(|_| comma(dice.stepped(-50, 50, 10), 1));
        let part = |name: &str, as_sent: &str| OtherValue {
            name: name.into(),
            as_sent: as_sent.into(),
            unit: None,
        };
        let values = vec![part("x", &x), part("y", &y)];
        measured.push(Measured::OtherTest(OtherTest {
            code: code.into(),
            name: name.into(),
            values,
        }));
        let inside = [
            element("DIAMETER", &comma(diameter_mm.0, 1)),
            element("BARYCENTER_X", &x),
            element("BARYCENTER_Y", &y),
        ];
        text += &format!("\t\t<{code}>{}</{code}>\r\n", inside.concat());
    }
    (text, measured)
}

fn a_scan(dice: &mut Dice, extremes: bool, into: &mut Vec<Measured>) -> String {
    let length = if extremes { [1402, 3798] } else { [2100, 2700] };
    let length = dice.between(length[0], length[1]);
    let sometimes = |dice: &mut Dice, low: i32, high: i32| {
        let value = dice.between(low, high);
        (!dice.once_in(5)).then_some(value)
    };
    let depth = sometimes(dice, 240, 380);
    let lens = sometimes(dice, 340, 520);
    let thickness = sometimes(dice, 470, 620);
    let mode = ["phakic", "pseudophakic", "aphakic"][dice.between(0, 2) as usize];
    into.push(Measured::Biometry(Biometry {
        axial_length_mm: Some(Hundredths(length)),
        aqueous_depth_mm: depth.map(Hundredths),
        lens_thickness_mm: lens.map(Hundredths),
        lens_status_as_sent: Some(mode.into()),
    }));
    if let Some(um) = thickness {
        into.push(Measured::Pachymetry(Pachymetry {
            shots_um: vec![Shot::of(um as u16)],
            ..Pachymetry::default()
        }));
    }
    let or_empty = |value: Option<i32>| value.map(|it| comma(it, 2)).unwrap_or_default();
    let inside = [
        element("AXIAL_LENGTH", &comma(length, 2)),
        element(
            "CENTRAL_CORNEA_THICKNESS",
            &thickness.map(|um| um.to_string()).unwrap_or_default(),
        ),
        element("AQUEOUS_DEPTH", &or_empty(depth)),
        element("LENSE_THICKNESS", &or_empty(lens)),
        element("MODE", mode),
    ];
    format!("\t\t<A-SCAN>{}</A-SCAN>\r\n", inside.concat())
}

fn keratometry(
    dice: &mut Dice,
    in_dioptres: bool,
    extremes: bool,
    into: &mut Vec<Measured>,
) -> String {
    let (flat, steep) = match (in_dioptres, extremes) {
        (true, true) => (dice.between(2500, 2600), dice.between(6900, 7000)),
        (true, false) => (dice.between(4000, 4350), dice.between(4360, 4700)),
        (false, true) => (dice.between(1250, 1300), dice.between(500, 550)),
        (false, false) => (dice.between(780, 830), dice.between(720, 779)),
    };
    let axis = dice.between(1, 180) as i16;
    let meridian = |value: i32, axis_deg: Option<i16>| match in_dioptres {
        true => Meridian { radius_mm: None, power: Some(Hundredths(value)), axis_deg },
        false => Meridian { radius_mm: Some(Hundredths(value)), power: None, axis_deg },
    };
    into.push(Measured::Keratometry(Keratometry {
        shots: vec![Shot::of(KeratometryValue {
            r1: meridian(flat, Some(axis)),
            r2: meridian(steep, None),
            ..KeratometryValue::default()
        })],
        ..Keratometry::default()
    }));
    let inside = [
        element("FLAT_MERIDIAN", &comma(flat, 2)),
        element("FLAT_MERIDIAN_AXIS", &axis.to_string()),
        element("STEEP_MERIDIAN", &comma(steep, 2)),
    ];
    format!("\t\t<KERATOMETRY>{}</KERATOMETRY>\r\n", inside.concat())
}
