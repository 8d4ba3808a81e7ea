//! Who signs in, for clinic IT. Nobody's patients are here.

use super::{
    Fault, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::{
        AppError,
        people::{self, Made},
        principal::Role,
    },
    clock,
    http::extract::{Form, ID_LEN_MAX, text},
    store::account::{self, Person},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Vec<PersonView>,
    roles: Vec<(&'static str, &'static str)>,
    /// A password that was just made: for whom, and the password. Shown only now.
    made: Option<(String, String)>,
    fault: String,
    has_provider: bool,
}

struct PersonView {
    id: String,
    login: String,
    name: String,
    role: String,
    role_label: &'static str,
    is_disabled: bool,
    is_new: bool,
    is_self: bool,
    claim: String,
    is_linked: bool,
    sign_ins: i64,
    seen_ms: Option<i64>,
}

/// Fields of the page's forms.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PersonForm {
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    login: String,
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    name: String,
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    role: String,
    #[serde(deserialize_with = "text::<ID_LEN_MAX, _>")]
    claim: String,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    list(&web, &who, None, String::new()).await
}

async fn list(
    web: &Web,
    who: &Who,
    made: Option<(String, String)>,
    fault: String,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let people = account::people(&mut tx, &who.tenant, clock::now_us()).await?;
    drop(tx);
    page(PeoplePage {
        frame: Frame::new("People", Some(who), "none"),
        people: people.into_iter().map(|it| view(it, who)).collect(),
        roles: Role::ALL.iter().map(|role| (role.as_str(), role.label())).collect(),
        made,
        fault,
        has_provider: web.core.config.oidc.is_some(),
    })
}

fn view(it: Person, who: &Who) -> PersonView {
    PersonView {
        role_label: Role::parse(&it.role).map_or("Unknown role", Role::label),
        is_self: it.account_id == who.account,
        id: it.account_id,
        login: it.login,
        name: it.display_name,
        role: it.role,
        is_disabled: it.disabled_at_us.is_some(),
        is_new: it.must_change_password,
        claim: it.provider_claim.unwrap_or_default(),
        is_linked: it.is_linked,
        sign_ins: it.sign_ins,
        seen_ms: it.seen_at_us.map(|at_us| at_us / 1000),
    }
}

/// The page again, with what was made or what is wrong.
async fn answer(
    web: &Web,
    who: &Who,
    done: Result<Option<(String, String)>, AppError>,
) -> Result<Response, Fault> {
    match done {
        Ok(None) => Ok(Redirect::to("/people").into_response()),
        Ok(made) => list(web, who, made, String::new()).await,
        Err(error @ (AppError::Field(..) | AppError::Refused(_))) => {
            let body = list(web, who, None, Fault::from(error).message).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, body).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn add(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<PersonForm>,
) -> Result<Response, Fault> {
    let made = Made::new().await?;
    let mut work = begin(&web, &who).await?;
    let names = (form.login.as_str(), form.name.as_str());
    let done = match people::add(&mut work, names, &form.role, &made).await {
        Ok(()) => work.commit().await.map(|()| Some((form.name.clone(), made.password))),
        Err(error) => Err(error),
    };
    answer(&web, &who, done).await
}

pub async fn reset_password(
    State(web): State<Web>,
    who: Who,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let made = Made::new().await?;
    let mut work = begin(&web, &who).await?;
    let done = match people::reset_password(&mut work, &id, &made).await {
        Ok(name) => work.commit().await.map(|()| Some((name, made.password))),
        Err(error) => Err(error),
    };
    answer(&web, &who, done).await
}

macro_rules! changes {
    ($($(#[$meta:meta])* $name:ident = |$work:ident, $id:ident, $form:ident| $change:expr;)+) => { $(
        $(#[$meta])*
        pub async fn $name(
            State(web): State<Web>,
            who: Who,
            Path($id): Path<String>,
            Form($form): Form<PersonForm>,
        ) -> Result<Response, Fault> {
            let _ = &$form;
            let mut work = begin(&web, &who).await?;
            let done = {
                let $work = &mut work;
                $change.await
            };
            let done = match done {
                Ok(()) => work.commit().await.map(|()| None),
                Err(error) => Err(error),
            };
            answer(&web, &who, done).await
        }
    )+ };
}

changes! {
    set_role = |work, id, form| people::set_role(work, &id, &form.role);
    disable = |work, id, form| people::set_disabled(work, &id, true);
    enable = |work, id, form| people::set_disabled(work, &id, false);
    sign_out = |work, id, form| people::sign_out(work, &id);
    set_claim = |work, id, form| people::set_claim(work, &id, &form.claim);
}
