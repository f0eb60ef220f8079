//! The texts of the live WebSocket, both ways.

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::source::Summary;

/// What the server says; frames are binary.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum ToClient {
    Hello { server_ms: f64 },
    Sources { sources: Vec<Summary> },
    Pong { t: Number, server_ms: f64 },
}

/// What a client may say.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum FromClient {
    /// Named sources alone, none of them with an empty list, all with `null`.
    Subscribe { sources: Option<Vec<String>> },
    /// To be echoed: the client measures its round trip and the difference of the clocks.
    Ping { t: Number },
}

impl ToClient {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain fields are plain JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FromClient, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn clients_may_subscribe_and_ping() {
        let sources = Some(vec!["belt-1".to_owned()]);
        let named = read(r#"{"type":"subscribe","sources":["belt-1"]}"#).unwrap();
        assert_eq!(named, FromClient::Subscribe { sources });
        let all = read(r#"{"type":"subscribe","sources":null}"#).unwrap();
        assert_eq!(all, FromClient::Subscribe { sources: None });
        let ping = read(r#"{"type":"ping","t":12.5}"#).unwrap();
        assert!(matches!(ping, FromClient::Ping { t } if t.as_f64() == Some(12.5)));
    }

    #[test]
    fn anything_else_is_an_error() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"type":"shout"}"#,
            r#"{"type":"ping","t":"now"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_server_says_what_it_says_in_the_documented_form() {
        let pong = ToClient::Pong {
            t: 7.into(),
            server_ms: 1.5,
        };
        assert_eq!(pong.to_json(), r#"{"type":"pong","t":7,"server_ms":1.5}"#);
        let hello = ToClient::Hello { server_ms: 2.0 };
        assert_eq!(hello.to_json(), r#"{"type":"hello","server_ms":2.0}"#);
        let none = ToClient::Sources {
            sources: Vec::new(),
        };
        assert_eq!(none.to_json(), r#"{"type":"sources","sources":[]}"#);
    }
}
