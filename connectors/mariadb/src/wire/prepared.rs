//! The statements that a connection has prepared, so that the next execution need not.
//!
//! **Which are not kept?** Those with a query within them. MariaDB rewrites subqueries while it executes a statement for the first
//! time, and not all of that holds for the second: `EXISTS` over a grouped table fails then with a column that is unknown. To
//! prepare them anew takes no round trip.

use std::collections::VecDeque;

use mysql_async::consts::Command;

use super::packets::frame;

/// Statements that are kept prepared; of more, the one that was used longest ago is given up.
const MOST_KEPT: usize = 32;

/// Bytes of the text of a statement that is kept prepared.
const LONGEST_KEPT: usize = 16 << 10;

/// A statement that the server has prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prepared {
    pub(super) id: u32,
    /// How many parameters it has.
    pub(super) params: u16,
}

/// Those of one connection, the last used at the end.
#[derive(Debug, Default)]
pub(super) struct Statements {
    kept: VecDeque<(String, Prepared)>,
    /// To be given up with the next message.
    unneeded: Vec<u32>,
    /// The number of the last one: the server counts up, also where it could not prepare one.
    last: u32,
}

impl Statements {
    /// The number that the next one will have, unless the server counts in another way; no other one has it.
    pub(super) fn next(&self) -> u32 {
        self.last.wrapping_add(1)
    }

    /// One was prepared, or could not be.
    pub(super) fn prepared(&mut self, prepared: Option<&Prepared>) {
        self.last = prepared.map_or(self.next(), |prepared| prepared.id);
    }

    /// The statement of this text, if it is prepared.
    pub(super) fn get(&mut self, sql: &str) -> Option<Prepared> {
        let at = self.kept.iter().position(|(text, _)| text == sql)?;
        let found = self.kept.remove(at)?;
        let prepared = found.1;
        self.kept.push_back(found);
        Some(prepared)
    }

    /// Keeps a statement, if that is worth its while.
    pub(super) fn keep(&mut self, sql: &str, prepared: Prepared) {
        if sql.len() > LONGEST_KEPT || has_subquery(sql) {
            return self.forget(prepared);
        }
        if self.kept.len() == MOST_KEPT {
            self.unneeded.extend(self.kept.pop_front().map(|(_, oldest)| oldest.id));
        }
        self.kept.push_back((sql.to_owned(), prepared));
    }

    /// Gives up a statement with the next message.
    pub(super) fn forget(&mut self, prepared: Prepared) {
        self.unneeded.push(prepared.id);
    }

    /// What gives up the statements that are of no use any more; the server does not answer it.
    pub(super) fn unneeded(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for id in self.unneeded.drain(..) {
            let mut message = vec![Command::COM_STMT_CLOSE as u8];
            message.extend_from_slice(&id.to_le_bytes());
            frame(&mut bytes, &message, 0);
        }
        bytes
    }
}

/// Whether a query is within the statement. A name that looks like one does no harm.
fn has_subquery(sql: &str) -> bool {
    sql.match_indices("SELECT").nth(1).is_some()
}
