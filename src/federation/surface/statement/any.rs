//! `x = ANY(array)`: with an array whose elements are known it is `x IN (…)`, which compares with columns as they are,
//! under their collations.

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, cast, lit};

use crate::federation::collation::is_text;
use crate::federation::list_elements;
use crate::federation::surface::array_text::array_items;
use crate::federation::surface::rule::in_list;
use crate::federation::surface::times::lengths::is_interval;
use crate::federation::surface::types::coercions::TIME;

/// What is known of an array.
enum Elements {
    /// It is NULL.
    Null,
    Listed(Vec<Expr>),
    /// Nothing before there are rows.
    Computed(Expr),
}

/// `needle = ANY(array)`.
pub(in crate::federation::surface) fn equals_any(needle: Expr, array: Expr, schema: &DFSchema) -> Result<Expr> {
    let needle_type = needle.get_type(schema)?;
    match elements(array, &needle_type)? {
        Elements::Null => Ok(Expr::Literal(ScalarValue::Boolean(None), None)),
        Elements::Listed(elements) if elements.is_empty() => Ok(lit(false)),
        Elements::Listed(elements) => in_list(needle, elements, false, schema),
        Elements::Computed(array) => is_among(needle, &needle_type, array, schema),
    }
}

/// The elements of `array`, which are to be compared with a value of type `item`.
fn elements(array: Expr, item: &DataType) -> Result<Elements> {
    Ok(match array {
        Expr::ScalarFunction(array) if array.name() == "make_array" => Elements::Listed(array.args),
        Expr::Literal(value, _) if value.is_null() => Elements::Null,
        Expr::Literal(list @ (ScalarValue::List(_) | ScalarValue::LargeList(_)), _) => {
            let values = list_elements(&list)?.into_iter();
            Elements::Listed(values.map(|value| Expr::Literal(value, None)).collect())
        }
        Expr::Literal(text, _) if is_text(&text.data_type()) => {
            Elements::Listed(read(text.try_as_str().flatten().unwrap_or_default(), item)?)
        }
        Expr::Cast(Cast { expr, field }) => match field.data_type() {
            DataType::List(to) | DataType::LargeList(to) => match elements(*expr, to.data_type())? {
                Elements::Listed(elements) => {
                    let elements = elements.into_iter().map(|element| converted(element, to.data_type()));
                    Elements::Listed(elements.collect::<Result<_>>()?)
                }
                Elements::Computed(array) => {
                    Elements::Computed(Expr::Cast(Cast::new_from_field(Box::new(array), field)))
                }
                Elements::Null => Elements::Null,
            },
            _ => Elements::Computed(Expr::Cast(Cast::new_from_field(expr, field))),
        },
        array => Elements::Computed(array),
    })
}

/// The elements that `text` has as PostgreSQL writes arrays, each a value of type `item`.
fn read(text: &str, item: &DataType) -> Result<Vec<Expr>> {
    let items = array_items(text)
        .ok_or_else(|| plan_datafusion_err!("{text:?} is not an array of one dimension: expected '{{a,b}}'"))?;
    // A time is read as MariaDB reads it, where the two meet.
    let as_text = is_text(item) || item.is_null() || *item == TIME;
    items
        .into_iter()
        .map(|text| {
            let value = ScalarValue::Utf8(text.clone());
            let value = match value.cast_to(item) {
                _ if as_text => value,
                Ok(read) if !read.is_null() || text.is_none() => read,
                _ => return plan_err!("{value} is not a value of {item}"),
            };
            Ok(Expr::Literal(value, None))
        })
        .collect()
}

fn converted(element: Expr, to: &DataType) -> Result<Expr> {
    Ok(match element {
        Expr::Literal(value, metadata) => Expr::Literal(value.cast_to(to)?, metadata),
        element => cast(element, to.clone()),
    })
}

fn is_among(needle: Expr, needle_type: &DataType, array: Expr, schema: &DFSchema) -> Result<Expr> {
    let (needle, array) = match array.get_type(schema)? {
        DataType::List(item) if is_interval(needle_type) || is_interval(item.data_type()) => {
            return plan_err!("ANY compares no intervals: compare what extract(epoch FROM …) gives of them");
        }
        DataType::List(item) | DataType::LargeList(item)
            if item.data_type() != needle_type && item.data_type().is_integer() && needle_type.is_integer() =>
        {
            let both = DataType::Decimal128(20, 0);
            (cast(needle, both.clone()), cast(array, DataType::new_list(both, true)))
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Null => {
            (needle, array)
        }
        other => return plan_err!("ANY takes a list or a subquery, not a value of type {other}"),
    };
    Ok(datafusion::functions_nested::expr_fn::array_has(array, needle))
}
