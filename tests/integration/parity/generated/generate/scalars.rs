//! What is calculated.

use super::super::ast::{Expr, Query, Template, Type};
use super::super::data::LATIN;
use super::{Generator, Scope};

pub(super) const fn both(ours: &'static str, theirs: &'static str) -> Template {
    Template { ours, theirs: Some(theirs) }
}

const fn only(ours: &'static str) -> Template {
    Template { ours, theirs: None }
}

impl Generator {
    /// Any column that can be compared.
    pub(super) fn column(&mut self, scope: &Scope) -> Expr {
        let fit: Vec<_> = scope.columns.iter().filter(|column| column.output.ty.is_comparable()).collect();
        match fit.as_slice() {
            [] => Expr::literal(Type::Int, "1 + 0"),
            fit => self.rng.pick(fit).expr(),
        }
    }

    /// Anything that can be compared.
    pub(super) fn comparable(&mut self, scope: &Scope, depth: usize) -> Expr {
        let column = self.column(scope);
        if depth == 0 || self.rng.chance(50) {
            return column;
        }
        let ty = column.ty;
        self.scalar(scope, ty, depth, false).unwrap_or(column)
    }

    /// Something of a type: a column, or a constant.
    pub(super) fn some(&mut self, scope: &Scope, ty: Type) -> Expr {
        let depth = usize::from(self.rng.chance(25));
        self.scalar(scope, ty, depth, false).unwrap_or_else(|| Expr::literal(ty, "NULL"))
    }

    /// A column of a type; a `strict` one is no text that stands for others.
    pub(super) fn column_of(&mut self, scope: &Scope, ty: Type, strict: bool) -> Option<Expr> {
        let fits = |output: &super::Output| output.ty == ty && !(strict && output.loose);
        let fit: Vec<_> = scope.columns.iter().filter(|column| fits(&column.output)).collect();
        if fit.is_empty() { None } else { Some(self.rng.pick(&fit).expr()) }
    }

    /// An expression of a type; none where a text of a collation is wanted that no column has.
    pub(super) fn scalar(&mut self, scope: &Scope, ty: Type, depth: usize, strict: bool) -> Option<Expr> {
        let column = self.column_of(scope, ty, strict);
        if ty.is_text() && column.is_none() {
            return None;
        }
        if depth == 0 || self.rng.chance(35) {
            return column.or_else(|| self.literal(ty));
        }
        let choice = self.rng.below(100);
        if choice < 25 {
            return self.choice(scope, ty, depth, strict);
        }
        let made = match ty {
            Type::Int => Some(self.integer(scope, depth)),
            Type::Dec => Some(self.decimal(scope, depth)),
            Type::Double => Some(self.double(scope, depth)),
            Type::Text(_) => self.text(scope, ty, depth),
            Type::Bool => Some(Expr::same(Type::Bool, "({0})", vec![self.comparison(scope, depth - 1)])),
            Type::Date => Some(self.date(scope, depth)),
            Type::Moment => Some(self.moment(scope, depth)),
            Type::Stamp => Some(self.stamp(scope, depth)),
            _ => None,
        };
        made.or(column).or_else(|| self.literal(ty))
    }

    /// CASE, COALESCE and their like, over a type.
    fn choice(&mut self, scope: &Scope, ty: Type, depth: usize, strict: bool) -> Option<Expr> {
        let first = self.scalar(scope, ty, depth - 1, strict)?;
        // MariaDB takes an ENUM among others for a text, a TIME for what is beside it.
        if matches!(
            ty,
            Type::Enum | Type::Set | Type::Time | Type::Uuid | Type::Inet6 | Type::Bytes | Type::Year
        ) {
            return Some(first);
        }
        let second =
            if self.rng.chance(50) { self.literal(ty)? } else { self.scalar(scope, ty, depth - 1, strict)? };
        let way = self.rng.below(4);
        // Numbers of several types make one.
        let first = match ty {
            Type::Dec | Type::Double if way != 2 && self.rng.chance(40) => {
                let of = if ty == Type::Double && self.rng.chance(50) { Type::Dec } else { Type::Int };
                self.scalar(scope, of, depth - 1, strict)?
            }
            _ => first,
        };
        // WHERE ts = TIMESTAMP '…' AND ts = nullif(ts, …) has no rows there.
        let chosen = |text, args| {
            let template = if ty == Type::Stamp { only(text) } else { both(text, text) };
            Expr::call(ty, template, args)
        };
        Some(match way {
            0 => chosen("coalesce({0}, {1})", vec![first, second]),
            1 => {
                let condition = self.comparison(scope, depth - 1);
                let mut args = vec![condition, first, second];
                let text = if self.rng.chance(70) {
                    "CASE WHEN {0} THEN {1} ELSE {2} END"
                } else {
                    args.push(self.comparison(scope, 0));
                    "CASE WHEN {0} THEN {1} WHEN {3} THEN {2} END"
                };
                chosen(text, args)
            }
            2 => chosen("nullif({0}, {1})", vec![first, second]),
            _ => {
                let subject = self.column(scope);
                let Some(value) = self.literal(subject.ty) else { return Some(first) };
                chosen("CASE {0} WHEN {1} THEN {2} ELSE {3} END", vec![subject, value, first, second])
            }
        })
    }

    pub(super) fn part(&mut self, scope: &Scope, ty: Type, depth: usize) -> Expr {
        let part = self.scalar(scope, ty, depth - 1, true);
        part.or_else(|| self.literal(ty)).unwrap_or_else(|| Expr::literal(ty, "NULL"))
    }

    fn integer(&mut self, scope: &Scope, depth: usize) -> Expr {
        let text = self.rng.below(12);
        if text < 3 {
            let texts: Vec<_> =
                scope.columns.iter().filter(|c| c.output.ty.is_text() && !c.output.loose).collect();
            if !texts.is_empty() {
                let arg = self.rng.pick(&texts).expr();
                // Bytes are those of UTF-8 here.
                let bytes = if arg.ty == Type::Text(LATIN) { "char_length({0})" } else { "octet_length({0})" };
                let template = *self.rng.pick(&[
                    both("char_length({0})", "char_length({0})"),
                    both("length({0})", "char_length({0})"),
                    both(bytes, bytes),
                    only("strpos({0}, 'a')"),
                ]);
                return Expr::call(Type::Int, template, vec![arg]);
            }
        }
        if text < 5
            && let Some(part) = self.part_of_moment(scope)
        {
            return part;
        }
        let a = self.part(scope, Type::Int, depth);
        match self.rng.below(10) {
            0 | 1 => Expr::same(Type::Int, "({0} + {1})", vec![a, self.part(scope, Type::Int, depth)]),
            2 => Expr::same(Type::Int, "({0} - {1})", vec![a, self.part(scope, Type::Int, depth)]),
            3 => {
                let b = self.rng.pick(&["2", "3", "-1", "10"]);
                Expr::same(Type::Int, "({0} * {1})", vec![a, Expr::literal(Type::Int, *b)])
            }
            4 => Expr::same(Type::Int, "({0} % {1})", vec![a, self.part(scope, Type::Int, depth)]),
            5 => {
                let b = self.part(scope, Type::Int, depth);
                Expr::call(Type::Int, both("({0} / {1})", "({0} DIV {1})"), vec![a, b])
            }
            6 => Expr::same(Type::Int, "abs({0})", vec![a]),
            7 => Expr::same(Type::Int, "(- {0})", vec![a]),
            // Ours is a DOUBLE, which shows as -1.0.
            8 => Expr::call(Type::Int, both("CAST(sign({0}) AS BIGINT)", "sign({0})"), vec![a]),
            _ => self.counted(scope),
        }
    }

    /// A subquery that counts what belongs to a row, or is NULL where that is little.
    fn counted(&mut self, scope: &Scope) -> Expr {
        let (mut inner, inner_scope) = self.inner(&[]);
        if let Some(link) = self.link(scope, &inner_scope) {
            inner.filter = Some(link);
        }
        let count = Expr::same(Type::Int, "count(*)", Vec::new());
        if self.rng.chance(20) {
            inner.having = Some(Expr::same(Type::Bool, "{0} > 1", vec![count.clone()]));
        }
        inner.items = vec![super::super::ast::Item { name: "c1".to_owned(), expr: count }];
        let value = *self.rng.pick(&["({q})", "({q})", "coalesce(({q}), -1)"]);
        let node = super::super::ast::Node::Subquery {
            template: both(value, value),
            args: Vec::new(),
            query: Box::new(Query::of(inner)),
        };
        Expr { node, ty: Type::Int, loose: false }
    }

    fn decimal(&mut self, scope: &Scope, depth: usize) -> Expr {
        let a = self.part(scope, Type::Dec, depth);
        let other = if self.rng.chance(60) { Type::Dec } else { Type::Int };
        let b = self.part(scope, other, depth);
        match self.rng.below(8) {
            0 | 1 => Expr::same(Type::Dec, "({0} + {1})", vec![a, b]),
            2 => Expr::same(Type::Dec, "({0} - {1})", vec![a, b]),
            3 => Expr::same(Type::Dec, "({0} * {1})", vec![a, b]),
            4 => Expr::same(Type::Dec, "round({0}, 1)", vec![a]),
            5 => Expr::same(Type::Dec, if self.rng.chance(50) { "abs({0})" } else { "(-{0})" }, vec![a]),
            6 => Expr::same(Type::Dec, "CAST({0} AS DECIMAL(20, 3))", vec![b]),
            _ => Expr::same(Type::Dec, "floor({0})", vec![a]),
        }
    }

    fn double(&mut self, scope: &Scope, depth: usize) -> Expr {
        let a = self.part(scope, Type::Double, depth);
        let b = self.part(scope, Type::Double, depth);
        match self.rng.below(5) {
            0 => Expr::same(Type::Double, "({0} + {1})", vec![a, b]),
            1 => Expr::same(Type::Double, "({0} - {1})", vec![a, b]),
            2 => Expr::same(Type::Double, "({0} * {1})", vec![a, b]),
            3 => Expr::same(Type::Double, "abs({0})", vec![a]),
            _ => Expr::same(Type::Double, "CAST({0} AS DOUBLE)", vec![self.part(scope, Type::Int, depth)]),
        }
    }

    fn text(&mut self, scope: &Scope, ty: Type, depth: usize) -> Option<Expr> {
        let a = self.scalar(scope, ty, depth - 1, true)?;
        Some(match self.rng.below(10) {
            0 | 1 => {
                let b = self.scalar(scope, ty, depth - 1, true)?;
                Expr::call(ty, both("({0} || {1})", "concat({0}, {1})"), vec![a, b])
            }
            2 => {
                let b = self.literal(ty)?;
                Expr::call(ty, both("({0} || {1})", "concat({0}, {1})"), vec![a, b])
            }
            3 | 4 => Expr::same(ty, "lower({0})", vec![a]),
            5 => Expr::call(ty, only("upper({0})"), vec![a]),
            6 => {
                let text = *self.rng.pick(&["substr({0}, 1, 2)", "substring({0}, 2)", "substring({0}, 2, 1)"]);
                Expr::same(ty, text, vec![a])
            }
            7 => {
                let text = *self.rng.pick(&["left({0}, 1)", "right({0}, 2)", "left({0}, 0)"]);
                Expr::same(ty, text, vec![a])
            }
            8 => Expr::same(ty, "trim({0})", vec![a]),
            _ => Expr::same(ty, "replace({0}, 'a', 'x')", vec![a]),
        })
    }

    /// What can only be shown: quotients, and values as text.
    pub(super) fn shown(&mut self, scope: &Scope) -> Expr {
        let as_text = both("CAST({0} AS VARCHAR)", "CAST({0} AS CHAR)");
        match self.rng.below(6) {
            0 => {
                let args = vec![self.some(scope, Type::Dec), self.some(scope, Type::Int)];
                // In MariaDB -7 % 7 is a negative zero, which equals no other.
                let text = *self.rng.pick(&[
                    "{0} / {1}",
                    "{0} / {1}",
                    "{0} % {1}",
                    "{0} / {1} * 100",
                    "({0} / {1} + {0}) * 3",
                    "-({0} / {1}) * {0}",
                    "{0} / 7 / {1}",
                    "round({0} / {1} * 100, 1)",
                    "CAST({0} / {1} * 3 AS DECIMAL(20, 2))",
                    "CASE WHEN {1} = 0 THEN 0 ELSE {0} / {1} END * 100",
                    "coalesce({0} / nullif({1}, 0), 0) * 3",
                ]);
                Expr::same(Type::Quotient, text, args)
            }
            1 => Expr::call(Type::Shown, as_text, vec![self.some(scope, Type::Int)]),
            2 => match self.column_of(scope, Type::Date, true) {
                Some(date) => Expr::call(Type::Shown, as_text, vec![date]),
                None => Expr::call(Type::Shown, as_text, vec![self.some(scope, Type::Int)]),
            },
            3 => match self.column_of(scope, Type::Dec, true) {
                Some(decimal) => Expr::call(Type::Shown, as_text, vec![decimal]),
                None => Expr::call(Type::Shown, as_text, vec![self.some(scope, Type::Int)]),
            },
            4 => {
                let ty = *self.rng.pick(&[Type::Moment, Type::Stamp, Type::Time, Type::Double]);
                match self.column_of(scope, ty, true) {
                    Some(shown) => Expr::call(Type::Shown, as_text, vec![shown]),
                    None => Expr::call(Type::Shown, as_text, vec![self.some(scope, Type::Int)]),
                }
            }
            _ => {
                let args = vec![self.some(scope, Type::Double), self.some(scope, Type::Double)];
                Expr::same(Type::Inexact, "{0} / {1}", args)
            }
        }
    }
}
