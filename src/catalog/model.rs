//! What a catalog holds.

use std::sync::Arc;

use crossweave_contract::{CollationWeights, ServiceName, SourceId, TableDef, TableId};
use indexmap::IndexMap;

use crate::config::Problem;

/// Everything that can be queried, at one epoch.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Grows with every replacement.
    pub epoch: u64,
    /// By name, in the order of the config.
    pub services: IndexMap<ServiceName, Service>,
    /// Declared and inferred, in a fixed order.
    pub relationships: Vec<Relationship>,
    /// Declared relationships that are left out, for a row might refer to several.
    pub left_out: Vec<Problem>,
    /// Weights of the collations in use, by collation name.
    pub weights: IndexMap<String, Arc<CollationWeights>>,
    /// Collations in use whose weights could not be had, with the reason: comparisons under them are refused.
    pub missing_weights: IndexMap<String, String>,
}

/// One service.
#[derive(Debug, Clone)]
pub struct Service {
    /// Its name: the SQL schema.
    pub name: ServiceName,
    /// Where its tables are.
    pub source: SourceId,
    /// Its database there.
    pub database: String,
    /// Its tables, by name, in the server's spelling. Empty while the source was never reached.
    pub tables: IndexMap<Arc<str>, Table>,
    /// Why the tables are not known, while they are not.
    pub unreachable: Option<String>,
}

/// One table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its definition.
    pub def: Arc<TableDef>,
    /// Where its rows come from.
    pub mode: TableMode,
    /// Columns that were hidden, with reasons.
    pub hidden: Vec<(String, String)>,
    /// The columns of its unique keys, as the server has them now.
    pub unique: Vec<Vec<String>>,
}

impl Table {
    /// Whether at most one row has given values in all of `columns`, which are indices into its definition.
    pub fn is_unique(&self, columns: &[usize]) -> bool {
        let key = &self.def.key;
        let has = |name: &String| columns.iter().any(|&c| self.def.columns[c].name.eq_ignore_ascii_case(name));
        !key.is_empty() && key.iter().all(|place| columns.contains(place))
            || self.unique.iter().any(|key| key.iter().all(has))
    }
}

/// Where a table's rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableMode {
    /// From the source.
    Live,
    /// From the source, though the config says cached, for this reason.
    LiveOnly(String),
    /// From the cache, or from the source where a query asks for it.
    Cached,
}

/// A link between two tables, in both directions. `from` refers to `to`: many rows to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relationship {
    /// The referring table.
    pub from: TableId,
    /// Its columns, in the server's spelling.
    pub from_columns: Vec<String>,
    /// The referred table.
    pub to: TableId,
    /// Its columns, in the order of `from_columns`.
    pub to_columns: Vec<String>,
    /// The object field on `from`'s rows.
    pub field: String,
    /// The list field on `to`'s rows.
    pub inverse: String,
}

impl Catalog {
    /// The table `id`.
    pub fn table(&self, id: &TableId) -> Option<&Table> {
        self.services.get(&id.service)?.tables.get(&*id.table)
    }

    /// All tables with their identities.
    pub fn tables(&self) -> impl Iterator<Item = (&Service, &Table)> {
        self.services.values().flat_map(|service| service.tables.values().map(move |table| (service, table)))
    }
}
