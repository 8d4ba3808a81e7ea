//! What was measured, what it is compared with, and what it should be.

use std::fmt::Write as _;

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    pub what: String,
    pub measured: String,
    /// What the same machine does without us, measured in the same run.
    pub beside: String,
    pub judged: Option<Judged>,
}

/// A number and the limit that it should keep.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    pub value: f64,
    pub aim: Aim,
}

#[derive(Debug, Clone, Copy)]
pub enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Aim {
    fn is_met(self, value: f64) -> bool {
        match self {
            Aim::AtMost(limit) => value <= limit,
            Aim::AtLeast(limit) => value >= limit,
        }
    }
    fn text(self) -> String {
        match self {
            Aim::AtMost(limit) => format!("≤ {limit}"),
            Aim::AtLeast(limit) => format!("≥ {limit}"),
        }
    }
}

impl Figure {
    /// A number without a limit.
    pub fn plain(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), beside: String::new(), judged: None }
    }
    pub fn beside(mut self, beside: impl Into<String>) -> Self {
        self.beside = beside.into();
        self
    }
    pub fn judged(mut self, value: f64, aim: Aim) -> Self {
        self.judged = Some(Judged { value, aim });
        self
    }

    fn cells(&self) -> [String; 6] {
        let (value, aim, met) = match self.judged {
            None => (String::new(), String::new(), ""),
            Some(Judged { value, aim }) => {
                (format!("{value:.2}"), aim.text(), if aim.is_met(value) { "yes" } else { "no" })
            }
        };
        [self.what.clone(), self.measured.clone(), self.beside.clone(), value, aim, met.into()]
    }
}

const HEADER: [&str; 6] = ["what", "measured", "beside it", "judged", "aim", "met"];

/// The table as it is pasted into a document; its columns are aligned for terminals as well.
pub fn markdown(figures: &[Figure]) -> String {
    let rows: Vec<[String; 6]> = figures.iter().map(Figure::cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([HEADER[column].len()]).max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    let mut line = |cells: &[String; 6]| {
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(text, "| {cell:<width$} ");
        }
        text.push_str("|\n");
    };
    line(&HEADER.map(String::from));
    line(&widths.map(|width| "-".repeat(width)));
    rows.iter().for_each(line);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_the_aim_is_met() {
        let figures = [
            Figure::plain("fast", "1.0 ms").beside("0.5 ms").judged(2.0, Aim::AtMost(3.0)),
            Figure::plain("slow", "9 /s").judged(0.4, Aim::AtLeast(0.5)),
        ];
        assert_eq!(
            markdown(&figures),
            "| what | measured | beside it | judged | aim   | met |\n\
             | ---- | -------- | --------- | ------ | ----- | --- |\n\
             | fast | 1.0 ms   | 0.5 ms    | 2.00   | ≤ 3   | yes |\n\
             | slow | 9 /s     |           | 0.40   | ≥ 0.5 | no  |\n"
        );
    }
}
