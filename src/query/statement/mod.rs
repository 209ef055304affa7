//! From text to a statement of a kind that is served.
//!
//! How depth is bounded: nesting by the parser's own limit, and long chains (`a OR b OR c …`, `SELECT … UNION
//! SELECT …`), which make trees as deep as they are long without nesting, by [`nesting`], which counts them
//! on the tokens before anything is parsed, as are tables in parentheses. Conditions that no text has,
//! of columns that joins merge, are bounded where they are written (`names/joins.rs`). What passes is planned on threads whose stack is deep enough for it.

mod classify;
mod dialect;
mod guard;
mod nesting;
mod refused;
mod spelling;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, GroupByWithModifier, Query, Select, SetExpr, Statement, Visit, Visitor,
};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use classify::classify;
pub(super) use classify::{Classified, Savepoint, Shown};
use dialect::Served;
use nesting::{check_cases, check_chains, check_enclosed};

use super::wording::{syntax_hint, syntax_text};
use super::{Place, QueryError, QueryErrorKind};

/// Bytes of one statement.
pub const MAX_STATEMENT: usize = 1 << 20;
/// How deep parentheses, subqueries and function calls may nest.
const MAX_NESTING: usize = 100;
/// How deep subqueries in expressions may nest: DataFusion looks through all below each, so that every further level
/// doubles what planning takes.
const MAX_SUBQUERIES: usize = 8;

/// Expressions that one SELECT may list, as in PostgreSQL: DataFusion compares the names of any two.
const MAX_SELECTED: usize = 1_664;
/// Sets of expressions that a SELECT groups by; of each row there is a copy for every one. PostgreSQL has the same bound.
const MAX_GROUPING_SETS: usize = 4_096;

/// Queries that WITH may name in one statement: each query within it is planned with a list of all that it may name.
const MAX_NAMED: usize = 1_000;

const DIALECT: Served = Served;

/// Parses `sql`, which holds one statement at most; `None` for none.
///
/// # Errors
///
/// `Syntax`; `Unsupported` for a statement of a kind that is not served, and for several; `Limit` for one that is
/// too long or too deep.
pub(super) fn parse(sql: &str) -> Result<Option<Classified>, QueryError> {
    if sql.len() > MAX_STATEMENT {
        let message = format!("the statement has {} bytes; {MAX_STATEMENT} are the most", sql.len());
        return Err(QueryError::new(QueryErrorKind::Limit, message));
    }
    let tokens = tokenize(sql)?;
    let statements = tokens.split(|token| token.token == Token::SemiColon);
    let statements = statements.filter(|tokens| !is_blank(tokens)).count();
    if statements > 1 {
        let message = format!("{statements} statements were sent at once");
        return Err(QueryError::new(QueryErrorKind::Unsupported, message).with_hint("Send one after the other"));
    }
    if statements == 0 {
        return Ok(None);
    }
    check_chains(&tokens)?;
    check_enclosed(&tokens)?;
    check_cases(&tokens)?;
    if let Some(error) = refused::by_first_word(&tokens) {
        return Err(error);
    }
    let kind = refused::kind(&tokens);
    let tokens = spelling::respell(tokens);
    let mut parser = Parser::new(&DIALECT).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(|error| syntax(sql, error))?;
    match statements.pop() {
        Some(mut statement) => {
            spelling::unsign(&mut statement);
            check_subqueries(&statement)?;
            check_lists(&statement)?;
            check_grouping(&statement)?;
            check_named(&statement)?;
            check_values(&statement)?;
            classify(statement, &kind).map(Some)
        }
        None => Ok(None),
    }
}

fn check_subqueries(statement: &Statement) -> Result<(), QueryError> {
    struct Depth(usize);
    impl Visitor for Depth {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0 += usize::from(has_subquery(expr));
            if self.0 > MAX_SUBQUERIES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0 -= usize::from(has_subquery(expr));
            ControlFlow::Continue(())
        }
    }
    fn has_subquery(expr: &Expr) -> bool {
        matches!(expr, Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. })
    }
    if statement.visit(&mut Depth(0)).is_break() {
        let message =
            format!("subqueries in expressions nest too deeply; {MAX_SUBQUERIES} levels are the most");
        return Err(QueryError::new(QueryErrorKind::Limit, message).with_hint("Join, or name them with WITH"));
    }
    Ok(())
}

fn check_lists(statement: &Statement) -> Result<(), QueryError> {
    struct Lists;
    impl Visitor for Lists {
        type Break = usize;
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<usize> {
            match select.projection.len() {
                listed if listed > MAX_SELECTED => ControlFlow::Break(listed),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match statement.visit(&mut Lists) {
        ControlFlow::Break(listed) => check_listed(listed),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Refuses a SELECT that lists too much.
pub(super) fn check_listed(listed: usize) -> Result<(), QueryError> {
    if listed > MAX_SELECTED {
        let message = format!("a SELECT lists {listed} expressions; {MAX_SELECTED} are the most");
        return Err(
            QueryError::new(QueryErrorKind::Limit, message).with_hint("Ask for them in several statements")
        );
    }
    Ok(())
}

/// Refuses subqueries in VALUES, whose rows are made while a statement is planned.
fn check_values(statement: &Statement) -> Result<(), QueryError> {
    struct Rows;
    impl Visitor for Rows {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            let mut bodies = vec![&*query.body];
            while let Some(body) = bodies.pop() {
                match body {
                    SetExpr::Values(values) => values.visit(&mut Subqueries)?,
                    SetExpr::SetOperation { left, right, .. } => bodies.extend([&**left, &**right]),
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        }
    }
    struct Subqueries;
    impl Visitor for Subqueries {
        type Break = ();
        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    match statement.visit(&mut Rows) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let error = QueryError::new(QueryErrorKind::Unsupported, "a subquery in VALUES is not served");
            Err(error.with_hint("SELECT (SELECT …) UNION ALL SELECT …"))
        }
    }
}

fn check_named(statement: &Statement) -> Result<(), QueryError> {
    struct Named(usize);
    impl Visitor for Named {
        type Break = ();
        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            self.0 += query.with.as_ref().map_or(0, |with| with.cte_tables.len());
            if self.0 > MAX_NAMED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
    match statement.visit(&mut Named(0)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let message = format!("WITH names more than {MAX_NAMED} queries, the most");
            Err(QueryError::new(QueryErrorKind::Limit, message).with_hint("Write some in their places"))
        }
    }
}

fn check_grouping(statement: &Statement) -> Result<(), QueryError> {
    struct Groupings;
    impl Visitor for Groupings {
        type Break = usize;
        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<usize> {
            match grouping_sets(&select.group_by) {
                sets if sets > MAX_GROUPING_SETS => ControlFlow::Break(sets),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    match statement.visit(&mut Groupings) {
        ControlFlow::Break(_) => {
            let message =
                format!("GROUP BY groups by more than {MAX_GROUPING_SETS} sets of expressions, the most");
            Err(QueryError::new(QueryErrorKind::Limit, message).with_hint(
                "CUBE makes 2^n sets of n expressions: name those that are wanted, by GROUPING SETS",
            ))
        }
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// By how many sets of expressions `by` groups.
fn grouping_sets(by: &GroupByExpr) -> usize {
    let cube = |of: usize| u32::try_from(of).ok().and_then(|of| 1_usize.checked_shl(of)).unwrap_or(usize::MAX);
    let GroupByExpr::Expressions(groups, modifiers) = by else { return 1 };
    let of_groups = groups.iter().map(|group| match group {
        Expr::Cube(of) => cube(of.len()),
        Expr::Rollup(of) => of.len() + 1,
        Expr::GroupingSets(sets) => sets.len(),
        _ => 1,
    });
    let of_modifiers = modifiers.iter().map(|modifier| match modifier {
        GroupByWithModifier::Cube => cube(groups.len()),
        GroupByWithModifier::Rollup => groups.len() + 1,
        _ => 1,
    });
    of_groups.chain(of_modifiers).fold(1, usize::saturating_mul)
}

/// The statements of `sql`, each as it is written there, blank ones left out: for clients that send several.
///
/// # Errors
///
/// `Syntax` if it cannot be split into words.
pub fn split(sql: &str) -> Result<Vec<String>, QueryError> {
    let tokens = tokenize(sql)?;
    let mut places = Places::of(sql);
    let mut statements = Vec::new();
    let mut from = 0;
    for tokens in tokens.split_inclusive(|token| token.token == Token::SemiColon) {
        let end = match tokens.last() {
            Some(TokenWithSpan { token: Token::SemiColon, span }) => places.byte(span.start),
            _ => sql.len(),
        };
        if tokens.iter().any(|token| token.token != Token::SemiColon && !is_space(token)) {
            statements.push(sql[from..end].trim().to_owned());
        }
        from = (end + 1).min(sql.len());
    }
    Ok(statements)
}

/// Finds places of tokens, from the first to the last, in the text that they are of.
struct Places<'s> {
    rest: std::str::CharIndices<'s>,
    end: usize,
    at: Location,
}

impl<'s> Places<'s> {
    fn of(sql: &'s str) -> Self {
        Self { rest: sql.char_indices(), end: sql.len(), at: Location { line: 1, column: 1 } }
    }

    /// Where `place` is, in bytes.
    fn byte(&mut self, place: Location) -> usize {
        while self.at < place {
            match self.rest.next() {
                Some((_, '\n')) => self.at = Location { line: self.at.line + 1, column: 1 },
                Some(_) => self.at.column += 1,
                None => return self.end,
            }
        }
        self.rest.clone().next().map_or(self.end, |(byte, _)| byte)
    }
}

fn is_blank(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().all(is_space)
}

fn is_space(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
    let tokens = Tokenizer::new(&DIALECT, sql).tokenize_with_location().map_err(|error| {
        let (text, place) = match error.location {
            Location { line: 0, .. } => (String::new(), None),
            Location { line, column } => {
                (format!(" at line {line}, column {column}"), Some(Place { line, column }))
            }
        };
        QueryError::new(QueryErrorKind::Syntax, format!("{}{text}", error.message)).at(place)
    })?;
    Ok(tokens.into_iter().flat_map(without_signs).collect())
}

/// `a>-1` is `a > -1`, as in PostgreSQL: only an operator that has one of some characters may end in a sign.
fn without_signs(token: TokenWithSpan) -> Vec<TokenWithSpan> {
    let TokenWithSpan { token: Token::CustomBinaryOperator(text), span } = &token else { return vec![token] };
    let special = |c: char| "~!@#%^&|`?".contains(c);
    let head = match text.trim_end_matches(['+', '-']) {
        "" => &text[..1],
        head => head,
    };
    let operator = match head {
        "<" => Token::Lt,
        "<=" => Token::LtEq,
        ">" => Token::Gt,
        ">=" => Token::GtEq,
        "<>" => Token::Neq,
        "-" => Token::Minus,
        "/" => Token::Div,
        _ => return vec![token],
    };
    // Two minuses begin a comment.
    if text.contains(special) || text.contains("--") {
        return vec![token];
    }
    let signs = text[head.len()..].chars().map(|sign| if sign == '-' { Token::Minus } else { Token::Plus });
    std::iter::once(operator).chain(signs).map(|token| TokenWithSpan { token, span: *span }).collect()
}

/// The place that the parser names at the end of its error: ` at Line: 1, Column: 8`.
fn place(text: &str) -> Option<Place> {
    let (_, place) = text.rsplit_once(" at Line: ")?;
    let (line, column) = place.split_once(", Column: ")?;
    Some(Place { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}

fn syntax(sql: &str, error: ParserError) -> QueryError {
    match error {
        ParserError::RecursionLimitExceeded => QueryError::new(
            QueryErrorKind::Limit,
            format!("the statement is nested too deeply; {MAX_NESTING} levels are the most"),
        ),
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let error =
                QueryError::new(QueryErrorKind::Syntax, format!("syntax error: {}", syntax_text(&text)))
                    .at(place(&text));
            match syntax_hint(sql, &text) {
                Some(hint) => error.with_hint(hint),
                None => error,
            }
        }
    }
}
