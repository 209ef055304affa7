//! EXISTS as a value: `SELECT EXISTS (SELECT …)`, which DataFusion plans in a condition only. There it is left; in a
//! list it becomes `(SELECT count(*) …) > 0`. And IN with a subquery, of which DataFusion has one name for all, is
//! called in a list as it is written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, LimitClause, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Replaces what `item` has of EXISTS, but not what is within its subqueries.
pub(in crate::federation::surface) fn as_value(item: &mut SelectItem) {
    let before = match &*item {
        SelectItem::UnnamedExpr(expr) => Some(expr.clone()),
        _ => None,
    };
    let mut has_in = false;
    outside_subqueries(item, |expr| {
        has_in |= matches!(expr, Expr::InSubquery { .. });
        count(expr);
    });
    let (SelectItem::UnnamedExpr(expr), Some(before)) = (&*item, before) else { return };
    let alias = match before {
        Expr::Exists { .. } => "exists".into(),
        before if has_in => Ident::with_quote('"', before.to_string()),
        _ => return,
    };
    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
}

/// Takes from `query`, of which EXISTS asks, the names of its results: nobody sees them, and DataFusion would confuse
/// them with columns of the same names by which the subquery is joined.
pub(in crate::federation::surface) fn unnamed(query: &mut Query) {
    let SetExpr::Select(select) = &mut *query.body else { return };
    if query.order_by.is_some() || !has_a_row_for_each(select) {
        return;
    }
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { expr, .. } = item {
            *item = SelectItem::UnnamedExpr(expr.clone());
        }
    }
}

/// Gives `each` the expressions of `part`, innermost first, but not those within its subqueries.
fn outside_subqueries(part: &mut impl VisitMut, each: impl FnMut(&mut Expr)) {
    struct Outside<F> {
        /// Subqueries around the expression.
        depth: usize,
        each: F,
    }

    impl<F: FnMut(&mut Expr)> VisitorMut for Outside<F> {
        type Break = ();

        fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if self.depth == 0 {
                (self.each)(expr);
            }
            ControlFlow::Continue(())
        }
    }

    let _ = part.visit(&mut Outside { depth: 0, each });
}

/// Replaces `expr` if it is EXISTS.
fn count(expr: &mut Expr) {
    if let Expr::Exists { subquery, negated } = expr
        && let Some(counted) = counted((**subquery).clone())
    {
        let op = if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt };
        let zero = Expr::Value(Value::Number("0".to_owned(), false).with_empty_span());
        let compared =
            Expr::BinaryOp { left: Box::new(Expr::Subquery(Box::new(counted))), op, right: Box::new(zero) };
        *expr = Expr::Nested(Box::new(compared));
    }
}

/// The number of rows of `query`, as a query.
fn counted(mut query: Query) -> Option<Query> {
    let mut counting = template()?;
    // Whether there is a row does not depend on their order, nor on how many more there may be.
    query.order_by = None;
    if let Some(LimitClause::LimitOffset { limit: Some(Expr::Value(limit)), offset: None, limit_by }) =
        &query.limit_clause
        && limit_by.is_empty()
        && matches!(&limit.value, Value::Number(number, _) if number.parse::<u64>().is_ok_and(|n| n > 0))
    {
        query.limit_clause = None;
    }
    let SetExpr::Select(count) = &mut *counting.body else { return None };
    if let SetExpr::Select(select) = &mut *query.body
        && query.limit_clause.is_none()
        && query.fetch.is_none()
        && has_a_row_for_each(select)
    {
        select.projection.clone_from(&count.projection);
        return Some(query);
    }
    let TableFactor::Derived { subquery, .. } = &mut count.from.first_mut()?.relation else { return None };
    **subquery = query;
    Some(counting)
}

/// Whether `select` gives a row for each row of its FROM that passes WHERE.
pub(in crate::federation::surface) fn has_a_row_for_each(select: &Select) -> bool {
    let plain = |item: &SelectItem| match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            matches!(expr, Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        }
        SelectItem::ExprWithAliases { .. } => false,
    };
    let ungrouped =
        matches!(&select.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty());
    ungrouped
        && select.distinct.is_none()
        && select.having.is_none()
        && select.qualify.is_none()
        && select.projection.iter().all(plain)
}

fn template() -> Option<Query> {
    let sql = "SELECT count(*) FROM (SELECT 1) AS found";
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop()? {
        Statement::Query(query) => Some(*query),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn becomes_a_count_in_a_list_and_stays_in_a_condition() {
        let check = |sql: &str, expected: &str| {
            let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
            crate::federation::surface::rewrite_conditions(&mut statements[0]);
            assert_eq!(statements[0].to_string(), expected);
        };
        check(
            "SELECT EXISTS (SELECT 1 FROM t WHERE a = b)",
            "SELECT ((SELECT count(*) FROM t WHERE a = b) > 0) AS exists",
        );
        check(
            "SELECT NOT EXISTS (SELECT max(a) FROM t) AS e FROM u WHERE EXISTS (SELECT 1 FROM t)",
            "SELECT ((SELECT count(*) FROM (SELECT max(a) FROM t) AS found) = 0) AS e FROM u \
             WHERE EXISTS (SELECT 1 FROM t)",
        );
        check(
            "SELECT CASE WHEN EXISTS (SELECT * FROM t LIMIT 1) THEN 1 END FROM u",
            "SELECT CASE WHEN ((SELECT count(*) FROM t) > 0) THEN 1 END FROM u",
        );
        check(
            "SELECT EXISTS (SELECT a FROM t ORDER BY a LIMIT 1 OFFSET 2) AS e",
            "SELECT ((SELECT count(*) FROM (SELECT a FROM t LIMIT 1 OFFSET 2) AS found) > 0) AS e",
        );
    }
}
