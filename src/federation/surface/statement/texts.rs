//! What DataFusion reads of texts, but does not do: `CAST(x AS CHAR(n))` takes n characters, and SIMILAR TO has patterns of its own.

use datafusion::sql::sqlparser::ast::{BinaryOperator, CastKind, CharacterLength, DataType, Expr, Value};

use super::conditions::{call, null};
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
            let regex = call(SIMILAR_REGEX, vec![std::mem::replace(pattern.as_mut(), null()), escape]);
            let text = std::mem::replace(expr.as_mut(), null());
            let matches = Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(text))),
                op: if *negated { BinaryOperator::PGRegexNotMatch } else { BinaryOperator::PGRegexMatch },
                right: Box::new(regex),
            };
            Some(Expr::Nested(Box::new(matches)))
        }
        _ => None,
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
