//! A table's definition as its server has it.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::{ColumnType, TableId};

/// What a table is on its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    /// A base table.
    Base,
    /// A view: no key, no changes of its own; live only.
    View,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The name as the server spells it.
    pub name: String,
    /// Its mapped type.
    pub column_type: ColumnType,
    /// Whether NULL may occur. Dates are nullable always, for a zero date is read as NULL.
    pub nullable: bool,
    /// Its place in the binlog's row images, counted from 0 over all columns of the table: virtual generated
    /// and invisible ones too (MariaDB's images carry them), so it is the ordinal position less one. `None`
    /// where the binlog does not carry it.
    pub binlog_index: Option<usize>,
}

/// What the server does to referencing rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// RESTRICT or NO ACTION: the statement fails, so nothing follows.
    Restrict,
    /// The referencing rows are deleted or their columns follow.
    Cascade,
    /// The referencing columns become NULL.
    SetNull,
    /// The referencing columns take their default (InnoDB refuses it, other engines ignore it).
    SetDefault,
}

/// A foreign key, declared on the referencing table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// The referencing columns, by name.
    pub columns: Vec<String>,
    /// The referenced table's database.
    pub referenced_database: String,
    /// The referenced table.
    pub referenced_table: String,
    /// The referenced columns, in the order of `columns`.
    pub referenced_columns: Vec<String>,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
}

/// A table: its columns as `SELECT *` shows them, its key and its foreign keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDef {
    /// Its name here.
    pub id: TableId,
    /// Its database on the server.
    pub database: String,
    /// Base table or view.
    pub kind: TableKind,
    /// The columns that could be mapped, in the server's order.
    pub columns: Vec<Column>,
    /// Indices into `columns` of the primary key, else of the first unique key whose columns are all NOT NULL;
    /// empty where there is none. A key with a hidden column is no key.
    pub key: Vec<usize>,
    /// Foreign keys declared on this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Number of columns in the binlog's row images. Columns that `information_schema` does not show come last
    /// there and count: the two of an implicit system versioning, then one per UNIQUE key of type HASH.
    pub binlog_columns: usize,
    /// The place of the ROW END column in the binlog's row images, where the table is system-versioned: a
    /// row is current while that holds its type's maximum (deletes arrive as updates of it). `None` for
    /// other tables.
    pub row_end: Option<usize>,
}

impl TableDef {
    /// The Arrow schema: each field carries its [`ColumnType`] as metadata.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|c| c.column_type.field(&c.name, c.nullable)).collect();
        Arc::new(Schema::new(fields))
    }

    /// The index of the column `name`, whatever its case, as MariaDB finds it.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns
            .iter()
            .position(|c| c.name == name)
            .or_else(|| self.columns.iter().position(|c| c.name.to_lowercase() == name.to_lowercase()))
    }

    /// Whether `other` holds the same columns, key and rules, so that a row of one is a row of the other.
    pub fn same_shape(&self, other: &TableDef) -> bool {
        self == other
    }
}
