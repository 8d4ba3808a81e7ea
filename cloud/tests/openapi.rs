//! The OpenAPI document says of every route what the table of routes says, and the page shows it.

#[macro_use]
mod site;

use axum::http::Method;
use chiasm_cloud::{
    app::principal::Role,
    http::{guard::Access, routes},
};
use serde_json::{Value, json};
use site::Site;
use std::collections::BTreeSet;

const PREFIX: &str = "/api/v1";

async fn document(site: &Site) -> Value {
    let (status, headers, body) = site.send(Method::GET, "/api/v1/openapi.json", &[], "").await;
    assert_eq!(status, 200);
    assert_eq!(headers["content-type"], "application/json");
    serde_json::from_str(&body).unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, methods): (&String, &'_ Value)| {
        let methods = methods.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    let names: Vec<_> = paths.iter().flat_map(of_path).collect();
    let find = |(method, path): (String, String)| {
        let operation = &document["paths"][&path][method.to_lowercase()];
        (method, path, operation)
    };
    names.into_iter().map(find).collect()
}

#[tokio::test]
async fn the_document_has_every_route_of_the_table_and_no_other() {
    let site = Site::new(false).await;
    let document = document(&site).await;
    let described: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let routes = routes::routes();
    let of_api = routes.iter().filter(|route| route.path.starts_with(PREFIX));
    let table: BTreeSet<_> =
        of_api.map(|route| (route.method.to_string(), route.path.to_owned())).collect();
    let missing: Vec<_> = table.difference(&described).collect();
    assert!(missing.is_empty(), "not described (see http/api/mod.rs): {missing:?}");
    let unknown: Vec<_> = described.difference(&table).collect();
    assert!(unknown.is_empty(), "described, but not in http/routes.rs: {unknown:?}");
    assert_eq!(document["openapi"], "3.1.0");
    let version = document["info"]["version"].as_str().unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn every_operation_says_its_roles_and_how_it_refuses() {
    let site = Site::new(false).await;
    let document = document(&site).await;
    let routes = routes::routes();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let route = routes.iter().find(|it| it.method.as_str() == method && it.path == path);
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].to_string()), "{name}: the id is taken");
        assert!(!operation["summary"].as_str().unwrap_or("").is_empty(), "{name}: no words");
        let access = route.unwrap().access;
        let roles: Vec<&str> = match access {
            Access::Public => vec![],
            Access::Roles(roles) => roles.iter().copied().map(Role::as_str).collect(),
        };
        assert_eq!(operation["x-roles"], json!(roles), "{name}");
        let changes = method != "GET";
        let has_body = operation.get("requestBody").is_some();
        let parameters = operation["parameters"].as_array().unwrap();
        let has = |place: &str| parameters.iter().any(|it| it["in"] == place);
        let mut expected = vec!["503"];
        if !roles.is_empty() {
            expected.extend(["401", "403"]);
            assert_eq!(operation["security"], json!([{"bearer": []}]), "{name}");
        }
        if has_body {
            expected.extend(["400", "413", "415", "422"]);
        }
        if has("query") {
            expected.push("400");
        }
        if path.contains('{') {
            assert!(has("path"), "{name}");
            expected.push("404");
        }
        if changes && path.contains('{') {
            expected.push("409");
        }
        if path.ends_with("/sign-in") {
            expected.push("429");
        }
        let answers = operation["responses"].as_object().unwrap();
        for status in expected {
            assert!(answers.contains_key(status), "{name} does not say {status}");
        }
        for (status, answer) in answers {
            assert!(!answer["description"].as_str().unwrap().is_empty(), "{name} {status}");
            if status.starts_with(['4', '5']) {
                let schema = &answer["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Fault", "{name} {status}");
            }
        }
    }
}

/// A body takes no fields that it does not know, and no text without an end.
#[tokio::test]
async fn every_body_is_closed_and_bounded() {
    let site = Site::new(false).await;
    let document = document(&site).await;
    let mut seen = 0;
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let of_choice = |it: &Value| it["$ref"].as_str().map(ToOwned::to_owned);
        let choices = schema["oneOf"].as_array();
        let reference = choices.and_then(|all| all.iter().find_map(of_choice));
        if let Some(reference) = reference.or(of_choice(schema)) {
            let schema = document.pointer(reference.trim_start_matches('#')).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{name} {reference}");
            for (field, of) in schema["properties"].as_object().unwrap() {
                let is_text = of["type"] == "string" || of["type"] == json!(["string", "null"]);
                let is_bounded = of.get("maxLength").is_some() || of.get("enum").is_some();
                assert!(!is_text || is_bounded, "{name} {field} has no bound");
                seen += 1;
            }
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            let schema = &parameter["schema"];
            let is_bounded = ["maxLength", "enum", "format"].iter().any(|it| !schema[it].is_null());
            let is_number = schema["type"].to_string().contains("integer");
            assert!(is_bounded || is_number, "{name} {} has no bound", parameter["name"]);
        }
    }
    assert!(seen > 5, "the bodies were found");
}

#[tokio::test]
async fn the_page_shows_every_operation_and_body() {
    let site = Site::new(false).await;
    let document = document(&site).await;
    let (status, headers, page) = site.send(Method::GET, "/api/v1/docs", &[], "").await;
    assert_eq!(status, 200);
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"));
    for (method, path, operation) in operations(&document) {
        let id = format!("id=\"{}\"", operation["operationId"].as_str().unwrap());
        assert!(page.contains(&id), "{method} {path}");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
    }
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{target}\"")), "#{target} leads nowhere");
    }
    assert!(page.contains("Technician, Doctor"), "roles in words");
}
