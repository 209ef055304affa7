//! Which tables a source's services keep, which are captured, and by which definitions.
//!
//! Cascades are not in the binlog; they are derived from the changes of the referenced tables. So the tables to
//! which cached ones refer with an acting foreign key are captured as well, cached or not. And where such a table
//! is itself changed by cascades, its rows have to be known: the service keeps it too, as a *shadow*, which queries
//! do not see.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crossweave_contract::{
    BooleanColumns, CaptureTables, ConnectorError, ErrorKind, ForeignKey, ServiceName, TableDef, TableId,
};

use crate::catalog::live_only;
use crate::config::ServiceSettings;

/// What is needed of a service's settings.
#[derive(Debug, Clone)]
pub(super) struct ServiceSpec {
    pub(super) name: ServiceName,
    pub(super) database: String,
    pub(super) booleans: BooleanColumns,
}

impl ServiceSpec {
    pub(super) fn new(settings: &ServiceSettings) -> Self {
        let (name, database) = (settings.name.clone(), settings.database.clone());
        Self { name, database, booleans: settings.boolean_columns() }
    }
}

/// The tables of one source's services that are kept, with the definitions by which they and their ancestors are
/// captured.
#[derive(Debug, Clone)]
pub(super) struct Watchlist {
    services: Arc<Vec<ServiceSpec>>,
    kept: Vec<BTreeSet<TableId>>,
    defs: BTreeMap<TableId, Arc<TableDef>>,
}

impl Watchlist {
    pub(super) fn new(services: Arc<Vec<ServiceSpec>>) -> Self {
        Self { kept: services.iter().map(|_| BTreeSet::new()).collect(), services, defs: BTreeMap::new() }
    }

    /// The table that a foreign key of a table of `child` refers to. A database that no service owns is taken for
    /// a service of a name that none can have.
    pub(super) fn parent(&self, child: &TableId, key: &ForeignKey) -> TableId {
        let owners = || self.services.iter().filter(|service| service.database == key.referenced_database);
        let owner = owners().find(|service| service.name == child.service).or_else(|| owners().next());
        let service = match owner {
            Some(service) => service.name.clone(),
            None => ServiceName::new(format!("database:{}", key.referenced_database)),
        };
        TableId::new(service, key.referenced_table.as_str())
    }

    /// The database of `table`, and which of its columns are boolean.
    pub(super) fn place(&self, table: &TableId) -> (String, BooleanColumns) {
        match self.services.iter().find(|service| service.name == table.service) {
            Some(service) => (service.database.clone(), service.booleans.clone()),
            None => {
                let name = table.service.as_str();
                let database = name.strip_prefix("database:").unwrap_or(name);
                (database.to_owned(), BooleanColumns::default())
            }
        }
    }

    /// The tables that the service of this index keeps, shadows included.
    pub(super) fn kept(&self, service: usize) -> &BTreeSet<TableId> {
        &self.kept[service]
    }

    /// Keeps `table` for the service of this index.
    pub(super) fn keep(&mut self, service: usize, table: TableId) {
        self.kept[service].insert(table);
    }

    /// The service no longer keeps `table`.
    pub(super) fn drop_table(&mut self, service: usize, table: &TableId) {
        self.kept[service].remove(table);
    }

    /// Whether another table that the service keeps refers to `table` with an acting foreign key.
    pub(super) fn is_parent(&self, service: usize, table: &TableId) -> bool {
        let others = self.kept[service].iter().filter(|id| *id != table).filter_map(|id| self.defs.get(id));
        others.into_iter().any(|def| def.acting_keys().any(|key| self.parent(&def.id, key) == *table))
    }

    /// Those of `tables` that cannot be kept, and those to which cascades come through them, each with why: there is
    /// no use in reading them.
    pub(super) fn barred(
        &self,
        tables: &BTreeMap<TableId, Arc<TableDef>>,
    ) -> BTreeMap<TableId, ConnectorError> {
        let error = |table: &TableId, reason: String| {
            ConnectorError::new(ErrorKind::Settings, format!("{table} can be read live only: {reason}"))
                .with_table(table.clone())
        };
        let mut barred: BTreeMap<TableId, ConnectorError> =
            tables.values().filter_map(|def| Some((def.id.clone(), error(&def.id, live_only(def)?)))).collect();
        loop {
            let through = |def: &&Arc<TableDef>| {
                let mut parents = def.acting_keys().map(|key| self.parent(&def.id, key));
                parents.find(|parent| *parent != def.id && barred.contains_key(parent))
            };
            let free = tables.values().filter(|def| !barred.contains_key(&def.id));
            let Some((def, parent)) = free.into_iter().find_map(|def| Some((def, through(&def)?))) else {
                return barred;
            };
            let reason = format!("cascades come through {parent}, which can be read live only");
            barred.insert(def.id.clone(), error(&def.id, reason));
        }
    }

    /// Captures a table by this definition.
    pub(super) fn define(&mut self, def: Arc<TableDef>) {
        self.defs.insert(def.id.clone(), def);
    }

    /// What capture has to decode: the kept tables and those they refer to.
    pub(super) fn capture_tables(&self) -> CaptureTables {
        let mut tables = BTreeMap::new();
        for def in self.kept.iter().flatten().filter_map(|id| self.defs.get(id)) {
            tables.insert(&def.id, def);
            let parents = def.acting_keys().map(|key| self.parent(&def.id, key));
            tables.extend(parents.filter_map(|id| self.defs.get_key_value(&id)));
        }
        let own = self.services.iter().map(|service| (service.database.clone(), service.name.clone()));
        let tables: Vec<Arc<TableDef>> = tables.into_values().cloned().collect();
        let others = tables.iter().map(|def| (def.database.clone(), def.id.service.clone()));
        let databases: BTreeSet<(String, ServiceName)> = own.chain(others).collect();
        CaptureTables { tables, databases: databases.into_iter().collect() }
    }
}

/// Whether the two make a capture do the same.
pub(super) fn same(a: &CaptureTables, b: &CaptureTables) -> bool {
    a.tables == b.tables && a.databases == b.databases
}
