//! A document is about one patient. Whose the measurements of two would be cannot be told.

use super::{El, Key};
use crate::DecodeError;
use chiasm_proto::FlagCode;

/// The patient's element, entered. A second one is ignored if it repeats the id and refuses the
/// document otherwise: the first id would be claimed for measurements of both.
pub fn patient<'t>(
    head: El<'t>,
    key: impl Key,
    id: impl Key,
) -> Result<Option<El<'t>>, DecodeError> {
    let all = head.peek_all(key);
    let Some((first, others)) = all.split_first() else { return Ok(None) };
    let id_of = |el: &El<'t>| el.peek(id).map_or("", El::text);
    for other in others {
        if id_of(first).is_empty() || id_of(other) != id_of(first) {
            return Err(other.malformed("a second patient in one document"));
        }
        other.ignore_whole(); // may hold personal data: not to be kept as text
        head.tree().flag(FlagCode::Inconsistent, "the patient is there more than once");
    }
    first.mark_entered();
    Ok(Some(*first))
}

/// Refuses a second head, for it may be that of another patient or another day.
pub fn refuse_second(parent: El, key: impl Key) -> Result<(), DecodeError> {
    match parent.peek_all(key).get(1) {
        Some(second) => Err(second.malformed("a second head in one document")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::xml::{Document, Tree};

    fn id_of(text: &str) -> Result<Option<String>, DecodeError> {
        let document = Document::parse(text.as_bytes()).unwrap();
        let tree = Tree::new(&document);
        let patient = patient(tree.root(), "P", "ID")?;
        let id = patient.and_then(|patient| patient.text_of("ID"));
        assert!(tree.unknown_records().is_empty());
        Ok(id)
    }

    #[test]
    fn two_patients_refuse_the_document() {
        assert_eq!(id_of("<r><P><ID>A</ID></P></r>").unwrap().as_deref(), Some("A"));
        let same = "<r><P><ID>A</ID></P><P><ID>A</ID><Name>Secret</Name></P></r>";
        assert_eq!(id_of(same).unwrap().as_deref(), Some("A"));
        // Two without an id are not known to be one.
        assert!(id_of("<r><P><ID></ID></P><P><ID/></P></r>").is_err());
        for other in ["<P><ID>B</ID></P>", "<P/>", "<P><ID>A</ID></P><P><ID>C</ID></P>"] {
            let error = id_of(&format!("<r><P><ID>A</ID></P>{other}</r>")).unwrap_err();
            assert!(!error.to_string().contains('B'), "{error}");
        }
    }
}
