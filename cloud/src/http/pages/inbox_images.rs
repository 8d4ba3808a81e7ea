//! Images in the location's inbox: whose they are, a person decides for what came together.

use super::{Action, Fault, Web, Who, begin};
use crate::{
    app::{assign_images, work::Work},
    http::extract::Form,
    store::instance,
};
use axum::{
    extract::{Path, State},
    response::Response,
};

/// The image must wait at the location that the address names.
async fn check_location(work: &mut Work, location: &str, id: &str) -> Result<(), Fault> {
    let tenant = work.who.tenant.clone();
    let found = instance::by_id(&mut work.tx, &tenant, id).await?;
    match found {
        Some(row) if row.location_id == location => Ok(()),
        _ => Err(Fault::not_found("image at this location")),
    }
}

pub async fn assign(
    State(web): State<Web>,
    who: Who,
    Path((location, instance)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    check_location(&mut work, &location, &instance).await?;
    assign_images::assign(&mut work, &instance, &form.choice()).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}

pub async fn reject(
    State(web): State<Web>,
    who: Who,
    Path((location, instance)): Path<(String, String)>,
    Form(form): Form<Action>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    check_location(&mut work, &location, &instance).await?;
    assign_images::reject(&mut work, &instance, (&form.reason, form.version)).await?;
    work.commit().await?;
    Ok(form.done(&format!("/inbox/{location}")))
}
