//! From the binary protocol's values to Arrow.
//!
//! Each cell goes from the driver's value, borrowed, to a [`ValueRef`] by its column's type, and from there into
//! the one [`ColumnBuilder`](crossweave_contract::ColumnBuilder). Text arrives as UTF-8 whatever the column's
//! character set, for the connection asks for it.

use std::sync::Arc;

use crossweave_contract::{ColumnType, ConnectorError, ErrorKind, Result, RowsBuilder, TableDef, ValueRef};
use mysql_async::{Row, Value};

use crate::values;

/// Decodes rows of some of a table's columns.
#[derive(Debug, Clone)]
pub(crate) struct RowDecoder {
    table: Arc<TableDef>,
    columns: Vec<usize>,
}

impl RowDecoder {
    /// For rows that have the columns `columns` of `table`, in this order.
    pub(crate) fn new(table: Arc<TableDef>, columns: Vec<usize>) -> Self {
        Self { table, columns }
    }

    /// A builder for batches of such rows.
    pub(crate) fn builder(&self, capacity: usize) -> RowsBuilder {
        RowsBuilder::new(&self.table, &self.columns, capacity)
    }

    /// Appends `row`; the number of bytes that its values took on the wire, about.
    pub(crate) fn append(&self, row: &Row, builder: &mut RowsBuilder) -> Result<usize> {
        let mut bytes = 0;
        for (place, (column, cells)) in self.columns.iter().zip(builder.columns_mut()).enumerate() {
            let column_type = &self.table.columns[*column].column_type;
            let cell = row.as_ref(place).ok_or_else(|| self.missing(row))?;
            bytes += match cell {
                Value::Bytes(text) => text.len(),
                _ => 8,
            };
            let appended = value(column_type, cell).map(|value| cells.append(value));
            if !matches!(appended, Some(Ok(()))) {
                return Err(self.refused(*column, cell, row));
            }
        }
        builder.end_row();
        Ok(bytes)
    }

    fn missing(&self, row: &Row) -> ConnectorError {
        let (id, expected, found) = (&self.table.id, self.columns.len(), row.len());
        let message = format!("{id}: the server sent rows of {found} columns, expected {expected}");
        ConnectorError::new(ErrorKind::Protocol, message).with_table(id.clone())
    }

    /// The error for a value that its column's type does not allow: names row, column and what to change.
    fn refused(&self, column: usize, cell: &Value, row: &Row) -> ConnectorError {
        let (id, definition) = (&self.table.id, &self.table.columns[column]);
        let found = cell.as_sql(false);
        let place = self.describe_row(row);
        if definition.column_type == ColumnType::Boolean {
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
    fn describe_row(&self, row: &Row) -> String {
        let named = self.table.key.iter().filter_map(|key| {
            let place = self.columns.iter().position(|column| column == key)?;
            Some(format!("{} = {}", self.table.columns[*key].name, row.as_ref(place)?.as_sql(false)))
        });
        let named: Vec<String> = named.collect();
        if named.is_empty() { String::new() } else { format!(" in the row {}", named.join(", ")) }
    }
}

/// The value of a column of `column_type` that the binary protocol sends as `cell`; `None` if it is of another
/// form than the type's.
pub(crate) fn value<'a>(column_type: &ColumnType, cell: &'a Value) -> Option<ValueRef<'a>> {
    match cell {
        Value::NULL => Some(ValueRef::Null),
        Value::Int(number) => Some(ValueRef::Int(*number)),
        Value::UInt(number) => Some(ValueRef::UInt(*number)),
        Value::Float(number) => Some(ValueRef::Float(*number)),
        Value::Double(number) => Some(ValueRef::Double(*number)),
        Value::Bytes(bytes) => of_bytes(column_type, bytes),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let date = (*year, *month, *day);
            Some(match column_type {
                ColumnType::Date => {
                    values::date_days(date.0, date.1, date.2).map_or(ValueRef::Null, ValueRef::Date)
                }
                _ => values::datetime_micros(date, (*hour, *minute, *second, *micros))
                    .map_or(ValueRef::Null, ValueRef::Micros),
            })
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let parts = (*days, *hours, *minutes, *seconds, *micros);
            Some(ValueRef::Micros(values::time_micros(*negative, parts)))
        }
    }
}

fn of_bytes<'a>(column_type: &ColumnType, bytes: &'a [u8]) -> Option<ValueRef<'a>> {
    Some(match column_type {
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
