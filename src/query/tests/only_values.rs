//! Subqueries that stand for a value and depend on the row: the only one that it finds.

use crate::query::testing::Shop;

const SEVERAL: &str = "Invalid: a subquery that stands for a value has more than one row";
const REFUSED: &str = "Unsupported: a subquery is not served in this place";

async fn check(cases: &[(&str, &str)]) {
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
