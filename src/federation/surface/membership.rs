//! `x IN (SELECT …)` as a value, which is NULL where it is not known: no row is equal to x, but x or a row is NULL.
//!
//! DataFusion plans it where it decides whether a row stays, and there NULL is as good as false. Anywhere else it
//! becomes a CASE over counts of the subquery's rows: those equal to x, those that are NULL, and all.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, SelectItem, SetExpr, TableFactor, UnaryOperator, Visit,
    Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::exists::outside_subqueries;

/// The most subqueries that are repeated to make one CASE: x is in it twice and the subquery three times, each of
/// which may hold such a CASE already.
const MOST_REPEATED: usize = 8;

/// Replaces `expr` if it is `x IN (SELECT …)`, unless too much would be repeated; whether it was.
pub(super) fn as_value(expr: &mut Expr) -> bool {
    if let Expr::InSubquery { expr: x, subquery, negated } = expr
        && !matches!(**x, Expr::Tuple(_))
        && may_be_repeated(x, subquery)
        && let Some(value) = value(x, subquery, *negated)
    {
        *expr = Expr::Nested(Box::new(value));
        return true;
    }
    false
}

/// Whether `x` and `subquery` hold no more than may be repeated.
fn may_be_repeated(x: &Expr, subquery: &Query) -> bool {
    struct Room(usize);
    impl Visitor for Room {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            match self.0.checked_sub(1) {
                Some(left) => self.0 = left,
                None => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        }
    }
    let mut room = Room(MOST_REPEATED);
    x.visit(&mut room).is_continue() && subquery.visit(&mut room).is_continue()
}

/// Replaces what `condition`, by which rows stay, has of `x IN (SELECT …)` where NULL and false differ.
pub(super) fn in_condition(condition: &mut Expr) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            in_condition(left);
            in_condition(right);
        }
        Expr::Nested(inner) => in_condition(inner),
        Expr::InSubquery { .. } => {}
        Expr::UnaryOp { op: UnaryOperator::Not, expr } if matches!(**expr, Expr::InSubquery { .. }) => {}
        other => within(other),
    }
}

/// The same below what is no AND, where a NOT is no longer planned for by itself.
fn within(condition: &mut Expr) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            within(left);
            within(right);
        }
        Expr::Nested(inner) => within(inner),
        Expr::InSubquery { negated: false, .. } => {}
        other => as_values(other),
    }
}

/// Replaces each `x IN (SELECT …)` in `expr`, but not what is within its subqueries.
pub(super) fn as_values(expr: &mut Expr) {
    outside_subqueries(expr, |expr| {
        as_value(expr);
    });
}

fn value(x: &Expr, subquery: &Query, negated: bool) -> Option<Expr> {
    let (row, counted) = counting(subquery)?;
    let equal =
        Expr::BinaryOp { left: Box::new(row.clone()), op: BinaryOperator::Eq, right: Box::new(x.clone()) };
    let mut value = template(
        "CASE WHEN 1 > 0 THEN true WHEN 1 > 0 THEN NULL WHEN 1 IS NULL AND 1 > 0 THEN NULL ELSE false END",
    )?;
    let Expr::Case { conditions, else_result: Some(otherwise), .. } = &mut value else { return None };
    let [is_equal, is_null, without] = conditions.as_mut_slice() else { return None };
    *left(&mut is_equal.condition)? = counted.of(Some(equal))?;
    *left(&mut is_null.condition)? = counted.of(Some(Expr::IsNull(Box::new(row))))?;
    let Expr::BinaryOp { left: x_is_null, right: any, .. } = &mut without.condition else { return None };
    **x_is_null = Expr::IsNull(Box::new(x.clone()));
    *left(any)? = counted.of(None)?;
    if negated {
        std::mem::swap(&mut is_equal.result, otherwise);
    }
    Some(value)
}

/// What a comparison compares.
fn left(comparison: &mut Expr) -> Option<&mut Expr> {
    match comparison {
        Expr::BinaryOp { left, .. } => Some(left),
        _ => None,
    }
}

/// `(SELECT count(*) FROM (…))` of a query of one column.
struct Counted(Query);

impl Counted {
    /// The number of rows of which `condition` is true.
    fn of(&self, condition: Option<Expr>) -> Option<Expr> {
        let mut counting = self.0.clone();
        let SetExpr::Select(select) = &mut *counting.body else { return None };
        select.selection = condition;
        Some(Expr::Subquery(Box::new(counting)))
    }
}

/// Counts the rows of `query`, whose column is called as it is returned.
fn counting(query: &Query) -> Option<(Expr, Counted)> {
    let Expr::Subquery(counting) = template("(SELECT count(*) FROM (SELECT 1) AS __found (__in))")? else {
        return None;
    };
    let mut counting = *counting;
    let SetExpr::Select(select) = &mut *counting.body else { return None };
    let TableFactor::Derived { subquery, alias, .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **subquery = query.clone();
    let column = Ident::new("__in");
    // Names that nothing around has: x stands within, and means its own.
    let mut row = Expr::CompoundIdentifier(vec![Ident::new("__found"), column.clone()]);
    // DataFusion does not see through the name of a table what in it refers to columns from around.
    if let Some(item) = only_column(subquery)
        && let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = &*item
    {
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: column.clone() };
        *alias = None;
        row = Expr::Identifier(column);
    }
    Some((row, Counted(counting)))
}

/// The one column of `query`, if its name may be another.
fn only_column(query: &mut Query) -> Option<&mut SelectItem> {
    let SetExpr::Select(select) = &mut *query.body else { return None };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let unnamed = ungrouped && select.having.is_none() && select.qualify.is_none() && query.order_by.is_none();
    match select.projection.as_mut_slice() {
        [item] if unnamed => Some(item),
        _ => None,
    }
}

fn template(expr: &str) -> Option<Expr> {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(expr).ok()?.parse_expr().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sql: &str, expected: &str) {
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        super::super::rewrite_conditions(&mut statements[0]);
        assert_eq!(statements[0].to_string(), expected);
    }

    #[test]
    fn becomes_a_case_where_null_and_false_differ() {
        let case = |negated| {
            let (yes, no) = if negated { ("false", "true") } else { ("true", "false") };
            format!(
                "(CASE WHEN (SELECT count(*) FROM (SELECT c AS __in FROM u) WHERE __in = a) > 0 THEN {yes} \
                 WHEN (SELECT count(*) FROM (SELECT c AS __in FROM u) WHERE __in IS NULL) > 0 THEN NULL \
                 WHEN a IS NULL AND (SELECT count(*) FROM (SELECT c AS __in FROM u)) > 0 THEN NULL ELSE {no} END)"
            )
        };
        let is_in = case(false);
        check("SELECT a IN (SELECT c FROM u) AS x FROM t", &format!("SELECT {is_in} AS x FROM t"));
        check(
            "SELECT 1, a IN (SELECT c FROM u) FROM t",
            &format!("SELECT 1, {is_in} AS \"a IN (SELECT c FROM u)\" FROM t"),
        );
        check("SELECT a NOT IN (SELECT c FROM u) AS x FROM t", &format!("SELECT {} AS x FROM t", case(true)));
        check(
            "SELECT 1 FROM t WHERE b = 1 AND (b = 2 OR a NOT IN (SELECT c FROM u))",
            &format!("SELECT 1 FROM t WHERE b = 1 AND (b = 2 OR {})", case(true)),
        );
        check(
            "SELECT 1 FROM t WHERE (a IN (SELECT c FROM u)) IS NULL",
            &format!("SELECT 1 FROM t WHERE ({is_in}) IS NULL"),
        );
    }

    #[test]
    fn stays_where_a_row_stays_or_goes() {
        for sql in [
            "SELECT 1 FROM t WHERE a IN (SELECT c FROM u) AND b NOT IN (SELECT c FROM u)",
            "SELECT 1 FROM t WHERE NOT a IN (SELECT c FROM u)",
            "SELECT 1 FROM t WHERE b = 1 OR (a IN (SELECT c FROM u WHERE c NOT IN (SELECT 1)) AND b = 2)",
            "SELECT (SELECT b FROM u WHERE a IN (SELECT c FROM u)) FROM t",
        ] {
            check(sql, sql);
        }
    }
}
