//! Joins across sources: which rows are asked for.

use crossweave_contract::{Relation, RemoteExpr, RemoteQuery};

use crate::query::testing::{Fault, Shop, show};
use crate::query::{QueryErrorKind, RouteSettings};

/// What the sources of the services `names` are asked, in turn.
async fn asked(shop: &Shop, sql: &str, names: &[&str]) -> (String, Vec<Vec<RemoteQuery>>) {
    let mut session = shop.session();
    show(&mut session, "SET crossweave.route = 'live'").await;
    let answer = show(&mut session, sql).await;
    let take = |name: &&str| std::mem::take(&mut *shop.sources[*name].asked.lock());
    (answer, names.iter().map(take).collect())
}

/// The number of keys that `query` asks for the rows of; `None` where it asks for all.
fn keys(query: &RemoteQuery) -> Option<usize> {
    match &query.relation {
        Relation::Filter { condition: RemoteExpr::In { list, negated: false, .. }, .. } => Some(list.len()),
        _ => None,
    }
}

#[tokio::test]
async fn the_other_side_is_asked_for_the_rows_with_a_partner() {
    let shop = Shop::new();
    let sql = "SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1 ORDER BY o.id";
    let expected = shop.ask(sql).await;
    std::mem::take(&mut *shop.sources["orders"].asked.lock());
    let (answer, queries) = asked(&shop, sql, &["orders"]).await;
    assert_eq!(answer, expected);
    assert_eq!(queries[0].iter().map(keys).collect::<Vec<_>>(), [Some(1)]);

    let (_, queries) =
        asked(&shop, "SELECT 1 FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 99", &["orders"])
            .await;
    assert!(queries[0].is_empty(), "no key, no statement");
    // All left rows are there, with a partner or without.
    let (answer, queries) = asked(
        &shop,
        "SELECT count(*) FROM users u LEFT JOIN orders o ON o.user_id = u.id AND o.id < 0",
        &["orders"],
    )
    .await;
    assert_eq!(answer, "3");
    assert_eq!(queries[0].len(), 1);
}

#[tokio::test]
async fn a_side_whose_rows_are_all_given_is_asked_for_all() {
    let shop = Shop::new();
    for sql in [
        "SELECT count(*) FROM users u RIGHT JOIN orders o ON o.user_id = u.id",
        "SELECT count(*) FROM users u FULL JOIN orders o ON o.user_id = u.id",
        "SELECT count(*) FROM users WHERE id NOT IN (SELECT user_id FROM orders)",
    ] {
        let expected = shop.ask(sql).await;
        std::mem::take(&mut *shop.sources["orders"].asked.lock());
        let (answer, queries) = asked(&shop, sql, &["orders"]).await;
        assert_eq!(answer, expected, "{sql}");
        assert_eq!(queries[0].iter().map(keys).collect::<Vec<_>>(), [None], "{sql}");
    }
}

#[tokio::test]
async fn a_chain_of_joins_binds_each_after_the_one_before() {
    let shop = Shop::new();
    let sql = "SELECT u.name, i.title FROM users u JOIN orders o ON o.user_id = u.id \
               JOIN items i ON i.seller_id = o.user_id WHERE u.id = 1";
    let expected = shop.ask(sql).await;
    for name in ["orders", "items"] {
        std::mem::take(&mut *shop.sources[name].asked.lock());
    }
    let (answer, queries) = asked(&shop, sql, &["orders", "items"]).await;
    assert_eq!(answer, expected);
    for queries in queries {
        assert!(queries.iter().all(|query| keys(query).is_some()) && !queries.is_empty(), "{queries:?}");
    }
}

#[tokio::test]
async fn switched_off_both_sides_are_read_whole() {
    let shop = Shop::new();
    let mut session = shop.session();
    show(&mut session, "SET crossweave.route = 'live'").await;
    assert_eq!(show(&mut session, "SET crossweave.pushdown = 'none'").await, "");
    assert_eq!(show(&mut session, "SHOW crossweave.pushdown").await, "none");
    show(&mut session, "SELECT 1 FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 1").await;
    for name in ["users", "orders"] {
        let queries = std::mem::take(&mut *shop.sources[name].asked.lock());
        assert!(matches!(queries[..], [RemoteQuery { relation: Relation::Table { .. }, .. }]), "{queries:?}");
    }
    let error = session.query("SET crossweave.pushdown = 'joins'", vec![]).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Invalid);
    assert!(error.message.contains("expected all, none, or some of filter, projection"), "{error}");
    assert_eq!(RouteSettings::default().push_down.to_string(), "all");
}

#[tokio::test]
async fn a_side_that_fails_fails_the_join() {
    let shop = Shop::new();
    *shop.sources["users"].fault.lock() = Fault::Scan(crossweave_contract::ErrorKind::Unreachable);
    let (answer, _) =
        asked(&shop, "SELECT 1 FROM users u JOIN orders o ON o.user_id = u.id", &["orders"]).await;
    assert!(answer.contains("the connection was lost"), "{answer}");
}

#[tokio::test]
async fn a_constant_of_the_side_that_is_read_second_is_in_order() {
    let shop = Shop::new();
    let constant = "(SELECT 1 AS k, nullif(2, 2) AS c FROM users.users) q";
    for from in [
        format!("orders.orders o JOIN {constant} ON q.k = o.user_id"),
        format!("{constant} JOIN orders.orders o ON q.k = o.user_id"),
    ] {
        let sum = format!("SELECT sum(o.total) OVER (ORDER BY q.c DESC) FROM {from}");
        assert_eq!(shop.ask(&sum).await, ["36.00"; 6].join("\n"), "{sum}");
        let joined = format!("SELECT length(string_agg(CAST(o.id AS VARCHAR), ',' ORDER BY q.c)) FROM {from}");
        assert_eq!(shop.ask(&joined).await, "17", "{joined}");
    }
}

#[tokio::test]
async fn what_each_round_of_a_recursion_would_ask_again_is_asked_once() {
    let shop = Shop::new();
    // Nothing of a user depends on the round before.
    let sql = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT r.n + 1 FROM r JOIN users u ON u.id = 2 WHERE r.n < 20) \
               SELECT count(*), max(n) FROM r";
    let (answer, queries) = asked(&shop, sql, &["users"]).await;
    assert_eq!(answer, "20|20");
    assert_eq!(queries[0].len(), 1, "{queries:#?}");
    let again = asked(&shop, sql, &["users"]).await;
    assert_eq!((again.0.as_str(), again.1[0].len()), ("20|20", 1), "it is kept for one query");
}
