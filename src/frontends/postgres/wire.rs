//! The messages of one connection, read and answered one after the other.
//!
//! Why not pgwire's own loop? It keeps the socket to itself and reads it only between messages. So it cannot see that
//! a client went away while its query runs, it ends connections without a word, it panics at a message that says it is
//! longer than it is, and it takes 1 GB for one from anybody. Here the socket is shared with who watches it, what ends
//! a connection can be told, and the length of a message is looked at before the rest is read.

use std::cell::Cell;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::SinkExt;
use pgwire::api::cancel::CancelHandler;
use pgwire::api::{ClientInfo, DefaultClient, NoopHandler, PgWireConnectionState};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use pgwire::tokio::server::{PgWireMessageServerCodec, process_error, process_message};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Framed};
use tokio_util::sync::CancellationToken;

use super::cancel::Connections;
use super::connection::Connection;
use super::conversation::Statement;
use super::error::{ending, protocol_violation, terminated};
use super::startup::Startup;
use crate::frontends::Taken;

/// How long a client may take to receive why its connection ends.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);

/// Bytes of one message before the log-in, when anybody may send it; what clients send then has far less.
const MAX_LOGIN_MESSAGE: u32 = 10_000;

/// Bytes of one message: a query with the values of its parameters.
const MAX_MESSAGE: u32 = 64 << 20;

/// Bytes for which there is room when the socket is read.
const READ_AHEAD: usize = 8 << 10;

/// A connection as messages.
pub(super) type Wire = Framed<Taken<Socket>, PgWireMessageServerCodec<Statement>>;

/// The messages on `stream`, of which nothing was read yet, and whose client may take nothing for as long as `write`.
pub(super) fn open(stream: Arc<TcpStream>, write: Duration) -> io::Result<Wire> {
    spare_the_log();
    stream.set_nodelay(true)?;
    let client = DefaultClient::new(stream.peer_addr()?, false);
    Ok(Framed::new(Taken::new(Socket(stream), write), PgWireMessageServerCodec::new(client)))
}

/// What answers the messages of one connection.
pub(super) struct Handlers {
    pub(super) connection: Arc<Connection>,
    pub(super) startup: Arc<Startup>,
    pub(super) connections: Arc<Connections>,
}

/// Answers messages until the client ends the connection, or an error does, or `closing` when nothing is unanswered.
pub(super) async fn converse(
    wire: &mut Wire,
    handlers: &Handlers,
    closing: &CancellationToken,
) -> io::Result<()> {
    // A Sync is still to come, and what it is answered with.
    let mut unsynced = false;
    loop {
        let state = wire.state();
        let logging_in = is_before_login(state);
        let rests = logging_in || matches!(state, PgWireConnectionState::ReadyForQuery) && !unsynced;
        let read = tokio::select! {
            biased;
            () = closing.cancelled(), if rests => {
                tell(wire, terminated()).await;
                break;
            }
            read = next_unencrypted(wire) => read,
        };
        let message = match read {
            None | Some(Ok(PgWireFrontendMessage::Terminate(_))) => break,
            Some(Ok(PgWireFrontendMessage::CancelRequest(request))) => {
                handlers.connections.on_cancel_request(request).await;
                break;
            }
            Some(Ok(message)) => message,
            Some(Err(error)) => return reject(wire, error).await,
        };
        let extended = message.is_extended_query();
        unsynced = extended && !matches!(message, PgWireFrontendMessage::Sync(_));
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
    }
    Ok(())
}

/// Serves a cancel request, for which there is always a place; says `reason` to who asks for anything else.
pub(super) async fn refuse(wire: &mut Wire, connections: &Connections, reason: ErrorInfo) -> io::Result<()> {
    match next_unencrypted(wire).await {
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
            let violation = match error {
                PgWireError::UserError(info) => *info,
                error => protocol_violation(error.to_string()).into(),
            };
            tell(wire, ending(violation)).await;
            Ok(())
        }
    }
}

/// The next message but for those that ask for encryption, which is refused.
async fn next_unencrypted(wire: &mut Wire) -> Option<PgWireResult<PgWireFrontendMessage>> {
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

/// The next message. It is read here and not by [`Framed`], which would read all of a message before its length can
/// be looked at. If this is dropped, what was read is lost: only a connection that ends may do so.
async fn next(wire: &mut Wire) -> Option<PgWireResult<PgWireFrontendMessage>> {
    loop {
        if let Some(decoded) = decode(wire).transpose() {
            return Some(decoded);
        }
        // The room that a large message took is not kept.
        let mut buffer =
            Some(mem::take(wire.read_buffer_mut())).filter(|rest| !rest.is_empty()).unwrap_or_default();
        buffer.reserve(READ_AHEAD);
        let read = wire.get_mut().read_buf(&mut buffer).await;
        let within = !buffer.is_empty();
        *wire.read_buffer_mut() = buffer;
        match read {
            Ok(0) if within => return Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error.into())),
        }
    }
}

/// The first message of what was read, if all of it was. pgwire trusts the lengths within a message, and panics at
/// those that are too large: that is the client's fault, and ends its connection only.
fn decode(wire: &mut Wire) -> PgWireResult<Option<PgWireFrontendMessage>> {
    check_length(wire.read_buffer(), wire.state())?;
    let mut buffer = mem::take(wire.read_buffer_mut());
    DECODING.set(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(|| wire.codec_mut().decode(&mut buffer)));
    DECODING.set(false);
    *wire.read_buffer_mut() = buffer;
    decoded.unwrap_or_else(|_| Err(protocol_violation("a message is shorter than it says".to_owned())))
}

/// Refuses a message by the length that it says it has, before room is made for it.
fn check_length(begin: &[u8], state: PgWireConnectionState) -> PgWireResult<()> {
    let (bound, when) = match is_before_login(state) {
        true => (MAX_LOGIN_MESSAGE, " before the log-in"),
        false => (MAX_MESSAGE, ""),
    };
    // A byte with the message's kind comes first, but for the very first messages.
    let untyped =
        matches!(state, PgWireConnectionState::AwaitingSslRequest | PgWireConnectionState::AwaitingStartup);
    let length = begin.get(usize::from(!untyped)..).and_then(<[u8]>::first_chunk);
    match length.map(|length| u32::from_be_bytes(*length)) {
        Some(length) if length > bound => {
            Err(protocol_violation(format!("the message has {length} bytes; {bound} are the most{when}")))
        }
        _ => Ok(()),
    }
}

fn is_before_login(state: PgWireConnectionState) -> bool {
    matches!(
        state,
        PgWireConnectionState::AwaitingSslRequest
            | PgWireConnectionState::AwaitingStartup
            | PgWireConnectionState::AuthenticationInProgress
    )
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
