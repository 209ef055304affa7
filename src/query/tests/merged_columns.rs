//! Joins with USING and NATURAL: the columns that they merge, wherever these are named.

use crate::query::testing::Shop;

/// Two tables with NULLs, and rows without a partner on both sides; and a third one.
const TABLES: &str = "WITH a (x, y) AS (VALUES (1, 10), (2, 20), (NULL, 30), (2, 21)), \
                      b (z, x) AS (VALUES (200, 2), (300, 3), (400, NULL)), \
                      c (x, w) AS (VALUES (1, 1000), (3, 3000), (5, 5000)) ";

async fn check(questions: &[(&str, &str)]) {
    let shop = Shop::new();
    let mut wrong = Vec::new();
    for (sql, expected) in questions {
        let answer = shop.ask(&format!("{TABLES}{sql}")).await;
        if answer.replace('\n', " ") != *expected {
            wrong.push(format!("{sql}\n  expected {expected}\n  found    {}", answer.replace('\n', " ")));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn are_of_the_side_whose_rows_are_all_there() {
    check(&[
        ("SELECT x, y, z FROM a JOIN b USING (x) ORDER BY y", "2|20|200 2|21|200"),
        ("SELECT x, y, z FROM a LEFT JOIN b USING (x) ORDER BY y", "1|10| 2|20|200 2|21|200 |30|"),
        ("SELECT x, y, z FROM a RIGHT JOIN b USING (x) ORDER BY z, y", "2|20|200 2|21|200 3||300 ||400"),
        (
            "SELECT x, y, z FROM a FULL JOIN b USING (x) ORDER BY x, y, z",
            "1|10| 2|20|200 2|21|200 3||300 |30| ||400",
        ),
        (
            "SELECT x, y, z FROM a NATURAL FULL JOIN b ORDER BY x, y, z",
            "1|10| 2|20|200 2|21|200 3||300 |30| ||400",
        ),
        ("SELECT x, y FROM a NATURAL RIGHT JOIN b ORDER BY z, y", "2|20 2|21 3| |"),
        (
            "SELECT x, a.x, b.x FROM a FULL JOIN b USING (x) WHERE y IS NULL OR y < 21 ORDER BY y, z",
            "1|1| 2|2|2 3||3 ||",
        ),
        ("SELECT b.x, x, a.x FROM a RIGHT JOIN b USING (x) ORDER BY z, y", "2|2|2 2|2|2 3|3| ||"),
        ("SELECT x FROM a JOIN b USING (x) JOIN (SELECT w FROM c) q ON w = 500 * x", "2 2"),
        ("SELECT x FROM a RIGHT JOIN b USING (x) JOIN (SELECT w FROM c) q ON w = 1000 * x", "3"),
    ])
    .await;
}

const CLAUSES: &[(&str, &str)] = &[
    ("SELECT y FROM a JOIN b USING (x) WHERE x = 2 ORDER BY y", "20 21"),
    ("SELECT x, count(*) FROM a JOIN b USING (x) WHERE x = 2 GROUP BY x", "2|2"),
    ("SELECT z FROM a RIGHT JOIN b USING (x) WHERE x = 3", "300"),
    ("SELECT y, z FROM a FULL JOIN b USING (x) WHERE x IN (1, 3) ORDER BY x", "10| |300"),
    ("SELECT count(*) FROM a FULL JOIN b USING (x) WHERE x IS NULL", "2"),
    ("SELECT x, count(*) FROM a FULL JOIN b USING (x) GROUP BY x ORDER BY x", "1|1 2|2 3|1 |2"),
    ("SELECT x + 1, count(*) FROM a FULL JOIN b USING (x) GROUP BY x HAVING x > 1 ORDER BY x", "3|2 4|1"),
    ("SELECT x AS k FROM a FULL JOIN b USING (x) GROUP BY k HAVING count(*) = 1 ORDER BY k", "1 3"),
    ("SELECT DISTINCT x FROM a FULL JOIN b USING (x) ORDER BY x DESC", " 3 2 1"),
    ("SELECT DISTINCT ON (x) x, y FROM a FULL JOIN b USING (x) ORDER BY x, y", "1|10 2|20 3| |30"),
    ("SELECT DISTINCT x FROM a RIGHT JOIN b USING (x) ORDER BY x", "2 3 "),
    ("SELECT y FROM a FULL JOIN b USING (x) ORDER BY x + 0, y LIMIT 3", "10 20 21"),
    ("SELECT y FROM a FULL JOIN b USING (x) ORDER BY -x, y LIMIT 3", " 20 21"),
    ("SELECT max(x), count(x), count(DISTINCT x) FROM a FULL JOIN b USING (x)", "3|4|3"),
    (
        "SELECT x, row_number() OVER (PARTITION BY x ORDER BY y) FROM a RIGHT JOIN b USING (x) ORDER BY 1, 2",
        "2|1 2|2 3|1 |1",
    ),
    (
        "SELECT CASE x WHEN 3 THEN 'three' ELSE 'none' END FROM a RIGHT JOIN b USING (x) WHERE y IS NULL ORDER BY z",
        "three none",
    ),
    ("SELECT 0 AS x FROM a RIGHT JOIN b USING (x) ORDER BY x LIMIT 1", "0"),
    ("SELECT x FROM a FULL JOIN b USING (x) UNION SELECT 7 ORDER BY x", "1 2 3 7 "),
    ("SELECT a.x AS x FROM a JOIN b USING (x) ORDER BY x", "2 2"),
    ("SELECT a.x, z FROM a RIGHT JOIN b USING (x) ORDER BY x, z LIMIT 3", "2|200 2|200 |300"),
    ("SELECT b.x, x FROM a FULL JOIN b USING (x) ORDER BY x DESC, y LIMIT 3", "| | 3|3"),
    ("SELECT a.x FROM a JOIN b ON a.x < b.x ORDER BY x DESC", "2 2 1 1"),
    ("SELECT DISTINCT a.x FROM a JOIN b ON a.x < b.x ORDER BY x", "1 2"),
    ("SELECT a.x AS x FROM a FULL JOIN b USING (x) ORDER BY x, y, z LIMIT 4", "1 2 2 "),
    ("SELECT b.x AS x, count(*) FROM a JOIN b ON a.x <= b.x GROUP BY b.x ORDER BY x DESC", "3|3 2|3"),
];

const QUERIES_WITHIN: &[(&str, &str)] = &[
    ("SELECT w FROM c WHERE x IN (SELECT x FROM a FULL JOIN b USING (x)) ORDER BY w", "1000 3000"),
    (
        "SELECT w FROM c WHERE EXISTS (SELECT * FROM a FULL JOIN b USING (x) WHERE x = w / 1000) ORDER BY w",
        "1000 3000",
    ),
    (
        "SELECT z FROM a RIGHT JOIN b USING (x) WHERE EXISTS (SELECT 1 FROM c q WHERE q.w = 1000 * b.x) ORDER BY z",
        "300",
    ),
    (
        "SELECT x, (SELECT count(*) FROM (SELECT w FROM c) q WHERE w = 1000 * x) FROM a FULL JOIN b USING (x) ORDER BY x, y, z",
        "1|1 2|0 2|0 3|1 |0 |0",
    ),
    (
        "SELECT y FROM a LEFT JOIN b USING (x) WHERE x NOT IN (SELECT x FROM b RIGHT JOIN c USING (x)) ORDER BY y",
        "20 21",
    ),
    ("SELECT x, sum(y) FROM a RIGHT JOIN b USING (x) GROUP BY ROLLUP (x) HAVING x > 0 ORDER BY x", "2|41 3|"),
    (
        "SELECT x, rank() OVER w FROM a FULL JOIN b USING (x) WINDOW w AS (ORDER BY x) ORDER BY x, y, z",
        "1|1 2|2 2|2 3|4 |5 |5",
    ),
    ("SELECT x IS NULL, count(*) FROM a FULL JOIN b USING (x) GROUP BY x IS NULL ORDER BY 1", "false|4 true|2"),
    ("SELECT array_agg(x ORDER BY x)[1] FROM a FULL JOIN b USING (x)", "1"),
    (
        "SELECT x, n, w FROM (SELECT x, count(*) AS n FROM a FULL JOIN b USING (x) GROUP BY x) q JOIN c USING (x) ORDER BY x",
        "1|1|1000 3|1|3000",
    ),
    (
        "SELECT z, n FROM a RIGHT JOIN b USING (x) CROSS JOIN LATERAL (SELECT count(*) AS n FROM c WHERE c.w = 1000 * b.x) l ORDER BY z, y",
        "200|0 200|0 300|1 400|0",
    ),
    (
        "SELECT x, count(*) FROM a FULL JOIN b USING (x) GROUP BY GROUPING SETS ((x), ()) ORDER BY x, 2",
        "1|1 2|2 3|1 |2 |6",
    ),
    // One of them is called like a column, and like a table, further in.
    (
        "SELECT z FROM a RIGHT JOIN b USING (x) WHERE EXISTS (SELECT 1 FROM (SELECT 3 AS b, 4 AS a) q WHERE b = x) ORDER BY z",
        "300",
    ),
    (
        "SELECT z FROM a RIGHT JOIN b USING (x) WHERE EXISTS (SELECT 1 FROM (SELECT 3 AS k) b WHERE k = x) ORDER BY z",
        "300",
    ),
    (
        "SELECT q.x, q.y FROM (SELECT x, y FROM a FULL JOIN b USING (x)) q WHERE q.x > 1 ORDER BY x, y",
        "2|20 2|21 3|",
    ),
];

#[tokio::test]
async fn are_what_each_clause_means_by_their_name() {
    check(CLAUSES).await;
    check(QUERIES_WITHIN).await;
}

#[tokio::test]
async fn come_first_and_once_in_all_columns() {
    check(&[
        ("SELECT * FROM a JOIN b USING (x) ORDER BY y", "2|20|200 2|21|200"),
        ("SELECT * FROM b JOIN a USING (x) ORDER BY y", "2|200|20 2|200|21"),
        ("SELECT * FROM b RIGHT JOIN a USING (x) ORDER BY y", "1||10 2|200|20 2|200|21 ||30"),
        ("SELECT * FROM a FULL JOIN b USING (x) ORDER BY x, y, z", "1|10| 2|20|200 2|21|200 3||300 |30| ||400"),
        ("SELECT * FROM b NATURAL JOIN a ORDER BY y", "2|200|20 2|200|21"),
        ("SELECT *, x, a.* FROM b NATURAL JOIN a ORDER BY y", "2|200|20|2|2|20 2|200|21|2|2|21"),
        ("SELECT b.*, * FROM a JOIN b USING (x) ORDER BY y", "200|2|2|20|200 200|2|2|21|200"),
        ("SELECT * FROM (SELECT * FROM a FULL JOIN b USING (x)) q WHERE x = 3", "3||300"),
        ("SELECT q.x FROM (SELECT * FROM b RIGHT JOIN a USING (x)) q WHERE q.y = 10", "1"),
        ("SELECT * FROM (a FULL JOIN b USING (x)) AS j WHERE j.x = 3", "3||300"),
        ("SELECT k, l FROM (a FULL JOIN b USING (x)) AS j (k, l, m) WHERE m = 300", "3|"),
        ("SELECT * FROM (SELECT 1 AS k, 2) q JOIN (SELECT 1 AS k, 3) r USING (k)", "1|2|3"),
        (
            "SELECT * FROM (SELECT 1 AS k, 2 AS l) NATURAL FULL JOIN (SELECT 3 AS l, 1 AS k) ORDER BY l",
            "1|2 1|3",
        ),
        ("SELECT *, x FROM a FULL JOIN b USING (x) ORDER BY x, y, z LIMIT 2", "1|10||1 2|20|200|2"),
        ("SELECT * FROM a LEFT SEMI JOIN b USING (x) ORDER BY y", "2|20 2|21"),
        ("SELECT * FROM a LEFT ANTI JOIN b USING (x) ORDER BY y", "1|10 |30"),
        (", q AS (SELECT * FROM a LEFT SEMI JOIN b USING (x)) SELECT * FROM q JOIN c USING (x)", ""),
        (
            ", q AS (SELECT * FROM a LEFT SEMI JOIN b ON a.x = b.x) SELECT * FROM q LEFT JOIN c USING (x) ORDER BY y",
            "2|20| 2|21|",
        ),
        ("SELECT * FROM (SELECT * FROM a LEFT ANTI JOIN b ON a.x = b.x) q NATURAL JOIN c", "1|10|1000"),
        ("SELECT * FROM (SELECT * FROM a RIGHT ANTI JOIN b USING (x)) q NATURAL JOIN c", "3|300|3000"),
        ("SELECT x FROM a LEFT SEMI JOIN b ON a.x = b.x ORDER BY y", "2 2"),
        ("SELECT j.x, w FROM (a LEFT SEMI JOIN b ON a.x < b.x) AS j JOIN c USING (x)", "1|1000"),
        ("SELECT * FROM (SELECT 1 AS k) q CROSS JOIN (a JOIN b USING (x)) WHERE y = 20", "1|2|20|200"),
        ("SELECT count(*) FROM (SELECT * FROM a FULL JOIN b USING (x)) q", "6"),
    ])
    .await;
}

#[tokio::test]
async fn are_merged_with_those_of_further_joins() {
    check(&[
        (
            "SELECT x, y, z, w FROM a LEFT JOIN b USING (x) LEFT JOIN c USING (x) ORDER BY y",
            "1|10||1000 2|20|200| 2|21|200| |30||",
        ),
        ("SELECT * FROM a RIGHT JOIN b USING (x) LEFT JOIN c USING (x) WHERE w IS NOT NULL", "3||300|3000"),
        (
            "SELECT x, y, z, w FROM a FULL JOIN b USING (x) FULL JOIN c USING (x) ORDER BY x, y, z",
            "1|10||1000 2|20|200| 2|21|200| 3||300|3000 5|||5000 |30|| ||400|",
        ),
        ("SELECT x, w FROM a JOIN b USING (x) RIGHT JOIN c USING (x) ORDER BY x", "1|1000 3|3000 5|5000"),
        ("SELECT x, y, w FROM a LEFT JOIN (b JOIN c USING (x)) USING (x) ORDER BY y", "1|10| 2|20| 2|21| |30|"),
        (
            "SELECT x, z, w FROM a RIGHT JOIN (b FULL JOIN c USING (x)) USING (x) WHERE y IS NULL ORDER BY x",
            "3|300|3000 5||5000 |400|",
        ),
        ("SELECT * FROM (a FULL JOIN b USING (x)) NATURAL JOIN c ORDER BY x", "1|10||1000 3||300|3000"),
        ("SELECT * FROM a NATURAL JOIN b NATURAL JOIN c", ""),
        (
            "SELECT a.x, b.x, c.x, x FROM a FULL JOIN b USING (x) FULL JOIN c USING (x) WHERE x > 2 ORDER BY x",
            "|3|3|3 ||5|5",
        ),
        ("SELECT q.x, r.x FROM a q JOIN b USING (x), c r WHERE r.w = 1000 AND y = 20", "2|1"),
        ("SELECT count(*) FROM a q JOIN a r USING (x, y)", "3"),
        ("SELECT x, y FROM a q FULL JOIN a r USING (y, x) ORDER BY y", "1|10 2|20 2|21 |30 |30"),
        ("SELECT * FROM b JOIN a USING (x) JOIN (SELECT 20 AS y, 7 AS v) d USING (y)", "20|2|200|7"),
    ])
    .await;
}

#[tokio::test]
async fn of_natural_joins_are_those_of_one_name_in_any_case() {
    check(&[
        ("SELECT count(*) FROM users a NATURAL JOIN users b", "3"),
        ("SELECT count(*) FROM (SELECT id FROM users) a NATURAL LEFT JOIN (SELECT 1 AS id) b", "3"),
        ("SELECT * FROM (SELECT 1 AS \"X\") a NATURAL JOIN (SELECT 1 AS x, 2 AS y) b", "1|2"),
        (
            "SELECT x, X FROM (SELECT 1 AS \"X\") a NATURAL FULL JOIN (SELECT 2 AS x) b ORDER BY x",
            "1|1 2|2",
        ),
        ("SELECT * FROM (SELECT 1 AS \"ID\") a JOIN (SELECT 1 AS id, 2 AS v) b USING (Id)", "1|2"),
        ("SELECT * FROM (SELECT 1 AS p) a NATURAL JOIN (SELECT 2 AS q) b", "1|2"),
        ("SELECT * FROM (SELECT 1 AS p) a NATURAL LEFT JOIN (SELECT 2 AS q WHERE false) b", "1|"),
        ("SELECT * FROM (SELECT 1 AS p WHERE false) a NATURAL RIGHT JOIN (SELECT 2 AS q) b", "|2"),
        ("SELECT * FROM (SELECT 1 AS p) a NATURAL FULL JOIN (SELECT 2 AS q) b", "1|2"),
        ("SELECT * FROM (SELECT 1 AS p WHERE false) a NATURAL FULL JOIN (SELECT 2 AS q) b", "|2"),
        (
            "SELECT * FROM (SELECT 1 AS p) a JOIN (SELECT 1 AS y, 2 AS z) b ON true NATURAL LEFT JOIN (SELECT 2 AS z) c",
            "2|1|1",
        ),
    ])
    .await;
}

#[tokio::test]
async fn are_found_where_not_all_columns_are_known() {
    check(&[
        (
            "SELECT value, y FROM generate_series(1, 2) g JOIN (SELECT x AS value, y FROM a) q USING (value) ORDER BY y",
            "1|10 2|20 2|21",
        ),
        (
            "SELECT value FROM generate_series(1, 2) g FULL JOIN (SELECT 3 AS value) q USING (value) ORDER BY value",
            "1 2 3",
        ),
        (
            "SELECT * FROM (SELECT x, 5 + max(y) FROM a WHERE x = 2 GROUP BY x) q RIGHT JOIN b USING (x) ORDER BY z",
            "2|26|200 3||300 ||400",
        ),
        (
            "SELECT * FROM b FULL JOIN generate_series(2, 4) g (x) USING (x) ORDER BY x, z",
            "2|200 3|300 4| |400",
        ),
        ("SELECT value FROM generate_series(1, 3) JOIN (SELECT 2 AS value) q USING (value)", "2"),
        (
            "SELECT generate_series.value, q.value FROM generate_series(1, 2) FULL JOIN (SELECT 2 AS value) q USING (value) ORDER BY 1",
            "1| 2|2",
        ),
        ("SELECT * FROM a JOIN b USING (x) CROSS JOIN generate_series(1, 2) WHERE y = 20 ORDER BY value", "2|20|200|1 2|20|200|2"),
        ("SELECT * FROM a JOIN b USING (x), unnest(ARRAY[1, 2]) WHERE y = 20 ORDER BY 4", "2|20|200|1 2|20|200|2"),
        ("SELECT * FROM a JOIN b USING (x), unnest(ARRAY[1, 2]) u (v) WHERE y = 20 ORDER BY v", "2|20|200|1 2|20|200|2"),
        ("SELECT * FROM a JOIN b USING (x), generate_series(1, 1), generate_series(2, 2) WHERE y = 20", "2|20|200|1|2"),
        (
            "SELECT y, n FROM a JOIN b USING (x), LATERAL (SELECT count(*) AS n FROM c WHERE c.w = 500 * b.x) ORDER BY y",
            "20|1 21|1",
        ),
    ])
    .await;
}

#[tokio::test]
async fn are_refused_where_they_cannot_be_told() {
    let shop = Shop::new();
    for (sql, expected) in [
        ("SELECT 1 FROM a JOIN b USING (y)", "column y of USING is not on the right side of the join"),
        ("SELECT 1 FROM a JOIN b USING (zz)", "column zz of USING is not on the left side of the join"),
        (
            "SELECT 1 FROM a JOIN b ON true JOIN c USING (x)",
            "column x is ambiguous: there are several on the left side",
        ),
        (
            "SELECT 1 FROM a JOIN b ON true NATURAL JOIN c",
            "column x is ambiguous: there are several on the left side",
        ),
        ("SELECT x FROM a JOIN b USING (x), c", "column x is ambiguous"),
        ("SELECT x FROM a JOIN b ON a.x = b.x", "column x is ambiguous"),
        (
            "SELECT 1 FROM a NATURAL JOIN generate_series(1, 2) g",
            "NATURAL JOIN: the columns of one side are not known",
        ),
        (
            "SELECT 1 FROM (generate_series(1, 2) g CROSS JOIN generate_series(1, 2) h) FULL JOIN a USING (x)",
            "RIGHT and FULL JOIN … USING: the columns of one side are not known",
        ),
        // Names that are given to relations are not told.
        (
            "SELECT _join_1.x FROM (SELECT x FROM a) JOIN b USING (x)",
            "_join_1 is neither a table of this statement nor an alias",
        ),
    ] {
        let answer = shop.ask(&format!("{TABLES}{sql}")).await;
        assert!(answer.contains(expected) && !answer.contains("__join"), "{sql}: {answer}");
    }
}

#[tokio::test]
async fn of_tables_are_the_same_on_each_route() {
    let shop = Shop::new();
    for (sql, expected) in [
        (
            "SELECT user_id, o.id, city FROM orders o RIGHT JOIN addresses USING (user_id) ORDER BY user_id, o.id",
            "1|10|Oslo 1|11|Oslo 3||Praha",
        ),
        (
            "SELECT USER_ID, count(*) FROM orders FULL JOIN addresses USING (User_Id) GROUP BY user_id ORDER BY user_id",
            "1|2 2|1 3|1 99|1",
        ),
        (
            "SELECT user_id, count(*) FROM orders o JOIN addresses e USING (user_id) WHERE user_id = 1 GROUP BY user_id",
            "1|2",
        ),
        ("SELECT * FROM addresses JOIN orders USING (user_id) WHERE total = 7", "1|20|Oslo|11|7.00"),
        (
            "SELECT id, name, title FROM users FULL JOIN items USING (id) ORDER BY id",
            "1|Ada| 2|Børge| 3|Čapek| 100||lamp 101||chair",
        ),
        ("SELECT users.users.id, id FROM users RIGHT JOIN items USING (id) ORDER BY id", "|100 |101"),
    ] {
        assert_eq!(shop.ask(sql).await.replace('\n', " "), expected, "{sql}");
    }
}
