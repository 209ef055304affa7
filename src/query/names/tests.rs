//! Names resolved, and names refused.

use std::sync::Arc;

use crossweave_contract::{ServiceName, TableDef, TableId};

use super::*;
use crate::query::statement::{Classified, parse};
use crate::query::testing::{Shop, column, def, int, table_id};

struct OfCatalog;

impl Definitions for OfCatalog {
    fn definition(&self, catalog: &Catalog, table: &TableId) -> Result<Arc<TableDef>, QueryError> {
        catalog_definition(catalog, table)
    }
}

fn resolved(shop: &Shop, path: &[&str], sql: &str) -> String {
    let Ok(Some(Classified::Read(mut statement))) = parse(sql) else { panic!("{sql} does not read") };
    let path: Vec<String> = path.iter().map(|schema| (*schema).to_owned()).collect();
    let catalog = shop.catalog.current();
    let context =
        Context { catalog: &catalog, path: &path, system: &SystemTables::default(), definitions: &OfCatalog };
    match resolve(&mut statement, &context) {
        Ok(_) => statement.to_string(),
        Err(error) => {
            let hint = error.hint.map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{:?}: {}{hint}", error.kind, error.message)
        }
    }
}

/// A second service with tables `users` and `logs`, whose columns differ in case only.
fn with_archive(shop: &Shop) {
    shop.catalog.update(|catalog| {
        let mut catalog = catalog.clone();
        let mut archive = catalog.services[&ServiceName::from("users")].clone();
        archive.name = "archive".into();
        archive.tables.clear();
        let bit = crossweave_contract::ColumnType::Double;
        let logs =
            def("archive", "Logs", vec![int("id"), column("userId", bit.clone()), column("USERID", bit)]);
        for def in [def("archive", "users", vec![int("id")]), logs] {
            let mut table = catalog.services[&ServiceName::from("users")].tables["users"].clone();
            table.def = Arc::new(def);
            archive.tables.insert(Arc::clone(&table.def.id.table), table);
        }
        catalog.services.insert(archive.name.clone(), archive);
        catalog
    });
}

#[tokio::test]
async fn finds_tables_and_columns_whatever_their_case() {
    let shop = Shop::new();
    let check = |sql: &str, expect: &str| assert_eq!(resolved(&shop, &[], sql), expect, "{sql}");
    check("SELECT ID, CREATEDAT FROM Users", r#"SELECT "id", "createdAt" FROM "users"."users""#);
    check(r#"SELECT "createdat" FROM USERS.USERS"#, r#"SELECT "createdAt" FROM "users"."users""#);
    check("SELECT users.createdAt FROM users", r#"SELECT "users"."users"."createdAt" FROM "users"."users""#);
    check("SELECT Users.Users.ID FROM users", r#"SELECT "users"."users"."id" FROM "users"."users""#);
    check(
        "SELECT crossweave.users.users.id FROM crossweave.users.users",
        r#"SELECT "users"."users"."id" FROM "users"."users""#,
    );
    check("SELECT U.createdat FROM users U", r#"SELECT "u"."createdAt" FROM "users"."users" U"#);
    check("SELECT u.* FROM users AS u", r#"SELECT "u".* FROM "users"."users" AS u"#);
    check("SELECT u.NAME[u.ID] FROM users u", r#"SELECT "u"."name"["u"."id"] FROM "users"."users" u"#);
    check("TABLE users", r#"SELECT * FROM "users"."users""#);
}

#[tokio::test]
async fn renames_what_the_planner_would_take_for_a_column() {
    let shop = Shop::new();
    let check = |sql: &str, expect: &str| assert_eq!(resolved(&shop, &[], sql), expect, "{sql}");
    check(
        "SELECT id.name, id.* FROM users AS id WHERE EXISTS (SELECT 1 FROM users u WHERE u.name = id.name) ORDER BY id.id",
        r#"SELECT "__id_1"."name", "__id_1".* FROM "users"."users" AS "__id_1" WHERE EXISTS (SELECT 1 FROM "users"."users" u WHERE "u"."name" = "__id_1"."name") ORDER BY "__id_1"."id""#,
    );
    check(
        "SELECT id.name FROM users AS id WHERE EXISTS (SELECT 1 FROM users id WHERE id.name = 'a')",
        r#"SELECT "id"."name" FROM "users"."users" AS id WHERE EXISTS (SELECT 1 FROM "users"."users" id WHERE "id"."name" = 'a')"#,
    );
}

#[tokio::test]
async fn names_before_a_subscript_are_found_once_whatever_the_planner_calls_them() {
    let shop = Shop::new();
    let renamed = "WITH q AS (SELECT array_agg(id ORDER BY id) a, 1 k FROM users) SELECT q.a[1] FROM q \
                   WHERE EXISTS (SELECT 1 FROM (SELECT 1 AS q) z WHERE q.k = 1)";
    assert_eq!(shop.ask(renamed).await, "1");
    assert_eq!(
        resolved(&shop, &[], "SELECT generate_series.value[1] FROM generate_series(1, 2)"),
        r#"SELECT "generate_series()".value[1] FROM generate_series(1, 2)"#
    );
    assert_eq!(
        resolved(&shop, &[], "SELECT u.nane[1] FROM users u"),
        "Name: column nane is not in u (Did you mean name?)"
    );
}

#[tokio::test]
async fn leaves_aliases_as_they_are_and_finds_them() {
    let shop = Shop::new();
    let check = |sql: &str, expect: &str| assert_eq!(resolved(&shop, &[], sql), expect, "{sql}");
    check(
        "SELECT id AS Total FROM users ORDER BY TOTAL",
        r#"SELECT "id" AS Total FROM "users"."users" ORDER BY "total""#,
    );
    check(
        "SELECT name AS createdat FROM users ORDER BY createdat",
        r#"SELECT "name" AS createdat FROM "users"."users" ORDER BY "createdat""#,
    );
    check(
        "SELECT sum(total) AS s FROM orders GROUP BY USER_ID HAVING s > 1",
        r#"SELECT sum("total") AS s FROM "orders"."orders" GROUP BY "user_id" HAVING "s" > 1"#,
    );
}

#[tokio::test]
async fn keeps_to_the_scopes_of_ctes_and_subqueries() {
    let shop = Shop::new();
    let check = |sql: &str, expect: &str| assert_eq!(resolved(&shop, &[], sql), expect, "{sql}");
    check(
        "WITH users AS (SELECT 1 AS x) SELECT X FROM users",
        r#"WITH users AS (SELECT 1 AS x) SELECT "x" FROM users"#,
    );
    check(
        "WITH t(A, b) AS (SELECT id, name FROM users) SELECT a, t.B FROM t",
        r#"WITH t (A, b) AS (SELECT "id", "name" FROM "users"."users") SELECT "a", "t"."b" FROM t"#,
    );
    check(
        "SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM orders WHERE USER_ID = U.ID AND Total > 1)",
        r#"SELECT "name" FROM "users"."users" u WHERE EXISTS (SELECT 1 FROM "orders"."orders" WHERE "user_id" = "u"."id" AND "total" > 1)"#,
    );
    check(
        "SELECT d.CREATEDAT FROM (SELECT createdat FROM users) d",
        r#"SELECT "d"."createdAt" FROM (SELECT "createdAt" FROM "users"."users") d"#,
    );
    check(
        "SELECT x.n FROM users u, LATERAL (SELECT U.Name AS n) x",
        r#"SELECT "x"."n" FROM "users"."users" u, LATERAL (SELECT "u"."name" AS n) x"#,
    );
    check(
        "WITH RECURSIVE n(I) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE I < 5) SELECT I FROM n",
        r#"WITH RECURSIVE n (I) AS (SELECT 1 UNION ALL SELECT "i" + 1 FROM n WHERE "i" < 5) SELECT "i" FROM n"#,
    );
    check(
        "SELECT ID FROM users UNION SELECT id FROM items ORDER BY Id LIMIT 2",
        r#"SELECT "id" FROM "users"."users" UNION SELECT "id" FROM "items"."items" ORDER BY "id" LIMIT 2"#,
    );
    check(
        "SELECT name FROM users JOIN orders o USING (ID) JOIN items ON SELLER_ID = o.User_Id",
        r#"SELECT "name" FROM "users"."users" JOIN "orders"."orders" o ON "users"."users"."id" = "o"."id" JOIN "items"."items" ON "seller_id" = "o"."user_id""#,
    );
    check("SELECT g FROM generate_series(1, 3) AS g", "SELECT g FROM generate_series(1, 3) AS g");
    let functions = "SELECT generate_series.value, q.* FROM generate_series(1, 2), generate_series(5, 5) q";
    assert_eq!(shop.ask(&format!("{functions} WHERE generate_series.value > 1")).await, "2|5");
    assert_eq!(shop.ask("SELECT generate_series.* FROM generate_series(1, 2) ORDER BY 1").await, "1\n2");
}

#[tokio::test]
async fn finds_names_that_are_not_ascii() {
    let shop = Shop::new();
    for (sql, expected) in [
        ("SELECT count(*) AS Количество FROM users Ä WHERE Ä.id > 0 ORDER BY Количество", "3"),
        ("SELECT d.Über FROM (SELECT 1 AS Über) d", "1"),
    ] {
        assert_eq!(shop.ask(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn says_what_was_meant() {
    let shop = Shop::new();
    let check = |sql: &str, expect: &str| assert_eq!(resolved(&shop, &[], sql), expect, "{sql}");
    check("SELECT 1 FROM user", "Name: table user is not there (Did you mean users.users?)");
    check(
        "SELECT 1 FROM users.adresses",
        "Name: table users.adresses is not there (Did you mean users.addresses?)",
    );
    check("SELECT 1 FROM usres.users", "Name: service usres is not there (Did you mean users?)");
    check("SELECT nane FROM users", "Name: column nane is not there (Did you mean name?)");
    check("SELECT u.nane FROM users u", "Name: column nane is not in u (Did you mean name?)");
    check(
        "SELECT o.name FROM users u",
        "Name: o is neither a table of this statement nor an alias (Did you mean u?)",
    );
    check(
        "SELECT usr.name FROM users",
        "Name: usr is neither a table of this statement nor an alias (Did you mean users?)",
    );
    check(
        r#"SELECT 1 FROM users WHERE name = "Somebody Else""#,
        "Name: column Somebody Else is not there (Double quotes are for names; a text stands in single quotes)",
    );
    // A subquery in FROM does not see what stands beside it.
    check(
        "SELECT 1 FROM users u, (SELECT u.id) x",
        "Name: u is neither a table of this statement nor an alias",
    );
}

#[tokio::test]
async fn lists_candidates_of_ambiguous_names() {
    let shop = Shop::new();
    with_archive(&shop);
    let check =
        |path: &[&str], sql: &str, expect: &str| assert_eq!(resolved(&shop, path, sql), expect, "{sql}");
    check(
        &[],
        "SELECT 1 FROM users",
        "Name: table users is ambiguous: users.users, archive.users (Name one of them in full)",
    );
    check(&["archive"], "SELECT 1 FROM users", r#"SELECT 1 FROM "archive"."users""#);
    check(&[], "SELECT userId FROM logs", r#"SELECT "userId" FROM "archive"."Logs""#);
    check(
        &[],
        "SELECT userid FROM logs",
        "Name: column userid is ambiguous: USERID, userId (Write one of them in double quotes)",
    );
    check(
        &[],
        "SELECT users.id FROM users.users, archive.users",
        "Name: users is ambiguous: users.users, archive.users (Give each an alias of its own)",
    );
    check(
        &[],
        "SELECT archive.users.id FROM users.users, archive.users",
        r#"SELECT "archive"."users"."id" FROM "users"."users", "archive"."users""#,
    );
}

#[tokio::test]
async fn says_which_service_was_never_reached() {
    let shop = Shop::new();
    shop.catalog.update(|catalog| {
        let mut catalog = catalog.clone();
        let items = &mut catalog.services[&ServiceName::from("items")];
        items.tables.clear();
        items.unreachable = Some("connection refused".to_owned());
        catalog
    });
    let expect = "Unavailable: the tables of service items are not known: connection refused (It is tried again; ask again later)";
    assert_eq!(resolved(&shop, &[], "SELECT 1 FROM items.items"), expect);
    assert_eq!(resolved(&shop, &[], "SELECT 1 FROM merchandise"), expect);
    assert_eq!(
        resolved(&shop, &[], "SELECT 1 FROM adresses"),
        expect.replace("later)", "later. Or did you mean users.addresses?)")
    );
    let found = resolve_tables(&shop, "SELECT 1 FROM users JOIN orders ON true WHERE EXISTS (TABLE addresses)");
    assert_eq!(
        found,
        [table_id("orders", "orders"), table_id("users", "addresses"), table_id("users", "users")]
    );
}

fn resolve_tables(shop: &Shop, sql: &str) -> Vec<TableId> {
    let Ok(Some(Classified::Read(mut statement))) = parse(sql) else { panic!("{sql} does not read") };
    let catalog = shop.catalog.current();
    let context =
        Context { catalog: &catalog, path: &[], system: &SystemTables::default(), definitions: &OfCatalog };
    resolve(&mut statement, &context).expect("known names").into_iter().collect()
}

#[test]
fn only_statements_about_the_server_itself_are_rewritten_for_its_clients() {
    use crate::query::testing::TwoSchemas;
    let about = |sql: &str| {
        let Ok(Some(Classified::Read(statement))) = parse(sql) else { panic!("{sql} does not read") };
        is_about_the_server(&statement, &TwoSchemas)
    };
    assert!(about("SELECT version()"));
    assert!(about("SELECT 'users'::regclass"));
    assert!(about("SELECT relname FROM pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"));
    assert!(about("WITH t AS (SELECT 1 FROM information_schema.tables) SELECT (SELECT 1) FROM t"));
    assert!(!about("SELECT (SELECT max(id) FROM orders WHERE user_id = u.id) FROM users u"));
    assert!(!about("SELECT 1 FROM users WHERE name COLLATE utf8mb4_bin = 'x'"));
    assert!(!about("SELECT (SELECT x.a) FROM (VALUES (1)) x(a)"));
    assert!(!about("SELECT 'a' COLLATE utf8mb4_general_ci = 'A'"));
    assert!(!about("SELECT 1 FROM pg_class, users"));
    assert!(about("SELECT 1 FROM pg_class, generate_series(1, array_upper(current_schemas(false), 1)) n"));
    assert!(!about("SELECT 1 FROM generate_series(1, 2) n, users"));
}
