//! What happens to an exam that somebody has signed or looked at. A signed exam stays as it was
//! signed: what comes later is an addendum, and the signer is told (D7, D9). A doctor who has
//! looked at a value that leaves the exam is told on that exam (T8).

use super::{AppError, check_in, look::SAME_LOOK_S, order, principal::Role, work::Work};
use crate::{
    app::local_time,
    store::{
        StoreError, Tx,
        audit::About,
        exam::{Next, ReadingRow},
        lane_open, notice, signature,
    },
};

/// Longest addendum that a doctor types, in characters.
pub const ADDENDUM_LEN_MAX: usize = 4000;

/// What happened to a part of an exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    Accepted,
    TakenBack,
    Rejected,
    Corrected,
    MovedOut,
    MovedIn,
    /// It came from its instrument after the exam was signed.
    Late,
    /// A later driver reads other values in its bytes; it stays as it is.
    DecodedAgain,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            What::Accepted => "accepted",
            What::TakenBack => "acceptance_taken_back",
            What::Rejected => "rejected",
            What::Corrected => "corrected",
            What::MovedOut => "moved_out",
            What::MovedIn => "moved_in",
            What::Late => "late",
            What::DecodedAgain => "decoded_again",
        }
    }
    pub(super) fn words(self) -> &'static str {
        match self {
            What::Accepted => "accepted",
            What::TakenBack => "acceptance taken back",
            What::Rejected => "rejected",
            What::Corrected => "corrected",
            What::MovedOut => "moved out of this exam",
            What::MovedIn => "filed into this exam",
            What::Late => "arrived after the signature",
            What::DecodedAgain => "it stays as it is",
        }
    }
    /// Whether what a doctor has seen is no longer what the exam says.
    fn takes_away(self) -> bool {
        matches!(self, What::Rejected | What::Corrected | What::MovedOut)
    }
}

/// What the next state of a reading means for the exam where it is and for the one where it goes.
pub(super) fn touches(row: &ReadingRow, next: &Next<'_>) -> Vec<(String, What)> {
    // Finished glasses are checked against their order and are no part of the exam (R25).
    let was_glasses = check_in::is_check_in(row.correction.as_deref());
    let is_glasses = check_in::is_check_in(next.correction);
    if was_glasses && is_glasses {
        return vec![];
    }
    let is_one_exam = row.place == "exam"
        && next.place == "exam"
        && row.encounter_id.as_deref() == next.encounter_id;
    let is_part = |place: &str, is_glasses: bool| place == "exam" && (is_one_exam || !is_glasses);
    let from = row.encounter_id.as_deref().filter(|_| is_part(&row.place, was_glasses));
    let to = next.encounter_id.filter(|_| is_part(next.place, is_glasses));
    if let (Some(from), Some(to)) = (from, to)
        && from == to
    {
        let what = match (row.acceptance.as_str(), next.acceptance) {
            (before, after) if before == after => What::Corrected,
            (_, "accepted") => What::Accepted,
            (_, "rejected") => What::Rejected,
            _ => What::TakenBack,
        };
        return vec![(from.to_owned(), what)];
    }
    let left = from.map(|from| (from.to_owned(), What::MovedOut));
    left.into_iter().chain(to.map(|to| (to.to_owned(), What::MovedIn))).collect()
}

/// The same as [`touch`], with the words made of a reading.
pub(super) async fn touch_by_reading(
    work: &mut Work,
    encounter: &str,
    what: What,
    row: &ReadingRow,
    why: &str,
) -> Result<(), AppError> {
    let zone = lane_open::time_zone(&mut work.tx, &work.who.tenant, &row.location_id).await?;
    let zone = local_time::zone(zone.as_deref().unwrap_or("UTC"));
    let at = local_time::local(row.captured_at_us, &zone).strftime("%H:%M");
    let instrument = row.reading().map_or_else(
        || "a reading".to_owned(),
        |it| {
            let instrument = &it.decoded.instrument;
            format!("{} {}", instrument.vendor, instrument.model)
        },
    );
    let glasses = order::words_for_notice(work, encounter, (what, row), &zone).await?;
    let by = &work.who.name;
    let text = format!("{instrument} of {at}: {} by {by} ({why}){glasses}", what.words());
    touch(work, encounter, what, (&text, row.received_at_us)).await
}

/// Call it after every change of something in an exam, in the change's transaction. `text` says in
/// words what happened; whoever looked at the exam since `known_since_us` may have seen the value.
pub async fn touch(
    work: &mut Work,
    encounter: &str,
    what: What,
    (text, known_since_us): (&str, i64),
) -> Result<(), AppError> {
    let (tenant, account, now_us) =
        (work.who.tenant.clone(), work.who.account.clone(), work.now_us);
    signature::lock(&mut work.tx, &tenant, encounter).await?;
    let signer = signature::signer(&mut work.tx, &tenant, encounter).await?;
    if signer.is_some() {
        let by = (account.as_str(), true);
        signature::add(&mut work.tx, (&tenant, encounter), by, text, now_us).await?;
    }
    // The same person looking again within this time is one look, noted at its beginning.
    let since_us = known_since_us - SAME_LOOK_S * 1_000_000;
    let mut told: Vec<String> = signer.into_iter().collect();
    if what.takes_away() {
        told.extend(notice::doctors_who_looked(&mut work.tx, &tenant, encounter, since_us).await?);
    }
    told.sort();
    told.dedup();
    if !told.is_empty() {
        work.tell_exam(encounter);
    }
    for whom in told.iter().filter(|whom| **whom != account) {
        let about = (what.as_str(), text);
        notice::tell(&mut work.tx, &tenant, (whom, encounter), about, now_us).await?;
    }
    Ok(())
}

/// A reading that ingest files into a signed exam: the addendum, and word to the signer.
pub async fn arrived_late(
    tx: &mut Tx,
    tenant: &str,
    (encounter, instrument): (&str, &str),
    now_us: i64,
) -> Result<(), StoreError> {
    let Some(signer) = signature::signer(tx, tenant, encounter).await? else { return Ok(()) };
    let text = format!("{instrument}: {}, not accepted", What::Late.words());
    signature::add(tx, (tenant, encounter), ("system", true), &text, now_us).await?;
    notice::tell(tx, tenant, (&signer, encounter), (What::Late.as_str(), &text), now_us).await
}

/// A doctor adds to a signed exam.
pub async fn add(work: &mut Work, encounter: &str, text: &str) -> Result<(), AppError> {
    work.encounter(encounter).await?;
    if work.who.role != Role::Doctor {
        return Err(AppError::WrongRole("only a doctor adds to a signed exam"));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(AppError::Refused("write what is to be added".into()));
    }
    if text.chars().count() > ADDENDUM_LEN_MAX {
        let message = format!("an addendum has at most {ADDENDUM_LEN_MAX} characters");
        return Err(AppError::Refused(message));
    }
    let (tenant, account, now_us) =
        (work.who.tenant.clone(), work.who.account.clone(), work.now_us);
    let signer = signature::signer(&mut work.tx, &tenant, encounter).await?;
    let Some(signer) = signer else {
        let message = "this exam is not signed yet: change it instead of adding to it";
        return Err(AppError::Refused(message.into()));
    };
    signature::add(&mut work.tx, (&tenant, encounter), (&account, false), text, now_us).await?;
    if signer != account {
        let text = format!("{} added: {}", work.who.name, beginning(text));
        let about = ("addendum", text.as_str());
        notice::tell(&mut work.tx, &tenant, (&signer, encounter), about, now_us).await?;
    }
    work.tell_exam(encounter);
    let about = About::exam(encounter).values(("", text));
    work.audit_about(("addendum_written", encounter), about).await
}

/// The first words of a long text.
fn beginning(text: &str) -> String {
    const LEN_MAX: usize = 160;
    let cut: String = text.chars().take(LEN_MAX).collect();
    if cut.len() < text.len() { format!("{cut}\u{2026}") } else { cut }
}

/// A person has seen what they were told. Gives the exam.
pub async fn see_notice(work: &mut Work, id: &str) -> Result<String, AppError> {
    let (tenant, account, now_us) =
        (work.who.tenant.clone(), work.who.account.clone(), work.now_us);
    let seen = notice::see(&mut work.tx, &tenant, (&account, id), now_us).await?;
    let encounter = seen.ok_or(AppError::NotFound("notice"))?;
    work.tell_exam(&encounter);
    work.audit_about(("notice_seen", id), About::exam(&encounter)).await?;
    Ok(encounter)
}
