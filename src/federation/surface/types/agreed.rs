//! What the columns of a union, or of a recursion, are said to be.
//!
//! Its parts may come of columns of different types. DataFusion takes what is said of the last, but of the first once
//! it plans operators, and then finds that the two differ. So all parts are told the same.

use std::collections::HashMap;
use std::sync::Arc;

use crossweave_contract::{COLUMN_TYPE_METADATA, ColumnType, column_type_of};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

use crate::federation::collation::is_text;

/// `inputs` of a union, or the terms of a recursion, which say the same of each column but the texts: these are the collation rule's.
pub(in crate::federation::surface) fn agreed(inputs: Vec<Arc<LogicalPlan>>) -> Result<Vec<Arc<LogicalPlan>>> {
    let width = inputs.iter().map(|input| input.schema().fields().len()).min().unwrap_or(0);
    let met: Vec<Option<ColumnType>> = (0..width)
        .map(|index| {
            let fields = inputs.iter().map(|input| input.schema().field(index));
            if fields.clone().any(|field| is_text(field.data_type())) {
                return None;
            }
            let values = fields.filter(|field| !field.data_type().is_null());
            let types: Vec<_> = values.map(|field| column_type_of(field)).collect();
            if types.windows(2).all(|pair| pair[0] == pair[1]) { None } else { meeting(types) }
        })
        .collect();
    if met.iter().all(Option::is_none) {
        return Ok(inputs);
    }
    inputs.into_iter().map(|input| Ok(Arc::new(told(input, &met)?))).collect()
}

/// What is true of values of all `types`; none is that of an expression.
fn meeting(types: Vec<Option<ColumnType>>) -> Option<ColumnType> {
    let digits = |of: &Option<ColumnType>| match of {
        Some(ColumnType::DateTime { fsp } | ColumnType::Timestamp { fsp } | ColumnType::Time { fsp }) => *fsp,
        Some(ColumnType::Date) => 0,
        _ => 6,
    };
    let most = types.iter().map(digits).max().unwrap_or(6);
    // A year among numbers is a number.
    let last = types.into_iter().rev().flatten().find(|of| *of != ColumnType::Year);
    Some(match last {
        Some(ColumnType::DateTime { .. }) => ColumnType::DateTime { fsp: most },
        Some(ColumnType::Timestamp { .. }) => ColumnType::Timestamp { fsp: most },
        Some(ColumnType::Time { .. }) => ColumnType::Time { fsp: most },
        Some(other) => other,
        None => ColumnType::SmallInt { unsigned: true },
    })
}

fn told(plan: Arc<LogicalPlan>, met: &[Option<ColumnType>]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    let exprs = schema.iter().enumerate().map(|(index, (relation, field))| {
        let column = Expr::Column(Column::from((relation, field)));
        let json = met.get(index).and_then(Option::as_ref).and_then(|of| serde_json::to_string(of).ok());
        match json {
            Some(json) => {
                let metadata = FieldMetadata::from(HashMap::from([(COLUMN_TYPE_METADATA.to_owned(), json)]));
                column.alias_qualified_with_metadata(relation.cloned(), field.name(), Some(metadata))
            }
            None => column,
        }
    });
    Ok(LogicalPlan::Projection(Projection::try_new(exprs.collect(), plan)?))
}
