//! Arbitrary documents: every field in and out, every word, text with every kind of character.

mod fleet;
mod imaging;
mod lane_page;
mod measured;
mod reading;

pub use fleet::{ack, claim, sessions, state, telemetry};
pub use imaging::{offer, progress, worklist};
pub use lane_page::staff;
pub use reading::{decoded, envelope};

use crate::golden::draw;
use chiasm_proto::{Hundredths, decimal::HUNDREDTHS_MAX};
use jiff::{Timestamp, civil};
use proptest::{option, prelude::*, test_runner::TestRunner};
use serde_json::Value;
use uuid::Uuid;

/// One document of each type, as JSON.
pub fn one_of_each(runner: &mut TestRunner) -> Vec<Value> {
    let (request, response, error) = (
        claim().prop_map(|claim| claim.0),
        claim().prop_map(|claim| claim.1),
        claim().prop_map(|claim| claim.2),
    );
    vec![
        draw(&envelope(), runner),
        draw(&ack(), runner),
        draw(&state(), runner),
        draw(&telemetry(), runner),
        draw(&sessions(), runner),
        draw(&offer(), runner),
        draw(&progress(), runner),
        draw(&worklist(), runner),
        draw(&staff(), runner),
        draw(&request, runner),
        draw(&response, runner),
        draw(&error, runner),
    ]
}

pub fn slug() -> impl Strategy<Value = String> {
    "[a-z0-9-]{1,64}"
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        proptest::collection::vec(any::<char>(), 0..6)
            .prop_map(|chars| chars.into_iter().collect::<String>())
    ]
}

fn maybe_text() -> impl Strategy<Value = Option<String>> {
    option::of(text())
}

fn hundredths() -> impl Strategy<Value = Hundredths> {
    prop_oneof![-4000..4000, -HUNDREDTHS_MAX..=HUNDREDTHS_MAX].prop_map(Hundredths)
}

fn maybe_hundredths() -> impl Strategy<Value = Option<Hundredths>> {
    option::of(hundredths())
}

fn uuid() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-4_000_000_000_i64..8_000_000_000, prop_oneof![Just(0), 0..1_000_000_000_i32])
        .prop_map(|(s, ns)| Timestamp::new(s, if s < 0 { 0 } else { ns }).expect("in range"))
}

fn civil_time() -> impl Strategy<Value = civil::DateTime> {
    ((1_i16..=9999, 1_i8..=12, 1_i8..=28), (0_i8..24, 0_i8..60, 0_i8..60), 0..1_000_000_000_i32)
        .prop_map(|((year, month, day), (hour, minute, second), ns)| {
            civil::DateTime::new(year, month, day, hour, minute, second, ns).expect("in range")
        })
}
