//! The part of a plan that a source is asked for, as far as it is taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use crossweave_contract::{
    JoinKind, Relation, RemoteColumn, RemoteExpr, RemoteOutput, RemoteQuery, RemoteSort,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, FetchType, LogicalPlan, Projection, SortExpr};

use super::expressions::{Scope, Taken, refuse};
use super::node::RemoteNode;
use super::pages::Paged;
use super::relations::order;
use crate::federation::collation::Key;
use crate::federation::live::LiveSource;

/// What a column of a plan is made of, out of the source's columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    /// The source's column itself.
    Column(usize),
    /// The key of a text that the source gives, which is made here.
    Key(Key, usize),
}

impl Output {
    pub(super) fn place(&self) -> usize {
        match self {
            Self::Column(place) | Self::Key(_, place) => *place,
        }
    }

    /// The same, where the columns have moved.
    pub(super) fn moved(&self, to: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::Column(place) => Self::Column(to(*place)),
            Self::Key(key, place) => Self::Key(key.clone(), to(*place)),
        }
    }
}

/// By place, in which place a picked text is compared.
pub(super) type Picked = BTreeMap<usize, Option<usize>>;

/// Operators over tables of one source, as one question.
#[derive(Debug, Clone)]
pub(super) struct Fragment {
    /// What is asked.
    pub(super) relation: Relation,
    /// Its columns.
    pub(super) columns: Vec<RemoteColumn>,
    /// What the plan's columns are made of.
    pub(super) outputs: Vec<Output>,
    /// The plan's columns.
    pub(super) schema: DFSchemaRef,
    /// Who is asked.
    pub(super) source: Arc<LiveSource>,
    /// Columns that hold one of several texts which their collation holds equal, read under another one: in their place the
    /// column is compared by which those are grouped, if there is one.
    pub(super) picked: Picked,
    /// Sets of the source's columns of which no two rows have the same values.
    pub(super) keys: Vec<Vec<usize>>,
    /// The same plan with a join computed here that may give more rows than its sides have: better, unless what is taken
    /// above makes fewer rows of them.
    pub(super) apart: Option<Box<LogicalPlan>>,
}

impl Fragment {
    /// What expressions over its columns refer to.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { schema: &self.schema, outputs: &self.outputs, columns: &self.columns, picked: &self.picked }
    }

    /// The same rows with `relation` around what is asked.
    #[must_use]
    pub(super) fn within(self, relation: impl FnOnce(Box<Relation>) -> Relation) -> Self {
        Self { relation: relation(Box::new(self.relation)), ..self }
    }

    /// This, which is `operator` taken over what may be kept `apart`. Where a join or union of that is computed here, so is
    /// the operator, unless it makes few rows of the many that they have.
    pub(super) fn over(self, apart: Option<&LogicalPlan>, operator: &LogicalPlan) -> Result<Self> {
        let Some(apart) = apart else { return Ok(Self { apart: None, ..self }) };
        let makes_few = match operator {
            LogicalPlan::Aggregate(_) => true,
            LogicalPlan::Sort(sort) => sort.fetch.is_some(),
            LogicalPlan::Limit(limit) => matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(_)))),
            _ => false,
        };
        if makes_few {
            return Ok(Self { apart: None, ..self });
        }
        let apart = operator.clone().map_children(|_| Ok(Transformed::yes(apart.clone())))?;
        Ok(Self { apart: Some(Box::new(apart.data)), ..self })
    }

    /// Whether no two rows have the same values in `places`.
    pub(super) fn is_unique(&self, places: &[usize]) -> bool {
        self.keys.iter().any(|key| key.iter().all(|place| places.contains(place)))
    }

    /// The plan, with the question in place of what was taken.
    pub(super) fn finished(self) -> Result<LogicalPlan> {
        if let Some(apart) = self.apart {
            return Ok(*apart);
        }
        if self.outputs.iter().all(|output| matches!(output, Output::Column(_))) {
            let places: Vec<usize> = self.outputs.iter().map(Output::place).collect();
            let schema = Arc::clone(&self.schema);
            return Ok(RemoteNode::new(Question::of(self, places), schema).into_plan());
        }
        let mut places: Vec<usize> = self.outputs.iter().map(Output::place).collect();
        places.sort_unstable();
        places.dedup();
        let fields = places.iter().enumerate().map(|(place, &of)| {
            let column = &self.columns[of];
            let field = column.column_type.field(&format!("__asked_{place}"), column.nullable);
            (None, Arc::new(field))
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), std::collections::HashMap::new())?;
        let (outputs, of_plan) = (self.outputs.clone(), Arc::clone(&self.schema));
        let below = RemoteNode::new(Question::of(self, places.clone()), Arc::new(schema)).into_plan();
        let exprs = of_plan.iter().zip(&outputs).map(|((relation, field), output)| {
            let place = places.binary_search(&output.place()).unwrap_or_default();
            let column = Expr::Column(Column::from_name(format!("__asked_{place}")));
            let expr = match output {
                Output::Column(_) => column,
                Output::Key(key, _) => key.of(column),
            };
            expr.alias_qualified(relation.cloned(), field.name())
        });
        let projection =
            Projection::try_new_with_schema(exprs.collect(), Arc::new(below), Arc::clone(&of_plan))?;
        Ok(LogicalPlan::Projection(projection))
    }
}

/// A part of a plan, as far as a source was asked for it, with the columns of it that are wanted.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) relation: Relation,
    /// The columns of `relation`.
    pub(super) columns: Vec<RemoteColumn>,
    /// Those that are wanted.
    pub(super) places: Vec<usize>,
    pub(super) picked: Picked,
    pub(super) keys: Vec<Vec<usize>>,
    pub(super) source: Arc<LiveSource>,
}

impl Question {
    fn of(fragment: Fragment, places: Vec<usize>) -> Self {
        let Fragment { relation, columns, picked, keys, source, .. } = fragment;
        Self { relation, columns, places, picked, keys, source }
    }

    /// As it is asked.
    pub(super) fn query(&self) -> RemoteQuery {
        asked(self.relation.clone(), &self.columns, &self.places)
    }

    /// For those at `places` of the wanted columns alone.
    pub(super) fn keeping(&self, places: &[usize]) -> Self {
        Self { places: places.iter().map(|&place| self.places[place]).collect(), ..self.clone() }
    }

    /// For pages in the order of `by`, over columns that `schema` has for the wanted ones; `None` where the source does not
    /// have that order, nothing tells its rows apart, or several statements may not see the same rows.
    pub(super) fn in_pages(&self, by: &[SortExpr], schema: &DFSchemaRef) -> Option<Paged> {
        if !has_the_same_rows(&self.relation) {
            return None;
        }
        let outputs: Vec<Output> = self.places.iter().map(|&place| Output::Column(place)).collect();
        let scope = Scope { schema, outputs: &outputs, columns: &self.columns, picked: &self.picked };
        let mut by = by.iter().map(|sort| order(sort, &scope)).collect::<Taken<Vec<_>>>().ok()?;
        let (relation, key) = match self.keys.first() {
            Some(key) => (self.relation.clone(), key.clone()),
            None => with_key(&self.relation)?,
        };
        let mut columns = self.columns.clone();
        columns.extend(relation.columns().into_iter().skip(columns.len()));
        // Days that are none are all NULL here: they tell no rows apart.
        if key.iter().any(|&place| columns[place].column_type.may_hold_zero_date()) {
            return None;
        }
        for place in key {
            let expr = RemoteExpr::Column(place);
            if by.iter().all(|sort| sort.expr != expr) {
                let nullable = columns[place].nullable;
                by.push(RemoteSort { expr, descending: false, nulls_first: false, nullable });
            }
        }
        Some(Paged { rows: relation, by, columns, places: self.places.clone() })
    }
}

/// Whether all statements of a view find the same rows in `relation`: not where a table's engine has no snapshots, nor where
/// any rows will do.
pub(in crate::federation::remote) fn has_the_same_rows(relation: &Relation) -> bool {
    match relation {
        Relation::Table { table, .. } => table.has_snapshots(),
        Relation::Filter { input, .. }
        | Relation::Project { input, .. }
        | Relation::Aggregate { input, .. }
        | Relation::Sort { input, .. } => has_the_same_rows(input),
        Relation::Join { left, right, .. } => has_the_same_rows(left) && has_the_same_rows(right),
        Relation::Union { inputs } => inputs.iter().all(has_the_same_rows),
        Relation::Limit { .. } => false,
    }
}

/// `relation` with its table's key after its own columns, and where that is; `None` where it is not of the rows of one table
/// that has a key.
fn with_key(relation: &Relation) -> Option<(Relation, Vec<usize>)> {
    match relation {
        Relation::Table { table, columns } => {
            let width = columns.len();
            let columns = columns.iter().chain(&table.key).copied().collect();
            let places = (width..width + table.key.len()).collect();
            let relation = Relation::Table { table: Arc::clone(table), columns };
            (!table.key.is_empty()).then_some((relation, places))
        }
        Relation::Filter { input, condition } => {
            let (input, places) = with_key(input)?;
            Some((Relation::Filter { input: Box::new(input), condition: condition.clone() }, places))
        }
        Relation::Project { input, outputs } => {
            let (input, places) = with_key(input)?;
            let of_input = input.columns();
            let key = places.iter().map(|&place| RemoteOutput {
                expr: RemoteExpr::Column(place),
                column: of_input[place].clone(),
            });
            let at = (outputs.len()..outputs.len() + places.len()).collect();
            let outputs = outputs.iter().cloned().chain(key).collect();
            Some((Relation::Project { input: Box::new(input), outputs }, at))
        }
        _ => None,
    }
}

/// The question for `places` of the columns of `relation`.
pub(super) fn asked(relation: Relation, columns: &[RemoteColumn], places: &[usize]) -> RemoteQuery {
    let columns = places.iter().map(|&place| columns[place].clone()).collect();
    let relation = match relation {
        Relation::Table { table, columns } => {
            Relation::Table { table, columns: places.iter().map(|&place| columns[place]).collect() }
        }
        // Columns of semi-joins and of conditions are still needed within.
        relation if is_identity(places, relation.columns().len()) => relation,
        relation => {
            let of_relation = relation.columns();
            let output = |&place: &usize| RemoteOutput {
                expr: RemoteExpr::Column(place),
                column: of_relation[place].clone(),
            };
            Relation::Project { outputs: places.iter().map(output).collect(), input: Box::new(relation) }
        }
    };
    RemoteQuery { relation, columns }
}

fn is_identity(places: &[usize], width: usize) -> bool {
    places.len() == width && places.iter().enumerate().all(|(index, place)| index == *place)
}

/// Fails unless a column that is read as `column` is what the plan has as `data_type`.
pub(super) fn read_as(column: &RemoteColumn, data_type: &DataType) -> Taken<()> {
    let there = column.column_type.data_type();
    if there == *data_type {
        Ok(())
    } else {
        refuse(format!("{there} is what a source gives, not {data_type}"))
    }
}

/// The keys of a join's rows.
pub(super) fn keys_of_join(
    left: &Fragment,
    right: &Fragment,
    kind: JoinKind,
    unique: [bool; 2],
) -> Vec<Vec<usize>> {
    let width = left.columns.len();
    let shifted = right.keys.iter().map(|key| key.iter().map(|place| place + width).collect());
    match (kind, unique) {
        (JoinKind::Semi | JoinKind::Anti, _) | (JoinKind::Left, [_, true]) => left.keys.clone(),
        (JoinKind::Inner, [true, true]) => left.keys.iter().cloned().chain(shifted).collect(),
        (JoinKind::Inner, [true, false]) => shifted.collect(),
        (JoinKind::Inner, [false, true]) => left.keys.clone(),
        (JoinKind::Inner | JoinKind::Left, _) => Vec::new(),
    }
}
