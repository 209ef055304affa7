//! Statements that read very many tables.

use std::time::{Duration, Instant};

use crate::query::testing::{Shop, show};

/// A count of `tables` tables, each joined with the one before it.
fn chain(tables: usize) -> String {
    let joins = (1..tables).map(|n| format!(" JOIN users.users a{n} ON a{n}.id = a{}.id", n - 1));
    format!("SELECT count(*) FROM users.users a0{}", joins.collect::<String>())
}

/// CTEs each of which joins the one before it with itself.
fn doubling(levels: usize) -> String {
    let join = |n: usize| format!(", c{n} AS (SELECT a.id FROM c{0} a JOIN c{0} b ON a.id = b.id)", n - 1);
    let ctes = (1..=levels).map(join).collect::<String>();
    format!("WITH c0 AS (SELECT id FROM users.users){ctes} SELECT count(*) FROM c{levels}")
}

/// CTEs each of which joins ninety rows, and that nobody names.
fn unnamed(ctes: usize) -> String {
    let rows = (0..90).map(|n| format!("(SELECT 1) a{n}")).collect::<Vec<_>>().join(", ");
    let ctes = (0..ctes).map(|n| format!("c{n} AS (SELECT 1 FROM {rows})")).collect::<Vec<_>>().join(", ");
    format!("WITH {ctes} SELECT 1")
}

#[tokio::test]
async fn more_tables_than_are_planned_in_time_are_refused_at_once() {
    let shop = Shop::new();
    let listed = |separator: &str, one: &dyn Fn(usize) -> String| {
        (0..1_000).map(one).collect::<Vec<_>>().join(separator)
    };
    let statements = [
        ("a join", chain(700)),
        ("a list", format!("SELECT 1 FROM {}", listed(", ", &|n| format!("users.users a{n}")))),
        (
            "a union",
            (0..500).map(|n| format!("SELECT {n} FROM users.users")).collect::<Vec<_>>().join(" UNION ALL "),
        ),
        ("subqueries", format!("SELECT {}", listed(", ", &|_| "(SELECT max(id) FROM users.users)".to_owned()))),
        ("functions", format!("SELECT 1 FROM {}", listed(", ", &|n| format!("generate_series(1, 1) AS g{n}")))),
        ("CTEs", doubling(40)),
        ("subqueries in CTEs that nobody names", unnamed(50)),
    ];
    for (what, sql) in statements {
        let start = Instant::now();
        let answer = shop.ask(&sql).await;
        assert!(
            answer.starts_with("Limit: the statement joins more than 100")
                || answer.starts_with("Limit: the statement reads more than 400"),
            "{what}: {answer}"
        );
        assert!(start.elapsed() < Duration::from_secs(5), "{what}: {:?}", start.elapsed());
    }
    // What is named once reads what it reads once.
    let names = (0..60).map(|n| format!("c{n} AS (SELECT id FROM users.users)")).collect::<Vec<_>>().join(", ");
    assert_eq!(shop.ask(&format!("WITH {names} SELECT count(*) FROM c59")).await, "3");
    assert_eq!(shop.ask(&doubling(3)).await, "3");
    assert_eq!(shop.ask(&unnamed(4)).await, "1");
    // A subquery is none by itself.
    let part = "SELECT * FROM (SELECT id FROM users.users) q";
    let union = |parts: usize| format!("SELECT count(*) FROM ({}) u", vec![part; parts].join(" UNION ALL "));
    assert_eq!(shop.ask(&union(201)).await, "603");
    assert!(shop.ask(&union(401)).await.starts_with("Limit: the statement reads more than 400"));
}

#[tokio::test]
async fn planning_ends_at_the_deadline_and_when_nobody_waits() {
    let shop = Shop::with(|options| options.threads = 1);
    let mut session = shop.session();
    show(&mut session, "SET statement_timeout = 100").await;
    let start = Instant::now();
    let answer = show(&mut session, &chain(60)).await;
    let took = start.elapsed();
    assert!(answer.starts_with("Limit: the query took longer than 100ms"), "{answer}");
    // One thread makes all plans: it is free again.
    assert_eq!(shop.ask("SELECT 1").await, "1");
    assert!(start.elapsed() < took + Duration::from_secs(3), "{took:?}, {:?}", start.elapsed());

    let left = tokio::time::timeout(Duration::from_millis(100), shop.ask(&chain(60))).await;
    assert!(left.is_err(), "{left:?}");
    let start = Instant::now();
    assert_eq!(shop.ask("SELECT 1").await, "1");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
