//! The prescription and the old glasses, value by value in one form of writing (R6).

use crate::{
    domain::{
        comparison,
        optics::{Notation, Power},
        prescription::{EyeRx, Prescription, base_word},
        sample::Lens,
    },
    store::exam::ReadingRow,
};
use chiasm_proto::{Base, Eye, Hundredths, Lensometry, Measured, Prism, PrismComponent};

/// The values of one eye.
pub struct EyeRows {
    pub name: &'static str,
    pub words: &'static str,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub label: String,
    /// `rx`, `old` or `diff`: for the look of the row.
    pub kind: &'static str,
    pub sphere: String,
    pub cylinder: String,
    pub axis: String,
    pub add: String,
    pub prism: String,
}

/// What an eye is to get, in a line.
pub fn eye_words(rx: &EyeRx) -> String {
    if rx.is_empty() { "none".into() } else { rx.to_string() }
}

/// Glasses that the patient brought: the lens of an eye, and where it is from.
pub struct Old<'a> {
    pub label: String,
    pub right: Option<Lensometry>,
    pub left: Option<Lensometry>,
    pub row: &'a ReadingRow,
}

/// What the patient wears: of each pair the latest reading that nobody rejected. Rows come latest
/// first.
pub fn old_glasses(rows: &[ReadingRow]) -> Vec<Old<'_>> {
    let mut found: Vec<Old<'_>> = Vec::new();
    for row in rows.iter().filter(|row| row.acceptance != "rejected") {
        let Some(reading) = row.reading_of_patient() else { continue };
        let lens = |eye| {
            let own = reading.decoded.measurements.iter().filter(|it| !it.relayed);
            own.filter(|it| it.eye == eye).find_map(|it| match &it.measured {
                Measured::Lensometry(lens) if lens.sphere.is_some() => Some(lens.clone()),
                _ => None,
            })
        };
        let (right, left) = (lens(Eye::Right), lens(Eye::Left));
        if right.is_none() && left.is_none() {
            continue;
        }
        let purpose = row.correction().and_then(|it| it.purpose);
        let label = purpose.map_or_else(|| "Old glasses".to_owned(), |it| it.label());
        if !found.iter().any(|it| it.label == label) {
            found.push(Old { label, right, left, row });
        }
    }
    found
}

/// Both eyes: what is prescribed, and under it each pair of old glasses with the difference.
pub fn tables(rx: &Prescription, old: &[Old<'_>]) -> [EyeRows; 2] {
    let eye = |name, words, rx: &EyeRx, lens: fn(&Old<'_>) -> Option<Lensometry>| {
        let mut rows = vec![prescribed(rx)];
        for pair in old {
            if let Some(lens) = lens(pair) {
                rows.extend(compared(rx, &pair.label, &lens));
            }
        }
        EyeRows { name, words, rows }
    };
    [
        eye("OD", "right eye", &rx.right, |it| it.right.clone()),
        eye("OS", "left eye", &rx.left, |it| it.left.clone()),
    ]
}

fn prescribed(rx: &EyeRx) -> Row {
    let signed = |it: Option<Hundredths>| it.map(|it| format!("{it:+}")).unwrap_or_default();
    Row {
        label: "Prescription".into(),
        kind: "rx",
        sphere: signed(rx.sphere),
        cylinder: signed(rx.cylinder),
        axis: rx.axis_deg.map(|it| format!("{it:03}")).unwrap_or_default(),
        add: signed(rx.add),
        prism: components([rx.prism_horizontal, rx.prism_vertical]),
    }
}

/// The old lens in the form of writing of the prescription, and what the new one differs by.
fn compared(rx: &EyeRx, label: &str, lens: &Lensometry) -> Vec<Row> {
    let cylinder = rx.cylinder.unwrap_or_default();
    let notation = if cylinder.0 > 0 { Notation::Plus } else { Notation::Minus };
    let sent = Power::new(
        lens.sphere.unwrap_or_default(),
        lens.cylinder.unwrap_or_default(),
        lens.axis_deg,
    );
    let (power, is_other) = sent.written_in(notation);
    let written = if is_other { ", written as the prescription" } else { "" };
    let mut rows = vec![Row {
        label: format!("{label}{written}"),
        kind: "old",
        sphere: format!("{:+}", power.sphere),
        cylinder: if power.cylinder.is_zero() {
            String::new()
        } else {
            format!("{:+}", power.cylinder)
        },
        axis: power.axis_deg().map(|it| format!("{it:03}")).unwrap_or_default(),
        add: lens.add.map(|it| format!("{it:+}")).unwrap_or_default(),
        prism: lens.prism.as_ref().map(prism).unwrap_or_default(),
    }];
    if let Some(sphere) = rx.sphere {
        let of = |power, add| Lens { power, add, vertex_distance_mm: None };
        let new = of(Power::new(sphere, cylinder, rx.axis_deg), rx.add);
        let delta = comparison::delta(of(power, lens.add), new, notation);
        let add = rx.add.zip(lens.add).map(|(new, old)| Hundredths(new.0 - old.0));
        rows.push(Row {
            label: "New minus old".into(),
            kind: "diff",
            sphere: format!("{:+}", delta.sphere),
            cylinder: format!("{:+}", delta.cylinder),
            axis: delta.axis_deg.map(|it| format!("{it}\u{b0}")).unwrap_or_default(),
            add: add.map(|it| format!("{it:+}")).unwrap_or_default(),
            prism: String::new(),
        });
    }
    rows
}

fn components(both: [Option<PrismComponent>; 2]) -> String {
    let word = |it: PrismComponent| format!("{} base {}", it.amount, base_word(it.base));
    both.into_iter().flatten().map(word).collect::<Vec<_>>().join(", ")
}

/// As measured: a direction that the maker does not document is said to be none.
fn prism(it: &Prism) -> String {
    let word = |it: PrismComponent| match it.base {
        Base::Unverified => format!("{:+}, direction not documented", it.amount),
        base => format!("{} base {}", it.amount, base_word(base)),
    };
    let both = [it.horizontal, it.vertical].into_iter().flatten().map(word);
    let angle = it.amount.map(|amount| {
        let base = it.base_deg.map(|deg| format!(" base {deg}\u{b0}")).unwrap_or_default();
        format!("{amount}{base}")
    });
    both.chain(angle).collect::<Vec<_>>().join(", ")
}
