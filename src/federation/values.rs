//! What DataFusion and Arrow say of types and values, in the form that is asked for here.

use std::sync::Arc;

use arrow::array::AnyDictionaryArray;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};

/// The types in which `function` takes arguments of `types`.
pub(crate) fn taken_types<F: UDFCoercionExt>(
    types: impl IntoIterator<Item = DataType>,
    function: &F,
) -> Result<Vec<DataType>> {
    let fields: Vec<FieldRef> = types.into_iter().map(|of| Arc::new(Field::new("", of, true))).collect();
    let taken = fields_with_udf(&fields, function)?;
    Ok(taken.iter().map(|field| field.data_type().clone()).collect())
}

/// The elements of a list; none of one that is NULL.
pub(crate) fn list_elements(list: &ScalarValue) -> Result<Vec<ScalarValue>> {
    let lists = ScalarValue::convert_array_to_scalar_vec(&list.to_array()?)?;
    Ok(lists.into_iter().flatten().flatten().collect())
}

/// Which of its entries each value of a dictionary is. One that is NULL is any of them, or the first of none: a dictionary
/// without a value has no entry.
pub(crate) fn entry_places(dictionary: &dyn AnyDictionaryArray) -> Vec<usize> {
    match dictionary.values().is_empty() {
        true => vec![0; dictionary.keys().len()],
        false => dictionary.normalized_keys(),
    }
}
