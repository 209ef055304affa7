//! What is asked of a source: a small relational algebra, never SQL text.
//!
//! Crossweave's push-down rule makes a [`RemoteQuery`]; a connector renders it in its server's dialect with
//! every literal a bound parameter. So nothing that a user sends reaches a source as SQL text (I6).
//!
//! Columns are referred to by their place among the columns of what an operator reads: those of a join are the left
//! side's, then the right side's.

use std::sync::Arc;

use crate::{Column, ColumnType, RemoteExpr, TableDef};

/// A question to one source: where its rows come from, and what they are read as.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteQuery {
    /// The rows.
    pub relation: Relation,
    /// What its columns are read as, one for each.
    pub columns: Vec<RemoteColumn>,
}

impl RemoteQuery {
    /// The question for the rows of `relation`.
    pub fn new(relation: Relation) -> Self {
        Self { columns: relation.columns(), relation }
    }

    /// All rows and columns of `table`.
    pub fn whole(table: Arc<TableDef>) -> Self {
        let columns = (0..table.columns.len()).collect::<Vec<_>>();
        Self::of(table, columns)
    }

    /// `columns` of all rows of `table`.
    pub fn of(table: Arc<TableDef>, columns: impl Into<Vec<usize>>) -> Self {
        Self::new(Relation::Table { table, columns: columns.into() })
    }

    /// Only the rows for which `condition` is true.
    #[must_use]
    pub fn filtered(self, condition: RemoteExpr) -> Self {
        let input = Box::new(self.relation);
        Self { relation: Relation::Filter { input, condition }, columns: self.columns }
    }

    /// At most `fetch` of the rows: the first ones where they are in order, else any.
    #[must_use]
    pub fn limited(self, fetch: u64) -> Self {
        let input = Box::new(self.relation);
        Self { relation: Relation::Limit { input, skip: 0, fetch: Some(fetch) }, columns: self.columns }
    }

    /// What is read as `columns` of the places `places`.
    #[must_use]
    pub fn projected(self, places: &[usize]) -> Self {
        let outputs = places.iter().map(|&place| RemoteOutput {
            expr: RemoteExpr::Column(place),
            column: self.columns[place].clone(),
        });
        Self::new(Relation::Project { outputs: outputs.collect(), input: Box::new(self.relation) })
    }

    /// The tables that are read; one is named as often as it is read.
    pub fn tables(&self) -> Vec<&Arc<TableDef>> {
        self.relation.tables()
    }
}

/// A column of a relation, as its values are read.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteColumn {
    /// As what values are read.
    pub column_type: ColumnType,
    /// Whether NULL may occur.
    pub nullable: bool,
    /// The table's column whose values they are, unchanged, where that can be said.
    pub origin: Option<(Arc<TableDef>, usize)>,
    /// Characters that a computed text may have, where that is bounded.
    pub chars: Option<u32>,
}

impl RemoteColumn {
    /// A column that the source computes.
    pub fn computed(column_type: ColumnType, nullable: bool) -> Self {
        Self { column_type, nullable, origin: None, chars: None }
    }

    fn of(table: &Arc<TableDef>, index: usize) -> Self {
        let Column { column_type, nullable, .. } = &table.columns[index];
        // A zero date is read as NULL.
        let nullable = *nullable || column_type.may_hold_zero_date();
        let origin = Some((Arc::clone(table), index));
        Self { column_type: column_type.clone(), nullable, origin, chars: None }
    }

    /// Characters that a text may have, where that is bounded.
    pub fn max_chars(&self) -> Option<u32> {
        let origin = self.origin.as_ref();
        self.chars.or_else(|| origin.and_then(|(table, index)| table.columns[*index].max_chars))
    }

    /// The column's name where it is a table's.
    pub fn name(&self) -> Option<&str> {
        self.origin.as_ref().map(|(table, index)| table.columns[*index].name.as_str())
    }
}

/// Rows, as the source is to make them.
#[derive(Debug, Clone, PartialEq)]
pub enum Relation {
    /// All rows of a table.
    Table {
        /// The table.
        table: Arc<TableDef>,
        /// Which of its columns, as indices. May be empty: only the number of rows counts then.
        columns: Vec<usize>,
    },
    /// The rows for which `condition` is true.
    Filter {
        /// Of these.
        input: Box<Relation>,
        /// Which.
        condition: RemoteExpr,
    },
    /// One column for each expression.
    Project {
        /// Of these rows.
        input: Box<Relation>,
        /// The columns.
        outputs: Vec<RemoteOutput>,
    },
    /// Pairs of rows, or the left rows that have a partner or none.
    Join {
        /// Left rows.
        left: Box<Relation>,
        /// Right rows.
        right: Box<Relation>,
        /// Which pairs or rows.
        kind: JoinKind,
        /// When two rows are partners. Refers to the columns of both.
        on: RemoteExpr,
    },
    /// The rows of all of them, which have columns of the same types; not empty.
    Union {
        /// These.
        inputs: Vec<Relation>,
    },
    /// One row for each group; one for all rows where `groups` is empty.
    Aggregate {
        /// Of these rows.
        input: Box<Relation>,
        /// By what they are grouped: the first columns.
        groups: Vec<RemoteOutput>,
        /// What is said of each group: the further columns.
        aggregates: Vec<RemoteAggregate>,
    },
    /// The rows in order.
    Sort {
        /// These.
        input: Box<Relation>,
        /// By what, the first before the second.
        by: Vec<RemoteSort>,
    },
    /// Some of the rows: the first ones where `input` is in order, else any.
    Limit {
        /// Of these.
        input: Box<Relation>,
        /// How many are passed over.
        skip: u64,
        /// How many at most; `None` for all.
        fetch: Option<u64>,
    },
}

impl Relation {
    /// Its columns.
    pub fn columns(&self) -> Vec<RemoteColumn> {
        match self {
            Self::Table { table, columns } => {
                columns.iter().map(|&index| RemoteColumn::of(table, index)).collect()
            }
            Self::Filter { input, .. } | Self::Sort { input, .. } | Self::Limit { input, .. } => {
                input.columns()
            }
            Self::Project { outputs, .. } => outputs.iter().map(|output| output.column.clone()).collect(),
            Self::Join { left, right, kind, .. } => {
                let mut columns = left.columns();
                match kind {
                    JoinKind::Inner => columns.extend(right.columns()),
                    JoinKind::Left => {
                        columns
                            .extend(right.columns().into_iter().map(|c| RemoteColumn { nullable: true, ..c }));
                    }
                    JoinKind::Semi | JoinKind::Anti => {}
                }
                columns
            }
            Self::Union { inputs } => {
                let mut inputs = inputs.iter().map(Self::columns);
                let mut columns = inputs.next().unwrap_or_default();
                for other in inputs {
                    columns.iter_mut().zip(other).for_each(|(column, other)| column.nullable |= other.nullable);
                }
                columns.into_iter().map(|c| RemoteColumn { origin: None, chars: None, ..c }).collect()
            }
            Self::Aggregate { groups, aggregates, .. } => {
                let groups = groups.iter().map(|output| output.column.clone());
                groups.chain(aggregates.iter().map(|aggregate| aggregate.column.clone())).collect()
            }
        }
    }

    /// How many literals its conditions and values hold.
    pub fn literals(&self) -> usize {
        let of_outputs =
            |outputs: &[RemoteOutput]| outputs.iter().map(|output| output.expr.literals()).sum::<usize>();
        match self {
            Self::Table { .. } => 0,
            Self::Filter { input, condition } => input.literals() + condition.literals(),
            Self::Project { input, outputs } => input.literals() + of_outputs(outputs),
            Self::Join { left, right, on, .. } => left.literals() + right.literals() + on.literals(),
            Self::Union { inputs } => inputs.iter().map(Self::literals).sum(),
            Self::Aggregate { input, groups, aggregates } => {
                let parts = |aggregate: &RemoteAggregate| {
                    let parts = [&aggregate.argument, &aggregate.filter];
                    parts.into_iter().flatten().map(RemoteExpr::literals).sum::<usize>()
                };
                // Groups are written twice.
                input.literals() + 2 * of_outputs(groups) + aggregates.iter().map(parts).sum::<usize>()
            }
            Self::Sort { input, by } => {
                input.literals() + by.iter().map(|by| 2 * by.expr.literals()).sum::<usize>()
            }
            Self::Limit { input, .. } => input.literals() + 2,
        }
    }

    /// The tables that are read; one is named as often as it is read.
    pub fn tables(&self) -> Vec<&Arc<TableDef>> {
        let mut tables = Vec::new();
        self.add_tables(&mut tables);
        tables
    }

    fn add_tables<'a>(&'a self, tables: &mut Vec<&'a Arc<TableDef>>) {
        match self {
            Self::Table { table, .. } => tables.push(table),
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Sort { input, .. }
            | Self::Limit { input, .. } => input.add_tables(tables),
            Self::Join { left, right, .. } => {
                left.add_tables(tables);
                right.add_tables(tables);
            }
            Self::Union { inputs } => inputs.iter().for_each(|input| input.add_tables(tables)),
        }
    }
}

/// What a join gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// Each pair of partners.
    Inner,
    /// The same, and left rows without a partner beside NULLs.
    Left,
    /// Left rows with a partner, once each.
    Semi,
    /// Left rows without a partner.
    Anti,
}

/// A column that is computed.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteOutput {
    /// Out of what.
    pub expr: RemoteExpr,
    /// As what it is read.
    pub column: RemoteColumn,
}

/// One thing that is said of a group of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteAggregate {
    /// What.
    pub function: AggregateFunction,
    /// Of these values: none for the number of rows, else one.
    pub argument: Option<RemoteExpr>,
    /// Equal values count once.
    pub distinct: bool,
    /// Only of rows for which it is true.
    pub filter: Option<RemoteExpr>,
    /// As what it is read.
    pub column: RemoteColumn,
}

/// Places after the point that an average has more than the values that it is taken of, and a quotient more than what is
/// divided.
pub const AVERAGE_PLACES: u8 = 4;

/// What can be said of a group of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateFunction {
    /// How many rows, or values that are not NULL.
    Count,
    /// The sum.
    Sum,
    /// The average, to [`AVERAGE_PLACES`] more places than the values have.
    Average,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// Of texts that are all equal under their collation the one that is least by its code points.
    Any,
}

/// By what rows are ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct RemoteSort {
    /// This.
    pub expr: RemoteExpr,
    /// The greatest first.
    pub descending: bool,
    /// NULLs before all others, else after.
    pub nulls_first: bool,
    /// Whether there may be NULLs.
    pub nullable: bool,
}
