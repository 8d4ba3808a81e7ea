//! What carries on from a signed exam to the optician: the prescription as it was signed.

use super::{AppError, about::PRESCRIPTION, work::Work};
use crate::{
    domain::{
        order::{Pd, SUM_WITHIN_MM},
        prescription::Prescription,
    },
    store::{
        StoreError, Tx,
        audit::About,
        encounter,
        exam::{self, ReadingRow},
        optical as store,
        signature::{self, Addendum},
    },
};
use chiasm_proto::{Hundredths, Measured};
use serde::Deserialize;

/// A final prescription as its signature covers it.
#[derive(Debug, Clone)]
pub struct Signed {
    pub rx: Prescription,
    /// Of the final prescription.
    pub version: i64,
    pub signed_by: String,
    pub signed_at_us: i64,
    pub snapshot_sha256: String,
    /// The readings of the exam as they were signed.
    pub readings: Vec<SignedReading>,
    /// What was added since, oldest first.
    pub addenda: Vec<Addendum>,
}

/// A reading of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SignedReading {
    pub reading_id: String,
    pub version: i64,
    pub document_sha256: String,
}

#[derive(Deserialize)]
struct Snapshot {
    #[serde(default)]
    readings: Vec<SignedReading>,
    #[serde(default)]
    entries: Vec<SnapshotEntry>,
}
#[derive(Deserialize)]
struct SnapshotEntry {
    kind: String,
    version: i64,
    body: serde_json::Value,
}

impl Signed {
    /// The autorefractions that the prescription began with, with the hash of each document.
    pub fn based_on(&self) -> Vec<(String, String)> {
        let ids = self.rx.based_on.iter().flat_map(|it| &it.readings);
        let hash = |id: &String| {
            let found = self.readings.iter().find(|it| it.reading_id == *id);
            found.map(|it| it.document_sha256.clone()).unwrap_or_default()
        };
        ids.map(|id| (id.clone(), hash(id))).collect()
    }
}

/// The prescription of an exam as it was signed, out of the document that the signature covers.
pub async fn signed(tx: &mut Tx, tenant: &str, encounter: &str) -> Result<Signed, AppError> {
    let visit = encounter::by_id(tx, tenant, encounter).await?;
    visit.ok_or(AppError::NotFound("encounter"))?;
    let Some(signature) = signature::of(tx, tenant, encounter).await? else {
        let message = "this exam is not signed, so there is no prescription to make glasses from: \
            a doctor writes the final prescription and signs the exam first";
        return Err(AppError::NotYet(message.into()));
    };
    let corrupt = |_| StoreError::Corrupt {
        table: "exam_signature",
        what: "signed record",
        value: encounter.to_owned(),
    };
    let snapshot: Snapshot = serde_json::from_str(&signature.snapshot).map_err(corrupt)?;
    let entry = snapshot.entries.into_iter().find(|entry| entry.kind == "final");
    let found = match entry {
        Some(entry) => Some((serde_json::from_value(entry.body).map_err(corrupt)?, entry.version)),
        None => None,
    };
    let Some((rx, version)) = found.filter(|(rx, _): &(Prescription, _)| !rx.is_empty()) else {
        let message = "this exam was signed without a final prescription, so there is nothing to \
            make glasses from: ask the doctor";
        return Err(AppError::NotYet(message.into()));
    };
    let addenda = signature::addenda(tx, tenant, encounter).await?;
    Ok(Signed {
        rx,
        version,
        signed_by: signature.signed_by,
        signed_at_us: signature.signed_at_us,
        snapshot_sha256: signature.snapshot_sha256,
        readings: snapshot.readings,
        addenda,
    })
}

/// The same, or nothing while there is none.
pub async fn signed_if_any(
    tx: &mut Tx,
    tenant: &str,
    encounter: &str,
) -> Result<Option<Signed>, AppError> {
    match signed(tx, tenant, encounter).await {
        Ok(signed) => Ok(Some(signed)),
        Err(AppError::NotYet(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The pupillary distance that an instrument of this exam proposes (R29): the latest that nobody
/// rejected. It is at the fixation of the instrument, and nobody's word yet.
#[derive(Debug, Clone)]
pub struct ProposedPd {
    pub pd: Pd,
    /// Measured for near, where the instrument did.
    pub near_mm: Option<Hundredths>,
    /// Right and left do not make the whole.
    pub is_inconsistent: bool,
    /// Where in the rows the reading stands.
    pub row: usize,
}

pub fn proposed_pd(rows: &[ReadingRow]) -> Option<ProposedPd> {
    rows.iter().enumerate().filter(|(_, row)| row.acceptance != "rejected").find_map(|(at, row)| {
        let reading = row.reading()?;
        let own = reading.decoded.measurements.iter().filter(|it| !it.relayed);
        let mut found = own.filter_map(|it| match &it.measured {
            Measured::PupillaryDistance(it) => Some(*it),
            _ => None,
        });
        let it = found.find(|it| it.far_mm.is_some() || it.right_mm.is_some())?;
        let pd = Pd {
            both_mm: it.far_mm,
            right_mm: it.right_mm,
            left_mm: it.left_mm,
            proposed_by: Some(row.reading_id.clone()),
        };
        let is_inconsistent = match (it.far_mm, it.right_mm, it.left_mm) {
            (Some(both), Some(right), Some(left)) => {
                (right.0 + left.0 - both.0).abs() > SUM_WITHIN_MM.0
            }
            _ => false,
        };
        Some(ProposedPd { pd, near_mm: it.near_mm, is_inconsistent, row: at })
    })
}

/// Optical says that it has the prescription.
pub async fn receive(work: &mut Work, encounter: &str) -> Result<(), AppError> {
    let (tenant, account) = (work.who.tenant.clone(), work.who.account.clone());
    signed(&mut work.tx, &tenant, encounter).await?;
    let by = (account.as_str(), work.now_us);
    if !store::receive(&mut work.tx, &tenant, encounter, by).await? {
        return Err(AppError::Refused("optical has received this prescription already".into()));
    }
    work.tell_exam(encounter);
    let about = About::exam(encounter).kinds([PRESCRIPTION]);
    work.audit_about(("prescription_received", encounter), about).await
}

/// Whether what a prescription rests on is another than it was when it was signed: readings of
/// refraction, glasses and distances that were changed, rejected or moved out since.
pub async fn changed_since(
    tx: &mut Tx,
    tenant: &str,
    (encounter, signed): (&str, &Signed),
) -> Result<bool, StoreError> {
    let mut here = exam::readings(tx, tenant, encounter).await?;
    let versions = exam::versions(tx, tenant, encounter).await?;
    for was in &signed.readings {
        let row = match here.iter().position(|row| row.reading_id == was.reading_id) {
            Some(at) => Some(here.swap_remove(at)),
            None => exam::reading(tx, tenant, &was.reading_id).await?,
        };
        let Some(row) = row else { continue };
        let is_here = row.place == "exam" && row.encounter_id.as_deref() == Some(encounter);
        // Being accepted later changes no value.
        let is_same = row.version == was.version
            || versions.iter().any(|it| {
                it.reading_id == was.reading_id
                    && it.version == was.version
                    && it.correction == row.correction
                    && (row.acceptance != "rejected" || it.acceptance == "rejected")
            });
        if !(is_here && is_same) && bears_on(&signed.rx, &row) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a reading is one that a prescription rests on (D9).
pub fn bears_on(rx: &Prescription, row: &ReadingRow) -> bool {
    let is_start = rx.based_on.iter().flat_map(|it| &it.readings).any(|id| *id == row.reading_id);
    let is_of_refraction = row.reading_as_sent().is_none_or(|it| {
        it.decoded.measurements.iter().any(|it| {
            matches!(
                it.measured,
                Measured::Refraction(_) | Measured::Lensometry(_) | Measured::PupillaryDistance(_)
            )
        })
    });
    is_start || is_of_refraction
}
