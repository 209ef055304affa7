//! Cascades: what the server did to referencing rows without logging it.
//!
//! InnoDB runs ON DELETE and ON UPDATE actions itself; the binlog has the parent's change only. So for each
//! logged change for which the server followed foreign keys, the referencing rows are found here and changed the
//! same way, at that very change, and theirs in turn: chains, several keys, tables that refer to themselves.
//!
//! **Why does that end?** A deleted row is found no more, and an update whose values are there already is none.
//! A chain of updates that goes round is refused by the server; [`DEPTH`] guards against a log that lies.
//!
//! **What if a table on the way is not current?** Then what became of its rows is not known, nor what followed
//! from that. Whatever depends on such a table stops with it and is loaded anew together with it
//! ([`Tables::dependents`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crossweave_contract::{Gtid, ReferentialAction, Row, TableDef, TableId, Value};

use crate::error::RowError;
use crate::service::{Entry, State};
use crate::tail::NewRow;

/// The server itself stops at 15 for deletes; anything near this is a fault.
const DEPTH: usize = 64;

/// A foreign key that acts, seen from the referenced table.
#[derive(Debug, Clone)]
struct Edge {
    /// Index into [`Tables::entries`].
    child: usize,
    /// Index into the child's foreign keys.
    foreign_key: usize,
}

/// The acting foreign keys of all tables, by database and name of the referenced one.
#[derive(Debug, Default)]
pub(crate) struct Edges(HashMap<(String, Arc<str>), Vec<Edge>>);

impl Edges {
    fn from(&self, def: &TableDef) -> &[Edge] {
        self.0.get(&(def.database.clone(), Arc::clone(&def.id.table))).map_or(&[], Vec::as_slice)
    }

    /// Whether changes of `def` may change rows of other tables.
    pub(crate) fn start_at(&self, def: &TableDef) -> bool {
        !self.from(def).is_empty()
    }
}

/// A service's tables as the writer has them.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) entries: Vec<Entry>,
    by_id: HashMap<TableId, usize>,
    edges: Arc<Edges>,
}

/// One change of a referenced row.
struct Parent<'a> {
    def: &'a TableDef,
    before: &'a [Value],
    after: Option<&'a [Value]>,
}

/// A row that a cascade changes.
struct Followed {
    before: Row,
    after: Option<Row>,
}

impl Tables {
    pub(crate) fn index(&self, id: &TableId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn edges(&self) -> Arc<Edges> {
        Arc::clone(&self.edges)
    }

    /// Adds or replaces a table.
    pub(crate) fn put(&mut self, entry: Entry) {
        match self.index(&entry.def.id) {
            Some(index) => self.entries[index] = entry,
            None => self.entries.push(entry),
        }
        self.connect();
    }

    pub(crate) fn remove(&mut self, id: &TableId) -> Option<Entry> {
        let removed = self.index(id).map(|index| self.entries.remove(index));
        self.connect();
        removed
    }

    fn connect(&mut self) {
        let mut edges = Edges::default();
        for (child, entry) in self.entries.iter().enumerate() {
            let keys = entry.def.foreign_keys.iter().enumerate();
            for (foreign_key, key) in keys.filter(|(_, key)| key.acts()) {
                let parent = (key.referenced_database.clone(), Arc::from(key.referenced_table.as_str()));
                edges.0.entry(parent).or_default().push(Edge { child, foreign_key });
            }
        }
        self.edges = Arc::new(edges);
        let ids = self.entries.iter().enumerate().map(|(index, entry)| (entry.def.id.clone(), index));
        self.by_id = ids.collect();
    }

    /// The tables of `of`, and those whose cascades cannot be known without them: what refers to a table that is
    /// itself changed by cascades, and so on. They are stopped and loaded together.
    pub(crate) fn dependents(&self, of: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = of.into_iter().collect();
        while let Some(index) = open.pop() {
            let def = &self.entries[index].def;
            if found.insert(index) && def.acting_keys().next().is_some() {
                open.extend(self.edges.from(def).iter().map(|edge| edge.child));
            }
        }
        found
    }

    /// The tables in which something may have happened that the log does not say, when it does not say what
    /// happened in `table`: that table, what refers to it (by name alone, for it need not be known here), and
    /// their dependents.
    pub(crate) fn concerned(&self, table: &TableId) -> BTreeSet<usize> {
        let edges = self.edges.0.iter().filter(|((_, name), _)| *name == table.table);
        let children = edges.flat_map(|(_, edges)| edges.iter().map(|edge| edge.child));
        self.dependents(self.index(table).into_iter().chain(children))
    }

    /// Stops `index` and its dependents.
    pub(crate) fn stop(&mut self, index: usize, reason: &str) {
        for other in self.dependents([index]) {
            let reason = if other == index {
                reason.to_owned()
            } else {
                format!("cascades come through {}, which stopped: {reason}", self.entries[index].def.id)
            };
            let entry = &mut self.entries[other];
            entry.holds = false;
            if !matches!(entry.state, State::Stopped(_)) {
                entry.state = State::Stopped(reason);
            }
        }
    }

    /// Marks `index` and its dependents as out of date.
    pub(crate) fn expire(&mut self, index: usize, reason: &str) {
        for other in self.dependents([index]) {
            let entry = &mut self.entries[other];
            if matches!(entry.state, State::Ready { .. }) {
                entry.state = State::Stale(reason.to_owned());
                entry.holds |= entry.visible;
            }
        }
    }

    /// Does to the rows that refer to a changed row what the server did. Returns the number of rows changed.
    pub(crate) fn cascade(
        &mut self,
        gtid: &Gtid,
        def: &TableDef,
        before: &[Value],
        after: Option<&[Value]>,
    ) -> usize {
        let edges = self.edges();
        self.follow(&edges, gtid, &Parent { def, before, after }, 0)
    }

    fn follow(&mut self, edges: &Edges, gtid: &Gtid, parent: &Parent<'_>, depth: usize) -> usize {
        let mut changed = 0;
        for edge in edges.from(parent.def) {
            if !self.entries[edge.child].takes(gtid) {
                continue;
            }
            let followed = match self.follow_one(edge, parent, depth) {
                Ok(followed) => followed,
                Err(error) => {
                    self.stop(edge.child, &format!("{error} (transaction {gtid})"));
                    continue;
                }
            };
            let child = Arc::clone(&self.entries[edge.child].def);
            changed += followed.len();
            if edges.start_at(&child) {
                for row in &followed {
                    let parent = Parent { def: &child, before: &row.before, after: row.after.as_deref() };
                    changed += self.follow(edges, gtid, &parent, depth + 1);
                }
            }
        }
        changed
    }

    /// Changes the rows of one child, and says which.
    fn follow_one(
        &mut self,
        edge: &Edge,
        parent: &Parent<'_>,
        depth: usize,
    ) -> Result<Vec<Followed>, RowError> {
        let entry = &mut self.entries[edge.child];
        let State::Ready { table, .. } = &mut entry.state else { return Ok(Vec::new()) };
        let layout = Arc::clone(table.layout());
        let key = &layout.def.foreign_keys[edge.foreign_key];
        let fail = |reason: String| RowError::Cascade { from: parent.def.id.clone(), reason };
        let referenced: Option<Vec<usize>> =
            key.referenced_columns.iter().map(|name| parent.def.column_index(name)).collect();
        let columns = layout.references[edge.foreign_key].as_ref();
        let (Some(referenced), Some(columns)) = (referenced, columns) else {
            return Err(fail(format!("a column of the foreign key {} is hidden", key.name)));
        };
        let values = |row: &[Value]| referenced.iter().map(|i| row[*i].clone()).collect::<Vec<_>>();
        let (action, new) = match parent.after {
            None => (key.on_delete, None),
            Some(after) if values(parent.before) == values(after) => return Ok(Vec::new()),
            Some(after) => (key.on_update, Some(values(after))),
        };
        let mut wanted = Vec::new();
        let complete = columns.encode(referenced.iter().map(|i| parent.before[*i].as_ref()), &mut wanted);
        if !action.acts() || !complete {
            return Ok(Vec::new());
        }
        if depth >= DEPTH {
            return Err(fail(format!("it goes on for more than {DEPTH} tables")));
        }
        let rows = table.referencing(edge.foreign_key, &wanted);
        let deletes = new.is_none() && action == ReferentialAction::Cascade;
        if !deletes && !rows.is_empty() && layout.def.columns.iter().any(|c| c.binlog_index.is_none()) {
            return Err(fail("a generated column of the changed rows is not known".to_owned()));
        }
        let mut followed = Vec::with_capacity(rows.len());
        for before in rows {
            let after = (!deletes).then(|| {
                let mut after = before.clone();
                for (at, column) in columns.indices().enumerate() {
                    after[column] = match (action, &new) {
                        (ReferentialAction::Cascade, Some(new)) => new[at].clone(),
                        _ => Value::Null,
                    };
                }
                after
            });
            if after.as_ref() == Some(&before) {
                continue;
            }
            match &after {
                Some(after) => table.update(&before, NewRow::Derived(after.clone()))?,
                None => table.delete(&before)?,
            }
            followed.push(Followed { before, after });
        }
        Ok(followed)
    }
}
