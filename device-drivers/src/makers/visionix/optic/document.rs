//! One document becomes one reading.

use super::{head, lens, objective, refraction};
use crate::{
    DecodeError, DriverOptions, ErrorCode,
    format::xml::{Document, Tree},
};
use chiasm_proto::Decoded;

/// Most measurements of one document; an instrument with everything sends about thirty.
const MEASUREMENTS_MAX: usize = 256;

pub fn decode(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse_western(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    let refuse =
        |message: &str| DecodeError::new(ErrorCode::WrongKind, root.node().offset(), message);
    if root.node().local_name() != "optic" {
        return Err(refuse("the root element is not optic"));
    }
    let exam = match root.enter_all("optometry")[..] {
        [exam] => exam,
        [] => return Err(refuse("no optometry element")),
        _ => return Err(root.malformed("more than one optometry element")),
    };
    let mut decoded = head::decode(exam, options)?;
    let model = decoded.instrument.model.clone();
    if let Some(part) = exam.enter("objective_mesurement") {
        objective::decode(part, &model, &mut decoded.measurements)?;
    }
    if let Some(part) = exam.enter("subjective_mesurement") {
        refraction::subjective(part, &mut decoded.measurements)?;
    }
    if let Some(part) = exam.enter("LSM_mesurement") {
        // A job number of the lensmeter, whatever the element is called.
        decoded.running_number = part.text_of("ID");
        lens::decode(part, &model, &mut decoded.measurements)?;
    }
    let number = decoded.running_number.clone();
    decoded.claimed_patient.take_if(|claim| Some(&claim.id) == number.as_ref());
    let decoded = tree.finish(decoded, MEASUREMENTS_MAX)?;
    if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
        return Err(refuse("nothing was measured: an empty exam or a worklist entry"));
    }
    Ok(decoded)
}
