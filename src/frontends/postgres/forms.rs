//! Arrow's types and arrays in the forms that the wire has for them.
//!
//! The wire has no integer of one byte, no dictionary, no duration as MariaDB shows its TIME, and no column without
//! a type; and a decimal may have 76 digits, of which the library under it knows 28. What has another form on the
//! wire is brought into it here, within lists and structs too, so that what is announced and what is sent agree.

use std::sync::Arc;

use arrow_pg::datatypes::into_pg_type;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StringArray, StructArray, new_null_array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, DurationMicrosecondType, FieldRef, Schema, TimeUnit};
use datafusion::arrow::error::ArrowError;
use pgwire::api::Type;

use crate::federation::surface::format_time;

/// The form of `data_type` on the wire. Decimals keep their own, but for those within a struct, which are text.
pub(super) fn form(data_type: &DataType) -> DataType {
    form_in(data_type, false)
}

fn form_in(data_type: &DataType, in_struct: bool) -> DataType {
    let within = |field: &FieldRef, in_struct| {
        Arc::new(field.as_ref().clone().with_data_type(form_in(field.data_type(), in_struct)))
    };
    match data_type {
        DataType::Int8 => DataType::Int16,
        DataType::Dictionary(_, values) => form_in(values, in_struct),
        // As MariaDB shows its TIME; an interval would not be. And as PostgreSQL has it: drivers have no name for a
        // column of no type.
        DataType::Duration(TimeUnit::Microsecond) | DataType::Null => DataType::Utf8,
        decimal if decimal.is_decimal() && in_struct => DataType::Utf8,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(field) | DataType::FixedSizeList(field, _) => DataType::List(within(field, in_struct)),
        DataType::LargeList(field) => DataType::LargeList(within(field, in_struct)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| within(field, true)).collect()),
        other => other.clone(),
    }
}

/// The wire's type for `data_type`; that of texts where it has none.
pub(super) fn announced(data_type: &DataType) -> Type {
    into_pg_type(&known(&form(data_type))).unwrap_or(Type::TEXT)
}

/// `schema` as the library can announce it, unless it has a type that it does not know at all.
pub(super) fn announceable(schema: &Schema) -> Schema {
    let column = |field: &FieldRef| field.as_ref().clone().with_data_type(known(&form(field.data_type())));
    Schema::new(schema.fields().iter().map(column).collect::<Vec<_>>())
}

/// A form in types that the library knows: all decimals are NUMERIC.
fn known(form: &DataType) -> DataType {
    match form {
        DataType::Decimal256(..) => DataType::Decimal128(38, 0),
        DataType::List(field) | DataType::LargeList(field) => {
            DataType::List(Arc::new(field.as_ref().clone().with_data_type(known(field.data_type()))))
        }
        other => other.clone(),
    }
}

/// `array` in the form that [`form`] says.
///
/// # Errors
/// Where a value has no such form, which none of those above has.
pub(super) fn formed(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    formed_as(array, &form(array.data_type()))
}

fn formed_as(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if wanted == array.data_type() {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), wanted) {
        (DataType::Null, _) => Ok(new_null_array(wanted, array.len())),
        (DataType::Duration(_), _) => {
            let times = array.as_primitive::<DurationMicrosecondType>();
            Ok(Arc::new(times.iter().map(|time| time.map(format_time)).collect::<StringArray>()))
        }
        (DataType::Dictionary(_, values), _) => formed_as(&cast(array, values)?, wanted),
        (DataType::FixedSizeList(field, _), DataType::List(_)) => {
            formed_as(&cast(array, &DataType::List(Arc::clone(field)))?, wanted)
        }
        (DataType::List(_), DataType::List(field)) => list::<i32>(array, field),
        (DataType::LargeList(_), DataType::LargeList(field)) => list::<i64>(array, field),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let structs = array.as_struct();
            let members = structs.columns().iter().zip(fields);
            let members = members.map(|(column, field): (_, &FieldRef)| formed_as(column, field.data_type()));
            let members = members.collect::<Result<_, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), members, structs.nulls().cloned())?))
        }
        _ => cast(array, wanted),
    }
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let lists = array.as_list::<O>();
    let values = formed_as(lists.values(), field.data_type())?;
    let lists = GenericListArray::<O>::try_new(
        Arc::clone(field),
        lists.offsets().clone(),
        values,
        lists.nulls().cloned(),
    )?;
    Ok(Arc::new(lists))
}
