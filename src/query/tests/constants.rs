//! Bounds on what is made of constants, within aggregates, and of casts within each other.

use super::bounds::value;
use crate::query::testing::Shop;

#[tokio::test]
async fn string_agg_makes_no_more_than_so_many_bytes() {
    let shop = Shop::new();
    let rows = |count: u32, bytes: u32| {
        format!(
            "(SELECT value % 2 AS g, value AS v, repeat('x', CASE WHEN value > 0 THEN {bytes} END) AS s \
             FROM generate_series(1, {count}) x) t"
        )
    };
    let agg = |call: &str, rest: &str| format!("SELECT sum(length(x)) FROM (SELECT {call} AS x FROM {rest}) y");
    let ordered = "string_agg(s, ',' ORDER BY v)";
    let delimiter = "Limit: string_agg has a delimiter of 257 bytes: 256 are the most (Make shorter values, or of fewer rows)";
    let long = format!("string_agg(s, '{}')", "-".repeat(257));
    for (sql, expected) in [
        (agg("string_agg(s, ',')", &rows(1000, 10)), "10999".to_owned()),
        (agg("string_agg(s, ',')", &rows(1000, 20_000)), value("string_agg", 20_000_999)),
        (agg(ordered, &rows(1000, 20_000)), value("string_agg", 20_000_999)),
        (agg("string_agg(s, ',')", &format!("{} GROUP BY g", rows(1000, 20_000))), "20000998".to_owned()),
        (
            agg("string_agg(s, ',')", &format!("{} GROUP BY g", rows(1000, 40_000))),
            value("string_agg", 20_000_499),
        ),
        (agg(ordered, &format!("{} GROUP BY g", rows(1000, 40_000))), value("string_agg", 20_000_499)),
        (agg("string_agg(DISTINCT s, ',')", &rows(1000, 20_000)), "20000".to_owned()),
        (agg("string_agg(s, NULL)", &rows(3, 1)), "3".to_owned()),
        (agg(&long, &rows(3, 1)), delimiter.to_owned()),
        (agg(&format!("{} FILTER (WHERE v > 1)", long.replace("'-", "'")), &rows(3, 1)), "258".to_owned()),
        (agg("string_agg(s, ',') OVER (ORDER BY v)", &rows(1000, 10)), "5504500".to_owned()),
    ] {
        assert_eq!(shop.ask(&sql).await, expected, "{sql}");
    }
    for (sql, expected) in [
        (
            agg("string_agg(s, ',')", "(SELECT repeat('x', 10000000) AS s) a, generate_series(1, 30) g"),
            "string_agg would take 300000000 bytes of so many rows",
        ),
        (agg("string_agg(s, ',') OVER (ORDER BY v)", &rows(10_000, 100)), "for the rows of one window"),
    ] {
        let answer = shop.ask(&sql).await;
        assert!(answer.starts_with("Limit: ") && answer.contains(expected), "{sql}: {answer}");
    }
}

#[tokio::test]
async fn constants_are_bounded_where_rows_repeat_them_and_all_together() {
    let shop = Shop::new();
    let rows = "FROM generate_series(1, 8192) g(v)";
    let long = "repeat('x', 10000000)";
    let each = "Limit: a constant of 10000000 bytes would be made for each row: 32768 are the most";
    for (sql, expected) in [
        (format!("SELECT {long} AS s {rows}"), each),
        (format!("SELECT CASE WHEN v > 5 THEN {long} ELSE 'a' END AS s {rows}"), each),
        (format!("SELECT max(concat({long}, '')) {rows}"), each),
        (format!("SELECT count(DISTINCT s) FROM (SELECT {long} AS s {rows}) t"), each),
        (format!("SELECT v {rows} WHERE position({long} IN v::text) > 0"), each),
        (format!("SELECT (SELECT max(coalesce(nullif(v::text, '1'), {long})) {rows})"), each),
        (format!("SELECT v {rows} WHERE v = 7 AND v::text <> {long} AND v::text NOT IN ({long}, 'b')"), "7"),
        (format!("SELECT length(s), v FROM (SELECT {long} AS s) t, generate_series(1, 2) g(v) ORDER BY v"), "10000000|1\n10000000|2"),
        (format!("SELECT length({long}), octet_length(s) FROM (SELECT {long} AS s) t"), "10000000|10000000"),
        (format!("SELECT count(s) FROM (VALUES {}) t(s)", vec![format!("({long})"); 20].join(", ")), "20"),
        (
            format!("SELECT count(s) FROM (VALUES {}) t(s)", vec![format!("({long})"); 2000].join(", ")),
            "Limit: repeat would bring the constants of a statement to 270000000 bytes: 268435456 are the most",
        ),
        ("SELECT max(octet_length(s)) FROM (SELECT string_agg(repeat('x', 1000), '') AS s FROM generate_series(1, 16000) g) t, generate_series(1, 20000) h".to_owned(), "16000000"),
    ] {
        let answer = shop.ask(&sql).await;
        assert!(answer.starts_with(expected), "{}: {}", &sql[..sql.len().min(200)], &answer[..answer.len().min(300)]);
    }
}

#[tokio::test]
async fn casts_stand_within_each_other_no_deeper_than_can_be_planned() {
    let shop = Shop::new();
    let nested = |depth: u32, list: &str, from: &str| {
        (0..depth).fold(format!("SELECT id AS b FROM {from}"), |inner, _| {
            format!("SELECT {list} AS b FROM ({inner}) q")
        })
    };
    let plus = |depth| {
        format!("SELECT max(b) FROM ({}) q", nested(depth, "b - 1 + 1", "(SELECT id::int AS id FROM users) u"))
    };
    assert_eq!(shop.ask(&plus(8)).await, "3");
    let limit = "Limit: an expression has 26 casts within each other: 24 are the most";
    for sql in [
        plus(40),
        format!(
            "SELECT id FROM users WHERE id IN ({})",
            nested(40, "b * 1", "(SELECT id::int AS id FROM users) u")
        ),
        format!(
            "SELECT (SELECT max(b) FROM ({}) q)",
            nested(40, "b - 0", "(SELECT id::int AS id FROM users) u")
        ),
        format!("SELECT id{} FROM users", "::text::int".repeat(13)),
    ] {
        let answer = shop.ask(&sql).await;
        assert!(answer.starts_with(limit) || answer.starts_with(&limit.replace("26", "25")), "{answer}");
    }
}
