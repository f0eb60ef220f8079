//! The pages are there, are asked for once, and nothing else is to be had.

use super::*;

fn asked(path: &str, if_none_match: Option<&str>) -> Option<Response> {
    let mut request = HeaderMap::new();
    if let Some(tag) = if_none_match {
        request.insert(header::IF_NONE_MATCH, tag.parse().unwrap());
    }
    Pages::load().answer(path, &request)
}

#[test]
fn every_page_of_the_product_is_there() {
    for path in ["wall.html", "source.html", "upload.html", MISSING] {
        let response = asked(path, None).expect(path);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
    }
}

#[test]
fn a_page_that_the_browser_has_is_not_sent_again() {
    let first = asked("wall.html", None).unwrap();
    let etag = first.headers()[header::ETAG].to_str().unwrap();
    for known in [etag.to_owned(), format!("\"other\", W/{etag}")] {
        let again = asked("wall.html", Some(&known)).unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
    }
    let other = asked("wall.html", Some("\"other\"")).unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[test]
fn what_is_missing_is_missing_also_for_those_who_know_the_page() {
    let pages = Pages::load();
    let mut request = HeaderMap::new();
    request.insert(header::IF_NONE_MATCH, pages.0[MISSING].etag.clone());
    assert_eq!(pages.missing(&request).status(), StatusCode::NOT_FOUND);
}

#[test]
fn nothing_outside_the_folder_is_to_be_had() {
    for path in [
        "../Cargo.toml",
        "assets/../../Cargo.toml",
        "/etc/passwd",
        "",
        "wall",
    ] {
        assert!(asked(path, None).is_none(), "{path}");
    }
}

#[test]
fn only_kinds_of_files_that_pages_need_are_served() {
    assert_eq!(
        content_type("assets/app.js"),
        Some("text/javascript; charset=utf-8")
    );
    for path in ["assets/app.js~", "assets/.app.js.swp", "notes", "a.exe"] {
        assert_eq!(content_type(path), None, "{path}");
    }
}
