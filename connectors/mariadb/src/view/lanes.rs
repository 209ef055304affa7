//! The connections of a view, as queues in which requests wait for the task of each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossweave_contract::{ConnectorError, ErrorKind, Position, Result};
use tokio::sync::{mpsc, watch};

use super::buffer::{self, Budget};
use super::task::Request;

/// Requests that may wait for one connection of a view; one more fails with [`ErrorKind::Limit`].
const MOST_WAITING: usize = 256;

/// A view's connections. Whoever holds this keeps the view open.
pub(super) struct Lanes {
    lanes: Mutex<Vec<Lane>>,
    budget: Arc<Budget>,
    position: Mutex<Option<Position>>,
}

/// Where requests wait for one connection.
#[derive(Clone)]
pub(super) struct Lane {
    requests: mpsc::Sender<Request>,
    /// How many requests wait; the task reads on without its reader while there are any.
    waiting: Arc<watch::Sender<usize>>,
    /// How many scans were given to it and have not ended.
    busy: Arc<AtomicUsize>,
}

/// A scan that was given to a lane, until it is dropped.
pub(super) struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lanes {
    pub(super) fn new(budget: Arc<Budget>, position: Option<Position>) -> Arc<Self> {
        Arc::new(Self { lanes: Mutex::default(), budget, position: Mutex::new(position) })
    }

    /// A lane for one more connection, and what its task takes requests from.
    pub(super) fn lane(&self) -> (Lane, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(MOST_WAITING);
        (Lane { requests, waiting: Arc::new(watch::Sender::new(0)), busy: Arc::default() }, receiver)
    }

    /// Has requests go to `lane` as well.
    pub(super) fn add(&self, lane: Lane) {
        self.lanes().push(lane);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lanes().len()
    }

    /// The position of what the view shows.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that the view shows another one from now on.
    pub(super) fn moved(&self, position: Option<Position>) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// Sends `request` to the connection that the view was opened on.
    pub(super) fn send(&self, request: Request) -> Result<()> {
        let first = self.lanes().first().cloned();
        first.ok_or_else(buffer::ended)?.send(request)
    }

    /// Sends the scan that `scan` makes to the connection with the least to do.
    pub(super) fn scan(
        &self,
        scan: impl FnOnce(buffer::Writer, Turn) -> super::task::Scan,
    ) -> Result<buffer::Reader> {
        let lane = {
            let lanes = self.lanes();
            // One that has joined may have lost its connection since.
            let open =
                lanes.iter().enumerate().filter(|(place, lane)| *place == 0 || !lane.requests.is_closed());
            let least = open.map(|(_, lane)| lane).min_by_key(|lane| lane.busy.load(Ordering::Acquire));
            let lane = least.ok_or_else(buffer::ended)?.clone();
            lane.busy.fetch_add(1, Ordering::AcqRel);
            lane
        };
        let turn = Turn(Arc::clone(&lane.busy));
        let (writer, reader) = buffer::channel(Arc::clone(&self.budget), lane.waiting.subscribe());
        lane.send(Request::Scan(Box::new(scan(writer, turn))))?;
        Ok(reader)
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// How many requests wait.
    pub(super) fn waiting(&self) -> Arc<watch::Sender<usize>> {
        Arc::clone(&self.waiting)
    }

    fn send(&self, request: Request) -> Result<()> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        self.requests.try_send(request).map_err(|error| {
            self.waiting.send_modify(|waiting| *waiting -= 1);
            match error {
                mpsc::error::TrySendError::Full(_) => ConnectorError::new(
                    ErrorKind::Limit,
                    format!("more than {MOST_WAITING} scans of one service wait for its connection"),
                ),
                mpsc::error::TrySendError::Closed(_) => {
                    ConnectorError::new(ErrorKind::Cancelled, "the view of the service has ended")
                }
            }
        })
    }
}
