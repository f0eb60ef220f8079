//! Whether a WebSocket is asked for by a page of ours.
//!
//! Browsers let any page open a WebSocket to any server, and the same-origin rule does not hold for
//! it. They do say which page it was: an `Origin` that is not the host the request went to is
//! refused. Programs send none and are let in; they can fetch the pictures anyway.

use axum::http::{HeaderMap, Uri, header};

/// Whether there is no `Origin`, or one of the host in `Host`.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.parse::<Uri>().ok());
    match (origin, host) {
        (Some(origin), Some(host)) => is_same_host(&origin, host),
        _ => false,
    }
}

/// Scheme apart, as a proxy may speak TLS for us; a default port may be left out on either side.
fn is_same_host(origin: &Uri, host: &str) -> bool {
    let default_port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let Ok(host) = host.parse::<axum::http::uri::Authority>() else {
        return false;
    };
    origin.authority().is_some_and(|origin| {
        origin.host().eq_ignore_ascii_case(host.host())
            && origin.port_u16().unwrap_or(default_port) == host.port_u16().unwrap_or(default_port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(origin: &str, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        headers.insert(header::ORIGIN, origin.parse().unwrap());
        is_ours(&headers)
    }

    #[test]
    fn pages_of_this_host_may() {
        assert!(asked("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(asked("http://[::1]:8080", "[::1]:8080"));
        assert!(asked("https://Kadr.Plant", "kadr.plant"));
        assert!(asked("https://kadr.plant", "kadr.plant:443"));
        assert!(is_ours(&HeaderMap::new()), "a program");
    }

    #[test]
    fn pages_of_other_hosts_and_ports_may_not() {
        for (origin, host) in [
            ("http://evil.example", "127.0.0.1:8080"),
            ("http://127.0.0.1:9999", "127.0.0.1:8080"),
            ("http://127.0.0.1", "127.0.0.1:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080.evil.example", "127.0.0.1:8080"),
            ("file://", "127.0.0.1:8080"),
            ("null", "127.0.0.1:8080"),
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("", "127.0.0.1:8080"),
        ] {
            assert!(!asked(origin, host), "{origin} on {host}");
        }
        let mut without_host = HeaderMap::new();
        without_host.insert(header::ORIGIN, "http://a".parse().unwrap());
        assert!(!is_ours(&without_host));
    }
}
