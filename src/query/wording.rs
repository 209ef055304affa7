//! What DataFusion and its parser say of a statement, in the words of who wrote it.

use super::{QueryError, QueryErrorKind, Reason};
use crate::catalog::nearest;

/// What MariaDB's users write, and what is written here. Functions are those of DataFusion, which are PostgreSQL's.
const WRITTEN: &[(&str, &str)] = &[
    ("group_concat", "string_agg(x, ',')"),
    ("if", "CASE WHEN condition THEN x ELSE y END"),
    ("isnull", "x IS NULL"),
    ("curdate", "current_date"),
    ("curtime", "current_time"),
    ("sysdate", "now()"),
    ("year", "extract(year FROM x)"),
    ("month", "extract(month FROM x)"),
    ("day", "extract(day FROM x)"),
    ("dayofmonth", "extract(day FROM x)"),
    ("dayofweek", "extract(dow FROM x) + 1"),
    ("dayofyear", "extract(doy FROM x)"),
    ("quarter", "extract(quarter FROM x)"),
    ("hour", "extract(hour FROM x)"),
    ("minute", "extract(minute FROM x)"),
    ("second", "extract(second FROM x)"),
    ("date", "CAST(x AS DATE)"),
    ("unix_timestamp", "extract(epoch FROM x)"),
    ("from_unixtime", "to_timestamp(x)"),
    ("datediff", "CAST(x AS DATE) - CAST(y AS DATE)"),
    ("date_add", "x + INTERVAL '1 day'"),
    ("date_sub", "x - INTERVAL '1 day'"),
    ("std", "stddev_pop(x)"),
    ("variance", "var_pop(x)"),
    ("truncate", "trunc(x, places)"),
    ("locate", "strpos(text, part)"),
    ("instr", "strpos(text, part)"),
    ("ucase", "upper(x)"),
    ("lcase", "lower(x)"),
    ("mid", "substr(x, from, length)"),
    ("database", "a schema's name before each table's"),
];

/// `text`, where it is about something that can be told better.
pub(super) fn reworded(text: &str) -> Option<QueryError> {
    unknown_function(text)
        .or_else(|| ungrouped(text))
        .or_else(|| wrong_arguments(text))
        .or_else(|| not_served(text))
}

/// What the parser says of a word that is no operator, without its own view of it.
pub(super) fn syntax_text(text: &str) -> String {
    let Some(word) = between(text, "No infix parser for token Word(Word { value: \"", "\"") else {
        return text.to_owned();
    };
    let place = text.rfind(" at Line: ").map_or("", |at| &text[at..]);
    format!("{word} is not an operator{place}")
}

/// A hint to a syntax error in `sql`, of which the parser says `text`.
pub(super) fn syntax_hint(sql: &str, text: &str) -> Option<&'static str> {
    if text.contains("found: `") {
        return Some("Names are put between double quotes: \"order\".\"id\"");
    }
    if text.contains("value: \"DIV\"") {
        return Some("The quotient of two whole numbers is whole: x / y");
    }
    let last_limit = sql.to_ascii_uppercase().rfind("LIMIT").map(|at| &sql[at + "LIMIT".len()..]);
    let first = last_limit.and_then(|rest| rest.split_once(',')).map(|(first, _)| first.trim());
    if text.contains("found: ,") && first.is_some_and(|first| first.parse::<u64>().is_ok()) {
        return Some("Where to begin is told by itself: LIMIT 10 OFFSET 20");
    }
    sql.contains('?').then_some("Placeholders are $1, $2, …")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// `Invalid function 'x'.\nDid you mean 'y'?`, where y is any function, however far from x.
fn unknown_function(text: &str) -> Option<QueryError> {
    let name = between(text, "Invalid function '", "'")?;
    let error = QueryError::new(QueryErrorKind::Invalid, format!("function {name} is not there"))
        .because(Reason::UnknownFunction);
    if let Some((_, written)) = WRITTEN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Some(error.with_hint(format!("Write {written}")));
    }
    Some(match between(text, "Did you mean '", "'").and_then(|other| nearest(name, [other])) {
        Some(other) => error.with_hint(format!("Did you mean {other}?")),
        None => error,
    })
}

/// `… must be in GROUP BY or an aggregate function: …, column "t.x" must appear in the GROUP BY clause …`.
fn ungrouped(text: &str) -> Option<QueryError> {
    if !text.contains(" must be in GROUP BY or an aggregate function") {
        return None;
    }
    let column = between(text, "column \"", "\"").or_else(|| between(text, "expression \"", "\""));
    let what = column.unwrap_or("a column");
    let message = format!("{what} is neither grouped by nor aggregated");
    let error = QueryError::new(QueryErrorKind::Invalid, message).because(Reason::Ungrouped);
    Some(error.with_hint("Add it to GROUP BY, or take one of its values, as max(…) does"))
}

/// `… No function matches the given name and argument types 'abs(Date32)'. …`.
fn wrong_arguments(text: &str) -> Option<QueryError> {
    let call = between(text, "the given name and argument types '", "'")?;
    let (name, types) = call.strip_suffix(')')?.split_once('(')?;
    let message = match types {
        "" => format!("{name} needs arguments"),
        types if types.contains(['<', '{', '[']) || types.contains("List(") || types.contains("Struct(") => {
            format!("{name} does not take what it is given")
        }
        types => format!("{name} does not take ({})", words_of_types(types)),
    };
    let error = QueryError::new(QueryErrorKind::Invalid, message);
    Some(error.with_hint("Convert what it is given: CAST(x AS DOUBLE), CAST(x AS VARCHAR), CAST(x AS DATE)"))
}

/// Arrow's names of types, as SQL knows them.
fn words_of_types(types: &str) -> String {
    let mut words = String::new();
    for (index, name) in types.split(", ").enumerate() {
        let known = match name {
            "Utf8" | "Utf8View" | "LargeUtf8" => "text",
            "Binary" | "BinaryView" | "LargeBinary" => "bytes",
            "Int8" | "Int16" | "Int32" | "Int64" => "integer",
            "UInt8" | "UInt16" | "UInt32" | "UInt64" => "unsigned integer",
            "Float32" | "Float64" => "double",
            "Boolean" => "boolean",
            "Date32" | "Date64" => "date",
            "Null" => "NULL",
            name if name.starts_with("Timestamp") => "timestamp",
            name if name.starts_with("Duration") => "time",
            name if name.starts_with("Interval") => "interval",
            name if name.starts_with("Decimal") => "decimal",
            name if name.starts_with("Dictionary") => "text",
            // What is left of a type's own parameters.
            name if name.ends_with(')') && !name.contains('(') => continue,
            name => name,
        };
        if index > 0 {
            words.push_str(", ");
        }
        words.push_str(known);
    }
    words
}

/// `Unsupported ast node in sqltorel: RLike { … }`, and what the parser has read as something else.
fn not_served(text: &str) -> Option<QueryError> {
    if text.starts_with("Substring without for/from") {
        return Some(QueryError::new(QueryErrorKind::Invalid, "substr takes a text and the place to begin at"));
    }
    let node = text.strip_prefix("Unsupported ast node in sqltorel: ")?;
    let name: String = node.chars().take_while(|c| c.is_alphanumeric()).collect();
    let error = QueryError::new(QueryErrorKind::Unsupported, format!("{} is not served", name.to_uppercase()));
    Some(match name.as_str() {
        "RLike" => error.with_hint("Write x ~ 'pattern', or x ~* 'pattern' for any case"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let error = reworded(text).unwrap();
        format!("{} ({})", error.message, error.hint.unwrap_or_default())
    }

    #[test]
    fn nothing_of_the_inside_is_shown() {
        for (text, expected) in [
            (
                "Invalid function 'lenght'.\nDid you mean 'length'?",
                "function lenght is not there (Did you mean length?)",
            ),
            ("Invalid function 'std'.\nDid you mean 'sin'?", "function std is not there (Write stddev_pop(x))"),
            ("Invalid function 'curdat'.\nDid you mean 'to_date'?", "function curdat is not there ()"),
            (
                "Column in SELECT must be in GROUP BY or an aggregate function: While expanding wildcard, column \"l.t.x\" \
                 must appear in the GROUP BY clause or must be part of an aggregate function, currently only \"l.t.g\"",
                "l.t.x is neither grouped by nor aggregated (Add it to GROUP BY, or take one of its values, as max(…) does)",
            ),
        ] {
            assert_eq!(told(text), expected);
        }
        let text = "Function 'abs' user-defined coercion failed with: Error during planning: … No function matches the \
                    given name and argument types 'f(Decimal128(10, 2), Utf8View, Timestamp(µs, \"+00:00\"))'. You …";
        assert!(
            told(text).starts_with("f does not take (decimal, text, timestamp) (Convert"),
            "{}",
            told(text)
        );
        assert!(
            told("Unsupported ast node in sqltorel: RLike { negated: false }")
                .starts_with("RLIKE is not served (Write")
        );
        assert!(reworded("something else").is_none());
    }

    #[test]
    fn what_is_written_in_another_way_is_told() {
        let hint = |sql, text| syntax_hint(sql, text).unwrap_or_default();
        assert!(hint("SELECT `id`", "Expected: an expression, found: ` at Line: 1").contains("double quotes"));
        assert!(hint("SELECT 1 LIMIT 1,2", "Expected: end of statement, found: , at").contains("OFFSET"));
        assert_eq!(hint("SELECT a,,b FROM t LIMIT 1", "Expected: an expression, found: , at"), "");
        assert!(hint("SELECT ?", "Expected: an expression, found: ?").contains("$1"));
        assert_eq!(hint("SELECT", "Expected: an expression, found: EOF"), "");
        let text =
            "No infix parser for token Word(Word { value: \"DIV\", quote_style: None }) at Line: 1, Column: 10";
        assert!(hint("SELECT x DIV 2", text).contains("x / y"));
        assert_eq!(syntax_text(text), "DIV is not an operator at Line: 1, Column: 10");
        assert_eq!(syntax_text("Expected: an expression"), "Expected: an expression");
    }
}
