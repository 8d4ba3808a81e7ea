//! Readings of lensmeters beside an order: those measured for it, and those that wait.

use super::{
    super::{Fault, Web, Who},
    order::decision_word,
};
use crate::{
    app::check_in::{self, Named},
    domain::{
        check_in::{Compared, Line, Verdict},
        optics::normal_axis,
    },
    http::show,
    store::{
        Tx,
        exam::ReadingRow,
        order::{self as store, OrderRow},
        patient,
    },
};
use chiasm_proto::{Hundredths, Measured};
use jiff::tz::TimeZone;

/// A reading of finished glasses beside its order.
pub struct MeasuredView {
    pub reading_id: String,
    pub version: i64,
    pub source: String,
    pub eyes: Vec<(&'static str, &'static str, Vec<LineView>)>,
    pub open: Vec<String>,
    pub remarks: Vec<String>,
    pub is_inside: bool,
    pub tolerances: String,
    /// What was decided last about this reading; empty as long as nothing was.
    pub decided: String,
}

pub struct LineView {
    pub label: &'static str,
    pub ordered: String,
    pub measured: String,
    pub difference: String,
    pub tolerance: String,
    pub verdict: &'static str,
    /// `good`, `bad` or `look`.
    pub look: &'static str,
}

/// A lensmeter's reading without a patient, which may be that of these glasses.
pub struct WaitingView {
    pub reading_id: String,
    pub version: i64,
    pub source: String,
    pub words: String,
    pub claimed: String,
}

impl LineView {
    fn new(line: &Line) -> Self {
        let what = line.what;
        let unit = what.unit();
        let apart = |it: Hundredths| format!("{} {unit}", what.apart(it));
        Self {
            label: what.label(),
            ordered: what.words(line.ordered),
            measured: line.measured.map(|it| what.words(it)).unwrap_or_default(),
            difference: line.difference.map(apart).unwrap_or_default(),
            tolerance: format!(
                "\u{b1}{} {unit}",
                what.apart(line.tolerance).trim_start_matches('+')
            ),
            verdict: line.verdict.label(),
            look: match line.verdict {
                Verdict::Inside => "good",
                Verdict::Outside => "bad",
                Verdict::NotMeasured | Verdict::NotComparable => "look",
            },
        }
    }
}

pub(super) async fn measured(
    tx: &mut Tx,
    (web, who): (&Web, &Who),
    (order, patient, check_ins): (&OrderRow, &str, &[store::CheckIn]),
    zone: &TimeZone,
) -> Result<(Vec<MeasuredView>, Vec<String>), Fault> {
    let survivor = patient::survivor(tx, &who.tenant, patient).await?;
    let rows = store::measured_of_patient(tx, &who.tenant, &survivor).await?;
    let (mut views, mut told) = (Vec::new(), Vec::new());
    for row in &rows {
        let named = check_in::named(tx, &who.tenant, row).await?;
        match &named {
            Named::Order(named) if named.order_id == order.order_id => {
                let tolerances = &web.core.config.optical.tolerances;
                let compared = check_in::compared(order, row, tolerances)?;
                let last = check_ins.iter().rev().find(|it| it.reading_id == row.reading_id);
                let decided = last.map(|it| decision_word(it).to_owned()).unwrap_or_default();
                views.push(measured_view(row, &compared, decided, zone));
            }
            _ => told.extend(named.fault().map(|it| format!("{}: {it}", source(row, zone)))),
        }
    }
    Ok((views, told))
}

fn measured_view(
    row: &ReadingRow,
    compared: &Compared,
    decided: String,
    zone: &TimeZone,
) -> MeasuredView {
    let eye = |name, words, lines: &[Line]| {
        (!lines.is_empty()).then(|| (name, words, lines.iter().map(LineView::new).collect()))
    };
    let eyes = [eye("OD", "right eye", &compared.right), eye("OS", "left eye", &compared.left)];
    MeasuredView {
        reading_id: row.reading_id.clone(),
        version: row.version,
        source: source(row, zone),
        eyes: eyes.into_iter().flatten().collect(),
        open: compared.open(),
        remarks: compared.remarks.clone(),
        is_inside: compared.is_inside(),
        tolerances: compared.source.clone(),
        decided,
    }
}

fn source(row: &ReadingRow, zone: &TimeZone) -> String {
    let instrument = row.reading().map(|it| it.decoded.instrument).unwrap_or_default();
    let when = show::date_and_time(row.captured_at_us, zone);
    format!("{} {}, {when}, {}", instrument.vendor, instrument.model, row.lane_name)
}

/// A reading that waits, if a lensmeter sent it: no values of other instruments stand here.
pub(super) fn waiting_view(row: &ReadingRow, zone: &TimeZone) -> Option<WaitingView> {
    let reading = row.reading().filter(|_| check_in::has_lens(row))?;
    let lenses = reading.decoded.measurements.iter().filter_map(|it| match &it.measured {
        Measured::Lensometry(lens) => {
            let mut words = format!("{} {:+}", it.eye.abbreviation(), lens.sphere?);
            if let Some(cylinder) = lens.cylinder.filter(|it| !it.is_zero()) {
                words.push_str(&format!(" {cylinder:+}"));
                // R7: 0 is 180.
                let axis = lens.axis_deg.map(|it| format!(" \u{d7} {:03}", normal_axis(it)));
                words.push_str(&axis.unwrap_or_default());
            }
            words.push_str(&lens.add.map(|add| format!(" add {add:+}")).unwrap_or_default());
            Some(words)
        }
        _ => None,
    });
    Some(WaitingView {
        reading_id: row.reading_id.clone(),
        version: row.version,
        source: source(row, zone),
        words: lenses.collect::<Vec<_>>().join("; "),
        claimed: row.claimed_patient.clone().unwrap_or_default(),
    })
}
