//! What a question will take the server, as far as that is for the view to know, and what is done for it ahead of
//! reading.

use std::sync::Arc;

use crossweave_contract::{Result, TableDef};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::admission::{has_ordered_index, rows_of};
use super::asking::{Doing, ENDING};
use super::spread::Split;
use super::task::Task;
use crate::identifiers::TableRef;
use crate::scan::Statement;

/// Of fewer rows one connection is done as soon.
pub(super) const LARGE: u64 = 100_000;

/// Questions of which it is kept that they will be asked; beside them further ones change little.
const MOST_KEPT: usize = 16;

/// What a statement is expected to take.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    /// Little, or it is not known.
    Short,
    /// Many rows are examined for it.
    Long,
    /// Many rows of a table of so many are given: they are best read in parts.
    Parts { rows: u64 },
}

/// A question that will be asked.
pub(super) struct Question {
    /// The tables that it reads, one at least.
    pub(super) tables: Vec<Arc<TableDef>>,
    pub(super) split: Option<Split>,
    pub(super) statement: Statement,
}

/// Says that a question will be asked.
pub(super) struct Prepare {
    pub(super) question: Question,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// The questions of which it was said that they will be asked.
#[derive(Default)]
pub(super) struct Ahead {
    asked: usize,
    /// Of these it is not known whether they are long.
    unjudged: Vec<Question>,
    long: usize,
}

impl Task {
    /// What `statement`, which reads `tables` and may be read in parts by `split`, is expected to take.
    pub(super) async fn expected(
        &mut self,
        tables: &[TableRef<'_>],
        split: Option<&Split>,
        statement: &Statement,
    ) -> Result<Expected> {
        let pool = self.session.pool().clone();
        let known = pool.known();
        if self.shared.most_lanes() < 2 || known.is_of_single_rows(statement) {
            return Ok(Expected::Short);
        }
        let rows = rows_of(&mut self.session, tables).await?;
        let Some(rows) = rows.filter(|rows| *rows >= LARGE) else { return Ok(Expected::Short) };
        let Some(estimate) = self.explained.of(&mut self.session, statement).await? else {
            return Ok(Expected::Short);
        };
        if estimate.is_of_single_rows() {
            known.note_single_rows(statement);
            return Ok(Expected::Short);
        }
        let examined = estimate.rows(statement.limit.early());
        // What is too much in one statement is too much in several.
        if examined > pool.guard().limits().rows_examined as f64 {
            return Ok(Expected::Short);
        }
        // InnoDB takes no range for more than half of its table.
        let many = estimate.is_of_one_table_in_order() && estimate.given(None) >= LARGE as f64 / 2.0;
        if let Some(Split { table, column }) = split.filter(|_| many) {
            let column = &table.columns[*column].name;
            if has_ordered_index(&mut self.session, TableRef::of(table), column).await? {
                return Ok(Expected::Parts { rows });
            }
        }
        Ok(if examined >= LARGE as f64 { Expected::Long } else { Expected::Short })
    }

    /// Has connections join for what is to be asked. One question alone is not asked about unless it may be read in
    /// parts.
    pub(super) async fn prepare(&mut self, prepare: Prepare) -> Result<()> {
        let Prepare { question, mut reply } = prepare;
        let table = question.tables.first().map(|table| table.id.clone());
        self.ahead.asked += 1;
        let (is_kept, parts) = (self.ahead.unjudged.len() < MOST_KEPT, question.split.is_some());
        if is_kept {
            self.ahead.unjudged.push(question);
        }
        let Some(table) = table.filter(|_| is_kept && (parts || self.ahead.asked > 1)) else {
            // Who asked may be gone.
            let _ = reply.send(Ok(()));
            return Ok(());
        };
        let (asking, doing) = (self.asking(), Doing::of(&self.session));
        let answer = asking.run(self.wanted_ahead(), reply.closed(), || doing.kill()).await;
        let (wanted, view) = self.settle(answer, &table, Self::silent).await;
        if let (Ok(wanted), Ok(())) = (&wanted, &view) {
            let in_the_way = self.shared.watch.in_the_way();
            tokio::select! {
                _ = timeout(ENDING, self.join_ahead(*wanted)) => {}
                () = reply.closed() => {}
                () = in_the_way.cancelled() => {}
            }
        }
        // Who asked may be gone.
        let _ = reply.send(wanted.map(|_| ()));
        view
    }

    /// How many connections serve what is to be asked.
    async fn wanted_ahead(&mut self) -> Result<usize> {
        let mut wanted = 1;
        let several = self.ahead.asked > 1;
        let (judged, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ahead.unjudged)
            .into_iter()
            .partition(|question| several || question.split.is_some());
        self.ahead.unjudged = later;
        for Question { tables, split, statement } in &judged {
            let tables: Vec<TableRef<'_>> = tables.iter().map(|table| TableRef::of(table)).collect();
            match self.expected(&tables, split.as_ref(), statement).await? {
                Expected::Short => {}
                Expected::Long => self.ahead.long += 1,
                Expected::Parts { .. } => {
                    self.ahead.long += 1;
                    wanted = self.shared.most_lanes();
                }
            }
        }
        wanted = wanted.max(self.ahead.long.min(self.shared.most_beside()));
        Ok(if wanted > 1 && self.places_tell().await? { wanted } else { 1 })
    }
}
