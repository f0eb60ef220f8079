//! One connection: requests are worked on one after the other, but for Produce, which is handed to
//! the log in order and answered when the log has it, so that a flush never stops the next request.

use std::{collections::VecDeque, future::pending, io, io::IoSlice, sync::Arc};

use bytes::{Buf, Bytes};
use kafka_protocol::messages::ApiKey;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    Ends,
    frame::{Frame, FrameError, read_frame},
};
use crate::{
    api::{self, Reply, RequestError},
    node::Node,
    wire::{
        Answer,
        answer::EncodeError,
        header::{HeaderError, Request},
    },
};

/// Answers that wait for their turn. Clients have five requests under way by default.
const IN_FLIGHT: usize = 8;

/// A reply, and the room its request takes until then.
struct Due {
    reply: Reply,
    _room: OwnedSemaphorePermit,
}

/// Serves one client until it leaves, misbehaves, or the broker stops.
pub(super) async fn serve(stream: TcpStream, ends: Ends, node: Arc<Node>) {
    let (reader, writer) = stream.into_split();
    let (replies, due) = mpsc::channel(IN_FLIGHT);
    let closing = CancellationToken::new();
    let receiving = Receiving {
        reader,
        ends,
        node: &node,
        closing: &closing,
    };
    let reading = async {
        if let Err(cause) = receiving.run(replies).await {
            cause.log(ends);
        }
    };
    let writing = async {
        if let Err(cause) = send(writer, due, &node).await {
            debug!(client = %ends.client, %cause, "stopped answering");
        }
        closing.cancel();
    };
    tokio::join!(reading, writing);
}

/// Why a connection is closed from our side.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl Closed {
    /// Clients come and go; only one that sends what it should not is worth a warning.
    fn log(&self, ends: Ends) {
        let client = ends.client;
        if let Self::Frame(FrameError::Idle(_) | FrameError::Broken(_) | FrameError::Stopping) =
            self
        {
            debug!(%client, cause = %self, "closed a connection");
        } else {
            warn!(%client, cause = %self, "closed a connection");
        }
    }
}

/// The near half of a connection. It ends between requests only, but for those that merely wait: a
/// change of topics or groups cut off half-way would be in the journal and not in memory.
struct Receiving<'a> {
    reader: OwnedReadHalf,
    ends: Ends,
    node: &'a Arc<Node>,
    /// The far half has ended: there is nobody to answer.
    closing: &'a CancellationToken,
}

impl Receiving<'_> {
    async fn run(mut self, replies: mpsc::Sender<Due>) -> Result<(), Closed> {
        while let Some(Frame { bytes, room }) = self.next_frame().await? {
            let Some(reply) = self.reply_to(bytes).await? else {
                break;
            };
            if replies.send(Due { reply, _room: room }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// The next request; `None` when there will be none.
    async fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let node = self.node;
        tokio::select! {
            biased;
            () = node.stop.cancelled() => Ok(None),
            () = self.closing.cancelled() => Ok(None),
            frame = read_frame(&mut self.reader, &node.config.limits, &node.requests_room) => frame,
        }
    }

    /// What comes of a request; `None` when the client went away while it waited.
    async fn reply_to(&mut self, frame: Bytes) -> Result<Option<Reply>, Closed> {
        let (node, ends) = (self.node, self.ends);
        let request = match Request::parse(frame) {
            Ok(request) => request,
            Err(HeaderError::ApiVersions {
                version,
                correlation_id,
            }) => {
                debug!(client = %ends.client, version, "ApiVersions in a version of the future");
                return Ok(Some(Reply::Now(api::oldest_api_versions(correlation_id)?)));
            }
            Err(cause) => return Err(cause.into()),
        };
        if !may_wait(request.api) {
            return Ok(Some(api::reply(node, ends, request).await?));
        }
        // Whoever waits for a client that is gone must learn of it.
        tokio::select! {
            reply = api::reply(node, ends, request) => Ok(Some(reply?)),
            () = hung_up(&mut self.reader) => Ok(None),
            () = self.closing.cancelled() => Ok(None),
        }
    }
}

/// Requests whose answer may take as long as the client allows.
fn may_wait(api: ApiKey) -> bool {
    matches!(api, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

/// Returns when the client has closed the connection; a client that sends on is still there.
async fn hung_up(reader: &mut OwnedReadHalf) {
    if let Ok(1..) = reader.peek(&mut [0]).await {
        pending::<()>().await;
    }
}

/// Sends the answers in the order of their requests.
async fn send(
    mut writer: OwnedWriteHalf,
    mut due: mpsc::Receiver<Due>,
    node: &Node,
) -> Result<(), SendError> {
    while let Some(Due { reply, _room }) = due.recv().await {
        let Some(answer) = reply.ready().await? else {
            continue;
        };
        let Answer { pieces, room } = answer;
        let mut pieces = Pieces::new(pieces);
        timeout(node.config.limits.send, writer.write_all_buf(&mut pieces))
            .await
            .map_err(|_elapsed| SendError::Stalled)??;
        drop(room);
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("the client does not take its answers")]
    Stalled,
    #[error(transparent)]
    Broken(#[from] io::Error),
}

/// Several buffers written as one, without copying them together.
struct Pieces(VecDeque<Bytes>);

impl Pieces {
    fn new(pieces: Vec<Bytes>) -> Self {
        Self(
            pieces
                .into_iter()
                .filter(|piece| !piece.is_empty())
                .collect(),
        )
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |piece| &piece[..])
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let filled = self.0.len().min(slices.len());
        for (slice, piece) in slices.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(piece);
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while count > 0 {
            let piece = self
                .0
                .front_mut()
                .expect("no more is written than was given");
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
            if piece.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_are_written_in_order() {
        let parts = [&b"head"[..], b"records", b"", b"tail"];
        let mut pieces = Pieces::new(parts.map(Bytes::from_static).to_vec());
        // A pipe narrower than one piece, so that every write is partial.
        let (mut client, mut server) = tokio::io::duplex(3);
        let writing = tokio::spawn(async move {
            let written = client.write_all_buf(&mut pieces).await;
            drop(client);
            written
        });
        let mut received = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut server, &mut received)
            .await
            .expect("an open pipe");
        writing.await.expect("no panic").expect("all written");
        assert_eq!(received, b"headrecordstail");
    }
}
