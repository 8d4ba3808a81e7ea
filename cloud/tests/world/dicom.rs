//! Writes DICOM files for tests, element by element, from the layout of PS3.5 and PS3.10.
#![allow(dead_code, reason = "each test uses its part")]

pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// What an element holds.
#[derive(Debug, Clone)]
enum Body {
    Bytes(Vec<u8>),
    Items(Vec<Set>),
    /// Encapsulated pixels: the basic offset table and the fragments.
    Fragments(Vec<u8>, Vec<Vec<u8>>),
}

/// A data set in the making. Elements are written in the order of their tags.
#[derive(Debug, Clone, Default)]
pub struct Set {
    elements: Vec<(u32, &'static str, Body)>,
}

impl Set {
    fn with(mut self, tag: u32, vr: &'static str, body: Body) -> Self {
        self.elements.retain(|(other, ..)| *other != tag);
        self.elements.push((tag, vr, body));
        self
    }
    pub fn without(mut self, tag: u32) -> Self {
        self.elements.retain(|(other, ..)| *other != tag);
        self
    }

    pub fn text(self, tag: u32, vr: &'static str, value: &str) -> Self {
        self.raw(tag, vr, value.as_bytes())
    }
    /// A value in bytes, padded to even length.
    pub fn raw(self, tag: u32, vr: &'static str, value: &[u8]) -> Self {
        let mut bytes = value.to_vec();
        if !bytes.len().is_multiple_of(2) {
            bytes.push(if matches!(vr, "UI" | "OB" | "UN") { 0 } else { b' ' });
        }
        self.with(tag, vr, Body::Bytes(bytes))
    }
    pub fn us(self, tag: u32, values: &[u16]) -> Self {
        self.raw(
            tag,
            "US",
            &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
        )
    }
    pub fn ul(self, tag: u32, values: &[u32]) -> Self {
        self.raw(
            tag,
            "UL",
            &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
        )
    }
    pub fn fl(self, tag: u32, values: &[f32]) -> Self {
        self.raw(
            tag,
            "FL",
            &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
        )
    }
    pub fn fd(self, tag: u32, values: &[f64]) -> Self {
        self.raw(
            tag,
            "FD",
            &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>(),
        )
    }
    pub fn items(self, tag: u32, items: Vec<Set>) -> Self {
        self.with(tag, "SQ", Body::Items(items))
    }
    /// Native pixels.
    pub fn pixels(self, bits: u16, bytes: &[u8]) -> Self {
        self.raw(0x7FE0_0010, if bits > 8 { "OW" } else { "OB" }, bytes)
    }
    /// Encapsulated pixels.
    pub fn fragments(self, offsets: &[u32], fragments: Vec<Vec<u8>>) -> Self {
        let table = offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect();
        self.with(0x7FE0_0010, "OB", Body::Fragments(table, fragments))
    }

    /// Without preamble and meta information.
    pub fn encode(&self, implicit: bool) -> Vec<u8> {
        let mut elements: Vec<_> = self.elements.iter().collect();
        elements.sort_by_key(|(tag, ..)| *tag);
        let mut bytes = Vec::new();
        for (tag, vr, body) in elements {
            let (value, len) = value(body, implicit);
            head(&mut bytes, *tag, vr, len.unwrap_or(value.len() as u32), implicit);
            bytes.extend(value);
        }
        bytes
    }

    /// A whole file.
    pub fn file(&self, transfer_syntax: &str) -> Vec<u8> {
        self.file_of(transfer_syntax, &self.encode(transfer_syntax == IMPLICIT))
    }
    /// A file whose data set is these bytes.
    pub fn file_of(&self, transfer_syntax: &str, data_set: &[u8]) -> Vec<u8> {
        let own = |tag: u32| {
            self.elements.iter().find_map(|(other, _, body)| match body {
                Body::Bytes(bytes) if *other == tag => Some(bytes.clone()),
                _ => None,
            })
        };
        let mut meta = Set::default()
            .raw(0x0002_0001, "OB", &[0, 1])
            .text(0x0002_0010, "UI", transfer_syntax)
            .text(0x0002_0012, "UI", "2.25.1");
        for (tag, from) in [(0x0002_0002, 0x0008_0016), (0x0002_0003, 0x0008_0018)] {
            if let Some(uid) = own(from) {
                meta = meta.raw(tag, "UI", &uid);
            }
        }
        let meta = meta.encode(false);
        let mut file = vec![0; 128];
        file.extend(b"DICM");
        file.extend(Set::default().ul(0x0002_0000, &[meta.len() as u32]).encode(false));
        file.extend(meta);
        file.extend(data_set);
        file
    }
}

/// A value, and the length that its element gives if that is not the value's.
fn value(body: &Body, implicit: bool) -> (Vec<u8>, Option<u32>) {
    match body {
        Body::Bytes(bytes) => (bytes.clone(), None),
        Body::Items(items) => {
            let mut bytes = Vec::new();
            for item in items {
                let item = item.encode(implicit);
                item_head(&mut bytes, 0xFFFE_E000, item.len() as u32);
                bytes.extend(item);
            }
            (bytes, None)
        }
        Body::Fragments(table, fragments) => {
            let mut bytes = Vec::new();
            item_head(&mut bytes, 0xFFFE_E000, table.len() as u32);
            bytes.extend(table);
            for fragment in fragments {
                let padding = fragment.len() % 2;
                item_head(&mut bytes, 0xFFFE_E000, (fragment.len() + padding) as u32);
                bytes.extend(fragment);
                bytes.extend(vec![0; padding]);
            }
            item_head(&mut bytes, 0xFFFE_E0DD, 0);
            (bytes, Some(u32::MAX))
        }
    }
}

fn head(bytes: &mut Vec<u8>, tag: u32, vr: &str, len: u32, implicit: bool) {
    bytes.extend(((tag >> 16) as u16).to_le_bytes());
    bytes.extend((tag as u16).to_le_bytes());
    if implicit {
        bytes.extend(len.to_le_bytes());
        return;
    }
    bytes.extend(vr.as_bytes());
    if matches!(vr, "OB" | "OW" | "OV" | "OF" | "OD" | "SQ" | "UN" | "UT" | "UC" | "UR") {
        bytes.extend([0, 0]);
        bytes.extend(len.to_le_bytes());
    } else {
        bytes.extend(u16::try_from(len).expect("fits a short length").to_le_bytes());
    }
}

fn item_head(bytes: &mut Vec<u8>, tag: u32, len: u32) {
    bytes.extend(((tag >> 16) as u16).to_le_bytes());
    bytes.extend((tag as u16).to_le_bytes());
    bytes.extend(len.to_le_bytes());
}
