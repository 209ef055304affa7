//! Subqueries that stand for a value and depend on the row: the only one that it finds.

use crate::query::testing::Shop;

const SEVERAL: &str = "Invalid: a subquery that stands for a value has more than one row";
const REFUSED: &str = "Unsupported: a subquery is not served in this place";

pub(super) async fn check(cases: &[(&str, &str)]) {
    let shop = Shop::new();
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let answer = shop.ask(sql).await;
        if answer != *expected && !(expected.contains(": ") && answer.starts_with(expected)) {
            wrong.push(format!("{sql}: {answer:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_value_is_looked_up_by_whatever_finds_one_row() {
    let names = "10|Ada\n11|Ada\n12|Børge\n13|";
    check(&[
        // A key of another type, and one that is computed.
        ("SELECT o.id, (SELECT u.name FROM users u WHERE u.id = o.user_id) FROM orders o ORDER BY 1", names),
        (
            "SELECT o.id, (SELECT u.name FROM users u WHERE u.id = o.user_id + 1) FROM orders o ORDER BY 1",
            "10|Børge\n11|Børge\n12|Čapek\n13|",
        ),
        (
            "SELECT u.id, (SELECT w.id FROM users w WHERE w.name = u.name) FROM users u ORDER BY 1",
            "1|1\n2|2\n3|3",
        ),
        (
            "SELECT o.id, (SELECT u.id FROM users u WHERE u.name = 'Ada' AND u.id = o.user_id) FROM orders o ORDER BY 1",
            "10|1\n11|1\n12|\n13|",
        ),
        (
            "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) \
             SELECT u.id, (SELECT r.n FROM r WHERE r.n = u.id) FROM users u ORDER BY 1",
            "1|1\n2|2\n3|3",
        ),
        (
            "SELECT o.id, (SELECT q.name FROM (SELECT * FROM users u WHERE u.id = o.user_id) q ORDER BY q.name) FROM orders o ORDER BY 1",
            names,
        ),
        (
            "SELECT o.id, (SELECT DISTINCT u.name FROM users u WHERE u.id = o.user_id) FROM orders o ORDER BY 1",
            names,
        ),
        (
            "SELECT o.id FROM orders o WHERE (SELECT u.name FROM users u WHERE u.id = o.user_id) = 'Ada' ORDER BY 1",
            "10\n11",
        ),
        ("SELECT o.id FROM orders o WHERE (SELECT u.name FROM users u WHERE u.id = o.user_id) IS NULL", "13"),
        (
            "SELECT (SELECT u.name FROM users u WHERE u.id = o.user_id), count(*) FROM orders o GROUP BY 1 ORDER BY 1",
            "Ada|2\nBørge|1\n|1",
        ),
        ("SELECT sum((SELECT u.balance FROM users u WHERE u.id = o.user_id)) FROM orders o", "21.00"),
    ])
    .await;
}

#[tokio::test]
async fn a_second_row_fails_where_it_is_asked_for() {
    check(&[
        // There are two rows for the first user, which matters where they are asked for.
        (
            "SELECT u.id, (SELECT o.total FROM orders o WHERE o.user_id = u.id) FROM users u WHERE u.id > 1 ORDER BY 1",
            "2|9.99\n3|",
        ),
        (
            "SELECT u.id FROM users u WHERE u.id > 1 AND (SELECT o.total FROM orders o WHERE o.user_id = u.id) > 5",
            "2",
        ),
        (
            "SELECT u.id, CASE WHEN u.id > 1 THEN (SELECT o.total FROM orders o WHERE o.user_id = u.id) END FROM users u ORDER BY 1",
            "1|\n2|9.99\n3|",
        ),
        (
            "SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id GROUP BY o.total) FROM users u WHERE u.id > 1 ORDER BY 1",
            "2|1\n3|",
        ),
        ("SELECT u.id, (SELECT o.total FROM orders o WHERE o.user_id = u.id) FROM users u", SEVERAL),
        ("SELECT u.id FROM users u WHERE (SELECT o.total FROM orders o WHERE o.user_id = u.id) > 5", SEVERAL),
        (
            "SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id GROUP BY o.total) FROM users u",
            SEVERAL,
        ),
        ("SELECT (SELECT o.id FROM orders o)", SEVERAL),
        ("SELECT o.id, (SELECT u.name FROM users u WHERE u.id > o.user_id) FROM orders o", REFUSED),
        (
            "SELECT o.id, (SELECT u.id FROM users u WHERE u.id = o.user_id UNION SELECT 1) FROM orders o",
            REFUSED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_total_is_of_all_rows_that_what_is_computed_finds() {
    let shop = Shop::new();
    let days = "WITH d(day) AS (VALUES (DATE '2020-01-01'), (DATE '2020-01-02'), (NULL)), \
                s(at, word) AS (VALUES (TIMESTAMP '2020-01-01 10:00:00', 'a'), (TIMESTAMP '2020-01-01 12:00:00', 'A'))";
    for (sql, expected) in [
        (
            "SELECT d.day, (SELECT count(*) FROM s WHERE CAST(s.at AS DATE) = d.day) FROM d ORDER BY 1",
            "2020-01-01|2\n2020-01-02|0\n|0",
        ),
        (
            "SELECT d.day FROM d WHERE (SELECT count(*) FROM s WHERE d.day = CAST(s.at AS DATE)) = 2",
            "2020-01-01",
        ),
        (
            "SELECT d.day, (SELECT q.n FROM (SELECT count(*) AS n FROM (SELECT * FROM s WHERE s.at::date = d.day) r) q) FROM d ORDER BY 1",
            "2020-01-01|2\n2020-01-02|0\n|0",
        ),
        (
            "SELECT w, (SELECT count(*) FROM s WHERE lower(s.word) = w) FROM (VALUES ('a'), ('b')) q(w) ORDER BY 1",
            "a|2\nb|0",
        ),
    ] {
        assert_eq!(shop.ask(&format!("{days} {sql}")).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn of_no_row_the_value_is_null_though_its_column_never_is() {
    check(&[
        // By a key, by what is counted, and with HAVING.
        ("SELECT o.id FROM orders o WHERE (SELECT u.id FROM users u WHERE u.id = o.user_id) IS NULL", "13"),
        (
            "SELECT o.id, coalesce((SELECT u.id FROM users u WHERE u.id = o.user_id), -1) FROM orders o ORDER BY 1",
            "10|1\n11|1\n12|2\n13|-1",
        ),
        (
            "SELECT o.id, CASE WHEN (SELECT 1 FROM users u WHERE u.id = o.user_id) IS NULL THEN 'no' ELSE 'yes' END \
             FROM orders o ORDER BY 1",
            "10|yes\n11|yes\n12|yes\n13|no",
        ),
        (
            "SELECT u.id, coalesce((SELECT count(*) FROM orders o WHERE o.user_id = u.id GROUP BY o.user_id), 0) \
             FROM users u ORDER BY 1",
            "1|2\n2|1\n3|0",
        ),
        (
            "SELECT u.id FROM users u WHERE (SELECT count(*) FROM orders o WHERE o.user_id = u.id HAVING count(*) > 1) \
             IS NULL ORDER BY 1",
            "2\n3",
        ),
        // Whatever is around it, and in what is made of it.
        ("SELECT 1 WHERE (SELECT id FROM users WHERE id = 9) IS NULL", "1"),
        ("SELECT coalesce((SELECT id FROM users WHERE id = 9), 0) + 1", "1"),
        ("SELECT (SELECT id FROM users WHERE id = 9), (SELECT id FROM users WHERE id = 2)", "|2"),
        ("SELECT x IS NULL, coalesce(x, 5) FROM (SELECT (SELECT id FROM users WHERE id = 9) AS x) q", "true|5"),
        ("SELECT u.id FROM users u WHERE u.id = (SELECT id FROM users WHERE name = 'Ada')", "1"),
        (
            "SELECT x, coalesce(x, 5), x IS NULL FROM (SELECT (SELECT id FROM users WHERE id = -1) AS x UNION ALL SELECT 1) q \
             ORDER BY 2",
            "1|1|false\n|5|true",
        ),
        // It was taken for one that never is.
        (
            "SELECT q.one, (SELECT count(*) FROM orders o WHERE o.user_id = q.one AND q.x IS NULL) \
             FROM (SELECT (SELECT id FROM users WHERE id = -1) AS x, id AS one FROM users WHERE id < 3) q ORDER BY 1",
            REFUSED,
        ),
        // Looked for among others.
        (
            "SELECT count(*) FROM users WHERE (SELECT id FROM users WHERE id = -1) NOT IN (SELECT o.id FROM orders o)",
            "0",
        ),
        (
            "SELECT count(*) FROM (SELECT (SELECT u.id FROM users u WHERE u.id = o.user_id) AS x FROM orders o) q \
             WHERE (q.x IN (SELECT i.id FROM orders i)) IS NULL",
            "1",
        ),
        (
            "SELECT count(*) FROM orders o WHERE o.id NOT IN (SELECT 1 UNION ALL SELECT (SELECT id FROM users WHERE id = -1))",
            "0",
        ),
        // There always is a total.
        ("SELECT (SELECT count(*) FROM users WHERE id = 9) IS NULL", "false"),
    ])
    .await;
}

#[tokio::test]
async fn rows_are_looked_for_by_a_value_that_depends_on_nothing() {
    check(&[
        ("SELECT o.id FROM orders o WHERE o.user_id = (SELECT max(id) - 1 FROM users)", "12"),
        ("SELECT o.id FROM orders o WHERE (SELECT u.id FROM users u WHERE u.name = 'Ada') = o.user_id ORDER BY 1", "10\n11"),
        ("SELECT o.id FROM orders o WHERE o.user_id = (SELECT u.id FROM users u WHERE u.id < 3)", SEVERAL),
        ("SELECT o.id FROM orders o WHERE o.user_id = (SELECT u.id FROM users u WHERE u.id = 9)", ""),
        // What is made of the value of no row, and beside other conditions.
        (
            "SELECT o.id FROM orders o WHERE o.user_id = coalesce((SELECT u.id FROM users u WHERE u.id = 9), 2)",
            "12",
        ),
        (
            "SELECT o.id FROM orders o WHERE o.user_id = (SELECT min(id) FROM users) AND o.id > 10",
            "11",
        ),
        (
            "SELECT o.id FROM orders o WHERE o.user_id = (SELECT max(id) FROM users) OR o.id = 13",
            "13",
        ),
        ("SELECT count(*) FROM orders o WHERE NOT o.user_id = (SELECT min(id) FROM users)", "2"),
        (
            "SELECT o.id FROM orders o WHERE o.user_id = (SELECT min(id) FROM users) + (SELECT count(*) FROM users u WHERE u.id > 9 AND u.id = o.user_id)",
            "10\n11",
        ),
        (
            "SELECT o.id FROM orders o WHERE o.user_id = (SELECT min(id) FROM users) + (SELECT max(id) - 2 FROM users)",
            "12",
        ),
        // In a join, on either side of it.
        (
            "SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id WHERE u.name = (SELECT name FROM users WHERE id = 2)",
            "12|Børge",
        ),
        (
            "SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id \
             WHERE u.id = (SELECT max(id) FROM users) AND o.id IS NULL",
            "3|",
        ),
        (
            "SELECT u.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE o.id = (SELECT max(id) - 1 FROM orders)",
            "2",
        ),
        // Of what is computed, and within a subquery, of LATERAL too.
        (
            "SELECT u.id, q.id FROM users u, LATERAL (SELECT o.id FROM orders o WHERE o.user_id = u.id AND o.id = \
             (SELECT min(id) FROM orders)) q",
            "1|10",
        ),
        (
            "SELECT q.n FROM (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) q WHERE q.n = (SELECT 2)",
            "2",
        ),
        (
            "SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id AND o.id = (SELECT min(id) FROM orders)) \
             FROM users u ORDER BY 1",
            "1|1\n2|0\n3|0",
        ),
    ])
    .await;
}

#[tokio::test]
async fn of_each_row_the_first_one_that_belongs_to_it() {
    check(&[
        (
            "SELECT u.id, (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.id DESC LIMIT 1) FROM users u ORDER BY 1",
            "1|11\n2|12\n3|",
        ),
        // By what is not shown, and by what is computed.
        (
            "SELECT u.id, (SELECT o.id + 1 FROM orders o WHERE o.user_id = u.id ORDER BY -o.id, o.total LIMIT 1) AS x \
             FROM users u WHERE u.id < 3 ORDER BY 1",
            "1|12\n2|13",
        ),
        (
            "SELECT u.id FROM users u WHERE (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY 1 LIMIT 1) = 10",
            "1",
        ),
        ("SELECT u.id, (SELECT count(*) FROM orders o WHERE o.user_id = u.id LIMIT 1) FROM users u ORDER BY 1", "1|2\n2|1\n3|0"),
        // Any, and none.
        (
            "SELECT u.id, (SELECT o.user_id FROM orders o WHERE o.user_id = u.id LIMIT 1) FROM users u ORDER BY 1",
            "1|1\n2|2\n3|",
        ),
        (
            "SELECT o.id, coalesce((SELECT u.name FROM users u WHERE u.id = o.user_id ORDER BY u.name LIMIT 1), '-') \
             FROM orders o ORDER BY 1",
            "10|Ada\n11|Ada\n12|Børge\n13|-",
        ),
        (
            "SELECT u.id, (SELECT DISTINCT o.user_id FROM orders o WHERE o.user_id = u.id ORDER BY 1 LIMIT 1) FROM users u ORDER BY 1",
            "1|1\n2|2\n3|",
        ),
        // The second is no first.
        (
            "SELECT u.id, (SELECT o.id FROM orders o WHERE o.user_id = u.id ORDER BY o.id LIMIT 1 OFFSET 1) FROM users u",
            "Unsupported: ",
        ),
    ])
    .await;
}
