//! Vision screeners, with their knobs: one exam, so one row, per print.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    CylinderMode, Eye, Hundredths, Measured, Measurement, OtherTest, OtherValue, PupilSize,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Shot,
};

pub static SPOT: Simulator = Simulator {
    driver: "welch_allyn_spot",
    vendor: "Welch Allyn",
    model: "Spot VS100",
    knobs: &[Knob::OneEye, Knob::MissingPd, Knob::Extremes, Knob::PlusCylinder, Knob::ClockUnset],
    print: spot,
};
pub static TWO_WIN: Simulator = Simulator {
    driver: "adaptica_2win",
    vendor: "Adaptica",
    model: "2WIN-S",
    knobs: &[
        Knob::OneEye,
        Knob::FailedShots,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print: two_win,
};
pub static PLUSOPTIX: Simulator = Simulator {
    driver: "plusoptix_screener",
    vendor: "Plusoptix",
    model: "compatible camera",
    knobs: &[
        Knob::OneEye,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::PlusCylinder,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print: plusoptix,
};

/// `-2.25`, `0.50`.
fn two(hundredths: i32) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let size = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

fn tenths(hundredths: i32) -> String {
    format!("{}.{}", hundredths / 100, hundredths / 10 % 10)
}

struct EyePrint {
    eye: Eye,
    sphere: i32,
    cylinder: i32,
    axis: i16,
    pupil: i32,
    gaze: (i32, i32),
}

impl EyePrint {
    fn random(dice: &mut Dice, knobs: &Knobs, eye: Eye) -> Self {
        let sign = if knobs.plus_cylinder { 1 } else { -1 };
        let (sphere, cylinder) = match knobs.extremes {
            true => (-750 - dice.between(0, 8) * 25, sign * 300),
            false => (dice.stepped(-600, 600, 25), sign * dice.stepped(0, 300, 25)),
        };
        Self {
            eye,
            sphere,
            cylinder,
            axis: dice.between(1, 180) as i16,
            pupil: dice.between(40, 80) * 10,
            gaze: (dice.between(-9, 9), dice.between(-9, 9)),
        }
    }

    fn value(&self, spherical_equivalent: Option<i32>) -> RefractionValue {
        RefractionValue {
            sphere: Hundredths(self.sphere),
            cylinder: Hundredths(self.cylinder),
            axis_deg: (self.cylinder != 0).then_some(self.axis),
            spherical_equivalent: spherical_equivalent.map(Hundredths),
        }
    }

    /// As the axis stands in the row: nothing to turn is 0.
    fn axis(&self) -> i16 {
        if self.cylinder == 0 { 0 } else { self.axis }
    }

    fn pupil(&self) -> Measured {
        let diameter_mm = Hundredths(self.pupil);
        Measured::PupilSize(PupilSize { diameter_mm, state_as_sent: None })
    }

    /// The numbers of an exam that failed.
    fn beside_error(&self) -> Measured {
        let value =
            |name: &str, as_sent: String| OtherValue { name: name.into(), as_sent, unit: None };
        Measured::OtherTest(OtherTest {
            code: "refraction".into(),
            name: "numbers beside an error".into(),
            values: vec![
                value("sphere", two(self.sphere)),
                value("cylinder", two(self.cylinder)),
                value("axis", self.axis().to_string()),
            ],
        })
    }

    fn gaze(&self) -> Measured {
        let value = |name: &str, number: i32| OtherValue {
            name: name.into(),
            as_sent: number.to_string(),
            unit: None,
        };
        Measured::OtherTest(OtherTest {
            code: "gaze".into(),
            name: "gaze deviation".into(),
            values: vec![value("x", self.gaze.0), value("y", self.gaze.1)],
        })
    }
}

fn eyes(dice: &mut Dice, knobs: &Knobs) -> [EyePrint; 2] {
    [Eye::Right, Eye::Left].map(|eye| EyePrint::random(dice, knobs, eye))
}

fn refraction(shot: Shot<RefractionValue>) -> Refraction {
    Refraction { shots: vec![shot], ..Refraction::new(RefractionKind::Autorefraction) }
}

/// The distance as text, and as what has to be read from it.
fn distance(dice: &mut Dice, knobs: &Knobs) -> (String, Option<Measurement>) {
    let far = if knobs.extremes { 3500 } else { dice.stepped(4500, 6800, 50) };
    if knobs.missing_pd {
        return (String::new(), None);
    }
    let distance =
        PupillaryDistance { far_mm: Some(Hundredths(far)), ..PupillaryDistance::default() };
    let measured = Measured::PupillaryDistance(distance);
    (tenths(far), Some(Measurement::without_token(Eye::Both, measured)))
}

fn result(code: &str, name: &str, text: &str) -> Measurement {
    let measured = Measured::OtherTest(OtherTest::one(code, name, text, None));
    Measurement::without_token(Eye::Both, measured)
}

fn spot(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed);
    let mut measurements = vec![];
    let (mut heading, mut row) = (String::new(), String::new());
    for (print, token) in eyes(&mut dice, knobs).iter().zip(["Od", "OS"]) {
        heading += &format!(
            ",{token} SE,{token} DS,{token} DC,{token} Axis,{token} Pupil Size,{token} Gaze X,\
             {token} Gaze Y"
        );
        if !knobs.measures(print.eye) {
            row += ",,,,,,,";
            continue;
        }
        let equivalent = print.sphere + print.cylinder / 2;
        row += &format!(
            ",{},{},{},{},{},{},{}",
            two(equivalent),
            two(print.sphere),
            two(print.cylinder),
            print.axis(),
            tenths(print.pupil),
            print.gaze.0,
            print.gaze.1
        );
        let refraction = refraction(Shot::of(print.value(Some(equivalent))));
        for measured in [Measured::Refraction(refraction), print.pupil(), print.gaze()] {
            measurements.push(Measurement::of(print.eye, token, measured));
        }
    }
    let (text, far) = distance(&mut dice, knobs);
    measurements.extend(far);
    let word = if dice.once_in(3) { "2" } else { "1" };
    measurements.push(result("Result Status", "screening result", word));
    let number = format!("SN9001_{}", seed % 10_000);
    let date = if knobs.clock_unset { "01/01/2000" } else { "03/14/2026" };
    let file = format!(
        "Id,Record ID,First Name,Last Name,Gender,Date of Birth,Age (in Months),Timestamp,\
         SW Version{heading},Interpupil,Result Status\r\n{},{number},,\"SAMPLE, A\",F,01/02/2020,\
         73,{date} 09:41,3.1{row},{text},{word}\r\n",
        seed % 997
    );
    SimPrint {
        bytes: file.into_bytes(),
        file_name: Some("SpotResultsExtended.csv".into()),
        running_number: Some(number),
        patient_id: None,
        measurements,
    }
}

fn two_win(seed: u64, knobs: &Knobs) -> SimPrint {
    let knobs = &Knobs { plus_cylinder: true, ..knobs.clone() }; // it knows no other
    let mut dice = Dice::new(seed);
    let error = knobs.failed_shots.then(|| dice.between(1, 9));
    let text = error.map(|code| format!("try again (code {code})"));
    let mut measurements = vec![];
    let (mut values, mut gazes) = (String::new(), String::new());
    for print in eyes(&mut dice, knobs) {
        let mut shot = Shot { no: None, value: None, confidence: None, error: text.clone() };
        let is_measured = knobs.measures(print.eye);
        if is_measured {
            let (sphere, cylinder) = (two(print.sphere), two(print.cylinder));
            let (axis, pupil) = (print.axis(), tenths(print.pupil));
            values += &format!(",{sphere},{cylinder},{axis},{pupil}");
            gazes += &format!(",{},{}", print.gaze.0, print.gaze.1);
            shot.value = text.is_none().then(|| print.value(None));
        } else {
            values += ",,,,";
            gazes += ",,";
        }
        let mut push = |measured| {
            measurements.push(Measurement::without_token(print.eye, measured));
        };
        if is_measured || shot.error.is_some() {
            let refraction =
                Refraction { cylinder_mode: Some(CylinderMode::Plus), ..refraction(shot) };
            push(Measured::Refraction(refraction));
        }
        if is_measured && text.is_some() {
            push(print.beside_error());
        }
        if is_measured {
            push(print.pupil());
            push(print.gaze());
        }
    }
    let (far_text, far) = distance(&mut dice, knobs);
    measurements.extend(far);
    let number = (seed % 10_000).to_string();
    let date = if knobs.clock_unset { "2000-01-01" } else { "2026-03-14" };
    let id = knobs.patient_id.as_deref().unwrap_or("");
    let message = error.map_or("ok,0".into(), |code| format!("try again,{code}"));
    // A comma in a name, without quotes.
    let name = if dice.once_in(3) { "SAMPLE, JR" } else { "SAMPLE" };
    let row = format!(
        "{date}T09:41:07,{name},,2020-02-01,{id},,{values}{gazes},{far_text},{number},9.0,\
         {message}\r\n"
    );
    SimPrint {
        bytes: row.into_bytes(),
        file_name: Some("exams.csv".into()),
        running_number: Some(number),
        patient_id: knobs.patient_id.clone(),
        measurements,
    }
}

fn plusoptix(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed);
    let mut measurements = vec![];
    let mut values = String::new();
    for print in eyes(&mut dice, knobs) {
        if !knobs.measures(print.eye) {
            values += ";;;;";
            continue;
        }
        let (sphere, cylinder) = (two(print.sphere), two(print.cylinder));
        values += &format!(";{sphere};{cylinder};{};{}", print.axis(), tenths(print.pupil));
        let refraction = refraction(Shot::of(print.value(None)));
        for measured in [Measured::Refraction(refraction), print.pupil()] {
            measurements.push(Measurement::without_token(print.eye, measured));
        }
    }
    let (far_text, far) = distance(&mut dice, knobs);
    measurements.extend(far);
    let gaze = dice.between(0, 9).to_string();
    let word = dice.between(0, 2).to_string();
    let monocular = if knobs.only_eye.is_some() { "1" } else { "0" };
    measurements.push(result("gaze", "gaze asymmetry", &gaze));
    measurements.push(result("monocular", "monocular", monocular));
    let name = "screening result (0 pass, 1 refer, 2 refer or try again)";
    measurements.push(result("result", name, &word));
    let number = (seed % 10_000).to_string();
    let date = if knobs.clock_unset { "2000-01-01" } else { "2026-03-14" };
    let id = knobs.patient_id.as_deref().unwrap_or("");
    let row = format!(
        "{date}T09:41:07+01:00;{number};SAMPLE;;2020-02-01;{id};School 1;{values};{gaze};\
         {far_text};{monocular};{word}\r\n"
    );
    SimPrint {
        bytes: row.into_bytes(),
        file_name: Some("screening.txt".into()),
        running_number: Some(number),
        patient_id: knobs.patient_id.clone(),
        measurements,
    }
}
