//! What another parser than the server's finds in a statement: one query, names in backticks, and nothing of a value.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crossweave_contract::{Column, RemoteQuery};
use mysql_async::Value as Bound;
use sqlparser::ast::{Expr, Ident, ObjectName, Statement as Parsed, Value, ValueWithSpan, Visit as _, Visitor};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer, Whitespace};

use crate::scan::Statement;

/// All literals that statements are made of: of `1 = 0`, `SELECT 1`, `THEN 1`, `<> 0`, `+ 0` and `INTERVAL 0 DAY`.
const LITERALS: [&str; 2] = ["0", "1"];

/// All words that stand without backticks, besides `c1`, `cc1` and `t1`.
const WORDS: &str = "SELECT AS FROM WHERE AND OR NOT IN BETWEEN LIKE IS NULL EXISTS JOIN LEFT ON UNION ALL GROUP BY \
    HAVING ORDER DESC LIMIT OFFSET CASE WHEN THEN ELSE END CAST DECIMAL SIGNED UNSIGNED DATE DATETIME CONVERT USING \
    utf8mb4 COLLATE utf8mb4_nopad_bin INTERVAL DAY COUNT SUM AVG MIN MAX DISTINCT";

/// Fails unless the statement is one query of the tables of `query`, made of nothing but names, [`WORDS`],
/// [`LITERALS`], and a placeholder for each parameter.
pub(super) fn check(statement: &Statement, query: &RemoteQuery) -> Result<(), String> {
    let dialect = MySqlDialect {};
    let parsed = Parser::parse_sql(&dialect, &statement.sql).map_err(|error| format!("not parsed: {error}"))?;
    let [Parsed::Query(parsed)] = parsed.as_slice() else {
        return Err("it is not one query".to_owned());
    };
    let mut found = Found { query, placeholders: 0, tables: Vec::new() };
    if let ControlFlow::Break(why) = parsed.visit(&mut found) {
        return Err(why);
    }
    let mut tables: Vec<[String; 2]> =
        query.tables().iter().map(|table| [table.database.to_string(), table.id.table.to_string()]).collect();
    tables.sort();
    found.tables.sort();
    if found.tables != tables {
        return Err(format!("it reads {:?} in place of {tables:?}", found.tables));
    }
    if found.placeholders != statement.params.len() {
        return Err(format!("{} placeholders for {} values", found.placeholders, statement.params.len()));
    }
    check_tokens(statement, query)
}

/// What a walk over a statement has met.
struct Found<'q> {
    query: &'q RemoteQuery,
    placeholders: usize,
    tables: Vec<[String; 2]>,
}

impl Visitor for Found<'_> {
    type Break = String;

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<String> {
        match &value.value {
            Value::Placeholder(mark) if mark == "?" => self.placeholders += 1,
            Value::Number(digits, false) if LITERALS.contains(&digits.as_str()) => {}
            other => return ControlFlow::Break(format!("the literal {other} stands in it")),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<String> {
        let parts: Option<Vec<&Ident>> = name.0.iter().map(|part| part.as_ident()).collect();
        match parts.as_deref() {
            Some([database, table]) if [database, table].iter().all(|part| part.quote_style == Some('`')) => {
                self.tables.push([database.value.clone(), table.value.clone()]);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(format!("{name} is no table in a database")),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        let known = match expr {
            Expr::Identifier(column) => is_column(column, self.query),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [alias, column] => {
                    is_numbered(alias, 't') && (is_numbered(column, 'c') || is_column(column, self.query))
                }
                _ => false,
            },
            _ => true,
        };
        if known { ControlFlow::Continue(()) } else { ControlFlow::Break(format!("{expr} is no known column")) }
    }
}

fn is_column(name: &Ident, query: &RemoteQuery) -> bool {
    let has = |column: &Column| column.name == name.value;
    name.quote_style == Some('`') && query.tables().iter().any(|table| table.columns.iter().any(has))
}

fn is_numbered(name: &Ident, letter: char) -> bool {
    name.quote_style.is_none() && is_number_after(&name.value, letter)
}

fn is_number_after(word: &str, letter: char) -> bool {
    let rest = word.trim_start_matches(letter);
    Some(rest)
        .filter(|rest| rest.len() < word.len())
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
}

fn check_tokens(statement: &Statement, query: &RemoteQuery) -> Result<(), String> {
    let dialect = MySqlDialect {};
    let tokens = Tokenizer::new(&dialect, &statement.sql).tokenize().map_err(|error| error.to_string())?;
    let mut names = BTreeSet::new();
    for table in query.tables() {
        names.extend([table.database.to_string(), table.id.table.to_string()]);
        names.extend(table.columns.iter().map(|column| column.name.clone()));
    }
    let allowed = |token: &Token| match token {
        Token::Word(word) if word.quote_style == Some('`') => names.contains(&word.value),
        Token::Word(word) if word.quote_style.is_none() => {
            let numbered = ['c', 't'].into_iter().any(|letter| is_number_after(&word.value, letter));
            numbered || WORDS.split_whitespace().any(|known| known == word.value)
        }
        Token::Whitespace(space) => *space == Whitespace::Space,
        Token::Number(_, long) => !long,
        Token::Placeholder(mark) => mark == "?",
        Token::Comma | Token::Period | Token::LParen | Token::RParen => true,
        Token::Eq | Token::Neq | Token::Lt | Token::LtEq | Token::Gt | Token::GtEq => true,
        Token::Plus | Token::Minus | Token::Mul => true,
        _ => false,
    };
    if let Some(other) = tokens.iter().find(|token| !allowed(token)) {
        return Err(format!("{other:?} stands in it"));
    }
    let words: Vec<String> =
        tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).map(ToString::to_string).collect();
    let marks = words.iter().enumerate().filter(|(_, word)| *word == "?").map(|(at, _)| at);
    for (at, param) in marks.zip(&statement.params) {
        if !suits(param, &words[..at], &words[at + 1..]) {
            return Err(format!("{param:?} is bound after {:?}", words[..at].join(" ")));
        }
    }
    Ok(())
}

/// Whether `param` is a value of what it stands for between the words `before` and `after`.
fn suits(param: &Bound, before: &[String], after: &[String]) -> bool {
    let text = match param {
        Bound::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    match (before.last().map(String::as_str), after.as_slice()) {
        (Some("LIMIT" | "OFFSET"), _) => matches!(param, Bound::UInt(_)),
        // Also a whole number may be cast, which is a column below.
        (_, ["AS", "DECIMAL", "(", _, ",", scale, ..]) if text.is_some() => {
            text.is_some_and(|text| text.split('.').nth(1).map_or(0, str::len).to_string() == *scale)
        }
        (_, ["AS", "DATE", ..]) => text.is_some_and(|text| text.len() == "2000-01-01".len()),
        (_, ["AS", "DATETIME", ..]) => {
            text.is_some_and(|text| text.len() == "2000-01-01 00:00:00.000000".len())
        }
        _ => text.is_some() || matches!(param, Bound::Int(_) | Bound::UInt(_)),
    }
}
