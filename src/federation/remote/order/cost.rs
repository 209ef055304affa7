//! What plans cost: how many rows they have, and how many are fetched for them.

use std::collections::HashMap;

use datafusion::common::Column;
use datafusion::datasource::DefaultTableSource;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, FetchType, LogicalPlan, SkipType};

use crate::federation::cached::CachedTable;
use crate::federation::remote::bind::{KEYS_IN_A_SCAN, MOST_KEYS};
use crate::federation::remote::node::RemoteNode;
use crate::federation::remote::pages::FIRST_PAGE;

/// Rows of what nobody says anything of.
const UNKNOWN: f64 = 100_000.0;

/// A condition that is computed here is supposed to leave one row in so many.
const ROWS_PER_PASSING: f64 = 5.0;

/// Of so many rows one group is supposed to be made.
const ROWS_PER_GROUP: f64 = 3.0;

/// How many keys are asked for, by the column that has them.
pub(super) type Keys = HashMap<Column, f64>;

/// A plan, and what is expected of it.
#[derive(Debug, Clone)]
pub(super) struct Sized {
    pub(super) plan: LogicalPlan,
    pub(super) rows: f64,
    /// Rows that come from sources.
    pub(super) fetched: f64,
    /// How many different values the tables have in columns of the plan, where that is known.
    pub(super) values: HashMap<Column, f64>,
}

/// A [`Sized`] without its plan.
pub(super) struct Size {
    rows: f64,
    fetched: f64,
    values: HashMap<Column, f64>,
}

impl Sized {
    pub(super) fn split(self) -> (LogicalPlan, Size) {
        let Self { plan, rows, fetched, values } = self;
        (plan, Size { rows, fetched, values })
    }

    /// How many different values `expr` has in the tables, at most.
    pub(super) fn values_of(&self, expr: &Expr) -> Option<f64> {
        let columns = expr.column_refs();
        let mut values = columns.into_iter().map(|column| self.values.get(column));
        let first = values.next()??;
        values.next().is_none().then_some(*first)
    }
}

/// What joining one more input takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// Rows that come for it.
    pub(super) fetched: f64,
    /// Rows of the join.
    pub(super) rows: f64,
    /// Whether it is asked for the rows with keys alone.
    pub(super) asks: bool,
}

/// What joining `next` to `before` takes, which are equal by `pairs`.
pub(super) fn step(before: &Sized, next: &Sized, pairs: &[(Expr, Expr)]) -> Step {
    let pairs = pairs.iter().map(|(left, right)| (before.values_of(left), next.values_of(right)));
    joined((before.rows, next.rows, next.fetched), pairs)
}

/// The same by numbers alone: rows of what is there, rows of what comes and how many are fetched for it, and for each pair
/// how many values the tables have on each side.
pub(super) fn joined(
    (before, next, fetched): (f64, f64, f64),
    pairs: impl Iterator<Item = (Option<f64>, Option<f64>)>,
) -> Step {
    let mut part: f64 = 1.0;
    let mut asks = false;
    let mut all_values = Vec::new();
    for (left, right) in pairs {
        let known = left.into_iter().chain(right).fold(0.0, f64::max);
        let values = if known > 0.0 { known } else { before.max(next) }.max(1.0);
        let keys = before.min(left.unwrap_or(f64::INFINITY));
        if is_asked_for(keys, right) {
            asks = true;
            part = part.min(keys / values);
        }
        all_values.push(values);
    }
    all_values.sort_by(|left, right| right.total_cmp(left));
    // Columns of one key mostly go together.
    let values =
        all_values.iter().enumerate().map(|(place, values)| if place == 0 { *values } else { values.sqrt() });
    let rows = (before * next / values.product::<f64>()).max(1.0);
    Step { fetched: fetched * part, rows, asks }
}

/// Whether so many keys are asked for, of a column with so many different values where that is known: then it has an index,
/// without which many keys are too many.
fn is_asked_for(keys: f64, values: Option<f64>) -> bool {
    let most = if values.is_some() { MOST_KEYS } else { KEYS_IN_A_SCAN };
    keys <= most as f64
}

/// What is expected of a plan without inputs.
pub(super) fn of_leaf(plan: LogicalPlan, keys: &Keys) -> Sized {
    let mut sized = Sized { rows: 1.0, fetched: 0.0, values: HashMap::new(), plan };
    match &sized.plan {
        LogicalPlan::Extension(_) => {
            if let Some(node) = RemoteNode::of(&sized.plan) {
                sized.rows = node.rows().unwrap_or(UNKNOWN);
                if node.is_paged() {
                    sized.rows = sized.rows.min(FIRST_PAGE as f64);
                }
                sized.values = node.values();
                sized.fetched = sized.rows;
            }
        }
        LogicalPlan::TableScan(scan) => {
            sized.rows = UNKNOWN;
            let source = scan.source.downcast_ref::<DefaultTableSource>();
            if let Some(table) = source.and_then(|source| source.table_provider.downcast_ref::<CachedTable>()) {
                sized.rows = table.rows() as f64;
                let key = table.only_key().and_then(|name| {
                    scan.projected_schema.columns().into_iter().find(|column| column.name == name)
                });
                sized.values.extend(key.map(|key| (key, sized.rows)));
            }
        }
        _ => {}
    }
    for (column, keys) in keys.iter().filter(|(column, _)| sized.plan.schema().has_column(column)) {
        let values = sized.values.get(column).copied();
        if !is_asked_for(*keys, values) {
            continue;
        }
        let values = values.unwrap_or(sized.rows);
        let part = (keys / values.max(1.0)).min(1.0);
        sized.rows = (sized.rows * part).max(1.0);
        sized.fetched *= part;
    }
    sized
}

/// Which keys input `place` of `plan` is asked for, where `plan` is asked for `keys`.
pub(super) fn below(plan: &LogicalPlan, place: usize, keys: &Keys) -> Keys {
    let columns = plan.schema().columns();
    let of_input = |column: &Column| -> Option<Column> {
        let at = columns.iter().position(|other| other == column)?;
        match plan {
            LogicalPlan::Projection(projection) => super::only_column(projection.expr.get(at)?),
            LogicalPlan::Aggregate(aggregate) => super::only_column(aggregate.group_expr.get(at)?),
            LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => {
                plan.inputs().get(place)?.schema().columns().get(at).cloned()
            }
            LogicalPlan::Filter(_) | LogicalPlan::Distinct(_) => Some(column.clone()),
            _ => None,
        }
    };
    keys.iter().filter_map(|(column, keys)| Some((of_input(column)?, *keys))).collect()
}

/// What is expected of `plan`, whose inputs are of the sizes `inputs`.
pub(super) fn over(plan: LogicalPlan, inputs: Vec<Size>) -> Sized {
    let fetched = inputs.iter().map(|input| input.fetched).sum();
    let all: f64 = inputs.iter().map(|input| input.rows).sum();
    let mut of_inputs = HashMap::new();
    inputs.into_iter().for_each(|input| of_inputs.extend(input.values));
    let columns = plan.schema().columns();
    let passed = |exprs: &[Expr]| -> HashMap<Column, f64> {
        let values = columns.iter().zip(exprs).filter_map(|(column, expr)| {
            let values = of_inputs.get(&super::only_column(expr)?)?;
            Some((column.clone(), *values))
        });
        values.collect()
    };
    let (rows, values) = match &plan {
        LogicalPlan::Projection(projection) => (all, passed(&projection.expr)),
        LogicalPlan::Filter(filter) => {
            let conditions = split_conjunction(&filter.predicate).len();
            (all / ROWS_PER_PASSING.powi(i32::try_from(conditions).unwrap_or(i32::MAX)), of_inputs)
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => (1.0, HashMap::new()),
        LogicalPlan::Aggregate(aggregate) => {
            let values = passed(&aggregate.group_expr);
            let groups = if values.len() == aggregate.group_expr.len() {
                values.values().product()
            } else {
                all / ROWS_PER_GROUP
            };
            (groups.min(all), values)
        }
        LogicalPlan::SubqueryAlias(alias) => {
            let of_input = alias.input.schema().columns();
            let values = columns.iter().zip(of_input);
            let values = values.filter_map(|(column, below)| Some((column.clone(), *of_inputs.get(&below)?)));
            (all, values.collect())
        }
        LogicalPlan::Limit(limit) => match (limit.get_skip_type(), limit.get_fetch_type()) {
            (Ok(SkipType::Literal(_)), Ok(FetchType::Literal(Some(fetch)))) => {
                (all.min(fetch as f64), of_inputs)
            }
            _ => (all, of_inputs),
        },
        LogicalPlan::Sort(sort) => (sort.fetch.map_or(all, |fetch| all.min(fetch as f64)), of_inputs),
        _ => (all, of_inputs),
    };
    Sized { plan, rows: rows.max(1.0), fetched, values }
}
