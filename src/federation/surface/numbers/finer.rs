//! Quotients with all the digits that MariaDB calculates on with, of which it shows fewer: `price / 3 * 3` is 1.000000 there.
//!
//! MariaDB divides by nine digits at a time, and rounds where a result is shown, stored, or compared by an operator (not by
//! BETWEEN, IN of several and CASE, which take all that they compare as it is). So within an expression a quotient is taken with all of them ([`finer`]), and what is made of it is
//! rounded to the places that it is shown with ([`rounded`]).

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{ExprSchema, Result};
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};

use super::decimals::{WIDE, as_type, is_decimal};
use super::quotient;
use crate::federation::remote::digits;
use crate::federation::surface::each::{Each, each, of_each};
use crate::federation::surface::types::choices::is_choice;
use crate::federation::surface::types::coercions::results;

/// The function of what is shown with fewer places than it is calculated with.
pub(crate) const ROUNDED: &str = "rounded";

/// `expr`, a decimal, as it is shown: as `to`.
pub(in crate::federation::surface) fn rounded(expr: Expr, to: &DataType, schema: &dyn ExprSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(of) if of == *to => expr,
        _ => each(Rounded { to: to.clone() }, expr),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded {
    to: DataType,
}

impl Each for Rounded {
    const NAME: &'static str = ROUNDED;
    const IS_NAMED: bool = true;

    fn makes(&self, _from: &DataType) -> DataType {
        self.to.clone()
    }

    fn of(&self, values: &ArrayRef) -> Result<ArrayRef> {
        as_type(values, &self.to)
    }
}

/// What is rounded, if `call` does that.
pub(crate) fn unrounded(call: &ScalarFunction) -> Option<&Expr> {
    of_each::<Rounded>(call).and_then(|_| call.args.first())
}

/// `expr` with the digits that it is calculated on with; itself as an error where it has no more than are shown.
pub(in crate::federation::surface) fn finer(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr, Expr> {
    match expr {
        Expr::ScalarFunction(call) if quotient::is_shown(&call) => Ok(quotient::whole(call)),
        Expr::ScalarFunction(mut call) if unrounded(&call).is_some() => {
            call.args.pop().ok_or(Expr::ScalarFunction(call))
        }
        Expr::ScalarFunction(call)
            if is_choice(call.name()) && call.args.iter().any(|arg| has(arg, schema)) =>
        {
            let args = call.args.iter().cloned().map(|arg| finer_or_same(arg, schema)).collect();
            match results(args, schema) {
                Ok(args) if have_room(&args, schema) => {
                    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(call.func, args)))
                }
                _ => Err(Expr::ScalarFunction(call)),
            }
        }
        Expr::Case(case) if results_of(&case).any(|result| has(result, schema)) => of_case(case, schema),
        Expr::Negative(inner) => match finer(*inner, schema) {
            Ok(inner) => Ok(Expr::Negative(Box::new(inner))),
            Err(inner) => Err(Expr::Negative(Box::new(inner))),
        },
        Expr::Cast(Cast { expr, field }) if adds_places(&expr, field.data_type(), schema) => {
            finer(*expr, schema).map_err(|expr| Expr::Cast(Cast { expr: Box::new(expr), field }))
        }
        expr => Err(expr),
    }
}

/// As [`finer`], or itself.
pub(in crate::federation::surface) fn finer_or_same(expr: Expr, schema: &dyn ExprSchema) -> Expr {
    finer(expr, schema).unwrap_or_else(|same| same)
}

/// Whether there is a [`finer`] one.
pub(in crate::federation::surface) fn has(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    match expr {
        Expr::ScalarFunction(call) => {
            quotient::is_shown(call)
                || unrounded(call).is_some()
                || (is_choice(call.name()) && call.args.iter().any(|arg| has(arg, schema)))
        }
        Expr::Case(case) => results_of(case).any(|result| has(result, schema)),
        Expr::Negative(inner) => has(inner, schema),
        Expr::Cast(Cast { expr, field }) => adds_places(expr, field.data_type(), schema) && has(expr, schema),
        _ => false,
    }
}

fn results_of(case: &Case) -> impl Iterator<Item = &Expr> {
    case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr).map(AsRef::as_ref)
}

fn of_case(case: Case, schema: &dyn ExprSchema) -> Result<Expr, Expr> {
    let finer = results_of(&case).cloned().map(|result| finer_or_same(result, schema)).collect();
    let results = match results(finer, schema) {
        Ok(results) if have_room(&results, schema) => results,
        _ => return Err(Expr::Case(case)),
    };
    let Case { expr, when_then_expr, else_expr } = case;
    let mut results = results.into_iter().map(Box::new);
    let when_then_expr = when_then_expr.into_iter().map(|(when, _)| when).zip(results.by_ref()).collect();
    let else_expr = else_expr.and_then(|_| results.next());
    Ok(Expr::Case(Case { expr, when_then_expr, else_expr }))
}

/// Whether a decimal has room for all digits of `choices`.
fn have_room(choices: &[Expr], schema: &dyn ExprSchema) -> bool {
    let (mut before, mut after) = (0, 0);
    for choice in choices {
        match choice.get_type(schema) {
            Ok(of) if of.is_null() => {}
            Ok(of) => match digits(&of) {
                Some(digits) => (before, after) = (before.max(digits.0), after.max(digits.1)),
                None => return false,
            },
            Err(_) => return false,
        }
    }
    before + after <= WIDE
}

/// Whether `expr`, a decimal cast to `to`, keeps all its places.
fn adds_places(expr: &Expr, to: &DataType, schema: &dyn ExprSchema) -> bool {
    if !is_decimal(to) {
        return false;
    }
    let Ok(from) = expr.get_type(schema) else { return false };
    match (digits(&from), digits(to)) {
        (Some(from_digits), Some(to)) => is_decimal(&from) && from_digits.0 <= to.0 && from_digits.1 <= to.1,
        _ => false,
    }
}
