//! Documents against a small catalog: what is read, what is refused, what the schema says.

use std::sync::Arc;

use async_graphql::parser::parse_query;
use async_graphql::{ServerError, Variables};
use crossweave_contract::{Collation, Column, ColumnType, TableDef, TableId, TableKind};
use indexmap::IndexMap;

use super::document::{MAX_DEPTH, Output, Reader, Root};
use super::model::Model;
use crate::catalog::{Catalog, Relationship, Service, Table, TableMode};

fn table(service: &str, name: &str, columns: &[(&str, ColumnType)]) -> Table {
    let columns = columns.iter().enumerate().map(|(index, (name, column_type))| Column {
        name: (*name).to_owned(),
        column_type: column_type.clone(),
        nullable: index > 0,
        binlog_index: Some(index),
    });
    let def = TableDef {
        id: TableId::new(service, name),
        database: service.to_owned(),
        kind: TableKind::Base,
        columns: columns.collect(),
        key: vec![0],
        foreign_keys: Vec::new(),
        binlog_columns: 0,
        row_end: None,
    };
    Table { def: Arc::new(def), mode: TableMode::Cached, hidden: Vec::new() }
}

fn service(name: &str, tables: Vec<Table>) -> Service {
    Service {
        name: name.into(),
        source: "source".into(),
        database: name.to_owned(),
        tables: tables.into_iter().map(|table| (Arc::clone(&table.def.id.table), table)).collect(),
        unreachable: None,
    }
}

fn catalog() -> Catalog {
    let id = || ColumnType::BigInt { unsigned: true };
    let text = || ColumnType::Text { collation: Collation::new("utf8mb4", "utf8mb4_general_ci") };
    let users = table(
        "users",
        "users",
        &[("id", id()), ("displayName", text()), ("balance", ColumnType::Decimal { precision: 12, scale: 2 })],
    );
    let orders = table(
        "orders",
        "orders",
        &[("id", id()), ("user_id", id()), ("placed_at", ColumnType::DateTime { fsp: 6 })],
    );
    let log = |name| table(name, "log", &[("id", id())]);
    let mut catalog = Catalog::default();
    for service in [service("users", vec![users, log("users")]), service("orders", vec![orders, log("orders")])]
    {
        catalog.services.insert(service.name.clone(), service);
    }
    catalog.relationships.push(Relationship {
        from: TableId::new("orders", "orders"),
        from_columns: vec!["user_id".into()],
        to: TableId::new("users", "users"),
        to_columns: vec!["id".into()],
        field: "user".into(),
        inverse: "orders".into(),
    });
    catalog
}

fn read(query: &str, variables: &str) -> Result<String, ServerError> {
    let model = Model::new(&catalog());
    let document = parse_query(query).map_err(ServerError::from)?;
    let variables = Variables::from_json(serde_json::from_str(variables).unwrap());
    let (_, operation) = document.operations.iter().next().unwrap();
    let read = Reader::new(&model, &document, &variables).read(&operation.node)?;
    let mut keys = IndexMap::new();
    for root in &read.roots {
        if let Root::Rows { key, node, .. } = root {
            let outputs = node.outputs.iter().map(|output| match output {
                Output::Typename { key } | Output::Column { key, .. } | Output::Edge { key, .. } => key.clone(),
            });
            keys.insert(key.clone(), outputs.collect::<Vec<_>>());
        }
    }
    Ok(format!("{keys:?} {:?}", read.tables()))
}

#[test]
fn merges_fields_expands_fragments_and_names_the_tables() {
    let query = "query q($deep: Boolean!) { a: users { id ...f } a: users { orders { id } } }
        fragment f on users { name: displayName orders @include(if: $deep) { placed_at user { id } } }";
    let expected = r#"{"a": ["id", "name", "orders"]} {orders.orders, users.users}"#;
    assert_eq!(read(query, r#"{"deep": true}"#).unwrap(), expected);
    assert_eq!(read(query, r#"{"deep": false}"#).unwrap(), expected);
    let filtered = read("{ users(where: {orders: {id: {_eq: 1}}}) { id } }", "{}").unwrap();
    assert_eq!(filtered, r#"{"users": ["id"]} {orders.orders, users.users}"#);
}

#[test]
fn an_absent_variable_is_an_absent_argument_and_a_null_comparison_an_error() {
    let query = "query q($id: bigint, $n: Int) { users(where: {id: {_eq: $id}}, limit: $n) { id } }";
    assert!(read(query, "{}").is_ok());
    let error = read(query, r#"{"id": null}"#).unwrap_err();
    assert_eq!(error.message, "id._eq is null: use _is_null to look for NULLs");
    assert!(read(query, r#"{"id": "18446744073709551615"}"#).is_ok());
    let error = read(query, r#"{"id": "seven"}"#).unwrap_err();
    assert_eq!(error.message, "\"seven\" is not a bigint for users.id");
}

#[test]
fn refuses_depth_reached_through_fragments() {
    let levels = (0..MAX_DEPTH).map(|level| {
        let next = level + 1;
        format!(
            "fragment f{level} on {} {{ {} }} ",
            ["users", "orders"][level % 2],
            if level % 2 == 0 { format!("orders {{ ...f{next} }}") } else { format!("user {{ ...f{next} }}") }
        )
    });
    let last = format!("fragment f{MAX_DEPTH} on {} {{ id }}", ["users", "orders"][MAX_DEPTH % 2]);
    let query = format!("{{ users {{ ...f0 }} }} {}{last}", levels.collect::<String>());
    let error = read(&query, "{}").unwrap_err();
    assert!(error.message.contains("nested deeper than 15 levels"), "{}", error.message);
}

#[test]
fn tables_of_one_name_are_named_with_their_service() {
    let sdl = super::sdl(&catalog()).unwrap();
    for expected in [
        "type users_log",
        "type orders_log",
        "users_by_pk(id: bigint!): users",
        "user: users\n",
        "input String_comparison_exp",
        "scalar timestamptz",
        "input users_bool_exp",
        "enum users_select_column",
    ] {
        assert!(sdl.contains(expected), "{expected} is missing in\n{sdl}");
    }
    assert!(!sdl.contains("Mutation"));
}
