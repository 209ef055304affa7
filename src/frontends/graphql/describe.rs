//! What the schema says of its types, fields and arguments: where rows come from, and what of MariaDB's one would
//! otherwise have to guess.

use crossweave_contract::{Column, ColumnType};

use super::model::{Edge, TableType};

/// On the argument `order_by`.
pub(super) const ORDER_BY: &str = "The first item counts most. NULLs are larger than everything unless said \
     otherwise. What is equal comes in any order, but with a limit by the table's key.";

/// On a table's object type.
pub(super) fn table(table: &TableType) -> String {
    format!("Rows of {}.", table.id)
}

/// On a table's list at the root.
pub(super) fn list(table: &TableType) -> String {
    format!("Rows of the table {} of the service {}.", table.id.table, table.id.service)
}

/// On a relationship's field.
pub(super) fn edge(here: &TableType, edge: &Edge, target: &TableType) -> String {
    let names = |table: &TableType, columns: Vec<usize>| {
        let names: Vec<&str> =
            columns.into_iter().map(|column| table.def.columns[column].name.as_str()).collect();
        names.join(", ")
    };
    let from = names(here, edge.columns.iter().map(|(column, _)| *column).collect());
    let to = names(target, edge.columns.iter().map(|(_, column)| *column).collect());
    let other = match here.id.service == target.id.service {
        true => String::new(),
        false => format!(" of the service {}", target.id.service),
    };
    let target = &target.id.table;
    match edge.many {
        true => format!("Rows of {target}{other} whose {to} equals {from} here."),
        false => format!("The row of {target}{other} whose {to} equals {from} here; null if there is none."),
    }
}

/// On a column's field: its type in MariaDB.
pub(super) fn column(column: &Column) -> String {
    let sign = |name: &str, unsigned: bool| format!("{name}{}", if unsigned { " UNSIGNED" } else { "" });
    match &column.column_type {
        ColumnType::Boolean => "TINYINT(1), declared boolean.".to_owned(),
        ColumnType::TinyInt { unsigned } => sign("TINYINT", *unsigned) + ".",
        ColumnType::SmallInt { unsigned } => sign("SMALLINT", *unsigned) + ".",
        ColumnType::MediumInt { unsigned } => sign("MEDIUMINT", *unsigned) + ".",
        ColumnType::Int { unsigned } => sign("INT", *unsigned) + ".",
        ColumnType::BigInt { unsigned } => {
            sign("BIGINT", *unsigned) + "; in answers a number up to 2^53, beyond that text."
        }
        ColumnType::Bit { width: 1 } => "BIT(1).".to_owned(),
        ColumnType::Bit { width } => format!("BIT({width}), as a number."),
        ColumnType::Decimal { precision, scale } => {
            format!("DECIMAL({precision},{scale}); in answers as text.")
        }
        ColumnType::Float => "FLOAT.".to_owned(),
        ColumnType::Double => "DOUBLE.".to_owned(),
        ColumnType::Text { collation } => format!("Text, compared by {}.", collation.name),
        ColumnType::Enum { values, .. } => format!("ENUM, in this order: {}.", listed(values)),
        ColumnType::Set { values, .. } => format!("SET, with commas between, of: {}.", listed(values)),
        ColumnType::Binary { fixed: Some(length) } => format!("BINARY({length}), in base64."),
        ColumnType::Binary { fixed: None } => "Bytes, in base64.".to_owned(),
        ColumnType::Year => "YEAR.".to_owned(),
        ColumnType::Date => "DATE; a zero date is null.".to_owned(),
        ColumnType::DateTime { fsp } => format!("DATETIME({fsp}), without a time zone; a zero date is null."),
        ColumnType::Timestamp { fsp } => format!("TIMESTAMP({fsp}), in UTC; a zero date is null."),
        ColumnType::Time { fsp } => format!("TIME({fsp}), from -838:59:59 to 838:59:59."),
        ColumnType::Json { .. } => "JSON; compared as the text that is stored.".to_owned(),
        ColumnType::Uuid => "UUID.".to_owned(),
        ColumnType::Inet4 => "INET4.".to_owned(),
        ColumnType::Inet6 => "INET6.".to_owned(),
        ColumnType::Geometry => "A shape, as WKB in base64.".to_owned(),
        ColumnType::Vector { dimensions } => format!("VECTOR({dimensions})."),
    }
}

/// The first of many: a description is read, not computed with.
fn listed(values: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = if values.len() > SHOWN { ", …" } else { "" };
    values[..values.len().min(SHOWN)].join(", ") + more
}

/// On a scalar.
pub(super) fn scalar(name: &str) -> &'static str {
    match name {
        "Int" => "A whole number of 32 bits; text that says one is taken too.",
        "Float" => "A number; text that says one is taken too.",
        "String" => "Text; a number is taken as its digits.",
        "Boolean" => "true or false; 1 and 0 are taken too.",
        "bigint" => "A whole number of 64 bits, as a number or, beyond 2^53, as text.",
        "numeric" => "A decimal number, in answers as text; never rounded.",
        "date" => "2024-02-29",
        "timestamp" => "2024-02-29T10:00:00.5, of no time zone",
        "timestamptz" => "2024-02-29T10:00:00.5Z",
        "time" => "-838:59:59 to 838:59:59",
        "uuid" => "A UUID in its canonical form.",
        "jsonb" => "Any JSON.",
        "bytea" => "Bytes, in base64.",
        "inet" => "An IPv4 or IPv6 address.",
        "geometry" => "A shape, as WKB in base64.",
        _ => "Numbers, as a list.",
    }
}
