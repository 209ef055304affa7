//! `where`: from a `…_bool_exp` to a condition.
//!
//! The empty cases are Hasura's: `{}` and `_and: []` are true, `_or: []` and `_in: []` are false. A comparison
//! with null is an error: "everything" is never what a missing variable meant.

use std::collections::BTreeSet;

use async_graphql::Value;
use crossweave_contract::{ColumnType, TableId};
use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::arguments::list;
use super::model::{Edge, Model, TableType, TypeField, scalar};

/// A condition on a row of one table.
#[derive(Debug)]
pub(super) enum Filter<'m> {
    And(Vec<Filter<'m>>),
    Or(Vec<Filter<'m>>),
    Not(Box<Filter<'m>>),
    Compare {
        column: usize,
        comparison: Comparison,
        literals: Vec<ScalarValue>,
    },
    IsNull {
        column: usize,
        negated: bool,
    },
    /// One related row passes `filter`.
    Exists {
        edge: &'m Edge,
        filter: Box<Filter<'m>>,
    },
}

/// An operator; all but `In` and `NotIn` have one literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    NotEq,
    Gt,
    GtEq,
    Lt,
    LtEq,
    In,
    NotIn,
    Like { negated: bool, ignore_case: bool },
}

impl Filter<'_> {
    pub(super) fn add_tables(&self, tables: &mut BTreeSet<TableId>) {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().for_each(|filter| filter.add_tables(tables))
            }
            Self::Not(filter) => filter.add_tables(tables),
            Self::Exists { edge, filter } => {
                tables.insert(edge.target.clone());
                filter.add_tables(tables);
            }
            Self::Compare { .. } | Self::IsNull { .. } => {}
        }
    }
}

/// Reads `value`, a `…_bool_exp` of `table`.
pub(super) fn read_filter<'m>(
    model: &'m Model,
    table: &'m TableType,
    value: &Value,
) -> Result<Filter<'m>, String> {
    let Value::Object(members) = value else {
        return Err(format!("a condition on {} has to be an object, found {value}", table.name));
    };
    let mut all = Vec::new();
    for (name, value) in members {
        let each = |value: &Value| -> Result<Vec<Filter<'m>>, String> {
            list(value.clone()).iter().map(|item| read_filter(model, table, item)).collect()
        };
        match name.as_str() {
            "_and" => all.push(Filter::And(each(value)?)),
            "_or" => all.push(Filter::Or(each(value)?)),
            "_not" => all.push(Filter::Not(Box::new(read_filter(model, table, value)?))),
            name => match table.fields.get(name) {
                Some(TypeField::Column(column)) => read_comparisons(table, name, *column, value, &mut all)?,
                Some(TypeField::Relationship(edge)) => {
                    let target = model.of(&edge.target).ok_or_else(|| format!("{name} cannot be reached"))?;
                    let filter = Box::new(read_filter(model, target, value)?);
                    all.push(Filter::Exists { edge, filter });
                }
                None => return Err(format!("{name:?} is not a field of {}", table.name)),
            },
        }
    }
    Ok(Filter::And(all))
}

fn read_comparisons<'m>(
    table: &'m TableType,
    name: &str,
    column: usize,
    value: &Value,
    all: &mut Vec<Filter<'m>>,
) -> Result<(), String> {
    let Value::Object(operators) = value else {
        return Err(format!("the condition on {name} has to be an object like {{_eq: …}}, found {value}"));
    };
    for (operator, value) in operators {
        if matches!(value, Value::Null) {
            return Err(format!("{name}.{operator} is null: use _is_null to look for NULLs"));
        }
        if operator == "_is_null" {
            let Value::Boolean(is_null) = value else {
                return Err(format!("{name}._is_null has to be a Boolean, found {value}"));
            };
            all.push(Filter::IsNull { column, negated: !is_null });
            continue;
        }
        let comparison =
            comparison(operator).ok_or_else(|| format!("{operator:?} is not an operator on {name}"))?;
        let values = match comparison {
            Comparison::In | Comparison::NotIn => list(value.clone()),
            _ => vec![value.clone()],
        };
        let literal = |value: &Value| {
            if matches!(value, Value::Null) {
                return Err(format!("{name}.{operator} holds null: use _is_null to look for NULLs"));
            }
            literal(table, column, value)
        };
        let literals = values.iter().map(literal).collect::<Result<_, _>>()?;
        all.push(Filter::Compare { column, comparison, literals });
    }
    Ok(())
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "_eq" => Comparison::Eq,
        "_neq" => Comparison::NotEq,
        "_gt" => Comparison::Gt,
        "_gte" => Comparison::GtEq,
        "_lt" => Comparison::Lt,
        "_lte" => Comparison::LtEq,
        "_in" => Comparison::In,
        "_nin" => Comparison::NotIn,
        "_like" => Comparison::Like { negated: false, ignore_case: false },
        "_nlike" => Comparison::Like { negated: true, ignore_case: false },
        "_ilike" => Comparison::Like { negated: false, ignore_case: true },
        "_nilike" => Comparison::Like { negated: true, ignore_case: true },
        _ => return None,
    })
}

/// `value` as a literal that compares with the column. Clients send keys as numbers or as text, whatever the
/// column is, so a value counts by what it says and not by how JSON spells it.
pub(super) fn literal(table: &TableType, column: usize, value: &Value) -> Result<ScalarValue, String> {
    let column = &table.def.columns[column];
    let mismatch =
        || format!("{value} is not a {} for {}.{}", scalar(&column.column_type), table.name, column.name);
    let text = match value {
        Value::Boolean(truth) => return Ok(ScalarValue::Boolean(Some(*truth))),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Enum(name) => name.to_string(),
        _ if matches!(column.column_type, ColumnType::Json { .. }) => value.to_string(),
        _ => return Err(mismatch()),
    };
    let data_type = match column.column_type.data_type() {
        DataType::Utf8View | DataType::Dictionary(..) => return Ok(ScalarValue::Utf8View(Some(text))),
        DataType::Boolean => DataType::Boolean,
        integer if integer.is_integer() => return integer_literal(&text).ok_or_else(mismatch),
        DataType::Float32 => DataType::Float64,
        DataType::BinaryView | DataType::FixedSizeList(..) => return Err(mismatch()),
        // The surface turns text into a duration where it is compared with one.
        DataType::Duration(_) => return Ok(ScalarValue::Utf8(Some(text))),
        other => other,
    };
    let scalar = ScalarValue::try_from_string(text, &data_type).map_err(|_| mismatch())?;
    if scalar.is_null() { Err(mismatch()) } else { Ok(scalar) }
}

/// A number that need not fit the column: comparing with it is still meaningful.
fn integer_literal(text: &str) -> Option<ScalarValue> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return Some(ScalarValue::Int64(Some(number)));
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(ScalarValue::UInt64(Some(number)));
    }
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(|number| ScalarValue::Float64(Some(number)))
}
