//! A Pentacam's table with one exam of one eye.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice, nidek_wire::some_time};
use chiasm_proto::{
    Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement, Meridian, Shot,
};

pub static PENTACAM: Simulator = Simulator {
    driver: "oculus_pentacam",
    vendor: "Oculus",
    model: "Pentacam",
    knobs: &[Knob::OneEye, Knob::FailedShots, Knob::Extremes, Knob::PatientId, Knob::ClockUnset],
    print,
};

const HEADINGS: &str = "Last Name;First Name;Pat-ID;D.o.Birth;Exam Date;Exam Time;Exam Eye;Status;\
                        K1;K2;\r\n";

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4F50);
    let at = some_time(&mut dice);
    let date = match knobs.clock_unset {
        true => "1/1/2000;00:03:00".to_owned(),
        false => at.strftime("%-m/%-d/%Y;%H:%M:%S").to_string(),
    };
    let is_right = dice.once_in(2);
    let eye = knobs.only_eye.unwrap_or(if is_right { Eye::Right } else { Eye::Left });
    let token = if eye == Eye::Right { "Right" } else { "Left" };
    // Tenths of a dioptre.
    let k1 = if knobs.extremes { dice.between(251, 300) } else { dice.between(390, 440) };
    let k2 = k1 + dice.between(0, if knobs.extremes { 380 } else { 30 });
    let status = ["Data Gaps", "Model Deviation", "Blinking"][dice.between(0, 2) as usize];
    let id = knobs.patient_id.clone().unwrap_or_default();
    let (result, shot) = if knobs.failed_shots {
        (format!("{status};;"), Shot::failed(status))
    } else {
        let meridian =
            |tenths: i32| Meridian { power: Some(Hundredths(tenths * 10)), ..Meridian::default() };
        let value =
            KeratometryValue { r1: meridian(k1), r2: meridian(k2), ..KeratometryValue::default() };
        let text = |tenths: i32| format!("{}.{}", tenths / 10, tenths % 10);
        (format!("OK;{};{}", text(k1), text(k2)), Shot::of(value))
    };
    let row = format!("SAMPLE;A;{id};1/2/1970;{date};{token} ;{result};\r\n");
    let keratometry = Keratometry { shots: vec![shot], ..Keratometry::default() };
    SimPrint {
        bytes: [HEADINGS, &row].concat().into_bytes(),
        file_name: Some(format!("PENTACAM_{:05}.csv", seed % 100_000)),
        running_number: None,
        patient_id: knobs.patient_id.clone(),
        measurements: vec![Measurement::of(eye, token, Measured::Keratometry(keratometry))],
    }
}
