//! Constants: what planning makes of calls whose arguments are known, and what rows repeat.
//!
//! A call of constants is made while a statement is planned, as a value of the plan, which no pool of memory knows. And
//! where each row has it, as in the list of a SELECT, it is made anew for each.

use std::cell::Cell;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan};

use super::{BATCH, EASY, too_large};

thread_local! {
    /// Bytes of the constants that the planning on this thread has made, while there is one.
    static MADE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Runs `plan`, in which constants may be made of no more bytes, all together, than a batch of rows may have.
pub(crate) fn with_few_constants<T>(plan: impl FnOnce() -> T) -> T {
    struct Ended(Option<u64>);
    impl Drop for Ended {
        fn drop(&mut self) {
            MADE.set(self.0);
        }
    }
    let _ended = Ended(MADE.replace(Some(0)));
    plan()
}

/// Counts a constant of so many bytes, which `name` is about to make.
pub(super) fn count(name: &str, bytes: u64) -> Result<()> {
    let Some(made) = MADE.get() else { return Ok(()) };
    let made = made.saturating_add(bytes);
    MADE.set(Some(made));
    if made > BATCH {
        let message =
            format!("{name} would bring the constants of a statement to {made} bytes: {BATCH} are the most");
        return Err(too_large(message));
    }
    Ok(())
}

/// Fails if rows of `plan` would each have a constant that is too long for that. `plan` is one that is optimised:
/// what can be known beforehand is.
pub(crate) fn check_constants(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|plan| {
        if !has_one_row(plan) {
            for expr in plan.expressions() {
                check(&expr)?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Whether what `plan` computes, it computes once.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Values(_) => true,
        plan => plan.inputs().iter().all(|input| match input {
            LogicalPlan::EmptyRelation(_) => true,
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) => {
                has_one_row(input)
            }
            _ => false,
        }),
    }
}

fn check(expr: &Expr) -> Result<()> {
    expr.apply(|expr| match expr {
        // Compared with as it is.
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if op.supports_propagation() => {
            [left, right]
                .into_iter()
                .filter(|side| !matches!(***side, Expr::Literal(..)))
                .try_for_each(|side| check(side))?;
            Ok(TreeNodeRecursion::Jump)
        }
        Expr::InList(list) => check(&list.expr).map(|()| TreeNodeRecursion::Jump),
        Expr::Like(like) | Expr::SimilarTo(like) => check(&like.expr).map(|()| TreeNodeRecursion::Jump),
        Expr::ScalarFunction(call) if call.name().starts_with("array_has") => {
            call.args.iter().filter(|arg| !matches!(arg, Expr::Literal(..))).try_for_each(check)?;
            Ok(TreeNodeRecursion::Jump)
        }
        Expr::Literal(value, _) => check_repeated(value).map(|()| TreeNodeRecursion::Continue),
        _ => Ok(TreeNodeRecursion::Continue),
    })?;
    Ok(())
}

fn check_repeated(value: &ScalarValue) -> Result<()> {
    let bytes = value.size().saturating_sub(size_of::<ScalarValue>()) as u64;
    if bytes > EASY {
        let message = format!("a constant of {bytes} bytes would be made for each row: {EASY} are the most");
        return Err(too_large(message));
    }
    Ok(())
}
