//! Transactions: whole, in order, each moving the position; resuming at each of them.

use crossweave_contract::{ErrorKind, Position};

use super::*;
use crate::testing::server;

#[tokio::test]
async fn a_transaction_holds_the_rows_of_all_its_tables_in_order() {
    let tables = ["CREATE TABLE a (id INT PRIMARY KEY, a INT)", "CREATE TABLE b (id INT PRIMARY KEY, a INT)"];
    let database = server().database(&tables).await;
    let mut captured =
        Captured::start(server(), &database, &[pair(&database, "a"), pair(&database, "b")]).await;
    let work = [
        "BEGIN",
        "INSERT INTO a VALUES (1, 10), (2, NULL)",
        "INSERT INTO b VALUES (1, -5)",
        "SAVEPOINT one",
        "INSERT INTO b VALUES (2, 0)",
        "ROLLBACK TO one",
        "UPDATE a SET a = a + 1, id = id + 100",
        "DELETE FROM b",
        "COMMIT",
    ];
    server().run(&database, &work).await;

    let transaction = captured.next().await;
    let null = |id| [Value::Int(id), Value::Null].into();
    let expected = [
        ("a", None, Some(&row(&[1, 10]))),
        ("a", None, Some(&null(2))),
        ("b", None, Some(&row(&[1, -5]))),
        ("a", Some(&row(&[1, 10])), Some(&row(&[101, 11]))),
        ("a", Some(&null(2)), Some(&null(102))),
        ("b", Some(&row(&[1, -5])), None),
    ];
    assert_eq!(changes(&transaction), expected);
    assert_eq!(transaction.tables.len(), 2);
    assert!(transaction.changes.iter().all(|change| change.cascades));
    assert!(transaction.faults.is_empty() && transaction.schema_changes.is_empty());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    assert!((now - transaction.committed_at).abs() < 60_000_000, "{}", transaction.committed_at);
}

#[tokio::test]
async fn each_transaction_says_what_comes_before_it_and_can_be_resumed_after() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let tables = [pair(&database, "a")];
    let from = position(server()).await;
    for id in 0..4 {
        server().run(&database, &[&format!("INSERT INTO a VALUES ({id}, 0)")]).await;
    }

    let mut captured = Captured::start_at(server(), &database, &tables, from.clone()).await.unwrap();
    let mut positions = vec![from.clone()];
    let (mut at, mut last) = (from, None);
    while positions.len() < 5 {
        let transaction = captured.any().await;
        assert_eq!(transaction.previous, at, "no gap");
        at = transaction.position();
        assert!(at.contains(&transaction.gtid));
        if !transaction.changes.is_empty() {
            positions.push(at.clone());
            last = Some(transaction);
        }
    }
    for (id, position) in positions.iter().take(4).enumerate() {
        let mut resumed = Captured::start_at(server(), &database, &tables, position.clone()).await.unwrap();
        let next = resumed.next().await;
        assert_eq!(changes(&next), [("a", None, Some(&row(&[id as i64, 0])))], "after {position}");
    }
    let last = last.unwrap();
    assert_eq!(last.position(), positions[4]);
}

#[tokio::test]
async fn what_is_not_captured_moves_the_position() {
    let tables =
        ["CREATE TABLE a (id INT PRIMARY KEY, a INT)", "CREATE TABLE other (id INT PRIMARY KEY, a INT)"];
    let database = server().database(&tables).await;
    let mut captured = Captured::start(server(), &database, &[pair(&database, "a")]).await;
    server().run(&database, &["INSERT INTO other VALUES (1, 1)"]).await;
    let target = position(server()).await;

    let mut reached = Position::origin();
    while !reached.covers(&target) {
        let transaction = captured.any().await;
        assert!(transaction.changes.is_empty() && transaction.tables.is_empty());
        reached = transaction.position();
    }
}

#[tokio::test]
async fn an_idle_source_is_known_to_be_current() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server(), &database, &[pair(&database, "a")]).await;
    server().run(&database, &["INSERT INTO a VALUES (1, 1)"]).await;
    let position = captured.next().await.position();

    loop {
        match captured.event().await.unwrap() {
            CaptureEvent::Heartbeat(at) => {
                assert!(at.covers(&position), "{at} after {position}");
                break;
            }
            CaptureEvent::Transaction(transaction) => assert!(transaction.changes.is_empty()),
        }
    }
}

#[tokio::test]
async fn foreign_key_checks_tell_whether_cascades_follow() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server(), &database, &[pair(&database, "a")]).await;
    let work = ["INSERT INTO a VALUES (1, 1)", "SET foreign_key_checks = 0", "DELETE FROM a"];
    server().run(&database, &work).await;

    assert!(captured.next().await.changes[0].cascades);
    assert!(!captured.next().await.changes[0].cascades);
}

#[tokio::test]
async fn each_domain_has_its_own_place_in_the_position() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let tables = [pair(&database, "a")];
    let mut captured = Captured::start(server(), &database, &tables).await;
    let work = [
        "SET SESSION gtid_domain_id = 5",
        "INSERT INTO a VALUES (1, 1)",
        "SET SESSION gtid_domain_id = 6",
        "INSERT INTO a VALUES (2, 2)",
        "SET SESSION gtid_domain_id = 5",
        "INSERT INTO a VALUES (3, 3)",
    ];
    server().run(&database, &work).await;

    let found = [captured.next().await, captured.next().await, captured.next().await];
    assert_eq!(found.each_ref().map(|transaction| transaction.gtid.domain), [5, 6, 5]);
    let (second, third) = (found[1].position(), &found[2]);
    assert!(second.contains(&found[0].gtid) && !second.contains(&third.gtid));

    let mut resumed = Captured::start_at(server(), &database, &tables, second).await.unwrap();
    assert_eq!(resumed.next().await.gtid, third.gtid);
}

#[tokio::test]
async fn a_transaction_past_the_bound_is_an_error_and_never_a_part() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let limits = CaptureLimits { transaction_bytes: 64 << 10, ..CaptureLimits::default() };
    let from = position(server()).await;
    let tables = [pair(&database, "a")];
    let mut captured = Captured::start_with(server(), &database, &tables, from, limits).await.unwrap();
    server().run(&database, &["INSERT INTO a SELECT seq, seq FROM seq_1_to_100"]).await;
    server().run(&database, &["INSERT INTO a SELECT seq, seq FROM seq_101_to_10000"]).await;

    let first = captured.next().await;
    assert_eq!(first.changes.len(), 100);
    let error = captured.error().await;
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.to_string().contains("65536 bytes"), "{error}");
}

#[tokio::test]
async fn many_rows_pass_a_reader_that_is_slow() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let limits = CaptureLimits { transaction_bytes: 1 << 20, ..CaptureLimits::default() };
    let from = position(server()).await;
    let tables = [pair(&database, "a")];
    let mut captured = Captured::start_with(server(), &database, &tables, from, limits).await.unwrap();
    let mut conn = server().connect(Some(&database)).await;
    for block in 0..40 {
        let (first, last) = (block * 1_000 + 1, (block + 1) * 1_000);
        let insert = format!("INSERT INTO a SELECT seq, -seq FROM seq_{first}_to_{last}");
        conn.query_drop(insert).await.unwrap();
    }

    let mut seen = 0;
    while seen < 40_000 {
        let transaction = captured.next().await;
        for (_, _, after) in changes(&transaction) {
            seen += 1;
            assert_eq!(after, Some(&row(&[seen, -seen])));
        }
    }
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let options = server().user("dropper", &["REPLICATION SLAVE ON *.*"]).await;
    let (_sender, receiver) = watch::channel(capture_tables(&database, &[]));
    let from = position(server()).await;
    let stream = MariaDbCapture::new(options).start(from, receiver).await.unwrap();

    let mut conn = server().connect(None).await;
    let dumps = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'dropper'";
    assert_eq!(conn.query_first(dumps).await.unwrap(), Some(1));
    drop(stream);
    let gone = async {
        // The server is another process: that it has noticed can only be asked.
        while conn.query_first(dumps).await.unwrap() != Some(0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the connection ends");
}
