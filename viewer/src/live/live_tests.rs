//! Real WebSocket clients on a real port; the wall behind it is fed by hand.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use pipeline::frame::Frame;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{HeaderMap, header},
        protocol::frame::coding::CloseCode,
    },
};

use super::session::Patience;
use crate::testing::{TestViewer, fresh_frame, result_of, within};

/// A client that reads all it is sent.
struct Client(WebSocketStream<TcpStream>);

struct Received {
    header: Value,
    jpeg: Vec<u8>,
}

impl Client {
    async fn connect(viewer: &TestViewer, query: &str) -> Self {
        Self::try_connect(viewer, query, HeaderMap::new())
            .await
            .unwrap()
    }

    async fn try_connect(
        viewer: &TestViewer,
        query: &str,
        headers: HeaderMap,
    ) -> Result<Self, Box<Error>> {
        let stream = TcpStream::connect(viewer.address).await.unwrap();
        let url = format!("ws://{}/api/live{query}", viewer.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().extend(headers);
        let (socket, _) = within(client_async(request, stream))
            .await
            .map_err(Box::new)?;
        Ok(Self(socket))
    }

    /// The next message that is no ping; those are answered by the library.
    async fn next(&mut self) -> Message {
        loop {
            match within(self.0.next()).await.expect("more to come").unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    }

    /// The next text of this type.
    async fn text(&mut self, wanted: &str) -> Value {
        loop {
            if let Message::Text(text) = self.next().await {
                let text: Value = serde_json::from_str(text.as_str()).unwrap();
                if text["type"] == wanted {
                    return text;
                }
            }
        }
    }

    /// The next list of sources that fits; the one from before may still come first.
    async fn sources(&mut self, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        loop {
            let list = self.text("sources").await["sources"].take();
            let list = list.as_array().expect("a list");
            if fits(list) {
                return list.clone();
            }
        }
    }

    async fn frame(&mut self) -> Received {
        loop {
            if let Message::Binary(bytes) = self.next().await {
                let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
                return Received {
                    header: serde_json::from_slice(&bytes[4..4 + length]).unwrap(),
                    jpeg: bytes[4 + length..].to_vec(),
                };
            }
        }
    }

    async fn say(&mut self, text: &Value) {
        within(self.0.send(Message::text(text.to_string())))
            .await
            .unwrap();
    }

    /// Reads on to the close frame.
    async fn closed(mut self) -> (CloseCode, String) {
        loop {
            if let Message::Close(frame) = self.next().await {
                let frame = frame.expect("a reason");
                return (frame.code, frame.reason.to_string());
            }
        }
    }
}

fn show(viewer: &TestViewer, frame: &Frame) {
    viewer.hub().picture(frame.clone());
    viewer.hub().result(result_of(frame));
}

/// Shows frames 1 to `count`, each one when the one before was received.
async fn watch(viewer: &TestViewer, client: &mut Client, count: u64) {
    for number in 1..=count {
        show(viewer, &fresh_frame("belt-1", number));
        assert_eq!(client.frame().await.header["sequence"], number);
    }
}

#[tokio::test]
async fn a_client_is_greeted_and_told_what_there_is() {
    let viewer = TestViewer::start().await;
    let mut client = Client::connect(&viewer, "").await;
    assert!(client.text("hello").await["server_ms"].as_f64().unwrap() > 1.7e12);
    assert_eq!(client.text("sources").await["sources"], json!([]));
    let frame = fresh_frame("hall_2:cam.3@plant", 1);
    show(&viewer, &frame);
    let sources = client.sources(|list| !list.is_empty()).await;
    let source = &sources[0];
    assert_eq!(source["id"], "hall_2:cam.3@plant");
    assert_eq!(source["stale"], false);
    assert_eq!(source["counts"][0]["label"], "gear");
    assert_eq!(source["frames"], 1);
    let received = client.frame().await;
    assert_eq!(received.header["id"], frame.id.to_string());
    assert_eq!(received.jpeg, frame.jpeg);
}

#[tokio::test]
async fn frames_come_in_order_and_with_their_own_result() {
    let viewer = TestViewer::start().await;
    let mut client = Client::connect(&viewer, "").await;
    watch(&viewer, &mut client, 50).await;
}

#[tokio::test]
async fn pings_are_echoed_with_the_servers_time() {
    let viewer = TestViewer::start().await;
    let mut client = Client::connect(&viewer, "").await;
    client.say(&json!({ "type": "ping", "t": 1234.5 })).await;
    let pong = client.text("pong").await;
    assert_eq!(pong["t"], 1234.5);
    assert!(pong["server_ms"].is_f64());
}

#[tokio::test]
async fn a_client_sees_what_it_subscribes_to() {
    let viewer = TestViewer::start().await;
    show(&viewer, &fresh_frame("a", 1));
    show(&viewer, &fresh_frame("b", 1));
    let mut client = Client::connect(&viewer, "?source=b&source=c").await;
    assert_eq!(client.text("sources").await["sources"][0]["id"], "b");
    assert_eq!(client.frame().await.header["source"], "b");

    client
        .say(&json!({ "type": "subscribe", "sources": [] }))
        .await;
    client.sources(<[Value]>::is_empty).await;
    show(&viewer, &fresh_frame("a", 2));
    show(&viewer, &fresh_frame("b", 2));
    client.say(&json!({ "type": "ping", "t": 1 })).await;
    loop {
        match client.next().await {
            Message::Text(text) if text.contains("pong") => break,
            Message::Binary(_) => panic!("a frame that nobody subscribed to"),
            _ => {}
        }
    }
    client
        .say(&json!({ "type": "subscribe", "sources": null }))
        .await;
    let sources =
        [client.frame().await, client.frame().await].map(|frame| frame.header["source"].clone());
    assert_eq!(sources, ["a", "b"]);
}

#[tokio::test]
async fn a_client_that_stops_reading_delays_nobody() {
    let viewer = TestViewer::start().await;
    let mut reading = Client::connect(&viewer, "").await;
    let mut idle = Client::connect(&viewer, "").await;
    idle.text("sources").await;
    watch(&viewer, &mut reading, 200).await;

    // When it reads again it finds the few that were under way and then the newest, in order.
    let mut numbers = Vec::new();
    while numbers.last() != Some(&200) {
        numbers.push(idle.frame().await.header["sequence"].as_u64().unwrap());
    }
    assert!(numbers.len() <= 8, "it lagged behind: {numbers:?}");
    assert!(numbers.is_sorted(), "{numbers:?}");
}

#[tokio::test]
async fn a_client_that_answers_nothing_is_cut_off() {
    let short = Duration::from_millis(200);
    let patience = Patience {
        write: short,
        pong: short,
    };
    let viewer = TestViewer::with(8, patience).await;
    let dead = Client::connect(&viewer, "").await;
    show(&viewer, &fresh_frame("a", 1));
    let stalled = || {
        viewer
            .hub()
            .metrics()
            .stalled
            .with_label_values(&["websocket"])
            .get()
    };
    viewer.until(|| stalled() == 1).await;
    viewer.until(|| viewer.free_seats() == 8).await;
    drop(dead);
}

#[tokio::test]
async fn fifty_clients_see_the_same() {
    let viewer = TestViewer::start().await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::connect(&viewer, "").await);
    }
    let frame = fresh_frame("a", 1);
    show(&viewer, &frame);
    for client in &mut clients {
        assert_eq!(client.frame().await.jpeg, frame.jpeg);
    }
    assert_eq!(viewer.free_seats(), crate::testing::SEATS - 50);
    drop(clients);
    viewer
        .until(|| viewer.free_seats() == crate::testing::SEATS)
        .await;
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let viewer = TestViewer::start().await;
    let from = |origin: &str| HeaderMap::from_iter([(header::ORIGIN, origin.parse().unwrap())]);
    let refused = Client::try_connect(&viewer, "", from("http://evil.example")).await;
    let Err(Error::Http(response)) = refused.map_err(|error| *error) else {
        panic!("let in");
    };
    assert_eq!(response.status(), 403);
    let own = from(&format!("http://{}", viewer.address));
    assert!(Client::try_connect(&viewer, "", own).await.is_ok());
}

#[tokio::test]
async fn a_full_house_says_when_to_come_back() {
    let viewer = TestViewer::with(1, Patience::DEFAULT).await;
    let first = Client::connect(&viewer, "").await;
    let refused = Client::try_connect(&viewer, "", HeaderMap::new()).await;
    let Err(Error::Http(response)) = refused.map_err(|error| *error) else {
        panic!("let in");
    };
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    drop(first);
    viewer.until(|| viewer.free_seats() == 1).await;
    Client::connect(&viewer, "").await;
}

#[tokio::test]
async fn wrong_words_end_the_conversation_with_the_reason() {
    let viewer = TestViewer::start().await;
    for (wrong, part) in [
        (json!({ "type": "shout" }), "shout"),
        (
            json!({ "type": "subscribe", "sources": ["../etc"] }),
            "../etc",
        ),
    ] {
        let mut client = Client::connect(&viewer, "").await;
        client.say(&wrong).await;
        let (code, reason) = client.closed().await;
        assert_eq!(code, CloseCode::Policy);
        assert!(reason.contains(part), "{reason}");
    }
    // What is too long is not even read; the connection breaks, and its seat is free again.
    let mut client = Client::connect(&viewer, "").await;
    let long = Message::text("x".repeat(super::MAX_HEARD_BYTES + 1));
    within(client.0.send(long)).await.unwrap();
    viewer
        .until(|| viewer.free_seats() == crate::testing::SEATS)
        .await;
}

#[tokio::test]
async fn clients_are_told_when_the_viewer_ends() {
    let viewer = TestViewer::start().await;
    let mut client = Client::connect(&viewer, "").await;
    client.text("sources").await;
    viewer.stop();
    assert_eq!(client.closed().await.0, CloseCode::Away);
}
