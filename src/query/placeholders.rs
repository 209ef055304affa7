//! Of which types the values for `$1`, `$2`, … are: many drivers declare none, and send what they are told.
//!
//! DataFusion tells them of what is compared with something; here come casts, LIMIT, `= ANY`, and functions.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as PlanResult};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::type_coercion::binary::binary_numeric_coercion;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan};

use super::{QueryError, QueryErrorKind};
use crate::federation::collation::is_text;
use crate::federation::surface::EQUALS_ANY;
use crate::federation::taken_types;

/// The types of `$1` to `$n`, where they can be told.
pub(super) fn parameter_types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>, QueryError> {
    let mut found = compared(plan)?;
    // DataFusion takes a pattern for what it is held against.
    for (id, data_type) in told(plan, patterns)? {
        found.insert(id, Some(data_type));
    }
    for places in [casts, limits, arguments] {
        for (id, data_type) in told(plan, places)? {
            found.entry(id).or_default().get_or_insert(data_type);
        }
    }
    let mut types = Vec::new();
    for (name, data_type) in found {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let Some(index) = number.filter(|number| (1..=u16::MAX.into()).contains(number)) else {
            let message = format!("{name} is not a placeholder: they are $1, $2, …");
            return Err(QueryError::new(QueryErrorKind::Syntax, message));
        };
        if types.len() < index {
            types.resize(index, None);
        }
        types[index - 1] = data_type;
    }
    Ok(types)
}

/// What the placeholders in `plan` are held against, as far as DataFusion tells. One that stands twice has room for both numbers, and is
/// else what it is first.
fn compared(plan: &LogicalPlan) -> PlanResult<HashMap<String, Option<DataType>>> {
    let mut found: HashMap<String, Option<DataType>> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Placeholder(Placeholder { id, field }) = expr {
                    let known = found.entry(id.clone()).or_default();
                    if let Some(field) = field {
                        let first = known.take().unwrap_or_else(|| field.data_type().clone());
                        *known = Some(binary_numeric_coercion(&first, field.data_type()).unwrap_or(first));
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// Types of placeholders by their names; the first one counts.
type Told = HashMap<String, DataType>;

/// What `places` tells of the expressions in `plan`.
fn told(plan: &LogicalPlan, places: fn(&LogicalPlan, &Expr, &DFSchema, &mut Told)) -> PlanResult<Told> {
    let mut told = Told::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                places(node, expr, &schema, &mut told);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(told)
}

/// A placeholder is of the type to which it is cast.
fn casts(_: &LogicalPlan, expr: &Expr, _: &DFSchema, told: &mut Told) {
    if let Expr::Cast(Cast { expr, field }) = expr
        && let Expr::Placeholder(placeholder) = &**expr
    {
        told.entry(placeholder.id.clone()).or_insert_with(|| field.data_type().clone());
    }
}

/// A pattern of LIKE is a text.
fn patterns(_: &LogicalPlan, expr: &Expr, _: &DFSchema, told: &mut Told) {
    if let Expr::Like(like) = expr
        && let Expr::Placeholder(placeholder) = &*like.pattern
    {
        told.entry(placeholder.id.clone()).or_insert(DataType::Utf8);
    }
}

/// LIMIT and OFFSET are counts.
fn limits(node: &LogicalPlan, expr: &Expr, _: &DFSchema, told: &mut Told) {
    if let LogicalPlan::Limit(_) = node
        && let Expr::Placeholder(placeholder) = expr
    {
        told.entry(placeholder.id.clone()).or_insert(DataType::Int64);
    }
}

/// A function's argument is of the type that a NULL in its place would become.
fn arguments(_: &LogicalPlan, expr: &Expr, schema: &DFSchema, told: &mut Told) {
    let Expr::ScalarFunction(function) = expr else { return };
    let untyped: Vec<Option<&str>> = function.args.iter().map(untyped).collect();
    if untyped.iter().all(Option::is_none) {
        return;
    }
    for (id, data_type) in untyped.into_iter().zip(taken(function, schema).unwrap_or_default()) {
        if let Some(id) = id
            && !data_type.is_null()
        {
            told.entry(id.to_owned()).or_insert(data_type);
        }
    }
}

fn untyped(argument: &Expr) -> Option<&str> {
    match argument {
        Expr::Placeholder(Placeholder { id, field: None }) => Some(id),
        _ => None,
    }
}

/// The types of the arguments that `function` takes.
fn taken(function: &ScalarFunction, schema: &DFSchema) -> PlanResult<Vec<DataType>> {
    let types = function.args.iter().map(|arg| arg.get_type(schema)).collect::<PlanResult<Vec<_>>>()?;
    if function.name() == EQUALS_ANY
        && let [needle, _] = types.as_slice()
    {
        let item = if is_text(needle) || needle.is_null() { DataType::Utf8 } else { needle.clone() };
        return Ok(vec![needle.clone(), DataType::new_list(item, true)]);
    }
    taken_types(types, function.func.as_ref())
}
