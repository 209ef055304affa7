//! What a server's owner allows, held by views on a real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossweave_contract::{
    BooleanColumns, CompareOp, ConnectorError, ErrorKind, JoinKind, Relation, RemoteExpr, RemoteQuery,
    RemoteSort, Source, TableDef, TableId, Value,
};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable;

use super::admission::{Admission, admit};
use super::expecting::counted;
use super::explained::Explained;
use crate::connection::Pool;
use crate::identifiers::TableRef;
use crate::scan::{Limited, Statement};
use crate::testing::{definition, server};
use crate::{Limits, MariaDbSource, SourceOptions};

const LIMIT: Duration = Duration::from_secs(30);

/// A table of `count` rows, `a` with an index and 100 values, `b` without.
async fn table(count: u32) -> Arc<TableDef> {
    let create = "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, KEY (a))";
    let fill = format!("INSERT INTO t SELECT seq, seq % 100, seq FROM seq_1_to_{count}");
    let database = server().database(&[create, &fill, "ANALYZE TABLE t"]).await;
    definition(&database, "t").await
}

fn source(limits: Limits) -> MariaDbSource {
    MariaDbSource::new(server().limited(limits))
}

fn examining(rows_examined: u64) -> MariaDbSource {
    source(Limits { rows_examined, ..Limits::default() })
}

fn compared(table: &Arc<TableDef>, column: usize, op: CompareOp, value: i64) -> RemoteQuery {
    compared_too(RemoteQuery::whole(Arc::clone(table)), column, op, value)
}

fn compared_too(query: RemoteQuery, column: usize, op: CompareOp, value: i64) -> RemoteQuery {
    let number = RemoteExpr::Literal(Value::Int(value), query.columns[column].column_type.clone());
    let (left, right) = (Box::new(RemoteExpr::Column(column)), Box::new(number));
    query.filtered(RemoteExpr::Compare { op, left, right })
}

fn limited(query: RemoteQuery, limit: u64) -> RemoteQuery {
    query.limited(limit)
}

fn sorted(query: RemoteQuery, column: usize) -> RemoteQuery {
    let RemoteQuery { relation, columns } = query;
    let (expr, nullable) = (RemoteExpr::Column(column), columns[column].nullable);
    let by = vec![RemoteSort { expr, descending: false, nulls_first: true, nullable }];
    RemoteQuery { relation: Relation::Sort { input: Box::new(relation), by }, columns }
}

/// `table` with itself by its column `column`.
fn joined(table: &Arc<TableDef>, column: usize) -> RemoteQuery {
    let side = || Box::new(RemoteQuery::whole(Arc::clone(table)).relation);
    let place = |index| Box::new(RemoteExpr::Column(index));
    let (left, right) = (place(column), place(table.columns.len() + column));
    let on = RemoteExpr::Compare { op: CompareOp::Eq, left, right };
    RemoteQuery::new(Relation::Join { left: side(), right: side(), kind: JoinKind::Inner, on })
}

/// How many rows `query` has.
fn counting(query: RemoteQuery) -> RemoteQuery {
    RemoteQuery::new(counted(query.relation, Vec::new()))
}

/// How many rows `query` gives in a view of its own.
async fn count(source: &MariaDbSource, query: RemoteQuery) -> Result<usize, ConnectorError> {
    let view = source.open_view(LIMIT, (16 << 20).into()).await?;
    view.scan(query).try_fold(0, |sum, batch| async move { Ok(sum + batch.num_rows()) }).await
}

async fn refused(source: &MariaDbSource, query: RemoteQuery, limit: &str) -> String {
    let error = count(source, query).await.unwrap_err();
    assert_eq!((error.kind, error.limit), (ErrorKind::Limit, Some(limit)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("service s: "), "{text}");
    assert!(text.contains(&format!("raise {limit} in [services.s.limits]")), "{text}");
    text
}

fn refusals(source: &MariaDbSource) -> Vec<(&'static str, u64)> {
    source.protection().refusals.iter().map(|refusal| (refusal.limit, refusal.count)).collect()
}

#[tokio::test]
async fn what_examines_too_many_rows_is_refused_before_it_runs() {
    let table = table(20_000).await;
    let source = examining(5_000);
    let text = refused(&source, RemoteQuery::whole(Arc::clone(&table)), "rows_examined").await;
    for part in ["would examine about ", "of the 5000", "table t is read whole", "index", "mode = \"cached\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
    refused(&source, compared(&table, 2, CompareOp::Eq, 7), "rows_examined").await;
    refused(&source, compared(&table, 0, CompareOp::Gt, 100), "rows_examined").await;
    assert_eq!(refusals(&source), [("rows_examined", 3)]);
    // By an index, or with a LIMIT that ends it early, it is few rows.
    assert_eq!(count(&source, compared(&table, 0, CompareOp::Eq, 7)).await.unwrap(), 1);
    assert_eq!(count(&source, compared(&table, 1, CompareOp::Eq, 7)).await.unwrap(), 200);
    assert_eq!(count(&source, compared(&table, 0, CompareOp::Lt, 100)).await.unwrap(), 99);
    assert_eq!(count(&source, limited(RemoteQuery::whole(Arc::clone(&table)), 100)).await.unwrap(), 100);
    // More than there is: no limit at all.
    refused(&source, limited(RemoteQuery::whole(Arc::clone(&table)), 1_000_000), "rows_examined").await;
    // A load may read all.
    let load = source.open_load(LIMIT, (16 << 20).into()).await.unwrap();
    let batches: Vec<_> = load.scan(RemoteQuery::whole(table)).try_collect().await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 20_000);
}

#[tokio::test]
async fn what_a_subquery_gives_is_counted_as_often_as_it_is_read() {
    let tables = ["CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL)", "CREATE TABLE u (id INT PRIMARY KEY)"];
    let fill =
        ["INSERT INTO t SELECT seq, seq FROM seq_1_to_20000", "INSERT INTO u SELECT seq FROM seq_1_to_2000"];
    let database = server().database(&[&tables[..], &fill, &["ANALYZE TABLE t, u"]].concat()).await;
    let pool = Pool::new(server().root());
    let mut session = pool.acquire().await.unwrap();
    let read = ["t", "u", "u"].map(|table| TableRef { database: &database, table });
    let both = format!("(SELECT id FROM `{database}`.u UNION ALL SELECT id FROM `{database}`.u) AS both_u");
    let mut admitted = async |from: &str| {
        let sql = format!("SELECT COUNT(*) FROM {from}");
        let statement = Statement { sql, params: Vec::new(), limit: Limited::No, unordered: None };
        admit(&mut session, &read, &"s".into(), &statement, &mut Explained::default()).await
    };
    let each = |condition: &str| {
        format!("`{database}`.t WHERE EXISTS (SELECT 1 FROM {both} WHERE {condition}) IS TRUE OR t.a = 0")
    };
    let error = admitted(&each("both_u.id + 1 = t.a")).await.unwrap_err();
    assert!(error.limit == Some("rows_examined"), "{error}");
    let found = "what a subquery gives is read whole, without an index, once for each row of others (";
    assert!(error.message.contains(found), "{error}");
    // By an index that the server makes, or once.
    for from in [each("both_u.id = t.a"), both.clone(), format!("`{database}`.t JOIN {both} USING (id)")] {
        assert_eq!(admitted(&from).await.unwrap(), Admission::Free, "{from}");
    }
}

#[tokio::test]
async fn a_limit_that_ends_nothing_early_is_counted_by_the_server() {
    let table = table(20_000).await;
    let source = examining(5_000);
    // The server takes all rows for fitting; nearly none does.
    let rare = limited(compared(&table, 2, CompareOp::Gt, 19_995), 3);
    let text = refused(&source, rare, "rows_examined").await;
    assert!(text.contains("has examined 5000 rows"), "{text}");
    let early = limited(compared(&table, 2, CompareOp::Lt, 1_000), 3);
    assert_eq!(count(&source, early).await.unwrap(), 3);
    // Nor does EXPLAIN say it of an index that is read in the order that is asked for.
    for column in [0, 1] {
        let none = sorted(compared(&table, 2, CompareOp::Gt, 1_000_000), column);
        let text = refused(&source, limited(none, 10), "rows_examined").await;
        assert!(text.contains("has examined 5000 rows"), "{text}");
    }
    // Where another index meets a condition it says more, and it may say as little of one part of several.
    let none = compared(&table, 2, CompareOp::Gt, 1_000_000);
    let of_few = || limited(sorted(compared_too(none.clone(), 1, CompareOp::Gt, 10), 0), 10);
    let RemoteQuery { relation, columns } = of_few();
    let twice = RemoteQuery { relation: Relation::Union { inputs: vec![relation.clone(), relation] }, columns };
    let text = refused(&source, of_few(), "rows_examined").await;
    assert!(text.contains("has examined 5000 rows"), "{text}");
    refused(&source, twice, "rows_examined").await;
    // The same view goes on after a refusal.
    let view = source.open_view(LIMIT, (16 << 20).into()).await.unwrap();
    let whole = view.scan(RemoteQuery::whole(Arc::clone(&table))).try_collect::<Vec<_>>().await;
    assert_eq!(whole.unwrap_err().limit, Some("rows_examined"));
    let one = view.scan(compared(&table, 0, CompareOp::Eq, 7)).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(one[0].num_rows(), 1);
}

#[tokio::test]
async fn a_limit_over_one_group_ends_nothing_early() {
    let table = table(20_000).await;
    let source = examining(5_000);
    let whole = RemoteQuery::whole(Arc::clone(&table));
    for query in [counting(whole), counting(joined(&table, 2)), limited(counting(joined(&table, 2)), 2)] {
        let text = refused(&source, limited(query, 1), "rows_examined").await;
        assert!(text.contains("would examine about "), "{text}");
    }
    // Over few rows it is no matter.
    assert_eq!(count(&source, limited(counting(compared(&table, 1, CompareOp::Eq, 7)), 1)).await.unwrap(), 1);
}

#[tokio::test]
async fn the_server_counts_what_it_compares_in_a_join_without_an_index() {
    let create = "CREATE TABLE t (id INT PRIMARY KEY, b INT)";
    let fill = "INSERT INTO t SELECT seq, seq FROM seq_1_to_2000";
    let view = "CREATE SQL SECURITY DEFINER VIEW v AS SELECT id, b FROM t";
    let database = server().database(&[create, fill, view]).await;
    let options = server().user("joiner", &[&format!("SELECT ON {database}.v")]).await;
    let limits = Limits { rows_examined: 50_000, ..Limits::default() };
    let source = MariaDbSource::new(SourceOptions { limits, ..options });
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let v = Arc::new(found.tables.into_iter().find(|def| def.id == TableId::new("s", "v")).expect("the view"));
    for query in [counting(joined(&v, 1)), limited(counting(joined(&v, 1)), 1), joined(&v, 1)] {
        let text = refused(&source, query, "rows_examined").await;
        assert!(text.contains("has examined 50000 rows"), "{text}");
    }
    // By the key, and where the first rows are enough.
    assert_eq!(count(&source, joined(&v, 0)).await.unwrap(), 2_000);
    assert_eq!(count(&source, limited(joined(&v, 1), 10)).await.unwrap(), 10);
}

#[tokio::test]
async fn where_explain_is_not_allowed_the_server_counts() {
    let create = "CREATE TABLE t (id INT PRIMARY KEY)";
    let fill = "INSERT INTO t SELECT seq FROM seq_1_to_20000";
    let view = "CREATE SQL SECURITY DEFINER VIEW v AS SELECT id, id % 7 AS b FROM t";
    let database = server().database(&[create, fill, view]).await;
    let options = server().user("viewer", &[&format!("SELECT ON {database}.v")]).await;
    let limits = Limits { rows_examined: 5_000, ..Limits::default() };
    let source = MariaDbSource::new(SourceOptions { limits, ..options });
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let v = Arc::new(found.tables.into_iter().find(|def| def.id == TableId::new("s", "v")).expect("the view"));
    let mut conn =
        crate::connection::connect(&server().account("viewer", crate::testing::PASSWORD)).await.unwrap();
    let explained = conn.query_drop(format!("EXPLAIN SELECT * FROM {database}.v")).await.unwrap_err();
    assert!(explained.to_string().contains("1345"), "{explained}");

    let text = refused(&source, RemoteQuery::whole(Arc::clone(&v)), "rows_examined").await;
    assert!(text.contains("has examined 5000 rows"), "{text}");
    assert_eq!(count(&source, compared(&v, 0, CompareOp::Lt, 100)).await.unwrap(), 99);
    assert_eq!(count(&source, limited(RemoteQuery::whole(Arc::clone(&v)), 50)).await.unwrap(), 50);
    // A sort fails for it.
    let first = limited(sorted(RemoteQuery::whole(v), 1), 3);
    let text = refused(&source, first, "rows_examined").await;
    assert!(text.contains("has examined 5000 rows"), "{text}");
    assert_eq!(refusals(&source), [("rows_examined", 2)]);
}

#[tokio::test]
async fn of_values_that_begin_alike_each_is_explained() {
    let create = "CREATE TABLE t (id INT PRIMARY KEY, at DATETIME, url VARCHAR(60) CHARACTER SET utf8mb4 COLLATE \
                  utf8mb4_bin, KEY (at), KEY (url))";
    let fill = "INSERT INTO t SELECT seq, TIMESTAMP '2026-11-01 00:00:00' + INTERVAL seq MINUTE, \
                CONCAT('https://', LPAD(seq, 6, '0')) FROM seq_1_to_20000";
    let database = server().database(&[create, fill, "ANALYZE TABLE t"]).await;
    let table = definition(&database, "t").await;
    let from = |column: usize, value: Value| {
        let literal = RemoteExpr::Literal(value, table.columns[column].column_type.clone());
        let (left, right) = (Box::new(RemoteExpr::Column(column)), Box::new(literal));
        let condition = RemoteExpr::Compare { op: CompareOp::GtEq, left, right };
        RemoteQuery::whole(Arc::clone(&table)).filtered(condition)
    };
    let start = 1_793_491_200_000_000; // 2026-11-01
    let at = |minutes: i64| from(1, Value::Micros(start + minutes * 60_000_000));
    let url = |number: u32| from(2, Value::Text(format!("https://{number:06}").into()));
    let source = examining(5_000);
    assert_eq!(count(&source, at(19_990)).await.unwrap(), 11);
    refused(&source, at(1), "rows_examined").await;
    assert_eq!(count(&source, url(19_990)).await.unwrap(), 11);
    refused(&source, url(1), "rows_examined").await;
}

#[tokio::test]
async fn a_view_is_not_made_whole_for_its_definition() {
    let server = crate::testing::TestServer::start(&[]);
    let create = "CREATE TABLE t (id INT PRIMARY KEY, a INT)";
    let fill = "INSERT INTO t SELECT seq, seq % 7 FROM seq_1_to_100000";
    let database =
        server.database(&[create, fill, "CREATE VIEW v AS SELECT a, COUNT(*) AS n FROM t GROUP BY a"]).await;
    let read = async || -> u64 {
        let sql = "SELECT SUM(VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN \
                   ('HANDLER_READ_RND_NEXT', 'HANDLER_READ_NEXT')";
        server.connect(None).await.query_first::<f64, _>(sql).await.unwrap().unwrap() as u64
    };
    let source = MariaDbSource::new(server.root());
    let view = source.open_view(LIMIT, (16 << 20).into()).await.unwrap();
    let before = read().await;
    view.definition(&TableId::new("s", "v"), &database, &BooleanColumns::default()).await.unwrap();
    let rows = read().await - before;
    assert!(rows < 10_000, "{rows} rows were read");
}

#[tokio::test]
async fn what_cannot_matter_is_not_explained() {
    let server = crate::testing::TestServer::start(&["--general-log=1", "--log-output=TABLE"]);
    let create = "CREATE TABLE t (id INT PRIMARY KEY, a INT)";
    let fill = "INSERT INTO t SELECT seq, seq FROM seq_1_to_20000";
    let database = server.database(&[create, fill, "ANALYZE TABLE t"]).await;
    let table = {
        let source = MariaDbSource::new(server.root());
        let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
        Arc::new(found.tables.into_iter().next().unwrap())
    };
    let explained = async || -> u64 {
        let mut conn = server.connect(None).await;
        let sql = "SELECT COUNT(*) FROM mysql.general_log WHERE command_type = 'Execute' AND argument LIKE 'EXPLAIN%'";
        conn.query_first(sql).await.unwrap().unwrap()
    };
    // All rows of the table are few.
    let source = MariaDbSource::new(server.root());
    assert_eq!(count(&source, RemoteQuery::whole(Arc::clone(&table))).await.unwrap(), 20_000);
    assert_eq!(explained().await, 0);
    // Here they are many; single rows by a key are explained once.
    let limits = Limits { rows_examined: 5_000, ..Limits::default() };
    let source = MariaDbSource::new(server.limited(limits));
    for id in 1..=5 {
        assert_eq!(count(&source, compared(&table, 0, CompareOp::Eq, id)).await.unwrap(), 1);
    }
    assert_eq!(explained().await, 1);
    // A range is explained each time, for it depends on its bounds.
    for id in 10..=12 {
        assert_eq!(count(&source, compared(&table, 0, CompareOp::Lt, id)).await.unwrap(), id as usize - 1);
    }
    assert_eq!(explained().await, 4);
}

#[tokio::test]
async fn rows_and_bytes_of_one_query_are_bounded_over_all_its_scans() {
    let table = table(20_000).await;
    let few = source(Limits { rows: Some(10_000), ..Limits::default() });
    let text = refused(&few, RemoteQuery::whole(Arc::clone(&table)), "rows").await;
    assert!(text.contains("of the 10000 that one may"), "{text}");
    let view = few.open_view(LIMIT, (16 << 20).into()).await.unwrap();
    let part = || view.scan(compared(&table, 0, CompareOp::LtEq, 6_000)).try_collect::<Vec<_>>();
    part().await.unwrap();
    assert_eq!(part().await.unwrap_err().limit, Some("rows"), "two scans of 6,000 rows");
    // Another query begins anew.
    assert_eq!(count(&few, compared(&table, 0, CompareOp::LtEq, 6_000)).await.unwrap(), 6_000);

    let small = source(Limits { bytes: Some(100_000), ..Limits::default() });
    refused(&small, RemoteQuery::whole(Arc::clone(&table)), "bytes").await;
    assert_eq!(count(&small, compared(&table, 0, CompareOp::LtEq, 6_000)).await.unwrap(), 6_000);
    assert_eq!((refusals(&few), refusals(&small)), (vec![("rows", 2)], vec![("bytes", 1)]));
}

#[tokio::test]
async fn a_query_reads_no_longer_than_it_may() {
    let database = server()
        .database(&[
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "INSERT INTO t SELECT seq FROM seq_1_to_100",
            "CREATE VIEW slow AS SELECT id, SLEEP(0.2) AS s FROM t",
        ])
        .await;
    let slow = definition(&database, "slow").await;
    let source = source(Limits { time: Duration::from_millis(700), ..Limits::default() });
    let started = Instant::now();
    let text = refused(&source, RemoteQuery::whole(Arc::clone(&slow)), "seconds").await;
    assert!(text.contains("700ms") && started.elapsed() < Duration::from_secs(5), "{text}");
    // Who has less time left is told of that.
    let view = source.open_view(Duration::from_millis(300), (16 << 20).into()).await.unwrap();
    let error = view.scan(RemoteQuery::whole(slow)).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!((error.kind, error.limit), (ErrorKind::Limit, None), "{error}");
    assert_eq!(refusals(&source), [("seconds", 1)]);
}

#[tokio::test]
async fn statements_wait_for_their_turn() {
    let table = table(10).await;
    let (statements_per_second, queue_wait) = (Some(5), Duration::from_millis(500));
    let source = source(Limits { statements_per_second, queue_wait, ..Limits::default() });
    let view = source.open_view(LIMIT, (16 << 20).into()).await.unwrap();
    let one = || view.scan(compared(&table, 0, CompareOp::Eq, 1)).try_collect::<Vec<_>>();
    let started = Instant::now();
    for _ in 0..7 {
        one().await.unwrap();
    }
    // Five at once, then one each 200 ms.
    assert!(started.elapsed() >= Duration::from_millis(350), "{:?}", started.elapsed());
    let many =
        futures::future::join_all((0..6).map(|_| count(&source, compared(&table, 0, CompareOp::Eq, 1)))).await;
    let refused = many.iter().filter(|outcome| outcome.is_err()).count();
    assert!(refused > 0 && refused < 6, "{many:?}");
    assert_eq!(refusals(&source), [("statements_per_second", refused as u64)]);
}

#[tokio::test]
async fn the_server_says_what_it_expects() {
    let table = table(5_000).await;
    let source = source(Limits::default());
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    let all = view.estimate(&RemoteQuery::whole(Arc::clone(&table))).await.unwrap().unwrap();
    assert!((4_000..6_000).contains(&all.rows) && all.examined.rows == all.rows, "{all:?}");
    let one = view.estimate(&compared(&table, 0, CompareOp::Eq, 7)).await.unwrap().unwrap();
    assert_eq!((one.examined.rows, one.rows), (1, 1));
    let some = view.estimate(&limited(RemoteQuery::whole(table), 9)).await.unwrap().unwrap();
    assert_eq!((some.examined.rows, some.rows), (9, 9));
}
