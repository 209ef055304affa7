//! Views under writes, side by side, and given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use crossweave_contract::{
    BatchStream, BooleanColumns, ErrorKind, RemoteQuery, Source, SourceView, TableDef, TableId, Value,
};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use mysql_async::prelude::Queryable;

use crate::testing::{TestServer, definition, rows, server};
use crate::{Limits, MariaDbSource};

const LIMIT: Duration = Duration::from_secs(30);

/// Longer than any of these tests may take: a hang fails instead of standing still.
const HANG: Duration = Duration::from_secs(60);

/// A table of `count` rows of about 200 bytes each, in a database of its own.
async fn wide(count: u32) -> Arc<TableDef> {
    let fill = format!("INSERT INTO t SELECT seq, REPEAT('x', 200) FROM seq_1_to_{count}");
    let create = "CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(200))";
    definition(&server().database(&[create, &fill]).await, "t").await
}

async fn open(buffer: usize) -> Arc<dyn SourceView> {
    MariaDbSource::new(server().root()).open_view(LIMIT, buffer.into()).await.unwrap()
}

async fn count(stream: BatchStream) -> crossweave_contract::Result<usize> {
    stream.try_fold(0, |sum, batch: RecordBatch| async move { Ok(sum + batch.num_rows()) }).await
}

/// How long it takes until a statement with `marker` in it is (not) among those that run.
async fn until_running(marker: &str, expected: bool) -> Duration {
    let mut conn = server().connect(None).await;
    let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
               WHERE INFO LIKE CONCAT('%', ?, '%') AND ID <> CONNECTION_ID()";
    let statement = conn.prep(sql).await.unwrap();
    let start = Instant::now();
    loop {
        let found: Option<u64> = conn.exec_first(&statement, (marker,)).await.unwrap();
        if (found != Some(0)) == expected {
            return start.elapsed();
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{marker} running: expected {expected}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Checks that `end` takes less than half a second. It is given three times to show it, for other tests run beside it.
async fn soon(mut end: impl AsyncFnMut() -> Duration) {
    let mut took = Vec::new();
    while took.iter().all(|took| *took >= Duration::from_millis(500)) {
        assert!(took.len() < 3, "{took:?}");
        took.push(end().await);
    }
}

/// A server-side view each of whose rows takes a second.
async fn slow() -> Arc<TableDef> {
    let database = server()
        .database(&[
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "INSERT INTO t SELECT seq FROM seq_1_to_500",
            "CREATE VIEW slow AS SELECT id, SLEEP(1) AS s FROM t",
        ])
        .await;
    definition(&database, "slow").await
}

#[tokio::test]
async fn a_view_stands_at_its_position_while_others_write() {
    let server = TestServer::start(&[]);
    let database =
        server.database(&["CREATE TABLE t (id INT PRIMARY KEY)", "CREATE TABLE u (id INT PRIMARY KEY)"]).await;
    let source = MariaDbSource::new(server.root());
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let (t, u) = (Arc::new(found.tables[0].clone()), Arc::new(found.tables[1].clone()));
    let first = source.open_view(LIMIT, (1 << 20).into()).await.unwrap().position().unwrap();
    let first = first.gtids().next().unwrap().sequence;

    // Each transaction puts one row into each table and takes one GTID.
    let mut writer = server.connect(Some(&database)).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut id = 0u32;
        while stopped.is_empty() {
            id += 1;
            writer.query_drop("BEGIN").await.unwrap();
            writer.exec_drop("INSERT INTO t VALUES (?)", (id,)).await.unwrap();
            writer.exec_drop("INSERT INTO u VALUES (?)", (id,)).await.unwrap();
            writer.query_drop("COMMIT").await.unwrap();
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 50 {
        let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
        let position = view.position().unwrap();
        let in_t = count(view.scan(RemoteQuery::whole(Arc::clone(&t)))).await.unwrap() as u64;
        let in_u = count(view.scan(RemoteQuery::whole(Arc::clone(&u)))).await.unwrap() as u64;
        assert_eq!(in_t, in_u);
        assert_eq!(position.gtids().next().unwrap().sequence, first + in_t);
        assert!(source.position().await.unwrap().covers(&position));
        seen.push(in_t);
        seen.dedup();
    }
    stop.send(()).unwrap();
    writing.await.unwrap();
}

#[tokio::test]
async fn scans_read_alternately_do_not_wait_for_each_other() {
    let table = wide(60_000).await;
    let interleave = async |buffer: usize, connections_per_query: usize| {
        let limits = Limits { connections_per_query, ..Limits::default() };
        let source = MariaDbSource::new(server().limited(limits));
        let view = source.open_view(LIMIT, buffer.into()).await.unwrap();
        let mut scans: Vec<BatchStream> =
            (0..4).map(|_| view.scan(RemoteQuery::whole(Arc::clone(&table)))).collect();
        // Ask the last first, then take one batch of each in turn.
        let mut rows = 0;
        scans.reverse();
        while !scans.is_empty() {
            for mut scan in std::mem::take(&mut scans) {
                if let Some(batch) = scan.next().await {
                    rows += batch?.num_rows();
                    scans.push(scan);
                }
            }
        }
        Ok::<_, crossweave_contract::ConnectorError>(rows)
    };
    for connections in [1, 2, 4] {
        let read = tokio::time::timeout(HANG, interleave(256 << 20, connections)).await;
        assert_eq!(read.expect("no deadlock").unwrap(), 240_000, "over {connections} connections");
    }
    let error = tokio::time::timeout(HANG, interleave(2 << 20, 1)).await.expect("no deadlock").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.to_string().contains("2097152"), "{error}");
}

#[tokio::test]
async fn one_scan_alone_may_be_larger_than_the_buffer() {
    let table = wide(60_000).await;
    let view = open(2 << 20).await;
    let mut scan = view.scan(RemoteQuery::whole(table));
    let first = scan.next().await.unwrap().unwrap().num_rows();
    assert_eq!(first + count(scan).await.unwrap(), 60_000);
}

#[tokio::test]
async fn a_scan_that_is_never_polled_keeps_nobody_waiting() {
    let table = wide(20_000).await;
    let view = open(1 << 20).await;
    let _unread = view.scan(RemoteQuery::whole(Arc::clone(&table)));
    let scan = view.scan(RemoteQuery::whole(table));
    assert_eq!(tokio::time::timeout(HANG, count(scan)).await.unwrap().unwrap(), 20_000);
}

#[tokio::test]
async fn dropping_a_scan_ends_its_statement_and_the_view_goes_on() {
    let table = slow().await;
    let marker = table.database.clone();
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    soon(async || {
        let mut scan = view.scan(RemoteQuery::whole(Arc::clone(&table)));
        assert!(scan.next().now_or_never().is_none());
        until_running(&marker, true).await;
        drop(scan);
        until_running(&marker, false).await
    })
    .await;
    let base = definition(&marker, "t").await;
    assert_eq!(count(view.scan(RemoteQuery::whole(base))).await.unwrap(), 500);
}

#[tokio::test]
async fn dropping_the_view_ends_everything() {
    let table = slow().await;
    let marker = table.database.clone();
    let source = MariaDbSource::new(server().limited(Limits { connections: 1, ..Limits::default() }));
    soon(async || {
        let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
        let mut scan = view.scan(RemoteQuery::whole(Arc::clone(&table)));
        assert!(scan.next().now_or_never().is_none());
        until_running(&marker, true).await;
        drop((view, scan));
        until_running(&marker, false).await
    })
    .await;
    // The only connection is free again, with nothing left over on it.
    let base = definition(&marker, "t").await;
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    assert_eq!(rows(view.as_ref(), RemoteQuery::whole(base).limited(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_view_that_ended_leaves_no_transaction() {
    let source = MariaDbSource::new(server().limited(Limits { connections: 1, ..Limits::default() }));
    let table = wide(10).await;
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    assert_eq!(count(view.scan(RemoteQuery::whole(Arc::clone(&table)))).await.unwrap(), 10);
    server().run(&table.database, &["INSERT INTO t VALUES (1000, '')"]).await;
    assert_eq!(count(view.scan(RemoteQuery::whole(Arc::clone(&table)))).await.unwrap(), 10);
    drop(view);
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    assert_eq!(count(view.scan(RemoteQuery::whole(table))).await.unwrap(), 11);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_says_which_limit() {
    let table = slow().await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_millis(300), (1 << 20).into()).await.unwrap();
    let started = Instant::now();
    let error = count(view.scan(RemoteQuery::whole(table))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit, "{error}");
    assert!(error.to_string().contains("300ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_reader_that_stalls_does_not_hold_the_statement_beyond_its_time() {
    // More than the buffers of both ends and of the view take in, in one statement.
    let fill = "INSERT INTO t SELECT seq, REPEAT('x', 1000) FROM seq_1_to_60000";
    let create = "CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(1000))";
    let table = definition(&server().database(&[create, fill]).await, "t").await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(2), (4 << 20).into()).await.unwrap();
    let mut scan = view.scan(RemoteQuery::whole(Arc::clone(&table)));
    scan.next().await.unwrap().unwrap();
    let marker = format!("`{}`.`t`", table.database);
    until_running(&marker, false).await;
    assert_eq!(count(scan).await.unwrap_err().kind, ErrorKind::Limit);
}

#[tokio::test]
async fn a_definition_cannot_change_under_the_view() {
    let table = wide(10).await;
    let (database, id) = (table.database.clone(), table.id.clone());
    let view = open(1 << 20).await;
    let defined = view.definition(&id, &database, &BooleanColumns::default()).await.unwrap();
    assert!(defined.same_shape(&table));
    let mut conn = server().connect(Some(&database)).await;
    conn.query_drop("SET lock_wait_timeout = 0").await.unwrap();
    let error = conn.query_drop("ALTER TABLE t ADD COLUMN z INT").await.unwrap_err();
    assert!(error.to_string().contains("1205"), "{error}");
    assert_eq!(count(view.scan(RemoteQuery::whole(table))).await.unwrap(), 10);
}

#[tokio::test]
async fn a_view_gives_way_to_the_owner_who_alters_a_table() {
    let table = wide(60_000).await;
    let database = table.database.clone();
    // One view idles, the other has a statement whose rows nobody takes.
    let idle = open(4 << 20).await;
    idle.definition(&table.id, &database, &BooleanColumns::default()).await.unwrap();
    let busy = open(4 << 20).await;
    let mut scan = busy.scan(RemoteQuery::whole(Arc::clone(&table)));
    scan.next().await.unwrap().unwrap();
    let mut owner = server().connect(Some(&database)).await;
    let start = Instant::now();
    owner.query_drop("ALTER TABLE t ADD COLUMN z INT").await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let error = count(scan).await.unwrap_err();
    assert_eq!((error.kind, error.table.as_ref()), (ErrorKind::DefinitionChanged, Some(&table.id)), "{error}");
    assert!(error.kind.is_transient());
    let error = count(idle.scan(RemoteQuery::whole(table))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{error}");
}

#[tokio::test]
async fn a_table_altered_after_the_view_was_opened_has_a_changed_definition() {
    let table = wide(10).await;
    let (database, id) = (table.database.clone(), table.id.clone());
    for change in [
        "ALTER TABLE t MODIFY pad TEXT, ALGORITHM = COPY",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DROP COLUMN pad, ALGORITHM = COPY",
    ] {
        let view = open(1 << 20).await;
        server().run(&database, &[change]).await;
        let error = view.definition(&id, &database, &BooleanColumns::default()).await.unwrap_err();
        assert_eq!(
            (error.kind, error.table.as_ref()),
            (ErrorKind::DefinitionChanged, Some(&id)),
            "{change}: {error}"
        );
        // A plan of the old definition fails in the same way, and never with rows of another shape.
        let error = count(view.scan(RemoteQuery::whole(Arc::clone(&table)))).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{change}: {error}");
    }
}

#[tokio::test]
async fn a_server_without_a_binlog_has_views_without_a_position() {
    let server = TestServer::start(&["--skip-log-bin"]);
    let database = server.database(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"]).await;
    let source = MariaDbSource::new(server.root());
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    assert_eq!(view.position(), None);
    let id = TableId::new("s", "t");
    let table = Arc::new(view.definition(&id, &database, &BooleanColumns::default()).await.unwrap());
    assert_eq!(rows(view.as_ref(), RemoteQuery::whole(table)).await.unwrap(), [vec![Value::Int(1)].into()]);
    let error = source.position().await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Settings);
    assert!(error.to_string().contains("log_bin"), "{error}");
}

#[tokio::test]
async fn a_server_that_dies_is_unreachable() {
    let server = TestServer::start(&[]);
    let database = server.database(&["CREATE TABLE t (id INT PRIMARY KEY)"]).await;
    let source = MariaDbSource::new(server.root());
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    server.kill();
    let id = TableId::new("s", "t");
    let error = view.definition(&id, &database, &BooleanColumns::default()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let error = source.open_view(LIMIT, (1 << 20).into()).await.err().expect("nobody listens");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}
