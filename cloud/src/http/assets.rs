//! Style sheets, scripts and the icon: part of the binary, a few kilobytes each.

use super::Fault;
use axum::{
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chiasm_proto::Sha256;
use std::sync::LazyLock;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("../../static/", $name)),
        }
    };
}

static ASSETS: &[Asset] = &[
    asset!("base.css", "text/css; charset=utf-8"),
    asset!("pages.css", "text/css; charset=utf-8"),
    asset!("api.css", "text/css; charset=utf-8"),
    asset!("history.css", "text/css; charset=utf-8"),
    asset!("record.css", "text/css; charset=utf-8"),
    asset!("audit.css", "text/css; charset=utf-8"),
    asset!("reports.css", "text/css; charset=utf-8"),
    asset!("carry.css", "text/css; charset=utf-8"),
    asset!("viewer.css", "text/css; charset=utf-8"),
    asset!("images.css", "text/css; charset=utf-8"),
    asset!("configuration.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
    asset!("main.js", "text/javascript; charset=utf-8"),
    asset!("live.js", "text/javascript; charset=utf-8"),
    asset!("morph.js", "text/javascript; charset=utf-8"),
    asset!("forms.js", "text/javascript; charset=utf-8"),
    asset!("clocks.js", "text/javascript; charset=utf-8"),
    asset!("idle.js", "text/javascript; charset=utf-8"),
    asset!("csv.js", "text/javascript; charset=utf-8"),
    asset!("examine.js", "text/javascript; charset=utf-8"),
    asset!("viewer.js", "text/javascript; charset=utf-8"),
];

/// Asked for again each time, answered with 304 while nothing changed.
static TAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    ASSETS.iter().map(|asset| format!("\"{}\"", Sha256::of(asset.text.as_bytes()))).collect()
});

pub async fn asset(headers: HeaderMap, Path(name): Path<String>) -> Result<Response, Fault> {
    let index = ASSETS.iter().position(|asset| asset.name == name);
    let index = index.ok_or_else(|| Fault::not_found("file"))?;
    let (asset, tag) = (&ASSETS[index], TAGS[index].as_str());
    let caching = [(header::CACHE_CONTROL, "no-cache"), (header::ETAG, tag)];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, [(header::CONTENT_TYPE, asset.content_type)], asset.text).into_response())
}
