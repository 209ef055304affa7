//! How many tables a statement reads: planning more than so many would take too long.
//!
//! Planning joins takes with their number squared and more, for each has the columns of all below it. Parts of a
//! UNION are planned one beside the other. What has a name by WITH is planned in the place of each of its names, so
//! that a few names can stand for very many tables.

use crate::query::{QueryError, QueryErrorKind};

/// Tables that may be joined with each other.
const MAX_JOINED: usize = 100;

/// Tables of one statement, all together.
const MAX_TABLES: usize = 400;

/// Tables, as often as plans have them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tables {
    /// That are joined with each other, or may come to be.
    joined: usize,
    all: usize,
}

impl Tables {
    pub(super) const ONE: Self = Self { joined: 1, all: 1 };
}

/// What the part of a statement reads that was looked at.
#[derive(Default)]
pub(super) struct Reads {
    planned: Tables,
    /// Names of tables and functions, and subqueries without any, each as often as it stands there: also where WITH
    /// names what nobody reads, which is planned all the same.
    named: usize,
}

impl Reads {
    /// What was counted so far.
    pub(super) fn planned(&self) -> Tables {
        self.planned
    }

    /// What was counted since `before`; one where that is none: a query without tables has a row.
    pub(super) fn since(&self, before: Tables) -> Tables {
        let joined = self.planned.joined.saturating_sub(before.joined);
        let all = self.planned.all.saturating_sub(before.all);
        Tables { joined: joined.max(1), all: all.max(1) }
    }

    /// Counts what one name stands for.
    pub(super) fn add(&mut self, tables: Tables) -> Result<(), QueryError> {
        self.named += 1;
        self.plan(tables)
    }

    /// Counts what came after `before` as that of a subquery.
    pub(super) fn within(&mut self, before: Tables) -> Result<(), QueryError> {
        // One without tables has a row.
        if self.planned.all == before.all {
            return self.add(Tables::ONE);
        }
        let reads = self.back_to(before);
        self.plan(reads)
    }

    fn plan(&mut self, tables: Tables) -> Result<(), QueryError> {
        self.planned.joined = self.planned.joined.saturating_add(tables.joined);
        self.planned.all = self.planned.all.saturating_add(tables.all);
        if self.planned.joined > MAX_JOINED {
            return Err(too_many(format!("the statement joins more than {MAX_JOINED} tables")));
        }
        if self.planned.all.max(self.named) > MAX_TABLES {
            return Err(too_many(format!("the statement reads more than {MAX_TABLES} tables")));
        }
        Ok(())
    }

    /// Counts as if what came after `before` had not been there; gives what that was, as [`since`](Self::since).
    pub(super) fn back_to(&mut self, before: Tables) -> Tables {
        let since = self.since(before);
        self.planned = before;
        since
    }

    /// Says that what comes is not joined with what came after `before`.
    pub(super) fn beside(&mut self, before: Tables) {
        self.planned.joined = before.joined;
    }

    /// Ends what was begun by [`beside`](Self::beside): the part with more tables counts, of which the other has
    /// `other`.
    pub(super) fn at_least(&mut self, other: Tables) {
        self.planned.joined = self.planned.joined.max(other.joined);
    }
}

fn too_many(message: String) -> QueryError {
    let message =
        format!("{message}, each counted as often as it is named, and what WITH names as what it reads");
    QueryError::new(QueryErrorKind::Limit, message).with_hint("Ask in several statements")
}
