//! The shop: users (1, 2, 3), their orders, and items, each in a service and a source of its own.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use crossweave_cache::{ServiceCache, ServiceSnapshot, ServiceWriter};
use crossweave_contract::{
    Collation, Column, ColumnType, Position, RemoteColumn, RowsBuilder, ServiceName, Source, SourceId,
    TableDef, TableId, TableKind, Value,
};
use datafusion::catalog::SchemaProvider;
use datafusion::logical_expr::ScalarUDF;
use indexmap::IndexMap;
use parking_lot::Mutex;

use super::FakeSource;
use crate::catalog::{Catalog, CatalogHandle, Service, Table, TableMode};
use crate::federation::Snapshots;
use crate::policy::{Access, Identity, Policy};
use crate::query::{Engine, EngineOptions, EngineParts, NoSystemSchemas, Session, SystemSchemas};

pub(crate) fn table_id(service: &str, table: &str) -> TableId {
    TableId::new(service, table)
}

pub(crate) fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type, nullable: true, binlog_index: Some(0), max_chars: None }
}

pub(crate) fn int(name: &str) -> Column {
    Column { nullable: false, ..column(name, ColumnType::BigInt { unsigned: true }) }
}

pub(crate) fn text(name: &str) -> Column {
    column(name, ColumnType::Text { collation: Collation::new("utf8mb4", "utf8mb4_bin") })
}

/// A table whose key is its first column.
pub(crate) fn def(service: &str, table: &str, columns: Vec<Column>) -> TableDef {
    TableDef {
        id: table_id(service, table),
        database: service.to_owned(),
        kind: TableKind::Base,
        binlog_columns: columns.len(),
        columns,
        key: vec![0],
        foreign_keys: Vec::new(),
        row_end: None,
        live_only: Vec::new(),
    }
}

pub(crate) fn rows(def: &TableDef, rows: &[Vec<Value>]) -> RecordBatch {
    let all: Vec<usize> = (0..def.columns.len()).collect();
    let mut builder = RowsBuilder::new(def, &all, rows.len());
    for row in rows {
        builder.append_row(row).expect("values of the columns' types");
    }
    builder.finish().expect("columns of one length")
}

/// Rows of what a source answers as `columns`.
pub(crate) fn rows_of(columns: &[RemoteColumn], rows: &[Vec<Value>]) -> RecordBatch {
    let mut builder = RowsBuilder::of(columns, rows.len());
    for row in rows {
        builder.append_row(row).expect("values of the columns' types");
    }
    builder.finish().expect("columns of one length")
}

fn number(value: u64) -> Value {
    Value::UInt(value)
}

fn word(text: &str) -> Value {
    Value::Text(text.into())
}

fn users() -> (TableDef, Vec<Vec<Value>>) {
    let created = column("createdAt", ColumnType::DateTime { fsp: 6 });
    let balance = column("balance", ColumnType::Decimal { precision: 10, scale: 2 });
    let def = def("users", "users", vec![int("id"), text("name"), created, balance]);
    let row = |id, name, day: i64, balance| {
        vec![number(id), word(name), Value::Micros(day * 86_400_000_000), Value::Decimal(balance)]
    };
    let rows = vec![row(1, "Ada", 19_000, 1050), row(2, "Børge", 19_001, 0), row(3, "Čapek", 19_002, -125)];
    (def, rows)
}

fn orders() -> (TableDef, Vec<Vec<Value>>) {
    let total = column("total", ColumnType::Decimal { precision: 10, scale: 2 });
    let def = def(
        "orders",
        "orders",
        vec![int("id"), column("user_id", ColumnType::BigInt { unsigned: false }), total],
    );
    let row = |id, user, total| vec![number(id), Value::Int(user), Value::Decimal(total)];
    (def, vec![row(10, 1, 500), row(11, 1, 700), row(12, 2, 999), row(13, 99, 1)])
}

fn items() -> (TableDef, Vec<Vec<Value>>) {
    let def = def("items", "items", vec![int("id"), text("title"), int("seller_id")]);
    let row = |id, title, seller| vec![number(id), word(title), number(seller)];
    (def, vec![row(100, "lamp", 1), row(101, "chair", 2)])
}

fn addresses() -> (TableDef, Vec<Vec<Value>>) {
    let def = def("users", "addresses", vec![int("id"), int("user_id"), text("city")]);
    let row = |id, user, city| vec![number(id), number(user), word(city)];
    (def, vec![row(20, 1, "Oslo"), row(21, 3, "Praha")])
}

/// Caches filled by hand.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    services: Mutex<HashMap<ServiceName, (Arc<ServiceCache>, ServiceWriter)>>,
}

impl Snapshots for Caches {
    fn pin(&self, service: &ServiceName) -> Option<Arc<ServiceSnapshot>> {
        self.services.lock().get(service)?.0.snapshot()
    }

    fn reason_absent(&self, _table: &TableId) -> Option<String> {
        None
    }
}

/// Denies the tables that it is told to.
#[derive(Debug, Default)]
pub(crate) struct Denials(pub(crate) Mutex<Vec<TableId>>);

impl Policy for Denials {
    fn access(&self, _identity: &Identity, table: &TableId) -> Access {
        match self.0.lock().contains(table) {
            true => Access::Denied("it is private".to_owned()),
            false => Access::Full,
        }
    }
}

/// The engine over it all, and what tests turn.
pub(crate) struct Shop {
    pub(crate) engine: Engine,
    pub(crate) catalog: CatalogHandle,
    pub(crate) sources: HashMap<&'static str, Arc<FakeSource>>,
    pub(crate) denials: Arc<Denials>,
    caches: Arc<Caches>,
    _spill: tempfile::TempDir,
}

/// Small bounds.
pub(crate) fn options(spill: &std::path::Path) -> EngineOptions {
    EngineOptions { threads: 2, memory: 64 << 20, ..EngineOptions::new(spill) }
}

impl Shop {
    /// All tables live.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut EngineOptions)) -> Self {
        Self::described(Arc::new(NoSystemSchemas), change)
    }

    /// All tables live, with `system` beside them.
    pub(crate) fn described(system: Arc<dyn SystemSchemas>, change: impl FnOnce(&mut EngineOptions)) -> Self {
        let mut catalog = Catalog::default();
        let mut sources = HashMap::new();
        for (name, tables) in
            [("users", vec![users(), addresses()]), ("items", vec![items()]), ("orders", vec![orders()])]
        {
            let source = Arc::new(FakeSource::new(name));
            let mut service = Service {
                name: name.into(),
                source: name.into(),
                database: name.to_owned(),
                tables: IndexMap::new(),
                unreachable: None,
            };
            for (def, values) in tables {
                let def = Arc::new(def);
                source.put(Arc::clone(&def), rows(&def, &values));
                let table = Table {
                    def: Arc::clone(&def),
                    mode: TableMode::Live,
                    hidden: Vec::new(),
                    unique: Vec::new(),
                };
                service.tables.insert(Arc::clone(&def.id.table), table);
            }
            catalog.services.insert(service.name.clone(), service);
            sources.insert(name, source);
        }
        let catalog = CatalogHandle::new(catalog);
        let spill = tempfile::tempdir().expect("a folder for temporary files");
        let (caches, denials) = (Arc::new(Caches::default()), Arc::new(Denials::default()));
        let parts = EngineParts {
            catalog: catalog.clone(),
            sources: sources
                .iter()
                .map(|(name, source)| (SourceId::from(*name), Arc::clone(source) as Arc<dyn Source>))
                .collect(),
            booleans: HashMap::new(),
            snapshots: Arc::clone(&caches) as Arc<dyn Snapshots>,
            policy: Arc::clone(&denials) as Arc<dyn Policy>,
            system,
        };
        let mut options = options(spill.path());
        change(&mut options);
        let engine = Engine::new(parts, options).expect("an engine");
        Self { engine, catalog, sources, denials, caches, _spill: spill }
    }

    pub(crate) fn session(&self) -> Session {
        self.engine.session(Identity::default())
    }

    pub(crate) fn def(&self, id: &TableId) -> Arc<TableDef> {
        Arc::clone(&self.catalog.current().table(id).expect("a table of the shop").def)
    }

    /// Sets a table's mode.
    pub(crate) fn mode(&self, id: &TableId, mode: TableMode) {
        self.change(id, |table| table.mode = mode);
    }

    /// Gives the table the definition `def` in the catalog.
    pub(crate) fn redefine(&self, def: TableDef) {
        self.change(&def.id.clone(), |table| table.def = Arc::new(def));
    }

    fn change(&self, id: &TableId, change: impl FnOnce(&mut Table)) {
        self.catalog.update(|catalog| {
            let mut catalog = catalog.clone();
            let table =
                catalog.services.get_mut(&id.service).and_then(|service| service.tables.get_mut(&*id.table));
            change(table.expect("a table of the shop"));
            catalog
        });
    }

    /// Marks the tables of one service as cached and loads them from their source's rows.
    pub(crate) fn cache(&self, service: &str, tables: &[&str], position: &str) {
        let position: Position = position.parse().expect("a position");
        let name = ServiceName::from(service);
        let mut services = self.caches.services.lock();
        let (_, writer) = services.entry(name.clone()).or_insert_with(|| ServiceCache::new(name));
        let mut loads = Vec::new();
        for table in tables {
            let id = table_id(service, table);
            self.mode(&id, TableMode::Cached);
            let (def, values) = match *table {
                "users" => users(),
                "addresses" => addresses(),
                "items" => items(),
                _ => orders(),
            };
            let mut load = writer.load(Arc::new(def.clone())).expect("a table with a key");
            load.push(&rows(&def, &values)).expect("rows of the table");
            loads.push(load);
        }
        writer.install(loads, &position).expect("a first load");
        writer.publish();
    }

    /// The rows of `sql`, as text.
    pub(crate) async fn ask(&self, sql: &str) -> String {
        show(&mut self.session(), sql).await
    }
}

/// The rows of `sql`, as text: a line per row, values separated by `|`; or the error.
pub(crate) async fn show(session: &mut Session, sql: &str) -> String {
    let answered = async {
        let answer = session.query(sql, Vec::new()).await?;
        answer.rows.collect().await
    };
    match answered.await {
        Ok(batches) => lines(&batches).join("\n"),
        Err(error) => {
            let hint = error.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{:?}: {}{hint}", error.kind, error.message)
        }
    }
}

pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow::array::ArrayRef| {
                arrow::util::display::array_value_to_string(column, row).expect("a printable value")
            };
            lines.push(batch.columns().iter().map(cell).collect::<Vec<_>>().join("|"));
        }
    }
    lines
}

/// `pg_catalog` and `information_schema` by name, without a table.
#[derive(Debug)]
pub(crate) struct TwoSchemas;

impl SystemSchemas for TwoSchemas {
    fn names(&self) -> &[&'static str] {
        &["pg_catalog", "information_schema"]
    }

    fn schema(&self, _: &str, _: &Arc<Catalog>, _: &Identity) -> Option<Arc<dyn SchemaProvider>> {
        None
    }

    fn functions(&self, _: &Arc<Catalog>) -> Vec<Arc<ScalarUDF>> {
        Vec::new()
    }
}
