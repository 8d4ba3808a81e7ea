//! One's own account: another password, and where one is signed in.

use super::{
    Fault, Web, Who, begin,
    frame::{Frame, page},
};
use crate::{
    app::{
        own_account,
        password::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN},
        sign_in::SignInError,
    },
    clock,
    http::extract::{Form, text},
    store::{
        account,
        sign_in::{self, Session},
    },
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use chiasm_proto::lane_page::{PIN_LEN_MAX, PIN_LEN_MIN};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    must_change: bool,
    sessions: Vec<SessionView>,
    fault: String,
    is_changed: bool,
    /// None for a role that has nothing to do at gateways' pages.
    pin: Option<PinView>,
}

/// What the page says about the PIN.
struct PinView {
    is_set: bool,
    /// What became of a change just now.
    done: &'static str,
}

struct SessionView {
    id: String,
    browser: String,
    address: String,
    is_this: bool,
    since_ms: i64,
    seen_ms: i64,
}

/// The form for another password.
#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(deserialize_with = "text::<PASSWORD_LEN_MAX, _>")]
    old_password: String,
    #[serde(deserialize_with = "text::<PASSWORD_LEN_MAX, _>")]
    new_password: String,
    #[serde(deserialize_with = "text::<PASSWORD_LEN_MAX, _>")]
    again: String,
}

/// The form for another PIN; empty takes the PIN away.
#[derive(Deserialize)]
pub struct PinForm {
    #[serde(deserialize_with = "text::<PIN_LEN_MAX, _>")]
    pin: String,
    #[serde(deserialize_with = "text::<PIN_LEN_MAX, _>")]
    again: String,
}

pub async fn show(State(web): State<Web>, who: Who) -> Result<Response, Fault> {
    view(&web, &who, String::new(), false, "").await
}

async fn view(
    web: &Web,
    who: &Who,
    fault: String,
    is_changed: bool,
    pin_done: &'static str,
) -> Result<Response, Fault> {
    let mut tx = web.core.db.tenant_read(&who.tenant).await?;
    let now_us = clock::now_us();
    let sessions = sign_in::of_account(&mut tx, &who.tenant, &who.account, now_us).await?;
    let is_set = account::has_pin(&mut tx, &who.tenant, &who.account).await?;
    drop(tx);
    let pin = who.role.is_clinical().then_some(PinView { is_set, done: pin_done });
    let session = |it: Session| SessionView {
        is_this: it.token_sha256 == who.token_sha256,
        id: it.token_sha256,
        browser: if it.browser.is_empty() { "a browser".into() } else { it.browser },
        address: it.address,
        since_ms: it.created_at_us / 1000,
        seen_ms: it.seen_at_us / 1000,
    };
    page(AccountPage {
        frame: Frame::new("Your account", Some(who), "none"),
        must_change: who.must_change_password && !is_changed,
        sessions: sessions.into_iter().map(session).collect(),
        fault,
        is_changed,
        pin,
    })
}

pub async fn change_password(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<PasswordForm>,
) -> Result<Response, Fault> {
    let refuse = async |fault: Fault| {
        let body = view(&web, &who, fault.message, false, "").await?;
        Ok((fault.status, body).into_response())
    };
    if form.new_password != form.again {
        let message = "The new password is not the same both times.";
        let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
        return refuse(Fault::new(status, "refused", message)).await;
    }
    let passwords = (form.old_password.as_str(), form.new_password.as_str());
    let (core, now_us) = (&web.core, clock::now_us());
    match own_account::change_password(core, &who, &web.attempts, passwords, now_us).await {
        Ok(()) => {}
        Err(SignInError::App(error)) => return refuse(error.into()).await,
        Err(error) => return refuse(error.into()).await,
    }
    view(&web, &who, String::new(), true, "").await
}

pub async fn set_pin(
    State(web): State<Web>,
    who: Who,
    Form(form): Form<PinForm>,
) -> Result<Response, Fault> {
    let refuse = async |fault: Fault| {
        let body = view(&web, &who, fault.message, false, "").await?;
        Ok((fault.status, body).into_response())
    };
    if form.pin != form.again {
        let message = "The PIN is not the same both times.";
        let status = axum::http::StatusCode::UNPROCESSABLE_ENTITY;
        return refuse(Fault::new(status, "refused", message)).await;
    }
    match own_account::set_pin(&web.core, &who, &form.pin, clock::now_us()).await {
        Ok(()) if form.pin.is_empty() => {
            view(&web, &who, String::new(), false, "Your PIN is taken away.").await
        }
        Ok(()) => {
            let done = "Your PIN is set. Gateways know it within a minute.";
            view(&web, &who, String::new(), false, done).await
        }
        Err(error) => refuse(error.into()).await,
    }
}

pub async fn end_session(
    State(web): State<Web>,
    who: Who,
    Path(session): Path<String>,
) -> Result<Response, Fault> {
    let mut work = begin(&web, &who).await?;
    own_account::end_session(&mut work, &session).await?;
    work.commit().await?;
    Ok(Redirect::to("/account").into_response())
}
