//! Accepted readings of instruments are sent to an archive as DICOM objects.
//!
//! ```text
//! acceptance, correction ─ same transaction ─► archive_export ─► job ─► C-STORE ─► archive
//! ```
//!
//! * Every accepted version of a reading is sent once. Its objects' identifiers follow from what is
//!   in them, so that sending again changes nothing at the archive, and a corrected reading is
//!   another instance in the same study.
//! * What cannot be sent is tried again, ever more seldom, and never given up.
//! * Where an authority is given, the way is TLS and nothing else.
//! * Nothing is taken back from an archive: a reading that is rejected later stays there.

mod objects;
mod send;
pub mod tls;

pub use send::{SendError, store};

use crate::{
    Core,
    app::local_time,
    store::{
        StoreError,
        archive::{self, Destination, Export},
        audit::{self, About},
        encounter, exam, site,
    },
};
use chiasm_drivers::dicom::write::Written;
use objects::Made;
use std::time::Duration;

const SECOND_US: i64 = 1_000_000;
/// How long the first attempt is waited for before somebody else may try.
const LEASE_US: i64 = 5 * 60 * SECOND_US;
/// The pause behind the first attempt that fails; each further one doubles it.
pub const RETRY_MIN_US: i64 = 15 * SECOND_US;
/// The longest pause.
pub const RETRY_MAX_US: i64 = 30 * 60 * SECOND_US;
/// How long one association may take.
pub const ASSOCIATION_MAX: Duration = Duration::from_secs(120);
/// Stands for the job in the audit.
const ACCOUNT: &str = "@archive";

/// What is to be sent of one export.
struct Ready {
    export: Export,
    about: About,
    objects: Vec<Written>,
    /// Kinds of which no object can be made, in words.
    left_out: String,
}

/// Sends what is due, of all tenants. Gives how many readings an archive took.
pub async fn export_once(core: &Core, now_us: i64) -> Result<usize, StoreError> {
    let mut tx = core.db.all_tenants_read().await?;
    let due = archive::due(&mut tx, now_us).await?;
    drop(tx);
    let mut sent = 0;
    for (tenant, location) in due {
        sent += export_location(core, (&tenant, &location), now_us).await?;
    }
    Ok(sent)
}

async fn export_location(
    core: &Core,
    (tenant, location): (&str, &str),
    now_us: i64,
) -> Result<usize, StoreError> {
    let mut tx = core.db.tenant(tenant).await?;
    let destinations = archive::destinations(&mut tx, tenant).await?;
    let destination = destinations.into_iter().find(|it| it.location_id == location);
    let taken = archive::take(&mut tx, (tenant, location), now_us, now_us + LEASE_US).await?;
    tx.commit().await?;
    let (Some(destination), false) = (destination, taken.is_empty()) else { return Ok(0) };
    let mut ready = Vec::new();
    for export in taken {
        ready.extend(prepare(core, tenant, export, now_us).await?);
    }
    if ready.is_empty() {
        return Ok(0);
    }
    let objects: Vec<&Written> = ready.iter().flat_map(|it| &it.objects).collect();
    let result = send_all(&destination, &objects).await;
    if let Err((_, error)) = &result {
        let called_ae = &destination.called_ae;
        tracing::warn!(tenant, location, %called_ae, %error, "an archive takes nothing");
    }
    settle(core, tenant, ready, result, now_us).await
}

/// Instances that the archive took, and why it did not take the next one.
async fn send_all(
    destination: &Destination,
    objects: &[&Written],
) -> Result<(), (Vec<String>, SendError)> {
    let mut taken = Vec::new();
    let sending = store(destination, objects, &mut taken);
    let result = match tokio::time::timeout(ASSOCIATION_MAX, sending).await {
        Ok(result) => result,
        Err(_) => Err(SendError::TooLong(ASSOCIATION_MAX.as_secs())),
    };
    result.map_err(|error| (taken, error))
}

/// The objects of one export, unless it has come to an end without any.
async fn prepare(
    core: &Core,
    tenant: &str,
    export: Export,
    now_us: i64,
) -> Result<Option<Ready>, StoreError> {
    let mut tx = core.db.tenant(tenant).await?;
    let row = exam::reading(&mut tx, tenant, &export.reading_id).await?;
    let row = row.filter(|row| {
        row.version == export.version && row.acceptance == "accepted" && row.place == "exam"
    });
    let visit = match row.as_ref().and_then(|row| row.encounter_id.as_deref()) {
        Some(id) => encounter::by_id(&mut tx, tenant, id).await?,
        None => None,
    };
    let (Some(row), Some(visit)) = (row, visit) else {
        archive::supersede(&mut tx, tenant, &export.reading_id, now_us).await?;
        tx.commit().await?;
        return Ok(None);
    };
    let location = site::location(&mut tx, tenant, &visit.location_id).await?;
    let zone = location.map_or(jiff::tz::TimeZone::UTC, |it| local_time::zone(&it.time_zone));
    let Made { objects, left_out } = objects::of(tenant, &row, &visit, &zone);
    if objects.is_empty() {
        let end = ("nothing", left_out.as_str());
        archive::settle(&mut tx, tenant, &export, end, (now_us, now_us)).await?;
        tx.commit().await?;
        return Ok(None);
    }
    let about = About {
        patient_id: Some(visit.patient_id),
        encounter_id: Some(visit.encounter_id),
        reading_id: Some(row.reading_id),
        ..About::default()
    };
    Ok(Some(Ready { export, about, objects, left_out }))
}

async fn settle(
    core: &Core,
    tenant: &str,
    ready: Vec<Ready>,
    result: Result<(), (Vec<String>, SendError)>,
    now_us: i64,
) -> Result<usize, StoreError> {
    let mut tx = core.db.tenant(tenant).await?;
    let mut entries = Vec::new();
    for Ready { export, about, objects, left_out } in ready {
        let failed = result.as_ref().err().filter(|(taken, _)| {
            !objects.iter().all(|object| taken.contains(&object.instance_uid))
        });
        if let Some((_, error)) = failed {
            let due_at_us = now_us + pause_us(export.attempts);
            let end = ("waiting", error.to_string());
            let (state, detail) = (end.0, end.1.as_str());
            archive::settle(&mut tx, tenant, &export, (state, detail), (now_us, due_at_us)).await?;
            continue;
        }
        let kinds: Vec<&str> = objects.iter().map(|object| object.kind.modality()).collect();
        let kinds = kinds.join(" ");
        let detail = match left_out.as_str() {
            "" => kinds.clone(),
            left_out => format!("{kinds}; {left_out}"),
        };
        archive::settle(&mut tx, tenant, &export, ("sent", &detail), (now_us, now_us)).await?;
        entries.push(audit::Entry {
            at_us: now_us,
            account_id: ACCOUNT.into(),
            role: String::new(),
            address: String::new(),
            is_look: false,
            action: "reading_archived".into(),
            subject: export.reading_id.clone(),
            about: About { why: format!("sent to the archive as {kinds}"), ..about },
        });
    }
    audit::append(&mut tx, tenant, &entries).await?;
    tx.commit().await?;
    Ok(entries.len())
}

/// The pause behind this many attempts.
pub fn pause_us(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or(0);
    RETRY_MIN_US.saturating_mul(1_i64 << doublings).min(RETRY_MAX_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_an_hour() {
        let seconds: Vec<i64> = (1..=9).map(|it| pause_us(it) / SECOND_US).collect();
        assert_eq!(seconds, [15, 30, 60, 120, 240, 480, 960, 1800, 1800]);
        assert_eq!(pause_us(i64::MAX), RETRY_MAX_US);
    }
}
