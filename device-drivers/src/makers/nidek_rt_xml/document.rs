//! One document becomes one reading.

use super::{
    common, corrected, relayed,
    values::{SECONDS, without_unit},
};
use crate::{
    DecodeError, DriverOptions, ErrorCode,
    format::xml::{Document, El, Tree},
    makers::nidek_xml::head,
};
use chiasm_proto::{Decoded, Eye, Measured, Measurement, OtherTest};

/// Most measurements of one document; a refractor with every set, far and near, day and night,
/// sends below two hundred.
const MEASUREMENTS_MAX: usize = 512;
/// The kind of measure that is read.
const TYPE: &str = "RT";

pub fn decode(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    refuse_other_dialects(&document, root)?;
    let mut decoded = common::decode(root, options)?;
    for measure in measures(root) {
        measure.mark_entered();
        decode_measure(measure, &mut decoded.measurements)?;
    }
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// The same root stands above JOIA's namespaces, above Topcon's documents without them, and above
/// NIDEK's own lensmeters.
fn refuse_other_dialects(document: &Document, root: El) -> Result<(), DecodeError> {
    let refuse =
        |message: &str| Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), message));
    head::expect_root(document, root, "Ophthalmology")?;
    let company =
        root.peek("Common").and_then(|common| common.peek("Company")).map_or("", El::text);
    if !company.to_ascii_uppercase().starts_with("NIDEK") {
        return refuse("not from NIDEK");
    }
    if measures(root).is_empty() {
        return refuse("no Measure of type RT");
    }
    Ok(())
}

/// Measures of this kind. Others in the same document stay text.
fn measures(root: El<'_>) -> Vec<El<'_>> {
    let is_known = |el: &El| el.node().attribute("type").map_or("", str::trim) == TYPE;
    root.peek_all("Measure").into_iter().filter(is_known).collect()
}

fn decode_measure(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    for phoropter in measure.enter_all("Phoropter") {
        corrected::decode(phoropter, into)?;
    }
    relayed::keratometry(measure, into)?;
    relayed::tonometry(measure, into)?;
    relayed::pachymetry(measure, into)?;
    if let Some(leaf) = measure.leaf("Test_Time") {
        let text = without_unit(leaf, SECONDS)?;
        let test = OtherTest::one("Test_Time", "duration of the examination", text, Some("s"));
        into.push(Measurement::without_token(Eye::Both, Measured::OtherTest(test)));
    }
    measure.ignore(["SystemNo"]);
    Ok(())
}
