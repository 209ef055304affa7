//! What an expression is that refers to no column, and has to be known before a plan is made: an argument of EXECUTE, or of a
//! function in FROM.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use super::bounds::bounded;
use super::rule::fit;

/// The literal that `expr` is; another expression where it is none.
///
/// # Errors
/// Where its operands do not fit, it fails, or it would make more than fits.
pub(crate) fn constant(expr: Expr, config: &Arc<ConfigOptions>) -> Result<Expr> {
    let schema = DFSchema::empty();
    let context = SimplifyContext::builder().with_config_options(Arc::clone(config)).build();
    let simplifier = ExprSimplifier::new(context);
    let expr = simplifier.coerce(fit(expr, &schema)?.data, &schema)?;
    simplifier.simplify(bounded(expr, &schema)?)
}
