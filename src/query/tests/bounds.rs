//! Bounds: time, memory, size, depth, and clients that leave.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};

use crate::policy::Identity;
use crate::query::testing::{Fault, Shop, show, table_id};
use crate::query::{QueryErrorKind, RouteSettings};

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_with_its_remote_work() {
    let shop = Shop::new();
    *shop.sources["users"].fault.lock() = Fault::Hang;
    let mut session = shop.session();
    show(&mut session, "SET statement_timeout = 50").await;
    assert_eq!(
        show(&mut session, "SELECT count(*) FROM users").await,
        "Limit: the query took longer than 50ms (SET statement_timeout to allow more, or narrow the query)"
    );
    let mut running = shop.sources["users"].running.subscribe();
    running.wait_for(|running| *running == 0).await.unwrap();
    // A query counts as ended when the last of its tasks is gone, which may be after its client has the error.
    while shop.engine.counters().failed() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((shop.engine.counters().failed(), shop.engine.counters().succeeded()), (1, 0));
}

#[tokio::test]
async fn dropping_the_rows_ends_the_remote_work() {
    let shop = Shop::new();
    *shop.sources["users"].fault.lock() = Fault::Hang;
    let mut session = shop.session();
    let answer = session.query("SELECT name FROM users", vec![]).await.unwrap();
    let mut running = shop.sources["users"].running.subscribe();
    running.wait_for(|running| *running == 1).await.unwrap();
    drop(answer);
    running.wait_for(|running| *running == 0).await.unwrap();
}

#[tokio::test]
async fn a_source_that_fails_midway_fails_the_query_after_its_rows() {
    let shop = Shop::new();
    *shop.sources["users"].fault.lock() = Fault::Scan(crossweave_contract::ErrorKind::Unreachable);
    let mut rows = shop.session().query("SELECT name FROM users", vec![]).await.unwrap().rows;
    let mut batches = 0;
    let error = loop {
        match rows.next().await {
            Some(Ok(_)) => batches += 1,
            Some(Err(error)) => break error,
            None => panic!("the error was lost"),
        }
    };
    assert!(batches <= 1);
    assert_eq!((error.kind, error.message.as_str()), (QueryErrorKind::Unavailable, "the connection was lost"));
    assert!(rows.next().await.is_none());
}

#[tokio::test]
async fn what_waits_for_slow_clients_is_lent_and_goes_to_files_where_nothing_is_left() {
    let shop = Shop::with(|options| options.memory = 64 << 20);
    let (memory, large) =
        (shop.engine.memory(), "SELECT repeat('x', 999999 + value % 2) FROM generate_series(1, 25)");
    let mut waiting = Vec::new();
    for _ in 0..8 {
        waiting.push(shop.session().query(large, vec![]).await.unwrap());
    }
    while memory.reserved() < 24_999_975 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(shop.ask("SELECT count(*) FROM users").await, "3");
    for answer in waiting {
        assert!(memory.reserved() <= 64 << 20, "{}", memory.reserved());
        let batches: Vec<_> = answer.rows.try_collect().await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 25);
    }
    while memory.reserved() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn rows_of_caches_take_no_memory_of_their_own() {
    let shop = Shop::new();
    for (cached, sql) in
        [(false, "SELECT id, name FROM users"), (true, "SELECT name, name, id FROM users LIMIT 2")]
    {
        if cached {
            shop.cache("users", &["users"], "0-1-7");
        }
        let mut rows = shop.session().query(sql, vec![]).await.unwrap().rows;
        rows.next().await.unwrap().unwrap();
        assert_eq!(shop.engine.memory().reserved() == 0, cached, "{sql}");
    }
}

#[tokio::test]
async fn memory_is_bounded_over_all_queries() {
    let shop = Shop::with(|options| options.memory = 1 << 20);
    let sql = "SELECT count(*) FROM (SELECT a.value FROM generate_series(1, 300000) a JOIN generate_series(1, 300000) b ON a.value = b.value) x";
    let answer = shop.ask(sql).await;
    assert!(answer.starts_with("Limit: "), "{answer}");
    assert_eq!(shop.ask("SELECT count(*) FROM users").await, "3", "and what it held is free again");
}

/// The answer where `function` would make a value of so many bytes.
pub(super) fn value(function: &str, bytes: u64) -> String {
    format!(
        "Limit: {function} would make a value of {bytes} bytes: 16777216 are the most (Make shorter values, or of fewer rows)"
    )
}

#[tokio::test]
async fn a_function_makes_no_more_than_so_many_bytes() {
    let shop = Shop::new();
    for (sql, expected) in [
        ("SELECT length(repeat('x', 500000000))", value("repeat", 500_000_000)),
        ("SELECT length(repeat(name, 100000000)) FROM users WHERE id = 1", value("repeat", 300_000_000)),
        ("SELECT length(lpad('x', 20000000))", value("lpad", 20_000_000)),
        ("SELECT length(rpad(name, 9000000, 'é')) FROM users WHERE id = 1", value("rpad", 17_999_997)),
        ("SELECT octet_length(rpad(name, 5000000, 'é')) FROM users WHERE id = 1", "9999997".to_owned()),
        ("SELECT octet_length(lpad('é', 6, 'aéi')), rpad('éa', 1, 'x')", "9|é".to_owned()),
        ("SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 100)))", value("replace", 100_000_000)),
        ("SELECT cardinality(array_repeat(1, 100000000))", value("array_repeat", 800_000_000)),
        ("SELECT cardinality(range(0, 100000000))", value("range", 800_000_008)),
        (
            "SELECT cardinality(generate_series(id::bigint, 100000000)) FROM users WHERE id = 1",
            value("generate_series", 800_000_000),
        ),
        (
            "SELECT cardinality(range(DATE '1900-01-01', DATE '2100-01-01', INTERVAL '1 day'))",
            "73049".to_owned(),
        ),
        (
            "SELECT cardinality(range(DATE '0001-01-01', DATE '9999-01-01', INTERVAL '1 day'))",
            value("range", 29_213_560),
        ),
        ("SELECT cardinality(array_resize(ARRAY[1], 100000000))", value("array_resize", 800_000_000)),
        ("SELECT cardinality(ARRAY[1, 2] || ARRAY[3])", "3".to_owned()),
        ("SELECT length(s || s) FROM (SELECT repeat('x', 10000000) AS s) x", value("||", 20_000_000)),
        ("SELECT length(concat(s, s)) FROM (SELECT repeat('x', 10000000) AS s) x", value("concat", 20_000_000)),
        (
            "SELECT length(concat_ws(s, 'a', 'b', 'c')) FROM (SELECT repeat('x', 6000000) AS s) x",
            value("concat_ws", 18_000_003),
        ),
        ("SELECT count(length(repeat('x', value))) FROM generate_series(100000, 100999) g", "1000".to_owned()),
        ("SELECT length(repeat('x', -1)), length(lpad('abc', 2)), repeat(NULL, 3)", "0|2|".to_owned()),
        (
            "SELECT string_agg('<' || rpad(name, 1 - id::bigint) || '>', ' ' ORDER BY id) FROM users",
            "<> <> <>".to_owned(),
        ),
        ("SELECT string_agg(lpad(name, 2 - 2 * id::bigint, 'é'), ',' ORDER BY id) FROM users", ",,".to_owned()),
        (
            "SELECT rpad('a', -1), lpad(name, -2, 'x'), rpad(NULL, -id::bigint) FROM users WHERE id = 1",
            "||".to_owned(),
        ),
        ("SELECT length(replace(repeat('x', 1000000), 'xxxxxxxx', repeat('y', 100)))", "12500000".to_owned()),
        ("SELECT name || '!' || id, '<' || NULL FROM users WHERE id = 1", "Ada!1|".to_owned()),
    ] {
        assert_eq!(shop.ask(sql).await, expected, "{sql}");
    }
    let answer =
        shop.ask("SELECT count(length(repeat('x', value))) FROM generate_series(1000000, 1000999) g").await;
    assert_eq!(
        answer,
        "Limit: repeat would make 1000499500 bytes for 1000 rows at once: 268435456 are the most (Make shorter values, or of fewer rows)"
    );
}

#[tokio::test]
async fn lists_are_as_large_as_their_elements_row_by_row() {
    let shop = Shop::new();
    let nested = |first: &str, list: &str| {
        (0..40).fold(first.to_owned(), |inner, _| format!("SELECT {list} AS x FROM ({inner}) y"))
    };
    // One long text among thousands of empty ones.
    let one = |of: &str| {
        format!(
            "SELECT count({of}) FROM (SELECT value AS v, CASE WHEN value = 5 THEN repeat('x', value * 20000) ELSE '' END AS s \
             FROM generate_series(1, 8000) g) t"
        )
    };
    for (sql, expected) in [
        (one("array_repeat(s, 1000)"), value("array_repeat", 100_004_000)),
        (one("array_repeat(ARRAY[s], 1000)"), value("array_repeat", 100_008_000)),
        (one("array_repeat(s, CASE WHEN v = 5 THEN 100 ELSE 10 END)"), "8000".to_owned()),
        (one("array_resize(ARRAY['a'], 1000, s)"), value("array_resize", 99_904_001)),
        (one("array_resize(ARRAY[s, s], 1)"), "8000".to_owned()),
        (nested("SELECT 1 AS x", "make_array(x, x)"), value("make_array", 25_165_816)),
        (nested("SELECT ARRAY['x'] AS x", "x || x"), value("array_concat", 16_777_224)),
        (one("ARRAY[repeat(s, 100), repeat(s, 100)]"), value("make_array", 20_000_008)),
    ] {
        assert_eq!(shop.ask(&sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn texts_of_lists_and_of_expressions_have_no_more_than_so_many_bytes() {
    let shop = Shop::new();
    let refused = |call: &str, bytes: u64| {
        let (function, _) = call.split_once('(').unwrap();
        (format!("SELECT length({call})"), value(function, bytes))
    };
    let made = |call: &str, answer: &str| (format!("SELECT {call}"), answer.to_owned());
    for (sql, expected) in [
        refused("array_to_string(array_repeat('ab', 1000), repeat('x', 20000))", 19_982_000),
        refused("array_to_string(array_repeat(1e300, 60000), '')", 19_200_000),
        refused("array_to_string(array_repeat(NULL::text, 2000), '', repeat('n', 10000))", 20_000_000),
        made("array_to_string(ARRAY[1, NULL, 12], ', ', '-')", "1, -, 12"),
        made("array_to_string(ARRAY[ARRAY['a'], ARRAY['b']], '')", "ab"),
        refused("regexp_replace(repeat('x', 200000), 'x', repeat('y', 100), 'g')", 20_000_000),
        refused("regexp_replace(repeat('x', 200000), '(x*)', repeat('\\1', 100))", 20_000_200),
        made("length(regexp_replace(repeat('x', 200000), 'x', repeat('y', 100)))", "200099"),
        made("length(regexp_replace(repeat('x', 200000), 'X{8}', repeat('y', 100), 'gi'))", "2500000"),
        made("regexp_replace('Ada', '(.)$', '<\\1>')", "Ad<a>"),
    ] {
        assert_eq!(shop.ask(&sql).await, expected, "{sql}");
    }
}

/// Fails for all answers that are not as expected, of which each may be long.
fn assert_told(answers: &[(String, String)]) {
    let begin = |text: &str| text.chars().take(200).collect::<String>();
    let wrong = answers.iter().filter(|(found, expected)| found != expected);
    let wrong: Vec<_> = wrong
        .map(|(found, expected)| format!("expected {}\n  found {}", begin(expected), begin(found)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_is_rewritten_or_joined_has_no_more_than_so_many_bytes() {
    let shop = Shop::new();
    let nested = |first: &str, made: &str, times: u32| {
        (0..times).fold(first.to_owned(), |inner, _| format!("SELECT {made} AS x FROM ({inner}) y"))
    };
    let of = |bytes: u32, made: &str| format!("SELECT {made} AS x FROM generate_series({bytes}, {bytes}) g");
    let binary = of(3_000_000, "decode(repeat('ab', value), 'hex')");
    let text = of(3_000_000, "repeat('x', value)");
    let refused = |call: &str, bytes: u64| {
        let (function, _) = call.split_once('(').unwrap();
        (format!("SELECT {call} FROM generate_series(1, 1) g"), value(function, bytes))
    };
    let made = |call: &str, answer: &str| (format!("SELECT {call}"), answer.to_owned());
    let mut checked = Vec::new();
    let overlaid = "overlay(x PLACING x FROM 1 FOR 0)";
    for (sql, expected) in [
        (nested(&binary, "x || x", 25), value("||", 24_000_000)),
        (nested(&of(2, "decode(repeat('ab', value), 'hex')"), "x || x", 2), "abababababababab".to_owned()),
        (nested(&binary, "concat(x, x)", 25), value("concat", 24_000_000)),
        (nested(&text, "encode(x::bytea, 'hex')", 6), value("encode", 24_000_000)),
        (nested(&text, overlaid, 25), value("overlay", 24_000_000)),
        (
            "SELECT max(length(y)) FROM (SELECT overlay(repeat('x', id::bigint * 9000000) PLACING name FROM 8999999 FOR -9000000) AS y \
             FROM users WHERE id = 1) z"
                .to_owned(),
            value("overlay", 18_000_003),
        ),
        refused("upper(repeat('ΐ', value * 3000000))", 18_000_000),
        refused("initcap(repeat('ΐ', value * 3000000))", 18_000_000),
        made("upper('straße'), lower('ÉA'), initcap('éa b')", "STRASSE|éa|Éa B"),
        refused("translate(repeat('x', value * 9000000), 'xy', 'é€')", 18_000_000),
        refused("to_char(now(), repeat('%c', value * 300000))", 19_800_000),
        made("to_char(DATE '2024-02-29', '%d.%m.%Y')", "29.02.2024"),
        refused("regexp_match(repeat('x', value * 1000000), '^' || repeat('(', 17) || 'x*' || repeat(')', 17) || '$')", 17_000_272),
        made("regexp_match('Ada Lovelace', '(\\w+) (\\w+)')", "[Ada, Lovelace]"),
        (
            "SELECT cardinality(string_to_array(repeat('x,', value * 1000000), ',')) FROM generate_series(1, 1) g".to_owned(),
            value("string_to_array", 18_000_016),
        ),
        made("cardinality(string_to_array(repeat('x', value * 2000000), ',')) FROM generate_series(1, 1) g", "1"),
    ] {
        checked.push((shop.ask(&sql).await, expected));
    }
    assert_told(&checked);
}

#[tokio::test]
async fn what_replaces_elements_or_holds_values_has_no_more_than_so_many_bytes() {
    let shop = Shop::new();
    let long = "repeat('x', 100000)";
    let of = |call: &str| format!("SELECT cardinality({call})");
    let nested = |made: &str, times: u32| {
        let first = "SELECT repeat('x', 100000) AS x".to_owned();
        (0..times).fold(first, |inner, _| format!("SELECT {made} AS x FROM ({inner}) y"))
    };
    let fields = |function: &str, found: usize| {
        format!(
            "Limit: {function} would make a value of {found} fields: 1000 are the most (Make shorter values, or of fewer rows)"
        )
    };
    let wide = |bytes: u64| {
        format!(
            "Limit: a cast would make values of {bytes} bytes each: 32768 are the most (Make shorter values, or of fewer rows)"
        )
    };
    let mut checked = Vec::new();
    let some = "array_concat(array_repeat('a', 3), array_repeat('b', 2000))";
    for (sql, expected) in [
        (
            of(&format!("array_replace_all(array_repeat('a', 2000), 'a', {long})")),
            value("array_replace_all", 200_018_000),
        ),
        (
            of(&format!("array_replace_n(array_repeat('a', 2000), 'a', {long}, 1000)")),
            value("array_replace_n", 100_014_000),
        ),
        (of(&format!("array_replace(array_repeat('a', 2000), 'a', {long})")), "2000".to_owned()),
        (of(&format!("array_replace_all({some}, 'a', {long})")), "2003".to_owned()),
        (
            of(&format!("arrays_zip(range(1, 500000), {})", ["ARRAY[1]"; 10].join(", "))),
            value("arrays_zip", 43_999_912),
        ),
        (
            "SELECT cardinality(array_union(range(value, 1500000), range(value * 2000000, 3500000))) FROM generate_series(1, 1) g"
                .to_owned(),
            value("array_union", 24_000_000),
        ),
        (
            format!("SELECT length(x['a']['b']) FROM ({}) z", nested("named_struct('a', x, 'b', x)", 2)),
            "100000".to_owned(),
        ),
        ("SELECT CAST(NULL AS BIGINT[100000000])".to_owned(), wide(800_000_000)),
        ("SELECT arrow_cast(decode('ab', 'hex'), 'FixedSizeBinary(2000000000)')".to_owned(), wide(2_000_000_000)),
        ("SELECT CAST([1, 2] AS BIGINT[2])".to_owned(), "[1, 2]".to_owned()),
        (nested("named_struct('a', x, 'b', x)", 8), value("named_struct", 25_601_034)),
        (nested("named_struct('a', x, 'b', x)", 40), fields("named_struct", 1_022)),
        (nested("(x, x)", 40), fields("struct", 1_022)),
        (nested("map([x], [x])", 40), fields("map", 1_022)),
        (nested("arrays_zip([x], [x])", 40), fields("arrays_zip", 1_022)),
    ] {
        checked.push((shop.ask(&sql).await, expected));
    }
    assert_told(&checked);
    let answer = shop
        .ask("SELECT value FROM generate_series(1, length(repeat('x', 9000000) || repeat('y', 9000000))) g")
        .await;
    assert!(answer.starts_with("Invalid: Argument #2 must be an INTEGER"), "it is left as it is");
}

#[tokio::test]
async fn a_join_without_an_equality_is_refused_where_it_does_not_fit() {
    let joins = async |shop: &Shop| {
        let mut answers = Vec::new();
        for kind in ["INNER", "LEFT", "FULL", "LEFT SEMI", "LEFT ANTI"] {
            let sql = format!(
                "SELECT count(*) FROM (SELECT a.value v FROM generate_series(1, 100000) a \
                 JOIN generate_series(1, 100000) b ON a.value = b.value) x \
                 {kind} JOIN generate_series(1, 3) c ON x.v + c.value < 4"
            );
            answers.push(shop.ask(&sql).await);
        }
        answers
    };
    let expected = ["3", "100001", "100002", "2", "99998"];
    assert_eq!(joins(&Shop::new()).await, expected);
    let answers = joins(&Shop::with(|options| options.memory = 1 << 20)).await;
    for (answer, expected) in answers.iter().zip(expected) {
        assert!(answer.starts_with("Limit: ") || answer == expected, "{answer}");
    }
    assert!(answers.iter().any(|answer| answer.starts_with("Limit: ")), "{answers:?}");
}

#[tokio::test]
async fn rows_that_nobody_reads_yet_hold_no_place() {
    let shop = Shop::with(|options| options.queries = 1);
    let mut session = shop.session();
    let unread = session.query("SELECT id FROM users", vec![]).await.unwrap();
    let place = std::sync::Arc::clone(&shop.engine.inner.slots);
    drop(tokio::time::timeout(Duration::from_secs(10), place.acquire()).await.unwrap().unwrap());
    assert_eq!(unread.rows.collect().await.unwrap().iter().map(|batch| batch.num_rows()).sum::<usize>(), 3);
}

#[tokio::test]
async fn queries_at_the_same_time_are_bounded() {
    let shop = Shop::with(|options| options.queries = 1);
    let tables = BTreeSet::from([table_id("users", "users")]);
    let pin = |timeout| {
        let (engine, tables) = (shop.engine.clone(), tables.clone());
        async move { engine.pin_for(&Identity::default(), &tables, &RouteSettings::default(), timeout).await }
    };
    let first = pin(Duration::from_secs(60)).await.unwrap();
    let error = pin(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (QueryErrorKind::Limit, "1 queries are running, the most at the same time")
    );
    drop(first);
    pin(Duration::from_secs(60)).await.unwrap();
}

#[tokio::test]
async fn what_is_counted_tells_plans_statements_and_queries() {
    let shop = Shop::new();
    shop.ask("SELECT count(*) FROM users u JOIN orders o ON o.user_id = u.id").await;
    let counters = shop.engine.counters();
    assert_eq!((counters.plans(), counters.statements()), (1, 2));
    shop.ask("SELECT nosuch FROM users").await;
    // The rows are out before the query is counted: what holds its routes is dropped by another thread.
    while counters.succeeded() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((counters.succeeded(), counters.failed(), counters.timed()), (1, 1, 1));
    assert_eq!(counters.buckets().last(), Some(&1));
}

#[tokio::test]
async fn a_join_that_gives_nothing_back_for_long_ends_at_its_deadline_and_holds_up_nobody() {
    let shop = Shop::new();
    let mut session = shop.session();
    show(&mut session, "SET statement_timeout = '2s'").await;
    let endless = "SELECT count(*) FROM generate_series(1, 400000) a JOIN generate_series(1, 400000) b \
                   ON a.value * 2 = b.value * 2 + 1 OR a.value + b.value < 0";
    let crossed = "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b";
    for sql in [endless, crossed] {
        let started = std::time::Instant::now();
        let answer = async {
            let answer = show(&mut session, sql).await;
            (answer, started.elapsed())
        };
        let others = async {
            let mut slowest = Duration::ZERO;
            while started.elapsed() < Duration::from_millis(1_500) {
                let asked = std::time::Instant::now();
                assert_eq!(shop.ask("SELECT count(*) FROM users").await, "3");
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        };
        let ((answer, took), slowest) = tokio::join!(answer, others);
        assert!(answer.starts_with("Limit: the query took longer than 2s"), "{sql}: {answer}");
        assert!(took < Duration::from_secs(5), "{sql}: {took:?}");
        assert!(slowest < Duration::from_secs(1), "{sql}: another query waited for {slowest:?}");
    }
    // Both have let go of their places.
    let permits = shop.engine.inner.slots.clone();
    drop(tokio::time::timeout(Duration::from_secs(5), permits.acquire_many(64)).await.unwrap().unwrap());
}
