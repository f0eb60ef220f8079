//! The viewer's WebSocket as a client without a browser sees it.

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::Http;
use crate::kafka::within;

/// An open connection.
pub struct Live {
    socket: WebSocketStream<TcpStream>,
}

/// What the viewer said.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A message of text: `hello`, `sources`, `pong`.
    Note(Value),
    /// A picture with its header.
    Frame {
        /// What is in it.
        header: Value,
        /// The annotated picture.
        jpeg: Bytes,
    },
}

impl Live {
    /// Connects to the viewer behind a web port.
    pub async fn connect(web: Http) -> Self {
        let url = format!("ws://{}/api/live", web.address());
        let stream = TcpStream::connect(web.address()).await;
        let stream = stream.expect("the viewer listens");
        let connected = within("the viewer takes a WebSocket", client_async(&url, stream)).await;
        let (socket, _answer) = connected.unwrap_or_else(|error| panic!("{url}: {error}"));
        Self { socket }
    }

    /// The next message.
    pub async fn next(&mut self) -> Heard {
        loop {
            let message = within("the viewer says something", self.socket.next()).await;
            match message.expect("the viewer stays").expect("a whole message") {
                Message::Text(text) => {
                    return Heard::Note(serde_json::from_str(&text).expect("JSON"));
                }
                Message::Binary(bytes) => return frame_of(&bytes),
                // Pings are answered by the library.
                _ => {}
            }
        }
    }

    /// The next picture.
    pub async fn next_frame(&mut self) -> (Value, Bytes) {
        loop {
            if let Heard::Frame { header, jpeg } = self.next().await {
                return (header, jpeg);
            }
        }
    }
}

/// The length of the header in four bytes, the header, the JPEG.
fn frame_of(bytes: &Bytes) -> Heard {
    let (length, _) = bytes.split_first_chunk().expect("a length");
    let length = u32::from_be_bytes(*length) as usize;
    Heard::Frame {
        header: serde_json::from_slice(&bytes[4..4 + length]).expect("a header in JSON"),
        jpeg: bytes.slice(4 + length..),
    }
}
