//! Columns within a SELECT.

use crossweave_contract::{ColumnType, RemoteExpr};

use super::sql::Sql;

/// A column within a block.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// How it is written.
    pub(super) sql: Sql,
    /// How it is written where it is compared, if otherwise: by the column that it is a wider form of, whose index is used.
    pub(super) compared: Option<Sql>,
    /// It is a column of a table or derived table, so that an outer join makes it NULL.
    pub(super) bare: bool,
    /// It may hold dates that are none.
    pub(super) raw_date: bool,
    /// Rows are grouped by it in its block, or it is made of nothing else.
    pub(super) group: bool,
    /// It is made of what rows are grouped by, maybe among other things.
    pub(super) of_group: bool,
    /// It says something of a group, or is made of what does.
    pub(super) aggregate: bool,
}

impl Cell {
    pub(super) fn column(text: String, raw_date: bool) -> Self {
        Self { bare: true, raw_date, ..Self::computed(Sql::text(text)) }
    }

    pub(super) fn computed(sql: Sql) -> Self {
        Self {
            sql,
            compared: None,
            bare: false,
            raw_date: false,
            group: false,
            of_group: false,
            aggregate: false,
        }
    }

    /// Whether it is one literal: as such it would be a column's number in ORDER BY and GROUP BY.
    pub(super) fn is_literal(&self) -> bool {
        self.sql.text == "?"
    }

    /// The value, NULL for a date that is none.
    pub(super) fn clean(&self) -> Sql {
        if self.raw_date { Sql::around("(", &self.sql, " + INTERVAL 0 DAY)") } else { self.sql.clone() }
    }
}

/// The column of whole numbers that `expr` is a wider form of: it compares as it does.
pub(super) fn widened(expr: &RemoteExpr, cells: &[Cell]) -> Option<Sql> {
    let RemoteExpr::Cast { expr, to: ColumnType::BigInt { .. } } = expr else { return None };
    let RemoteExpr::Column(place) = **expr else { return None };
    cells.get(place).filter(|cell| cell.bare).map(|cell| cell.sql.clone())
}
