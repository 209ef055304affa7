//! Functions that give a row for each element of an array, as functions that give a list: the statement's rewrite
//! puts `unnest` around them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Builder, ListArray, ListBuilder, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::plan_err;
use datafusion::logical_expr::ScalarUDF;

use super::function::{Takes, function};

/// Their names.
pub(super) const NAMES: &[&str] = &["generate_subscripts", "_pg_expandarray"];

/// `generate_subscripts(array, 1)`: the subscripts of an array's elements.
pub(super) fn generate_subscripts() -> Arc<ScalarUDF> {
    let gives = |_: &[DataType]| Ok(DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true))));
    function("generate_subscripts", &[Takes::Any, Takes::Int, Takes::Bool], 2, gives, |args, rows| {
        let mut lists = ListBuilder::new(Int32Builder::new());
        let given = args[0].as_list_opt::<i32>();
        for row in 0..rows {
            let length = given.filter(|given| given.is_valid(row)).map_or(0, |given| given.value_length(row));
            lists.append_value((1..=length).map(Some));
        }
        Ok(Arc::new(lists.finish()))
    })
}

/// `information_schema._pg_expandarray(array)`: its elements as `x`, with their subscripts as `n`.
pub(super) fn expand_array() -> Arc<ScalarUDF> {
    let gives = |args: &[DataType]| match args {
        [DataType::List(element)] => Ok(DataType::List(pair(element.data_type()))),
        _ => plan_err!("_pg_expandarray takes an array"),
    };
    function("_pg_expandarray", &[Takes::Any], 1, gives, |args, _| {
        let given = args[0].as_list::<i32>();
        let elements = given.values();
        let mut subscripts = Int32Builder::with_capacity(elements.len());
        let mut lengths = Vec::with_capacity(given.len());
        let mut taken = Vec::with_capacity(given.len());
        for row in 0..given.len() {
            let length = if given.is_valid(row) { given.value_length(row) } else { 0 };
            subscripts.append_slice(&(1..=length).collect::<Vec<_>>());
            lengths.push(length as usize);
            taken.push(given.value(row).slice(0, length as usize));
        }
        let taken: Vec<&dyn Array> = taken.iter().map(AsRef::as_ref).collect();
        let elements: ArrayRef = match taken.is_empty() {
            true => elements.slice(0, 0),
            false => concat(&taken)?,
        };
        let field = pair(elements.data_type());
        let pairs = StructArray::try_new(
            fields(elements.data_type()),
            vec![elements, Arc::new(subscripts.finish())],
            None,
        )?;
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), Arc::new(pairs), None)?))
    })
}

fn fields(element: &DataType) -> Fields {
    Fields::from(vec![Field::new("x", element.clone(), true), Field::new("n", DataType::Int32, true)])
}

fn pair(element: &DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields(element)), true))
}
