//! The captured tables as the stream meets them: found by the names in TABLE_MAP events, with a plan for their
//! rows.
//!
//! Their definitions may be replaced while the stream runs. They are looked at between transactions only, so that
//! one transaction is decoded by one set of definitions.

use std::collections::HashMap;
use std::sync::Arc;

use crossweave_contract::{CaptureTables, TableDef, TableFault};
use tokio::sync::watch;

use super::charset::Charsets;
use super::definitions::Definitions;
use super::events::Malformed;
use super::rows::RowPlan;
use super::table_map::TableMap;

/// TABLE_MAPs that are kept; past it all are forgotten between transactions, and planned anew.
const MOST_MAPS: usize = 4_096;

/// What to do with rows of a table: decode them, or report why that cannot be done.
pub(super) type Plan = Result<RowPlan, TableFault>;

/// By database, then by table. Two services may own one database.
type ByName = HashMap<Box<str>, HashMap<Box<str>, Vec<Arc<TableDef>>>>;

/// The captured tables by name, and the TABLE_MAPs of the stream by number.
pub(super) struct StreamTables {
    receiver: watch::Receiver<Definitions>,
    captured: Arc<CaptureTables>,
    charsets: Charsets,
    by_name: ByName,
    /// Whether the server ignores the case of tables' names (`lower_case_table_names`).
    fold_case: bool,
    maps: HashMap<u64, Mapped>,
}

struct Mapped {
    body: Box<[u8]>,
    plans: Vec<Plan>,
}

impl StreamTables {
    pub(super) fn new(mut receiver: watch::Receiver<Definitions>, fold_case: bool) -> Self {
        let Definitions { tables: captured, charsets } = receiver.borrow_and_update().clone();
        let by_name = index(&captured, fold_case);
        Self { receiver, captured, charsets, by_name, fold_case, maps: HashMap::new() }
    }

    /// The definitions in force.
    pub(super) fn captured(&self) -> &Arc<CaptureTables> {
        &self.captured
    }

    /// Takes over definitions that were replaced, and says whether any were: to be called between transactions.
    pub(super) fn refresh(&mut self) -> bool {
        // An error says that nobody will replace them any more: the last ones stay in force.
        let changed = self.receiver.has_changed().unwrap_or(false);
        if changed {
            let now = self.receiver.borrow_and_update().clone();
            (self.captured, self.charsets) = (now.tables, now.charsets);
            self.by_name = index(&self.captured, self.fold_case);
            self.maps.clear();
        } else if self.maps.len() > MOST_MAPS {
            self.maps.clear();
        }
        changed
    }

    /// Forgets all TABLE_MAPs: their numbers may begin anew.
    pub(super) fn forget_maps(&mut self) {
        self.maps.clear();
    }

    /// Takes in a TABLE_MAP event.
    pub(super) fn map(&mut self, body: &[u8]) -> Result<(), Malformed> {
        let map = TableMap::parse(body)?;
        if self.maps.get(&map.table).is_some_and(|known| *known.body == *body) {
            return Ok(());
        }
        let plans = self.definitions(&map).iter().map(|table| plan(table, &map, &self.charsets)).collect();
        self.maps.insert(map.table, Mapped { body: body.into(), plans });
        Ok(())
    }

    /// The plans for rows of the table of this number, none if it is not captured; `None` if no TABLE_MAP has
    /// this number.
    pub(super) fn plans(&self, table: u64) -> Option<&[Plan]> {
        self.maps.get(&table).map(|mapped| mapped.plans.as_slice())
    }

    fn definitions(&self, map: &TableMap<'_>) -> &[Arc<TableDef>] {
        let name = |bytes| std::str::from_utf8(bytes).map(|name| fold(name, self.fold_case));
        let (Ok(database), Ok(table)) = (name(map.database), name(map.name)) else { return &[] };
        let tables = self.by_name.get(database.as_ref()).and_then(|tables| tables.get(table.as_ref()));
        tables.map_or(&[], Vec::as_slice)
    }
}

fn plan(table: &Arc<TableDef>, map: &TableMap<'_>, charsets: &Charsets) -> Plan {
    let columns = map.columns().map_err(|malformed| malformed.to_string());
    columns.and_then(|columns| RowPlan::new(Arc::clone(table), &columns, charsets)).map_err(|reason| {
        TableFault {
            table: table.id.clone(),
            reason: format!("table {} cannot be decoded: {reason}", table.id),
        }
    })
}

fn index(captured: &CaptureTables, fold_case: bool) -> ByName {
    let mut by_name = ByName::new();
    for table in &captured.tables {
        let database = fold(&table.database, fold_case).into();
        let name = fold(&table.id.table, fold_case).into();
        by_name.entry(database).or_default().entry(name).or_default().push(Arc::clone(table));
    }
    by_name
}

fn fold(name: &str, fold_case: bool) -> std::borrow::Cow<'_, str> {
    if fold_case { name.to_lowercase().into() } else { name.into() }
}
