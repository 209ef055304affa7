//! How deep a statement nests, as far as its tokens tell: what is deeper is not parsed.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::query::{QueryError, QueryErrorKind};

/// Operators and keywords of one statement that nest into each other.
const MAX_CHAIN: usize = 1_500;
/// Conditions of CASE within each other.
const MAX_CONDITIONS: usize = 5;
/// How deep CASE may nest with parentheses between.
const MAX_ENCLOSED_CASES: usize = 8;
/// How deep tables that are joined in parentheses may nest: the parser reads what is in two of them (`((SELECT …) a JOIN …)`)
/// first as a query and then as a join, so that every further level doubles what it takes.
const MAX_ENCLOSED: usize = 16;

/// Refuses chains that would make a tree deeper than is planned. Each operator or keyword can deepen the tree by
/// one; a comma starts beside what came before it, at the same depth of parentheses.
pub(super) fn check_chains(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let mut depths = vec![0usize];
    let mut total = 0usize;
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => depths.push(0),
            Token::RParen | Token::RBracket | Token::RBrace if depths.len() > 1 => {
                total -= depths.pop().unwrap_or(0);
            }
            Token::Comma => {
                if let Some(depth) = depths.last_mut() {
                    total -= std::mem::take(depth);
                }
            }
            Token::Word(Word { quote_style: None, keyword, .. }) if is_link(*keyword) => {
                deepen(&mut depths, &mut total)
            }
            Token::Word(_)
            | Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::SemiColon
            | Token::EOF => {}
            _ => deepen(&mut depths, &mut total),
        }
        if total > MAX_CHAIN {
            let message = format!("the statement chains more than {MAX_CHAIN} operators");
            let error = QueryError::new(QueryErrorKind::Limit, message);
            return Err(error.with_hint("Use IN or a VALUES list in place of a long chain"));
        }
    }
    Ok(())
}

pub(super) fn check_enclosed(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    use Keyword::{FROM, JOIN, LATERAL};
    let mut enclosed = 0;
    // Of each parenthesis that is open, whether a table may begin within it, and whether it counts.
    let mut open: Vec<(bool, bool)> = Vec::new();
    let mut before: Option<&Token> = None;
    for token in tokens.iter().map(|token| &token.token).filter(|token| !matches!(token, Token::Whitespace(_)))
    {
        match token {
            Token::LParen => {
                let (begins, counts) = match before {
                    Some(Token::Word(word)) => (matches!(word.keyword, FROM | JOIN | LATERAL), false),
                    Some(Token::Comma) => (true, false),
                    Some(Token::LParen) => open.last().map_or((false, false), |(begins, _)| (*begins, *begins)),
                    _ => (false, false),
                };
                enclosed += usize::from(counts);
                open.push((begins, counts));
            }
            Token::RParen => enclosed -= usize::from(open.pop().is_some_and(|(_, counts)| counts)),
            _ => {}
        }
        if enclosed > MAX_ENCLOSED {
            let message = format!("tables in parentheses nest too deeply; {MAX_ENCLOSED} levels are the most");
            let error = QueryError::new(QueryErrorKind::Limit, message);
            return Err(error.with_hint("Leave parentheses out, or name what is in them with WITH"));
        }
        before = Some(token);
    }
    Ok(())
}

/// Refuses CASE that is deep within its own conditions, or, behind THEN and ELSE, within functions and parentheses: of what is there
/// DataFusion asks several times at each level what it is, and whether it may be NULL.
pub(super) fn check_cases(tokens: &[TokenWithSpan]) -> Result<(), QueryError> {
    let (mut conditions, mut enclosed) = (0usize, 0usize);
    // What is open, and of each CASE whether a parenthesis is between it and the one around it.
    let mut open: Vec<Open> = Vec::new();
    for token in tokens {
        match &token.token {
            Token::LParen => {
                let in_case = !matches!(open.last(), None | Some(Open::Parenthesis { in_case: false }));
                open.push(Open::Parenthesis { in_case });
            }
            Token::RParen => {
                while let Some(Open::Case { counts }) = open.pop() {
                    enclosed -= usize::from(counts);
                }
            }
            Token::Word(Word { quote_style: None, keyword, .. }) => match keyword {
                Keyword::CASE => {
                    let counts = open.last() == Some(&Open::Parenthesis { in_case: true });
                    enclosed += usize::from(counts);
                    open.push(Open::Case { counts });
                }
                Keyword::END => {
                    let ended = open.pop_if(|open| matches!(open, Open::Case { .. }));
                    enclosed -= usize::from(ended == Some(Open::Case { counts: true }));
                }
                Keyword::WHEN => conditions += 1,
                Keyword::THEN => conditions = conditions.saturating_sub(1),
                _ => {}
            },
            _ => {}
        }
        if conditions > MAX_CONDITIONS || enclosed > MAX_ENCLOSED_CASES {
            let (most, within) = match conditions > MAX_CONDITIONS {
                true => (MAX_CONDITIONS, "its own conditions"),
                false => (MAX_ENCLOSED_CASES, "functions and parentheses of its own"),
            };
            let message = format!("CASE nests too deeply in {within}; {most} levels are the most");
            let error = QueryError::new(QueryErrorKind::Limit, message);
            return Err(error.with_hint("Write one CASE with more WHENs, or a CASE right behind ELSE"));
        }
    }
    Ok(())
}

/// What is open before a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Whether a CASE is around it.
    Parenthesis {
        in_case: bool,
    },
    Case {
        counts: bool,
    },
}

fn deepen(depths: &mut [usize], total: &mut usize) {
    if let Some(depth) = depths.last_mut() {
        *depth += 1;
        *total += 1;
    }
}

/// Keywords that can stand one after the other and deepen the tree each time. Others are names as well (`name`,
/// `value`), so they are not counted.
fn is_link(keyword: Keyword) -> bool {
    use Keyword::*;
    matches!(
        keyword,
        AND | OR
            | XOR
            | NOT
            | IS
            | NOTNULL
            | IN
            | BETWEEN
            | LIKE
            | ILIKE
            | SIMILAR
            | RLIKE
            | REGEXP
            | OVERLAPS
            | DIV
            | COLLATE
            | AT
            | CASE
            | WHEN
            | JOIN
            | UNION
            | EXCEPT
            | INTERSECT
            | MINUS
            | SELECT
            | INTERVAL
    )
}
