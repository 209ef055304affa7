//! Tables in the terminal.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;

use super::failure::Failure;

/// `rows` under `columns`, aligned, whatever the scripts of the texts.
pub(super) fn format(columns: &[String], rows: &[Vec<String>]) -> Result<String, Failure> {
    if columns.is_empty() {
        return Ok(String::new());
    }
    let fields: Vec<Field> = columns.iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
    let arrays = (0..columns.len()).map(|column| {
        let cells = rows.iter().map(|row| printable(row.get(column).map_or("", String::as_str)));
        Arc::new(StringArray::from_iter_values(cells)) as ArrayRef
    });
    let formatted = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays.collect())
        .and_then(|batch| pretty_format_batches(&[batch]).map(|table| table.to_string()));
    formatted
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(format!("the rows cannot be printed: {error}")))
}

/// `text` without what a terminal would obey: such a character is shown as its code.
fn printable(text: &str) -> Cow<'_, str> {
    let obeyed = |char: char| char.is_control() && !matches!(char, '\n' | '\t');
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = |char: char| if obeyed(char) { format!("\\x{:02X}", u32::from(char)) } else { char.into() };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_a_terminal_obeys_are_shown_as_their_codes() {
        let table = format(&["a".to_owned()], &[vec!["\u{1b}[31mé\r\u{9b}".to_owned()]]);
        assert!(table.unwrap_or_default().contains("| \\x1B[31mé\\x0D\\x9B |"));
    }
}
