//! Columns of an answer that have one name: `SELECT id, id`, `SELECT u.*, u.id`, `SELECT 1, 1`.
//!
//! SQL allows them in the outermost list, and clients take columns by their place. DataFusion knows a column by its
//! name, so each further one is planned under a name of its own ([`alias`]) and gets its name back on top of the
//! finished plan ([`restore`]), told apart by a qualifier, which an answer does not show.

use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{Expr as Ast, Ident, SelectItem, SetExpr, Statement};

/// Stands between a name and the number that makes it unique; no client writes it.
const MARK: char = '\u{1}';

/// Gives the further ones of equal columns in `statement`'s outermost lists names of their own; whether there were
/// any.
pub(super) fn alias(statement: &mut Statement) -> bool {
    match statement {
        Statement::Query(query) => alias_body(&mut query.body),
        _ => false,
    }
}

fn alias_body(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => alias_items(&mut select.projection),
        SetExpr::Query(query) => alias_body(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            let left = alias_body(left);
            alias_body(right) || left
        }
        _ => false,
    }
}

fn alias_items(items: &mut [SelectItem]) -> bool {
    let wildcard =
        items.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
    let mut seen = Vec::new();
    let mut found = false;
    for (place, item) in items.iter_mut().enumerate() {
        let (expr, name, named) = match &*item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name(expr), false),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.value.clone(), true),
            _ => continue,
        };
        // What a wildcard stands for is not known here. An alias is left, where it can be: ORDER BY may name it.
        if seen.contains(&name.to_lowercase()) || (wildcard && !named) {
            let alias = Ident::with_quote('"', format!("{name}{MARK}{place}"));
            *item = SelectItem::ExprWithAlias { expr, alias };
            found = true;
        }
        seen.push(name.to_lowercase());
    }
    found
}

/// What a column without an alias is called: its own name, else the text of its expression.
fn name(expr: &Ast) -> String {
    match expr {
        Ast::Identifier(ident) => ident.value.clone(),
        Ast::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Gives the columns that [`alias`] renamed their names back.
pub(super) fn restore(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<(Column, Option<String>)> = plan
        .schema()
        .columns()
        .into_iter()
        .map(|column| {
            let original = column.name.split_once(MARK).map(|(name, _)| name.to_owned());
            (column, original)
        })
        .collect();
    if columns.iter().all(|(_, original)| original.is_none()) {
        return Ok(plan);
    }
    let restored = columns.into_iter().enumerate().map(|(place, (column, original))| {
        let name = match original {
            Some(name) => name,
            None if column.relation.is_some() => return Expr::Column(column),
            // Without a qualifier it would not be told from the others of its name.
            None => column.name.clone(),
        };
        let qualifier = TableReference::bare(format!("{MARK}{place}"));
        Expr::Column(column).alias_qualified(Some(qualifier), name)
    });
    LogicalPlanBuilder::from(plan).project(restored.collect::<Vec<_>>())?.build()
}
