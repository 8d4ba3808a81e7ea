//! The pages and what their forms do.

use super::{
    Page,
    serve::From,
    views::{self, Notice},
};
use crate::{
    clock,
    lane_page::{
        desk::Refusal,
        sign_in::{Person, SignInError},
    },
};
use axum::{
    Extension, Form,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use chiasm_proto::{LaneId, ReadingId};
use serde::Deserialize;

/// Holds the token of the sign-in. `__Host-` keeps it to this very address, over TLS.
const COOKIE: &str = "__Host-lane-page";
/// What the page fetches by itself says so: it must not keep an unattended screen signed in.
const POLL_HEADER: &str = "x-poll";

#[derive(Deserialize)]
pub(super) struct SignInForm {
    login: String,
    pin: String,
}

#[derive(Deserialize)]
pub(super) struct CsrfForm {
    csrf: String,
}

#[derive(Deserialize)]
pub(super) struct OpenForm {
    csrf: String,
    accession: String,
}

/// Without a reading, every one that needs no look of its own.
#[derive(Deserialize)]
pub(super) struct ReadingForm {
    csrf: String,
    reading: Option<ReadingId>,
}

#[derive(Deserialize)]
pub(super) struct SwitchForm {
    csrf: String,
    to_local: bool,
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split(';').find_map(|it| it.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

fn who(page: &Page, headers: &HeaderMap) -> Option<Person> {
    let is_person = !headers.contains_key(POLL_HEADER);
    page.sign_ins.who(token(headers)?, is_person, clock::monotonic())
}

/// Why a form is not taken.
enum NoAuthor {
    SignedOut,
    /// It was not made by one of our pages for this person.
    NotOurs,
}

impl IntoResponse for NoAuthor {
    fn into_response(self) -> Response {
        match self {
            NoAuthor::SignedOut => to_sign_in(),
            NoAuthor::NotOurs => {
                (StatusCode::FORBIDDEN, "This form is too old: go back.").into_response()
            }
        }
    }
}

/// Who sends a form, if it was made by one of our pages for them.
fn author(page: &Page, headers: &HeaderMap, csrf: &str) -> Result<Person, NoAuthor> {
    match who(page, headers) {
        Some(person) if person.csrf == csrf => Ok(person),
        Some(_) => Err(NoAuthor::NotOurs),
        None => Err(NoAuthor::SignedOut),
    }
}

fn to_sign_in() -> Response {
    Redirect::to("/sign-in").into_response()
}

pub(super) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "There is no such page on this gateway.").into_response()
}

pub(super) async fn sign_in_form(State(page): State<Page>) -> Response {
    views::sign_in(&page, "", StatusCode::OK)
}

pub(super) async fn sign_in(
    State(page): State<Page>,
    Extension(From(from)): Extension<From>,
    Form(form): Form<SignInForm>,
) -> Response {
    let now = clock::monotonic();
    match page.sign_ins.sign_in(&form.login, &form.pin, from, now).await {
        Ok(token) => {
            let cookie = format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict");
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Err(error) => {
            let status = match error {
                SignInError::TooMany => StatusCode::TOO_MANY_REQUESTS,
                SignInError::Wrong | SignInError::NoStaff => StatusCode::UNAUTHORIZED,
            };
            views::sign_in(&page, &error.to_string(), status)
        }
    }
}

pub(super) async fn sign_out(
    State(page): State<Page>,
    headers: HeaderMap,
    Form(form): Form<CsrfForm>,
) -> Response {
    if let Err(answer) = author(&page, &headers, &form.csrf) {
        return answer.into_response();
    }
    if let Some(token) = token(&headers) {
        page.sign_ins.sign_out(token);
    }
    to_sign_in()
}

pub(super) async fn switch(
    State(page): State<Page>,
    headers: HeaderMap,
    Form(form): Form<SwitchForm>,
) -> Response {
    if let Err(answer) = author(&page, &headers, &form.csrf) {
        return answer.into_response();
    }
    page.desk.switch(form.to_local);
    Redirect::to("/").into_response()
}

pub(super) async fn lanes(State(page): State<Page>, headers: HeaderMap) -> Response {
    match who(&page, &headers) {
        Some(person) => views::lanes(&page, &person).await,
        None => to_sign_in(),
    }
}

pub(super) async fn lane(
    State(page): State<Page>,
    headers: HeaderMap,
    Path(lane): Path<LaneId>,
) -> Response {
    match who(&page, &headers) {
        Some(_) if !page.desk.own_lanes.contains(&lane) => not_found().await,
        Some(person) => views::lane(&page, &person, &lane, Notice::default()).await,
        None => to_sign_in(),
    }
}

pub(super) async fn open(
    State(page): State<Page>,
    headers: HeaderMap,
    Path(lane): Path<LaneId>,
    Form(form): Form<OpenForm>,
) -> Response {
    match author(&page, &headers, &form.csrf) {
        Ok(person) => {
            let done = page.desk.open(&person.account, &lane, &form.accession).await;
            answer(&page, &person, &lane, done).await
        }
        Err(answer) => answer.into_response(),
    }
}

pub(super) async fn end(
    State(page): State<Page>,
    headers: HeaderMap,
    Path(lane): Path<LaneId>,
    Form(form): Form<CsrfForm>,
) -> Response {
    match author(&page, &headers, &form.csrf) {
        Ok(person) => {
            let done = page.desk.end(&person.account, &lane).await;
            answer(&page, &person, &lane, done).await
        }
        Err(answer) => answer.into_response(),
    }
}

pub(super) async fn accept(
    State(page): State<Page>,
    headers: HeaderMap,
    Path(lane): Path<LaneId>,
    Form(form): Form<ReadingForm>,
) -> Response {
    match author(&page, &headers, &form.csrf) {
        Ok(person) => {
            let done = page.desk.accept(&person.account, &lane, form.reading).await;
            answer(&page, &person, &lane, done).await
        }
        Err(answer) => answer.into_response(),
    }
}

pub(super) async fn assign(
    State(page): State<Page>,
    headers: HeaderMap,
    Path(lane): Path<LaneId>,
    Form(form): Form<ReadingForm>,
) -> Response {
    let person = match author(&page, &headers, &form.csrf) {
        Ok(person) => person,
        Err(answer) => return answer.into_response(),
    };
    let done = match form.reading {
        Some(reading) => page.desk.assign(&person.account, &lane, reading).await,
        None => Err(Refusal::NoReading),
    };
    answer(&page, &person, &lane, done).await
}

/// The lane as it is now; what was refused stands on it.
async fn answer(
    page: &Page,
    person: &Person,
    lane: &LaneId,
    done: Result<(), Refusal>,
) -> Response {
    match done {
        Ok(()) => Redirect::to(&format!("/lanes/{lane}")).into_response(),
        Err(Refusal::NoLane) => not_found().await,
        Err(refusal) => {
            let notice = Notice { text: refusal.to_string() };
            let body = views::lane(page, person, lane, notice).await;
            (StatusCode::CONFLICT, body).into_response()
        }
    }
}
