//! What is cast beside what it is made of, which DataFusion calls the same; and lists in orders of their own.

use super::only_values::check;

#[tokio::test]
async fn what_is_cast_stands_beside_what_it_is_made_of() {
    check(&[
        ("SELECT max(id), max(id::double precision) FROM users", "3|3.0"),
        ("SELECT max(id) AS a, max(id::text) AS b FROM users HAVING max(id::text) > '2'", "3|3"),
        (
            "SELECT user_id, user_id::text, count(*) FROM orders GROUP BY user_id, user_id::text ORDER BY user_id::text LIMIT 1",
            "1|1|2",
        ),
        ("SELECT count(*) FROM (SELECT user_id FROM orders GROUP BY user_id, user_id::text, user_id::double precision) q", "3"),
        ("SELECT sum(id) OVER () AS a, sum(id::double precision) OVER () AS b FROM users LIMIT 1", "6|6.0"),
        ("SELECT count(DISTINCT name), count(DISTINCT name COLLATE utf8mb4_bin) FROM users", "3|3"),
        ("SELECT max((id::text)::int), max(id::text), max(id) FROM users", "3|3|3"),
        ("SELECT max(id), max(id::text), nosuch FROM users", "Name: column nosuch is not there"),
    ])
    .await;
}

#[tokio::test]
async fn lists_are_each_in_their_order() {
    check(&[
        (
            "SELECT string_agg(id::text, ',' ORDER BY id), string_agg(id::text, ',' ORDER BY id DESC) FROM users",
            "1,2,3|3,2,1",
        ),
        (
            "SELECT array_agg(DISTINCT id ORDER BY id), array_agg(id ORDER BY name DESC, id) FROM users",
            "[1, 2, 3]|[3, 2, 1]",
        ),
        ("SELECT array_agg(DISTINCT x ORDER BY x) FROM (SELECT id AS x FROM users ORDER BY id DESC LIMIT 2) q", "[2, 3]"),
        (
            "SELECT string_agg(DISTINCT id::text, ',' ORDER BY id::text), array_agg(id ORDER BY id DESC) FROM users",
            "1,2,3|[3, 2, 1]",
        ),
        // Groups that are in an order already, of which any are enough.
        (
            "SELECT count(*) FROM (SELECT q.n FROM (SELECT id AS n FROM users INTERSECT ALL SELECT id FROM users) q \
             GROUP BY q.n LIMIT 2) r",
            "2",
        ),
    ])
    .await;
}
