//! Arrow batches as rows on the wire.

use std::sync::Arc;

use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encoder::encode_value;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Field, Schema};
use pgwire::api::portal::Format;
use pgwire::api::results::{DataRowEncoder, FieldInfo};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::data::DataRow;

use super::error::protocol_violation;
use super::forms;
use super::numeric::Numeric;

/// The wire's columns for `schema`.
pub(super) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    if let Format::Individual(codes) = format
        && codes.len() != schema.fields().len()
    {
        let (codes, columns) = (codes.len(), schema.fields().len());
        return Err(protocol_violation(format!("{codes} result formats were given for {columns} columns")));
    }
    arrow_schema_to_pg_fields(&forms::announceable(schema), format, None)
}

/// The rows of `batch`.
///
/// # Errors
/// Where a column cannot be brought into the form that was announced.
pub(super) fn rows(
    fields: Arc<Vec<FieldInfo>>,
    batch: &RecordBatch,
) -> PgWireResult<impl Iterator<Item = PgWireResult<DataRow>> + use<>> {
    let columns = batch.columns().iter().map(forms::formed).collect::<Result<Vec<_>, _>>();
    let columns = columns.map_err(|error| PgWireError::ApiError(Box::new(error)))?;
    let described = batch.schema_ref().fields().iter().zip(&columns);
    let described: Vec<Field> = described
        .map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()))
        .collect();
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    Ok((0..batch.num_rows()).map(move |row| {
        for (index, array) in columns.iter().enumerate() {
            if is_decimal(array.data_type()) {
                encoder.encode_field(&decimal(array, row))?;
            } else if let Some(list) = decimals(array, row) {
                encoder.encode_field(&list)?;
            } else {
                encode_value(&mut encoder, array, row, &described[index], &fields[index])?;
            }
        }
        Ok(encoder.take_row())
    }))
}

/// Whether [`decimal`] takes values of `data_type`.
fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn decimal(array: &ArrayRef, row: usize) -> Numeric {
    Numeric(array.is_valid(row).then(|| match array.data_type() {
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => array.as_primitive::<Decimal256Type>().value_as_string(row),
    }))
}

/// The list in `row` of an array of lists of decimals.
fn decimals(array: &ArrayRef, row: usize) -> Option<Option<Vec<Numeric>>> {
    let (DataType::List(field) | DataType::LargeList(field)) = array.data_type() else { return None };
    if !is_decimal(field.data_type()) {
        return None;
    }
    Some(array.is_valid(row).then(|| {
        let list = match array.data_type() {
            DataType::List(_) => array.as_list::<i32>().value(row),
            _ => array.as_list::<i64>().value(row),
        };
        (0..list.len()).map(|element| decimal(&list, element)).collect()
    }))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Decimal128Array, Decimal256Array, DictionaryArray, DurationMicrosecondArray, Int8Array, ListArray,
        NullArray, StringArray, StructArray,
    };
    use datafusion::arrow::buffer::OffsetBuffer;
    use datafusion::arrow::datatypes::{UInt8Type, i256};
    use pgwire::api::Type;

    use super::*;

    /// The wire's types of `columns`, and what their first row has after each value's length.
    fn sent(columns: Vec<ArrayRef>, format: Format) -> (Vec<Type>, Vec<Vec<u8>>) {
        let batch =
            RecordBatch::try_from_iter(columns.into_iter().enumerate().map(|(i, c)| (format!("c{i}"), c)));
        let batch = batch.unwrap();
        let fields = Arc::new(fields(batch.schema_ref(), &format).unwrap());
        let row = rows(Arc::clone(&fields), &batch).unwrap().next().unwrap().unwrap();
        let mut rest = &row.data[..];
        let mut values = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (value, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            values.push(value.to_vec());
            rest = after;
        }
        (fields.iter().map(|field| field.datatype().clone()).collect(), values)
    }

    fn list_of(values: ArrayRef) -> ArrayRef {
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), values, None))
    }

    #[test]
    fn a_column_without_a_type_is_text() {
        let schema = Arc::new(Schema::new(vec![Field::new("nothing", DataType::Null, true)]));
        for format in [Format::UnifiedText, Format::UnifiedBinary] {
            let fields = Arc::new(fields(&schema, &format).unwrap());
            assert_eq!(fields[0].datatype(), &Type::TEXT);
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(NullArray::new(2))]).unwrap();
            let rows = rows(fields, &batch).unwrap().collect::<PgWireResult<Vec<_>>>().unwrap();
            assert_eq!(rows.iter().map(|row| &row.data[..]).collect::<Vec<_>>(), [[0xff; 4], [0xff; 4]]);
        }
        assert!(fields(&schema, &Format::Individual(vec![0, 1])).is_err());
    }

    #[test]
    fn a_small_integer_has_the_two_bytes_that_are_announced() {
        let small: ArrayRef = Arc::new(Int8Array::from(vec![-1]));
        let (types, values) = sent(vec![Arc::clone(&small), list_of(small)], Format::UnifiedBinary);
        assert_eq!(types, [Type::INT2, Type::INT2_ARRAY]);
        assert_eq!(values[0], [0xff, 0xff]);
        assert!(values[1].ends_with(&[0, 0, 0, 2, 0xff, 0xff]), "{:?}", values[1]);
    }

    #[test]
    fn decimals_of_any_width_are_numeric_also_in_lists() {
        let digits = "1234567890123456789012345678901234567890.5";
        let value = i256::from_string(&digits.replace('.', "")).unwrap();
        let wide: ArrayRef =
            Arc::new(Decimal256Array::from(vec![value]).with_precision_and_scale(65, 1).unwrap());
        let (types, values) = sent(vec![Arc::clone(&wide), list_of(wide)], Format::UnifiedText);
        assert_eq!(types, [Type::NUMERIC, Type::NUMERIC_ARRAY]);
        assert_eq!(values[0], digits.as_bytes());
        assert_eq!(String::from_utf8_lossy(&values[1]), format!("{{{digits}}}"));
    }

    #[test]
    fn texts_of_enums_and_times_are_sent_within_lists_and_structs() {
        let choice: ArrayRef = Arc::new(DictionaryArray::<UInt8Type>::from_iter(["on"]));
        let time: ArrayRef = Arc::new(DurationMicrosecondArray::from(vec![-3_661_000_000]));
        let price = Decimal128Array::from(vec![10_i128.pow(30)]).with_precision_and_scale(38, 1);
        let prices = list_of(Arc::new(price.unwrap()));
        let field = |name: &str, array: &ArrayRef| Field::new(name, array.data_type().clone(), true);
        let both = StructArray::from(vec![
            (Arc::new(field("choice", &choice)), Arc::clone(&choice)),
            (Arc::new(field("time", &time)), Arc::clone(&time)),
            (Arc::new(field("prices", &prices)), prices),
        ]);
        let columns = vec![Arc::clone(&choice), list_of(choice), list_of(time), Arc::new(both)];
        let (types, values) = sent(columns, Format::UnifiedText);
        assert_eq!(types[..3], [Type::TEXT, Type::TEXT_ARRAY, Type::TEXT_ARRAY]);
        let texts: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
        assert_eq!(
            texts,
            ["on", "{on}", "{-01:01:01}", "(on,-01:01:01,\"{100000000000000000000000000000.0}\")"]
        );
        let text = Arc::new(StringArray::from(vec!["on"])) as ArrayRef;
        assert_eq!(sent(vec![text], Format::UnifiedText).0, [Type::TEXT]);
    }
}
