//! Rows: the same whatever the route.

use arrow::datatypes::DataType;
use crossweave_contract::{CompareOp, Relation, RemoteColumn, RemoteExpr, RemoteQuery};
use datafusion::scalar::ScalarValue;

use crate::query::QueryErrorKind;
use crate::query::testing::{Shop, lines};

const QUESTIONS: &[(&str, &str)] = &[
    (
        "SELECT u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id ORDER BY o.id",
        "Ada|5.00\nAda|7.00\nBørge|9.99",
    ),
    ("SELECT name FROM users u WHERE NOT EXISTS (SELECT 1 FROM orders WHERE user_id = u.id)", "Čapek"),
    (
        "SELECT u.name, sum(o.total) s FROM users u JOIN orders o ON o.user_id = u.id GROUP BY u.name ORDER BY s DESC LIMIT 1",
        "Ada|12.00",
    ),
    ("SELECT count(*) FROM orders", "4"),
    ("SELECT count(*) FROM users WHERE balance >= 0 AND createdAt < '2022-01-10'", "2"),
    ("SELECT title, name FROM items JOIN users u ON u.id = seller_id ORDER BY title", "chair|Børge\nlamp|Ada"),
    ("SELECT id FROM orders WHERE total BETWEEN 5 AND 7.0 ORDER BY id DESC", "11\n10"),
    ("SELECT id FROM users WHERE balance = 10.5 OR id IN (3, 4)", "1\n3"),
    ("SELECT max(createdAt) FROM users", "2022-01-10T00:00:00"),
    ("SELECT name FROM users WHERE CAST(balance AS BIGINT) = -1", "Čapek"),
    ("SELECT name FROM users WHERE CAST(balance AS DECIMAL(10,1)) IN (10.5, -1.3)", "Ada\nČapek"),
    ("SELECT count(*) FROM users WHERE createdAt < TIMESTAMP '9999-12-31 23:59:59.999999'", "3"),
    (
        "SELECT u.name, count(o.id) n FROM users u LEFT JOIN orders o ON o.user_id = u.id GROUP BY u.id ORDER BY n, u.id",
        "Čapek|0\nBørge|1\nAda|2",
    ),
    (
        "SELECT DISTINCT u.id, u.balance FROM users u JOIN orders o ON o.user_id = u.id ORDER BY u.id",
        "1|10.50\n2|0.00",
    ),
    (
        "SELECT (TIME '-30:00:00')::text, CAST(createdAt AS TIME)::text, TRY_CAST(name AS TIME)::text, CAST('9:5' AS TIME) < TIME '100:00:00' FROM users WHERE id = 2",
        "-30:00:00|00:00:00||true",
    ),
    ("SELECT count(*) FROM (SELECT 2 AS a, id FROM users WHERE id = 2) q WHERE a = id", "1"),
    ("SELECT u.id FROM items i JOIN users u ON 1 < u.id AND i.id = 101 WHERE u.id >= 1 AND u.id <= 2", "2"),
    (r"SELECT 'a\nb'", r"a\nb"),
    ("SELECT total FROM orders ORDER BY 1 FETCH FIRST 2 ROWS ONLY", "0.01\n5.00"),
    ("SELECT id, id FROM users ORDER BY id", "1|1\n2|2\n3|3"),
    ("SELECT u.*, u.id, 7 AS id FROM users u WHERE u.id = 2", "2|Børge|2022-01-09T00:00:00|0.00|2|7"),
    ("SELECT 1, 1, count(*), count(*) FROM users", "1|1|3|3"),
    (
        "SELECT user_id, sum(total) - count(*) FROM orders WHERE user_id < 3 GROUP BY user_id ORDER BY 2 DESC",
        "1|10.00\n2|8.99",
    ),
    ("SELECT -id, id * 2, abs(id) FROM users GROUP BY id ORDER BY 1, 3 DESC, 2", "-3|6|3\n-2|4|2\n-1|2|1"),
    ("SELECT q.id FROM (SELECT (id) FROM users ORDER BY 1 LIMIT 2) q", "1\n2"),
    ("SELECT * FROM (SELECT abs(id) FROM users GROUP BY id ORDER BY 1 DESC LIMIT 1) q", "3"),
    // Columns of one name that a subquery is correlated by.
    (
        "SELECT u.id FROM users u WHERE EXISTS (SELECT 1 FROM users a JOIN users b ON a.id < b.id WHERE a.id = u.id AND b.id = u.id + 1) ORDER BY u.id",
        "1\n2",
    ),
    (
        "SELECT u.id FROM users u WHERE NOT EXISTS (SELECT 1 FROM users a JOIN users b ON a.id < b.id WHERE a.id = u.id AND b.id = u.id + 1) ORDER BY u.id",
        "3",
    ),
    (
        "SELECT u.id, (SELECT count(*) FROM users a JOIN users b ON a.id < b.id WHERE a.id = u.id AND b.id = u.id + 1), (SELECT max(b.id) FROM users a JOIN users b ON a.id < b.id WHERE a.id = u.id AND b.id = u.id + 1) FROM users u ORDER BY u.id",
        "1|1|2\n2|1|3\n3|0|",
    ),
    (
        "SELECT u.id FROM users u WHERE (u.id, u.id + 1) IN (SELECT a.id, b.id FROM users a JOIN users b ON a.id < b.id) ORDER BY u.id",
        "1\n2",
    ),
    (
        "SELECT u.id FROM users u WHERE u.id IN (SELECT b.id FROM users a JOIN users b ON a.id < b.id WHERE a.id = u.id - 1) ORDER BY u.id",
        "2\n3",
    ),
    (
        "SELECT u.id FROM users u WHERE u.id IN (SELECT a.id + 1 AS id FROM users a WHERE a.id = u.id - 1) ORDER BY u.id",
        "2\n3",
    ),
    ("SELECT name FROM users WHERE id = ANY (SELECT user_id FROM orders) ORDER BY id", "Ada\nBørge"),
    (
        "SELECT id, id = ANY (SELECT user_id FROM orders), id <> ALL (SELECT user_id FROM orders) FROM users ORDER BY id",
        "1|true|false\n2|true|false\n3|false|true",
    ),
    (
        "SELECT name FROM users WHERE (id, id) = ANY (SELECT user_id, user_id FROM orders) ORDER BY id",
        "Ada\nBørge",
    ),
    (
        "SELECT * FROM (SELECT abs(id), abs(id), position('a' IN 'ba'), strpos('ba', 'a') FROM users WHERE id = 1) q",
        "1|1|2|2",
    ),
    (
        "SELECT trim('a '), btrim('a '), pow(2, 3), power(2, 3), length('abc'), char_length('abc')",
        "a|a|8.0|8.0|3|3",
    ),
    ("SELECT position('a' IN name), strpos(name, 'a') FROM users ORDER BY id", "3|3\n0|0\n2|2"),
    (
        "SELECT substring(v, 1, 2), substr(v, 1, 2), substring(v FROM 1 FOR 2) FROM (VALUES ('Ada')) q (v)",
        "Ad|Ad|Ad",
    ),
    (
        "SELECT DISTINCT upper(name), strpos(name, 'd'), position('d' IN name) FROM users WHERE id = 1",
        "ADA|2|2",
    ),
    ("SELECT * FROM (SELECT 1, 1 FROM users WHERE id = 2) q", "1|1"),
    (
        "SELECT id, (SELECT count(*) IS NOT NULL FROM orders o WHERE o.user_id = u.id), (SELECT 5 + 0 * count(*) FROM orders o WHERE o.user_id = u.id), (SELECT n IS NULL FROM (SELECT count(total) AS n FROM orders o WHERE o.user_id = u.id) q) FROM users u ORDER BY id",
        "1|true|5|false\n2|true|5|false\n3|true|5|false",
    ),
    (
        "SELECT id FROM users u WHERE 5 IN (SELECT 5 + 0 * count(*) FROM orders o WHERE o.user_id = u.id) ORDER BY id",
        "1\n2\n3",
    ),
    (
        "SELECT * FROM (SELECT id, 0, 0 FROM users WHERE id = 1 UNION ALL SELECT id, id, id FROM users WHERE id = 2) q ORDER BY 1",
        "1|0|0\n2|2|2",
    ),
    ("WITH t (a, b) AS (SELECT id, id FROM users) SELECT a + b FROM t WHERE b = 2", "4"),
    ("SELECT a + b FROM (SELECT id, id FROM users) q (a, b) WHERE a = 3", "6"),
    (
        "SELECT id, id < ANY (SELECT user_id FROM orders WHERE user_id < 3), id > ALL (SELECT user_id FROM orders WHERE user_id < 3) FROM users ORDER BY id",
        "1|true|false\n2|false|false\n3|false|true",
    ),
    (
        "SELECT id, id < ANY (SELECT nullif(user_id, 1) FROM orders WHERE user_id < 3), id <= ALL (SELECT nullif(user_id, 1) FROM orders WHERE user_id < 3) FROM users ORDER BY id",
        "1|true|\n2||\n3||false",
    ),
    (
        "SELECT nullif(id, 1) < ANY (SELECT id FROM orders WHERE id < 0), nullif(id, 1) < ALL (SELECT id FROM orders WHERE id < 0), nullif(id, 1) >= ANY (SELECT id FROM users) FROM users ORDER BY id",
        "false|true|\nfalse|true|true\nfalse|true|true",
    ),
    (
        "SELECT count(*), (SELECT count(*) FROM users WHERE id > 1), (SELECT count(*) AS n) AS n FROM users",
        "3|2|1",
    ),
    (
        "SELECT name, (SELECT name FROM users WHERE id = 2), (SELECT (SELECT 7)), 7 FROM users WHERE id = 1",
        "Ada|Børge|7|7",
    ),
    (
        "SELECT cast('0' AS decimal(30,0)), cast('0' AS decimal(30,2)), '0', cast(1 AS int), 1, 1::bigint",
        "0|0.00|0|1|1|1",
    ),
    ("SELECT id, id::text, abs(id::int), abs(id::bigint) FROM users ORDER BY id LIMIT 1", "1|1|1|1"),
    (
        "SELECT name, name COLLATE \"C\", DATE '2024-01-02', '2024-01-02' FROM users WHERE id = 1",
        "Ada|Ada|2024-01-02|2024-01-02",
    ),
    (
        "SELECT id IN (SELECT user_id FROM orders), id NOT IN (SELECT user_id FROM orders) AS n FROM users ORDER BY id",
        "true|false\ntrue|false\nfalse|true",
    ),
    (
        "SELECT id, CASE WHEN name IN (SELECT city FROM addresses) THEN 'town' ELSE 'none' END FROM users ORDER BY id",
        "1|none\n2|none\n3|none",
    ),
    (
        "SELECT id, id IN (SELECT o.id - 9 FROM orders o WHERE o.user_id = u.id) FROM users u ORDER BY id",
        "1|true\n2|false\n3|false",
    ),
    (
        "SELECT 1 IN (SELECT id FROM users), 4 IN (SELECT id FROM users), NULL IN (SELECT id FROM users)",
        "true|false|",
    ),
    (
        "SELECT NULL IN (SELECT id FROM users WHERE id > 9), 1 NOT IN (SELECT id FROM users WHERE id > 9)",
        "false|true",
    ),
    (
        "SELECT 1 IN (SELECT nullif(id, 2) FROM users), 2 IN (SELECT nullif(id, 2) FROM users), 2 NOT IN (SELECT nullif(id, 2) FROM users)",
        "true||",
    ),
    (
        "SELECT count(*) FILTER (WHERE id IN (SELECT user_id FROM orders)), sum(CASE WHEN id IN (SELECT user_id FROM orders) THEN 1 END) FROM users",
        "2|2",
    ),
    (
        "SELECT value IN (SELECT 1 UNION SELECT 5) FROM generate_series(1, 2) AS found ORDER BY value",
        "true\nfalse",
    ),
    (
        "SELECT concat(value, '') FROM generate_series(timestamp '2024-01-31', timestamp '2024-03-01 0:00', interval '1 month') AS found ORDER BY value",
        "2024-01-31 00:00:00\n2024-02-29 00:00:00",
    ),
    (
        "SELECT count(*) FROM generate_series(timestamp '9999-12-30', timestamp '9999-12-31', interval '1 day')",
        "Invalid: generate_series takes moments from the year 1678 to 2261",
    ),
    ("SELECT count(*) FROM generate_series(timestamp '2024-01-01', NULL, interval '1 day')", "0"),
    ("SELECT id FROM users WHERE id NOT IN (SELECT nullif(user_id, 99) FROM orders) OR id > 9", ""),
    ("SELECT id FROM users WHERE (id IN (SELECT nullif(user_id, 99) FROM orders)) IS NULL", "3"),
    ("SELECT id FROM users WHERE id IN (SELECT user_id FROM orders) OR id = 3 ORDER BY id", "1\n2\n3"),
    (
        "SELECT id, id FROM users WHERE id < 2 UNION ALL SELECT id, id FROM items WHERE id > 100 ORDER BY 1",
        "1|1\n101|101",
    ),
    (
        "SELECT EXISTS (SELECT 1 FROM users WHERE id = 3), EXISTS (SELECT * FROM users WHERE id = 4)",
        "true|false",
    ),
    (
        "SELECT name, NOT EXISTS (SELECT 1 FROM orders WHERE user_id = u.id) AS idle FROM users u ORDER BY id",
        "Ada|false\nBørge|false\nČapek|true",
    ),
    ("SELECT u.id FROM users u WHERE u.id>-1+2 AND u.id<>-2 AND u.id>=-1 AND u.balance<-1", "3"),
    ("SELECT id FROM users WHERE id = ANY(ARRAY[2, 3]) ORDER BY id", "2\n3"),
    ("SELECT id - 4, id * 2 FROM users WHERE id = 3", "-1|6"),
    (
        "SELECT -CAST(5 AS SMALLINT)::numeric / 2, -id::float8 / 2 FROM users WHERE id = 3",
        "-2.50000000000000|-1.5",
    ),
    (
        "SELECT id, EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id LIMIT 1) FROM users u ORDER BY id",
        "1|true\n2|true\n3|false",
    ),
    ("SELECT id FROM users WHERE id <> 2 AND 1e0 / (id::float8 - 2e0) > 0 ORDER BY id", "3"),
    ("SELECT 1e0 / (id::float8 - 2e0) FROM users WHERE id = 2", ""),
    ("SELECT id / 2, 7 / id, id / -2, id % 2, id / id, -7 / id FROM users WHERE id = 3", "1|2|-1|1|1|-2"),
    ("SELECT name FROM users WHERE balance IN (balance) AND id > 1 ORDER BY id LIMIT 1", "Børge"),
    ("SELECT createdAt, id FROM users WHERE balance IN (balance) AND id NOT IN (id) ORDER BY id", ""),
    ("SELECT count(*) FROM users WHERE balance IN (balance)", "3"),
    ("SELECT id FROM users WHERE id IN ((SELECT max(id) FROM users), 1) ORDER BY id", "1\n3"),
    ("SELECT id FROM users WHERE id IN ((SELECT max(id) FROM users) - 1, 1) ORDER BY id", "1\n2"),
    ("SELECT id FROM users WHERE name IN (((SELECT max(name) FROM users)), 'Ada') ORDER BY id", "1\n3"),
    ("SELECT id FROM users WHERE id IN ((SELECT '2')::int, 1) ORDER BY id", "1\n2"),
    ("SELECT id FROM users WHERE id IN ((SELECT 1) UNION (SELECT 3)) ORDER BY id", "1\n3"),
    ("SELECT id FROM users WHERE name NOT IN ((SELECT max(name) FROM users), 'Ada')", "2"),
    ("SELECT mod(id, 2), mod(7.5, id + 1), sign(-id::float8) FROM users WHERE mod(id, 2) = 0", "0|1.5|-1.0"),
    ("SELECT id FROM n WHERE NOT (x IN (1, 2) AND x IN (3, 4)) ORDER BY id", "1\n3"),
    ("SELECT id FROM n WHERE NOT (x NOT IN (1, 2) AND x IN (1)) ORDER BY id", "1\n3"),
    ("SELECT id FROM n WHERE NOT (x IN (1, 2) AND x NOT IN (1, 2)) ORDER BY id", "1\n3"),
    ("SELECT id FROM n WHERE NOT ((x = 1 OR x = 2) AND (x = 3 OR x = 4)) ORDER BY id", "1\n3"),
    (
        "SELECT id, x NOT IN (1, 2) OR x NOT IN (3, 4) OR x NOT IN (5, 6) FROM n ORDER BY id",
        "1|true\n2|\n3|true",
    ),
    ("SELECT id FROM n WHERE (x IN (1, 2) AND x IN (3, 4) AND x IN (5, 6)) IS NULL", "2"),
    ("SELECT id FROM n WHERE x IN (1, 2) AND x IN (1, 7) AND x <> 9 AND x <> 8", "1"),
    ("SELECT id FROM users WHERE balance IN (0, 10.5) AND balance IN (10.5, 3) AND balance NOT IN (0, 1)", "1"),
    ("SELECT id FROM n WHERE (id, x) IN ((2, NULL)) OR (id, x) = (2, NULL) OR (x, id) >= (NULL, 2)", ""),
    (
        "SELECT id FROM n WHERE (id, x) NOT IN ((2, 1)) AND (id, x) <> (2, 1) AND NOT (x, id) < (0, 9) ORDER BY id",
        "1\n3",
    ),
    ("SELECT id FROM n WHERE (x, id) BETWEEN (1, 1) AND (7, 2) ORDER BY id", "1"),
    ("SELECT a.id FROM n a JOIN n b ON (a.x, a.id) = (b.x, b.id) ORDER BY 1", "1\n3"),
    ("SELECT (1, NULL) = (1, NULL), (NULL, 1) <> (NULL, 1), (1, NULL) <> (2, NULL)", "||true"),
    (
        "SELECT a.id FROM n a WHERE EXISTS (SELECT 1 FROM n b WHERE b.id = a.id AND a.x IN (a.x)) ORDER BY 1",
        "1\n3",
    ),
    (
        "SELECT a.id FROM n a WHERE NOT EXISTS (SELECT 1 FROM n b WHERE b.id = a.id AND NOT (a.x NOT IN (a.x)))",
        "2",
    ),
    (
        "SELECT u.id FROM users u WHERE u.id NOT IN (SELECT max(o.id) FROM orders o WHERE o.user_id = u.id) ORDER BY 1",
        "1\n2",
    ),
    (
        "SELECT u.id, u.id IN (SELECT max(o.id) FROM orders o WHERE o.user_id = u.id) FROM users u ORDER BY 1",
        "1|false\n2|false\n3|",
    ),
    (
        "SELECT d < '2024-01-01 12:00:00', d >= '2024-01-01 12:00:00', d = '2024-01-01 00:00:00', d = '2024-01-01', \
         d IN ('2024-01-01 12:00:00'), d BETWEEN '2024-01-01 00:00:01' AND '2025-01-01' \
         FROM (VALUES (DATE '2024-01-01')) v(d)",
        "true|false|true|true|false|false",
    ),
    ("SELECT user_id / id, id / user_id, (user_id - 99) / id FROM orders WHERE id = 13", "7|0|0"),
    ("SELECT array_length(array_agg(DISTINCT name) OVER (ORDER BY id)) FROM users ORDER BY id", "1\n2\n3"),
];

#[tokio::test]
async fn answers_are_the_same_live_cached_and_mixed() {
    let shop = Shop::new();
    let cases = [
        ("live", vec![]),
        ("mixed", vec![("users", vec!["users"])]),
        ("cached", vec![("orders", vec!["orders"]), ("items", vec!["items"])]),
    ];
    for (name, cached) in cases {
        for (service, tables) in cached {
            shop.cache(service, &tables, "0-1-7");
        }
        for (sql, expect) in QUESTIONS {
            let with_nulls = "WITH n(id, x) AS (VALUES (1, 1), (2, NULL), (3, 7)) SELECT";
            let sql = if sql.contains("FROM n") { &sql.replacen("SELECT", with_nulls, 1) } else { *sql };
            assert_eq!(shop.ask(sql).await, *expect, "{name}: {sql}");
        }
    }
    let views: usize =
        shop.sources.values().map(|source| source.views.load(std::sync::atomic::Ordering::SeqCst)).sum();
    let asked = shop.ask("SELECT count(*) FROM users JOIN orders ON true JOIN items ON true").await;
    assert_eq!(asked, "24");
    let now: usize =
        shop.sources.values().map(|source| source.views.load(std::sync::atomic::Ordering::SeqCst)).sum();
    assert_eq!(views, now, "all cached: no view is opened");
}

fn names(query: &RemoteQuery) -> Vec<&str> {
    query.columns.iter().filter_map(RemoteColumn::name).collect()
}

fn conditions_of(query: &RemoteQuery) -> Vec<&RemoteExpr> {
    conditions(&query.relation)
}

fn conditions(relation: &Relation) -> Vec<&RemoteExpr> {
    match relation {
        Relation::Table { .. } => Vec::new(),
        Relation::Filter { condition: RemoteExpr::And(list), .. } => list.iter().collect(),
        Relation::Filter { condition, .. } => vec![condition],
        Relation::Project { input, .. } | Relation::Limit { input, .. } => conditions(input),
        other => panic!("{other:?}"),
    }
}

fn fetch(relation: &Relation) -> Option<u64> {
    match relation {
        Relation::Limit { fetch, .. } => *fetch,
        _ => None,
    }
}

/// How often something is compared, or is looked at for NULL, in `condition`.
fn comparisons(condition: &RemoteExpr) -> usize {
    match condition {
        RemoteExpr::And(parts) | RemoteExpr::Or(parts) => parts.iter().map(comparisons).sum(),
        RemoteExpr::In { list, .. } => list.len(),
        RemoteExpr::Between { .. } => 2,
        _ => 1,
    }
}

#[tokio::test]
async fn sources_are_asked_for_the_rows_and_columns_that_are_needed() {
    let shop = Shop::new();
    let asked = async |sql: &str| {
        shop.ask(sql).await;
        std::mem::take(&mut *shop.sources["users"].asked.lock())
    };
    let queries = asked("SELECT name FROM users WHERE id = 2 AND name SIMILAR TO 'B%' AND balance > -1").await;
    assert_eq!(queries.len(), 1);
    assert_eq!(names(&queries[0]), ["name"]);
    let conditions = conditions(&queries[0].relation);
    assert_eq!(conditions.len(), 2, "{conditions:?}");
    for condition in conditions {
        let RemoteExpr::Compare { op, .. } = condition else { panic!("{condition:?}") };
        assert!(matches!(op, CompareOp::Eq | CompareOp::Gt));
    }
    // What stands twice, and what is never true.
    for (condition, operands) in [
        ("name = 'Ada' OR name = 'Børge'", 2),
        ("name BETWEEN 'A' AND 'C' AND id < 9", 3),
        ("name >= 'A' AND name < 'C'", 2),
        ("name = 'Ada' OR (name = 'Čapek' AND id < 9)", 3),
        ("id IN (1, NULL)", 1),
        ("id = 1 OR id = 2 OR NULL OR id = 4", 3),
        ("id IS NOT DISTINCT FROM 2 OR balance IS DISTINCT FROM 0", 4),
    ] {
        let queries = asked(&format!("SELECT id FROM users WHERE {condition}")).await;
        let found: usize = conditions_of(&queries[0]).into_iter().map(comparisons).sum();
        assert_eq!((queries.len(), found), (1, operands), "{condition}: {queries:?}");
    }
    let queries = asked("SELECT id FROM users WHERE balance < 100 LIMIT 2").await;
    assert!(
        matches!(&queries[0].relation, Relation::Project { input, .. } if fetch(input) == Some(2)),
        "{queries:?}"
    );
    let queries = asked("SELECT id FROM users WHERE name ~ 'Ada' LIMIT 2").await;
    assert!(
        conditions_of(&queries[0]).is_empty() && !format!("{queries:?}").contains("Limit"),
        "what is compared here is limited here: {queries:?}"
    );
    let queries = asked("SELECT 1 FROM users WHERE id < (SELECT max(user_id) FROM orders)").await;
    assert_eq!(
        conditions_of(&queries[0]).len(),
        1,
        "what is known once the plan runs is asked for then: {queries:?}"
    );
    let queries = asked("SELECT 1 FROM users WHERE id <> (SELECT max(user_id) FROM orders)").await;
    assert!(conditions_of(&queries[0]).is_empty(), "all rows but one: {queries:?}");
}

#[tokio::test]
async fn parameters_have_the_types_of_what_they_are_compared_with() {
    let shop = Shop::new();
    let mut session = shop.session();
    let sql = "SELECT name FROM users WHERE id = $1 AND createdAt >= $3 AND balance > $2";
    let prepared = session.prepare(sql).await.unwrap();
    let types: Vec<String> = prepared
        .parameter_types
        .iter()
        .map(|t| t.as_ref().map_or("?".to_owned(), DataType::to_string))
        .collect();
    assert_eq!(types, ["UInt64", "Decimal128(10, 2)", "Timestamp(µs)"]);
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    for id in [ScalarValue::Int64(Some(1)), text("1"), ScalarValue::UInt64(Some(1))] {
        let answer = session.execute(&prepared, vec![id, text("3.5"), text("2022-01-08")]).await.unwrap();
        assert_eq!(lines(&answer.rows.collect().await.unwrap()), ["Ada"]);
    }
    let none = session
        .execute(&prepared, vec![ScalarValue::Int64(Some(-1)), text("3"), text("2022-01-08")])
        .await
        .unwrap();
    assert!(none.rows.collect().await.unwrap().is_empty());
    let error = session.execute(&prepared, vec![text("one"), text("3"), text("2022-01-08")]).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (QueryErrorKind::Invalid, r#"parameter $1: "one" is not a value of UInt64"#)
    );
    let error = session.execute(&prepared, vec![]).await.unwrap_err();
    assert_eq!(error.message, "the statement has 3 parameters; 0 were given");
    let limit = session
        .query("SELECT id FROM users ORDER BY id LIMIT $1", vec![ScalarValue::Int64(Some(1))])
        .await
        .unwrap();
    assert_eq!(lines(&limit.rows.collect().await.unwrap()), ["1"]);
}

#[tokio::test]
async fn result_columns_are_spelled_as_the_catalog_spells_them() {
    let shop = Shop::new();
    let prepared = shop.session().prepare("SELECT CREATEDAT, u.ID, name AS Who FROM users u").await.unwrap();
    let names: Vec<&str> = prepared.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["createdAt", "id", "who"]);
    assert_eq!(prepared.tag, "SELECT");
}

#[tokio::test]
async fn columns_are_called_as_they_were_written() {
    let shop = Shop::new();
    for (sql, expected) in [
        ("SELECT 1, 'x', 2 AS two", vec!["1", "'x'", "two"]),
        (
            "SELECT ID, u.Name, count(*), count(*), sum(balance) + 1 FROM users u GROUP BY id, name",
            vec!["id", "name", "count(*)", "count(*)", "sum(balance) + 1"],
        ),
        (
            "SELECT 1 + 1, o.*, id, abs(id) FROM orders o",
            vec!["1 + 1", "id", "user_id", "total", "id", "abs(id)"],
        ),
        ("SELECT id + 1 FROM users UNION ALL SELECT 7 FROM orders ORDER BY 1", vec!["id + 1"]),
        ("SELECT DISTINCT upper(name) FROM users ORDER BY 1 LIMIT 2", vec!["upper(name)"]),
        ("SELECT -ID, sum(balance) - 1 FROM users GROUP BY id ORDER BY 2, 1", vec!["-ID", "sum(balance) - 1"]),
        ("SELECT x FROM (SELECT id AS x, id AS y FROM users) z", vec!["x"]),
    ] {
        let mut session = shop.session();
        let rows = session.query(sql, vec![]).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows;
        let names: Vec<String> = rows.schema.fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, expected, "{sql}");
        assert!(!rows.collect().await.unwrap().is_empty(), "{sql}");
    }
}
