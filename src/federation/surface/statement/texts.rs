//! What DataFusion reads of texts, but does not do: `CAST(x AS CHAR(n))` takes n characters, and SIMILAR TO has patterns of its own.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, UnaryOperator, Value,
};

use super::conditions::{call, null};
use crate::federation::surface::regexes::{FEW_PATTERNS, REGEX_MATCHES, REGEX_MATCHES_ANY_CASE};
use crate::federation::surface::similar::SIMILAR_REGEX;

/// What `expr` is by functions that do it, if it is one of these.
pub(in crate::federation::surface) fn stands_for(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::Cast { kind, expr, data_type, array: false, format: None } => {
            let length = length(data_type)?;
            let kind = kind.clone();
            let text = std::mem::replace(expr.as_mut(), null());
            let text = cast(kind, text);
            let length = Expr::Value(Value::Number(length.to_string(), false).with_empty_span());
            Some(call("left", vec![text, length]))
        }
        Expr::SimilarTo { negated, expr, pattern, escape_char } => {
            let text = |text: &str| Expr::Value(Value::SingleQuotedString(text.to_owned()).with_empty_span());
            let escape = escape_char.take().map_or_else(|| text("\\"), Expr::Value);
            let is_constant = is_constant(pattern);
            let regex = call(SIMILAR_REGEX, vec![std::mem::replace(pattern.as_mut(), null()), escape]);
            let text = std::mem::replace(expr.as_mut(), null());
            let matches = match is_constant {
                true => Expr::Nested(Box::new(Expr::BinaryOp {
                    left: Box::new(Expr::Nested(Box::new(text))),
                    op: BinaryOperator::PGRegexMatch,
                    right: Box::new(regex),
                })),
                false => call(REGEX_MATCHES, vec![text, regex]),
            };
            Some(not_if(*negated, matches))
        }
        Expr::BinaryOp { left, op, right } => {
            use BinaryOperator::{PGRegexIMatch, PGRegexMatch, PGRegexNotIMatch, PGRegexNotMatch};
            let (function, negated) = match op {
                PGRegexMatch => (REGEX_MATCHES, false),
                PGRegexNotMatch => (REGEX_MATCHES, true),
                PGRegexIMatch => (REGEX_MATCHES_ANY_CASE, false),
                PGRegexNotIMatch => (REGEX_MATCHES_ANY_CASE, true),
                _ => return None,
            };
            if is_constant(right) {
                return None;
            }
            let sides = [left, right].map(|side| std::mem::replace(side.as_mut(), null()));
            Some(not_if(negated, call(function, sides.into())))
        }
        Expr::Function(function) => {
            bound_pattern(function);
            None
        }
        _ => None,
    }
}

/// Bounds the patterns of DataFusion's functions of regular expressions where each row has its own.
fn bound_pattern(function: &mut Function) {
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_lowercase());
    if !name.is_some_and(|name| name.starts_with("regexp_")) {
        return;
    }
    let FunctionArguments::List(list) = &mut function.args else { return };
    if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))) = list.args.get_mut(1)
        && !is_constant(pattern)
    {
        *pattern = call(FEW_PATTERNS, vec![std::mem::replace(pattern, null())]);
    }
}

/// Whether a pattern is the same in all rows.
fn is_constant(pattern: &Expr) -> bool {
    match pattern {
        Expr::Nested(inner) => is_constant(inner),
        pattern => matches!(pattern, Expr::Value(_)),
    }
}

fn not_if(negated: bool, condition: Expr) -> Expr {
    match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(condition) },
        false => condition,
    }
}

fn cast(kind: CastKind, expr: Expr) -> Expr {
    Expr::Cast { kind, expr: Box::new(expr), data_type: DataType::Varchar(None), array: false, format: None }
}

/// How many characters `data_type`, of a text, has.
fn length(data_type: &DataType) -> Option<u64> {
    let (DataType::Char(length)
    | DataType::Character(length)
    | DataType::Varchar(length)
    | DataType::CharVarying(length)
    | DataType::CharacterVarying(length)
    | DataType::Nvarchar(length)) = data_type
    else {
        return None;
    };
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(*length),
        // CHAR alone is of one character in PostgreSQL, and of all in MariaDB: it is read as VARCHAR.
        Some(CharacterLength::Max) | None => None,
    }
}
