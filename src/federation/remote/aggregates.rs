//! Taking GROUP BY and aggregates.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use crossweave_contract::{
    AggregateFunction, ColumnType, Relation, RemoteAggregate, RemoteColumn, RemoteExpr, RemoteOutput,
};
use datafusion::logical_expr::{Aggregate, Cast, Expr, expr};

use super::computed::{chosen_type, exact_type};
use super::expressions::{Scope, Taken, refuse};
use super::fragment::{Fragment, Output, Picked, read_as};
use super::relations::groups_alike;
use super::texts::text_side;
use super::whitelist::{Family, Operation};
use crate::federation::collation::{CollationPick, Pick};

/// The groups of `aggregate` over `fragment`.
pub(super) fn aggregate(aggregate: &Aggregate, fragment: &Fragment) -> Taken<Fragment> {
    let scope = fragment.scope();
    let mut fields = aggregate.schema.fields().iter();
    let (mut groups, mut outputs) = (Vec::new(), Vec::new());
    for (place, expr) in aggregate.group_expr.iter().enumerate() {
        let (group, output) = group(expr, &scope, place, fields.next())?;
        groups.push(group);
        outputs.push(output);
    }
    let (mut aggregates, mut picked) = (Vec::new(), Picked::new());
    for expr in &aggregate.aggr_expr {
        let Expr::AggregateFunction(call) = expr.clone().unalias_nested().data else {
            return refuse(format!("{expr} is no plain aggregate"));
        };
        let Some(field) = fields.next() else { return refuse("an aggregate has no column") };
        let place = groups.len() + aggregates.len();
        outputs.push(Output::Column(place));
        let aggregate = aggregated(&call, &scope, field)?;
        if aggregate.function == AggregateFunction::Any {
            let same = |group: &RemoteOutput| Some(&group.expr) == aggregate.argument.as_ref();
            picked.insert(place, groups.iter().position(same));
        }
        aggregates.push(aggregate);
    }
    let keys = if groups.is_empty() { Vec::new() } else { vec![(0..groups.len()).collect()] };
    let relation = Relation::Aggregate { input: Box::new(fragment.relation.clone()), groups, aggregates };
    let schema = Arc::clone(&aggregate.schema);
    let source = Arc::clone(&fragment.source);
    // Fewer rows come than a join has.
    Ok(Fragment { columns: relation.columns(), relation, outputs, schema, source, picked, keys, apart: None })
}

fn group(
    expr: &Expr,
    scope: &Scope<'_>,
    place: usize,
    field: Option<&FieldRef>,
) -> Taken<(RemoteOutput, Output)> {
    let bare = expr.clone().unalias_nested().data;
    if matches!(bare, Expr::GroupingSet(_)) {
        return refuse("grouping sets are made here");
    }
    if let Some(text) = text_side(&bare, scope)? {
        text.check_short(scope)?;
        if !text.family().allows(Operation::Groups) {
            return refuse("values of this type are grouped here");
        }
        let output = match text.key {
            Some(key) => Output::Key(key, place),
            None => Output::Column(place),
        };
        let column = match &text.value {
            RemoteExpr::Column(place) => scope.columns[*place].clone(),
            value => scope.computed(value, text.column_type, true),
        };
        return Ok((RemoteOutput { expr: text.value, column }, output));
    }
    let (expr, column) = match bare {
        Expr::Column(column) => {
            let place = scope.place(&column)?;
            (scope.as_shown(place), scope.columns[place].clone())
        }
        bare => {
            let (value, column_type) = scope.value(&bare)?;
            (value, RemoteColumn::computed(column_type, true))
        }
    };
    if !groups_alike(&column) {
        return refuse("values of this type are grouped here");
    }
    if let Some(field) = field {
        read_as(&column, field.data_type())?;
    }
    // A date that is none is NULL.
    let nullable = column.nullable || column.column_type.may_hold_zero_date();
    Ok((RemoteOutput { expr, column: RemoteColumn { nullable, ..column } }, Output::Column(place)))
}

fn aggregated(call: &expr::AggregateFunction, scope: &Scope<'_>, field: &FieldRef) -> Taken<RemoteAggregate> {
    let params = &call.params;
    if !params.order_by.is_empty() || params.null_treatment.is_some() {
        return refuse(format!("{} with an order is computed here", call.func.name()));
    }
    let filter = params.filter.as_deref().map(|filter| scope.condition(filter)).transpose()?;
    let pick = call.func.inner().downcast_ref::<CollationPick>().map(CollationPick::pick);
    let (function, argument, column_type) = match (call.func.name(), pick, params.args.as_slice()) {
        ("count", _, [argument]) => {
            let argument = counted(argument, params.distinct, scope)?;
            (AggregateFunction::Count, argument, ColumnType::BigInt { unsigned: false })
        }
        (name @ ("sum" | "avg"), _, [argument]) => {
            let (value, family) = number(argument, scope, Operation::Sums)?;
            let column_type = match family {
                Family::Double => ColumnType::Double,
                _ => exact_type(field.data_type())?,
            };
            let function = if name == "sum" { AggregateFunction::Sum } else { AggregateFunction::Average };
            (function, Some(value), column_type)
        }
        (name @ ("min" | "max"), None, [argument]) => {
            let (value, _) = number(argument, scope, Operation::Extremes)?;
            let column_type = match &value {
                RemoteExpr::Column(place) => scope.columns[*place].column_type.clone(),
                _ => chosen_type(field.data_type())?,
            };
            let function = if name == "min" { AggregateFunction::Min } else { AggregateFunction::Max };
            (function, Some(value), column_type)
        }
        (_, Some(pick), [argument]) => picked(&pick, argument, scope)?,
        (name, ..) => return refuse(format!("{name} is computed here")),
    };
    let column = RemoteColumn::computed(column_type, field.is_nullable());
    read_as(&column, field.data_type())?;
    Ok(RemoteAggregate { function, argument, distinct: params.distinct, filter, column })
}

/// What is counted; `None` for rows.
fn counted(argument: &Expr, distinct: bool, scope: &Scope<'_>) -> Taken<Option<RemoteExpr>> {
    match argument {
        Expr::Literal(value, _) if !value.is_null() && !distinct => Ok(None),
        argument => {
            if let Some(text) = text_side(argument, scope)? {
                if distinct {
                    text.check_short(scope)?;
                }
                return Ok(Some(text.value));
            }
            match argument {
                Expr::Column(column) => {
                    let place = scope.place(column)?;
                    if distinct && !groups_alike(&scope.columns[place]) {
                        return refuse("distinct values of this type are counted here");
                    }
                    Ok(Some(scope.as_shown(place)))
                }
                argument => Ok(Some(number(argument, scope, Operation::Groups)?.0)),
            }
        }
    }
}

fn number(argument: &Expr, scope: &Scope<'_>, operation: Operation) -> Taken<(RemoteExpr, Family)> {
    let (value, family) = scope.compared(argument)?;
    if family.allows(operation) {
        Ok((value, family))
    } else {
        refuse(format!("an aggregate of {argument} is computed here"))
    }
}

/// One of a group's texts.
fn picked(
    pick: &(Pick, Option<&crate::federation::collation::Key>),
    argument: &Expr,
    scope: &Scope<'_>,
) -> Taken<(AggregateFunction, Option<RemoteExpr>, ColumnType)> {
    let (value, column_type) = match argument {
        // Whatever Arrow's type of texts is.
        Expr::Cast(Cast { expr, .. }) => scope.value(expr)?,
        argument => scope.value(argument)?,
    };
    let (ColumnType::Text { collation } | ColumnType::Json { collation }) = &column_type else {
        return refuse("one of several such values is found here");
    };
    if !Family::Text.allows(Operation::Extremes) {
        return refuse("the least and greatest of texts are found here");
    }
    if let (RemoteExpr::Column(place), Pick::Min | Pick::Max) = (&value, &pick.0) {
        // One that was picked of a group has the collation there that it was picked by.
        if scope.text_place(*place)? != *place {
            return refuse("the least and greatest of texts that stand for groups are found here");
        }
    }
    let function = match pick {
        (Pick::Any, _) => AggregateFunction::Any,
        (Pick::Min, Some(crate::federation::collation::Key::Collation(encoder)))
            if encoder.collation() == collation =>
        {
            AggregateFunction::Min
        }
        (Pick::Max, Some(crate::federation::collation::Key::Collation(encoder)))
            if encoder.collation() == collation =>
        {
            AggregateFunction::Max
        }
        _ => return refuse("texts are compared under another collation than the column's"),
    };
    Ok((function, Some(value), column_type))
}
