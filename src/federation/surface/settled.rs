//! What can be said once types are settled, for some casts are asked for, and others come of functions that take
//! texts.
//!
//! A TIME turned into text is what MariaDB shows: `34:00:00`, not `1 days 10 hours`; so is a moment, without a T, and with
//! as many digits of the second as its column has; and a number with a point. An ENUM turned into anything else
//! is its text turned into that, row by row: of its dictionary, an entry that no row has (such as '', which stands for
//! a wrong value) may be no number. Doubles are kept finite (`arithmetic`), joined texts short (`bounds`), and casts
//! within each other few (`measured`).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, DurationMicrosecondType, TimeUnit, TimestampMicrosecondType};
use crossweave_contract::{ColumnType, column_type_of};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::cast as logical_cast;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Cast, Expr, ExprSchemable, LogicalPlan, TryCast};
use datafusion::optimizer::AnalyzerRule;

use super::bounds::joined;
use super::each::{Each, each};
use super::measured;
use super::numbers::arithmetic::finite;
use super::rule::rewrite_expressions;
use super::times::time::{show_moment, show_time};
use super::types::coercions::{TIME, is_moment};
use super::types::spelling::text;
use crate::federation::collation::is_text;

/// Replaces casts, sums and joined texts by what MariaDB would make of them.
#[derive(Debug)]
pub(super) struct SettledRule;

impl AnalyzerRule for SettledRule {
    fn name(&self) -> &str {
        "surface_settled"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewrite = |expr: Expr, schema: &DFSchema| {
            expr.transform_up(|expr| shown(expr, schema))?
                .transform_data(|expr| expr.transform_up(|expr| joined(expr, schema)))?
                .transform_data(|expr| finite(expr, schema))
        };
        let plan = rewrite_expressions(plan, rewrite)?.data;
        measured::check_casts(&plan)?;
        Ok(plan)
    }
}

/// Functions that read dates and moments, but of no dictionary.
const READERS: [&str; 9] = [
    "to_date",
    "to_local_time",
    "to_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
];

fn read(mut function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut changed = false;
    for arg in &mut function.args {
        if is_entry(&arg.get_type(schema)?) {
            *arg = logical_cast(std::mem::take(arg), DataType::Utf8View);
            changed = true;
        }
    }
    let expr = Expr::ScalarFunction(function);
    Ok(if changed { Transformed::yes(expr) } else { Transformed::no(expr) })
}

/// Whether values are texts of a dictionary.
fn is_entry(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(..)) && is_text(data_type)
}

fn shown(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let expr = match expr {
        Expr::ScalarFunction(function) if READERS.contains(&function.name()) => return read(function, schema),
        expr => expr,
    };
    let (Expr::Cast(Cast { expr: time, field }) | Expr::TryCast(TryCast { expr: time, field })) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let (_, from) = time.to_field(schema)?;
    let to = field.data_type();
    if is_entry(from.data_type()) && !is_text(to) {
        let text = Box::new(logical_cast((**time).clone(), DataType::Utf8View));
        let field = Arc::clone(field);
        return Ok(Transformed::yes(match &expr {
            Expr::TryCast(_) => Expr::TryCast(TryCast::new_from_field(text, field)),
            _ => Expr::Cast(Cast::new_from_field(text, field)),
        }));
    }
    if !is_text(to) {
        return Ok(Transformed::no(expr));
    }
    if from.data_type().is_floating() {
        let spelled = text((**time).clone(), from.data_type());
        return Ok(Transformed::yes(logical_cast(spelled, to.clone())));
    }
    if *from.data_type() != TIME && !is_moment(from.data_type()) {
        return Ok(Transformed::no(expr));
    }
    let digits = match column_type_of(&from) {
        Some(ColumnType::Time { fsp } | ColumnType::DateTime { fsp } | ColumnType::Timestamp { fsp }) => {
            Some(fsp)
        }
        _ => None,
    };
    Ok(Transformed::yes(each(TimeText { to: to.clone(), digits }, (**time).clone())))
}

/// The function of a time as a text.
pub(crate) const TIME_TEXT: &str = "time_text";

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeText {
    to: DataType,
    /// After the second, where a column says it.
    digits: Option<u8>,
}

impl Each for TimeText {
    const NAME: &'static str = TIME_TEXT;
    const IS_NAMED: bool = true;

    fn makes(&self, _from: &DataType) -> DataType {
        self.to.clone()
    }

    fn of(&self, times: &ArrayRef) -> Result<ArrayRef> {
        let texts: StringViewArray = match times.data_type() {
            DataType::Timestamp(_, zone) => {
                let moments = cast(times, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
                let moments = moments.as_primitive::<TimestampMicrosecondType>().iter();
                moments.map(|moment| moment.and_then(|micros| show_moment(micros, self.digits))).collect()
            }
            _ => {
                let times = times.as_primitive::<DurationMicrosecondType>().iter();
                times.map(|time| time.map(|micros| show_time(micros, self.digits))).collect()
            }
        };
        Ok(cast(&texts, &self.to)?)
    }
}
