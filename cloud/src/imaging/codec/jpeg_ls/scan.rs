//! One scan of JPEG-LS. Names of variables are those of T.87, annex A.

use super::bits::Bits;

/// Table A.1 of run lengths.
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];
const CONTEXTS: usize = 365;

/// Parameters of a scan (T.87, A.2.1 and C.2.4.1.1).
#[derive(Debug, Clone, Copy)]
pub struct Coding {
    maxval: i32,
    near: i32,
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
}

impl Coding {
    /// None where the presets contradict each other.
    pub fn new(precision: u32, near: i32, preset: Option<[i32; 5]>) -> Option<Self> {
        let given = preset.unwrap_or_default();
        let or = |value: i32, otherwise: i32| if value == 0 { otherwise } else { value };
        let maxval = or(given[0], (1 << precision) - 1);
        if maxval < 1 || maxval >= 1 << precision || near > 255.min(maxval / 2) {
            return None;
        }
        let clamp = |value: i32, low: i32| if value > maxval || value < low { low } else { value };
        let basic = [3, 7, 21];
        let mut thresholds = [0; 3];
        let mut low = near + 1;
        for place in 0..3 {
            let (nears, least) = ([3, 5, 7][place] * near, place as i32 + 2);
            let value = if maxval >= 128 {
                let factor = (maxval.min(4095) + 128) / 256;
                factor * (basic[place] - least) + least + nears
            } else {
                let factor = 256 / (maxval + 1);
                least.max(basic[place] / factor + nears)
            };
            thresholds[place] = or(given[1 + place], clamp(value, low));
            low = thresholds[place];
        }
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bits_of = |count: i32| 32 - (count - 1).leading_zeros();
        let bpp = bits_of(maxval + 1).max(2);
        let reset = or(given[4], 64);
        (reset >= 3 && thresholds.is_sorted()).then_some(Coding {
            maxval,
            near,
            thresholds,
            reset,
            range,
            qbpp: bits_of(range),
            limit: 2 * (bpp + bpp.max(8)),
        })
    }

    fn quantized(&self, difference: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = match difference.abs() {
            size if size <= self.near => 0,
            size if size < t1 => 1,
            size if size < t2 => 2,
            size if size < t3 => 3,
            _ => 4,
        };
        size * difference.signum()
    }

    fn reconstructed(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maxval + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maxval)
    }
}

/// What was learnt of samples whose surroundings look alike.
#[derive(Debug, Clone, Copy)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
    /// Negative errors, where runs end.
    nn: i32,
}

impl Context {
    fn k(&self, a: i32) -> u32 {
        (0..24).find(|k| i64::from(self.n) << k >= i64::from(a)).unwrap_or(24)
    }
}

/// A component's line and the one above, with a place more on both sides.
struct Lines {
    above: Vec<i32>,
    line: Vec<i32>,
    run_index: usize,
}

pub struct Scan<'a> {
    coding: Coding,
    bits: Bits<'a>,
    contexts: Vec<Context>,
}

impl<'a> Scan<'a> {
    pub fn new(coding: Coding, bytes: &'a [u8]) -> Self {
        let a = ((coding.range + 32) / 64).max(2);
        let context = Context { a, b: 0, c: 0, n: 1, nn: 0 };
        Scan { coding, bits: Bits::new(bytes), contexts: vec![context; CONTEXTS + 2] }
    }

    pub fn used_bytes(&self) -> usize {
        self.bits.used_bytes()
    }

    /// The samples of each component. None: the data ends too early or cannot be.
    pub fn decode(
        &mut self,
        (columns, rows): (usize, usize),
        components: usize,
    ) -> Option<Vec<Vec<u16>>> {
        let lines =
            || Lines { above: vec![0; columns + 2], line: vec![0; columns + 2], run_index: 0 };
        let mut lines: Vec<Lines> = (0..components).map(|_| lines()).collect();
        let mut planes = vec![Vec::with_capacity(columns * rows); components];
        for _ in 0..rows {
            for (lines, plane) in lines.iter_mut().zip(&mut planes) {
                lines.line[0] = lines.above[1];
                lines.above[columns + 1] = lines.above[columns];
                self.line(lines, columns)?;
                plane.extend(lines.line[1..=columns].iter().map(|value| *value as u16));
                std::mem::swap(&mut lines.above, &mut lines.line);
            }
        }
        Some(planes)
    }

    fn line(&mut self, lines: &mut Lines, columns: usize) -> Option<()> {
        let mut at = 1;
        while at <= columns {
            let (ra, rb) = (lines.line[at - 1], lines.above[at]);
            let (rc, rd) = (lines.above[at - 1], lines.above[at + 1]);
            let q = [rd - rb, rb - rc, rc - ra].map(|it| self.coding.quantized(it));
            if q == [0; 3] {
                at = self.run(lines, at, columns)?;
            } else {
                lines.line[at] = self.regular(q, (ra, rb, rc))?;
                at += 1;
            }
        }
        Some(())
    }

    /// A sample with something going on around it (A.4 to A.6).
    fn regular(&mut self, q: [i32; 3], (ra, rb, rc): (i32, i32, i32)) -> Option<i32> {
        let coding = self.coding;
        let context = 81 * q[0] + 9 * q[1] + q[2];
        let sign = context.signum();
        let found = &mut self.contexts[context.unsigned_abs() as usize];
        let edge = match rc {
            rc if rc >= ra.max(rb) => ra.min(rb),
            rc if rc <= ra.min(rb) => ra.max(rb),
            rc => ra + rb - rc,
        };
        let predicted = (edge + sign * found.c).clamp(0, coding.maxval);
        let k = found.k(found.a);
        let mapped = golomb(&mut self.bits, k, coding.limit, coding.qbpp)?;
        let is_odd = mapped & 1 == 1;
        let error = if coding.near == 0 && k == 0 && 2 * found.b <= -found.n {
            if is_odd { (mapped - 1) / 2 } else { -(mapped / 2) - 1 }
        } else if is_odd {
            -((mapped + 1) / 2)
        } else {
            mapped / 2
        };
        found.b += error * (2 * coding.near + 1);
        found.a += error.abs();
        if found.n == coding.reset {
            (found.a, found.b, found.n) = (found.a >> 1, found.b >> 1, found.n >> 1);
        }
        found.n += 1;
        if found.b <= -found.n {
            found.b = (found.b + found.n).max(1 - found.n);
            found.c = (found.c - 1).max(-128);
        } else if found.b > 0 {
            found.b = (found.b - found.n).min(0);
            found.c = (found.c + 1).min(127);
        }
        Some(coding.reconstructed(predicted, sign * error))
    }

    /// Equal samples, and the one that ends them (A.7). Gives the next place.
    fn run(&mut self, lines: &mut Lines, mut at: usize, columns: usize) -> Option<usize> {
        let value = lines.line[at - 1];
        let left = |at: usize| columns + 1 - at;
        while self.bits.take(1)? == 1 {
            let whole = 1usize << J[lines.run_index];
            let len = whole.min(left(at));
            lines.line[at..at + len].fill(value);
            at += len;
            if len == whole && lines.run_index < 31 {
                lines.run_index += 1;
            }
            if left(at) == 0 {
                return Some(at);
            }
        }
        let len = self.bits.take(J[lines.run_index])? as usize;
        if len >= left(at) {
            return None;
        }
        lines.line[at..at + len].fill(value);
        at += len;
        lines.line[at] = self.run_end(value, lines.above[at], J[lines.run_index])?;
        lines.run_index = lines.run_index.saturating_sub(1);
        Some(at + 1)
    }

    fn run_end(&mut self, ra: i32, rb: i32, j: u32) -> Option<i32> {
        let coding = self.coding;
        let is_flat = i32::from((ra - rb).abs() <= coding.near);
        let found = &mut self.contexts[CONTEXTS + is_flat as usize];
        let k = found.k(found.a + if is_flat == 1 { found.n >> 1 } else { 0 });
        let mapped = golomb(&mut self.bits, k, coding.limit - j - 1, coding.qbpp)?;
        let size = mapped + is_flat;
        let map = size & 1;
        let size = (size + map) / 2;
        let is_negative = (k != 0 || 2 * found.nn >= found.n) == (map == 1);
        let error = if is_negative { -size } else { size };
        found.nn += i32::from(error < 0);
        found.a += (mapped + 1 - is_flat) >> 1;
        if found.n == coding.reset {
            (found.a, found.n, found.nn) = (found.a >> 1, found.n >> 1, found.nn >> 1);
        }
        found.n += 1;
        if is_flat == 1 {
            return Some(coding.reconstructed(ra, error));
        }
        let sign = if ra > rb { -1 } else { 1 };
        Some(coding.reconstructed(rb, sign * error))
    }
}

/// A number in the code of A.5.3: long ones are written as they are.
fn golomb(bits: &mut Bits<'_>, k: u32, limit: u32, qbpp: u32) -> Option<i32> {
    let escape = limit.checked_sub(qbpp + 1)?;
    let high = bits.zeros(escape)?;
    let number = if high < escape { (high << k) | bits.take(k)? } else { bits.take(qbpp)? + 1 };
    // More than two samples differ is no error of a sample.
    (number < 1 << 18).then_some(number as i32)
}
