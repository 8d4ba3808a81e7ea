//! What no fixture can show.

use super::SPEC;
use crate::{
    DateOrder, DriverOptions, ErrorCode, Event,
    golden::{run, run_with},
};
use jiff::civil;

const HEAD: &str = "Record ID,Timestamp,Od DS,Od DC,Od Axis,OS DS,OS DC,OS Axis,Interpupil\n";
const ROW: &str = "SN9001_1,04/03/2026 09:41,0.50,-0.25,90,0.75,-0.50,85,55.5\n";

#[test]
fn the_order_of_the_date_is_a_setting() {
    let local = |order| {
        let options = DriverOptions { date_order: order, ..DriverOptions::default() };
        let file = format!("{HEAD}{ROW}");
        let outcome = run_with(&SPEC, &options, [file.as_bytes()]);
        outcome.decoded()[0].instrument_time.clone().unwrap().local
    };
    assert_eq!(local(None), None);
    let at = |month, day| Some(civil::date(2026, month, day).at(9, 41, 0, 0));
    assert_eq!(local(Some(DateOrder::DayFirst)), at(3, 4));
    assert_eq!(local(Some(DateOrder::MonthFirst)), at(4, 3));
}

#[test]
fn a_row_carries_its_heading() {
    let file = format!("{HEAD}{ROW}{ROW}");
    let outcome = run(&SPEC, [file.as_bytes()]);
    let [Event::Control { .. }, Event::Decoded { context, raw, .. }, Event::Decoded { .. }] =
        &outcome.events[..]
    else {
        panic!("{outcome:#?}")
    };
    let alone = [context.as_slice(), raw].concat();
    assert_eq!(run(&SPEC, [alone.as_slice()]).decoded(), outcome.decoded()[..1]);
}

/// The distance of the pupils stands last, as a rule with one decimal, and may have been cut.
#[test]
fn a_last_row_without_its_end_has_its_eyes() {
    let outcome = run(&SPEC, [format!("{HEAD}{ROW}").as_bytes()]);
    let complete = outcome.decoded()[0];
    let file = format!("{HEAD}{ROW}{}", ROW.trim_end());
    for cut in [file.as_str(), file.trim_end_matches('5'), file.trim_end_matches("5.5")] {
        let outcome = run(&SPEC, [cut.as_bytes()]);
        let decoded = outcome.decoded();
        assert_eq!(decoded.len(), 2, "{cut}");
        let eyes = &decoded[1].measurements;
        assert_eq!(eyes[..], complete.measurements[..eyes.len()], "{cut}");
        assert_eq!(eyes.len() + 1, complete.measurements.len(), "only the distance is left out");
        assert!(decoded[1].flags.iter().any(|flag| flag.detail.contains("not taken over")));
    }
    let file = format!("{HEAD}{}", ROW.trim_end().trim_end_matches(",55.5"));
    let outcome = run(&SPEC, [file.as_bytes()]);
    let Event::Rejected { error, .. } = &outcome.events[1] else { panic!("{outcome:#?}") };
    assert_eq!(error.code, ErrorCode::Malformed, "cut in front of the last column");
    let file = format!("{},Last Name\n{},SAM", HEAD.trim_end(), ROW.trim_end());
    let outcome = run(&SPEC, [file.as_bytes()]);
    assert_eq!(outcome.decoded().len(), 1, "cut in a column that is never read");
}

#[test]
fn a_last_text_that_may_be_cut_is_not_taken_over() {
    let file = format!("{},Result\n{},pas", HEAD.trim_end(), ROW.trim_end());
    let outcome = run(&SPEC, [file.as_bytes()]);
    let flags = &outcome.decoded()[0].flags;
    assert!(flags.iter().any(|flag| flag.detail.contains("not taken over")), "{flags:?}");
    assert!(!format!("{:?}", outcome.decoded()).contains("pas"), "half a word");
}

#[test]
fn other_tables_are_of_another_kind() {
    for text in ["Age,Myopia\n1,2\n", "Record ID,Od DS\nx,1\n", &HEAD.replace("OS DS", "Od DS")] {
        let outcome = run(&SPEC, [text.as_bytes()]);
        let [Event::Rejected { error, .. }] = &outcome.events[..] else { panic!("{outcome:#?}") };
        assert_eq!(error.code, ErrorCode::WrongKind, "{text}");
    }
}

#[test]
fn only_a_known_word_says_which_eye() {
    let head = format!("{},Which Eye\n", HEAD.trim_end());
    let row = ROW.replace("0.75,-0.50,85,55.5", "0.00,0.00,0,0");
    let refractions = |word: &str| {
        let file = format!("{head}{},{word}\n", row.trim_end());
        let outcome = run(&SPEC, [file.as_bytes()]);
        let decoded = outcome.decoded();
        decoded.first().map(|decoded| decoded.measurements.len())
    };
    for (word, count) in [("OD", 1), ("right", 1), ("Left", 1), ("os", 1), ("Both", 2), ("", 2)] {
        assert_eq!(refractions(word), Some(count), "{word}");
    }
    for word in ["Right Eye", "R", "1", "both eyes"] {
        assert_eq!(refractions(word), None, "{word}");
    }
    // Two eyes with values were examined, whatever the word is.
    let file = format!("{head}{},Beide\n", ROW.trim_end());
    assert_eq!(run(&SPEC, [file.as_bytes()]).decoded().len(), 1);
}
