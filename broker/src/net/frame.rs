//! Reads one request off a connection, under every bound there is.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{buffer::Buffer, config::Limits};

/// The length, and the key of the request behind it.
const PREFIX_BYTES: usize = 6;
const KEY_BYTES: usize = 2;
/// Key, version and correlation id.
const LEAST_BYTES: usize = 8;
/// Room is counted in these, so that all of it fits a semaphore.
pub(crate) const ROOM_UNIT: usize = 1024;

/// A request as it came, and the room it takes.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    pub(super) room: OwnedSemaphorePermit,
}

/// Why no further request is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a request of {0} bytes is no request of Kafka's protocol")]
    Malformed(i32),
    #[error("a request of {bytes} bytes is over the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    #[error("no whole request within {0:?}")]
    Slow(Duration),
    #[error("no request for {0:?}")]
    Idle(Duration),
    #[error("the broker is stopping")]
    Stopping,
    #[error("the connection broke in the middle of a request: {0}")]
    Broken(#[from] io::Error),
}

/// The next request; `None` when the client has closed the connection.
pub(super) async fn read_frame(
    reader: &mut (impl AsyncRead + Unpin),
    limits: &Limits,
    room: &Arc<Semaphore>,
) -> Result<Option<Frame>, FrameError> {
    let mut prefix = [0; PREFIX_BYTES];
    let first = timeout(limits.idle, reader.read(&mut prefix)).await;
    let begun = first.map_err(|_elapsed| FrameError::Idle(limits.idle))?;
    let begun = match begun {
        Ok(0) => return Ok(None),
        // A client that is killed resets its connections; between requests that is no news.
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        begun => begun?,
    };
    let whole = async {
        reader.read_exact(&mut prefix[begun..]).await?;
        let length = checked_length(prefix, limits)?;
        // One request that is larger than all the room takes all of it.
        let room_bytes = length.min(limits.requests_bytes);
        let units = u32::try_from(room_bytes.div_ceil(ROOM_UNIT)).unwrap_or(u32::MAX);
        let acquired = Arc::clone(room).acquire_many_owned(units).await;
        let room = acquired.map_err(|_closed| FrameError::Stopping)?;
        let mut bytes = Buffer::zeroed(length)?;
        bytes[..KEY_BYTES].copy_from_slice(&prefix[PREFIX_BYTES - KEY_BYTES..]);
        reader.read_exact(&mut bytes[KEY_BYTES..]).await?;
        Ok(Frame {
            bytes: bytes.freeze(),
            room,
        })
    };
    match timeout(limits.receive, whole).await {
        Ok(frame) => frame.map(Some),
        Err(_elapsed) => Err(FrameError::Slow(limits.receive)),
    }
}

/// Only requests that carry records may be large: the others are decoded into many small pieces.
fn checked_length(prefix: [u8; PREFIX_BYTES], limits: &Limits) -> Result<usize, FrameError> {
    let mut prefix = &prefix[..];
    let (claimed, key) = (prefix.get_i32(), prefix.get_i16());
    let bytes = usize::try_from(claimed)
        .ok()
        .filter(|bytes| *bytes >= LEAST_BYTES)
        .ok_or(FrameError::Malformed(claimed))?;
    let limit = if key == ApiKey::Produce as i16 {
        limits.request_bytes
    } else {
        limits.small_request_bytes
    };
    if bytes > limit {
        return Err(FrameError::TooLarge { bytes, limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn room() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(16))
    }

    fn limits() -> Limits {
        Limits {
            request_bytes: 4096,
            small_request_bytes: 100,
            ..Limits::default()
        }
    }

    fn request(key: i16, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_i32(i32::try_from(length).expect("a short request"));
        bytes.put_i16(key);
        bytes.resize(4 + length, 5);
        bytes
    }

    async fn read(mut bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
        read_frame(&mut bytes, &limits(), &room()).await
    }

    #[tokio::test]
    async fn a_request_comes_whole_and_holds_its_room() {
        let room = room();
        let sent = request(0, 2000);
        let frame = read_frame(&mut &sent[..], &limits(), &room).await;
        let frame = frame.expect("in bounds").expect("a request");
        assert_eq!(frame.bytes, sent[4..]);
        assert_eq!(room.available_permits(), 14);
        drop(frame.room);
        assert_eq!(room.available_permits(), 16);
    }

    #[tokio::test]
    async fn the_end_between_requests_is_no_error() {
        assert!(read(b"").await.expect("closed").is_none());
    }

    #[tokio::test]
    async fn the_end_within_a_request_is_one() {
        let sent = request(0, 50);
        for length in 1..sent.len() {
            let broken = read(&sent[..length]).await;
            assert!(matches!(broken, Err(FrameError::Broken(_))), "{length}");
        }
    }

    #[tokio::test]
    async fn lengths_out_of_bounds_are_refused_before_anything_is_reserved() {
        assert!(matches!(
            read(&[0xFF; 40]).await,
            Err(FrameError::Malformed(-1))
        ));
        assert!(matches!(
            read(&request(0, 7)).await,
            Err(FrameError::Malformed(7))
        ));
        let large = read(&request(0, 4097)).await;
        assert!(matches!(
            large,
            Err(FrameError::TooLarge { limit: 4096, .. })
        ));
        let large = read(&request(3, 101)).await;
        assert!(matches!(
            large,
            Err(FrameError::TooLarge { limit: 100, .. })
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_is_given_up() {
        let (mut client, mut server) = tokio::io::duplex(64);
        client.write_all(&request(0, 50)[..20]).await.expect("room");
        let slow = read_frame(&mut server, &limits(), &room()).await;
        assert!(matches!(slow, Err(FrameError::Slow(_))), "{slow:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_given_up() {
        let (_client, mut server) = tokio::io::duplex(64);
        let idle = read_frame(&mut server, &limits(), &room()).await;
        assert!(matches!(idle, Err(FrameError::Idle(_))), "{idle:?}");
    }
}
