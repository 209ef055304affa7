//! A table before its route is settled.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use crossweave_contract::{TableDef, TableId};
use datafusion::common::Constraints;
use datafusion::logical_expr::{TableSource, TableType};

use super::shape::constraints;

/// What planning knows of a table: its definition. It takes no filters and cannot be read: a plan that still
/// holds one when it is turned into operators fails.
#[derive(Debug)]
pub struct UnboundTable {
    def: Arc<TableDef>,
    schema: SchemaRef,
    constraints: Constraints,
}

impl UnboundTable {
    /// The table as `def` has it.
    pub fn new(def: Arc<TableDef>) -> Self {
        Self { schema: def.schema(), constraints: constraints(&def), def }
    }

    /// Which table.
    pub fn id(&self) -> &TableId {
        &self.def.id
    }

    /// The definition that plans over it were made with.
    pub fn def(&self) -> &Arc<TableDef> {
        &self.def
    }
}

impl TableSource for UnboundTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn constraints(&self) -> Option<&Constraints> {
        Some(&self.constraints)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }
}
