//! Relations as SELECT blocks.
//!
//! A relation is put into the block of its input where SQL's clauses come in the right order for it: FROM, WHERE, GROUP
//! BY, HAVING, the columns, ORDER BY, LIMIT. Else the input becomes a derived table.

use std::collections::BTreeSet;

use crossweave_contract::{
    AVERAGE_PLACES, AggregateFunction, ColumnType, DECIMAL_PLACES, Relation, RemoteAggregate, RemoteExpr,
    RemoteOutput, RemoteQuery, RemoteSort, Result, TableDef, TableKind,
};
use mysql_async::Value;

use super::cells::{Cell, widened};
use super::sql::Sql;
use super::{LIMIT, Limited, Part, Rows, bug, only_table};
use crate::identifiers::{TableRef, quote};

/// One SELECT.
pub(super) struct Block {
    pub(super) from: Sql,
    /// Whether `from` is more than one table.
    pub(super) joined: bool,
    pub(super) filters: Vec<Sql>,
    /// GROUP BY; empty for one group of all rows.
    groups: Option<Vec<Sql>>,
    havings: Vec<Sql>,
    pub(super) order: Vec<Sql>,
    /// Rows passed over, and the most that are given.
    limit: Option<(u64, Option<u64>)>,
    pub(super) cells: Vec<Cell>,
    /// Within how many others the deepest table of `from` is.
    pub(super) depth: usize,
}

impl Block {
    fn new(from: Sql, cells: Vec<Cell>, depth: usize) -> Self {
        Self {
            from,
            depth,
            joined: false,
            filters: Vec::new(),
            groups: None,
            havings: Vec::new(),
            order: Vec::new(),
            limit: None,
            cells,
        }
    }

    /// Whether it is but FROM, WHERE and columns.
    pub(super) fn is_plain(&self) -> bool {
        self.groups.is_none() && self.limit.is_none()
    }

    /// Whether all rows are one group.
    fn is_one_group(&self) -> bool {
        self.groups.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether no column would tell the server that all rows are one group.
    fn loses_its_group(&self) -> bool {
        self.is_one_group() && !self.cells.iter().any(|cell| cell.aggregate)
    }

    /// Its columns are named `names` and their place, where there are names.
    pub(super) fn select(&self, names: Option<&str>) -> Sql {
        let mut sql = Sql::text("SELECT ");
        for (place, cell) in self.cells.iter().enumerate() {
            if place > 0 {
                sql.push(", ");
            }
            sql.add(&cell.sql);
            if let Some(names) = names {
                sql.push(&format!(" AS {names}{place}"));
            }
        }
        if self.cells.is_empty() {
            sql.push("1");
        }
        sql.push(" FROM ");
        sql.add(&self.from);
        sql.clause(" WHERE ", &self.filters, " AND ");
        sql.clause(" GROUP BY ", self.groups.as_deref().unwrap_or_default(), ", ");
        sql.clause(" HAVING ", &self.havings, " AND ");
        if self.loses_its_group() {
            sql.push(if self.havings.is_empty() { " HAVING " } else { " AND " });
            sql.push("COUNT(*) >= 0");
        }
        sql.clause(" ORDER BY ", &self.order, ", ");
        if let Some((skip, fetch)) = self.limit {
            sql.bind(LIMIT, Value::UInt(fetch.unwrap_or(u64::MAX)));
            if skip > 0 {
                sql.bind(" OFFSET ?", Value::UInt(skip));
            }
        }
        sql
    }
}

impl Sql {
    fn clause(&mut self, keyword: &str, parts: &[Self], between: &str) {
        if !parts.is_empty() {
            self.push(keyword);
            self.add_all(parts, between);
        }
    }
}

/// A query as one statement.
pub(super) struct Rendering {
    pub(super) sql: Sql,
    pub(super) limit: Limited,
    /// Whether rows of a table alone are grouped in it.
    pub(super) groups_a_table: bool,
}

/// Renders one query.
pub(super) struct Renderer<'q> {
    query: &'q RemoteQuery,
    /// Which rows of its only table are read.
    rows: Rows<'q>,
    /// Whether columns are named with their table's alias: needed unless there is one table in one block.
    qualified: bool,
    /// Tables and derived tables so far.
    aliases: usize,
    /// See [`Self::names`].
    taken: BTreeSet<usize>,
    /// Whether rows of a table alone are grouped.
    groups_a_table: bool,
    /// Whether these groups are made without the order of an index.
    unordered: bool,
}

/// For columns that are named with digits at the end, how many characters come before these.
fn lengths_taken(query: &RemoteQuery) -> BTreeSet<usize> {
    let tables = query.tables();
    let names = tables.iter().flat_map(|table| table.columns.iter().map(|column| column.name.as_str()));
    let before = names.filter_map(|name| {
        let before = name.trim_end_matches(|c: char| c.is_ascii_digit());
        (before.len() < name.len()).then(|| before.chars().count())
    });
    before.collect()
}

impl<'q> Renderer<'q> {
    pub(super) fn new(query: &'q RemoteQuery, rows: Rows<'q>, unordered: bool) -> Self {
        let taken = lengths_taken(query);
        Self { query, rows, qualified: false, aliases: 0, taken, groups_a_table: false, unordered }
    }

    pub(super) fn statement(mut self) -> Result<Rendering> {
        let relation = &self.query.relation;
        if !matches!(self.rows, Rows::All) && self.query.tables().len() > 1 {
            return Err(self.bug("a part of the rows of several tables"));
        }
        let mut block = self.block(relation)?;
        if self.aliases > 1 {
            (self.qualified, self.aliases) = (true, 0);
            block = self.block(relation)?;
        }
        let limit = match block.limit {
            None => Limited::No,
            // EXPLAIN does not say that the server waits for all rows.
            Some(_) if block.is_one_group() => Limited::Late,
            Some((skip, fetch)) => Limited::Early(skip.saturating_add(fetch.unwrap_or(u64::MAX))),
        };
        let groups_a_table = self.groups_a_table;
        Ok(Rendering { sql: block.select(None), limit, groups_a_table })
    }

    pub(super) fn bug(&self, what: &str) -> crossweave_contract::ConnectorError {
        bug(self.query, what)
    }

    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// What the names of a derived table's columns begin with, other than those of any column within: where a condition is
    /// taken into a derived table, the server finds columns by their names alone. It takes letters for equal of which one
    /// has an accent, so that it is their number that differs.
    fn names(&self, depth: usize) -> String {
        let free = (1..).filter(|length| !self.taken.contains(length)).nth(depth);
        "c".repeat(free.unwrap_or_default())
    }

    pub(super) fn block(&mut self, relation: &Relation) -> Result<Block> {
        match relation {
            Relation::Table { table, columns } => self.table(table, columns),
            Relation::Filter { input, condition } => {
                let mut block = self.block(input)?;
                if block.limit.is_some() {
                    block = self.derived(&block);
                }
                self.filter(block, condition)
            }
            Relation::Project { input, outputs } => {
                let mut block = self.block(input)?;
                block.cells = self.outputs(outputs, &block.cells)?;
                Ok(block)
            }
            Relation::Join { left, right, kind, on } => self.join(left, right, *kind, on),
            Relation::Union { inputs } => self.union(inputs),
            Relation::Aggregate { input, groups, aggregates } => self.aggregate(input, groups, aggregates),
            Relation::Sort { input, by } => {
                let mut block = self.block(input)?;
                if block.limit.is_some() {
                    block = self.derived(&block);
                }
                block.order = self.order(by, &block.cells)?;
                Ok(block)
            }
            Relation::Limit { input, skip, fetch } => {
                let mut block = self.block(input)?;
                block.limit = Some(match block.limit {
                    None => (*skip, *fetch),
                    Some((before, most)) => {
                        let left = most.map(|most| most.saturating_sub(*skip));
                        let fetch = match (left, *fetch) {
                            (Some(left), Some(fetch)) => Some(left.min(fetch)),
                            (left, fetch) => left.or(fetch),
                        };
                        (before.saturating_add(*skip), fetch)
                    }
                });
                Ok(block)
            }
        }
    }

    /// What groups are made by is as true of their rows. HAVING finds columns by their names alone.
    fn filter(&mut self, mut block: Block, condition: &RemoteExpr) -> Result<Block> {
        if let (RemoteExpr::And(parts), Some(_)) = (condition, &block.groups) {
            return parts.iter().try_fold(block, |block, part| self.filter(block, part));
        }
        let places = condition.places();
        let cells = places.iter().map(|&place| self.cell(place, &block.cells)).collect::<Result<Vec<_>>>()?;
        let of_groups = block.groups.is_some() && !cells.is_empty() && cells.iter().all(|cell| cell.group);
        if block.groups.is_some() && !of_groups && cells.iter().any(|cell| cell.of_group) {
            block = self.derived(&block);
        }
        let condition = self.condition(condition, &block.cells)?;
        match &block.groups {
            Some(_) if !of_groups => block.havings.push(condition),
            _ => block.filters.push(condition),
        }
        Ok(block)
    }

    fn table(&mut self, table: &TableDef, columns: &[usize]) -> Result<Block> {
        let alias = self.alias();
        let mut from = Sql::text(TableRef::of(table).to_string());
        let mut before = String::new();
        if self.qualified {
            from.push(&format!(" AS {alias}"));
            before = format!("{alias}.");
        }
        let cell = |&index: &usize| match table.columns.get(index) {
            Some(column) => {
                let text = format!("{before}{}", quote(&column.name));
                Ok(Cell::column(text, column.column_type.may_hold_zero_date()))
            }
            None => Err(self.bug("a column that is not there")),
        };
        let mut block = Block::new(from, columns.iter().map(cell).collect::<Result<_>>()?, 0);
        match self.rows {
            Rows::All => {}
            Rows::Of(part) => block.filters = self.within(part, table)?,
            Rows::Among { parts, null } => block.filters.push(self.among(parts, null, table)?),
        }
        Ok(block)
    }

    /// As the server orders the column: also dates that are none come before or after a value.
    fn within(&self, part: &Part, table: &TableDef) -> Result<Vec<Sql>> {
        let column = table.columns.get(part.column).ok_or_else(|| self.bug("a part by no column"))?;
        let bounds = [(" >= ", &part.from), (" < ", &part.below)];
        let conditions = bounds.into_iter().filter_map(|(symbol, value)| {
            let mut condition = Sql::text(format!("{}{symbol}", quote(&column.name)));
            condition.bind("?", value.clone()?);
            Some(condition)
        });
        Ok(conditions.collect())
    }

    fn among(&self, parts: &[Part], null: Option<usize>, table: &TableDef) -> Result<Sql> {
        let mut all = Vec::with_capacity(parts.len() + 1);
        if let Some(column) = null.and_then(|column| table.columns.get(column)) {
            all.push(Sql::text(format!("{} IS NULL", quote(&column.name))));
        }
        for part in parts {
            let mut sql = Sql::text("(");
            sql.add_all(&self.within(part, table)?, " AND ");
            sql.push(")");
            all.push(sql);
        }
        let mut sql = Sql::text("(");
        sql.add_all(&all, " OR ");
        sql.push(")");
        Ok(sql)
    }

    /// `block` as a table of another.
    pub(super) fn derived(&mut self, block: &Block) -> Block {
        let (alias, names) = (self.alias(), self.names(block.depth));
        let from = Sql::around("(", &block.select(Some(&names)), &format!(") AS {alias}"));
        let columns = block.cells.iter().enumerate();
        let cells = columns.map(|(place, cell)| Cell::column(format!("{alias}.{names}{place}"), cell.raw_date));
        Block::new(from, cells.collect(), block.depth + 1)
    }

    fn outputs(&self, outputs: &[RemoteOutput], cells: &[Cell]) -> Result<Vec<Cell>> {
        let cell = |output: &RemoteOutput| match &output.expr {
            RemoteExpr::Column(index) => self.cell(*index, cells).cloned(),
            expr => {
                let places = expr.places();
                let of = places.iter().map(|&place| self.cell(place, cells)).collect::<Result<Vec<_>>>()?;
                Ok(Cell {
                    group: !of.is_empty() && of.iter().all(|cell| cell.group),
                    of_group: of.iter().any(|cell| cell.of_group),
                    aggregate: of.iter().any(|cell| cell.aggregate),
                    compared: widened(expr, cells),
                    ..Cell::computed(self.value(expr, cells)?)
                })
            }
        };
        outputs.iter().map(cell).collect()
    }

    fn union(&mut self, inputs: &[Relation]) -> Result<Block> {
        let blocks = inputs.iter().map(|input| self.block(input)).collect::<Result<Vec<_>>>()?;
        let depth = blocks.iter().map(|block| block.depth).max().unwrap_or_default();
        let (alias, names) = (self.alias(), self.names(depth));
        let select = |block: &Block| Sql::around("(", &block.select(Some(&names)), ")");
        let selects: Vec<Sql> = blocks.iter().map(select).collect();
        let mut from = Sql::text("(");
        from.add_all(&selects, " UNION ALL ");
        from.push(&format!(") AS {alias}"));
        let width = blocks.first().map_or(0, |block| block.cells.len());
        let cell = |place: usize| {
            let raw_date = blocks.iter().any(|block| block.cells[place].raw_date);
            Cell::column(format!("{alias}.{names}{place}"), raw_date)
        };
        Ok(Block::new(from, (0..width).map(cell).collect(), depth + 1))
    }

    fn aggregate(
        &mut self,
        input: &Relation,
        groups: &[RemoteOutput],
        aggregates: &[RemoteAggregate],
    ) -> Result<Block> {
        let mut block = self.side(input)?;
        if !groups.is_empty() && only_table(input).is_some_and(|table| table.kind == TableKind::Base) {
            self.groups_a_table = true;
            block.from.push(if self.unordered { " USE INDEX FOR GROUP BY ()" } else { "" });
        }
        let mut cells = Vec::with_capacity(groups.len() + aggregates.len());
        for group in groups {
            let cell = Cell::computed(self.value(&group.expr, &block.cells)?);
            cells.push(Cell { group: true, of_group: true, ..cell });
        }
        let written = |cell: &Cell| match cell.is_literal() {
            true => Sql::around("(", &cell.sql, " + 0)"),
            false => cell.sql.clone(),
        };
        block.groups = Some(cells.iter().map(written).collect());
        for aggregate in aggregates {
            let cell = Cell::computed(self.aggregated(aggregate, &block)?);
            cells.push(Cell { aggregate: true, ..cell });
        }
        block.cells = cells;
        block.order.clear();
        Ok(block)
    }

    fn aggregated(&self, aggregate: &RemoteAggregate, block: &Block) -> Result<Sql> {
        let cells = &block.cells;
        let name = match aggregate.function {
            AggregateFunction::Count => "COUNT",
            AggregateFunction::Sum => "SUM",
            AggregateFunction::Average => "AVG",
            AggregateFunction::Min | AggregateFunction::Any => "MIN",
            AggregateFunction::Max => "MAX",
        };
        let mut argument = match &aggregate.argument {
            Some(argument) => self.value(argument, cells)?,
            None if aggregate.filter.is_some() => Sql::text("1"),
            None => Sql::text("*"),
        };
        if aggregate.function == AggregateFunction::Any {
            argument = Sql::around("CONVERT(", &argument, " USING utf8mb4) COLLATE utf8mb4_nopad_bin");
        }
        let of_table = |place: usize| block.depth == 0 && cells.get(place).is_some_and(|cell| cell.bare);
        let is_computed = !matches!(aggregate.argument, Some(RemoteExpr::Column(place)) if of_table(place));
        let average = match (aggregate.function, &aggregate.column.column_type) {
            (AggregateFunction::Average, ColumnType::Decimal { precision, scale }) => {
                Some((*precision, *scale))
            }
            _ => None,
        };
        // It has four places more than there are digits after the point; literals may have lost some, as 1 for 1.0.
        if let Some((precision, scale @ AVERAGE_PLACES..DECIMAL_PLACES)) = average.filter(|_| is_computed) {
            let (precision, scale) = (precision.saturating_sub(AVERAGE_PLACES), scale - AVERAGE_PLACES);
            argument = Sql::around("CAST(", &argument, &format!(" AS DECIMAL({precision},{scale}))"));
        }
        if let Some(filter) = &aggregate.filter {
            let mut chosen = Sql::around("CASE WHEN ", &self.condition(filter, cells)?, " THEN ");
            chosen.add(&argument);
            chosen.push(" END");
            argument = chosen;
        }
        let distinct = if aggregate.distinct { "DISTINCT " } else { "" };
        let sql = Sql::around(&format!("{name}({distinct}"), &argument, ")");
        Ok(match average {
            // What is made of it would be made of more places than it is read with.
            Some((precision, scale)) => {
                Sql::around("CAST(", &sql, &format!(" AS DECIMAL({precision},{scale}))"))
            }
            None => sql,
        })
    }

    /// MariaDB has NULLs first where it counts up and last where it counts down.
    fn order(&self, by: &[RemoteSort], cells: &[Cell]) -> Result<Vec<Sql>> {
        let mut order = Vec::with_capacity(by.len());
        for sort in by {
            let is_literal = match &sort.expr {
                RemoteExpr::Column(index) => self.cell(*index, cells)?.is_literal(),
                expr => matches!(expr, RemoteExpr::Literal(..)),
            };
            if is_literal {
                // It tells no two rows apart.
                continue;
            }
            let value = match &sort.expr {
                // Where it is known to be a date, an index may serve.
                RemoteExpr::Column(index) if !sort.nullable => self.cell(*index, cells)?.sql.clone(),
                expr => self.value(expr, cells)?,
            };
            if sort.nullable && sort.nulls_first == sort.descending {
                let null = Sql::around("(", &value, ")");
                order.push(Sql::around("", &null, if sort.nulls_first { " IS NOT NULL" } else { " IS NULL" }));
            }
            order.push(Sql::around("", &value, if sort.descending { " DESC" } else { "" }));
        }
        Ok(order)
    }

    pub(super) fn cell<'c>(&self, index: usize, cells: &'c [Cell]) -> Result<&'c Cell> {
        cells.get(index).ok_or_else(|| self.bug("a column that is not there"))
    }
}
