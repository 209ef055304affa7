//! Large tables, read over several connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossweave_contract::{
    BooleanColumns, ColumnType, CompareOp, Consistency, RemoteExpr, RemoteQuery, Row, ScanWork, Source,
    SourceView, TableDef, TableId, Value,
};
use futures::{StreamExt as _, TryStreamExt as _};
use mysql_async::prelude::Queryable;

use crate::testing::{TestServer, server};
use crate::{Limits, MariaDbSource};

const LIMIT: Duration = Duration::from_secs(60);

async fn open(source: &MariaDbSource, consistency: Consistency) -> Arc<dyn SourceView> {
    source.open_view_of(consistency, LIMIT, (64 << 20).into()).await.unwrap()
}

async fn defined(view: &dyn SourceView, database: &str, table: &str) -> Arc<TableDef> {
    let id = TableId::new("s", table);
    Arc::new(view.definition(&id, database, &BooleanColumns::default()).await.unwrap())
}

/// The rows of `query`, and on how many connections they were read.
async fn read(view: &dyn SourceView, query: RemoteQuery) -> (Vec<Row>, u64) {
    let work = Arc::new(ScanWork::default());
    let batches: Vec<_> = view.scan_counted(query, Arc::clone(&work)).try_collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let values = (0..batch.num_columns()).map(|column| {
                let array = batch.column(column);
                match array.data_type() {
                    arrow::datatypes::DataType::Int32 => {
                        let values = array.as_any().downcast_ref::<arrow::array::Int32Array>().unwrap();
                        Value::Int(values.value(row).into())
                    }
                    _ => {
                        let text = arrow::util::display::array_value_to_string(array, row).unwrap();
                        Value::Text(text.into())
                    }
                }
            });
            rows.push(values.collect::<Vec<_>>().into());
        }
    }
    (rows, work.connections.load(Ordering::Relaxed))
}

fn number(row: &Row, place: usize) -> i64 {
    match &row[place] {
        Value::Int(number) => *number,
        Value::Text(text) => text.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_row_comes_once_whatever_the_key() {
    const ROWS: i64 = 150_000;
    let fill = |values: &str| format!("INSERT INTO t SELECT {values}, seq FROM seq_1_to_{ROWS}");
    let keys = [
        ("k INT PRIMARY KEY, n INT", fill("CAST(seq AS SIGNED) * 3 - 200000")),
        ("k BIGINT UNSIGNED PRIMARY KEY, n INT", fill("18446744073709551615 - seq * 100000000000")),
        ("k CHAR(36) CHARSET ascii PRIMARY KEY, n INT", fill("MD5(seq)")),
        ("k VARCHAR(40) COLLATE utf8mb4_swedish_ci PRIMARY KEY, n INT", fill("CONCAT('Å-', seq)")),
        ("k VARCHAR(40) CHARSET ucs2, n INT, PRIMARY KEY (k, n)", fill("CONCAT('ключ', seq % 50)")),
        (
            "k DATE, n INT, PRIMARY KEY (k, n)",
            fill("IF(seq = 7, '0000-00-00', '1990-01-01' + INTERVAL seq DIV 20 DAY)"),
        ),
        ("k TIMESTAMP(3), n INT, UNIQUE (k)", fill("'2020-01-01' + INTERVAL seq MINUTE")),
    ];
    for (columns, fill) in keys {
        let null = if columns.contains("UNIQUE") {
            columns.replacen("(3)", "(3) NOT NULL", 1)
        } else {
            columns.to_owned()
        };
        let create = format!("CREATE TABLE t ({null})");
        let database = server().database(&["SET sql_mode = ''", &create, &fill, "ANALYZE TABLE t"]).await;
        let source = MariaDbSource::new(server().limited(Limits::default()));
        let view = open(&source, Consistency::Snapshot).await;
        let table = defined(view.as_ref(), &database, "t").await;
        // The key itself is not among the columns.
        let query = RemoteQuery::of(Arc::clone(&table), [1]);
        view.prepare(&query).await;
        let (rows, connections) = read(view.as_ref(), query.clone()).await;
        let mut numbers: Vec<i64> = rows.iter().map(|row| number(row, 0)).collect();
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=ROWS), "{columns}: {} rows", numbers.len());
        assert!(connections > 1, "{columns}: {connections} connections");
        let literal = RemoteExpr::Literal(Value::Int(100), ColumnType::Int { unsigned: false });
        let few = query.clone().filtered(RemoteExpr::Compare {
            op: CompareOp::LtEq,
            left: Box::new(RemoteExpr::Column(0)),
            right: Box::new(literal),
        });
        assert_eq!(read(view.as_ref(), few).await.0.len(), 100, "{columns}");
        let (rows, connections) = read(view.as_ref(), query.limited(10)).await;
        assert_eq!((rows.len(), connections), (10, 1), "{columns}: a few rows take one connection");
    }
}

/// A table of 120,000 accounts, between which `writers` move money all the time.
struct Bank {
    server: TestServer,
    database: String,
    writers: Vec<tokio::task::JoinHandle<()>>,
}

impl Bank {
    async fn open(settings: &[&str], writers: usize) -> Self {
        let server = TestServer::start(settings);
        let fill = "INSERT INTO t SELECT seq, 10 FROM seq_1_to_120000";
        let create = "CREATE TABLE t (id INT PRIMARY KEY, balance INT NOT NULL)";
        let database = server.database(&[create, fill, "ANALYZE TABLE t"]).await;
        let mut running = Vec::new();
        for writer in 0..writers {
            let mut conn = server.connect(Some(&database)).await;
            running.push(tokio::spawn(async move {
                for round in writer.. {
                    let (from, to) = (round * 7919 % 120_000 + 1, round * 104_729 % 120_000 + 1);
                    let sql = format!(
                        "BEGIN NOT ATOMIC START TRANSACTION; UPDATE t SET balance = balance - 1 WHERE id = {from}; \
                         UPDATE t SET balance = balance + 1 WHERE id = {to}; COMMIT; END"
                    );
                    // Two may wait for each other; the server then ends one.
                    let _ = conn.query_drop(sql).await;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }));
        }
        Self { server, database, writers: running }
    }

    fn source(&self, limits: Limits) -> MariaDbSource {
        MariaDbSource::new(self.server.limited(limits))
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.writers.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn all_connections_show_one_instant_while_others_write() {
    let bank = Bank::open(&["--log-bin", "--innodb-flush-log-at-trx-commit=0"], 2).await;
    let source = bank.source(Limits::default());
    let mut spread = 0;
    for _ in 0..8 {
        let view = open(&source, Consistency::Snapshot).await;
        let table = defined(view.as_ref(), &bank.database, "t").await;
        let query = RemoteQuery::whole(Arc::clone(&table));
        let first = view.position().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        view.prepare(&query).await;
        let position = view.position().unwrap();
        assert!(position.covers(&first), "{position} {first}");
        let (rows, connections) = read(view.as_ref(), query.clone()).await;
        let sum: i64 = rows.iter().map(|row| number(row, 1)).sum();
        assert_eq!((rows.len(), sum), (120_000, 1_200_000), "over {connections} connections");
        // Nothing moves once rows were read.
        view.prepare(&query).await;
        assert_eq!(view.position(), Some(position));
        spread += usize::from(connections > 1);
    }
    assert!(spread >= 4, "{spread} of 8 were read over several connections");
}

#[tokio::test]
async fn statements_of_their_own_instants_need_no_position() {
    let bank = Bank::open(&["--skip-log-bin"], 1).await;
    let source = bank.source(Limits::default());
    for (consistency, expected) in [(Consistency::Snapshot, 1), (Consistency::Statement, 4)] {
        let view = open(&source, consistency).await;
        let table = defined(view.as_ref(), &bank.database, "t").await;
        let query = RemoteQuery::whole(table);
        view.prepare(&query).await;
        let (rows, connections) = read(view.as_ref(), query).await;
        assert_eq!((rows.len(), connections, view.position()), (120_000, expected, None));
    }
}

#[tokio::test]
async fn connections_that_others_need_are_left_and_all_are_given_back() {
    let bank = Bank::open(&["--log-bin"], 0).await;
    for (connections, each, expected) in [(8, 4, 4), (8, 2, 2), (6, 4, 3), (3, 4, 1), (8, 1, 1)] {
        let limits = Limits { connections, connections_per_query: each, ..Limits::default() };
        let source = bank.source(Limits { queue_wait: Duration::from_secs(5), ..limits });
        let view = open(&source, Consistency::Snapshot).await;
        let table = defined(view.as_ref(), &bank.database, "t").await;
        let (_, found) = read(view.as_ref(), RemoteQuery::whole(Arc::clone(&table))).await;
        assert_eq!(found, expected, "{connections} connections, {each} for each query");
        // Left in the middle.
        let mut left = view.scan(RemoteQuery::whole(table));
        left.next().await.unwrap().unwrap();
        drop((left, view));
        let all: Vec<_> = futures::future::try_join_all(
            (0..connections).map(|_| async { source.open_view(LIMIT, (1 << 20).into()).await }),
        )
        .await
        .expect("all connections are free again");
        assert_eq!(all.len(), connections);
    }
}

#[tokio::test]
async fn what_parts_would_not_serve_is_read_in_one_statement() {
    let fill = "INSERT INTO t SELECT seq, seq % 9, REPEAT('x', 50) FROM seq_1_to_120000";
    let tables = [
        // One statement alone sees one instant.
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(50)) ENGINE = MyISAM",
        // The index has all that is asked for.
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(50), KEY (n))",
        // Its index has no order.
        "CREATE TABLE t (id TEXT NOT NULL, n INT NOT NULL, pad VARCHAR(50), UNIQUE (id))",
    ];
    for create in tables {
        let database = server().database(&[create, fill, "ANALYZE TABLE t"]).await;
        let source = MariaDbSource::new(server().limited(Limits::default()));
        let view = open(&source, Consistency::Snapshot).await;
        let table = defined(view.as_ref(), &database, "t").await;
        let query = RemoteQuery::of(table, [1]);
        view.prepare(&query).await;
        let (rows, connections) = read(view.as_ref(), query).await;
        assert_eq!((rows.len(), connections), (120_000, 1), "{create}");
    }
}

#[tokio::test]
async fn a_server_that_applies_without_logging_is_read_over_one_connection() {
    let bank = Bank::open(&["--log-bin", "--skip-log-slave-updates"], 0).await;
    let mut owner = bank.server.connect(Some(&bank.database)).await;
    for (applied, expected) in [("", 4), ("0-77-5", 1)] {
        owner.query_drop(format!("SET GLOBAL gtid_slave_pos = '{applied}'")).await.unwrap();
        let source = bank.source(Limits::default());
        let view = open(&source, Consistency::Snapshot).await;
        let table = defined(view.as_ref(), &bank.database, "t").await;
        let (rows, connections) = read(view.as_ref(), RemoteQuery::whole(table)).await;
        assert_eq!((rows.len(), connections), (120_000, expected), "applied {applied:?}");
    }
}

#[tokio::test]
async fn a_view_knows_its_own_place_though_others_ask_for_theirs() {
    let server = TestServer::start(&["--log-bin", "--innodb-flush-log-at-trx-commit=0"]);
    let database = server
        .database(&["CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL)", "INSERT INTO t VALUES (1, 0)"])
        .await;
    let source = Arc::new(MariaDbSource::new(server.limited(Limits { connections: 8, ..Limits::default() })));
    let first = source.position().await.unwrap().gtids().next().unwrap().sequence;
    let mut running = Vec::new();
    for asks in [false, true, true] {
        let mut conn = server.connect(Some(&database)).await;
        // One writes, the others ask as monitors do.
        running.push(tokio::spawn(async move {
            let sql = if asks { "SHOW STATUS LIKE 'binlog_snapshot_%'" } else { "UPDATE t SET n = n + 1" };
            while conn.query_drop(sql).await.is_ok() {}
        }));
    }
    let check = async |source: Arc<MariaDbSource>| {
        for _ in 0..100 {
            let view = open(&source, Consistency::Snapshot).await;
            let table = defined(view.as_ref(), &database, "t").await;
            let (rows, _) = read(view.as_ref(), RemoteQuery::whole(table)).await;
            let position = view.position().unwrap().gtids().next().unwrap().sequence;
            assert_eq!(number(&rows[0], 1) as u64, position - first);
        }
    };
    futures::future::join_all((0..4).map(|_| check(Arc::clone(&source)))).await;
    running.iter().for_each(tokio::task::JoinHandle::abort);
}
