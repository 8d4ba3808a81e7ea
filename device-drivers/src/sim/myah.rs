//! A MYAH's export: UTF-16, with matrices that nobody reads.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice, nidek_wire::some_time};
use chiasm_proto::{
    Biometry, Eye, Hundredths, Keratometry, KeratometryValue, Measured, Measurement, Meridian, Shot,
};

pub static MYAH: Simulator = Simulator {
    driver: "topcon_myah",
    vendor: "Topcon",
    model: "MYAH",
    knobs: &[Knob::OneEye, Knob::Extremes, Knob::ClockUnset],
    print,
};

fn print(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut dice = Dice::new(seed ^ 0x4D59);
    let at = some_time(&mut dice);
    let date = match knobs.clock_unset {
        true => "2000-01-01T00:03:00".to_owned(),
        false => at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
    };
    let id = dice.between(1, 9999);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<XMLDataPolarExportation>\r\n\
         \t<Patient><ID>{id}</ID><LastName>SAMPLE</LastName><FirstName></FirstName>\
         <BirthDate>2014-01-02</BirthDate><Sex>F</Sex></Patient>\r\n"
    );
    let mut measurements = vec![];
    for (no, (eye, token)) in [(Eye::Right, "OD"), (Eye::Left, "OS")].into_iter().enumerate() {
        let (data, measured) = one_eye(&mut dice, knobs.extremes);
        if knobs.measures(eye) {
            text += &format!(
                "\t<PatientEyeData>\r\n\t\t<ID>{}</ID><PatientID>{id}</PatientID>\
                 <Eye>{token}</Eye><Date>{date}</Date>\r\n\t\t<Data>{data}</Data>\r\n\
                 \t</PatientEyeData>\r\n",
                no + 1,
            );
            measurements.extend(measured.into_iter().map(|it| Measurement::of(eye, token, it)));
        }
    }
    text += "</XMLDataPolarExportation>\r\n";
    let wide = text.encode_utf16().flat_map(u16::to_le_bytes);
    SimPrint {
        bytes: [0xFF, 0xFE].into_iter().chain(wide).collect(),
        file_name: Some(format!("MYAH_{:05}.xml", seed % 100_000)),
        running_number: None,
        patient_id: None,
        measurements,
    }
}

fn point(hundredths: i32) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn one_eye(dice: &mut Dice, extremes: bool) -> (String, Vec<Measured>) {
    let [flat, steep] = if extremes { [1180, 560] } else { [800, 765] };
    let (flat, steep) = (flat + dice.between(-15, 15), steep + dice.between(-15, 15));
    let axis = dice.between(0, 180);
    let other_axis = if axis < 90 { axis + 90 } else { axis - 90 };
    let length = if extremes { 1405 } else { dice.between(2100, 2700) };
    let is_missing = dice.once_in(5);
    let missing = ["-1.0", "-1", "-1000"][dice.between(0, 2) as usize];
    let sent_length = if is_missing { missing.to_owned() } else { point(length) };
    let matrix: String = (0..3).map(|_| row(dice)).collect();
    let data = format!(
        "<FlatK>{}</FlatK><FlatAngle>{axis}</FlatAngle><SteepK>{}</SteepK>\
         <SteepAngle>{other_axis}</SteepAngle><AxialLength>{sent_length}</AxialLength>\
         <MissingDataValue>-1.0</MissingDataValue><Matrix>{matrix}</Matrix>",
        point(flat),
        point(steep),
    );
    let mut measured = vec![];
    if !is_missing {
        let axial_length_mm = Some(Hundredths(length));
        measured.push(Measured::Biometry(Biometry { axial_length_mm, ..Biometry::default() }));
    }
    let meridian = |radius: i32, axis: i32| Meridian {
        radius_mm: Some(Hundredths(radius)),
        power: None,
        axis_deg: Some(axis as i16),
    };
    measured.push(Measured::Keratometry(Keratometry {
        shots: vec![Shot::of(KeratometryValue {
            r1: meridian(flat, axis),
            r2: meridian(steep, other_axis),
            ..KeratometryValue::default()
        })],
        ..Keratometry::default()
    }));
    (data, measured)
}

fn row(dice: &mut Dice) -> String {
    let number = |dice: &mut Dice| match dice.once_in(8) {
        true => "-1.0".to_owned(),
        false => format!("7.{:04}", dice.between(0, 9999)),
    };
    let numbers: Vec<String> = (0..8).map(|_| number(dice)).collect();
    format!("<Row>{}</Row>", numbers.join(" "))
}
