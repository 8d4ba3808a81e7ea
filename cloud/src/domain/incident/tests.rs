use super::*;
use proptest::prelude::*;

const MINUTE: i64 = 60 * SECOND_US;

/// Looks at the given minutes; gives the incident at the end and what people were told when.
fn run(looks: &[(i64, Look)]) -> (Option<Incident>, Vec<(i64, &'static str)>) {
    let (mut open, mut told) = (None, Vec::new());
    for &(minute, look) in looks {
        match step(open, look, minute * MINUTE) {
            Step::Nothing => {}
            Step::Changed(next) => open = Some(next),
            Step::Raised(next) => {
                told.push((minute, "raised"));
                open = Some(next);
            }
            Step::Closed(_, is_told) => {
                if is_told {
                    told.push((minute, "over"));
                }
                open = None;
            }
        }
    }
    (open, told)
}

fn bad(minute: i64) -> (i64, Look) {
    (minute, Look::Bad { since_us: minute * MINUTE })
}
fn good(minute: i64) -> (i64, Look) {
    (minute, Look::Good)
}

#[test]
fn nobody_is_told_before_five_minutes() {
    let (open, told) = run(&[bad(0), bad(4)]);
    assert!(open.is_some() && told.is_empty());
    let (_, told) = run(&[bad(0), bad(4), bad(5), bad(6)]);
    assert_eq!(told, [(5, "raised")]);
    let (open, told) = run(&[bad(0), good(4), good(14)]);
    assert!(open.is_none() && told.is_empty(), "a short one is over and nobody heard of it");
}

#[test]
fn flapping_is_one_incident_with_a_count() {
    let mut looks = Vec::new();
    for minute in 0..30 {
        looks.push(if minute % 3 == 0 { bad(minute) } else { good(minute) });
    }
    let (open, told) = run(&looks);
    let open = open.expect("it is still open");
    assert_eq!((open.opened_at_us, open.times), (0, 10));
    // A minute bad of every three: the fifth bad minute ends with minute 13, and the next bad look
    // finds that out.
    assert_eq!(told, [(15, "raised")]);
    let (open, told) = run(&[bad(0), bad(5), good(6), bad(10), good(11), good(20), good(21)]);
    assert_eq!((open, told), (None, vec![(5, "raised"), (21, "over")]));
}

#[test]
fn what_cannot_be_seen_stands_still() {
    let unknown = |minute| (minute, Look::Unknown);
    assert_eq!(run(&[unknown(0)]).0, None);
    let (open, told) = run(&[bad(0), unknown(3), unknown(600), bad(601)]);
    assert_eq!(open.unwrap().times, 1, "the same trouble as before the night");
    assert!(told.is_empty(), "the night does not count");
    assert_eq!(run(&[bad(0), unknown(3), bad(600), bad(602)]).1, [(602, "raised")]);
}

#[test]
fn says_what_is_known_of_the_cause() {
    let count = |offline, all| Count { offline, all };
    assert_eq!(cause(true, count(1, 1), count(1, 1)), Cause::Stopped);
    assert_eq!(cause(false, count(1, 3), count(1, 9)), Cause::GatewayAlone);
    assert_eq!(cause(false, count(1, 1), count(1, 9)), Cause::PowerOrInternet);
    assert_eq!(cause(false, count(3, 3), count(3, 9)), Cause::WholeLocation);
    assert_eq!(cause(false, count(3, 3), count(9, 9)), Cause::Everything);
    assert_eq!(cause(false, count(3, 3), count(3, 3)), Cause::WholeLocation);
}

#[test]
fn kinds_are_read_back() {
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(*kind));
    }
    assert_eq!(Kind::ALL.iter().map(|it| it.rank()).max(), Some(6));
}

fn looks() -> impl Strategy<Value = Vec<(i64, u8)>> {
    proptest::collection::vec((1..1200_i64, 0..3_u8), 1..120)
}

proptest! {
    /// Against a plain count of bad seconds: told exactly when five minutes are full at a bad look,
    /// once for each incident, and of its end only then.
    #[test]
    fn people_hear_once_and_not_too_soon(gaps in looks()) {
        let (mut now_us, mut open) = (0, None);
        let (mut bad_us, mut is_raised, mut last_bad_us) = (0, false, None::<i64>);
        for (gap_s, look) in gaps {
            now_us += gap_s * SECOND_US;
            let look = match look {
                0 => Look::Good,
                1 => Look::Bad { since_us: now_us },
                _ => Look::Unknown,
            };
            if let Some(last_us) = last_bad_us.take() {
                bad_us += now_us - last_us;
            }
            let is_bad = matches!(look, Look::Bad { .. });
            last_bad_us = is_bad.then_some(now_us);
            let was_open: Option<Incident> = open;
            match step(open, look, now_us) {
                Step::Nothing => {
                    let has_state = was_open.is_some();
                    prop_assert!(has_state || !is_bad);
                    prop_assert!(!is_bad || is_raised || bad_us < RAISE_AFTER_US);
                }
                Step::Changed(next) => {
                    prop_assert!(!is_bad || is_raised || bad_us < RAISE_AFTER_US);
                    open = Some(next);
                }
                Step::Raised(next) => {
                    prop_assert!(is_bad && !is_raised && bad_us >= RAISE_AFTER_US);
                    prop_assert_eq!(next.raised_at_us, Some(now_us));
                    is_raised = true;
                    open = Some(next);
                }
                Step::Closed(_, is_told) => {
                    prop_assert_eq!(look, Look::Good);
                    prop_assert_eq!(is_told, is_raised);
                    (open, bad_us, is_raised) = (None, 0, false);
                }
            }
            if let (Some(before), Some(after)) = (was_open, open) {
                prop_assert!(after.times >= before.times && after.bad_us >= before.bad_us);
                prop_assert_eq!(after.opened_at_us, before.opened_at_us);
            }
        }
    }
}
