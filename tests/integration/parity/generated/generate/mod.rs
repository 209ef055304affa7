//! Queries by chance, from a seed. What each gives is determined, but for which of several equal texts stands for a
//! group: limits stand over an order of all columns, or their rows are counted, windows that count rows over a key.
//!
//! `sources` is what follows FROM, `selects` the forms of a SELECT, `scalars` and `predicates` what is calculated and
//! asked in them, `literals` the constants.

mod literals;
mod moments;
mod predicates;
mod scalars;
mod selects;
mod sources;

use super::ast::{Body, Expr, Item, Join, Order, Output, Query, Select, Source, Type};
use super::data::{BIN, GENERAL, UNICODE};
use super::rng::Rng;

/// A column that an expression may name.
#[derive(Clone)]
struct Named {
    table: String,
    column: String,
    output: Output,
    bits: bool,
    /// Whether it may be NULL everywhere: the side of an outer join that is not there.
    base: bool,
}

/// What the expressions of one SELECT may name.
#[derive(Clone, Default)]
struct Scope {
    columns: Vec<Named>,
    /// Columns that tell rows apart, where there are such.
    key: Option<Vec<usize>>,
}

struct Generator {
    rng: Rng,
    names: usize,
    ctes: Vec<(String, Vec<Output>)>,
}

/// The query of a seed.
pub(super) fn query(seed: u64) -> Query {
    let mut generator = Generator { rng: Rng::new(seed), names: 0, ctes: Vec::new() };
    generator.statement()
}

impl Generator {
    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn statement(&mut self) -> Query {
        let mut ctes = Vec::new();
        if self.rng.chance(12) {
            let query = self.query(1, None, 0);
            let name = self.name("w");
            self.ctes.push((name.clone(), query.outputs()));
            ctes.push((name, query));
        }
        let mut query = if self.rng.chance(5) { self.count_of_cut() } else { self.query(2, None, 45) };
        query.ctes = ctes;
        query
    }

    /// How many rows a query has that is cut without an order: which they are is open.
    fn count_of_cut(&mut self) -> Query {
        let mut cut = self.query(1, None, 0);
        self.cut(&mut cut, 60, 70);
        let items = vec![Item { name: "c1".to_owned(), expr: Expr::same(Type::Int, "count(*)", Vec::new()) }];
        let source = Source::Derived(Box::new(cut));
        let from = vec![Join { kind: "", source, alias: self.name("q"), on: None }];
        Query::of(Select { distinct: false, items, from, filter: None, group: Vec::new(), having: None })
    }

    /// Limits `query`, and has it skip rows, so often in a hundred.
    fn cut(&mut self, query: &mut Query, limited: usize, skipping: usize) {
        if self.rng.chance(limited) {
            query.limit = Some(*self.rng.pick(&[0, 1, 2, 3, 5, 10, 20, 100]));
        }
        if self.rng.chance(skipping) {
            query.offset = Some(*self.rng.pick(&[0, 1, 2, 4, 9, 40]));
        }
    }

    /// A query of some depth; `wanted` are the types of its columns, where that matters. It is ordered as often as
    /// `ordered` says, and then often limited.
    fn query(&mut self, depth: usize, wanted: Option<&[Type]>, ordered: usize) -> Query {
        let body = if depth > 0 && self.rng.chance(18) {
            self.set(depth, wanted)
        } else {
            Body::Select(Box::new(self.select(depth, wanted)))
        };
        let mut query = Query { ctes: Vec::new(), body, order: Vec::new(), limit: None, offset: None };
        if self.rng.chance(ordered) || (wanted.is_none() && depth < 2 && self.rng.chance(12)) {
            self.order(&mut query);
        }
        query
    }

    fn order(&mut self, query: &mut Query) {
        let items = &query.body.first().items;
        if !query.outputs().iter().all(|output| output.ty.is_comparable()) {
            return;
        }
        // DataFusion does not plan an order over a union that sorts by one thing twice.
        if matches!(query.body, Body::Set { .. }) && query.body.selects().any(has_one_item_twice) {
            return;
        }
        let mut names: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        while !names.is_empty() {
            let column = names.swap_remove(self.rng.below(names.len()));
            let nulls_first = self.rng.chance(20).then(|| self.rng.chance(50));
            query.order.push(Order { column, descending: self.rng.chance(40), nulls_first });
        }
        self.cut(query, 55, 25);
    }

    fn set(&mut self, depth: usize, wanted: Option<&[Type]>) -> Body {
        const TYPES: &[Type] = &[
            Type::Int,
            Type::Int,
            Type::Text(GENERAL),
            Type::Text(GENERAL),
            Type::Text(UNICODE),
            Type::Text(BIN),
            Type::Date,
            Type::Moment,
            Type::Dec,
            Type::Big,
        ];
        let types: Vec<Type> = match wanted {
            Some(wanted) => wanted.to_vec(),
            None => (0..=self.rng.below(2)).map(|_| *self.rng.pick(TYPES)).collect(),
        };
        let operator = self.rng.weighted(&[
            (38, "UNION"),
            (38, "UNION ALL"),
            (8, "INTERSECT"),
            (8, "EXCEPT"),
            (4, "INTERSECT ALL"),
            (4, "EXCEPT ALL"),
        ]);
        let left = if self.rng.chance(15) {
            self.set(0, Some(&types))
        } else {
            Body::Select(Box::new(self.select(depth.saturating_sub(1), Some(&types))))
        };
        let right = Body::Select(Box::new(self.select(0, Some(&types))));
        Body::Set { operator, left: Box::new(left), right: Box::new(right) }
    }
}

fn has_one_item_twice(select: &Select) -> bool {
    let items: Vec<String> = select.items.iter().map(|item| format!("{:?}", item.expr)).collect();
    items.iter().enumerate().any(|(at, item)| items[..at].contains(item))
}
