//! Questions at random, as the push-down rule makes them: of its whitelist, with the types that it reads them as, and
//! with nothing that it leaves to Crossweave itself.

use std::sync::Arc;

use crossweave_contract::{
    ColumnType, CompareOp, JoinKind, Relation, RemoteColumn, RemoteExpr, RemoteOutput, RemoteQuery, RemoteSort,
    TableDef,
};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng, SeedableRng};

use super::answers::{Answer, Contents};

/// A question of more tables is more than the other parser has a stack for.
const MOST_TABLES: usize = 6;

/// What the rule has taken so far.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) relation: Relation,
    /// Its columns; as far as conditions say so, without NULLs.
    pub(super) columns: Vec<RemoteColumn>,
    /// For columns that hold one of several equal texts, by which other column these are grouped.
    pub(super) picked: Vec<Option<usize>>,
    /// Its rows.
    pub(super) answer: Answer,
}

impl Taken {
    /// Places of columns about which more is asked than whether they are NULL.
    pub(super) fn places(&self, fits: impl Fn(&RemoteColumn) -> bool) -> Vec<usize> {
        let usable = |&place: &usize| self.picked[place].is_none() && fits(&self.columns[place]);
        (0..self.columns.len()).filter(usable).collect()
    }

    /// Places of columns by which rows are grouped and ordered.
    fn sortable(&self) -> Vec<usize> {
        self.places(|column| !is_text(column) || column.max_chars().is_some())
    }
}

pub(super) fn is_text(column: &RemoteColumn) -> bool {
    matches!(column.column_type, ColumnType::Text { .. })
}

pub(super) fn is_number(column: &RemoteColumn) -> bool {
    use ColumnType::{BigInt, Decimal, Int};
    matches!(column.column_type, Int { .. } | BigInt { .. } | Decimal { .. })
}

pub(super) struct Generator<'w> {
    pub(super) random: StdRng,
    tables: &'w [Arc<TableDef>],
    contents: &'w Contents,
}

impl<'w> Generator<'w> {
    pub(super) fn new(seed: u64, tables: &'w [Arc<TableDef>], contents: &'w Contents) -> Self {
        Self { random: StdRng::seed_from_u64(seed), tables, contents }
    }

    pub(super) fn query(&mut self) -> RemoteQuery {
        let depth = self.random.random_range(1..=5);
        let taken = self.relation(depth);
        if self.random.random_bool(0.3) {
            return RemoteQuery { relation: taken.relation, columns: taken.columns };
        }
        let mut places: Vec<usize> = (0..taken.columns.len()).collect();
        places.shuffle(&mut self.random);
        let least = if self.random.random_bool(0.05) { 0 } else { 1 };
        places.truncate(self.random.random_range(least..=places.len()));
        let columns = places.iter().map(|&place| taken.columns[place].clone()).collect();
        RemoteQuery { relation: selected(taken.relation, &places), columns }
    }

    fn relation(&mut self, depth: u32) -> Taken {
        if depth == 0 {
            return self.table();
        }
        let input = self.relation(depth - 1);
        let wrapped = match self.random.random_range(0..12) {
            0..3 => self.filter(&input),
            3 => self.project(&input),
            4..7 => self.join(&input),
            7 => self.union(&input),
            8..10 => self.aggregate(&input),
            10 => self.sort(&input),
            _ => self.limit(&input),
        };
        wrapped.unwrap_or(input)
    }

    fn table(&mut self) -> Taken {
        let table = self.tables.choose(&mut self.random).expect("tables");
        let mut columns: Vec<usize> = (0..table.columns.len()).collect();
        if self.random.random_bool(0.3) {
            columns.shuffle(&mut self.random);
            columns.truncate(self.random.random_range(1..=columns.len()));
        }
        let relation = Relation::Table { table: Arc::clone(table), columns };
        let (columns, answer) = (relation.columns(), self.contents.answer(&relation).expect("rows"));
        Taken { picked: vec![None; columns.len()], relation, columns, answer }
    }

    /// `relation` with its columns as they are read; `None` where its tables or rows are too many, or left open, and
    /// most often where it has no rows, of which nothing more can be told.
    pub(super) fn taken(
        &mut self,
        relation: Relation,
        columns: Vec<RemoteColumn>,
        picked: Vec<Option<usize>>,
    ) -> Option<Taken> {
        if relation.tables().len() > MOST_TABLES {
            return None;
        }
        let answer = self.contents.answer(&relation).ok()?;
        if answer.rows.is_empty() && self.random.random_bool(0.8) {
            return None;
        }
        Some(Taken { relation, columns, picked, answer })
    }

    fn filter(&mut self, input: &Taken) -> Option<Taken> {
        let wanted = self.random.random_range(1..3);
        let mut conditions = Vec::new();
        for _ in 0..wanted {
            match self.condition(input, 2)? {
                RemoteExpr::And(list) => conditions.extend(list),
                condition => conditions.push(condition),
            }
        }
        let mut columns = input.columns.clone();
        for place in conditions.iter().filter_map(RemoteExpr::not_null) {
            columns[place].nullable = false;
        }
        let condition = all(conditions);
        let relation = Relation::Filter { input: Box::new(input.relation.clone()), condition };
        self.taken(relation, columns, input.picked.clone())
    }

    fn project(&mut self, input: &Taken) -> Option<Taken> {
        let mut outputs: Vec<RemoteOutput> = input
            .columns
            .iter()
            .enumerate()
            .map(|(place, column)| RemoteOutput { expr: RemoteExpr::Column(place), column: column.clone() })
            .collect();
        for _ in 0..self.random.random_range(1..3) {
            let (expr, column_type) = self.number(input, 2)?;
            outputs.push(RemoteOutput { expr, column: RemoteColumn::computed(column_type, true) });
        }
        let columns = outputs.iter().map(|output| output.column.clone()).collect();
        let mut picked = input.picked.clone();
        picked.resize(outputs.len(), None);
        self.taken(Relation::Project { input: Box::new(input.relation.clone()), outputs }, columns, picked)
    }

    fn join(&mut self, left: &Taken) -> Option<Taken> {
        let depth = self.random.random_range(0..3);
        let right = self.relation(depth);
        let width = left.columns.len();
        let mut pairs = Vec::new();
        for one in left.places(|_| true) {
            for other in right.places(|_| true) {
                if are_compared(&left.columns[one], &right.columns[other]) {
                    pairs.push((one, other));
                }
            }
        }
        // Both sides as one, of which some pairs of rows are enough to take literals from.
        let rows = left.answer.rows.iter().zip(right.answer.rows.iter().cycle());
        let both = Taken {
            relation: left.relation.clone(),
            columns: left.columns.iter().chain(&right.columns).cloned().collect(),
            picked: left
                .picked
                .iter()
                .copied()
                .chain(right.picked.iter().map(|of| of.map(|place| place + width)))
                .collect(),
            answer: Answer {
                rows: rows.map(|(one, other)| [one.clone(), other.clone()].concat()).collect(),
                loose: [left.answer.loose.clone(), right.answer.loose.clone()].concat(),
                ordered: false,
            },
        };
        let (one, other) = *pairs.choose(&mut self.random)?;
        let mut on = vec![compare(CompareOp::Eq, RemoteExpr::Column(one), RemoteExpr::Column(other + width))];
        if self.random.random_bool(0.3) {
            let (one, other) = *pairs.choose(&mut self.random)?;
            on.push(compare(CompareOp::Eq, RemoteExpr::Column(one), RemoteExpr::Column(other + width)));
        }
        if self.random.random_bool(0.3) {
            on.push(self.condition(&both, 1)?);
        }
        let kinds = [JoinKind::Inner, JoinKind::Left, JoinKind::Semi, JoinKind::Anti];
        let kind = *kinds.choose(&mut self.random)?;
        let (mut columns, mut picked) = (both.columns, both.picked);
        match kind {
            JoinKind::Inner => {}
            JoinKind::Left => columns[width..].iter_mut().for_each(|column| column.nullable = true),
            JoinKind::Semi | JoinKind::Anti => {
                columns.truncate(width);
                picked.truncate(width);
            }
        }
        let (left, right) = (Box::new(left.relation.clone()), Box::new(right.relation));
        self.taken(Relation::Join { left, right, kind, on: all(on) }, columns, picked)
    }

    fn union(&mut self, first: &Taken) -> Option<Taken> {
        let mut others = Vec::new();
        for _ in 0..self.random.random_range(1..3) {
            let depth = self.random.random_range(0..3);
            let other = match self.random.random_bool(0.3) {
                true => self.filter(first)?,
                false => self.relation(depth),
            };
            others.push(other);
        }
        // Columns of the same types, as far as all have them.
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); 1 + others.len()];
        for place in first.places(|_| true) {
            let column_type = &first.columns[place].column_type;
            let alike = |(other, taken): (&Taken, &Vec<usize>)| {
                let places = other.places(|column| column.column_type == *column_type);
                places.into_iter().find(|place| !taken.contains(place))
            };
            let found: Option<Vec<usize>> = others.iter().zip(&places[1..]).map(alike).collect();
            if let Some(found) = found {
                places[0].push(place);
                places[1..].iter_mut().zip(found).for_each(|(places, place)| places.push(place));
            }
        }
        if places[0].is_empty() {
            return None;
        }
        let inputs: Vec<Relation> = std::iter::once(first)
            .chain(&others)
            .zip(&places)
            .map(|(input, places)| selected(input.relation.clone(), places))
            .collect();
        let column = |at: usize| {
            let of = |(input, places): (&Taken, &Vec<usize>)| input.columns[places[at]].clone();
            let mut columns = std::iter::once(first).chain(&others).zip(&places).map(of);
            let column_type = first.columns[places[0][at]].column_type.clone();
            RemoteColumn::computed(column_type, columns.any(|column| column.nullable))
        };
        let columns: Vec<RemoteColumn> = (0..places[0].len()).map(column).collect();
        let picked = vec![None; columns.len()];
        self.taken(Relation::Union { inputs }, columns, picked)
    }

    fn sort(&mut self, input: &Taken) -> Option<Taken> {
        let mut by = Vec::new();
        if self.random.random_bool(0.3) {
            by.push((self.number(input, 1)?.0, true));
        }
        let mut places = input.sortable();
        places.shuffle(&mut self.random);
        by.extend(places.into_iter().map(|place| (RemoteExpr::Column(place), input.columns[place].nullable)));
        let mut direction = |(expr, nullable)| RemoteSort {
            expr,
            descending: self.random.random(),
            nulls_first: self.random.random(),
            nullable,
        };
        let by = by.into_iter().map(&mut direction).collect();
        let sorted = Relation::Sort { input: Box::new(input.relation.clone()), by };
        let rows = input.answer.rows.len() as u64;
        let fetch = Some(self.random.random_range(0..=rows + 1));
        let skip = if self.random.random_bool(0.5) { 0 } else { self.random.random_range(0..=rows) };
        let limited = Relation::Limit { input: Box::new(sorted), skip, fetch };
        self.taken(limited, input.columns.clone(), input.picked.clone())
    }

    fn limit(&mut self, input: &Taken) -> Option<Taken> {
        let sorted = if input.answer.ordered { input.clone() } else { self.sort(input)? };
        let rows = sorted.answer.rows.len() as u64;
        let fetch = self.random.random_bool(0.8).then(|| self.random.random_range(0..=rows + 1));
        let skip = self.random.random_range(0..=rows.min(3));
        let relation = Relation::Limit { input: Box::new(sorted.relation), skip, fetch };
        self.taken(relation, sorted.columns, sorted.picked)
    }

    /// Places of columns by which rows may be grouped, in any order.
    pub(super) fn groupable(&mut self, input: &Taken) -> Vec<usize> {
        let mut places = input.sortable();
        places.shuffle(&mut self.random);
        places
    }
}

/// `places` of the columns of `relation`.
fn selected(relation: Relation, places: &[usize]) -> Relation {
    match relation {
        Relation::Table { table, columns } => {
            Relation::Table { table, columns: places.iter().map(|&place| columns[place]).collect() }
        }
        relation => {
            let columns = relation.columns();
            if places.iter().copied().eq(0..columns.len()) {
                return relation;
            }
            let output = |&place: &usize| RemoteOutput {
                expr: RemoteExpr::Column(place),
                column: columns[place].clone(),
            };
            Relation::Project { outputs: places.iter().map(output).collect(), input: Box::new(relation) }
        }
    }
}

pub(super) fn compare(op: CompareOp, left: RemoteExpr, right: RemoteExpr) -> RemoteExpr {
    RemoteExpr::Compare { op, left: Box::new(left), right: Box::new(right) }
}

fn all(mut conditions: Vec<RemoteExpr>) -> RemoteExpr {
    if conditions.len() == 1 { conditions.remove(0) } else { RemoteExpr::And(conditions) }
}

/// Whether two columns are compared there with each other.
pub(super) fn are_compared(one: &RemoteColumn, other: &RemoteColumn) -> bool {
    use ColumnType::Decimal;
    match (&one.column_type, &other.column_type) {
        (Decimal { scale, .. }, Decimal { scale: places, .. }) => scale == places,
        (Decimal { .. }, _) | (_, Decimal { .. }) => false,
        (ColumnType::Text { collation }, ColumnType::Text { collation: other }) => collation == other,
        _ => is_number(one) && is_number(other),
    }
}
