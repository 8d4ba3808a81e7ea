//! Drawing. Colours and fonts are in `history.css`; places and shapes are here.

use super::{Panel, Plot, Point, STYLES, Scale, Series};
use std::fmt::Write;

/// Width of a drawing in its own units.
pub const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 250.0;
const HEIGHT_SMALL: f64 = 180.0;
/// Room around the field: for numbers on the left, for dates below.
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 30.0;
/// A label's letters are about this wide, for keeping it inside.
const LETTER: f64 = 6.4;

/// The field of a drawing, in its own units.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub x: Scale,
    pub y: Scale,
    height: f64,
}

pub fn field(plot: &Plot) -> Field {
    let height = if plot.is_small { HEIGHT_SMALL } else { HEIGHT };
    let x = Scale::new((plot.x.min, plot.x.max), (LEFT, WIDTH - RIGHT));
    let y = Scale::new((plot.y.min, plot.y.max), (height - BOTTOM, TOP));
    Field { x, y, height }
}

pub fn panel(plot: &Plot, panel: &Panel) -> String {
    let field = field(plot);
    let id = format!("{}-{}", plot.id, panel.eye.to_lowercase());
    let (title, eye) = (escape(&plot.title), panel.eye);
    let mut out = format!(
        r#"<svg class="plot" id="{id}" viewBox="0 0 {WIDTH} {}" role="group""#,
        field.height
    );
    let _ = write!(
        out,
        r#" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{title}, {eye} ({})</title>"#,
        panel.eye_name
    );
    let _ = write!(out, r#"<desc id="{id}-d">{}</desc>"#, escape(&description(plot, panel)));
    let _ =
        write!(out, r#"<text class="plot-eye" x="{LEFT}" y="20" aria-hidden="true">{eye}</text>"#);
    axes(&mut out, plot, &field);
    for series in &panel.series {
        draw(&mut out, series, &field);
    }
    if panel.series.iter().all(|series| series.points.is_empty()) {
        let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, field.height / 2.0);
        let _ = write!(out, r#"<text class="plot-none" x="{x}" y="{y}">not measured</text>"#);
    }
    out.push_str("</svg>");
    out
}

/// What somebody hears who does not see it; each value stands in the table.
fn description(plot: &Plot, panel: &Panel) -> String {
    let mut parts = vec![format!("{} by {}.", plot.y.label, plot.x.label)];
    for series in panel.series.iter().filter(|series| !series.points.is_empty()) {
        let ys = series.points.iter().map(|point| point.y);
        let low = ys.clone().fold(f64::INFINITY, f64::min);
        let high = ys.fold(f64::NEG_INFINITY, f64::max);
        let (name, count) = (&series.name, series.points.len());
        parts.push(format!("{name}: {count} values from {} to {}.", number(low), number(high)));
    }
    if parts.len() == 1 {
        parts.push("Not measured.".into());
    }
    parts.join(" ")
}

fn axes(out: &mut String, plot: &Plot, field: &Field) {
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, field.height - BOTTOM);
    out.push_str(r#"<g class="plot-axes" aria-hidden="true">"#);
    for (value, text) in &plot.y.ticks {
        let (y, zero) = (field.y.place(*value), if *value == 0.0 { " zero" } else { "" });
        let (y, text_y) = (place(y), place(y + 4.0));
        let _ = write!(
            out,
            "<line class=\"grid-line{zero}\" x1=\"{left}\" x2=\"{right}\" y1=\"{y}\" \
             y2=\"{y}\"/><text class=\"tick tick-y\" x=\"{}\" y=\"{text_y}\">{}</text>",
            left - 7.0,
            escape(text),
        );
    }
    for (value, text) in &plot.x.ticks {
        let x = place(field.x.place(*value));
        let _ = write!(
            out,
            "<line class=\"tick-mark\" x1=\"{x}\" x2=\"{x}\" y1=\"{bottom}\" y2=\"{}\"/><text \
             class=\"tick tick-x\" x=\"{x}\" y=\"{}\">{}</text>",
            bottom + 5.0,
            bottom + 20.0,
            escape(text),
        );
    }
    let _ = write!(
        out,
        "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <text class=\"unit-y\" x=\"{right}\" y=\"20\">{}</text></g>",
        escape(&plot.y.label),
    );
}

fn draw(out: &mut String, series: &Series, field: &Field) {
    let style = series.style % STYLES;
    let _ = write!(out, r#"<g class="series s{style}" data-series="{}">"#, escape(&series.name));
    if series.is_line && series.points.len() > 1 {
        let places = series.points.iter().map(|point| {
            format!("{},{}", place(field.x.place(point.x)), place(field.y.place(point.y)))
        });
        let places: Vec<String> = places.collect();
        let _ = write!(out, r#"<polyline class="line" points="{}"/>"#, places.join(" "));
    }
    for it in &series.points {
        point(out, it, style, field);
    }
    out.push_str("</g>");
}

fn point(out: &mut String, it: &Point, style: usize, field: &Field) {
    let (x, y) = (field.x.place(it.x), field.y.place(it.y));
    let label = escape(&it.label);
    // The label stands above its point, inside the drawing.
    let half = (it.label.chars().count() as f64 * LETTER / 2.0 + 8.0).min(WIDTH / 2.0 - 2.0);
    let middle = x.clamp(half + 2.0, WIDTH - half - 2.0);
    let (top, pending) = ((y - 36.0).max(1.0), if it.is_pending { " pending" } else { "" });
    let _ = write!(
        out,
        "<g class=\"point{pending}\" tabindex=\"0\" role=\"img\" aria-label=\"{label}\" \
         data-x=\"{}\" data-y=\"{}\"><circle class=\"target\" cx=\"{}\" cy=\"{}\" r=\"12\"/>{}\
         <g class=\"tip\" aria-hidden=\"true\"><rect x=\"{}\" y=\"{}\" width=\"{}\" \
         height=\"24\" rx=\"5\"/><text x=\"{}\" y=\"{}\">{label}</text></g></g>",
        it.x,
        it.y,
        place(x),
        place(y),
        mark(style, x, y),
        place(middle - half),
        place(top),
        place(half * 2.0),
        place(middle),
        place(top + 16.0),
    );
}

/// Circle, square, triangle, diamond, and the last two turned: told apart without colour.
fn mark(style: usize, x: f64, y: f64) -> String {
    let polygon = |corners: &[(f64, f64)]| {
        let places: Vec<String> =
            corners.iter().map(|(dx, dy)| format!("{},{}", place(x + dx), place(y + dy))).collect();
        format!(r#"<polygon class="mark" points="{}"/>"#, places.join(" "))
    };
    match style {
        0 => format!(r#"<circle class="mark" cx="{}" cy="{}" r="5"/>"#, place(x), place(y)),
        1 => polygon(&[(-4.6, -4.6), (4.6, -4.6), (4.6, 4.6), (-4.6, 4.6)]),
        2 => polygon(&[(0.0, -6.0), (5.6, 4.4), (-5.6, 4.4)]),
        3 => polygon(&[(0.0, -6.4), (6.4, 0.0), (0.0, 6.4), (-6.4, 0.0)]),
        4 => polygon(&[(0.0, 6.0), (5.6, -4.4), (-5.6, -4.4)]),
        _ => polygon(&[(-6.0, -2.6), (0.0, -6.2), (6.0, -2.6), (4.0, 5.0), (-4.0, 5.0)]),
    }
}

pub fn legend(style: usize) -> String {
    let style = style % STYLES;
    format!(
        "<svg class=\"plot-key\" viewBox=\"0 0 44 16\" width=\"44\" height=\"16\" \
         aria-hidden=\"true\"><g class=\"series s{style}\"><line class=\"line\" x1=\"2\" \
         x2=\"42\" y1=\"8\" y2=\"8\"/>{}</g></svg>",
        mark(style, 22.0, 8.0),
    )
}

/// A place with one decimal.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            char if char.is_control() => out.push(' '),
            char => out.push(char),
        }
    }
    out
}
