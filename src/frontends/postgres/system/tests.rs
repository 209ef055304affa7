//! What clients ask about keys, in the forms that they send.

use std::sync::Arc;

use crossweave_contract::{ForeignKey, ReferentialAction, ServiceName, TableDef};

use super::PostgresSchemas;
use crate::catalog::Catalog;
use crate::federation::surface::is_bounded;
use crate::query::SystemSchemas;
use crate::query::testing::{Shop, table_id};

/// The shop, where addresses refer to users, and to a table that is not served.
fn shop() -> Shop {
    let shop = Shop::described(Arc::new(PostgresSchemas::new()), |_| {});
    let foreign_key = |name: &str, table: &str| ForeignKey {
        name: name.to_owned(),
        columns: vec!["user_id".to_owned()],
        referenced_database: "users".to_owned(),
        referenced_table: table.to_owned(),
        referenced_columns: vec!["id".to_owned()],
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::Restrict,
    };
    let def = shop.def(&table_id("users", "addresses"));
    let foreign_keys = vec![foreign_key("addressOfUser", "users"), foreign_key("elsewhere", "people")];
    shop.redefine(TableDef { foreign_keys, ..(*def).clone() });
    shop
}

#[test]
fn each_function_is_bounded_or_known_not_to_grow() {
    // Each gives a constant, a number, a truth, or what one object is called or made of.
    let fixed = [
        "array_lower",
        "array_upper",
        "col_description",
        "current_database",
        "current_schema",
        "current_schemas",
        "current_setting",
        "format_type",
        "inet_server_addr",
        "inet_server_port",
        "obj_description",
        "regclass_name",
        "regnamespace_name",
        "regrole_name",
        "regtype_name",
        "session_user",
        "shobj_description",
        "to_regclass",
        "to_regnamespace",
        "to_regrole",
        "to_regtype",
        "version",
    ];
    // Each gives parts of a text, or a number for each element of a list.
    let parts = ["_pg_expandarray", "generate_subscripts", "parse_ident", "to_regproc"];
    let known = |name: &str| {
        fixed.contains(&name) || parts.contains(&name) || name.starts_with("has_") || name.starts_with("pg_")
    };
    let all = PostgresSchemas::new().functions(&Arc::new(Catalog::default()));
    let unknown = all.iter().filter(|function| !is_bounded(function) && !known(function.name()));
    let unknown: Vec<_> = unknown.map(|function| function.name()).collect();
    assert!(unknown.is_empty(), "what do these make, bound them or say why not: {unknown:?}");
    let gone = fixed.iter().chain(&parts).filter(|name| !all.iter().any(|function| function.name() == **name));
    assert_eq!(gone.count(), 0, "names of functions that are gone");
}

#[tokio::test]
async fn keys_and_foreign_keys_are_shown() {
    let shop = shop();
    let check = async |sql: &str, expected: &str| assert_eq!(shop.ask(sql).await, expected, "{sql}");
    check(
        "SELECT conname, contype, pg_get_constraintdef(oid, true), conrelid::regclass, confrelid::regclass, conkey \
         FROM pg_constraint WHERE conrelid = 'users.addresses'::regclass ORDER BY contype",
        "addressOfUser|f|FOREIGN KEY (user_id) REFERENCES users.users(id) ON DELETE CASCADE|users.addresses|\
         users.users|[2]\naddresses_pkey|p|PRIMARY KEY (id)|users.addresses|-|[1]",
    )
    .await;
    check(
        "SELECT c.relname, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_get_indexdef(i.indexrelid, 1, true) \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = 'users.users'::regclass",
        "users_pkey|CREATE UNIQUE INDEX users_pkey ON users.users USING btree (id)|id",
    )
    .await;
    check(
        "SELECT k.table_name, k.column_name, k.position_in_unique_constraint, r.unique_constraint_name, r.delete_rule \
         FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r \
         USING (constraint_schema, constraint_name)",
        "addresses|user_id|1|users_pkey|CASCADE",
    )
    .await;
    check(
        "SELECT relname, relkind, relhasindex FROM pg_class WHERE relhastriggers ORDER BY 1",
        "addresses|r|true\nusers|r|true",
    )
    .await;
}

#[tokio::test]
async fn columns_have_the_types_that_arrive_on_the_wire() {
    let shop = shop();
    let check = async |sql: &str, expected: &str| assert_eq!(shop.ask(sql).await, expected, "{sql}");
    let expected = "1|id|numeric|numeric|20|NO\n2|name|text|text||YES\n\
                    3|createdAt|timestamp without time zone|timestamp||YES\n4|balance|numeric|numeric|10|YES";
    check(
        "SELECT ordinal_position, column_name, data_type, udt_name, numeric_precision, is_nullable \
         FROM information_schema.columns WHERE table_schema = 'users' AND table_name = 'users' ORDER BY 1",
        expected,
    )
    .await;
    check(
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_catalog.pg_attribute \
         WHERE attrelid = to_regclass('users.users') AND attnum IN (1, 4) ORDER BY attnum",
        "id|numeric(20,0)|true\nbalance|numeric(10,2)|false",
    )
    .await;
}

/// pgjdbc and SQLAlchemy go through a key's columns so.
#[tokio::test]
async fn arrays_of_columns_are_expanded() {
    let shop = shop();
    let check = async |sql: &str, expected: &str| assert_eq!(shop.ask(sql).await, expected, "{sql}");
    check(
        "SELECT r.COLUMN_NAME, r.KEY_SEQ FROM (SELECT a.attname AS COLUMN_NAME, a.attnum AS A_ATTNUM, \
         (information_schema._pg_expandarray(con.conkey)).n AS KEY_SEQ, \
         information_schema._pg_expandarray(con.conkey) AS KEYS FROM pg_catalog.pg_constraint con \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = con.conrelid WHERE con.contype = 'f') r \
         WHERE r.A_ATTNUM = (r.KEYS).x",
        "user_id|1",
    )
    .await;
    check(
        "SELECT fka.attname, pka.attname, pos.n FROM pg_catalog.pg_constraint con, \
         pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_attribute fka, pg_catalog.pg_attribute pka \
         WHERE fka.attnum = con.conkey[pos.n] AND fka.attrelid = con.conrelid AND con.contype = 'f' \
         AND pka.attnum = con.confkey[pos.n] AND pka.attrelid = con.confrelid",
        "user_id|id|1",
    )
    .await;
    check(
        "SELECT pg_catalog.pg_constraint.conname, unnest(pg_catalog.pg_index.indkey) AS attnum, \
         generate_subscripts(pg_catalog.pg_index.indkey, 1::INTEGER) AS ord FROM pg_catalog.pg_constraint \
         JOIN pg_catalog.pg_index ON pg_catalog.pg_constraint.conindid = pg_catalog.pg_index.indexrelid \
         WHERE pg_catalog.pg_constraint.contype = 'f'",
        "addressOfUser|1|1",
    )
    .await;
}

#[tokio::test]
async fn functions_about_the_server_answer() {
    let shop = shop();
    let check = async |sql: &str, expected: &str| assert_eq!(shop.ask(sql).await, expected, "{sql}");
    check(
        "SELECT to_regtype('hstore') IS NULL, to_regtype('int4'), 'text'::regtype::text",
        "true|integer|text",
    )
    .await;
    check("SELECT user, current_user", "crossweave|crossweave").await;
    check("SELECT pg_get_userbyid(10), pg_encoding_to_char(6), pg_size_pretty(20480)", "crossweave|UTF8|20 kB")
        .await;
    check("SELECT current_setting('max_index_keys'), pg_typeof(1)", "32|bigint").await;
    check("SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'", "32").await;
    check(
        "select count(*) > 10 from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs}'::text[])",
        "true",
    )
    .await;
    check(
        "SELECT typinput='pg_catalog.array_in'::regproc AS is_array FROM pg_type WHERE typname IN ('int4', '_int4') \
         ORDER BY oid",
        "false\ntrue",
    )
    .await;
    check(
        "SELECT relname, (SELECT conname FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f') AS key \
         FROM pg_class c WHERE relname IN ('users', 'addresses') ORDER BY 1",
        "addresses|addressOfUser\nusers|",
    )
    .await;
    check(
        "SELECT relname, EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = c.oid AND contype = 'f') \
         FROM pg_class c WHERE relname IN ('users', 'addresses') ORDER BY 1",
        "addresses|true\nusers|false",
    )
    .await;
    check("SELECT count(*) FROM generate_series(1, array_upper(string_to_array('a,b', ','), 1))", "2").await;
    check(
        "SELECT nspname FROM pg_namespace WHERE (nspname NOT LIKE 'pg/_'::VARCHAR || '%' ESCAPE '/') ORDER BY 1",
        "information_schema\nitems\norders\nusers",
    )
    .await;
    check(
        "SELECT t.typlen FROM pg_catalog.pg_type t, pg_catalog.pg_namespace n \
         WHERE t.typnamespace=n.oid AND t.typname='name' AND n.nspname='pg_catalog'",
        "64",
    )
    .await;
    check(
        "SELECT r.rolname, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b \
         ON (m.roleid = b.oid) WHERE m.member = r.oid) IS NULL AS memberof FROM pg_catalog.pg_roles r",
        "crossweave|true",
    )
    .await;
}

#[tokio::test]
async fn a_table_is_found_whatever_its_case() {
    let shop = shop();
    shop.catalog.update(|catalog| {
        let mut catalog = catalog.clone();
        let users = catalog.services.get_mut(&ServiceName::from("users")).unwrap();
        let mut table = users.tables["users"].clone();
        table.def = Arc::new(TableDef { id: table_id("users", "Logs"), ..(*table.def).clone() });
        users.tables.insert(Arc::from("Logs"), table);
        catalog
    });
    let both = shop.ask(r#"SELECT 'users.LOGS'::regclass AS a, '"users"."Logs"'::regclass AS b"#).await;
    assert_eq!(both, r#"users."Logs"|users."Logs""#);
}

#[tokio::test]
async fn an_object_keeps_its_number_when_another_comes() {
    let shop = shop();
    let number = || shop.ask("SELECT oid FROM pg_class WHERE relname = 'users'");
    let before = number().await;
    shop.catalog.update(|catalog| {
        let mut catalog = catalog.clone();
        catalog.services.shift_remove(&ServiceName::from("items"));
        catalog
    });
    assert_eq!(number().await, before);
    assert_eq!(
        shop.ask("SELECT nspname FROM pg_namespace WHERE oid > 16383 ORDER BY 1").await,
        "orders\nusers"
    );
}
