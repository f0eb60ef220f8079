//! The pages, embedded: plain HTML, CSS and modules from `viewer/pages`, no build step.
//!
//! A release build carries them; a development build reads the folder once at its start.

use std::collections::HashMap;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use pipeline::service::Problem;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::viewer::Viewer;

/// Nothing from elsewhere, no inline code, no frames: what a page shows comes from this origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; \
    style-src 'self'; script-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

const MISSING: &str = "missing.html";

#[derive(RustEmbed)]
#[folder = "pages/"]
struct Folder;

/// All files by their path in the folder.
#[derive(Debug)]
pub(crate) struct Pages(HashMap<String, Page>);

#[derive(Clone, Debug)]
struct Page {
    bytes: Bytes,
    etag: HeaderValue,
    content_type: &'static str,
}

impl Pages {
    pub(crate) fn load() -> Self {
        let pages = Folder::iter().filter_map(|path| {
            let page = Page::new(&path, Folder::get(&path)?)?;
            Some((path.into_owned(), page))
        });
        Self(pages.collect())
    }

    /// The file, or that the client has it already. Asked again each time, so that a new version is
    /// seen at once.
    fn answer(&self, path: &str, request: &HeaderMap) -> Option<Response> {
        let page = self.0.get(path)?;
        let mut response = if is_known(request, &page.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let content_type = (header::CONTENT_TYPE, page.content_type);
            ([content_type], page.bytes.clone()).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, page.etag.clone());
        let mut set =
            |name: HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CACHE_CONTROL, "no-cache");
        set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
        set(header::REFERRER_POLICY, "same-origin");
        Some(response)
    }

    fn missing(&self, request: &HeaderMap) -> Response {
        // A 304 would say that something is there.
        let mut request = request.clone();
        request.remove(header::IF_NONE_MATCH);
        match self.answer(MISSING, &request) {
            Some(page) => (StatusCode::NOT_FOUND, page).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

impl Page {
    /// None for a file of a kind that no page needs, such as an editor's backup.
    fn new(path: &str, file: EmbeddedFile) -> Option<Self> {
        let content_type = content_type(path)?;
        let hash = file.metadata.sha256_hash();
        let etag = u128::from_be_bytes(*hash.first_chunk()?);
        Some(Self {
            bytes: Bytes::from(file.data.into_owned()),
            etag: HeaderValue::try_from(format!("\"{etag:032x}\"")).ok()?,
            content_type,
        })
    }
}

fn content_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml; charset=utf-8",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let asked = request.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = asked
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    tags.any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == etag.as_bytes())
}

pub(crate) async fn show_wall(State(viewer): State<Viewer>, request: HeaderMap) -> Response {
    page(&viewer, "wall.html", &request)
}

pub(crate) async fn show_source_page(State(viewer): State<Viewer>, request: HeaderMap) -> Response {
    page(&viewer, "source.html", &request)
}

pub(crate) async fn show_upload(State(viewer): State<Viewer>, request: HeaderMap) -> Response {
    page(&viewer, "upload.html", &request)
}

pub(crate) async fn show_icon(State(viewer): State<Viewer>, request: HeaderMap) -> Response {
    page(&viewer, "assets/icon.svg", &request)
}

pub(crate) async fn show_asset(
    State(viewer): State<Viewer>,
    Path(path): Path<String>,
    request: HeaderMap,
) -> Response {
    page(&viewer, &format!("assets/{path}"), &request)
}

/// Any other address: words for programs, a page for people.
pub(crate) async fn show_missing(
    State(viewer): State<Viewer>,
    uri: Uri,
    request: HeaderMap,
) -> Response {
    if uri.path().starts_with("/api/") {
        let message = format!("there is no {}", uri.path());
        let hint = "the pages and their addresses are described in the README";
        return Problem::new(StatusCode::NOT_FOUND, "not_found", message, hint).into_response();
    }
    viewer.pages.missing(&request)
}

fn page(viewer: &Viewer, path: &str, request: &HeaderMap) -> Response {
    let found = viewer.pages.answer(path, request);
    found.unwrap_or_else(|| viewer.pages.missing(request))
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
