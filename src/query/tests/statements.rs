//! Kinds of statements: what is served, and what is refused by which words.

use datafusion::scalar::ScalarValue;

use crate::query::testing::{Shop, lines, show};
use crate::query::{QueryErrorKind, Reason, split};

#[tokio::test]
async fn refuses_what_writes_or_cannot_be_kept_by_kind() {
    let shop = Shop::new();
    let cases = [
        ("INSERT INTO users VALUES (1)", "INSERT"),
        ("UPDATE users SET name = 'x'", "UPDATE"),
        ("DELETE FROM users", "DELETE"),
        ("MERGE INTO users USING items ON true WHEN MATCHED THEN DELETE", "MERGE"),
        ("TRUNCATE users", "TRUNCATE"),
        ("CREATE TABLE t (a INT)", "CREATE TABLE"),
        ("CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1", "CREATE VIEW"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("CREATE FUNCTION f() RETURNS INT AS 'x'", "CREATE FUNCTION"),
        ("CREATE SCHEMA s", "CREATE SCHEMA"),
        ("CREATE INDEX i ON users (id)", "CREATE INDEX"),
        ("ALTER TABLE users ADD COLUMN a INT", "ALTER TABLE"),
        ("DROP TABLE users", "DROP TABLE"),
        ("DROP DATABASE users", "DROP DATABASE"),
        ("COPY users TO '/tmp/x'", "COPY"),
        ("COPY (SELECT 1) TO STDOUT", "COPY"),
        ("GRANT SELECT ON users TO x", "GRANT"),
        ("REVOKE SELECT ON users FROM x", "REVOKE"),
        ("CALL p()", "CALL"),
        ("DO $$ BEGIN END $$", "DO"),
        ("LOCK TABLE users", "LOCK TABLE"),
        ("VACUUM", "VACUUM"),
        ("ANALYZE users", "ANALYZE"),
        ("LISTEN x", "LISTEN"),
        ("NOTIFY x", "NOTIFY"),
        ("DECLARE c CURSOR FOR SELECT 1", "DECLARE"),
        ("FETCH 1 FROM c", "FETCH"),
        ("LOAD DATA INFILE 'x' INTO TABLE users", "LOAD DATA"),
        ("KILL 1", "KILL"),
        ("USE users", "USE"),
        ("COMMENT ON TABLE users IS 'x'", "COMMENT"),
        ("SET ROLE x", "SET ROLE"),
        ("SET SESSION AUTHORIZATION x", "SET SESSION AUTHORIZATION"),
        ("WITH x AS (INSERT INTO users VALUES (1) RETURNING 1) SELECT * FROM x", "INSERT"),
        ("WITH x AS (DELETE FROM users RETURNING 1) SELECT * FROM x", "DELETE"),
        ("EXPLAIN DELETE FROM users", "DELETE"),
        ("PREPARE p AS DELETE FROM users", "DELETE"),
    ];
    let mut wrong = Vec::new();
    for (sql, kind) in cases {
        let answer = shop.ask(sql).await;
        let refused =
            answer.starts_with("Unsupported: ") && answer.contains(kind) && answer.contains("is not served");
        if !refused {
            wrong.push(format!("{sql}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn refuses_parts_that_lock_write_or_would_be_ignored() {
    let shop = Shop::new();
    let cases = [
        ("SELECT * INTO t FROM users", "SELECT INTO"),
        ("SELECT * FROM users FOR UPDATE", "FOR UPDATE and FOR SHARE"),
        ("SELECT * FROM (SELECT * FROM users FOR SHARE) x", "FOR UPDATE and FOR SHARE"),
        ("SELECT * FROM users TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE"),
        ("SELECT * FROM users FETCH FIRST 2 ROWS WITH TIES", "FETCH … WITH TIES and FETCH … PERCENT"),
        ("SELECT * FROM read_csv('/etc/passwd')", "the table function read_csv"),
        ("SELECT * FROM pg_read_file('/etc/passwd')", "the table function pg_read_file"),
        ("EXPLAIN (FORMAT JSON) SELECT 1", "EXPLAIN with FORMAT"),
    ];
    for (sql, what) in cases {
        assert_eq!(shop.ask(sql).await, format!("Unsupported: {what} is not served"), "{sql}");
    }
    let answer = shop.ask("SELECT * FROM '/etc/passwd'").await;
    assert!(answer.starts_with("Syntax: ") || answer.starts_with("Name: "), "{answer}");
}

#[tokio::test]
async fn errors_say_what_was_meant() {
    let shop = Shop::new();
    let cases = [
        ("SELEC 1", "Syntax: syntax error: "),
        ("SELECT 1 FROM", "Syntax: syntax error: "),
        ("SELECT 'abc", "Syntax: "),
        ("SELECT 1; SELECT 2", "Unsupported: 2 statements were sent at once (Send one after the other)"),
        ("SELECT * FROM users WHERE id = ?", "Syntax: syntax error: "),
        ("SELECT nosuch(1)", "Invalid: "),
        ("SELECT 9223372036854775807 + 1", "Invalid: "),
        (
            "SELECT 1 FROM users u WHERE EXISTS (SELECT 1 FROM orders o WHERE o.id IN (SELECT i.id FROM items i WHERE i.id > u.id))",
            "Name: u.id is out of reach here (A condition may refer to tables that are joined before it, a subquery besides",
        ),
        (
            "SELECT 1 FROM users u JOIN orders o ON o.user_id = i.seller_id JOIN items i ON true",
            "Name: i.seller_id is out of reach here (A condition may refer to tables that are joined before it",
        ),
        ("SELECT g.foo FROM generate_series(1, 2) g", "Name: column g.foo is not there"),
        (
            "SELECT (SELECT max(o.id) FROM orders o WHERE o.user_id < u.id) FROM users u",
            "Unsupported: a subquery is not served in this place, or not with what it refers to (Put it into WHERE",
        ),
        ("SELECT 1::DECIMAL(300, 2)", "Invalid: DECIMAL(300,2) is no type: expected 1 to 76 digits"),
        ("SELECT 1::DECIMAL(0)", "Invalid: DECIMAL(0,0) is no type: expected 1 to 76 digits"),
        (
            "SELECT CAST(name AS NUMERIC(9, -6)) FROM users",
            "Invalid: DECIMAL(9,-6) is no type: expected 0 to 9 places after the point",
        ),
        ("SELECT ARRAY[1]::DECIMAL(5, 6)[]", "Invalid: DECIMAL(5,6) is no type: expected 0 to 5 places"),
        (
            "SELECT arrow_cast(1, 'Decimal128(5, -2)')",
            "Invalid: DECIMAL(5,-2) is no type: expected 0 to 5 places",
        ),
        (
            "SELECT abs(CAST('-9223372036854775808' AS BIGINT))",
            "Invalid: BIGINT value is out of range: the result of abs",
        ),
        (
            "SELECT lcm(9223372036854775807, 9223372036854775806)",
            "Invalid: BIGINT value is out of range: the result of lcm",
        ),
        ("SELECT factorial(21)", "Invalid: BIGINT value is out of range: the result of factorial does not fit"),
        ("SELECT id FROM users, orders", "Name: column id is ambiguous: put its table or alias before it"),
    ];
    let mut wrong = Vec::new();
    for (sql, expect) in cases {
        let answer = shop.ask(sql).await;
        if !answer.starts_with(expect) {
            wrong.push(format!("{sql}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(shop.ask("SELECT * FROM users WHERE id = ?").await.contains("Placeholders are $1"));
}

#[tokio::test]
async fn parameters_are_set_shown_and_refused() {
    let shop = Shop::new();
    let mut session = shop.session();
    let cases = [
        ("SHOW crossweave.route", "auto"),
        ("SET crossweave.route.USERS = 'live'", ""),
        ("SHOW crossweave.route.users", "live"),
        ("SHOW crossweave.route.orders", "auto"),
        ("RESET crossweave.route.users", ""),
        ("SHOW crossweave.route.users", "auto"),
        ("SET crossweave.route = fast", "Invalid: \"fast\" is not a route: expected live, cached or auto"),
        ("SET crossweave.route.user = live", "Name: service user is not there (Did you mean users?)"),
        (
            "SET crossweave.rout = live",
            "Name: there is no parameter crossweave.rout (Did you mean crossweave.route?)",
        ),
        (
            "SET aplication_name = x",
            "Name: there is no parameter aplication_name (Did you mean application_name?)",
        ),
        ("SET application_name TO 'my app'", ""),
        ("SHOW application_name", "my app"),
        ("SET extra_float_digits = 3", ""),
        ("SET client_encoding TO 'UTF-8'", ""),
        ("SHOW client_encoding", "UTF8"),
        (
            "SET client_encoding = latin1",
            "Invalid: \"latin1\" is not a value of client_encoding: expected UTF8, utf-8, unicode, utf8mb4",
        ),
        ("SET NAMES 'utf8mb4'", ""),
        ("SET DateStyle TO ISO", ""),
        ("SET datestyle = 'ISO, DMY'", ""),
        ("SHOW datestyle", "ISO, MDY"),
        ("SET TIME ZONE 'UTC'", ""),
        ("SET TimeZone = '+00:00'", ""),
        ("SHOW TIME ZONE", "UTC"),
        ("SET statement_timeout = '5s'", ""),
        ("SHOW statement_timeout", "5s"),
        (
            "SET statement_timeout = 'soon'",
            "Invalid: \"soon\" is not a value of statement_timeout: expected milliseconds, or a number with ms, s, min, h",
        ),
        ("SET statement_timeout TO DEFAULT", ""),
        ("SHOW statement_timeout", "0"),
        ("SET default_transaction_read_only = off", ""),
        ("SET default_transaction_isolation = 'read committed'", ""),
        ("SHOW TRANSACTION ISOLATION LEVEL", "read committed"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED", ""),
        ("SET standard_conforming_strings = on", ""),
        ("SET search_path TO users, \"orders\"", ""),
        ("SHOW search_path", "users, orders"),
        ("SET server_version = '9'", "Invalid: parameter server_version cannot be changed"),
        ("RESET ALL", ""),
        ("SHOW application_name", ""),
    ];
    let mut wrong = Vec::new();
    for (sql, expect) in cases {
        let answer = show(&mut session, sql).await;
        if answer != expect {
            wrong.push(format!("{sql}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        show(&mut session, "SET TimeZone = 'Europe/Oslo'")
            .await
            .starts_with("Invalid: \"Europe/Oslo\" is not a value of TimeZone")
    );
    let all = show(&mut session, "SHOW ALL").await;
    assert!(all.contains("crossweave.route.orders|auto") && all.contains("TimeZone|UTC"), "{all}");
}

#[tokio::test]
async fn transactions_go_back_to_the_parameters_of_before() {
    let shop = Shop::new();
    let mut session = shop.session();
    let mut check = async |sql: &str, expect: &str| assert_eq!(show(&mut session, sql).await, expect, "{sql}");
    check("BEGIN READ ONLY", "").await;
    check("SET application_name = a", "").await;
    check("SET LOCAL crossweave.route = live", "").await;
    check("SHOW crossweave.route", "live").await;
    check("SET extra_float_digits = 2", "").await;
    check("COMMIT", "").await;
    check("SHOW crossweave.route", "auto").await;
    check("SHOW application_name", "a").await;
    check("SHOW extra_float_digits", "2").await;
    check("START TRANSACTION ISOLATION LEVEL READ COMMITTED", "").await;
    check("SET application_name = b", "").await;
    check("SAVEPOINT s", "").await;
    check("ROLLBACK TO SAVEPOINT s", "").await;
    check("RELEASE SAVEPOINT s", "").await;
    check("ROLLBACK", "").await;
    check("SHOW application_name", "a").await;
    check("END", "").await;
    let refused = "Unsupported: isolation level SERIALIZABLE is not served (Each statement sees one consistent view of each service: READ COMMITTED)";
    check("BEGIN ISOLATION LEVEL SERIALIZABLE", refused).await;
    assert!(!session.in_transaction());
}

#[tokio::test]
async fn statements_are_prepared_by_name() {
    let shop = Shop::new();
    let mut session = shop.session();
    let mut check = async |sql: &str, expect: &str| assert_eq!(show(&mut session, sql).await, expect, "{sql}");
    check("PREPARE p (BIGINT, TEXT) AS SELECT name FROM users WHERE id = $1 AND name <> $2", "").await;
    check("EXECUTE p(1, 'x')", "Ada").await;
    check("EXECUTE p(1 + 1, 'x')", "Børge").await;
    check("EXECUTE p(1)", "Invalid: the statement has 2 parameters; 1 were given").await;
    check("EXECUTE p('a', 'x')", "Invalid: parameter $1: \"a\" is not a value of Int64").await;
    check("PREPARE p AS SELECT 1", "Invalid: prepared statement p exists already (DEALLOCATE p)").await;
    check("EXECUTE q", "Name: there is no prepared statement q").await;
    check("DEALLOCATE p", "").await;
    check("EXECUTE p(1, 'x')", "Name: there is no prepared statement p").await;
    check("PREPARE a AS SELECT 1", "").await;
    check("PREPARE b AS EXPLAIN SELECT 1", "").await;
    check("DEALLOCATE ALL", "").await;
    check("EXECUTE a", "Name: there is no prepared statement a").await;
    check("PREPARE a AS SELECT 1", "").await;
    check("DISCARD ALL", "").await;
    check("EXECUTE a", "Name: there is no prepared statement a").await;
}

#[tokio::test]
async fn subqueries_in_values_are_refused_on_both_sides_of_set_operations() {
    let shop = Shop::new();
    for sql in [
        "VALUES ((SELECT max(id) FROM users))",
        "SELECT 1 UNION ALL VALUES ((SELECT max(id) FROM users))",
        "VALUES ((SELECT max(id) FROM users)) UNION ALL SELECT 1",
        "SELECT 1 EXCEPT (SELECT 2 UNION VALUES (3), ((SELECT max(id) FROM users)))",
        "SELECT 1 WHERE 1 IN (SELECT 2 UNION VALUES ((SELECT max(id) FROM users)))",
    ] {
        let answer = shop.ask(sql).await;
        assert!(answer.starts_with("Unsupported: a subquery in VALUES is not served"), "{sql}: {answer}");
    }
    let sql = "SELECT max(id) FROM users UNION ALL (VALUES (4) UNION SELECT (SELECT 5)) ORDER BY 1";
    assert_eq!(shop.ask(sql).await, "3\n4\n5");
}

#[tokio::test]
async fn shows_what_there_is() {
    let shop = Shop::new();
    let mut session = shop.session();
    let mut check = async |sql: &str, expect: &str| assert_eq!(show(&mut session, sql).await, expect, "{sql}");
    check("SHOW SCHEMAS", "users\nitems\norders").await;
    check("SHOW TABLES FROM users", "users|users|live\nusers|addresses|live").await;
    check("SHOW TABLES LIKE 'order%'", "orders|orders|live").await;
    check(
        "DESCRIBE items",
        "id|bigint unsigned|NO|key\ntitle|text collate utf8mb4_bin|YES|\nseller_id|bigint unsigned|NO|",
    )
    .await;
    check(
        "SHOW COLUMNS FROM orders.orders LIKE 'x'",
        "id|bigint unsigned|NO|key\nuser_id|bigint|YES|\ntotal|decimal(10,2)|YES|",
    )
    .await;
    check("DESCRIBE itms", "Name: table itms is not there (Did you mean items.items?)").await;
}

#[tokio::test]
async fn an_empty_statement_answers_nothing_and_tags_tell_what_was_done() {
    let shop = Shop::new();
    let mut session = shop.session();
    for (sql, tag) in [
        ("", ""),
        ("  ;; ", ""),
        ("-- nothing", ""),
        ("BEGIN", "BEGIN"),
        ("COMMIT", "COMMIT"),
        ("SHOW ALL", "SHOW"),
        ("VALUES (1)", "SELECT"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
    ] {
        let answer = session.query(sql, vec![]).await.unwrap();
        assert_eq!(answer.tag, tag, "{sql}");
        assert_eq!(
            answer.rows.schema.fields().is_empty(),
            !["SHOW", "SELECT", "EXPLAIN"].contains(&tag),
            "{sql}"
        );
    }
    let error = session.query("SET application_name = $1", vec![ScalarValue::Int8(Some(1))]).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Invalid);
    let statements = [
        "SELECT 'it''s' || E'a\\'b' AS \"a\"\"b;\"",
        "SELECT $$x;'y$$\n  FROM \"users\" -- ;\n WHERE name <> 'Ä;😁' /* ; */ AND id>-1",
        "SELECT 2",
    ];
    assert_eq!(split(&format!("{};", statements.join("; ;\n"))).unwrap(), statements);
    assert_eq!(split("SELECT 2; -- ;\n ").unwrap(), ["SELECT 2"]);
    let rows = session.query(&split("SELECT ';'; SELECT 2").unwrap()[0], vec![]).await.unwrap().rows;
    assert_eq!(lines(&rows.collect().await.unwrap()), [";"]);
}

#[tokio::test]
async fn what_a_function_does_not_take_is_the_users_error() {
    let shop = Shop::new();
    for (sql, told) in [
        ("SELECT md5(1)", "md5 does not take (integer)"),
        ("SELECT sha256(1, 2, 3)", "sha256 does not take (integer, integer, integer)"),
        ("SELECT sha256()", "sha256 needs arguments"),
        ("SELECT rtrim(1.5::double, name) FROM users", "rtrim does not take (double, text)"),
        ("SELECT abs(DATE '2024-01-01')", "abs does not take (date)"),
        ("SELECT ntile(name) OVER (ORDER BY id) FROM users", "ntile does not take (text)"),
        ("SELECT id FROM users ORDER BY md5(id)", "md5 was given unsigned integer, which it does not take"),
        ("SELECT CASE WHEN md5(1) = 'a' THEN 1 END", "md5 was given integer, which it does not take"),
        (
            "SELECT id FROM users ORDER BY rtrim(balance, name)",
            "rtrim was given decimal(10, 2), which it does not take",
        ),
        ("SELECT id FROM users ORDER BY round(name)", "round was given text, which it does not take"),
        ("SELECT id FROM users ORDER BY sha256(1, 2, 3)", "sha256 was given what it does not take"),
    ] {
        let error = shop.session().query(sql, vec![]).await.map(|_| ()).unwrap_err();
        assert_eq!(error.message, told, "{sql}");
        assert_eq!(
            (error.kind, error.reason),
            (QueryErrorKind::Invalid, Some(Reason::UnknownFunction)),
            "{sql}"
        );
    }
}
