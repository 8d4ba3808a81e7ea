//! A day without internet in one clinic, with a power cut in the middle (I4): nothing is lost,
//! nothing is there twice, dates are those of the measurements, and both sides count the same.

use chiasm_testbed::{outage, story::story};

#[test]
fn i4_a_day_without_internet_and_both_sides_count_the_same() {
    /// A print of each instrument for every patient.
    const PATIENTS: usize = 12;
    story("outage", outage::play(PATIENTS));
}
