//! `where`: from a `…_bool_exp` to a condition.
//!
//! The empty cases are Hasura's: `{}` and `_and: []` are true, `_or: []` and `_in: []` are false. A comparison
//! with null is an error: "everything" is never what a missing variable meant.

use std::collections::BTreeSet;

use async_graphql::Value;
use crossweave_contract::TableId;
use datafusion::scalar::ScalarValue;

use super::arguments::list;
use super::bounds::MAX_CONDITION_DEPTH;
use super::document::Reader;
use super::literal::{boolean, literals};
use super::model::{Edge, TableType, TypeField, scalar, unknown};
use super::schema::operators;

/// A condition on a row of one table. Constants occur at the top only: everywhere else they are worked in.
#[derive(Debug)]
pub(super) enum Filter<'m> {
    /// True, if empty.
    And(Vec<Filter<'m>>),
    /// False, if empty.
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

impl<'m> Filter<'m> {
    const TRUE: Self = Self::And(Vec::new());
    const FALSE: Self = Self::Or(Vec::new());

    fn all(filters: Vec<Self>) -> Self {
        let mut parts = Vec::with_capacity(filters.len());
        for filter in filters {
            match filter {
                Self::And(inner) => parts.extend(inner),
                Self::Or(inner) if inner.is_empty() => return Self::FALSE,
                other => parts.push(other),
            }
        }
        if parts.len() == 1 { parts.remove(0) } else { Self::And(parts) }
    }

    fn any(filters: Vec<Self>) -> Self {
        let mut parts = Vec::with_capacity(filters.len());
        for filter in filters {
            match filter {
                Self::Or(inner) => parts.extend(inner),
                Self::And(inner) if inner.is_empty() => return Self::TRUE,
                other => parts.push(other),
            }
        }
        if parts.len() == 1 { parts.remove(0) } else { Self::Or(parts) }
    }

    fn negated(self) -> Self {
        match self {
            Self::And(inner) if inner.is_empty() => Self::FALSE,
            Self::Or(inner) if inner.is_empty() => Self::TRUE,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    fn exists(edge: &'m Edge, filter: Self) -> Self {
        match filter {
            Self::Or(inner) if inner.is_empty() => Self::FALSE,
            filter => Self::Exists { edge, filter: Box::new(filter) },
        }
    }

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
    reader: &mut Reader<'_, 'm>,
    table: &'m TableType,
    value: &Value,
) -> Result<Filter<'m>, String> {
    nested(reader, table, value, 1)
}

fn nested<'m>(
    reader: &mut Reader<'_, 'm>,
    table: &'m TableType,
    value: &Value,
    depth: usize,
) -> Result<Filter<'m>, String> {
    let Value::Object(members) = value else {
        return Err(format!("a condition on {} has to be an object, found {value}", table.name));
    };
    if depth > MAX_CONDITION_DEPTH {
        return Err(format!("conditions are nested deeper than {MAX_CONDITION_DEPTH} levels"));
    }
    let mut all = Vec::with_capacity(members.len());
    for (name, value) in members {
        match name.as_str() {
            "_and" => all.push(Filter::all(each(reader, table, value, depth)?)),
            "_or" => all.push(Filter::any(each(reader, table, value, depth)?)),
            "_not" => all.push(nested(reader, table, value, depth + 1)?.negated()),
            name => match table.fields.get(name) {
                Some(TypeField::Column(column)) => {
                    read_comparisons(reader, table, name, *column, value, &mut all)?;
                }
                Some(TypeField::Relationship(edge)) => {
                    let target = reader.model.of(&edge.target);
                    let target = target.ok_or_else(|| format!("{name} cannot be reached"))?;
                    reader.count_read()?;
                    all.push(Filter::exists(edge, nested(reader, target, value, depth + 1)?));
                }
                None => return Err(table.unknown_field(name)),
            },
        }
    }
    Ok(Filter::all(all))
}

fn each<'m>(
    reader: &mut Reader<'_, 'm>,
    table: &'m TableType,
    value: &Value,
    depth: usize,
) -> Result<Vec<Filter<'m>>, String> {
    list(value.clone()).iter().map(|item| nested(reader, table, item, depth + 1)).collect()
}

fn read_comparisons<'m>(
    reader: &mut Reader<'_, 'm>,
    table: &'m TableType,
    name: &str,
    column: usize,
    value: &Value,
    all: &mut Vec<Filter<'m>>,
) -> Result<(), String> {
    let Value::Object(members) = value else {
        return Err(format!("the condition on {name} has to be an object like {{_eq: …}}, found {value}"));
    };
    let offered = operators(scalar(&table.def.columns[column].column_type));
    for (operator, value) in members {
        if !offered.iter().any(|(offered, _)| *offered == operator.as_str()) {
            let offered = offered.iter().map(|(operator, _)| *operator);
            return Err(unknown("operator", operator, name, offered));
        }
        if matches!(value, Value::Null) {
            return Err(format!("{name}.{operator} is null: use _is_null to look for NULLs"));
        }
        reader.count_condition()?;
        let Some(comparison) = comparison(operator) else {
            let is_null = boolean(value)
                .ok_or_else(|| format!("{name}.{operator} has to be a Boolean, found {value}"))?;
            all.push(Filter::IsNull { column, negated: !is_null });
            continue;
        };
        let values = match comparison {
            Comparison::In | Comparison::NotIn => list(value.clone()),
            _ => vec![value.clone()],
        };
        if values.iter().any(|value| matches!(value, Value::Null)) {
            return Err(format!("{name}.{operator} holds null: use _is_null to look for NULLs"));
        }
        all.push(match comparison {
            Comparison::In if values.is_empty() => Filter::FALSE,
            Comparison::NotIn if values.is_empty() => Filter::TRUE,
            _ => Filter::Compare { column, comparison, literals: literals(table, column, &values)? },
        });
    }
    Ok(())
}

/// What `operator` compares by; `None` for `_is_null`.
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
