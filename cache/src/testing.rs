//! Tables and transactions for tests.

use crossweave_contract::{Column, ColumnType, TableDef, TableId, TableKind};

/// A column that may be NULL.
pub(crate) fn column(name: &str, column_type: ColumnType) -> Column {
    Column { name: name.to_owned(), column_type, nullable: true, binlog_index: Some(0) }
}

/// A table of the service and database `shop`.
pub(crate) fn table(name: &str, columns: Vec<Column>, key: &[usize]) -> TableDef {
    TableDef {
        id: TableId::new("shop", name),
        database: "shop".to_owned(),
        kind: TableKind::Base,
        binlog_columns: columns.len(),
        columns,
        key: key.to_vec(),
        foreign_keys: Vec::new(),
        row_end: None,
    }
}
