//! What a view's handle and its streams hold: the way to its connections.

use std::sync::Arc;

use crossweave_contract::{Position, Result};
use tokio::runtime::Handle;

use super::buffer::{self, Budget};
use super::joining::Shared;
use super::ordered;
use super::queue::Group;
use super::task::{Request, Scan};
use crate::scan::Statement;

/// A view's connections. Whoever holds this keeps the view open.
pub(super) struct Lanes {
    shared: Shared,
    budget: Arc<Budget>,
    /// On which connections join: whoever asks may be on another one.
    runtime: Handle,
}

impl Lanes {
    pub(super) fn new(shared: Shared, budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { shared, budget, runtime: Handle::current() })
    }

    /// The position of what the view shows.
    pub(super) fn position(&self) -> Option<Position> {
        self.shared.shown().position().cloned()
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.shared.most_lanes()
    }

    /// On how many of them statements may run that are not parts of one.
    pub(super) fn most_beside(&self) -> usize {
        self.shared.most_beside()
    }

    /// How many statements may come at once, where the owner bounds how many in a second.
    pub(super) fn statements(&self) -> usize {
        let bound = self.shared.shown().pool().guard().limits().statements_per_second;
        bound.filter(|bound| *bound > 0).map_or(usize::MAX, |bound| bound as usize)
    }

    /// Whether two statements in the place of `whole` are better; `None` if the server is to be asked.
    pub(super) fn is_better_by_two(&self, whole: &Statement) -> Option<bool> {
        ordered::known(&self.shared.shown(), whole).map(|examined| examined.is_some())
    }

    /// A group of statements whose rows are taken in whatever order they come.
    pub(super) fn group(&self) -> Group {
        self.shared.queue.group()
    }

    /// Sends a request that is no scan.
    pub(super) fn send(&self, request: Request) -> Result<()> {
        self.shared.queue.push(request, None)
    }

    /// Asks for the rows of the scan that `scan` makes, one of `group`. Where no connection is free, another one may
    /// join for it.
    pub(super) fn scan(
        &self,
        group: Group,
        scan: impl FnOnce(buffer::Writer) -> Scan,
    ) -> Result<buffer::Reader> {
        let queue = &self.shared.queue;
        let (writer, reader) = buffer::channel(Arc::clone(&self.budget), queue.counted());
        queue.push(Request::Scan(Box::new(scan(writer))), Some(group))?;
        if queue.begins_joining(self.most_beside()) {
            self.runtime.spawn(self.shared.clone().join_while_waited_for());
        }
        Ok(reader)
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}
