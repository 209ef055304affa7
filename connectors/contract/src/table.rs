//! A table's definition as its server has it.

use std::fmt;
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
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Characters that a text may have, where that is bounded. It says how a source may be asked, and nothing of rows:
    /// columns that differ in it alone are the same, and it is not kept with rows.
    #[serde(skip)]
    pub max_chars: Option<u32>,
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        let Self { name, column_type, nullable, binlog_index, max_chars: _ } = self;
        *name == other.name
            && *column_type == other.column_type
            && *nullable == other.nullable
            && *binlog_index == other.binlog_index
    }
}

impl Eq for Column {}

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

impl ReferentialAction {
    /// Whether the server changes the referencing rows.
    pub fn acts(self) -> bool {
        matches!(self, Self::Cascade | Self::SetNull)
    }
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

impl ForeignKey {
    /// Whether the server changes the referencing rows when the referenced ones are changed or deleted.
    pub fn acts(&self) -> bool {
        self.on_delete.acts() || self.on_update.acts()
    }
}

/// Why a cache cannot keep a table's rows: what happens to them cannot be followed in the binlog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LiveOnlyReason {
    /// It is a view, which has no changes of its own.
    View,
    /// It has no key, see [`TableDef::key`].
    NoKey,
    /// Tables of this engine have no consistent snapshots.
    Engine(String),
    /// Its definition cannot be read, for this reason.
    Definition(String),
    /// A column is generated from one that a foreign key changes without a word in the binlog.
    Generated {
        /// The generated column.
        column: String,
        /// What it is generated from.
        from: String,
    },
    /// A foreign key would change rows, but the server does not act on it while the referenced table has no index
    /// that begins with the referenced columns. As that goes on anew once there is one, it cannot be left out.
    NoReferencedIndex {
        /// The foreign key.
        foreign_key: String,
        /// The referenced table and columns.
        referenced: String,
    },
    /// The server leaves generated columns out of the binlog where rows are updated.
    GeneratedNotLogged {
        /// A generated column.
        column: String,
    },
    /// System versioning goes by transactions: its changes are logged as statements, whatever the format.
    VersionedByTransaction,
}

impl fmt::Display for LiveOnlyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::View => f.write_str("it is a view, whose changes are not in the binlog"),
            Self::NoKey => {
                f.write_str("it has no primary key, and no unique key whose columns are NOT NULL and visible")
            }
            Self::Engine(engine) => write!(f, "its engine {engine} has no consistent snapshots"),
            Self::Definition(reason) => write!(f, "its definition cannot be read: {reason}"),
            Self::Generated { column, from } => write!(
                f,
                "its column {column} is generated from {from}, which a foreign key changes without a word in the \
                 binlog"
            ),
            Self::NoReferencedIndex { foreign_key, referenced } => write!(
                f,
                "its foreign key {foreign_key} is without effect: no InnoDB table that can be seen has an index \
                 that begins with {referenced}"
            ),
            Self::GeneratedNotLogged { column } => write!(
                f,
                "its column {column} is generated, and from MariaDB 11.5 on updates of rows are logged without \
                 their generated columns; INVISIBLE ones do no harm"
            ),
            Self::VersionedByTransaction => f.write_str(
                "its system versioning goes by transactions (ROW START is a BIGINT), so that its changes are in the \
                 binlog as statements",
            ),
        }
    }
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
    /// Why a cache cannot keep its rows; empty where it can.
    #[serde(default)]
    pub live_only: Vec<LiveOnlyReason>,
}

impl TableDef {
    /// The Arrow schema: each field carries its [`ColumnType`] as metadata.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<Field> =
            self.columns.iter().map(|c| c.column_type.field(&c.name, c.nullable)).collect();
        Arc::new(Schema::new(fields))
    }

    /// Whether its engine shows all statements of a transaction the same rows.
    pub fn has_snapshots(&self) -> bool {
        !self.live_only.iter().any(|reason| matches!(reason, LiveOnlyReason::Engine(_)))
    }

    /// The foreign keys by which the server changes rows of this table.
    pub fn acting_keys(&self) -> impl Iterator<Item = &ForeignKey> {
        self.foreign_keys.iter().filter(|key| key.acts())
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
