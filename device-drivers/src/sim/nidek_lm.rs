//! A NIDEK LM: one lens or a pair.

use super::{
    dice::Dice,
    nidek_wire::{WireStyle, one_decimal, signed, some_time, time, transmission, unsigned},
};
use chiasm_proto::{
    Base, Eye, Hundredths, Lensometry, Measured, Measurement, Prism, PrismComponent,
    PupillaryDistance,
};
use jiff::civil::DateTime;

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LmPrint {
    pub style: WireStyle,
    pub model: String,
    /// The running number, to 9999, and the time: LM-7 family only.
    pub no: Option<u16>,
    pub time: Option<DateTime>,
    /// At most one of each side; an eye of [`Eye::NotGiven`] is a single lens. What the layout
    /// cannot carry (a lens type) is not sent. A polar prism has an amount and a base, a
    /// rectangular one components.
    pub lenses: Vec<(Eye, Lensometry)>,
    /// Far, right and left in tenths of a millimetre.
    pub distance: Option<PupillaryDistance>,
    /// `IE` or `DE` behind the lenses.
    pub error: Option<&'static str>,
}

impl LmPrint {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x4C4D);
        let is_polar = dice.once_in(3);
        let sides = if dice.once_in(8) { &[Eye::NotGiven][..] } else { &[Eye::Right, Eye::Left] };
        let progressive = dice.once_in(2);
        let lens = |side: &Eye| (*side, random_lens(&mut dice, progressive, is_polar));
        let lenses: Vec<_> = sides.iter().map(lens).collect();
        let halves = [dice.stepped(2800, 3500, 50), dice.stepped(2800, 3500, 50)];
        let distance = PupillaryDistance {
            far_mm: Some(Hundredths(halves[0] + halves[1])),
            right_mm: Some(Hundredths(halves[0])),
            left_mm: Some(Hundredths(halves[1])),
            ..PupillaryDistance::default()
        };
        Self {
            style: WireStyle { year_first: true, ..WireStyle::default() },
            model: "LM-7P".into(),
            no: u16::try_from(seed % 10_000).ok(),
            time: Some(some_time(&mut dice)),
            distance: (lenses.len() == 2 && dice.once_in(2)).then_some(distance),
            lenses,
            error: None,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut segments = vec![format!("IDNIDEK/{}", self.model)];
        segments.extend(self.no.map(|no| format!("NO{no:04}")));
        segments.extend(self.time.map(|at| time(at, self.style)));
        for (eye, lens) in &self.lenses {
            segments.extend(lens_segments(letter(*eye), lens));
        }
        segments.extend(self.distance.map(|distance| {
            let parts = [distance.far_mm, distance.right_mm, distance.left_mm];
            let parts = parts.map(|part| part.map_or("    ".to_owned(), one_decimal));
            format!("PD{}", parts.concat())
        }));
        segments.extend(self.error.map(str::to_owned));
        transmission(&[("DLM", segments)], self.style)
    }

    /// What a reading of it has to hold.
    pub fn measurements(&self) -> Vec<Measurement> {
        let lenses = self.lenses.iter().map(|(eye, lens)| {
            let measured = Measured::Lensometry(lens.clone());
            match eye {
                Eye::NotGiven => Measurement::without_token(*eye, measured),
                _ => Measurement::of(*eye, &letter(*eye).to_string(), measured),
            }
        });
        let distance = self.distance.map(|distance| {
            Measurement::without_token(Eye::Both, Measured::PupillaryDistance(distance))
        });
        lenses.chain(distance).collect()
    }
}

fn letter(eye: Eye) -> char {
    match eye {
        Eye::Right => 'R',
        Eye::Left => 'L',
        Eye::Both | Eye::NotGiven => ' ',
    }
}

fn lens_segments(side: char, lens: &Lensometry) -> Vec<String> {
    let sphere = signed(lens.sphere.unwrap_or_default());
    let cylinder = signed(lens.cylinder.unwrap_or_default());
    let mut segments = vec![format!(" {side}{sphere}{cylinder}{:03}", lens.axis_deg.unwrap_or(0))];
    if let Some(add) = lens.add {
        segments.push(format!("A{side}{}", unsigned(add)));
        segments.extend(lens.add2.map(unsigned));
    }
    if let Some(near) = lens.near_sphere {
        segments.push(format!("N{side}{}", signed(near)));
        segments.extend(lens.near_sphere2.map(signed));
    }
    let Some(prism) = &lens.prism else { return segments };
    for PrismComponent { amount, base } in [prism.horizontal, prism.vertical].into_iter().flatten()
    {
        let base = match base {
            Base::In => 'I',
            Base::Out => 'O',
            Base::Up => 'U',
            Base::Down | Base::Unverified => 'D',
        };
        segments.push(format!("P{side}{}{base}", unsigned(amount)));
    }
    if let (Some(amount), Some(base)) = (prism.amount, prism.base_deg) {
        segments.push(format!("P{side}{}", unsigned(amount)));
        segments.push(format!("B{side}{base:03}"));
    }
    segments
}

fn random_lens(dice: &mut Dice, progressive: bool, is_polar: bool) -> Lensometry {
    let sphere = dice.stepped(-900, 600, 25);
    let cylinder = if dice.once_in(4) { 0 } else { dice.stepped(-300, 100, 25) };
    let add = progressive.then(|| dice.stepped(75, 300, 25));
    let is_trifocal = dice.once_in(6);
    let near = add.filter(|_| dice.once_in(3)).map(|add| sphere + add);
    Lensometry {
        sphere: Some(Hundredths(sphere)),
        cylinder: Some(Hundredths(cylinder)),
        axis_deg: (cylinder != 0).then(|| dice.between(1, 180) as i16),
        add: add.map(Hundredths),
        add2: add.filter(|_| is_trifocal).map(|add| Hundredths(add + 50)),
        near_sphere: near.map(Hundredths),
        near_sphere2: near.filter(|_| is_trifocal).map(|near| Hundredths(near + 50)),
        prism: dice.once_in(3).then(|| random_prism(dice, is_polar)),
        ..Lensometry::default()
    }
}

fn random_prism(dice: &mut Dice, is_polar: bool) -> Prism {
    let mut amount = || Hundredths(dice.stepped(25, 400, 25));
    let (one, other) = (amount(), amount());
    if is_polar {
        let base_deg = Some(dice.between(0, 359) as i16);
        return Prism { amount: Some(one), base_deg, ..Prism::default() };
    }
    let mut either = |a, b| if dice.once_in(2) { a } else { b };
    Prism {
        horizontal: Some(PrismComponent { amount: one, base: either(Base::In, Base::Out) }),
        vertical: Some(PrismComponent { amount: other, base: either(Base::Up, Base::Down) }),
        ..Prism::default()
    }
}
