//! Xiongbo RMK-800 in its other mode: one JSON object with the averages of both eyes.
//!
//! Source: two public readers, which show the keys; one of them only those of the refraction. The
//! other reads the same keys from Tianle's instruments. Proved against constructed objects only. In
//! its usual mode the instrument sends the `S-R-R` text.
//!
//! | key                                       | form                   | meaning                |
//! |-------------------------------------------|------------------------|------------------------|
//! | `right_s_avg` `right_c_avg` `right_a_avg` | number, bare or quoted | sphere, cylinder, axis |
//! | `left_s_avg` `left_c_avg` `left_a_avg`    |                        | the same               |
//! | `left_r1_d` `left_r1_mm` `left_r1_ax`     |                        | first meridian; `r2`   |
//! | `left_kc`                                 |                        | corneal cylinder       |
//! | `pd` `VD`, in either case                 |                        | PD, vertex distance    |
//!
//! ```json
//! {"right_s_avg": "-0.75", "right_c_avg": "-1.25", "right_a_avg": "85"}
//! ```
//!
//! Traps: an average may have more decimals than an instrument's step; such an eye is kept as text
//! and is not rounded. `null` and an empty text were not measured, and neither was a radius, a
//! power of a cornea or a distance of zero. A key that is sent twice refuses the object: a usual
//! reader would silently take the last. There is no checksum, and one flipped bit makes of a minus
//! sign a line end, of a digit `0` a blank: neither may stand beside a number.
//!
//! Unknown: all other keys, which are kept as text unless their name says that they are about the
//! patient; the line settings.

mod cornea;
mod others;

use self::others::{Other, distance, other_name};
use super::EYES;
use crate::{
    DecodeError, DriverOptions, DriverSpec, Ending, ErrorCode, Evidence, LineSettings, Parity,
    Setup, Sniff, Transport, flags,
    format::{
        fields::{Field, Number},
        stream::{End, MARK_LEN_MAX, Protocol, StreamDecoder, find},
        xml::{UNKNOWN_RECORDS_MAX, values::axis_unless_zero},
    },
};
use chiasm_proto::{
    Decoded, Eye, Hundredths, Instrument, Integrity, Measured, Measurement, OtherTest, OtherValue,
    PupillaryDistance, Refraction, RefractionKind, RefractionValue, Representative, UnknownRecord,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, time::Duration};

/// Longest object. One of the known keys is below 200 bytes.
const LEN_MAX: usize = 8192;
/// What the key says of the value.
const AVERAGE: &str = "avg";
const SIDES: [&str; 2] = ["right", "left"];
/// Sphere, cylinder, axis as keys have it, and their names.
const PARTS: [(&str, &str); 3] = [("s", "sphere"), ("c", "cylinder"), ("a", "axis")];
const UNITS: [&str; 3] = ["D", "D", "deg"];
/// Parts of keys that are about the patient.
const PERSONAL: [&str; 4] = ["name", "birth", "patient", "age"];

pub static SPEC: DriverSpec = DriverSpec {
    id: "xiongbo_rmk_json",
    version: "1",
    vendor: "Xiongbo",
    models: &["RMK-800"],
    yields: &["refraction", "keratometry", "pupillary_distance", "other_test"],
    transport: Transport::Serial(&[
        LineSettings { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1 },
        LineSettings { baud: 115_200, data_bits: 8, parity: Parity::None, stop_bits: 1 },
    ]),
    evidence: Evidence::SingleSource,
    ending: Ending::Marked,
    setup: Setup {
        wiring: "RS-232 of the instrument with a crossed cable (null modem).",
        settings: "Output as JSON. Line settings are not documented: 9600 or 115200 baud, 8 data \
                   bits, no parity, 1 stop bit are tried.",
        dry_test: "Measure the model eye and print: the lane shows the averages of the paper \
                   strip.",
    },
    limits: "Known from two readers; keys that they do not show are kept as text, and so are \
             numbers with more than two decimals. A whole number with a blank behind it is \
             refused. Line settings are not documented.",
    sniff: |bytes| {
        let has = |side: &str| find(bytes, format!("\"{side}_s_avg\"").as_bytes()).is_some();
        if SIDES.into_iter().any(has) { Sniff::Yes } else { Sniff::No }
    },
    new: |options| StreamDecoder::boxed(&PROTOCOL, options),
};

static PROTOCOL: Protocol = Protocol {
    begins: |bytes| (0..bytes.len()).find(|at| is_begin(&bytes[*at..])),
    ends,
    silence: Duration::from_secs(3),
    ends_by_silence: false,
    len_max: LEN_MAX,
    read,
};

/// A brace and a quote, with a little white space between them.
fn is_begin(bytes: &[u8]) -> bool {
    let Some(inside) = bytes.strip_prefix(b"{") else { return false };
    let inside = &inside[..inside.len().min(MARK_LEN_MAX - 1)];
    inside.trim_ascii_start().starts_with(b"\"")
}

/// Another object with one of the known keys in front: the one before it was cut short.
fn is_next(bytes: &[u8]) -> bool {
    let Some(inside) = bytes.strip_prefix(b"{") else { return false };
    let inside = inside.trim_ascii_start();
    inside.starts_with(b"\"right_") || inside.starts_with(b"\"left_")
}

/// At the brace that closes the first one.
fn ends(bytes: &[u8]) -> End {
    let (mut depth, mut in_text, mut is_escaped) = (0usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if at > 0 && is_next(&bytes[at..]) {
            return End::Broken(at);
        }
        if in_text {
            in_text = is_escaped || *byte != b'"';
            is_escaped = !is_escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return End::After(at + 1),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    End::NotYet
}

/// The members in their order, each as often as it was sent.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A value and where it stands.
struct Sent {
    text: String,
    offset: usize,
    number: Number,
}

fn read(raw: &[u8], options: &DriverOptions) -> Result<Option<Decoded>, DecodeError> {
    let text = plain(raw);
    let text = text.as_ref();
    let Members(members) = serde_json::from_str(text).map_err(|error| {
        DecodeError::new(ErrorCode::Malformed, position(text, &error), "not JSON")
    })?;
    let mut eyes: [[Option<Sent>; 3]; 2] = Default::default();
    let mut seen: [[bool; 3]; 2] = Default::default();
    let mut others: Vec<Other> = vec![];
    let mut unknown: Vec<UnknownRecord> = vec![];
    for (key, value) in members {
        // The value is a piece of the text, so its place in it is the distance of the two.
        let offset = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let Some((side, part)) = known(&key) else {
            if let Some(name) = other_name(&key) {
                if others.iter().any(|other| other.name == name) {
                    return Err(twice(key, offset));
                }
                let sent = sent(text, value.get(), offset, &key)?;
                others.push(Other { sent, name, key });
            } else if !is_personal(&key) {
                keep(&mut unknown, offset, &key, value.get())?;
            }
            continue;
        };
        if std::mem::replace(&mut seen[side][part], true) {
            return Err(twice(key, offset));
        }
        eyes[side][part] = sent(text, value.get(), offset, &key)?;
    }
    if !seen.as_flattened().contains(&true) {
        let message = "none of the keys that an RMK-800 sends";
        return Err(DecodeError::new(ErrorCode::WrongKind, 0, message));
    }
    let model = options.model.clone().unwrap_or_else(|| "RMK-800".into());
    let instrument = Instrument { vendor: "Xiongbo".into(), model, ..Instrument::default() };
    let mut decoded = Decoded::new(instrument, Integrity::None);
    let into = &mut decoded.measurements;
    let vertex_distance_mm = distance(&mut others, "vd", &mut unknown);
    for ((eye, _), (token, parts)) in EYES.into_iter().zip(SIDES.into_iter().zip(eyes)) {
        let mut measurement = measurement(eye, token, parts)?;
        if let Some(Measured::Refraction(it)) = measurement.as_mut().map(|it| &mut it.measured) {
            it.vertex_distance_mm = vertex_distance_mm;
        }
        into.extend(measurement);
    }
    if let Some(far) = distance(&mut others, "pd", &mut unknown) {
        let distance = PupillaryDistance { far_mm: Some(far), ..PupillaryDistance::default() };
        let measured = Measured::PupillaryDistance(distance);
        into.push(Measurement::without_token(Eye::Both, measured));
    }
    for ((eye, _), token) in EYES.into_iter().zip(SIDES) {
        into.extend(cornea::measurement(eye, token, &mut others, &mut unknown)?);
    }
    decoded.unknown_records = unknown;
    if decoded.measurements.is_empty() && decoded.unknown_records.is_empty() {
        return Ok(None);
    }
    flags::complete(&mut decoded);
    Ok(Some(decoded))
}

/// Only names, which are not read, are in other characters: in whatever encoding they are, each of
/// their bytes becomes one of plain text, so that positions stay what they are.
fn plain(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let masked = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
            Cow::Owned(raw.iter().map(masked).collect())
        }
    }
}

fn twice(key: String, offset: usize) -> DecodeError {
    DecodeError::new(ErrorCode::Malformed, offset, "the key is sent twice").in_field(key)
}

fn known(key: &str) -> Option<(usize, usize)> {
    let (side, part) = key.strip_suffix("_avg")?.split_once('_')?;
    let side = SIDES.iter().position(|known| *known == side)?;
    let part = PARTS.iter().position(|(known, _)| *known == part)?;
    Some((side, part))
}

fn is_personal(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.split('_').any(|word| PERSONAL.contains(&word)) || key.contains("name")
}

fn keep(
    unknown: &mut Vec<UnknownRecord>,
    offset: usize,
    key: &str,
    value: &str,
) -> Result<(), DecodeError> {
    if unknown.len() >= UNKNOWN_RECORDS_MAX {
        let message = "more unknown keys than an instrument sends";
        return Err(DecodeError::new(ErrorCode::Malformed, offset, message));
    }
    unknown.push(UnknownRecord { offset, text: format!("{key}: {value}") });
    Ok(())
}

/// A bare or quoted number; nothing for `null` and an empty text.
fn sent(object: &str, value: &str, offset: usize, key: &str) -> Result<Option<Sent>, DecodeError> {
    let inside = value.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let field = Field::new(inside.unwrap_or(value), offset, key);
    let text = field.text.trim();
    if text.is_empty() || value == "null" {
        return Ok(None);
    }
    // A power has its decimals: with a zero less it is the same.
    let has_blank_behind = !text.contains('.')
        && match inside {
            Some(inside) => inside.ends_with(' '),
            None => object[offset + value.len()..].starts_with(' '),
        };
    if has_line_end_before(&object[..offset]) || has_blank_behind {
        // One flipped bit makes CR of a minus sign, and a blank of the last digit of a number.
        return Err(field.malformed("a line end in front of a number or a blank behind it"));
    }
    Ok(Some(Sent { text: text.to_owned(), offset, number: field.number()? }))
}

/// Whether anything but blanks stands between a colon and what follows it.
fn has_line_end_before(text: &str) -> bool {
    let blank = text.bytes().rev().take_while(u8::is_ascii_whitespace);
    blank.into_iter().any(|byte| byte != b' ')
}

/// The refraction of an eye, or its text if it is finer than a refraction is kept.
fn measurement(
    eye: Eye,
    token: &str,
    parts: [Option<Sent>; 3],
) -> Result<Option<Measurement>, DecodeError> {
    let [sphere, cylinder, axis] = parts;
    let (sphere, cylinder) = match (sphere, cylinder, &axis) {
        (Some(sphere), Some(cylinder), _) => (sphere, cylinder),
        (None, None, None) => return Ok(None),
        (sphere, cylinder, _) => {
            let offset =
                [&sphere, &cylinder, &axis].into_iter().flatten().map(|sent| sent.offset).next();
            let message = "an eye without sphere or cylinder";
            let error = DecodeError::new(ErrorCode::Malformed, offset.unwrap_or(0), message);
            return Err(error.in_field(token));
        }
    };
    let axis_number = axis.as_ref().map(|axis| &axis.number);
    let is_whole = |number: &Number| matches!(number, Number::Hundredths(it) if it.0 % 100 == 0);
    if let (Number::Hundredths(sphere), Number::Hundredths(cylinder)) =
        (&sphere.number, &cylinder.number)
        && axis_number.is_none_or(is_whole)
    {
        let axis_deg = axis.as_ref().map(axis_deg).transpose()?;
        return coarse(eye, token, *sphere, *cylinder, axis_deg).map(Some);
    }
    let values = [Some(sphere), Some(cylinder), axis].into_iter().zip(PARTS).zip(UNITS);
    let value = |((sent, (_, name)), unit): ((Option<Sent>, (&str, &str)), &str)| {
        let unit = Some(unit.to_owned());
        sent.map(|sent| OtherValue { name: name.into(), as_sent: sent.text, unit })
    };
    let test = OtherTest {
        code: AVERAGE.into(),
        name: "average refraction, finer than it is kept".into(),
        values: values.filter_map(value).collect(),
    };
    Ok(Some(Measurement::of(eye, token, Measured::OtherTest(test))))
}

fn axis_deg(axis: &Sent) -> Result<i16, DecodeError> {
    Field::new(&axis.text, axis.offset, "axis").free_axis_deg()
}

fn coarse(
    eye: Eye,
    token: &str,
    sphere: Hundredths,
    cylinder: Hundredths,
    axis_deg: Option<i16>,
) -> Result<Measurement, DecodeError> {
    if axis_deg.is_none() && !cylinder.is_zero() {
        let message = "a cylinder without an axis";
        return Err(DecodeError::new(ErrorCode::Malformed, 0, message).in_field(token));
    }
    let axis_deg = axis_unless_zero(Some(cylinder), axis_deg);
    let value = RefractionValue { sphere, cylinder, axis_deg, spherical_equivalent: None };
    let refraction = Refraction {
        representative: Some(Representative { label: AVERAGE.into(), value }),
        ..Refraction::new(RefractionKind::Autorefraction)
    };
    Ok(Measurement::of(eye, token, Measured::Refraction(refraction)))
}

/// Where the reader of JSON stopped.
fn position(text: &str, error: &serde_json::Error) -> usize {
    let before: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (before + error.column().saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::run;

    #[test]
    fn odd_objects_are_refused() {
        for text in [
            r#"{"right_s_avg": -1.75}"#,
            r#"{"right_s_avg": -1.75, "right_c_avg": -0.5}"#,
            r#"{"right_s_avg": -1.75, "right_c_avg": -0.5, "right_a_avg": 181}"#,
            r#"{"right_s_avg": -1.75, "right_c_avg": 0, "right_s_avg": -2}"#,
            r#"{"right_s_avg": [1], "right_c_avg": 0}"#,
            r#"{"right_s_avg": -1.75, "right_c_avg": 0,}"#,
            r#"{"temperature": 21}"#,
            "{\"right_s_avg\": \r1.75, \"right_c_avg\": 0, \"right_a_avg\": 0}",
            "{\"right_s_avg\":\n1.75, \"right_c_avg\": 0, \"right_a_avg\": 0}",
            "{\"right_s_avg\": \"\r1.75\", \"right_c_avg\": 0, \"right_a_avg\": 0}",
            r#"{"right_s_avg": -1.75, "right_c_avg": -0.5, "right_a_avg": 12 }"#,
            r#"{"right_s_avg": -1.75, "right_c_avg": -0.5, "right_a_avg": "12 "}"#,
        ] {
            let outcome = run(&SPEC, [text.as_bytes()]);
            outcome.assert_conserves(text.as_bytes(), text);
            assert!(outcome.decoded().is_empty(), "{text}: {outcome:#?}");
        }
    }

    #[test]
    fn nothing_proves_what_came_over_the_line() {
        let text = r#"{"right_s_avg": -1.75, "right_c_avg": 0, "right_a_avg": 0}"#;
        let outcome = run(&SPEC, [text.as_bytes()]);
        assert_eq!(outcome.decoded()[0].integrity, Integrity::None);
    }

    #[test]
    fn a_name_in_any_encoding_refuses_nothing() {
        let rest = b"\", \"right_s_avg\": -1.75, \"right_c_avg\": 0, \"right_a_avg\": 0}";
        for name in ["\u{5f20}".as_bytes(), &[0xD5, 0xC5]] {
            let raw = [b"{\"name\": \"", name, rest].concat();
            let outcome = run(&SPEC, [raw.as_slice()]);
            assert_eq!(outcome.decoded().len(), 1, "{outcome:#?}");
            assert!(outcome.decoded()[0].unknown_records.is_empty());
        }
    }

    #[test]
    fn an_object_cut_short_does_not_swallow_the_next() {
        let whole = r#"{"right_s_avg": -1.75, "right_c_avg": 0, "right_a_avg": 0}"#;
        let text = format!("{}{whole}", &whole[..24]);
        let outcome = run(&SPEC, [text.as_bytes()]);
        outcome.assert_conserves(text.as_bytes(), &text);
        assert_eq!(outcome.decoded().len(), 1, "{outcome:#?}");
    }
}

golden_tests!(SPEC);
