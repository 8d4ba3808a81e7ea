//! From values to places on paper.

/// Maps a range of values onto a range of places. Values beyond the range keep their true direction
/// but stay at the rim.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    min: f64,
    max: f64,
    from: f64,
    to: f64,
}

impl Scale {
    pub fn new((min, max): (f64, f64), (from, to): (f64, f64)) -> Self {
        let max = if max > min { max } else { min + 1.0 };
        Self { min, max, from, to }
    }
    pub fn place(&self, value: f64) -> f64 {
        let part = ((value - self.min) / (self.max - self.min)).clamp(0.0, 1.0);
        self.from + part * (self.to - self.from)
    }
}

/// Most ticks of an axis.
const TICKS_MAX: f64 = 12.0;

/// Round ticks (1, 2, 2.5 or 5 times a power of ten) that cover a range with about `count` steps.
/// The first and last of them are the range to draw.
pub fn nice_ticks(min: f64, max: f64, count: usize) -> Vec<f64> {
    let span = (max - min).max(1e-6);
    let rough = span / count.max(1) as f64;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude);
    let step = steps.into_iter().find(|step| *step + 1e-9 >= rough).unwrap_or(rough);
    let (first, last) = ((min / step + 1e-9).floor(), (max / step - 1e-9).ceil());
    let number = (last - first).clamp(1.0, TICKS_MAX) as usize;
    (0..=number).map(|index| (first + index as f64) * step).collect()
}
