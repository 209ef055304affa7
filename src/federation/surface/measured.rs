//! What is asked of expressions before they are planned any further: how deep casts nest, and how many parts they will have
//! once what is written several times is.
//!
//! `coalesce(x, y)` becomes a CASE that has `x` twice, `x BETWEEN 1 AND 2` two comparisons, and DataFusion asks several times of a
//! condition of CASE whether it may be NULL. Within each other these multiply with each level, so that a few lines would take what
//! memory there is (conditions of CASE as they are written: `query::statement`). What a column stands for counts in conditions, for
//! these are taken to where it is computed. In lists it does not: what is named twice is computed before.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use super::bounds::limit;

/// DataFusion asks what is cast twice at each level.
const DEEPEST_CAST: u64 = 24;

/// DataFusion asks twice at each level what such a value is.
const DEEPEST_CASE: u64 = 12;

/// More than a statement of any length has of its own.
const MOST_PARTS: u64 = 1_000_000;

/// Fails if casts nest too deeply in what `plan` computes.
pub(super) fn check_casts(plan: &LogicalPlan) -> Result<()> {
    measured(plan, &Measure { alone: 0, of: casts, check: few_casts, in_lists: true }).map(|_| ())
}

/// Fails if what `plan` computes would have too many parts, or has CASE too deep within functions of its own.
pub(super) fn check_parts(plan: &LogicalPlan) -> Result<()> {
    measured(plan, &Measure { alone: 1, of: parts, check: few_parts, in_lists: false })?;
    measured(plan, &Measure { alone: 0, of: cases, check: few_cases, in_lists: true }).map(|_| ())
}

/// How often it is asked of a condition of CASE whether it may be NULL.
const CONDITION: u64 = 4;

struct Measure {
    /// What a column has that is not computed by an expression.
    alone: u64,
    /// What an expression has, of which what is directly within it has so much.
    of: fn(&Expr, &[u64]) -> u64,
    check: fn(u64) -> Result<()>,
    /// What columns stand for counts in lists too.
    in_lists: bool,
}

fn casts(expr: &Expr, within: &[u64]) -> u64 {
    let deepest = within.iter().copied().max().unwrap_or(0);
    deepest + u64::from(matches!(expr, Expr::Cast(_) | Expr::TryCast(_)))
}

fn few_casts(deepest: u64) -> Result<()> {
    if deepest <= DEEPEST_CAST {
        return Ok(());
    }
    let message = format!("an expression has {deepest} casts within each other: {DEEPEST_CAST} are the most");
    Err(nested(message))
}

/// How many CASE are within each other, but for those that stand right behind THEN and ELSE.
fn cases(expr: &Expr, within: &[u64]) -> u64 {
    let deepest = within.iter().copied().max().unwrap_or(0);
    let Expr::Case(case) = expr else { return deepest };
    let (compared, conditions) = (usize::from(case.expr.is_some()), 2 * case.when_then_expr.len());
    let values = case.when_then_expr.iter().map(|(_, then)| then).chain(case.else_expr.as_ref());
    let places = (compared..compared + conditions).skip(1).step_by(2).chain([compared + conditions]);
    let direct = values.zip(places).filter(|(value, _)| matches!(***value, Expr::Case(_)));
    let direct: Vec<usize> = direct.map(|(_, place)| place).collect();
    let deeper = |(place, depth): (usize, &u64)| depth + u64::from(!direct.contains(&place));
    within.iter().enumerate().map(deeper).max().unwrap_or(1)
}

fn few_cases(deepest: u64) -> Result<()> {
    if deepest <= DEEPEST_CASE {
        return Ok(());
    }
    let message =
        format!("CASE is {deepest} times within functions of its own: {DEEPEST_CASE} levels are the most");
    Err(limit(message, "Write one CASE with more WHENs, or fewer subqueries of FROM that compute by CASE"))
}

fn parts(expr: &Expr, within: &[u64]) -> u64 {
    // How often each part is written, or asked about.
    let times: &dyn Fn(usize) -> u64 = match expr {
        Expr::Case(case) if case.expr.is_none() => {
            let conditions = 2 * case.when_then_expr.len();
            &move |place| if place < conditions && place.is_multiple_of(2) { CONDITION } else { 1 }
        }
        Expr::Between(_) => &|place| if place == 0 { 2 } else { 1 },
        Expr::BinaryExpr(BinaryExpr { op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom, .. }) => {
            &|_| 2
        }
        Expr::ScalarFunction(call) => match call.name() {
            "coalesce" | "ifnull" | "nvl" => {
                let last = within.len().saturating_sub(1);
                &move |place| if place < last { CONDITION } else { 1 }
            }
            // A condition and a value.
            "nullif" => &|place| if place == 0 { CONDITION + 3 } else { CONDITION },
            "nvl2" => &|_| CONDITION,
            "date_part" | "floor" => &|_| 2,
            _ => &|_| 1,
        },
        _ => &|_| 1,
    };
    let written = within.iter().enumerate().map(|(place, parts)| parts.saturating_mul(times(place)));
    written.fold(1, u64::saturating_add)
}

fn few_parts(parts: u64) -> Result<()> {
    if parts <= MOST_PARTS {
        return Ok(());
    }
    Err(nested(format!("an expression would be written with more than {MOST_PARTS} parts")))
}

fn nested(message: String) -> DataFusionError {
    limit(message, "Nest fewer functions, and fewer subqueries of FROM that compute")
}

/// What each column of `plan` has.
#[recursive::recursive]
fn measured(plan: &LogicalPlan, measure: &Measure) -> Result<Vec<u64>> {
    plan.apply_subqueries(|subquery| {
        measured(subquery, measure)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let inputs = plan.inputs();
    let schema = merge_schema(&inputs);
    let mut below = Vec::with_capacity(schema.fields().len());
    for input in inputs {
        below.extend(measured(input, measure)?);
    }
    let mut found = Vec::new();
    let is_list = matches!(plan, LogicalPlan::Projection(_));
    plan.apply_expressions(|expr| {
        let has = expression(expr, &schema, &below, measure)?;
        let checked = match is_list && !measure.in_lists {
            true => expression(expr, &schema, &[], measure)?,
            false => has,
        };
        (measure.check)(checked)?;
        found.push(has);
        Ok(TreeNodeRecursion::Continue)
    })?;
    let columns = plan.schema().fields().len();
    let passed_on = match plan {
        LogicalPlan::Projection(_) => found,
        // What passes columns on, perhaps with further ones behind them.
        LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Join(_) => below,
        _ => Vec::new(),
    };
    Ok(passed_on.into_iter().chain(std::iter::repeat(measure.alone)).take(columns).collect())
}

#[recursive::recursive]
fn expression(expr: &Expr, schema: &DFSchema, below: &[u64], measure: &Measure) -> Result<u64> {
    if let Expr::Column(column) = expr {
        let place = schema.maybe_index_of_column(column);
        return Ok(place.and_then(|place| below.get(place)).copied().unwrap_or(measure.alone));
    }
    let mut within = Vec::new();
    expr.apply_children(|child| {
        within.push(expression(child, schema, below, measure)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((measure.of)(expr, &within))
}
