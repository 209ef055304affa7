//! What is asked of rows.

use super::super::ast::{Expr, Item, Node, Query, Select, Template, Type};
use super::super::data::{BIN, GENERAL, UNICODE};
use super::{Generator, Scope};

const COMPARISONS: &[&str] =
    &["{0} = {1}", "{0} = {1}", "{0} <> {1}", "{0} < {1}", "{0} <= {1}", "{0} > {1}", "{0} >= {1}"];

impl Generator {
    /// A condition; with some depth, of several parts and with subqueries.
    pub(super) fn predicate(&mut self, scope: &Scope, depth: usize) -> Expr {
        if depth == 0 {
            return self.comparison(scope, 1);
        }
        match self.rng.below(100) {
            0..40 => self.comparison(scope, depth),
            40..58 => {
                let args = vec![self.predicate(scope, depth - 1), self.predicate(scope, depth - 1)];
                Expr::same(Type::Bool, "({0} AND {1})", args)
            }
            58..72 => {
                let args = vec![self.predicate(scope, depth - 1), self.predicate(scope, depth - 1)];
                Expr::same(Type::Bool, "({0} OR {1})", args)
            }
            72..80 => {
                let text = *self.rng.pick(&["(NOT {0})", "({0} IS TRUE)", "({0} IS NOT TRUE)"]);
                let arg = self.predicate(scope, depth - 1);
                Expr::same(Type::Bool, text, vec![Expr::same(Type::Bool, "({0})", vec![arg])])
            }
            _ => self.subquery(scope),
        }
    }

    /// A condition without a subquery.
    pub(super) fn comparison(&mut self, scope: &Scope, depth: usize) -> Expr {
        match self.rng.below(100) {
            0..8 => self.bare(scope),
            8..16 => {
                let text = *self.rng.pick(&["{0} IS NULL", "{0} IS NOT NULL"]);
                Expr::same(Type::Bool, text, vec![self.comparable(scope, depth.min(1))])
            }
            16..30 => self.like(scope, depth).unwrap_or_else(|| self.compared(scope, depth)),
            30..42 => self.listed(scope, depth),
            42..50 => self.between(scope, depth),
            50..56 => self.across_collations(scope).unwrap_or_else(|| self.compared(scope, depth)),
            _ => self.compared(scope, depth),
        }
    }

    /// A number or a truth, as a condition.
    fn bare(&mut self, scope: &Scope) -> Expr {
        let ty = *self.rng.pick(&[Type::Bool, Type::Int]);
        let condition = |expr: Expr| Expr::same(Type::Bool, "({0} IS TRUE)", vec![expr]);
        match self.column_of(scope, ty, true) {
            Some(column) if self.rng.chance(50) => condition(column),
            Some(column) => Expr::same(Type::Bool, "NOT {0}", vec![column]),
            None => self.compared(scope, 0),
        }
    }

    /// A type that values of `ty` are compared with: most often the same.
    fn met_by(&mut self, ty: Type) -> Type {
        if self.rng.chance(80) {
            return ty;
        }
        match ty {
            Type::Int | Type::Big | Type::Dec | Type::Wide => {
                *self.rng.pick(&[Type::Int, Type::Big, Type::Dec, Type::Wide, Type::Double])
            }
            Type::Double => *self.rng.pick(&[Type::Int, Type::Dec]),
            Type::Date => Type::Moment,
            Type::Moment => Type::Date,
            ty => ty,
        }
    }

    fn compared(&mut self, scope: &Scope, depth: usize) -> Expr {
        let left = self.comparable(scope, depth.min(1));
        let ty = self.met_by(left.ty);
        let right = if self.rng.chance(60) { self.literal(ty) } else { self.scalar(scope, ty, depth, false) };
        let right = right.unwrap_or_else(|| left.clone());
        if left.is_literal() && right.is_literal() {
            return Expr::same(Type::Bool, "{0} IS NOT NULL", vec![self.column(scope)]);
        }
        let template = match self.rng.below(12) {
            // Beside an equality of the same columns, MariaDB looks up by an index for both, and finds NULL for NULL.
            0 => Template { ours: "{0} IS NOT DISTINCT FROM {1}", theirs: Some("(({0} <=> {1}) IS TRUE)") },
            1 => Template { ours: "{0} IS DISTINCT FROM {1}", theirs: Some("NOT ({0} <=> {1})") },
            _ => {
                let text = *self.rng.pick(COMPARISONS);
                Template { ours: text, theirs: Some(text) }
            }
        };
        let args = if self.rng.chance(85) { vec![left, right] } else { vec![right, left] };
        Expr::call(Type::Bool, template, args)
    }

    fn listed(&mut self, scope: &Scope, depth: usize) -> Expr {
        let needle = self.comparable(scope, depth.min(1));
        let mut args: Vec<Expr> = Vec::new();
        for _ in 0..=self.rng.below(3) {
            args.extend(self.literal(needle.ty));
        }
        if args.is_empty() || needle.is_literal() {
            return self.compared(scope, 0);
        }
        if self.rng.chance(8) {
            args.push(Expr::literal(needle.ty, "NULL"));
        }
        let list = Expr::same(Type::Shown, "{*}", args);
        let text = if self.rng.chance(65) { "{0} IN ({1})" } else { "{0} NOT IN ({1})" };
        Expr::same(Type::Bool, text, vec![needle, list])
    }

    fn between(&mut self, scope: &Scope, depth: usize) -> Expr {
        let needle = self.comparable(scope, depth.min(1));
        match (self.literal(needle.ty), self.literal(needle.ty)) {
            (Some(low), Some(high)) if !needle.is_literal() => {
                let text =
                    if self.rng.chance(70) { "{0} BETWEEN {1} AND {2}" } else { "{0} NOT BETWEEN {1} AND {2}" };
                Expr::same(Type::Bool, text, vec![needle, low, high])
            }
            _ => self.compared(scope, 0),
        }
    }

    fn like(&mut self, scope: &Scope, depth: usize) -> Option<Expr> {
        let texts: Vec<_> = scope.columns.iter().filter(|c| c.output.ty.is_text() && !c.output.loose).collect();
        if texts.is_empty() {
            return None;
        }
        let ty = self.rng.pick(&texts).output.ty;
        let text = self.scalar(scope, ty, depth.min(1), true)?;
        let like = if self.rng.chance(75) { "{0} LIKE {1} ESCAPE '!'" } else { "{0} NOT LIKE {1} ESCAPE '!'" };
        Some(Expr::same(Type::Bool, like, vec![text, self.pattern()]))
    }

    /// Two texts of different collations, of which one wins, or COLLATE says which.
    fn across_collations(&mut self, scope: &Scope) -> Option<Expr> {
        let general = self.column_of(scope, Type::Text(GENERAL), true)?;
        let text = *self.rng.pick(&["{0} = {1}", "{0} < {1}", "{0} <> {1}"]);
        if let Some(bin) = self.column_of(scope, Type::Text(BIN), true).filter(|_| self.rng.chance(50)) {
            return Some(Expr::same(Type::Bool, text, vec![general, bin]));
        }
        if let Some(unicode) = self.column_of(scope, Type::Text(UNICODE), true).filter(|_| self.rng.chance(50))
        {
            let chosen = Expr::same(Type::Text(BIN), "{0} COLLATE utf8mb4_unicode_ci", vec![general]);
            return Some(Expr::same(Type::Bool, text, vec![chosen, unicode]));
        }
        let chosen = Expr::same(Type::Text(BIN), "{0} COLLATE utf8mb4_bin", vec![general]);
        let literal = self.literal(Type::Text(BIN))?;
        Some(Expr::same(Type::Bool, text, vec![chosen, literal]))
    }

    /// A SELECT over one table, still without items, for a subquery.
    pub(super) fn inner(&mut self, wanted: &[Type]) -> (Select, Scope) {
        let (from, scope) = self.from(0, wanted);
        let select =
            Select { distinct: false, items: Vec::new(), from, filter: None, group: Vec::new(), having: None };
        (select, scope)
    }

    /// An equality between a row outside and one within.
    pub(super) fn link(&mut self, outer: &Scope, inner: &Scope) -> Option<Expr> {
        let mut pairs = Vec::new();
        for o in &outer.columns {
            for i in &inner.columns {
                if o.output.ty == i.output.ty && o.output.ty.is_comparable() && o.output.ty != Type::Bool {
                    pairs.push((o, i));
                }
            }
        }
        if pairs.is_empty() {
            return None;
        }
        let (o, i) = *self.rng.pick(&pairs);
        Some(Expr::same(Type::Bool, "{0} = {1}", vec![i.expr(), o.expr()]))
    }

    /// One equality, or several, which may be of columns of one name.
    fn links(&mut self, outer: &Scope, inner: &Scope) -> Option<Expr> {
        let mut links = self.link(outer, inner)?;
        while self.rng.chance(40) {
            if let Some(more) = self.link(outer, inner) {
                links = Expr::same(Type::Bool, "{0} AND {1}", vec![links, more]);
            }
        }
        Some(links)
    }

    fn subquery(&mut self, scope: &Scope) -> Expr {
        match self.rng.below(10) {
            0..4 => self.exists(scope),
            4..8 => self.within(scope),
            8 => self.against_one(scope),
            _ => self.against_all(scope),
        }
    }

    fn exists(&mut self, scope: &Scope) -> Expr {
        let (mut inner, inner_scope) = self.inner(&[]);
        inner.filter = self.links(scope, &inner_scope);
        if self.rng.chance(40) {
            let more = self.comparison(&inner_scope, 0);
            inner.filter = Some(match inner.filter.take() {
                Some(link) => Expr::same(Type::Bool, "{0} AND {1}", vec![link, more]),
                None => more,
            });
        }
        let template = *self.rng.pick(&["EXISTS ({q})", "NOT EXISTS ({q})"]);
        subquery(template, Vec::new(), inner, vec![Expr::literal(Type::Int, "1")])
    }

    /// IN and NOT IN, of one column or of two.
    fn within(&mut self, scope: &Scope) -> Expr {
        let mut needles = vec![self.comparable(scope, 1)];
        if self.rng.chance(3) {
            needles.push(self.column(scope));
        }
        let types: Vec<Type> = needles.iter().map(|needle| needle.ty).collect();
        if !needles.iter().all(|needle| needle.is_column() || needles.len() == 1) {
            return self.exists(scope);
        }
        let (mut inner, inner_scope) = self.inner(&types);
        let mut items = Vec::new();
        for ty in &types {
            match self.column_of(&inner_scope, *ty, false) {
                Some(column) => items.push(column),
                None => return self.exists(scope),
            }
        }
        if self.rng.chance(50) {
            inner.filter = Some(self.comparison(&inner_scope, 1));
        }
        if self.rng.chance(15)
            && let Some(links) = self.links(scope, &inner_scope)
        {
            inner.filter = Some(links);
        }
        let negated = self.rng.chance(45);
        let template = match (needles.len(), negated) {
            (1, false) => "{0} IN ({q})",
            (1, true) => "{0} NOT IN ({q})",
            (_, false) => "({0}, {1}) IN ({q})",
            (_, true) => "({0}, {1}) NOT IN ({q})",
        };
        subquery(template, needles, inner, items)
    }

    /// A comparison with an aggregate of a subquery.
    fn against_one(&mut self, scope: &Scope) -> Expr {
        let needle = self.column(scope);
        let (mut inner, inner_scope) = self.inner(&[needle.ty]);
        let Some(column) = self.column_of(&inner_scope, needle.ty, false) else { return self.exists(scope) };
        if matches!(needle.ty, Type::Enum | Type::Set | Type::Bool) {
            return self.exists(scope);
        }
        if self.rng.chance(40) {
            inner.filter = self.links(scope, &inner_scope);
        }
        let is_number = matches!(needle.ty, Type::Int | Type::Dec);
        let functions = ["min({0})", "max({0})", "avg({0})"];
        let function = *self.rng.pick(&functions[..if is_number { 3 } else { 2 }]);
        let item = Expr::same(needle.ty, function, vec![column]);
        // The greatest of no dates is an empty set to MariaDB's ALL, of no numbers it is NULL.
        let is_set = matches!(needle.ty, Type::Int | Type::Dec | Type::Text(_)) && self.rng.chance(30);
        let template = match is_set {
            true => *self.rng.pick(&["{0} = ANY ({q})", "{0} <> ALL ({q})"]),
            false => *self.rng.pick(&["{0} = ({q})", "{0} < ({q})", "{0} >= ({q})", "{0} <> ({q})"]),
        };
        subquery(template, vec![needle], inner, vec![item])
    }

    fn against_all(&mut self, scope: &Scope) -> Expr {
        let needle = self.column(scope);
        let (mut inner, inner_scope) = self.inner(&[needle.ty]);
        let Some(column) = self.column_of(&inner_scope, needle.ty, false) else { return self.exists(scope) };
        if matches!(needle.ty, Type::Enum | Type::Set | Type::Bool) {
            return self.exists(scope);
        }
        inner.filter = Some(self.comparison(&inner_scope, 1));
        // MariaDB takes the greatest and the least of unsigned numbers as if they were signed.
        let of_values = ["{0} = ANY ({q})", "{0} <> ALL ({q})"];
        let template = match self.rng.below(2) {
            0 if needle.ty != Type::Big => {
                // Of what may not be NULL, it forgets that the comparison may be, where it keeps its rows for an order.
                let least = ("{0} >= ALL ({q})", "nullif({0}, NULL) >= ALL ({q})");
                let (text, theirs) =
                    *self.rng.pick(&[least, ("{0} < ANY ({q})", "nullif({0}, NULL) < ANY ({q})")]);
                Template { ours: text, theirs: Some(theirs) }
            }
            _ => same(self.rng.pick::<&str>(&of_values)),
        };
        of_subquery(template, vec![needle], inner, vec![column])
    }
}

fn same(text: &'static str) -> Template {
    Template { ours: text, theirs: Some(text) }
}

fn subquery(text: &'static str, args: Vec<Expr>, select: Select, items: Vec<Expr>) -> Expr {
    of_subquery(same(text), args, select, items)
}

fn of_subquery(template: Template, args: Vec<Expr>, mut select: Select, items: Vec<Expr>) -> Expr {
    let named = items.into_iter().enumerate();
    select.items = named.map(|(at, expr)| Item { name: format!("c{}", at + 1), expr }).collect();
    let node = Node::Subquery { template, args, query: Box::new(Query::of(select)) };
    Expr { node, ty: Type::Bool, loose: false }
}
