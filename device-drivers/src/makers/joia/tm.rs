//! `nsTM:Measure`: air-puff tonometry, the maker's corrections of it, and pachymetry.

use super::{
    ns::Ns,
    values::{EYES, failed, representative, scale, shot_error, shot_no},
};
use crate::{
    DecodeError,
    format::xml::{
        El,
        values::{MILLIMETRES, MMHG, micrometres, number},
    },
};
use chiasm_proto::{
    Confidence, CorrectedIop, Eye, IopValue, Measured, Measurement, Pachymetry, Shot, Tonometry,
    TonometryMethod,
};

const NS: Ns = Ns::Tm;
/// How a shot was taken: known and of no use here.
const SETTINGS: [&str; 3] = ["Alignment_Mode", "IOL_Mode", "Pressure_Range"];
/// The user picks the formula; files with the first one are public, a reader knows others too.
const FORMULAS: [&str; 4] = ["Formula1", "Formula2", "Formula3", "Formula"];
/// Blocks of pachymetry and their leaf: Topcon's own block, and what readers of the TRK-3 look for.
const THICKNESSES: [(Ns, &str, &str); 3] =
    [(Ns::None, "CCT", "CCT_mm"), (NS, "CCT", "CCT_mm"), (NS, "PM", "CCT")];
/// The letter for micro has two code points.
const MICROMETRES: [&str; 3] = ["um", "\u{b5}m", "\u{3bc}m"];
/// Has no pachymeter: the thickness in its files was typed in or is a default.
const MODEL_WITHOUT_PACHYMETER: &str = "CT-800A";

pub fn decode(measure: El, model: &str, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    let mut sides = EYES.map(|_| Tonometry {
        method: TonometryMethod::NonContact,
        count_as_sent: None,
        representative: None,
        shots: vec![],
        corrected: vec![],
    });
    for ns in [NS, Ns::None] {
        for block in measure.enter_all((ns, "TM")) {
            let is_settings = match block.tree().by_name {
                true => block.peek((NS, "RL_Order")).is_some(),
                false => ns == Ns::None,
            };
            if is_settings {
                ignore_settings(block);
                continue;
            }
            for (eye, side) in EYES.into_iter().zip(&mut sides) {
                pressures(block, ns, eye, side, into)?;
            }
        }
        for block in measure.enter_all((ns, "CorrectedIOP")) {
            by_formula(block, &mut sides)?;
            for ((_, token), side) in EYES.iter().zip(&mut sides) {
                by_shot(block, token, side)?;
            }
        }
    }
    for ((eye, token), side) in EYES.iter().zip(sides) {
        let parts = [side.shots.len(), side.corrected.len()];
        if side.representative.is_some() || parts.iter().sum::<usize>() > 0 {
            let measured = Measured::Tonometry(side);
            into.push(Measurement::of(*eye, token, measured));
        }
    }
    if !model.eq_ignore_ascii_case(MODEL_WITHOUT_PACHYMETER) {
        thicknesses(measure, into)?;
    }
    Ok(())
}

/// The block without namespace repeats the shots with the settings under which they were taken.
fn ignore_settings(block: El) {
    block.ignore([(Ns::None, "RL_Order")]);
    for (_, token) in EYES {
        for side in block.enter_all((Ns::None, token)) {
            for list in side.enter_all((Ns::None, "List")) {
                list.ignore(SETTINGS.map(|name| (Ns::None, name)));
            }
        }
    }
}

fn pressures(
    block: El,
    ns: Ns,
    (eye, token): (Eye, &str),
    into: &mut Tonometry,
    texts: &mut Vec<Measurement>,
) -> Result<(), DecodeError> {
    for side in block.enter_all((ns, token)) {
        for list in side.enter_all((ns, "List")) {
            if ns == Ns::None {
                list.ignore(SETTINGS.map(|name| (ns, name)));
            }
            let (no, error) = (shot_no(list)?, shot_error(list, ns));
            let mut shot = Shot {
                no,
                value: None,
                confidence: list.text_of((ns, "ConfidenceIndex")).map(|as_sent| {
                    // Only the asterisk is known; any other mark deserves a look too.
                    let low = !as_sent.bytes().all(|byte| byte.is_ascii_digit());
                    Confidence { as_sent, scale: scale(list, "*"), low }
                }),
                error,
            };
            shot.value = match shot.error {
                Some(_) => failed(list, ns, (eye, token), texts),
                None => pressure(list, ns)?.map(|iop_mmhg| IopValue { iop_mmhg, iop_kpa: None }),
            };
            into.shots.push(shot);
        }
        let average =
            representative(side, ns, ("Average", "average"), (eye, token), texts, |el| {
                Ok(pressure(el, ns)?.map(|iop_mmhg| IopValue { iop_mmhg, iop_kpa: None }))
            })?;
        into.representative = average.or(into.representative.take());
    }
    Ok(())
}

/// The pressure in mmHg. Its copy under `IOP_Pa` is not trustworthy (some blocks repeat the mmHg
/// number there); alone, it is left unread and so stays on the reading as text.
fn pressure(el: El, ns: Ns) -> Result<Option<chiasm_proto::Hundredths>, DecodeError> {
    let pressure = number(el, (ns, "IOP_mmHg"), MMHG)?;
    if pressure.is_some() {
        el.ignore([(ns, "IOP_Pa")]);
    }
    Ok(pressure)
}

/// Corrections of the average by a formula with the user's parameters.
fn by_formula(block: El, sides: &mut [Tonometry; 2]) -> Result<(), DecodeError> {
    let named = |name: &'static str| {
        block.enter_all((NS, name)).into_iter().map(move |formula| (name, formula))
    };
    for (name, formula) in FORMULAS.into_iter().flat_map(named) {
        let label = match shot_no(formula)? {
            None | Some(1) => name.to_owned(),
            Some(no) => format!("{name} No. {no}"),
        };
        for ((_, token), into) in EYES.iter().zip(&mut *sides) {
            if let Some(side) = formula.enter((NS, *token)) {
                into.corrected.extend(formula_of_one_eye(side, &label)?);
            }
        }
    }
    Ok(())
}

fn formula_of_one_eye(side: El, label: &str) -> Result<Option<CorrectedIop>, DecodeError> {
    let parameters = ["Param1", "Param2"].into_iter().filter_map(|name| {
        let leaf = side.leaf((NS, name))?;
        let unit = leaf.node().attribute("unit").filter(|unit| *unit == MILLIMETRES);
        Some(format!("{name} {} {}", leaf.text(), unit.unwrap_or("")).trim_end().to_owned())
    });
    let parameters = parameters.collect();
    let inner = |name| match side.enter((NS, name)) {
        Some(el) => pressure(el, NS),
        None => Ok(None),
    };
    let error = shot_error(side, NS);
    let corrected = CorrectedIop {
        label: label.to_owned(),
        shot_no: None,
        // Beside an error it is no value, and stays among the unread records.
        corrected_mmhg: if error.is_some() { None } else { inner("Corrected")? },
        measured_mmhg: inner("Measured")?,
        cct_um: thickness(side, (NS, "CCT"))?,
        parameters,
        error,
    };
    // Without a thickness the block holds the parameters only: nothing was corrected.
    let values = [corrected.corrected_mmhg, corrected.measured_mmhg];
    let is_filled = values.iter().any(Option::is_some)
        || corrected.cct_um.is_some()
        || corrected.error.is_some();
    Ok(is_filled.then_some(corrected))
}

/// Corrections of single shots. An error says that the correction could not be computed; the
/// pressure of that shot stays valid.
fn by_shot(block: El, token: &str, into: &mut Tonometry) -> Result<(), DecodeError> {
    let ns = Ns::None;
    for side in block.enter_all((ns, token)) {
        for list in side.enter_all((ns, "List")) {
            let error = shot_error(list, ns);
            into.corrected.push(CorrectedIop {
                label: "CorrectedIOP".into(),
                shot_no: shot_no(list)?,
                corrected_mmhg: if error.is_some() { None } else { pressure(list, ns)? },
                measured_mmhg: None,
                cct_um: None,
                parameters: vec![],
                error,
            });
        }
    }
    Ok(())
}

/// Pachymetry shots, and their average where one is sent: Topcon's own block has none.
fn thicknesses(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for (ns, name, leaf) in THICKNESSES {
        for block in measure.peek_all((ns, name)) {
            // No file with a block inside the namespace is public. What is plainly neither
            // millimetres nor micrometres there stays text.
            if ns == NS && !is_in_known_unit(block, leaf) {
                continue;
            }
            block.mark_entered();
            block.ignore([(ns, "RL_Order")]);
            for (eye, token) in EYES {
                for side in block.enter_all((ns, token)) {
                    let pachymetry = thickness_of_one_eye(side, (ns, leaf), (eye, token), into)?;
                    let is_filled =
                        pachymetry.representative_um.is_some() || !pachymetry.shots_um.is_empty();
                    if is_filled {
                        let measured = Measured::Pachymetry(pachymetry);
                        into.push(Measurement::of(eye, token, measured));
                    }
                }
            }
        }
    }
    Ok(())
}

fn thickness_of_one_eye(
    side: El,
    (ns, leaf): (Ns, &str),
    eye: (Eye, &str),
    into: &mut Vec<Measurement>,
) -> Result<Pachymetry, DecodeError> {
    let average = |el: El| thickness(el, (ns, leaf));
    let representative_um = representative(side, ns, ("Average", "average"), eye, into, average)?;
    let shot = |list: El| -> Result<Shot<u16>, DecodeError> {
        list.ignore(SETTINGS.map(|name| (ns, name)));
        let (no, error) = (shot_no(list)?, shot_error(list, ns));
        let value = match error {
            Some(_) => failed(list, ns, eye, into),
            None => thickness(list, (ns, leaf))?,
        };
        Ok(Shot { no, value, confidence: None, error })
    };
    let shots_um = side.enter_all((ns, "List")).into_iter().map(shot).collect::<Result<_, _>>()?;
    Ok(Pachymetry { count_as_sent: None, representative_um, shots_um })
}

/// A thickness in millimetres, or in micrometres if its unit says so. A bare number of hundreds is
/// left unread: no maker's document shows which of the two it would be.
fn thickness(parent: El, key: (Ns, &str)) -> Result<Option<u16>, DecodeError> {
    let Some(leaf) = parent.peek(key) else { return Ok(None) };
    let text = leaf.text();
    if is_in_micrometres(leaf) && !text.is_empty() {
        leaf.done();
        let refuse = |_| leaf.malformed("not a whole number of micrometres");
        return text.parse().map(Some).map_err(refuse);
    }
    let is_bare = unit_of(leaf).is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare && text.len() > 2 { Ok(None) } else { micrometres(parent, key) }
}

fn unit_of(leaf: El<'_>) -> &str {
    leaf.node().attribute("unit").map_or("", str::trim)
}

fn is_in_micrometres(leaf: El) -> bool {
    MICROMETRES.contains(&unit_of(leaf))
}

/// Whether every thickness of the block says that it is in micrometres, or is in millimetres: by
/// its unit, and less than ten.
fn is_in_known_unit(block: El, leaf: &str) -> bool {
    let sides = EYES.into_iter().flat_map(|(_, token)| block.peek_all((NS, token)));
    let lists =
        sides.flat_map(|side| [side.peek_all((NS, "List")), side.peek_all((NS, "Average"))]);
    lists.flatten().filter_map(|list| list.peek((NS, leaf))).all(|leaf| {
        let unit = unit_of(leaf);
        let is_small = |(whole, _): (&str, &str)| whole.len() == 1;
        is_in_micrometres(leaf)
            || (unit.is_empty() || unit.eq_ignore_ascii_case(MILLIMETRES))
                && (leaf.text().is_empty()
                    || leaf.text().split_once(['.', ',']).is_some_and(is_small))
    })
}
