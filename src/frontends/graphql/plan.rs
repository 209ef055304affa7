//! From a [`Node`] to a logical plan: one per node, whatever the number of rows.
//!
//! The rows of a nested node are found by joining its table with the keys of the rows above it. Those keys are a
//! relation of their own, `(ordinal, key…)`, so that the join compares them as any join of the two columns would
//! (under their collation, say), and each row comes back with the ordinal of the key it belongs to.
//!
//! Why do `limit` and `distinct_on` keep the same rows on every route? Where they choose among rows, what `order_by`
//! leaves open is settled by the table's key.

use std::sync::Arc;

use crossweave_contract::{ColumnType, TableId};
use datafusion::arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, JoinType, ScalarValue};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{Like, Sort};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, exists, lit, not, out_ref_col_with_metadata,
};

use super::arguments::{ListArguments, Order};
use super::document::{Node, Output};
use super::filter::{Comparison, Filter};
use super::model::{Edge, Model, TableType};
use crate::catalog::Catalog;
use crate::query::Engine;

/// Name of the column that says to which row above a row belongs.
pub(super) const ORDINAL: &str = "crossweave ordinal";
const ROW_NUMBER: &str = "crossweave row";
/// Keys up to this number are also sent to a live source as a list; past it the table is read as a whole.
const MAX_LISTED_KEYS: usize = 5_000;

/// The distinct keys of the rows above, each with its ordinal.
pub(super) struct Keys {
    /// One array per column of the edge, with the fields of the columns above.
    pub(super) columns: Vec<(Arc<Field>, ArrayRef)>,
}

/// Makes the plans of one document.
pub(super) struct Planner<'a> {
    engine: &'a Engine,
    catalog: &'a Arc<Catalog>,
    model: &'a Model,
    aliases: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(engine: &'a Engine, catalog: &'a Arc<Catalog>, model: &'a Model) -> Self {
        Self { engine, catalog, model, aliases: 0 }
    }

    /// Rows of a root field.
    pub(super) fn root(&mut self, node: &Node<'_>) -> Result<LogicalPlan> {
        let (builder, alias) = self.scan(node.table)?;
        let builder = self.filtered(builder, &alias, node.table, &node.arguments)?;
        let (builder, sorts) = self.ordered(builder, &alias, node)?;
        let sorts = settled(sorts, &alias, node);
        let builder = distinct(builder, &alias, node, &sorts, None)?;
        let builder = if sorts.is_empty() { builder } else { builder.sort(sorts)? };
        let ListArguments { limit, offset, .. } = node.arguments;
        let builder = if limit.is_some() || offset > 0 { builder.limit(offset, limit)? } else { builder };
        builder.project(outputs(node, &alias))?.build()
    }

    /// Rows of a nested field, for all rows above at once.
    pub(super) fn nested(
        &mut self,
        node: &Node<'_>,
        edge: &Edge,
        keys: &Keys,
        live: bool,
    ) -> Result<LogicalPlan> {
        let (builder, alias) = self.scan(node.table)?;
        let mut builder = self.filtered(builder, &alias, node.table, &node.arguments)?;
        if live && let Some(list) = listed(edge, node.table, &alias, keys)? {
            builder = builder.filter(list)?;
        }
        let keys_alias = self.alias("k");
        let on = edge.columns.iter().enumerate().map(|(index, (_, target))| {
            column(&keys_alias, &key_name(index)).eq(table_column(&alias, node.table, *target))
        });
        let builder =
            keys.scan()?.alias(keys_alias.as_str())?.join_on(builder.build()?, JoinType::Inner, on)?;
        let (builder, sorts) = self.ordered(builder, &alias, node)?;
        let sorts = settled(sorts, &alias, node);
        let ordinal = column(&keys_alias, ORDINAL);
        let builder = distinct(builder, &alias, node, &sorts, Some(&ordinal))?;
        let builder = page(builder, &node.arguments, &sorts, &ordinal)?;
        let sorts: Vec<Sort> = std::iter::once(ordinal.clone().sort(true, false)).chain(sorts).collect();
        let mut columns = outputs(node, &alias);
        columns.push(ordinal);
        builder.sort(sorts)?.project(columns)?.build()
    }

    fn scan(&mut self, table: &TableType) -> Result<(LogicalPlanBuilder, String)> {
        let alias = self.alias("t");
        let scan = self.engine.scan(self.catalog, &table.id).map_err(external)?;
        Ok((scan.alias(alias.as_str())?, alias))
    }

    fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn filtered(
        &mut self,
        builder: LogicalPlanBuilder,
        alias: &str,
        table: &TableType,
        arguments: &ListArguments<'_>,
    ) -> Result<LogicalPlanBuilder> {
        match &arguments.filter {
            Some(filter) => builder.filter(self.condition(alias, table, filter)?),
            None => Ok(builder),
        }
    }

    /// Joins what `order_by` refers to, and says how to sort.
    fn ordered(
        &mut self,
        mut builder: LogicalPlanBuilder,
        alias: &str,
        node: &Node<'_>,
    ) -> Result<(LogicalPlanBuilder, Vec<Sort>)> {
        let mut sorts = Vec::new();
        for order in &node.arguments.order_by {
            let (joined, expr) = self.order_column(builder, alias, node.table, order)?;
            builder = joined;
            sorts.push(expr.sort(order.ascending, order.nulls_first));
        }
        Ok((builder, sorts))
    }

    fn order_column(
        &mut self,
        mut builder: LogicalPlanBuilder,
        alias: &str,
        table: &TableType,
        order: &Order<'_>,
    ) -> Result<(LogicalPlanBuilder, Expr)> {
        let (mut alias, mut table) = (alias.to_owned(), table);
        for edge in &order.path {
            let target = self.type_of(&edge.target)?;
            let (scan, joined) = self.scan(target)?;
            let equal = |(here, there): &(usize, usize)| {
                table_column(&alias, table, *here).eq(table_column(&joined, target, *there))
            };
            let on: Vec<Expr> = edge.columns.iter().map(equal).collect();
            builder = builder.join_on(scan.build()?, JoinType::Left, on)?;
            (alias, table) = (joined, target);
        }
        Ok((builder, table_column(&alias, table, order.column)))
    }

    fn type_of(&self, table: &TableId) -> Result<&'a TableType> {
        self.model.of(table).ok_or_else(|| DataFusionError::Internal(format!("{table} has no GraphQL type")))
    }

    fn condition(&mut self, alias: &str, table: &TableType, filter: &Filter<'_>) -> Result<Expr> {
        Ok(match filter {
            Filter::And(filters) => self.all(alias, table, filters, true)?,
            Filter::Or(filters) => self.all(alias, table, filters, false)?,
            Filter::Not(filter) => not(self.condition(alias, table, filter)?),
            Filter::IsNull { column, negated: false } => table_column(alias, table, *column).is_null(),
            Filter::IsNull { column, negated: true } => table_column(alias, table, *column).is_not_null(),
            Filter::Compare { column, comparison, literals } => {
                compare(compared(alias, table, *column, literals), *comparison, literals)
            }
            Filter::Exists { edge, filter } => self.related(alias, table, edge, filter)?,
        })
    }

    fn all(&mut self, alias: &str, table: &TableType, filters: &[Filter<'_>], and: bool) -> Result<Expr> {
        let conditions = filters.iter().map(|filter| self.condition(alias, table, filter));
        Ok(combined(conditions.collect::<Result<_>>()?, and))
    }

    fn related(&mut self, alias: &str, table: &TableType, edge: &Edge, filter: &Filter<'_>) -> Result<Expr> {
        let target = self.type_of(&edge.target)?;
        let (builder, inner) = self.scan(target)?;
        let mut condition = self.condition(&inner, target, filter)?;
        for (here, there) in &edge.columns {
            let field = table.def.columns[*here].column_type.field(&table.def.columns[*here].name, true);
            let outer = out_ref_col_with_metadata(
                field.data_type().clone(),
                field.metadata().clone(),
                Column::new(Some(alias), field.name()),
            );
            condition = table_column(&inner, target, *there).eq(outer).and(condition);
        }
        Ok(exists(Arc::new(builder.filter(condition)?.build()?)))
    }
}

impl Keys {
    fn scan(&self) -> Result<LogicalPlanBuilder> {
        let rows = self.columns.first().map_or(0, |(_, array)| array.len());
        let rows =
            u32::try_from(rows).map_err(|_| DataFusionError::Plan("too many rows to nest under".to_owned()))?;
        let mut fields = vec![Arc::new(Field::new(ORDINAL, DataType::UInt32, false))];
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from_iter_values(0..rows))];
        for (index, (field, array)) in self.columns.iter().enumerate() {
            fields.push(Arc::new(field.as_ref().clone().with_name(key_name(index))));
            arrays.push(Arc::clone(array));
        }
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays)?;
        let table = MemTable::try_new(schema, vec![vec![batch]])?;
        LogicalPlanBuilder::scan("keys", provider_as_source(Arc::new(table)), None)
    }
}

fn key_name(index: usize) -> String {
    format!("key {index}")
}

fn column(alias: &str, name: &str) -> Expr {
    Expr::Column(Column::new(Some(alias), name))
}

fn table_column(alias: &str, table: &TableType, index: usize) -> Expr {
    column(alias, &table.def.columns[index].name)
}

fn external(error: crate::query::QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The columns that `node`'s own fields and its nested fields' keys need, each once, in the definition's order.
pub(super) fn needed_columns(node: &Node<'_>) -> Vec<usize> {
    let mut columns = std::collections::BTreeSet::new();
    for output in &node.outputs {
        match output {
            Output::Column { column, .. } => {
                columns.insert(*column);
            }
            Output::Edge { edge, .. } => columns.extend(edge.columns.iter().map(|(here, _)| *here)),
            Output::Typename { .. } => {}
        }
    }
    // A row is a row even if nothing but __typename is asked of it.
    if columns.is_empty() {
        columns.insert(0);
    }
    columns.into_iter().collect()
}

fn outputs(node: &Node<'_>, alias: &str) -> Vec<Expr> {
    needed_columns(node).into_iter().map(|index| table_column(alias, node.table, index)).collect()
}

/// All of `conditions`, or any: as a tree that is as deep as their number has bits. A chain, as deep as it is long,
/// would overflow the stack of whoever walks it.
fn combined(mut conditions: Vec<Expr>, and: bool) -> Expr {
    while conditions.len() > 1 {
        let mut rest = conditions.into_iter();
        let mut pairs = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) if and => left.and(right),
                Some(right) => left.or(right),
                None => left,
            });
        }
        conditions = pairs;
    }
    conditions.pop().unwrap_or_else(|| lit(and))
}

/// The column, as it compares with `literals`: a date beside moments is the moment it begins. DataFusion would make
/// both nanoseconds, which hold no year past 2262.
fn compared(alias: &str, table: &TableType, column: usize, literals: &[ScalarValue]) -> Expr {
    let expr = table_column(alias, table, column);
    let is_date = table.def.columns[column].column_type == ColumnType::Date;
    match literals.first().map(ScalarValue::data_type) {
        Some(moment @ DataType::Timestamp(..)) if is_date => cast(expr, moment),
        _ => expr,
    }
}

fn compare(left: Expr, comparison: Comparison, literals: &[ScalarValue]) -> Expr {
    let list = || literals.iter().cloned().map(|value| Expr::Literal(value, None)).collect::<Vec<_>>();
    let Some(value) = literals.first().cloned().map(|value| Expr::Literal(value, None)) else {
        return lit(comparison == Comparison::NotIn);
    };
    match comparison {
        Comparison::Eq => left.eq(value),
        Comparison::NotEq => left.not_eq(value),
        Comparison::Gt => left.gt(value),
        Comparison::GtEq => left.gt_eq(value),
        Comparison::Lt => left.lt(value),
        Comparison::LtEq => left.lt_eq(value),
        Comparison::In => left.in_list(list(), false),
        Comparison::NotIn => left.in_list(list(), true),
        Comparison::Like { negated, ignore_case } => {
            Expr::Like(Like::new(negated, Box::new(left), Box::new(value), None, ignore_case))
        }
    }
}

/// `sorts`, followed by the table's key where the node keeps some rows of several. Where a table has no key, nothing
/// can settle what `sorts` leaves open.
fn settled(mut sorts: Vec<Sort>, alias: &str, node: &Node<'_>) -> Vec<Sort> {
    let ListArguments { limit, offset, distinct_on, .. } = &node.arguments;
    if limit.is_none() && *offset == 0 && distinct_on.is_empty() {
        return sorts;
    }
    for column in &node.table.def.key {
        let expr = table_column(alias, node.table, *column);
        if !sorts.iter().any(|sort| sort.expr == expr) {
            sorts.push(expr.sort(true, false));
        }
    }
    sorts
}

/// Keeps the first row of each combination of the `distinct_on` columns (per row above, if nested).
fn distinct(
    builder: LogicalPlanBuilder,
    alias: &str,
    node: &Node<'_>,
    sorts: &[Sort],
    ordinal: Option<&Expr>,
) -> Result<LogicalPlanBuilder> {
    if node.arguments.distinct_on.is_empty() {
        return Ok(builder);
    }
    let columns = node.arguments.distinct_on.iter().map(|index| table_column(alias, node.table, *index));
    let partition: Vec<Expr> = ordinal.cloned().into_iter().chain(columns).collect();
    let name = format!("{ROW_NUMBER} distinct");
    let builder = numbered(builder, partition, sorts, &name)?;
    builder.filter(Expr::Column(Column::new_unqualified(name)).eq(lit(1u64)))
}

/// `limit` and `offset` within the rows that belong to one row above.
fn page(
    builder: LogicalPlanBuilder,
    arguments: &ListArguments<'_>,
    sorts: &[Sort],
    ordinal: &Expr,
) -> Result<LogicalPlanBuilder> {
    if arguments.limit.is_none() && arguments.offset == 0 {
        return Ok(builder);
    }
    let builder = numbered(builder, vec![ordinal.clone()], sorts, ROW_NUMBER)?;
    let number = Expr::Column(Column::new_unqualified(ROW_NUMBER));
    let offset = arguments.offset as u64;
    let mut condition = number.clone().gt(lit(offset));
    if let Some(limit) = arguments.limit {
        condition = condition.and(number.lt_eq(lit(offset.saturating_add(limit as u64))));
    }
    builder.filter(condition)
}

fn numbered(
    builder: LogicalPlanBuilder,
    partition: Vec<Expr>,
    sorts: &[Sort],
    name: &str,
) -> Result<LogicalPlanBuilder> {
    let number = row_number().partition_by(partition);
    let number = if sorts.is_empty() { number } else { number.order_by(sorts.to_vec()) };
    let number = number.build()?;
    builder.window(vec![number.alias(name)])
}

/// A condition that lists the keys, where the source can look them up: one integer column, not too many keys.
fn listed(edge: &Edge, table: &TableType, alias: &str, keys: &Keys) -> Result<Option<Expr>> {
    let ([(_, target)], [(_, array)]) = (edge.columns.as_slice(), keys.columns.as_slice()) else {
        return Ok(None);
    };
    let integer = |data_type: &DataType| data_type.is_integer();
    let column = &table.def.columns[*target];
    if !integer(array.data_type()) || !integer(&column.column_type.data_type()) || array.len() > MAX_LISTED_KEYS
    {
        return Ok(None);
    }
    let values: Vec<Expr> =
        (0..array.len()).map(|row| Ok(lit(ScalarValue::try_from_array(array, row)?))).collect::<Result<_>>()?;
    Ok(Some(if values.is_empty() { lit(false) } else { col_in(table_column(alias, table, *target), values) }))
}

fn col_in(column: Expr, values: Vec<Expr>) -> Expr {
    column.in_list(values, false)
}
