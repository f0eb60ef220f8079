//! One WebSocket client: told about sources, sent the newest frames, never waited for by others.

use std::{sync::Arc, time::Duration};

use axum::{
    Error as SocketError,
    extract::ws::{CloseFrame, Message, WebSocket, close_code},
};
use bytes::Bytes;
use futures::{SinkExt, future};
use tokio::{
    sync::watch,
    time::{Instant, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    messages::{FromClient, ToClient},
    window::Window,
};
use crate::{choice::Choice, hub::Hub, shown::Shown};

/// Summaries come this often even without news: fps and ages change all the time.
const ROSTER_INTERVAL: Duration = Duration::from_secs(2);

/// What a client is granted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For taking one message.
    pub(crate) write: Duration,
    /// For answering a ping.
    pub(crate) pong: Duration,
}

impl Patience {
    pub(crate) const DEFAULT: Self = Self {
        write: Duration::from_secs(10),
        pong: Duration::from_secs(15),
    };
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// The client left or broke the protocol.
    #[error("the client has gone")]
    Gone(Option<SocketError>),
    /// It took or answered nothing for too long.
    #[error("the client has stalled")]
    Stalled,
    /// It said what it may not say.
    #[error("refused: {0}")]
    Refused(String),
    /// The viewer shuts down.
    #[error("the viewer shuts down")]
    Shutdown,
}

/// The conversation with one client.
pub(super) struct Session {
    hub: Arc<Hub>,
    socket: WebSocket,
    choice: Choice,
    /// The number of the last frame sent.
    sent_up_to: u64,
    window: Window,
    patience: Patience,
    frame_bell: watch::Receiver<()>,
    roster_bell: watch::Receiver<()>,
}

impl Session {
    pub(super) fn new(
        hub: Arc<Hub>,
        socket: WebSocket,
        choice: Choice,
        patience: Patience,
    ) -> Self {
        Self {
            frame_bell: hub.frame_bell(),
            roster_bell: hub.roster_bell(),
            hub,
            socket,
            choice,
            sent_up_to: 0,
            window: Window::new(),
            patience,
        }
    }

    /// Talks until either side ends it; says why where the client can still hear it.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Ended {
        let Err(ended) = self.converse(stop).await;
        let farewell = match &ended {
            Ended::Gone(_) | Ended::Stalled => None,
            Ended::Refused(reason) => Some((close_code::POLICY, reason.clone())),
            Ended::Shutdown => Some((close_code::AWAY, "shutting down".to_owned())),
        };
        if let Some((code, mut reason)) = farewell {
            // A close frame has room for no more.
            reason.truncate(reason.floor_char_boundary(120));
            let close = Message::Close(Some(CloseFrame {
                code,
                reason: reason.into(),
            }));
            // It is going anyway; whether it heard why changes nothing.
            let _heard = self.send([close]).await;
        }
        ended
    }

    async fn converse(
        &mut self,
        stop: &CancellationToken,
    ) -> Result<std::convert::Infallible, Ended> {
        let server_ms = self.hub.now().unix_ms();
        self.say(&ToClient::Hello { server_ms }).await?;
        self.send_roster().await?;
        let mut roster_due = interval_at(Instant::now() + ROSTER_INTERVAL, ROSTER_INTERVAL);
        loop {
            // Marked as heard before looking, so that a frame that comes in between rings again.
            self.frame_bell.mark_unchanged();
            let next = self.next_frame();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Ended::Shutdown),
                heard = self.socket.recv() => self.hear(heard).await?,
                _ = roster_due.tick() => self.send_roster().await?,
                _ = self.roster_bell.changed() => self.send_roster().await?,
                () = until(self.window.deadline(self.patience.pong)) => return Err(Ended::Stalled),
                _ = self.frame_bell.changed(), if next.is_none() => {}
                () = future::ready(()), if next.is_some() => self.send_frame(next).await?,
            }
        }
    }

    fn next_frame(&self) -> Option<(u64, Arc<Shown>)> {
        if self.window.is_full() {
            return None;
        }
        self.hub
            .look(|wall, _| wall.next_frame(&self.choice, self.sent_up_to))
    }

    async fn send_frame(&mut self, frame: Option<(u64, Arc<Shown>)>) -> Result<(), Ended> {
        let Some((number, shown)) = frame else {
            return Ok(());
        };
        self.sent_up_to = number;
        let ping = self.ping();
        self.send([Message::Binary(shown.message()), ping]).await
    }

    async fn send_roster(&mut self) -> Result<(), Ended> {
        self.roster_bell.mark_unchanged();
        let sources = self.hub.look(|wall, now| wall.summaries(&self.choice, now));
        self.window.fit(sources.len());
        let text = ToClient::Sources { sources }.to_json();
        let text = Message::Text(text.into());
        // Keeps watch over a client that is sent no frames.
        if self.window.is_idle() {
            let ping = self.ping();
            return self.send([text, ping]).await;
        }
        self.send([text]).await
    }

    async fn hear(&mut self, heard: Option<Result<Message, SocketError>>) -> Result<(), Ended> {
        match heard {
            None | Some(Ok(Message::Close(_))) => Err(Ended::Gone(None)),
            Some(Err(error)) => Err(Ended::Gone(Some(error))),
            Some(Ok(Message::Pong(carried))) => {
                self.window.pong(&carried);
                Ok(())
            }
            // The library answers it.
            Some(Ok(Message::Ping(_))) => Ok(()),
            Some(Ok(Message::Binary(_))) => Err(Ended::Refused("only text is understood".into())),
            Some(Ok(Message::Text(text))) => self.obey(text.as_str()).await,
        }
    }

    async fn obey(&mut self, text: &str) -> Result<(), Ended> {
        let refused = |error: &dyn std::error::Error| Ended::Refused(error.to_string());
        match serde_json::from_str(text).map_err(|error| refused(&error))? {
            FromClient::Ping { t } => {
                let server_ms = self.hub.now().unix_ms();
                self.say(&ToClient::Pong { t, server_ms }).await
            }
            FromClient::Subscribe { sources } => {
                self.choice = match sources {
                    None => Choice::All,
                    Some(names) => Choice::named(names).map_err(|error| refused(&error))?,
                };
                // What is newest now is sent even if it was sent before: the page may show it anew.
                self.sent_up_to = 0;
                self.send_roster().await
            }
        }
    }

    async fn say(&mut self, message: &ToClient) -> Result<(), Ended> {
        self.send([Message::Text(message.to_json().into())]).await
    }

    fn ping(&mut self) -> Message {
        let carried = self.window.ping(Instant::now());
        Message::Ping(Bytes::copy_from_slice(&carried))
    }

    async fn send<const N: usize>(&mut self, messages: [Message; N]) -> Result<(), Ended> {
        let sending = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        match timeout(self.patience.write, sending).await {
            Ok(sent) => sent.map_err(|error| Ended::Gone(Some(error))),
            Err(_elapsed) => Err(Ended::Stalled),
        }
    }
}

/// For ever where there is no deadline.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}
