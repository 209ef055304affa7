//! The requests of a view that wait for one of its connections: whichever has nothing to do takes the one that waits
//! longest.
//!
//! Why does no statement wait for ever? A request that waits, and that no connection is free for, *counts*: while one
//! does, the statements that run go on without their readers ([`buffer`](super::buffer)), so that one of them ends,
//! or the view fails by its bound. The statements of a group are read by one reader, in whatever order their rows
//! come: while one of them runs, those that wait do not count, for that reader has rows to wait for, and nobody reads
//! ahead for their sake. Where none of them runs any more, the first that waits counts.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossweave_contract::{ConnectorError, ErrorKind, Result};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::task::Request;

/// Requests that may wait for the connections of a view; one more fails with [`ErrorKind::Limit`]. There is room for as many
/// tables as a statement may read.
const MOST_WAITING: usize = 400;

/// Where requests wait.
pub(super) struct Queue {
    state: Mutex<State>,
    /// How many of those that wait count.
    counted: watch::Sender<usize>,
    /// There is something to take, or never will be again.
    changed: Notify,
}

#[derive(Default)]
struct State {
    requests: VecDeque<(Request, Option<Group>)>,
    groups: HashMap<Group, Members>,
    last_group: u64,
    /// Connections that take requests.
    lanes: usize,
    /// Those of them that have taken one.
    busy: usize,
    /// The first one of them is among those.
    first_is_busy: bool,
    /// When the last request was done.
    idle_since: Option<Instant>,
    /// Rows were asked for.
    asked_for_rows: bool,
    joining: Joining,
    /// Nothing is taken any more; the reason, unless nobody asks any more.
    end: Option<Option<ConnectorError>>,
}

/// Statements whose rows one reader takes in whatever order they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Group(u64);

#[derive(Default)]
struct Members {
    waiting: usize,
    running: usize,
}

/// Whether further connections are about to join for statements that wait.
#[derive(Default, Clone, Copy, PartialEq)]
enum Joining {
    #[default]
    No,
    UnderWay,
    /// None ever can.
    Hopeless,
}

impl State {
    /// Takes what a connection is to do next; definitions, which later connections are held against, are for the
    /// `first` one alone.
    fn take(&mut self, first: bool) -> Option<(Request, Option<Group>)> {
        let may = |request: &Request| first || !request.is_for_the_first();
        let counts = |group: &Option<Group>| {
            group.is_none_or(|group| self.groups.get(&group).is_none_or(|members| members.running == 0))
        };
        let counting = self.requests.iter().position(|(request, group)| may(request) && counts(group));
        let at = counting.or_else(|| self.requests.iter().position(|(request, _)| may(request)))?;
        let (request, group) = self.requests.remove(at)?;
        self.busy += 1;
        self.first_is_busy |= first;
        if let Some(members) = group.and_then(|group| self.groups.get_mut(&group)) {
            members.waiting -= 1;
            members.running += 1;
            if let Request::Scan(scan) = &request {
                scan.work.connections.fetch_max(members.running as u64, Ordering::Relaxed);
            }
        }
        Some((request, group))
    }

    fn done(&mut self, first: bool, group: Option<Group>) {
        self.busy -= 1;
        self.first_is_busy &= !first;
        self.idle_since = Some(Instant::now());
        let Some(group) = group else { return };
        if let Some(members) = self.groups.get_mut(&group) {
            members.running -= 1;
            if members.waiting + members.running == 0 {
                self.groups.remove(&group);
            }
        }
    }

    /// Connections that take the next request at once.
    fn free(&self) -> usize {
        self.lanes.saturating_sub(self.busy)
    }

    fn counted(&self) -> usize {
        let alone = self.requests.iter().filter(|(_, group)| group.is_none());
        let (for_the_first, for_any): (Vec<_>, Vec<_>) =
            alone.partition(|(request, _)| request.is_for_the_first());
        let groups = self.groups.values().filter(|members| members.waiting > 0 && members.running == 0).count();
        let first_is_free = usize::from(self.lanes > 0 && !self.first_is_busy);
        let taken_by_the_first = first_is_free.min(for_the_first.len());
        for_the_first.len() - taken_by_the_first
            + (for_any.len() + groups).saturating_sub(self.free().saturating_sub(taken_by_the_first))
    }

    /// How many statements wait that no connection is free for.
    fn unmet(&self) -> usize {
        let scans = self.requests.iter().filter(|(_, group)| group.is_some()).count();
        scans.saturating_sub(self.free())
    }
}

impl Queue {
    pub(super) fn new() -> Arc<Self> {
        let state = State { idle_since: Some(Instant::now()), ..State::default() };
        let (counted, changed) = (watch::Sender::new(0), Notify::new());
        Arc::new(Self { state: Mutex::new(state), counted, changed })
    }

    /// A group of its own.
    pub(super) fn group(&self) -> Group {
        let mut state = self.state();
        state.last_group += 1;
        Group(state.last_group)
    }

    /// How many requests count that wait.
    pub(super) fn counted(&self) -> watch::Receiver<usize> {
        self.counted.subscribe()
    }

    /// Adds a request; of `group`, if it is a statement.
    pub(super) fn push(&self, request: Request, group: Option<Group>) -> Result<()> {
        let mut state = self.state();
        if let Some(end) = &state.end {
            let ended = || ConnectorError::new(ErrorKind::Cancelled, "the view of the service has ended");
            return Err(end.clone().unwrap_or_else(ended));
        }
        if state.requests.len() == MOST_WAITING {
            let message = format!("more than {MOST_WAITING} scans of one service wait for its connections");
            return Err(ConnectorError::new(ErrorKind::Limit, message));
        }
        if let Some(group) = group {
            state.groups.entry(group).or_default().waiting += 1;
            state.asked_for_rows = true;
        }
        state.requests.push_back((request, group));
        self.tell(&state);
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// What a connection is to do next, once there is something; `None` once there never is again. May be given up.
    pub(super) async fn next(self: &Arc<Self>, first: bool) -> Option<(Request, Taken)> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before looking: what is added after it is not missed.
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if state.end.is_some() {
                    return None;
                }
                if let Some((request, group)) = state.take(first) {
                    self.tell(&state);
                    return Some((request, Taken { queue: Arc::clone(self), first, group }));
                }
            }
            changed.await;
        }
    }

    /// Has one more connection take requests; `None` where nothing is taken any more. With the `first` one all ends.
    pub(super) fn enter(self: &Arc<Self>, first: bool) -> Option<Lane> {
        let mut state = self.state();
        if state.end.is_some() {
            return None;
        }
        state.lanes += 1;
        self.tell(&state);
        Some(Lane { queue: Arc::clone(self), first })
    }

    /// How many connections take requests.
    pub(super) fn lanes(&self) -> usize {
        self.state().lanes
    }

    /// Since when none of them has had anything to do; `None` where one has.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        state.idle_since.filter(|_| state.busy == 0)
    }

    /// Returns once nothing is taken any more.
    pub(super) async fn ended(&self) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.state().end.is_some() {
                return;
            }
            changed.await;
        }
    }

    /// Whether rows were asked for.
    pub(super) fn was_asked_for_rows(&self) -> bool {
        self.state().asked_for_rows
    }

    /// Whether somebody is to have connections join, of which there may be `most`: who is told so has to.
    pub(super) fn begins_joining(&self, most: usize) -> bool {
        let mut state = self.state();
        let begins = state.joining == Joining::No && state.unmet() > 0 && state.lanes < most;
        if begins {
            state.joining = Joining::UnderWay;
        }
        begins
    }

    /// For how many statements a connection is to join, of which there may be `most`. `None`: joining has ended.
    pub(super) fn joining_for(&self, most: usize) -> Option<usize> {
        let mut state = self.state();
        let wanted = state.unmet().min(most.saturating_sub(state.lanes));
        if state.joining == Joining::UnderWay && wanted > 0 && state.end.is_none() {
            return Some(wanted);
        }
        if state.joining == Joining::UnderWay {
            state.joining = Joining::No;
        }
        None
    }

    /// Says that no connection can join any more.
    pub(super) fn none_can_join(&self) {
        self.state().joining = Joining::Hopeless;
    }

    /// Ends it, for nobody asks any more.
    pub(super) fn close(&self) {
        drop(self.end(None));
    }

    /// Ends it: all that waits, and all that follows, is refused with `error`.
    pub(super) fn fail(&self, error: &ConnectorError) {
        for (request, _) in self.end(Some(error.clone())) {
            request.refuse(error.clone());
        }
    }

    fn end(&self, reason: Option<ConnectorError>) -> VecDeque<(Request, Option<Group>)> {
        let mut state = self.state();
        state.end.get_or_insert(reason);
        state.groups.retain(|_, members| {
            members.waiting = 0;
            members.running > 0
        });
        let left = std::mem::take(&mut state.requests);
        self.tell(&state);
        drop(state);
        self.changed.notify_waiters();
        left
    }

    /// Tells the writers how many count.
    fn tell(&self, state: &State) {
        let now = state.counted();
        self.counted.send_if_modified(|counted| std::mem::replace(counted, now) != now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that takes requests, until it is dropped.
pub(super) struct Lane {
    queue: Arc<Queue>,
    first: bool,
}

impl Drop for Lane {
    fn drop(&mut self) {
        {
            let mut state = self.queue.state();
            state.lanes -= 1;
            self.queue.tell(&state);
        }
        if self.first {
            // Whoever ended it before has said why.
            self.queue.fail(&super::buffer::ended());
        }
    }
}

/// A request that was taken, until it is dropped.
pub(super) struct Taken {
    queue: Arc<Queue>,
    first: bool,
    group: Option<Group>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.done(self.first, self.group);
        self.queue.tell(&state);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// Requests by their group, for which no server is needed.
    fn push(queue: &Queue, group: Option<Group>) {
        queue.push(Request::nothing(), group).unwrap();
    }

    async fn next(queue: &Arc<Queue>) -> Option<Taken> {
        let next = timeout(Duration::from_millis(20), queue.next(false)).await;
        next.ok().flatten().map(|(_, taken)| taken)
    }

    #[tokio::test]
    async fn of_a_group_one_runs_or_counts() {
        let queue = Queue::new();
        let counted = queue.counted();
        let _lanes = [queue.enter(true).unwrap(), queue.enter(false).unwrap()];
        let (one, other, third) = (queue.group(), queue.group(), queue.group());
        (0..3).for_each(|_| push(&queue, Some(one)));
        assert_eq!(*counted.borrow(), 0, "two connections are free");
        let running = next(&queue).await.unwrap();
        push(&queue, Some(other));
        let of_other = next(&queue).await.unwrap();
        push(&queue, Some(other));
        assert_eq!(*counted.borrow(), 0, "of each group one runs");
        push(&queue, Some(third));
        assert_eq!(*counted.borrow(), 1);
        drop(running);
        assert_eq!(*counted.borrow(), 1, "a connection is free, for two that count");
        let again = next(&queue).await.unwrap();
        assert_eq!((again.group, *counted.borrow()), (Some(one), 1), "it has waited longest");
        drop(of_other);
        let of_other = next(&queue).await.unwrap();
        assert_eq!((of_other.group, *counted.borrow()), (Some(other), 1), "of it none ran any more");
        drop((again, of_other));
        assert_eq!(*counted.borrow(), 0, "two are free");
    }

    #[tokio::test]
    async fn what_is_for_the_first_connection_waits_for_it() {
        let queue = Queue::new();
        let counted = queue.counted();
        let lanes = [queue.enter(false).unwrap(), queue.enter(false).unwrap()];
        push(&queue, Some(queue.group()));
        let (_, running) = queue.next(true).await.unwrap();
        queue.push(Request::nothing_for_the_first(), None).unwrap();
        assert_eq!(*counted.borrow(), 1, "the other one is free, but may not take it");
        assert!(next(&queue).await.is_none());
        drop(running);
        assert_eq!(*counted.borrow(), 0);
        let taken = queue.next(true).await.map(|(_, taken)| taken);
        assert!(taken.is_some() && queue.idle_since().is_none());
        drop((taken, lanes));
        assert!(queue.idle_since().is_some());
    }

    #[tokio::test]
    async fn what_counts_goes_before_the_rest_of_a_group_that_runs() {
        let queue = Queue::new();
        let (one, other) = (queue.group(), queue.group());
        [one, one, other].into_iter().for_each(|group| push(&queue, Some(group)));
        let taken = [next(&queue).await.unwrap(), next(&queue).await.unwrap(), next(&queue).await.unwrap()];
        assert_eq!(taken.each_ref().map(|taken| taken.group.unwrap()), [one, other, one]);
    }

    #[tokio::test]
    async fn connections_are_asked_to_join_for_what_no_free_one_takes() {
        let queue = Queue::new();
        let _lane = queue.enter(true).unwrap();
        push(&queue, Some(queue.group()));
        assert!(!queue.begins_joining(4), "the only one is free");
        let running = next(&queue).await.unwrap();
        (0..2).for_each(|_| push(&queue, Some(queue.group())));
        assert!(queue.begins_joining(4) && !queue.begins_joining(4), "once is enough");
        assert_eq!((queue.joining_for(4), queue.joining_for(2)), (Some(2), Some(1)));
        let _lanes = [queue.enter(false).unwrap(), queue.enter(false).unwrap()];
        assert_eq!(queue.joining_for(4), None, "two more are free");
        drop(running);
        let _more = [next(&queue).await.unwrap(), next(&queue).await.unwrap()];
        push(&queue, Some(queue.group()));
        let _last = next(&queue).await.unwrap();
        push(&queue, Some(queue.group()));
        assert!(queue.begins_joining(4));
        queue.none_can_join();
        assert!(queue.joining_for(4).is_none() && !queue.begins_joining(4));
    }

    #[tokio::test]
    async fn after_its_end_nothing_is_taken_and_all_is_refused() {
        let queue = Queue::new();
        push(&queue, Some(queue.group()));
        queue.fail(&ConnectorError::new(ErrorKind::Unreachable, "gone"));
        assert!(queue.next(true).await.is_none() && queue.enter(false).is_none());
        queue.close();
        let error = queue.push(Request::nothing(), None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "the first reason stays");
        assert_eq!(*queue.counted().borrow(), 0);
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused() {
        let queue = Queue::new();
        (0..MOST_WAITING).for_each(|_| push(&queue, None));
        assert_eq!(queue.push(Request::nothing(), None).unwrap_err().kind, ErrorKind::Limit);
    }
}
