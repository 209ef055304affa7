//! The first rows of a join, by pages: `ORDER BY … LIMIT` over columns of one input.
//!
//! Where a join is to be ordered by columns of one question and only its first rows are wanted, the question is asked for
//! pages of its rows in that order (`exec`): each page is joined, its keys go to the other sources, and as soon as
//! there are as many rows as are wanted no further page is asked for. What comes later in the order comes later in the
//! answer too, so what was found is what would be found; which of equal rows are given nobody has said.
//!
//! Why can pages not cost more than they spare? There are a few, each larger than the one before, and then all the rest
//! comes at once. Rows that are equal in the order are put in the order of a key, so that no row is in two pages and none is
//! in none; and all pages are read at one instant, in the query's own view.

mod exec;
mod renew;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, SortExpr};

use super::node::RemoteNode;

pub(super) use exec::{Page, Paged};
pub use exec::{PagePlans, has_unread_pages};

/// Rows of the first page.
pub(super) const FIRST_PAGE: u64 = 1_000;

/// Of fewer rows all are asked for at once.
const WORTH_PAGING: f64 = 10_000.0;

/// `plan` with the question by whose columns `order` is, asked for pages in that order; `None` where there is none, or it is
/// not worth it.
pub(super) fn paged(plan: &LogicalPlan, order: &[SortExpr]) -> Option<LogicalPlan> {
    match plan {
        LogicalPlan::Extension(_) => {
            let node = RemoteNode::of(plan)?;
            node.rows().filter(|rows| *rows >= WORTH_PAGING)?;
            Some(node.in_pages(order)?.into_plan())
        }
        LogicalPlan::Projection(projection) => {
            let below = |column: &Column| {
                let place = projection.schema.maybe_index_of_column(column)?;
                Some(projection.expr[place].clone().unalias())
            };
            let input = paged(&projection.input, &renamed(order, below)?)?;
            again(plan, vec![input])
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let columns = alias.input.schema().columns();
            let below = |column: &Column| {
                let place = alias.schema.maybe_index_of_column(column)?;
                Some(Expr::Column(columns[place].clone()))
            };
            again(plan, vec![paged(&alias.input, &renamed(order, below)?)?])
        }
        LogicalPlan::Filter(filter) => again(plan, vec![paged(&filter.input, order)?]),
        LogicalPlan::Join(join) => {
            let is_of = |side: &LogicalPlan| {
                let mut columns = order.iter().flat_map(|sort| sort.expr.column_refs());
                columns.all(|column| side.schema().has_column(column))
            };
            if gives_left_rows(join) && is_of(&join.left) {
                again(plan, vec![paged(&join.left, order)?, (*join.right).clone()])
            } else if join.join_type == JoinType::Inner && is_of(&join.right) {
                again(plan, vec![(*join.left).clone(), paged(&join.right, order)?])
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Whether each row of `join` is one of the left side, or with one.
fn gives_left_rows(join: &Join) -> bool {
    let kinds = [JoinType::Inner, JoinType::Left, JoinType::LeftSemi, JoinType::LeftAnti, JoinType::LeftMark];
    kinds.contains(&join.join_type) && !join.null_aware
}

/// `order` over what its columns are below.
fn renamed(order: &[SortExpr], below: impl Fn(&Column) -> Option<Expr>) -> Option<Vec<SortExpr>> {
    let one = |sort: &SortExpr| {
        let mut all = true;
        let expr = sort.expr.clone().transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            match below(column) {
                Some(below) => Ok(Transformed::yes(below)),
                None => {
                    all = false;
                    Ok(Transformed::no(expr))
                }
            }
        });
        let expr = expr.data().ok().filter(|_| all)?;
        Some(SortExpr { expr, ..sort.clone() })
    };
    order.iter().map(one).collect()
}

fn again(plan: &LogicalPlan, inputs: Vec<LogicalPlan>) -> Option<LogicalPlan> {
    let mut inputs = inputs.into_iter();
    let plan = plan.clone().map_children(|input| Ok(Transformed::yes(inputs.next().unwrap_or(input))));
    plan.data().ok()
}

/// Whether `plan` has a question that is asked for pages, as what is read first.
pub(super) fn has_pages(plan: &LogicalPlan) -> bool {
    plan.exists(|plan| Ok(RemoteNode::of(plan).is_some_and(RemoteNode::is_paged))).unwrap_or_default()
}
