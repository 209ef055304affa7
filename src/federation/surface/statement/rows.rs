//! Rows that are compared, as `(a, b) = (c, d)`: part by part. DataFusion makes structs of them, in which NULL equals NULL.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};

/// What `expr`, a comparison of rows of one length, says of their parts; `None` if it is none.
pub(in crate::federation::surface) fn compared(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::BinaryOp { left, op, right } => comparison(row(left)?, op, row(right)?),
        Expr::InList { expr, list, negated } => {
            let left = row(expr)?;
            let each = list.iter().map(|item| comparison(left, &BinaryOperator::Eq, row(item)?));
            let any = balanced(&each.collect::<Option<Vec<_>>>()?)?;
            Some(opposite(any, *negated))
        }
        Expr::Between { expr, negated, low, high } => {
            let above = comparison(row(expr)?, &BinaryOperator::GtEq, row(low)?)?;
            let below = comparison(row(expr)?, &BinaryOperator::LtEq, row(high)?)?;
            Some(opposite(joined(above, BinaryOperator::And, below), *negated))
        }
        _ => None,
    }
}

/// The parts of a row; `None` if `expr` is none.
pub(in crate::federation::surface) fn row(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::Tuple(parts) if !parts.is_empty() => Some(parts),
        Expr::Nested(inner) => row(inner),
        _ => None,
    }
}

fn comparison(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if left.len() != right.len() {
        return None;
    }
    let strict = match op {
        Eq | NotEq => op,
        Lt | LtEq => &Lt,
        Gt | GtEq => &Gt,
        _ => return None,
    };
    let mut parts = left.iter().zip(right).rev();
    let part =
        |op: &BinaryOperator, (left, right): (&Expr, &Expr)| joined(left.clone(), op.clone(), right.clone());
    let last = part(op, parts.next()?);
    Some(parts.fold(last, |rest, pair| match op {
        Eq => joined(part(&Eq, pair), And, rest),
        NotEq => joined(part(&NotEq, pair), Or, rest),
        _ => joined(part(strict, pair), Or, joined(part(&Eq, pair), And, rest)),
    }))
}

/// One of `conditions`, in a tree that is no deeper than it must be.
fn balanced(conditions: &[Expr]) -> Option<Expr> {
    match conditions {
        [] => None,
        [one] => Some(one.clone()),
        more => {
            let (first, second) = more.split_at(more.len() / 2);
            Some(joined(balanced(first)?, BinaryOperator::Or, balanced(second)?))
        }
    }
}

/// `left` and `right` by `op`, in parentheses.
pub(in crate::federation::surface) fn joined(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::Nested(Box::new(Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }))
}

/// `expr`, or NOT of it.
pub(in crate::federation::surface) fn opposite(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(expr) } } else { expr }
}
