//! The OpenAPI document of `/api/v1`. Handlers say what they take and give; who may call them and
//! how they refuse is added here from the table of routes, which stays the truth.

use super::{
    audit, charges, corrections, exam, fleet, history, inboxes, lanes, optical, orders, patients,
    record, reports, waiting,
};
use crate::{
    app::principal::Role,
    http::{
        auth,
        fault::FaultJson,
        guard::Access,
        routes::{self, Route},
    },
};
use axum::{
    http::{Method, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use utoipa::OpenApi;

/// Where the API begins.
pub const PREFIX: &str = "/api/v1";

const ABOUT: &str = "\
Exams, lanes, waiting readings, the schedule and the fleet of one practice, as the pages show them.

Sign in at `POST /api/v1/sign-in` and send the token as `Authorization: Bearer …`. With the cookie \
of a page, changes need the header `x-csrf-token` with the token of `GET /api/v1/me`.

Names that end in `_at_us` are moments in microseconds since 1970 UTC. Values inside a reading's \
`document` are as the instrument sent them.

A refusal is always a `Fault`. A change names the `version` of the reading that was seen; if \
somebody else changed it meanwhile, the answer is 409 and nothing happens: ask again and look. \
After 429 and 503, come again after the seconds of `Retry-After`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Chiasm", description = ABOUT, license(name = "Apache-2.0")),
    paths(
        document,
        super::docs::show,
        auth::sign_in_by_json,
        auth::sign_out_by_json,
        patients::me,
        patients::search,
        patients::schedule,
        patients::import,
        lanes::list,
        lanes::one,
        lanes::open,
        lanes::close,
        exam::readings,
        exam::accept_all,
        exam::accept,
        exam::undo,
        exam::reject,
        exam::move_out,
        corrections::swap,
        corrections::side,
        corrections::purpose,
        corrections::drops,
        corrections::amend,
        corrections::type_in,
        corrections::not_taken,
        corrections::give_drops,
        corrections::merge,
        corrections::unmerge,
        history::one,
        record::entries,
        record::save_acuity,
        record::save_subjective,
        record::save_final,
        record::start,
        record::finalise,
        record::signature,
        record::sign,
        record::addenda,
        record::add,
        record::notices_of_exam,
        record::notices,
        record::see,
        optical::vision_prescription,
        orders::list,
        orders::receive,
        orders::make,
        orders::of_exam,
        orders::one,
        orders::amend,
        orders::cancel,
        orders::take,
        orders::compared,
        orders::decide,
        charges::of_exam,
        charges::of_day,
        charges::say,
        waiting::list,
        waiting::assign,
        waiting::reject,
        audit::list,
        inboxes::list,
        inboxes::one,
        inboxes::take,
        inboxes::give_back,
        reports::show,
        fleet::list,
        fleet::conservation,
    ),
    components(schemas(FaultJson))
)]
struct Described;

/// The whole document.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let described = serde_json::to_value(Described::openapi());
    complete(described.expect("the document's keys are text"), &routes::routes())
});

/// The API for programs: an OpenAPI 3.1 document.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "About",
    responses((status = 200, body = Object)))]
pub async fn document() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, LazyLock::force(&DOCUMENT).to_string()).into_response()
}

/// Adds to what the handlers say what the table says.
fn complete(mut document: Value, routes: &[Route]) -> Value {
    document["components"]["securitySchemes"] =
        json!({"bearer": {"type": "http", "scheme": "bearer"}});
    let paths = document["paths"].as_object_mut().expect("the document has paths");
    for route in routes {
        let method = route.method.as_str().to_ascii_lowercase();
        let operation = paths.get_mut(route.path).and_then(|path| path.get_mut(&method));
        if let Some(operation) = operation.and_then(Value::as_object_mut) {
            complete_operation(operation, route);
        }
    }
    document
}

fn complete_operation(operation: &mut Map<String, Value>, route: &Route) {
    let roles = match route.access {
        Access::Public => &[],
        Access::Roles(roles) => roles,
    };
    let words: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    operation.insert("x-roles".into(), json!(words));
    let security = if roles.is_empty() { json!([]) } else { json!([{"bearer": []}]) };
    operation.insert("security".into(), security);
    operation.insert("operationId".into(), json!(operation_id(route)));
    let tag = operation.get_mut("tags").and_then(|tags| tags.get_mut(0));
    if let Some(tag) = tag {
        *tag = json!(tag.as_str().and_then(|tag| tag.rsplit("::").next()).map(heading));
    }
    let names = path_parameters(route.path);
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    for (at, name) in names.iter().enumerate() {
        let parameter = json!({"name": name, "in": "path", "required": true,
            "schema": {"type": "string", "minLength": 1, "maxLength": 200}});
        parameters.as_array_mut().expect("a list").insert(at, parameter);
    }
    let has_query =
        parameters.as_array().is_some_and(|all| all.iter().any(|it| it["in"] == "query"));
    let has_body = operation.contains_key("requestBody");
    if let Some(body) = operation.get_mut("requestBody") {
        take_out_null(body);
    }
    let answers = operation.entry("responses").or_insert_with(|| json!({}));
    let answers = answers.as_object_mut().expect("answers stand by status");
    for (status, words) in refusals(route, has_query, has_body, !names.is_empty()) {
        answers.entry(status).or_insert_with(|| json!({"description": words}));
    }
    for (status, answer) in answers.iter_mut() {
        dress(status, answer);
    }
}

/// A body that may be left out is not `null` when it is there.
fn take_out_null(body: &mut Value) {
    let Some(schema) = body.pointer_mut("/content/application~1json/schema") else { return };
    let choices = schema["oneOf"].as_array();
    let other = choices.and_then(|all| all.iter().find(|it| it["type"] != "null"));
    if let Some(other) = other.cloned() {
        *schema = other;
        body["required"] = json!(false);
    }
}

/// The refusals that follow from the shape of a route.
fn refusals(
    route: &Route,
    has_query: bool,
    has_body: bool,
    has_id: bool,
) -> Vec<(&'static str, &'static str)> {
    let is_signed_in = matches!(route.access, Access::Roles(_));
    let changes = route.method != Method::GET;
    let all = [
        (has_query || has_body, "400"),
        (is_signed_in, "401"),
        (is_signed_in || changes, "403"),
        (has_id, "404"),
        (is_signed_in && changes && has_id, "409"),
        (has_body, "413"),
        (has_body, "415"),
        (has_body || (is_signed_in && changes), "422"),
        (true, "503"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, status)| (status, words(status))).collect()
}

fn words(status: &str) -> &'static str {
    match status {
        "200" => "Done.",
        "204" => "Done; there is nothing to say.",
        "400" => "It cannot be read, or a parameter of the query does not fit.",
        "401" => "Nobody is signed in, or login or password is not right.",
        "403" => "The role may not do this, or the request came from another site.",
        "404" => "It is not there, or belongs to another practice.",
        "409" => "Somebody else changed it meanwhile, or the ids differ. Nothing happened.",
        "413" => "The body is too large.",
        "415" => "The content type is another.",
        "422" => "It makes no sense as asked; the message says why, `fields` where.",
        "429" => "Too many attempts.",
        "503" => "No time just now, and nothing happened.",
        _ => "",
    }
}

/// Words where there are none, and one form for all refusals.
fn dress(status: &str, answer: &mut Value) {
    if answer["description"].as_str().unwrap_or("").is_empty() {
        answer["description"] = json!(words(status));
    }
    if !status.starts_with(['4', '5']) {
        return;
    }
    answer["content"] =
        json!({"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}});
    if matches!(status, "429" | "503") {
        answer["headers"] = json!({"Retry-After": {
            "description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}
        }});
    }
}

/// `POST /api/v1/lanes/{lane}/session` is `post_lanes_session`.
fn operation_id(route: &Route) -> String {
    let path = route.path.strip_prefix(PREFIX).unwrap_or(route.path);
    let parts = path.split('/').filter(|part| !part.is_empty());
    let ends_in_id = path.ends_with('}');
    let words: Vec<_> = parts.filter(|part| !part.starts_with('{')).collect();
    let words = words.join("_").replace(['-', '.'], "_");
    let one = if ends_in_id { "_one" } else { "" };
    format!("{}_{words}{one}", route.method.as_str().to_ascii_lowercase())
}

fn path_parameters(path: &str) -> Vec<&str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect()
}

/// A module's name as a heading.
fn heading(tag: &str) -> String {
    let mut chars = tag.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect::<String>().replace('_', " ")
}

/// The roles of an operation, for people.
pub fn role_labels(operation: &Value) -> Vec<&'static str> {
    let roles = operation["x-roles"].as_array().into_iter().flatten();
    roles.filter_map(|role| Role::parse(role.as_str()?)).map(Role::label).collect()
}
