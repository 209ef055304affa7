//! The conditions of joins.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    GroupByExpr, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectFlavor, SelectItem, SetExpr,
    TableFactor, TableWithJoins, WildcardAdditionalOptions,
};

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
    /// `scope` stand before. Gives what columns there are.
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
                Ok(Fields::of_relation(index, &scope.relations[index]))
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
                scope.fields = left.and(right);
                self.expressions(condition, ctes, scope, false)?;
                std::mem::take(&mut scope.fields)
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
        scope: &mut Scope<'_>,
    ) -> Walked<Fields> {
        let JoinConstraint::Using(names) = &mut *constraint else { return Ok(left.and(right)) };
        if kind == Kind::Unknown {
            return Ok(left.and(right));
        }
        self.merge(names.len())?;
        if let Some(pairs) = pairs_of_using(names, &left, &right)? {
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
        scope.fields = left.and(right);
        for name in names {
            if let Some([column]) = idents(name).as_deref()
                && let Some(Meaning::Column(found)) = columns::bare(column, scope, false)?
            {
                *name = ObjectName::from(vec![found]);
            }
        }
        Ok(std::mem::take(&mut scope.fields).unsettled())
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
    let from = (**table_with_joins).clone();
    *factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(select_all(from)),
        alias: alias.take(),
        sample: None,
    };
}

/// `SELECT * FROM from`.
fn select_all(from: TableWithJoins) -> Query {
    let select = Select {
        select_token: AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())],
        exclude: None,
        into: None,
        from: vec![from],
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
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
