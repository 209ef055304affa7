//! What a view has shown of its snapshot: whether the snapshot can be opened once more after its connection was lost.
//!
//! Why does a query never see two instants of one service? Once a row was given, or that there is none, nothing can take
//! the snapshot's place. Before that, another one can that is at the same position, with the same definitions: the view
//! has told both. Where the server has moved on meanwhile, the query fails, and whoever asks again gets a new view.

use std::time::Duration;

use crossweave_contract::{BooleanColumns, ConnectorError, ErrorKind, Position, Result, TableDef, TableId};

use super::open::{LastPlace, begin};
use super::task::define;
use crate::connection::{Pool, Session};

/// A view's snapshot, as far as it was shown.
#[derive(Debug)]
pub(super) struct Snapshot {
    position: Option<Position>,
    given: Vec<Given>,
    /// Rows of it were given, or that there are none.
    read: bool,
    reopened: bool,
}

/// A definition that was told.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) database: String,
    pub(super) booleans: BooleanColumns,
    pub(super) def: TableDef,
}

impl Snapshot {
    /// At `position`, not shown yet.
    pub(super) fn at(position: Option<Position>) -> Self {
        Self { position, given: Vec::new(), read: false, reopened: false }
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
        let (mut session, position) = begin(pool, &LastPlace::default(), limit).await?;
        if position != self.position {
            return Err(moved_on(lost, "the server has moved on from the position that the query sees"));
        }
        for Given { database, booleans, def } in &self.given {
            let id: &TableId = &def.id;
            if !define(&mut session, id, database, booleans).await?.same_shape(def) {
                return Err(moved_on(lost, &format!("the definition of {id} has changed")));
            }
        }
        tracing::info!(server = %pool.endpoint(), "a connection was lost before its first row, and replaced");
        Ok(session)
    }
}

fn moved_on(lost: &ConnectorError, why: &str) -> ConnectorError {
    let message = format!("{}; not asked once more, for {why}", lost.message);
    ConnectorError::new(ErrorKind::Unreachable, message).with_fix("Ask again")
}
