//! Several statements of one view, side by side, and the connections that join it for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use crossweave_contract::{
    BatchStream, BooleanColumns, ColumnType, CompareOp, ConnectorError, Consistency, ErrorKind, RemoteExpr,
    RemoteQuery, ScanWork, Source, SourceView, TableDef, TableId, Value,
};
use futures::future::try_join_all;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::testing::TestServer;
use crate::{Limits, MariaDbSource};

const LIMIT: Duration = Duration::from_secs(60);

/// Longer than any of these tests may take: a hang fails instead of standing still.
const HANG: Duration = Duration::from_secs(60);

/// A server of its own, so that all transactions on it are those of its views: `few` with ten rows, `many` with
/// 20,000 of about 200 bytes, and `slow`, which takes a second for its five rows.
struct Shop {
    server: TestServer,
    database: String,
}

impl Shop {
    async fn open() -> Self {
        let server = TestServer::start(&[]);
        let database = server
            .database(&[
                "CREATE TABLE few (id INT PRIMARY KEY, n INT NOT NULL)",
                "INSERT INTO few SELECT seq, seq FROM seq_1_to_10",
                "CREATE TABLE five (id INT PRIMARY KEY)",
                "INSERT INTO five SELECT seq FROM seq_1_to_5",
                "CREATE VIEW slow AS SELECT id, SLEEP(0.2) AS s FROM five",
                "CREATE TABLE many (id INT PRIMARY KEY, pad VARCHAR(200))",
                "INSERT INTO many SELECT seq, REPEAT('x', 200) FROM seq_1_to_20000",
                "ANALYZE TABLE few, five, many",
            ])
            .await;
        Self { server, database }
    }

    fn source(&self, limits: Limits) -> MariaDbSource {
        MariaDbSource::new(self.server.limited(limits))
    }

    async fn table(&self, table: &str) -> Arc<TableDef> {
        let source = self.source(Limits::default());
        let found = source.tables(&"s".into(), &self.database, &BooleanColumns::default()).await.unwrap();
        Arc::new(found.tables.into_iter().find(|found| &*found.id.table == table).unwrap())
    }

    async fn owner(&self) -> Owner {
        Owner(self.server.connect(Some(&self.database)).await)
    }
}

/// Looks at the server.
struct Owner(Conn);

impl Owner {
    /// How many connections of views there are: each has a transaction.
    async fn transactions(&mut self) -> usize {
        // Who asks more often is told the same.
        tokio::time::sleep(Duration::from_millis(120)).await;
        self.0.query_first("SELECT COUNT(*) FROM information_schema.INNODB_TRX").await.unwrap().unwrap()
    }

    /// How long it takes until there are so many.
    async fn until(&mut self, transactions: usize) -> Duration {
        let start = Instant::now();
        loop {
            let found = self.transactions().await;
            if found == transactions {
                return start.elapsed();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{found} transactions, not {transactions}");
        }
    }

    /// How long it takes until a statement that begins so is (not) among those that run.
    async fn until_running(&mut self, begins: &str, expected: bool) -> Duration {
        let start = Instant::now();
        let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE CONCAT(?, '%')";
        loop {
            let found: Option<usize> = self.0.exec_first(sql, (begins,)).await.unwrap();
            if (found != Some(0)) == expected {
                return start.elapsed();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{begins} running: expected {expected}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn count(stream: BatchStream) -> Result<usize, ConnectorError> {
    stream.try_fold(0, |sum, batch: RecordBatch| async move { Ok(sum + batch.num_rows()) }).await
}

fn up_to(table: &Arc<TableDef>, most: i64) -> RemoteQuery {
    let literal = RemoteExpr::Literal(Value::Int(most), ColumnType::Int { unsigned: false });
    RemoteQuery::whole(Arc::clone(table)).filtered(RemoteExpr::Compare {
        op: CompareOp::LtEq,
        left: Box::new(RemoteExpr::Column(0)),
        right: Box::new(literal),
    })
}

async fn open(source: &MariaDbSource) -> Arc<dyn SourceView> {
    source.open_view(LIMIT, (64 << 20).into()).await.unwrap()
}

/// How long `count` scans of `table`, all asked at once, take together.
async fn all_at_once(source: &MariaDbSource, table: &Arc<TableDef>, count_of: usize) -> Duration {
    let view = open(source).await;
    let start = Instant::now();
    let scans = (0..count_of).map(|_| count(view.scan(RemoteQuery::whole(Arc::clone(table)))));
    let rows = tokio::time::timeout(HANG, try_join_all(scans)).await.expect("no deadlock").unwrap();
    assert_eq!(rows, vec![5; count_of]);
    start.elapsed()
}

#[tokio::test]
async fn statements_that_wait_have_others_join_as_many_as_may() {
    let shop = Shop::open().await;
    let slow = shop.table("slow").await;
    // Alone each takes a second; other tests run beside it.
    for (connections, each, takes) in [(8, 4, 1), (8, 2, 2), (6, 4, 2), (8, 1, 4)] {
        let source = shop.source(Limits { connections, connections_per_query: each, ..Limits::default() });
        let took = all_at_once(&source, &slow, 4).await;
        let (least, most) = (Duration::from_secs(takes), Duration::from_millis(takes * 1_000 + 900));
        assert!(took >= least && took < most, "{connections} connections, {each} for each query: {took:?}");
    }
}

#[tokio::test]
async fn a_small_statement_does_not_wait_for_a_long_one() {
    let shop = Shop::open().await;
    let (slow, few) = (shop.table("slow").await, shop.table("few").await);
    let source = shop.source(Limits::default());
    let view = open(&source).await;
    let mut long = view.scan(RemoteQuery::whole(slow));
    assert!(long.next().now_or_never().is_none());
    let mut owner = shop.owner().await;
    owner.until_running("SELECT `id`, `s`", true).await;
    let start = Instant::now();
    assert_eq!(count(view.scan(RemoteQuery::whole(few))).await.unwrap(), 10);
    let took = start.elapsed();
    assert!(took < Duration::from_millis(600), "{took:?}");
    owner.until_running("SELECT `id`, `s`", true).await;
    assert_eq!(count(long).await.unwrap(), 5);
}

#[tokio::test]
async fn lookups_take_one_connection() {
    let shop = Shop::open().await;
    let few = shop.table("few").await;
    let source = shop.source(Limits::default());
    let view = open(&source).await;
    let mut owner = shop.owner().await;
    for _ in 0..20 {
        view.prepare(&up_to(&few, 1)).await;
        assert_eq!(count(view.scan(up_to(&few, 1))).await.unwrap(), 1);
        assert_eq!(owner.transactions().await, 1);
    }
}

#[tokio::test]
async fn what_has_joined_goes_when_others_need_it_and_soon_in_any_case() {
    let shop = Shop::open().await;
    let slow = shop.table("slow").await;
    let limits = Limits { connections: 6, connections_per_query: 3, queue_wait: LIMIT, ..Limits::default() };
    let source = shop.source(limits);
    let view = open(&source).await;
    let mut owner = shop.owner().await;
    let three = async || {
        let scans = (0..3).map(|_| count(view.scan(RemoteQuery::whole(Arc::clone(&slow)))));
        assert_eq!(try_join_all(scans).await.unwrap(), [5, 5, 5]);
    };
    three().await;
    owner.until(3).await;
    // The next one of the query finds them.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(owner.transactions().await, 3);
    let took = owner.until(1).await;
    assert!(took < Duration::from_secs(3), "{took:?}");

    three().await;
    owner.until(3).await;
    let start = Instant::now();
    let others: Vec<_> = try_join_all((0..5).map(|_| source.open_view(LIMIT, (1 << 20).into()))).await.unwrap();
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    assert_eq!(owner.transactions().await, 6);
    drop(others);
    // With half of all in use by others none joins.
    let _others: Vec<_> =
        try_join_all((0..3).map(|_| source.open_view(LIMIT, (1 << 20).into()))).await.unwrap();
    owner.until(4).await;
    three().await;
    assert_eq!(owner.transactions().await, 4);
}

#[tokio::test]
async fn several_statements_of_one_question_run_side_by_side_and_make_none_read_ahead() {
    let shop = Shop::open().await;
    let (many, few) = (shop.table("many").await, shop.table("few").await);
    let queries = || vec![RemoteQuery::whole(Arc::clone(&many)); 6];
    for each in [1, 4] {
        let source = shop.source(Limits { connections_per_query: each, ..Limits::default() });
        // Less than one of them takes.
        let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
        let work = Arc::new(ScanWork::default());
        let mut rows = view.scan_all(queries(), Arc::clone(&work));
        let mut read = 0;
        while let Some(batch) = rows.next().await {
            read += batch.unwrap().num_rows();
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert_eq!((read, work.statements.load(Ordering::Relaxed)), (120_000, 6));
        let connections = work.connections.load(Ordering::Relaxed);
        assert_eq!(connections > 1, each > 1, "{connections} connections");
    }
    // What another one waits for has them read on, and all but one wait for it.
    let source = shop.source(Limits { connections_per_query: 1, ..Limits::default() });
    let view = open(&source).await;
    let mut rows = view.scan_all(queries(), Arc::default());
    let first = rows.next().await.unwrap().unwrap().num_rows();
    let other = tokio::time::timeout(HANG, count(view.scan(RemoteQuery::whole(few)))).await;
    assert_eq!(other.expect("no deadlock").unwrap(), 10);
    assert_eq!(first + count(rows).await.unwrap(), 120_000);
}

#[tokio::test]
async fn statements_that_wait_for_their_turn_take_no_turns_ahead() {
    let shop = Shop::open().await;
    let few = shop.table("few").await;
    let queue_wait = Duration::from_millis(350);
    let source = shop.source(Limits { statements_per_second: Some(5), queue_wait, ..Limits::default() });
    let start = Instant::now();
    let view = open(&source).await;
    let read = count(view.scan_all(vec![RemoteQuery::whole(few); 9], Arc::default())).await;
    assert_eq!(read.unwrap(), 90);
    // Five at once, then one each 200 ms.
    assert!(start.elapsed() >= Duration::from_millis(750), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_other_way_round_the_first_of_several_gets_its_turn() {
    let shop = Shop::open().await;
    let many = shop.table("many").await;
    let source = shop.source(Limits { connections_per_query: 1, ..Limits::default() });
    let view = open(&source).await;
    // Its reader takes the others first.
    let mut unread = view.scan(RemoteQuery::whole(Arc::clone(&many)));
    let first = unread.next().await.unwrap().unwrap().num_rows();
    let queries = vec![RemoteQuery::whole(Arc::clone(&many)); 3];
    let read = tokio::time::timeout(HANG, count(view.scan_all(queries, Arc::default()))).await;
    assert_eq!(read.expect("no deadlock").unwrap(), 60_000);
    assert_eq!(first + count(unread).await.unwrap(), 20_000);
}

#[tokio::test]
async fn statements_beside_each_other_show_one_instant_while_others_write() {
    let server = TestServer::start(&["--log-bin", "--innodb-flush-log-at-trx-commit=0"]);
    let fill = "INSERT INTO t SELECT seq, 10 FROM seq_1_to_120000";
    let create = "CREATE TABLE t (id INT PRIMARY KEY, balance INT NOT NULL)";
    let database = server.database(&[create, fill, "ANALYZE TABLE t"]).await;
    let mut writer = server.connect(Some(&database)).await;
    let writing = tokio::spawn(async move {
        for round in 0.. {
            // Ever more money.
            let id = round * 7919 % 120_000 + 1;
            writer.query_drop(format!("UPDATE t SET balance = balance + 1 WHERE id = {id}")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let source = MariaDbSource::new(server.limited(Limits::default()));
    let mut side_by_side = 0;
    for ahead in [true, false].repeat(5) {
        let view = open(&source).await;
        let id = TableId::new("s", "t");
        let table = Arc::new(view.definition(&id, &database, &BooleanColumns::default()).await.unwrap());
        // Not to be split, for all that is known.
        let query = RemoteQuery::whole(table).limited(1_000_000);
        if ahead {
            view.prepare(&query).await;
            view.prepare(&query).await;
        }
        let sum = async |view: &dyn SourceView| {
            let batches: Vec<_> = view.scan(query.clone()).try_collect().await.unwrap();
            let of = |batch: &RecordBatch| {
                let column = batch.column(1).as_any().downcast_ref::<arrow::array::Int32Array>().unwrap();
                column.values().iter().map(|balance| i64::from(*balance)).sum::<i64>()
            };
            batches.iter().map(of).sum::<i64>()
        };
        let mut owner = Owner(server.connect(None).await);
        let (one, other, third, connections) =
            futures::join!(sum(&*view), sum(&*view), sum(&*view), async { owner.transactions().await });
        assert_eq!((one, other), (other, third), "ahead: {ahead}");
        side_by_side += usize::from(ahead && connections > 1);
    }
    writing.abort();
    assert!(side_by_side >= 3, "{side_by_side} of 5 ran side by side");
}

#[tokio::test]
async fn who_leaves_while_the_server_is_asked_about_a_statement_ends_that_at_once() {
    let server = TestServer::start(&[]);
    let fill = "INSERT INTO t SELECT seq, 1 FROM seq_1_to_120000";
    let database =
        server.database(&["CREATE TABLE t (id INT PRIMARY KEY, n INT)", fill, "ANALYZE TABLE t"]).await;
    let source = MariaDbSource::new(server.root());
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let query = RemoteQuery::whole(Arc::new(found.tables[0].clone()));
    // EXPLAIN waits for who has the table.
    let mut holder = server.connect(Some(&database)).await;
    holder.query_drop("LOCK TABLES t WRITE").await.unwrap();
    let mut owner = Owner(server.connect(None).await);
    let view = open(&source).await;
    for asked in ["a scan", "an estimate", "what is asked ahead"] {
        let (view, query) = (Arc::clone(&view), query.clone());
        let asking = tokio::spawn(async move {
            match asked {
                "a scan" => drop(view.scan(query).next().await),
                "an estimate" => drop(view.estimate(&query).await),
                _ => view.prepare(&query).await,
            }
        });
        owner.until_running("EXPLAIN", true).await;
        asking.abort();
        let took = owner.until_running("EXPLAIN", false).await;
        assert!(took < Duration::from_millis(500), "{asked}: {took:?}");
    }
    holder.query_drop("UNLOCK TABLES").await.unwrap();
    assert_eq!(count(view.scan(query)).await.unwrap(), 120_000, "the view goes on");
}

#[tokio::test]
async fn what_has_joined_gives_way_as_well_and_a_lost_one_leaves_the_view() {
    let shop = Shop::open().await;
    let slow = shop.table("slow").await;
    let source = shop.source(Limits::default());
    let view = open(&source).await;
    let mut owner = shop.owner().await;
    let four = async || {
        let scans = (0..4).map(|_| count(view.scan(RemoteQuery::whole(Arc::clone(&slow)))));
        futures::future::join_all(scans).await
    };
    let (outcomes, ()) = futures::join!(four(), async {
        owner.until(4).await;
        owner.until_running("SELECT `id`, `s`", true).await;
        // The one that joined last.
        let last: Option<u64> = owner
            .0
            .query_first("SELECT MAX(trx_mysql_thread_id) FROM information_schema.INNODB_TRX")
            .await
            .unwrap();
        owner.0.query_drop(format!("KILL {}", last.unwrap())).await.unwrap();
    });
    assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() >= 3, "{outcomes:?}");
    let again = four().await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");

    let altering = async {
        owner.until_running("SELECT `id`, `s`", true).await;
        owner.0.query_drop("ALTER TABLE five ADD COLUMN z INT").await.unwrap();
    };
    let (outcomes, ()) = futures::join!(four(), altering);
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::DefinitionChanged);
    }
}

#[tokio::test]
async fn statements_of_their_own_instants_run_side_by_side_without_a_binlog() {
    let server = TestServer::start(&["--skip-log-bin"]);
    let database = server
        .database(&[
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "INSERT INTO t SELECT seq FROM seq_1_to_5",
            "CREATE VIEW slow AS SELECT id, SLEEP(0.2) AS s FROM t",
        ])
        .await;
    let source = MariaDbSource::new(server.root());
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let slow = found.tables.iter().find(|found| &*found.id.table == "slow").cloned().map(Arc::new).unwrap();
    for (consistency, takes) in [(Consistency::Snapshot, 2), (Consistency::Statement, 1)] {
        let view = source.open_view_of(consistency, LIMIT, (1 << 20).into()).await.unwrap();
        let start = Instant::now();
        let scans = (0..2).map(|_| count(view.scan(RemoteQuery::whole(Arc::clone(&slow)))));
        assert_eq!(try_join_all(scans).await.unwrap(), [5, 5]);
        assert_eq!(start.elapsed().as_secs(), takes, "{consistency:?}");
    }
}
