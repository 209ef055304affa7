//! The HTTP listener: bounded connections, and the one place where frontends are mounted.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Shared, access, health, metrics, status};
use crate::frontends::graphql;
use crate::frontends::http::{self, HttpError};

/// Connections at the same time; the next one waits in the system's own bounded queue until one is closed.
const MAX_CONNECTIONS: usize = 1024;
/// Wait after the system refused a connection, for want of file handles, say.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Everything that is served over HTTP.
pub(super) fn app(shared: &Arc<Shared>) -> Router {
    let frontends = http::router(shared.engine.clone()).merge(graphql::router(shared.engine.clone()));
    let own = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/status", get(status::status))
        .with_state(Arc::clone(shared));
    own.merge(frontends)
        .fallback(async || {
            HttpError::new(StatusCode::NOT_FOUND, "name", "nothing is served at this path")
                .with_hint("There are /sql, /graphql, /schema.graphql, /status, /healthz, /readyz and /metrics")
        })
        .layer(middleware::from_fn_with_state(Arc::clone(shared), access::check))
}

/// Serves `app` on `listener` until `closing`; what still runs then may finish until `ending`.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    closing: CancellationToken,
    ending: CancellationToken,
) {
    let listener = Bounded { listener, places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) };
    let served = axum::serve(listener, app).with_graceful_shutdown(closing.cancelled_owned());
    tokio::select! {
        result = async { served.await } => if let Err(error) = result {
            tracing::error!(%error, "HTTP is no longer served");
        },
        () = ending.cancelled() => {}
    }
}

/// A listener that holds a bounded number of connections.
struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Held;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Held, SocketAddr) {
        loop {
            // The semaphore is never closed; if it were, connections would only be unbounded.
            let place = Arc::clone(&self.places).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let _ = stream.set_nodelay(true); // Slower without it, and right all the same.
                    return (Held { stream, _place: place }, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with its place, which it gives back when it is closed.
struct Held {
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
