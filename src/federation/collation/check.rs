//! I8: no finished plan compares text under a collation by its bytes.
//!
//! The rule sees to it; this finds what a later rule, or a fault of ours, would have slipped in.

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result, internal_err};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Operator, WindowFunctionDefinition};

use super::expressions::{Rewriter, Scope, data_type};
use super::kind::{Collations, Kind, is_text};
use super::rule::{columns_of, input_schema};

/// Fails with an internal error if `plan`, analysed and optimised, compares text under a collation by its bytes
/// (I8).
pub fn check_compares_no_text_by_bytes(plan: &LogicalPlan, collations: &Collations) -> Result<()> {
    let checker = Checker { rewriter: Rewriter::new(collations) };
    plan.apply_with_subqueries(|plan| {
        checker.node(plan)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

struct Checker<'a> {
    rewriter: Rewriter<'a>,
}

impl Checker<'_> {
    fn node(&self, plan: &LogicalPlan) -> Result<()> {
        let schema = Arc::new(input_schema(plan));
        let scope = Scope { schema: &schema, outer: &[] };
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                self.expr(expr, scope)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        match plan {
            LogicalPlan::Aggregate(aggregate) => grouping_set_to_exprlist(&aggregate.group_expr)?
                .into_iter()
                .try_for_each(|expr| self.grouped(expr, scope, "GROUP BY")),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                columns_of(input.schema()).iter().try_for_each(|column| self.grouped(column, scope, "DISTINCT"))
            }
            LogicalPlan::Distinct(Distinct::On(distinct)) => {
                distinct.on_expr.iter().try_for_each(|expr| self.grouped(expr, scope, "DISTINCT ON"))
            }
            LogicalPlan::Sort(sort) => sort.expr.iter().try_for_each(|sort| self.ordered(&sort.expr, scope)),
            LogicalPlan::Join(join) => {
                join.on.iter().try_for_each(|(left, right)| self.compared([left, right], scope, "a join"))
            }
            _ => Ok(()),
        }
    }

    fn expr(&self, expr: &Expr, scope: Scope<'_>) -> Result<()> {
        match expr {
            Expr::BinaryExpr(binary) if compares(binary.op) => {
                self.compared([&*binary.left, &*binary.right], scope, "a comparison")
            }
            Expr::Like(like) => self.compared([&*like.expr, &*like.pattern], scope, "LIKE"),
            Expr::Between(between) => {
                self.compared([&*between.expr, &*between.low, &*between.high], scope, "BETWEEN")
            }
            Expr::InList(list) => self.compared(std::iter::once(&*list.expr).chain(&list.list), scope, "IN"),
            Expr::Case(case) => match &case.expr {
                Some(base) => case
                    .when_then_expr
                    .iter()
                    .try_for_each(|(when, _)| self.compared([&**base, &**when], scope, "CASE")),
                None => Ok(()),
            },
            Expr::InSubquery(query) => self.against(&query.expr, &query.subquery.subquery, scope),
            Expr::SetComparison(query) => self.against(&query.expr, &query.subquery.subquery, scope),
            Expr::ScalarFunction(function) if matches!(function.name(), "nullif" | "greatest" | "least") => {
                self.compared(&function.args, scope, function.name())
            }
            Expr::AggregateFunction(call) => {
                self.aggregate(call.func.name(), &call.params.args, call.params.distinct, scope)?;
                call.params.order_by.iter().try_for_each(|sort| self.ordered(&sort.expr, scope))
            }
            Expr::WindowFunction(call) => {
                if let WindowFunctionDefinition::AggregateUDF(function) = &call.fun {
                    self.aggregate(function.name(), &call.params.args, call.params.distinct, scope)?;
                }
                for partition in &call.params.partition_by {
                    self.grouped(partition, scope, "PARTITION BY")?;
                }
                call.params.order_by.iter().try_for_each(|sort| self.ordered(&sort.expr, scope))
            }
            _ => Ok(()),
        }
    }

    fn aggregate(&self, name: &str, args: &[Expr], distinct: bool, scope: Scope<'_>) -> Result<()> {
        match name {
            "min" | "max" => self.compared(args, scope, name),
            "approx_distinct" => args.iter().try_for_each(|arg| self.grouped(arg, scope, name)),
            _ if distinct => args.iter().try_for_each(|arg| self.grouped(arg, scope, name)),
            _ => Ok(()),
        }
    }

    fn kind(&self, expr: &Expr, scope: Scope<'_>) -> Kind {
        match self.rewriter.expr(expr.clone(), scope) {
            Ok((_, kind)) => kind,
            Err(_) => Kind::Plain,
        }
    }

    fn compared<'e>(
        &self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        scope: Scope<'_>,
        what: &str,
    ) -> Result<()> {
        let mut kinds = Vec::new();
        for expr in exprs {
            let as_text = data_type(expr, scope).is_none_or(|t| is_text(&t) || t.is_null());
            if !as_text {
                return Ok(());
            }
            kinds.push((self.kind(expr, scope), expr));
        }
        match Kind::meet(kinds.iter().map(|(kind, _)| kind)) {
            Some(met) if !matches!(met.comparison.key(self.rewriter.collations, ""), Ok(None)) => {
                let named = kinds.iter().find(|(kind, _)| *kind != Kind::Plain).map(|(_, expr)| *expr);
                found(what, named)
            }
            _ => Ok(()),
        }
    }

    fn against(&self, expr: &Expr, subquery: &LogicalPlan, scope: Scope<'_>) -> Result<()> {
        let field = subquery.schema().field(0);
        if !is_text(field.data_type()) {
            return Ok(());
        }
        let column = Expr::Column(Column::from(subquery.schema().qualified_field(0)));
        let kinds = [self.kind(expr, scope), Kind::of_field(field)];
        match Kind::meet(&kinds) {
            Some(met) if !matches!(met.comparison.key(self.rewriter.collations, ""), Ok(None)) => {
                found("IN", Some(&column))
            }
            _ => Ok(()),
        }
    }

    fn grouped(&self, expr: &Expr, scope: Scope<'_>, what: &str) -> Result<()> {
        match self.rewriter.group_key(expr, &self.kind(expr, scope)) {
            Ok(None) => Ok(()),
            _ => found(what, Some(expr)),
        }
    }

    fn ordered(&self, expr: &Expr, scope: Scope<'_>) -> Result<()> {
        match self.rewriter.order_key(expr.clone(), &self.kind(expr, scope)) {
            Ok(key) if key == *expr => Ok(()),
            _ => found("ORDER BY", Some(expr)),
        }
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn found(what: &str, expr: Option<&Expr>) -> Result<()> {
    let expr = expr.map(Expr::to_string).unwrap_or_default();
    internal_err!("I8: {what} compares the text {expr} by its bytes, not under its collation")
}
