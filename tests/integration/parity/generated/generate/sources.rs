//! What follows FROM: tables, derived tables and common table expressions, and how they are joined.

use super::super::ast::{Expr, Join, Node, Output, Query, Select, Source, Type};
use super::super::data::{BIN, GENERAL, LATIN, TABLES, Table, UNICODE};
use super::selects::named;
use super::{Generator, Named, Scope};

type TableColumn = (&'static str, &'static str);

/// Columns that belong together, as foreign keys would say.
const RELATED: &[(TableColumn, TableColumn)] = &[
    (("people", "id"), ("orders", "person")),
    (("people", "id"), ("people", "boss")),
    (("people", "g"), ("orders", "g")),
    (("tags", "code"), ("items", "tag")),
    (("orders", "line"), ("items", "id")),
    (("words", "n"), ("people", "id")),
    (("words", "k"), ("orders", "b")),
    (("words", "n"), ("orders", "line")),
    (("people", "big"), ("items", "id")),
    (("people", "id"), ("items", "id")),
];

impl Generator {
    /// Sources with what they offer. One of them has a column of each type of `wanted`.
    pub(super) fn from(&mut self, depth: usize, wanted: &[Type]) -> (Vec<Join>, Scope) {
        let mut scope = Scope { key: Some(Vec::new()), ..Scope::default() };
        let mut joins = vec![self.first(depth, wanted, &mut scope)];
        let more = self.rng.weighted(&[(45, 0), (42, 1), (13, 2)]);
        for _ in 0..more.min(depth + 1) {
            let before = scope.columns.len();
            let mut join = self.source(depth, &mut scope);
            join.kind = self.rng.weighted(&[
                (58, "JOIN"),
                (30, "LEFT JOIN"),
                (8, "RIGHT JOIN"),
                (2, "FULL JOIN"),
                (2, "CROSS JOIN"),
            ]);
            if join.kind == "FULL JOIN" || join.kind == "RIGHT JOIN" {
                // A row of one side alone has no value of the other's key, so both keys together still tell.
                scope.columns.iter_mut().for_each(|column| column.base = false);
            }
            if join.kind != "CROSS JOIN" {
                join.on = Some(self.on(&scope, before));
            }
            joins.push(join);
        }
        (joins, scope)
    }

    fn first(&mut self, depth: usize, wanted: &[Type], scope: &mut Scope) -> Join {
        let has = |table: &&Table| wanted.iter().all(|ty| table.columns.iter().any(|column| column.ty == *ty));
        let fitting: Vec<&'static Table> = TABLES.iter().filter(has).collect();
        match fitting.as_slice() {
            [] => self.source(depth, scope),
            _ if wanted.is_empty() => self.source(depth, scope),
            fitting => {
                let table = fitting[self.rng.below(fitting.len())];
                self.table(table, scope)
            }
        }
    }

    fn source(&mut self, depth: usize, scope: &mut Scope) -> Join {
        if !self.ctes.is_empty() && self.rng.chance(40) {
            let (name, outputs) = self.rng.pick(&self.ctes).clone();
            return self.derived(Source::Cte(name), &outputs, None, scope);
        }
        if depth > 0 && self.rng.chance(18) {
            let query = self.query(depth - 1, None, 0);
            let names = query.body.first().items.iter().map(|item| item.name.clone()).collect();
            let outputs = query.outputs();
            return self.derived(Source::Derived(Box::new(query)), &outputs, Some(names), scope);
        }
        if depth > 0 && self.rng.chance(10) {
            return self.ratios(scope);
        }
        let table = self.rng.pick(TABLES);
        self.table(table, scope)
    }

    /// A subquery that MariaDB merges, with a quotient among its columns: one that is NULL of NULL, for else MariaDB gives a value
    /// where an outer join has no row.
    fn ratios(&mut self, scope: &mut Scope) -> Join {
        let (from, inner) = self.from(0, &[Type::Dec]);
        let filter = self.rng.chance(40).then(|| self.predicate(&inner, 0));
        let text = *self.rng.pick(&["{0} / {1}", "{0} / 7", "{0} * 3 / {1}"]);
        let args = vec![self.some(&inner, Type::Dec), self.some(&inner, Type::Int)];
        let items = vec![self.some(&inner, Type::Int), Expr::same(Type::Quotient, text, args)];
        let items = named(items);
        let select = Select { distinct: false, items, from, filter, group: Vec::new(), having: None };
        let query = Query::of(select);
        let names = query.body.first().items.iter().map(|item| item.name.clone()).collect();
        let outputs = query.outputs();
        self.derived(Source::Derived(Box::new(query)), &outputs, Some(names), scope)
    }

    fn table(&mut self, table: &'static Table, scope: &mut Scope) -> Join {
        let alias = self.name("t");
        let first = scope.columns.len();
        scope.columns.extend(table.columns.iter().map(|column| Named {
            table: alias.clone(),
            column: column.name.to_owned(),
            output: Output { ty: column.ty, loose: false },
            bits: column.is_bits(),
            base: true,
        }));
        let at =
            |name: &&str| first + table.columns.iter().position(|column| column.name == *name).expect("a key");
        match &mut scope.key {
            Some(key) if !table.key.is_empty() => key.extend(table.key.iter().map(at)),
            key => *key = None,
        }
        let source = Source::Table { service: table.service, table: table.name };
        Join { kind: "", source, alias, on: None }
    }

    /// A source that a query stands for. Common table expressions call their columns c1, c2, …
    fn derived(
        &mut self,
        source: Source,
        outputs: &[Output],
        names: Option<Vec<String>>,
        scope: &mut Scope,
    ) -> Join {
        let alias = self.name("q");
        let names = names.unwrap_or_else(|| (1..=outputs.len()).map(|n| format!("c{n}")).collect());
        scope.columns.extend(names.into_iter().zip(outputs).map(|(column, output)| Named {
            table: alias.clone(),
            column,
            output: *output,
            bits: false,
            base: false,
        }));
        scope.key = None;
        Join { kind: "", source, alias, on: None }
    }

    /// A condition between the sources before and the one whose columns begin at `before`.
    fn on(&mut self, scope: &Scope, before: usize) -> Expr {
        let mut condition = self.equality(scope, before);
        if self.rng.chance(20) {
            let second = self.equality(scope, before);
            condition = Expr::same(Type::Bool, "{0} AND {1}", vec![condition, second]);
        }
        if self.rng.chance(20) {
            let more = self.comparison(scope, 0);
            condition = Expr::same(Type::Bool, "{0} AND {1}", vec![condition, more]);
        }
        condition
    }

    fn equality(&mut self, scope: &Scope, before: usize) -> Expr {
        let (left, right) = scope.columns.split_at(before);
        let mut pairs = Vec::new();
        for l in left {
            for r in right {
                let weight = affinity(l, r);
                if weight > 0 {
                    pairs.push((weight, (l, r)));
                }
            }
        }
        if pairs.is_empty() {
            return self.comparison(scope, 0);
        }
        let (l, r) = self.rng.weighted(&pairs);
        let (l, r) = if self.rng.chance(50) { (l, r) } else { (r, l) };
        let operator = if self.rng.chance(4) { "{0} < {1}" } else { "{0} = {1}" };
        Expr::same(Type::Bool, operator, vec![l.expr(), r.expr()])
    }
}

/// How much sense it makes to join two columns; 0 if none. Columns of few values, such as truths, are joined seldom.
fn affinity(l: &Named, r: &Named) -> usize {
    let same = match (l.output.ty, r.output.ty) {
        (Type::Text(a), Type::Text(b)) => {
            let strict = !l.output.loose && !r.output.loose;
            let wins = |bin, other| bin == BIN && [GENERAL, UNICODE].contains(&other);
            let converts = |latin, other| latin == LATIN && [GENERAL, UNICODE, BIN].contains(&other);
            a == b || (strict && (wins(a, b) || wins(b, a) || converts(a, b) || converts(b, a)))
        }
        (Type::Int | Type::Big | Type::Dec, Type::Int | Type::Big | Type::Dec) => true,
        (Type::Date | Type::Moment, Type::Date | Type::Moment) => true,
        (a, b) => a == b && a.is_comparable() && a != Type::Bool,
    };
    let base = l.base && r.base;
    let is = |(a, b): &((&str, &str), (&str, &str))| a.1 == l.column && b.1 == r.column;
    let related = RELATED.iter().any(|(a, b)| is(&(*a, *b)) || is(&(*b, *a)));
    match (same, base && related) {
        (false, _) => 0,
        (true, true) => 40,
        (true, false) => 3,
    }
}

impl Named {
    pub(super) fn expr(&self) -> Expr {
        let node = Node::Column { table: self.table.clone(), column: self.column.clone(), bits: self.bits };
        Expr { node, ty: self.output.ty, loose: self.output.loose }
    }
}
