//! What DataFusion reads of texts, but does not do: `CAST(x AS CHAR(n))` takes n characters, and SIMILAR TO has patterns of its own.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, Expr, UnaryOperator, Value,
};

use super::conditions::{call, null};

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
            let escape = match escape_char.as_ref().map(|escape| &escape.value) {
                None => Some('\\'),
                Some(Value::SingleQuotedString(text)) => {
                    let mut chars = text.chars();
                    match (chars.next(), chars.next()) {
                        (escape, None) => escape,
                        _ => return None,
                    }
                }
                Some(_) => return None,
            };
            let Expr::Value(value) = pattern.as_ref() else { return None };
            let Value::SingleQuotedString(pattern) = &value.value else { return None };
            let regex = Value::SingleQuotedString(regex(pattern, escape)).with_empty_span();
            let matches = Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(std::mem::replace(expr.as_mut(), null())))),
                op: BinaryOperator::PGRegexMatch,
                right: Box::new(Expr::Value(regex)),
            };
            let matches = Expr::Nested(Box::new(matches));
            Some(match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(matches) },
                false => matches,
            })
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

/// The regular expression of `pattern`, which is one of SQL's: `%` and `_` stand for any text and any character, a point, `^` and
/// `$` for themselves, and the whole has to match.
fn regex(pattern: &str, escape: Option<char>) -> String {
    let mut regex = "(?s)^(?:".to_owned();
    let mut chars = pattern.chars();
    let mut in_brackets = false;
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => {
                if let Some(c) = chars.next() {
                    if !c.is_alphanumeric() {
                        regex.push('\\');
                    }
                    regex.push(c);
                }
            }
            '[' | ']' => {
                in_brackets = c == '[';
                regex.push(c);
            }
            c if in_brackets => regex.push(c),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '.' | '^' | '$' | '\\' => {
                regex.push('\\');
                regex.push(c);
            }
            c => regex.push(c),
        }
    }
    regex.push_str(")$");
    regex
}

#[cfg(test)]
mod tests {
    use super::regex;

    #[test]
    fn patterns_of_sql_are_no_regular_expressions() {
        for (pattern, expected) in [
            ("a%", "(?s)^(?:a.*)$"),
            ("_b|c.d", "(?s)^(?:.b|c\\.d)$"),
            ("\\%[%_a-c]+", "(?s)^(?:\\%[%_a-c]+)$"),
            ("a\\\\b^$", "(?s)^(?:a\\\\b\\^\\$)$"),
        ] {
            assert_eq!(regex(pattern, Some('\\')), expected, "{pattern}");
        }
        assert_eq!(regex("a!%\\", Some('!')), "(?s)^(?:a\\%\\\\)$");
    }
}
