//! The visit's slip: who, and the identifier of the visit as a barcode that instruments and lane
//! pages scan.

use super::{
    Fault, Web, Who,
    frame::{Frame, page},
    visit::Visit,
};
use crate::{
    app::{local_time, look},
    clock,
    store::{encounter, site},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use barcoders::sym::code128::Code128;

/// Width of the narrowest bar, in the drawing's units.
const MODULE: usize = 2;
/// Blank on both sides, in modules, as the symbology demands.
const QUIET: usize = 10;

#[derive(Template)]
#[template(path = "slip.html")]
struct SlipPage {
    frame: Frame,
    visit: Visit,
    location_name: String,
    accession: String,
    width: usize,
    /// Left edge and width of each bar.
    bars: Vec<(usize, usize)>,
}

pub async fn show(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let found = encounter::by_id(&mut tx, &who.tenant, &id).await?;
    let found = found.ok_or_else(|| Fault::not_found("visit"))?;
    let location = site::location(&mut tx, &who.tenant, &found.location_id).await?;
    let location = location.ok_or_else(|| Fault::not_found("location"))?;
    drop(tx);
    look::look(&web.core.db, &who, ("slip_seen", &id), clock::now_us()).await?;
    let accession = found.accession.clone().unwrap_or_default();
    let (bars, width) = bars(&accession);
    page(SlipPage {
        frame: Frame::new("Slip", Some(&who), "none"),
        visit: Visit::new(&found, &local_time::zone(&location.time_zone)),
        location_name: location.name,
        accession,
        width,
        bars,
    })
}

/// The bars of a Code 128 (set B) and the width of the whole; none for a text that it cannot hold.
fn bars(text: &str) -> (Vec<(usize, usize)>, usize) {
    // U+0181 chooses the character set.
    let modules = Code128::new(format!("\u{181}{text}")).map(|code| code.encode());
    let modules = modules.unwrap_or_default();
    let mut bars: Vec<(usize, usize)> = Vec::new();
    for (at, _) in modules.iter().enumerate().filter(|(_, module)| **module == 1) {
        let left = (QUIET + at) * MODULE;
        match bars.last_mut() {
            Some((start, width)) if *start + *width == left => *width += MODULE,
            _ => bars.push((left, MODULE)),
        }
    }
    (bars, (modules.len() + 2 * QUIET) * MODULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code 128 set B: start 104, each character its code, a check modulo 103, stop; eleven modules
    /// a symbol and thirteen for the stop, in six bars and spaces each.
    #[test]
    fn the_barcode_has_the_symbols_of_its_text() {
        let (drawn, width) = bars("7H4KQ2M9XB");
        assert_eq!(width, (12 * 11 + 13 + 2 * QUIET) * MODULE);
        assert_eq!(drawn.len(), 12 * 3 + 4);
        assert_eq!(drawn[0], (QUIET * MODULE, 2 * MODULE), "start B begins with two modules");
        assert_eq!(bars("é").0, []);
    }
}
