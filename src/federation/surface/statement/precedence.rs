//! `a IS DISTINCT FROM b AND c` is `(a IS DISTINCT FROM b) AND c`, as in PostgreSQL.
//!
//! The parser reads all that follows FROM, up to the next parenthesis, as the right side. So where AND or OR stand
//! there, the whole chain of conditions around is taken apart and put together anew.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Statement, UnaryOperator, Value, VisitMut, VisitorMut,
};

/// Gives `IS [NOT] DISTINCT FROM` its place between the operators of `statement`.
pub(in crate::federation::surface) fn settle(statement: &mut Statement) {
    let mut search = Search(false);
    let _ = VisitMut::visit(statement, &mut search);
    if search.0 {
        let _ = VisitMut::visit(statement, &mut Settle);
    }
}

/// Whether there is one that has taken too much.
struct Search(bool);

impl VisitorMut for Search {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let distinct = matches!(expr, Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..));
        if distinct && takes_too_much(expr) {
            self.0 = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

struct Settle;

impl VisitorMut for Settle {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if takes_too_much(expr) {
            let mut parts = Vec::new();
            take_apart(std::mem::replace(expr, nothing()), &mut parts);
            let mut parts = parts.into_iter().peekable();
            *expr = alternatives(&mut parts);
        }
        ControlFlow::Continue(())
    }
}

/// Whether AND, OR or NOT stand on the right side of one, outside of parentheses, in this chain of conditions.
#[recursive::recursive]
fn takes_too_much(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
            takes_too_much(left) || takes_too_much(right)
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => takes_too_much(expr),
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => match &**right {
            Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. }
            | Expr::UnaryOp { op: UnaryOperator::Not, .. } => true,
            right => takes_too_much(right),
        },
        _ => false,
    }
}

enum Part {
    Operand(Box<Expr>),
    And,
    Or,
    Not,
}

#[recursive::recursive]
fn take_apart(expr: Expr, parts: &mut Vec<Part>) {
    let distinct =
        |expr: Expr, parts: &mut Vec<Part>, make: fn(Box<Expr>, Box<Expr>) -> Expr, left: Box<Expr>| {
            let at = parts.len();
            take_apart(expr, parts);
            // `NOT x` on the right side stays there.
            let own = parts[at..].iter().take_while(|part| matches!(part, Part::Not)).count() + 1;
            let rest = parts.split_off(at + own);
            let mut own = parts.split_off(at).into_iter().peekable();
            parts.push(Part::Operand(Box::new(make(left, Box::new(negation(&mut own))))));
            parts.extend(rest);
        };
    match expr {
        Expr::BinaryOp { left, op: op @ (BinaryOperator::And | BinaryOperator::Or), right } => {
            take_apart(*left, parts);
            parts.push(if op == BinaryOperator::And { Part::And } else { Part::Or });
            take_apart(*right, parts);
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            parts.push(Part::Not);
            take_apart(*expr, parts);
        }
        Expr::IsDistinctFrom(left, right) => distinct(*right, parts, Expr::IsDistinctFrom, left),
        Expr::IsNotDistinctFrom(left, right) => distinct(*right, parts, Expr::IsNotDistinctFrom, left),
        other => parts.push(Part::Operand(Box::new(other))),
    }
}

type Parts = std::iter::Peekable<std::vec::IntoIter<Part>>;

fn alternatives(parts: &mut Parts) -> Expr {
    let mut left = conjunction(parts);
    while parts.next_if(|part| matches!(part, Part::Or)).is_some() {
        left = joined(left, BinaryOperator::Or, conjunction(parts));
    }
    left
}

fn conjunction(parts: &mut Parts) -> Expr {
    let mut left = negation(parts);
    while parts.next_if(|part| matches!(part, Part::And)).is_some() {
        left = joined(left, BinaryOperator::And, negation(parts));
    }
    left
}

fn negation(parts: &mut Parts) -> Expr {
    let mut times = 0;
    loop {
        match parts.next() {
            Some(Part::Not) => times += 1,
            Some(Part::Operand(operand)) => {
                return (0..times)
                    .fold(*operand, |expr, _| Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) });
            }
            // Each operator was taken from between two operands.
            Some(Part::And | Part::Or) | None => return nothing(),
        }
    }
}

fn nothing() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    /// The condition with all its parentheses, once settled.
    fn grouped(expr: &Expr) -> String {
        match expr {
            Expr::BinaryOp { left, op, right } => format!("({} {op} {})", grouped(left), grouped(right)),
            Expr::UnaryOp { op, expr } => format!("({op} {})", grouped(expr)),
            Expr::IsDistinctFrom(left, right) => format!("({} <!> {})", grouped(left), grouped(right)),
            Expr::IsNotDistinctFrom(left, right) => format!("({} <=> {})", grouped(left), grouped(right)),
            other => other.to_string(),
        }
    }

    #[test]
    fn is_distinct_from_binds_more_than_and_or_and_not() {
        for (written, read) in [
            ("a IS DISTINCT FROM b AND c", "((a <!> b) AND c)"),
            ("a IS NOT DISTINCT FROM b OR c AND d", "((a <=> b) OR (c AND d))"),
            ("x AND a IS DISTINCT FROM b OR c", "((x AND (a <!> b)) OR c)"),
            ("NOT a IS DISTINCT FROM b AND c", "((NOT (a <!> b)) AND c)"),
            ("a IS DISTINCT FROM b AND c IS NOT DISTINCT FROM d AND e", "(((a <!> b) AND (c <=> d)) AND e)"),
            ("a IS DISTINCT FROM b + 1 AND c", "((a <!> (b + 1)) AND c)"),
            ("a IS DISTINCT FROM NOT b AND c", "((a <!> (NOT b)) AND c)"),
            ("a IS DISTINCT FROM (b AND c)", "(a <!> (b AND c))"),
            ("a IS DISTINCT FROM b", "(a <!> b)"),
            ("x OR y AND NOT z", "(x OR (y AND (NOT z)))"),
        ] {
            let sql = format!("SELECT 1 WHERE {written}");
            let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, &sql).unwrap().remove(0);
            settle(&mut statement);
            let Statement::Query(query) = &statement else { panic!("{statement}") };
            let condition = query.body.as_select().unwrap().selection.as_ref().unwrap();
            assert_eq!(grouped(condition), read, "{written}");
        }
    }
}
