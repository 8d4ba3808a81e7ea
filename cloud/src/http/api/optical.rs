//! What opticians get from a signed exam.

use super::{Fault, Web, Who};
use crate::{
    app::{AppError, local_time, look, optical},
    clock,
    domain::vision_prescription::{self, Facts},
    store::{account, encounter, patient, site},
};
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};

/// The media type of the standard.
const FHIR_JSON: &str = "application/fhir+json";

/// The signed final prescription as a FHIR R4 `VisionPrescription`. 409 as long as there is none.
#[utoipa::path(get, path = "/api/v1/encounters/{encounter}/vision-prescription",
    responses((status = 200, body = Object, content_type = "application/fhir+json"),
        (status = 409, description = "The exam is not signed, or without a prescription.")))]
pub async fn vision_prescription(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let tenant = &who.tenant;
    let mut tx = web.core.db.tenant_read(tenant).await?;
    let signed = optical::signed(&mut tx, tenant, &id).await?;
    let visit = encounter::by_id(&mut tx, tenant, &id).await?;
    let visit = visit.ok_or_else(|| Fault::not_found("encounter"))?;
    let location = site::location(&mut tx, tenant, &visit.location_id).await?;
    let patient_id = patient::survivor(&mut tx, tenant, &visit.patient_id).await?;
    let names = account::names(&mut tx, tenant).await?;
    drop(tx);
    let zone = local_time::zone(location.as_ref().map_or("UTC", |it| it.time_zone.as_str()));
    let name = names.into_iter().find(|(account, _)| *account == signed.signed_by);
    let name = name.map_or_else(|| signed.signed_by.clone(), |(_, name)| name);
    let signed_at = local_time::with_offset(signed.signed_at_us, &zone);
    let last = signed.addenda.last().map(|it| local_time::with_offset(it.added_at_us, &zone));
    let resource = vision_prescription::resource(&Facts {
        rx: &signed.rx,
        encounter_id: &id,
        patient_id: &patient_id,
        chart_number: &visit.chart_number,
        prescriber_id: &signed.signed_by,
        prescriber_name: &name,
        signed_at: &signed_at,
        version: signed.version,
        snapshot_sha256: &signed.snapshot_sha256,
        readings: &signed.based_on(),
        addenda: last.map(|last| (signed.addenda.len(), last)),
    });
    let resource = resource.ok_or_else(|| AppError::NotFound("prescription"))?;
    let what = ("vision_prescription_read", id.as_str());
    look::look(&web.core.db, &who, what, clock::now_us()).await?;
    let json = serde_json::to_string(&resource).map_err(|error| Fault::ours(&error))?;
    Ok(([(header::CONTENT_TYPE, FHIR_JSON)], json).into_response())
}
