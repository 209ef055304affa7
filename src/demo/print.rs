//! What the demo writes on the terminal.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::client::Answer;
use super::error::{DemoError, Result};

/// How many rows of an answer are shown.
const ROWS: usize = 10;

/// The widest a column gets, in terminal cells.
const WIDEST: usize = 32;

/// Writes one line on standard output.
///
/// # Errors
/// When it is closed.
pub(super) fn line(text: impl AsRef<str>) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", text.as_ref())
        .and_then(|()| out.flush())
        .map_err(|e| DemoError::io("write to standard output", e))
}

/// A heading.
pub(super) fn heading(text: &str) -> Result<()> {
    line(format!("\n── {text} {}", "─".repeat(76usize.saturating_sub(text.width()))))
}

/// A text of several lines, each indented.
pub(super) fn indented(text: &str) -> Result<()> {
    text.lines().try_for_each(|one| line(format!("    {one}")))
}

/// A time as it is read best.
pub(super) fn time(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 10.0 { format!("{millis:.1} ms") } else { format!("{millis:.0} ms") }
}

/// An answer as a table, its first rows.
pub(super) fn table(answer: &Answer) -> String {
    let names = answer.columns.iter().map(|column| column.name.clone()).collect();
    let shown = answer.rows.iter().take(ROWS).map(|row| row.iter().map(cell).collect());
    let lines: Vec<Vec<String>> = std::iter::once(names).chain(shown).collect();
    let widths: Vec<usize> = (0..answer.columns.len())
        .map(|at| lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.width()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for (number, cells) in lines.iter().enumerate() {
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!(" {cell}{} ", " ".repeat(width.saturating_sub(cell.width()))));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
            text.push_str(&format!("{}\n", rules.concat()));
        }
    }
    match answer.rows.len() {
        0 => text.push_str(" (no rows)\n"),
        count if count > ROWS => text.push_str(&format!(" … and {} more rows\n", count - ROWS)),
        _ => {}
    }
    text
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.replace('\n', "↵"),
        other => other.to_string(),
    };
    if text.width() <= WIDEST {
        return text;
    }
    let mut short = String::new();
    for c in text.chars() {
        if short.width() + 3 > WIDEST {
            break;
        }
        short.push(c);
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::demo::client::AnswerColumn;

    #[test]
    fn a_table_is_aligned_whatever_the_script() {
        let column = |name: &str| AnswerColumn { name: name.to_owned(), data_type: "text".to_owned() };
        let answer = Answer {
            columns: vec![column("name"), column("n")],
            rows: vec![vec![json!("佐藤蓮"), json!(1)], vec![json!("Zoë"), json!(null)]],
            reads: BTreeMap::new(),
        };
        assert_eq!(table(&answer), " name    n\n──────────────\n 佐藤蓮  1\n Zoë     NULL\n");
    }

    #[test]
    fn long_answers_are_cut_and_say_so() {
        let answer = Answer {
            columns: vec![AnswerColumn { name: "x".to_owned(), data_type: "text".to_owned() }],
            rows: (0..12).map(|_| vec![json!("a".repeat(100))]).collect(),
            reads: BTreeMap::new(),
        };
        let text = table(&answer);
        assert_eq!(text.lines().count(), 2 + ROWS + 1);
        assert!(text.ends_with(" … and 2 more rows\n"), "{text}");
        assert!(text.lines().all(|line| line.width() <= WIDEST + 2), "{text}");
    }
}
