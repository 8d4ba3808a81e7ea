//! Seeded schedules of faults around the state machines, in virtual time (invariants 2, 3, 4, 5, 10;
//! C5, R31). Every schedule that fails prints the command that runs it again.
//!
//! ```sh
//! CHIASM_SCHEDULES=10000 cargo test --workspace --test simulation -- --nocapture
//! CHIASM_SEED=42 CHIASM_SCHEDULES=1 cargo test --workspace --test simulation
//! ```

use chiasm_testbed::simulation::{Outcome, run};

const SCHEDULES: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_every_reading_is_filed_once_and_in_nobody_elses_exam() {
    let first = number("CHIASM_SEED").unwrap_or(1);
    let schedules = number("CHIASM_SCHEDULES").unwrap_or(SCHEDULES);
    let mut total = Outcome::default();
    for seed in first..first + schedules {
        match run(seed) {
            Ok(outcome) => total.add(&outcome),
            Err(wrong) => panic!(
                "{wrong}\nagain: CHIASM_SEED={seed} CHIASM_SCHEDULES=1 \
                 cargo test --workspace --test simulation"
            ),
        }
    }
    print!("{total}");
    assert!(total.prints > 50 * schedules, "too little was measured: {total}");
    assert!(total.in_exams * 3 > total.prints, "too little is filed to say anything: {total}");
}
