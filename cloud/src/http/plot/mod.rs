//! Plots as SVG, made here and readable without script: scales, axes and series. Series differ by
//! the shape of their marks and by their line, not only by colour, so that a black and white print
//! says the same. A point tells its label when it is pointed at or focused; the same labels stand
//! in the table that every page puts below its plot.

mod bars;
mod scale;
mod svg;
mod time;

pub use bars::{Bar, Bars};
pub use scale::{Scale, nice_ticks};
pub use time::{day_ticks, hour_ticks};

/// Series that can be told apart; more share their marks again.
pub const STYLES: usize = 6;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// Everything about it in one line, for people.
    pub label: String,
    /// Nobody has accepted it: drawn hollow.
    pub is_pending: bool,
}

/// Values that may be connected, in the order of x.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    /// Which mark and line, from 0; the same series has the same style in every panel.
    pub style: usize,
    pub points: Vec<Point>,
    /// Whether a line connects them.
    pub is_line: bool,
}

/// A direction with its range, ticks and unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub label: String,
    pub min: f64,
    pub max: f64,
    pub ticks: Vec<(f64, String)>,
}

/// The plots of both eyes, on the same scales.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// For `id` attributes; unique on the page.
    pub id: String,
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub panels: Vec<Panel>,
    pub is_small: bool,
}

/// One eye.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// `OD`.
    pub eye: &'static str,
    /// `right eye`.
    pub eye_name: &'static str,
    pub series: Vec<Series>,
}

/// A line of the legend with its mark drawn as in the plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Legend {
    pub svg: String,
    pub name: String,
}

impl Plot {
    pub fn has_points(&self) -> bool {
        self.panels.iter().flat_map(|panel| &panel.series).any(|it| !it.points.is_empty())
    }
    /// The drawing of each eye.
    pub fn svgs(&self) -> Vec<String> {
        self.panels.iter().map(|panel| svg::panel(self, panel)).collect()
    }
    /// Each series once, in the order of styles.
    pub fn legend(&self) -> Vec<Legend> {
        let mut known: Vec<(usize, &str)> = self
            .panels
            .iter()
            .flat_map(|panel| panel.series.iter().map(|it| (it.style, it.name.as_str())))
            .collect();
        known.sort_unstable();
        known.dedup();
        let line = |(style, name): (usize, &str)| Legend {
            svg: svg::legend(style),
            name: name.to_owned(),
        };
        known.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests;
