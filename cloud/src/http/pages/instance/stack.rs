//! Frames that are looked at together: those of one instance, or of all parts of a concatenation that
//! are here, in the order of the whole.

use super::{opened, store};
use crate::{
    http::{Fault, Web, Who},
    imaging::{header::Window, pictures::Opened},
    store::instance_view,
};
use std::{collections::BTreeSet, sync::Arc};

pub struct Part {
    pub id: String,
    pub opened: Arc<Opened>,
}

pub struct Stack {
    pub parts: Vec<Part>,
    /// Numbers of parts that have not come, and how many there are to be, if that is said.
    pub missing: Vec<u32>,
    pub total: Option<u32>,
}

impl Stack {
    /// The stack that an instance belongs to. Parts that are in another exam, or wait for a person,
    /// are not of it.
    pub async fn load(web: &Web, who: &Who, id: &str) -> Result<Self, Fault> {
        let asked = opened(web, who, id).await?;
        let Some(uid) = asked.header.concatenation_uid.clone() else {
            let part = Part { id: id.to_owned(), opened: asked };
            return Ok(Self { parts: vec![part], missing: Vec::new(), total: None });
        };
        let mut tx = web.core.db.tenant_read(&who.tenant).await?;
        let ids = instance_view::parts(&mut tx, &who.tenant, id, &uid).await?;
        drop(tx);
        let mut parts = Vec::new();
        for id in ids {
            let opened = opened(web, who, &id).await?;
            parts.push(Part { id, opened });
        }
        if parts.is_empty() {
            parts.push(Part { id: id.to_owned(), opened: asked });
        }
        let place = |part: &Part| {
            let header = &part.opened.header;
            (header.concatenation_number, header.concatenation_frame_offset)
        };
        parts.sort_by_key(place);
        // The same part twice, as after a resend under another UID, is shown once.
        parts.dedup_by(|one, other| place(one).0.is_some() && place(one) == place(other));
        let numbers: BTreeSet<u32> = parts.iter().filter_map(|part| place(part).0).collect();
        let total = parts.iter().find_map(|part| part.opened.header.concatenation_total);
        let last = total.or(numbers.last().copied()).unwrap_or(0).min(PARTS_MAX);
        let missing = (1..=last).filter(|number| !numbers.contains(number)).collect();
        Ok(Self { parts, missing, total })
    }

    pub fn frames(&self) -> usize {
        self.parts.iter().map(|part| part.opened.frames()).sum()
    }

    /// The part with a frame of the whole, and its number there; both count from 1.
    pub fn find(&self, frame: usize) -> Option<(&Part, usize)> {
        if let [one] = self.parts.as_slice() {
            // It says itself why a frame cannot be shown.
            return Some((one, frame));
        }
        let mut left = frame.checked_sub(1)?;
        for part in &self.parts {
            match left.checked_sub(part.opened.frames()) {
                Some(rest) => left = rest,
                None => return Some((part, left + 1)),
            }
        }
        None
    }

    /// One window for all parts: each would choose its own, and the seam would be seen.
    pub async fn window(&self, web: &Web, asked: Option<Window>) -> Result<Option<Window>, Fault> {
        let first = &self.parts[0].opened;
        let is_grey = first.header.pixels.as_ref().is_some_and(|it| it.samples_per_pixel == 1);
        if asked.is_some() || self.parts.len() == 1 || !is_grey {
            return Ok(asked);
        }
        Ok(Some(web.core.pictures.first_window(&store(web)?, first).await?))
    }

    /// For every displayed frame its points on a picture.
    pub fn lines_on(&self, sop_instance_uid: &str) -> Vec<&[f32]> {
        let mut all = Vec::new();
        for Part { opened, .. } in &self.parts {
            match opened.lines_on(sop_instance_uid) {
                Some(lines) => all.extend(lines),
                None => all.resize(all.len() + opened.frames(), &[][..]),
            }
        }
        all
    }

    /// `Part 2 of 3 has not come yet.`
    pub fn what_is_missing(&self) -> Option<String> {
        let of = self.total.map_or(String::new(), |total| format!(" of {total}"));
        let numbers: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        match numbers.as_slice() {
            [] => None,
            [one] => Some(format!("Part {one}{of} has not come yet.")),
            several => Some(format!("Parts {}{of} have not come yet.", several.join(", "))),
        }
    }
}

/// Parts of one concatenation that are asked after.
const PARTS_MAX: u32 = 1000;
