//! What a view has shown of its snapshot: whether the snapshot can be opened once more after its connection was lost.
//!
//! Why does a query never see two instants of one service? Once a row was given, or that there is none, nothing can take
//! the snapshot's place. Before that, another one can that is at the same position, with the same definitions: the view
//! has told both. Where the server has moved on meanwhile, the query fails, and whoever asks again gets a new view.

use std::time::Duration;

use crossweave_contract::{
    BooleanColumns, ConnectorError, Consistency, ErrorKind, Position, Result, TableDef, TableId,
};

use super::open::{LastPlace, Place, begin};
use super::task::define;
use crate::connection::{Pool, Session};

/// A view's snapshot, as far as it was shown.
#[derive(Debug)]
pub(super) struct Snapshot {
    consistency: Consistency,
    at: Option<(Position, Place)>,
    given: Vec<Given>,
    /// Rows of it were given, or that there are none.
    read: bool,
    reopened: bool,
}

/// A definition that was told.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) database: String,
    pub(super) booleans: BooleanColumns,
    pub(super) def: TableDef,
}

impl Snapshot {
    /// What is `at` a position, not shown yet.
    pub(super) fn at(consistency: Consistency, at: Option<(Position, Place)>) -> Self {
        Self { consistency, at, given: Vec::new(), read: false, reopened: false }
    }

    /// The same, shown on another connection.
    pub(super) fn again(&self) -> Self {
        Self { at: self.at.clone(), given: self.given.clone(), ..*self }
    }

    /// Its position; `None` where it has none, and where each connection has one of its own.
    pub(super) fn position(&self) -> Option<&Position> {
        let at = self.at.as_ref().filter(|_| self.consistency == Consistency::Snapshot);
        at.map(|(position, _)| position)
    }

    /// Whether it is at `place` in the binlog.
    pub(super) fn is_at(&self, place: &Option<Place>) -> bool {
        place.as_ref().is_some_and(|place| self.at.as_ref().is_some_and(|(_, at)| at == place))
    }

    /// Says that it is another one from now on.
    pub(super) fn moved(&mut self, position: Position, place: Place) {
        self.at = Some((position, place));
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
        for Given { database, booleans, def } in &self.given {
            if !define(session, &def.id, database, booleans).await?.same_shape(def) {
                return Ok(Some(&def.id));
            }
        }
        Ok(None)
    }

    pub(super) fn given(&mut self, given: Given) {
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

    /// Opens it once more on a connection of `pool`, after the failure `lost`.
    pub(super) async fn reopen(
        &mut self,
        pool: &Pool,
        limit: Duration,
        lost: &ConnectorError,
    ) -> Result<Session> {
        self.reopened = true;
        let (mut session, at) = begin(pool, &LastPlace::default(), limit).await?;
        let position = at.as_ref().map(|(position, _)| position);
        if self.consistency == Consistency::Snapshot && position != self.position() {
            return Err(moved_on(lost, "the server has moved on from the position that the query sees"));
        }
        if let Some(id) = self.changed_in(&mut session).await? {
            return Err(moved_on(lost, &format!("the definition of {id} has changed")));
        }
        tracing::info!(server = %pool.endpoint(), "a connection was lost before its first row, and replaced");
        Ok(session)
    }
}

fn moved_on(lost: &ConnectorError, why: &str) -> ConnectorError {
    let message = format!("{}; not asked once more, for {why}", lost.message);
    ConnectorError::new(ErrorKind::Unreachable, message).with_fix("Ask again")
}
