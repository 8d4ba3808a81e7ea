//! Numbers for monitoring in Prometheus' text format, version 0.0.4. Both programs write them, and
//! docs/metrics.md lists them.

use std::fmt::Write;

/// What the answer calls itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric as it is declared: name, kind, and what it means. Names and labels never hold anything
/// of a patient, and a label has few values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Family {
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, help }
    }
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, help }
    }
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, help }
    }
}

/// The text, family by family.
#[derive(Debug, Default)]
pub struct Exposition(String);

type Label<'a> = (&'a str, &'a str);

impl Exposition {
    /// A metric with one value.
    pub fn one(&mut self, family: &Family, value: f64) {
        self.all(family, [([], value)]);
    }

    /// A metric with its values by label.
    pub fn all<'a, const N: usize>(
        &mut self,
        family: &Family,
        samples: impl IntoIterator<Item = ([Label<'a>; N], f64)>,
    ) {
        self.head(family);
        for (labels, value) in samples {
            self.sample(family.name, &labels, value);
        }
    }

    /// A histogram: how many were at most each bound, how many there were, and their sum.
    pub fn histogram(&mut self, family: &Family, at_most: &[(f64, u64)], count: u64, sum: f64) {
        self.head(family);
        let bucket = format!("{}_bucket", family.name);
        for (bound, count) in at_most {
            self.sample(&bucket, &[("le", &bound.to_string())], *count as f64);
        }
        self.sample(&bucket, &[("le", "+Inf")], count as f64);
        self.sample(&format!("{}_sum", family.name), &[], sum);
        self.sample(&format!("{}_count", family.name), &[], count as f64);
    }

    pub fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, family: &Family) {
        let Family { name, kind, help } = family;
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
    }

    fn sample(&mut self, name: &str, labels: &[Label<'_>], value: f64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{text}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }
}

/// The families that a text names, in order.
pub fn names(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_prometheus() {
        let mut text = Exposition::default();
        text.one(&Family::gauge("a_bytes", "Bytes of a."), 1.5);
        let links = [([("link", "ark"), ("detail", "a \"b\"\\\n")], 3.0)];
        text.all(&Family::counter("b_total", "How many b."), links);
        let seconds = Family::histogram("c_seconds", "How long c took.");
        text.histogram(&seconds, &[(0.1, 2), (1.0, 3)], 4, 7.25);
        let text = text.into_text();
        let expected = "# HELP a_bytes Bytes of a.\n# TYPE a_bytes gauge\na_bytes 1.5\n\
            # HELP b_total How many b.\n# TYPE b_total counter\n\
            b_total{link=\"ark\",detail=\"a \\\"b\\\"\\\\\\n\"} 3\n\
            # HELP c_seconds How long c took.\n# TYPE c_seconds histogram\n\
            c_seconds_bucket{le=\"0.1\"} 2\nc_seconds_bucket{le=\"1\"} 3\n\
            c_seconds_bucket{le=\"+Inf\"} 4\nc_seconds_sum 7.25\nc_seconds_count 4\n";
        assert_eq!(text, expected);
        assert_eq!(names(&text), ["a_bytes", "b_total", "c_seconds"]);
    }
}
