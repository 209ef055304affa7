//! Accepts HTTP connections, each for as long as it is of use.
//!
//! **What if clients are slow, or never send what they began?** A header has a bound of time, which also ends a
//! connection that is kept for a next request; [`body`](super::body) has one as well, and so has an answer of which the
//! client takes nothing. **What happens when all places
//! are taken?** A few more connections are accepted, for one request each, and served by an application of their own:
//! a probe that cannot connect would have the server killed for being busy.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::frontends::http::HttpError;
use crate::frontends::{Places, Taken};

/// How long a client may take to receive that its header came too late.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// What bounds the connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at the same time.
    pub(super) places: usize,
    /// Connections beyond that, for one request each.
    pub(super) reserve: usize,
    /// How long a header may take to arrive, and the next request of a connection to begin.
    pub(super) header: Duration,
    /// The same for the connections of the reserve.
    pub(super) reserve_header: Duration,
    /// How long a client may take nothing of its answer.
    pub(super) write: Duration,
}

/// What is served, to whom.
pub(super) struct Host {
    pub(super) bounds: Bounds,
    /// Everything.
    pub(super) app: Router,
    /// What is left of it when all places are taken.
    pub(super) reserve: Router,
}

impl Host {
    /// Serves `listener` until `closing`; what still runs then may finish until `ending`.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        closing: CancellationToken,
        ending: CancellationToken,
    ) {
        let places = Places::new(listener, self.bounds.places, self.bounds.reserve);
        let tasks = TaskTracker::new();
        loop {
            let (place, stream) = tokio::select! {
                () = closing.cancelled() => break,
                next = places.next() => next,
            };
            let attended = self.attend(stream, place.is_beyond(), closing.clone());
            let ending = ending.clone();
            tasks.spawn(async move {
                let _place = place;
                tokio::select! {
                    () = ending.cancelled() => {}
                    () = attended => {}
                }
            });
        }
        drop(places);
        tasks.close();
        tasks.wait().await;
    }

    /// Serves one client, which may be one `too_many`; from `closing` on only the request that it has begun.
    fn attend(
        &self,
        stream: TcpStream,
        too_many: bool,
        closing: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (app, limit) = match too_many {
            true => (self.reserve.clone(), self.bounds.reserve_header),
            false => (self.app.clone(), self.bounds.header),
        };
        let write = self.bounds.write;
        async move {
            let _ = stream.set_nodelay(true); // Slower without it, and right all the same.
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(limit).keep_alive(!too_many);
            let stream = TokioIo::new(Taken::new(stream, write));
            let mut connection = builder.serve_connection(stream, TowerToHyperService::new(app));
            let served = tokio::select! {
                served = &mut connection => served,
                () = closing.cancelled() => {
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                    (&mut connection).await
                }
            };
            let Err(error) = served else { return };
            tracing::debug!(%error, "an HTTP connection ended");
            let parts = connection.into_parts();
            // One that was kept for a next request has asked nothing.
            if error.is_timeout() && !parts.read_buf.is_empty() {
                tell_timeout(parts.io.into_inner(), limit).await;
            }
        }
    }
}

/// Answers a request whose header did not arrive: hyper only ends the connection.
async fn tell_timeout(mut stream: impl AsyncWrite + Unpin, limit: Duration) {
    let message = format!("the header did not arrive within {limit:?}");
    let error = HttpError::new(StatusCode::REQUEST_TIMEOUT, "limit", message);
    let (status, body) = (error.status, error.body().to_string());
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Whether it arrives changes nothing.
    let _ = tokio::time::timeout(FAREWELL_LIMIT, stream.write_all(answer.as_bytes())).await;
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
