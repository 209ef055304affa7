//! JSON of a document's answer, written straight from Arrow.
//!
//! Why can a short document not ask for an endless answer? Lists that nest into each other multiply: a row that is
//! fetched once is written under every row that leads to it. So the objects are counted before the first is
//! written, from the ranges and the ordinals, and bytes and time while writing.

use std::time::Instant;

use async_graphql::Value;

use super::document::{Document, Node, Output, Root};
use super::execute::Level;
use super::plan::needed_columns;
use crate::frontends::cells::{Cells, write_json_string};
use crate::query::{QueryError, QueryErrorKind};

/// Objects of one answer; a document that asks for more is refused.
const MAX_OBJECTS: u64 = 1_000_000;
/// Bytes of one answer; one that grows past it is given up. 64 queries at the same time hold 4 GiB at most.
const MAX_BYTES: usize = 64 << 20;
/// Rows between two looks at the clock.
const ROWS_PER_LOOK: usize = 1_024;

/// The `data` of an answer. `levels` has one for each [`Root::Rows`], in order; `introspection` is the answer to
/// `__schema` and `__type`.
///
/// # Errors
///
/// `Limit` past [`MAX_OBJECTS`], [`MAX_BYTES`] or the deadline.
pub(super) fn write_data(
    document: &Document<'_>,
    levels: &[Level],
    introspection: &Value,
    deadline: Option<Instant>,
) -> Result<String, QueryError> {
    let mut writer = Writer { out: String::new(), deadline, rows: 0 };
    let mut objects = 0u64;
    for level in levels {
        objects += counted(level)?.last().copied().unwrap_or_default();
        check_objects(objects)?;
    }
    let mut levels = levels.iter();
    for (index, root) in document.roots.iter().enumerate() {
        writer.out.push(if index == 0 { '{' } else { ',' });
        match root {
            Root::Typename { key } => {
                writer.out.push_str(&json_key(key));
                writer.out.push_str("\"query_root\"");
            }
            Root::Introspection { key } => {
                writer.out.push_str(&json_key(key));
                let value = match introspection {
                    Value::Object(members) => members.get(key.as_str()),
                    _ => None,
                };
                writer.out.push_str(&value.map_or_else(|| "null".to_owned(), json));
            }
            Root::Rows { key, node, single } => {
                writer.out.push_str(&json_key(key));
                let Some(level) = levels.next() else { continue };
                writer.rows(&parts(node, level), (0, level.rows.num_rows()), *single)?;
            }
        }
    }
    writer.out.push_str(if document.roots.is_empty() { "{}" } else { "}" });
    Ok(writer.out)
}

/// Refuses an answer of more objects than one may have.
pub(super) fn check_objects(objects: u64) -> Result<(), QueryError> {
    if objects <= MAX_OBJECTS {
        return Ok(());
    }
    let message = format!("the answer has more than {MAX_OBJECTS} objects, the most that one may have");
    Err(QueryError::new(QueryErrorKind::Limit, message)
        .with_hint("Narrow the lists with where and limit: lists within lists multiply"))
}

/// Refuses an answer of more bytes than one may have.
pub(super) fn check_bytes(bytes: usize) -> Result<(), QueryError> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    let message = format!("the answer has more than {MAX_BYTES} bytes, the most that one may have");
    Err(QueryError::new(QueryErrorKind::Limit, message).with_hint(
        "Narrow it with where and limit, select fewer fields, or ask in SQL, which answers row by row",
    ))
}

/// Objects of the rows before each row, and last of all of them, what is nested in them included.
fn counted(level: &Level) -> Result<Vec<u64>, QueryError> {
    let mut objects = vec![1u64; level.rows.num_rows()];
    for nested in &level.nested {
        let below = counted(&nested.level)?;
        for (objects, ordinal) in objects.iter_mut().zip(&nested.ordinals) {
            let range = ordinal.map(|ordinal| nested.level.ranges[ordinal as usize]);
            *objects += range.map_or(0, |(start, end)| below[end] - below[start]);
        }
    }
    let mut sum = 0;
    let mut sums = Vec::with_capacity(objects.len() + 1);
    sums.push(0);
    for objects in objects {
        sum += objects;
        // Each row here is written at least once, so what is too much here is too much above.
        check_objects(sum)?;
        sums.push(sum);
    }
    Ok(sums)
}

/// A field of the objects of one node, made ready once for all of them.
enum Part<'a> {
    /// The key with a value that is the same in all.
    Constant(String),
    Column(String, Cells<'a>),
    Rows {
        key: String,
        parts: Vec<Part<'a>>,
        ranges: &'a [(usize, usize)],
        ordinals: &'a [Option<u32>],
        single: bool,
    },
}

fn parts<'a>(node: &Node<'_>, level: &'a Level) -> Vec<Part<'a>> {
    let columns = needed_columns(node);
    let mut nested = level.nested.iter();
    let part = |output: &Output<'_>| match output {
        Output::Typename { key } => {
            let mut constant = json_key(key);
            write_json_string(&node.table.name, &mut constant);
            Some(Part::Constant(constant))
        }
        Output::Column { key, column } => {
            let place = columns.iter().position(|c| c == column)?;
            Some(Part::Column(json_key(key), Cells::new(level.rows.column(place), &level.styles[place])))
        }
        Output::Edge { key, edge, node } => {
            let nested = nested.next()?;
            Some(Part::Rows {
                key: json_key(key),
                parts: parts(node, &nested.level),
                ranges: &nested.level.ranges,
                ordinals: &nested.ordinals,
                single: !edge.many,
            })
        }
    };
    node.outputs.iter().filter_map(part).collect()
}

struct Writer {
    out: String,
    deadline: Option<Instant>,
    rows: usize,
}

impl Writer {
    fn rows(
        &mut self,
        parts: &[Part<'_>],
        (start, end): (usize, usize),
        single: bool,
    ) -> Result<(), QueryError> {
        if single {
            if start < end {
                return self.row(parts, start);
            }
            self.out.push_str("null");
            return Ok(());
        }
        self.out.push('[');
        for row in start..end {
            if row > start {
                self.out.push(',');
            }
            self.row(parts, row)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn row(&mut self, parts: &[Part<'_>], row: usize) -> Result<(), QueryError> {
        self.look()?;
        self.out.push('{');
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            match part {
                Part::Constant(text) => self.out.push_str(text),
                Part::Column(key, cells) => {
                    self.out.push_str(key);
                    cells.write_json(row, &mut self.out);
                }
                Part::Rows { key, parts, ranges, ordinals, single } => {
                    self.out.push_str(key);
                    let range = ordinals[row].map_or((0, 0), |ordinal| ranges[ordinal as usize]);
                    self.rows(parts, range, *single)?;
                }
            }
        }
        self.out.push('}');
        Ok(())
    }

    fn look(&mut self) -> Result<(), QueryError> {
        check_bytes(self.out.len())?;
        self.rows += 1;
        let look = self.rows.is_multiple_of(ROWS_PER_LOOK);
        if look && self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            let message = "the time that the query may take was over while its answer was written";
            return Err(QueryError::new(QueryErrorKind::Limit, message)
                .with_hint("Narrow the lists with where and limit"));
        }
        Ok(())
    }
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// `key` as JSON, with its colon.
fn json_key(key: &str) -> String {
    let mut json = String::with_capacity(key.len() + 3);
    write_json_string(key, &mut json);
    json.push(':');
    json
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
    use datafusion::arrow::datatypes::Schema;

    use super::super::execute::Nested;
    use super::*;

    fn level(rows: usize, ranges: Vec<(usize, usize)>, nested: Vec<Nested>) -> Level {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap();
        Level { rows, styles: Vec::new(), ranges, nested }
    }

    /// Two rows that both lead to the same rows, `levels` times over.
    fn doubling(levels: usize) -> Level {
        let nested =
            (levels > 0).then(|| Nested { level: doubling(levels - 1), ordinals: vec![Some(0), Some(0)] });
        level(2, vec![(0, 2)], nested.into_iter().collect())
    }

    #[test]
    fn objects_are_counted_as_often_as_they_are_written() {
        assert_eq!(counted(&doubling(0)).unwrap(), [0, 1, 2]);
        assert_eq!(counted(&doubling(1)).unwrap(), [0, 3, 6]);
        assert_eq!(counted(&doubling(2)).unwrap(), [0, 7, 14]);
        let error = counted(&doubling(80)).unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::Limit);
        assert!(error.message.contains("1000000 objects"), "{}", error.message);
        let none = Nested { level: level(0, vec![(0, 0)], Vec::new()), ordinals: vec![None, Some(0)] };
        assert_eq!(counted(&level(2, Vec::new(), vec![none])).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn writing_ends_at_the_deadline_and_at_the_bound_of_bytes() {
        let mut writer = Writer { out: String::new(), deadline: Some(Instant::now()), rows: 0 };
        let error = writer.rows(&[], (0, 10_000), false).unwrap_err();
        assert!(error.message.contains("time"), "{}", error.message);
        let mut writer = Writer { out: String::new(), deadline: None, rows: 0 };
        let long = [Part::Constant("x".repeat(1 << 20))];
        let error = writer.rows(&long, (0, 10_000), false).unwrap_err();
        assert!(error.message.contains("67108864 bytes"), "{}", error.message);
    }
}
