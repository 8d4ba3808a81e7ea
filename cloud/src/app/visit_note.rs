//! What is noted of a visit without a value: a test that was not taken, with the reason (R16, T11),
//! and drops, which change what is measured after them (R11).

use super::{AppError, about, reason, work::Work};
use crate::{
    domain::sheet::Test,
    store::{
        audit::About,
        visit_note::{self, Drops, NotTaken},
    },
};
use uuid::Uuid;

/// Longest name of drops, in characters.
pub const AGENT_LEN_MAX: usize = 80;
/// Drops are noted at most so long after they were given.
const DROPS_AGE_MAX_US: i64 = 24 * 3600 * 1_000_000;

/// Which eyes a note is about.
pub const EYES: [&str; 3] = ["OU", "OD", "OS"];

/// Notes that a test was not taken. Gives the note's id.
pub async fn not_taken(
    work: &mut Work,
    encounter: &str,
    (test, eye): (Test, &str),
    why: &str,
) -> Result<String, AppError> {
    let why = reason(why)?;
    if !EYES.contains(&eye) {
        return Err(AppError::Refused("choose which eye".into()));
    }
    work.encounter(encounter).await?;
    let note = NotTaken {
        not_taken_id: Uuid::now_v7().to_string(),
        encounter_id: encounter.to_owned(),
        test: test.as_str().to_owned(),
        eye: eye.to_owned(),
        reason: why.to_owned(),
        noted_at_us: work.now_us,
        noted_by: work.who.account.clone(),
    };
    let tenant = work.who.tenant.clone();
    visit_note::insert_not_taken(&mut work.tx, &tenant, &note).await?;
    work.tell_visit(encounter).await?;
    let kinds = [about::kind_of_test(test)];
    let about = About::exam(encounter).kinds(kinds).values(("", eye)).why(why);
    work.audit_about(("not_taken_noted", &note.not_taken_id), about).await?;
    Ok(note.not_taken_id)
}

/// Takes such a note back; it stays readable.
pub async fn withdraw_not_taken(
    work: &mut Work,
    encounter: &str,
    note: &str,
) -> Result<(), AppError> {
    let (tenant, by) = (work.who.tenant.clone(), work.who.account.clone());
    let of = (encounter, note);
    if !visit_note::withdraw_not_taken(&mut work.tx, &tenant, of, (&by, work.now_us)).await? {
        return Err(AppError::NotFound("note"));
    }
    work.tell_visit(encounter).await?;
    work.audit_about(("not_taken_withdrawn", note), About::exam(encounter)).await
}

/// Notes that drops were given, some minutes ago at most a day.
pub async fn give_drops(
    work: &mut Work,
    encounter: &str,
    agent: &str,
    given_at_us: i64,
) -> Result<String, AppError> {
    let agent = agent.trim();
    if agent.is_empty() || agent.chars().count() > AGENT_LEN_MAX {
        let message = format!("name the drops, at most {AGENT_LEN_MAX} characters");
        return Err(AppError::Refused(message));
    }
    if !(work.now_us - DROPS_AGE_MAX_US..=work.now_us).contains(&given_at_us) {
        return Err(AppError::Refused("the drops were given within the last day".into()));
    }
    work.encounter(encounter).await?;
    let drops = Drops {
        drops_id: Uuid::now_v7().to_string(),
        encounter_id: encounter.to_owned(),
        agent: agent.to_owned(),
        given_at_us,
        noted_at_us: work.now_us,
        noted_by: work.who.account.clone(),
    };
    let tenant = work.who.tenant.clone();
    visit_note::insert_drops(&mut work.tx, &tenant, &drops).await?;
    work.tell_visit(encounter).await?;
    let about = About::exam(encounter).values(("", &drops.agent));
    work.audit_about(("drops_noted", &drops.drops_id), about).await?;
    Ok(drops.drops_id)
}

/// Takes a note of drops back; it stays readable.
pub async fn withdraw_drops(work: &mut Work, encounter: &str, drops: &str) -> Result<(), AppError> {
    let (tenant, by) = (work.who.tenant.clone(), work.who.account.clone());
    let of = (encounter, drops);
    if !visit_note::withdraw_drops(&mut work.tx, &tenant, of, (&by, work.now_us)).await? {
        return Err(AppError::NotFound("note"));
    }
    work.tell_visit(encounter).await?;
    work.audit_about(("drops_withdrawn", drops), About::exam(encounter)).await
}
