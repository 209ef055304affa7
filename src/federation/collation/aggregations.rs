//! Rewrites aggregate and window functions: what they compare, and what they order by.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, WindowFunction, WindowFunctionParams,
};
use datafusion::logical_expr::{
    AggregateUDF, Expr, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
    cast,
};

use super::aggregates::CollationPick;
use super::distinct::{ArgumentOrder, CollationDistinct};
use super::expressions::{Rewriter, Scope, data_type, describe, has_length};
use super::functions::Key;
use super::kind::{Kind, is_text};
use crate::federation::surface::length;

/// An aggregate's function and arguments, after rewriting.
struct Aggregation {
    function: Arc<AggregateUDF>,
    args: Vec<Expr>,
    kinds: Vec<Kind>,
    distinct: bool,
    order_by: Vec<SortExpr>,
}

impl Rewriter<'_> {
    /// Rewrites a call in a plan of aggregates.
    pub(super) fn aggregate_function(&self, call: AggregateFunction, scope: Scope<'_>) -> Result<(Expr, Kind)> {
        let AggregateFunctionParams { args, distinct, filter, order_by, null_treatment } = call.params;
        let filter = self.aggregate_filter(filter, scope)?;
        let calls = self.aggregation(call.func, args, distinct, order_by, scope)?;
        let picks_one = picks_one(&calls);
        let kinds = calls.kinds;
        let call = AggregateFunction::new_udf(
            calls.function,
            calls.args,
            calls.distinct,
            filter,
            calls.order_by,
            null_treatment,
        );
        let expr = Expr::AggregateFunction(call);
        let kind = result_kind(&expr, &kinds, picks_one, scope);
        Ok((expr, kind))
    }

    /// Rewrites a call in a plan of windows.
    pub(super) fn window_function(&self, call: WindowFunction, scope: Scope<'_>) -> Result<(Expr, Kind)> {
        let WindowFunction { fun, params } = call;
        let WindowFunctionParams {
            args,
            partition_by,
            order_by,
            window_frame,
            filter,
            null_treatment,
            distinct,
        } = params;
        let filter = self.aggregate_filter(filter, scope)?;
        let (partitions, partition_kinds) = self.exprs(partition_by, scope)?;
        let partition_by = partitions
            .into_iter()
            .zip(&partition_kinds)
            .map(|(expr, kind)| Ok(self.told_apart_by(&expr, kind, scope)?.unwrap_or(expr)))
            .collect::<Result<_>>()?;
        let order_by = self.sorts(order_by, scope)?;
        let window_frame = frame_over_keys(window_frame, &order_by, scope);
        let (fun, args, kinds, distinct, picks_one) = match fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                if matches!(function.name(), "min" | "max") && args.iter().any(|arg| has_length(arg, scope)) {
                    return plan_err!(
                        "{} OVER (…) takes no intervals: it takes what extract(epoch FROM …) gives of them",
                        function.name()
                    );
                }
                let calls = self.aggregation(function, args, distinct, vec![], scope)?;
                let picks_one = picks_one(&calls);
                let function = WindowFunctionDefinition::AggregateUDF(calls.function);
                (function, calls.args, calls.kinds, calls.distinct, picks_one)
            }
            WindowFunctionDefinition::WindowUDF(_) => {
                let (args, kinds) = self.exprs(args, scope)?;
                (fun, args, kinds, distinct, true)
            }
        };
        let params = WindowFunctionParams {
            args,
            partition_by,
            order_by,
            window_frame,
            filter,
            null_treatment,
            distinct,
        };
        let expr = Expr::from(WindowFunction { fun, params });
        // Of whichever row it is, MariaDB takes an ENUM there for its text.
        let kind = result_kind(&expr, &kinds, picks_one, scope).into_text();
        Ok((expr, kind))
    }

    fn aggregate_filter(&self, filter: Option<Box<Expr>>, scope: Scope<'_>) -> Result<Option<Box<Expr>>> {
        match filter {
            Some(filter) => Ok(Some(Box::new(self.expr(*filter, scope)?.0))),
            None => Ok(None),
        }
    }

    fn aggregation(
        &self,
        function: Arc<AggregateUDF>,
        mut args: Vec<Expr>,
        distinct: bool,
        order_by: Vec<SortExpr>,
        scope: Scope<'_>,
    ) -> Result<Aggregation> {
        if distinct && function.name() == "string_agg" && !args.is_empty() {
            // It makes a text of an ENUM, a UUID and their like: texts are what is told apart.
            let (_, kind) = self.expr(args[0].clone(), scope)?;
            if !matches!(kind, Kind::Plain | Kind::Text(_)) {
                args[0] = cast(std::mem::take(&mut args[0]), DataType::Utf8View);
            }
        }
        let (args, kinds) = self.exprs(args, scope)?;
        let intervals = args.iter().any(|arg| has_length(arg, scope));
        let plain = kinds.iter().all(|kind| *kind == Kind::Plain);
        match function.name() {
            // What it names are the groups, as they are written.
            "grouping" => return Ok(Aggregation { function, args, kinds, distinct, order_by }),
            name @ ("min" | "max") if !plain => {
                let greatest = name == "max";
                return self.extreme(function, greatest, args, kinds, order_by);
            }
            name @ ("min" | "max") if intervals => return Ok(longest(name == "max", args, kinds)),
            "count" | "approx_distinct"
                if (!plain || intervals) && (distinct || function.name() != "count") =>
            {
                let keyed = args
                    .into_iter()
                    .zip(&kinds)
                    .map(|(expr, kind)| Ok(self.told_apart_by(&expr, kind, scope)?.unwrap_or(expr)))
                    .collect::<Result<_>>()?;
                let order_by = self.sorts(order_by, scope)?;
                return Ok(Aggregation { function, args: keyed, kinds, distinct, order_by });
            }
            name if intervals && distinct => {
                return plan_err!(
                    "{name}(DISTINCT …) takes no intervals: it takes what extract(epoch FROM …) gives of them"
                );
            }
            _ => {}
        }
        let keys = kinds
            .iter()
            .zip(&args)
            .map(|(kind, expr)| self.group_key_of(expr, kind))
            .collect::<Result<Vec<_>>>();
        if !distinct || plain || matches!(&keys, Ok(keys) if keys.iter().all(Option::is_none)) {
            let order_by = self.sorts(order_by, scope)?;
            return Ok(Aggregation { function, args, kinds, distinct, order_by });
        }
        let order = self.argument_order(&args, &kinds, order_by, scope)?;
        let function = CollationDistinct::over(function, keys?, order);
        Ok(Aggregation { function, args, kinds, distinct: false, order_by: vec![] })
    }

    fn extreme(
        &self,
        function: Arc<AggregateUDF>,
        greatest: bool,
        mut args: Vec<Expr>,
        kinds: Vec<Kind>,
        order_by: Vec<SortExpr>,
    ) -> Result<Aggregation> {
        let key = match kinds.first() {
            Some(Kind::Text(text)) => text.comparison.key(self.collations, &describe(&args, &kinds))?,
            Some(kind @ Kind::Nested(_)) => {
                self.group_key(&args[0], kind)?;
                None
            }
            _ => None,
        };
        let function = match key {
            Some(key) => {
                args = args.into_iter().map(|text| cast(text, DataType::Utf8View)).collect();
                CollationPick::extreme(greatest, key)
            }
            None => function,
        };
        // Equal texts count once or often: it is the same to MIN and MAX.
        Ok(Aggregation { function, args, kinds, distinct: false, order_by })
    }

    fn group_key_of(&self, expr: &Expr, kind: &Kind) -> Result<Option<Key>> {
        match kind {
            Kind::Text(text) => {
                let what = describe(std::slice::from_ref(expr), std::slice::from_ref(kind));
                text.comparison.group_key(self.collations, &what)
            }
            kind => self.group_key(expr, kind).map(|_| None),
        }
    }

    /// ORDER BY inside an aggregate of DISTINCT arguments: it can only name one of them.
    fn argument_order(
        &self,
        args: &[Expr],
        kinds: &[Kind],
        order_by: Vec<SortExpr>,
        scope: Scope<'_>,
    ) -> Result<Option<ArgumentOrder>> {
        let mut sorts = order_by.into_iter();
        let Some(sort) = sorts.next() else { return Ok(None) };
        let (expr, _) = self.expr(sort.expr, scope)?;
        let Some(argument) = args.iter().position(|arg| *arg == expr).filter(|_| sorts.next().is_none()) else {
            return plan_err!(
                "{expr}: an aggregate of DISTINCT texts can be ordered by one of its arguments only"
            );
        };
        let key = match &kinds[argument] {
            Kind::Text(text) => text.comparison.order_key(self.collations, &describe(args, kinds))?,
            _ => None,
        };
        Ok(Some(ArgumentOrder { argument, key, ascending: sort.asc, nulls_first: sort.nulls_first }))
    }
}

/// The longest or the shortest of intervals. Of those that are as long as each other it is always the same.
fn longest(greatest: bool, args: Vec<Expr>, kinds: Vec<Kind>) -> Aggregation {
    let lengths = args.iter().map(|interval| length(interval.clone()).sort(!greatest, false));
    let order_by = lengths.chain(args.iter().map(|interval| interval.clone().sort(true, false))).collect();
    Aggregation { function: first_value_udaf(), args, kinds, distinct: false, order_by }
}

/// Aggregates whose result is one of the values, unchanged.
const PICKS_ONE: &[&str] = &["first_value", "last_value", "nth_value"];

/// Whether the result is one of the values, of their kind. The least of ENUMs is the least by text, but is an ENUM, and
/// ordered as one.
fn picks_one(calls: &Aggregation) -> bool {
    PICKS_ONE.contains(&calls.function.name()) || CollationPick::is(&calls.function)
}

fn result_kind(expr: &Expr, kinds: &[Kind], picks_one: bool, scope: Scope<'_>) -> Kind {
    let data_type = data_type(expr, scope);
    match (picks_one, data_type.as_ref()) {
        (true, Some(data_type)) if is_text(data_type) => kinds.first().cloned().unwrap_or(Kind::Plain),
        (true, _) => Kind::result(kinds.get(..1).unwrap_or_default(), data_type.as_ref()),
        (false, _) => Kind::made_of(kinds, data_type.as_ref()),
    }
}

/// Keys are bytes, over which DataFusion has no RANGE, nor has it for a TIME; between peers and ends GROUPS is the same.
fn frame_over_keys(frame: WindowFrame, order_by: &[SortExpr], scope: Scope<'_>) -> WindowFrame {
    let without_range = |of: DataType| matches!(of, DataType::BinaryView | DataType::Duration(_));
    let over_keys =
        order_by.first().is_some_and(|sort| data_type(&sort.expr, scope).is_some_and(without_range));
    let peers_and_ends = [&frame.start_bound, &frame.end_bound].into_iter().all(|bound| match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => {
            ScalarValue::is_null(offset)
        }
    });
    if over_keys && peers_and_ends && frame.units == WindowFrameUnits::Range {
        WindowFrame::new_bounds(WindowFrameUnits::Groups, frame.start_bound, frame.end_bound)
    } else {
        frame
    }
}
