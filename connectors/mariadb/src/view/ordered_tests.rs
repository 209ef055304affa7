//! The first rows in orders that no index has.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use crossweave_contract::{
    BooleanColumns, CompareOp, Consistency, Relation, RemoteExpr, RemoteOutput, RemoteQuery, RemoteSort,
    ScanWork, Source, TableDef, Value,
};
use futures::TryStreamExt as _;

use crate::MariaDbSource;
use crate::testing::TestServer;

const ROWS: usize = 120_000;

/// Dates that are none among others, each of which an index has where the server would have it.
const DATES: [&str; 12] = [
    "0000-00-00",
    "1999-00-00",
    "1999-02-31",
    "2014-00-00",
    "2015-03-00",
    "2016-02-30",
    "2017-02-29",
    "2019-04-31",
    "2020-12-00",
    "2021-00-15",
    "2999-02-30",
    "2999-13-00",
];

async fn table(server: &TestServer) -> (MariaDbSource, Arc<TableDef>) {
    let database = server
        .database(&[
            "CREATE TABLE t (id INT PRIMARY KEY, x INT, d DATE, m DATETIME(3) NOT NULL, s TIMESTAMP NULL, free INT, \
             v VARCHAR(20), of INT NOT NULL, KEY (x), KEY (d), KEY (m), KEY (s), KEY (v), KEY (of, x))",
            &format!(
                "INSERT INTO t SELECT seq, IF(seq % 10000 = 7, NULL, seq * 7919 % {ROWS}), '2012-01-01' + INTERVAL seq % 4000 DAY, \
                 '2012-01-01' + INTERVAL seq * 37 MINUTE, '2012-01-01' + INTERVAL seq * 31 MINUTE, seq % 900, \
                 IF(seq % 9000 = 1, NULL, CONCAT('v', seq % 5000)), seq % 7 FROM seq_1_to_{ROWS}"
            ),
            "UPDATE t SET s = IF(id = 71, NULL, '0000-00-00 00:00:00') WHERE id IN (70, 71)",
        ])
        .await;
    for (place, date) in DATES.iter().enumerate() {
        let set = format!(
            "SET STATEMENT sql_mode = 'ALLOW_INVALID_DATES' FOR UPDATE IGNORE t SET d = '{date}', m = '{date} 11:22:33' WHERE id = {}",
            500 + place * 13
        );
        server.run(&database, &[&set]).await;
    }
    server.run(&database, &["ANALYZE TABLE t"]).await;
    let source = MariaDbSource::new(server.root());
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    (source, Arc::new(found.tables.into_iter().next().unwrap()))
}

#[derive(Clone, Copy)]
struct Order {
    by: &'static str,
    descending: bool,
    nulls_first: bool,
    further: bool,
    skip: u64,
    fetch: u64,
    of: Option<i64>,
    /// The rows that have less than this, of 900 values, in a column without an index.
    free: Option<i64>,
}

impl Order {
    /// The first rows of `table`, with a column that the order's index has not.
    fn query(&self, table: &Arc<TableDef>) -> RemoteQuery {
        let all = RemoteQuery::whole(Arc::clone(table));
        let column = |name: &str| table.column_index(name).unwrap();
        let having = |all: RemoteQuery, (name, op, value): (&str, CompareOp, i64)| {
            let place = column(name);
            let literal = RemoteExpr::Literal(Value::Int(value), table.columns[place].column_type.clone());
            let (left, right) = (Box::new(RemoteExpr::Column(place)), Box::new(literal));
            all.filtered(RemoteExpr::Compare { op, left, right })
        };
        let wanted = [("of", CompareOp::Eq, self.of), ("free", CompareOp::Lt, self.free)];
        let wanted = wanted.into_iter().filter_map(|(name, op, value)| Some((name, op, value?)));
        let all = wanted.fold(all, having);
        let place = column(self.by);
        let sort = |place: usize, descending, nulls_first, nullable| RemoteSort {
            expr: RemoteExpr::Column(place),
            descending,
            nulls_first,
            nullable,
        };
        let mut by = vec![sort(place, self.descending, self.nulls_first, all.columns[place].nullable)];
        if self.further {
            by.push(sort(column("id"), self.descending, false, false));
        }
        let input = Box::new(Relation::Sort { input: Box::new(all.relation), by });
        // As the planner has it, which finds the first rows before it passes some over.
        let fetch = Some(self.skip + self.fetch);
        let input = Box::new(Relation::Limit { input, skip: 0, fetch });
        let limit = Relation::Limit { input, skip: self.skip, fetch: Some(self.fetch) };
        let outputs = [column("id"), place, column("free")]
            .map(|place| RemoteOutput { expr: RemoteExpr::Column(place), column: all.columns[place].clone() });
        RemoteQuery::new(Relation::Project { input: Box::new(limit), outputs: outputs.into() })
    }
}

/// The rows as text, how many statements they took, and how many rows the server expects to examine.
async fn read(
    source: &MariaDbSource,
    query: &RemoteQuery,
    consistency: Consistency,
) -> (Vec<String>, u64, u64) {
    let view = source.open_view_of(consistency, Duration::from_secs(60), (64 << 20).into()).await.unwrap();
    let work = Arc::new(ScanWork::default());
    let batches: Vec<_> = view.scan_counted(query.clone(), Arc::clone(&work)).try_collect().await.unwrap();
    let text = |batch: &RecordBatch, row| {
        let cells = batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap());
        cells.collect::<Vec<_>>().join("|")
    };
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| text(batch, row))).collect();
    let expected = view.expectation(query).await.unwrap().unwrap().examined.unwrap();
    (rows, work.statements.load(Ordering::Relaxed), expected.rows)
}

#[tokio::test]
async fn the_first_rows_are_the_same_in_two_statements_that_go_by_an_index() {
    let server = TestServer::start(&["--sql-mode=", "--default-time-zone=+00:00"]);
    let (source, table) = table(&server).await;
    let order = |by, descending, nulls_first| Order {
        by,
        descending,
        nulls_first,
        further: true,
        skip: 0,
        fetch: 40,
        of: None,
        free: None,
    };
    let mut cases = Vec::new();
    for by in ["x", "d", "m", "s", "v"] {
        for (descending, nulls_first) in [(true, true), (false, false)] {
            cases.push((order(by, descending, nulls_first), 2));
            cases.push((Order { further: false, ..order(by, descending, nulls_first) }, 2));
        }
    }
    // Enough without the others; rows passed over that are of the one, of the other, and of both.
    cases.push((Order { fetch: 5, ..order("x", true, true) }, 1));
    cases.push((Order { fetch: 5, ..order("d", true, true) }, 1));
    cases.push((order("x", false, false), 1));
    cases.push((Order { skip: 5, ..order("x", true, true) }, 2));
    cases.push((Order { skip: 30, ..order("x", true, true) }, 2));
    cases.push((Order { skip: 300, ..order("m", false, false) }, 1));
    cases.push((Order { of: Some(3), ..order("x", true, true) }, 2));
    cases.push((Order { free: Some(90), ..order("x", true, true) }, 2));
    // Dates that stand where the server has none of its own order's NULLs.
    cases.push((order("d", true, false), 1));
    cases.push((order("d", false, true), 2));
    for (order, statements) in cases {
        let query = order.query(&table);
        let (rows, taken, examined) = read(&source, &query, Consistency::Snapshot).await;
        let (expected, whole, all) = read(&source, &query, Consistency::Statement).await;
        let told = format!(
            "{} {} {} further {} of {:?} skip {} fetch {}",
            order.by, order.descending, order.nulls_first, order.further, order.of, order.skip, order.fetch
        );
        let keys = |rows: &[String]| -> Vec<String> {
            let key = |row: &String| row.split('|').nth(1).unwrap_or_default().to_owned();
            rows.iter().map(key).collect()
        };
        match order.further {
            true => assert_eq!(rows, expected, "{told}"),
            false => assert_eq!(keys(&rows), keys(&expected), "{told}"),
        }
        assert_eq!(whole, 1, "{told}");
        assert!(examined < 2_000 && all > 10_000, "{told}: {examined} of {all}");
        // A last statement is left out where the first has all.
        assert!(taken == statements || !order.nulls_first && taken == 1, "{told}: {taken}");
    }
}

#[tokio::test]
async fn without_an_index_one_statement_sorts() {
    let server = TestServer::start(&["--sql-mode=", "--default-time-zone=+00:00"]);
    let (source, table) = table(&server).await;
    let order = Order {
        by: "free",
        descending: true,
        nulls_first: true,
        further: true,
        skip: 0,
        fetch: 9,
        of: None,
        free: None,
    };
    for order in [
        // Hardly any row is met on the way.
        Order { by: "x", free: Some(1), ..order },
        Order { by: "x", nulls_first: false, ..order },
        Order { by: "x", fetch: 5_000, ..order },
        order,
    ] {
        let query = order.query(&table);
        let (rows, statements, _) = read(&source, &query, Consistency::Snapshot).await;
        assert_eq!((rows.len() as u64, statements), (order.fetch, 1));
    }
}
