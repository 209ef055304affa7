//! The forms of a SELECT: plain, DISTINCT, grouped, with windows.

use super::super::ast::{Expr, Item, Node, Select, Template, Type};
use super::scalars::both;
use super::{Generator, Scope};

impl Generator {
    pub(super) fn select(&mut self, depth: usize, wanted: Option<&[Type]>) -> Select {
        let (from, scope) = self.from(depth, wanted.unwrap_or_default());
        let filter = self.rng.chance(62).then(|| self.predicate(&scope, depth));
        let mut select =
            Select { distinct: false, items: Vec::new(), from, filter, group: Vec::new(), having: None };
        let items = match wanted {
            Some(types) => {
                select.distinct = self.rng.chance(10);
                types.iter().map(|ty| self.of_type(&scope, *ty)).collect()
            }
            None => match self.rng.weighted(&[(42, 0), (34, 1), (14, 2), (10, 3)]) {
                0 => self.plain(&scope, depth),
                1 => self.grouped(&scope, &mut select),
                2 => self.windowed(&scope),
                _ => {
                    select.distinct = true;
                    (0..=self.rng.below(2)).map(|_| self.comparable(&scope, 1)).collect()
                }
            },
        };
        select.items = named(items);
        select
    }

    fn plain(&mut self, scope: &Scope, depth: usize) -> Vec<Expr> {
        let count = 1 + self.rng.below(4);
        let item = |this: &mut Self| match this.rng.below(10) {
            0..5 => this.rng.pick(&scope.columns).clone().expr(),
            5..8 => this.comparable(scope, 2),
            8 => match this.column_of(scope, Type::Quotient, true) {
                Some(ratio) if this.rng.chance(80) => this.of_ratio(ratio),
                _ => this.shown(scope),
            },
            _ => this.predicate(scope, depth.min(1)),
        };
        (0..count).map(|_| item(self)).collect()
    }

    /// What is calculated of a column of quotients.
    fn of_ratio(&mut self, ratio: Expr) -> Expr {
        let text = *self.rng.pick(&[
            "{0} * 3",
            "100 * {0}",
            "{0} / 7",
            "round({0} * 1000, 1)",
            "-{0} * 3 + 1",
            "abs({0}) * 3",
        ]);
        Expr::same(Type::Quotient, text, vec![ratio])
    }

    /// What is calculated of an aggregate of quotients, of all rows.
    fn of_ratios(&mut self, scope: &Scope) -> Expr {
        let ratio = match self.column_of(scope, Type::Quotient, true) {
            Some(ratio) => ratio,
            None => {
                let args = vec![self.some(scope, Type::Dec), self.some(scope, Type::Int)];
                Expr::same(Type::Quotient, "{0} / {1}", args)
            }
        };
        let text =
            *self.rng.pick(&["sum({0})", "sum({0}) * 3", "avg({0}) * 3", "max({0}) * 3", "min({0} * 3)"]);
        Expr::same(Type::Quotient, text, vec![ratio])
    }

    /// An item of a type: a column if the scope has one.
    fn of_type(&mut self, scope: &Scope, ty: Type) -> Expr {
        let depth = usize::from(self.rng.chance(25));
        match self.scalar(scope, ty, depth, false) {
            Some(expr) => expr,
            None => Expr::literal(ty, "NULL"),
        }
    }

    fn grouped(&mut self, scope: &Scope, select: &mut Select) -> Vec<Expr> {
        let groups = self.rng.weighted(&[(25, 0), (50, 1), (25, 2)]);
        for _ in 0..groups {
            let depth = usize::from(self.rng.chance(25));
            let mut expr = self.comparable(scope, depth);
            if !mentions_column(&expr) {
                expr = self.column(scope);
            }
            expr.loose |= expr.ty.is_text();
            select.group.push(expr);
        }
        let mut items: Vec<Expr> = select.group.iter().filter(|_| self.rng.chance(75)).cloned().collect();
        for _ in 0..=self.rng.below(2) {
            items.push(self.aggregate(scope));
        }
        if self.rng.chance(15) {
            items.push(self.over_aggregate(scope));
        }
        if groups == 0 && self.rng.chance(30) {
            items.push(self.of_ratios(scope));
        }
        if groups > 0 && self.rng.chance(35) {
            select.having = Some(self.having(scope));
        }
        items
    }

    fn having(&mut self, scope: &Scope) -> Expr {
        if self.rng.chance(15) {
            let text = *self.rng.pick(&["avg({0}) > 1.33333", "avg({0}) * 3 <= 7", "sum({0}) / 3.0 > 0.3333"]);
            return Expr::same(Type::Bool, text, vec![self.some(scope, Type::Dec)]);
        }
        let aggregate = loop {
            let aggregate = self.aggregate(scope);
            if aggregate.ty.is_comparable() {
                break aggregate;
            }
        };
        let operator = self.rng.pick(&["{0} > {1}", "{0} <= {1}", "{0} <> {1}", "{0} = {1}"]);
        match self.literal(aggregate.ty) {
            Some(literal) => Expr::same(Type::Bool, operator, vec![aggregate, literal]),
            None => Expr::same(Type::Bool, "{0} IS NOT NULL", vec![aggregate]),
        }
    }

    fn over_aggregate(&mut self, scope: &Scope) -> Expr {
        let count = Expr::same(Type::Int, "count(*)", Vec::new());
        match self.rng.below(6) {
            4 => {
                let ty = *self.rng.pick(&[Type::Int, Type::Dec]);
                let text = *self.rng.pick(&["avg({0}) * 3", "100 * avg({0})", "round(avg({0}) / 7 * 100, 1)"]);
                Expr::same(Type::Quotient, text, vec![self.some(scope, ty)])
            }
            5 => {
                let text = *self.rng.pick(&["sum({0}) / sum({1}) * 100", "sum({0}) / count({1}) * 3"]);
                let args = vec![self.some(scope, Type::Dec), self.some(scope, Type::Dec)];
                Expr::same(Type::Quotient, text, args)
            }
            0 => Expr::same(Type::Int, "{0} + 1", vec![count]),
            1 => {
                let arg = self.some(scope, Type::Int);
                let sum = Expr::same(Type::Big, "sum({0})", vec![arg]);
                Expr::same(Type::Big, "coalesce({0}, 0)", vec![sum])
            }
            2 => Expr::same(Type::Int, "CASE WHEN {0} > 2 THEN 1 ELSE 0 END", vec![count]),
            _ => {
                let (a, b) = (self.some(scope, Type::Int), self.some(scope, Type::Int));
                let max = Expr::same(Type::Int, "max({0})", vec![a]);
                let min = Expr::same(Type::Int, "min({0})", vec![b]);
                Expr::same(Type::Int, "{0} - {1}", vec![max, min])
            }
        }
    }

    pub(super) fn aggregate(&mut self, scope: &Scope) -> Expr {
        let of = |ty, ours, theirs, args| Expr::call(ty, Template { ours, theirs: Some(theirs) }, args);
        match self.rng.below(20) {
            0..4 => Expr::same(Type::Int, "count(*)", Vec::new()),
            4 => Expr::same(Type::Int, "count({0})", vec![self.comparable(scope, 1)]),
            5 | 6 => Expr::same(Type::Int, "count(DISTINCT {0})", vec![self.comparable(scope, 0)]),
            7..9 => {
                let (ty, sum) = *self.rng.pick(&[
                    // A BIGINT here, and a DECIMAL there: its quotients differ.
                    (Type::Int, Type::Big),
                    (Type::Int, Type::Big),
                    (Type::Dec, Type::Dec),
                    (Type::Big, Type::Wide),
                    (Type::Double, Type::Inexact),
                ]);
                Expr::same(sum, "sum({0})", vec![self.some(scope, ty)])
            }
            9 => Expr::same(Type::Big, "sum(DISTINCT {0})", vec![self.some(scope, Type::Int)]),
            10 => {
                let ty = *self.rng.pick(&[Type::Int, Type::Dec]);
                Expr::same(Type::Quotient, "avg({0})", vec![self.some(scope, ty)])
            }
            11..15 => {
                let function = *self.rng.pick(&["min({0})", "max({0})"]);
                let arg = self.comparable(scope, 1);
                let ty = if matches!(arg.ty, Type::Enum | Type::Set) { Type::Shown } else { arg.ty };
                let mut expr = Expr::same(ty, function, vec![arg]);
                expr.loose |= ty.is_text();
                expr
            }
            15 => {
                let condition = self.comparison(scope, 1);
                of(Type::Int, "count(*) FILTER (WHERE {0})", "count(CASE WHEN {0} THEN 1 END)", vec![condition])
            }
            16 => {
                let args = vec![self.some(scope, Type::Int), self.comparison(scope, 1)];
                of(Type::Big, "sum({0}) FILTER (WHERE {1})", "sum(CASE WHEN {1} THEN {0} END)", args)
            }
            17 => {
                let (ours, theirs) =
                    *self.rng.pick(&[("bool_and({0})", "min({0})"), ("bool_or({0})", "max({0})")]);
                of(Type::Bool, ours, theirs, vec![self.comparison(scope, 1)])
            }
            18 => {
                let (ours, theirs) = *self.rng.pick(&[
                    ("stddev({0})", "stddev_samp({0} + 0e0)"),
                    ("stddev_pop({0})", "stddev_pop({0} + 0e0)"),
                    ("var_pop({0})", "var_pop({0} + 0e0)"),
                    ("var_samp({0})", "var_samp({0} + 0e0)"),
                ]);
                of(Type::Inexact, ours, theirs, vec![self.some(scope, Type::Int)])
            }
            _ if self.column_of(scope, Type::Int, true).is_none() => {
                Expr::same(Type::Int, "count(*)", Vec::new())
            }
            _ => of(
                Type::Shown,
                "string_agg(CAST({0} AS VARCHAR), ',' ORDER BY {0})",
                "group_concat({0} ORDER BY {0} SEPARATOR ',')",
                self.column_of(scope, Type::Int, true).into_iter().collect(),
            ),
        }
    }

    fn windowed(&mut self, scope: &Scope) -> Vec<Expr> {
        let mut items = vec![self.column(scope)];
        if let Some(key) = &scope.key {
            items.extend(key.iter().map(|at| scope.columns[*at].expr()));
        }
        for _ in 0..=self.rng.below(2) {
            items.push(self.window(scope));
        }
        items
    }

    fn window(&mut self, scope: &Scope) -> Expr {
        let partition: Vec<Expr> =
            if self.rng.chance(65) { vec![self.comparable(scope, 0)] } else { Vec::new() };
        let mut order = Vec::new();
        if self.rng.chance(70) {
            order.push((self.column(scope), self.rng.chance(35)));
        }
        let by_key = scope.key.as_ref().filter(|_| self.rng.chance(60));
        let by_row = by_key.is_some();
        for at in by_key.into_iter().flatten() {
            order.push((scope.columns[*at].expr(), self.rng.chance(20)));
        }
        let (call, takes_frame) = self.window_call(scope, by_row, !order.is_empty());
        let frame = if takes_frame && by_row && self.rng.chance(50) {
            *self.rng.pick(&[
                " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
                " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                " ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            ])
        } else {
            ""
        };
        let (ty, loose) = (call.ty, call.loose);
        Expr { node: Node::Window { call: Box::new(call), partition, order, frame }, ty, loose }
    }

    /// A function over a window, and whether it has a frame. Those that number rows need an order by a key.
    fn window_call(&mut self, scope: &Scope, by_row: bool, ordered: bool) -> (Expr, bool) {
        let choice = match (by_row, ordered) {
            (true, _) => self.rng.below(12),
            (false, true) => self.rng.below(8),
            (false, false) => self.rng.below(6),
        };
        let of_column = |this: &mut Self, text: &'static str| {
            let column = this.column(scope);
            Expr::same(column.ty, text, vec![column])
        };
        match choice {
            0 | 1 => (Expr::same(Type::Int, "count(*)", Vec::new()), true),
            2 => (Expr::same(Type::Big, "sum({0})", vec![self.some(scope, Type::Int)]), true),
            3 => (Expr::same(Type::Dec, "sum({0})", vec![self.some(scope, Type::Dec)]), true),
            4 => {
                let text = *self.rng.pick(&["min({0})", "max({0})"]);
                let mut call = of_column(self, text);
                if matches!(call.ty, Type::Enum | Type::Set) {
                    call.ty = Type::Shown;
                }
                call.loose |= call.ty.is_text();
                (call, true)
            }
            5 => {
                // MariaDB has no room for the average of an integer that is a literal: of 10 it is 9.9999.
                let avg = both("avg({0})", "avg(CAST({0} AS DECIMAL(20, 0)))");
                (Expr::call(Type::Quotient, avg, vec![self.some(scope, Type::Int)]), true)
            }
            6 => (Expr::same(Type::Int, "rank()", Vec::new()), false),
            7 => (Expr::same(Type::Int, "dense_rank()", Vec::new()), false),
            8 => (Expr::same(Type::Int, "row_number()", Vec::new()), false),
            9 => (of_column(self, "lag({0}, 1)"), false),
            10 => (of_column(self, "lead({0}, 2)"), false),
            _ => (of_column(self, "first_value({0})"), true),
        }
    }
}

pub(super) fn named(items: Vec<Expr>) -> Vec<Item> {
    items.into_iter().enumerate().map(|(at, expr)| Item { name: format!("c{}", at + 1), expr }).collect()
}

fn mentions_column(expr: &Expr) -> bool {
    match &expr.node {
        Node::Column { .. } => true,
        Node::Literal(_) => false,
        Node::Call { args, .. } => args.iter().any(mentions_column),
        Node::Subquery { .. } | Node::Window { .. } => false,
    }
}
