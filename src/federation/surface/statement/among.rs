//! Rows that are looked for in a subquery, as `(a, b) IN (SELECT …)`, which DataFusion does not know: it becomes EXISTS
//! over that subquery.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Value, visit_expressions,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::exists::has_a_row_for_each;
use super::rows::{joined, opposite, row};

/// What a subquery is called in which a row is looked for.
const ROWS: &str = "__rows";

/// Replaces `(a, b) IN (SELECT …)` in `condition`, which rows have to meet: there NULL is as good as false.
pub(in crate::federation::surface) fn found(condition: &mut Expr) {
    match condition {
        Expr::Nested(inner) => found(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            found(left);
            found(right);
        }
        Expr::InSubquery { expr, subquery, negated } => {
            let among = row(expr).and_then(|row| equal(row, subquery, *negated));
            if let Some(among) = among {
                *condition = Expr::Exists { subquery: Box::new(among), negated: *negated };
            }
        }
        _ => {}
    }
}

/// `(a, b) IN (SELECT …)` as a value: true where a row is equal, else NULL where one may be; `None` if `expr` is none.
pub(in crate::federation::surface) fn membership(expr: &Expr) -> Option<Expr> {
    let Expr::InSubquery { expr, subquery, negated } = expr else { return None };
    let row = row(expr)?;
    let exists = |of: Query| Expr::Exists { subquery: Box::new(of), negated: false };
    let null = Expr::Value(Value::Null.with_empty_span());
    let unknown = joined(exists(equal(row, subquery, true)?), BinaryOperator::And, null);
    let is_there = joined(exists(equal(row, subquery, false)?), BinaryOperator::Or, unknown);
    Some(opposite(is_there, *negated))
}

/// The rows of `subquery` that are equal to `row`, or of which with `perhaps` it is not known that they are not.
fn equal(row: &[Expr], subquery: &Query, perhaps: bool) -> Option<Query> {
    let meet = |others: Vec<Expr>| {
        let pairs = row.iter().cloned().zip(others);
        let parts = pairs.map(|(part, other)| joined(part, BinaryOperator::Eq, other));
        let equal = parts.reduce(|left, right| joined(left, BinaryOperator::And, right))?;
        Some(if perhaps { Expr::IsNotFalse(Box::new(equal)) } else { equal })
    };
    if let Some(others) = results(subquery).filter(|others| others.len() == row.len())
        && let SetExpr::Select(select) = &*subquery.body
        && has_a_row_for_each(select)
        && row.iter().all(|part| means_the_same_in(part, select))
    {
        let mut query = subquery.clone();
        query.order_by = None;
        let SetExpr::Select(select) = &mut *query.body else { return None };
        let one = Value::Number("1".to_owned(), false).with_empty_span();
        select.projection = vec![SelectItem::UnnamedExpr(Expr::Value(one))];
        let equal = meet(others)?;
        select.selection = Some(match select.selection.take() {
            Some(before) => joined(Expr::Nested(Box::new(before)), BinaryOperator::And, equal),
            None => equal,
        });
        return Some(query);
    }
    around(subquery, row.len(), meet)
}

/// A query around `subquery`, whose results are called something that no query has, of those that `meet` a condition.
fn around(subquery: &Query, columns: usize, meet: impl FnOnce(Vec<Expr>) -> Option<Expr>) -> Option<Query> {
    let names: Vec<Ident> = (1..=columns).map(|place| Ident::new(format!("__{place}"))).collect();
    let mut subquery = subquery.clone();
    let list = match renamed(&mut subquery, &names) {
        true => String::new(),
        false => format!("({})", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let sql = format!("SELECT 1 FROM (SELECT 1) AS {ROWS} {list}");
    let Statement::Query(mut query) = Parser::parse_sql(&PostgreSqlDialect {}, &sql).ok()?.pop()? else {
        return None;
    };
    let SetExpr::Select(select) = &mut *query.body else { return None };
    let TableFactor::Derived { subquery: within, .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **within = subquery;
    let column = |name| Expr::CompoundIdentifier(vec![Ident::new(ROWS), name]);
    select.selection = Some(meet(names.into_iter().map(column).collect())?);
    Some(*query)
}

/// Calls the results of `query` by `names`, if nothing in it asks for them by those that they have.
fn renamed(query: &mut Query, names: &[Ident]) -> bool {
    let Some(results) = results(query).filter(|results| results.len() == names.len()) else { return false };
    let SetExpr::Select(select) = &mut *query.body else { return false };
    if query.order_by.is_some() || !is_ungrouped(select) || select.having.is_some() || select.qualify.is_some()
    {
        return false;
    }
    let named = results.into_iter().zip(names);
    select.projection =
        named.map(|(expr, alias)| SelectItem::ExprWithAlias { expr, alias: alias.clone() }).collect();
    true
}

fn is_ungrouped(select: &Select) -> bool {
    matches!(&select.group_by, GroupByExpr::Expressions(by, with) if by.is_empty() && with.is_empty())
}

/// What a query without LIMIT selects, one by one.
fn results(query: &Query) -> Option<Vec<Expr>> {
    let SetExpr::Select(select) = &*query.body else { return None };
    if query.limit_clause.is_some() || query.fetch.is_some() {
        return None;
    }
    select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

/// Whether all columns of `part` are of tables that are named, and are none of those that `select` reads.
fn means_the_same_in(part: &Expr, select: &Select) -> bool {
    let Some(tables) = tables(&select.from) else { return false };
    let checked = visit_expressions(part, |expr| match expr {
        Expr::Identifier(_) | Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        Expr::CompoundIdentifier(names) => {
            let hidden = names.iter().rev().skip(1).any(|name| tables.contains(&name.value.to_lowercase()));
            if hidden { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        _ => ControlFlow::Continue(()),
    });
    checked.is_continue()
}

/// By which names columns of `from` are known, in small letters; `None` if there may be others.
fn tables(from: &[TableWithJoins]) -> Option<Vec<String>> {
    let factors = from.iter().flat_map(|table| {
        std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
    });
    factors
        .map(|factor| match factor {
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                Some(alias.name.value.to_lowercase())
            }
            TableFactor::Table { name, alias: None, .. } => {
                Some(name.0.last()?.as_ident()?.value.to_lowercase())
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_looked_for_in_subqueries() {
        let check = |sql: &str, expected: &str| {
            let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
            crate::federation::surface::rewrite_conditions(&mut statements[0]);
            assert_eq!(statements[0].to_string(), expected);
        };
        check(
            "SELECT a FROM t WHERE (t.a, t.b) IN (SELECT c, d FROM u WHERE d > t.b) AND a > 1",
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE ((d > t.b) AND ((t.a = c) AND (t.b = d)))) AND a > 1",
        );
        check(
            "SELECT a FROM t WHERE (a, b) NOT IN (SELECT c, d FROM u)",
            "SELECT a FROM t WHERE NOT EXISTS (SELECT 1 FROM (SELECT c AS __1, d AS __2 FROM u) AS __rows \
             WHERE ((a = __rows.__1) AND (b = __rows.__2)) IS NOT FALSE)",
        );
        check(
            "SELECT a FROM t WHERE (t.a, 1) IN (SELECT c, count(*) FROM t GROUP BY c)",
            "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM (SELECT c, count(*) FROM t GROUP BY c) AS __rows (__1, __2) \
             WHERE ((t.a = __rows.__1) AND (1 = __rows.__2)))",
        );
        check(
            "SELECT a FROM t WHERE (a) IN (SELECT c FROM u)",
            "SELECT a FROM t WHERE (a) IN (SELECT c FROM u)",
        );
    }
}
