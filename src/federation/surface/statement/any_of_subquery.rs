//! `x = ANY (SELECT …)` is `x IN (SELECT …)`, and `x <> ALL (SELECT …)` is `x NOT IN (SELECT …)`: as such sources are asked
//! for it, and it can stand in a list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement, VisitMut, VisitorMut};

use super::conditions::null;

/// Writes what is quantified in `statement` by equality as IN.
pub(in crate::federation::surface) fn settle(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Quantified);
}

struct Quantified;

impl VisitorMut for Quantified {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (left, right, negated) = match expr {
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => (left, right, false),
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => (left, right, true),
            _ => return ControlFlow::Continue(()),
        };
        if !matches!(**right, Expr::Subquery(_)) {
            return ControlFlow::Continue(());
        }
        if let Expr::Subquery(subquery) = std::mem::replace(right.as_mut(), null()) {
            let left = Box::new(std::mem::replace(left.as_mut(), null()));
            *expr = Expr::InSubquery { expr: left, subquery, negated };
        }
        ControlFlow::Continue(())
    }
}
