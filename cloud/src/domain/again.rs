//! What today's driver makes of bytes that were decoded before, or that gave no reading.

use chiasm_drivers::{
    DateOrder, DecodeError, DriverOptions, DriverSpec, Event, detect::events, registry,
};
use chiasm_proto::{CAPTURE_LEN_MAX, Decoded, Reading};
use std::time::Instant;

/// Why bytes give no reading that could be filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The driver refuses a part, which begins at the position.
    Refused(usize, DecodeError),
    /// There is no transmission in it.
    Nothing,
    /// Only the beginning was kept: what it says may not be all.
    Cut,
    /// The meaning of its columns stands in the gateway's configuration.
    Configured,
}

/// The readings in a capture, each with its bytes. All of it has to be understood: a part that is
/// refused may be what makes the rest wrong.
pub fn of_capture(
    spec: &DriverSpec,
    bytes: &[u8],
    model: Option<&str>,
    now: Instant,
) -> Result<Vec<(Decoded, Vec<u8>)>, Refusal> {
    if bytes.len() >= CAPTURE_LEN_MAX {
        return Err(Refusal::Cut);
    }
    if !registry::columns(spec).is_empty() {
        return Err(Refusal::Configured);
    }
    let model = model.map(ToOwned::to_owned);
    decoded(spec, bytes, &DriverOptions { model, ..DriverOptions::default() }, now)
}

fn decoded(
    spec: &DriverSpec,
    bytes: &[u8],
    options: &DriverOptions,
    now: Instant,
) -> Result<Vec<(Decoded, Vec<u8>)>, Refusal> {
    let mut found = Vec::new();
    for (begin, event) in events(spec, now, bytes, options) {
        match event {
            Event::Decoded { decoded, context, raw } => {
                found.push((*decoded, [context, raw].concat()));
            }
            Event::Rejected { error, .. } => return Err(Refusal::Refused(begin, error)),
            Event::Overflow { .. } => return Err(Refusal::Cut),
            Event::Control { .. } => {}
        }
    }
    if found.is_empty() { Err(Refusal::Nothing) } else { Ok(found) }
}

/// What today's driver reads in a reading's bytes, if that is something else than what stands there.
/// What the gateway's configuration says is not known here: the model is taken from the reading, and
/// the order of a date is the one that gives the time that was read before.
pub fn of_reading(
    spec: &DriverSpec,
    before: &Reading,
    now: Instant,
) -> Result<Option<Decoded>, Refusal> {
    if !registry::columns(spec).is_empty() {
        return Err(Refusal::Configured);
    }
    let model = Some(before.decoded.instrument.model.clone());
    let mut first = None;
    let mut with_same_time = None;
    for date_order in
        [None, Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst), Some(DateOrder::YearFirst)]
    {
        let options =
            DriverOptions { model: model.clone(), date_order, ..DriverOptions::default() };
        let mut found = decoded(spec, &before.raw.bytes, &options, now)?;
        let now = found.remove(0).0;
        if !found.is_empty() {
            // One print gave one reading: which of several it would be is nobody's to say.
            return Err(Refusal::Nothing);
        }
        if now == before.decoded {
            return Ok(None);
        }
        if with_same_time.is_none() && now.instrument_time == before.decoded.instrument_time {
            with_same_time = Some(now);
        } else if first.is_none() {
            first = Some(now);
        }
    }
    Ok(with_same_time.or(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{ClockState, DriverRef, Raw};

    const ARK: &[u8] = include_bytes!("../../../device-drivers/fixtures/nidek_ark/01_full.raw");

    fn spec() -> &'static DriverSpec {
        registry::find("nidek_ark").unwrap()
    }

    fn reading(decoded: Decoded, raw: Vec<u8>) -> Reading {
        Reading {
            link: "ark".parse().unwrap(),
            lane: "lane-1".parse().unwrap(),
            lane_session: None,
            is_lane_empty: false,
            clock: ClockState::Synced,
            driver: DriverRef { id: "nidek_ark".into(), version: "0".into() },
            decoded,
            raw: Raw::new(raw),
        }
    }

    #[test]
    fn the_same_bytes_give_the_same_and_another_value_is_seen() {
        let now = Instant::now();
        let mut found = of_capture(spec(), ARK, Some("ARK-1s"), now).unwrap();
        let (decoded, raw) = found.remove(0);
        let mut before = reading(decoded.clone(), raw);
        assert_eq!(of_reading(spec(), &before, now), Ok(None));
        before.decoded.measurements.pop();
        assert_eq!(of_reading(spec(), &before, now), Ok(Some(decoded)));
    }

    #[test]
    fn what_is_not_understood_whole_gives_nothing() {
        let now = Instant::now();
        let cut = of_capture(spec(), &ARK[..ARK.len() / 2], None, now);
        assert!(matches!(&cut, Err(Refusal::Refused(..))), "{cut:?}");
        let two = [b"noise that is none of it\r\n".as_slice(), ARK].concat();
        assert!(of_capture(spec(), &two, None, now).is_err(), "the rest stays with its noise");
        assert_eq!(of_capture(spec(), b"", None, now), Err(Refusal::Nothing));
        let long = ARK.repeat(CAPTURE_LEN_MAX / ARK.len() + 1);
        assert_eq!(of_capture(spec(), &long[..CAPTURE_LEN_MAX], None, now), Err(Refusal::Cut));
        let table = registry::find("zeiss_iolmaster500").unwrap();
        assert_eq!(of_capture(table, ARK, None, now), Err(Refusal::Configured));
    }
}
