//! Spellings that the parser does not know, or reads in part, as others that mean the same.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, UnaryOperator, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// `tokens` without blanks, spelled as the parser knows it.
pub(super) fn respell(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut tokens = tokens;
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    match tokens.first().map(keyword) {
        Some(Keyword::ABORT) => tokens[0].token = Token::make_keyword("ROLLBACK"),
        Some(Keyword::BEGIN | Keyword::START | Keyword::SET)
            if tokens.iter().any(|token| keyword(token) == Keyword::DEFERRABLE) =>
        {
            tokens = without_deferrable(tokens);
        }
        _ => {}
    }
    expand_table(sign_first_subqueries(tokens))
}

/// `IN ((SELECT …), …)` with a sign before the query: the parser takes a list that begins with a query for a query. See
/// [`unsign`].
fn sign_first_subqueries(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut begin = Vec::new();
    let mut first_queries = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => begin.push(index),
            Token::RParen => {
                let begin = begin.pop().unwrap_or(0);
                let begins_list = begin > 1
                    && tokens[begin - 1].token == Token::LParen
                    && keyword(&tokens[begin - 2]) == Keyword::IN
                    && tokens.get(index + 1).is_some_and(|next| goes_on(&next.token));
                let first = || tokens[begin..].iter().find(|token| token.token != Token::LParen).map(keyword);
                if begins_list && matches!(first(), Some(Keyword::SELECT | Keyword::WITH)) {
                    first_queries.push(begin);
                }
            }
            _ => {}
        }
    }
    first_queries.sort_unstable();
    let mut first_queries = first_queries.into_iter().peekable();
    let mut signed = Vec::with_capacity(tokens.len() + first_queries.len());
    for (index, token) in tokens.into_iter().enumerate() {
        if first_queries.next_if_eq(&index).is_some() {
            signed.push(TokenWithSpan { token: Token::Plus, span: token.span });
        }
        signed.push(token);
    }
    signed
}

/// Whether `next`, after an expression in parentheses, says that it is one: no set operation follows, nor an end.
fn goes_on(next: &Token) -> bool {
    !matches!(next, Token::Word(_) | Token::RParen | Token::EOF | Token::SemiColon)
}

/// Takes away the signs that [`respell`] has put before queries.
pub(super) fn unsign(statement: &mut Statement) {
    struct Unsign;
    impl VisitorMut for Unsign {
        type Break = ();
        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::UnaryOp { op: UnaryOperator::Plus, expr: signed } = expr
                && is_subquery(signed)
            {
                *expr = (**signed).clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _ = statement.visit(&mut Unsign);
}

/// Whether `expr` begins with a query in parentheses.
fn is_subquery(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(_) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_subquery(inner),
        _ => false,
    }
}

/// A transaction that only reads, each statement by itself, is never deferred: the mode changes nothing.
fn without_deferrable(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut kept: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if keyword(&token) != Keyword::DEFERRABLE {
            kept.push(token);
            continue;
        }
        kept.pop_if(|last| keyword(last) == Keyword::NOT);
        // One comma goes with it.
        if kept.pop_if(|last| last.token == Token::Comma).is_none() {
            tokens.next_if(|next| next.token == Token::Comma);
        }
    }
    kept
}

/// `TABLE t` as `SELECT * FROM t`, where it begins a query: the parser drops what follows the table.
fn expand_table(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut expanded = Vec::with_capacity(tokens.len());
    let mut begins = true;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let before_name = tokens.peek().is_some_and(|next| matches!(next.token, Token::Word(_)));
        if begins && before_name && keyword(&token) == Keyword::TABLE {
            let span = token.span;
            for word in [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")] {
                expanded.push(TokenWithSpan { token: word, span });
            }
            begins = false;
            continue;
        }
        begins = token.token == Token::LParen
            || matches!(
                keyword(&token),
                Keyword::UNION
                    | Keyword::EXCEPT
                    | Keyword::INTERSECT
                    | Keyword::ALL
                    | Keyword::EXPLAIN
                    | Keyword::ANALYZE
                    | Keyword::VERBOSE
            );
        expanded.push(token);
    }
    expanded
}

fn keyword(token: &TokenWithSpan) -> Keyword {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn writes_what_the_parser_knows() {
        let cases = [
            ("ABORT WORK", "ROLLBACK WORK"),
            ("BEGIN READ ONLY, NOT DEFERRABLE", "BEGIN READ ONLY"),
            ("begin deferrable, read only", "begin read only"),
            (
                "START TRANSACTION ISOLATION LEVEL READ COMMITTED DEFERRABLE",
                "START TRANSACTION ISOLATION LEVEL READ COMMITTED",
            ),
            ("SELECT deferrable FROM t", "SELECT deferrable FROM t"),
            ("TABLE t", "SELECT * FROM t"),
            ("SELECT 1 UNION TABLE t ORDER BY 1", "SELECT 1 UNION SELECT * FROM t ORDER BY 1"),
            ("a IN ((TABLE t))", "a IN ( ( SELECT * FROM t ) )"),
            ("a IN ((SELECT 1), 2)", "a IN ( + ( SELECT 1 ) , 2 )"),
            ("a IN ((SELECT 1) - 1, 2)", "a IN ( + ( SELECT 1 ) - 1 , 2 )"),
            ("a IN (1, (SELECT 1), 2)", "a IN ( 1 , ( SELECT 1 ) , 2 )"),
            ("a IN ((SELECT 1) UNION (SELECT 2))", "a IN ( ( SELECT 1 ) UNION ( SELECT 2 ) )"),
            (
                "(a IN ((SELECT b IN ((SELECT 1), 2)), (1 + 2)))",
                "( a IN ( + ( SELECT b IN ( + ( SELECT 1 ) , 2 ) ) , ( 1 + 2 ) ) )",
            ),
            ("(a, b) IN ((1, 2), (3, 4))", "( a , b ) IN ( ( 1 , 2 ) , ( 3 , 4 ) )"),
        ];
        for (text, expect) in cases {
            let tokens = Tokenizer::new(&super::super::DIALECT, text).tokenize_with_location().unwrap();
            let words =
                respell(tokens).into_iter().map(|token| token.token).filter(|token| *token != Token::EOF);
            assert_eq!(words.map(|token| token.to_string()).collect::<Vec<_>>().join(" "), expect);
        }
    }
}
