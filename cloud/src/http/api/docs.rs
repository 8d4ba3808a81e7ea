//! The API's document as a page to read, made from the document itself.

use super::openapi::{DOCUMENT, role_labels};
use crate::http::{
    Fault,
    pages::frame::{Frame, page},
};
use askama::Template;
use axum::response::Response;
use serde_json::Value;

#[derive(Template)]
#[template(path = "api_docs.html")]
struct DocsPage {
    frame: Frame,
    about: Vec<Words>,
    version: String,
    sections: Vec<Section>,
    schemas: Vec<Schema>,
}

struct Section {
    name: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: Words,
    /// Who may; empty for everybody.
    roles: String,
    parameters: Vec<Field>,
    body: Option<Content>,
    answers: Vec<Answer>,
}

struct Answer {
    status: String,
    about: String,
    content: Option<Content>,
}

/// A body: its content type and what is in it.
struct Content {
    media_type: String,
    is_required: bool,
    kind: Kind,
}

/// A type in words, and the schema that it names.
struct Kind {
    words: String,
    schema: Option<String>,
}

struct Schema {
    name: String,
    about: Words,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    place: String,
    is_required: bool,
    kind: Kind,
    about: Words,
}

/// Text in pieces, and whether each is code.
type Words = Vec<(bool, String)>;

/// The API in words.
#[utoipa::path(get, path = "/api/v1/docs", tag = "About",
    responses((status = 200, body = String, content_type = "text/html")))]
pub async fn show() -> Result<Response, Fault> {
    let document = &*DOCUMENT;
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    page(DocsPage {
        frame: Frame::new("API", None, "none"),
        about: text(&document["info"]["description"]).split("\n\n").map(words).collect(),
        version: text(&document["info"]["version"]),
        sections: sections(document),
        schemas: schemas.map(|(name, schema)| to_schema(name, schema)).collect(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn words(text: &str) -> Words {
    let pieces = text.split('`').enumerate();
    pieces.map(|(at, piece)| (at % 2 == 1, piece.to_owned())).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn sections(document: &Value) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let name = text(&operation["tags"][0]);
            let of = (path.as_str(), method.as_str());
            let operation = to_operation(of, operation);
            match sections.iter_mut().find(|section| section.name == name) {
                Some(section) => section.operations.push(operation),
                None => sections.push(Section { name, operations: vec![operation] }),
            }
        }
    }
    sections.sort_by(|a, b| a.name.cmp(&b.name));
    sections
}

fn to_operation((path, method): (&str, &str), operation: &Value) -> Operation {
    let parameter = |it: &Value| Field {
        name: text(&it["name"]),
        place: text(&it["in"]),
        is_required: it["required"] == true,
        kind: kind(&it["schema"]),
        about: words(&text(&it["description"])),
    };
    let answer = |(status, it): (&String, &Value)| Answer {
        status: status.clone(),
        about: text(&it["description"]),
        content: content(it),
    };
    Operation {
        id: text(&operation["operationId"]),
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        about: words(&text(&operation["description"])),
        roles: role_labels(operation).join(", "),
        parameters: list(&operation["parameters"]).map(parameter).collect(),
        body: content(&operation["requestBody"]),
        answers: operation["responses"].as_object().into_iter().flatten().map(answer).collect(),
    }
}

fn content(of: &Value) -> Option<Content> {
    let (media_type, it) = of["content"].as_object()?.iter().next()?;
    Some(Content {
        media_type: media_type.clone(),
        is_required: of["required"] == true,
        kind: kind(&it["schema"]),
    })
}

fn to_schema(name: &str, schema: &Value) -> Schema {
    let required: Vec<_> = list(&schema["required"]).filter_map(Value::as_str).collect();
    let field = |(name, it): (&String, &Value)| Field {
        name: name.clone(),
        place: String::new(),
        is_required: required.contains(&name.as_str()),
        kind: kind(it),
        about: words(&text(&it["description"])),
    };
    let fields = schema["properties"].as_object().into_iter().flatten().map(field);
    let about = words(&text(&schema["description"]));
    Schema { name: name.to_owned(), about, fields: fields.collect() }
}

/// A schema's type: `integer or null`, `list of Reading`.
fn kind(schema: &Value) -> Kind {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return Kind { words: String::new(), schema: Some(name.to_owned()) };
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let is_null = |it: &&Value| it["type"] == "null";
        let other = choices.iter().find(|it| !is_null(it)).map(kind);
        let mut other = other.unwrap_or(Kind { words: String::new(), schema: None });
        if choices.iter().any(|it| is_null(&it)) {
            other.words.push_str("nothing or ");
        }
        return other;
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        all => list(all).filter_map(Value::as_str).collect(),
    };
    let or_null = if types.contains(&"null") { "nothing or " } else { "" };
    let own = types.into_iter().find(|it| *it != "null").unwrap_or("anything");
    if own == "array" {
        let of = kind(&schema["items"]);
        return Kind { words: format!("{or_null}list of {}", of.words), schema: of.schema };
    }
    let most = match schema["maxLength"].as_u64() {
        Some(most) => format!(", at most {most} characters"),
        None => String::new(),
    };
    Kind { words: format!("{or_null}{own}{most}"), schema: None }
}
