//! Accepts connections, as many as the limits allow.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{Ends, connection};
use crate::node::Node;

/// How long to wait when the system has no handles left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Serves connections until the broker stops; what is being answered then is tracked by `tasks`.
pub(crate) async fn accept(listener: TcpListener, node: Arc<Node>, tasks: TaskTracker) {
    let seats = Arc::new(Semaphore::new(node.config.limits.connections));
    while let Some(accepted) = node.stop.run_until_cancelled(listener.accept()).await {
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
        tasks.spawn(serve(stream, Arc::clone(&node), seat));
    }
}

async fn serve(stream: TcpStream, node: Arc<Node>, _seat: OwnedSemaphorePermit) {
    let cut_off = node.cut_off.clone();
    let serving = async {
        match ends(&stream) {
            Ok(ends) => connection::serve(stream, ends, node).await,
            Err(cause) => debug!(%cause, "a connection was gone at once"),
        }
    };
    if cut_off.run_until_cancelled(serving).await.is_none() {
        debug!("cut off a connection that was slow to end");
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
