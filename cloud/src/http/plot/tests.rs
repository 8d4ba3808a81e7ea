//! The drawings are read back: every point stands where the scale says, in its series.

use super::*;
use jiff::tz::TimeZone;
use proptest::prelude::*;

/// Attribute of the first element that has it, from a place in the text on.
fn attribute<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!(" {name}=\"")).expect("the attribute") + name.len() + 3;
    text[start..].split('"').next().unwrap()
}

/// A series' name with the places of its points and their values.
type Drawn = (String, Vec<(f64, f64, f64)>);

fn read(svg: &str) -> Vec<Drawn> {
    let series = svg.split("<g class=\"series").skip(1);
    let series = series.map(|text| {
        let points = text.split("<g class=\"point").skip(1).map(|point| {
            let circle = &point[point.find("<circle").unwrap()..];
            let place = |name| attribute(circle, name).parse::<f64>().unwrap();
            (place("cx"), place("cy"), attribute(point, "data-y").parse::<f64>().unwrap())
        });
        (attribute(text, "data-series").to_owned(), points.collect())
    });
    series.collect()
}

fn plot(series: Vec<(&str, Vec<(f64, f64)>)>, (min, max): (f64, f64)) -> Plot {
    let series = series.into_iter().enumerate().map(|(style, (name, points))| Series {
        name: name.into(),
        style,
        is_line: true,
        points: points
            .into_iter()
            .map(|(x, y)| Point { x, y, label: format!("{y} mmHg"), is_pending: false })
            .collect(),
    });
    let axis = |label: &str, min, max| {
        let ticks = nice_ticks(min, max, 5).into_iter().map(|tick| (tick, tick.to_string()));
        Axis { label: label.into(), min, max, ticks: ticks.collect() }
    };
    Plot {
        id: "p".into(),
        title: "Pressure".into(),
        x: axis("date", 0.0, 100.0),
        y: axis("mmHg", min, max),
        panels: vec![Panel { eye: "OD", eye_name: "right eye", series: series.collect() }],
        is_small: false,
    }
}

#[test]
fn d4_points_stand_where_the_scale_says_each_method_in_its_own_series() {
    let points = vec![(0.0, 0.0), (50.0, 20.0), (100.0, 80.0)];
    let plot = plot(vec![("Goldmann", points), ("Rebound", vec![(50.0, 40.0)])], (0.0, 80.0));
    let svg = &plot.svgs()[0];
    let found = read(svg);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Goldmann", "Rebound"]);
    let field = svg::field(&plot);
    let left = field.x.place(0.0);
    let (bottom, top) = (field.y.place(0.0), field.y.place(80.0));
    assert!(top < bottom, "more stands higher");
    assert_eq!(found[0].1[0], (left, bottom, 0.0));
    assert_eq!(found[0].1[2], (field.x.place(100.0), top, 80.0));
    let middle = (bottom + top) / 2.0;
    assert!((found[1].1[0].1 - middle).abs() < 0.06, "40 is half way to 80");
    assert_eq!(svg.matches("<polyline").count(), 1, "one point is connected with nothing");
}

#[test]
fn what_is_said_of_a_point_is_said_to_everybody() {
    let plot = plot(vec![("A & B <method>", vec![(1.0, 17.0)])], (0.0, 30.0));
    let svg = &plot.svgs()[0];
    for part in [
        "<title id=\"p-od-t\">Pressure, OD (right eye)</title>",
        "A &amp; B &lt;method&gt;: 1 values from 17 to 17.",
        "tabindex=\"0\" role=\"img\" aria-label=\"17 mmHg\"",
    ] {
        assert!(svg.contains(part), "{part} is not in {svg}");
    }
    assert!(!svg.contains("style="), "the content security policy forbids it");
    let empty = Plot { panels: vec![Panel { series: vec![], ..plot.panels[0].clone() }], ..plot };
    assert!(!empty.has_points());
    assert!(empty.svgs()[0].contains(">not measured</text>"));
}

#[test]
fn series_differ_in_shape() {
    let shapes: std::collections::BTreeSet<String> =
        (0..STYLES).map(|style| svg::legend(style).replace(&format!("s{style}"), "s")).collect();
    assert_eq!(shapes.len(), STYLES, "marks are told apart without colour");
}

#[test]
fn ticks_are_round_and_cover_the_range() {
    for (min, max, count, ticks) in [
        (0.0, 30.0, 6, vec![0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]),
        (0.0, 68.0, 4, vec![0.0, 20.0, 40.0, 60.0, 80.0]),
        (-4.62, -3.1, 4, vec![-5.0, -4.5, -4.0, -3.5, -3.0]),
        (5.0, 5.0, 4, vec![5.0, 5.0 + 2.5e-7]),
    ] {
        let found = nice_ticks(min, max, count);
        assert_eq!(found.len(), ticks.len(), "{min} to {max}: {found:?}");
        for (found, tick) in found.iter().zip(&ticks) {
            assert!((found - tick).abs() < 1e-6, "{min} to {max}: {found}");
        }
    }
}

#[test]
fn dates_are_ticked_by_day_month_or_year() {
    let day = 86_400_000_000_i64;
    let start = 1_700_000_000_000_000_i64; // 14 Nov 2023
    let utc = TimeZone::UTC;
    for (days, text) in [(0, "13 Nov"), (20, "17 Nov"), (400, "Jan 2024"), (4_000, "2030")] {
        let (min, max, ticks) = day_ticks(start, start + days * day, &utc);
        let texts: Vec<_> = ticks.iter().map(|(_, text)| text.as_str()).collect();
        assert!(texts.contains(&text), "{days} days: {texts:?}");
        assert!((2..=8).contains(&ticks.len()), "{days} days: {texts:?}");
        assert!(ticks.iter().all(|(at, _)| (min..=max).contains(at)));
        assert!(min < start as f64 && max > (start + days * day) as f64);
    }
    let (min, max, ticks) = hour_ticks([7.5, 19.1].into_iter());
    assert_eq!((min, max), (7.0, 20.0));
    assert_eq!(ticks[0], (8.0, "8:00".into()));
}

proptest! {
    #[test]
    fn nothing_leaves_the_field(
        values in prop::collection::vec((0.0_f64..100.0, -99.0_f64..99.0), 1..30),
    ) {
        let ys = values.iter().map(|(_, y)| *y);
        let (low, high) =
            (ys.clone().fold(f64::INFINITY, f64::min), ys.fold(f64::NEG_INFINITY, f64::max));
        let ticks = nice_ticks(low, high, 5);
        let plot = plot(vec![("a", values)], (ticks[0], *ticks.last().unwrap()));
        let field = svg::field(&plot);
        prop_assert!(plot.y.min <= low + 1e-6 && plot.y.max >= high - 1e-6);
        for (_, points) in read(&plot.svgs()[0]) {
            for (x, y, value) in points {
                prop_assert!((0.0..=svg::WIDTH).contains(&x));
                prop_assert!((y - field.y.place(value)).abs() < 0.06);
            }
        }
    }
    #[test]
    fn days_never_panic(
        first in -1_000_000_000_000_000_i64..4_000_000_000_000_000,
        days in 0_i64..40_000,
    ) {
        let (min, max, ticks) = day_ticks(first, first + days * 86_400_000_000, &TimeZone::UTC);
        prop_assert!(min < max && ticks.len() <= 13);
    }
}
