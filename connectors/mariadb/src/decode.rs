//! From the binary protocol's values to Arrow.
//!
//! Each value goes from where it was received, by its column's type, into the one [`ColumnBuilder`]. Text arrives as
//! UTF-8 whatever the column's character set, for the connection asks for it.

use std::sync::Arc;

use crossweave_contract::{
    ColumnBuilder, ColumnType, ConnectorError, ErrorKind, RemoteColumn, RemoteQuery, Result, RowsBuilder,
    TableDef, TableId, ValueRef,
};
use mysql_async::Value;

use crate::connection::{Endpoint, describe};
use crate::values;
use crate::wire::{BinaryRow, Clock, Date, Span, Take};

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
            if !cells.next(Append { column_type: &column.column_type, builder }).map_err(cut)? {
                return Err(self.refused(column, row));
            }
        }
        // Where no column was asked for, there is one all the same.
        if !self.columns.is_empty() {
            cells.end().map_err(cut)?;
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
    #[cold]
    fn refused(&self, column: &RemoteColumn, row: BinaryRow<'_>) -> ConnectorError {
        let cells = row.values().unwrap_or_default();
        let place = self.columns.iter().position(|known| std::ptr::eq(known, column));
        let found = place.and_then(|place| Some(cells.get(place)?.as_sql(false))).unwrap_or_default();
        let Some((table, index)) = &column.origin else {
            let (id, expected) = (&self.table, &column.column_type);
            let message = format!("{id}: the server computed {found}, which is not a value of {expected:?}");
            return ConnectorError::new(ErrorKind::Value, message).with_table(id.clone());
        };
        let (id, definition) = (&table.id, &table.columns[*index]);
        let place = self.describe_row(table, &cells);
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
    fn describe_row(&self, table: &Arc<TableDef>, cells: &[Value]) -> String {
        let named = table.key.iter().filter_map(|key| {
            let is_key = |column: &RemoteColumn| {
                column.origin.as_ref().is_some_and(|(of, index)| Arc::ptr_eq(of, table) && index == key)
            };
            let place = self.columns.iter().position(is_key)?;
            Some(format!("{} = {}", table.columns[*key].name, cells.get(place)?.as_sql(false)))
        });
        let named: Vec<String> = named.collect();
        if named.is_empty() { String::new() } else { format!(" in the row {}", named.join(", ")) }
    }
}

/// Appends a value of a column of `column_type`; false where the type does not allow it.
struct Append<'b> {
    column_type: &'b ColumnType,
    builder: &'b mut ColumnBuilder,
}

impl Append<'_> {
    /// A whole number where a decimal is read: what is computed of such may be sent as one.
    #[cold]
    fn decimal_of(self, number: i128) -> bool {
        let ColumnType::Decimal { precision, scale } = self.column_type else { return false };
        let value = values::decimal(number.to_string().as_bytes(), *precision, *scale);
        value.is_some_and(|value| self.builder.append(value).is_ok())
    }

    fn value(self, value: ValueRef<'_>) -> bool {
        self.builder.append(value).is_ok()
    }

    /// A whole number that is sent as text: a sum of integers is a decimal.
    fn number<N: std::str::FromStr>(text: &[u8]) -> Option<N> {
        std::str::from_utf8(text).ok()?.parse().ok()
    }
}

impl<'a> Take<'a> for Append<'_> {
    type Taken = bool;

    #[inline]
    fn null(self) -> bool {
        self.builder.append_null();
        true
    }

    #[inline]
    fn int(self, number: i64) -> bool {
        self.builder.append_int(number) || self.decimal_of(number.into())
    }

    #[inline]
    fn uint(self, number: u64) -> bool {
        self.builder.append_uint(number) || self.decimal_of(number.into())
    }

    #[inline]
    fn float(self, number: f32) -> bool {
        self.builder.append_float(number)
    }

    #[inline]
    fn double(self, number: f64) -> bool {
        self.builder.append_double(number)
    }

    #[inline]
    fn bytes(self, bytes: &'a [u8]) -> bool {
        match self.column_type {
            ColumnType::Decimal { precision, scale } => match values::short_decimal(bytes, *scale) {
                Some(unscaled) => self.builder.append_decimal(unscaled.into()),
                None => values::decimal(bytes, *precision, *scale).is_some_and(|value| self.value(value)),
            },
            ColumnType::BigInt { unsigned: false }
            | ColumnType::Int { .. }
            | ColumnType::MediumInt { .. }
            | ColumnType::SmallInt { .. }
            | ColumnType::TinyInt { .. } => {
                Self::number(bytes).is_some_and(|number| self.builder.append_int(number))
            }
            ColumnType::BigInt { unsigned: true } => {
                Self::number(bytes).is_some_and(|number| self.builder.append_uint(number))
            }
            ColumnType::Bit { width } => {
                let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
                self.value(if *width == 1 { ValueRef::Bool(number != 0) } else { ValueRef::UInt(number) })
            }
            ColumnType::Geometry => values::wkb(bytes).is_some_and(|wkb| self.value(ValueRef::Bytes(wkb))),
            ColumnType::Binary { .. } | ColumnType::Vector { .. } => self.value(ValueRef::Bytes(bytes)),
            _ => std::str::from_utf8(bytes).is_ok_and(|text| self.builder.append_text(text)),
        }
    }

    #[inline]
    fn moment(self, (year, month, day): Date, time: Clock) -> bool {
        let appended = match self.column_type {
            ColumnType::Date => values::date_days(year, month, day).map(|days| self.builder.append_date(days)),
            _ => values::datetime_micros((year, month, day), time)
                .map(|micros| self.builder.append_micros(micros)),
        };
        appended.unwrap_or_else(|| {
            self.builder.append_null();
            true
        })
    }

    #[inline]
    fn time(self, negative: bool, parts: Span) -> bool {
        self.builder.append_micros(values::time_micros(negative, parts))
    }
}
