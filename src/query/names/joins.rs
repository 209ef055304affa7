//! The conditions of joins.

use datafusion::sql::sqlparser::ast::{
    JoinConstraint, JoinOperator, ObjectName, Query, SetExpr, Statement, TableFactor, TableWithJoins,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::columns::{self, Meaning};
use super::fields::{Fields, Kept, condition, pairs_of_natural, pairs_of_using};
use super::scope::{Ctes, Scope};
use super::walk::{Walk, Walked, idents};
use crate::federation::check_waited_for;
use crate::query::{QueryError, QueryErrorKind};

/// Columns that the joins of a statement may merge: each is a condition.
const MAX_MERGED: usize = 1_000;

impl Walk<'_> {
    /// The conditions of the joins of `tables`, nested ones too, once all relations are known. `seen` is how many of those of
    /// `scope` stand before. Gives what columns there are, if `scope` has such.
    pub(super) fn constraints(
        &mut self,
        tables: &mut TableWithJoins,
        ctes: &Ctes,
        scope: &mut Scope<'_>,
        seen: &mut usize,
    ) -> Walked<Fields> {
        let mut fields = self.constraints_within(&mut tables.relation, ctes, scope, seen)?;
        for join in &mut tables.joins {
            let right = self.constraints_within(&mut join.relation, ctes, scope, seen)?;
            fields = self.joined(&mut join.join_operator, (fields, right), ctes, scope)?;
        }
        Ok(fields)
    }

    fn constraints_within(
        &mut self,
        factor: &mut TableFactor,
        ctes: &Ctes,
        scope: &mut Scope<'_>,
        seen: &mut usize,
    ) -> Walked<Fields> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.constraints(table_with_joins, ctes, scope, seen)
            }
            _ => {
                let index = *seen;
                *seen += 1;
                Ok(match scope.fields.is_some() {
                    true => Fields::of_relation(index, &scope.relations[index]),
                    false => Fields::default(),
                })
            }
        }
    }

    /// The condition of one join, of which the columns of both sides are given.
    fn joined(
        &mut self,
        operator: &mut JoinOperator,
        (left, right): (Fields, Fields),
        ctes: &Ctes,
        scope: &mut Scope<'_>,
    ) -> Walked<Fields> {
        check_waited_for()?;
        let (kind, of_left) = (Kind::of(operator), left.len());
        let fields = match constraint(operator) {
            Some(JoinConstraint::On(condition)) => {
                // Names of a condition are looked up in the two sides as they are there.
                let fields = left.and(right);
                match scope.fields.is_some() {
                    true => {
                        scope.fields = Some(fields);
                        self.expressions(condition, ctes, scope, false)?;
                        scope.fields.replace(Fields::default()).unwrap_or_default()
                    }
                    false => {
                        self.expressions(condition, ctes, scope, false)?;
                        fields
                    }
                }
            }
            Some(constraint @ JoinConstraint::Using(_)) => self.using(constraint, kind, left, right, scope)?,
            Some(constraint @ JoinConstraint::Natural) => self.natural(constraint, kind, left, right, scope)?,
            Some(JoinConstraint::None) | None => left.and(right),
        };
        Ok(match kind {
            Kind::OneSide(Kept::Right) => fields.split(of_left).1,
            Kind::OneSide(_) => fields.split(of_left).0,
            Kind::Both(_) | Kind::Unknown => fields,
        })
    }

    fn using(
        &mut self,
        constraint: &mut JoinConstraint,
        kind: Kind,
        left: Fields,
        right: Fields,
        scope: &Scope<'_>,
    ) -> Walked<Fields> {
        let JoinConstraint::Using(names) = &mut *constraint else { return Ok(left.and(right)) };
        self.merge(names.len())?;
        let pairs = match kind {
            Kind::Unknown => None,
            _ => pairs_of_using(names, &left, &right)?,
        };
        if let Some(pairs) = pairs {
            *constraint = JoinConstraint::On(condition(&pairs, &scope.relations));
            return Ok(match kind {
                Kind::Both(kept) => left.join(right, pairs, kept),
                _ => left.and(right),
            });
        }
        if matches!(kind, Kind::Both(Kept::Right | Kept::Either)) {
            let message = "RIGHT and FULL JOIN … USING: the columns of one side are not known";
            return Err(QueryError::new(QueryErrorKind::Unsupported, message)
                .with_hint("Write JOIN … ON a.id = b.id, and name what you want: coalesce(a.id, b.id)"));
        }
        for name in names {
            if let Some([column]) = idents(name).as_deref()
                && let Some(Meaning::Column(found)) = columns::bare(column, scope, false)?
            {
                *name = ObjectName::from(vec![found]);
            }
        }
        Ok(left.and(right).unsettled())
    }

    /// NATURAL by the columns that both sides have, whatever their case: the planner compares names as they are spelled, and
    /// makes a CROSS JOIN of any join without a common one.
    fn natural(
        &mut self,
        constraint: &mut JoinConstraint,
        kind: Kind,
        left: Fields,
        right: Fields,
        scope: &Scope<'_>,
    ) -> Walked<Fields> {
        if !left.are_known() || !right.are_known() {
            let message = "NATURAL JOIN: the columns of one side are not known";
            return Err(QueryError::new(QueryErrorKind::Unsupported, message)
                .with_hint("Name the columns: JOIN … USING (id), or JOIN … ON a.id = b.id"));
        }
        if kind == Kind::Unknown {
            return Ok(left.and(right));
        }
        let pairs = pairs_of_natural(&left, &right)?;
        self.merge(pairs.len())?;
        *constraint = JoinConstraint::On(condition(&pairs, &scope.relations));
        Ok(match kind {
            Kind::Both(kept) => left.join(right, pairs, kept),
            _ => left.and(right),
        })
    }

    /// Counts `columns` that a join merges.
    fn merge(&mut self, columns: usize) -> Walked<()> {
        self.merged += columns;
        if self.merged > MAX_MERGED {
            let message = format!(
                "the statement merges {} columns by USING and NATURAL JOIN; {MAX_MERGED} are the most",
                self.merged
            );
            return Err(
                QueryError::new(QueryErrorKind::Limit, message).with_hint("Write JOIN … ON a.id = b.id")
            );
        }
        Ok(())
    }
}

/// Which columns a join gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Both(Kept),
    OneSide(Kept),
    /// The planner does not know it.
    Unknown,
}

impl Kind {
    fn of(operator: &JoinOperator) -> Self {
        match operator {
            JoinOperator::Join(_)
            | JoinOperator::Inner(_)
            | JoinOperator::CrossJoin(_)
            | JoinOperator::Left(_)
            | JoinOperator::LeftOuter(_) => Self::Both(Kept::Left),
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Self::Both(Kept::Right),
            JoinOperator::FullOuter(_) => Self::Both(Kept::Either),
            JoinOperator::LeftSemi(_) | JoinOperator::LeftAnti(_) => Self::OneSide(Kept::Left),
            JoinOperator::RightSemi(_) | JoinOperator::RightAnti(_) => Self::OneSide(Kept::Right),
            _ => Self::Unknown,
        }
    }
}

/// Whether a join of `tables` merges columns.
pub(super) fn merges(tables: &mut TableWithJoins) -> bool {
    let within = |factor: &mut TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => merges(table_with_joins),
        _ => false,
    };
    within(&mut tables.relation)
        || tables.joins.iter_mut().any(|join| {
            let constraint = constraint(&mut join.join_operator);
            matches!(constraint, Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
                || within(&mut join.relation)
        })
}

/// `(a JOIN b USING (x)) AS j` as a subquery, for `j` has one `x`.
pub(super) fn as_subquery(factor: &mut TableFactor) {
    let TableFactor::NestedJoin { table_with_joins, alias: alias @ Some(_) } = factor else { return };
    if !merges(table_with_joins) {
        return;
    }
    let Some(mut subquery) = all_of_nothing() else { return };
    let SetExpr::Select(select) = &mut *subquery.body else { return };
    select.from = vec![(**table_with_joins).clone()];
    *factor = TableFactor::Derived { lateral: false, subquery, alias: alias.take(), sample: None };
}

fn all_of_nothing() -> Option<Box<Query>> {
    match Parser::parse_sql(&PostgreSqlDialect {}, "SELECT *").ok()?.pop()? {
        Statement::Query(query) => Some(query),
        _ => None,
    }
}

fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}
