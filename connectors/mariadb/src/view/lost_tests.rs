//! Views whose connection is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossweave_contract::{
    BatchStream, BooleanColumns, ConnectorError, ErrorKind, Relation, RemoteExpr, RemoteQuery, RemoteSort,
    Source, SourceView, TableDef, TableId,
};
use futures::{StreamExt as _, TryStreamExt as _};
use mysql_async::prelude::Queryable;

use crate::testing::TestServer;
use crate::{Limits, MariaDbSource};

const LIMIT: Duration = Duration::from_secs(30);

/// A server of its own, on which nothing moves: `t` with three rows, `slow` which takes a while for them, and a source
/// with one connection.
struct Lost {
    server: TestServer,
    source: MariaDbSource,
    database: String,
}

impl Lost {
    async fn new() -> Self {
        Self::within(Limits::default()).await
    }

    async fn within(limits: Limits) -> Self {
        let server = TestServer::start(&[]);
        let database = server
            .database(&[
                "CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(200))",
                "INSERT INTO t VALUES (1, ''), (2, ''), (3, '')",
                "CREATE VIEW slow AS SELECT id, SLEEP(0.5) AS s FROM t",
                "CREATE TABLE large (id INT PRIMARY KEY, pad VARCHAR(200))",
                "INSERT INTO large SELECT seq, REPEAT('x', 200) FROM seq_1_to_100000",
            ])
            .await;
        let source = MariaDbSource::new(server.limited(Limits { connections: 1, ..limits }));
        Self { server, source, database }
    }

    async fn view(&self) -> Arc<dyn SourceView> {
        self.source.open_view(LIMIT, (4 << 20).into()).await.unwrap()
    }

    async fn defined(&self, view: &dyn SourceView, table: &str) -> Arc<TableDef> {
        let id = TableId::new("s", table);
        Arc::new(view.definition(&id, &self.database, &BooleanColumns::default()).await.unwrap())
    }

    /// Kills the connections that read from `slow`, once there are some, or all that there are.
    async fn kill(&self, busy: bool) {
        let mut conn = self.server.connect(None).await;
        let sql = "SELECT ID FROM information_schema.PROCESSLIST \
                   WHERE USER = 'root' AND ID <> CONNECTION_ID() AND (NOT ? OR INFO LIKE 'SELECT %.`slow`')";
        for _ in 0..500 {
            let found: Vec<u64> = conn.exec(sql, (busy,)).await.unwrap();
            for id in &found {
                // One may have ended by itself.
                let _ = conn.query_drop(format!("KILL {id}")).await;
            }
            if !found.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let all: Vec<(u64, String, String, Option<String>)> =
            conn.query("SELECT ID, USER, COMMAND, INFO FROM information_schema.PROCESSLIST").await.unwrap();
        panic!("nothing to kill: {all:?}");
    }
}

async fn count(stream: BatchStream) -> Result<usize, ConnectorError> {
    stream.try_fold(0, |sum, batch| async move { Ok(sum + batch.num_rows()) }).await
}

#[tokio::test]
async fn a_connection_that_is_lost_before_its_first_row_is_replaced_once() {
    let lost = Lost::new().await;
    let view = lost.view().await;
    let slow = lost.defined(&*view, "slow").await;
    let reading = tokio::spawn(count(view.scan(RemoteQuery::whole(Arc::clone(&slow)))));
    lost.kill(true).await;
    assert_eq!(reading.await.unwrap().unwrap(), 3);

    // What took its place is lost as well.
    drop(view);
    let view = lost.view().await;
    let reading = tokio::spawn(count(view.scan(RemoteQuery::whole(Arc::clone(&slow)))));
    lost.kill(true).await;
    lost.kill(true).await;
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let error = count(view.scan(RemoteQuery::whole(slow))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn where_no_connection_may_be_opened_in_the_place_of_a_lost_one_the_limit_says_so() {
    // The lost one counts until the server has surely ended it.
    let lost = Lost::within(Limits { queue: 0, ..Limits::default() }).await;
    let view = lost.view().await;
    let slow = lost.defined(&*view, "slow").await;
    let reading = tokio::spawn(count(view.scan(RemoteQuery::whole(Arc::clone(&slow)))));
    lost.kill(true).await;
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!((error.kind, error.limit), (ErrorKind::Limit, Some("queue")), "{error}");
    let error = count(view.scan(RemoteQuery::whole(slow))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn a_connection_that_was_lost_before_a_large_table_was_split_is_replaced() {
    let server = TestServer::start(&[]);
    let fill = "INSERT INTO large SELECT seq, seq FROM seq_1_to_150000";
    let create = "CREATE TABLE large (id INT PRIMARY KEY, n INT)";
    let database = server.database(&[create, fill, "ANALYZE TABLE large"]).await;
    let source = MariaDbSource::new(server.root());
    let lost = Lost { server, source, database };
    let view = lost.view().await;
    let large = lost.defined(&*view, "large").await;
    lost.kill(false).await;
    assert_eq!(count(view.scan(RemoteQuery::whole(Arc::clone(&large)))).await.unwrap(), 150_000);

    // So is one that would have told whether two statements find the first rows.
    let view = lost.view().await;
    lost.defined(&*view, "large").await;
    lost.kill(false).await;
    let expr = RemoteExpr::Column(1);
    let by = vec![RemoteSort { expr, descending: true, nulls_first: true, nullable: true }];
    let input = Box::new(Relation::Sort { input: Box::new(RemoteQuery::whole(large).relation), by });
    let first = RemoteQuery::new(Relation::Limit { input, skip: 0, fetch: Some(7) });
    assert_eq!(count(view.scan(first)).await.unwrap(), 7);
}

#[tokio::test]
async fn a_connection_that_was_lost_while_idle_is_replaced_with_the_same_snapshot_only() {
    let lost = Lost::new().await;
    let view = lost.view().await;
    let t = lost.defined(&*view, "t").await;
    lost.kill(false).await;
    assert_eq!(count(view.scan(RemoteQuery::whole(Arc::clone(&t)))).await.unwrap(), 3);
    // The table's definition is held by the one that took its place.
    let mut owner = lost.server.connect(Some(&lost.database)).await;
    owner.query_drop("SET lock_wait_timeout = 0").await.unwrap();
    assert!(owner.query_drop("ALTER TABLE t ADD COLUMN z INT").await.unwrap_err().to_string().contains("1205"));

    drop(view);
    let view = lost.view().await;
    lost.defined(&*view, "t").await;
    lost.server.run(&lost.database, &["INSERT INTO t VALUES (4, '')"]).await;
    lost.kill(false).await;
    let error = count(view.scan(RemoteQuery::whole(t))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("the server has moved on"), "{error}");
    assert!(error.to_string().ends_with("Ask again"), "{error}");
}

#[tokio::test]
async fn once_something_was_read_a_lost_connection_is_an_error() {
    let lost = Lost::new().await;
    // After a whole statement.
    let view = lost.view().await;
    let t = lost.defined(&*view, "t").await;
    assert_eq!(count(view.scan(RemoteQuery::whole(Arc::clone(&t)))).await.unwrap(), 3);
    lost.kill(false).await;
    let error = count(view.scan(RemoteQuery::whole(t))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    // In the middle of one.
    drop(view);
    let view = lost.view().await;
    let large = lost.defined(&*view, "large").await;
    let mut scan = view.scan(RemoteQuery::whole(large));
    let first = scan.next().await.unwrap().unwrap().num_rows();
    lost.kill(false).await;
    let error = count(scan).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}, after {first} rows");
}

#[tokio::test]
async fn an_owners_alter_goes_through_under_a_stream_of_large_reads() {
    let server = TestServer::start(&[]);
    let create = "CREATE TABLE large (id INT PRIMARY KEY, pad VARCHAR(200))";
    let fill = "INSERT INTO large SELECT seq, REPEAT('x', 200) FROM seq_1_to_100000";
    let database = server.database(&[create, fill]).await;
    let source = Arc::new(MariaDbSource::new(server.root()));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let gave_way = Arc::new(AtomicUsize::new(0));
    // Each reads the table again and again, a batch at a time with pauses: some statement runs all the time.
    let readers: Vec<_> = (0..6)
        .map(|_| {
            let (source, database, stopped) = (Arc::clone(&source), database.clone(), stopped.clone());
            let gave_way = Arc::clone(&gave_way);
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    if let Err(error) = read_slowly(&source, &database).await {
                        assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{error}");
                        gave_way.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let mut owner = server.connect(Some(&database)).await;
    let mut slowest = Duration::ZERO;
    // How many are reading when an ALTER comes is for the machine to say.
    let mut alters = 0;
    while alters < 3 || (alters < 20 && gave_way.load(Ordering::Relaxed) == 0) {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let start = std::time::Instant::now();
        owner.query_drop(format!("ALTER TABLE large ADD COLUMN c{alters} INT")).await.unwrap();
        slowest = slowest.max(start.elapsed());
        alters += 1;
    }
    stop.send(true).unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    // Alone it takes 0.5 s; other tests run beside it.
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    assert!(gave_way.load(Ordering::Relaxed) > 0, "no read gave way to {alters} of them");
    read_slowly(&source, &database).await.unwrap();
}

#[tokio::test]
async fn a_read_that_goes_on_gives_way_at_once() {
    let server = TestServer::start(&[]);
    let create = "CREATE TABLE large (id INT PRIMARY KEY, pad VARCHAR(200))";
    let fill = "INSERT INTO large SELECT seq, REPEAT('x', 200) FROM seq_1_to_100000";
    let database = server.database(&[create, fill]).await;
    let source = MariaDbSource::new(server.root());
    // Far less than the table is: its statement goes on until somebody takes its rows.
    let view = source.open_view(Duration::from_secs(60), (1 << 20).into()).await.unwrap();
    let id = TableId::new("s", "large");
    let table = view.definition(&id, &database, &BooleanColumns::default()).await.unwrap();
    let mut scan = view.scan(RemoteQuery::whole(Arc::new(table)));
    scan.next().await.unwrap().unwrap();
    let mut owner = server.connect(Some(&database)).await;
    let start = std::time::Instant::now();
    owner.query_drop("ALTER TABLE large ADD COLUMN more INT, ALGORITHM = INSTANT").await.unwrap();
    // It is within a second on a machine that does nothing else.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let error = count(scan).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{error}");
}

#[tokio::test]
async fn a_view_that_waits_for_a_lock_gives_way_all_the_same() {
    let server = TestServer::start(&[]);
    let tables = ["CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY)"];
    let database = server.database(&tables).await;
    let source = MariaDbSource::new(server.root());
    let view = source.open_view(LIMIT, (2 << 20).into()).await.unwrap();
    let define = |table: &str| {
        let (view, id, database) = (Arc::clone(&view), TableId::new("s", table), database.clone());
        async move { view.definition(&id, &database, &BooleanColumns::default()).await }
    };
    define("a").await.unwrap();
    let mut holder = server.connect(Some(&database)).await;
    holder.query_drop("LOCK TABLES b WRITE").await.unwrap();
    let waits = tokio::spawn(define("b"));
    let mut owner = server.connect(Some(&database)).await;
    let start = std::time::Instant::now();
    owner.query_drop("ALTER TABLE a ADD COLUMN more INT").await.unwrap();
    // Else it would wait as long as the view does, 10 s.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let error = waits.await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{error}");
}

/// All of the table in a second and a half.
async fn read_slowly(source: &MariaDbSource, database: &str) -> Result<(), ConnectorError> {
    let view = source.open_view(LIMIT, (2 << 20).into()).await?;
    let id = TableId::new("s", "large");
    let table = Arc::new(view.definition(&id, database, &BooleanColumns::default()).await?);
    let mut scan = view.scan(RemoteQuery::whole(table));
    while let Some(batch) = scan.next().await {
        batch?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_statement_in_a_function_of_another_account_is_ended_between_two_calls() {
    let server = TestServer::start(&[]);
    let database = server
        .database(&[
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "INSERT INTO t SELECT seq FROM seq_1_to_20000",
            "CREATE FUNCTION later(i INT) RETURNS INT DETERMINISTIC RETURN i + SLEEP(0.003)",
            "CREATE VIEW called AS SELECT id, later(id) AS n FROM t",
            "CREATE USER reader@127.0.0.1",
            "GRANT SELECT, EXECUTE, SHOW VIEW ON *.* TO reader@127.0.0.1",
        ])
        .await;
    let limits = Limits { connections: 1, ..Limits::default() };
    let source = MariaDbSource::new(crate::SourceOptions { limits, ..server.account("reader", "") });
    let view = source.open_view(LIMIT, (4 << 20).into()).await.unwrap();
    let id = TableId::new("s", "called");
    let def = Arc::new(view.definition(&id, &database, &BooleanColumns::default()).await.unwrap());
    let reading = tokio::spawn(count(view.scan(RemoteQuery::whole(def))));
    let mut owner = server.connect(None).await;
    let running = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                   WHERE INFO LIKE 'SELECT%`called`%' AND ID <> CONNECTION_ID()";
    let until = async |owner: &mut mysql_async::Conn, expected: u64| {
        let start = std::time::Instant::now();
        while owner.query_first(running).await.unwrap() != Some(expected) {
            assert!(start.elapsed() < Duration::from_secs(30), "not {expected} after 30 s");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(&mut owner, 1).await;
    reading.abort();
    drop(view);
    // By itself it would go on for a minute.
    until(&mut owner, 0).await;
    let start = std::time::Instant::now();
    source.open_view(LIMIT, (4 << 20).into()).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "its place is free again");
}
