//! Bars over periods, in two parts that add up. The parts differ by a hatch, not only by colour; the
//! same numbers stand in the table beside.

use super::{Scale, nice_ticks, svg::escape};
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 28.0;
/// Part of its place that a bar takes.
const BAR_PART: f64 = 0.78;
/// Names of periods that stand below the axis, at most.
const NAMES_MAX: usize = 12;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Below the axis: `30 Nov`.
    pub name: String,
    pub lower: i64,
    pub upper: i64,
    /// Everything about it in one line, for people.
    pub label: String,
}

/// A drawing of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// For `id` attributes; unique on the page.
    pub id: String,
    pub title: String,
    pub lower_name: String,
    pub upper_name: String,
    pub bars: Vec<Bar>,
}

impl Bars {
    pub fn svg(&self) -> String {
        let most = self.bars.iter().map(|bar| bar.lower + bar.upper).max().unwrap_or(0);
        let ticks = whole_ticks(most);
        let top = ticks.last().copied().unwrap_or(1.0);
        let y = Scale::new((0.0, top), (HEIGHT - BOTTOM, TOP));
        let (id, title) = (&self.id, escape(&self.title));
        let mut out = format!(
            "<svg class=\"plot plot-bars\" id=\"{id}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"group\" aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{title}\
             </title><desc id=\"{id}-d\">{} bars, the highest is {most}. The same numbers \
             stand in the table below.</desc><defs><pattern id=\"{id}-h\" width=\"6\" \
             height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
             <rect class=\"hatch-ground\" width=\"6\" height=\"6\"/><line class=\"hatch\" \
             x1=\"0\" x2=\"0\" y1=\"0\" y2=\"6\"/></pattern></defs>",
            self.bars.len(),
        );
        axes(&mut out, &ticks, y);
        let place = (WIDTH - LEFT - RIGHT) / self.bars.len().max(1) as f64;
        let every = self.bars.len().div_ceil(NAMES_MAX).max(1);
        for (index, bar) in self.bars.iter().enumerate() {
            let middle = LEFT + place * (index as f64 + 0.5);
            draw(&mut out, (id, bar), (middle, place * BAR_PART), y);
            if index % every == 0 {
                let _ = write!(
                    out,
                    "<text class=\"tick tick-x\" x=\"{middle:.1}\" y=\"{}\" \
                     aria-hidden=\"true\">{}</text>",
                    HEIGHT - BOTTOM + 18.0,
                    escape(&bar.name),
                );
            }
        }
        out.push_str("</svg>");
        out
    }
}

/// Ticks of things that are counted.
fn whole_ticks(most: i64) -> Vec<f64> {
    let mut ticks = nice_ticks(0.0, (most as f64).max(4.0), 4);
    ticks.retain(|tick| tick.fract() == 0.0);
    ticks
}

fn axes(out: &mut String, ticks: &[f64], y: Scale) {
    out.push_str(r#"<g class="plot-axes" aria-hidden="true">"#);
    for tick in ticks {
        let at = y.place(*tick);
        let _ = write!(
            out,
            "<line class=\"grid-line{}\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" \
             y2=\"{at:.1}\"/><text class=\"tick tick-y\" x=\"{}\" y=\"{:.1}\">{tick}</text>",
            if *tick == 0.0 { " zero" } else { "" },
            WIDTH - RIGHT,
            LEFT - 7.0,
            at + 4.0,
        );
    }
    out.push_str("</g>");
}

fn draw(out: &mut String, (id, bar): (&str, &Bar), (middle, width): (f64, f64), y: Scale) {
    let label = escape(&bar.label);
    let all = bar.lower + bar.upper;
    let (left, bottom) = (middle - width / 2.0, y.place(0.0));
    let (split, top) = (y.place(bar.lower as f64), y.place(all as f64));
    let half = (bar.label.chars().count() as f64 * 3.3 + 8.0).min(WIDTH / 2.0 - 2.0);
    let tip = middle.clamp(half + 2.0, WIDTH - half - 2.0);
    let _ = write!(
        out,
        "<g class=\"point plot-bar\" tabindex=\"0\" role=\"img\" aria-label=\"{label}\" \
         data-value=\"{all}\"><rect class=\"target\" x=\"{left:.1}\" y=\"{TOP}\" \
         width=\"{width:.1}\" height=\"{:.1}\"/><rect class=\"bar-lower\" x=\"{left:.1}\" \
         y=\"{split:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/><rect class=\"bar-upper\" \
         fill=\"url(#{id}-h)\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" \
         height=\"{:.1}\"/><g class=\"tip\" aria-hidden=\"true\"><rect x=\"{:.1}\" y=\"1\" \
         width=\"{:.1}\" height=\"24\" rx=\"5\"/><text x=\"{tip:.1}\" y=\"17\">{label}</text>\
         </g></g>",
        bottom - TOP,
        bottom - split,
        split - top,
        tip - half,
        half * 2.0,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        let bar = |lower, upper| Bar { name: "1 Nov".into(), lower, upper, label: "<x>".into() };
        let bars = Bars {
            id: "b".into(),
            title: "Readings".into(),
            lower_name: "by itself".into(),
            upper_name: "others".into(),
            bars: vec![bar(10, 10), bar(0, 0), bar(40, 0)],
        };
        let svg = bars.svg();
        let heights = |class: &str| -> Vec<f64> {
            let marker = format!("class=\"{class}\"");
            let parts = svg.split(&marker).skip(1);
            let height = |part: &str| {
                let at = part.find("height=\"").unwrap() + 8;
                part[at..].split('"').next().unwrap().parse().unwrap()
            };
            parts.map(height).collect()
        };
        let (lower, upper) = (heights("bar-lower"), heights("bar-upper"));
        assert_eq!(lower.len(), 3);
        assert!((lower[2] - 4.0 * lower[0]).abs() < 0.4, "{lower:?}");
        assert!((lower[0] - upper[0]).abs() < 0.11 && lower[1] == 0.0, "{lower:?} {upper:?}");
        assert!(svg.contains("&lt;x&gt;") && !svg.contains("style="));
    }
}
