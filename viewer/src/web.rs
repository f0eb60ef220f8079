//! The routes and the headers that every answer bears.

use axum::{
    Router,
    http::{HeaderValue, header},
    response::Response,
    routing::get,
};

use crate::{api, live, pages, pictures, viewer::Viewer};

/// All routes of the viewer, to serve alone or to merge into another web port.
pub(crate) fn viewer_router(viewer: Viewer) -> Router {
    let router = Router::new()
        .route("/", get(pages::show_wall))
        .route("/sources/{id}", get(pages::show_source_page))
        .route("/upload", get(pages::show_upload))
        .route("/frames/{id}", get(pages::show_upload))
        .route("/assets/{*path}", get(pages::show_asset))
        .route("/favicon.ico", get(pages::show_icon))
        .route("/api/live", get(live::watch_live))
        .route("/api/sources", get(api::list_sources))
        .route("/api/sources/{id}", get(api::show_source))
        .route("/api/sources/{id}/history", get(api::show_history))
        .route("/api/sources/{id}/results", get(api::show_results))
        .route(
            "/api/sources/{id}/snapshot.jpg",
            get(pictures::show_snapshot),
        )
        .route(
            "/api/sources/{id}/annotated.mjpeg",
            get(pictures::show_moving),
        )
        .fallback(pages::show_missing)
        .layer(axum::middleware::map_response(with_common_headers));
    router.with_state(viewer)
}

/// What is said of every answer: it is what its type says, and unless it says otherwise it is news.
async fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
