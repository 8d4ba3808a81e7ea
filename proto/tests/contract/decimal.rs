//! Decimal numbers survive text and JSON.

use chiasm_proto::{Hundredths, decimal::HUNDREDTHS_MAX};
use proptest::prelude::*;

proptest! {
    #[test]
    fn text_round_trips(hundredths in -HUNDREDTHS_MAX..=HUNDREDTHS_MAX) {
        let value = Hundredths(hundredths);
        prop_assert_eq!(value.to_string().parse(), Ok(value));
        prop_assert_eq!(format!("{value:+}").parse(), Ok(value));
    }

    #[test]
    fn json_round_trips(hundredths in -HUNDREDTHS_MAX..=HUNDREDTHS_MAX) {
        let value = Hundredths(hundredths);
        let json = serde_json::to_string(&value).expect("a number");
        prop_assert_eq!(serde_json::from_str::<Hundredths>(&json).expect("reads its own"), value);
    }

    /// Whatever is read means exactly what stood there: no rounding, no half-read text.
    #[test]
    fn any_text_is_read_exactly_or_refused(text in "[-+]?[0-9]{0,7}[.,]?[0-9]{0,4}[ e]?") {
        if let Ok(value) = text.parse::<Hundredths>() {
            let number: f64 = text.parse().expect("what we read, Rust reads too");
            prop_assert!(value.abs().0 <= HUNDREDTHS_MAX, "{text} could not be read back");
            prop_assert!((number * 100.0 - f64::from(value.0)).abs() < 1e-3, "{text} as {value}");
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<Hundredths>();
    }

    #[test]
    fn a_third_decimal_is_refused_in_json(hundredths in -99_999_i32..99_999, third in 1_u8..=9) {
        let value = Hundredths(hundredths);
        let json = format!("{value}{third}");
        prop_assert!(serde_json::from_str::<Hundredths>(&json).is_err(), "{}", json);
    }
}
