//! Makes the list of elements, one event of the markup after the other.

use super::{ATTRIBUTES_MAX, DEPTH_MAX, ELEMENTS_MAX, Element, RUN_LEN, error, malformed};
use crate::{DecodeError, ErrorCode};
use quick_xml::{
    XmlVersion,
    escape::EscapeError,
    events::{BytesRef, BytesStart},
};

pub struct Builder {
    pub elements: Vec<Element>,
    pub open: Vec<usize>,
    /// Where the event that is being looked at begins.
    pub position: usize,
    pub joins_numbers: bool,
}

impl Builder {
    pub fn open(
        &mut self,
        namespace: Result<Option<String>, String>,
        start: &BytesStart,
    ) -> Result<(), DecodeError> {
        let at = self.position;
        if self.open.len() >= DEPTH_MAX {
            return Err(error(ErrorCode::Hostile, at, format!("deeper than {DEPTH_MAX}")));
        }
        if self.elements.len() >= ELEMENTS_MAX {
            let what = format!("more than {ELEMENTS_MAX} elements");
            return Err(error(ErrorCode::Hostile, at, what));
        }
        let parent = self.open.last().copied();
        if parent.is_none() && !self.elements.is_empty() {
            return Err(malformed(at, "a second root element"));
        }
        let namespace =
            namespace.map_err(|_| malformed(at, "a namespace prefix that is not declared"))?;
        let index = self.elements.len();
        self.elements.push(Element {
            namespace,
            name: start.name().0.to_owned(),
            attributes: attributes(start, at)?,
            text: String::new(),
            start: at,
            text_start: None,
            end: at,
            parent,
            children: vec![],
        });
        if let Some(parent) = parent {
            self.elements[parent].children.push(index);
        }
        self.open.push(index);
        Ok(())
    }

    pub fn close(&mut self, end: usize) {
        if let Some(index) = self.open.pop() {
            self.elements[index].end = end;
            if self.joins_numbers {
                self.join_number(index);
            }
        }
    }

    /// Joins a leaf with a number to the one before it, if it stands in a long run of its like.
    fn join_number(&mut self, index: usize) -> Option<()> {
        let element = &self.elements[index];
        let text = element.text.trim();
        let is_leaf = index + 1 == self.elements.len();
        if !is_leaf || !(text.is_empty() || text.parse::<f64>().is_ok()) {
            return None;
        }
        let parent = element.parent?;
        let (_, before) = self.elements[parent].children.split_last()?;
        let run = &before[before.len().checked_sub(RUN_LEN)?..];
        let is_like = |other: &usize| {
            let other = &self.elements[*other];
            other.name == element.name && other.children.is_empty()
        };
        let last = *run.last().filter(|_| run.iter().all(is_like))?;
        let element = self.elements.pop()?;
        self.elements[parent].children.pop();
        let joined = &mut self.elements[last];
        joined.text.push(' ');
        joined.text.push_str(element.text.trim());
        joined.end = element.end;
        Some(())
    }

    /// `before`: characters of markup in front of the text.
    pub fn add_text(&mut self, text: &str, before: usize) -> Result<(), DecodeError> {
        let blank = text.len() - text.trim_start().len();
        match self.open.last() {
            Some(index) => {
                let element = &mut self.elements[*index];
                if blank < text.len() && element.text_start.is_none() {
                    element.text_start = Some(self.position + before + blank);
                }
                element.text.push_str(text);
                Ok(())
            }
            None if blank == text.len() => Ok(()),
            None => Err(malformed(self.position + blank, "text outside the root element")),
        }
    }

    /// A character reference or one of the five predefined entities.
    pub fn resolve(&self, reference: &BytesRef) -> Result<char, DecodeError> {
        let predefined = match &**reference {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => None,
        };
        if let Some(character) = predefined {
            return Ok(character);
        }
        let refuse = || malformed(self.position, "a reference to no character");
        match reference.resolve_char_ref().map_err(|_| refuse())? {
            Some(character) if character < ' ' && !matches!(character, '\t' | '\n' | '\r') => {
                Err(refuse())
            }
            Some(character) => Ok(character),
            None => Err(error(
                ErrorCode::Hostile,
                self.position,
                "a reference to an entity, which no instrument sends",
            )),
        }
    }
}

fn attributes(start: &BytesStart, at: usize) -> Result<Vec<(String, String)>, DecodeError> {
    let mut attributes = vec![];
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed(at, "an attribute is not well-formed"))?;
        if attributes.len() >= ATTRIBUTES_MAX {
            let what = format!("more than {ATTRIBUTES_MAX} attributes");
            return Err(error(ErrorCode::Hostile, at, what));
        }
        let value =
            attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|err| match err {
                quick_xml::Error::Escape(EscapeError::UnrecognizedEntity(..)) => {
                    error(ErrorCode::Hostile, at, "a reference to an entity in an attribute")
                }
                _ => malformed(at, "an attribute's value is not well-formed"),
            })?;
        attributes.push((attribute.key.0.to_owned(), value.into_owned()));
    }
    Ok(attributes)
}
