//! Casts, where Arrow would give other values: of numbers to numbers, to TIME, and of texts that MariaDB takes for moments.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, TryCast, cast};

use super::coercions::{TIME, in_full, is_moment};
use crate::federation::collation::is_text;
use crate::federation::remote::digits;
use crate::federation::surface::numbers::decimals::{is_decimal, is_wide};
use crate::federation::surface::numbers::doubles::double;
use crate::federation::surface::numbers::exact::exact;
use crate::federation::surface::numbers::finer::finer_or_same;
use crate::federation::surface::numbers::whole::{is_whole, whole};
use crate::federation::surface::times::clock::{clock, is_clock};
use crate::federation::surface::times::lengths::with_units;

/// `expr`, if it is a cast, or a TRY_CAST, as the cast that MariaDB would do.
///
/// # Errors
/// Where a TIME is made of what is none, or a number of a date or a time.
pub(in crate::federation::surface) fn cast_as(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (inner, to, is_safe) = match expr {
        Expr::Cast(Cast { expr, field }) => (*expr, field, false),
        Expr::TryCast(TryCast { expr, field }) => (*expr, field, true),
        other => return Ok(Transformed::no(other)),
    };
    let inner = match to.data_type() {
        number if number.is_numeric() => finer_or_same(inner, schema),
        moment if is_moment(moment) => spelled_out(inner, moment),
        DataType::Interval(_) => in_units(inner),
        _ => inner,
    };
    let Ok(from) = inner.get_type(schema) else { return Ok(Transformed::yes(again(inner, to, is_safe))) };
    if to.data_type().is_numeric() && (is_moment(&from) || from.is_temporal()) {
        let (shown, kind) = (inner.human_display(), wording(&from));
        return plan_err!(
            "{shown}, {kind}, is cast to {}: expected a number or a text; take its parts by extract, as extract(epoch FROM {shown})",
            to.data_type()
        );
    }
    if is_to_integer(&inner, &from, to.data_type()) {
        return Ok(Transformed::yes(again(whole(inner, is_safe), to, is_safe)));
    }
    if from.is_floating() && is_decimal(to.data_type()) {
        return Ok(Transformed::yes(exact(inner, to.data_type(), is_safe)));
    }
    if is_decimal(&from) && to.data_type().is_floating() {
        let double = double(inner, &from);
        let is_one = *to.data_type() == DataType::Float64;
        return Ok(Transformed::yes(if is_one { double } else { cast(double, to.data_type().clone()) }));
    }
    if *to.data_type() == TIME && (is_clock(&from) || from.is_numeric()) {
        return clock(inner, &from, is_safe).map(Transformed::yes);
    }
    Ok(Transformed::yes(again(inner, to, is_safe)))
}

fn again(inner: Expr, field: FieldRef, is_safe: bool) -> Expr {
    let expr = Box::new(inner);
    if is_safe { Expr::TryCast(TryCast { expr, field }) } else { Expr::Cast(Cast { expr, field }) }
}

/// Whether `inner`, of type `from`, is cast to an integer and may have a fraction.
fn is_to_integer(inner: &Expr, from: &DataType, to: &DataType) -> bool {
    let has_places = || digits(from).is_some_and(|(_, after)| after > 0);
    let is_whole = matches!(inner, Expr::ScalarFunction(call) if is_whole(call));
    to.is_integer() && !is_whole && (from.is_floating() || is_wide(from) || has_places())
}

/// A text of an interval, as Arrow reads it.
fn in_units(text: Expr) -> Expr {
    match text {
        Expr::Literal(value, metadata) => {
            let spelled = value.try_as_str().flatten().and_then(with_units);
            Expr::Literal(spelled.map_or(value, |text| ScalarValue::Utf8(Some(text))), metadata)
        }
        other => other,
    }
}

fn wording(of: &DataType) -> &'static str {
    match of {
        DataType::Date32 | DataType::Date64 => "a date",
        DataType::Timestamp(..) => "a moment",
        DataType::Interval(_) => "an interval",
        _ => "a time",
    }
}

/// A text that MariaDB takes for a moment, and a cast to `moment` would not, in full.
fn spelled_out(text: Expr, moment: &DataType) -> Expr {
    match text {
        Expr::Literal(value, metadata) if is_text(&value.data_type()) && value.cast_to(moment).is_err() => {
            Expr::Literal(in_full(&value).unwrap_or(value), metadata)
        }
        other => other,
    }
}
