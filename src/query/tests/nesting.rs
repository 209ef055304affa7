//! Bounds of what a statement is made of: its length, how deep it nests, and how much a few names may stand for.

use std::time::{Duration, Instant};

use crate::query::QueryErrorKind;
use crate::query::testing::Shop;

#[tokio::test]
async fn long_and_deep_statements_are_bounded() {
    let shop = Shop::new();
    let chain = |length: usize, by: &str| format!("SELECT {}", vec!["1"; length].join(by));
    assert_eq!(shop.ask(&chain(1_400, "+")).await, "1400");
    let ors = vec!["id = 1 AND name = 'x'"; 350].join(" OR ");
    assert_eq!(shop.ask(&format!("SELECT count(*) FROM users WHERE {ors}")).await, "0");
    let unions = vec!["SELECT 1"; 300].join(" UNION ALL ");
    assert_eq!(shop.ask(&format!("SELECT count(*) FROM ({unions}) x")).await, "300");
    let list = (0..20_000).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(shop.ask(&format!("SELECT count(*) FROM users WHERE id IN ({list})")).await, "3");
    let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(shop.ask(&nested(40)).await, "1");
    assert_eq!(shop.ask(&format!("SELECT {}-1{}", "abs(".repeat(90), ")".repeat(90))).await, "1");
    let words = format!("SELECT 1 WHERE {} 1 = 1 {}", "1 IN (1) AND NOT (".repeat(30), ")".repeat(30));
    assert_eq!(shop.ask(&words).await, "1");
    for sql in [
        chain(100_000, "+"),
        chain(100_000, "||"),
        vec!["SELECT 1"; 20_000].join(" UNION ALL "),
        format!("SELECT {}1", "NOT ".repeat(50_000)),
        format!("SELECT {}1", "- ".repeat(50_000)),
        format!("SELECT 1{}", "::int".repeat(50_000)),
        nested(100_000),
        nested(200),
        format!("SELECT 1 FROM {}users{}", "(SELECT * FROM ".repeat(300), ")".repeat(300)),
        format!("SELECT {}", vec!["1 IN ((SELECT 1), 2)"; 40_000].join(", ")),
        format!("SELECT '{}'", "x".repeat(2 << 20)),
    ] {
        let began = Instant::now();
        let answer = shop.ask(&sql).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(40), "{}… took {took:?}", &sql[..40]);
        assert!(
            answer.starts_with("Limit: "),
            "{}…: {}",
            &sql[..40],
            answer.chars().take(300).collect::<String>()
        );
    }
}

#[tokio::test]
async fn what_doubles_with_each_level_is_bounded() {
    let shop = Shop::new();
    // The parser takes any word before a parenthesis for a function.
    let by = shop.ask(&format!("SELECT 1 + {}1{}", "by(".repeat(90), ")".repeat(90))).await;
    assert!(by.contains("function by is not there"), "{by}");
    let enclosed = |levels: usize| {
        (0..levels).fold("users".to_owned(), |inner, level| {
            format!("((SELECT * FROM {inner} LIMIT 1) a{level} JOIN (SELECT 1) b{level} ON true)")
        })
    };
    assert_eq!(shop.ask(&format!("SELECT count(*) FROM {}", enclosed(8))).await, "1");
    let recursive = |levels: usize| {
        (0..levels).fold("SELECT 1".to_owned(), |inner, level| {
            format!("WITH RECURSIVE a{level} AS (({inner}) UNION SELECT 2) SELECT 1")
        })
    };
    assert_eq!(shop.ask(&recursive(30)).await, "1");
    let named = |queries: usize| {
        let all: Vec<String> = (0..queries).map(|query| format!("a{query} AS (SELECT 1)")).collect();
        format!("WITH {} SELECT 1", all.join(", "))
    };
    assert_eq!(shop.ask(&named(1_000)).await, "1");
    // Nothing but rows of one, as often as they are named.
    let doubled = |queries: usize| {
        let each = (1..queries).map(|n| format!(", a{n} AS (TABLE a{0} UNION ALL TABLE a{0})", n - 1));
        let each = each.collect::<String>().replace("TABLE", "SELECT x FROM");
        format!("WITH a0 AS (SELECT 1 AS x){each} SELECT count(*) FROM a{}", queries - 1)
    };
    let joined = |queries: usize| {
        let all: Vec<String> = (0..queries).map(|n| format!("(SELECT 1 AS x) a{n}")).collect();
        format!("SELECT count(*) FROM {}", all.join(", "))
    };
    assert_eq!(shop.ask(&doubled(7)).await, "64");
    assert_eq!(shop.ask(&joined(60)).await, "1");
    for sql in [format!("SELECT count(*) FROM {}", enclosed(20)), named(1_001), doubled(24), joined(300)] {
        let answer = shop.ask(&sql).await;
        assert!(
            answer.starts_with("Limit: "),
            "{}…: {}",
            &sql[..40],
            answer.chars().take(300).collect::<String>()
        );
    }
}

#[tokio::test]
async fn what_is_written_several_times_is_bounded_where_it_nests() {
    let shop = Shop::new();
    let within = |levels: usize, first: &str, around: &str| {
        (0..levels).fold(first.to_owned(), |inner, _| around.replace('#', &inner))
    };
    let of = "SELECT count(*) FROM (SELECT nullif(id, 7) AS n, nullif(id, 8) AS m, nullif(id, 9)::double AS d FROM users) u WHERE";
    let refused = |answer: &str| {
        let refusals = ["an expression would be written", "CASE nests "];
        refusals.iter().any(|refusal| answer.starts_with(&format!("Limit: {refusal}")))
    };
    for (first, around, compared) in [
        ("n", "coalesce(#, m)", " = 1"),
        ("n", "nvl(#, m)", " = 1"),
        ("n", "nvl2(#, n, m)", " = 1"),
        ("n", "nvl2(n, abs(#), m)", " = 1"),
        ("n", "CASE WHEN n = 1 THEN abs(#) END", " IS NULL"),
        ("INTERVAL '1 s'", "nullif(#, m * INTERVAL '1 s')", " IS NULL"),
        ("d", "nullif(#, 2.5::double)", " = 1"),
        ("n", "CASE WHEN # BETWEEN 0 AND 3 THEN n END", " = 1"),
        ("n", "CASE WHEN # IS NOT DISTINCT FROM 1 THEN n END", " = 1"),
        ("n", "CASE WHEN extract(year FROM DATE '2024-01-01' + #) = 2024 THEN n END", " = 1"),
    ] {
        let few = shop.ask(&format!("{of} {}{compared}", within(3, first, around))).await;
        assert!(few.parse::<u32>().is_ok(), "{around}: {few}");
        let mut was_refused = false;
        for levels in 4..=28 {
            let started = Instant::now();
            let many = shop.ask(&format!("{of} {}{compared}", within(levels, first, around))).await;
            was_refused |= refused(&many);
            assert!(if was_refused { refused(&many) } else { many.parse::<u32>().is_ok() }, "{around}: {many}");
            assert!(started.elapsed() < Duration::from_secs(40), "{levels} of {around}");
        }
        assert!(was_refused, "{around}");
    }
    // What stands right behind ELSE is the same CASE.
    let chain = within(30, "m", "CASE WHEN n = 1 THEN n ELSE # END");
    assert_eq!(shop.ask(&format!("{of} {chain} = 1")).await, "1");
    let through = |levels| {
        within(
            levels,
            "SELECT id AS x FROM users",
            "SELECT abs(CASE WHEN random() < 2 THEN x ELSE 2 END) AS x FROM (#) q",
        )
    };
    assert_eq!(shop.ask(&format!("SELECT sum(x) FROM ({}) q", through(6))).await, "6");
    let many = shop.ask(&format!("SELECT sum(x) FROM ({}) q", through(20))).await;
    assert!(many.starts_with("Limit: CASE nests "), "{many}");
    // A last choice is written once.
    let last = within(30, "m", "coalesce(n, #)");
    assert_eq!(shop.ask(&format!("{of} {last} = 1")).await, "1");
    // Conditions are taken through these, and to what a column is joined to.
    let joined = "SELECT CASE WHEN a.x > 1 THEN a.x + 1 ELSE a.x END AS x FROM (SELECT v + 1 AS x FROM (VALUES (1), (2)) w (v)) a";
    for (around, levels) in [
        ("SELECT CASE WHEN x > 1 THEN x + 1 ELSE x END AS x FROM (#) q UNION ALL SELECT 1".to_owned(), 14),
        ("SELECT CASE WHEN x > 1 THEN x + 1 ELSE x END AS x FROM (#) q GROUP BY x".to_owned(), 10),
        (format!("{joined} JOIN (#) b ON a.x = b.x"), 10),
        (format!("{joined} WHERE x IN (#)"), 8),
    ] {
        let through = |levels| within(levels, "SELECT 1 AS x", &around);
        let few = shop.ask(&format!("SELECT count(*) FROM ({}) q WHERE x = 5", through(3))).await;
        assert_eq!(few, "0", "{around}");
        let many = shop.ask(&format!("SELECT count(*) FROM ({}) q WHERE x = 5", through(levels))).await;
        assert!(many.starts_with("Limit: an expression would be written"), "{around}: {many}");
    }
    // Through the columns of subqueries.
    let subqueries = |levels| within(levels, "SELECT id AS x FROM users", "SELECT x + x AS x FROM (#) q");
    assert_eq!(shop.ask(&format!("SELECT count(*) FROM ({}) q WHERE x > 8", subqueries(3))).await, "2");
    let many = shop.ask(&format!("SELECT count(*) FROM ({}) q WHERE x > 8", subqueries(24))).await;
    assert!(many.starts_with("Limit: an expression would be written"), "{many}");
}

#[tokio::test]
async fn subqueries_in_expressions_nest_no_deeper_than_can_be_planned() {
    let shop = Shop::new();
    let nested =
        |levels| (0..levels).fold("SELECT true".to_owned(), |inner, _| format!("SELECT true IN ({inner})"));
    let chained = |levels| format!("SELECT true{}", " IN (SELECT true)".repeat(levels));
    let scalar = |levels| (0..levels).fold("SELECT 1".to_owned(), |inner, _| format!("SELECT ({inner})"));
    for (sql, most) in [
        (nested(8), false),
        (chained(8), false),
        (scalar(8), false),
        (nested(9), true),
        (chained(40), true),
        (scalar(90), true),
    ] {
        let answer = tokio::time::timeout(Duration::from_secs(60), shop.session().query(&sql, vec![])).await;
        let error = answer.expect("an answer in time").err();
        assert_eq!(error.is_some_and(|error| error.kind == QueryErrorKind::Limit), most, "{sql}");
    }
}

#[tokio::test]
async fn what_merged_columns_stand_for_is_bounded() {
    let shop = Shop::new();
    // Queries of WITH, each with columns of its own.
    let wide = |queries: usize, columns: usize| {
        let list = |query| (0..columns).map(move |column| format!("1 a{query}x{column}")).collect::<Vec<_>>();
        let named = (0..queries).map(|query| format!("c{query} AS (SELECT {})", list(query).join(",")));
        format!("WITH {}", named.collect::<Vec<_>>().join(","))
    };
    let crossed = |queries: usize, alias: &str| {
        let names = (0..queries).map(|query| format!("c{query} {alias}{query}"));
        format!("({})", names.collect::<Vec<_>>().join(" CROSS JOIN "))
    };
    let natural = |list: &str, queries: usize, columns: usize| {
        let (left, right) = (crossed(queries, "a"), crossed(queries, "b"));
        format!("{} SELECT {list} FROM {left} NATURAL JOIN {right}", wide(queries, columns))
    };
    let using =
        |times: usize| format!("SELECT 1 FROM users a JOIN users b USING ({})", vec!["id"; times].join(","));
    // Each name of `x` is one of 30 columns.
    let full = |names: usize| {
        let joins = (1..30).map(|n| format!(" FULL JOIN (SELECT {n} AS x) t{n} USING (x)")).collect::<String>();
        format!("SELECT count(*) FROM (SELECT 0 AS x) t0{joins} WHERE 7 IN ({})", vec!["x"; names].join(","))
    };
    let list_of = |columns: usize| {
        format!(
            "{} SELECT * FROM users a JOIN users b USING (id) CROSS JOIN {}",
            wide(2, columns),
            crossed(2, "c")
        )
    };
    for (sql, expected) in [
        (natural("1", 4, 250), "1"),
        (natural("1", 4, 251), "Limit: the statement merges 1004 columns"),
        (natural("1", 50, 1_664), "Limit: the statement merges 83200 columns"),
        (using(1_001), "Limit: the statement merges 1001 columns"),
        (full(100), "1"),
        (full(4_000), "Limit: the statement's names of merged columns stand for more than 100000 columns"),
        (list_of(831), "Limit: a SELECT lists 1669 expressions"),
    ] {
        let start = Instant::now();
        let answer = shop.ask(&sql).await;
        let shown: String = answer.chars().take(300).collect();
        assert!(answer.starts_with(expected), "{}…: {shown}", &sql[..40]);
        assert!(start.elapsed() < Duration::from_secs(20), "{shown}: {:?}", start.elapsed());
    }
}
