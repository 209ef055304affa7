//! Answers as text, and whether two are the same.

use mysql_async::{Row, Value as MyValue};
use serde_json::Value;

use super::queries::Query;

/// The rows of an answer, their values as text: NULL, or numbers without the zeros that do not count, or as they are.
pub(super) type Rows = Vec<Vec<String>>;

/// How far about equal numbers may be from each other.
const ABOUT: f64 = 0.000_1;

/// What a MariaDB gave, by the text protocol.
pub(super) fn of_mariadb(rows: Vec<Row>) -> Rows {
    let text = |value: MyValue| match value {
        MyValue::NULL => "NULL".to_owned(),
        MyValue::Bytes(bytes) => plain(&String::from_utf8_lossy(&bytes)),
        other => plain(other.as_sql(true).trim_matches('\'')),
    };
    rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect()
}

/// What Crossweave gave, as JSON.
pub(super) fn of_json(rows: Vec<Vec<Value>>) -> Rows {
    let text = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => plain(&text),
        other => plain(&other.to_string()),
    };
    rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}

fn plain(text: &str) -> String {
    let number = text.strip_prefix('-').unwrap_or(text);
    let is_fraction = number.contains('.') && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match is_fraction {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

/// Where `found` is another answer than `expected`; none where it is not.
pub(super) fn difference(query: &Query, expected: &Rows, found: &Rows) -> Option<String> {
    if expected.len() != found.len() {
        return Some(format!("{} rows, expected {}", found.len(), expected.len()));
    }
    let differing = |expected: &Rows, found: &Rows| {
        expected.iter().zip(found).position(|(expected, found)| !same_row(query, expected, found))
    };
    let at = differing(expected, found)?;
    let (mut left, mut right) = (expected.clone(), found.clone());
    left.sort();
    right.sort();
    Some(match differing(&left, &right) {
        None => format!("row {} in another order: {:?}, expected {:?}", at + 1, found[at], expected[at]),
        Some(_) => format!("row {} is {:?}, expected {:?}", at + 1, found[at], expected[at]),
    })
}

fn same_row(query: &Query, expected: &[String], found: &[String]) -> bool {
    let same = |(column, (expected, found)): (usize, (&String, &String))| {
        expected == found || query.about.contains(&column) && about_equal(expected, found)
    };
    expected.len() == found.len() && expected.iter().zip(found).enumerate().all(same)
}

fn about_equal(left: &str, right: &str) -> bool {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => (left - right).abs() <= ABOUT,
        _ => false,
    }
}
