//! The routes.

use axum::{Router, routing::get};

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
        .fallback(pages::show_missing);
    router.with_state(viewer)
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
