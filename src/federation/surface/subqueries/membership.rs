//! `x IN (SELECT …)`, which is NULL where it is not known: no row is equal to x, but x or a row is NULL.
//!
//! DataFusion plans it where it decides whether a row stays, and there NULL is as good as false, so that IN is EXISTS,
//! or needs nothing by the side of an AND, and a NOT is brought down to it. **What of NOT IN?** DataFusion knows of
//! NULL for an x that does depend on the row and a subquery that does not, by the side of an AND; anywhere else it
//! becomes: there is no row equal to x, none that is NULL, and x is not NULL or there is no row at all. **What of IN as
//! a value?** It becomes a CASE over counts of the subquery's rows: those equal to x, those that are NULL, and all.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result, ScalarValue, Spans, not_impl_err, plan_err};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, Filter, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
    lit, when,
};

use super::folded::columns;
use crate::federation::surface::bounds::limit;
use crate::federation::walk::with_expressions;

/// What the one column of the subquery is called, where x meets it.
const ROW: &str = "__in";

/// Steps of a plan up to which a subquery is repeated in a condition; a larger one is asked once, without a key.
const REPEATED: usize = 64;

/// Steps of a plan up to which IN with a subquery can be a value, which repeats it.
const LARGEST: usize = 512;

/// Replaces what `plan` has of IN with a subquery and DataFusion would plan otherwise, or not at all.
pub(in crate::federation::surface) fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Filter(filter)
            if has_membership(&filter.predicate) || pulls_marks_out(&filter.predicate) =>
        {
            Ok(Transformed::yes(filtered(filter.input, filter.predicate)?))
        }
        // Of an inner join ON is like WHERE, where DataFusion plans more.
        LogicalPlan::Join(mut join)
            if join.join_type == JoinType::Inner && join.filter.as_ref().is_some_and(has_membership) =>
        {
            let parts = join.filter.take().map(split_conjunction_owned).unwrap_or_default();
            let (above, within): (Vec<_>, Vec<_>) = parts.into_iter().partition(has_membership);
            join.filter = conjunction(within);
            let above = conjunction(above).unwrap_or(lit(true));
            Ok(Transformed::yes(filtered(Arc::new(LogicalPlan::Join(join)), above)?))
        }
        plan if plan.expressions().iter().any(has_membership) => {
            let schema = merge_schema(&plan.inputs());
            with_expressions(plan, |expr| Around(&schema).value(expr))?.map_data(LogicalPlan::recompute_schema)
        }
        plan => Ok(Transformed::no(plan)),
    })
}

fn filtered(input: Arc<LogicalPlan>, condition: Expr) -> Result<LogicalPlan> {
    let around = Around(input.schema());
    let parts = split_conjunction_owned(condition).into_iter().map(|part| {
        let is_pulled_out = part.contains_outer();
        around.condition(part, Place { negated: false, alone: true, is_pulled_out })
    });
    let condition = conjunction(parts.collect::<Result<Vec<_>>>()?).unwrap_or(lit(true));
    if pulls_marks_out(&condition) {
        return not_impl_err!("several subqueries in a part of WHERE that depends on what is around it");
    }
    Ok(LogicalPlan::Filter(Filter::try_new(condition, input)?))
}

/// Whether what depends on the surroundings of a subquery has several subqueries of its own, within an OR or the like.
/// DataFusion pulls such a condition out, with a mark for each of them, and then all marks have one name.
fn pulls_marks_out(condition: &Expr) -> bool {
    let mut marks = 0;
    for part in split_conjunction(condition).into_iter().filter(|part| part.contains_outer()) {
        let alone = match part {
            Expr::Not(inner) => is_subquery(inner),
            part => is_subquery(part),
        };
        if !alone {
            let _ = part.apply(|expr| {
                // ANY and ALL become one for each of their answers.
                marks +=
                    if matches!(expr, Expr::SetComparison(_)) { 2 } else { usize::from(is_subquery(expr)) };
                Ok(TreeNodeRecursion::Continue)
            });
        }
    }
    marks > 1
}

/// Whether `expr` is a subquery that DataFusion makes a join of.
pub(in crate::federation::surface) fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_))
}

/// Where a condition stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its opposite is asked for.
    negated: bool,
    /// It decides by itself that a row goes.
    alone: bool,
    /// It depends on what is around the subquery that it is in: DataFusion pulls it out of that.
    is_pulled_out: bool,
}

fn has_membership(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::InSubquery(_)))).unwrap_or(false)
}

/// The columns that what is around a subquery has.
struct Around<'a>(&'a DFSchema);

impl Around<'_> {
    /// What decides like `expr` whether a row stays, or like its opposite.
    fn condition(&self, expr: Expr, place: Place) -> Result<Expr> {
        let Place { negated, alone, is_pulled_out } = place;
        if !has_membership(&expr) {
            return Ok(opposite(expr, negated));
        }
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                let op = match (op, negated) {
                    (Operator::And, true) => Operator::Or,
                    (Operator::Or, true) => Operator::And,
                    (op, _) => op,
                };
                let place = Place { alone: alone && op == Operator::And, ..place };
                let (left, right) = (self.condition(*left, place)?, self.condition(*right, place)?);
                Ok(Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right))))
            }
            Expr::Not(inner) => self.condition(*inner, Place { negated: !negated, ..place }),
            Expr::InSubquery(InSubquery { expr: x, subquery, negated: not_in }) => {
                let x = self.value(*x)?.data;
                let not_in = not_in != negated;
                if is_one_row(&subquery) {
                    return Ok(compared(x, subquery, not_in));
                }
                let has_key = subquery.outer_ref_columns.is_empty() && !x.column_refs().is_empty();
                if alone && (!not_in || (has_key && !self.hides_null(&x)?)) {
                    return Ok(Expr::InSubquery(InSubquery::new(Box::new(x), subquery, not_in)));
                }
                let x = self.seen_from_within(x, &subquery)?;
                let rows = Rows::of(&subquery)?;
                match not_in {
                    true => rows.have_no(&x, is_pulled_out),
                    false => rows.exists(Some(Rows::row().eq(x.within)), false),
                }
            }
            other => Ok(opposite(self.value(other)?.data, negated)),
        }
    }

    /// Whether `x` may be NULL though its columns are not, as `nullif(id, 0)`: for a NULL DataFusion looks at these alone.
    fn hides_null(&self, x: &Expr) -> Result<bool> {
        let columns = x.column_refs();
        let mut nullable = columns.into_iter().filter_map(|column| self.0.field_from_column(column).ok());
        Ok(x.nullable(self.0)? && !nullable.any(|field| field.is_nullable()))
    }

    /// `expr` with a CASE in the place of each IN with a subquery.
    fn value(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| match expr {
            Expr::InSubquery(InSubquery { expr: x, subquery, negated }) if is_one_row(&subquery) => {
                Ok(Transformed::yes(compared(*x, subquery, negated)))
            }
            Expr::InSubquery(InSubquery { expr: x, subquery, negated }) => {
                let rows = Rows::of(&subquery)?;
                let x = self.seen_from_within(*x, &subquery)?;
                Ok(Transformed::yes(rows.membership(&x, negated)?))
            }
            expr => Ok(Transformed::no(expr)),
        })
    }

    fn seen_from_within(&self, x: Expr, subquery: &Subquery) -> Result<X> {
        if !subquery.outer_ref_columns.is_empty() {
            self.refuse_shadowed(&x, subquery)?;
        }
        let within = x.clone().transform_up(|expr| match expr {
            Expr::Column(column) => {
                let field = Arc::clone(self.0.field_from_column(&column)?);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok(X { nullable: x.nullable(self.0)?, around: x, within: within.data })
    }

    /// What is pulled out of a subquery loses the mark that tells its columns from those around it.
    fn refuse_shadowed(&self, x: &Expr, subquery: &Subquery) -> Result<()> {
        let columns = x.column_refs();
        let mut shadowed: Option<Column> = None;
        subquery.subquery.apply_with_subqueries(|plan| {
            shadowed = columns.iter().find(|column| plan.schema().has_column(column)).map(|c| (*c).clone());
            Ok(if shadowed.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        match shadowed {
            None => Ok(()),
            Some(column) => plan_err!(
                "{column} is a column within the subquery of IN as well as around it, and the subquery refers to \
                 what is around it: give the table within another alias"
            ),
        }
    }
}

/// Whether `subquery` depends on what is around it and aggregates without groups: then it has a row though it finds none,
/// which is lost where it becomes a join.
pub(in crate::federation::surface) fn is_one_row(subquery: &Subquery) -> bool {
    let is_total = || columns(&subquery.subquery).is_ok_and(|columns| columns.is_some());
    !subquery.outer_ref_columns.is_empty() && is_total()
}

/// `x` against the one row of `subquery`.
fn compared(x: Expr, subquery: Subquery, negated: bool) -> Expr {
    let row = Expr::ScalarSubquery(subquery);
    if negated { x.not_eq(row) } else { x.eq(row) }
}

fn opposite(expr: Expr, negated: bool) -> Expr {
    match expr {
        Expr::Exists(Exists { subquery, negated: before }) => {
            Expr::Exists(Exists { subquery, negated: before != negated })
        }
        expr if negated => Expr::Not(Box::new(expr)),
        expr => expr,
    }
}

/// What is looked for.
struct X {
    around: Expr,
    within: Expr,
    nullable: bool,
}

/// The rows of a subquery, whose one column is [`ROW`].
struct Rows {
    plan: LogicalPlan,
    nullable: bool,
    depends: bool,
    steps: usize,
    spans: Spans,
}

impl Rows {
    fn of(subquery: &Subquery) -> Result<Self> {
        let plan = Arc::clone(&subquery.subquery);
        let columns = plan.schema().columns();
        let [column] = columns.as_slice() else {
            return plan_err!("the subquery of IN has {} columns: 1 is expected", columns.len());
        };
        let mut steps = 0;
        plan.apply_with_subqueries(|_| {
            steps += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        let nullable = plan.schema().field(0).is_nullable();
        let row = Expr::Column(column.clone()).alias(ROW);
        let plan = LogicalPlanBuilder::from(plan).project([row])?.build()?;
        let depends = !subquery.outer_ref_columns.is_empty();
        Ok(Self { plan, nullable, depends, steps, spans: subquery.spans.clone() })
    }

    fn row() -> Expr {
        Expr::Column(Column::from_name(ROW))
    }

    /// As a condition: x is none of the rows; `at_once` if it must be one subquery.
    fn have_no(&self, x: &X, at_once: bool) -> Result<Expr> {
        let equal = Self::row().eq(x.within.clone());
        if at_once || self.steps > REPEATED {
            return self.exists(Some(equal.is_not_false()), true);
        }
        let mut all = self.exists(Some(equal), true)?;
        if self.nullable {
            all = all.and(self.exists(Some(Self::row().is_null()), true)?);
        }
        if x.nullable {
            all = all.and(x.around.clone().is_not_null().or(self.exists(None, true)?));
        }
        Ok(all)
    }

    /// As a value: x is one of the rows.
    fn membership(&self, x: &X, negated: bool) -> Result<Expr> {
        if self.steps > LARGEST {
            let message = format!(
                "the subquery of IN has {} steps: {LARGEST} are the most where IN stands for a value",
                self.steps
            );
            return Err(limit(message, "Ask in a condition by itself, or nest less"));
        }
        let unknown = || lit(ScalarValue::Boolean(None));
        let mut case = when(self.are_any(Some(Self::row().eq(x.within.clone())))?, lit(!negated));
        if self.nullable {
            case = case.when(self.are_any(Some(Self::row().is_null()))?, unknown());
        }
        if x.nullable {
            case = case.when(x.around.clone().is_null().and(self.are_any(None)?), unknown());
        }
        case.otherwise(lit(negated))
    }

    fn that(&self, condition: Option<Expr>) -> Result<LogicalPlan> {
        Ok(match condition {
            Some(condition) => LogicalPlan::Filter(Filter::try_new(condition, Arc::new(self.plan.clone()))?),
            None => self.plan.clone(),
        })
    }

    fn exists(&self, condition: Option<Expr>, negated: bool) -> Result<Expr> {
        let depends = self.depends || condition.as_ref().is_some_and(Expr::contains_outer);
        let mut plan = self.that(condition)?;
        if !depends {
            // One is as good as all, and cheaper to join with.
            plan = LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?;
        }
        Ok(Expr::Exists(Exists { subquery: self.subquery(plan), negated }))
    }

    /// As a value that is never NULL: there are rows that fulfil `condition`.
    fn are_any(&self, condition: Option<Expr>) -> Result<Expr> {
        let rows = LogicalPlanBuilder::from(self.that(condition)?);
        let counted = rows.aggregate(Vec::<Expr>::new(), [count_all()])?.build()?;
        Ok(Expr::ScalarSubquery(self.subquery(counted)).gt(lit(0_i64)))
    }

    fn subquery(&self, plan: LogicalPlan) -> Subquery {
        let outer_ref_columns = plan.all_out_ref_exprs();
        Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: self.spans.clone() }
    }
}
