//! SHOW SCHEMAS, SHOW TABLES, DESCRIBE: the catalog as rows of text.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use crossweave_contract::{ColumnType, Consistency, TableId};
use datafusion::common::DataFusionError;

use crate::catalog::{Catalog, TableMode};
use crate::query::{QueryError, QueryErrorKind, ServiceRead};

/// Rows of text under `names`.
pub(super) fn text_rows(names: &[&str], rows: Vec<Vec<String>>) -> Result<RecordBatch, QueryError> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
    let column = |index: usize| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[index].as_str())))
    };
    let columns = (0..names.len()).map(column).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(DataFusionError::from)?)
}

/// What the statement before saw of each service: SHOW crossweave.reads.
pub(super) fn reads(reads: &[ServiceRead]) -> Result<RecordBatch, QueryError> {
    let row = |read: &ServiceRead| {
        let position = match (&read.position, read.consistency) {
            (Some(position), _) => position.to_string(),
            (None, Consistency::Snapshot) => "not told".to_owned(),
            (None, Consistency::Statement) => "one of each statement".to_owned(),
        };
        let age = read.age.map_or_else(|| "current".to_owned(), |age| format!("{:.3} s", age.as_secs_f64()));
        let server = read.server.clone().unwrap_or_default();
        vec![read.service.to_string(), read.route.name().to_owned(), position, age, server]
    };
    text_rows(&["service", "route", "position", "age", "server"], reads.iter().map(row).collect())
}

pub(super) fn schemas(catalog: &Catalog, like: Option<&str>) -> Result<RecordBatch, QueryError> {
    let names = catalog.services.keys().map(|name| name.to_string()).filter(|name| matches(name, like));
    text_rows(&["schema"], names.map(|name| vec![name]).collect())
}

pub(super) fn tables(
    catalog: &Catalog,
    schema: Option<&str>,
    like: Option<&str>,
) -> Result<RecordBatch, QueryError> {
    if let Some(schema) = schema
        && !catalog.services.keys().any(|name| name.as_str().eq_ignore_ascii_case(schema))
    {
        return Err(QueryError::new(QueryErrorKind::Name, format!("service {schema} is not there")));
    }
    let rows = catalog
        .tables()
        .filter(|(service, _)| schema.is_none_or(|schema| service.name.as_str().eq_ignore_ascii_case(schema)))
        .filter(|(_, table)| matches(&table.def.id.table, like))
        .map(|(service, table)| {
            let mode = match &table.mode {
                TableMode::Live => "live".to_owned(),
                TableMode::LiveOnly(reason) => format!("live: {reason}"),
                TableMode::Cached => "cached".to_owned(),
            };
            vec![service.name.to_string(), table.def.id.table.to_string(), mode]
        });
    text_rows(&["schema", "table", "mode"], rows.collect())
}

pub(super) fn columns(catalog: &Catalog, table: &TableId) -> Result<RecordBatch, QueryError> {
    let table = catalog
        .table(table)
        .ok_or_else(|| QueryError::new(QueryErrorKind::Name, format!("table {table} is not there")))?;
    let rows = table.def.columns.iter().enumerate().map(|(index, column)| {
        let nullable = column.nullable || column.column_type.may_hold_zero_date();
        vec![
            column.name.clone(),
            type_name(&column.column_type),
            if nullable { "YES" } else { "NO" }.to_owned(),
            if table.def.key.contains(&index) { "key" } else { "" }.to_owned(),
        ]
    });
    text_rows(&["column", "type", "null", "key"], rows.collect())
}

/// The type as a statement would declare it.
fn type_name(column_type: &ColumnType) -> String {
    let integer = |name: &str, unsigned: &bool| format!("{name}{}", if *unsigned { " unsigned" } else { "" });
    let collated = |name: &str, collation: &str| format!("{name} collate {collation}");
    match column_type {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::TinyInt { unsigned } => integer("tinyint", unsigned),
        ColumnType::SmallInt { unsigned } => integer("smallint", unsigned),
        ColumnType::MediumInt { unsigned } => integer("mediumint", unsigned),
        ColumnType::Int { unsigned } => integer("int", unsigned),
        ColumnType::BigInt { unsigned } => integer("bigint", unsigned),
        ColumnType::Bit { width } => format!("bit({width})"),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Float => "float".to_owned(),
        ColumnType::Double => "double".to_owned(),
        ColumnType::Text { collation } => collated("text", &collation.name),
        ColumnType::Enum { values, collation } => {
            collated(&format!("enum('{}')", values.join("','")), &collation.name)
        }
        ColumnType::Set { values, collation } => {
            collated(&format!("set('{}')", values.join("','")), &collation.name)
        }
        ColumnType::Binary { fixed: Some(length) } => format!("binary({length})"),
        ColumnType::Binary { fixed: None } => "blob".to_owned(),
        ColumnType::Year => "year".to_owned(),
        ColumnType::Date => "date".to_owned(),
        ColumnType::DateTime { fsp } => format!("datetime({fsp})"),
        ColumnType::Timestamp { fsp } => format!("timestamp({fsp})"),
        ColumnType::Time { fsp } => format!("time({fsp})"),
        ColumnType::Json { .. } => "json".to_owned(),
        ColumnType::Uuid => "uuid".to_owned(),
        ColumnType::Inet4 => "inet4".to_owned(),
        ColumnType::Inet6 => "inet6".to_owned(),
        ColumnType::Geometry => "geometry".to_owned(),
        ColumnType::Vector { dimensions } => format!("vector({dimensions})"),
    }
}

/// LIKE with `%` and `_`, whatever the case, as SHOW has it. Goes back to the last `%` only, so its time is bounded
/// by the product of the lengths.
fn matches(text: &str, like: Option<&str>) -> bool {
    let chars = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let Some(pattern) = like.map(chars) else { return true };
    let text = chars(text);
    let (mut at, mut of, mut retry) = (0, 0, None);
    while at < text.len() {
        match pattern.get(of) {
            Some('%') => {
                retry = Some((of + 1, at));
                of += 1;
            }
            Some(one) if *one == '_' || *one == text[at] => {
                at += 1;
                of += 1;
            }
            _ => match &mut retry {
                Some((after, from)) => {
                    *from += 1;
                    (of, at) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|rest| *rest == '%')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn like_knows_percent_and_underscore() {
        assert!(matches("order_items", Some("ORDER%")));
        assert!(matches("orders", Some("_rders")));
        assert!(!matches("orders", Some("order")));
        assert!(matches("orders", None));
        assert!(matches("order_items", Some("%r%it%s")));
        assert!(!matches("order_items", Some("%x%")));
    }
}
