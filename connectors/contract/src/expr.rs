//! Conditions and values of a [`RemoteQuery`](crate::RemoteQuery).

use crate::{ColumnType, RemoteFunction, Value};

/// A condition or value that the server computes. Only what a test has shown to give the same there and here.
///
/// Conditions stand only where it matters whether they are true: false and NULL need not be told apart.
#[derive(Debug, Clone, PartialEq)]
pub enum RemoteExpr {
    /// A column of what is read, by its place.
    Column(usize),
    /// A literal of the type with which it is compared; always bound, never rendered, but for NULL as a value.
    Literal(Value, ColumnType),
    /// `left op right`.
    Compare {
        /// The comparison.
        op: CompareOp,
        /// Left side.
        left: Box<RemoteExpr>,
        /// Right side.
        right: Box<RemoteExpr>,
    },
    /// `expr [NOT] IN (list)`; the list is not empty.
    In {
        /// What is looked for.
        expr: Box<RemoteExpr>,
        /// Among these.
        list: Vec<RemoteExpr>,
        /// NOT IN.
        negated: bool,
    },
    /// `expr [NOT] BETWEEN low AND high`.
    Between {
        /// What is compared.
        expr: Box<RemoteExpr>,
        /// Lower bound, included.
        low: Box<RemoteExpr>,
        /// Upper bound, included.
        high: Box<RemoteExpr>,
        /// NOT BETWEEN.
        negated: bool,
    },
    /// `expr [NOT] LIKE pattern`, under the collation of `expr`, with `\` before what stands for itself.
    Like {
        /// The text.
        expr: Box<RemoteExpr>,
        /// The pattern.
        pattern: Box<RemoteExpr>,
        /// NOT LIKE.
        negated: bool,
    },
    /// `expr IS [NOT] NULL`.
    IsNull {
        /// What is tested.
        expr: Box<RemoteExpr>,
        /// IS NOT NULL.
        negated: bool,
    },
    /// The condition is false or NULL.
    NotTrue(Box<RemoteExpr>),
    /// All are true; not empty.
    And(Vec<RemoteExpr>),
    /// One is true; not empty.
    Or(Vec<RemoteExpr>),
    /// `left op right`, on exact numbers.
    Arithmetic {
        /// What is done.
        op: ArithmeticOp,
        /// Left side.
        left: Box<RemoteExpr>,
        /// Right side.
        right: Box<RemoteExpr>,
    },
    /// A number as a DECIMAL or BIGINT that has room for all its digits; a date as the moment at which it begins, a moment as
    /// its date.
    Cast {
        /// The value.
        expr: Box<RemoteExpr>,
        /// [`ColumnType::Decimal`], [`ColumnType::BigInt`], [`ColumnType::Date`] or [`ColumnType::DateTime`].
        to: ColumnType,
    },
    /// What a function makes of values.
    Call {
        /// The function.
        function: RemoteFunction,
        /// As many as it takes.
        args: Vec<RemoteExpr>,
    },
    /// The value of the first condition that is true.
    Case {
        /// Conditions with their values; not empty.
        branches: Vec<(RemoteExpr, RemoteExpr)>,
        /// The value where none is true; NULL where there is none.
        otherwise: Option<Box<RemoteExpr>>,
    },
}

impl RemoteExpr {
    /// The columns that it is made of, by their places; one may come several times.
    pub fn places(&self) -> Vec<usize> {
        let mut places = Vec::new();
        self.visit(&mut |expr| {
            if let Self::Column(place) = expr {
                places.push(*place);
            }
        });
        places
    }

    /// How many literals it holds.
    pub fn literals(&self) -> usize {
        let mut literals = 0;
        self.visit(&mut |expr| literals += usize::from(matches!(expr, Self::Literal(..))));
        literals
    }

    /// Of a condition: a column that is not NULL where it is true.
    pub fn not_null(&self) -> Option<usize> {
        let compared = match self {
            Self::Compare { left, right, .. } => match (&**left, &**right) {
                (Self::Column(_), Self::Literal(..)) => left,
                (Self::Literal(..), Self::Column(_)) => right,
                _ => return None,
            },
            Self::In { expr, .. }
            | Self::Between { expr, .. }
            | Self::Like { expr, .. }
            | Self::IsNull { expr, negated: true } => expr,
            _ => return None,
        };
        match **compared {
            Self::Column(place) => Some(place),
            _ => None,
        }
    }

    /// Makes each of its columns the one at the place that `to` gives for its own.
    pub fn renumber(&mut self, to: &impl Fn(usize) -> usize) {
        match self {
            Self::Column(place) => *place = to(*place),
            Self::Literal(..) => {}
            Self::Compare { left, right, .. } | Self::Arithmetic { left, right, .. } => {
                [left, right].into_iter().for_each(|part| part.renumber(to));
            }
            Self::In { expr, list, .. } => {
                expr.renumber(to);
                list.iter_mut().for_each(|item| item.renumber(to));
            }
            Self::Between { expr, low, high, .. } => {
                [expr, low, high].into_iter().for_each(|part| part.renumber(to));
            }
            Self::Like { expr, pattern, .. } => {
                [expr, pattern].into_iter().for_each(|part| part.renumber(to));
            }
            Self::IsNull { expr, .. } | Self::Cast { expr, .. } | Self::NotTrue(expr) => expr.renumber(to),
            Self::And(parts) | Self::Or(parts) | Self::Call { args: parts, .. } => {
                parts.iter_mut().for_each(|part| part.renumber(to));
            }
            Self::Case { branches, otherwise } => {
                for (when, then) in branches {
                    when.renumber(to);
                    then.renumber(to);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.renumber(to);
                }
            }
        }
    }

    /// Calls `visit` with it and all that it is made of.
    fn visit(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match self {
            Self::Column(_) | Self::Literal(..) => {}
            Self::Compare { left, right, .. } | Self::Arithmetic { left, right, .. } => {
                left.visit(visit);
                right.visit(visit);
            }
            Self::In { expr, list, .. } => {
                expr.visit(visit);
                list.iter().for_each(|item| item.visit(visit));
            }
            Self::Between { expr, low, high, .. } => {
                [expr, low, high].into_iter().for_each(|part| part.visit(visit));
            }
            Self::Like { expr, pattern, .. } => {
                expr.visit(visit);
                pattern.visit(visit);
            }
            Self::IsNull { expr, .. } | Self::Cast { expr, .. } | Self::NotTrue(expr) => expr.visit(visit),
            Self::And(parts) | Self::Or(parts) | Self::Call { args: parts, .. } => {
                parts.iter().for_each(|part| part.visit(visit));
            }
            Self::Case { branches, otherwise } => {
                for (when, then) in branches {
                    when.visit(visit);
                    then.visit(visit);
                }
                if let Some(otherwise) = otherwise {
                    otherwise.visit(visit);
                }
            }
        }
    }
}

/// A comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum CompareOp {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

impl CompareOp {
    /// What holds of `b` and `a` where this holds of `a` and `b`.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
            same @ (Self::Eq | Self::NotEq) => same,
        }
    }

    /// What holds where this does not, of values that are not NULL.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Eq => Self::NotEq,
            Self::NotEq => Self::Eq,
            Self::Lt => Self::GtEq,
            Self::GtEq => Self::Lt,
            Self::Gt => Self::LtEq,
            Self::LtEq => Self::Gt,
        }
    }
}

/// An operation on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
}

#[cfg(test)]
mod tests {
    use super::CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    use super::*;

    #[test]
    fn a_comparison_can_be_turned_and_denied() {
        let holds = |op: CompareOp, a: i32, b: i32| match op {
            Eq => a == b,
            NotEq => a != b,
            Lt => a < b,
            LtEq => a <= b,
            Gt => a > b,
            GtEq => a >= b,
        };
        for op in [Eq, NotEq, Lt, LtEq, Gt, GtEq] {
            for (a, b) in [(1, 2), (2, 2), (3, 2)] {
                assert_eq!(holds(op, a, b), holds(op.turned(), b, a), "{op:?}");
                assert_eq!(holds(op, a, b), !holds(op.opposite(), a, b), "{op:?}");
            }
        }
    }

    #[test]
    fn a_column_that_is_compared_is_not_null() {
        let column = || Box::new(RemoteExpr::Column(3));
        let literal = || Box::new(RemoteExpr::Literal(Value::Int(7), ColumnType::BigInt { unsigned: false }));
        let compared = |left, right| RemoteExpr::Compare { op: Lt, left, right };
        assert_eq!(compared(column(), literal()).not_null(), Some(3));
        assert_eq!(compared(literal(), column()).not_null(), Some(3));
        assert_eq!(compared(column(), column()).not_null(), None);
        assert_eq!(RemoteExpr::IsNull { expr: column(), negated: true }.not_null(), Some(3));
        assert_eq!(RemoteExpr::IsNull { expr: column(), negated: false }.not_null(), None);
        assert_eq!(RemoteExpr::NotTrue(Box::new(compared(column(), literal()))).not_null(), None);
    }
}
