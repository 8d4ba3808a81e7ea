//! The instruments that write `<optic>` XML, with their knobs.

use super::{Knob, Knobs, SimPrint, Simulator, dice::Dice};
use chiasm_proto::{
    CornealSize, CorrectedIop, CylinderMode, Eye, Hundredths, IopValue, Keratometry,
    KeratometryValue, Lensometry, Light, Measured, Measurement, Meridian, OtherTest, PupilSize,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative, Shot,
    Tonometry, TonometryMethod, Vision,
};

const EYES: [(Eye, &str); 2] = [(Eye::Right, "right"), (Eye::Left, "left")];
const REFRACTING: &[Knob] = &[
    Knob::OneEye,
    Knob::MissingPd,
    Knob::Extremes,
    Knob::Night,
    Knob::PlusCylinder,
    Knob::PatientId,
    Knob::ClockUnset,
];

pub static VX130: Simulator = Simulator {
    driver: "visionix_optic",
    vendor: "Visionix",
    model: "VX130",
    knobs: &[
        Knob::OneEye,
        Knob::FailedShots,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::Night,
        Knob::PlusCylinder,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print: |seed, knobs| refracting("VX130", true, seed, knobs),
};
pub static L80: Simulator = Simulator {
    driver: "visionix_optic",
    vendor: "Visionix",
    model: "L80",
    knobs: REFRACTING,
    print: |seed, knobs| refracting("L80", false, seed, knobs),
};
pub static VX40: Simulator = Simulator {
    driver: "visionix_optic",
    vendor: "Visionix",
    model: "VX40",
    knobs: &[
        Knob::OneEye,
        Knob::MissingPd,
        Knob::Extremes,
        Knob::PlusCylinder,
        Knob::PatientId,
        Knob::ClockUnset,
    ],
    print: lenses,
};

/// `-2.25`, `+1.50`: a sign in front of everything, as the lensmeter writes it.
fn signed(hundredths: i32) -> String {
    let sign = if hundredths < 0 { '-' } else { '+' };
    let size = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// Tenths: `31.5`.
fn tenths(hundredths: i32) -> String {
    format!("{}.{}", hundredths / 100, hundredths / 10 % 10)
}

/// Sphere, cylinder, axis.
#[derive(Clone, Copy)]
struct Power {
    sphere: i32,
    cylinder: i32,
    axis: i16,
}

impl Power {
    fn random(dice: &mut Dice, knobs: &Knobs) -> Self {
        let sign = if knobs.plus_cylinder { 1 } else { -1 };
        let axis = dice.between(0, 180) as i16;
        let edge = if dice.once_in(2) { 2000 } else { -2000 };
        match knobs.extremes {
            true => Self { sphere: edge - dice.between(0, 9) * 25, cylinder: sign * 800, axis },
            false => Self {
                sphere: dice.stepped(-800, 600, 25),
                cylinder: sign * dice.stepped(0, 300, 25),
                axis,
            },
        }
    }

    fn value(self) -> RefractionValue {
        RefractionValue {
            sphere: Hundredths(self.sphere),
            cylinder: Hundredths(self.cylinder),
            axis_deg: (self.cylinder != 0).then_some(self.axis),
            spherical_equivalent: None,
        }
    }

    fn xml(self) -> String {
        let (sphere, cylinder) = (signed(self.sphere), signed(self.cylinder));
        let axis = format!("{:>6}", self.axis);
        format!("<sphere>{sphere}</sphere><cylinder>{cylinder}</cylinder><axis>{axis}</axis>")
    }
}

const NO_POWER: &str = "<sphere></sphere><cylinder>   </cylinder><axis></axis>";

fn mode(knobs: &Knobs) -> (CylinderMode, &'static str) {
    match knobs.plus_cylinder {
        true => (CylinderMode::Plus, "+"),
        false => (CylinderMode::Minus, "-"),
    }
}

struct Exam<'k> {
    dice: Dice,
    knobs: &'k Knobs,
    measurements: Vec<Measurement>,
    halves: PupillaryDistance,
}

impl Exam<'_> {
    fn push(&mut self, (eye, token): (Eye, &str), set: &str, measured: Measured) {
        let measurement = Measurement::of(eye, token, measured);
        let named = if set.is_empty() { measurement } else { measurement.in_set(set) };
        self.measurements.push(named);
    }

    /// Half a distance, or blanks.
    fn half(&mut self, eye: Eye) -> String {
        let half = self.dice.stepped(2700, 3600, 50);
        if self.knobs.missing_pd || !self.knobs.measures(eye) {
            return "    ".into();
        }
        let slot = match eye {
            Eye::Left => &mut self.halves.left_mm,
            _ => &mut self.halves.right_mm,
        };
        *slot = Some(Hundredths(half));
        format!("+{}", tenths(half))
    }

    fn finish_distance(&mut self) {
        if self.halves != PupillaryDistance::default() {
            let measured = Measured::PupillaryDistance(self.halves);
            self.measurements.push(Measurement::without_token(Eye::Both, measured));
        }
    }

    /// One set of the wavefront; by night only if it was measured.
    fn set(&mut self, side: (Eye, &str), name: &str, measured_at: bool) -> String {
        let power = Power::random(&mut self.dice, self.knobs);
        let pupil = self.dice.between(25, 70) * 10;
        let rms = format!("0.{:03}", self.dice.between(1, 999));
        if !measured_at || !self.knobs.measures(side.0) {
            return format!(
                "<{name}>{NO_POWER}<SE unit=\"D\"></SE><pupil unit=\"mm\"> </pupil>\
                 <total_rms unit=\"mu\"></total_rms></{name}>"
            );
        }
        let light = if name == "Mesopic" { Light::Night } else { Light::Day };
        let refraction = refraction(power, self.knobs, light, Vision::Far, None);
        self.push(side, name, Measured::Refraction(refraction));
        let size =
            PupilSize { diameter_mm: Hundredths(pupil), state_as_sent: Some(name.to_owned()) };
        self.push(side, name, Measured::PupilSize(size));
        let text = "total wavefront error, root mean square";
        let test = OtherTest::one("total_rms", text, &rms, Some("mu"));
        self.push(side, name, Measured::OtherTest(test));
        format!(
            "<{name}>{}<SE unit=\"D\"></SE><pupil unit=\"mm\">{}</pupil>\
             <total_rms unit=\"mu\">{rms}</total_rms><Zernike_HOA><HOA unit=\"%\">12</HOA>\
             </Zernike_HOA></{name}>",
            power.xml(),
            tenths(pupil)
        )
    }

    fn near(&mut self, side: (Eye, &str)) -> String {
        let power = Power::random(&mut self.dice, self.knobs);
        let add = self.dice.stepped(75, 300, 25);
        let name = "Near_Vision_fast";
        if !self.knobs.measures(side.0) {
            return format!("<{name}>{NO_POWER}<addition>    </addition></{name}>");
        }
        let refraction =
            refraction(power, self.knobs, Light::Day, Vision::Near, Some(Hundredths(add)));
        self.push(side, name, Measured::Refraction(refraction));
        format!("<{name}>{}<addition>{}</addition></{name}>", power.xml(), signed(add))
    }

    fn keratometry(&mut self, side: (Eye, &str)) -> String {
        let flat = if self.knobs.extremes { 1280 } else { self.dice.between(740, 860) };
        let steep = flat - self.dice.between(0, 30);
        let axis = self.dice.between(0, 90) as i16;
        let cylinder = -self.dice.between(0, 300);
        if !self.knobs.measures(side.0) {
            return "<sim_k><K1><radius></radius><axis> </axis></K1></sim_k>".into();
        }
        let meridian = |radius: i32, axis: i16| Meridian {
            radius_mm: Some(Hundredths(radius)),
            power: None,
            axis_deg: Some(axis),
        };
        let value = KeratometryValue {
            r1: meridian(flat, axis),
            r2: meridian(steep, axis + 90),
            cylinder: Some(Hundredths(cylinder)),
            cylinder_axis_deg: (cylinder != 0).then_some(axis),
            ..KeratometryValue::default()
        };
        let keratometry = Keratometry {
            refractive_index: Some("1.3375".into()),
            shots: vec![Shot::of(value)],
            ..Keratometry::default()
        };
        self.push(side, "", Measured::Keratometry(keratometry));
        let meridian = |name: &str, radius: i32, axis: i16| {
            let radius = format!("{}.{:02}", radius / 100, radius % 100);
            format!(
                "<{name}><radius unit=\"mm\">{radius}</radius><axis unit=\"deg\">{axis}</axis>\
                 </{name}>"
            )
        };
        format!(
            "<sim_k>{}{}<cylinder><power unit=\"D\">{}</power><axis>{axis}</axis></cylinder>\
             </sim_k><keratoconus><kpi></kpi></keratoconus>",
            meridian("K1", flat, axis),
            meridian("K2", steep, axis + 90),
            signed(cylinder)
        )
    }

    /// Three puffs; one that failed is left empty.
    fn pressure(&mut self, side: (Eye, &str)) -> String {
        let base = if self.knobs.extremes { 58 } else { self.dice.between(10, 21) };
        let failed = if self.knobs.failed_shots { self.dice.between(1, 3) } else { 0 };
        let mut tonometry = Tonometry::new(TonometryMethod::NonContact);
        let (mut shots, mut corrected) = (String::new(), String::new());
        for no in 1..=3 {
            let mmhg = base + self.dice.between(-1, 1);
            let less = mmhg * 100 - self.dice.between(1, 19) * 10;
            let is_good = no != failed && self.knobs.measures(side.0);
            let text = |text: String| if is_good { text } else { String::new() };
            shots += &format!("<measure{no}>{}</measure{no}>", text(mmhg.to_string()));
            corrected += &format!("<measure{no}>{}</measure{no}>", text(tenths(less)));
            if is_good {
                let value = IopValue { iop_mmhg: Hundredths::whole(mmhg), iop_kpa: None };
                tonometry.shots.push(Shot { no: Some(no as u32), ..Shot::of(value) });
                tonometry.corrected.push(CorrectedIop {
                    label: "PIOc".into(),
                    shot_no: Some(no as u32),
                    corrected_mmhg: Some(Hundredths(less)),
                    ..CorrectedIop::default()
                });
            }
        }
        let mut average = String::new();
        if self.knobs.measures(side.0) {
            let iop_mmhg = Hundredths::whole(base);
            tonometry.representative = Some(Representative {
                label: "average".into(),
                value: IopValue { iop_mmhg, iop_kpa: None },
            });
            average = format!("{base}.0");
            self.push(side, "", Measured::Tonometry(tonometry));
        }
        format!("<average>{average}</average><PIO>{shots}</PIO><PIOc>{corrected}</PIOc>")
    }

    fn cornea(&mut self, side: (Eye, &str)) -> String {
        let diameter = self.dice.between(1080, 1300);
        if !self.knobs.measures(side.0) {
            return "<white_to_white> </white_to_white>".into();
        }
        let diameter_mm = Hundredths(diameter);
        self.push(side, "", Measured::CornealSize(CornealSize { diameter_mm }));
        let text = format!("{}.{:02}", diameter / 100, diameter % 100);
        format!("<white_to_white unit=\"mm\">{text}</white_to_white>")
    }
}

fn refraction(
    power: Power,
    knobs: &Knobs,
    light: Light,
    vision: Vision,
    add: Option<Hundredths>,
) -> Refraction {
    Refraction {
        light,
        vision,
        vertex_distance_mm: Some(Hundredths::whole(12)),
        dioptre_step: Some(Hundredths(25)),
        axis_step_deg: Some(1),
        cylinder_mode: Some(mode(knobs).0),
        shots: vec![Shot::of(power.value())],
        add,
        ..Refraction::new(RefractionKind::Autorefraction)
    }
}

fn exam<'k>(seed: u64, knobs: &'k Knobs) -> Exam<'k> {
    let halves = PupillaryDistance::default();
    Exam { dice: Dice::new(seed), knobs, measurements: vec![], halves }
}

fn refracting(model: &str, has_pressure: bool, seed: u64, knobs: &Knobs) -> SimPrint {
    let mut exam = exam(seed, knobs);
    let mut wavefront = String::new();
    for side in EYES {
        let sets = exam.set(side, "Photopic", true)
            + &exam.set(side, "Mesopic", knobs.night)
            + &exam.near(side);
        let half = exam.half(side.0);
        let token = side.1;
        wavefront += &format!(
            "<wf_{token}><cataract_mode></cataract_mode>\
             <half_far_pupillary_distance>{half}</half_far_pupillary_distance>{sets}</wf_{token}>"
        );
    }
    exam.finish_distance();
    let mut part = |root: &str, name: &str, each: fn(&mut Exam, (Eye, &str)) -> String| {
        let sides = EYES.map(|side| {
            let inside = each(&mut exam, side);
            let index = if root == "measure_TOPO" {
                "<refractive_index>1.3375</refractive_index>"
            } else {
                ""
            };
            format!("<{name}_{0}>{index}{inside}</{name}_{0}>", side.1)
        });
        format!("<{root}>{}</{root}>", sides.concat())
    };
    let mut rest = part("measure_TOPO", "topo", |exam, side| exam.keratometry(side));
    if has_pressure {
        rest += &part("ACA", "ACA", |exam, side| exam.cornea(side));
        rest += &part("TONO", "tono", |exam, side| exam.pressure(side));
    }
    let inside = format!(
        "<objective_mesurement><ID></ID><measure_WF><magnification></magnification>\
         <VD unit=\"mm\">12</VD>{}{wavefront}</measure_WF>{rest}</objective_mesurement>",
        steps(knobs)
    );
    print(model, "company", None, exam, &inside)
}

fn steps(knobs: &Knobs) -> String {
    let mode = mode(knobs).1;
    format!(
        "<axis_step unit=\"deg\">1</axis_step><diopter_step unit=\"deg\">0.25</diopter_step>\
         <cylinder_mode>{mode}</cylinder_mode>"
    )
}

fn lenses(seed: u64, knobs: &Knobs) -> SimPrint {
    let mut exam = exam(seed, knobs);
    let mut sides = String::new();
    for (eye, token) in EYES {
        let half = exam.half(eye);
        let power = Power::random(&mut exam.dice, knobs);
        let add = exam.dice.stepped(0, 300, 25);
        let mut text = format!("{NO_POWER}<addition>    </addition>");
        if knobs.measures(eye) {
            let value = power.value();
            let lens = Lensometry {
                sphere: Some(value.sphere),
                cylinder: Some(value.cylinder),
                axis_deg: value.axis_deg,
                cylinder_mode: Some(mode(knobs).0),
                add: (add > 0).then_some(Hundredths(add)),
                dioptre_step: Some(Hundredths(25)),
                ..Lensometry::default()
            };
            exam.push((eye, token), "", Measured::Lensometry(lens));
            let add = if add > 0 { signed(add) } else { "    ".into() };
            text = format!("{}<addition>{add}</addition>", power.xml());
        }
        sides += &format!(
            "<ref_{token}><half_far_pupil_distance>{half}</half_far_pupil_distance>{text}\
             <prism>\n</prism></ref_{token}>"
        );
    }
    exam.finish_distance();
    let number = format!("{:05}", seed % 10_000);
    let inside = format!(
        "<LSM_mesurement><ID>{number}</ID><measure_REF>{}{sides}</measure_REF></LSM_mesurement>",
        steps(knobs)
    );
    print("VX40", "compagny", Some(number), exam, &inside)
}

fn print(
    model: &str,
    company: &str,
    running_number: Option<String>,
    mut exam: Exam,
    inside: &str,
) -> SimPrint {
    let knobs = exam.knobs;
    let (day, minute) = (exam.dice.between(1, 28), exam.dice.between(0, 59));
    let (date, time) = match (knobs.clock_unset, model) {
        (true, _) => ("01/01/2000".to_owned(), "00:00".to_owned()),
        (false, "VX40") => (format!("{day:02}/Mar/2026"), format!("10:{minute:02}:05")),
        (false, _) => (format!("{day:02}/03/2026"), format!("10:{minute:02}")),
    };
    let id = knobs.patient_id.as_deref().unwrap_or("");
    let text = format!(
        "<?xml version='1.0' standalone='yes'?>\n<optic>\n<optometry>\n\
         <{company}>Visionix Ltd</{company}>\n<model_name>{model}</model_name>\n\
         <machine_no>9001</machine_no>\n<version>9.0.0</version>\n<date>{date}</date>\n\
         <time>{time}</time>\n<patient><ID>{id}</ID><last_name>SAMPLE</last_name></patient>\n\
         {inside}\n</optometry>\n</optic>\n"
    );
    SimPrint {
        bytes: text.into_bytes(),
        file_name: Some(format!("{model}_{}.xml", exam.dice.between(100_000, 999_999))),
        running_number,
        patient_id: knobs.patient_id.clone(),
        measurements: exam.measurements,
    }
}
