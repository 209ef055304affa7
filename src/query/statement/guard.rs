//! What a reading statement may not hold, wherever in it: parts that write, that lock, or that would be ignored
//! without a word and so give other rows than were asked for.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, LimitClause, Query, Select, SetExpr, Statement, TableFactor, Value, Visit, VisitMut, Visitor,
    VisitorMut,
};

use super::refused::{error, part};
use crate::query::QueryError;

/// Table functions that read nothing but their arguments.
const TABLE_FUNCTIONS: &[&str] = &["generate_series", "range", "unnest"];

/// Checks `statement`, all subqueries included.
pub(super) fn check(statement: &Statement) -> Result<(), QueryError> {
    match Visit::visit(statement, &mut Guard) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Guard;

fn refuse_if(found: bool, what: &str) -> ControlFlow<QueryError> {
    if found { ControlFlow::Break(part(what)) } else { ControlFlow::Continue(()) }
}

impl Visitor for Guard {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        refuse_if(!query.locks.is_empty(), "FOR UPDATE and FOR SHARE")?;
        refuse_if(query.for_clause.is_some(), "FOR XML, FOR JSON and FOR BROWSE")?;
        refuse_if(query.settings.is_some(), "SETTINGS")?;
        refuse_if(query.format_clause.is_some(), "FORMAT")?;
        refuse_if(!query.pipe_operators.is_empty(), "the pipe operator |>")?;
        if let Some(fetch) = &query.fetch {
            refuse_if(fetch.with_ties || fetch.percent, "FETCH … WITH TIES and FETCH … PERCENT")?;
        }
        body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        refuse_if(select.into.is_some(), "SELECT INTO")?;
        refuse_if(!select.lateral_views.is_empty(), "LATERAL VIEW")?;
        refuse_if(!select.connect_by.is_empty(), "CONNECT BY")?;
        refuse_if(select.top.is_some(), "TOP")
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table { name, args, version, partitions, sample, with_hints, .. } => {
                refuse_if(version.is_some(), "FOR SYSTEM_TIME")?;
                refuse_if(!partitions.is_empty(), "PARTITION")?;
                refuse_if(sample.is_some(), "TABLESAMPLE")?;
                refuse_if(!with_hints.is_empty(), "WITH (hints)")?;
                match args {
                    Some(_) => function(&name.to_string()),
                    None => ControlFlow::Continue(()),
                }
            }
            TableFactor::Function { name, .. } => function(&name.to_string()),
            TableFactor::Derived { sample, .. } => refuse_if(sample.is_some(), "TABLESAMPLE"),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn function(name: &str) -> ControlFlow<QueryError> {
    let name = name.to_lowercase();
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    refuse_if(!TABLE_FUNCTIONS.contains(&bare), &format!("the table function {name}"))
}

fn body(body: &SetExpr) -> ControlFlow<QueryError> {
    match body {
        SetExpr::Insert(_) => ControlFlow::Break(error("INSERT")),
        SetExpr::Update(_) => ControlFlow::Break(error("UPDATE")),
        SetExpr::Delete(_) => ControlFlow::Break(error("DELETE")),
        SetExpr::Merge(_) => ControlFlow::Break(error("MERGE")),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        SetExpr::Table(_) => ControlFlow::Break(part("TABLE in this place")),
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
    }
}

/// Writes `statement` in the forms that the planner knows: `FETCH FIRST n ROWS ONLY` as `LIMIT n`.
pub(super) fn normalise(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Normalise);
}

struct Normalise;

impl VisitorMut for Normalise {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        let one = || Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
        let quantity = Some(fetch.quantity.unwrap_or_else(one));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = quantity,
            None => {
                let clause = LimitClause::LimitOffset { limit: quantity, offset: None, limit_by: Vec::new() };
                query.limit_clause = Some(clause);
            }
            // Both LIMIT and FETCH: left for the planner to refuse.
            Some(_) => query.fetch = Some(Fetch { quantity, ..fetch }),
        }
        ControlFlow::Continue(())
    }
}
