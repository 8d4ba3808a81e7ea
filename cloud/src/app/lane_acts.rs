//! Carrying out what people did at a gateway's page while the cloud could not be reached (T12): in
//! their name, at the time when they did it, by the rules that hold for pages. What cannot be
//! carried out is refused with the reason, and what hangs on it is held; nothing is guessed.

use super::{
    AppError, accept,
    assign::{self, Choice},
    placing,
    principal::{Principal, Role},
    work::Work,
};
use crate::{
    Core,
    domain::placement::{CLOCK_BEHIND_MAX_US, Facts, Known, Place},
    store::{
        StoreError, account,
        audit::About,
        encounter::{self, Encounter},
        exam::{self, Next, ReadingRow},
        lane_act::{self, Act},
        lane_open,
        lane_session::{self, Lasting},
        live::Kind,
    },
};
use chiasm_proto::{
    Body, ClockState, Deed, Envelope, LaneAct, LaneSessionId, ReadingId, lane_page::SessionEnd,
};

/// How long an act waits for documents with lower numbers. Some never come: a gateway keeps what no
/// broker takes.
pub const ORDER_WAIT_MAX_US: i64 = 10 * 60 * 1_000_000;
/// How long an act waits for the reading or the session that it names, which came before it.
pub const SUBJECT_WAIT_MAX_US: i64 = 30 * 24 * 3600 * 1_000_000;

/// Carries out what waits of a practice, each gateway's acts in their order.
pub async fn carry_out(core: &Core, tenant: &str, now_us: i64) -> Result<(), AppError> {
    let mut tx = core.db.tenant_read(tenant).await?;
    let acts = lane_act::waiting(&mut tx, tenant).await?;
    drop(tx);
    for of_gateway in acts.chunk_by(|a, b| a.gateway_id == b.gateway_id) {
        for act in of_gateway {
            if !act.is_next && now_us - act.received_at_us < ORDER_WAIT_MAX_US {
                break;
            }
            carry_out_one(core, tenant, act, now_us).await?;
        }
    }
    catch_up(core, tenant, now_us).await
}

/// Readings that were filed while the opening of their session was carried out.
async fn catch_up(core: &Core, tenant: &str, now_us: i64) -> Result<(), AppError> {
    let mut tx = core.db.tenant_read(tenant).await?;
    let sessions = lane_act::overtaken(&mut tx, tenant).await?;
    drop(tx);
    for session in sessions {
        let account = &session.opened_by;
        let Ok(who) = author(core, tenant, &session.gateway_id, account).await? else { continue };
        let mut work = Work::begin(core, &who, now_us).await?;
        place_again(&mut work, &session.lane_id, &session.lane_session_id).await?;
        work.commit().await?;
    }
    Ok(())
}

async fn carry_out_one(core: &Core, tenant: &str, act: &Act, now_us: i64) -> Result<(), AppError> {
    let sent: Envelope = match serde_json::from_str(&act.body) {
        Ok(sent) => sent,
        Err(error) => {
            let why = format!("this version cannot read it: {error}");
            return refuse(core, &nobody(tenant, &act.gateway_id), act, None, &why, now_us).await;
        }
    };
    let Body::LaneAct(done) = sent.body else {
        return refuse(core, &nobody(tenant, &act.gateway_id), act, None, "it is no act", now_us)
            .await;
    };
    let who = match author(core, tenant, &act.gateway_id, &done.account).await? {
        Ok(who) => who,
        Err(why) => {
            return refuse(core, &nobody(tenant, &act.gateway_id), act, Some(&done), why, now_us)
                .await;
        }
    };
    // By the gateway's clock, which cannot be ahead of what is known to have happened.
    let at_us = sent.time.as_microsecond().min(now_us);
    let mut work = Work::begin(core, &who, at_us).await?;
    if !lane_act::settle(&mut work.tx, tenant, &act.document_id, ("done", ""), now_us).await? {
        return Ok(());
    }
    match perform(&mut work, act, &done, now_us).await {
        Ok(Outcome::Done) => work.commit().await,
        Ok(Outcome::Waits(why)) => {
            drop(work);
            if now_us - act.received_at_us < SUBJECT_WAIT_MAX_US {
                return Ok(());
            }
            refuse(core, &who, act, Some(&done), why, now_us).await
        }
        Err(AppError::Store(error)) => Err(error.into()),
        Err(error) => {
            drop(work);
            refuse(core, &who, act, Some(&done), &error.to_string(), now_us).await
        }
    }
}

enum Outcome {
    Done,
    /// What it names is not here yet.
    Waits(&'static str),
}

async fn perform(
    work: &mut Work,
    act: &Act,
    done: &LaneAct,
    now_us: i64,
) -> Result<Outcome, AppError> {
    match &done.deed {
        Deed::SessionOpened { session, accession, ends } => {
            open(work, act, (session, accession), *ends, now_us).await
        }
        Deed::SessionEnded { session, why } => end(work, act, session, *why).await,
        Deed::ReadingAssigned { reading, accession } => {
            assign_reading(work, act, reading, accession).await
        }
        Deed::ReadingAccepted { reading, accession } => {
            accept_reading(work, act, reading, accession).await
        }
    }
}

/// The person of the act, as somebody who works with patients of this practice.
async fn author(
    core: &Core,
    tenant: &str,
    gateway: &str,
    account: &str,
) -> Result<Result<Principal, &'static str>, StoreError> {
    let mut tx = core.db.tenant_read(tenant).await?;
    let Some(person) = account::person(&mut tx, tenant, account).await? else {
        return Ok(Err("who did it is not known in this practice"));
    };
    let role = Role::parse(&person.role).filter(|role| role.is_clinical());
    Ok(role.ok_or("who did it does not work with patients").map(|role| Principal {
        account: person.account_id,
        name: person.display_name,
        role,
        ..nobody(tenant, gateway)
    }))
}

/// In whose name a refusal is noted if nobody did it.
fn nobody(tenant: &str, gateway: &str) -> Principal {
    Principal {
        tenant: tenant.to_owned(),
        account: "system".to_owned(),
        name: "system".to_owned(),
        role: Role::Technician,
        csrf_token: String::new(),
        address: format!("gateway {gateway}"),
        must_change_password: false,
        token_sha256: String::new(),
    }
}

async fn refuse(
    core: &Core,
    who: &Principal,
    act: &Act,
    done: Option<&LaneAct>,
    why: &str,
    now_us: i64,
) -> Result<(), AppError> {
    let mut work = Work::begin(core, who, now_us).await?;
    let tenant = who.tenant.as_str();
    if !lane_act::settle(&mut work.tx, tenant, &act.document_id, ("refused", why), now_us).await? {
        return Ok(());
    }
    tracing::warn!(tenant, gateway = act.gateway_id, act = act.document_id, "an act is refused");
    if let Some(Deed::SessionOpened { session, .. }) = done.map(|done| &done.deed) {
        place_again(&mut work, &act.lane_id, &session.to_string()).await?;
    }
    work.tell_gateways(&act.lane_id);
    let about = About::default().values(("", &act.lane_id)).why(why);
    work.audit_about(("lane_act_refused", &act.document_id), about).await?;
    work.commit().await
}

async fn visit(work: &mut Work, act: &Act, accession: &str) -> Result<Encounter, AppError> {
    let tenant = work.who.tenant.clone();
    let found = encounter::id_of_accession(&mut work.tx, &tenant, accession).await?;
    let visit = match found {
        Some(id) => Some(work.encounter(&id).await?),
        None => None,
    };
    visit.filter(|visit| visit.location_id == act.location_id).ok_or_else(|| {
        AppError::Refused("the visit that was chosen there is not in the record any more".into())
    })
}

/// A session that a person opened at the gateway. It goes on here, unless the cloud has one open in
/// the lane: then the cloud's counts from now on, and what lies under both is held.
async fn open(
    work: &mut Work,
    act: &Act,
    (session, accession): (&LaneSessionId, &str),
    ends: Option<LaneSessionId>,
    now_us: i64,
) -> Result<Outcome, AppError> {
    let (tenant, at_us) = (work.who.tenant.clone(), work.now_us);
    let visit = visit(work, act, accession).await?;
    if let Some(before) = ends {
        close(work, act, &before.to_string(), "next patient").await?;
    }
    let session = session.to_string();
    let lasting = lane_session::lasting(&mut work.tx, &tenant, &act.lane_id, at_us).await?;
    let is_taken = lasting.iter().any(|it| it.closed_at_us.is_none());
    let end = is_taken.then_some((now_us, "the cloud had another session open"));
    let key = (session.as_str(), act.gateway_id.as_str());
    let what = (act.lane_id.as_str(), visit.encounter_id.as_str());
    let by = (work.who.account.clone(), at_us);
    let by = (by.0.as_str(), by.1);
    if !lane_session::insert_of_gateway(&mut work.tx, &tenant, key, what, by, end).await? {
        return Err(AppError::Refused("this session is known already, as another one".into()));
    }
    let at = (act.location_id.as_str(), act.lane_id.as_str());
    work.tell_session(Kind::SessionOpened, at, Some(&visit.encounter_id), &session);
    let mut about = About::exam(&visit.encounter_id).values(("", &act.lane_id));
    about = about.why(&in_words(act, &lasting, &visit.encounter_id));
    work.audit_about(("lane_session_opened", &session), about).await?;
    place_again(work, &act.lane_id, &session).await?;
    Ok(Outcome::Done)
}

fn in_words(act: &Act, lasting: &[Lasting], encounter: &str) -> String {
    let there = format!("at the page of gateway {}", act.gateway_id);
    match lasting.iter().any(|it| it.encounter_id != encounter) {
        true => format!("{there}, while the cloud had another patient in the lane"),
        false => there,
    }
}

async fn end(
    work: &mut Work,
    act: &Act,
    session: &LaneSessionId,
    why: SessionEnd,
) -> Result<Outcome, AppError> {
    let reason = match why {
        SessionEnd::Person => "ended by a person",
        SessionEnd::Time => "time",
    };
    close(work, act, &session.to_string(), reason).await?;
    work.tell_gateways(&act.lane_id);
    Ok(Outcome::Done)
}

/// Ends a session at the time of the act, if it has not ended by then.
async fn close(work: &mut Work, act: &Act, session: &str, reason: &str) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let account = if reason == "time" { "system".into() } else { work.who.account.clone() };
    let end = (account.as_str(), work.now_us, reason);
    let key = (act.lane_id.as_str(), session);
    if !lane_session::close_at(&mut work.tx, &tenant, key, end).await? {
        return Ok(());
    }
    let encounter = encounter::of_session(&mut work.tx, &tenant, session).await?;
    let at = (act.location_id.as_str(), act.lane_id.as_str());
    work.tell_session(Kind::SessionClosed, at, encounter.as_deref(), session);
    let about = About { encounter_id: encounter, ..About::default() }.values((&act.lane_id, ""));
    let about = about.why(&format!("{reason}, at the page of gateway {}", act.gateway_id));
    work.audit_about(("lane_session_closed", session), about).await
}

/// Readings that came before the opening of their session are placed as if they had come after it.
async fn place_again(work: &mut Work, lane: &str, session: &str) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let rows = lane_act::waiting_readings(&mut work.tx, &tenant, session).await?;
    for row in rows.iter().filter(|row| row.lane_id == lane) {
        place_one_again(work, row, session).await?;
    }
    Ok(())
}

async fn place_one_again(work: &mut Work, row: &ReadingRow, session: &str) -> Result<(), AppError> {
    let tenant = work.who.tenant.clone();
    let at_us = row.captured_at_us;
    let until_us = at_us.saturating_add(CLOCK_BEHIND_MAX_US);
    let around = (at_us, until_us);
    let Some(lane) = lane_open::lane_between(&mut work.tx, &tenant, &row.lane_id, around).await?
    else {
        return Ok(());
    };
    let clock = row.reading_as_sent().map_or(ClockState::Unsynced, |reading| reading.clock);
    let facts = Facts {
        captured_at_us: at_us,
        clock,
        stamped: Some(session),
        is_lane_empty: false,
        claimed: row.claimed_patient.as_deref(),
        known: Known::default(),
    };
    let placed = placing::place(&mut work.tx, &tenant, facts, &lane).await?;
    if placed.place == Place::Tray {
        return Ok(());
    }
    if placed.place == Place::Exam {
        lane_open::touch(&mut work.tx, &tenant, session, at_us).await?;
    }
    let next = Next {
        place: placed.place.as_str(),
        reason: &placed.reason,
        encounter_id: placed.encounter_id.as_deref(),
        ..Next::of(row)
    };
    let about = work.change(row, next, "the opening of its lane session has arrived").await?;
    work.audit_about(("reading_placed", &row.reading_id), about).await
}

async fn assign_reading(
    work: &mut Work,
    act: &Act,
    reading: &ReadingId,
    accession: &str,
) -> Result<Outcome, AppError> {
    let Some(row) = reading_of(work, act, reading).await? else {
        return Ok(Outcome::Waits("its reading has not come"));
    };
    let visit = visit(work, act, accession).await?;
    if row.place == "exam" && row.encounter_id.as_deref() == Some(&visit.encounter_id) {
        return Ok(Outcome::Done);
    }
    let encounter_id = visit.encounter_id;
    let choice = Choice { encounter_id, ..Choice::default() };
    assign::assign(work, &row.reading_id, &choice).await?;
    Ok(Outcome::Done)
}

async fn accept_reading(
    work: &mut Work,
    act: &Act,
    reading: &ReadingId,
    accession: &str,
) -> Result<Outcome, AppError> {
    let Some(row) = reading_of(work, act, reading).await? else {
        return Ok(Outcome::Waits("its reading has not come"));
    };
    let visit = visit(work, act, accession).await?;
    if row.place != "exam" || row.encounter_id.as_deref() != Some(&visit.encounter_id) {
        let message = "the reading is not in the exam in which it was accepted";
        return Err(AppError::Refused(message.into()));
    }
    if row.acceptance == "accepted" {
        return Ok(Outcome::Done);
    }
    accept::accept(work, &visit.encounter_id, &row.reading_id, None).await?;
    Ok(Outcome::Done)
}

/// The reading of an act, or the one that it was printed twice of.
async fn reading_of(
    work: &mut Work,
    act: &Act,
    reading: &ReadingId,
) -> Result<Option<ReadingRow>, AppError> {
    let tenant = work.who.tenant.clone();
    let found = exam::reading(&mut work.tx, &tenant, &reading.to_string()).await?;
    let of_location = |row: &ReadingRow| row.location_id == act.location_id;
    Ok(match found.filter(of_location) {
        Some(row) if row.place == "duplicate" => {
            let first = exam::first_print(&mut work.tx, &tenant, &row.reading_id).await?;
            first.filter(of_location)
        }
        other => other,
    })
}
