//! One document becomes one reading.

use super::{common, km, lm, ns::Ns, ref_, sbj, tm, values::is_topcon};
use crate::{
    DecodeError, DriverOptions, ErrorCode,
    format::xml::{Document, El, Tree},
};
use chiasm_proto::{Decoded, FlagCode};

/// Most measurements of one document; a refractor with six sets at two distances sends some sixty,
/// and a KR-800S eight contrasts for each.
const MEASUREMENTS_MAX: usize = 512;
/// Topcon's refractors write what others measured beside their own: how their names begin.
const REFRACTOR: &str = "CV-5000";
/// A program: all that it writes was measured by others.
const PROGRAM: &str = "IMAGEnet";

pub fn decode(raw: &[u8], options: &DriverOptions) -> Result<Decoded, DecodeError> {
    let document = Document::parse(raw)?;
    let tree = tree(&document);
    let root = tree.root();
    refuse_other_dialects(&tree, root)?;
    let mut decoded = common::decode(root, options)?;
    let measures = measures(&tree, root);
    let is_subjective = measures.iter().any(|(ns, _)| *ns == Ns::Sbj);
    for (ns, measure) in measures {
        check_type(ns, measure);
        let (model, into) = (&decoded.instrument.model, &mut decoded.measurements);
        let before = into.len();
        match ns {
            Ns::Ref => ref_::decode(measure, into)?,
            Ns::Km => km::decode(measure, into)?,
            Ns::Lm => lm::decode(measure, into)?,
            Ns::Tm => tm::decode(measure, model, into)?,
            Ns::Sbj => sbj::decode(measure, into)?,
            _ => {}
        }
        let is_relayed = match ns {
            _ if model.starts_with(PROGRAM) => true,
            Ns::Sbj => false,
            // Which of the other makers' instruments can measure both themselves is not known.
            _ if !is_topcon(&decoded.instrument.vendor) => is_subjective,
            _ => model.starts_with(REFRACTOR),
        };
        if is_relayed {
            into[before..].iter_mut().for_each(|measurement| measurement.relayed = true);
        }
    }
    tree.finish(decoded, MEASUREMENTS_MAX)
}

/// In a document without any namespace of the format elements are known by their local names.
fn tree<'d>(document: &'d Document<'d>) -> Tree<'d> {
    let is_of_format =
        |index: usize| !matches!(Ns::of(document.node(index).namespace()), Ns::None | Ns::Other);
    let by_name = !(0..document.len()).any(is_of_format);
    let mut tree = Tree::new(document);
    tree.by_name = by_name;
    tree
}

/// Documents that look alike but mean their values otherwise: NIDEK's has the same skeleton without
/// namespaces. A document without any namespace of the format is read only if it says Topcon.
fn refuse_other_dialects(tree: &Tree, root: El) -> Result<(), DecodeError> {
    let refuse =
        |message: &str| Err(DecodeError::new(ErrorCode::WrongKind, root.node().offset(), message));
    if root.node().local_name() != "Ophthalmology" {
        return refuse("the root element is not Ophthalmology");
    }
    if tree.by_name {
        let company = root
            .peek((Ns::None, "Common"))
            .and_then(|common| common.peek((Ns::None, "Company")))
            .map_or("", El::text);
        if !is_topcon(company) {
            return refuse("no JOIA namespace and not from Topcon: another dialect");
        }
    }
    let has_measure = tree.by_name && root.peek((Ns::None, "Measure")).is_some()
        || !tree.by_name && KINDS.iter().any(|ns| root.peek((*ns, "Measure")).is_some());
    if has_measure { Ok(()) } else { refuse("no Measure element of a known kind") }
}

const KINDS: [Ns; 5] = [Ns::Ref, Ns::Km, Ns::Lm, Ns::Tm, Ns::Sbj];

/// The kind by which a `Measure` is read: its namespace, or its type where there are none.
fn measures<'t>(tree: &'t Tree, root: El<'t>) -> Vec<(Ns, El<'t>)> {
    if !tree.by_name {
        let of_kind = |ns: Ns| root.enter_all((ns, "Measure")).into_iter().map(move |el| (ns, el));
        return KINDS.into_iter().flat_map(of_kind).collect();
    }
    let known = |el: El| Ns::of_type(el.node().attribute("type").unwrap_or("").trim());
    let children = root.peek_all((Ns::None, "Measure"));
    let known = children.into_iter().filter_map(|el| Some((known(el)?, el)));
    known.inspect(|(_, el)| el.mark_entered()).collect()
}

/// A type that contradicts the namespace: the namespace counts, a person looks.
fn check_type(ns: Ns, measure: El) {
    let kind = measure.node().attribute("type").unwrap_or("").trim();
    if !kind.is_empty() && Ns::of_type(kind) != Some(ns) {
        let what = format!("{} is of another type than its namespace", measure.path());
        measure.tree().flag(FlagCode::Inconsistent, what);
    }
}
