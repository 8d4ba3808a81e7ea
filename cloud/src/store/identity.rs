//! Whom an identity inside the data names.

use super::{StoreError, Tx};
use crate::{
    args,
    domain::placement::{Known, Visit},
    store::patient,
};

/// What the record knows about an identity.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    is_scheduled: bool,
    also: Vec<String>,
    visit: Option<(String, bool)>,
}

impl Identity {
    pub fn known(&self) -> Known<'_> {
        let visit = self.visit.as_ref().map(|(encounter_id, is_here_today)| Visit {
            encounter_id,
            is_here_today: *is_here_today,
        });
        Known { is_scheduled: self.is_scheduled, also: &self.also, visit, refused: None }
    }
}

/// Looks an identity up, for a reading of a location on a clinic-local date (`YYYY-MM-DD`). A text
/// that is a chart number and an identifier of ours names nobody for certain, and counts as a chart
/// number alone.
pub async fn of(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
    claimed: &str,
) -> Result<Identity, StoreError> {
    let Some(person) = patient::by_chart_number(tx, tenant, claimed).await? else {
        let visit = visit(tx, tenant, (location, date), claimed).await?;
        return Ok(Identity { visit, ..Identity::default() });
    };
    let charts = patient::family(tx, tenant, &person.patient_id).await?;
    let mut is_scheduled = false;
    for chart in &charts {
        is_scheduled |= is_expected(tx, tenant, (location, date), &chart.patient_id).await?;
    }
    let also = charts.into_iter().map(|chart| chart.chart_number).collect();
    Ok(Identity { is_scheduled, also, visit: None })
}

async fn visit(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
    accession: &str,
) -> Result<Option<(String, bool)>, StoreError> {
    let sql = "SELECT encounter_id, location_id, visit_date FROM encounter
        WHERE tenant_id = $1 AND accession = $2";
    let row: Option<(String, String, String)> =
        tx.fetch_optional(sql, args![tenant, accession]).await?;
    Ok(row.map(|(encounter, at, on)| (encounter, at == location && on == date)))
}

async fn is_expected(
    tx: &mut Tx,
    tenant: &str,
    (location, date): (&str, &str),
    patient: &str,
) -> Result<bool, StoreError> {
    let sql = "SELECT encounter_id FROM encounter
        WHERE tenant_id = $1 AND patient_id = $4 AND location_id = $2 AND visit_date = $3 LIMIT 1";
    let row: Option<(String,)> =
        tx.fetch_optional(sql, args![tenant, location, date, patient]).await?;
    Ok(row.is_some())
}
