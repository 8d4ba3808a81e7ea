//! `NT` and `PACHY` of one eye: pressure and thickness.

use crate::{
    DecodeError,
    format::xml::El,
    makers::nidek_xml::values::{
        KPA, MICROMETRES, MMHG, Side, error, number, representative, shots, whole,
    },
};
use chiasm_proto::{
    CorrectedIop, Hundredths, IopValue, Measured, Pachymetry, Tonometry, TonometryMethod,
};

const AVERAGE: &str = "average";
const CORRECTED: &str = "CorrectedIOP";
/// The name of a picture.
const UNUSED: [&str; 1] = ["PACHYImage"];

pub fn read(el: El, side: &mut Side) -> Result<(), DecodeError> {
    for block in el.enter_all("NT") {
        let all = block.enter_all(CORRECTED).into_iter();
        let corrected: Vec<CorrectedIop> = all.map(corrected).collect::<Result<_, _>>()?;
        let tonometry = Tonometry {
            representative: representative(block, "NTAverage", AVERAGE, side, pressure)?,
            shots: shots(block, "NTList", side, pressure)?,
            corrected: corrected.into_iter().filter(is_filled).collect(),
            ..Tonometry::new(TonometryMethod::NonContact)
        };
        if tonometry != Tonometry::new(TonometryMethod::NonContact) {
            side.push(Measured::Tonometry(tonometry));
        }
    }
    for block in el.enter_all("PACHY") {
        block.ignore(UNUSED);
        let pachymetry = Pachymetry {
            count_as_sent: None,
            representative_um: representative(block, "PACHYAverage", AVERAGE, side, thickness)?,
            shots_um: shots(block, "PACHYList", side, thickness)?,
        };
        if pachymetry != Pachymetry::default() {
            side.push(Measured::Pachymetry(pachymetry));
        }
    }
    Ok(())
}

/// kPa alone is left unread, and so kept as text.
fn pressure(el: El) -> Result<Option<IopValue>, DecodeError> {
    let Some(iop_mmhg) = number(el, "mmHg", MMHG)? else { return Ok(None) };
    Ok(Some(IopValue { iop_mmhg, iop_kpa: number(el, "kPa", KPA)? }))
}

fn thickness(el: El) -> Result<Option<u16>, DecodeError> {
    el.ignore(UNUSED);
    whole(el, "Thickness", MICROMETRES)
}

/// The instrument's own correction. Its parameters are kept as sent; the thickness that it used may
/// have been typed in.
fn corrected(el: El) -> Result<CorrectedIop, DecodeError> {
    let error = error(el);
    let parameters = ["Param1", "Param2"].into_iter();
    let parameter = |name| el.text_of(name).map(|text| format!("{name} {text}"));
    Ok(CorrectedIop {
        label: CORRECTED.into(),
        shot_no: None,
        parameters: parameters.filter_map(parameter).collect(),
        cct_um: whole(el, "CCT", MICROMETRES)?,
        measured_mmhg: mmhg(el, "Measured")?,
        // Beside an error it is no value, and stays among the unread records.
        corrected_mmhg: if error.is_some() { None } else { mmhg(el, "Corrected")? },
        error,
    })
}

/// The same value in kPa has no place of its own and only has to be a number.
fn mmhg(el: El, name: &str) -> Result<Option<Hundredths>, DecodeError> {
    let Some(el) = el.enter(name) else { return Ok(None) };
    Ok(pressure(el)?.map(|value| value.iop_mmhg))
}

/// Parameters alone correct nothing.
fn is_filled(corrected: &CorrectedIop) -> bool {
    corrected.corrected_mmhg.is_some()
        || corrected.measured_mmhg.is_some()
        || corrected.cct_um.is_some()
        || corrected.error.is_some()
}
