//! What the fixtures cannot show: where a transmission ends, what separates, what is refused.

use super::*;
use crate::golden::run;

fn read_all(text: &str) -> Vec<Decoded> {
    let outcome = run(&SPEC, [text.as_bytes()]);
    outcome.assert_conserves(text.as_bytes(), text);
    outcome.decoded().into_iter().cloned().collect()
}

#[test]
fn a_repeated_record_begins_the_next_transmission() {
    let right = "S-R-R +01.25 -00.75 +172 64 E";
    // Glued: the E closes the first record and does not lead the second.
    let readings = read_all(&right.repeat(3));
    assert_eq!(readings.len(), 3, "{readings:#?}");
    let led = format!("E{right}\r\nES-R-L -00.50 +00.00 +000 64 E\r\n");
    let readings = read_all(&led.repeat(2));
    assert_eq!(readings.len(), 2, "{readings:#?}");
    assert!(readings.iter().all(|reading| reading.measurements.len() == 3));
    assert!(readings.iter().all(|reading| reading.unknown_records.is_empty()));
}

#[test]
fn a_head_begins_the_next_transmission() {
    let text = "S No=00001 R B ES-R-R +01.25 -00.75 +172 64 E\r\n\
                S No=00002 R B ES-R-L +02.25 -00.75 +172 64 E\r\n";
    assert_eq!(read_all(text).len(), 2);
}

#[test]
fn signs_and_any_blanks_separate_the_fields() {
    let usual = read_all("ES-R-R -02.50 -01.25 +015 61 E\r\n");
    for text in [
        "ES-R-R-02.50-01.25+015 61 E\r\n",
        "ES-R-R\t-02.50\t-01.25\t+015\t61\tE\r\n",
        "ES-R-R\r\n-02.50 -01.25 015 61.0\r\nE\r\n",
    ] {
        let readings = read_all(text);
        assert_eq!(readings.len(), 1, "{text}");
        assert_eq!(readings[0].measurements, usual[0].measurements, "{text}");
    }
    for text in ["ES-R-R 02.50 -01.25 +015 E", "ES-R-R -2.50 -01.25 +015 E"] {
        assert!(read_all(text).is_empty(), "{text}");
    }
}

#[test]
fn a_record_without_its_end_refuses_everything() {
    let closed = "S-R-R +01.25 -00.75 +172 64 ES-R-L -00.00 -01.50 +008 6";
    assert!(read_all(closed).is_empty());
    assert!(read_all("S-R-R +01.25 -00.75 +172 64 S-R-L -00.00 -01.50 +008 64 E").is_empty());
    assert!(read_all("S-R-R +01.25 -00.75 +172 64 ES-R").is_empty());
    assert!(read_all("S-R-R +01.25 -00.75 +181 64 E").is_empty());
    assert!(read_all("S-R-R +01.25 -00.75 -010 64 E").is_empty());
    assert!(read_all("S No=00218 R B\r\n").is_empty());
}

#[test]
fn text_between_records_is_kept() {
    let readings =
        read_all("S-R-R +01.25 -00.75 +172 64 E PETER\r\nES-R-L -00.50 +00.00 +000 64 E\r\n");
    assert_eq!(readings[0].unknown_records[0].text, "PETER\r\nE");
    assert_eq!(readings[0].measurements.len(), 3);
}

#[test]
fn a_right_record_behind_a_left_one_is_the_next_patients() {
    let left = "ES-R-L +00.75 +00.00 +000 E\r\n";
    let both = "ES-R-R -02.50 -01.25 +015 ES-R-L -00.50 +00.00 +000 E\r\n";
    let readings = read_all(&format!("{left}{both}"));
    let found: Vec<_> = readings.iter().map(|it| &it.measurements).collect();
    assert_eq!(found, [&read_all(left)[0].measurements, &read_all(both)[0].measurements]);
    // Keratometry follows both refractions of the same print.
    let with_cornea = "ES-R-R -02.50 -01.25 +015 ES-R-L -00.50 +00.00 +000 ES-K-R +07.74 +07.61 +170 \
         ES-K-L +07.92 +07.58 +006 E\r\n";
    let readings = read_all(with_cornea);
    assert_eq!((readings.len(), readings[0].measurements.len()), (1, 2));
}

#[test]
fn two_distances_are_two_patients_and_refused() {
    let text = "ES-R-R -02.50 -01.25 +015 61 E\r\nES-R-L +00.75 +00.00 +000 66 E\r\n";
    assert!(read_all(text).is_empty());
    let same = text.replace("66", "61.0");
    assert_eq!(read_all(&same)[0].measurements.len(), 3);
    let missing = text.replace("66", "00");
    assert_eq!(read_all(&missing)[0].measurements.len(), 3);
}
