//! Accepts connections, and ends them.
//!
//! **What ends one?** Its client, by a word or by going away, which ends its query too; not logging in for too long, or
//! taking nothing of its answer; the server's end. **What happens when all places are taken?** A few more connections are accepted, but only to
//! say so: at the bound a client has to be able to cancel what takes the places, and to see why it has to wait.

use std::sync::Arc;
use std::time::Duration;

use pgwire::error::ErrorInfo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::cancel::{Connections, Registration, Slot};
use super::connection::Connection;
use super::conversation::{Conversation, Sealed};
use super::error::{login_timeout, shutting_down, terminated, too_many};
use super::startup::Startup;
use super::wire::{self, Handlers, Wire};
use crate::frontends::Places;
use crate::policy::Identity;
use crate::query::Engine;

/// How long a connection that is refused may take to say what it asks for.
const REFUSAL_LIMIT: Duration = Duration::from_secs(5);

/// What bounds the connections.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Connections at the same time.
    places: usize,
    /// Connections beyond that, each for the time it takes to refuse it.
    reserve: usize,
    /// How long a client may take to log in.
    login: Duration,
    /// How long a client may take nothing of its answer. Drivers that hand out rows as they come let it work meanwhile.
    write: Duration,
}

const BOUNDS: Bounds =
    Bounds { places: 500, reserve: 32, login: Duration::from_secs(30), write: Duration::from_secs(300) };

/// Serves clients on `listener` until `closing`; then each new one is refused, each that is there is sent away once
/// its query is answered, and at `ending` at once. With a `token`, it is every user's password.
pub async fn serve(
    engine: Engine,
    listener: TcpListener,
    token: Option<Arc<str>>,
    closing: CancellationToken,
    ending: CancellationToken,
) {
    let host = Host { engine, token, connections: Arc::default(), bounds: BOUNDS, closing, ending };
    host.serve(listener).await;
}

struct Host {
    engine: Engine,
    token: Option<Arc<str>>,
    connections: Arc<Connections>,
    bounds: Bounds,
    closing: CancellationToken,
    ending: CancellationToken,
}

impl Host {
    async fn serve(self, listener: TcpListener) {
        let Bounds { places, reserve, .. } = self.bounds;
        let places = Places::new(listener, places, reserve);
        let tasks = TaskTracker::new();
        // Ends the refusals too, of which none is worth waiting for.
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let done = async {
            self.closing.cancelled().await;
            tasks.close();
            tasks.wait().await;
        };
        tokio::pin!(done);
        loop {
            let (place, stream) = tokio::select! {
                () = &mut done => break,
                next = places.next() => next,
            };
            let stream = Arc::new(stream);
            let refusal = if self.closing.is_cancelled() {
                shutting_down()
            } else if place.is_beyond() {
                too_many(self.bounds.places)
            } else {
                let attended = self.attend(stream);
                tasks.spawn(async move {
                    let _place = place;
                    attended.await;
                });
                continue;
            };
            let refused = refuse(stream, Arc::clone(&self.connections), refusal);
            let over = over.clone();
            tokio::spawn(async move {
                let _place = place;
                tokio::select! {
                    () = over.cancelled() => {}
                    // At its limit the client is left without an answer, as it has not asked.
                    _ = tokio::time::timeout(REFUSAL_LIMIT, refused) => {}
                }
            });
        }
    }

    /// Serves one client.
    fn attend(&self, stream: Arc<TcpStream>) -> impl Future<Output = ()> + Send + use<> {
        let slot = Arc::new(Slot::default());
        let registration = Registration::new(Arc::clone(&self.connections), Arc::clone(&slot));
        let conversation = Sealed::new(Conversation::new(self.engine.session(Identity::default())));
        let handlers = Handlers {
            startup: Arc::new(Startup::new(self.token.clone(), registration, conversation.clone())),
            connection: Arc::new(Connection::new(conversation.clone(), Arc::clone(&slot))),
            connections: Arc::clone(&self.connections),
        };
        let (closing, ending) = (self.closing.clone(), self.ending.clone());
        let Bounds { login: limit, write, .. } = self.bounds;
        async move {
            let left = async {
                wire::left(&stream).await;
                slot.busy().await;
            };
            let late = async {
                tokio::time::sleep(limit).await;
                if conversation.has_admitted().await {
                    std::future::pending::<()>().await;
                }
            };
            let Some(mut wire) = open(Arc::clone(&stream), write) else { return };
            let farewell = tokio::select! {
                () = ending.cancelled() => Some(terminated()),
                () = late => Some(login_timeout(limit)),
                () = left => {
                    tracing::debug!("a PostgreSQL client left while its query ran");
                    None
                }
                result = wire::converse(&mut wire, &handlers, &closing) => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "a PostgreSQL connection ended");
                    }
                    None
                }
            };
            if let Some(reason) = farewell {
                wire::tell(&mut wire, reason).await;
            }
        }
    }
}

fn open(stream: Arc<TcpStream>, write: Duration) -> Option<Wire> {
    wire::open(stream, write)
        .inspect_err(|error| tracing::debug!(%error, "a PostgreSQL connection ended before it was served"))
        .ok()
}

async fn refuse(stream: Arc<TcpStream>, connections: Arc<Connections>, reason: ErrorInfo) {
    let Some(mut wire) = open(stream, REFUSAL_LIMIT) else { return };
    if let Err(error) = wire::refuse(&mut wire, &connections, reason).await {
        tracing::debug!(%error, "a PostgreSQL connection ended before it was refused");
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
