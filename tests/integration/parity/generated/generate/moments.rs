//! What is calculated of dates and moments.

use super::super::ast::{Expr, Template, Type};
use super::scalars::both;
use super::{Generator, Scope};

/// Parts of a date or moment.
const PARTS: &[Template] = &[
    both("extract(year FROM {0})", "extract(year FROM {0})"),
    both("extract(month FROM {0})", "extract(month FROM {0})"),
    both("date_part('day', {0})", "extract(day FROM {0})"),
    both("extract(quarter FROM {0})", "extract(quarter FROM {0})"),
    both("extract(week FROM {0})", "WEEK({0}, 3)"),
    both("extract(isoyear FROM {0})", "(YEARWEEK({0}, 3) DIV 100)"),
    both("extract(doy FROM {0})", "(TO_DAYS({0}) - TO_DAYS(DATE_FORMAT({0}, '%Y-01-01')) + 1)"),
    both("extract(dow FROM {0})", "CAST(DATE_FORMAT({0}, '%w') AS SIGNED)"),
    both("extract(isodow FROM {0})", "(WEEKDAY({0}) + 1)"),
    both("extract(hour FROM {0})", "extract(hour FROM CAST({0} AS DATETIME(6)))"),
    both("extract(minute FROM {0})", "extract(minute FROM CAST({0} AS DATETIME(6)))"),
    both("extract(second FROM {0})", "extract(second FROM CAST({0} AS DATETIME(6)))"),
];

/// Beginnings of the unit of time that a moment is in.
const BEGINNINGS: &[Template] = &[
    both("date_trunc('year', {0})", "CAST(DATE_FORMAT({0}, '%Y-01-01 00:00:00') AS DATETIME(6))"),
    both(
        "date_trunc('quarter', {0})",
        "CAST(CONCAT(LPAD(YEAR({0}), 4, '0'), '-', LPAD(QUARTER({0}) * 3 - 2, 2, '0'), '-01') AS DATETIME(6))",
    ),
    both("date_trunc('month', {0})", "CAST(DATE_FORMAT({0}, '%Y-%m-01 00:00:00') AS DATETIME(6))"),
    both("date_trunc('week', {0})", "CAST(TIMESTAMPADD(DAY, -WEEKDAY({0}), DATE({0})) AS DATETIME(6))"),
    both("date_trunc('day', {0})", "CAST(DATE({0}) AS DATETIME(6))"),
    both("date_trunc('hour', {0})", "CAST(DATE_FORMAT({0}, '%Y-%m-%d %H:00:00') AS DATETIME(6))"),
    both("date_trunc('minute', {0})", "CAST(DATE_FORMAT({0}, '%Y-%m-%d %H:%i:00') AS DATETIME(6))"),
    both("date_trunc('second', {0})", "CAST(DATE_FORMAT({0}, '%Y-%m-%d %T') AS DATETIME(6))"),
];

impl Generator {
    /// A part of a column's date or moment.
    pub(super) fn part_of_moment(&mut self, scope: &Scope) -> Option<Expr> {
        let mut of = [Type::Date, Type::Moment, Type::Stamp];
        of.rotate_left(self.rng.below(3));
        let arg = of.into_iter().find_map(|ty| self.column_of(scope, ty, true))?;
        let part = *self.rng.pick(PARTS);
        Some(Expr::call(Type::Int, part, vec![arg]))
    }

    pub(super) fn date(&mut self, scope: &Scope, depth: usize) -> Expr {
        let of = if self.rng.chance(30) { Type::Stamp } else { Type::Moment };
        match self.column_of(scope, of, true) {
            Some(moment) if self.rng.chance(60) => Expr::same(Type::Date, "CAST({0} AS DATE)", vec![moment]),
            _ => self.part(scope, Type::Date, depth),
        }
    }

    pub(super) fn moment(&mut self, scope: &Scope, depth: usize) -> Expr {
        let of = if self.rng.chance(30) { Type::Date } else { Type::Moment };
        let a = self.part(scope, of, depth);
        match self.rng.below(5) {
            0 => {
                let date = self.part(scope, Type::Date, depth);
                Expr::call(Type::Moment, both("CAST({0} AS TIMESTAMP)", "CAST({0} AS DATETIME(6))"), vec![date])
            }
            1..4 => {
                let beginning = *self.rng.pick(BEGINNINGS);
                Expr::call(Type::Moment, beginning, vec![a])
            }
            _ => self.part(scope, Type::Moment, depth),
        }
    }

    pub(super) fn stamp(&mut self, scope: &Scope, depth: usize) -> Expr {
        let a = self.part(scope, Type::Stamp, depth);
        if self.rng.chance(70) && !a.is_literal() {
            let beginning = *self.rng.pick(BEGINNINGS);
            return Expr::call(Type::Stamp, beginning, vec![a]);
        }
        a
    }
}
