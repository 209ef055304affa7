//! Accepts connections.

use std::sync::Arc;
use std::time::Duration;

use pgwire::api::PgWireServerHandlers;
use pgwire::api::auth::StartupHandler;
use pgwire::api::cancel::CancelHandler;
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::tokio::process_socket;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cancel::{Connections, Registration, Slot};
use super::connection::Connection;
use super::conversation::{Conversation, Sealed};
use super::startup::Startup;
use crate::policy::Identity;
use crate::query::Engine;

/// Connections at the same time; a further one waits in the listener's backlog.
const MAX_CONNECTIONS: usize = 500;

/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves clients on `listener` until `closing`; then no connection is accepted, each that is open is closed once
/// its query is answered, and at `ending` at once. With a `token`, it is every user's password.
pub async fn serve(
    engine: Engine,
    listener: TcpListener,
    token: Option<Arc<str>>,
    closing: CancellationToken,
    ending: CancellationToken,
) {
    let connections = Arc::new(Connections::default());
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let place = tokio::select! {
            () = closing.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let socket = tokio::select! {
            () = closing.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Out of file handles, say: those that are open go on.
                    tracing::warn!(%error, "a PostgreSQL connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let handlers = Handlers::new(&engine, token.clone(), &connections);
        let slot = Arc::clone(&handlers.slot);
        let (closing, ending) = (closing.clone(), ending.clone());
        tasks.spawn(async move {
            let _place = place;
            let closed = async {
                closing.cancelled().await;
                slot.idle().await;
            };
            tokio::select! {
                () = ending.cancelled() => {}
                () = closed => {}
                result = process_socket(socket, None, handlers) => if let Err(error) = result {
                    tracing::debug!(%error, "a PostgreSQL connection ended");
                },
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

struct Handlers {
    connection: Arc<Connection>,
    startup: Arc<Startup>,
    connections: Arc<Connections>,
    slot: Arc<Slot>,
}

impl Handlers {
    fn new(engine: &Engine, token: Option<Arc<str>>, connections: &Arc<Connections>) -> Self {
        let slot = Arc::new(Slot::default());
        let registration = Registration::new(Arc::clone(connections), Arc::clone(&slot));
        let conversation = Sealed::new(Conversation::new(engine.session(Identity::default())));
        Self {
            startup: Arc::new(Startup::new(token, registration, conversation.clone())),
            connection: Arc::new(Connection::new(conversation, Arc::clone(&slot))),
            connections: Arc::clone(connections),
            slot,
        }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.connection)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.connection)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.startup)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.connections)
    }
}
