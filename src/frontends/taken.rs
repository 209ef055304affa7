//! Sockets whose other side has to take what is written.
//!
//! While a client takes nothing of its answer, nobody asks for further rows: neither the query's deadline is seen, nor
//! that anybody waits for the client's place. So a write that makes no progress for too long fails.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A socket that fails once nothing of what is written was taken for so long.
pub(crate) struct Taken<S> {
    socket: S,
    limit: Duration,
    /// Runs since a write had to wait, until bytes are taken. Once it is over it stays so: what is written yet, such as
    /// why the connection ends, does not wait anew.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> Taken<S> {
    pub(crate) fn new(socket: S, limit: Duration) -> Self {
        Self { socket, limit, patience: None }
    }

    fn bounded<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let limit = self.limit;
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        patience.as_mut().poll(context).map(|()| {
            let message = format!("the client took nothing of its answer for {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_flush(context) {
            // A socket has nothing to flush, so that this is no progress.
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => self.bounded(context, Poll::Pending),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_write_fails_once_nothing_was_taken_for_too_long() {
        let limit = Duration::from_millis(50);
        let (here, mut there) = tokio::io::duplex(1);
        let mut here = Taken::new(here, limit);
        let late = |error: io::Error| (error.kind(), error.to_string());
        let expected = (io::ErrorKind::TimedOut, "the client took nothing of its answer for 50ms".to_owned());
        here.write_all(b"a").await.unwrap();
        assert!(here.write(b"b").now_or_never().is_none());
        tokio::time::sleep(limit * 2).await;
        assert_eq!(there.read_u8().await.unwrap(), b'a');
        here.write_all(b"b").await.unwrap();
        assert!(here.write(b"c").now_or_never().is_none(), "what was taken gives it as long once more");
        let written = tokio::time::timeout(Duration::from_secs(20), here.write(b"c"));
        assert_eq!(late(written.await.unwrap().unwrap_err()), expected);
        assert_eq!(late(here.write(b"d").now_or_never().unwrap().unwrap_err()), expected, "nothing waits anew");
        there.write_all(b"e").await.unwrap();
        assert_eq!(here.read_u8().await.unwrap(), b'e');
    }
}
