//! JSON of a document's answer, written straight from Arrow.

use async_graphql::Value;

use super::document::{Document, Node, Output, Root};
use super::execute::Level;
use super::plan::needed_columns;
use crate::frontends::cells::{Cells, write_json_string};

/// The `data` of an answer. `levels` has one for each [`Root::Rows`], in order; `introspection` is the answer to
/// `__schema` and `__type`.
pub(super) fn write_data(document: &Document<'_>, levels: &[Level], introspection: &Value, out: &mut String) {
    let mut levels = levels.iter();
    out.push('{');
    for (index, root) in document.roots.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match root {
            Root::Typename { key } => {
                write_key(key, out);
                out.push_str("\"query_root\"");
            }
            Root::Introspection { key } => {
                write_key(key, out);
                let value = match introspection {
                    Value::Object(members) => members.get(key.as_str()),
                    _ => None,
                };
                out.push_str(&value.map_or_else(|| "null".to_owned(), json));
            }
            Root::Rows { key, node, single } => {
                write_key(key, out);
                let Some(level) = levels.next() else { continue };
                write_rows(node, level, (0, level.rows.num_rows()), *single, out);
            }
        }
    }
    out.push('}');
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

fn write_rows(node: &Node<'_>, level: &Level, range: (usize, usize), single: bool, out: &mut String) {
    if single {
        if range.0 == range.1 {
            out.push_str("null");
        } else {
            write_row(node, level, range.0, out);
        }
        return;
    }
    out.push('[');
    for row in range.0..range.1 {
        if row > range.0 {
            out.push(',');
        }
        write_row(node, level, row, out);
    }
    out.push(']');
}

fn write_row(node: &Node<'_>, level: &Level, row: usize, out: &mut String) {
    let columns = needed_columns(node);
    let mut nested = level.nested.iter();
    out.push('{');
    for (index, output) in node.outputs.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match output {
            Output::Typename { key } => {
                write_key(key, out);
                write_json_string(&node.table.name, out);
            }
            Output::Column { key, column } => {
                write_key(key, out);
                let place = columns.iter().position(|c| c == column).unwrap_or_default();
                Cells::new(level.rows.column(place), &level.styles[place]).write_json(row, out);
            }
            Output::Edge { key, edge, node } => {
                write_key(key, out);
                let Some(nested) = nested.next() else { continue };
                let ordinal = nested.ordinals[row];
                let range = ordinal.map_or((0, 0), |ordinal| nested.level.ranges[ordinal as usize]);
                write_rows(node, &nested.level, range, !edge.many, out);
            }
        }
    }
    out.push('}');
}

fn write_key(key: &str, out: &mut String) {
    write_json_string(key, out);
    out.push(':');
}
