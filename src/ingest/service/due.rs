//! Which tables of a service are to be loaded, and when: those that are not there or out of date, those that failed and are
//! tried again, and those that somebody asks for; none of them sooner than its source is to be left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::TableHealth;
use crossweave_contract::TableId;
use tokio::time::Instant;

use super::Service;
use crate::ingest::retry::{Backoff, Pace};

/// For how long the other tables of a service wait for one that is to be loaded anew but may not be read yet.
const HOLD: Duration = Duration::from_secs(5);

/// How far a load is that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// It has not begun.
    Waits,
    /// The next load that ends is it.
    Loads,
}

pub(super) struct Retry {
    pub(super) backoff: Backoff,
    pub(super) due: Instant,
    pub(super) reason: String,
}

impl Service {
    /// Loads `table` anew because somebody says so, also where its last attempt failed a moment ago.
    pub(in crate::ingest) fn reload(&mut self, table: &TableId) {
        tracing::info!(%table, "the table is loaded anew, as was asked for");
        self.retries.remove(table);
        self.asked.insert(table.clone(), Asked::Waits);
        self.dirty = true;
    }

    /// The tables of `kept` that are to be loaded now: not there or out of date, and not waiting for another try.
    pub(in crate::ingest) fn due(&self, kept: &BTreeSet<TableId>, now: Instant) -> BTreeSet<TableId> {
        if self.loading.is_some() {
            return BTreeSet::new();
        }
        let is_due = |due: &Option<Instant>| due.is_none_or(|due| due <= now);
        let due = self.due_times(kept).into_iter().filter(|(_, due)| is_due(due));
        self.writer.with_dependents(&due.map(|(table, _)| table).collect())
    }

    /// The tables of `kept` that are to be loaded, and from when on each may be, where that was said. What depends on a table
    /// is loaded with it, so that neither is loaded before both may be.
    fn due_times(&self, kept: &BTreeSet<TableId>) -> BTreeMap<TableId, Option<Instant>> {
        let there: BTreeSet<&TableId> = self.writer.tables().map(|(def, _)| &def.id).collect();
        let missing = kept.iter().filter(|table| !there.contains(table)).cloned();
        let to_load: Vec<TableId> = missing.chain(self.writer.to_load()).collect();
        let pace = |table: &TableId| self.paces.get(table).map(Pace::due);
        let mut times: BTreeMap<TableId, Option<Instant>> = to_load
            .iter()
            .map(|table| (table.clone(), self.retries.get(table).map(|retry| retry.due)))
            .collect();
        for table in &to_load {
            let together = self.writer.with_dependents(&BTreeSet::from([table.clone()]));
            let latest = together.iter().map(pace).max().flatten().max(times[table]);
            for other in &together {
                if let Some(time) = times.get_mut(other) {
                    *time = (*time).max(latest);
                }
            }
        }
        times
    }

    /// When the next of the tables of `kept` is to be loaded.
    pub(in crate::ingest) fn next_try(&self, kept: &BTreeSet<TableId>) -> Option<Instant> {
        let waits = self.asked.iter().filter(|(_, asked)| **asked == Asked::Waits);
        let asked = waits.filter_map(|(table, _)| self.paces.get(table)).map(Pace::due);
        self.due_times(kept).into_values().flatten().chain(asked).min()
    }

    /// Makes tables out of date that somebody wants to be loaded anew, once they may be read again: until then their rows are
    /// as good as they were.
    pub(in crate::ingest) fn expire_asked(&mut self, now: Instant) {
        for (table, asked) in &mut self.asked {
            let rests = self.paces.get(table).is_some_and(|pace| pace.due() > now);
            if *asked == Asked::Waits && !rests {
                *asked = Asked::Loads;
                self.writer.expire(table, "it was asked for");
                self.dirty = true;
            }
        }
    }

    /// Takes those tables from the snapshot that are out of date and may not be read again for long, so that the others go
    /// on without them. While a source does not answer they stay: the last snapshot is all that there is then.
    pub(in crate::ingest) fn leave_what_waits(&mut self, now: Instant) {
        let stale = self.writer.tables().filter_map(|(def, health)| match health {
            TableHealth::Stale(reason) => Some((Arc::clone(def), reason)),
            _ => None,
        });
        for (def, reason) in stale.collect::<Vec<_>>() {
            if self.paces.get(&def.id).is_some_and(|pace| pace.due() > now + HOLD) {
                let reason = format!(
                    "{reason}; it was loaded anew several times of late, and its source is left alone for now"
                );
                tracing::warn!(table = %def.id, reason, "the table is loaded later");
                self.writer.stop(&def, &reason);
                self.dirty = true;
            }
        }
    }
}
