//! Cuts off a peer that takes no byte for too long, so that a frozen browser cannot hold a
//! connection and its buffers for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream whose writes fail with `TimedOut` once the peer has blocked them for `limit`.
pub(super) struct CutStalledWrites<S> {
    stream: S,
    limit: Duration,
    /// Runs while a write is blocked, and only then: an idle connection is no stalled one.
    blocked_until: Option<Pin<Box<Sleep>>>,
}

impl<S> CutStalledWrites<S> {
    pub(super) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            blocked_until: None,
        }
    }

    fn watch(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.blocked_until = None;
            return written;
        }
        let limit = self.limit;
        let timer = self
            .blocked_until
            .get_or_insert_with(|| Box::pin(sleep(limit)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CutStalledWrites<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CutStalledWrites<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(4);
        let mut stream = CutStalledWrites::new(ours, LIMIT);
        let started = tokio::time::Instant::now();
        let error = stream
            .write_all(b"more than four")
            .await
            .expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() >= LIMIT, "on the paused clock");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_that_reads_on_is_not() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut stream = CutStalledWrites::new(ours, LIMIT);
        let reader = tokio::spawn(async move {
            let mut received = Vec::new();
            let mut bytes = [0; 4];
            while let Ok(count @ 1..) = theirs.read(&mut bytes).await {
                received.extend_from_slice(&bytes[..count]);
                sleep(LIMIT * 9 / 10).await;
            }
            received
        });
        stream
            .write_all(b"much more than four bytes")
            .await
            .expect("the peer reads on");
        drop(stream);
        assert_eq!(
            reader.await.expect("no panic"),
            b"much more than four bytes"
        );
    }
}
