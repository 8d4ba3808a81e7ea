//! What a person chose for themselves.

use super::{super::auth::own_path, Fault, Web, Who, begin};
use crate::{
    app::preferences,
    domain::optics::Notation,
    store::{Tx, account},
};
use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Preferences {
    notation: String,
    /// The page to go back to.
    back: String,
}

pub async fn save(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<Preferences>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    preferences::set_notation(&mut work, &form.notation).await?;
    work.commit().await?;
    Ok(Redirect::to(own_path(&form.back)).into_response())
}

/// In which form of writing the person wants cylinders.
pub async fn notation(tx: &mut Tx, who: &Who) -> Result<Notation, Fault> {
    let word = account::notation(tx, &who.tenant, &who.account).await?;
    Ok(Notation::parse(&word).unwrap_or_default())
}
