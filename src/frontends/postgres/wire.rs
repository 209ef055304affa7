//! The messages of one connection, read and answered one after the other.
//!
//! Why not pgwire's own loop? It keeps the socket to itself and reads it only between messages. So it cannot see that
//! a client went away while its query runs, it ends connections without a word, and it panics at a message that says
//! it is longer than it is. Here the socket is shared with who watches it, and what ends a connection can be told.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use pgwire::api::cancel::CancelHandler;
use pgwire::api::{ClientInfo, DefaultClient, NoopHandler, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::codec::Framed;

use super::cancel::Connections;
use super::connection::Connection;
use super::conversation::Statement;
use super::error::{ending, violation};
use super::startup::Startup;

/// How long a client may take to receive why its connection ends.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// A connection as messages.
pub(super) type Wire = Framed<Socket, PgWireMessageServerCodec<Statement>>;

/// The messages on `stream`, of which nothing was read yet.
pub(super) fn open(stream: Arc<TcpStream>) -> io::Result<Wire> {
    spare_the_log();
    stream.set_nodelay(true)?;
    let client = DefaultClient::new(stream.peer_addr()?, false);
    Ok(Framed::new(Socket(stream), PgWireMessageServerCodec::new(client)))
}

/// What answers the messages of one connection.
pub(super) struct Handlers {
    pub(super) connection: Arc<Connection>,
    pub(super) startup: Arc<Startup>,
    pub(super) connections: Arc<Connections>,
}

/// Answers messages until the client ends the connection, or an error does.
pub(super) async fn converse(wire: &mut Wire, handlers: &Handlers) -> io::Result<()> {
    let mut read = opening(wire).await;
    while let Some(message) = read {
        let message = match message {
            Ok(PgWireFrontendMessage::Terminate(_)) => break,
            Ok(PgWireFrontendMessage::CancelRequest(request)) => {
                handlers.connections.on_cancel_request(request).await;
                break;
            }
            Ok(message) => message,
            Err(error) => return reject(wire, error).await,
        };
        let logging_in = matches!(
            wire.state(),
            PgWireConnectionState::AwaitingStartup | PgWireConnectionState::AuthenticationInProgress
        );
        let extended = message.is_extended_query();
        let Handlers { connection, startup, connections } = handlers;
        let processed = process_message(
            message,
            wire,
            Arc::clone(startup),
            Arc::clone(connection),
            Arc::clone(connection),
            Arc::new(NoopHandler),
            Arc::clone(connections),
        );
        if let Err(error) = processed.await {
            let info = ErrorInfo::from(error);
            if logging_in || info.is_fatal() {
                tell(wire, ending(info)).await;
                break;
            }
            process_error(wire, PgWireError::UserError(Box::new(info)), extended).await?;
        }
        read = next(wire).await;
    }
    Ok(())
}

/// Serves a cancel request, for which there is always a place; says `reason` to who asks for anything else.
pub(super) async fn refuse(wire: &mut Wire, connections: &Connections, reason: ErrorInfo) -> io::Result<()> {
    match opening(wire).await {
        Some(Ok(PgWireFrontendMessage::CancelRequest(request))) => {
            connections.on_cancel_request(request).await;
        }
        Some(Ok(_)) => tell(wire, reason).await,
        Some(Err(error)) => return reject(wire, error).await,
        None => {}
    }
    Ok(())
}

/// Says why the connection ends now. A client that does not read it is not waited for.
pub(super) async fn tell(wire: &mut Wire, reason: ErrorInfo) {
    let sent = wire.send(PgWireBackendMessage::ErrorResponse(reason.into()));
    // Whether it arrives changes nothing.
    let _ = tokio::time::timeout(FAREWELL_LIMIT, sent).await;
}

/// Ends a connection on which no message could be read.
async fn reject(wire: &mut Wire, error: PgWireError) -> io::Result<()> {
    match error {
        PgWireError::IoError(error) => Err(error),
        error => {
            tracing::debug!(%error, "a PostgreSQL client broke the protocol");
            tell(wire, violation(error.to_string())).await;
            Ok(())
        }
    }
}

/// What the client asks first, once it knows that nothing is encrypted here.
async fn opening(wire: &mut Wire) -> Option<PgWireResult<PgWireFrontendMessage>> {
    loop {
        let refusal = match next(wire).await? {
            Ok(PgWireFrontendMessage::SslNegotiation(asked)) => match asked {
                SslNegotiationMetaMessage::PostgresSsl(_) => {
                    PgWireBackendMessage::SslResponse(SslResponse::Refuse)
                }
                SslNegotiationMetaMessage::PostgresGss(_) => {
                    PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)
                }
                SslNegotiationMetaMessage::None => {
                    wire.set_state(PgWireConnectionState::AwaitingStartup);
                    continue;
                }
            },
            other => return Some(other),
        };
        if let Err(error) = wire.send(refusal).await {
            return Some(Err(error.into()));
        }
    }
}

thread_local! {
    /// This thread decodes a message now.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// The next message. pgwire trusts the lengths within a message, and panics at those that are too large: that is
/// the client's fault, and ends its connection only.
async fn next(wire: &mut Wire) -> Option<PgWireResult<PgWireFrontendMessage>> {
    poll_fn(|context| {
        DECODING.set(true);
        let polled = panic::catch_unwind(AssertUnwindSafe(|| wire.poll_next_unpin(context)));
        DECODING.set(false);
        polled.unwrap_or_else(|_| {
            Poll::Ready(Some(Err(PgWireError::ApiError("a message is shorter than it says".into()))))
        })
    })
    .await
}

/// Keeps panics over a message out of the log, which any client could fill with them; all others are reported as
/// before.
fn spare_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // At the end of a thread there is no value any more; a second panic would end the process.
            if !DECODING.try_with(Cell::get).unwrap_or(false) {
                report(panic);
            }
        }));
    });
}

/// Waits until the client has closed its side. Data that wait to be read are not the end, and wake nobody.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) async fn left(stream: &TcpStream) {
    // Of urgent data, which are not asked for, only the end of all data is ever reported.
    if stream.ready(tokio::io::Interest::PRIORITY).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Elsewhere it cannot be told from data: a query goes on until its first rows cannot be sent.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) async fn left(_: &TcpStream) {
    std::future::pending().await
}

/// A socket that can be watched while it is read and written. It is closed when all let go of it.
pub(super) struct Socket(Arc<TcpStream>);

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
