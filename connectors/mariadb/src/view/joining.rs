//! Further connections that join a view, so that several statements run side by side.
//!
//! Why do they show one instant? A connection joins a view only if its snapshot is at the view's position. On a
//! server that is written to none is, soon after the view was opened. So as long as nothing was read, the view may
//! move: several snapshots are begun at once, and those that came between the same two commits become the view. Where
//! that fails too, one connection reads all. The position is where the binlog stands: of a server that applies what
//! another one has logged without logging it again, or of a Galera cluster, nothing tells whether two snapshots are
//! the same, and of a commit that was kept out of the binlog (`sql_log_bin = 0`, `binlog_ignore_db`) neither.
//!
//! When does one join? Ahead of reading, where a large table is to be read whole, or several questions that the
//! server is long about ([`ahead`](super::ahead)); and while reading, where a statement has waited for those
//! that run for longer than joining takes, or is best read in parts. Never for one lookup, never beyond
//! `connections_per_query`, and only while more than half of the source's connections are free.
//!
//! When does it go? A connection is the scarcest thing of a source, and a transaction without work is of no use to
//! anybody (I9). So one that has joined goes as soon as it has nothing to do and all connections of the source are in
//! use; and after [`KEPT`] in any case, for within it the next statement of the query comes, if one does: on a server
//! that is written to, another one could not take its place. The one that the view was opened on stays.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crossweave_contract::{Consistency, Result};
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::asking::ENDING;
use super::bounds::Bounds;
use super::giving_way::Watch;
use super::open::{Place, end, make_ready, place, start};
use super::queue::Queue;
use super::snapshot::Snapshot;
use super::task::Task;
use crate::connection::{Pool, Session};
use crate::replicas::places_tell_snapshots;

/// The shortest time that statements wait until a connection joins for them: most are over before.
const JOIN_AFTER: Duration = Duration::from_millis(20);

/// The longest.
const JOIN_AT_LAST: Duration = Duration::from_secs(1);

/// How long until it is tried again, where none was free.
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// How often snapshots are begun side by side until some are at the same place.
const ATTEMPTS: usize = 5;

/// How long a connection that has joined is kept without work.
const KEPT: Duration = Duration::from_secs(2);

/// How often it is asked whether others need it.
const LOOK: Duration = Duration::from_millis(50);

/// What the connections of a view share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) bounds: Arc<Bounds>,
    pub(super) watch: Arc<Watch>,
    pub(super) queue: Arc<Queue>,
    /// How long statements wait until a connection joins for them.
    join_after: Duration,
    /// What a connection that joins has to show.
    shown: Arc<Mutex<Snapshot>>,
    joined: Arc<Joined>,
}

#[derive(Default)]
struct Joined {
    /// Held while some join: one after the other. So many there were to be ahead of reading: for as many it is not
    /// tried again.
    tried_ahead: tokio::sync::Mutex<usize>,
    /// Whether places in the binlog tell snapshots of the server apart, once that was asked.
    places_tell: OnceLock<bool>,
}

impl Shared {
    /// Of a view of `snapshot`, which took `opening`.
    pub(super) fn new(bounds: Bounds, watch: Watch, snapshot: Snapshot, opening: Duration) -> Self {
        Self {
            bounds: Arc::new(bounds),
            watch: Arc::new(watch),
            queue: Queue::new(),
            // To join takes about as long as to open: what is over before then is not done sooner for it.
            join_after: (2 * opening).clamp(JOIN_AFTER, JOIN_AT_LAST),
            shown: Arc::new(Mutex::new(snapshot)),
            joined: Arc::default(),
        }
    }

    /// What the view shows.
    pub(super) fn shown(&self) -> MutexGuard<'_, Snapshot> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On how many connections the view may read.
    pub(super) fn most_lanes(&self) -> usize {
        if self.bounds.is_load() {
            return 1;
        }
        let snapshot = self.shown();
        let limits = snapshot.pool().guard().limits();
        limits.connections_per_query.min(limits.connections / 2).max(1)
    }

    /// On how many of them statements may run that are not parts of one. Where the owner bounds how many may come in a
    /// second, they do not wait for turns that others have taken.
    pub(super) fn most_beside(&self) -> usize {
        let bounded = self.shown().pool().guard().limits().statements_per_second.is_some();
        if bounded { 1 } else { self.most_lanes() }
    }

    /// Has connections join as long as statements wait that none is free for.
    pub(super) async fn join_while_waited_for(self) {
        let most = self.most_beside();
        let mut pause = self.join_after;
        loop {
            sleep(pause).await;
            let Some(wanted) = self.queue.joining_for(most) else { return };
            tokio::select! {
                () = self.join(wanted) => {}
                // Nobody needs what is on its way.
                () = self.queue.ended() => return,
            }
            pause = TRY_AGAIN.max(self.join_after);
        }
    }

    /// Has up to `wanted` connections join, as far as that can be had at once. What goes wrong with them leaves the
    /// view as it was.
    pub(super) async fn join(&self, wanted: usize) {
        match timeout(ENDING, self.try_join(wanted)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => self.queue.none_can_join(),
            Ok(Err(error)) => tracing::debug!(%error, "no connection could join a view"),
            Err(_) => tracing::debug!("no connection could join a view in time"),
        }
    }

    /// False: none ever can.
    async fn try_join(&self, wanted: usize) -> Result<bool> {
        let _turn = self.joined.tried_ahead.lock().await;
        let wanted = wanted.min(self.most_lanes().saturating_sub(self.queue.lanes()));
        let snapshot = self.shown().again();
        let pool = snapshot.pool().clone();
        if snapshot.consistency() == Consistency::Statement {
            let started = of_own_instants(&snapshot, self.ready(&pool, wanted).await).await;
            self.add(&snapshot, started).await;
            return Ok(true);
        }
        let known = self.joined.places_tell.get();
        if !snapshot.has_place() || known == Some(&false) {
            return Ok(false);
        }
        let mut sessions = Vec::new();
        if known.is_none() {
            sessions = self.ready(&pool, wanted.min(1)).await;
            let Some(first) = sessions.first_mut() else { return Ok(true) };
            if !self.joined.places_tell(first).await? {
                give_back(sessions).await;
                return Ok(false);
            }
        }
        sessions.extend(self.ready(&pool, wanted - sessions.len()).await);
        let (same, others) = started_at(&snapshot, sessions).await;
        // The server goes on, and never comes back to where the view is.
        let moved_on = same.is_empty() && !others.is_empty();
        give_back(others).await;
        self.add(&snapshot, proven(&snapshot, same).await).await;
        Ok(!moved_on)
    }

    /// Has the view read over `sessions` as well, which show `snapshot`.
    async fn add(&self, snapshot: &Snapshot, sessions: impl IntoIterator<Item = Session>) {
        for mut session in sessions {
            match self.queue.enter(false) {
                Some(lane) => Task::joined(session, snapshot.again(), self.clone()).start(lane),
                None => end(&mut session).await,
            }
        }
    }

    /// At most `wanted` connections that nobody waits for, settled for a view.
    async fn ready(&self, pool: &Pool, wanted: usize) -> Vec<Session> {
        let opened = (0..wanted).map(|_| async {
            let mut session = pool.try_acquire().await.ok().flatten()?;
            make_ready(&mut session, self.bounds.limit()).await.ok()?;
            Some(session)
        });
        join_all(opened).await.into_iter().flatten().collect()
    }
}

impl Joined {
    /// Whether places in the binlog tell snapshots of the server of `session` apart.
    async fn places_tell(&self, session: &mut Session) -> Result<bool> {
        if let Some(tell) = self.places_tell.get() {
            return Ok(*tell);
        }
        let tell = places_tell_snapshots(session).await?;
        Ok(*self.places_tell.get_or_init(|| tell))
    }
}

impl Task {
    /// Ahead of reading, has connections join until there are `wanted`, as far as that can be had at once: once for
    /// as many. The view may move for that.
    pub(super) async fn join_ahead(&mut self, wanted: usize) {
        let shared = self.shared.clone();
        let mut tried = shared.joined.tried_ahead.lock().await;
        let have = shared.queue.lanes();
        if wanted <= have.max(*tried) {
            return;
        }
        *tried = wanted;
        let may_move = have == 1 && self.snapshot.is_unread() && !shared.queue.was_asked_for_rows();
        let sessions = shared.ready(self.session.pool(), wanted - have).await;
        let joining = match self.snapshot.consistency() {
            Consistency::Statement => of_own_instants(&self.snapshot, sessions).await,
            Consistency::Snapshot => self.at_one_place(sessions, may_move).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "no connection could join a view");
                Vec::new()
            }),
        };
        shared.add(&self.snapshot, joining).await;
    }

    /// Whether it can be told which connections may join.
    pub(super) async fn places_tell(&mut self) -> Result<bool> {
        if self.snapshot.consistency() == Consistency::Statement {
            return Ok(true);
        }
        if !self.snapshot.has_place() {
            return Ok(false);
        }
        self.shared.joined.places_tell(&mut self.session).await
    }

    /// Those of `sessions` whose snapshots are the view's; where none is, and the view `may_move`, those that it
    /// moved to.
    async fn at_one_place(&mut self, sessions: Vec<Session>, may_move: bool) -> Result<Vec<Session>> {
        let (same, mut sessions) = started_at(&self.snapshot, sessions).await;
        let same = proven(&self.snapshot, same).await;
        if !same.is_empty() || !may_move {
            give_back(sessions).await;
            return Ok(same);
        }
        // In the place of the view's own.
        sessions.extend(self.shared.ready(self.session.pool(), 1).await);
        for _ in 1..ATTEMPTS {
            let started = started(sessions).await;
            if let Some(most) = most_at_one(&started) {
                let (group, others): (Vec<_>, Vec<_>) =
                    started.into_iter().partition(|(_, place)| place.as_ref() == Some(&most));
                give_back(others.into_iter().map(|(session, _)| session)).await;
                return self.moved(group).await;
            }
            sessions = started.into_iter().map(|(session, _)| session).collect();
        }
        give_back(sessions).await;
        Ok(Vec::new())
    }

    /// Has one of `group` take the place of the view's connection, as nothing was read yet; the others are given back.
    async fn moved(&mut self, group: Vec<Started>) -> Result<Vec<Session>> {
        let mut group = group.into_iter();
        let Some((mut first, Some(at))) = group.next() else { return Ok(Vec::new()) };
        let position = self.snapshot.position_at(&mut first, &at).await?;
        self.snapshot.check_own(&mut first).await?;
        let mut others = Vec::new();
        if self.snapshot.is_shown_by(&mut first).await? {
            for (mut session, _) in group {
                if self.snapshot.is_shown_by(&mut session).await.unwrap_or(false) {
                    others.push(session);
                }
            }
            std::mem::swap(&mut self.session, &mut first);
            self.snapshot.moved(position, at);
            *self.shared.shown() = self.snapshot.again();
        }
        end(&mut first).await;
        Ok(others)
    }

    /// Returns once a connection that has joined is not to wait any longer for work.
    pub(super) async fn unneeded(&self) {
        let others_wait = async {
            loop {
                sleep(LOOK).await;
                if self.session.pool().is_exhausted() {
                    return;
                }
            }
        };
        let _ = timeout(KEPT, others_wait).await;
    }
}

/// A connection with a transaction, and where that is in the binlog.
type Started = (Session, Option<Place>);

/// Transactions on `sessions`, begun side by side.
async fn started(sessions: Vec<Session>) -> Vec<Started> {
    let begun = sessions.into_iter().map(|mut session| async {
        start(&mut session).await.ok()?;
        Some(session)
    });
    let begun = join_all(begun).await.into_iter().flatten();
    let placed = begun.map(|mut session| async {
        let place = place(&mut session).await.ok()?;
        Some((session, place))
    });
    join_all(placed).await.into_iter().flatten().collect()
}

/// Transactions on `sessions`, which need not show what `snapshot` shows, and of a replica nothing that was made on it.
async fn of_own_instants(snapshot: &Snapshot, sessions: Vec<Session>) -> Vec<Session> {
    let checked = started(sessions).await.into_iter().map(|(mut session, _)| async {
        let Err(error) = snapshot.check_own(&mut session).await else { return Some(session) };
        tracing::debug!(%error, "a connection cannot join a view");
        end(&mut session).await;
        None
    });
    join_all(checked).await.into_iter().flatten().collect()
}

/// Transactions on `sessions`: those at the place of `snapshot`, and the others.
async fn started_at(snapshot: &Snapshot, sessions: Vec<Session>) -> (Vec<Started>, Vec<Session>) {
    let (same, others): (Vec<_>, Vec<_>) =
        started(sessions).await.into_iter().partition(|(_, place)| snapshot.is_at(place));
    (same, others.into_iter().map(|(session, _)| session).collect())
}

/// Those of `sessions`, at the place of `snapshot` in the binlog, that show what it shows.
async fn proven(snapshot: &Snapshot, sessions: Vec<Started>) -> Vec<Session> {
    let (mut proven, mut position) = (Vec::new(), None);
    for (mut session, at) in sessions {
        // All are at one place: its position is asked for once, for that may take the server a while.
        if let (None, Some(at)) = (&position, at) {
            position = snapshot.position_at(&mut session, &at).await.ok();
        }
        let same = position.is_some() && position.as_ref() == snapshot.position();
        if same && snapshot.is_shown_by(&mut session).await.unwrap_or(false) {
            proven.push(session);
        } else {
            end(&mut session).await;
        }
    }
    proven
}

/// The place at which the most are, two at least.
fn most_at_one(started: &[Started]) -> Option<Place> {
    let count = |wanted: &Place| started.iter().filter(|(_, place)| place.as_ref() == Some(wanted)).count();
    let places = started.iter().filter_map(|(_, place)| place.as_ref());
    places
        .map(|place| (count(place), place))
        .max_by_key(|(count, _)| *count)
        .filter(|(count, _)| *count > 1)
        .map(|(_, place)| place.clone())
}

async fn give_back(sessions: impl IntoIterator<Item = Session>) {
    for mut session in sessions {
        end(&mut session).await;
    }
}
