//! Small tables, row by row: each column has a default, and a row names what differs from it.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, Int32Array, ListBuilder, PrimitiveBuilder, RecordBatch,
    StringArray, new_null_array,
};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Int16Type, Int32Type, Schema};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion_pg_catalog::pg_catalog::oid_field;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An object's number.
    Oid,
    /// `int4`.
    Int,
    /// `int2`.
    Small,
    /// `float8`.
    Double,
    /// `text`.
    Text,
    /// `bool`.
    Bool,
    /// `int2[]`.
    Smalls,
    /// `int4[]`.
    Ints,
    /// `text[]`; only ever NULL.
    Texts,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Number(i32),
    Text(Cow<'static, str>),
    Bool(bool),
    Numbers(Vec<i32>),
}

/// A column's name, kind and default.
pub(super) type Column = (&'static str, Kind, Cell);
/// What a row says of itself.
pub(super) type Row = Vec<(&'static str, Cell)>;

/// A text that is known beforehand.
pub(super) const fn text(text: &'static str) -> Cell {
    Cell::Text(Cow::Borrowed(text))
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(Cow::Owned(text.to_owned()))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i32> for Cell {
    fn from(number: i32) -> Self {
        Self::Number(number)
    }
}

impl From<i16> for Cell {
    fn from(number: i16) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&[i16]> for Cell {
    fn from(numbers: &[i16]) -> Self {
        Self::Numbers(numbers.iter().copied().map(i32::from).collect())
    }
}

impl<T> From<Option<T>> for Cell
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

/// A table of `columns` with `rows`.
pub(super) fn table(columns: &[Column], rows: &[Row]) -> Result<Arc<dyn TableProvider>> {
    let batch = batch(columns, rows)?;
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}

fn batch(columns: &[Column], rows: &[Row]) -> Result<RecordBatch> {
    let known = |name: &str| columns.iter().any(|(column, ..)| *column == name);
    if let Some((name, _)) = rows.iter().flatten().find(|(name, _)| !known(name)) {
        return Err(DataFusionError::Internal(format!("a system table has no column {name}")));
    }
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, kind, default) in columns {
        let cells = rows
            .iter()
            .map(|row| row.iter().find(|(given, _)| given == name).map_or(default, |(_, cell)| cell))
            .collect::<Vec<_>>();
        let array = array(*kind, &cells);
        fields.push(match kind {
            Kind::Oid => oid_field::oid_field(*name, oid_field::kind::OID, true),
            _ => Field::new(*name, array.data_type().clone(), true),
        });
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
}

fn array(kind: Kind, cells: &[&Cell]) -> ArrayRef {
    let numbers =
        || cells.iter().map(|cell| if let Cell::Number(number) = cell { Some(*number) } else { None });
    match kind {
        Kind::Oid | Kind::Int => Arc::new(numbers().collect::<Int32Array>()),
        Kind::Small => Arc::new(numbers().map(|number| number.map(|n| n as i16)).collect::<Int16Array>()),
        Kind::Double => Arc::new(numbers().map(|number| number.map(f64::from)).collect::<Float64Array>()),
        Kind::Text => Arc::new(StringArray::from_iter(
            cells.iter().map(|cell| if let Cell::Text(text) = cell { Some(text.as_ref()) } else { None }),
        )),
        Kind::Bool => Arc::new(
            cells
                .iter()
                .map(|cell| if let Cell::Bool(value) = cell { Some(*value) } else { None })
                .collect::<BooleanArray>(),
        ),
        Kind::Smalls => lists::<Int16Type>(cells, |number| number as i16),
        Kind::Ints => lists::<Int32Type>(cells, |number| number),
        Kind::Texts => {
            let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
            new_null_array(&DataType::List(item), cells.len())
        }
    }
}

fn lists<T: ArrowPrimitiveType>(cells: &[&Cell], narrow: impl Fn(i32) -> T::Native) -> ArrayRef {
    let mut lists = ListBuilder::new(PrimitiveBuilder::<T>::new());
    for cell in cells {
        match cell {
            Cell::Numbers(numbers) => {
                lists.append_value(numbers.iter().map(|number| Some(narrow(*number))));
            }
            _ => lists.append_null(),
        }
    }
    Arc::new(lists.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_what_differs_and_nothing_else() {
        let columns = [("oid", Kind::Oid, Cell::Null), ("kind", Kind::Text, text("r"))];
        let rows = vec![vec![("oid", Cell::from(7))], vec![("oid", Cell::from(8)), ("kind", Cell::from("i"))]];
        let made = batch(&columns, &rows).unwrap();
        let kinds = made.column(1).as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(kinds.iter().flatten().collect::<Vec<_>>(), ["r", "i"]);
        assert!(batch(&columns, &[vec![("kin", text("r"))]]).is_err());
    }
}
