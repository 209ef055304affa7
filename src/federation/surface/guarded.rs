//! DataFusion's optimizer rules, kept from the plans that they make wrong ones of.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::scalar::ScalarValue;

/// A rule of the optimizer.
type Rule = Arc<dyn OptimizerRule + Send + Sync>;

/// `rule`, kept from what it does wrong.
pub(super) fn guarded(rule: Rule) -> Rule {
    match rule.name() {
        "push_down_filter" => Arc::new(Guarded { rule, spared: filters_groups, prepared: with_constants_last }),
        "single_distinct_aggregation_to_group_by" => {
            Arc::new(Guarded { rule, spared: sums, prepared: Transformed::no })
        }
        "eliminate_group_by_constant" => {
            Arc::new(Guarded { rule, spared: has_equal_names, prepared: Transformed::no })
        }
        _ => rule,
    }
}

/// A rule, what of a plan it is kept from, and what is made of the rest before it sees that.
#[derive(Debug)]
struct Guarded {
    rule: Rule,
    spared: fn(&LogicalPlan) -> bool,
    prepared: fn(LogicalPlan) -> Transformed<LogicalPlan>,
}

impl OptimizerRule for Guarded {
    fn name(&self) -> &str {
        self.rule.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.rule.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if (self.spared)(&plan) {
            return Ok(Transformed::no(plan));
        }
        (self.prepared)(plan).transform_data(|plan| self.rule.rewrite(plan, config))
    }
}

/// DataFusion puts a condition that asks for no column below GROUP BY and windows, for there it leaves out all or none. Of
/// no rows there is no group, but there is a total: `SELECT … FROM (SELECT max(x) FROM t) q WHERE (SELECT count(*) FROM u) < 1`
/// would have a row whatever u holds. And `random() < 0.5` leaves out some.
fn filters_groups(plan: &LogicalPlan) -> bool {
    let (mut input, mut is_volatile) = (plan, false);
    // The rule puts filters together.
    while let LogicalPlan::Filter(filter) = input {
        is_volatile |= filter.predicate.is_volatile();
        input = &filter.input;
    }
    let is_filter = matches!(plan, LogicalPlan::Filter(_));
    let is_grouped = matches!(input, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
    is_filter && (has_totals(input) || (is_volatile && is_grouped))
}

/// Whether `plan` gives a row for all of what it reads, also where that is nothing. Sets of groups may have one.
fn has_totals(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => {
            matches!(aggregate.group_expr.as_slice(), [] | [Expr::GroupingSet(_), ..])
        }
        _ => false,
    }
}

/// DataFusion turns `sum(a), sum(DISTINCT b)` into a sum by each b, and the sum of those. But a sum of sums is of a
/// wider type than a sum.
fn sums(plan: &LogicalPlan) -> bool {
    let sums = |expr: &Expr| match expr {
        Expr::AggregateFunction(call) => call.func.name() == "sum" && !call.params.distinct,
        _ => false,
    };
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().any(sums),
        _ => false,
    }
}

/// DataFusion groups by `x` alone for `GROUP BY x, CAST(x AS DATE)`, and computes the other above, in a list: it calls both what
/// it calls x, and fails.
fn has_equal_names(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Aggregate(aggregate) = plan else { return false };
    let mut names = HashSet::new();
    let mut list = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
    list.any(|expr| !names.insert(expr.schema_name().to_string()))
}

/// Of what a column is compared with, DataFusion keeps the strictest. It takes `x = 1 AND 1 = x` and `x = 0e0 AND
/// x = -0e0` for contradictions, and keeps the first of `x >= 1 AND 1 < x`: each constant is put on the right, and zero has
/// no sign.
fn with_constants_last(plan: LogicalPlan) -> Transformed<LogicalPlan> {
    match plan {
        LogicalPlan::Filter(mut filter) => {
            let predicate = conditions_with_constants_last(filter.predicate);
            filter.predicate = predicate.data;
            let mut transformed = predicate.transformed;
            // The rule puts filters together.
            if matches!(*filter.input, LogicalPlan::Filter(_)) {
                let input = with_constants_last(Arc::unwrap_or_clone(filter.input));
                transformed |= input.transformed;
                filter.input = Arc::new(input.data);
            }
            Transformed::new(LogicalPlan::Filter(filter), transformed, TreeNodeRecursion::Continue)
        }
        LogicalPlan::Join(mut join) => {
            let Some(filter) = join.filter.take() else { return Transformed::no(LogicalPlan::Join(join)) };
            conditions_with_constants_last(filter).update_data(|filter| {
                join.filter = Some(filter);
                LogicalPlan::Join(join)
            })
        }
        plan => Transformed::no(plan),
    }
}

fn conditions_with_constants_last(condition: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else {
        return Transformed::no(condition);
    };
    if op == Operator::And {
        let (left, right) = (conditions_with_constants_last(*left), conditions_with_constants_last(*right));
        let transformed = left.transformed || right.transformed;
        let both = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
        return Transformed::new(Expr::BinaryExpr(both), transformed, TreeNodeRecursion::Continue);
    }
    let compared = |left, op, right| Expr::BinaryExpr(BinaryExpr::new(left, op, right));
    match (*left, op.swap(), *right) {
        (Expr::Literal(value, metadata), Some(op), right @ Expr::Column(_)) => {
            let value = unsigned_zero(&value).unwrap_or(value);
            Transformed::yes(compared(Box::new(right), op, Box::new(Expr::Literal(value, metadata))))
        }
        (left @ Expr::Column(_), Some(_), Expr::Literal(value, metadata)) => {
            let unsigned = unsigned_zero(&value);
            let transformed = unsigned.is_some();
            let value = Expr::Literal(unsigned.unwrap_or(value), metadata);
            let compared = compared(Box::new(left), op, Box::new(value));
            Transformed::new(compared, transformed, TreeNodeRecursion::Continue)
        }
        (left, _, right) => Transformed::no(compared(Box::new(left), op, Box::new(right))),
    }
}

/// Zero, for the negative one of a DOUBLE or FLOAT.
pub(super) fn unsigned_zero(value: &ScalarValue) -> Option<ScalarValue> {
    match value {
        ScalarValue::Float64(Some(zero)) if *zero == 0.0 && zero.is_sign_negative() => {
            Some(ScalarValue::Float64(Some(0.0)))
        }
        ScalarValue::Float32(Some(zero)) if *zero == 0.0 && zero.is_sign_negative() => {
            Some(ScalarValue::Float32(Some(0.0)))
        }
        _ => None,
    }
}
