//! Rows that are looked for by the one value of a subquery that depends on nothing: `WHERE o.id = (SELECT max(id) FROM o)`.
//!
//! As a condition it is computed here, over all rows of the table. As a semi join it is a question to the source like any other: of
//! one server, or by the value as a key. **What of a second row?** It fails: two rows are counted where there may be more than one.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, Result, internal_err};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit,
};
use datafusion::optimizer::OptimizerConfig;

use super::absent::{has_one_row, marked};
use super::membership::is_subquery;
use super::only::{counted, only_value};

/// What the value is called.
const VALUE: &str = "__value";

/// `plan` with such conditions as semi joins; not within its subqueries, which joins are made of: an aggregate in one of those is
/// taken for what each row is joined with, be there rows or not.
pub(super) fn joined(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down(|plan| match plan {
        // Of LATERAL.
        LogicalPlan::Subquery(_) => Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump)),
        LogicalPlan::Filter(filter) if has_value(&filter.predicate) => by_values(filter, config),
        plan => Ok(Transformed::no(plan)),
    })
}

fn has_value(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(value_in(expr).is_some())).unwrap_or(false)
}

/// The subquery that `expr` is the value of, if it depends on nothing.
fn value_in(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery) if subquery.outer_ref_columns.is_empty() => Some(subquery),
        _ => None,
    }
}

fn by_values(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let (mut values, mut others) = (Vec::new(), Vec::new());
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        match Sought::of(&condition, &filter.input) {
            Some(sought) => values.push(sought),
            None => others.push(condition),
        }
    }
    if values.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut plan = Arc::unwrap_or_clone(filter.input);
    if let Some(others) = conjunction(others) {
        plan = LogicalPlan::Filter(Filter::try_new(others, Arc::new(plan))?);
    }
    for Sought { of, value } in values {
        let (value, rows) = of_one_row(value, &config.alias_generator().next(VALUE))?;
        plan = reduced(plan, of, value, rows)?;
    }
    Ok(Transformed::yes(plan))
}

/// `plan` of which those rows are left whose `of` is the `value` of `rows`: before it is joined with others.
fn reduced(plan: LogicalPlan, of: Expr, value: Expr, rows: LogicalPlan) -> Result<LogicalPlan> {
    if let LogicalPlan::Join(mut join) = plan {
        let has =
            |side: &LogicalPlan| of.column_refs().into_iter().all(|column| side.schema().has_column(column));
        let left = has(&join.left);
        let side = if left { &mut join.left } else { &mut join.right };
        *side = Arc::new(reduced(side.as_ref().clone(), of, value, rows)?);
        return Ok(LogicalPlan::Join(join));
    }
    LogicalPlanBuilder::from(plan)
        .join_with_expr_keys(rows, JoinType::LeftSemi, (vec![of], vec![value]), None)?
        .build()
}

/// A condition `of = value`.
struct Sought {
    /// Of a column of a table.
    of: Expr,
    /// Of a subquery's value, and nothing else.
    value: Expr,
}

impl Sought {
    fn of(condition: &Expr, input: &LogicalPlan) -> Option<Self> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
        let (of, value) = if has_value(right) { (left, right) } else { (right, left) };
        let is_plain = has_value(value)
            && subqueries(value) == 1
            && subqueries(of) == 0
            && value.column_refs().is_empty()
            && ![of, value].iter().any(|side| side.is_volatile() || side.contains_outer());
        let mut columns = of.column_refs().into_iter();
        let (column, None) = (columns.next()?, columns.next()) else { return None };
        (is_plain && is_of_table(input, column))
            .then(|| Self { of: of.as_ref().clone(), value: value.as_ref().clone() })
    }
}

/// How many subqueries there are in `expr`.
fn subqueries(expr: &Expr) -> usize {
    let mut count = 0;
    let counted = expr.apply(|expr| {
        count += usize::from(is_subquery(expr) || matches!(expr, Expr::SetComparison(_)));
        Ok(TreeNodeRecursion::Continue)
    });
    counted.map_or(usize::MAX, |_| count)
}

/// Whether `column` of `plan` is one of a table: what is computed has no index.
fn is_of_table(plan: &LogicalPlan, column: &Column) -> bool {
    let Ok(place) = plan.schema().index_of_column(column) else { return false };
    let handed_on =
        |input: &LogicalPlan, at: usize| is_of_table(input, &Column::from(input.schema().qualified_field(at)));
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::SubqueryAlias(alias) => handed_on(&alias.input, place),
        LogicalPlan::Filter(filter) => is_of_table(&filter.input, column),
        LogicalPlan::Projection(projection) => match projection.expr[place].clone().unalias() {
            Expr::Column(column) => is_of_table(&projection.input, &column),
            _ => false,
        },
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => [&join.left, &join.right].into_iter().any(|side| is_of_table(side, column)),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => is_of_table(&join.left, column),
            _ => false,
        },
        _ => false,
    }
}

/// `value` over the columns of rows that are called `name`, and these: one, whatever the subquery in it finds.
fn of_one_row(value: Expr, name: &str) -> Result<(Expr, LogicalPlan)> {
    let mut rows = None;
    let value = value.transform_down(|expr| {
        let inner = marked(&expr).and_then(value_in).or_else(|| value_in(&expr));
        let Some(subquery) = inner else { return Ok(Transformed::no(expr)) };
        let plan = subquery.subquery.as_ref();
        let plan = if has_one_row(plan) { plan.clone() } else { only_row(plan)? };
        let plan = LogicalPlanBuilder::from(plan).alias(name)?.build()?;
        let column = Expr::Column(Column::from(plan.schema().qualified_field(0)));
        rows = Some(plan);
        Ok(Transformed::yes(column))
    })?;
    match rows {
        Some(rows) => Ok((value.data, rows)),
        None => internal_err!("there is a subquery in {}", value.data),
    }
}

/// The value of the only row of `plan`, or NULL.
fn only_row(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let mut few = LogicalPlanBuilder::from(plan.clone());
    if plan.max_rows().is_none_or(|rows| rows > 1) {
        few = few.limit(0, Some(2))?;
    }
    let counted = LogicalPlanBuilder::from(counted(&few.build()?)?);
    let of = Expr::Column(Column::from(counted.schema().qualified_field(0)));
    counted.project([only_value(of, lit(true), plan.schema().field(0)).alias("value")])?.build()
}
