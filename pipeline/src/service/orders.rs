//! Orders on the admin port: routes that services add below `/admin`, and who may give orders there.
//!
//! To look is free to whoever reaches the port. To change something needs the token where one is
//! set, and without one a connection from this machine. Browsers are refused either way: what they
//! send from a page names its origin.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tower_service::Service as _;

use super::{problem::Problem, secret::Secret};

/// Routes below `/admin` and their guard. Clones share them.
#[derive(Clone, Default)]
pub struct Orders {
    routes: Arc<Mutex<Router>>,
    token: Option<Secret>,
}

impl Orders {
    /// No routes yet; `token` is asked for where there is one.
    pub fn new(token: Option<Secret>) -> Self {
        Self {
            routes: Arc::default(),
            token,
        }
    }

    /// Adds the routes of a service; all their paths begin with `/admin/`.
    pub fn add(&self, routes: Router) {
        let mut all = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        *all = std::mem::take(&mut *all).merge(routes);
    }

    /// Answers a request from `peer`, if it may ask.
    pub(super) async fn answer(&self, peer: IpAddr, request: Request) -> Response {
        let changes = ![Method::GET, Method::HEAD].contains(request.method());
        if changes && let Err(problem) = self.check(peer, request.headers()) {
            return problem.into_response();
        }
        match self.routes().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    fn routes(&self) -> Router {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.clone()
    }

    fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Problem> {
        if headers.contains_key(header::ORIGIN) {
            return Err(forbidden("orders are not taken from web pages"));
        }
        let Some(token) = &self.token else {
            if peer.to_canonical().is_loopback() {
                return Ok(());
            }
            return Err(forbidden(
                "without a token, orders are taken from this machine",
            ));
        };
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| is_same(given, token.expose().as_bytes())) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token_needed",
            "orders need the admin token",
            "send Authorization: Bearer with the token of KADR_ADMIN_TOKEN",
        ))
    }
}

fn forbidden(message: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        message,
        "give the order on the machine itself, or set KADR_ADMIN_TOKEN and send it as a bearer token",
    )
}

/// Takes the same time wherever they differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b));
    a.len() == b.len() && differences == 0
}

impl fmt::Debug for Orders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Orders")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};

    use super::*;

    const LOOPBACK: &str = "127.0.0.1";
    const ELSEWHERE: &str = "10.1.2.3";

    fn orders(token: Option<&str>) -> Orders {
        let orders = Orders::new(token.map(Secret::new));
        let route = get(async || "seen").post(async || "done");
        orders.add(Router::new().route("/admin/lamp", route));
        orders.add(Router::new().route("/admin/bell", get(async || "ding")));
        orders
    }

    async fn status(orders: &Orders, peer: &str, headers: &[(&str, &str)], method: Method) -> u16 {
        let mut request = Request::builder().method(method).uri("/admin/lamp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = orders.answer(peer.parse().unwrap(), request).await;
        response.status().as_u16()
    }

    #[tokio::test]
    async fn without_a_token_this_machine_alone_gives_orders() {
        let orders = orders(None);
        for (peer, changed) in [
            (LOOPBACK, 200),
            ("::1", 200),
            ("::ffff:127.0.0.1", 200),
            (ELSEWHERE, 403),
        ] {
            assert_eq!(
                status(&orders, peer, &[], Method::POST).await,
                changed,
                "{peer}"
            );
            assert_eq!(status(&orders, peer, &[], Method::GET).await, 200, "{peer}");
        }
    }

    #[tokio::test]
    async fn a_token_is_asked_for_everywhere() {
        let orders = orders(Some("canary"));
        for peer in [LOOPBACK, ELSEWHERE] {
            for (value, expected) in [
                ("Bearer canary", 200),
                ("Bearer canarx", 401),
                ("Bearer canar", 401),
                ("Bearer canaryy", 401),
                ("canary", 401),
                ("Basic canary", 401),
            ] {
                let headers = [("authorization", value)];
                let status = status(&orders, peer, &headers, Method::POST).await;
                assert_eq!(status, expected, "{value}");
            }
            assert_eq!(status(&orders, peer, &[], Method::POST).await, 401);
            assert_eq!(status(&orders, peer, &[], Method::GET).await, 200);
        }
        assert!(!format!("{orders:?}").contains("canary"));
    }

    #[tokio::test]
    async fn a_page_in_a_browser_gives_no_orders() {
        let page = [("origin", "http://evil.example")];
        assert_eq!(
            status(&orders(None), LOOPBACK, &page, Method::POST).await,
            403
        );
        let with_token = [page[0], ("authorization", "Bearer canary")];
        let orders = orders(Some("canary"));
        assert_eq!(
            status(&orders, LOOPBACK, &with_token, Method::POST).await,
            403
        );
    }
}
