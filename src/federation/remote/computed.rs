//! Values that are computed: from DataFusion's expressions to [`RemoteExpr`], or why not.

use arrow::datatypes::{DataType, TimeUnit};
use crossweave_contract::{
    ArithmeticOp, ColumnType, DECIMAL_DIGITS, DECIMAL_PLACES, RemoteColumn, RemoteExpr, RemoteFunction,
    TableKind, Value,
};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::expressions::{Scope, Taken, refuse};
use super::literals::{chosen, exact};
use super::whitelist::{Family, Operation};
use super::widening::widens;

/// Parts of an expression that is written several times.
const MOST_PARTS: usize = 12;

impl Scope<'_> {
    /// `expr` as a value, with its type there.
    pub(super) fn value(&self, expr: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        match expr {
            Expr::Alias(alias) => self.value(&alias.expr),
            Expr::Column(column) => {
                let place = self.place(column)?;
                Ok((self.as_shown(place), self.columns[place].column_type.clone()))
            }
            Expr::Literal(value, _) => match exact(value) {
                Some((value, column_type)) => {
                    Ok((RemoteExpr::Literal(value, column_type.clone()), column_type))
                }
                None => refuse(format!("the literal {} is no number", expr.human_display())),
            },
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.operator(expr, left, *op, right),
            Expr::Cast(Cast { expr: inner, field }) => self.cast(expr, inner, field.data_type()),
            Expr::Case(case) => self.case(expr, case),
            Expr::ScalarFunction(call) => self.call(expr, call),
            Expr::ScalarSubquery(_) => refuse(
                "the subquery's value is known once the query runs: what is asked for by it, for_values says",
            ),
            other => refuse(format!("{} is computed here", other.human_display())),
        }
    }

    /// The column at `place` as it is read. The decimals of a view may be quotients there, with more digits than it shows.
    pub(super) fn as_shown(&self, place: usize) -> RemoteExpr {
        let RemoteColumn { column_type, origin, .. } = &self.columns[place];
        let of_view = origin.as_ref().is_some_and(|(table, _)| table.kind == TableKind::View);
        let column = RemoteExpr::Column(place);
        match column_type {
            ColumnType::Decimal { .. } if of_view => {
                RemoteExpr::Cast { expr: Box::new(column), to: column_type.clone() }
            }
            _ => column,
        }
    }

    /// `value` where it is compared by an operator, which rounds by itself: by the column, an index is used.
    pub(super) fn rounded_by_operator(&self, value: RemoteExpr) -> RemoteExpr {
        match value {
            RemoteExpr::Cast { expr, to } => match *expr {
                RemoteExpr::Column(place) if self.columns[place].column_type == to => RemoteExpr::Column(place),
                expr => RemoteExpr::Cast { expr: Box::new(expr), to },
            },
            value => value,
        }
    }

    fn operator(
        &self,
        expr: &Expr,
        left: &Expr,
        op: Operator,
        right: &Expr,
    ) -> Taken<(RemoteExpr, ColumnType)> {
        let data_type = self.type_of(expr)?;
        let arithmetic = match op {
            Operator::Plus => ArithmeticOp::Add,
            Operator::Minus => ArithmeticOp::Subtract,
            Operator::Multiply => ArithmeticOp::Multiply,
            Operator::Divide | Operator::Modulo if data_type == DataType::Int64 => {
                return self.division(left, op, right);
            }
            Operator::Divide | Operator::Modulo => {
                return refuse("only signed whole numbers are divided by a source");
            }
            op => return refuse(format!("the operator {op} is computed here")),
        };
        let column_type = exact_type(&data_type)?;
        if !matches!(column_type, ColumnType::BigInt { .. } | ColumnType::Decimal { .. }) {
            return refuse(format!("numbers of type {data_type} are computed with here"));
        }
        let (left, right) = (Box::new(self.number(left)?), Box::new(self.number(right)?));
        Ok((RemoteExpr::Arithmetic { op: arithmetic, left, right }, column_type))
    }

    /// `expr`, the quotient of two decimals. The source has more digits of it, which are rounded as they are here.
    pub(super) fn ratio(&self, expr: &Expr, left: &Expr, right: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        if !Family::Exact.allows(Operation::Ratios) {
            return refuse("quotients of decimals are computed here");
        }
        let column_type = exact_type(&self.type_of(expr)?)?;
        if !has_room(&column_type) {
            return refuse("a quotient of so many digits is computed here");
        }
        let args = vec![self.with_places(left)?, self.with_places(without_zero(right))?];
        let ratio = RemoteExpr::Call { function: RemoteFunction::Ratio, args };
        Ok((RemoteExpr::Cast { expr: Box::new(ratio), to: column_type.clone() }, column_type))
    }

    /// `expr`, `number` with fewer places: what is calculated of a quotient, as it is shown.
    pub(super) fn rounded(&self, expr: &Expr, number: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        let column_type = exact_type(&self.type_of(expr)?)?;
        let (number, from) = (self.number(number)?, exact_type(&self.type_of(number)?)?);
        if !has_room(&from) || !has_room(&column_type) {
            return refuse("a number of so many digits is computed here");
        }
        Ok((RemoteExpr::Cast { expr: Box::new(number), to: column_type.clone() }, column_type))
    }

    /// `expr`, a decimal, with all its places: how many a quotient has depends on them, and a literal may have lost some, as
    /// 1 for 1.0.
    fn with_places(&self, expr: &Expr) -> Taken<RemoteExpr> {
        let number = self.number(expr)?;
        let has_all = match &number {
            RemoteExpr::Column(place) => self.columns[*place].origin.is_some(),
            number => matches!(number, RemoteExpr::Cast { .. }),
        };
        let to = exact_type(&self.type_of(expr)?)?;
        Ok(if has_all { number } else { RemoteExpr::Cast { expr: Box::new(number), to } })
    }

    fn division(&self, left: &Expr, op: Operator, right: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        if !Family::Exact.allows(Operation::Divisions) {
            return refuse("divisions are computed here");
        }
        let function = match op {
            Operator::Divide => RemoteFunction::Quotient,
            _ => RemoteFunction::Remainder,
        };
        let args = vec![self.number(left)?, self.number(without_zero(right))?];
        Ok((RemoteExpr::Call { function, args }, ColumnType::BigInt { unsigned: false }))
    }

    fn cast(&self, expr: &Expr, inner: &Expr, to: &DataType) -> Taken<(RemoteExpr, ColumnType)> {
        let from = self.type_of(inner)?;
        let column_type = match (&from, to) {
            (DataType::Timestamp(TimeUnit::Microsecond, _), DataType::Date32) => ColumnType::Date,
            (DataType::Date32, DataType::Timestamp(TimeUnit::Microsecond, None)) => {
                ColumnType::DateTime { fsp: 6 }
            }
            (from, to) if widens(from, to) => {
                let (number, column_type) = (self.number(inner)?, exact_type(to)?);
                return Ok(match column_type {
                    ColumnType::BigInt { .. } | ColumnType::Decimal { .. } => {
                        let cast = RemoteExpr::Cast { expr: Box::new(number), to: column_type.clone() };
                        (cast, column_type)
                    }
                    // Whole numbers are computed on as BIGINT: how narrow they are is but how they are read.
                    _ => (number, column_type),
                });
            }
            (from, _) if from.is_numeric() => {
                return refuse(format!("{} may lose digits", expr.human_display()));
            }
            _ => return refuse(format!("{} is computed here", expr.human_display())),
        };
        let (value, family) = self.compared(inner)?;
        if !family.allows(Operation::Truncations) {
            return refuse(format!("{} is computed here", expr.human_display()));
        }
        Ok((RemoteExpr::Cast { expr: Box::new(value), to: column_type.clone() }, column_type))
    }

    fn case(&self, expr: &Expr, case: &Case) -> Taken<(RemoteExpr, ColumnType)> {
        let column_type = chosen_type(&self.type_of(expr)?)?;
        if let Some(value) = &case.expr {
            check_small(value)?;
        }
        let branch = |(when, then): &(Box<Expr>, Box<Expr>)| {
            let condition = match &case.expr {
                None => self.condition(when)?,
                Some(value) => self.comparison(Operator::Eq, value, when)?,
            };
            Ok((condition, self.choice(then, &column_type)?))
        };
        let branches = case.when_then_expr.iter().map(branch).collect::<Taken<_>>()?;
        let otherwise = match case.else_expr.as_deref() {
            None => None,
            Some(Expr::Literal(value, _)) if value.is_null() => None,
            Some(otherwise) => Some(Box::new(self.choice(otherwise, &column_type)?)),
        };
        Ok((RemoteExpr::Case { branches, otherwise }, column_type))
    }

    /// `expr`, which may be chosen among values that are read as `column_type`.
    pub(super) fn choice(&self, expr: &Expr, column_type: &ColumnType) -> Taken<RemoteExpr> {
        let Some(family) = Family::of(column_type).filter(|family| family.allows(Operation::Choices)) else {
            return refuse(format!("{} is chosen here", expr.human_display()));
        };
        match expr {
            Expr::Literal(value, _) => self.chosen_literal(value, column_type, family),
            expr => match self.value(expr)? {
                (value, found) if Family::of(&found) == Some(family) => Ok(value),
                _ => {
                    refuse(format!("{} is of another type than what else may be chosen", expr.human_display()))
                }
            },
        }
    }

    fn chosen_literal(
        &self,
        value: &ScalarValue,
        column_type: &ColumnType,
        family: Family,
    ) -> Taken<RemoteExpr> {
        if value.is_null() {
            return Ok(RemoteExpr::Literal(Value::Null, column_type.clone()));
        }
        match chosen(value, family) {
            Some(literal) => Ok(literal),
            None => refuse(format!("the literal {value} is no value that a source has")),
        }
    }

    /// `expr` as an exact number.
    pub(super) fn number(&self, expr: &Expr) -> Taken<RemoteExpr> {
        let (value, column_type) = self.value(expr)?;
        match Family::of(&column_type) {
            Some(family) if family.allows(Operation::Numbers) => Ok(value),
            _ => refuse(format!("{} is no exact number", expr.human_display())),
        }
    }
}

/// Whether a server has the last place of a quotient of `column_type`, and one to round by: it divides by nine digits at a
/// time, has room for nine such words, and takes one more for what is before the point than that needs.
fn has_room(column_type: &ColumnType) -> bool {
    let ColumnType::Decimal { precision, scale } = column_type else { return false };
    precision.saturating_sub(*scale).div_ceil(9) + 1 + (scale + 1).div_ceil(9) <= 9
}

/// What `expr`, by which is divided, guards from being 0: by that there is no quotient at a source either.
fn without_zero(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(call) if call.name() == "divisor" && call.args.len() == 1 => &call.args[0],
        expr => expr,
    }
}

/// Fails unless `expr` is so small that it may be written several times: also what is nested in it is.
pub(super) fn check_small(expr: &Expr) -> Taken<()> {
    let mut parts = 0;
    let counted = expr.apply(|_| {
        parts += 1;
        Ok(if parts > MOST_PARTS { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match counted {
        Ok(_) if parts <= MOST_PARTS => Ok(()),
        _ => refuse("what is compared several times is too long for a source"),
    }
}

/// As what an exact number is read that is computed as `data_type` here.
pub(super) fn exact_type(data_type: &DataType) -> Taken<ColumnType> {
    Ok(match *data_type {
        DataType::Int8 => ColumnType::TinyInt { unsigned: false },
        DataType::UInt8 => ColumnType::TinyInt { unsigned: true },
        DataType::Int16 => ColumnType::SmallInt { unsigned: false },
        DataType::UInt16 => ColumnType::SmallInt { unsigned: true },
        DataType::Int32 => ColumnType::Int { unsigned: false },
        DataType::UInt32 => ColumnType::Int { unsigned: true },
        DataType::Int64 => ColumnType::BigInt { unsigned: false },
        DataType::UInt64 => ColumnType::BigInt { unsigned: true },
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            match u8::try_from(scale) {
                Ok(scale) if precision <= DECIMAL_DIGITS && scale <= DECIMAL_PLACES => {
                    ColumnType::Decimal { precision, scale }
                }
                _ => {
                    return refuse(format!(
                        "a decimal of {precision} digits is more than a server computes with"
                    ));
                }
            }
        }
        _ => return refuse(format!("values of type {data_type} are computed here")),
    })
}

/// As what values are read between which is chosen, and that are `data_type` here.
pub(super) fn chosen_type(data_type: &DataType) -> Taken<ColumnType> {
    let others = [
        ColumnType::Double,
        ColumnType::Date,
        ColumnType::DateTime { fsp: 6 },
        ColumnType::Timestamp { fsp: 6 },
        ColumnType::Time { fsp: 6 },
    ];
    match others.into_iter().find(|column_type| column_type.data_type() == *data_type) {
        Some(column_type) => Ok(column_type),
        None => exact_type(data_type),
    }
}
