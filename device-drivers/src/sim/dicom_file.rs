//! DICOM files, byte by byte, in the ways in which instruments write them.

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// Without value representations.
    pub implicit: bool,
    /// Sequences and items end by marks instead of having a length.
    pub undefined: bool,
}

pub type Number = (u16, u16);

/// Elements, which stand in the order of their tags however they were put.
#[derive(Debug, Clone, Default)]
pub struct Set {
    elements: Vec<(Number, Vec<u8>)>,
    style: Style,
}

const UNDEFINED: u32 = u32::MAX;

fn mark((group, element): Number, len: u32) -> Vec<u8> {
    let [a, b] = group.to_le_bytes();
    let [c, d] = element.to_le_bytes();
    [[a, b, c, d], len.to_le_bytes()].concat()
}

impl Set {
    pub fn new(style: Style) -> Self {
        Self { elements: vec![], style }
    }

    /// An element with any length and any value.
    pub fn element(mut self, tag: Number, vr: &str, len: u32, value: &[u8]) -> Self {
        let mut bytes = mark(tag, len);
        if !self.style.implicit {
            bytes.truncate(4);
            bytes.extend(vr.as_bytes());
            if matches!(vr, "SQ" | "OB" | "UN" | "UT") {
                bytes.extend([0, 0]);
                bytes.extend(len.to_le_bytes());
            } else {
                bytes.extend((len as u16).to_le_bytes());
            }
        }
        bytes.extend(value);
        self.elements.push((tag, bytes));
        self
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.elements.sort_by_key(|(tag, _)| *tag);
        self.elements.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }

    /// A value of any representation, filled up to an even length.
    pub fn raw(self, tag: Number, vr: &str, value: &[u8]) -> Self {
        let mut value = value.to_vec();
        if value.len() % 2 == 1 {
            value.push(if vr == "UI" { 0 } else { b' ' });
        }
        self.element(tag, vr, value.len() as u32, &value)
    }
    pub fn text(self, tag: Number, vr: &str, text: &str) -> Self {
        self.raw(tag, vr, text.as_bytes())
    }
    /// A double.
    pub fn fd(self, tag: Number, number: f64) -> Self {
        self.raw(tag, "FD", &number.to_le_bytes())
    }
    /// A double of so many hundredths.
    pub fn hundredths(self, tag: Number, hundredths: i32) -> Self {
        self.fd(tag, f64::from(hundredths) / 100.0)
    }
    /// A single.
    pub fn fl(self, tag: Number, number: f32) -> Self {
        self.raw(tag, "FL", &number.to_le_bytes())
    }
    pub fn us(self, tag: Number, number: u16) -> Self {
        self.raw(tag, "US", &number.to_le_bytes())
    }
    /// What another one does, where there is something to do it with.
    pub fn with<T>(self, value: Option<T>, put: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => put(self, value),
            None => self,
        }
    }

    pub fn items(self, tag: Number, items: Vec<Set>) -> Self {
        let undefined = self.style.undefined;
        let mut inside = vec![];
        for item in items {
            let item = item.bytes();
            inside.extend(mark(
                (0xFFFE, 0xE000),
                if undefined { UNDEFINED } else { item.len() as u32 },
            ));
            inside.extend(item);
            if undefined {
                inside.extend(mark((0xFFFE, 0xE00D), 0));
            }
        }
        let len = if undefined { UNDEFINED } else { inside.len() as u32 };
        if undefined {
            inside.extend(mark((0xFFFE, 0xE0DD), 0));
        }
        self.element(tag, "SQ", len, &inside)
    }
    pub fn item(self, tag: Number, item: Set) -> Self {
        self.items(tag, vec![item])
    }
    /// A sequence of one concept.
    pub fn code(self, tag: Number, (scheme, value, meaning): (&str, &str, &str)) -> Self {
        let item = Set::new(self.style)
            .text((0x0008, 0x0100), "SH", value)
            .text((0x0008, 0x0102), "SH", scheme)
            .text((0x0008, 0x0104), "LO", meaning);
        self.item(tag, item)
    }

    /// The file of an object of this class.
    pub fn file(self, class_uid: &str, instance_uid: &str) -> Vec<u8> {
        let syntax = if self.style.implicit { "1.2.840.10008.1.2" } else { "1.2.840.10008.1.2.1" };
        file(class_uid, instance_uid, syntax, &self.bytes())
    }
}

/// A file of data set bytes in this transfer syntax.
pub fn file(class_uid: &str, instance_uid: &str, syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let head = Set::default()
        .raw((2, 1), "OB", &[0, 1])
        .text((2, 2), "UI", class_uid)
        .text((2, 3), "UI", instance_uid)
        .text((2, 0x10), "UI", syntax)
        .text((2, 0x12), "UI", "2.25.1")
        .bytes();
    let length = Set::default().raw((2, 0), "UL", &(head.len() as u32).to_le_bytes()).bytes();
    [&[0; 128], b"DICM".as_slice(), &length, &head, data_set].concat()
}

/// What stands in every object in front of its measurements.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    pub class_uid: &'a str,
    pub instance_uid: &'a str,
    pub modality: &'a str,
    pub patient_id: &'a str,
    /// `20260901`, `091805`
    pub content: (&'a str, &'a str),
    /// `R`, `L`, `B`, or nothing.
    pub laterality: &'a str,
}

impl Head<'_> {
    pub fn set(&self, style: Style) -> Set {
        let Head { class_uid, instance_uid, modality, patient_id, content, laterality } = self;
        let laterality = Some(laterality).filter(|word| !word.is_empty());
        Set::new(style)
            .text((8, 5), "CS", "ISO_IR 192")
            .text((8, 0x16), "UI", class_uid)
            .text((8, 0x18), "UI", instance_uid)
            .text((8, 0x20), "DA", "20260901")
            .text((8, 0x23), "DA", content.0)
            .text((8, 0x30), "TM", "091500")
            .text((8, 0x33), "TM", content.1)
            .text((8, 0x50), "SH", "ACC0001")
            .text((8, 0x60), "CS", modality)
            .text((8, 0x70), "LO", "SYNTHETIC")
            .text((8, 0x90), "PN", "")
            .text((8, 0x1090), "LO", "SynthEye 1")
            .text((0x10, 0x10), "PN", "Test^Olga")
            .text((0x10, 0x20), "LO", patient_id)
            .text((0x10, 0x30), "DA", "19700101")
            .text((0x10, 0x40), "CS", "F")
            .text((0x18, 0x1000), "LO", "SN0001")
            .text((0x18, 0x1020), "LO", "0.1")
            .text((0x20, 0x0D), "UI", "2.25.100")
            .text((0x20, 0x0E), "UI", "2.25.101")
            .text((0x20, 0x10), "SH", "1")
            .text((0x20, 0x11), "IS", "1")
            .text((0x20, 0x13), "IS", "1")
            .with(laterality, |set, word| set.text((0x24, 0x113), "CS", word))
    }
}
