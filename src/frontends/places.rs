//! Connections, of which there may be so many at the same time, and a few beyond that.
//!
//! Those beyond get no place, only what a client needs that is told so: at the bound it has to see why it waits, and
//! to be able to end what takes the places. A further one waits in the system's own queue, which is bounded.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Wait after the system refused a connection, for want of file handles, say: those that are open go on.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Accepts connections while there is room for them.
pub(crate) struct Places {
    listener: TcpListener,
    all: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// What a connection takes up, until it is dropped.
pub(crate) struct Place {
    _room: OwnedSemaphorePermit,
    place: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// Whether all places were taken: this is one of the reserve.
    pub(crate) fn is_beyond(&self) -> bool {
        self.place.is_none()
    }
}

impl Places {
    /// On `listener`, for so many connections, and so many beyond that.
    pub(crate) fn new(listener: TcpListener, places: usize, reserve: usize) -> Self {
        let (all, places) = (Semaphore::new(places + reserve), Semaphore::new(places));
        Self { listener, all: Arc::new(all), places: Arc::new(places) }
    }

    /// The next connection, once there is room for it. Nothing is lost if this is given up.
    pub(crate) async fn next(&self) -> (Place, TcpStream) {
        let Ok(room) = Arc::clone(&self.all).acquire_owned().await else {
            // The semaphore is never closed.
            return std::future::pending().await;
        };
        let stream = self.accept().await;
        (Place { _room: room, place: Arc::clone(&self.places).try_acquire_owned().ok() }, stream)
    }

    async fn accept(&self) -> TcpStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(error) => {
                    let at = self.listener.local_addr().ok();
                    tracing::warn!(?at, %error, "a connection could not be accepted");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}
