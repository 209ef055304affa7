//! What PostgreSQL understands and the planner does not, written so that the planner does.
//!
//! Only statements about the server come here. Each rule keeps the statement's meaning:
//!
//! - names and numbers of objects: `'t'::regclass` is a call of `to_regclass`, and a number that is shown as such a
//!   type is its name;
//! - functions that give rows in a SELECT's list stand in `unnest`;
//! - `(row).field` takes the field by its name;
//! - `ARRAY(SELECT …)` and a scalar subquery are aggregated, without which the planner cannot join them;
//! - a scalar subquery over a table that is always empty is NULL;
//! - EXISTS in a SELECT's list counts;
//! - LIKE's escape character is a backslash;
//! - columns of one SELECT have different names.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Distinct, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident,
    ObjectName, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableFactor, Value,
    ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

use super::lists;

/// Tables of `pg_catalog` that never have a row here.
const EMPTY: &[&str] = &[
    "pg_attrdef",
    "pg_inherits",
    "pg_policy",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_sequence",
    "pg_statistic_ext",
    "pg_trigger",
];

const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "first_value",
    "json_agg",
    "max",
    "min",
    "string_agg",
    "sum",
];

/// Rewrites `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _ = VisitMut::visit(statement, &mut Rewrite);
    if let Statement::Query(query) = statement
        && let SetExpr::Select(select) = &mut *query.body
    {
        select.projection.iter_mut().for_each(show_names);
    }
}

struct Rewrite;

impl VisitorMut for Rewrite {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        lists_in(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let made = match expr {
            Expr::Cast { expr: value, data_type, .. } => cast(value, data_type),
            Expr::Function(function) => call_of(function),
            Expr::Identifier(ident)
                if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("user") =>
            {
                Some(call("session_user", Vec::new()))
            }
            Expr::CompoundFieldAccess { root, access_chain } if !matches!(**root, Expr::Identifier(_)) => {
                access_chain.iter_mut().for_each(by_name);
                None
            }
            Expr::Subquery(query) if is_empty(query) => Some(null()),
            Expr::Subquery(query) => {
                aggregate(query, "first_value");
                joinable(query).then(|| Expr::Nested(Box::new(Expr::Subquery(query.clone()))))
            }
            Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
                escape(pattern, escape_char);
                None
            }
            _ => None,
        };
        if let Some(made) = made {
            *expr = made;
        }
        ControlFlow::Continue(())
    }
}

/// The types whose values are numbers of objects and are shown as their names.
fn object_type(data_type: &DataType) -> Option<&'static str> {
    let name = data_type.to_string().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    ["regclass", "regnamespace", "regtype", "regrole", "regproc"].into_iter().find(|known| *known == name)
}

/// A cast to an object's type, or of one to a text.
fn cast(value: &mut Box<Expr>, data_type: &DataType) -> Option<Expr> {
    if let Some(to) = object_type(data_type) {
        // A function's name is what the library's tables hold in place of its number.
        if to == "regproc" {
            return Some(call("to_regproc", vec![to_text((**value).clone())]));
        }
        let is_name = matches!(
            &**value,
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(_) | Value::Placeholder(_), .. })
        );
        return is_name.then(|| call(&format!("to_{to}"), vec![to_text((**value).clone())]));
    }
    let is_text = matches!(
        data_type.to_string().to_lowercase().as_str(),
        "text" | "varchar" | "pg_catalog.text" | "name" | "pg_catalog.name"
    );
    if is_text { shown(value) } else { None }
}

/// The name of the object that `expr` is the number of, if its type says so.
fn shown(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Nested(inner) => shown(inner),
        Expr::Cast { expr: number, data_type, .. } => {
            let of = object_type(data_type)?;
            Some(call(&format!("{of}_name"), vec![(**number).clone()]))
        }
        Expr::Function(function) => {
            let of = last(&function.name).strip_prefix("to_").map(str::to_owned)?;
            let known = ["regclass", "regnamespace", "regtype", "regrole"].contains(&of.as_str());
            known.then(|| call(&format!("{of}_name"), vec![expr.clone()]))
        }
        _ => None,
    }
}

/// An item of the outermost SELECT, which shows the name of what it numbers.
fn show_names(item: &mut SelectItem) {
    match item {
        SelectItem::ExprWithAlias { expr, .. } => {
            if let Some(name) = shown(expr) {
                *expr = name;
            }
        }
        SelectItem::UnnamedExpr(expr) => {
            if let Some(name) = shown(expr) {
                let alias = column_of(expr).unwrap_or_else(|| Ident::new("regclass"));
                *item = SelectItem::ExprWithAlias { expr: name, alias };
            }
        }
        _ => {}
    }
}

fn column_of(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => column_of(inner),
        Expr::Identifier(ident) => Some(ident.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    }
}

fn call_of(function: &mut Function) -> Option<Expr> {
    let name = last(&function.name);
    if lists::NAMES.contains(&name.as_str()) {
        function.name = ObjectName::from(vec![Ident::new(name)]);
        return Some(call("unnest", vec![Expr::Function(function.clone())]));
    }
    match (name.as_str(), &mut function.args) {
        // One name for what is one: they have to be told apart below.
        ("user" | "current_user" | "session_user", FunctionArguments::None) => {
            Some(call("session_user", Vec::new()))
        }
        ("array", FunctionArguments::Subquery(query)) => {
            aggregate(query, "array_agg").then(|| Expr::Nested(Box::new(Expr::Subquery(query.clone()))))
        }
        _ => None,
    }
}

/// `.field` as the planner takes it.
fn by_name(access: &mut AccessExpr) {
    if let AccessExpr::Dot(Expr::Identifier(field)) = access {
        let name = if field.quote_style.is_some() { field.value.clone() } else { field.value.to_lowercase() };
        *access = AccessExpr::Dot(Expr::Value(Value::SingleQuotedString(name).with_empty_span()));
    }
}

/// Makes `query`, which gives one column, give one row through the aggregate `name`; says whether it does now.
fn aggregate(query: &mut Query, name: &str) -> bool {
    let order_by = match query.order_by.as_mut().map(|order_by| &mut order_by.kind) {
        None => Vec::new(),
        Some(OrderByKind::Expressions(expressions)) => expressions.clone(),
        Some(_) => return false,
    };
    let lists = name == "array_agg";
    if query.with.is_some() || query.fetch.is_some() || (lists && query.limit_clause.is_some()) {
        return false;
    }
    let SetExpr::Select(select) = &mut *query.body else { return false };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if grouped || select.having.is_some() || select.from.is_empty() || (select.distinct.is_some() && !lists) {
        return false;
    }
    let [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] =
        select.projection.as_mut_slice()
    else {
        return false;
    };
    if aggregates(expr) {
        return false;
    }
    let mut order_by = order_by;
    for by in &mut order_by {
        name_position(by, expr);
    }
    let distinct = matches!(select.distinct.take(), Some(Distinct::Distinct));
    let arguments = FunctionArgumentList {
        duplicate_treatment: distinct.then_some(DuplicateTreatment::Distinct),
        args: vec![argument(expr.clone())],
        clauses: if order_by.is_empty() { Vec::new() } else { vec![FunctionArgumentClause::OrderBy(order_by)] },
    };
    *expr = called(name, arguments);
    query.order_by = None;
    query.limit_clause = None;
    true
}

/// Whether the planner can join the aggregated `query` to the rows around it: by equalities. Of others in a SELECT's
/// list, the library makes NULL; parentheses keep it from doing so.
fn joinable(query: &Query) -> bool {
    fn equalities(condition: &Expr) -> bool {
        match condition {
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => equalities(left) && equalities(right),
            Expr::BinaryOp { op: BinaryOperator::Eq, .. } => true,
            Expr::Nested(inner) => equalities(inner),
            _ => false,
        }
    }
    let SetExpr::Select(select) = &*query.body else { return false };
    let aggregated = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => aggregates(expr),
        _ => false,
    };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    aggregated && !grouped && select.selection.as_ref().is_none_or(equalities)
}

/// `ORDER BY 1` by the expression that it means.
fn name_position(by: &mut OrderByExpr, first: &Expr) {
    if matches!(&by.expr, Expr::Value(ValueWithSpan { value: Value::Number(..), .. })) {
        by.expr = first.clone();
    }
}

fn aggregates(expr: &Expr) -> bool {
    struct Look(bool);
    impl Visitor for Look {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr {
                self.0 |= function.over.is_none() && AGGREGATES.contains(&last(&function.name).as_str());
            }
            ControlFlow::Continue(())
        }
    }
    let mut look = Look(false);
    let _ = Visit::visit(expr, &mut look);
    look.0
}

/// Whether `query` reads a table that is always empty, so that it gives no row.
fn is_empty(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    let empty = |factor: &TableFactor| match factor {
        TableFactor::Table { name, args: None, .. } => EMPTY.contains(&last(name).as_str()),
        _ => false,
    };
    let aggregated = match select.projection.as_slice() {
        [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => aggregates(expr),
        _ => true,
    };
    !aggregated && select.from.iter().any(|tables| tables.joins.is_empty() && empty(&tables.relation))
}

fn escape(pattern: &mut Expr, escape_char: &mut Option<ValueWithSpan>) {
    let Some(ValueWithSpan { value: Value::SingleQuotedString(character), .. }) = &*escape_char else { return };
    if character != "\\" {
        let character = Expr::Value(Value::SingleQuotedString(character.clone()).with_empty_span());
        *pattern = call("like_pattern", vec![to_text(pattern.clone()), character]);
        *escape_char = None;
    }
}

/// Rewrites what the SELECTs of `body` list.
fn lists_in(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            tell_apart(select);
            for item in &mut select.projection {
                let _ = VisitMut::visit(item, &mut CountExists);
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            lists_in(left);
            lists_in(right);
        }
        _ => {}
    }
}

/// Counts the rows for which EXISTS asks, where no filter could join them.
struct CountExists;

impl VisitorMut for CountExists {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Exists { subquery, negated } = expr
            && let SetExpr::Select(select) = &mut *subquery.body
            && matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty())
        {
            let all = FunctionArg::Unnamed(FunctionArgExpr::Wildcard);
            let all = FunctionArgumentList { duplicate_treatment: None, args: vec![all], clauses: Vec::new() };
            let counted = Expr::BinaryOp {
                left: Box::new(called("count", all)),
                op: if *negated { BinaryOperator::Eq } else { BinaryOperator::Gt },
                right: Box::new(Expr::Value(Value::Number("0".to_owned(), false).with_empty_span())),
            };
            select.projection = vec![SelectItem::UnnamedExpr(counted)];
            (subquery.order_by, subquery.limit_clause) = (None, None);
            *expr = Expr::Nested(Box::new(Expr::Subquery(subquery.clone())));
        }
        ControlFlow::Continue(())
    }
}

/// Gives names to constants that would share one.
fn tell_apart(select: &mut Select) {
    let mut texts = HashSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expr @ (Expr::Value(_) | Expr::Function(_) | Expr::Cast { .. })) = item
            && !texts.insert(expr.to_string())
        {
            let alias = Ident::with_quote('"', format!("?column?{}", index + 1));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

fn last(name: &ObjectName) -> String {
    let last = name.0.last().and_then(|part| part.as_ident());
    last.map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

fn argument(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(argument).collect();
    called(name, FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() })
}

fn called(name: &str, arguments: FunctionArgumentList) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(arguments),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn null() -> Expr {
    to_text(Expr::Value(Value::Null.with_empty_span()))
}

fn to_text(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Text,
        array: false,
        format: None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::rewrite;

    fn check(sql: &str, expected: &str) {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        rewrite(&mut statement);
        assert_eq!(statement.to_string(), expected);
    }

    #[test]
    fn objects_are_found_by_name_and_shown_by_name() {
        check("SELECT 1 WHERE c = 'x'::regclass", "SELECT 1 WHERE c = to_regclass(CAST('x' AS TEXT))");
        check(
            "SELECT r.conrelid::pg_catalog.regclass FROM r",
            "SELECT regclass_name(r.conrelid) AS conrelid FROM r",
        );
        check(
            "SELECT a FROM t WHERE CAST(CAST(b AS REGTYPE) AS TEXT) = 'x'",
            "SELECT a FROM t WHERE regtype_name(b) = 'x'",
        );
        check(
            "SELECT 1 WHERE f = 'pg_catalog.x'::regproc",
            "SELECT 1 WHERE f = to_regproc(CAST('pg_catalog.x' AS TEXT))",
        );
        check("SELECT b::regclass::oid FROM t", "SELECT b::REGCLASS::oid FROM t");
    }

    #[test]
    fn functions_that_give_rows_are_unnested() {
        check(
            "SELECT (information_schema._pg_expandarray(i.k)).n AS s, generate_subscripts(i.k, 1) FROM i",
            "SELECT (unnest(_pg_expandarray(i.k))).'n' AS s, unnest(generate_subscripts(i.k, 1)) FROM i",
        );
    }

    #[test]
    fn subqueries_are_aggregated() {
        check(
            "SELECT ARRAY(SELECT b FROM t WHERE t.a = r.a ORDER BY 1) FROM r",
            "SELECT ((SELECT array_agg(b ORDER BY b) FROM t WHERE t.a = r.a)) FROM r",
        );
        check(
            "SELECT CASE WHEN (SELECT b FROM t WHERE t.a = r.a LIMIT 1) THEN 1 END FROM r",
            "SELECT CASE WHEN ((SELECT first_value(b) FROM t WHERE t.a = r.a)) THEN 1 END FROM r",
        );
        check(
            "SELECT NOT EXISTS (SELECT 1 FROM t WHERE t.a = r.a) FROM r WHERE EXISTS (SELECT 1 FROM t)",
            "SELECT ((SELECT count(*) = 0 FROM t WHERE t.a = r.a)) FROM r WHERE EXISTS (SELECT 1 FROM t)",
        );
        check("SELECT 1 = (SELECT max(b) FROM t)", "SELECT 1 = ((SELECT max(b) FROM t))");
        check(
            "SELECT (SELECT b FROM t WHERE t.a <> r.a) FROM r",
            "SELECT (SELECT first_value(b) FROM t WHERE t.a <> r.a) FROM r",
        );
        check("SELECT 1 = (SELECT b FROM pg_catalog.pg_attrdef)", "SELECT 1 = CAST(NULL AS TEXT)");
    }

    #[test]
    fn escapes_and_names_are_the_planners() {
        check("SELECT a LIKE b ESCAPE '/'", "SELECT a LIKE like_pattern(CAST(b AS TEXT), '/')");
        check("SELECT NULL, NULL", "SELECT NULL, NULL AS \"?column?2\"");
    }
}
