//! Arrow batches as rows on the wire.

use std::sync::Arc;

use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encoder::encode_value;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, DurationMicrosecondType, Schema, TimeUnit,
};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldInfo};
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;

use super::error::protocol_violation;
use super::numeric::Numeric;
use crate::federation::surface::format_time;

/// The wire's columns for `schema`.
pub(super) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    if let Format::Individual(codes) = format
        && codes.len() != schema.fields().len()
    {
        let (codes, columns) = (codes.len(), schema.fields().len());
        return Err(protocol_violation(format!("{codes} result formats were given for {columns} columns")));
    }
    let mut fields = arrow_schema_to_pg_fields(schema, format, None)?;
    for (field, column) in fields.iter_mut().zip(schema.fields()) {
        let data_type = match column.data_type() {
            // MariaDB's TIME is shown as MariaDB shows it; an interval would not be.
            DataType::Duration(TimeUnit::Microsecond) => Type::TEXT,
            DataType::Decimal256(..) => Type::NUMERIC,
            // As PostgreSQL has it: drivers have no name for a column of no type.
            DataType::Null => Type::TEXT,
            _ => continue,
        };
        *field = FieldInfo::new(field.name().to_owned(), None, None, data_type, field.format());
    }
    Ok(fields)
}

/// The rows of `batch`.
pub(super) fn rows(
    fields: Arc<Vec<FieldInfo>>,
    batch: RecordBatch,
) -> impl Iterator<Item = PgWireResult<DataRow>> {
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    (0..batch.num_rows()).map(move |row| {
        let schema = batch.schema_ref();
        for (index, array) in batch.columns().iter().enumerate() {
            let column = schema.field(index);
            match column.data_type() {
                DataType::Null => encoder.encode_field(&None::<String>)?,
                DataType::Duration(TimeUnit::Microsecond) => encoder.encode_field(&time(array, row))?,
                DataType::Decimal128(..) | DataType::Decimal256(..) => {
                    encoder.encode_field(&decimal(array, row))?
                }
                _ => encode_value(&mut encoder, array, row, column, &fields[index])?,
            }
        }
        Ok(encoder.take_row())
    })
}

fn time(array: &ArrayRef, row: usize) -> Option<String> {
    array.is_valid(row).then(|| format_time(array.as_primitive::<DurationMicrosecondType>().value(row)))
}

fn decimal(array: &ArrayRef, row: usize) -> Numeric {
    Numeric(array.is_valid(row).then(|| match array.data_type() {
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => array.as_primitive::<Decimal256Type>().value_as_string(row),
    }))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::NullArray;
    use datafusion::arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_column_without_a_type_is_text() {
        let schema = Arc::new(Schema::new(vec![Field::new("nothing", DataType::Null, true)]));
        for format in [Format::UnifiedText, Format::UnifiedBinary] {
            let fields = Arc::new(fields(&schema, &format).unwrap());
            assert_eq!(fields[0].datatype(), &Type::TEXT);
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(NullArray::new(2))]).unwrap();
            let rows = rows(fields, batch).collect::<PgWireResult<Vec<_>>>().unwrap();
            assert_eq!(rows.iter().map(|row| &row.data[..]).collect::<Vec<_>>(), [[0xff; 4], [0xff; 4]]);
        }
        assert!(fields(&schema, &Format::Individual(vec![0, 1])).is_err());
    }
}
