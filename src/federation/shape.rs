//! A table's definition as planned and as read.
//!
//! They differ when a table was altered between planning and pinning. A plan may go on where each column it reads
//! is there under the same name with the same type: the rows are then those of the pinned definition. Else it is
//! refused; it never reads a column for another.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use crossweave_contract::{ConnectorError, ErrorKind, TableDef};
use datafusion::common::{Constraint, Constraints, DataFusionError, Result};

/// The planned definition over the one that is read.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    planned: Arc<TableDef>,
    actual: Arc<TableDef>,
    schema: SchemaRef,
    constraints: Constraints,
}

impl Shape {
    pub(super) fn new(planned: Arc<TableDef>, actual: Arc<TableDef>) -> Self {
        Self { schema: planned.schema(), constraints: constraints(&planned), planned, actual }
    }

    /// The planned schema, all columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The definition that is read.
    pub(super) fn actual(&self) -> &Arc<TableDef> {
        &self.actual
    }

    /// Where the planned column `index` is in the definition that is read.
    pub(super) fn column(&self, index: usize) -> Result<usize> {
        if Arc::ptr_eq(&self.planned, &self.actual) || self.planned.columns == self.actual.columns {
            return Ok(index);
        }
        let planned = &self.planned.columns[index];
        let found = self.actual.columns.iter().position(|column| column.name == planned.name);
        let same = found.filter(|&found| {
            let actual = &self.actual.columns[found];
            actual.column_type == planned.column_type && (planned.nullable || !actual.nullable)
        });
        same.ok_or_else(|| {
            let change = if found.is_some() { "has another type" } else { "is not there" };
            self.altered(&format!("column {} {change}", planned.name))
        })
    }

    /// Fails if the key is another one: plans rely on it to tell rows apart.
    pub(super) fn check_key(&self) -> Result<()> {
        let names =
            |def: &TableDef| def.key.iter().map(|&index| def.columns[index].name.clone()).collect::<Vec<_>>();
        if names(&self.planned) == names(&self.actual) {
            return Ok(());
        }
        Err(self.altered("its key is another one"))
    }

    fn altered(&self, how: &str) -> DataFusionError {
        let message = format!("table {} was altered: {how} in what is read", self.planned.id);
        let error = ConnectorError::new(ErrorKind::DefinitionChanged, message);
        DataFusionError::External(Box::new(error.with_fix("Ask again").with_table(self.planned.id.clone())))
    }

    /// The planned key, as far as the engine may rely on it.
    pub(super) fn constraints(&self) -> &Constraints {
        &self.constraints
    }

    /// The planned columns `projection`, all where there is none.
    pub(super) fn projection(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        projection.cloned().unwrap_or_else(|| (0..self.planned.columns.len()).collect())
    }

    /// The planned schema of `projection`.
    pub(super) fn projected(&self, projection: &[usize]) -> Result<SchemaRef> {
        Ok(Arc::new(self.schema.project(projection)?))
    }
}

/// The key of `def`: `GROUP BY id` then gives all columns of a row, as in MariaDB and PostgreSQL. A key with text in
/// it is left out: whether two texts are one is for collations to say, not for bytes. So is one with days: of those that are
/// none, such as 0000-00-00, several may be there, and each is NULL.
pub(super) fn constraints(def: &TableDef) -> Constraints {
    let is_no_key = |&index: &usize| {
        let column_type = &def.columns[index].column_type;
        column_type.collation().is_some() || column_type.may_hold_zero_date()
    };
    if def.key.is_empty() || def.key.iter().any(is_no_key) {
        return Constraints::default();
    }
    Constraints::new_unverified(vec![Constraint::PrimaryKey(def.key.clone())])
}

/// `columns` under `schema`: nullability and metadata are the plan's, the values what was read.
pub(super) fn relabel(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}
