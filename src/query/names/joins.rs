//! The conditions of joins.

use datafusion::sql::sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, TableFactor, TableWithJoins};

use super::columns;
use super::scope::{Ctes, Relation, Scope, alike};
use super::walk::{Walk, Walked, constraint, idents};
use crate::query::{QueryError, QueryErrorKind};

impl Walk<'_> {
    /// The conditions of the joins of `tables`, nested ones too, once all relations are known. `seen` is how many of those of
    /// `scope` stand before.
    pub(super) fn constraints(
        &mut self,
        tables: &mut TableWithJoins,
        ctes: &Ctes,
        scope: &Scope<'_>,
        seen: &mut usize,
    ) -> Walked<()> {
        let first = *seen;
        self.constraints_within(&mut tables.relation, ctes, scope, seen)?;
        for join in &mut tables.joins {
            let second = *seen;
            self.constraints_within(&mut join.relation, ctes, scope, seen)?;
            let is_inner = matches!(join.join_operator, JoinOperator::Join(_) | JoinOperator::Inner(_));
            match constraint(&mut join.join_operator) {
                Some(JoinConstraint::On(condition)) => self.expressions(condition, ctes, scope, false)?,
                Some(JoinConstraint::Using(names)) => {
                    for name in names {
                        if let Some([column]) = idents(name).as_deref()
                            && let Some(found) = columns::bare(column, scope, false)?
                        {
                            *name = ObjectName::from(vec![found]);
                        }
                    }
                }
                Some(JoinConstraint::Natural) => {
                    let relations = &scope.relations;
                    check_natural(&relations[first..second], &relations[second..*seen], is_inner)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn constraints_within(
        &mut self,
        factor: &mut TableFactor,
        ctes: &Ctes,
        scope: &Scope<'_>,
        seen: &mut usize,
    ) -> Walked<()> {
        match factor {
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.constraints(table_with_joins, ctes, scope, seen)
            }
            _ => {
                *seen += 1;
                Ok(())
            }
        }
    }
}

/// Refuses NATURAL where the planner would join by others than the columns that both sides have: it compares names as they are
/// spelled, and makes a CROSS JOIN of any join without a common one.
fn check_natural(left: &[Relation], right: &[Relation], is_inner: bool) -> Result<(), QueryError> {
    let refused = |why: String| {
        let hint = "Name the columns: JOIN … USING (id), or JOIN … ON a.id = b.id";
        Err(QueryError::new(QueryErrorKind::Unsupported, format!("NATURAL JOIN: {why}")).with_hint(hint))
    };
    if left.iter().chain(right).any(|relation| relation.columns.open) {
        return refused("the columns of one side are not known".to_owned());
    }
    let names = |side: &[Relation]| side.iter().flat_map(|of| of.columns.names.clone()).collect::<Vec<_>>();
    let (left, right) = (names(left), names(right));
    let pairs = || left.iter().flat_map(|name| right.iter().map(move |other| (name, other)));
    if let Some((name, other)) = pairs().find(|(name, other)| name != other && alike(name, other)) {
        return refused(format!("{name} and {other} are spelled differently"));
    }
    match is_inner || pairs().any(|(name, other)| name == other) {
        true => Ok(()),
        false => refused("the sides have no column in common".to_owned()),
    }
}
