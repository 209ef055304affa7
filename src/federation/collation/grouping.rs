//! GROUP BY and DISTINCT: groups are made by key, and a group of equal texts shows one of them; so does one of intervals of
//! one length.

use std::sync::Arc;

use datafusion::common::{Column, Result, TableReference};
use datafusion::functions_aggregate::expr_fn::min;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Case, Distinct, Expr, GroupingSet, LogicalPlan, Projection};

use super::aggregates::CollationPick;
use super::expressions::{Rewriter, Scope};
use super::kind::Kind;
use super::rule::columns_of;
use crate::federation::dependencies::grouped;

/// One expression of GROUP BY.
struct Group {
    /// As it was written.
    written: Expr,
    /// Its name, which the result keeps.
    name: (Option<TableReference>, String),
    /// Rewritten.
    expr: Expr,
    kind: Kind,
    by: By,
}

enum By {
    /// Itself.
    Value,
    /// A key, under this name.
    Key { key: Box<Expr>, name: String },
    /// Nothing: the other groups leave it but one value.
    Determined,
}

impl Rewriter<'_> {
    /// GROUP BY with its aggregates.
    pub(super) fn aggregate(&self, aggregate: Aggregate, scope: Scope<'_>) -> Result<LogicalPlan> {
        let written = grouping_set_to_exprlist(&aggregate.group_expr)?.into_iter().cloned().collect();
        let sets = matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]);
        let groups = self.groups(written, !sets, scope)?;
        let aggregates = aggregate
            .aggr_expr
            .iter()
            .map(|expr| self.named(expr.clone(), scope))
            .collect::<Result<Vec<_>>>()?;
        if groups.iter().all(|group| matches!(group.by, By::Value)) {
            let group_expr = regrouped(&aggregate.group_expr, &groups)?;
            return Ok(LogicalPlan::Aggregate(grouped(aggregate.input, group_expr, aggregates)?));
        }
        if sets {
            self.grouping_sets(aggregate, groups, aggregates)
        } else {
            self.grouped(aggregate.input, groups, aggregates)
        }
    }

    /// DISTINCT is GROUP BY all columns.
    pub(super) fn distinct(&self, input: Arc<LogicalPlan>, scope: Scope<'_>) -> Result<LogicalPlan> {
        let groups = self.groups(columns_of(input.schema()), true, scope)?;
        if groups.iter().all(|group| matches!(group.by, By::Value)) {
            return Ok(LogicalPlan::Distinct(Distinct::All(input)));
        }
        self.grouped(input, groups, vec![])
    }

    /// By what each of `written` is grouped. `together`: always by all of them.
    fn groups(&self, written: Vec<Expr>, together: bool, scope: Scope<'_>) -> Result<Vec<Group>> {
        let mut groups = written
            .into_iter()
            .map(|written| {
                let name = written.qualified_name();
                let (expr, kind) = self.expr(written.clone(), scope)?;
                Ok(Group { written, name, expr, kind: kind.implicit(), by: By::Value })
            })
            .collect::<Result<Vec<_>>>()?;
        if together {
            mark_determined(&mut groups, scope);
        }
        for group in groups.iter_mut().filter(|group| matches!(group.by, By::Value)) {
            if let Some(key) = self.told_apart_by(&group.expr, &group.kind, scope)? {
                group.by = By::Key { key: Box::new(key), name: self.fresh("key") };
            }
        }
        Ok(groups)
    }

    fn grouped(
        &self,
        input: Arc<LogicalPlan>,
        groups: Vec<Group>,
        aggregates: Vec<Expr>,
    ) -> Result<LogicalPlan> {
        let mut group_expr = Vec::new();
        let mut texts = Vec::new();
        let mut output = Vec::new();
        for group in groups {
            let (relation, name) = group.name;
            match group.by {
                By::Value => {
                    let expr = restored(group.expr, relation.clone(), &name);
                    group_expr.push(expr);
                    output.push(Expr::Column(Column::new(relation, name)));
                    continue;
                }
                By::Key { key, name } => group_expr.push(key.alias(name)),
                By::Determined => {}
            }
            let text = self.fresh("text");
            texts.push(any(group.expr, &group.kind).alias(&text));
            let text = Expr::Column(Column::from_name(text));
            output.push(text.alias_qualified_with_metadata(relation, name, group.kind.metadata()));
        }
        output.extend(aggregates.iter().map(|expr| {
            let (relation, name) = expr.qualified_name();
            Expr::Column(Column::new(relation, name))
        }));
        texts.extend(aggregates);
        let aggregate = LogicalPlan::Aggregate(grouped(input, group_expr, texts)?);
        Ok(LogicalPlan::Projection(Projection::try_new(output, Arc::new(aggregate))?))
    }

    /// Keys are made columns below, so that each grouping set can name them. Where a set leaves a key out, its
    /// text is NULL as well.
    fn grouping_sets(
        &self,
        aggregate: Aggregate,
        mut groups: Vec<Group>,
        aggregates: Vec<Expr>,
    ) -> Result<LogicalPlan> {
        let mut below = columns_of(aggregate.input.schema());
        let mut texts = Vec::new();
        let mut output = Vec::new();
        for group in &mut groups {
            let (relation, name) = group.name.clone();
            let By::Key { key, name: key_name } = &group.by else {
                output.push(Expr::Column(Column::new(relation, name)));
                continue;
            };
            below.push(key.as_ref().clone().alias(key_name));
            let key = Expr::Column(Column::from_name(key_name));
            let text = self.fresh("text");
            texts.push(any(group.expr.clone(), &group.kind).alias(&text));
            let text = Expr::Column(Column::from_name(text));
            let shown = Case::new(None, vec![(Box::new(key.clone().is_not_null()), Box::new(text))], None);
            output.push(Expr::Case(shown).alias_qualified_with_metadata(relation, name, group.kind.metadata()));
            group.expr = key;
        }
        output.extend(aggregates.iter().map(|expr| {
            let (relation, name) = expr.qualified_name();
            Expr::Column(Column::new(relation, name))
        }));
        let group_expr = regrouped(&aggregate.group_expr, &groups)?;
        texts.extend(aggregates.into_iter().map(|expr| {
            let (relation, name) = expr.qualified_name();
            restored(grouping_of_keys(expr, &groups), relation, &name)
        }));
        let below = LogicalPlan::Projection(Projection::try_new(below, aggregate.input)?);
        let above = LogicalPlan::Aggregate(grouped(Arc::new(below), group_expr, texts)?);
        Ok(LogicalPlan::Projection(Projection::try_new(output, Arc::new(above))?))
    }
}

/// Any one of equal values: of intervals that are as long as each other, always the same.
fn any(expr: Expr, kind: &Kind) -> Expr {
    if *kind == Kind::Plain { min(expr) } else { CollationPick::any(expr) }
}

fn restored(expr: Expr, relation: Option<TableReference>, name: &str) -> Expr {
    if expr.qualified_name() == (relation.clone(), name.to_owned()) {
        expr
    } else {
        expr.alias_qualified(relation, name)
    }
}

/// Marks texts that the other groups determine, as a primary key does: they need no key of their own, and
/// nothing at all if the query does not show them. (DataFusion groups by every column that GROUP BY a primary
/// key allows to be shown.)
fn mark_determined(groups: &mut [Group], scope: Scope<'_>) {
    let index_of = |group: &Group| match &group.expr {
        Expr::Column(column) => scope.schema.maybe_index_of_column(column),
        _ => None,
    };
    let values: Vec<usize> =
        groups.iter().filter(|group| group.kind == Kind::Plain).filter_map(index_of).collect();
    for group in groups.iter_mut().filter(|group| matches!(group.kind, Kind::Text(_))) {
        let Some(index) = index_of(group) else { continue };
        let determined = scope.schema.functional_dependencies().iter().any(|dependence| {
            !dependence.nullable
                && !dependence.source_indices.is_empty()
                && dependence.target_indices.contains(&index)
                && dependence.source_indices.iter().all(|source| values.contains(source))
        });
        if determined {
            group.by = By::Determined;
        }
    }
}

/// The expressions of GROUP BY, each replaced by what `groups` has for it.
fn regrouped(group_expr: &[Expr], groups: &[Group]) -> Result<Vec<Expr>> {
    let replace = |exprs: &Vec<Expr>| -> Vec<Expr> {
        exprs
            .iter()
            .map(|expr| match groups.iter().find(|group| group.written == *expr) {
                Some(Group { expr, by: By::Key { .. }, .. }) => expr.clone(),
                Some(group) => {
                    let (relation, name) = group.name.clone();
                    restored(group.expr.clone(), relation, &name)
                }
                None => expr.clone(),
            })
            .collect()
    };
    Ok(match group_expr {
        [Expr::GroupingSet(set)] => vec![Expr::GroupingSet(match set {
            GroupingSet::Rollup(exprs) => GroupingSet::Rollup(replace(exprs)),
            GroupingSet::Cube(exprs) => GroupingSet::Cube(replace(exprs)),
            GroupingSet::GroupingSets(sets) => GroupingSet::GroupingSets(sets.iter().map(replace).collect()),
        })],
        exprs => replace(&exprs.to_vec()),
    })
}

/// `grouping(text)` asks of the text's key.
fn grouping_of_keys(expr: Expr, groups: &[Group]) -> Expr {
    match expr {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(grouping_of_keys(*alias.expr, groups));
            Expr::Alias(alias)
        }
        Expr::AggregateFunction(AggregateFunction { func, params }) if func.name() == "grouping" => {
            let args = params
                .args
                .iter()
                .map(|arg| match groups.iter().find(|group| group.written == *arg) {
                    Some(group) => group.expr.clone(),
                    None => arg.clone(),
                })
                .collect();
            let call = AggregateFunction { func, params: AggregateFunctionParams { args, ..params } };
            Expr::AggregateFunction(call)
        }
        other => other,
    }
}
