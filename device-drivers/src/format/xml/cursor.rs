//! Walks a document and remembers what was read, so that nothing unread vanishes.

use super::{Document, Node};
use crate::{DecodeError, ErrorCode, flags};
use chiasm_proto::{Decoded, Flag, FlagCode, UnknownRecord};
use std::cell::{Cell, RefCell};

/// Most unknown records on one reading.
pub const UNKNOWN_RECORDS_MAX: usize = 32;
/// Longest text of an unknown record, in bytes.
pub const UNKNOWN_TEXT_LEN_MAX: usize = 4096;

/// Longest text of an element that is read, in bytes.
pub const TEXT_LEN_MAX: usize = 1024;
/// Most shots of one document, all eyes and tests together. Instruments keep about ten of each.
pub const SHOTS_MAX: usize = 1000;

/// Most texts of one element that is kept as text.
const TEXTS_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    No,
    /// Its children are looked at; text of its own is unexpected.
    Entered,
    /// Read or known to be of no use.
    Done,
}

/// By what the children of an element are found.
pub trait Key: Copy {
    fn fits(self, el: El) -> bool;
}

/// By the local name.
impl Key for &str {
    fn fits(self, el: El) -> bool {
        el.node.local_name() == self
    }
}

/// By any of these local names, for elements that some firmware misspells.
impl<const N: usize> Key for [&str; N] {
    fn fits(self, el: El) -> bool {
        self.contains(&el.node.local_name())
    }
}

/// Every child.
#[derive(Clone, Copy)]
pub struct AnyName;

impl Key for AnyName {
    fn fits(self, _: El) -> bool {
        true
    }
}

/// A document and what of it has been read.
pub struct Tree<'d> {
    document: &'d Document<'d>,
    seen: Vec<Cell<Seen>>,
    /// The document uses no namespace of its format: elements are known by their local names.
    pub by_name: bool,
    pub flags: RefCell<Vec<Flag>>,
    shots: Cell<usize>,
}

/// One element.
#[derive(Clone, Copy)]
pub struct El<'t> {
    tree: &'t Tree<'t>,
    node: Node<'t>,
}

impl<'d> Tree<'d> {
    /// A document whose elements are known by their local names.
    pub fn new(document: &'d Document<'d>) -> Self {
        let seen = vec![Cell::new(Seen::No); document.len()];
        Self { document, seen, by_name: true, flags: RefCell::default(), shots: Cell::new(0) }
    }

    pub fn root(&self) -> El<'_> {
        self.seen[0].set(Seen::Entered);
        El { tree: self, node: self.document.root() }
    }

    pub fn flag(&self, code: FlagCode, detail: impl Into<String>) {
        self.flags.borrow_mut().push(Flag { code, detail: detail.into() });
    }

    /// Closes a reading: keeps what nobody has read as text and adds every flag that follows from
    /// the values. Refuses more measurements than any instrument sends.
    pub fn finish(
        &self,
        mut decoded: Decoded,
        measurements_max: usize,
    ) -> Result<Decoded, DecodeError> {
        if decoded.measurements.len() > measurements_max {
            let what = format!("more than {measurements_max} measurements");
            return Err(self.root().malformed(what));
        }
        self.check_texts()?;
        decoded.unknown_records = self.unknown_records();
        decoded.flags.append(&mut self.flags.take());
        flags::complete(&mut decoded);
        Ok(decoded)
    }

    /// Refuses text longer than any that an instrument writes where it was read.
    fn check_texts(&self) -> Result<(), DecodeError> {
        let mut read = (0..self.document.len())
            .filter(|index| self.seen[*index].get() != Seen::No)
            .map(|index| El { tree: self, node: self.document.node(index) });
        match read.find(|el| el.text().len() > TEXT_LEN_MAX) {
            Some(el) => Err(el.malformed(format!("a text of more than {TEXT_LEN_MAX} bytes"))),
            None => Ok(()),
        }
    }

    /// Everything with text that nobody has read: each outermost element once.
    pub fn unknown_records(&self) -> Vec<UnknownRecord> {
        let mut found: Vec<(usize, String)> = vec![];
        let (mut more, mut behind) = (0, 0);
        for index in 0..self.document.len() {
            let node = self.document.node(index);
            if node.position() < behind {
                continue; // inside one that is already told
            }
            let text = match self.seen[index].get() {
                Seen::Done => continue,
                Seen::Entered => node.text(),
                Seen::No => {
                    behind = node.position() + node.markup().len();
                    if self.has_text(index, behind) { node.markup() } else { "" }
                }
            };
            match text {
                "" => {}
                _ if found.len() >= UNKNOWN_RECORDS_MAX => more += 1,
                text => found.push((node.position(), shortened(text))),
            }
        }
        if more > 0 {
            let what = format!("{more} more records of unknown kind are in the raw document only");
            self.flag(FlagCode::UnknownRecord, what);
        }
        let positions: Vec<usize> = found.iter().map(|(position, _)| *position).collect();
        let offsets = self.document.offsets_of(&positions);
        let records = offsets.into_iter().zip(found);
        records.map(|(offset, (_, text))| UnknownRecord { offset, text }).collect()
    }

    /// Whether an element or one inside it, up to this position, holds text.
    fn has_text(&self, index: usize, end: usize) -> bool {
        (index..self.document.len())
            .map(|index| self.document.node(index))
            .take_while(|node| node.position() < end)
            .any(|node| !node.text().is_empty())
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= UNKNOWN_TEXT_LEN_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(UNKNOWN_TEXT_LEN_MAX)])
}

impl<'t> El<'t> {
    pub fn tree(self) -> &'t Tree<'t> {
        self.tree
    }
    pub fn node(self) -> Node<'t> {
        self.node
    }
    fn state(self) -> &'t Cell<Seen> {
        &self.tree.seen[self.node.index()]
    }

    fn unread(self, key: impl Key) -> impl Iterator<Item = El<'t>> {
        let tree = self.tree;
        let children = self.node.children().map(move |node| El { tree, node });
        children.filter(move |child| child.state().get() == Seen::No && key.fits(*child))
    }

    /// The first child of this name that was not read yet; it is left unread.
    pub fn peek(self, key: impl Key) -> Option<El<'t>> {
        self.unread(key).next()
    }
    /// The first child of this name, to look inside.
    pub fn enter(self, key: impl Key) -> Option<El<'t>> {
        let child = self.peek(key)?;
        child.mark_entered();
        Some(child)
    }
    /// All children of this name, to look inside.
    pub fn enter_all(self, key: impl Key) -> Vec<El<'t>> {
        let children = self.peek_all(key);
        children.iter().for_each(|child| child.mark_entered());
        children
    }
    /// All children of this name that were not read yet; they are left unread.
    pub fn peek_all(self, key: impl Key) -> Vec<El<'t>> {
        self.unread(key).collect()
    }
    pub fn mark_entered(self) {
        self.state().set(Seen::Entered);
    }
    /// The first child of this name, if it holds text; an empty one was not measured.
    pub fn leaf(self, key: impl Key) -> Option<El<'t>> {
        let child = self.peek(key)?;
        child.done();
        (!child.text().is_empty()).then_some(child)
    }
    pub fn text_of(self, key: impl Key) -> Option<String> {
        self.leaf(key).map(|leaf| leaf.text().to_owned())
    }
    pub fn text(self) -> &'t str {
        self.node.text()
    }
    pub fn done(self) {
        self.state().set(Seen::Done);
    }

    /// Known children that carry nothing we take over.
    pub fn ignore<K: Key>(self, keys: impl IntoIterator<Item = K>) {
        for key in keys {
            self.unread(key).for_each(El::ignore_whole);
        }
    }
    /// This element and everything in it.
    pub fn ignore_whole(self) {
        let end = self.node.position() + self.node.markup().len();
        let tree = self.tree;
        for index in self.node.index()..tree.document.len() {
            if tree.document.node(index).position() >= end {
                break;
            }
            tree.seen[index].set(Seen::Done);
        }
    }

    /// Every text in this element, which has to be entered, under the names that lead to it: `day
    /// x`; its own under its own name. At most `TEXTS_MAX`, the others stay unread.
    pub fn texts(self) -> Vec<(String, El<'t>)> {
        let mut found = vec![];
        let mut open = vec![(String::new(), self)];
        while let Some((path, el)) = open.pop() {
            let name = if path.is_empty() { el.node.local_name() } else { &path };
            if !el.text().is_empty() && found.len() < TEXTS_MAX {
                el.done();
                found.push((name.to_owned(), el));
            }
            for child in el.peek_all(AnyName).into_iter().rev() {
                child.mark_entered();
                let name = child.node.local_name();
                let path = if path.is_empty() { name.into() } else { format!("{path} {name}") };
                open.push((path, child));
            }
        }
        found
    }

    /// Counts this element as a shot.
    pub fn count_shot(self) -> Result<(), DecodeError> {
        let count = self.tree.shots.get() + 1;
        self.tree.shots.set(count);
        if count > SHOTS_MAX {
            return Err(self.malformed(format!("more than {SHOTS_MAX} shots")));
        }
        Ok(())
    }

    /// `nsREF:Measure/nsREF:REF/nsREF:R/nsREF:List[2]/nsREF:Sphere`.
    pub fn path(self) -> String {
        let mut names = vec![];
        let mut next = Some(self.node);
        while let Some(node) = next.filter(|node| node.parent().is_some()) {
            // Anything but a number of a shot may be about the person, and errors are logged.
            let is_number = |no: &&str| no.len() <= 4 && no.bytes().all(|it| it.is_ascii_digit());
            names.push(match node.attribute("No").map(str::trim).filter(is_number) {
                Some(no) => format!("{}[{no}]", node.name()),
                None => node.name().to_owned(),
            });
            next = node.parent();
        }
        names.reverse();
        names.join("/")
    }

    pub fn malformed(self, message: impl Into<String>) -> DecodeError {
        DecodeError::new(ErrorCode::Malformed, self.node.offset(), message).in_field(self.path())
    }
}
