//! Opening and closing lane sessions (T1).

use super::{AppError, correct::check_purpose, work::Work};
use crate::{
    domain::correction::Purpose,
    store::{audit::About, lane_session, live::Kind, shared_lane, site},
};
use uuid::Uuid;

/// Opens a lane for an encounter of its location; the lane's previous session ends. Gives the new
/// session's id.
pub async fn open(work: &mut Work, lane: &str, encounter: &str) -> Result<String, AppError> {
    let tenant = work.who.tenant.clone();
    let row = site::lane(&mut work.tx, &tenant, lane).await?;
    let row = row.ok_or(AppError::NotFound("lane"))?;
    let encounter = work.encounter(encounter).await?;
    if encounter.location_id != row.location_id {
        return Err(AppError::NotFound("encounter at this location"));
    }
    if !shared_lane::sharers(&mut work.tx, &tenant, lane).await?.is_empty() {
        let message = format!(
            "{} is shared: choose the patient in the lane where they sit; whose a print is, you \
             say there",
            row.lane_name
        );
        return Err(AppError::Refused(message));
    }
    if let (Some(open), Some(id)) = (&row.encounter_id, &row.lane_session_id)
        && *open == encounter.encounter_id
    {
        return Ok(id.clone());
    }
    let account = work.who.account.clone();
    let end = (account.as_str(), work.now_us, "next patient");
    if lane_session::close(&mut work.tx, &tenant, lane, end).await? {
        let (open, old) = (row.encounter_id.as_deref(), row.lane_session_id.as_deref());
        let at = (row.location_id.as_str(), lane);
        work.tell_session(Kind::SessionClosed, at, open, old.unwrap_or(lane));
    }
    let id = Uuid::now_v7().to_string();
    let what = (lane, encounter.encounter_id.as_str());
    let by = (account.as_str(), work.now_us);
    if !lane_session::insert(&mut work.tx, &tenant, &id, what, by).await? {
        let message = "somebody else opened this lane just now: look at it again";
        return Err(AppError::Refused(message.into()));
    }
    let at = (row.location_id.as_str(), lane);
    work.tell_session(Kind::SessionOpened, at, Some(&encounter.encounter_id), &id);
    let about = About::exam(&encounter.encounter_id).values(("", lane));
    work.audit_about(("lane_session_opened", &id), about).await?;
    Ok(id)
}

/// Ends the lane's session. Nothing happens when none is open.
pub async fn close(work: &mut Work, lane: &str) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let row = site::lane(&mut work.tx, &tenant, lane).await?;
    let row = row.ok_or(AppError::NotFound("lane"))?;
    let account = work.who.account.clone();
    let end = (account.as_str(), work.now_us, "ended by a person");
    if lane_session::close(&mut work.tx, &tenant, lane, end).await? {
        let id = row.lane_session_id.as_deref().unwrap_or(lane);
        let at = (row.location_id.as_str(), lane);
        work.tell_session(Kind::SessionClosed, at, row.encounter_id.as_deref(), id);
        let encounter_id = row.encounter_id.clone();
        let about = About { encounter_id, ..About::default() }.values((lane, ""));
        work.audit_about(("lane_session_closed", id), about).await?;
    }
    Ok(())
}

/// Says what the lensmeter of the lane measures next, until something else is said or the session
/// ends (T10).
pub async fn set_lens_purpose(
    work: &mut Work,
    lane: &str,
    purpose: Purpose,
) -> Result<(), AppError> {
    let purpose = check_purpose(purpose)?;
    let tenant = work.who.tenant.clone();
    let row = site::lane(&mut work.tx, &tenant, lane).await?;
    let row = row.ok_or(AppError::NotFound("lane"))?;
    let column = serde_json::to_string(&purpose).expect("plain data always serialises");
    if !lane_session::set_lens_purpose(&mut work.tx, &tenant, lane, Some(&column)).await? {
        return Err(AppError::Refused("open a session first: choose the patient".into()));
    }
    let session = row.lane_session_id.as_deref().unwrap_or(lane);
    let at = (row.location_id.as_str(), lane);
    work.tell_session(Kind::SessionChanged, at, row.encounter_id.as_deref(), session);
    let about = About { encounter_id: row.encounter_id.clone(), ..About::default() };
    let before = row.lens_purpose.as_deref().unwrap_or("");
    let about = about.kinds(["lensometry"]).values((before, &column));
    work.audit_about(("lens_purpose_said", session), about).await
}
