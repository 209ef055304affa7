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
    ("percentile_disc", "percentile_cont(y) WITHIN GROUP (ORDER BY x), which may lie between two values"),
    ("locate", "strpos(text, part)"),
    ("instr", "strpos(text, part)"),
    ("ucase", "upper(x)"),
    ("lcase", "lower(x)"),
    ("mid", "substr(x, from, length)"),
    ("database", "a schema's name before each table's"),
    ("row_number", "row_number() OVER (ORDER BY x)"),
    ("rank", "rank() OVER (ORDER BY x)"),
    ("dense_rank", "dense_rank() OVER (ORDER BY x)"),
    ("percent_rank", "percent_rank() OVER (ORDER BY x)"),
    ("cume_dist", "cume_dist() OVER (ORDER BY x)"),
    ("ntile", "ntile(n) OVER (ORDER BY x)"),
    ("lag", "lag(x) OVER (ORDER BY y)"),
    ("lead", "lead(x) OVER (ORDER BY y)"),
];

/// `text`, where it is about something that can be told better.
pub(super) fn reworded(text: &str) -> Option<QueryError> {
    unknown_function(text)
        .or_else(|| ungrouped(text))
        .or_else(|| wrong_arguments(text))
        .or_else(|| unmatched_arguments(text))
        .or_else(|| wrong_operands(text))
        .or_else(|| several_rows(text))
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
        types => format!("{name} does not take ({})", plainly(types)),
    };
    Some(not_taken(message))
}

/// `Function 'md5' failed to match any signature, errors: … requires String, but received Int64 (DataType: Int64)., …`,
/// which DataFusion takes for a fault of its own.
fn unmatched_arguments(text: &str) -> Option<QueryError> {
    // In ORDER BY the same is said once more before it.
    let (before, _) = text.split_once("' failed to match any signature")?;
    let (_, name) = before.rsplit_once("Function '")?;
    let given = between(text, " (DataType: ", ").")
        .map_or("what".to_owned(), |given| format!("{}, which", plainly(given)));
    Some(not_taken(format!("{name} was given {given} it does not take")))
}

/// `Cannot infer common argument type for regex operation Int32 ~ Utf8`.
fn wrong_operands(text: &str) -> Option<QueryError> {
    let (_, operation) = text.split_once("Cannot infer common argument type for regex operation ")?;
    let operation = operation.lines().next()?;
    let operators = ["~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*"];
    let (operator, (left, right)) = operators
        .iter()
        .find_map(|operator| Some((operator, operation.split_once(&format!(" {operator} "))?)))?;
    let (left, right) = (plainly(left), plainly(right));
    Some(not_taken(format!("{operator} takes texts, not ({left}, {right})")))
}

fn not_taken(message: String) -> QueryError {
    QueryError::new(QueryErrorKind::Invalid, message)
        .because(Reason::UnknownFunction)
        .with_hint("Convert what it is given: CAST(x AS DOUBLE), AS VARCHAR, AS DATE or AS BOOLEAN")
}

/// `text`, in which types are called as in SQL, and literals written as there: `Int64(1)` is 1.
pub(super) fn plainly(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        plain.push_str(before);
        let Some(name) = name_of_type(word) else {
            plain.push_str(word);
            rest = after;
            continue;
        };
        let (inner, after) = parenthesised(after).unwrap_or(("", after));
        match (word, inner) {
            (_, "") => plain.push_str(name),
            // What a type is of is left out, a literal's value is not.
            ("Timestamp" | "Duration" | "Interval" | "Dictionary" | "List" | "Struct", _) => {
                plain.push_str(name)
            }
            (decimal, inner) if decimal.starts_with("Decimal") && !inner.starts_with("Some") => {
                plain.push_str(&format!("{name}({inner})"));
            }
            (_, inner) => plain.push_str(&inner.replace('"', "'")),
        }
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// SQL's name of Arrow's type `word`.
fn name_of_type(word: &str) -> Option<&'static str> {
    Some(match word {
        "Utf8" | "Utf8View" | "LargeUtf8" | "Dictionary" => "text",
        "Binary" | "BinaryView" | "LargeBinary" => "bytes",
        "Int8" | "Int16" | "Int32" | "Int64" => "integer",
        "UInt8" | "UInt16" | "UInt32" | "UInt64" => "unsigned integer",
        "Float32" | "Float64" => "double",
        "Boolean" => "boolean",
        "Date32" | "Date64" => "date",
        "Timestamp" => "timestamp",
        "Duration" => "time",
        "Interval" => "interval",
        "Decimal128" | "Decimal256" => "decimal",
        "List" => "list",
        "Struct" => "row",
        _ => return None,
    })
}

/// What stands between parentheses at the beginning of `text`, and what comes after them.
fn parenthesised(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some((&text[1..at], &text[at + 1..])),
            ')' => depth -= 1,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Who asked for memory that there is not, in `text`, DataFusion's list of who has how much.
pub(super) fn memory_is_short(text: &str) -> String {
    let asked = between(text, "allocation failed for ", " with").or_else(|| {
        let (_, rest) = text.split_once("Failed to allocate additional ")?;
        between(rest, " for ", " with")
    });
    let Some(asked) = asked else { return plainly(text) };
    let who = match asked.split('[').next().unwrap_or(asked) {
        "ExternalSorter" | "ExternalSorterMerge" | "SortPreservingMergeExec" => "a sort",
        "TopK" => "ORDER BY with LIMIT",
        name if name.contains("Aggregate") || name.contains("Group") => "GROUP BY or DISTINCT",
        name if name.contains("Join") => "a join",
        name => name,
    };
    format!("memory is short: {who} needs more than is left")
}

/// Of a subquery that stands for a value.
fn several_rows(text: &str) -> Option<QueryError> {
    text.contains("Scalar subquery returned more than one row").then(|| {
        QueryError::new(QueryErrorKind::Invalid, "a subquery that stands for a value has more than one row")
            .with_hint("Aggregate what it selects, as max(x), or compare all of a key within")
    })
}

/// `Unsupported ast node in sqltorel: RLike { … }`, and what the parser has read as something else.
fn not_served(text: &str) -> Option<QueryError> {
    if text.starts_with("Substring without for/from") {
        return Some(QueryError::new(QueryErrorKind::Invalid, "substr takes a text and the place to begin at"));
    }
    if let Some(name) = text.strip_prefix("Unsupported SQL type ") {
        let error = QueryError::new(QueryErrorKind::Unsupported, format!("type {name} is not there"));
        return Some(match name.split(' ').next() {
            Some("SIGNED") => error.with_hint("Write CAST(x AS BIGINT)"),
            Some("UNSIGNED") => error.with_hint("Write CAST(x AS BIGINT UNSIGNED)"),
            _ => error,
        });
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
            (
                "Unsupported SQL type SIGNED INTEGER",
                "type SIGNED INTEGER is not there (Write CAST(x AS BIGINT))",
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
            told(text).starts_with("f does not take (decimal(10, 2), text, timestamp) (Convert"),
            "{}",
            told(text)
        );
        assert!(
            told("Unsupported ast node in sqltorel: RLike { negated: false }")
                .starts_with("RLIKE is not served (Write")
        );
        let text = "Cannot infer common argument type for regex operation Timestamp(µs, \"+00:00\") !~* Decimal128(10, 2)";
        assert!(told(text).starts_with("!~* takes texts, not (timestamp, decimal(10, 2)) (Convert"));
        assert!(reworded("something else").is_none());
    }

    #[test]
    fn types_and_literals_are_called_as_in_sql() {
        for (text, expected) in [
            ("Boolean = Dictionary(UInt16, Utf8)", "boolean = text"),
            ("Utf8View + Int64 to valid types", "text + integer to valid types"),
            ("predicate 'Int64(1)' of Utf8(\"x\")", "predicate '1' of 'x'"),
            ("column Int64s of my_Utf8", "column Int64s of my_Utf8"),
            ("Decimal128(10, 2) and Decimal128(Some(15),2,1)", "decimal(10, 2) and Some(15),2,1"),
        ] {
            assert_eq!(plainly(text), expected);
        }
        let text = "Failed to allocate additional 244.8 MB for TopK[0] with 0.0 B already allocated";
        assert_eq!(memory_is_short(text), "memory is short: ORDER BY with LIMIT needs more than is left");
        let text = "Additional allocation failed for rows on their way to the client with top memory consumers";
        assert!(memory_is_short(text).contains("rows on their way to the client"));
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
