//! A NIDEK NT: pressure and thickness.

use super::{
    dice::Dice,
    nidek_wire::{WireStyle, one_decimal, some_time, time, transmission, unsigned},
};
use chiasm_proto::{
    Eye, Hundredths, IopValue, Measured, Measurement, Pachymetry, Representative, Shot, Tonometry,
    TonometryMethod,
};
use jiff::civil::DateTime;

/// One print. A pair holds the right eye first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NtPrint {
    pub style: WireStyle,
    pub model: String,
    /// The running number, to 9999.
    pub no: u16,
    pub patient_id: Option<String>,
    pub time: DateTime,
    pub form: PressureForm,
    pub pressure: [Vec<PressureShot>; 2],
    pub thickness: [Vec<ThicknessShot>; 2],
}

/// How pressures are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PressureForm {
    /// ` L01    12/1.6  AV12.0/1.60`
    WithKilopascals,
    /// `L02 14.0 15.0 AV14.5/1.9`
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PressureShot {
    /// Whole mmHg.
    Mmhg(u8),
    /// `APL`, `OVR`, `ERR`.
    Failed(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThicknessShot {
    Um(u16),
    /// `BLK`, `ALM`, `ERR`.
    Failed(&'static str),
}

const SIDES: [(Eye, char); 2] = [(Eye::Right, 'R'), (Eye::Left, 'L')];

impl NtPrint {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x4E54);
        let pressure = [0, 1].map(|_| pressures(&mut dice));
        let has_thickness = dice.once_in(2);
        let thickness = [0, 1].map(|_| if has_thickness { thicknesses(&mut dice) } else { vec![] });
        let is_plain = dice.once_in(2);
        Self {
            style: WireStyle { year_first: true, ..WireStyle::default() },
            model: if is_plain { "NT-530" } else { "NT-510" }.into(),
            no: u16::try_from(seed % 10_000).expect("below 10000"),
            patient_id: None,
            time: some_time(&mut dice),
            form: if is_plain { PressureForm::Plain } else { PressureForm::WithKilopascals },
            pressure,
            thickness,
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut blocks = self.blocks();
        if let Some((_, segments)) = blocks.first_mut() {
            let mut opening = vec![format!("IDNIDEK/{}", self.model), format!("NO{:04}", self.no)];
            opening.extend(self.patient_id.as_ref().map(|id| format!("IP{id}")));
            opening.push(time(self.time, self.style));
            segments.splice(0..0, opening);
        }
        transmission(&blocks, self.style)
    }

    /// Left before right, as instruments print.
    pub(super) fn blocks(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut blocks = Vec::new();
        let pressure = [1, 0].into_iter().filter(|at| !self.pressure[*at].is_empty());
        let pressure: Vec<String> = pressure.map(|at| self.pressure_line(at)).collect();
        let thickness = [1, 0].into_iter().filter(|at| !self.thickness[*at].is_empty());
        let thickness: Vec<String> = thickness.map(|at| self.thickness_line(at)).collect();
        for (code, lines) in [("DNT", pressure), ("DPM", thickness)] {
            if !lines.is_empty() {
                blocks.push((code, lines));
            }
        }
        blocks
    }

    fn pressure_line(&self, at: usize) -> String {
        let (side, shots) = (SIDES[at].1, &self.pressure[at]);
        let count = shots.len();
        let is_plain = self.form == PressureForm::Plain;
        let shot = |shot: &PressureShot| match shot {
            PressureShot::Failed(mark) => (*mark).to_owned(),
            PressureShot::Mmhg(mmhg) if is_plain => format!("{mmhg:02}.0"),
            PressureShot::Mmhg(mmhg) => format!("{mmhg}/{}", short(kpa(*mmhg))),
        };
        let shots: Vec<String> = shots.iter().map(shot).collect();
        let tail = average_iop(&self.pressure[at], self.form).map(|average| {
            let (mmhg, kpa) = (one_decimal(average.iop_mmhg), average.iop_kpa.unwrap_or_default());
            if is_plain {
                format!(" AV{mmhg}/{}", short(kpa))
            } else {
                format!("  AV{mmhg}/{}", long(kpa))
            }
        });
        let tail = tail.unwrap_or_default();
        if is_plain {
            format!("{side}{count:02} {}{tail}", shots.join(" "))
        } else {
            format!(" {side}{count:02}    {}{tail}", shots.join("    "))
        }
    }

    fn thickness_line(&self, at: usize) -> String {
        let (side, shots) = (SIDES[at].1, &self.thickness[at]);
        let shot = |shot: &ThicknessShot| match shot {
            ThicknessShot::Um(um) => format!("{um:04}"),
            ThicknessShot::Failed(mark) => (*mark).to_owned(),
        };
        let words: Vec<String> = shots.iter().map(shot).collect();
        let tail = average_um(shots).map(|um| format!("  AV{um:04}")).unwrap_or_default();
        format!(" {side}{:02} {}{tail}", shots.len(), words.join(" "))
    }

    /// What a reading of it has to hold.
    pub fn measurements(&self) -> Vec<Measurement> {
        let mut all = Vec::new();
        for (at, shots) in self.pressure.iter().enumerate().filter(|(_, shots)| !shots.is_empty()) {
            let average = average_iop(shots, self.form);
            let tonometry = Tonometry {
                method: TonometryMethod::NonContact,
                count_as_sent: u32::try_from(shots.len()).ok(),
                representative: average.map(|value| chosen("average", value)),
                shots: shots.iter().map(|shot| self.expected_shot(shot)).collect(),
                corrected: vec![],
            };
            all.push(of(at, Measured::Tonometry(tonometry)));
        }
        for (at, shots) in self.thickness.iter().enumerate().filter(|(_, shots)| !shots.is_empty())
        {
            let shot = |shot: &ThicknessShot| match shot {
                ThicknessShot::Um(um) => Shot::of(*um),
                ThicknessShot::Failed(mark) => Shot::failed(*mark),
            };
            let pachymetry = Pachymetry {
                count_as_sent: u32::try_from(shots.len()).ok(),
                representative_um: average_um(shots).map(|value| chosen("average", value)),
                shots_um: shots.iter().map(shot).collect(),
            };
            all.push(of(at, Measured::Pachymetry(pachymetry)));
        }
        all
    }

    fn expected_shot(&self, shot: &PressureShot) -> Shot<IopValue> {
        match shot {
            PressureShot::Failed(mark) => Shot::failed(*mark),
            PressureShot::Mmhg(mmhg) => {
                let iop_kpa = (self.form == PressureForm::WithKilopascals).then(|| kpa(*mmhg));
                Shot::of(IopValue { iop_mmhg: Hundredths::whole((*mmhg).into()), iop_kpa })
            }
        }
    }
}

fn of(at: usize, measured: Measured) -> Measurement {
    let (eye, letter) = SIDES[at];
    Measurement::of(eye, &letter.to_string(), measured)
}

fn chosen<V>(label: &str, value: V) -> Representative<V> {
    Representative { label: label.into(), value }
}

/// One decimal, as instruments round it.
fn kpa(mmhg: u8) -> Hundredths {
    Hundredths((i32::from(mmhg) * 1333 + 500) / 1000 * 10)
}

/// `1.6`, and `10.7` where it has to be.
fn short(kpa: Hundredths) -> String {
    format!("{}.{}", kpa.0 / 100, kpa.0 % 100 / 10)
}

/// `1.60`
fn long(kpa: Hundredths) -> String {
    if kpa.0 < 1000 { unsigned(kpa)[1..].to_owned() } else { short(kpa) }
}

/// The instrument's own average: of good shots only, in half mmHg; kPa as the mean of rounded ones.
fn average_iop(shots: &[PressureShot], form: PressureForm) -> Option<IopValue> {
    let good: Vec<u8> = shots
        .iter()
        .filter_map(|shot| match shot {
            PressureShot::Mmhg(mmhg) => Some(*mmhg),
            PressureShot::Failed(_) => None,
        })
        .collect();
    let count = i32::try_from(good.len()).ok().filter(|count| *count > 0)?;
    let mmhg: i32 = good.iter().map(|mmhg| i32::from(*mmhg) * 100).sum::<i32>() / count / 10 * 10;
    let kpas: i32 = good.iter().map(|mmhg| kpa(*mmhg).0).sum::<i32>() / count;
    let is_short = form == PressureForm::Plain || kpas >= 1000;
    let kpas = if is_short { kpas / 10 * 10 } else { kpas };
    Some(IopValue { iop_mmhg: Hundredths(mmhg), iop_kpa: Some(Hundredths(kpas)) })
}

fn average_um(shots: &[ThicknessShot]) -> Option<u16> {
    let good: Vec<u32> = shots
        .iter()
        .filter_map(|shot| match shot {
            ThicknessShot::Um(um) => Some(u32::from(*um)),
            ThicknessShot::Failed(_) => None,
        })
        .collect();
    let count = u32::try_from(good.len()).ok().filter(|count| *count > 0)?;
    u16::try_from(good.iter().sum::<u32>() / count).ok()
}

fn pressures(dice: &mut Dice) -> Vec<PressureShot> {
    let base = if dice.once_in(30) { dice.between(2, 60) } else { dice.between(10, 22) };
    let count = dice.between(1, 4);
    let shot = |dice: &mut Dice| match dice.between(1, 14) {
        1 => PressureShot::Failed(["APL", "OVR", "ERR"][dice.between(0, 2) as usize]),
        _ => PressureShot::Mmhg((base + dice.between(-1, 1)) as u8),
    };
    (0..count).map(|_| shot(dice)).collect()
}

fn thicknesses(dice: &mut Dice) -> Vec<ThicknessShot> {
    let base = dice.between(470, 620);
    let count = dice.between(1, 3);
    let shot = |dice: &mut Dice| match dice.between(1, 14) {
        1 => ThicknessShot::Failed(["BLK", "ALM", "ERR"][dice.between(0, 2) as usize]),
        _ => ThicknessShot::Um((base + dice.between(-4, 4)) as u16),
    };
    (0..count).map(|_| shot(dice)).collect()
}
