//! What every page has around its content.

use crate::{
    app::{
        audit_list,
        principal::{Principal, Role},
        sign_in::{IDLE_MAX_S, TOUCH_EVERY_S},
    },
    clock,
    http::{Fault, Who},
};
use askama::Template;
use axum::response::{Html, IntoResponse, Response};

/// Title, navigation and what the scripts need to know.
pub struct Frame {
    pub title: String,
    pub person: Option<Person>,
    /// Query of the page's `/live` stream; empty where nothing is followed.
    pub live: String,
    /// The server's clock, against which pages count: a browser's may be wrong.
    pub now_ms: i64,
}

pub struct Person {
    pub name: String,
    pub role: &'static str,
    pub is_clinical: bool,
    pub sees_audit: bool,
    pub sees_reports: bool,
    pub is_optical: bool,
    pub sees_people: bool,
    pub runs_fleet: bool,
    pub csrf: String,
    /// Notices that the person has not seen.
    pub notices: i64,
}

impl Frame {
    /// `live` is the stream's filter, such as `lane=lane-1`; `none` follows nothing.
    pub fn new(title: impl Into<String>, who: Option<&Who>, live: &str) -> Self {
        let person = |principal: &Principal, notices| Person {
            name: principal.name.clone(),
            role: principal.role.label(),
            sees_audit: audit_list::ROLES.contains(&principal.role),
            sees_people: principal.role == Role::ClinicIt,
            runs_fleet: matches!(principal.role, Role::ClinicIt | Role::CloudStaff),
            is_clinical: principal.role.is_clinical(),
            sees_reports: matches!(principal.role, Role::Doctor | Role::ClinicIt),
            is_optical: principal.role.is_optical(),
            csrf: principal.csrf_token.clone(),
            notices,
        };
        Self {
            title: title.into(),
            person: who.map(|who| person(who, who.1)),
            live: live.to_owned(),
            now_ms: clock::now_us() / 1000,
        }
    }
    /// How long the screen may be without use, in milliseconds; 0 where it signs nobody out. A
    /// little less than the server allows, which notes use only now and then.
    pub fn idle_ms(&self) -> i64 {
        let sees_patients = self.person.as_ref().is_some_and(|person| person.is_optical);
        if sees_patients { (IDLE_MAX_S - TOUCH_EVERY_S) * 1000 } else { 0 }
    }
    /// The CSRF token for forms; empty where nobody is signed in.
    pub fn csrf(&self) -> &str {
        self.person.as_ref().map_or("", |person| &person.csrf)
    }
}

/// Renders a page.
pub fn page(template: impl Template) -> Result<Response, Fault> {
    let html = template.render().map_err(|error| Fault::ours(&error))?;
    Ok(Html(html).into_response())
}
