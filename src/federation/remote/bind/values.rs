//! Asking for the rows that a condition with a subquery's value may be true for: `placed >= (SELECT max(placed) - …)`.
//!
//! The condition stays above the question, so that rows that come too much do no harm.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, i256};
use crossweave_contract::{ColumnType, CompareOp, DECIMAL_DIGITS, RemoteExpr, RemoteQuery};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_expr::scalar_subquery::ScalarSubqueryExpr;

use super::narrow::{Wanted, asked_for, narrowed};
use super::restrict::holds;
use crate::federation::remote::literals::literal;
use crate::federation::remote::whitelist::{Family, Operation};

/// A condition `of op value`, of which the value is known once the plan runs.
#[derive(Clone)]
pub(super) struct Condition {
    pub(super) of: PhysicalExprRef,
    op: CompareOp,
    /// Over no row.
    value: PhysicalExprRef,
}

impl Condition {
    pub(super) fn of(condition: &PhysicalExprRef) -> Option<Self> {
        let compared = condition.downcast_ref::<BinaryExpr>()?;
        let op = match compared.op() {
            Operator::Eq => CompareOp::Eq,
            Operator::Lt => CompareOp::Lt,
            Operator::LtEq => CompareOp::LtEq,
            Operator::Gt => CompareOp::Gt,
            Operator::GtEq => CompareOp::GtEq,
            _ => return None,
        };
        let (left, right) = (Arc::clone(compared.left()), Arc::clone(compared.right()));
        match (is_of_subqueries(&left), is_of_subqueries(&right)) {
            (false, true) => Some(Self { of: left, op, value: right }),
            (true, false) => Some(Self { of: right, op: op.turned(), value: left }),
            _ => None,
        }
    }
}

/// Whether `expr` is the same for all rows, and made of a subquery's value.
fn is_of_subqueries(expr: &PhysicalExprRef) -> bool {
    let (mut subqueries, mut others) = (false, false);
    let looked = expr.apply(|expr| {
        subqueries |= expr.is::<ScalarSubqueryExpr>();
        others |= expr.is::<Column>() || expr.is_volatile_node();
        Ok(TreeNodeRecursion::Continue)
    });
    looked.is_ok() && subqueries && !others
}

/// A column of a question that is compared with such a value.
#[derive(Clone)]
pub(in crate::federation::remote) struct Compared {
    /// The place among the question's columns.
    place: usize,
    /// Its name in the table.
    name: String,
    /// Of what is compared there.
    column_type: ColumnType,
    op: CompareOp,
    value: PhysicalExprRef,
}

/// As EXPLAIN shows it.
impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            CompareOp::Eq => "=",
            CompareOp::NotEq => "<>",
            CompareOp::Lt => "<",
            CompareOp::LtEq => "<=",
            CompareOp::Gt => ">",
            CompareOp::GtEq => ">=",
        };
        write!(f, "{} {op} (<subquery>)", self.name)
    }
}

impl Compared {
    /// Column `place` of `query` as `condition` compares it; `None` where a source does not compare it.
    pub(super) fn new(query: &RemoteQuery, place: usize, condition: &Condition) -> Option<Self> {
        let column = asked_for(query, place)?;
        let operation = match condition.op {
            CompareOp::Eq => Operation::Equality,
            _ => Operation::Order,
        };
        Family::of(&column.column_type)?.allows(operation).then_some(())?;
        Some(Self {
            place,
            name: column.name()?.to_owned(),
            column_type: column.column_type,
            op: condition.op,
            value: Arc::clone(&condition.value),
        })
    }

    /// `query` for the rows that each of `all` may be true for, with its columns where `place` says; `None` where there are none.
    /// The subqueries have been answered: what runs is below what answers them.
    pub(in crate::federation::remote) fn narrowed(
        all: &[Self],
        query: RemoteQuery,
        place: impl Fn(usize) -> usize,
    ) -> Option<RemoteQuery> {
        all.iter().try_fold(query, |query, compared| compared.narrow(query, place(compared.place)))
    }

    fn narrow(&self, query: RemoteQuery, place: usize) -> Option<RemoteQuery> {
        // What cannot be computed fails above, where a row is compared.
        let Ok(value) = known(&self.value) else { return Some(query) };
        if value.is_null() {
            return None;
        }
        let Some((op, literal)) = self.beside(&value) else { return Some(query) };
        let wanted = match op {
            CompareOp::Eq if !holds(&self.column_type, &literal) => return None,
            CompareOp::Eq => Wanted::OneOf { list: std::slice::from_ref(&literal), by_reading: false },
            op => Wanted::Beyond(op, &literal),
        };
        Some(narrowed(query, place, wanted))
    }

    /// How the column is compared with `value` there; `None` where it is not.
    fn beside(&self, value: &ScalarValue) -> Option<(CompareOp, RemoteExpr)> {
        let family = Family::of(&self.column_type)?;
        let (op, up) = match self.op {
            CompareOp::Lt | CompareOp::LtEq => (CompareOp::LtEq, true),
            CompareOp::Gt | CompareOp::GtEq => (CompareOp::GtEq, false),
            op => return Some((op, literal(value, family)?)),
        };
        match with_places_of(&self.column_type, value, up) {
            Some(rounded) => Some((op, literal(&rounded, family)?)),
            None => Some((self.op, literal(value, family)?)),
        }
    }
}

/// What `value` is.
fn known(value: &PhysicalExprRef) -> Result<ScalarValue> {
    let one = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &one)?;
    match value.evaluate(&row)? {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(values) => ScalarValue::try_from_array(&values, 0),
    }
}

/// The next number, `up` or down, that has no more places than the column: over an index MariaDB 10.11 takes
/// `smallint < 2.1` for `smallint < 2`. `None` for what has no more.
fn with_places_of(column_type: &ColumnType, value: &ScalarValue, up: bool) -> Option<ScalarValue> {
    let (unscaled, scale) = match value {
        ScalarValue::Decimal128(Some(unscaled), _, scale) => (i256::from_i128(*unscaled), *scale),
        ScalarValue::Decimal256(Some(unscaled), _, scale) => (*unscaled, *scale),
        _ => return None,
    };
    let places = match column_type {
        ColumnType::Decimal { scale, .. } => i8::try_from(*scale).ok()?,
        _ => 0,
    };
    let unit = i256::from_i128(10).checked_pow(u32::try_from(scale.checked_sub(places)?).ok()?)?;
    let (whole, rest) = (unscaled.checked_div(unit)?, unscaled.checked_rem(unit)?);
    // Division cuts off.
    let step = match (rest.cmp(&i256::ZERO), up) {
        (Ordering::Equal, _) => return None,
        (Ordering::Greater, true) => i256::ONE,
        (Ordering::Less, false) => i256::MINUS_ONE,
        (Ordering::Greater, false) | (Ordering::Less, true) => i256::ZERO,
    };
    Some(ScalarValue::Decimal256(Some(whole.checked_add(step)?), DECIMAL_DIGITS, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_more_places_than_the_column_gives_way_to_a_neighbour() {
        let whole = ColumnType::Int { unsigned: false };
        let cents = ColumnType::Decimal { precision: 10, scale: 2 };
        let with_four = |unscaled| ScalarValue::Decimal128(Some(unscaled), 14, 4);
        let rounded = |column_type: &ColumnType, unscaled, up| match with_places_of(
            column_type,
            &with_four(unscaled),
            up,
        ) {
            Some(ScalarValue::Decimal256(Some(found), _, places)) => Some((found.to_i128()?, places)),
            _ => None,
        };
        assert_eq!([true, false].map(|up| rounded(&whole, 21_000, up)), [Some((3, 0)), Some((2, 0))]);
        assert_eq!([true, false].map(|up| rounded(&whole, -21_000, up)), [Some((-2, 0)), Some((-3, 0))]);
        assert_eq!([true, false].map(|up| rounded(&cents, 12_345, up)), [Some((124, 2)), Some((123, 2))]);
        assert_eq!([true, false].map(|up| rounded(&whole, 20_000, up)), [None, None]);
        let fine = ColumnType::Decimal { precision: 20, scale: 6 };
        assert_eq!(rounded(&fine, 12_345, true), None, "it has room");
        assert_eq!(with_places_of(&whole, &ScalarValue::Int64(Some(7)), true), None);
    }
}
