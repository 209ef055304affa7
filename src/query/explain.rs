//! EXPLAIN: the routes, the optimised plan and the operators, in which live scans show the statement sent, and why
//! what is computed here is not computed at a source.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crossweave_contract::Consistency;
use datafusion::physical_plan::displayable;

use super::run::Planned;
use super::{Pinned, QueryError, ServiceRead};
use crate::federation::KeptHere;

/// The columns of what EXPLAIN answers.
pub(super) fn schema() -> SchemaRef {
    let column = |name| Field::new(name, DataType::Utf8, false);
    Arc::new(Schema::new(vec![column("plan_type"), column("plan")]))
}

pub(super) fn explain(pinned: &Pinned, planned: &Planned, verbose: bool) -> Result<RecordBatch, QueryError> {
    let routes: Vec<String> = pinned.reads().iter().map(route).collect();
    let mut rows = vec![("routes", routes.join("\n"))];
    rows.push(("logical_plan", planned.plan.display_indent().to_string()));
    rows.push(("physical_plan", displayable(&*planned.operators).indent(verbose).to_string()));
    let kept: Vec<String> =
        planned.kept_here.iter().map(|KeptHere { operator, why }| format!("{operator}: {why}")).collect();
    if !kept.is_empty() {
        rows.push(("not_pushed_down", kept.join("\n")));
    }
    let kinds: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|(kind, _)| kind)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, text)| text)));
    Ok(RecordBatch::try_new(schema(), vec![kinds, texts]).map_err(datafusion::common::DataFusionError::from)?)
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
