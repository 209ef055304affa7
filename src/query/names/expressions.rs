//! The names in expressions.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Ident, Query, VisitMut, VisitorMut};

use super::columns::{self, Meaning};
use super::fields::columns_of;
use super::scope::{Ctes, Scope};
use super::walk::{Walk, Walked};
use crate::federation::check_waited_for;
use crate::query::{QueryError, QueryErrorKind};

/// Columns that names of merged ones may stand for: each name of what many FULL JOINs merge is as many.
const MAX_SPELLED: usize = 100_000;

impl Walk<'_> {
    /// Resolves the columns of all expressions in `node`, and the queries in them.
    pub(super) fn expressions(
        &mut self,
        node: &mut impl VisitMut,
        ctes: &Ctes,
        scope: &Scope<'_>,
        by_alias: bool,
    ) -> Walked<()> {
        let mut visit =
            Expressions { walk: self, ctes, scope, by_alias, depth: 0, struct_fields: HashSet::new() };
        match VisitMut::visit(node, &mut visit) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// Counts `columns` that are named in the place of a merged one.
    fn spell(&mut self, columns: usize) -> Walked<()> {
        self.spelled += columns;
        if self.spelled > MAX_SPELLED {
            let message = format!(
                "the statement's names of merged columns stand for more than {MAX_SPELLED} columns, the most"
            );
            return Err(QueryError::new(QueryErrorKind::Limit, message)
                .with_hint("Name them once, in a subquery of FROM"));
        }
        Ok(())
    }
}

struct Expressions<'v, 'a, 's> {
    walk: &'v mut Walk<'a>,
    ctes: &'s Ctes,
    scope: &'s Scope<'s>,
    by_alias: bool,
    /// Queries around the node that is visited: what is in them was resolved when they were entered.
    depth: usize,
    /// Names of fields, which look like columns: `(x).field`. By address; nothing moves during a visit.
    struct_fields: HashSet<*const Expr>,
}

impl Expressions<'_, '_, '_> {
    fn resolve(&mut self, expr: &mut Expr) -> Walked<()> {
        match expr {
            Expr::CompoundIdentifier(parts) => {
                if let Some(found) = columns::qualified(parts, self.scope)? {
                    self.walk.misleading.extend(columns::taken_for_a_column(parts, self.scope)?);
                    *parts = found;
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                names_into_root(root, access_chain);
                for access in access_chain {
                    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
                        self.struct_fields.insert(std::ptr::from_ref(field).cast());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A name alone. What it stands for is not looked at again.
    fn resolve_bare(&mut self, expr: &mut Expr) -> Walked<()> {
        let Expr::Identifier(ident) = &mut *expr else { return Ok(()) };
        if self.struct_fields.contains(&std::ptr::from_ref(ident).cast()) {
            return Ok(());
        }
        check_waited_for()?;
        match columns::bare(ident, self.scope, self.by_alias)? {
            Some(Meaning::Column(found)) => *ident = found,
            Some(Meaning::Value { value, misleading, .. }) => {
                self.walk.misleading.extend(misleading);
                self.walk.spell(columns_of(&value))?;
                *expr = *value;
            }
            None => {}
        }
        Ok(())
    }
}

/// In `t.a[1]`, the names before the subscript are those of a column. They become the access's root, which is visited next.
fn names_into_root(root: &mut Expr, access_chain: &mut Vec<AccessExpr>) {
    let Expr::Identifier(first) = &*root else { return };
    let names = access_chain.iter().map_while(|access| match access {
        AccessExpr::Dot(Expr::Identifier(name)) => Some(name.clone()),
        _ => None,
    });
    let parts: Vec<Ident> = std::iter::once(first.clone()).chain(names).collect();
    if parts.len() > 1 {
        access_chain.drain(..parts.len() - 1);
        *root = Expr::CompoundIdentifier(parts);
    }
}

fn broken(result: Walked<()>) -> ControlFlow<QueryError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Expressions<'_, '_, '_> {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        if self.depth == 0 {
            broken(self.walk.query(query, self.ctes, Some(self.scope), None).map(drop))?;
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<QueryError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if self.depth > 0 { ControlFlow::Continue(()) } else { broken(self.resolve(expr)) }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        if self.depth > 0 { ControlFlow::Continue(()) } else { broken(self.resolve_bare(expr)) }
    }
}
