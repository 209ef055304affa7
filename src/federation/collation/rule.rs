//! The analyzer rule: it runs before every other, bottom-up, and leaves no comparison of text under a collation
//! by its bytes.
//!
//! How do results keep their names? Whatever is put in place of an expression is given that expression's name
//! and, where it is text, the metadata that tells its collation; plans above refer to both.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use crossweave_contract::COLUMN_TYPE_METADATA;
use datafusion::common::config::ConfigOptions;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, NullEquality, Result, TableReference, plan_err};
use datafusion::logical_expr::utils::{conjunction, merge_schema, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Cast, Distinct, DistinctOn, Expr, ExprSchemable, Filter, Join, JoinConstraint, LogicalPlan,
    Operator, Projection, RecursiveQuery, Sort, Union, Unnest, Window, cast,
};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::{Rewriter, Scope, binary_expr};
use super::kind::{Collations, Kind};
use crate::federation::surface::is_interval;
use crate::federation::walk::with_expressions;

/// Rewrites comparisons of text to comparisons of collation keys.
#[derive(Debug)]
pub struct CollationRule {
    collations: Arc<Collations>,
}

impl CollationRule {
    /// The rule for one epoch of the catalog.
    pub fn new(collations: Arc<Collations>) -> Self {
        Self { collations }
    }
}

impl AnalyzerRule for CollationRule {
    fn name(&self) -> &str {
        "collation"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        Rewriter::new(&self.collations).plan(plan, &[])
    }
}

impl Rewriter<'_> {
    /// Rewrites `plan`, whose outer references are to columns of `outer`.
    #[recursive::recursive]
    pub(super) fn plan(&self, plan: LogicalPlan, outer: &[DFSchemaRef]) -> Result<LogicalPlan> {
        let plan = match plan {
            LogicalPlan::Join(join) => return self.join(join, outer),
            LogicalPlan::RecursiveQuery(query) => return self.recursive(query, outer),
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) => return Ok(plan),
            plan => plan.map_children(|child| Ok(Transformed::yes(self.plan(child, outer)?)))?.data,
        };
        let schema = Arc::new(input_schema(&plan));
        let scope = Scope { schema: &schema, outer };
        match plan {
            LogicalPlan::Projection(projection) => {
                let exprs =
                    projection.expr.into_iter().map(|expr| self.named(expr, scope)).collect::<Result<_>>()?;
                Ok(LogicalPlan::Projection(Projection::try_new(exprs, projection.input)?))
            }
            LogicalPlan::Filter(filter) => self.filter(filter, scope),
            LogicalPlan::Window(window) => {
                let exprs = window
                    .window_expr
                    .into_iter()
                    .map(|expr| self.named(expr, scope))
                    .collect::<Result<_>>()?;
                Ok(LogicalPlan::Window(Window::try_new(exprs, window.input)?))
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, scope),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input, scope),
            LogicalPlan::Distinct(Distinct::On(distinct)) => self.distinct_on(distinct, scope),
            LogicalPlan::Sort(sort) => {
                Ok(LogicalPlan::Sort(Sort { expr: self.sorts(sort.expr, scope)?, ..sort }))
            }
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Unnest(unnest) => unnested(unnest),
            plan => self.any_other(plan, scope),
        }
    }

    /// Rewrites `expr` and lets it keep its name and tell its collation.
    pub(super) fn named(&self, expr: Expr, scope: Scope<'_>) -> Result<Expr> {
        let (relation, name) = expr.qualified_name();
        let (expr, kind) = self.expr(expr, scope)?;
        let told = match expr.to_field(scope.schema.as_ref()) {
            Ok((_, field)) => Kind::of_field(&field),
            Err(_) => Kind::Plain,
        };
        let kind = kind.implicit();
        let metadata = if told == kind { None } else { kind.metadata() };
        if metadata.is_none() && expr.qualified_name() == (relation.clone(), name.clone()) {
            return Ok(expr);
        }
        Ok(match expr {
            Expr::Alias(alias) if alias.relation == relation && alias.name == name => {
                let metadata = FieldMetadata::merge_options(alias.metadata.as_ref(), metadata.as_ref());
                Expr::Alias(alias.with_metadata(metadata))
            }
            expr => expr.alias_qualified_with_metadata(relation, name, metadata),
        })
    }

    fn any_other(&self, plan: LogicalPlan, scope: Scope<'_>) -> Result<LogicalPlan> {
        with_expressions(plan, |expr| Ok(Transformed::yes(self.expr(expr, scope)?.0)))?.data.recompute_schema()
    }

    /// A filter of a correlated subquery compares keys of its own columns with keys of outer ones. DataFusion
    /// takes such a subquery apart only if its side is a column, so the key is made one below the filter.
    fn filter(&self, filter: Filter, scope: Scope<'_>) -> Result<LogicalPlan> {
        let (predicate, _) = self.expr(filter.predicate, scope)?;
        if scope.outer.is_empty() || !predicate.contains_outer() {
            return Ok(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?));
        }
        let mut keys = Vec::new();
        let conditions: Vec<Expr> = split_conjunction_owned(predicate)
            .into_iter()
            .map(|condition| match condition {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                    let (left_outer, right_outer) = (left.contains_outer(), right.contains_outer());
                    let mut column = |side: Box<Expr>, other_is_outer: bool| {
                        if other_is_outer && is_made(&side) && !side.contains_outer() {
                            let name = self.fresh("key");
                            keys.push(side.alias(&name));
                            Expr::Column(Column::from_name(name))
                        } else {
                            *side
                        }
                    };
                    let left = column(left, right_outer);
                    binary_expr(left, Operator::Eq, column(right, left_outer))
                }
                other => other,
            })
            .collect();
        let Some(predicate) = conjunction(conditions) else { return plan_err!("a filter has no condition") };
        if keys.is_empty() {
            return Ok(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?));
        }
        let columns = columns_of(filter.input.schema());
        let below = Projection::try_new(columns.iter().cloned().chain(keys).collect(), filter.input)?;
        let filter = Filter::try_new(predicate, Arc::new(LogicalPlan::Projection(below)))?;
        Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Filter(filter)))?))
    }

    fn join(&self, join: Join, outer: &[DFSchemaRef]) -> Result<LogicalPlan> {
        let left = Arc::new(self.plan(Arc::unwrap_or_clone(join.left), outer)?);
        // A lateral right side refers to the left one.
        let mut around = outer.to_vec();
        around.push(Arc::clone(left.schema()));
        let right = Arc::new(self.plan(Arc::unwrap_or_clone(join.right), &around)?);
        let mut both = left.schema().as_ref().clone();
        both.merge(right.schema());
        let both = Arc::new(both);
        let scope = Scope { schema: &both, outer };
        let mut constraint = join.join_constraint;
        let mut on = Vec::with_capacity(join.on.len());
        for (left_expr, right_expr) in join.on {
            let (left_expr, left_kind) = self.expr(left_expr, Scope { schema: left.schema(), outer })?;
            let (right_expr, right_kind) = self.expr(right_expr, Scope { schema: right.schema(), outer })?;
            let sides = vec![left_expr.clone(), right_expr.clone()];
            match <[Expr; 2]>::try_from(self.comparable(sides, &[left_kind, right_kind], scope)?) {
                Ok([left_key, right_key]) => {
                    if left_key != left_expr || right_key != right_expr {
                        // USING joins columns; which of the two is seen was settled when names were resolved.
                        constraint = JoinConstraint::On;
                    }
                    on.push((left_key, right_key));
                }
                Err(_) => return plan_err!("a join condition has two sides"),
            }
        }
        let filter = match join.filter {
            Some(filter) => Some(self.expr(filter, scope)?.0),
            None => None,
        };
        let is_of_sets = join.null_equality == NullEquality::NullEqualsNull;
        let join = LogicalPlan::Join(Join::try_new(
            left,
            right,
            on,
            filter,
            join.join_type,
            constraint,
            join.null_equality,
            join.null_aware,
        )?);
        if !is_of_sets {
            return Ok(join);
        }
        // Of ENUMs, INTERSECT and EXCEPT give texts, as UNION does.
        let LogicalPlan::Join(Join { right, .. }) = &join else { return Ok(join) };
        let both = join.schema().fields().iter().zip(right.schema().fields());
        let kinds = both.map(|(field, other)| {
            let kind = Kind::of_field(field);
            let met = if other.data_type().is_null() { kind.clone() } else { kind.clone().into_text() };
            if met == kind { Kind::Plain } else { met }
        });
        let kinds: Vec<Kind> = kinds.collect();
        telling(join, &kinds)
    }

    fn distinct_on(&self, distinct: DistinctOn, scope: Scope<'_>) -> Result<LogicalPlan> {
        // The same key on both sides: its sort must begin with what is distinct.
        let (on, kinds) = self.exprs(distinct.on_expr, scope)?;
        let keys = on.into_iter().zip(&kinds).map(|(expr, kind)| self.ordered_by(expr, kind, scope));
        let on = keys.collect::<Result<_>>()?;
        let select =
            distinct.select_expr.into_iter().map(|expr| self.named(expr, scope)).collect::<Result<_>>()?;
        let sort = distinct.sort_expr.map(|sorts| self.sorts(sorts, scope)).transpose()?;
        Ok(LogicalPlan::Distinct(Distinct::On(DistinctOn::try_new(on, select, sort, distinct.input)?)))
    }

    /// Each column of a union compares as what its inputs' columns come to together.
    fn union(&self, union: Union) -> Result<LogicalPlan> {
        let width = union.schema.fields().len();
        let kinds: Vec<Kind> = (0..width)
            .map(|index| {
                let fields = || union.inputs.iter().map(|input| input.schema().field(index));
                let known: Vec<_> = fields().filter(|field| !field.data_type().is_null()).collect();
                let kinds: Vec<Kind> = known.iter().map(|field| Kind::of_field(field)).collect();
                let kind = match &kinds[..] {
                    // What is NULL has no say.
                    [only] => only.clone(),
                    kinds => Kind::result(kinds, known.first().map(|field| field.data_type())),
                };
                // What all tell alike is left: a JSON is more than its text.
                let told = fields().map(|field| field.metadata().get(COLUMN_TYPE_METADATA));
                match told.collect::<HashSet<_>>().len() == 1 && kinds.first() == Some(&kind) {
                    true => Kind::Plain,
                    false => kind,
                }
            })
            .collect();
        let inputs = union
            .inputs
            .into_iter()
            .map(|input| Ok(Arc::new(telling(Arc::unwrap_or_clone(input), &kinds)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?))
    }

    /// The rows that a recursive term reads are those of the first term: their collations are told it.
    fn recursive(&self, query: RecursiveQuery, outer: &[DFSchemaRef]) -> Result<LogicalPlan> {
        let first = self.plan(Arc::unwrap_or_clone(query.static_term), outer)?;
        let schema = Arc::clone(first.schema());
        let next =
            Arc::unwrap_or_clone(query.recursive_term).transform_down_with_subqueries(|plan| match plan {
                LogicalPlan::TableScan(mut scan) if matches!(&scan.table_name, TableReference::Bare { table } if **table == *query.name) => {
                    let fields = scan.projected_schema.iter().map(|(relation, field)| {
                        let kind = schema
                            .index_of_column_by_name(None, field.name())
                            .map_or(Kind::Plain, |index| Kind::of_field(schema.field(index)));
                        let field = match kind.metadata() {
                            Some(metadata) => metadata.add_to_field_ref(Arc::clone(field)),
                            None => Arc::clone(field),
                        };
                        (relation.cloned(), field)
                    });
                    let metadata = scan.projected_schema.metadata().clone();
                    scan.projected_schema = Arc::new(DFSchema::new_with_metadata(fields.collect(), metadata)?);
                    Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
                }
                plan => Ok(Transformed::no(plan)),
            })?;
        let next = self.plan(next.data, outer)?;
        if query.is_distinct {
            if first.schema().fields().iter().any(|field| is_interval(field.data_type())) {
                return plan_err!(
                    "WITH RECURSIVE {}: UNION tells no intervals apart; use UNION ALL",
                    query.name
                );
            }
            for (field, column) in first.schema().fields().iter().zip(columns_of(first.schema())) {
                if self.group_key(&column, &Kind::of_field(field))?.is_some() {
                    return plan_err!(
                        "WITH RECURSIVE {}: UNION would compare column {} by its bytes, not under its collation; \
                         use UNION ALL",
                        query.name,
                        field.name()
                    );
                }
            }
        }
        let query = RecursiveQuery::try_new(query.name, Arc::new(first), Arc::new(next), query.is_distinct)?;
        Ok(LogicalPlan::RecursiveQuery(query))
    }
}

/// The columns that expressions of `plan` refer to.
pub(super) fn input_schema(plan: &LogicalPlan) -> DFSchema {
    match plan {
        LogicalPlan::TableScan(scan) => scan.projected_schema.as_ref().clone(),
        plan => merge_schema(&plan.inputs()),
    }
}

/// All columns of `schema`, to be projected.
pub(super) fn columns_of(schema: &DFSchema) -> Vec<Expr> {
    schema.columns().into_iter().map(Expr::Column).collect()
}

/// Whether `expr` is a key, or what else a function makes of columns.
fn is_made(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(_) => true,
        Expr::Cast(Cast { expr, .. }) => is_made(expr),
        _ => false,
    }
}

/// `plan`, the metadata of whose columns tells `kinds`; where these are plain, what it told.
fn telling(plan: LogicalPlan, kinds: &[Kind]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let mut changed = false;
    let exprs = schema
        .iter()
        .zip(kinds)
        .map(|((relation, field), kind)| {
            let column = Expr::Column(Column::from((relation, field)));
            // NULL alone is a text here: a column of no type tells nobody how it is compared.
            let column = match kind {
                Kind::Text(_) if field.data_type().is_null() => cast(column, DataType::Utf8View),
                _ => column,
            };
            match kind.metadata() {
                Some(metadata)
                    if field.metadata().get(COLUMN_TYPE_METADATA)
                        != metadata.inner().get(COLUMN_TYPE_METADATA) =>
                {
                    changed = true;
                    column.alias_qualified_with_metadata(relation.cloned(), field.name(), Some(metadata))
                }
                _ => column,
            }
        })
        .collect();
    if !changed {
        return Ok(plan);
    }
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

/// Texts taken out of lists compare as the lists' texts do.
fn unnested(unnest: Unnest) -> Result<LogicalPlan> {
    let plan = LogicalPlan::Unnest(unnest).recompute_schema()?;
    let LogicalPlan::Unnest(unnest) = &plan else { return Ok(plan) };
    let kinds: Vec<Kind> = unnest
        .dependency_indices
        .iter()
        .zip(unnest.schema.fields())
        .map(|(&input, field)| match Kind::of_field(unnest.input.schema().field(input)) {
            Kind::Nested(text) if !field.data_type().is_nested() => {
                Kind::result([&Kind::Text(text)], Some(field.data_type()))
            }
            kind if kind == Kind::of_field(field) => Kind::Plain,
            kind => kind,
        })
        .collect();
    telling(plan, &kinds)
}
