//! Writing down who looked at what.

use super::{AppError, about, principal::Principal};
use crate::{
    imaging::kept::Kept,
    store::{
        Db,
        audit::{self, About, Entry},
    },
};
use std::sync::{Arc, Mutex, PoisonError};

/// The same person looking at the same thing again within this time is one look: pages that
/// refresh by themselves would otherwise write an entry every few seconds. Values of a kind that
/// were not there before make it another look.
pub const SAME_LOOK_S: i64 = 10 * 60;

/// Notes a look at a thing. Call it after the thing was found.
pub async fn look(
    db: &Db,
    who: &Principal,
    what: (&str, &str),
    now_us: i64,
) -> Result<(), AppError> {
    let mut tx = db.tenant_read(&who.tenant).await?;
    let about = about::of_look(&mut tx, &who.tenant, what).await?;
    drop(tx);
    look_at(db, who, what, about, now_us).await
}

/// The same, where the page knows better what it shows.
pub async fn look_at(
    db: &Db,
    who: &Principal,
    what: (&str, &str),
    about: About,
    now_us: i64,
) -> Result<(), AppError> {
    let since_us = now_us - SAME_LOOK_S * 1_000_000;
    let mut tx = db.tenant_read(&who.tenant).await?;
    // In another exam it is another patient's.
    let exam = about.encounter_id.as_deref();
    let seen = audit::kinds_since(&mut tx, &who.tenant, &who.account, what, exam, since_us).await?;
    drop(tx);
    let is_known = |kind: &str| seen.iter().any(|seen| seen.split(' ').any(|it| it == kind));
    if !seen.is_empty() && about.kinds.split(' ').filter(|it| !it.is_empty()).all(is_known) {
        return Ok(());
    }
    let mut tx = db.tenant(&who.tenant).await?;
    let about = about.of_patient(&mut tx, &who.tenant).await?;
    let entry = Entry { is_look: true, ..about::entry(who, what, about, now_us) };
    audit::append(&mut tx, &who.tenant, &[entry]).await?;
    tx.commit().await?;
    Ok(())
}

/// Notes what somebody searched for: every search, as nobody searches by merely leaving a page open.
pub async fn searched(
    db: &Db,
    who: &Principal,
    (text, birth_date): (&str, &str),
    now_us: i64,
) -> Result<(), AppError> {
    let words = format!("{text} {birth_date}");
    let about = About::default().values(("", words.trim()));
    let what = ("patients_searched", who.tenant.as_str());
    let entry = Entry { is_look: true, ..about::entry(who, what, about, now_us) };
    let mut tx = db.tenant(&who.tenant).await?;
    audit::append(&mut tx, &who.tenant, &[entry]).await?;
    tx.commit().await?;
    Ok(())
}

/// Looks that this replica has just noted, so that the hundred frames of one volume do not ask the
/// database a hundred times. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recent(Arc<Mutex<Noted>>);

/// When it was noted, by tenant, account, and action with subject and exam.
type Noted = Kept<(String, String, String), i64>;

/// People and things that are remembered.
const RECENT_MAX: usize = 4096;

impl Default for Recent {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept::new(RECENT_MAX))))
    }
}

impl Recent {
    /// [`look_at`], unless it was done for the same person and thing within [`SAME_LOOK_S`].
    pub async fn look_at(
        &self,
        db: &Db,
        who: &Principal,
        (action, subject): (&str, &str),
        about: About,
        now_us: i64,
    ) -> Result<(), AppError> {
        let exam = about.encounter_id.as_deref().unwrap_or_default();
        let what = format!("{action} {subject} {exam}");
        let name = (who.tenant.clone(), who.account.clone(), what);
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name);
        if noted.is_some_and(|at_us| now_us - at_us < SAME_LOOK_S * 1_000_000) {
            return Ok(());
        }
        look_at(db, who, (action, subject), about, now_us).await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(name, now_us, 1);
        Ok(())
    }
}
