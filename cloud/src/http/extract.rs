//! What requests bring, checked before a handler sees it: every refusal is a [`Fault`] that names
//! the field. Text with NUL is refused here, because PostgreSQL cannot store it.

use super::{BODY_LEN_MAX, Fault, fault::FieldFault};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// Longest text in any field, in characters. Fields with less say so by [`text`].
pub const TEXT_LEN_MAX: usize = 20_000;
/// Longest identifier, in characters.
pub const ID_LEN_MAX: usize = 200;

/// A JSON body.
pub struct Body<T>(pub T);

/// The parameters of a query.
pub struct Params<T>(pub T);

/// The fields of a form.
pub struct Form<T>(pub T);

/// A body of text: `text/csv` or `text/plain`, in UTF-8.
pub struct Text(pub String);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Fault;
    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        if !is_json(request.headers()) {
            return Err(wrong_type("application/json"));
        }
        Ok(Self(from_json(&bytes(request, state).await?)?))
    }
}

/// No body and no content type: nothing was said, which some requests allow.
impl<S: Send + Sync, T: DeserializeOwned> OptionalFromRequest<S> for Body<T> {
    type Rejection = Fault;
    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Fault> {
        let has_type = request.headers().contains_key(header::CONTENT_TYPE);
        if has_type && !is_json(request.headers()) {
            return Err(wrong_type("application/json"));
        }
        let body = bytes(request, state).await?;
        match (has_type, body.is_empty()) {
            (_, true) => Ok(None),
            (false, false) => Err(wrong_type("application/json")),
            (true, false) => Ok(Some(Self(from_json(&body)?))),
        }
    }
}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Fault;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let query = parts.uri.query().unwrap_or("").as_bytes();
        from_pairs(query, StatusCode::BAD_REQUEST).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Fault;
    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let expected = "application/x-www-form-urlencoded";
        if content_type(request.headers()).is_none_or(|given| given != expected) {
            return Err(wrong_type(expected));
        }
        let body = bytes(request, state).await?;
        from_pairs(&body, StatusCode::UNPROCESSABLE_ENTITY).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Fault;
    async fn from_request(request: Request, state: &S) -> Result<Self, Fault> {
        let given = content_type(request.headers());
        if !given.is_some_and(|given| given == "text/csv" || given == "text/plain") {
            return Err(wrong_type("text/csv"));
        }
        let body = bytes(request, state).await?;
        let text = String::from_utf8(body.into()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            malformed(format!("The text is not UTF-8, from byte {at} on."))
        })?;
        match text.contains('\0') {
            true => Err(malformed("The text holds a NUL character.".into())),
            false => Ok(Self(text)),
        }
    }
}

/// For `#[serde(deserialize_with = "text::<50, _>")]`: text of at most so many characters.
pub fn text<'de, const MAX: usize, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    check_len(&text, MAX).map_err(serde::de::Error::custom)?;
    Ok(text)
}

/// The same for what may be left out; needs `default` beside it.
pub fn maybe_text<'de, const MAX: usize, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.as_deref()
        .map_or(Ok(()), |text| check_len(text, MAX))
        .map_err(serde::de::Error::custom)?;
    Ok(text)
}

/// Whether a path can name something of ours: it decodes to UTF-8 without control characters.
pub fn is_plain(path: &str) -> bool {
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
    decoded.is_ok_and(|path| !path.contains(char::is_control))
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Fault> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("The request is larger than {BODY_LEN_MAX} bytes.");
            return Fault::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message);
        }
        malformed("The request's body did not arrive whole.".into())
    })
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| malformed(format!("The body is not JSON as it should be: {error}.")))?;
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    check_value(&value, "").map_err(|fault| invalid(status, vec![fault]))?;
    // A structure is also read from a list of its fields in order, which nobody means.
    if !value.is_object() {
        let message = "The body must be a JSON object.".to_owned();
        return Err(invalid(status, vec![FieldFault { field: String::new(), message }]));
    }
    serde_path_to_error::deserialize(&value).map_err(|error| refused(status, error))
}

fn from_pairs<T: DeserializeOwned>(pairs: &[u8], status: StatusCode) -> Result<T, Fault> {
    for (name, value) in form_urlencoded::parse(pairs) {
        // A form may carry a whole file.
        let checked = check_text(&name, ID_LEN_MAX).and_then(|()| check_text(&value, BODY_LEN_MAX));
        checked.map_err(|message| invalid(status, vec![FieldFault::new(name, message)]))?;
    }
    let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(pairs));
    serde_path_to_error::deserialize(pairs).map_err(|error| refused(status, error))
}

fn check_value(value: &Value, path: &str) -> Result<(), FieldFault> {
    let below = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        Value::String(text) => {
            check_text(text, TEXT_LEN_MAX).map_err(|message| FieldFault::new(path, message))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, item)| check_value(item, &below(&at.to_string()))),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| {
            check_text(key, ID_LEN_MAX).map_err(|message| FieldFault::new(path, message))?;
            check_value(value, &below(key))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_text(text: &str, most: usize) -> Result<(), String> {
    if text.contains('\0') {
        return Err("holds a NUL character".into());
    }
    check_len(text, most)
}

fn check_len(text: &str, most: usize) -> Result<(), String> {
    if text.len() > most && text.chars().count() > most {
        return Err(format!("is longer than {most} characters"));
    }
    Ok(())
}

fn refused<E: std::fmt::Display>(
    status: StatusCode,
    error: serde_path_to_error::Error<E>,
) -> Fault {
    let path = error.path().to_string();
    let message = error.into_inner().to_string();
    // What is missing or unknown is named in the words, not in the path.
    let named = || message.split_once("field `").and_then(|(_, rest)| rest.split_once('`'));
    let field = match named() {
        Some((field, _)) if path == "." => field.to_owned(),
        _ if path == "." => String::new(),
        _ => path,
    };
    invalid(status, vec![FieldFault { field, message }])
}

fn invalid(status: StatusCode, fields: Vec<FieldFault>) -> Fault {
    let words = |it: &FieldFault| match it.field.as_str() {
        "" => it.message.clone(),
        field => format!("`{field}`: {}.", it.message.trim_end_matches('.')),
    };
    let message = fields.iter().map(words).collect::<Vec<_>>().join(" ");
    Fault { fields, ..Fault::new(status, "invalid", message) }
}

fn malformed(message: String) -> Fault {
    Fault::new(StatusCode::BAD_REQUEST, "malformed", message)
}

fn wrong_type(expected: &str) -> Fault {
    let message = format!("Send it with the content type {expected}.");
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type", message)
}

/// The content type without its parameters, in lower case.
fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
}

fn is_json(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|given| given == "application/json")
}
