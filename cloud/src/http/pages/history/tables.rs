//! Every value as a line of a table: what the plots draw, and what cannot be drawn.

use super::Zones;
use crate::{
    http::show::{self, Group, ReadingView, Section},
    store::exam::ReadingRow,
};

/// Sections that belong together on the page.
pub struct Part {
    pub slug: &'static str,
    pub title: &'static str,
    pub remark: &'static str,
    pub sections: &'static [Section],
}

pub const PARTS: [Part; 5] = [
    Part {
        slug: "pressure",
        title: "Eye pressure",
        remark: "each method by itself, as measured; nothing is corrected",
        sections: &[Section::Pressure],
    },
    Part {
        slug: "refraction",
        title: "Refraction",
        remark: "an autorefraction is a starting point, not a prescription",
        sections: &[Section::Wearing, Section::Autorefraction, Section::Refractor],
    },
    Part {
        slug: "keratometry",
        title: "Keratometry",
        remark: "each instrument by itself",
        sections: &[Section::Keratometry],
    },
    Part {
        slug: "thickness",
        title: "Corneal thickness",
        remark: "central, beside the pressure",
        sections: &[Section::Thickness],
    },
    Part { slug: "acuity", title: "Visual acuity", remark: "", sections: &[Section::Acuity] },
];

/// Lines, latest first.
pub struct Table {
    pub rows: Vec<Row>,
    /// Some value has no eye of its own.
    pub has_other: bool,
}

/// One measurement of both eyes.
pub struct Row {
    pub encounter_id: String,
    pub date: String,
    /// Clinic-local time of day of this reading (R20).
    pub time: String,
    /// `UTC-05:00`.
    pub offset: String,
    pub group: Group,
    pub reading: ReadingView,
}

/// `views` are the views of `rows`, one by one.
pub fn table(part: &Part, views: &[ReadingView], rows: &[ReadingRow], zones: &Zones) -> Table {
    let mut table = Table { rows: vec![], has_other: false };
    for (view, row) in views.iter().zip(rows) {
        let zone = zones.of_row(row);
        let at_us = row.captured_at_us;
        for group in view.groups.iter().filter(|it| part.sections.contains(&it.section)) {
            if group.is_minor {
                continue;
            }
            table.has_other |= group.both.is_some() || group.no_side.is_some();
            // The groups stand in the rows; what hangs on the reading are its names and state.
            let reading = ReadingView { groups: vec![], ..view.clone() };
            table.rows.push(Row {
                encounter_id: row.encounter_id.clone().unwrap_or_default(),
                date: show::date_of(at_us, zone),
                time: show::hours_and_minutes(at_us, zone),
                offset: show::offset(at_us, zone),
                group: group.clone(),
                reading,
            });
        }
    }
    table
}
