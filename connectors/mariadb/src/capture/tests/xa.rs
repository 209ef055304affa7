//! XA: what is prepared in one transaction of the binlog and committed in another.
//!
//! Not on the server that tests share: a stream that begins between the two takes the commit for a change of all
//! tables.

use super::*;

pub(super) async fn prepared_changes_come_with_their_commit(server: &TestServer) {
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server, &database, &[pair(&database, "a")]).await;
    let work = [
        "XA START 'x', 'y', 7",
        "INSERT INTO a VALUES (1, 1), (2, 2)",
        "XA END 'x', 'y', 7",
        "XA PREPARE 'x', 'y', 7",
    ];
    server.run(&database, &work).await;
    server.run(&database, &["INSERT INTO a VALUES (3, 3)", "XA COMMIT 'x', 'y', 7"]).await;

    let between = captured.next().await;
    assert_eq!(changes(&between), [("a", None, Some(&row(&[3, 3])))]);
    let committed = captured.next().await;
    assert_eq!(changes(&committed), [("a", None, Some(&row(&[1, 1]))), ("a", None, Some(&row(&[2, 2])))]);
    assert!(committed.previous.contains(&between.gtid));
}

pub(super) async fn prepared_changes_that_are_rolled_back_never_come(server: &TestServer) {
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server, &database, &[pair(&database, "a")]).await;
    let work = [
        "XA START 'back'",
        "INSERT INTO a VALUES (1, 1)",
        "XA END 'back'",
        "XA PREPARE 'back'",
        "XA ROLLBACK 'back'",
        "XA START 'once'",
        "INSERT INTO a VALUES (2, 2)",
        "XA END 'once'",
        "XA COMMIT 'once' ONE PHASE",
    ];
    server.run(&database, &work).await;
    assert_eq!(changes(&*captured.next().await), [("a", None, Some(&row(&[2, 2])))]);
}

pub(super) async fn a_commit_of_what_was_prepared_before_the_stream_loads_everything_anew(server: &TestServer) {
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let work = ["XA START 'before'", "INSERT INTO a VALUES (1, 1)", "XA END 'before'", "XA PREPARE 'before'"];
    server.run(&database, &work).await;
    let mut captured = Captured::start(server, &database, &[pair(&database, "a")]).await;
    server.run(&database, &["XA COMMIT 'before'"]).await;

    let transaction = captured.next().await;
    assert!(transaction.changes.is_empty());
    assert_eq!(transaction.schema_changes[0].tables, [TableId::new("s", "a")]);
    assert!(transaction.schema_changes[0].statement.starts_with("XA COMMIT"));
}
