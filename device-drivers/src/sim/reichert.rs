//! A Reichert Ocular Response Analyzer G3.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    Confidence, CorrectedIop, Eye, Hundredths, IopValue, Measured, Measurement, OtherTest, Shot,
    Tonometry, TonometryMethod,
};

pub static ORA: Simulator = Simulator {
    driver: "reichert_ora",
    vendor: "Reichert",
    model: "ORA G3",
    knobs: &[Knob::OneEye, Knob::LowConfidence, Knob::Extremes],
    print,
};

/// What is measured of one eye, in tenths.
struct Response {
    compensated: i32,
    hysteresis: i32,
    pressure: i32,
    score: i32,
}

fn tenths(value: i32) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4F52_4133);
    let clock = format!(
        "{}/{}/{} {}:{:02} {}",
        dice.between(1, 12),
        dice.between(1, 28),
        dice.between(2024, 2030),
        dice.between(1, 12),
        dice.between(0, 59),
        if dice.once_in(2) { "AM" } else { "PM" },
    );
    let mut text = format!("\r\r{clock}\r\rIOPcc CH IOPg WS\r");
    let mut measurements = vec![];
    for (eye, letter) in [(Eye::Right, "R"), (Eye::Left, "L")] {
        let response = some_response(&mut dice, knobs);
        if knobs.measures(eye) {
            let Response { compensated, hysteresis, pressure, score } = response;
            let numbers = [compensated, hysteresis, pressure, score].map(tenths);
            text += &format!("{letter} {}\r", numbers.join(" "));
            measurements.extend(expected(&response, eye, letter));
        }
    }
    text += "\r\x04";
    SimPrint {
        bytes: text.into_bytes(),
        file_name: None,
        running_number: None,
        patient_id: None,
        measurements,
    }
}

fn some_response(dice: &mut Dice, knobs: &Knobs) -> Response {
    let pressure = dice.between(80, 230);
    let mut response = Response {
        compensated: pressure + dice.between(-25, 25),
        hysteresis: dice.between(70, 130),
        pressure,
        score: dice.between(50, 100),
    };
    if knobs.low_confidence {
        response.score = dice.between(0, 49);
    }
    if knobs.extremes {
        response.pressure = if dice.once_in(2) { 15 } else { 680 };
        response.compensated = response.pressure + 3;
    }
    response
}

fn expected(response: &Response, eye: Eye, letter: &str) -> [Measurement; 2] {
    let tonometry = Tonometry {
        method: TonometryMethod::OcularResponse,
        count_as_sent: None,
        representative: None,
        shots: vec![Shot {
            no: None,
            value: Some(IopValue { iop_mmhg: Hundredths(response.pressure * 10), iop_kpa: None }),
            confidence: Some(Confidence {
                as_sent: tenths(response.score),
                scale: "Reichert waveform score 0-10".into(),
                low: response.score < 50,
            }),
            error: None,
        }],
        corrected: vec![CorrectedIop {
            label: "IOPcc".into(),
            corrected_mmhg: Some(Hundredths(response.compensated * 10)),
            ..CorrectedIop::default()
        }],
    };
    let ch = tenths(response.hysteresis);
    let ch = OtherTest::one("CH", "corneal hysteresis", &ch, Some("mmHg"));
    [
        Measurement::of(eye, letter, Measured::Tonometry(tonometry)),
        Measurement::of(eye, letter, Measured::OtherTest(ch)),
    ]
}
