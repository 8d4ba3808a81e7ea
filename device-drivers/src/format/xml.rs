//! A small, tolerant and bounded reader of XML documents.
//!
//! Gives a tree of elements with namespace, local name, attributes, text and byte offset. Tolerates
//! what instruments get wrong (encodings, white space) and refuses what no instrument writes:
//! document types, entities other than the five predefined ones, depth. The tree stands in one
//! list, so neither building nor dropping it recurses.

mod builder;
mod cursor;
mod decoder;
mod encoding;
pub mod failed;
pub mod patient;
mod splitter;
pub mod values;

pub use cursor::{
    AnyName, El, Key, SHOTS_MAX, TEXT_LEN_MAX, Tree, UNKNOWN_RECORDS_MAX, UNKNOWN_TEXT_LEN_MAX,
};
pub use decoder::{SILENCE_MAX, XmlDecoder, XmlFormat};
pub use encoding::Text;
pub use splitter::{Piece, Splitter};

use crate::{DecodeError, ErrorCode};
use builder::Builder;
use quick_xml::{NsReader, events::Event, name::ResolveResult};

/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 64;
/// Most elements of one document.
pub const ELEMENTS_MAX: usize = 100_000;
/// Most attributes of one element.
pub const ATTRIBUTES_MAX: usize = 64;
/// Most namespace declarations in scope.
const NAMESPACES_MAX: usize = 64;
/// So many leaves of one name in a row are kept as they are; numbers that follow join the last.
const RUN_LEN: usize = 4;

/// A parsed document; the root element is the first.
pub struct Document<'a> {
    elements: Vec<Element>,
    source: Text<'a>,
}

struct Element {
    namespace: Option<String>,
    /// As written, with its prefix.
    name: String,
    attributes: Vec<(String, String)>,
    /// What stands directly in the element, in one piece.
    text: String,
    /// Positions in the decoded text: of `<`, of the first character inside, behind the end.
    start: usize,
    text_start: Option<usize>,
    end: usize,
    parent: Option<usize>,
    children: Vec<usize>,
}

/// One element of a document.
#[derive(Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    index: usize,
}

impl<'a> Document<'a> {
    /// Reads one whole document. Offsets in errors count from the first of these bytes.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::of(Text::decode(bytes)?, false)
    }

    /// The same for documents that hold matrices: in a long run of elements of one name that hold a
    /// number each, the later ones count as one, so that matrices do not count as elements.
    pub fn parse_with_matrices(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::of(Text::decode(bytes)?, true)
    }
    /// The same for a maker whose eight-bit text is Windows-1252 unless declared otherwise.
    pub fn parse_western(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::of(Text::decode_western(bytes)?, false)
    }
    fn of(source: Text<'a>, joins_numbers: bool) -> Result<Self, DecodeError> {
        let elements = match build(&source.text, joins_numbers) {
            Ok(elements) => elements,
            Err(error) => {
                return Err(DecodeError { offset: source.offset_of(error.offset), ..error });
            }
        };
        Ok(Self { elements, source })
    }
    /// Number of elements; their indices run from 0 in the order of the document.
    pub fn len(&self) -> usize {
        self.elements.len()
    }
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }
    pub fn root(&self) -> Node<'_> {
        self.node(0)
    }
    pub fn node(&self, index: usize) -> Node<'_> {
        Node { document: self, index }
    }
    /// The bytes' positions of positions in the text, which have to ascend.
    pub fn offsets_of(&self, positions: &[usize]) -> Vec<usize> {
        self.source.offsets_of(positions)
    }
}

impl<'d> Node<'d> {
    fn element(&self) -> &'d Element {
        &self.document.elements[self.index]
    }
    pub fn index(&self) -> usize {
        self.index
    }
    pub fn namespace(&self) -> Option<&'d str> {
        self.element().namespace.as_deref()
    }
    /// The name as written, with its prefix.
    pub fn name(&self) -> &'d str {
        &self.element().name
    }
    pub fn local_name(&self) -> &'d str {
        self.name().rsplit_once(':').map_or(self.name(), |(_, local)| local)
    }
    /// The value of the attribute of this name, whatever its case.
    pub fn attribute(&self, name: &str) -> Option<&'d str> {
        let mut attributes = self.element().attributes.iter();
        attributes
            .find(|(written, _)| written.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
    /// The text that stands directly in the element, without white space around it.
    pub fn text(&self) -> &'d str {
        self.element().text.trim()
    }
    pub fn children(&self) -> impl Iterator<Item = Node<'d>> + use<'d> {
        let document = self.document;
        self.element().children.iter().map(move |index| document.node(*index))
    }
    pub fn parent(&self) -> Option<Node<'d>> {
        self.element().parent.map(|index| self.document.node(index))
    }
    /// Position of the element in the decoded text.
    pub fn position(&self) -> usize {
        self.element().start
    }
    /// Position of its text in the bytes, or of the element if it has none.
    pub fn offset(&self) -> usize {
        let element = self.element();
        self.document.source.offset_of(element.text_start.unwrap_or(element.start))
    }
    /// The element as it stands in the document.
    pub fn markup(&self) -> &'d str {
        let element = self.element();
        self.document.source.text.get(element.start..element.end).unwrap_or("")
    }
}

/// An error at a position in the decoded text.
fn error(code: ErrorCode, position: usize, message: impl Into<String>) -> DecodeError {
    DecodeError::new(code, position, message)
}

fn malformed(position: usize, message: impl Into<String>) -> DecodeError {
    error(ErrorCode::Malformed, position, message)
}

fn build(text: &str, joins_numbers: bool) -> Result<Vec<Element>, DecodeError> {
    refuse_control_characters(text)?;
    let mut reader = NsReader::from_str(text);
    reader.resolver_mut().set_max_namespace_bindings(NAMESPACES_MAX);
    let mut tree = Builder { elements: vec![], open: vec![], position: 0, joins_numbers };
    loop {
        tree.position = position(reader.buffer_position());
        let (namespace, event) = match reader.read_resolved_event() {
            Ok((namespace, event)) => (namespace_of(namespace), event),
            Err(err) => {
                let at = position(reader.error_position()).min(text.len());
                return Err(refusal(&err, at));
            }
        };
        match event {
            Event::Start(start) => tree.open(namespace, &start)?,
            Event::Empty(start) => {
                tree.open(namespace, &start)?;
                tree.close(position(reader.buffer_position()));
            }
            Event::End(_) => tree.close(position(reader.buffer_position())),
            Event::Text(text) => tree.add_text(&text.xml10_content(), 0)?,
            Event::CData(text) => tree.add_text(&text.xml10_content(), "<![CDATA[".len())?,
            Event::GeneralRef(reference) => {
                let character = tree.resolve(&reference)?;
                tree.add_text(character.encode_utf8(&mut [0; 4]), 0)?;
            }
            Event::DocType(_) => {
                let what = "a document type, which no instrument sends";
                return Err(error(ErrorCode::Hostile, tree.position, what));
            }
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    match (tree.open.last(), tree.elements.is_empty()) {
        (Some(_), _) => Err(error(ErrorCode::Incomplete, text.len(), "an element is not closed")),
        (None, true) => Err(malformed(0, "no element")),
        (None, false) => Ok(tree.elements),
    }
}

fn position(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// XML allows tab, line feed and carriage return only; anything else is damage.
fn refuse_control_characters(text: &str) -> Result<(), DecodeError> {
    let is_allowed = |character: char| match character {
        '\t' | '\n' | '\r' => true,
        other => other >= ' ' && other != '\u{FFFE}',
    };
    match text.char_indices().find(|(_, character)| !is_allowed(*character)) {
        Some((at, character)) => {
            Err(malformed(at, format!("the character U+{:04X} in a document", character as u32)))
        }
        None => Ok(()),
    }
}

/// The namespace, or the prefix that was never declared.
fn namespace_of(resolved: ResolveResult) -> Result<Option<String>, String> {
    match resolved {
        ResolveResult::Bound(namespace) => Ok(Some(namespace.0.to_owned())),
        ResolveResult::Unbound => Ok(None),
        ResolveResult::Unknown(prefix) => Err(prefix),
    }
}

/// What the XML reader refuses, without the document's own text where that could be anything.
fn refusal(err: &quick_xml::Error, at: usize) -> DecodeError {
    use quick_xml::Error;
    match err {
        Error::Namespace(_) => error(
            ErrorCode::Hostile,
            at,
            "namespaces are declared in a way that no instrument does",
        ),
        Error::Syntax(err) => malformed(at, format!("not well-formed: {err}")),
        Error::IllFormed(_) => malformed(at, "not well-formed: a tag or reference does not fit"),
        _ => malformed(at, "not well-formed"),
    }
}

#[cfg(test)]
mod tests;
