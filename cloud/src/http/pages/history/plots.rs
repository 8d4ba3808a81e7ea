//! What is drawn of a patient's visits. Values of different methods, kinds and instruments never
//! share a series (R11, R19, R28); nothing is corrected or averaged (R13, R21).

use super::Zones;
use crate::{
    app::local_time,
    domain::{
        optics::PowerVector,
        sample::{Cornea, Kind, Sample, Value, samples},
    },
    http::{
        plot::{Axis, Panel, Plot, Point, Series, day_ticks, hour_ticks, nice_ticks},
        show,
    },
    store::exam::ReadingRow,
};
use chiasm_proto::{Eye, Instrument, TonometryMethod};
use jiff::tz::TimeZone;

/// The axis of pressures always reaches this far, in mmHg; further where a value does (R22).
const MMHG_SHOWN: f64 = 30.0;

/// A value with when, where and by what it was measured.
#[derive(Debug, Clone)]
pub struct Item {
    pub sample: Sample,
    at_us: i64,
    /// Hours since the clinic's midnight.
    hour: f64,
    date: String,
    /// `3 Nov 2025, 10:03 UTC-05:00`.
    when: String,
    instrument: String,
    is_pending: bool,
}

/// The values of readings, oldest first.
pub fn items(rows: &[ReadingRow], zones: &Zones) -> Vec<Item> {
    let mut items = Vec::new();
    for row in rows.iter().filter(|row| row.acceptance != "rejected") {
        let Some(sent) = row.reading_of_patient() else { continue };
        let (zone, at_us) = (zones.of_row(row), row.captured_at_us);
        let local = local_time::local(at_us, zone);
        let seconds = i32::from(local.minute()) * 60 + i32::from(local.second());
        let offset = show::offset(at_us, zone);
        let when = format!("{} {offset}", show::date_and_time(at_us, zone));
        let instrument = name(&sent.decoded.instrument);
        items.extend(samples(&sent.decoded.measurements).into_iter().map(|sample| Item {
            sample,
            at_us,
            hour: f64::from(local.hour()) + f64::from(seconds) / 3600.0,
            date: show::date_of(at_us, zone),
            when: when.clone(),
            instrument: instrument.clone(),
            is_pending: row.acceptance == "pending",
        }));
    }
    items.sort_by_key(|item| item.at_us);
    items
}

fn name(it: &Instrument) -> String {
    let serial = it.serial.as_ref().map_or_else(String::new, |serial| format!(" #{serial}"));
    format!("{} {}{serial}", it.vendor, it.model)
}

/// A value as a series wants it.
struct Drawn {
    series: String,
    style: usize,
    y: f64,
    text: String,
}

const EYES: [(Eye, &str, &str); 2] =
    [(Eye::Right, "OD", "right eye"), (Eye::Left, "OS", "left eye")];

/// One panel per eye; `pick` says which series a value belongs to, and `x` where it stands.
fn panels(
    items: &[Item],
    is_line: bool,
    x: impl Fn(&Item) -> f64,
    pick: impl Fn(&Item) -> Vec<Drawn>,
) -> Vec<Panel> {
    let panel = |(eye, abbreviation, eye_name)| {
        let mut series: Vec<Series> = Vec::new();
        for item in items.iter().filter(|item| item.sample.eye == eye) {
            for Drawn { series: name, style, y, text } in pick(item) {
                let index = series.iter().position(|it| it.name == name);
                let index = index.unwrap_or_else(|| {
                    series.push(Series { name: name.clone(), style, points: vec![], is_line });
                    series.len() - 1
                });
                let it = &mut series[index];
                // A line through the shots of one moment would say that the eye changed.
                it.is_line &= !item.sample.standing.is_shot();
                let state = if item.is_pending { ", not accepted" } else { "" };
                let label = format!("{text}, {}{state}", item.when);
                it.points.push(Point { x: x(item), y, label, is_pending: item.is_pending });
            }
        }
        series.sort_by_key(|it| it.style);
        Panel { eye: abbreviation, eye_name, series }
    };
    EYES.into_iter().map(panel).collect()
}

fn all_y(panels: &[Panel]) -> Vec<f64> {
    let series = panels.iter().flat_map(|panel| &panel.series);
    series.flat_map(|it| it.points.iter().map(|point| point.y)).collect()
}

/// An axis over all values of both eyes, at least `span` long.
fn axis_over(panels: &[Panel], label: &str, span: f64, text: impl Fn(f64) -> String) -> Axis {
    let ys = all_y(panels);
    let mut low = ys.iter().copied().fold(f64::INFINITY, f64::min);
    let mut high = ys.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if ys.is_empty() {
        (low, high) = (0.0, span);
    }
    let missing = ((span - (high - low)) / 2.0).max(0.0);
    axis(low - missing, high + missing, label, text)
}

fn axis(low: f64, high: f64, label: &str, text: impl Fn(f64) -> String) -> Axis {
    let ticks = nice_ticks(low, high, 5);
    let (min, max) = (ticks[0], ticks[ticks.len() - 1]);
    let ticks = ticks.into_iter().map(|tick| (tick, text(tick))).collect();
    Axis { label: label.into(), min, max, ticks }
}

fn dates(items: &[Item], is_of: impl Fn(&Kind) -> bool, zone: &TimeZone) -> Axis {
    let mut moments = items.iter().filter(|it| is_of(&it.sample.kind)).map(|it| it.at_us);
    let first = moments.next().unwrap_or(0);
    let (min, max, ticks) = day_ticks(first, moments.last().unwrap_or(first), zone);
    Axis { label: "date".into(), min, max, ticks }
}

fn signed(value: f64) -> String {
    let text = format!("{value:+.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "+0" | "-0") { "0".into() } else { text.to_owned() }
}

/// The name of a method in legends and tables, and its mark.
fn method(it: TonometryMethod) -> (&'static str, usize) {
    match it {
        TonometryMethod::NonContact => ("Non-contact (air puff)", 0),
        TonometryMethod::Goldmann => ("Goldmann", 1),
        TonometryMethod::Rebound => ("Rebound", 2),
        TonometryMethod::TonoPen => ("Tono-Pen", 3),
        TonometryMethod::OcularResponse => ("Ocular Response Analyzer", 4),
        TonometryMethod::NotGiven => ("Method not given", 5),
    }
}

fn pressure_of(item: &Item) -> Vec<Drawn> {
    let (Kind::Pressure(by), Value::Mmhg(mmhg)) = (item.sample.kind, &item.sample.value) else {
        return vec![];
    };
    let (series, style) = method(by);
    let standing = item.sample.standing.label();
    let text = format!("{} mmHg, {series} ({standing})", show::short(*mmhg));
    vec![Drawn { series: series.into(), style, y: mmhg.to_f64(), text }]
}

fn mmhg_axis(panels: &[Panel]) -> Axis {
    let high = all_y(panels).into_iter().fold(MMHG_SHOWN, f64::max);
    axis(0.0, high, "mmHg", |tick| format!("{tick:.0}"))
}

/// Pressure over visits, one series per method, with its time of day on each point (D4).
pub fn pressure(items: &[Item], zone: &TimeZone) -> Plot {
    let panels = panels(items, true, |item| item.at_us as f64, pressure_of);
    Plot {
        id: "plot-pressure".into(),
        title: "Eye pressure over visits".into(),
        x: dates(items, |kind| matches!(kind, Kind::Pressure(_)), zone),
        y: mmhg_axis(&panels),
        panels,
        is_small: false,
    }
}

/// The same, small, of a visit's readings and of those before it; none where nothing would be seen.
pub fn pressure_beside(rows: &[ReadingRow], earlier: &[ReadingRow], zones: &Zones) -> Option<Plot> {
    let mut items = items(earlier, zones);
    items.extend(self::items(rows, zones));
    let plot = Plot { is_small: true, ..pressure(&items, zones.first()) };
    plot.has_points().then_some(plot)
}

/// The same values by the clinic's time of day (R20).
pub fn pressure_by_time_of_day(items: &[Item]) -> Plot {
    let panels = panels(items, false, |item| item.hour, pressure_of);
    let is_pressure = |item: &&Item| matches!(item.sample.kind, Kind::Pressure(_));
    let (min, max, ticks) = hour_ticks(items.iter().filter(is_pressure).map(|item| item.hour));
    Plot {
        id: "plot-pressure-hours".into(),
        title: "Eye pressure by time of day".into(),
        x: Axis { label: "time of day at the clinic".into(), min, max, ticks },
        y: mmhg_axis(&panels),
        panels,
        is_small: true,
    }
}

/// The last corneal thickness of each eye, to be written once beside the pressures (R21).
pub fn thickness(items: &[Item]) -> Vec<String> {
    let last = |(eye, abbreviation, _)| {
        let mut of_eye = items.iter().rev().filter(|item| item.sample.eye == eye);
        of_eye.find_map(|item| {
            let Value::Micrometres(um) = item.sample.value else { return None };
            let (standing, date) = (item.sample.standing.label(), &item.date);
            let instrument = &item.instrument;
            let state = if item.is_pending { ", not accepted" } else { "" };
            Some(format!("{abbreviation} {um} \u{b5}m ({standing}, {instrument}, {date}{state})"))
        })
    };
    EYES.into_iter().filter_map(last).collect()
}

fn refraction_kind(kind: Kind) -> Option<(&'static str, usize)> {
    match kind {
        Kind::Autorefraction => Some(("Autorefraction", 0)),
        Kind::Subjective => Some(("Subjective", 1)),
        Kind::Final => Some(("Final", 2)),
        _ => None,
    }
}

/// Spherical equivalent, J0 and J45 over visits: what was measured, found and decided stay apart.
pub fn refraction(items: &[Item], zone: &TimeZone) -> Vec<Plot> {
    type Part = fn(PowerVector) -> f64;
    let plots: [(&str, &str, Part, f64); 3] = [
        ("se", "Spherical equivalent (sphere and half the cylinder)", |it| it.m, 2.0),
        ("j0", "J0: cylinder at 90 and 180 degrees", |it| it.j0, 1.0),
        ("j45", "J45: cylinder at 45 and 135 degrees", |it| it.j45, 1.0),
    ];
    let plot = |(id, title, part, span): (&str, &str, Part, f64)| {
        let pick = |item: &Item| {
            let (Some((series, style)), Value::Lens(lens)) =
                (refraction_kind(item.sample.kind), &item.sample.value)
            else {
                return vec![];
            };
            let Some(vector) = PowerVector::of(lens.power) else { return vec![] };
            let (y, sent) = (part(vector), show::power(lens.power));
            let by = &item.instrument;
            let text = format!("{} D, {series} {sent} ({by})", signed(y));
            vec![Drawn { series: series.into(), style, y, text }]
        };
        let panels = panels(items, true, |item| item.at_us as f64, pick);
        Plot {
            id: format!("plot-{id}"),
            title: title.into(),
            x: dates(items, |kind| refraction_kind(*kind).is_some(), zone),
            y: axis_over(&panels, "D", span, signed),
            panels,
            is_small: id != "se",
        }
    };
    plots.map(plot).into()
}

/// Flat and steep meridian in dioptres, each instrument by itself (R28).
pub fn keratometry(items: &[Item], zone: &TimeZone) -> Plot {
    let device = |item: &Item, cornea: &Cornea| {
        let ring = cornea.mire.as_ref().map_or_else(String::new, |mire| format!(", ring {mire}"));
        format!("{}{ring}", item.instrument)
    };
    let mut devices: Vec<String> = Vec::new();
    for item in items {
        if let Value::Cornea(cornea) = &item.sample.value {
            let name = device(item, cornea);
            if !devices.contains(&name) {
                devices.push(name);
            }
        }
    }
    let pick = |item: &Item| {
        let Value::Cornea(cornea) = &item.sample.value else { return vec![] };
        let name = device(item, cornea);
        let index = devices.iter().position(|it| *it == name).unwrap_or(0);
        let converted = cornea.converted_with;
        let converted = converted.map_or_else(String::new, |n| format!(", converted, {n}"));
        let meridians = [("flat", cornea.flat), ("steep", cornea.steep)].into_iter().enumerate();
        let value = |(offset, (meridian, power)): (usize, (&str, chiasm_proto::Hundredths))| {
            let series = format!("{meridian}, {name}");
            let text = format!("{power} D {series}{converted}");
            Drawn { series, style: index * 2 + offset, y: power.to_f64(), text }
        };
        meridians.map(value).collect()
    };
    let panels = panels(items, true, |item| item.at_us as f64, pick);
    Plot {
        id: "plot-keratometry".into(),
        title: "Keratometry over visits".into(),
        x: dates(items, |kind| *kind == Kind::Keratometry, zone),
        y: axis_over(&panels, "D", 4.0, |tick| format!("{tick}")),
        panels,
        is_small: false,
    }
}
