//! What a view has shown of its snapshot: whether the snapshot can be opened once more after its connection was lost.
//!
//! Why does a query never see two instants of one service? Once a row was given, or that there is none, nothing can take
//! the snapshot's place. Before that, another one can that is at the same position, with the same definitions: the view
//! has told both. Where the server has moved on meanwhile, the query fails, and whoever asks again gets a new view.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    ConnectorError, Consistency, ErrorKind, Position, Result, TableDef, TableId, TableWanted,
};

use super::definition::{Knowing, define};
use super::open::{Begun, Place, begin, check_own, position_at};
use crate::connection::{Pool, Session};
use crate::replicas::Server;

/// A view's snapshot, as far as it was shown.
pub(super) struct Snapshot {
    server: Server,
    consistency: Consistency,
    position: Option<Position>,
    /// Where it is in the server's binlog, if that tells the position.
    place: Option<Place>,
    /// What that binlog may not have.
    before: Position,
    given: Vec<Arc<Given>>,
    /// Rows of it were given, or that there are none.
    read: bool,
    reopened: bool,
}

/// A definition that was told.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) wanted: TableWanted,
    pub(super) def: TableDef,
}

impl Snapshot {
    /// Of what has `begun`, not shown yet.
    pub(super) fn of(begun: Begun, consistency: Consistency) -> (Session, Self) {
        let before = begun.before();
        let Begun { server, session, position, place, .. } = begun;
        let (given, read, reopened) = (Vec::new(), false, false);
        (session, Self { server, consistency, position, place, before, given, read, reopened })
    }

    /// The same, shown on another connection.
    pub(super) fn again(&self) -> Self {
        Self {
            server: self.server.clone(),
            position: self.position.clone(),
            place: self.place.clone(),
            before: self.before.clone(),
            given: self.given.clone(),
            ..*self
        }
    }

    /// The connections to its server.
    pub(super) fn pool(&self) -> &Pool {
        self.server.pool()
    }

    /// Its position; `None` where it has none, and where each connection has one of its own.
    pub(super) fn position(&self) -> Option<&Position> {
        self.position.as_ref().filter(|_| self.consistency == Consistency::Snapshot)
    }

    /// What of the server is seen.
    pub(super) fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// Whether places in the binlog tell snapshots apart.
    pub(super) fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// The position of `place`, where the transaction of `session` is.
    pub(super) async fn position_at(&self, session: &mut Session, place: &Place) -> Result<Position> {
        let mut position = position_at(session, place, self.server.last_place()).await?;
        position.merge(&self.before);
        Ok(position)
    }

    /// An error if the transaction of `session`, on its server, shows what a view on it must not.
    pub(super) async fn check_own(&self, session: &mut Session) -> Result<()> {
        check_own(session, &self.server).await
    }

    /// Whether it is at `place` in the binlog.
    pub(super) fn is_at(&self, place: &Option<Place>) -> bool {
        self.has_place() && self.place == *place
    }

    /// Says that it is another one from now on.
    pub(super) fn moved(&mut self, position: Position, place: Place) {
        (self.position, self.place) = (Some(position), Some(place));
    }

    /// Whether nothing but definitions was shown of it.
    pub(super) fn is_unread(&self) -> bool {
        !self.read
    }

    /// Whether the transaction of `session` has the definitions that were told.
    pub(super) async fn is_shown_by(&self, session: &mut Session) -> Result<bool> {
        Ok(self.changed_in(session).await?.is_none())
    }

    /// A table of which `session` shows another definition than was told.
    async fn changed_in(&self, session: &mut Session) -> Result<Option<&TableId>> {
        let wanted: Vec<TableWanted> = self.given.iter().map(|given| given.wanted.clone()).collect();
        let found = define(session, &wanted, Knowing::OfItself).await?;
        let changed = self.given.iter().zip(&found).find(|(given, found)| !found.same_shape(&given.def));
        Ok(changed.map(|(given, _)| &given.def.id))
    }

    pub(super) fn given(&mut self, given: Arc<Given>) {
        self.given.push(given);
    }

    /// Says that something was read.
    pub(super) fn read(&mut self) {
        self.read = true;
    }

    /// Whether another connection may take the place of one that was lost.
    pub(super) fn may_reopen(&self) -> bool {
        !self.read && !self.reopened
    }

    /// Opens it once more on another connection, after the failure `lost`: on its server, or else on another one.
    pub(super) async fn reopen(&mut self, limit: Duration, lost: &ConnectorError) -> Result<Session> {
        self.reopened = true;
        let mut first = None;
        for server in self.server.and_others() {
            match self.reopened_on(&server, limit, lost).await {
                Ok(begun) => {
                    let replaced = self.server.pool().endpoint();
                    tracing::info!(server = %server.pool().endpoint(), %replaced, "a lost connection was replaced");
                    self.before = begun.before();
                    self.place = begun.place;
                    self.server = server;
                    return Ok(begun.session);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| lost.clone()))
    }

    async fn reopened_on(&self, server: &Server, limit: Duration, lost: &ConnectorError) -> Result<Begun> {
        let begun = begin(server, limit, None).await;
        let mut begun = begun.inspect_err(|error| server.failed(error))?;
        let same = match self.position() {
            Some(position) => begun.position.as_ref() == Some(position),
            // Only the same server is sure not to be behind what was said of the view.
            None => {
                server.is(&self.server)
                    && (self.consistency == Consistency::Statement || begun.position.is_none())
            }
        };
        if !same {
            return Err(moved_on(lost, "the server has moved on from the position that the query sees"));
        }
        if let Some(id) = self.changed_in(&mut begun.session).await? {
            return Err(moved_on(lost, &format!("the definition of {id} has changed")));
        }
        Ok(begun)
    }
}

fn moved_on(lost: &ConnectorError, why: &str) -> ConnectorError {
    let message = format!("{}; not asked once more, for {why}", lost.message);
    ConnectorError::new(ErrorKind::Unreachable, message).with_fix("Ask again")
}
