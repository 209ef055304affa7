//! Connections: what is pinned, waited for, replaced and not handed on.

use crossweave_contract::ErrorKind;

use super::*;
use crate::testing::{TestServer, server};

#[tokio::test]
async fn pins_what_changes_an_answer() {
    server().run("mysql", &["SET GLOBAL sql_select_limit = 1000"]).await;
    let mut session = Pool::new(server().root()).acquire().await.unwrap();
    let pinned: Vec<(String, String, String, String, u64)> = session
        .rows(
            "a test",
            "SELECT @@time_zone, @@sql_mode, @@collation_connection, @@tx_isolation, @@sql_select_limit",
            (),
        )
        .await
        .unwrap();
    let (zone, mode, collation, isolation, limit) = &pinned[0];
    assert_eq!((zone.as_str(), mode.as_str()), ("+00:00", ""));
    assert_eq!((collation.as_str(), isolation.as_str()), ("utf8mb4_general_ci", "REPEATABLE-READ"));
    assert_eq!(*limit, u64::MAX);
    server().run("mysql", &["SET GLOBAL sql_select_limit = DEFAULT"]).await;
}

#[tokio::test]
async fn a_question_of_our_own_waits_beside_the_queue() {
    let (queue, queue_wait) = (1, Duration::from_secs(30));
    let pool = Pool::new(server().limited(Limits { connections: 1, queue, queue_wait, ..Limits::default() }));
    let first = pool.acquire().await.unwrap();
    let query = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    while pool.0.queue.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let ours: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move { pool.acquire_for_ourselves().await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    drop(first);
    query.await.unwrap().unwrap();
    for ours in ours {
        ours.await.unwrap().unwrap();
    }
    assert!(pool.protection().refusals.iter().all(|refused| refused.count == 0));
}

#[tokio::test]
async fn waiting_for_a_connection_is_bounded_in_number_and_time() {
    let (queue, queue_wait) = (1, Duration::from_millis(300));
    let pool = Pool::new(server().limited(Limits { connections: 2, queue, queue_wait, ..Limits::default() }));
    let first = pool.acquire().await.unwrap();
    let second = pool.acquire().await.unwrap();
    let waits = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.map(drop) }
    });
    while pool.0.queue.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let asked = std::time::Instant::now();
    let full = pool.acquire().await.err().expect("the queue is full");
    assert!(asked.elapsed() < queue_wait);
    let late = waits.await.unwrap().unwrap_err();
    for (error, limit) in [(&full, "queue"), (&late, "queue_wait")] {
        assert_eq!((error.kind, error.limit), (ErrorKind::Limit, Some(limit)), "{error}");
        assert!(error.to_string().contains(&format!("raise {limit} in [services.s.limits]")), "{error}");
    }
    let counts: Vec<_> = pool.protection().refusals.iter().map(|r| (r.limit, r.count)).collect();
    assert_eq!(counts, [("queue", 1), ("queue_wait", 1)]);
    let id = first.id();
    drop(first);
    assert_eq!(pool.acquire().await.unwrap().id(), id, "the free one is used again");
    drop(second);
}

#[tokio::test]
async fn a_server_that_is_down_is_not_asked_until_it_answers() {
    let own = TestServer::start(&[]);
    let pool = Pool::new(own.root());
    drop(pool.acquire().await.unwrap());
    own.kill();
    while pool.protection().circuit == Circuit::Closed {
        let error = pool.acquire().await.err().expect("nobody listens");
        assert_eq!(error.kind, ErrorKind::Unreachable);
    }
    let error = pool.acquire().await.err().expect("it is open");
    assert!(error.to_string().contains("not asked, for it did not answer 5 times in a row"), "{error}");
    // Another server is not concerned.
    drop(Pool::new(server().root()).acquire().await.unwrap());
    own.restart();
    let closed = async {
        while pool.protection().circuit != Circuit::Closed {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed).await.expect("it is found by itself");
    drop(pool.acquire().await.unwrap());
}

#[tokio::test]
async fn an_open_connection_is_not_handed_on() {
    let pool = Pool::new(server().limited(Limits { connections: 1, ..Limits::default() }));
    let mut session = pool.acquire().await.unwrap();
    let id = session.id();
    session.run("a test", "START TRANSACTION").await.unwrap();
    session.unsettle();
    drop(session);
    assert_ne!(pool.acquire().await.unwrap().id(), id);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced() {
    let pool = Pool::new(server().root());
    let session = pool.acquire().await.unwrap();
    let id = session.id();
    drop(session);
    pool.kill(Kill::Connection, id).await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    assert_ne!(session.id(), id);
    assert_eq!(session.rows::<u8>("a test", "SELECT 1", ()).await.unwrap(), [1]);
}
