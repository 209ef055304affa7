//! Which route is taken, and what is stated of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossweave_contract::{Consistency, ErrorKind, TableDef, Value};
use datafusion::prelude::{col, lit};

use crate::catalog::TableMode;
use crate::policy::Identity;
use crate::query::testing::{Fault, Shop, column, rows, show, table_id};
use crate::query::{QueryErrorKind, Reason, RouteSettings, RouteTaken};

async fn reads(shop: &Shop, sql: &str) -> String {
    let answer = shop.session().query(sql, Vec::new()).await.unwrap();
    let read = |read: &crate::query::ServiceRead| {
        let route = if read.route == RouteTaken::Live { "live" } else { "cached" };
        assert_eq!(read.age.is_some(), read.route == RouteTaken::Cached);
        format!("{} {route} {}", read.service, read.position.as_ref().unwrap())
    };
    answer.reads.iter().map(read).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn what_the_statement_before_saw_is_shown() {
    let shop = Shop::new();
    let mut session = shop.session();
    assert_eq!(show(&mut session, "SHOW crossweave.reads").await, "");
    show(&mut session, "SELECT count(*) FROM users u JOIN orders o ON o.user_id = u.id").await;
    let reads = show(&mut session, "SHOW crossweave.reads").await;
    let lines: Vec<Vec<&str>> = reads.lines().map(|line| line.split('|').collect()).collect();
    let routes: Vec<(&str, &str)> = lines.iter().map(|line| (line[0], line[1])).collect();
    assert_eq!(routes, [("orders", "live"), ("users", "live")], "{reads}");
    assert!(lines.iter().all(|line| line[2].starts_with("0-1-") && line[3] == "current"), "{reads}");
    show(&mut session, "SELECT 1").await;
    assert_eq!(show(&mut session, "SHOW crossweave.reads").await, "");
}

#[tokio::test]
async fn auto_reads_caches_where_all_of_a_services_tables_are_there() {
    let shop = Shop::new();
    shop.cache("users", &["users"], "0-1-7");
    shop.cache("orders", &["orders"], "0-2-9");
    assert_eq!(
        reads(&shop, "SELECT 1 FROM users JOIN orders ON true").await,
        "orders cached 0-2-9, users cached 0-1-7"
    );
    assert_eq!(
        reads(&shop, "SELECT 1 FROM users JOIN items ON true").await,
        "items live 0-1-100, users cached 0-1-7"
    );
    // One table of the service is live, so all of it is, in one view.
    let before = shop.sources["users"].views.load(Ordering::SeqCst);
    assert_eq!(
        reads(&shop, "SELECT 1 FROM users u JOIN addresses a ON a.user_id = u.id").await,
        "users live 0-1-100"
    );
    assert_eq!(shop.sources["users"].views.load(Ordering::SeqCst), before + 1);
    assert_eq!(reads(&shop, "SELECT 1").await, "");
}

#[tokio::test]
async fn a_route_can_be_asked_for_and_is_refused_where_it_is_not_there() {
    let shop = Shop::new();
    shop.cache("users", &["users"], "0-1-7");
    let mut session = shop.session();
    let ask = "SELECT count(*) FROM users";
    assert_eq!(show(&mut session, "SET crossweave.route = 'live'").await, "");
    assert_eq!(session.query(ask, vec![]).await.unwrap().reads[0].route, RouteTaken::Live);
    assert_eq!(show(&mut session, "SET crossweave.route.users = 'cached'").await, "");
    assert_eq!(session.query(ask, vec![]).await.unwrap().reads[0].route, RouteTaken::Cached);
    assert_eq!(show(&mut session, "SET crossweave.route TO cached").await, "");
    assert_eq!(
        show(&mut session, "SELECT 1 FROM addresses, users").await,
        "Refused: route cached was asked of service users, but live only: users.addresses (its mode is live) (SET crossweave.route.users = 'auto')"
    );
    shop.mode(&table_id("items", "items"), TableMode::LiveOnly("it has no key".to_owned()));
    assert_eq!(
        show(&mut session, "SELECT 1 FROM items").await,
        "Refused: route cached was asked of service items, but live only: items.items (it has no key) (SET crossweave.route.items = 'auto')"
    );
    shop.mode(&table_id("orders", "orders"), TableMode::Cached);
    let answer = show(&mut session, "SELECT 1 FROM orders").await;
    assert!(answer.starts_with("Unavailable: route cached was asked of service orders, but not in its caches: orders.orders (not loaded yet)"), "{answer}");
    show(&mut session, "RESET ALL").await;
    assert_eq!(
        show(&mut session, "SELECT count(*) FROM orders").await,
        "4",
        "auto reads live what is not loaded"
    );
}

#[tokio::test]
async fn a_source_that_is_down_does_not_keep_its_caches_from_answering() {
    let shop = Shop::new();
    shop.cache("users", &["users"], "0-1-7");
    *shop.sources["users"].fault.lock() = Fault::Open(ErrorKind::Unreachable);
    assert_eq!(shop.ask("SELECT count(*) FROM users").await, "3");
    assert_eq!(
        shop.ask("SELECT count(*) FROM addresses").await,
        "Unavailable: service users: server users refuses connections (Start it)"
    );
}

#[tokio::test]
async fn policy_is_asked_on_each_route() {
    let shop = Shop::new();
    shop.cache("users", &["users"], "0-1-7");
    shop.denials.0.lock().extend([table_id("users", "users"), table_id("items", "items")]);
    for sql in ["SELECT 1 FROM users", "SELECT 1 FROM orders WHERE id IN (SELECT id FROM items)"] {
        let answer = shop.ask(sql).await;
        assert!(
            answer.starts_with("Refused: table ") && answer.ends_with("is denied: it is private"),
            "{answer}"
        );
    }
    assert_eq!(shop.sources["orders"].views.load(Ordering::SeqCst), 0);
}

/// `users.users` with one column more.
fn widened(shop: &Shop) -> TableDef {
    let mut def = (*shop.def(&table_id("users", "users"))).clone();
    def.columns.insert(1, column("age", crossweave_contract::ColumnType::Int { unsigned: false }));
    def.binlog_columns += 1;
    def
}

#[tokio::test]
async fn a_table_altered_while_a_view_opens_is_planned_again() {
    let shop = Shop::new();
    *shop.sources["users"].fault.lock() = Fault::DefinitionChangedOnce;
    assert_eq!(shop.ask("SELECT count(*) FROM users").await, "3");
    assert_eq!(shop.sources["users"].views.load(Ordering::SeqCst), 2);
    // The view shows a column that the catalog does not know yet.
    let def = Arc::new(widened(&shop));
    let micros = Value::Micros(0);
    let row = vec![Value::UInt(5), Value::Int(41), Value::Text("Eve".into()), micros, Value::Decimal(100)];
    shop.sources["users"].put(Arc::clone(&def), rows(&def, &[row]));
    assert_eq!(shop.ask("SELECT * FROM users").await, "5|41|Eve|1970-01-01T00:00:00|1.00");
    assert_eq!(shop.ask("SELECT name, balance FROM users").await, "Eve|1.00");
}

#[tokio::test]
async fn a_cache_older_than_the_catalog_is_read_as_what_it_is() {
    let shop = Shop::new();
    shop.cache("users", &["users"], "0-1-7");
    shop.redefine(widened(&shop));
    assert_eq!(shop.ask("SELECT * FROM users WHERE id = 2").await, "2|Børge|2022-01-09T00:00:00|0.00");
    let answer = shop.ask("SELECT age FROM users").await;
    assert!(answer.starts_with("Name: column age is not there"), "{answer}");
}

#[tokio::test]
async fn a_prepared_statement_keeps_its_columns_or_is_refused() {
    let shop = Shop::new();
    let mut session = shop.session();
    let all = session.prepare("SELECT * FROM users").await.unwrap();
    let some = session.prepare("SELECT name FROM users WHERE balance = 1").await.unwrap();
    let def = Arc::new(widened(&shop));
    let row =
        vec![Value::UInt(5), Value::Int(41), Value::Text("Eve".into()), Value::Micros(0), Value::Decimal(100)];
    shop.sources["users"].put(Arc::clone(&def), rows(&def, &[row]));
    let error = session.execute(&all, vec![]).await.unwrap_err();
    assert_eq!(
        (error.kind, error.reason, error.hint.as_deref()),
        (QueryErrorKind::Unavailable, Some(Reason::Outdated), Some("Prepare the statement again"))
    );
    let answer = session.execute(&some, vec![]).await.unwrap();
    assert_eq!(crate::query::testing::lines(&answer.rows.collect().await.unwrap()), ["Eve"]);
}

#[tokio::test]
async fn plans_of_one_pin_see_one_view_and_the_pinned_definition() {
    let shop = Shop::new();
    let catalog = shop.engine.catalog();
    let users = table_id("users", "users");
    let tables = BTreeSet::from([users.clone()]);
    let pinned = shop.engine.pin(&Identity::default(), &tables, &RouteSettings::default()).await.unwrap();
    let scan = |filter| {
        let scan = shop.engine.scan(&catalog, &users).unwrap();
        scan.filter(filter).unwrap().project(vec![col("name")]).unwrap().build().unwrap()
    };
    for (filter, expect) in [(col("id").eq(lit(1)), "Ada"), (col("balance").lt(lit(0)), "Čapek")] {
        let rows = shop.engine.run(&pinned, scan(filter)).await.unwrap();
        assert_eq!(crate::query::testing::lines(&rows.collect().await.unwrap()), [expect]);
    }
    assert_eq!(shop.sources["users"].views.load(Ordering::SeqCst), 1);
    assert_eq!((shop.engine.counters().plans(), shop.engine.counters().statements()), (2, 2));
    let other = shop.engine.scan(&catalog, &table_id("items", "items")).unwrap().build().unwrap();
    let error = shop.engine.run(&pinned, other).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Internal);

    // A plan made with a definition that is not the pinned one reads by name, or not at all.
    shop.redefine(widened(&shop));
    let catalog = shop.engine.catalog();
    let old = |column: &str| {
        let scan = shop.engine.scan(&catalog, &users).unwrap();
        scan.project(vec![col(column)]).unwrap().limit(0, Some(1)).unwrap().build().unwrap()
    };
    let rows = shop.engine.run(&pinned, old("name")).await.unwrap();
    assert_eq!(crate::query::testing::lines(&rows.collect().await.unwrap()), ["Ada"]);
    let error = shop.engine.run(&pinned, old("age")).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Unavailable);
    assert_eq!(error.message, "table users.users was altered: column age is not there in what is read");
}

#[tokio::test]
async fn explain_shows_routes_and_statements_but_no_literal() {
    let shop = Shop::new();
    shop.cache("orders", &["orders"], "0-2-9");
    let sql = "EXPLAIN SELECT u.name FROM users u JOIN orders o ON o.user_id = u.id WHERE u.id = 4711";
    let answer = shop.ask(sql).await;
    assert!(answer.contains("orders: cached, position 0-2-9, "), "{answer}");
    assert!(answer.contains("users: live, position 0-1-100"), "{answer}");
    let operators = answer.split_once("physical_plan|").expect("operators").1;
    let scan = operators.lines().find(|line| line.contains("LiveScan")).expect("a live scan");
    assert!(scan.trim_start().starts_with("LiveScan: users.users, route=live, "), "{answer}");
    assert!(scan.ends_with("statement=SELECT id, name FROM users WHERE …"), "{answer}");
    assert!(operators.contains("CachedScan: orders.orders, route=cached, position=0-2-9"), "{answer}");
    assert!(!scan.contains("4711"), "{scan}");
    assert!(shop.sources["users"].asked.lock().is_empty(), "nothing is read");
    let analysed = shop.ask("EXPLAIN ANALYZE SELECT count(*) FROM users").await;
    // The source counts.
    assert!(analysed.contains("LiveScan: users.users") && analysed.contains("output_rows=1"), "{analysed}");
    assert_eq!(shop.sources["users"].asked.lock().len(), 1);
}

#[tokio::test]
async fn statements_may_see_instants_of_their_own_and_the_answer_says_so() {
    let shop = Shop::new();
    let mut session = shop.session();
    let ask = "SELECT count(*) FROM users";
    assert_eq!(show(&mut session, "SHOW crossweave.live_consistency").await, "snapshot");
    assert_eq!(show(&mut session, "SET crossweave.live_consistency = 'Statement'").await, "");
    assert_eq!(show(&mut session, "SHOW crossweave.live_consistency").await, "statement");
    let read = |answer: crate::query::Answer| answer.reads[0].consistency;
    assert_eq!(read(session.query(ask, vec![]).await.unwrap()), Consistency::Statement);
    let explained = show(&mut session, &format!("EXPLAIN {ask}")).await;
    assert!(explained.contains("users: live, "), "{explained}");
    assert_eq!(show(&mut session, "RESET crossweave.live_consistency").await, "");
    assert_eq!(read(session.query(ask, vec![]).await.unwrap()), Consistency::Snapshot);
    let refused = show(&mut session, "SET crossweave.live_consistency = 'none'").await;
    assert!(refused.contains("snapshot") && refused.contains("statement"), "{refused}");
}
