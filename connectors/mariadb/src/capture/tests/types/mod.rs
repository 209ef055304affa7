//! Every type: what the binlog gives equals what the same rows give that are read by the binary protocol, also through
//! a view, and by the text protocol; on each version of MariaDB that is tested.

mod changes;
mod charsets;
mod hard;
mod plain;
mod settings;
mod views;

use std::sync::Arc;

use arrow::array::RecordBatch;
use crossweave_contract::{
    BooleanColumns, ChangeOp, RemoteQuery, RowsBuilder, ServiceName, Source as _, TableDef, Transaction, Value,
};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable as _;

use self::hard::{DECIMALS, LISTS, NUMBERS, OTHERS, SHOWN_NUMBERS, TEXTS, TIMES};
use super::{Captured, PATIENCE};
use crate::MariaDbSource;
use crate::testing::{TestServer, others, server};

/// The rows of `table` as they are now, and its definition, both over the client protocol.
async fn live(server: &TestServer, database: &str, table: &str) -> (TableDef, RecordBatch) {
    let source = MariaDbSource::new(server.root());
    let service = ServiceName::new("s");
    let found = source.tables(&service, database, &BooleanColumns::default()).await.expect("tables");
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let definition = found.tables.into_iter().find(|found| *found.id.table == *table).expect("the table");
    let view = source.open_view(PATIENCE, (256 << 20).into()).await.expect("a view");
    let scan = view.scan(RemoteQuery::whole(Arc::new(definition.clone())));
    let batches: Vec<RecordBatch> = scan.try_collect().await.expect("rows");
    let schema = definition.schema();
    (definition, arrow::compute::concat_batches(&schema, &batches).expect("one batch"))
}

/// The usual server, and those of other versions.
fn servers() -> impl Iterator<Item = &'static TestServer> {
    std::iter::once(server()).chain(others())
}

/// Those from this version on.
async fn of_version(major: u32, minor: u32) -> Vec<&'static TestServer> {
    let mut found = Vec::new();
    for server in servers() {
        if server.version().await >= (major, minor) {
            found.push(server);
        }
    }
    found
}

/// Creates `t` with `columns` beside its key, inserts `rows` one by one, and requires that all ways to read them give
/// equal arrays; then that the binlog has the same values where the rows are updated and deleted.
async fn check(server: &TestServer, settings: &[&str], columns: &str, rows: &[&str]) {
    let create = format!("CREATE TABLE t (id INT PRIMARY KEY, {columns})");
    let view = "CREATE VIEW seen AS SELECT * FROM t";
    let statements: Vec<&str> = settings.iter().copied().chain([create.as_str(), view]).collect();
    let database = server.database(&statements).await;
    let (definition, _) = live(server, &database, "t").await;
    let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;

    let session =
        ["SET NAMES utf8mb4", "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", "SET time_zone = '+00:00'"];
    let inserts = rows.iter().enumerate().map(|(id, row)| format!("INSERT INTO t VALUES ({id}, {row})"));
    let work = session.map(String::from).into_iter().chain(["BEGIN".into()]).chain(inserts);
    let work: Vec<String> = work.chain(["COMMIT".into()]).collect();
    server.run(&database, &work.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let inserted = captured.next().await;
    let expected = same_whatever_the_way(server, &definition, &inserted).await;
    assert_eq!(expected.num_rows(), rows.len());
    let (_, through_a_view) = live(server, &database, "seen").await;
    for (at, column) in definition.columns.iter().enumerate() {
        assert_eq!(through_a_view.column(at), expected.column(at), "column {} of a view", column.name);
    }

    server.run(&database, &["UPDATE t SET id = id + 1000", "DELETE FROM t"]).await;
    for updated in [captured.next().await, captured.next().await] {
        assert_eq!(updated.changes.len(), rows.len(), "{updated:?}");
        for (change, was) in updated.changes.iter().zip(&inserted.changes) {
            let was = was.op.after().expect("an insert");
            let before = change.op.before().expect("a row");
            assert_eq!(before[1..], was[1..]);
            if let ChangeOp::Update { after, .. } = &change.op {
                assert_eq!(after[1..], was[1..]);
            }
        }
    }
}

/// Requires that the rows that `inserted` added are those that the table holds, read by the binary protocol and by the
/// text protocol, and returns them.
async fn same_whatever_the_way(
    server: &TestServer,
    definition: &TableDef,
    inserted: &Transaction,
) -> RecordBatch {
    let (_, expected) = live(server, &definition.database, &definition.id.table).await;
    assert!(inserted.faults.is_empty(), "{:?}", inserted.faults);
    let after: Vec<&[Value]> =
        inserted.changes.iter().map(|change| &**change.op.after().expect("an insert")).collect();
    assert_same(definition, &after, &expected);
    // A row is the same value by value too, so that the keys of both are equal.
    for (at, row) in after.iter().enumerate() {
        assert_eq!(*row, &*crossweave_contract::row_values(definition, &expected, at), "row {at}");
    }
    let shown: Vec<_> = plain::rows(server, definition).await;
    assert_same(definition, &shown.iter().map(|row| &**row).collect::<Vec<_>>(), &expected);
    expected
}

fn assert_same(definition: &TableDef, rows: &[&[Value]], expected: &RecordBatch) {
    let all: Vec<usize> = (0..definition.columns.len()).collect();
    let mut builder = RowsBuilder::new(definition, &all, rows.len());
    for row in rows {
        builder.append_row(row).expect("values of their types");
    }
    let found = builder.finish().expect("a batch");
    assert_eq!(found.num_rows(), expected.num_rows());
    for (at, column) in definition.columns.iter().enumerate() {
        assert_eq!(found.column(at), expected.column(at), "column {} {:?}", column.name, column.column_type);
    }
}

#[tokio::test]
async fn numbers() {
    for server in servers() {
        check(server, &[], NUMBERS.0, NUMBERS.1).await;
    }
}

#[tokio::test]
async fn numbers_that_are_shown_otherwise() {
    for server in servers() {
        check(server, &[], SHOWN_NUMBERS.0, SHOWN_NUMBERS.1).await;
    }
}

#[tokio::test]
async fn lists_of_values() {
    for server in servers() {
        check(server, &[], LISTS.0, LISTS.1).await;
    }
}

#[tokio::test]
async fn decimals() {
    for server in servers() {
        check(server, &[], DECIMALS.0, DECIMALS.1).await;
    }
}

#[tokio::test]
async fn dates_and_times() {
    for server in servers() {
        check(server, &[], TIMES.0, TIMES.1).await;
    }
}

#[tokio::test]
async fn texts() {
    for server in servers() {
        check(server, &[], TEXTS.0, TEXTS.1).await;
    }
}

#[tokio::test]
async fn all_others() {
    for server in servers() {
        check(server, &[], OTHERS.0, OTHERS.1).await;
    }
}

#[tokio::test]
async fn enums_and_sets_of_many_members() {
    let values = |count: usize| (0..count).map(|n| format!("'v{n}'")).collect::<Vec<_>>().join(",");
    let columns = format!(
        "a ENUM({}), b ENUM({}), c SET({}), d SET({}), e SET({})",
        values(255),
        values(1000),
        values(9),
        values(33),
        values(64)
    );
    let rows = [
        "'v0', 'v0', 'v0', 'v0', 'v0'",
        "'v254', 'v999', 'v8', 'v32,v0', 'v63,v1'",
        "255, 256, 511, 8589934591, 18446744073709551615",
        "NULL, NULL, NULL, NULL, NULL",
    ];
    for server in servers() {
        check(server, &[], &columns, &rows).await;
    }
}

/// MariaDB 11.5 and later.
#[tokio::test]
async fn timestamps_up_to_2106() {
    for server in of_version(11, 5).await {
        let rows = [
            "'2106-02-07 06:28:15', '2106-02-07 06:28:15.999999'",
            "'2038-01-19 03:14:08', '2038-01-19 03:14:08.5'",
        ];
        check(server, &[], "a TIMESTAMP NULL, b TIMESTAMP(6) NULL", &rows).await;
    }
}

/// MariaDB 11.7 and later.
#[tokio::test]
async fn vectors() {
    for server in of_version(11, 7).await {
        let many = format!("VEC_FROMTEXT('[{}]')", vec!["0.1"; 300].join(","));
        let rows = [
            "VEC_FROMTEXT('[1, -0, 2.5]'), VEC_FROMTEXT('[1e-45]'), NULL".to_owned(),
            format!("NULL, VEC_FROMTEXT('[1e18]'), {many}"),
            "x'0000008000000000ffff7f3f', x'01000000', NULL".to_owned(),
        ];
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        check(server, &[], "a VECTOR(3), b VECTOR(1) NOT NULL, c VECTOR(300), VECTOR INDEX (b)", &rows).await;
    }
}

/// The server's old formats: with `mysql56_temporal_format=OFF`, a table's columns are made in MariaDB 5.3's.
#[tokio::test]
async fn dates_and_times_in_the_old_formats() {
    let server = TestServer::start(&["--mysql56-temporal-format=OFF"]);
    check(&server, &[], TIMES.0, TIMES.1).await;
}

/// Events 164 to 171, and TABLE_MAP with names, signs and values.
#[tokio::test]
async fn everything_from_a_compressed_and_encrypted_binlog_with_metadata() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, "1;770A8A65DA156D24EE2A093277530142\n").expect("a key");
    let server = TestServer::start(&[
        "--plugin-load-add=file_key_management",
        &format!("--file-key-management-filename={}", key.display()),
        "--encrypt-binlog=ON",
        "--log-bin-compress=ON",
        "--log-bin-compress-min-len=10",
        "--binlog-row-metadata=FULL",
        "--binlog-annotate-row-events=ON",
    ]);
    for (columns, rows) in [NUMBERS, DECIMALS, TIMES, TEXTS, OTHERS] {
        check(&server, &[], columns, rows).await;
    }
    let mut conn = server.connect(None).await;
    let events: Vec<mysql_async::Row> = conn.query("SHOW BINLOG EVENTS").await.expect("events");
    for kind in [
        "Write_rows_compressed_v1",
        "Update_rows_compressed_v1",
        "Delete_rows_compressed_v1",
        "Start_encryption",
    ] {
        let is_kind = |row: &mysql_async::Row| row.get::<String, _>(2).is_some_and(|found| found == kind);
        assert!(events.iter().any(is_kind), "{kind}");
    }
    super::statements::metadata_tells_what_the_layout_cannot(&server).await;
}
