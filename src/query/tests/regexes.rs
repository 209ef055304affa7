//! Regular expressions: of the row and constant, on all routes, and in time.

use std::time::Duration;

use crate::query::testing::{Shop, show};

#[tokio::test]
async fn what_is_a_constant_once_it_is_planned_is_a_constant_pattern() {
    let shop = Shop::new();
    let mut session = shop.session();
    // In a column it would be too large.
    show(&mut session, r"PREPARE p AS SELECT count(*) FROM users WHERE name ~ $1").await;
    assert_eq!(show(&mut session, r"EXECUTE p('^\w{2,20}$')").await, "3");
    for condition in [
        r"name ~ '^\w{2,20}$'",
        r"name ~ ('^\w{2,20}$')",
        r"name ~ '^\w{2,20}$'::text",
        r"name ~ CAST('^\w{2,20}$' AS text)",
        r"name ~* ('^\w{2,' || '20}$')",
        r"name !~ lower('^\w{4,20} $')",
        r"regexp_like(name, '^\w{2,' || '20}$')",
        r"regexp_like(name, '^\w{2,' || '20}$', 's')",
        r"regexp_count(name, '^\w{2,20}$'::text) = 1",
        r"regexp_instr(name, '^\w{2,' || '20}$') = 1",
        "name SIMILAR TO '_{2,' || '20}'",
        "name NOT SIMILAR TO '_{20}%'::text",
    ] {
        let sql = format!("SELECT count(*) FROM users WHERE {condition}");
        assert_eq!(shop.ask(&sql).await, "3", "{condition}");
    }
    let error = shop.ask(r"SELECT count(*) FROM users WHERE name ~ ('^\w{2,20}' || id)").await;
    assert!(error.starts_with("Invalid: ") && error.contains("repeats too much"), "{error}");
}

#[tokio::test]
async fn each_row_may_have_a_pattern_of_its_own() {
    let shop = Shop::new();
    shop.cache("users", &["users", "addresses"], "0-1-1");
    for (condition, rows) in [
        ("value::text ~ ('^' || value::text || '$')", "3000"),
        ("regexp_count(value::text, '^' || value::text || '$') = 1", "3000"),
        ("regexp_like(value::text, '^' || value::text || '$', 's')", "3000"),
        ("regexp_replace(value::text, '^' || value::text || '$', '') = ''", "3000"),
        ("regexp_match(value::text, '^' || value::text || '$') IS NOT NULL", "3000"),
        // Behind a # stands a comment, where the flag says so.
        ("regexp_like('ab', 'a # (' || value::text, 'x')", "3000"),
        ("value::text SIMILAR TO ('_' || (value % 10)::text)", "90"),
    ] {
        let sql = format!("SELECT count(*) FROM generate_series(1, 3000) g WHERE {condition}");
        assert_eq!(shop.ask(&sql).await, rows, "{condition}");
    }
    let of_users = "SELECT u.id FROM users u JOIN addresses a ON u.name !~ a.city WHERE u.name ~ left(u.name, 2) ORDER BY 1";
    assert_eq!(shop.ask(of_users).await, "1\n1\n2\n2\n3\n3");
}

#[tokio::test]
async fn results_of_regular_expressions_keep_their_names() {
    let shop = Shop::new();
    let within = "users.addresses.city ~ users.addresses.city";
    for (sql, name) in [
        ("SELECT city ~ city FROM addresses", "city ~ city"),
        ("SELECT * FROM (SELECT city ~ city FROM addresses) q", within),
        ("SELECT * FROM (SELECT city ~ city FROM addresses GROUP BY city ~ city) q", within),
    ] {
        let answer = shop.session().query(sql, Vec::new()).await.unwrap();
        let names: Vec<_> = answer.rows.schema.fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, [name], "{sql}");
    }
}

#[tokio::test]
async fn operands_that_are_no_texts_are_told_in_one_way() {
    let shop = Shop::new();
    let hint = "(Convert what it is given: CAST(x AS DOUBLE), AS VARCHAR, AS DATE or AS BOOLEAN)";
    for (condition, told) in [
        ("id ~ '1'", "~ takes texts, not (unsigned integer, text)"),
        ("id ~ name", "~ takes texts, not (unsigned integer, text)"),
        ("name !~* balance", "!~* takes texts, not (text, decimal(10, 2))"),
    ] {
        let answer = shop.ask(&format!("SELECT {condition} FROM users")).await;
        assert_eq!(answer, format!("Invalid: {told} {hint}"), "{condition}");
    }
}

#[tokio::test]
async fn patterns_of_rows_end_with_their_query_and_hold_up_nobody() {
    let shop = Shop::new();
    let mut session = shop.session();
    show(&mut session, "SET statement_timeout = '1s'").await;
    let permits = shop.engine.inner.slots.clone();
    for condition in ["p ~ p", "p !~* p", "regexp_count(p, p) > 0", "regexp_replace(p, p, '') = ''"] {
        let sql = format!(
            "SELECT count(*) FROM (SELECT '^' || value::text || '((a{{30}}){{20}}){{4}}$' AS p \
             FROM generate_series(1, 40000) g) q WHERE {condition}"
        );
        let answer = show(&mut session, &sql).await;
        assert!(answer.starts_with("Limit: the query took longer than 1s"), "{condition}: {answer}");
        // It holds its place until its work has ended, which would be minutes.
        let permits = tokio::time::timeout(Duration::from_secs(30), permits.acquire_many(64)).await;
        drop(permits.expect(condition).unwrap());
    }
}
