//! The door: accepts connections, reads requests, sends answers in the order of the requests.

mod connection;
mod frame;
mod listener;

pub(crate) use frame::ROOM_UNIT;
pub(crate) use listener::accept;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Who asks.
    pub(crate) client: std::net::SocketAddr,
    /// The address at which we were reached; what clients are told to connect to.
    pub(crate) reached_at: std::net::SocketAddr,
}
