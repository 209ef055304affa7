//! Taking one more operator over a fragment: filters, projections, sorts and limits.

use std::sync::Arc;

use arrow::datatypes::DataType;
use crossweave_contract::{ColumnType, Relation, RemoteColumn, RemoteExpr, RemoteOutput, RemoteSort};
use datafusion::common::Result;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Cast, Expr, FetchType, Filter, Limit, LogicalPlan, Projection, SkipType, Sort, SortExpr, TableScan,
};

use super::expressions::{Scope, Taken, check_literals, refuse};
use super::fragment::{Fragment, Output, Picked, read_as};
use super::texts::{declared_order, is_bytes, text_side};
use super::whitelist::{Family, Operation};
use crate::federation::live::LiveTable;

/// The table that `scan` reads: all of its rows, or as many as are enough where LIMIT is pushed down (`limits`).
pub(super) fn table(scan: &TableScan, table: &LiveTable, limits: bool) -> Result<Fragment> {
    let shape = table.shape();
    shape.check_key()?;
    let planned = shape.projection(scan.projection.as_ref());
    let columns: Vec<usize> = planned.iter().map(|&index| shape.column(index)).collect::<Result<_>>()?;
    let key: Option<Vec<usize>> =
        shape.actual().key.iter().map(|key| columns.iter().position(|column| column == key)).collect();
    let relation = Relation::Table { table: Arc::clone(shape.actual()), columns };
    let relation = match scan.fetch.filter(|_| limits) {
        Some(fetch) => Relation::Limit { input: Box::new(relation), skip: 0, fetch: Some(fetch as u64) },
        None => relation,
    };
    Ok(Fragment {
        columns: relation.columns(),
        outputs: (0..planned.len()).map(Output::Column).collect(),
        schema: Arc::clone(&scan.projected_schema),
        source: Arc::clone(table.source()),
        keys: key.filter(|key| !key.is_empty()).into_iter().collect(),
        relation,
        picked: Picked::new(),
        apart: None,
    })
}

/// The conditions of `filter` that the source computes, taken; the others, with why.
pub(super) fn filter(filter: &Filter, mut fragment: Fragment) -> Result<(Fragment, Vec<(Expr, String)>)> {
    let (mut taken, mut conditions, mut left) = (Vec::new(), Vec::new(), Vec::new());
    let mut literals = fragment.relation.literals();
    for condition in split_conjunction(&filter.predicate) {
        let remote = fragment.scope().condition(condition);
        let remote = remote.and_then(|remote| {
            check_literals(literals + remote.literals())?;
            Ok(remote)
        });
        match remote {
            Ok(remote) => {
                literals += remote.literals();
                match remote {
                    RemoteExpr::And(list) => taken.extend(list),
                    remote => taken.push(remote),
                }
            }
            Err(why) => {
                left.push((condition.clone(), why));
                continue;
            }
        }
        conditions.push(condition.clone());
    }
    let Some(condition) = conjunction(conditions) else { return Ok((fragment, left)) };
    let here = LogicalPlan::Filter(Filter::try_new(condition, Arc::clone(&filter.input))?);
    let apart = fragment.apart.take();
    // In the order of such a column no place for NULLs has to be found, so that an index may serve it.
    for place in taken.iter().filter_map(RemoteExpr::not_null) {
        fragment.columns[place].nullable = false;
    }
    let condition = if taken.len() == 1 { taken.remove(0) } else { RemoteExpr::And(taken) };
    let fragment = fragment.within(|input| Relation::Filter { input, condition });
    Ok((fragment.over(apart.as_deref(), &here)?, left))
}

/// Columns of `fragment`, and what is computed of them where `computes` allows.
pub(super) fn projection(projection: &Projection, fragment: &Fragment, computes: bool) -> Taken<Fragment> {
    let scope = fragment.scope();
    let mut computed = Vec::new();
    let mut outputs = Vec::with_capacity(projection.expr.len());
    for (expr, field) in projection.expr.iter().zip(projection.schema.fields()) {
        if let Some(output) = passed_on(expr, field.data_type(), &scope)? {
            outputs.push(output);
            continue;
        }
        if !computes {
            return refuse("computed columns are switched off");
        }
        let (expr, column_type) = scope.value(expr)?;
        let column = scope.computed(&expr, column_type, field.is_nullable());
        read_as(&column, field.data_type())?;
        outputs.push(Output::Column(fragment.columns.len() + computed.len()));
        computed.push(RemoteOutput { expr, column });
    }
    let schema = Arc::clone(&projection.schema);
    let fragment = Fragment { outputs, schema, ..fragment.clone() };
    if computed.is_empty() {
        return Ok(fragment);
    }
    let passed = fragment
        .columns
        .iter()
        .enumerate()
        .map(|(place, column)| RemoteOutput { expr: RemoteExpr::Column(place), column: column.clone() });
    let all: Vec<RemoteOutput> = passed.chain(computed).collect();
    let columns = all.iter().map(|output| output.column.clone()).collect();
    Ok(Fragment { columns, ..fragment }.within(|input| Relation::Project { input, outputs: all }))
}

/// What `expr` is, which becomes a column of `data_type`, where it is a column as it stands: also one that is cast to what it
/// is read as anyhow.
fn passed_on(expr: &Expr, data_type: &DataType, scope: &Scope<'_>) -> Taken<Option<Output>> {
    match expr {
        Expr::Alias(alias) => passed_on(&alias.expr, data_type, scope),
        Expr::Column(column) => scope.output(column).cloned().map(Some),
        Expr::Cast(Cast { expr, .. }) => match &**expr {
            Expr::Column(column) => match scope.output(column)? {
                output @ Output::Column(place) if read_as(&scope.columns[*place], data_type).is_ok() => {
                    Ok(Some(output.clone()))
                }
                _ => Ok(None),
            },
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The first rows in the order of `sort`, which says how many.
pub(super) fn sort(sort: &Sort, fragment: &Fragment) -> Taken<Fragment> {
    let Some(fetch) = sort.fetch else { return refuse("rows are ordered here, for all of them are read") };
    let scope = fragment.scope();
    let by = sort.expr.iter().map(|sort| order(sort, &scope)).collect::<Taken<_>>()?;
    let sorted = fragment.clone().within(|input| Relation::Sort { input, by });
    Ok(sorted.within(|input| Relation::Limit { input, skip: 0, fetch: Some(fetch as u64) }))
}

/// How the source orders by `sort`.
pub(super) fn order(sort: &SortExpr, scope: &Scope<'_>) -> Taken<RemoteSort> {
    let (expr, nullable) = match (declared_order(&sort.expr, scope), text_side(&sort.expr, scope)) {
        (Some(place), _) if Family::of_column(&scope.columns[place].column_type).allows(Operation::Sorts) => {
            (RemoteExpr::Column(place), scope.columns[place].nullable)
        }
        (None, Ok(Some(text))) if text.family() == Family::Text && Family::Text.allows(Operation::Sorts) => {
            text.check_short(scope)?;
            let nullable = scope.may_be_null(&text.value);
            (text.value, nullable)
        }
        (None, Err(why)) => return Err(why),
        _ => {
            let (expr, family) = scope.compared(&sort.expr)?;
            if !family.allows(Operation::Sorts) {
                return refuse(format!("the order of {} is found here", sort.expr));
            }
            // The server orders by as many digits as a value is shown with.
            let expr = scope.rounded_by_operator(expr);
            let nullable = scope.may_be_null(&expr);
            (expr, nullable)
        }
    };
    Ok(RemoteSort { expr, descending: !sort.asc, nulls_first: sort.nulls_first, nullable })
}

/// Some of the rows.
pub(super) fn limit(limit: &Limit, fragment: &Fragment) -> Taken<Fragment> {
    let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) =
        (limit.get_skip_type(), limit.get_fetch_type())
    else {
        return refuse("how many rows are wanted is computed here");
    };
    let (skip, fetch) = (skip as u64, fetch.map(|fetch| fetch as u64));
    Ok(fragment.clone().within(|input| Relation::Limit { input, skip, fetch }))
}

/// Whether values of `column` that are equal look alike, so that a source may group by them.
pub(super) fn groups_alike(column: &RemoteColumn) -> bool {
    let family = Family::of_column(&column.column_type);
    let alike = match &column.column_type {
        // The error value looks like a declared empty one.
        ColumnType::Enum { values, .. } => !values.iter().any(String::is_empty),
        column_type => family != Family::Text || is_bytes(column_type),
    };
    alike && family.allows(Operation::Groups)
}
