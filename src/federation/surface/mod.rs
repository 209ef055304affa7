//! Numbers, booleans and times are used as MariaDB's users are used to.
//!
//! MariaDB cannot tell a boolean from a TINYINT(1), so `WHERE ok`, `NOT ok`, `ok = true` and `sum(flag)` have to
//! work on numbers and on booleans alike, and `t > '10:00:00'` on a TIME, which is a duration. DataFusion knows
//! none of this, and refuses some of it while it reads the query, so there are four hooks:
//!
//! - [`rewrite_conditions`], on the parsed statement (`statement`): what is used as a condition is wrapped in `truth(…)`, EXISTS
//!   becomes a value where it stands for one, rows are compared part by part, IS DISTINCT FROM ends where it should, and COLLATE,
//!   AT TIME ZONE, `= ANY` and their like become functions
//! - the planner of operators, and functions over DataFusion's, for types that are needed while the query is read; what is computed is
//!   only marked then (`numbers::operation`)
//! - the analyzer rule, for all the rest, before the collation rule (`rule`), and one after all others, when types are settled
//!   (`settled`)
//! - rules of the optimizer: `subqueries` before those of DataFusion, and `guarded` around them
//!
//! What it comes to, by folder:
//!
//! - `numbers`: arithmetic is MariaDB's, on BIGINT and DOUBLE; decimals have room for all digits, and quotients all that MariaDB goes
//!   on with; FLOAT and DOUBLE are compared as doubles
//! - `times`: moments have microseconds, intervals are compared by their lengths, a TIME is read and shown as by MariaDB
//! - `types`: what operands become where they meet, and casts
//! - `subqueries`: those that DataFusion refuses, or gives other rows than MariaDB
//! - `similar`: patterns of SIMILAR TO; `regexes`: regular expressions that end in time, and are small where each row has its own
//! - `apart`: casts that are called as what they are made of; `array_agg`: lists in the order that they are asked for
//! - `bounds`: functions that make much of little are bounded; `measured`: so is what doubles where it nests
//!
//! [`register`] installs these and the collation rule in the right order.

mod apart;
mod array_agg;
mod array_text;
mod bounds;
mod constant;
mod each;
mod functions;
mod guarded;
mod measured;
mod numbers;
mod planner;
mod regexes;
mod rule;
mod settled;
mod similar;
mod statement;
mod subqueries;
#[cfg(test)]
mod tests;
mod times;
mod types;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::optimizer::{Analyzer, Optimizer};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use super::collation::{CollationRule, Collations};
use super::dependencies::{Settle, settled_before};
use super::filtered_totals::spare_filtered_totals;
use super::offset::OffsetBelowProjection;

pub use apart::tell_apart;
pub use array_text::array_items;
#[cfg(test)]
pub(crate) use bounds::is_bounded;
pub(crate) use bounds::{check_constants, with_few_constants};
pub(crate) use constant::constant;
pub(crate) use functions::EQUALS_ANY;
pub(crate) use functions::{TEXT_NUMBER, text_number};
pub(crate) use numbers::arithmetic::FINITE;
pub(crate) use numbers::decimals::{check_decimal, check_digits};
pub(crate) use numbers::finer::{ROUNDED, unrounded};
pub(crate) use numbers::quotient::operands as divided;
pub use numbers::zeros::with_one_zero;
pub use regexes::with_stoppable_regexes;
pub(crate) use settled::TIME_TEXT;
pub use statement::conditions::rewrite_conditions;
pub(crate) use subqueries::absent::ABSENT;
pub(crate) use times::lengths::{is_interval, length};
pub use times::time::{format_time, parse_time};
pub(crate) use types::spelling::DOUBLE_TEXT;

/// Installs the surface's and the collations' rules, functions and planners. The builder must already have
/// DataFusion's default features; rules that it has run after these.
#[must_use]
pub fn register(mut builder: SessionStateBuilder, collations: Arc<Collations>) -> SessionStateBuilder {
    let analyzer = builder.analyzer().get_or_insert_with(Analyzer::new);
    analyzer.rules.insert(0, Arc::new(rule::SurfaceRule));
    analyzer.rules.insert(1, Arc::new(Settle));
    analyzer.rules.insert(2, Arc::new(CollationRule::new(collations)));
    analyzer.rules.push(Arc::new(settled::SettledRule));
    analyzer.rules.push(Arc::new(subqueries::only::OnlyValues));
    analyzer.rules.push(Arc::new(subqueries::absent::Absent));
    let optimizer = builder.optimizer().get_or_insert_with(Optimizer::new);
    let rules = std::mem::take(&mut optimizer.rules).into_iter();
    optimizer.rules = settled_before(rules.map(guarded::guarded).collect());
    optimizer.rules.insert(0, Arc::new(subqueries::Subqueries));
    let joined = optimizer.rules.iter().position(|rule| rule.name() == "scalar_subquery_to_join");
    optimizer.rules.insert(joined.map_or(0, |place| place + 1), Arc::new(subqueries::absent::Joined));
    let operators = builder.physical_optimizers().get_or_insert_with(PhysicalOptimizer::new);
    spare_filtered_totals(&mut operators.rules);
    operators.rules.insert(0, Arc::new(OffsetBelowProjection));
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(planner::OperatorPlanner));
    builder.scalar_functions().get_or_insert_default().extend([
        Arc::new(ScalarUDF::new_from_impl(apart::Apart::default())),
        Arc::new(ScalarUDF::new_from_impl(functions::Truth::default())),
        Arc::new(ScalarUDF::new_from_impl(functions::Collate::default())),
        Arc::new(ScalarUDF::new_from_impl(functions::EqualsAny::default())),
        Arc::new(ScalarUDF::new_from_impl(numbers::arithmetic::Negation::default())),
        Arc::new(ScalarUDF::new_from_impl(numbers::doubles::DoubleLiteral::default())),
    ]);
    let scalar = builder.scalar_functions().get_or_insert_default();
    scalar.extend(numbers::math::functions());
    scalar.extend(types::choices::functions());
    scalar.extend(times::moments::functions());
    scalar.extend([
        times::bins::function(),
        times::stamps::function(),
        times::parts::function(),
        similar::function(),
    ]);
    scalar.extend(bounds::functions());
    let aggregates = builder.aggregate_functions().get_or_insert_default();
    aggregates.extend([
        numbers::sums::sum(),
        numbers::sums::avg(),
        numbers::sums::median(),
        array_agg::array_agg(),
        bounds::string_agg(),
    ]);
    builder.window_functions().get_or_insert_default().extend(numbers::ranks::functions());
    builder
}
