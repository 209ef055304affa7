//! Joins across sources: in which order, and how far down the keys of one side go.

use crossweave_contract::{Relation, RemoteExpr, RemoteQuery};

use crate::query::testing::{Shop, show};

/// What `sql` asks the sources of the services, after its answer was found to be that of the caches.
async fn asked(shop: &Shop, sql: &str) -> [Vec<RemoteQuery>; 3] {
    let expected = shop.ask(sql).await;
    let take = |name: &str| std::mem::take(&mut *shop.sources[name].asked.lock());
    let names = ["users", "orders", "items"];
    let _ = names.map(take);
    let mut session = shop.session();
    show(&mut session, "SET crossweave.route = 'live'").await;
    assert_eq!(show(&mut session, sql).await, expected, "{sql}");
    names.map(take)
}

/// The lists of keys anywhere in `relation`, by their lengths.
fn lists(relation: &Relation) -> Vec<usize> {
    let below = |input: &Relation| lists(input);
    match relation {
        Relation::Table { .. } => Vec::new(),
        Relation::Filter { input, condition } => {
            let mut found = below(input);
            if let RemoteExpr::In { list, negated: false, .. } = condition {
                found.push(list.len());
            }
            found
        }
        Relation::Project { input, .. }
        | Relation::Aggregate { input, .. }
        | Relation::Sort { input, .. }
        | Relation::Limit { input, .. } => below(input),
        Relation::Join { left, right, .. } => [below(left), below(right)].concat(),
        Relation::Union { inputs } => inputs.iter().flat_map(lists).collect(),
    }
}

fn keys(queries: &[RemoteQuery]) -> Vec<Vec<usize>> {
    queries.iter().map(|query| lists(&query.relation)).collect()
}

#[tokio::test]
async fn keys_go_down_through_joins() {
    let shop = Shop::new();
    for condition in ["EXISTS", "NOT EXISTS"] {
        let sql = format!(
            "SELECT u.name FROM users u WHERE u.id = 1 AND {condition} (SELECT 1 FROM orders o \
             JOIN items i ON i.seller_id = o.user_id WHERE o.user_id = u.id AND i.title <> 'sofa')"
        );
        let [users, orders, items] = asked(&shop, &sql).await;
        assert_eq!(users.len(), 1);
        for queries in [orders, items] {
            let keys = keys(&queries);
            assert!(!keys.is_empty() && keys.iter().all(|lists| lists.contains(&1)), "{condition}: {keys:?}");
        }
    }
}

#[tokio::test]
async fn keys_go_down_to_what_is_grouped() {
    let shop = Shop::new();
    let sql = "SELECT u.name, t.n FROM users u JOIN (SELECT user_id, count(*) AS n FROM orders GROUP BY user_id) t \
               ON t.user_id = u.id WHERE u.id = 1";
    let [_, orders, _] = asked(&shop, sql).await;
    let Relation::Aggregate { input, .. } = &orders[0].relation else { panic!("{orders:?}") };
    assert_eq!(lists(input), [1]);
}

#[tokio::test]
async fn what_is_smallest_is_read_first() {
    let shop = Shop::new();
    for sql in [
        "SELECT o.id, i.title FROM orders o JOIN users u ON u.id = o.user_id JOIN items i ON i.seller_id = u.id \
         WHERE i.title = 'lamp' ORDER BY o.id",
        "SELECT o.id, i.title FROM users u JOIN orders o ON u.id = o.user_id, items i \
         WHERE i.seller_id = u.id AND i.title = 'lamp' ORDER BY o.id",
        // By way of what both are equal to.
        "SELECT o.id, i.title FROM orders o, users u, items i \
         WHERE u.id = o.user_id AND o.user_id = i.seller_id AND i.title = 'lamp' ORDER BY o.id",
    ] {
        let [users, orders, items] = asked(&shop, sql).await;
        assert_eq!(keys(&items), [[0_usize; 0]], "{sql}");
        for queries in [users, orders] {
            assert!(keys(&queries).iter().all(|lists| lists.contains(&1)), "{sql}: {queries:?}");
        }
    }
}

#[tokio::test]
async fn tables_of_one_source_are_joined_there_wherever_they_are_written() {
    let shop = Shop::new();
    for sql in [
        "SELECT u.name, o.id, a.city FROM users u JOIN orders o ON o.user_id = u.id \
         JOIN addresses a ON a.user_id = u.id ORDER BY o.id",
        "SELECT u.name, o.id, a.city FROM users u JOIN orders o ON o.user_id = u.id \
         JOIN addresses a ON a.user_id = o.user_id WHERE u.id + a.user_id < 7 ORDER BY o.id",
        "SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id \
         WHERE u.id IN (SELECT user_id FROM addresses) ORDER BY o.id",
        "SELECT u.name, o.id FROM users u JOIN orders o ON o.user_id = u.id \
         WHERE NOT EXISTS (SELECT 1 FROM addresses a WHERE a.user_id = u.id AND a.city <> u.name) ORDER BY o.id",
    ] {
        let [users, orders, _] = asked(&shop, sql).await;
        let tables: Vec<usize> = users.iter().map(|query| query.tables().len()).collect();
        assert_eq!((tables, orders.len()), (vec![2], 1), "{sql}: {users:?}");
    }
}

#[tokio::test]
async fn a_semi_join_is_done_by_a_source_that_has_what_is_equal() {
    let shop = Shop::new();
    for sql in [
        "SELECT a.city, i.id FROM items i JOIN addresses a ON a.user_id = i.seller_id \
         WHERE i.seller_id IN (SELECT id FROM users WHERE name <> '') ORDER BY a.city, i.id",
        "SELECT a.city, i.id FROM items i JOIN addresses a ON a.user_id = i.seller_id \
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = i.seller_id AND u.name = 'Ada') ORDER BY a.city, i.id",
        "SELECT a.city, i.id FROM users u, items i, addresses a \
         WHERE u.id = i.seller_id AND a.user_id = i.seller_id AND u.name <> '' ORDER BY a.city, i.id",
    ] {
        let [users, _, items] = asked(&shop, sql).await;
        let tables: Vec<usize> = users.iter().map(|query| query.tables().len()).collect();
        assert_eq!((tables, items.len()), (vec![2], 1), "{sql}: {users:?}");
    }
}

#[tokio::test]
async fn a_semi_join_is_done_first_where_its_other_side_is_smaller() {
    let shop = Shop::new();
    let sql = "SELECT o.id FROM orders o WHERE o.user_id IN (SELECT seller_id FROM items WHERE title = 'lamp') \
               ORDER BY o.id";
    let [_, orders, items] = asked(&shop, sql).await;
    assert_eq!((keys(&orders), keys(&items)), (vec![vec![1]], vec![vec![]]));
    let sql = "SELECT u.id, u.name, o.total FROM orders o JOIN users u ON u.id = o.user_id \
               WHERE o.user_id IN (SELECT seller_id FROM items WHERE title = 'lamp') ORDER BY u.id, o.total";
    let [users, orders, items] = asked(&shop, sql).await;
    assert_eq!((keys(&orders), keys(&items)), (vec![vec![1]], vec![vec![]]));
    assert!(keys(&users).iter().all(|lists| lists.contains(&1)), "{users:?}");
    let sql = "SELECT o.id FROM orders o WHERE o.id = 12 AND o.user_id IN (SELECT seller_id FROM items)";
    let [_, orders, items] = asked(&shop, sql).await;
    assert_eq!((keys(&orders), keys(&items)), (vec![vec![]], vec![vec![1]]));
}

#[tokio::test]
async fn what_joins_say_beside_equality_stays_true() {
    let shop = Shop::new();
    for sql in [
        "SELECT u.id, o.id, i.id FROM users u, orders o, items i ORDER BY 1, 2, 3",
        "SELECT u.id, o.id, i.id FROM users u, orders o, items i WHERE u.id = o.user_id AND i.seller_id > u.id \
         ORDER BY 1, 2, 3",
        "SELECT u.id, o.id FROM users u, orders o, items i WHERE u.id = o.user_id AND 1 = 0",
        "SELECT count(*) FROM users u, orders o, items i WHERE u.id = o.user_id",
        "SELECT u.id, o.id FROM users u JOIN orders o ON u.id = o.user_id JOIN items i \
         ON i.seller_id = u.id AND i.seller_id = o.user_id AND i.id = o.id + 90 ORDER BY 1, 2",
        "SELECT a.id, b.id, c.id FROM orders a JOIN orders b ON a.user_id = b.user_id JOIN items c \
         ON c.seller_id = a.user_id AND c.seller_id = b.user_id AND c.id + a.id > b.id ORDER BY 1, 2, 3",
        "SELECT u.id, o.id FROM users u JOIN items i ON u.id + i.seller_id = 3 JOIN orders o \
         ON o.user_id = u.id AND o.user_id + i.seller_id = 3 ORDER BY 1, 2",
        "SELECT u.id, u.name, sum(o.total) AS spent FROM orders o JOIN items i ON i.seller_id = o.user_id \
         JOIN users u ON u.id = o.user_id WHERE i.title = 'lamp' GROUP BY u.id, u.name ORDER BY spent DESC, u.id LIMIT 10",
        "SELECT i.title FROM items i JOIN orders o ON o.user_id = i.seller_id AND o.id = i.seller_id + 9 \
         JOIN users u ON u.id = i.seller_id AND u.id = o.user_id ORDER BY 1",
    ] {
        asked(&shop, sql).await;
    }
}

#[tokio::test]
async fn a_side_that_loses_no_rows_keeps_them() {
    let shop = Shop::new();
    for sql in [
        "SELECT o.id, u.name, i.title FROM orders o LEFT JOIN users u ON u.id = o.user_id \
         LEFT JOIN items i ON i.seller_id = u.id ORDER BY 1",
        "SELECT o.id, u.name FROM users u RIGHT JOIN orders o ON u.id = o.user_id JOIN items i \
         ON i.seller_id <= o.user_id ORDER BY 1, i.id",
        "SELECT o.id, t.name FROM orders o JOIN (SELECT u.id, u.name FROM users u LEFT JOIN items i \
         ON i.seller_id = u.id WHERE i.id IS NULL) t ON t.id = o.user_id ORDER BY 1",
        "SELECT x.n, o.id FROM (SELECT id AS n FROM users UNION ALL SELECT seller_id FROM items) x \
         JOIN orders o ON o.user_id = x.n WHERE o.id = 10 ORDER BY 1, 2",
        "SELECT u.id FROM users u WHERE u.id NOT IN (SELECT o.user_id FROM orders o JOIN items i \
         ON i.seller_id = o.user_id) ORDER BY 1",
    ] {
        asked(&shop, sql).await;
    }
}

#[tokio::test]
async fn of_a_subquery_that_is_compared_with_the_greatest_value_is_asked_for_once() {
    let shop = Shop::new();
    for comparison in ["id < ANY", "id >= ALL", "NOT id <= ANY"] {
        let sql = format!("SELECT id FROM users WHERE {comparison} (SELECT user_id FROM orders) ORDER BY id");
        let [users, orders, _] = asked(&shop, &sql).await;
        assert_eq!((users.len(), orders.len()), (1, 1), "{comparison}");
        assert!(matches!(orders[0].relation, Relation::Aggregate { .. }), "{comparison}: {orders:?}");
    }
}
