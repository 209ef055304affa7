//! What the columns of an answer are called.
//!
//! A column without an alias is called as it is spelled in the catalog, any other expression by its text, as in
//! MariaDB; DataFusion would show its own form of it (`Int64(1)`). And SQL allows one name twice in the outermost
//! list (`SELECT id, id`, `SELECT u.*, u.id`), for clients take columns by their place, and further in where nothing
//! names its columns, or they are named anew (`UNION ALL SELECT 0, 0`, `WITH t (a, b) AS (SELECT 0, 0)`). DataFusion
//! knows a column by its name, so each further one is planned under a name of its own ([`alias_repeats`]). Both are put right on top
//! of the finished plan ([`Labels::put_on`]), where a qualifier, which an answer does not show, tells equal names
//! apart.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, OrderByKind, Query,
    SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut, VisitorMut,
};

use crate::federation::collation::COLLATE_FUNCTION;

/// Stands between a name and the number that makes it unique; no client writes it.
const MARK: char = '\u{1}';

/// `text` without what makes names in it unique.
pub(super) fn unmarked(text: &str) -> String {
    let mut parts = text.split(MARK);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// The labels of expressions in a statement's outermost list, as they were written: those before the first wildcard
/// by their places from the front, those after the last one from the back.
#[derive(Debug, Default)]
pub(super) struct Labels {
    front: Vec<Option<String>>,
    back: Vec<Option<String>>,
    /// Nothing of the list is a wildcard.
    whole: bool,
}

impl Labels {
    /// Those of `statement`, whose names are not resolved yet.
    pub(super) fn of(statement: &Statement) -> Self {
        let Statement::Query(query) = statement else { return Self::default() };
        let mut body = &*query.body;
        // The first branch of a set operation names the columns.
        let items = loop {
            match body {
                SetExpr::Select(select) => break &select.projection,
                SetExpr::Query(query) => body = &query.body,
                SetExpr::SetOperation { left, .. } => body = left,
                _ => return Self::default(),
            }
        };
        let label = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(Ast::Identifier(_) | Ast::CompoundIdentifier(_)) => Some(None),
            SelectItem::UnnamedExpr(expr) => Some(Some(expr.to_string())),
            SelectItem::ExprWithAlias { .. } => Some(None),
            _ => None,
        };
        let front: Vec<_> = items.iter().map_while(label).collect();
        let back = items.iter().rev().map_while(label).collect();
        Self { whole: front.len() == items.len(), front, back }
    }

    /// `plan`, its columns called as they should be.
    pub(super) fn put_on(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let columns = plan.schema().columns();
        let count = columns.len();
        let mut changed = false;
        let labelled: Vec<(Column, String)> = columns
            .into_iter()
            .enumerate()
            .map(|(place, column)| {
                let written = match self.whole {
                    true => self.front.get(place),
                    false => self.front.get(place).or_else(|| self.back.get(count - 1 - place)),
                };
                let planned = column.name.split_once(MARK).map_or(column.name.as_str(), |(name, _)| name);
                let label = written.cloned().flatten().unwrap_or_else(|| planned.to_owned());
                changed |= label != column.name;
                (column, label)
            })
            .collect();
        if !changed {
            return Ok(plan);
        }
        let list = labelled.into_iter().enumerate().map(|(place, (column, label))| {
            if column.relation.is_some() && column.name == label {
                return Expr::Column(column);
            }
            let qualifier = TableReference::bare(format!("{MARK}{place}"));
            Expr::Column(column).alias_qualified(Some(qualifier), label)
        });
        LogicalPlanBuilder::from(plan).project(list.collect::<Vec<_>>())?.build()
    }
}

/// Which columns of a list are given names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renamed {
    /// The further ones of those that are written alike.
    Equal,
    /// All expressions as well: DataFusion calls `position(b IN a)` and `strpos(a, b)` the same.
    Expressions,
}

/// Gives columns in `statement`'s lists names of their own, where nobody knows them by the one that they have; whether there
/// were any.
pub(super) fn alias_repeats(statement: &mut Statement, renamed: Renamed) -> bool {
    let mut repeats = Repeats { renamed, found: false };
    if let Statement::Query(query) = &mut *statement {
        repeats.alias(&mut query.body, Names::Unseen);
    }
    let _ = VisitMut::visit(statement, &mut repeats);
    repeats.found
}

/// What the names of a list's columns are to the query around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Nothing.
    Unseen,
    /// What it knows its columns by; an expression without an alias has none that could be written.
    Seen,
}

/// Gives expressions in `statement`'s lists names, where ORDER BY knows them by their number: DataFusion looks for a column that is
/// called as such an expression, and among groups finds none.
pub(super) fn alias_numbered(statement: &mut Statement) {
    struct Numbered;
    impl VisitorMut for Numbered {
        type Break = ();
        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            let (SetExpr::Select(select), Some(order_by)) = (&mut *query.body, &query.order_by) else {
                return ControlFlow::Continue(());
            };
            let OrderByKind::Expressions(order) = &order_by.kind else { return ControlFlow::Continue(()) };
            let numbers: HashSet<usize> = order.iter().filter_map(|by| number(&by.expr)).collect();
            // What stands after a wildcard has another number than its place.
            let items = select.projection.iter_mut().enumerate();
            let known = items.take_while(|(_, item)| !is_wildcard(item));
            for (place, item) in known.filter(|(place, _)| numbers.contains(&(place + 1))) {
                if let SelectItem::UnnamedExpr(expr) = item
                    && !is_column(expr)
                {
                    let alias = Ident::with_quote('"', format!("{expr}{MARK}{place}"));
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
                }
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(statement, &mut Numbered);
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

fn is_column(expr: &Ast) -> bool {
    match expr {
        Ast::Nested(expr) => is_column(expr),
        expr => matches!(expr, Ast::Identifier(_) | Ast::CompoundIdentifier(_)),
    }
}

fn number(expr: &Ast) -> Option<usize> {
    match expr {
        Ast::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

struct Repeats {
    renamed: Renamed,
    found: bool,
}

impl Repeats {
    fn alias(&mut self, body: &mut SetExpr, names: Names) {
        match body {
            SetExpr::Select(select) => {
                self.found |= alias_items(&mut select.projection, names, self.renamed);
            }
            SetExpr::Query(query) => self.alias(&mut query.body, names),
            SetExpr::SetOperation { left, right, .. } => {
                self.alias(left, names);
                self.alias(right, Names::Unseen);
            }
            _ => {}
        }
    }
}

impl VisitorMut for Repeats {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
            if !cte.alias.columns.is_empty() {
                self.alias(&mut cte.query.body, Names::Unseen);
            }
        }
        self.alias(&mut query.body, Names::Seen);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias: Some(alias), .. } = factor
            && !alias.columns.is_empty()
        {
            self.alias(&mut subquery.body, Names::Unseen);
        }
        ControlFlow::Continue(())
    }
}

fn alias_items(items: &mut [SelectItem], names: Names, renamed: Renamed) -> bool {
    let wildcard = items.iter().any(is_wildcard);
    let mut seen = HashSet::new();
    let mut found = false;
    for (place, item) in items.iter_mut().enumerate() {
        let (expr, name, named) = match &*item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), name(expr), false),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.value.clone(), true),
            _ => continue,
        };
        let is_column = matches!(expr, Ast::Identifier(_) | Ast::CompoundIdentifier(_));
        if names == Names::Seen && (named || is_column) {
            continue;
        }
        // What a wildcard stands for is not known here. An alias is left, where it can be: ORDER BY may name it.
        let bare = bare(&expr);
        let is_computed = !named && !matches!(bare, Ast::Identifier(_));
        let planned = if named { name.to_lowercase() } else { self::name(&bare).to_lowercase() };
        let is_renamed = (wildcard && !named) || (renamed == Renamed::Expressions && is_computed);
        if !seen.insert(planned) || is_renamed {
            let alias = Ident::with_quote('"', format!("{name}{MARK}{place}"));
            *item = SelectItem::ExprWithAlias { expr, alias };
            found = true;
        }
    }
    found
}

/// `expr` as DataFusion names it: it leaves out casts and collations, and calls a subquery what its column is called.
fn bare(expr: &Ast) -> Ast {
    struct Bare;
    impl VisitorMut for Bare {
        type Break = ();
        fn post_visit_expr(&mut self, expr: &mut Ast) -> ControlFlow<()> {
            let bare = match expr {
                Ast::Cast { expr, .. } | Ast::Nested(expr) => (**expr).clone(),
                Ast::TypedString(typed) => Ast::Value(typed.value.clone()),
                Ast::CompoundIdentifier(parts) => match parts.last() {
                    Some(last) => Ast::Identifier(last.clone()),
                    None => return ControlFlow::Continue(()),
                },
                Ast::Subquery(query) => match column_of(&query.body) {
                    Some(column) => column,
                    None => return ControlFlow::Continue(()),
                },
                Ast::Function(function) => match collated(function) {
                    Some(text) => text.clone(),
                    None => return ControlFlow::Continue(()),
                },
                _ => return ControlFlow::Continue(()),
            };
            *expr = bare;
            ControlFlow::Continue(())
        }
    }
    let mut bare = expr.clone();
    let _ = VisitMut::visit(&mut bare, &mut Bare);
    bare
}

/// The first column of a query, by its name if it has one.
fn column_of(body: &SetExpr) -> Option<Ast> {
    match body {
        SetExpr::Select(select) => match select.projection.first()? {
            SelectItem::UnnamedExpr(expr) => Some(expr.clone()),
            SelectItem::ExprWithAlias { alias, .. } => Some(Ast::Identifier(alias.clone())),
            _ => None,
        },
        SetExpr::Query(query) => column_of(&query.body),
        SetExpr::SetOperation { left, .. } => column_of(left),
        _ => None,
    }
}

/// The text that `function`, if it stands for COLLATE, gives a collation.
fn collated(function: &Function) -> Option<&Ast> {
    let name = function.name.0.last()?.as_ident()?;
    match &function.args {
        FunctionArguments::List(list) if name.value == COLLATE_FUNCTION => match list.args.first()? {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// What a column without an alias is called: its own name, else the text of its expression.
fn name(expr: &Ast) -> String {
    match expr {
        Ast::Identifier(ident) => ident.value.clone(),
        Ast::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()).unwrap_or_default(),
        other => other.to_string(),
    }
}
