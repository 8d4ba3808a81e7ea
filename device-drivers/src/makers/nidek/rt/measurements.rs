//! What a section gives: refractions, lenses, corneas, pressures, distances, acuities, tests; right
//! before left, in the set that the source names.

use super::{
    report::Source,
    sections::{Section, Set},
};
use chiasm_proto::{
    Eye, Flag, FlagCode, IopValue, Keratometry, Measured, Measurement, OtherTest,
    PupillaryDistance, Representative, Tonometry, TonometryMethod, Vision,
};

const RESULT: &str = "result";
const EYES: [(Eye, &str); 2] = [(Eye::Right, "R"), (Eye::Left, "L")];

impl Section {
    /// Flags of what was sent by halves.
    pub fn note_halves(&mut self) {
        for (at, (eye, _)) in EYES.into_iter().enumerate() {
            if self.pressures_kpa[at].is_some() && self.pressures_mmhg[at].is_none() {
                let side = eye.abbreviation();
                let detail = format!("{side}: a pressure was sent in kPa and not in mmHg");
                self.flags.push(Flag { code: FlagCode::Inconsistent, detail });
            }
        }
    }

    pub fn append(mut self, all: &mut Vec<Measurement>) {
        self.refractions.sort_by_key(|it| (it.set, it.value.vision == Vision::Near, it.eye));
        let mut found: Vec<(Set, Measurement)> = Vec::new();
        for it in std::mem::take(&mut self.refractions) {
            let measured = Measured::Refraction(it.value);
            found.push((it.set, Measurement::of(it.eye, &it.letter, measured)));
        }
        for ((eye, letter), lens) in EYES.into_iter().zip(self.lenses.each_mut()) {
            let measured = lens.take().map(Measured::Lensometry);
            let of = |measured| (Set::Whole, Measurement::of(eye, letter, measured));
            found.extend(measured.map(of));
        }
        for ((eye, letter), cornea) in EYES.into_iter().zip(self.corneas.each_mut()) {
            let Some(value) = cornea.take() else { continue };
            let representative = Some(Representative { label: RESULT.into(), value });
            let measured = Keratometry { representative, ..Keratometry::default() };
            let measured = Measured::Keratometry(measured);
            found.push((Set::Whole, Measurement::of(eye, letter, measured)));
        }
        found.extend(self.pressures().into_iter().map(|it| (Set::Whole, it)));
        let distances = self.distances.iter();
        for (set, distance) in distances.filter(|(_, it)| *it != PupillaryDistance::default()) {
            let measured = Measured::PupillaryDistance(*distance);
            found.push((*set, Measurement::without_token(Eye::Both, measured)));
        }
        let is_relayed = self.source != Source::Refractor;
        let relayed = |it: Measurement| if is_relayed { it.relayed() } else { it };
        all.extend(found.into_iter().map(|(set, it)| relayed(it).in_set(&self.set_name(set))));
        // An acuity is always the refractor's own.
        for (set, acuities) in &self.acuities {
            all.extend(acuities.iter().map(|it| {
                let measured = Measured::VisualAcuity(it.value.clone());
                Measurement::of(it.eye, &it.letter, measured).in_set(&self.set_name(*set))
            }));
        }
        for (set, eye, letter, test) in &self.others {
            let measured = Measured::OtherTest(test.clone());
            let it = match letter.as_str() {
                "" => Measurement::without_token(*eye, measured),
                letter => Measurement::of(*eye, letter, measured),
            };
            all.push(relayed(it).in_set(&self.set_name(*set)));
        }
    }

    /// One value for each eye: the tonometer's result. A pressure needs mmHg; kPa alone are text.
    fn pressures(&self) -> Vec<Measurement> {
        let mut all = Vec::new();
        for (at, (eye, letter)) in EYES.into_iter().enumerate() {
            let kpa = &self.pressures_kpa[at];
            let measured = match (self.pressures_mmhg[at], kpa) {
                (Some(iop_mmhg), kpa) => {
                    let iop_kpa = kpa.as_ref().map(|(kpa, _)| *kpa);
                    let value = IopValue { iop_mmhg, iop_kpa };
                    let representative = Some(Representative { label: RESULT.into(), value });
                    Measured::Tonometry(Tonometry {
                        method: TonometryMethod::NonContact,
                        count_as_sent: None,
                        representative,
                        shots: vec![],
                        corrected: vec![],
                    })
                }
                (None, Some((_, text))) => {
                    let (code, name) = (format!("t{letter}"), "intraocular pressure");
                    Measured::OtherTest(OtherTest::one(&code, name, text, Some("kPa")))
                }
                (None, None) => continue,
            };
            all.push(Measurement::of(eye, letter, measured));
        }
        all
    }

    /// `@RM`, and `@RT subjective` or `@RT final` where the case of the code tells.
    fn set_name(&self, set: Set) -> String {
        match set {
            Set::Whole => self.name.clone(),
            Set::Subjective => format!("{} subjective", self.name),
            Set::Final => format!("{} final", self.name),
        }
    }
}
