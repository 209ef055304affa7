//! Documents against a small catalog: what is read, what is refused, what the schema says.

use std::sync::Arc;

use async_graphql::{Request, ServerError, Value, Variables};
use crossweave_contract::{Collation, Column, ColumnType, TableDef, TableId, TableKind};
use indexmap::IndexMap;
use serde_json::json;

use super::bounds::{self, MAX_CONDITION_DEPTH, MAX_CONDITIONS, MAX_DEPTH, MAX_READS};
use super::document::{Output, Reader, Root};
use super::error::explained;
use super::literal::literals;
use super::model::Model;
use super::schema::Schemas;
use super::syntax;
use crate::catalog::{Catalog, Relationship, Service, Table, TableMode};

fn table(service: &str, name: &str, columns: &[(&str, ColumnType)]) -> Table {
    let columns = columns.iter().enumerate().map(|(index, (name, column_type))| Column {
        name: (*name).to_owned(),
        column_type: column_type.clone(),
        nullable: index > 0,
        binlog_index: Some(index),
        max_chars: None,
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
        live_only: Vec::new(),
    };
    Table { def: Arc::new(def), mode: TableMode::Cached, hidden: Vec::new(), unique: Vec::new() }
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
    let document = syntax::parse(query)?;
    bounds::check(&document)?;
    let variables = Variables::from_json(serde_json::from_str(variables).unwrap());
    let (_, operation) = document.operations.iter().next().unwrap();
    let read = Reader::new(&model, &document, &operation.node, &variables)?.read()?;
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

/// The condition that `where: $w` comes to, as it is planned.
fn condition(variables: serde_json::Value) -> Result<String, String> {
    let model = Model::new(&catalog());
    let document = syntax::parse("query q($w: users_bool_exp) { users(where: $w) { id } }").unwrap();
    let (_, operation) = document.operations.iter().next().unwrap();
    let variables = Variables::from_json(json!({ "w": variables }));
    let read = Reader::new(&model, &document, &operation.node, &variables).unwrap().read();
    let read = read.map_err(|error| error.message)?;
    let Root::Rows { node, .. } = &read.roots[0] else { panic!("no rows") };
    Ok(format!("{:?}", node.arguments.filter.as_ref().unwrap()))
}

async fn validate(catalog: &Catalog, query: &str, variables: serde_json::Value) -> Vec<ServerError> {
    let schema = Schemas::new(&Model::new(catalog)).unwrap().checking;
    let request = Request::new(query).variables(Variables::from_json(variables));
    explained(schema.execute(request).await.errors, &schema, catalog)
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
fn a_required_variable_that_is_absent_or_null_is_an_error() {
    let query = "query q($id: bigint!) { users(where: {id: {_eq: $id}}) { id } }";
    for (variables, found) in [("{}", "nothing"), (r#"{"id": null}"#, "null")] {
        let error = read(query, variables).unwrap_err();
        assert_eq!(error.message, format!("variable $id of type bigint! is required, found {found}"));
        assert_eq!(error.locations.len(), 1);
    }
    let with_default = "query q($id: bigint! = 3) { users(where: {id: {_eq: $id}}) { id } }";
    assert!(read(with_default, "{}").is_ok());
    assert!(read(with_default, r#"{"id": null}"#).unwrap_err().message.contains("found null"));
}

#[test]
fn constants_leave_a_condition() {
    let seven = "Compare { column: 0, comparison: Eq, literals: [Int64(7)] }";
    let id = json!({"id": {"_eq": 7}});
    for (written, read) in [
        (json!({}), "And([])"),
        (json!({"_and": []}), "And([])"),
        (json!({"_or": []}), "Or([])"),
        (json!({"_or": [{}, id]}), "And([])"),
        (json!({"_or": [{"_or": []}, id]}), seven),
        (json!({"_and": [{}, {"_and": [id]}, {"_not": {"_or": []}}]}), seven),
        (json!({"_and": [{"id": {"_in": []}}, id]}), "Or([])"),
        (json!({"id": {"_nin": []}}), "And([])"),
        (json!({"_not": {"_not": id}}), seven),
        (json!({"_not": {"orders": {"_or": []}}}), "And([])"),
    ] {
        assert_eq!(condition(written.clone()).unwrap(), read, "{written}");
    }
}

#[test]
fn conditions_are_bounded_in_number_depth_and_reads_also_in_variables() {
    let many = |condition: serde_json::Value, count: usize| json!({"_or": vec![condition; count]});
    let name = json!({"displayName": {"_eq": "x"}});
    assert!(condition(many(name.clone(), MAX_CONDITIONS)).is_ok());
    let error = condition(many(name.clone(), MAX_CONDITIONS + 1)).unwrap_err();
    assert!(error.contains("more than 1000 comparisons: use _in"), "{error}");
    let error = condition(many(json!({"orders": {}}), MAX_READS)).unwrap_err();
    assert!(error.contains("more than 200 times"), "{error}");
    let deep = (0..MAX_CONDITION_DEPTH).fold(name, |inner, _| json!({"_not": inner}));
    let error = condition(deep).unwrap_err();
    assert!(error.contains("deeper than 20 levels"), "{error}");
    let nothing = json!({"_or": vec![json!({}); 10_000]});
    assert_eq!(condition(nothing).unwrap(), "And([])");
}

#[tokio::test]
async fn built_in_scalars_are_judged_where_they_meet_a_column_and_not_before() {
    for query in [
        "query q($id: ID!) { users_by_pk(id: $id) { id } }",
        "query q($id: Int!) { users(where: {displayName: {_eq: $id}}, limit: $id) { id } }",
        "{ users(limit: \"7\", where: {displayName: {_in: 7}}) { id } }",
    ] {
        let errors = validate(&catalog(), query, json!({"id": "7"})).await;
        assert!(errors.is_empty(), "{query}: {errors:?}");
        assert!(read(query, r#"{"id": "7"}"#).is_ok(), "{query}");
    }
    let error = read("{ users(limit: true) { id } }", "{}").unwrap_err();
    assert_eq!(error.message, "limit has to be a whole number from 0 on, found true");
    assert_eq!(error.locations[0].column, 9);
    let errors = validate(&catalog(), "{ users(where: {displayName: {_in: [null]}}) { id } }", json!({})).await;
    assert!(errors[0].message.ends_with("expected type \"String\""), "{errors:?}");
    let sdl = super::sdl(&catalog()).unwrap();
    assert!(sdl.contains("limit: Int") && !sdl.contains("unjudged") && !sdl.contains("scalar Int"), "{sdl}");
}

#[test]
fn a_value_counts_by_what_it_says() {
    let columns = [
        ("id", ColumnType::Binary { fixed: Some(16) }),
        ("price", ColumnType::Decimal { precision: 14, scale: 2 }),
        ("day", ColumnType::Date),
        ("bit", ColumnType::Bit { width: 1 }),
        ("flag", ColumnType::TinyInt { unsigned: false }),
        ("data", ColumnType::Json { collation: Collation::new("utf8mb4", "utf8mb4_bin") }),
        ("weight", ColumnType::Double),
        ("text", ColumnType::Text { collation: Collation::new("utf8mb4", "utf8mb4_bin") }),
        ("exact", ColumnType::Decimal { precision: 20, scale: 6 }),
    ];
    let mut catalog = Catalog::default();
    catalog.services.insert("a".into(), service("a", vec![table("a", "t", &columns)]));
    let model = Model::new(&catalog);
    let read = |column: usize, value: serde_json::Value| {
        let value = Value::from_json(value).unwrap();
        literals(&model.types["t"], column, &[value]).map(|found| format!("{:?} {}", found[0], found[0]))
    };
    for (column, value, literal) in [
        (0, json!("AP8="), "00FF"),
        (1, json!(50.375), "Decimal128(50.375,16,3)"),
        (1, json!("1e2"), "Decimal128(100.00,14,2)"),
        (1, json!(99_999_999_999.99), "Decimal128(99999999999.99,14,2)"),
        (1, json!(1e30), "Decimal128(1"),
        (8, json!("99999999999999.999999"), "Decimal128(99999999999999.999999,20,6)"),
        (8, json!(0.25), "Decimal128(0.25"),
        (8, json!(99_999_999_999_999_u64), "Decimal128(99999999999999.000000,20,6)"),
        (2, json!("2006-01-15"), "2006-01-15"),
        (2, json!("2006-01-15T12:00:00"), "1137326400000000"),
        (3, json!(1), "true"),
        (3, json!("0"), "false"),
        (4, json!(true), "1"),
        (5, json!({"b": [1, "x"], "a": null}), r#"{"b":[1,"x"],"a":null}"#),
        (5, json!(true), "true"),
        (6, json!("1.5"), "1.5"),
        (7, json!(5), "5"),
    ] {
        assert!(read(column, value.clone()).unwrap().contains(literal), "{column}: {:?}", read(column, value));
    }
    let rounded = read(8, json!(99_999_999_999_999.999_998)).unwrap_err();
    assert!(rounded.contains("write it as a string") && rounded.contains("t.exact"), "{rounded}");
    for (column, value) in [
        (0, json!("A")),
        (1, json!("ten")),
        (2, json!(true)),
        (2, json!("2006-02-30")),
        (3, json!(2)),
        (6, json!("Infinity")),
        (7, json!(true)),
        (7, json!({"a": 1})),
    ] {
        let error = read(column, value.clone()).unwrap_err();
        assert!(error.contains("is not a ") && error.contains("for t."), "{value}: {error}");
    }
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
fn names_that_are_taken_cost_no_other_table_its_own() {
    let names =
        ["Int", "date", "order_by", "String_comparison_exp", "u", "u_by_pk", "u_order_by", "query_root"];
    let mut catalog = Catalog::default();
    let tables = names.map(|name| table("a", name, &[("id", ColumnType::Int { unsigned: false })]));
    catalog.services.insert("a".into(), service("a", tables.into()));
    let types: Vec<String> = Model::new(&catalog).types.keys().cloned().collect();
    assert_eq!(
        types,
        [
            "a_Int",
            "a_date",
            "a_order_by",
            "a_String_comparison_exp",
            "u",
            "a_u_by_pk",
            "a_u_order_by",
            "a_query_root"
        ]
    );
    assert!(super::sdl(&catalog).unwrap().contains("a_date_by_pk"));

    // Where the service's name does not help either, one table is left out.
    let (date, taken) = (|| table("b", "date", &[]), table("a", "b_date", &[("id", ColumnType::Date)]));
    let mut catalog = Catalog::default();
    catalog.services.insert("a".into(), service("a", vec![taken]));
    catalog.services.insert("b".into(), service("b", vec![date()]));
    assert_eq!(Model::new(&catalog).types.keys().collect::<Vec<_>>(), ["b_date"]);
    assert!(super::sdl(&catalog).is_ok());
}

#[test]
fn rows_are_ordered_only_through_relationships_that_lead_to_a_key() {
    let mut catalog = catalog();
    catalog.relationships.push(Relationship {
        from: TableId::new("orders", "orders"),
        from_columns: vec!["placed_at".into()],
        to: TableId::new("users", "users"),
        to_columns: vec!["displayName".into()],
        field: "namesake".into(),
        inverse: "namesakes".into(),
    });
    let sdl = super::sdl(&catalog).unwrap();
    let order_by = sdl.split("input orders_order_by {").nth(1).and_then(|rest| rest.split('}').next());
    let order_by = order_by.unwrap_or_default();
    assert!(order_by.contains("user: users_order_by") && !order_by.contains("namesake"), "{order_by}");
}

#[test]
fn of_what_cannot_be_compared_only_null_is_asked() {
    let mut catalog = Catalog::default();
    let shapes =
        table("a", "shapes", &[("id", ColumnType::Geometry), ("vector", ColumnType::Vector { dimensions: 3 })]);
    catalog.services.insert("a".into(), service("a", vec![shapes]));
    let sdl = super::sdl(&catalog).unwrap();
    for scalar in ["geometry", "vector"] {
        let input = sdl.split(&format!("input {scalar}_comparison_exp {{")).nth(1);
        let input = input.and_then(|rest| rest.split('}').next()).unwrap_or_default();
        assert!(input.contains("_is_null: Boolean") && !input.contains("_eq"), "{input}");
    }
    assert!(!sdl.contains("shapes_by_pk"));
}

#[tokio::test]
async fn what_is_misspelt_is_told_with_what_was_probably_meant() {
    for (query, says) in [
        ("{ users(where: {displayNam: {_eq: 1}}) { id } }", "Did you mean \"displayName\"?"),
        ("{ users(order_by: {balnce: asc}) { id } }", "Did you mean \"balance\"?"),
        ("{ users(where: {id: {_equ: 1}}) { id } }", "Did you mean \"_eq\"?"),
        ("{ users(where: {displayName: {_lik: 1}}) { id } }", "Did you mean \"_like\"?"),
    ] {
        let errors = validate(&catalog(), query, json!({})).await;
        assert!(errors[0].message.contains(says), "{query}: {errors:?}");
        // What validation does not look into, in variables, reading does.
        let error = read(query, "{}").unwrap_err();
        assert!(error.message.contains(says), "{query}: {error:?}");
    }
    let error = read("{ users(distinct_on: [balnce]) { id } }", "{}").unwrap_err();
    assert!(error.message.contains("Did you mean \"balance\"?"), "{error:?}");
}

#[tokio::test]
async fn an_unknown_field_may_be_of_a_service_that_was_never_reached() {
    let mut catalog = catalog();
    let lost = Service { unreachable: Some("connection refused".to_owned()), ..service("items", Vec::new()) };
    catalog.services.insert("items".into(), lost);
    let errors = validate(&catalog, "{ items { id } }", json!({})).await;
    let answer = serde_json::to_value(&errors).unwrap();
    let hint = answer[0]["extensions"]["hint"].as_str().unwrap_or_default();
    assert_eq!(hint, "Tables of the service items are not known: connection refused");
    assert!(validate(&catalog, "{ users { id } }", json!({})).await.is_empty());
}

#[test]
fn tables_of_one_name_are_named_with_their_service() {
    let sdl = super::sdl(&catalog()).unwrap();
    for expected in [
        "type users_log",
        "type orders_log",
        "\tusers_by_pk(",
        "user: users\n",
        "BIGINT UNSIGNED; in answers a number up to 2^53",
        "Equal; text by the column's collation.",
        "So many rows at most, for each row above.",
        "The row of users of the service users whose id equals user_id here",
        "input String_comparison_exp",
        "scalar timestamptz",
        "input users_bool_exp",
        "enum users_select_column",
    ] {
        assert!(sdl.contains(expected), "{expected} is missing in\n{sdl}");
    }
    assert!(!sdl.contains("Mutation"));
}
