//! `+`, `-`, `*` on whole numbers, and all operators on doubles, within MariaDB's bounds.
//!
//! MariaDB computes on BIGINT and DOUBLE, whatever the columns' types, and fails where a result leaves them; so it is
//! here. Two numbers of 32 bits are computed on as BIGINT, which has room for the result. Wider ones are computed on
//! as decimals and the result is cast to BIGINT, which fails where it has no room: nothing wraps around. These are
//! casts and not a function of ours since the type of a cast is known without looking into it, however long a chain
//! of operators is. What is divided by 0 is NULL (`divisor`). Where BIGINT UNSIGNED takes part the result stays a
//! decimal, and may be negative.
//!
//! Decimals are computed on in 256 bits where the result may need more than 38 digits (see `decimals`).

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, ExprSchema, Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};

use super::decimals::{
    MAX_SCALE, NARROW, WIDE as WIDE_DIGITS, as_decimal, decimal, is_decimal, is_wide, spelled,
};
use super::divisor::{divisor, negative_divisor};
use super::doubles::double;
use super::finer::{finer_or_same, has, rounded};
use super::quotient::quotient;
use crate::federation::remote::digits;
use crate::federation::surface::types::coercions::number;

/// The function that stands for a minus before an expression.
pub(in crate::federation::surface) const NEGATION: &str = "negation";

/// The function that lets a double that is out of bounds fail.
pub(crate) const FINITE: &str = "finite";

/// Holds BIGINT.
const SIGNED: DataType = DataType::Decimal128(19, 0);
/// Holds BIGINT as well as BIGINT UNSIGNED.
const WIDE: DataType = DataType::Decimal128(20, 0);

/// How two numbers are computed with.
enum Meeting {
    Whole,
    /// Whole, and one of them is a BIGINT UNSIGNED.
    Wide,
    Double,
    /// Decimals, or one and a whole number.
    Decimal,
    /// As DataFusion does.
    Other,
}

impl Meeting {
    fn of(left: &DataType, right: &DataType) -> Self {
        let float = |t: &DataType| t.is_floating();
        let number = |t: &DataType| t.is_numeric() || t.is_null();
        match (left, right) {
            (left, right) if (float(left) && number(right)) || (number(left) && float(right)) => Self::Double,
            (DataType::UInt64, right) if right.is_integer() => Self::Wide,
            (left, DataType::UInt64) if left.is_integer() => Self::Wide,
            (left, right) if left.is_integer() && (right.is_integer() || right.is_null()) => Self::Whole,
            (left, right) if left.is_null() && right.is_integer() => Self::Whole,
            (left, right) if is_decimal(left) && (is_decimal(right) || right.is_integer()) => Self::Decimal,
            (left, right) if left.is_integer() && is_decimal(right) => Self::Decimal,
            _ => Self::Other,
        }
    }
}

/// `left op right`, an arithmetic operator. Types that are not known yet have no say.
pub(in crate::federation::surface) fn arithmetic(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &dyn ExprSchema,
) -> Expr {
    let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
        return binary(left, op, right);
    };
    if let Some(folded) = folded(&left, op, &right) {
        return folded;
    }
    if is_decimal(&left_type) && is_null(&right) {
        return arithmetic(left, op, no_decimal(), schema);
    }
    if is_null(&left) && is_decimal(&right_type) {
        return arithmetic(no_decimal(), op, right, schema);
    }
    let divides = matches!(op, Operator::Divide | Operator::Modulo);
    let both = |to: &DataType, left, right| binary(fit(left, &left_type, to), op, fit(right, &right_type, to));
    match Meeting::of(&left_type, &right_type) {
        Meeting::Double => {
            let [left, right] = [left, right].map(|side| {
                let side = finer_or_same(side, schema);
                let of = side.get_type(schema).unwrap_or(DataType::Null);
                double(side, &of)
            });
            binary(left, op, if divides { divisor(right, &DataType::Float64) } else { right })
        }
        Meeting::Whole => {
            let unknown = left_type.is_null() || right_type.is_null();
            let narrow = |expr, data_type| is_narrow(expr, data_type, op, schema);
            if divides {
                let right = divisor(fit(right, &right_type, &DataType::Int64), &DataType::Int64);
                return binary(fit(left, &left_type, &DataType::Int64), op, right);
            }
            if unknown || (narrow(&left, &left_type) && narrow(&right, &right_type)) {
                return both(&DataType::Int64, left, right);
            }
            let bits = unsigned_bits(&left, &left_type).zip(unsigned_bits(&right, &right_type));
            let is_unsigned = left_type.is_unsigned_integer() || right_type.is_unsigned_integer();
            if op == Operator::Multiply
                && is_unsigned
                && bits.is_some_and(|(left, right)| left + right > SIGNED_BITS)
            {
                return decimals(
                    fit(left, &left_type, &WIDE),
                    &WIDE,
                    op,
                    fit(right, &right_type, &WIDE),
                    &WIDE,
                );
            }
            let (left, right) = (fit_checked(left, &left_type, op), fit(right, &right_type, &SIGNED));
            cast(binary(left, op, right), DataType::Int64)
        }
        Meeting::Wide if op == Operator::Divide => whole_quotient(left, &left_type, right, &right_type),
        Meeting::Wide => {
            decimals(fit(left, &left_type, &WIDE), &WIDE, op, fit(right, &right_type, &WIDE), &WIDE)
        }
        Meeting::Decimal if has(&left, schema) || has(&right, schema) => {
            finely((left, left_type), op, (right, right_type), schema)
        }
        Meeting::Decimal => decimals(left, &left_type, op, right, &right_type),
        Meeting::Other => binary(left, op, right),
    }
}

/// `left / right` where a BIGINT UNSIGNED takes part: whole, as the quotient of any two whole numbers is here.
fn whole_quotient(left: Expr, left_type: &DataType, right: Expr, right_type: &DataType) -> Expr {
    let unsigned = |expr: &Expr, data_type: &DataType| match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => *value >= 0,
        _ => *data_type == DataType::UInt64,
    };
    if unsigned(&left, left_type) && unsigned(&right, right_type) {
        let [left, right] = [(left, left_type), (right, right_type)].map(|(e, t)| fit(e, t, &DataType::UInt64));
        return binary(left, Operator::Divide, divisor(right, &DataType::UInt64));
    }
    // A quotient of decimals would be rounded; that of a multiple is exact.
    let (left, right) = (fit(left, left_type, &WIDE), divisor(fit(right, right_type, &WIDE), &WIDE));
    let rest = binary(left.clone(), Operator::Modulo, right.clone());
    let multiple = binary(left, Operator::Minus, rest);
    cast(binary(multiple, Operator::Divide, right), WIDE)
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Null, _))
}

/// NULL as a decimal: DataFusion would give it the digits of what it meets, which may have no room for both.
fn no_decimal() -> Expr {
    Expr::Literal(ScalarValue::Decimal128(None, 1, 0), None)
}

/// `left op right`, of which each is a decimal or a whole number, with room for all digits of the result. A product
/// that would have more places than MariaDB gives one is rounded.
fn decimals(left: Expr, left_type: &DataType, op: Operator, right: Expr, right_type: &DataType) -> Expr {
    let [from, by] = [(&left, left_type), (&right, right_type)].map(|(expr, of)| spelled(expr, of));
    let (Some(one), Some(other)) = (digits(&from), digits(&by)) else { return binary(left, op, right) };
    let wide = op != Operator::Divide && (needed(op, one, other) > NARROW || is_wide(&from) || is_wide(&by));
    let (from, by) = (as_decimal(&from, wide), as_decimal(&by, wide));
    let (left, right) = (fit(left, left_type, &from), fit(right, right_type, &by));
    match op {
        Operator::Divide => quotient(left, divisor(right, &by)),
        Operator::Modulo => binary(left, op, negative_divisor(right, &by)),
        Operator::Multiply if one.1 + other.1 > MAX_SCALE => {
            cast(binary(left, op, right), as_decimal(&decimal(one.0 + other.0, MAX_SCALE), true))
        }
        _ => binary(left, op, right),
    }
}

/// The digits that `op` needs room for, of operands that have so many before and after the point.
fn needed(op: Operator, one: (i16, i16), other: (i16, i16)) -> i16 {
    match op {
        Operator::Multiply => one.0 + one.1 + other.0 + other.1,
        // A quotient sees to that itself.
        Operator::Divide => 0,
        // The remainder is shorter, but both are brought to the same places first.
        Operator::Modulo => one.0.max(other.0) + one.1.max(other.1),
        _ => one.0.max(other.0) + one.1.max(other.1) + 1,
    }
}

/// `sum / counted`: an average of exact numbers, or of what turned out to be doubles.
pub(in crate::federation::surface) fn average(
    sum: Expr,
    counted: Expr,
    schema: &dyn ExprSchema,
) -> Result<Expr> {
    let of = sum.get_type(schema)?;
    if of.is_floating() {
        let (sum, counted) = (double(sum, &of), cast(counted, DataType::Float64));
        return Ok(binary(sum, Operator::Divide, divisor(counted, &DataType::Float64)));
    }
    Ok(match has(&sum, schema) {
        true => finely((sum, of), Operator::Divide, (counted, DataType::Int64), schema),
        false => decimals(sum, &of, Operator::Divide, counted, &DataType::Int64),
    })
}

/// As [`decimals`], of what has more digits than are shown: with all of them, rounded to the places that it is shown with.
fn finely(
    (left, left_type): (Expr, DataType),
    op: Operator,
    (right, right_type): (Expr, DataType),
    schema: &dyn ExprSchema,
) -> Expr {
    let [from, by] = [left.clone(), right.clone()].map(|side| finer_or_same(side, schema));
    let shown = decimals(left, &left_type, op, right, &right_type);
    let (Ok(to), Ok(from_type), Ok(by_type)) =
        (shown.get_type(schema), from.get_type(schema), by.get_type(schema))
    else {
        return shown;
    };
    match digits(&spelled(&from, &from_type)).zip(digits(&spelled(&by, &by_type))) {
        Some((one, other)) if needed(op, one, other) <= WIDE_DIGITS => {
            let fine = finer_or_same(decimals(from, &from_type, op, by, &by_type), schema);
            let to = with_room(to, &fine, schema);
            rounded(fine, &to, schema)
        }
        _ => shown,
    }
}

/// `to`, with the digits before the point that `fine` has: by a number with more places a quotient is larger than by what is
/// shown of it.
fn with_room(to: DataType, fine: &Expr, schema: &dyn ExprSchema) -> DataType {
    match (digits(&to), fine.get_type(schema).ok().as_ref().and_then(digits)) {
        (Some((before, after)), Some((more, _))) if more > before => decimal(more, after),
        _ => to,
    }
}

/// The result, where both are literals.
fn folded(left: &Expr, op: Operator, right: &Expr) -> Option<Expr> {
    let (Expr::Literal(ScalarValue::Int64(Some(left)), _), Expr::Literal(ScalarValue::Int64(Some(right)), _)) =
        (left, right)
    else {
        return None;
    };
    let result = match op {
        Operator::Plus => left.checked_add(*right)?,
        Operator::Minus => left.checked_sub(*right)?,
        Operator::Multiply => left.checked_mul(*right)?,
        _ => return None,
    };
    Some(Expr::Literal(ScalarValue::Int64(Some(result)), None))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// `expr` as a decimal. What already is a sum of decimals, cast to BIGINT, is added to as that sum: a chain has one
/// cast, around it.
fn fit_checked(expr: Expr, from: &DataType, op: Operator) -> Expr {
    let adds = |op: &Operator| matches!(op, Operator::Plus | Operator::Minus);
    let signed = |expr: &Expr| match expr {
        Expr::Cast(Cast { field, .. }) => *field.data_type() == SIGNED,
        Expr::Literal(value, _) => value.data_type() == SIGNED,
        _ => false,
    };
    match expr {
        Expr::Cast(Cast { expr: sum, .. })
            if adds(&op)
                && *from == DataType::Int64
                && matches!(&*sum, Expr::BinaryExpr(BinaryExpr { op, right, .. }) if adds(op) && signed(right)) =>
        {
            *sum
        }
        expr => fit(expr, from, &SIGNED),
    }
}

/// Bits of a BIGINT without its sign.
const SIGNED_BITS: u32 = 63;

/// How many bits values of `expr` have at most, if none can be negative: what MariaDB makes of two such is a BIGINT UNSIGNED.
fn unsigned_bits(expr: &Expr, data_type: &DataType) -> Option<u32> {
    match (expr, data_type) {
        (Expr::Literal(ScalarValue::Int64(Some(value)), _), _) if *value >= 0 => {
            Some(u64::BITS - value.leading_zeros())
        }
        (_, DataType::UInt8) => Some(8),
        (_, DataType::UInt16) => Some(16),
        (_, DataType::UInt32) => Some(32),
        _ => None,
    }
}

/// Whether values of `expr` have 32 bits at most: BIGINT has room for what `op` makes of two of them.
fn is_narrow(expr: &Expr, data_type: &DataType, op: Operator, schema: &dyn ExprSchema) -> bool {
    let fits = |data_type: &DataType| match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => true,
        DataType::UInt32 => op != Operator::Multiply,
        _ => false,
    };
    match expr {
        _ if !data_type.is_integer() => false,
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => i32::try_from(*value).is_ok(),
        Expr::Cast(Cast { expr, .. }) if expr.get_type(schema).is_ok_and(|from| fits(&from)) => true,
        _ => fits(data_type),
    }
}

/// `-expr`.
pub(in crate::federation::surface) fn negated(expr: Expr, schema: &dyn ExprSchema) -> Expr {
    let expr = match expr.get_type(schema) {
        Ok(data_type) => number(expr, &data_type),
        Err(_) => expr,
    };
    match expr.get_type(schema) {
        Ok(data_type) if is_narrow(&expr, &data_type, Operator::Minus, schema) => {
            Expr::Negative(Box::new(fit(expr, &data_type, &DataType::Int64)))
        }
        Ok(data_type) if data_type.is_integer() => {
            let zero = Expr::Literal(ScalarValue::Int64(Some(0)), None);
            arithmetic(zero, Operator::Minus, expr, schema)
        }
        _ => Expr::Negative(Box::new(expr)),
    }
}

fn fit(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    match &expr {
        _ if from.is_null() || from == to => expr,
        Expr::Literal(value, _) => match value.cast_to(to) {
            Ok(value) => Expr::Literal(value, None),
            Err(_) => cast(expr, to.clone()),
        },
        _ => cast(expr, to.clone()),
    }
}

/// Lets `expr` fail where it computes a double that is out of bounds. In a chain of operators what is not finite stays
/// so, but for what is divided by: so the chain is looked at once, and each divisor by itself.
pub(in crate::federation::surface) fn finite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| {
        if !computes_a_double(&expr, schema)? {
            return Ok(Transformed::no(expr));
        }
        let function = Finite { signature: Signature::any(1, Volatility::Immutable) };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![chain(expr, schema)?]));
        Ok(Transformed::new(call, true, TreeNodeRecursion::Jump))
    })
}

/// `expr` within a chain of operators that is looked at as a whole.
fn chain(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    if !computes_a_double(&expr, schema)? {
        return finite(expr, schema).data();
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return Ok(expr) };
    let right = match op {
        Operator::Divide | Operator::Modulo => finite(*right, schema).data()?,
        _ => chain(*right, schema)?,
    };
    Ok(binary(chain(*left, schema)?, op, right))
}

fn computes_a_double(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Plus | Minus | Multiply | Divide | Modulo, .. }) => {
            Ok(expr.get_type(schema)? == DataType::Float64)
        }
        _ => Ok(false),
    }
}

/// Gives back its argument, a double.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Finite {
    signature: Signature,
}

impl ScalarUDFImpl for Finite {
    fn name(&self) -> &str {
        FINITE
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let leaves = match &args.args[0] {
            // Where DataFusion asks what becomes of NULL, it has no type.
            ColumnarValue::Array(array) => array
                .as_primitive_opt::<Float64Type>()
                .is_some_and(|array| array.iter().flatten().any(|value| !value.is_finite())),
            ColumnarValue::Scalar(value) => {
                matches!(value, ScalarValue::Float64(Some(value)) if !value.is_finite())
            }
        };
        if leaves {
            return exec_err!("DOUBLE value is out of range: the result of an operator does not fit");
        }
        Ok(args.args.swap_remove(0))
    }
}

/// `negation(x)`: -x, also of an unsigned x. The surface's rule replaces it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::federation::surface) struct Negation {
    signature: Signature,
}

impl Default for Negation {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Negation {
    fn name(&self) -> &str {
        NEGATION
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| format!("(- {})", arg.schema_name())).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match &arg_types[0] {
            DataType::UInt64 => Ok(DataType::Decimal128(21, 0)),
            whole if whole.is_integer() || *whole == DataType::Boolean => Ok(DataType::Int64),
            other if other.is_numeric() || other.is_null() => Ok(other.clone()),
            other @ (DataType::Interval(_) | DataType::Duration(_)) => Ok(other.clone()),
            other => plan_err!("- takes a number or an interval, not a value of type {other}"),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("negation(…) was left in a plan")
    }
}
