//! Columns of subqueries in FROM, of CTEs and of sums, with the digits that MariaDB goes on with: it merges such a subquery into
//! the query around it, where `ratio * 100` of `SELECT a / b AS ratio` is `a / b * 100`.
//!
//! Such a column has another type than is shown of it, which its field says ([`shown_of`]). Whatever refers to it rounds it
//! ([`rounded_columns`]), and where that is calculated on, it is not rounded (`finer`). What MariaDB puts into a table of its own (DISTINCT, LIMIT,
//! UNION, groups, windows) it rounds, as is done here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Projection};

use super::decimals::is_decimal;
use super::finer::{finer, rounded};
use super::operation::is_operation;
use crate::federation::remote::digits;
use crate::federation::surface::subqueries::outer::subquery_of;

/// The metadata of a field with more digits than are shown of it: the bits, digits and places of what is shown.
const SHOWN: &str = "crossweave.shown";

/// Which columns of an operator may have more digits than are shown, for what is above it rounds them.
#[derive(Debug, Clone, Default)]
pub(in crate::federation::surface) struct Carried {
    /// The names of those that are calculated on.
    wanted: HashSet<String>,
    /// Whether they are a subquery's value, which has all digits, whatever it is made of.
    is_value: bool,
}

impl Carried {
    /// Of a subquery that is a value, `plan`.
    pub(in crate::federation::surface) fn of_value(plan: &LogicalPlan) -> Self {
        let wanted = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        Self { wanted, is_value: true }
    }

    /// Which the inputs of `plan` may carry, where `plan` itself may carry `above`.
    pub(in crate::federation::surface) fn below(plan: &LogicalPlan, above: Option<&Self>) -> Option<Self> {
        match plan {
            LogicalPlan::Projection(projection) => {
                let mut below = Self::default();
                projection.expr.iter().for_each(|expr| below.want(expr));
                let passed_on = above
                    .into_iter()
                    .flat_map(|above| projection.expr.iter().filter_map(|expr| above.passed_on(expr)));
                below.wanted.extend(passed_on);
                Some(below)
            }
            LogicalPlan::Aggregate(aggregate) => {
                let mut below = Self::default();
                aggregate.group_expr.iter().chain(&aggregate.aggr_expr).for_each(|expr| below.want(expr));
                Some(below)
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::SubqueryAlias(_) => {
                let mut below = above?.clone();
                below.is_value &= !matches!(plan, LogicalPlan::SubqueryAlias(_) | LogicalPlan::Join(_));
                // Nothing in it fails.
                let _ = plan.apply_expressions(|expr| {
                    below.want(expr);
                    Ok(TreeNodeRecursion::Continue)
                });
                Some(below)
            }
            // What is one of several rows is a value with all digits as well.
            LogicalPlan::Limit(_) => above.filter(|above| above.is_value).cloned(),
            _ => None,
        }
    }

    /// Whether what `expr`, of a list, gives is calculated on.
    pub(in crate::federation::surface) fn wants(&self, expr: &Expr) -> bool {
        !self.wanted.is_empty() && self.wanted.contains(&expr.qualified_name().1)
    }

    /// The name of the column that `expr`, of a list, hands on, if it may be carried.
    fn passed_on(&self, expr: &Expr) -> Option<String> {
        let mut inner = expr;
        while let Expr::Alias(alias) = inner {
            inner = &alias.expr;
        }
        match inner {
            Expr::Column(column) if self.wants(expr) => Some(column.name.clone()),
            _ => None,
        }
    }

    /// Wants the columns that are calculated on in `expr`: by more than comparisons, which round.
    fn want(&mut self, expr: &Expr) {
        self.want_within(expr, false);
    }

    fn want_within(&mut self, expr: &Expr, calculates: bool) {
        if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = expr {
            if calculates {
                self.wanted.insert(column.name.clone());
            }
            return;
        }
        let calculates = calculates || self::calculates(expr);
        // Nothing in these fails.
        if let Some(subquery) = subquery_of(expr).filter(|subquery| !subquery.outer_ref_columns.is_empty()) {
            let _ = subquery.subquery.apply_with_subqueries(|plan| {
                plan.apply_expressions(|expr| {
                    self.want_within(expr, false);
                    Ok(TreeNodeRecursion::Continue)
                })
            });
        }
        let _ = expr.apply_children(|part| {
            self.want_within(part, calculates);
            Ok(TreeNodeRecursion::Continue)
        });
    }
}

/// Whether `expr` makes another number of what it is made of.
pub(in crate::federation::surface) fn calculates(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => matches!(
            op,
            Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo
        ),
        Expr::ScalarFunction(_)
        | Expr::AggregateFunction(_)
        | Expr::Negative(_)
        | Expr::Case(_)
        | Expr::Between(_)
        | Expr::InList(_) => true,
        expr => is_operation(expr),
    }
}

/// The type that is shown of `field`, if it has more digits.
pub(in crate::federation::surface) fn shown_of(field: &Field) -> Option<DataType> {
    let shown = field.metadata().get(SHOWN)?;
    let mut parts = shown.split(',');
    let (bits, digits, places) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(match bits {
        "128" => DataType::Decimal128(digits, places),
        _ => DataType::Decimal256(digits, places),
    })
}

fn metadata(shown: &DataType) -> Option<FieldMetadata> {
    let text = match shown {
        DataType::Decimal128(digits, places) => format!("128,{digits},{places}"),
        DataType::Decimal256(digits, places) => format!("256,{digits},{places}"),
        _ => return None,
    };
    Some(FieldMetadata::from(HashMap::from([(SHOWN.to_owned(), text)])))
}

/// `expr`, with columns of `schema`, and of queries around it, as they are shown.
pub(in crate::federation::surface) fn rounded_columns(
    expr: Expr,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| {
        let shown = match &expr {
            Expr::Column(column) => schema.field_from_column(column).ok().and_then(|field| shown_of(field)),
            Expr::OuterReferenceColumn(field, _) => shown_of(field),
            Expr::ScalarSubquery(subquery) => shown_of(subquery.subquery.schema().field(0)),
            _ => None,
        };
        Ok(match shown {
            Some(shown) => Transformed::new(rounded(expr, &shown, schema), true, TreeNodeRecursion::Jump),
            None => Transformed::no(expr),
        })
    })
}

/// `plan` with all columns as they are shown.
pub(in crate::federation::surface) fn shown(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if plan.schema().fields().iter().all(|field| shown_of(field).is_none()) {
        return Ok(Transformed::no(plan));
    }
    let schema = Arc::clone(plan.schema());
    let columns = schema.iter().map(|(relation, field)| {
        let column = Expr::Column(Column::from((relation, field)));
        match shown_of(field) {
            Some(to) => rounded(column, &to, schema.as_ref()).alias_qualified(relation.cloned(), field.name()),
            None => column,
        }
    });
    let plan = Projection::try_new(columns.collect(), Arc::new(plan))?;
    Ok(Transformed::yes(LogicalPlan::Projection(plan)))
}

/// `plan`, this operator of it over columns of `schema`, with all digits of what may be `carried`.
pub(in crate::federation::surface) fn carrying(
    plan: LogicalPlan,
    carried: &Carried,
    schema: &DFSchema,
) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Projection(mut projection) if carried.is_value || is_merged(&projection.input) => {
            let mut changed = false;
            for expr in &mut projection.expr {
                if carried.wants(expr) {
                    changed |= carry(expr, schema, |expr| finer(expr, schema).ok())?;
                }
            }
            match changed {
                true => {
                    let plan = Projection::try_new(projection.expr, projection.input)?;
                    Ok(Transformed::yes(LogicalPlan::Projection(plan)))
                }
                false => Ok(Transformed::no(LogicalPlan::Projection(projection))),
            }
        }
        // Groups are put into a table, with as many digits as are shown; what is of all rows is not.
        LogicalPlan::Aggregate(mut aggregate) if aggregate.group_expr.is_empty() => {
            let mut changed = false;
            for expr in &mut aggregate.aggr_expr {
                changed |= carry(expr, schema, |expr| of_finer(expr, schema))?;
            }
            match changed {
                true => {
                    let Aggregate { input, group_expr, aggr_expr, .. } = aggregate;
                    let plan = Aggregate::try_new(input, group_expr, aggr_expr)?;
                    Ok(Transformed::yes(LogicalPlan::Aggregate(plan)))
                }
                false => Ok(Transformed::no(LogicalPlan::Aggregate(aggregate))),
            }
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// Makes `expr` what `finer` makes of it, by its name, if that has more digits; whether it did.
fn carry(expr: &mut Expr, schema: &dyn ExprSchema, finer: impl FnOnce(Expr) -> Option<Expr>) -> Result<bool> {
    let (relation, name) = expr.qualified_name();
    let inner = expr.clone().unalias_nested().data;
    let shown = inner.get_type(schema)?;
    let (Some(finer), Some(metadata)) = (finer(inner), metadata(&shown)) else { return Ok(false) };
    let of = finer.get_type(schema)?;
    let has_room = match (digits(&of), digits(&shown)) {
        (Some(of), Some(shown)) => of.0 >= shown.0 && of.1 > shown.1,
        _ => false,
    };
    if has_room {
        *expr = finer.alias_qualified_with_metadata(relation, name, Some(metadata));
    }
    Ok(has_room)
}

/// `expr`, an aggregate of all rows, of a number with all its digits.
fn of_finer(expr: Expr, schema: &dyn ExprSchema) -> Option<Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, mut params }) = expr else { return None };
    let takes_all = matches!(func.name(), "sum" | "avg" | "min" | "max" | "first_value") && !params.distinct;
    if !takes_all || params.args.len() != 1 || !params.args[0].get_type(schema).is_ok_and(|of| is_decimal(&of))
    {
        return None;
    }
    params.args = vec![finer(params.args.remove(0), schema).ok()?];
    Some(Expr::AggregateFunction(AggregateFunction { func, params }))
}

/// Whether MariaDB merges a subquery of FROM that takes its list from `input`.
fn is_merged(input: &LogicalPlan) -> bool {
    match input {
        LogicalPlan::Filter(filter) => is_merged(&filter.input),
        LogicalPlan::Sort(sort) => is_merged(&sort.input),
        LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::EmptyRelation(_) => false,
        _ => true,
    }
}
