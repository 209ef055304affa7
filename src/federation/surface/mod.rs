//! Numbers, booleans and times are used as MariaDB's users are used to.
//!
//! MariaDB cannot tell a boolean from a TINYINT(1), so `WHERE ok`, `NOT ok`, `ok = true` and `sum(flag)` have to
//! work on numbers and on booleans alike, and `t > '10:00:00'` on a TIME, which is a duration. DataFusion knows
//! none of this, and refuses some of it while it reads the query, so there are four hooks:
//!
//! - [`rewrite_conditions`], on the parsed statement: what is used as a condition is wrapped in `truth(…)`, EXISTS
//!   becomes a value where it stands for one (`exists`), rows are compared part by part (`rows`) and looked for in
//!   subqueries (`among`), IS DISTINCT FROM ends where it should (`precedence`), and COLLATE, AT TIME ZONE, `= ANY` (`any`)
//!   and their like become functions
//! - the planner of operators, and functions over DataFusion's, for types that are needed while the query is read; what is computed is
//!   only marked then (`operation`)
//! - the analyzer rule, for all the rest (IN with a subquery in `membership`, EXCEPT ALL in `sets`), before the collation rule (`rule`), and
//!   one after all others, when types are settled (`settled`)
//! - rules of the optimizer: `subqueries` before those of DataFusion (`quantified` for `< ANY` and its like, `folded` for values of
//!   aggregates that do not depend on these), and `guarded` around them
//!
//! What it comes to: `arithmetic` is MariaDB's, on BIGINT and DOUBLE; `decimals` have room for all digits, and quotients all that
//! MariaDB goes on with (`finer`); `doubles` are what FLOAT and DOUBLE are compared as; casts are MariaDB's (`conversions`); `moments`
//! have microseconds; intervals are compared by their `lengths`; a TIME is read and shown as by MariaDB (`clock`, `time`), and a
//! number among texts (`spelling`); and functions that make much of little are bounded (`bounds`).
//!
//! [`register`] installs these and the collation rule in the right order.

mod aggregated;
mod agreed;
mod among;
mod any;
mod arithmetic;
mod array_text;
mod bins;
mod bounds;
mod casts;
mod choices;
mod clock;
mod coercions;
mod conditions;
mod constant;
mod conversions;
mod correlated;
mod decimals;
#[cfg(test)]
mod decimals_tests;
mod divisor;
mod doubles;
mod each;
mod exact;
mod exists;
mod finer;
mod folded;
mod functions;
mod guarded;
mod lengths;
#[cfg(test)]
mod lengths_tests;
mod math;
mod membership;
mod moments;
mod multiples;
mod operation;
mod outer;
mod parts;
mod planner;
mod precedence;
mod quantified;
mod quotient;
mod rows;
mod rule;
mod sets;
mod settled;
mod spelling;
mod stamps;
mod subqueries;
mod sums;
#[cfg(test)]
mod tests;
mod texts;
mod time;
mod totals;
mod whole;
mod zeros;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::optimizer::{Analyzer, Optimizer};
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use super::collation::{CollationRule, Collations};
use super::dependencies::{Settle, settled_before};
use super::offset::OffsetBelowProjection;

pub(crate) use arithmetic::FINITE;
pub use array_text::array_items;
#[cfg(test)]
pub(crate) use bounds::is_bounded;
pub(crate) use bounds::{check_constants, with_few_constants};
pub use conditions::rewrite_conditions;
pub(crate) use constant::constant;
pub(crate) use decimals::{check_decimal, check_digits};
pub(crate) use finer::{ROUNDED, unrounded};
pub(crate) use functions::EQUALS_ANY;
pub(crate) use functions::{TEXT_NUMBER, text_number};
pub(crate) use lengths::{is_interval, length};
pub(crate) use quotient::operands as divided;
pub(crate) use settled::TIME_TEXT;
pub(crate) use spelling::DOUBLE_TEXT;
pub use time::{format_time, parse_time};
pub use zeros::with_one_zero;

/// Installs the surface's and the collations' rules, functions and planners. The builder must already have
/// DataFusion's default features; rules that it has run after these.
#[must_use]
pub fn register(mut builder: SessionStateBuilder, collations: Arc<Collations>) -> SessionStateBuilder {
    let analyzer = builder.analyzer().get_or_insert_with(Analyzer::new);
    analyzer.rules.insert(0, Arc::new(rule::SurfaceRule));
    analyzer.rules.insert(1, Arc::new(Settle));
    analyzer.rules.insert(2, Arc::new(CollationRule::new(collations)));
    analyzer.rules.push(Arc::new(settled::SettledRule));
    let optimizer = builder.optimizer().get_or_insert_with(Optimizer::new);
    let rules = std::mem::take(&mut optimizer.rules).into_iter();
    optimizer.rules = settled_before(rules.map(guarded::guarded).collect());
    optimizer.rules.insert(0, Arc::new(subqueries::Subqueries));
    let operators = builder.physical_optimizers().get_or_insert_with(PhysicalOptimizer::new);
    operators.rules.insert(0, Arc::new(OffsetBelowProjection));
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(planner::OperatorPlanner));
    builder.scalar_functions().get_or_insert_default().extend([
        Arc::new(ScalarUDF::new_from_impl(functions::Truth::default())),
        Arc::new(ScalarUDF::new_from_impl(functions::Collate::default())),
        Arc::new(ScalarUDF::new_from_impl(functions::EqualsAny::default())),
        Arc::new(ScalarUDF::new_from_impl(arithmetic::Negation::default())),
        Arc::new(ScalarUDF::new_from_impl(doubles::DoubleLiteral::default())),
    ]);
    let scalar = builder.scalar_functions().get_or_insert_default();
    scalar.extend(math::functions());
    scalar.extend(choices::functions());
    scalar.extend(moments::functions());
    scalar.extend([bins::function(), stamps::function(), parts::function()]);
    scalar.extend(bounds::functions());
    let aggregates = builder.aggregate_functions().get_or_insert_default();
    aggregates.extend([sums::sum(), sums::avg(), bounds::string_agg()]);
    builder
}
