//! EXPLAIN: the routes, the optimised plan and the operators, in which live scans show the statement sent, and why
//! what is computed here is not computed at a source.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crossweave_contract::Consistency;
use datafusion::physical_plan::displayable;
use indexmap::IndexSet;

use super::labels::unmarked;
use super::run::Planned;
use super::{Pinned, QueryError, ServiceRead};
use crate::federation::KeptHere;

/// The columns of what EXPLAIN answers.
pub(super) fn schema() -> SchemaRef {
    let column = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![column("plan_type"), column("plan")]))
}

pub(super) fn explain(pinned: &Pinned, planned: &Planned, verbose: bool) -> Result<RecordBatch, QueryError> {
    let mut rows = vec![("routes", routes(pinned))];
    rows.push(("logical_plan", planned.plan.display_indent().to_string()));
    rows.push(("physical_plan", displayable(&*planned.operators).indent(verbose).to_string()));
    rows.extend(not_pushed_down(&planned.kept_here));
    batch(schema(), &rows)
}

/// What EXPLAIN ANALYZE says beside its operators, with the columns of `schema`.
pub(super) fn notes(
    pinned: &Pinned,
    kept_here: &[KeptHere],
    schema: SchemaRef,
) -> Result<RecordBatch, QueryError> {
    let mut rows = vec![("routes", routes(pinned))];
    rows.extend(not_pushed_down(kept_here));
    batch(schema, &rows)
}

fn routes(pinned: &Pinned) -> String {
    pinned.reads().iter().map(route).collect::<Vec<_>>().join("\n")
}

fn not_pushed_down(kept_here: &[KeptHere]) -> Option<(&'static str, String)> {
    // What a rule asks for several times is one thing to who wrote it.
    let kept: IndexSet<String> =
        kept_here.iter().map(|KeptHere { operator, why }| format!("{operator}: {why}")).collect();
    let kept: Vec<String> = kept.into_iter().collect();
    (!kept.is_empty()).then(|| ("not_pushed_down", kept.join("\n")))
}

fn batch(schema: SchemaRef, rows: &[(&str, String)]) -> Result<RecordBatch, QueryError> {
    let texts = rows.iter().map(|(_, text)| unmarked(text));
    let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|(kind, _)| kind)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    Ok(RecordBatch::try_new(schema, vec![kinds, texts]).map_err(datafusion::common::DataFusionError::from)?)
}

fn route(read: &ServiceRead) -> String {
    let route = read.route.name();
    let position = match (&read.position, read.consistency) {
        (Some(at), _) => format!("position {at}"),
        (None, Consistency::Snapshot) => "no position".to_owned(),
        (None, Consistency::Statement) => "each statement at a position of its own".to_owned(),
    };
    let age = read.age.map_or_else(String::new, |age| format!(", {:.3} s old", age.as_secs_f64()));
    let server = read.server.as_ref().map_or_else(String::new, |server| match read.age {
        Some(_) => format!(", from the replica {server}"),
        None => format!(", from the primary {server}"),
    });
    format!("{}: {route}, {position}{age}{server}", read.service)
}
