//! Pages for people, rendered here and followed live by small scripts. Every action is a form that
//! works without script.

pub mod account;
pub mod audit;
pub mod charges;
pub mod charts;
pub mod configuration;
pub mod exam;
pub mod failures;
pub mod fleet;
pub mod frame;
pub mod history;
pub mod inbox;
pub mod inbox_images;
pub mod incidents;
pub mod instance;
pub mod instruments;
pub mod lane;
pub mod lanes;
pub mod notices;
pub mod opening;
pub mod optical;
pub mod patients;
pub mod people;
pub mod preferences;
pub mod raw;
pub mod reports;
pub mod slip;
mod unread;
pub mod visit;

use super::{Fault, Web, Who};
use crate::{
    app::{assign::Choice, principal::Role, work::Work},
    clock,
    store::{self, Tx},
};
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Deserializer};
use std::collections::HashMap;

/// Where somebody's work is.
pub async fn home(who: Who) -> Redirect {
    Redirect::to(match who.role {
        role if role.is_clinical() => "/lanes",
        Role::Optician => "/optical",
        _ => "/fleet",
    })
}

/// Fields of the forms that change a reading.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Action {
    #[serde(deserialize_with = "empty_is_none")]
    version: Option<i64>,
    reason: String,
    encounter: String,
    although_ids_differ: Option<String>,
    /// The page to go back to.
    back: String,
}

impl Action {
    fn choice(&self) -> Choice {
        Choice {
            encounter_id: self.encounter.clone(),
            version: self.version,
            although_ids_differ: self.although_ids_differ.is_some(),
            reason: self.reason.clone(),
        }
    }
    /// Back to the page that the form stood on.
    fn done(&self, otherwise: &str) -> Response {
        back_to(&self.back, otherwise)
    }
}

/// Back to the page that a form stood on, as the form says.
fn back_to(back: &str, otherwise: &str) -> Response {
    let back = if back.is_empty() { otherwise } else { back };
    Redirect::to(super::auth::own_path(back)).into_response()
}

fn empty_is_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

async fn begin(web: &Web, who: &Who) -> Result<Work, Fault> {
    Ok(Work::begin(&web.core, who, clock::now_us()).await?)
}

/// Names of a tenant's people by account.
struct Names(HashMap<String, String>);

impl Names {
    async fn load(tx: &mut Tx, tenant: &str) -> Result<Self, Fault> {
        Ok(Self(store::account::names(tx, tenant).await?.into_iter().collect()))
    }
    /// The person's name, or the account's own word for what is no person.
    fn of(&self, account: &str) -> String {
        self.0.get(account).cloned().unwrap_or_else(|| account.to_owned())
    }
}
