//! Accepts connections, as many as the limits allow.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use super::{Ends, connection};
use crate::node::Node;

/// How long to wait when the system has no handles left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Serves connections until `stop`; what is being answered then is tracked by `tasks`.
pub(crate) async fn accept(
    listener: TcpListener,
    node: Arc<Node>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let seats = Arc::new(Semaphore::new(node.config.limits.connections));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _address)) => stream,
            Err(cause) => {
                warn!(%cause, "cannot accept a connection");
                sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else {
            warn!(
                limit = node.config.limits.connections,
                "closed a connection: too many are open"
            );
            continue;
        };
        tasks.spawn(serve(stream, Arc::clone(&node), stop.clone(), seat));
    }
}

async fn serve(
    stream: TcpStream,
    node: Arc<Node>,
    stop: CancellationToken,
    _seat: OwnedSemaphorePermit,
) {
    match ends(&stream) {
        Ok(ends) => connection::serve(stream, ends, node, stop).await,
        Err(cause) => debug!(%cause, "a connection was gone at once"),
    }
}

fn ends(stream: &TcpStream) -> io::Result<Ends> {
    // Answers are written in one go; waiting for more would only add latency.
    stream.set_nodelay(true)?;
    Ok(Ends {
        client: stream.peer_addr()?,
        reached_at: stream.local_addr()?,
    })
}
