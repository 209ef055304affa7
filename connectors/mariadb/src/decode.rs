//! From the binary protocol's values to Arrow.
//!
//! Each cell goes from where it was received, borrowed, to a [`ValueRef`] by its column's type, and from there into
//! the one [`ColumnBuilder`](crossweave_contract::ColumnBuilder). Text arrives as UTF-8 whatever the column's
//! character set, for the connection asks for it.

use std::sync::Arc;

use crossweave_contract::{
    ColumnType, ConnectorError, ErrorKind, RemoteColumn, RemoteQuery, Result, RowsBuilder, TableDef, TableId,
    ValueRef,
};

use crate::connection::{Endpoint, describe};
use crate::values;
use crate::wire::{BinaryRow, Cell};

/// Decodes rows that have the columns of one question.
#[derive(Debug, Clone)]
pub(crate) struct RowDecoder {
    columns: Vec<RemoteColumn>,
    /// The table that errors name; of several the first.
    table: TableId,
}

impl RowDecoder {
    /// For the rows that answer `query`.
    pub(crate) fn new(query: &RemoteQuery) -> Result<Self> {
        let Some(table) = query.tables().first().map(|table| table.id.clone()) else {
            return Err(ConnectorError::new(ErrorKind::Bug, "a question about no table"));
        };
        Ok(Self { columns: query.columns.clone(), table })
    }

    /// The table that errors name.
    pub(crate) fn table(&self) -> &TableId {
        &self.table
    }

    /// A builder for batches of such rows.
    pub(crate) fn builder(&self, capacity: usize) -> RowsBuilder {
        RowsBuilder::of(&self.columns, capacity)
    }

    /// Appends `row`, which came from `endpoint`.
    pub(crate) fn append(
        &self,
        row: BinaryRow<'_>,
        builder: &mut RowsBuilder,
        endpoint: &Endpoint,
    ) -> Result<()> {
        let cut = |error| describe(endpoint, "reading rows", error);
        let mut cells = row.cells().map_err(cut)?;
        for (column, builder) in self.columns.iter().zip(builder.columns_mut()) {
            let cell = cells.next().map_err(cut)?;
            let appended = value(&column.column_type, cell).map(|value| builder.append(value));
            if !matches!(appended, Some(Ok(()))) {
                return Err(self.refused(column, cell, row));
            }
        }
        builder.end_row();
        Ok(())
    }

    /// Fails unless rows of `found` columns can be those that were asked for. Where none were, there is one all the
    /// same.
    pub(crate) fn check_width(&self, found: usize) -> Result<()> {
        if found == self.columns.len().max(1) { Ok(()) } else { Err(self.other_width(found)) }
    }

    fn other_width(&self, found: usize) -> ConnectorError {
        let (id, expected) = (&self.table, self.columns.len());
        let message = format!("{id}: the server sent rows of {found} columns, expected {expected}");
        ConnectorError::new(ErrorKind::Protocol, message).with_table(id.clone())
    }

    /// The error for a value that its column's type does not allow: names row, column and what to change.
    fn refused(&self, column: &RemoteColumn, cell: Cell<'_>, row: BinaryRow<'_>) -> ConnectorError {
        let found = cell.to_value().as_sql(false);
        let Some((table, index)) = &column.origin else {
            let (id, expected) = (&self.table, &column.column_type);
            let message = format!("{id}: the server computed {found}, which is not a value of {expected:?}");
            return ConnectorError::new(ErrorKind::Value, message).with_table(id.clone());
        };
        let (id, definition) = (&table.id, &table.columns[*index]);
        let place = self.describe_row(table, row);
        if column.column_type == ColumnType::Boolean {
            let message = format!("{id}.{} holds {found}{place}, expected 0 or 1", definition.name);
            let fix = format!(
                "The column is declared boolean; declare it a number: [services.{}.tables.{}] booleans = \
                 {{ {} = false }}",
                id.service, id.table, definition.name
            );
            return ConnectorError::new(ErrorKind::Value, message).with_fix(fix).with_table(id.clone());
        }
        let message = format!(
            "{id}.{} holds {found}{place}, which is not a value of {:?}",
            definition.name, definition.column_type
        );
        ConnectorError::new(ErrorKind::Value, message).with_table(id.clone())
    }

    /// ` in the row id = 7`, as far as the key is among the columns read.
    fn describe_row(&self, table: &Arc<TableDef>, row: BinaryRow<'_>) -> String {
        let cells = || {
            let mut cells = row.cells().ok()?;
            (0..self.columns.len()).map(|_| Some(cells.next().ok()?.to_value())).collect::<Option<Vec<_>>>()
        };
        let Some(cells) = cells() else { return String::new() };
        let named = table.key.iter().filter_map(|key| {
            let is_key = |column: &RemoteColumn| {
                column.origin.as_ref().is_some_and(|(of, index)| Arc::ptr_eq(of, table) && index == key)
            };
            let place = self.columns.iter().position(is_key)?;
            Some(format!("{} = {}", table.columns[*key].name, cells[place].as_sql(false)))
        });
        let named: Vec<String> = named.collect();
        if named.is_empty() { String::new() } else { format!(" in the row {}", named.join(", ")) }
    }
}

/// The value of a column of `column_type` that the binary protocol sends as `cell`; `None` if it is of another
/// form than the type's.
#[inline]
fn value<'a>(column_type: &ColumnType, cell: Cell<'a>) -> Option<ValueRef<'a>> {
    match cell {
        Cell::Null => Some(ValueRef::Null),
        // What is computed of whole numbers may be sent as one where a decimal is read.
        Cell::Int(_) | Cell::UInt(_) if let ColumnType::Decimal { precision, scale } = column_type => {
            values::decimal(cell.to_value().as_sql(true).as_bytes(), *precision, *scale)
        }
        Cell::Int(number) => Some(ValueRef::Int(number)),
        Cell::UInt(number) => Some(ValueRef::UInt(number)),
        Cell::Float(number) => Some(ValueRef::Float(number)),
        Cell::Double(number) => Some(ValueRef::Double(number)),
        Cell::Bytes(bytes) => of_bytes(column_type, bytes),
        Cell::Moment(date, time) => Some(match column_type {
            ColumnType::Date => {
                values::date_days(date.0, date.1, date.2).map_or(ValueRef::Null, ValueRef::Date)
            }
            _ => values::datetime_micros(date, time).map_or(ValueRef::Null, ValueRef::Micros),
        }),
        Cell::Time { negative, parts } => Some(ValueRef::Micros(values::time_micros(negative, parts))),
    }
}

fn of_bytes<'a>(column_type: &ColumnType, bytes: &'a [u8]) -> Option<ValueRef<'a>> {
    Some(match column_type {
        // A sum of integers is sent as a decimal.
        ColumnType::BigInt { unsigned: false } => ValueRef::Int(std::str::from_utf8(bytes).ok()?.parse().ok()?),
        ColumnType::BigInt { unsigned: true } => ValueRef::UInt(std::str::from_utf8(bytes).ok()?.parse().ok()?),
        ColumnType::Decimal { precision, scale } => values::decimal(bytes, *precision, *scale)?,
        ColumnType::Bit { width } => {
            let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            if *width == 1 { ValueRef::Bool(number != 0) } else { ValueRef::UInt(number) }
        }
        ColumnType::Geometry => ValueRef::Bytes(values::wkb(bytes)?),
        ColumnType::Binary { .. } | ColumnType::Vector { .. } => ValueRef::Bytes(bytes),
        _ => ValueRef::Text(std::str::from_utf8(bytes).ok()?),
    })
}
