//! The four forms of an answer, piece by piece.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt64Array, make_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use serde_json::json;

use super::accept::Format;
use super::error_json;
use crate::frontends::cells::{Cells, Style, type_name, write_json_string};
use crate::query::QueryError;

/// Writes an answer: [`start`](Self::start), rows, then [`end`](Self::end) or [`fail`](Self::fail).
pub(super) trait Writer: Send {
    /// What comes before the rows.
    fn start(&mut self) -> Result<Vec<u8>, ArrowError>;
    /// The rows of `batch`.
    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError>;
    /// What comes after the rows.
    fn end(&mut self) -> Result<Vec<u8>, ArrowError>;
    /// What comes in place of the rest, saying `error`; `None` if the form cannot say it.
    fn fail(&mut self, error: &QueryError) -> Option<Vec<u8>>;
}

/// The writer of `format` for rows of `schema`.
pub(super) fn writer(format: Format, schema: SchemaRef) -> Result<Box<dyn Writer>, ArrowError> {
    let styles = schema.fields().iter().map(|field| Style::of(field)).collect();
    Ok(match format {
        Format::Json => Box::new(JsonWriter { schema, styles, first: true }),
        Format::NdJson => Box::new(NdJsonWriter { members: members(&schema), styles }),
        Format::Csv => Box::new(CsvWriter { schema, styles }),
        Format::Arrow => Box::new(ArrowWriter(StreamWriter::try_new(Vec::new(), &schema)?)),
    })
}

fn cells<'a>(batch: &'a RecordBatch, styles: &'a [Style]) -> Vec<Cells<'a>> {
    batch.columns().iter().zip(styles).map(|(array, style)| Cells::new(array, style)).collect()
}

struct JsonWriter {
    schema: SchemaRef,
    styles: Vec<Style>,
    first: bool,
}

impl Writer for JsonWriter {
    fn start(&mut self) -> Result<Vec<u8>, ArrowError> {
        let column =
            |field: &arrow::datatypes::FieldRef| json!({ "name": field.name(), "type": type_name(field) });
        let columns: Vec<_> = self.schema.fields().iter().map(column).collect();
        Ok(format!("{{\"columns\":{},\"rows\":[", json!(columns)).into_bytes())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let cells = cells(batch, &self.styles);
        let mut out = String::new();
        for row in 0..batch.num_rows() {
            out.push_str(if self.first { "\n[" } else { ",\n[" });
            self.first = false;
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                cell.write_json(row, &mut out);
            }
            out.push(']');
        }
        Ok(out.into_bytes())
    }

    fn end(&mut self) -> Result<Vec<u8>, ArrowError> {
        Ok(b"]}\n".to_vec())
    }

    fn fail(&mut self, error: &QueryError) -> Option<Vec<u8>> {
        Some(format!("],\"error\":{}}}\n", error_json(error)).into_bytes())
    }
}

/// The members' names as JSON with their colons. A name that occurs again is numbered, for an object has
/// each once.
fn members(schema: &Schema) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let taken =
            |name: &String| names.contains(name) || schema.fields().iter().any(|other| other.name() == name);
        let name = if names.contains(field.name()) {
            (2..)
                .map(|number| format!("{}_{number}", field.name()))
                .find(|name| !taken(name))
                .unwrap_or_default()
        } else {
            field.name().clone()
        };
        names.push(name);
    }
    let quoted = names.iter().map(|name| {
        let mut out = String::new();
        write_json_string(name, &mut out);
        out.push(':');
        out
    });
    quoted.collect()
}

struct NdJsonWriter {
    members: Vec<String>,
    styles: Vec<Style>,
}

impl Writer for NdJsonWriter {
    fn start(&mut self) -> Result<Vec<u8>, ArrowError> {
        Ok(Vec::new())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let cells = cells(batch, &self.styles);
        let mut out = String::new();
        for row in 0..batch.num_rows() {
            out.push('{');
            for (index, (cell, member)) in cells.iter().zip(&self.members).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(member);
                cell.write_json(row, &mut out);
            }
            out.push_str("}\n");
        }
        Ok(out.into_bytes())
    }

    fn end(&mut self) -> Result<Vec<u8>, ArrowError> {
        Ok(Vec::new())
    }

    fn fail(&mut self, error: &QueryError) -> Option<Vec<u8>> {
        Some(format!("{}\n", json!({ "error": error_json(error) })).into_bytes())
    }
}

struct CsvWriter {
    schema: SchemaRef,
    styles: Vec<Style>,
}

impl Writer for CsvWriter {
    fn start(&mut self) -> Result<Vec<u8>, ArrowError> {
        let mut out = String::new();
        for (index, field) in self.schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_csv(field.name(), &mut out);
        }
        out.push_str("\r\n");
        Ok(out.into_bytes())
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let cells = cells(batch, &self.styles);
        let mut out = String::new();
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (index, cell) in cells.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                if !cell.is_null(row) {
                    text.clear();
                    cell.write_text(row, &mut text);
                    write_csv(&text, &mut out);
                }
            }
            out.push_str("\r\n");
        }
        Ok(out.into_bytes())
    }

    fn end(&mut self) -> Result<Vec<u8>, ArrowError> {
        Ok(Vec::new())
    }

    fn fail(&mut self, _: &QueryError) -> Option<Vec<u8>> {
        None
    }
}

fn write_csv(text: &str, out: &mut String) {
    if text.is_empty() || text.contains([',', '"', '\r', '\n']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

struct ArrowWriter(StreamWriter<Vec<u8>>);

/// `array` with no more text than its own. Views of a part of a table hold on to the texts of the whole, and an
/// Arrow stream would send them all: too much, and not the client's to see.
fn compacted(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        flat if !flat.is_nested() => Arc::clone(array),
        _ => {
            // What is taken has children of its own rows alone.
            let rows = UInt64Array::from_iter_values(0..array.len() as u64);
            let own = take(array, &rows, None)?.to_data();
            let children =
                own.child_data().iter().map(|child| Ok(compacted(&make_array(child.clone()))?.to_data()));
            let children = children.collect::<Result<Vec<_>, ArrowError>>()?;
            make_array(own.into_builder().child_data(children).build()?)
        }
    })
}

impl Writer for ArrowWriter {
    fn start(&mut self) -> Result<Vec<u8>, ArrowError> {
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        let columns = batch.columns().iter().map(compacted).collect::<Result<Vec<_>, _>>()?;
        self.0.write(&RecordBatch::try_new(batch.schema(), columns)?)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn end(&mut self) -> Result<Vec<u8>, ArrowError> {
        self.0.finish()?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    fn fail(&mut self, _: &QueryError) -> Option<Vec<u8>> {
        None
    }
}
