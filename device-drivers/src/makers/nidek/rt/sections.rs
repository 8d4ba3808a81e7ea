//! The lines under one source: which is which, by the source and the case of their code.

use super::{
    acuities::{self, Acuity},
    numbers::{axis_deg, one_of, optional, power, prism, sphere_cylinder_axis},
    others::{self, Test},
    report::Source,
};
use crate::{DecodeError, format::fields::Field};
use chiasm_proto::{
    Correction, Eye, Flag, FlagCode, Hundredths, KeratometryValue, Lensometry, Light, OtherTest,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative, Vision,
};

/// Where the case of the code tells: small letters are subjective, capitals final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    Whole,
    Subjective,
    Final,
}

/// The second character of a code: which eye, for which distance.
fn eye_of(letter: u8) -> Option<(Eye, Vision)> {
    let eye = match letter.to_ascii_uppercase() {
        b'R' => Eye::Right,
        b'L' => Eye::Left,
        b'B' => Eye::Both,
        _ => return None,
    };
    let vision = if letter.is_ascii_uppercase() { Vision::Far } else { Vision::Near };
    Some((eye, vision))
}

/// A refraction, with what tells it from the others of a section.
pub struct Refracted {
    pub set: Set,
    pub eye: Eye,
    pub letter: String,
    pub value: Refraction,
}

/// What was sent under one source.
pub struct Section {
    pub source: Source,
    pub name: String,
    light: Light,
    pub refractions: Vec<Refracted>,
    /// Pairs hold the right eye first.
    pub lenses: [Option<Lensometry>; 2],
    pub corneas: [Option<KeratometryValue>; 2],
    pub pressures_mmhg: [Option<Hundredths>; 2],
    /// With the text as sent.
    pub pressures_kpa: [Option<(Hundredths, String)>; 2],
    pub distances: Vec<(Set, PupillaryDistance)>,
    pub acuities: Vec<(Set, Vec<Acuity>)>,
    pub others: Vec<(Set, Eye, String, OtherTest)>,
    /// Single tests that were sent.
    headings: Vec<String>,
    pub flags: Vec<Flag>,
}

impl Section {
    pub fn new(source: Source, name: &str) -> Self {
        let is_night = name.bytes().any(|byte| byte.is_ascii_lowercase());
        Self {
            source,
            name: name.to_owned(),
            light: if is_night { Light::Night } else { Light::Day },
            refractions: vec![],
            lenses: [None, None],
            corneas: [None, None],
            pressures_mmhg: [None, None],
            pressures_kpa: [None, None],
            distances: vec![],
            acuities: vec![],
            others: vec![],
            headings: vec![],
            flags: vec![],
        }
    }

    /// Whether the line was understood.
    pub fn line(&mut self, code: &str, rest: &Field) -> Result<bool, DecodeError> {
        let [kind, side] = code.as_bytes()[..] else {
            return self.single(others::SINGLE, code, rest);
        };
        match self.source {
            Source::Lensmeter => self.lens_line(kind, side, code, rest),
            Source::Autorefractor => self.autorefractor_line(kind, side, code, rest),
            Source::Refractor => self.own_line(kind, side, code, rest),
            Source::Keratometer => self.cornea_line(kind, side, rest),
            Source::Tonometer => self.pressure_line(kind, side, rest),
        }
    }

    fn lens_line(
        &mut self,
        kind: u8,
        side: u8,
        code: &str,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        let far = match side {
            b'R' => Some(0),
            b'L' => Some(1),
            _ => None,
        };
        match (kind, far) {
            (b' ', Some(at)) => {
                let value = sphere_cylinder_axis(rest)?;
                let lens = self.lenses[at].get_or_insert_default();
                lens.sphere = Some(value.sphere);
                lens.cylinder = Some(value.cylinder);
                lens.axis_deg = value.axis_deg;
            }
            (b'A', Some(at)) => {
                self.lenses[at].get_or_insert_default().add = Some(power(rest)?);
            }
            (b'P', Some(at)) => {
                self.lenses[at].get_or_insert_default().prism = Some(prism(rest)?);
            }
            (b'P', None) if side == b'D' => self.distance(Set::Whole, Vision::Far, rest)?,
            (b'W', None) => return self.single(others::OF_LENSES, code, rest),
            _ => return self.relayed_acuity(Correction::Wearing, kind, side, rest),
        }
        Ok(true)
    }

    fn autorefractor_line(
        &mut self,
        kind: u8,
        side: u8,
        code: &str,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        match code {
            "OR" | "OL" => {
                let value = sphere_cylinder_axis(rest)?;
                self.refraction(Set::Whole, side, Vision::Far).representative =
                    chosen("result", value);
            }
            "PD" => self.distance(Set::Whole, Vision::Far, rest)?,
            _ => return self.relayed_acuity(Correction::Objective, kind, side, rest),
        }
        Ok(true)
    }

    /// Capitals only, and never unaided.
    fn relayed_acuity(
        &mut self,
        correction: Correction,
        kind: u8,
        side: u8,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        match acuities::kind(kind).filter(|it| kind.is_ascii_uppercase() && !it.is_unaided) {
            Some(_) => self.acuity(Set::Whole, correction, kind, side, rest),
            None => Ok(false),
        }
    }

    fn own_line(
        &mut self,
        kind: u8,
        side: u8,
        code: &str,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        if others::by_code(others::SINGLE, code).is_some() {
            return self.single(others::SINGLE, code, rest);
        }
        let set = if kind.is_ascii_uppercase() { Set::Final } else { Set::Subjective };
        let eye = eye_of(side).filter(|(eye, _)| *eye != Eye::Both);
        match (kind.to_ascii_lowercase(), eye) {
            (b'f', Some((_, Vision::Far))) => self.own_value(set, side, Vision::Far, rest)?,
            (b'n', Some(_)) => self.own_value(set, side, Vision::Near, rest)?,
            (b'a', Some((_, Vision::Far))) => {
                let add = power(rest)?;
                self.refraction(set, side, Vision::Far).add = Some(add);
            }
            (b'p', Some((_, vision))) => {
                let prism = prism(rest)?;
                self.refraction(set, side, vision).prism = Some(prism);
            }
            (b'p', None) if side == b'D' => self.distance(set, Vision::Far, rest)?,
            (b'p', None) if side == b'd' => self.distance(set, Vision::Near, rest)?,
            _ => return self.own_test(kind, side, code, rest),
        }
        Ok(true)
    }

    fn own_value(
        &mut self,
        set: Set,
        side: u8,
        vision: Vision,
        rest: &Field,
    ) -> Result<(), DecodeError> {
        let value = sphere_cylinder_axis(rest)?;
        let label = if set == Set::Final { "final" } else { "subjective" };
        let representative = &mut self.refraction(set, side, vision).representative;
        if representative.is_some() {
            return Err(rest.malformed("sent twice for the same eye"));
        }
        *representative = chosen(label, value);
        Ok(())
    }

    /// Acuities, vergences, and the other tests of one eye.
    fn own_test(
        &mut self,
        kind: u8,
        side: u8,
        code: &str,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        let small = char::from(kind.to_ascii_lowercase()).to_string();
        let set = if kind.is_ascii_uppercase() { Set::Final } else { Set::Subjective };
        let far = if side.is_ascii_uppercase() { "far" } else { "near" };
        if side.eq_ignore_ascii_case(&b'V') {
            let Some(test) = others::by_letter(others::BINOCULAR, &small) else {
                return Ok(false);
            };
            return self.other(test, (set, Eye::Both, ""), (code, far), rest);
        }
        let Some((eye, _)) = eye_of(side) else { return Ok(false) };
        let letter = &code[1..];
        if let Some(test) = others::by_letter(others::VERGENCES, &small) {
            return self.other(test, (set, eye, letter), (code, far), rest);
        }
        if let Some(test) = others::by_letter(others::OF_AN_EYE, &code[..1]) {
            // One wrong bit makes `GR` of a final `FR`, so the test has to be announced.
            let heading = if small == "e" { "ET" } else { "CG" };
            if !self.headings.iter().any(|sent| sent == heading) {
                return Ok(false);
            }
            let vision = if far == "near" { far } else { "" };
            return self.other(test, (Set::Whole, eye, letter), (code, vision), rest);
        }
        match acuities::kind(kind) {
            Some(it) if it.is_unaided && set == Set::Final => {
                self.acuity(Set::Whole, Correction::Unaided, kind, side, rest)
            }
            Some(it) if it.is_unaided => Ok(false),
            Some(_) if set == Set::Final => self.acuity(set, Correction::Final, kind, side, rest),
            Some(_) => self.acuity(set, Correction::Subjective, kind, side, rest),
            None => Ok(false),
        }
    }

    fn cornea_line(&mut self, kind: u8, side: u8, rest: &Field) -> Result<bool, DecodeError> {
        let Some(at) = eye_at(side) else { return Ok(false) };
        match kind {
            b'C' => {
                let [r1, r2, axis] = rest.cut([(5, "R1 mm"), (5, "R2 mm"), (3, "axis")])?;
                let (r1, r2) = (one_of(&r1, &["_0.00"])?, one_of(&r2, &["_0.00"])?);
                let axis = axis_deg(&axis)?;
                let value = self.corneas[at].get_or_insert_default();
                (value.r1.radius_mm, value.r2.radius_mm) = (Some(r1), Some(r2));
                value.r1.axis_deg = Some(axis);
            }
            b'D' => {
                let [r1, r2] = rest.cut([(5, "R1 D"), (5, "R2 D")])?;
                let (r1, r2) = (one_of(&r1, &["_0.00"])?, one_of(&r2, &["_0.00"])?);
                let value = self.corneas[at].get_or_insert_default();
                (value.r1.power, value.r2.power) = (Some(r1), Some(r2));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pressure_line(&mut self, kind: u8, side: u8, rest: &Field) -> Result<bool, DecodeError> {
        let Some(at) = eye_at(side) else { return Ok(false) };
        match kind {
            b'T' => self.pressures_mmhg[at] = Some(one_of(rest, &["_0.0"])?),
            b't' => {
                let kpa = one_of(rest, &["0.00", "_0.0"])?;
                self.pressures_kpa[at] = Some((kpa, rest.text.trim().to_owned()));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Total 4, right 4, left 4; blank parts are missing.
    fn distance(&mut self, set: Set, vision: Vision, rest: &Field) -> Result<(), DecodeError> {
        let [total, right, left] = rest.cut([(4, "total"), (4, "right half"), (4, "left half")])?;
        let part = |field: &Field| optional(field, &["00.0"]);
        let (total, right, left) = (part(&total)?, part(&right)?, part(&left)?);
        let known = self.distances.iter_mut().find(|(known, _)| *known == set);
        let mut sent = known.as_ref().map(|(_, distance)| *distance).unwrap_or_default();
        match vision {
            Vision::Far => (sent.far_mm, sent.right_mm, sent.left_mm) = (total, right, left),
            Vision::Near => {
                (sent.near_mm, sent.near_right_mm, sent.near_left_mm) = (total, right, left);
            }
        }
        match known {
            Some((_, distance)) => *distance = sent,
            None => self.distances.push((set, sent)),
        }
        Ok(())
    }

    fn acuity(
        &mut self,
        set: Set,
        correction: Correction,
        kind: u8,
        side: u8,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        let (Some(kind), Some((eye, vision))) = (acuities::kind(kind), eye_of(side)) else {
            return Ok(false);
        };
        let letter = char::from(side).to_string();
        let acuity = acuities::read(kind, (eye, vision, &letter), correction, rest)?;
        let known = self.acuities.iter().position(|(known, _)| *known == set);
        let at = known.unwrap_or_else(|| {
            self.acuities.push((set, vec![]));
            self.acuities.len() - 1
        });
        if !acuities::add(&mut self.acuities[at].1, acuity) {
            let side = eye.abbreviation();
            let detail = format!("{side} {}: acuity with letters and without differ", self.name);
            self.flags.push(Flag { code: FlagCode::Inconsistent, detail });
        }
        Ok(true)
    }

    fn single(
        &mut self,
        tests: &'static [Test],
        code: &str,
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        let Some(test) = tests.iter().find(|test| test.code() == code) else { return Ok(false) };
        self.headings.push(code.to_owned());
        self.other(test, (Set::Whole, Eye::Both, ""), (code, ""), rest)
    }

    fn other(
        &mut self,
        test: &Test,
        (set, eye, letter): (Set, Eye, &str),
        (code, vision): (&str, &str),
        rest: &Field,
    ) -> Result<bool, DecodeError> {
        let read = test.read(code, vision, rest)?;
        self.others.extend(read.map(|read| (set, eye, letter.to_owned(), read)));
        Ok(true)
    }

    /// The refraction of this eye, a new one if nothing of it was sent yet.
    fn refraction(&mut self, set: Set, side: u8, vision: Vision) -> &mut Refraction {
        let eye = eye_of(side).map_or(Eye::NotGiven, |(eye, _)| eye);
        let is_it = |it: &Refracted| (it.set, it.eye, it.value.vision) == (set, eye, vision);
        let at = self.refractions.iter().position(is_it).unwrap_or_else(|| {
            let kind = match set {
                Set::Whole => RefractionKind::Autorefraction,
                Set::Subjective => RefractionKind::Subjective,
                Set::Final => RefractionKind::Final,
            };
            let value = Refraction { light: self.light, vision, ..Refraction::new(kind) };
            let letter = char::from(side).to_string();
            self.refractions.push(Refracted { set, eye, letter, value });
            self.refractions.len() - 1
        });
        &mut self.refractions[at].value
    }
}

/// The place of an eye's letter: right, left.
fn eye_at(side: u8) -> Option<usize> {
    b"RL".iter().position(|known| *known == side)
}

fn chosen(label: &str, value: RefractionValue) -> Option<Representative<RefractionValue>> {
    Some(Representative { label: label.into(), value })
}
