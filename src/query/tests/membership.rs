//! IN and NOT IN with a subquery, wherever they stand, against three-valued logic worked out by hand.

use crate::query::testing::Shop;

type Cell = Option<i64>;

fn equal(a: Cell, b: Cell) -> Option<bool> {
    Some(a? == b?)
}

fn not(value: Option<bool>) -> Option<bool> {
    value.map(|value| !value)
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), b) => b,
        (None, _) => None,
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    not(and(not(a), not(b)))
}

/// `x IN (…)` of these rows.
fn is_in(x: Cell, rows: &[Cell]) -> Option<bool> {
    let mut found = Some(false);
    for row in rows {
        found = or(found, equal(x, *row));
    }
    found
}

/// How the subquery depends on the row around it.
type Correlation = (&'static str, fn(i64, i64) -> bool);
const CORRELATIONS: [Correlation; 5] = [
    ("", |_, _| true),
    (" WHERE w.k = v.a", |k, a| k == a),
    (" WHERE w.k < v.a", |k, a| k < a),
    (" WHERE w.k > v.a", |k, a| k > a),
    (" WHERE w.k > 9", |k, _| k > 9),
];

/// Conditions, and what they are, of `a` and `x IN (…)`.
type Condition = (&'static str, fn(i64, Option<bool>) -> Option<bool>);
const CONDITIONS: [Condition; 9] = [
    ("v.x IN @", |_, found| found),
    ("v.x NOT IN @", |_, found| not(found)),
    ("NOT v.x IN @", |_, found| not(found)),
    ("v.a < 0 OR v.x NOT IN @", |a, found| or(Some(a < 0), not(found))),
    ("NOT (v.x IN @ AND v.a > 1)", |a, found| not(and(found, Some(a > 1)))),
    ("NOT (v.x NOT IN @ OR v.a > 2)", |a, found| not(or(not(found), Some(a > 2)))),
    ("v.a > 1 AND v.x NOT IN @", |a, found| and(Some(a > 1), not(found))),
    ("NOT (NOT v.x IN @)", |_, found| found),
    ("v.x + 0 NOT IN @ AND v.x NOT IN @", |_, found| not(found)),
];

/// The same where NULL and false differ.
const VALUES: [Condition; 4] = [
    ("(v.x IN @) IS NULL", |_, found| Some(found.is_none())),
    ("(v.x NOT IN @) IS NOT TRUE", |_, found| Some(not(found) != Some(true))),
    ("CASE WHEN v.x NOT IN @ THEN false ELSE true END", |_, found| Some(not(found) != Some(true))),
    ("coalesce(v.x IN @, true)", |_, found| Some(found.unwrap_or(true))),
];

fn rows(rows: &[(Cell, i64)]) -> String {
    let cell = |cell: Cell| cell.map_or("NULL".to_owned(), |number| number.to_string());
    let rows = rows.iter().map(|(first, second)| format!("({}, {second})", cell(*first)));
    rows.collect::<Vec<_>>().join(", ")
}

/// What `v` and `w` hold.
type Tables = [&'static [(Cell, i64)]; 2];
const TABLES: [Tables; 3] = [
    [&[(Some(1), 1), (Some(5), 2), (Some(3), 3), (None, 0)], &[(Some(5), 1), (None, 3)]],
    [&[(None, 1), (Some(2), 2), (None, 3), (Some(7), 9)], &[(Some(5), 1), (Some(2), 2), (Some(7), 1)]],
    [&[(Some(1), 1), (None, 3), (Some(3), 2)], &[(None, 2), (Some(1), 0)]],
];

#[tokio::test]
async fn membership_is_three_valued_wherever_it_stands() {
    let shop = Shop::new();
    for [outer, inner] in TABLES {
        let tables = format!("WITH v(x, a) AS (VALUES {}), w(b, k) AS (VALUES {})", rows(outer), rows(inner));
        for (place, (correlation, fits)) in CORRELATIONS.iter().enumerate() {
            let subquery = format!("(SELECT w.b FROM w{correlation})");
            // DataFusion has no plan for a value that depends on the row by an inequality.
            let with_values = if matches!(place, 2 | 3) { &VALUES[..0] } else { &VALUES };
            for (condition, decides) in CONDITIONS.iter().chain(with_values) {
                let stays = |&&(x, a): &&(Cell, i64)| {
                    let set: Vec<Cell> = inner.iter().filter(|(_, k)| fits(*k, a)).map(|(b, _)| *b).collect();
                    decides(a, is_in(x, &set)) == Some(true)
                };
                let mut expected: Vec<String> =
                    outer.iter().filter(stays).map(|(_, a)| a.to_string()).collect();
                expected.sort();
                let condition = condition.replace('@', &subquery);
                let sql = format!("{tables} SELECT v.a FROM v WHERE {condition} ORDER BY v.a");
                assert_eq!(shop.ask(&sql).await, expected.join("\n"), "{sql}");
                if condition.contains("NOT IN") {
                    let other = format!("JOIN (VALUES (1), (2)) o(n) ON o.n = 1 AND ({condition})");
                    let sql = format!("{tables} SELECT v.a FROM v {other} ORDER BY v.a");
                    assert_eq!(shop.ask(&sql).await, expected.join("\n"), "{sql}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_looked_for_may_be_anything() {
    let shop = Shop::new();
    let deep = (0..24).fold("SELECT nullif(b, 99) AS b FROM (VALUES (5), (99)) q(b)".to_owned(), |inner, _| {
        format!("SELECT b FROM ({inner}) q LIMIT 9")
    });
    let large = vec!["SELECT id FROM users WHERE id = 1"; 200].join(" UNION ALL ");
    let limit = "are the most where IN stands for a value";
    let mut wrong = Vec::new();
    for (sql, expected) in [
        ("SELECT count(*) IN (SELECT 3), max(id) NOT IN (SELECT nullif(3, 3)) FROM users".to_owned(), "true|"),
        ("SELECT id % 2 FROM users GROUP BY 1 HAVING count(*) < 0 OR count(*) NOT IN (SELECT 2)".to_owned(), "0"),
        ("SELECT row_number() OVER (ORDER BY id) IN (SELECT 2) FROM users ORDER BY id".to_owned(), "false\ntrue\nfalse"),
        ("SELECT id FROM users WHERE 5 NOT IN (SELECT nullif(id, 101) FROM items)".to_owned(), ""),
        ("SELECT id FROM users WHERE id < 0 OR 5 NOT IN (SELECT nullif(id, 3) FROM users WHERE id < 3) ORDER BY 1".to_owned(), "1\n2\n3"),
        ("SELECT id FROM users WHERE (SELECT max(id) FROM users) NOT IN (SELECT 4) AND id = 1".to_owned(), "1"),
        ("SELECT id FROM users WHERE id NOT IN (SELECT id FROM users WHERE id > 1)".to_owned(), "1"),
        (
            "SELECT id FROM users u WHERE id NOT IN (SELECT u.id + 1)".to_owned(),
            "a subquery is not served in this place",
        ),
        (format!("SELECT id FROM users WHERE id < 0 OR id NOT IN ({deep})"), ""),
        (format!("SELECT id FROM users WHERE id < 0 OR id NOT IN ({deep} OFFSET 2) ORDER BY id"), "1\n2\n3"),
        (format!("SELECT 5 IN ({deep}), 6 IN ({deep})"), "true|"),
        (format!("SELECT id IN ({large}) FROM users"), limit),
        ("SELECT (1, 2) IN (SELECT 1, 2)".to_owned(), "true"),
        (
            "SELECT u.id FROM users u JOIN items i ON i.id > u.id WHERE u.id NOT IN \
             (SELECT u.id FROM users u WHERE u.id = i.id)".to_owned(),
            "give the table within another alias",
        ),
    ] {
        let answer = shop.ask(&sql).await;
        let fits = if expected.contains(' ') { answer.contains(expected) } else { answer == expected };
        if !fits {
            wrong.push(format!("{}: {answer:?}, not {expected:?}", sql.chars().take(300).collect::<String>()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_window_over_rows_that_depend_on_what_is_around_them_is_refused() {
    let shop = Shop::new();
    let numbered = "SELECT row_number() OVER (ORDER BY o.id) AS n FROM orders o WHERE o.user_id = u.id";
    for sql in [
        format!("SELECT u.id FROM users u WHERE 1 IN ({numbered})"),
        format!("SELECT u.id FROM users u WHERE 1 = ANY ({numbered})"),
        format!("SELECT (SELECT max(n) FROM ({numbered}) q) FROM users u"),
        format!("SELECT u.id FROM users u, LATERAL ({numbered}) q WHERE q.n = 1"),
    ] {
        let answer = shop.ask(&sql).await;
        assert!(answer.contains("a window function within a subquery"), "{sql}: {answer}");
    }
    let exists = format!("SELECT id FROM users u WHERE EXISTS ({numbered}) ORDER BY id");
    assert_eq!(shop.ask(&exists).await, "1\n2");
    let latest = "SELECT u.id, q.id FROM users u JOIN (SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY id DESC) AS n \
                  FROM orders) q ON q.user_id = u.id WHERE q.n = 1 ORDER BY u.id";
    assert_eq!(
        shop.ask(latest).await,
        shop.ask("SELECT user_id, max(id) FROM orders WHERE user_id IN (1, 2) GROUP BY 1 ORDER BY 1").await
    );
}

#[tokio::test]
async fn what_is_pulled_out_of_a_subquery_keeps_its_subqueries_apart() {
    let shop = Shop::new();
    let tables = "WITH t(id, x) AS (VALUES (1, 1), (2, NULL), (3, 7)), w(id, x) AS (VALUES (1, 1), (2, NULL), (3, 9)), \
                  n(x) AS (VALUES (5), (6))";
    let outer = |condition: &str| {
        format!(
            "{tables} SELECT t.id FROM t WHERE NOT EXISTS (SELECT 1 FROM w WHERE w.id = t.id AND ({condition})) ORDER BY 1"
        )
    };
    let refused = "Unsupported: several subqueries in a part of WHERE";
    for (sql, expected) in [
        // Of the row 2 it is not known.
        (outer("w.x = t.x OR w.x NOT IN (SELECT n.x FROM n)"), "2"),
        (outer("w.x = t.x OR w.x IN (SELECT n.x + 4 FROM n)"), "2"),
        (outer("w.x = t.x OR NOT EXISTS (SELECT 1 FROM n WHERE n.x > 5)"), "2\n3"),
        (outer("w.x = t.x OR w.x IN (SELECT n.x FROM n) OR w.x IN (SELECT n.x + 4 FROM n)"), refused),
        (outer("w.x = t.x OR EXISTS (SELECT 1 FROM n WHERE n.x > 9) OR EXISTS (SELECT 1 FROM n)"), refused),
        (outer("w.x = t.x AND w.x NOT IN (SELECT n.x FROM n) AND w.x IN (SELECT n.x - 4 FROM n)"), "2\n3"),
    ] {
        let answer = shop.ask(&sql).await;
        assert!(answer == expected || (expected == refused && answer.starts_with(refused)), "{sql}: {answer}");
    }
}

#[tokio::test]
async fn a_subquery_of_from_may_depend_on_what_is_around_the_query_that_it_is_in() {
    let shop = Shop::new();
    let tables = "WITH t(id, x, y) AS (VALUES (1, 1, 1), (2, NULL, 2), (3, 3, NULL), (4, 4, 4), (5, 7, NULL)), \
                  w(id, x, y) AS (VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 5, 4), (5, 8, 8))";
    let same = "SELECT w.x, w.y FROM w WHERE w.id = t.id";
    let lists = "SELECT w.y, w.x AS id FROM w WHERE w.id = t.id";
    let mut wrong = Vec::new();
    for (sql, expected) in [
        (format!("SELECT id FROM t WHERE (x, y) IN ({same})"), "1"),
        (format!("SELECT id FROM t WHERE (x, y) NOT IN ({same})"), "4\n5"),
        (format!("SELECT id FROM t WHERE (x, y) NOT IN ({same} AND w.id > 2)"), "1\n2\n4\n5"),
        (format!("SELECT id FROM t WHERE id < 0 OR (x, y) NOT IN ({same})"), "4\n5"),
        (format!("SELECT id FROM t WHERE ((x, y) IN ({same})) IS NULL"), "2\n3"),
        (
            "SELECT id FROM t WHERE (x, y) NOT IN (SELECT x, y FROM w WHERE w.id = t.id AND x IS NOT NULL AND y IS NOT NULL)"
                .to_owned(),
            "4\n5",
        ),
        (
            "SELECT id FROM t WHERE (t.x, t.y) IN (SELECT w.x, max(w.y) FROM w WHERE w.id = t.id GROUP BY w.x)".to_owned(),
            "1",
        ),
        (format!("SELECT id FROM t WHERE EXISTS (SELECT 1 FROM ({lists}) q WHERE q.y = t.y)"), "1\n2\n4"),
        (format!("SELECT id FROM t WHERE y IN (SELECT q.y FROM ({lists}) q WHERE q.id < 5)"), "1\n2"),
        (format!("SELECT id FROM t WHERE t.y NOT IN (SELECT q.y FROM ({lists}) q WHERE q.id < 5)"), "4\n5"),
        (
            format!("SELECT id, (SELECT max(q.y) FROM ({lists}) q WHERE q.id < 5) FROM t"),
            "1|1\n2|2\n3|3\n4|\n5|",
        ),
        (
            format!("SELECT id, (SELECT count(*) FROM (SELECT y, id FROM ({lists}) p WHERE id < 5) q WHERE q.id > 1) FROM t"),
            "1|0\n2|1\n3|1\n4|0\n5|0",
        ),
        (
            format!("SELECT id FROM t WHERE (x, y) IN ({same} UNION SELECT 1, 2)"),
            "Unsupported: a subquery is not served in this place",
        ),
    ] {
        let answer = shop.ask(&format!("{tables} {sql} ORDER BY id")).await;
        if answer != expected && !(expected.contains(' ') && answer.starts_with(expected)) {
            wrong.push(format!("{sql}: {answer:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
