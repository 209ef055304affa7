//! Arguments of list fields, and of `…_by_pk`.

use std::collections::BTreeSet;

use async_graphql::parser::types::Field;
use async_graphql::{Positioned, ServerError, Value};
use crossweave_contract::TableId;

use super::bounds::{MAX_CONDITION_DEPTH, error};
use super::document::Reader;
use super::filter::{Comparison, Filter, read_filter};
use super::literal::literals;
use super::model::{Edge, TableType, TypeField, unknown};
use super::schema::ORDERS;

/// `where`, `order_by`, `limit`, `offset`, `distinct_on`.
#[derive(Debug, Default)]
pub(super) struct ListArguments<'m> {
    pub(super) filter: Option<Filter<'m>>,
    pub(super) order_by: Vec<Order<'m>>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
    pub(super) distinct_on: Vec<usize>,
}

/// One item of `order_by`: a column here, or of the row that a chain of object relationships leads to.
#[derive(Debug, Clone)]
pub(super) struct Order<'m> {
    pub(super) path: Vec<&'m Edge>,
    pub(super) column: usize,
    pub(super) ascending: bool,
    pub(super) nulls_first: bool,
}

impl ListArguments<'_> {
    pub(super) fn add_tables(&self, tables: &mut BTreeSet<TableId>) {
        if let Some(filter) = &self.filter {
            filter.add_tables(tables);
        }
        for order in &self.order_by {
            tables.extend(order.path.iter().map(|edge| edge.target.clone()));
        }
    }
}

/// The arguments of the list field `field`, which has rows of `table`.
pub(super) fn list_arguments<'m>(
    reader: &mut Reader<'_, 'm>,
    table: &'m TableType,
    field: &Positioned<Field>,
) -> Result<ListArguments<'m>, ServerError> {
    let mut arguments = ListArguments::default();
    for (name, value) in &field.node.arguments {
        let fail = |message: String| error(message, name.pos);
        let Some(value) = reader.resolve(&value.node) else { continue };
        if matches!(value, Value::Null) {
            continue;
        }
        match name.node.as_str() {
            "where" => arguments.filter = Some(read_filter(reader, table, &value).map_err(fail)?),
            "order_by" => {
                for item in list(value) {
                    read_order(reader, table, &mut Vec::new(), &item, &mut arguments.order_by).map_err(fail)?;
                }
            }
            "limit" => arguments.limit = Some(count(&value, "limit").map_err(fail)?),
            "offset" => arguments.offset = count(&value, "offset").map_err(fail)?,
            "distinct_on" => {
                for item in list(value) {
                    arguments.distinct_on.push(column(table, &item).map_err(fail)?);
                }
            }
            other => return Err(fail(format!("unknown argument {other:?} on {}", table.name))),
        }
    }
    Ok(arguments)
}

/// The conditions that `…_by_pk`'s arguments make.
pub(super) fn key_arguments<'m>(
    reader: &Reader<'_, 'm>,
    table: &'m TableType,
    field: &Positioned<Field>,
) -> Result<Vec<Filter<'m>>, ServerError> {
    let key = table.key().into_iter().map(|(name, column)| {
        let argument = field.node.arguments.iter().find(|(argument, _)| argument.node == name);
        let pos = argument.map_or(field.pos, |(name, _)| name.pos);
        let value = argument.and_then(|(_, value)| reader.resolve(&value.node));
        let value = value.filter(|value| !matches!(value, Value::Null));
        let value = value.ok_or_else(|| error(format!("{name} has to be given and not null"), pos))?;
        let literals = literals(table, column, &[value]).map_err(|message| error(message, pos))?;
        Ok(Filter::Compare { column, comparison: Comparison::Eq, literals })
    });
    key.collect()
}

/// A single value stands for a list of one, also in variables.
pub(super) fn list(value: Value) -> Vec<Value> {
    match value {
        Value::List(items) => items,
        single => vec![single],
    }
}

fn count(value: &Value, name: &str) -> Result<usize, String> {
    let number = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let number = number.and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{name} has to be a whole number from 0 on, found {value}"))
}

fn column(table: &TableType, value: &Value) -> Result<usize, String> {
    let name = match value {
        Value::Enum(name) => name.as_str(),
        Value::String(name) => name,
        _ => return Err(format!("expected the name of a column of {}, found {value}", table.name)),
    };
    table
        .columns()
        .find(|(column, _)| *column == name)
        .map(|(_, index)| index)
        .ok_or_else(|| unknown("column", name, &table.name, table.columns().map(|(column, _)| column)))
}

fn read_order<'m>(
    reader: &mut Reader<'_, 'm>,
    table: &'m TableType,
    path: &mut Vec<&'m Edge>,
    value: &Value,
    orders: &mut Vec<Order<'m>>,
) -> Result<(), String> {
    let Value::Object(members) = value else {
        return Err(format!("order_by has to be an object, found {value}"));
    };
    if path.len() > MAX_CONDITION_DEPTH {
        return Err(format!("order_by is nested deeper than {MAX_CONDITION_DEPTH} levels"));
    }
    for (name, value) in members {
        match table.fields.get(name.as_str()) {
            _ if matches!(value, Value::Null) => {}
            Some(TypeField::Column(column)) => {
                let (ascending, nulls_first) = direction(value)?;
                // Each item reads what its path leads through.
                path.iter().try_for_each(|_| reader.count_read())?;
                reader.count_condition()?;
                orders.push(Order { path: path.clone(), column: *column, ascending, nulls_first });
            }
            Some(TypeField::Relationship(edge)) if edge.orders() => {
                let target = reader.model.of(&edge.target);
                let target = target.ok_or_else(|| format!("{name} cannot be reached"))?;
                path.push(edge);
                read_order(reader, target, path, value, orders)?;
                path.pop();
            }
            Some(TypeField::Relationship(_)) => {
                return Err(format!("{name:?} of {} may lead to several rows: it orders none", table.name));
            }
            None => return Err(table.unknown_field(name)),
        }
    }
    Ok(())
}

/// Ascending, and NULLs first. As PostgreSQL has it, NULLs are larger than everything unless said otherwise.
fn direction(value: &Value) -> Result<(bool, bool), String> {
    let text = match value {
        Value::Enum(name) => name.as_str(),
        Value::String(text) => text,
        _ => "",
    };
    match text {
        "asc" | "asc_nulls_last" => Ok((true, false)),
        "asc_nulls_first" => Ok((true, true)),
        "desc" | "desc_nulls_first" => Ok((false, true)),
        "desc_nulls_last" => Ok((false, false)),
        _ => {
            let orders: Vec<_> = ORDERS.iter().map(|(order, _)| *order).collect();
            Err(format!("{value} is not an order: expected one of {}", orders.join(", ")))
        }
    }
}
