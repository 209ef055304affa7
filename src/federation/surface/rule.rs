//! The analyzer rule that makes operands fit wherever they meet, and conditions of what is used as one.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{
    Column, DFSchema, JoinType, NullEquality, Result, ScalarValue, internal_err, plan_err,
};
use datafusion::logical_expr::expr::{Between, Case, InList, InSubquery, ScalarFunction, SetComparison, Sort};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, Projection, RecursiveQuery, Subquery,
    Union, cast, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::apart;
use super::functions::{EQUALS_ANY, TRUTH};
use super::measured;
use super::numbers::arithmetic::{NEGATION, average, negated};
use super::numbers::carried::{Carried, calculates, carrying, rounded_columns, shown};
use super::numbers::decimals::{check_type, is_decimal};
use super::numbers::doubles::{DECIMAL_DOUBLE, DOUBLE_LITERAL, DoubleLiteral, double};
use super::numbers::finer::{self, finer_or_same, rounded};
use super::numbers::operation::{self, AVERAGE};
use super::statement::any::equals_any;
use super::subqueries::absent::mark_all;
use super::subqueries::aggregated::with_lists;
use super::subqueries::correlated;
use super::subqueries::membership;
use super::subqueries::outer;
use super::subqueries::sets;
use super::times::lengths::{as_length, is_interval};
use super::types::agreed::agreed;
use super::types::choices::{COMPARED, is_choice};
use super::types::coercions::{
    TIME, as_one, binary, comparable, condition, convert, known_types, refuse_mixed, refuse_number_first,
    results, sides, widened, with_whole_years,
};
use super::types::conversions::cast_as;
use super::types::spelling::{becomes_text, text};
use crate::federation::collation::is_text;
use crate::federation::walk::{has, with_expressions};

/// Runs first of all.
#[derive(Debug)]
pub(super) struct SurfaceRule;

impl AnalyzerRule for SurfaceRule {
    fn name(&self) -> &str {
        "surface"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        measured::check_parts(&plan)?;
        let plan = mark_all(plan)?;
        let plan = membership::rewrite(sets::rewrite(plan)?.data)?.data;
        let plan = correlated::settled(plan)?.data;
        let plan = Rewriting { rewrite: &fit, carries: true }.plan(plan, None)?;
        Ok(plan.transform_data(with_lists)?.data)
    }
}

/// `expr` over columns of `schema`, whose types are final, with operands that fit.
pub(super) fn fit(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| apart::as_written(expr).transform_data(operation::as_written))?
        .transform_data(|expr| rounded_columns(expr, schema))?
        .transform_data(|expr| expr.transform_up(|expr| fitted(expr, schema)))
}

/// Rewrites each expression of `plan` by `rewrite`, which is given the columns it refers to: those of a query before those of
/// its subqueries, which may refer to them, and are told what they are. Results keep their names. What operators do with values
/// is made fit as well: sides of joins, parts of a UNION.
pub(super) fn rewrite_expressions<R>(plan: LogicalPlan, rewrite: R) -> Result<Transformed<LogicalPlan>>
where
    R: Fn(Expr, &DFSchema) -> Result<Transformed<Expr>> + Copy,
{
    Rewriting { rewrite: &rewrite, carries: false }.plan(plan, None)
}

struct Rewriting<'r> {
    rewrite: &'r dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
    /// Whether columns may have more digits than are shown.
    carries: bool,
}

impl Rewriting<'_> {
    /// `plan`, whose columns are as they are shown, but for what may be `carried`.
    #[recursive::recursive]
    fn plan(&self, plan: LogicalPlan, carried: Option<&Carried>) -> Result<Transformed<LogicalPlan>> {
        let below = if self.carries { Carried::below(&plan, carried) } else { None };
        let plan = match plan {
            LogicalPlan::Join(mut join) if correlated::lateral(&join.right).is_some() => {
                let left = self.plan(Arc::unwrap_or_clone(join.left), below.as_ref())?.data;
                let right = outer::told_within(Arc::unwrap_or_clone(join.right), left.schema())?.data;
                join.left = Arc::new(left);
                join.right = Arc::new(self.plan(right, None)?.data);
                Transformed::yes(LogicalPlan::Join(join))
            }
            plan => plan.map_children(|input| self.plan(input, below.as_ref()))?,
        };
        let plan = plan.transform_data(|plan| {
            let schema = match &plan {
                LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
                plan => merge_schema(&plan.inputs()),
            };
            let plan = outer::told(plan, &schema)?
                .transform_data(|plan| self.subqueries(plan, carried))?
                .transform_data(|plan| with_rewritten(plan, &schema, self.rewrite))?;
            match carried {
                Some(carried) => plan.transform_data(|plan| carrying(plan, carried, &schema)),
                None => Ok(plan),
            }
        })?;
        if self.carries && carried.is_none() { plan.transform_data(shown) } else { Ok(plan) }
    }

    /// The subqueries in the expressions of this operator of `plan`, of which some columns may be `carried`.
    fn subqueries(&self, plan: LogicalPlan, carried: Option<&Carried>) -> Result<Transformed<LogicalPlan>> {
        if !has(&plan, |expr| outer::subquery_of(expr).is_some())? {
            return Ok(Transformed::no(plan));
        }
        plan.map_expressions(|expr| {
            let is_carried = carried.is_some_and(|carried| carried.wants(&expr));
            let is_calculated_on = self.carries && (is_carried || expr.exists(|expr| Ok(calculates(expr)))?);
            expr.transform_down(|mut expr| {
                let is_value = is_calculated_on && matches!(expr, Expr::ScalarSubquery(_));
                let Some(subquery) = outer::subquery_of_mut(&mut expr) else {
                    return Ok(Transformed::no(expr));
                };
                let carried = is_value.then(|| Carried::of_value(&subquery.subquery));
                let plan = self.plan(subquery.subquery.as_ref().clone(), carried.as_ref())?;
                subquery.subquery = Arc::new(plan.data);
                Ok(Transformed::new_transformed(expr, plan.transformed))
            })
        })
    }
}

/// `plan`, this operator of it, over columns of `schema`, with its expressions rewritten.
fn with_rewritten(
    plan: LogicalPlan,
    schema: &DFSchema,
    rewrite: &dyn Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let rewritten = with_expressions(plan, |expr| rewrite(expr, schema))?.map_data(|plan| match plan {
        LogicalPlan::Join(mut join) => {
            // INTERSECT and EXCEPT.
            let is_of_sets = join.null_equality == NullEquality::NullEqualsNull;
            if is_of_sets && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
                join.left = with_places(Arc::clone(&join.left), &join.on, join.right.schema())?;
            }
            for (left, right) in &mut join.on {
                let types = known_types(&[left.clone(), right.clone()], schema);
                if is_of_sets && types.iter().any(is_text) && types.iter().any(becomes_text) {
                    return plan_err!(
                        "numbers and texts are no rows of one kind: write CAST(x AS VARCHAR) around the numbers"
                    );
                }
                let (from, to) = (std::mem::take(left), std::mem::take(right));
                [*left, *right] = sides(from, Operator::Eq, to, schema)?;
            }
            Ok(LogicalPlan::Join(join))
        }
        LogicalPlan::Union(union) => united(union),
        LogicalPlan::RecursiveQuery(query) => {
            let terms = agreed(vec![query.static_term, query.recursive_term])?;
            let Ok([first, next]) = <[_; 2]>::try_from(terms) else {
                return internal_err!("{} lost a term", query.name);
            };
            let query = RecursiveQuery::try_new(query.name, first, next, query.is_distinct)?;
            Ok(LogicalPlan::RecursiveQuery(query))
        }
        LogicalPlan::Distinct(Distinct::On(mut on)) => {
            on.sort_expr = on.sort_expr.map(without_repeats);
            Ok(LogicalPlan::Distinct(Distinct::On(on)))
        }
        plan => Ok(plan),
    })?;
    rewritten.map_data(LogicalPlan::recompute_schema)
}

fn fitted(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(function) => call(function, schema),
        Expr::Negative(operand) => Ok(Transformed::yes(negated(*operand, schema))),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let before = (left.clone(), right.clone());
            let expr = binary(*left, op, *right, schema)?;
            let same = matches!(&expr, Expr::BinaryExpr(new) if new.left == before.0 && new.right == before.1);
            Ok(if same { Transformed::no(expr) } else { Transformed::yes(expr) })
        }
        Expr::Between(between) => {
            let all = [*between.expr, *between.low, *between.high].map(|part| finer_or_same(part, schema));
            let all = with_whole_years(all.into(), schema);
            let mut all = comparable(all, schema)?.into_iter();
            match (all.next(), all.next(), all.next()) {
                (Some(expr), Some(low), Some(high)) => Ok(Transformed::yes(Expr::Between(Between::new(
                    Box::new(expr),
                    between.negated,
                    Box::new(low),
                    Box::new(high),
                )))),
                _ => internal_err!("BETWEEN lost a bound"),
            }
        }
        Expr::InList(list) => Ok(Transformed::yes(in_list(*list.expr, list.list, list.negated, schema)?)),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let (expr, subquery) = against_subquery(*expr, subquery, schema)?;
            Ok(Transformed::yes(Expr::InSubquery(InSubquery::new(Box::new(expr), subquery, negated))))
        }
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
            let (expr, subquery) = against_subquery(*expr, subquery, schema)?;
            let comparison = SetComparison::new(Box::new(expr), subquery, op, quantifier);
            Ok(Transformed::yes(Expr::SetComparison(comparison)))
        }
        cast @ (Expr::Cast(_) | Expr::TryCast(_)) => cast_as(cast, schema),
        Expr::Case(case) => Ok(Transformed::yes(Expr::Case(cases(case, schema)?))),
        Expr::AggregateFunction(mut call) if call.params.order_by.len() > 1 => {
            call.params.order_by = without_repeats(call.params.order_by);
            Ok(Transformed::yes(Expr::AggregateFunction(call)))
        }
        Expr::Like(mut like) => {
            for side in [&mut like.expr, &mut like.pattern] {
                if let Ok(data_type) = side.get_type(schema) {
                    let side_text = match data_type {
                        DataType::Date32 => cast(std::mem::take(side), DataType::Utf8View),
                        _ => text(std::mem::take(side), &data_type),
                    };
                    **side = side_text;
                }
            }
            Ok(Transformed::yes(Expr::Like(like)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// `order` with each expression where it stands first: what it is ordered by again, orders nothing, and DataFusion's aggregates
/// count on it.
fn without_repeats(order: Vec<Sort>) -> Vec<Sort> {
    let mut kept: Vec<Sort> = Vec::with_capacity(order.len());
    for sort in order {
        if kept.iter().all(|other| other.expr != sort.expr) {
            kept.push(sort);
        }
    }
    kept
}

/// The surface's own functions are replaced, and the arguments of those that choose one of them made fit.
fn call(mut function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let name = function.name().to_owned();
    match (name.as_str(), function.args.len()) {
        (TRUTH, 1) => Ok(Transformed::yes(condition(function.args.remove(0), schema)?)),
        (NEGATION, 1) => Ok(Transformed::yes(negated(function.args.remove(0), schema))),
        // The column of an outer query may be told later that it is no decimal.
        (DECIMAL_DOUBLE, 1) if !is_decimal(&function.args[0].get_type(schema)?) => {
            let number = function.args.remove(0);
            let of = number.get_type(schema)?;
            Ok(Transformed::yes(double(number, &of)))
        }
        (DOUBLE_LITERAL, _) => Ok(Transformed::yes(DoubleLiteral::read(&function.args)?)),
        (EQUALS_ANY, 2) => {
            let array = function.args.remove(1);
            Ok(Transformed::yes(equals_any(function.args.remove(0), array, schema)?))
        }
        (COMPARED, 2) => {
            // Whatever it is compared as, the first is given back as it was.
            let of = function.args[0].get_type(schema);
            let intervals = known_types(&function.args, schema).iter().any(is_interval);
            if intervals || finer::has(&function.args[0], schema) {
                return null_if(function, schema).map(Transformed::yes);
            }
            function.args = comparable(function.args, schema)?;
            let compared = Expr::ScalarFunction(function);
            Ok(Transformed::yes(match of {
                Ok(of) if !of.is_null() && compared.get_type(schema)? != of => cast(compared, of),
                _ => compared,
            }))
        }
        ("to_char", 2) => match function.args[1].as_literal().and_then(ScalarValue::try_as_str).flatten() {
            Some(pattern) if pattern.contains(char::is_alphabetic) && !pattern.contains('%') => plan_err!(
                "'{pattern}' names no part of a date: patterns of to_char are such as '%Y-%m-%d %H:%M:%S'"
            ),
            _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
        },
        ("arrow_cast" | "arrow_try_cast", _) => {
            let call = Expr::ScalarFunction(function);
            check_type(&call.get_type(schema)?)?;
            Ok(Transformed::no(call))
        }
        (AVERAGE, 2) => {
            let counted = function.args.remove(1);
            average(function.args.remove(0), counted, schema).map(Transformed::yes)
        }
        ("greatest" | "least", _) if known_types(&function.args, schema).iter().any(is_interval) => plan_err!(
            "{name} takes no intervals: compare them in CASE, or what extract(epoch FROM …) gives of them"
        ),
        ("nvl2", 3) => {
            let choices = results(function.args.split_off(1), schema)?;
            function.args.extend(choices);
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        (name, _) if is_choice(name) => {
            function.args = results(function.args, schema)?;
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        _ if function.args.iter().any(|arg| finer::has(arg, schema)) => of_quotients(function, schema),
        _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
    }
}

/// A function of numbers, some of which have more digits than are shown of them.
fn of_quotients(mut function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let shown = Expr::ScalarFunction(function.clone()).get_type(schema)?;
    let with_all = |arg: &mut Expr| *arg = finer_or_same(std::mem::take(arg), schema);
    match function.name() {
        "round" | "trunc" | "floor" | "ceil" | "abs" | "signum" => {
            function.args.iter_mut().take(1).for_each(with_all);
            Ok(Transformed::yes(rounded(Expr::ScalarFunction(function), &shown, schema)))
        }
        // Roots, logarithms and their like.
        _ if shown == DataType::Float64 => {
            function.args.iter_mut().for_each(with_all);
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        }
        _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
    }
}

/// `nullif(value, other)` of what is compared as something else than it is: an interval by its length, a quotient as it is shown.
fn null_if(call: ScalarFunction, schema: &DFSchema) -> Result<Expr> {
    let value = call.args[0].clone();
    let [left, right] = sides(value.clone(), Operator::Eq, call.args[1].clone(), schema)?;
    let to = match value.get_type(schema)? {
        of if is_decimal(&of) => of,
        _ => Expr::ScalarFunction(call).get_type(schema)?,
    };
    let value = if value.get_type(schema)? == to { value } else { cast(value, to.clone()) };
    when(left.eq(right), Expr::Literal(ScalarValue::try_new_null(&to)?, None)).otherwise(value)
}

pub(super) fn in_list(expr: Expr, list: Vec<Expr>, negated: bool, schema: &DFSchema) -> Result<Expr> {
    let mut all = list;
    all.insert(0, expr);
    // MariaDB makes `=` of one, and that rounds before.
    if all.len() > 2 {
        all = all.into_iter().map(|part| finer_or_same(part, schema)).collect();
    }
    let mut all = comparable(with_whole_years(all, schema), schema)?;
    let expr = all.remove(0);
    Ok(Expr::InList(InList::new(Box::new(expr), all, negated)))
}

fn cases(mut case: Case, schema: &DFSchema) -> Result<Case> {
    if let Some(base) = case.expr.take() {
        let compared = case.when_then_expr.iter().map(|(when, _)| when.as_ref().clone());
        let all = std::iter::once(*base).chain(compared).map(|part| finer_or_same(part, schema));
        let mut all = comparable(all.collect(), schema)?;
        case.expr = Some(Box::new(all.remove(0)));
        for ((when, _), fitted) in case.when_then_expr.iter_mut().zip(all) {
            **when = fitted;
        }
    }
    let mut choices: Vec<Expr> = case.when_then_expr.iter().map(|(_, then)| then.as_ref().clone()).collect();
    choices.extend(case.else_expr.take().map(|otherwise| *otherwise));
    refuse_number_first(&known_types(&choices, schema))?;
    let mut choices = results(choices, schema)?.into_iter();
    for ((_, then), fitted) in case.when_then_expr.iter_mut().zip(choices.by_ref()) {
        **then = fitted;
    }
    case.else_expr = choices.next().map(Box::new);
    Ok(case)
}

fn against_subquery(expr: Expr, subquery: Subquery, schema: &DFSchema) -> Result<(Expr, Subquery)> {
    let inner = &subquery.subquery;
    let types = [expr.get_type(schema)?, inner.schema().field(0).data_type().clone()];
    if types.iter().any(is_interval) {
        let column = Expr::Column(Column::from(inner.schema().qualified_field(0)));
        let plan = Projection::try_new(vec![as_length(column, &types[1])?], Arc::clone(inner))?;
        let plan = Arc::new(LogicalPlan::Projection(plan));
        return Ok((as_length(expr, &types[0])?, subquery.with_plan(plan)));
    }
    let wide = widened(&types);
    let expr = convert(expr, &types[0], &wide[0]);
    if wide[1] == types[1] {
        return Ok((expr, subquery));
    }
    let plan = Arc::new(converted(Arc::clone(inner), &wide[1..])?);
    Ok((expr, subquery.with_plan(plan)))
}

/// The inputs of a union, whose columns make one type each.
fn united(union: Union) -> Result<LogicalPlan> {
    let width = union.inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or(0);
    let (mut columns, mut changed) = (Vec::with_capacity(width), false);
    for index in 0..width {
        let types: Vec<DataType> =
            union.inputs.iter().map(|input| input.schema().field(index).data_type().clone()).collect();
        refuse_mixed(&types)?;
        if types.iter().any(is_text) && types.iter().any(|t| *t != TIME && becomes_text(t)) {
            return plan_err!(
                "a column has numbers in one part of a UNION and texts in another: write CAST(x AS VARCHAR) around the numbers"
            );
        }
        let wide = as_one(widened(&types));
        changed |= wide != types;
        columns.push(wide);
    }
    let inputs = if changed {
        let inputs = union.inputs.into_iter().enumerate().map(|(row, input)| {
            let wide: Vec<DataType> = columns.iter().map(|types| types[row].clone()).collect();
            Ok(Arc::new(converted(input, &wide)?))
        });
        inputs.collect::<Result<_>>()?
    } else {
        union.inputs
    };
    Ok(LogicalPlan::Union(Union::try_new_with_loose_types(agreed(inputs)?)?))
}

/// `left`, the rows of INTERSECT or EXCEPT: exact numbers have the digits of both sides, as in UNION.
fn with_places(left: Arc<LogicalPlan>, on: &[(Expr, Expr)], right: &DFSchema) -> Result<Arc<LogicalPlan>> {
    let schema = Arc::clone(left.schema());
    let mut types: Vec<DataType> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
    let before = types.clone();
    for (of_left, of_right) in on {
        let (Expr::Column(column), Ok(met)) = (of_left, of_right.get_type(right)) else { continue };
        let place = schema.index_of_column(column)?;
        let is_exact = |of: &DataType| is_decimal(of) || of.is_integer();
        let both = [types[place].clone(), met];
        if both.iter().all(is_exact) && both.iter().any(is_decimal) {
            types[place] = as_one(widened(&both)).swap_remove(0);
        }
    }
    if types == before { Ok(left) } else { converted(left, &types).map(Arc::new) }
}

/// `plan`, whose columns become `types`.
fn converted(plan: Arc<LogicalPlan>, types: &[DataType]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    if schema.fields().iter().zip(types).all(|(field, to)| field.data_type() == to) {
        return Ok(Arc::unwrap_or_clone(plan));
    }
    let columns = schema.iter().zip(types).map(|((relation, field), to)| {
        let column = Expr::Column(Column::from((relation, field)));
        match field.data_type() {
            from if from == to => column,
            from => convert(column, from, to).alias_qualified(relation.cloned(), field.name()),
        }
    });
    Ok(LogicalPlan::Projection(Projection::try_new(columns.collect(), plan)?))
}
