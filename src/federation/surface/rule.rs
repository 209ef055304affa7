//! The analyzer rule that makes operands fit wherever they meet, and conditions of what is used as one.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::coercions::{comparable, condition, operands};
use super::functions::TRUTH;

/// Runs first of all.
#[derive(Debug)]
pub(super) struct SurfaceRule;

impl AnalyzerRule for SurfaceRule {
    fn name(&self) -> &str {
        "surface"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite)?.data)
    }
}

fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = match &plan {
        LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
        plan => merge_schema(&plan.inputs()),
    };
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let expr = expr.transform_up(|expr| fitted(expr, &schema))?;
        Ok(expr.update_data(|expr| name.restore(expr)))
    })?;
    let rewritten = rewritten.map_data(|plan| match plan {
        LogicalPlan::Join(mut join) => {
            for (left, right) in &mut join.on {
                let (from, to) = (std::mem::take(left), std::mem::take(right));
                [*left, *right] = operands(from, Operator::Eq, to, &schema)?;
            }
            Ok(LogicalPlan::Join(join))
        }
        plan => Ok(plan),
    })?;
    rewritten.map_data(LogicalPlan::recompute_schema)
}

fn fitted(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(mut function) if function.name() == TRUTH && function.args.len() == 1 => {
            Ok(Transformed::yes(condition(function.args.remove(0), schema)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let before = (left.clone(), right.clone());
            let [left, right] = operands(*left, op, *right, schema)?;
            let changed = *before.0 != left || *before.1 != right;
            let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
            Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
        }
        Expr::Between(between) => {
            let all = vec![*between.expr, *between.low, *between.high];
            let mut all = comparable(all, schema)?.into_iter();
            match (all.next(), all.next(), all.next()) {
                (Some(expr), Some(low), Some(high)) => Ok(Transformed::yes(Expr::Between(Between::new(
                    Box::new(expr),
                    between.negated,
                    Box::new(low),
                    Box::new(high),
                )))),
                _ => datafusion::common::internal_err!("BETWEEN lost a bound"),
            }
        }
        Expr::InList(list) => {
            let mut all = list.list;
            all.insert(0, *list.expr);
            let mut all = comparable(all, schema)?;
            let expr = all.remove(0);
            Ok(Transformed::yes(Expr::InList(InList::new(Box::new(expr), all, list.negated))))
        }
        Expr::Case(mut case) if case.expr.is_some() => {
            let mut all: Vec<Expr> = case.expr.take().into_iter().map(|base| *base).collect();
            all.extend(case.when_then_expr.iter().map(|(when, _)| when.as_ref().clone()));
            let mut all = comparable(all, schema)?;
            case.expr = Some(Box::new(all.remove(0)));
            for ((when, _), fitted) in case.when_then_expr.iter_mut().zip(all) {
                **when = fitted;
            }
            Ok(Transformed::yes(Expr::Case(case)))
        }
        other => Ok(Transformed::no(other)),
    }
}
