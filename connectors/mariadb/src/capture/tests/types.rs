//! Every type: what the binlog gives equals what the same rows read over the client protocol give.

use std::sync::Arc;

use arrow::array::RecordBatch;
use crossweave_contract::{
    BooleanColumns, ChangeOp, RemoteQuery, RowsBuilder, ServiceName, Source as _, TableDef, Value,
};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable as _;

use super::{Captured, PATIENCE};
use crate::MariaDbSource;
use crate::testing::{TestServer, server};

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

/// Creates `table` with `columns` beside its key, inserts `rows` one by one, and requires that the binlog's rows
/// equal those read; then the same for updates that set each row to the next one's values, and for deletes.
async fn check(server: &TestServer, settings: &[&str], columns: &str, rows: &[&str]) {
    let create = format!("CREATE TABLE t (id INT PRIMARY KEY, {columns})");
    let statements: Vec<&str> = settings.iter().copied().chain([create.as_str()]).collect();
    let database = server.database(&statements).await;
    let (definition, _) = live(server, &database, "t").await;
    let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;

    let session =
        ["SET NAMES utf8mb4", "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'", "SET time_zone = '+00:00'"];
    let mut work: Vec<String> = session.map(String::from).to_vec();
    work.push("BEGIN".into());
    for (id, row) in rows.iter().enumerate() {
        work.push(format!("INSERT INTO t VALUES ({id}, {row})"));
    }
    work.push("COMMIT".into());
    server.run(&database, &work.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (_, expected) = live(server, &database, "t").await;
    assert_eq!(expected.num_rows(), rows.len());

    let inserted = captured.next().await;
    assert!(inserted.faults.is_empty(), "{:?}", inserted.faults);
    let after: Vec<&[Value]> =
        inserted.changes.iter().map(|change| &**change.op.after().expect("an insert")).collect();
    assert_same(&definition, &after, &expected);
    // A row is the same value by value too, so that the keys of both are equal.
    for (at, row) in after.iter().enumerate() {
        assert_eq!(*row, &*crossweave_contract::row_values(&definition, &expected, at), "row {at}");
    }

    server.run(&database, &["UPDATE t SET id = id + 1000", "DELETE FROM t"]).await;
    for updated in [captured.next().await, captured.next().await] {
        assert_eq!(updated.changes.len(), rows.len());
        for (change, was) in updated.changes.iter().zip(&after) {
            let before = change.op.before().expect("a row");
            assert_eq!(before[1..], was[1..]);
            if let ChangeOp::Update { after, .. } = &change.op {
                assert_eq!(after[1..], was[1..]);
            }
        }
    }
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

const NUMBERS: (&str, &[&str]) = (
    "a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED, g INT, \
     h INT UNSIGNED, i BIGINT, j BIGINT UNSIGNED, k FLOAT, l DOUBLE, m BIT(1), n BIT(7), o BIT(8), p BIT(9), \
     q BIT(64), r YEAR, s TINYINT(1), v BIGINT AS (i + 1) VIRTUAL, w INT AS (g * 0) STORED, u INT INVISIBLE",
    &[
        "-128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, -3.4e38, -1.7e308, b'0', b'0', \
         b'0', b'0', 0, 0, 0, DEFAULT, DEFAULT",
        "127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775806, \
         18446744073709551615, 1.17549e-38, 2.2250738585072014e-308, b'1', b'1111111', b'11111111', b'111111111', \
         18446744073709551615, 2155, 1, DEFAULT, DEFAULT",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
         NULL, NULL, DEFAULT, DEFAULT",
        "-1, 1, -1, 256, -1, 65536, -1, 16777216, -1, 9223372036854775808, 0.1, 0.1, b'1', b'1000000', \
         b'10000000', b'100000000', 1, 1901, -7, DEFAULT, DEFAULT",
    ],
);

const DECIMALS: (&str, &[&str]) = (
    "a DECIMAL(1,0), b DECIMAL(10,2), c DECIMAL(9,9), d DECIMAL(18,9), e DECIMAL(38,0), f DECIMAL(38,38), \
     g DECIMAL(39,1), h DECIMAL(65,30), i DECIMAL(65,0), j DECIMAL(20,11) UNSIGNED, k DECIMAL(65,38)",
    &[
        "9, 12345678.90, 0.123456789, 123456789.987654321, 99999999999999999999999999999999999999, \
         0.99999999999999999999999999999999999999, 99999999999999999999999999999999999999.9, \
         99999999999999999999999999999999999.999999999999999999999999999999, \
         99999999999999999999999999999999999999999999999999999999999999999, 123456789.12345678901, \
         123456789012345678901234567.89012345678901234567890123456789012345",
        "-9, -0.01, -0.000000001, -0.000000001, -99999999999999999999999999999999999999, \
         -0.00000000000000000000000000000000000001, -0.1, -0.000000000000000000000000000001, \
         -99999999999999999999999999999999999999999999999999999999999999999, 0, -1",
        "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "1, 1000000, 0.1, 1000000000 - 1, -1000000000, 0.5, 1e37, -1e34, 1e64, 1e8, 1e26",
    ],
);

const TIMES: (&str, &[&str]) = (
    "a DATE, b DATETIME, c DATETIME(1), d DATETIME(2), e DATETIME(3), f DATETIME(6), g TIMESTAMP NULL, \
     h TIMESTAMP(3) NULL, i TIMESTAMP(6) NULL, j TIME, k TIME(1), l TIME(2), m TIME(3), n TIME(4), o TIME(6)",
    &[
        "'1000-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:00.1', '2024-02-29 23:59:59.99', \
         '2024-02-29 23:59:59.999', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', \
         '2038-01-19 03:14:07.999', '2001-09-09 01:46:40.000001', '-838:59:59', '-838:59:59.9', '-00:00:00.01', \
         '-00:00:00.001', '-10:11:12.0001', '-838:59:59.999999'",
        "'9999-12-31', '9999-12-31 23:59:59', '0001-01-01 00:00:00.0', '1969-12-31 23:59:59.01', \
         '1000-01-01 01:02:03.004', '1969-12-31 23:59:59.999999', '2038-01-19 03:14:07', \
         '1970-01-01 00:00:00.001', '1970-01-01 00:00:00.000001', '838:59:59', '838:59:59.9', '00:00:00.99', \
         '01:00:00.100', '00:00:00.0001', '-00:00:00.000001'",
        "'0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00', '0000-00-00', '0000-00-00', \
         '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00', '0', '0', '0', '0', '0', '0'",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "'2018-02-00', '2018-02-00 01:02:03', '2018-00-00 00:00:00.5', '2018-02-31 01:02:03.44', '0000-01-01', \
         '2018-02-31 01:02:03.123456', '1970-01-01 00:00:01', '1970-01-01 00:00:01', '1970-01-01 00:00:01', \
         '-00:00:01', '-00:00:01.0', '-23:59:59.01', '-23:59:59.000', '23:59:59.9999', '-00:00:01.000000'",
    ],
);

const TEXTS: (&str, &[&str]) = (
    "a CHAR(10), b CHAR(255), c VARCHAR(10), d VARCHAR(300), e TINYTEXT, f TEXT, g MEDIUMTEXT, h LONGTEXT, \
     i CHAR(5) CHARACTER SET latin1, j VARCHAR(40) CHARACTER SET latin1, k TEXT CHARACTER SET utf8mb3, \
     l VARCHAR(9) CHARACTER SET ascii, m VARCHAR(9) CHARACTER SET ucs2, n CHAR(9) CHARACTER SET utf16, \
     o TEXT CHARACTER SET utf16le, p CHAR(4) CHARACTER SET utf32, q VARCHAR(200) COMPRESSED, r TEXT COMPRESSED, \
     s JSON",
    &[
        "'a b', REPEAT('é😀', 127), 'tail  ', REPEAT('ü', 300), 'x', REPEAT('y', 60000), REPEAT('z', 70000), \
         'long', 'é', 'Ünïcödé €™', 'ßπ✓', 'plain', 'ü€', '😀a', '😀', '😀', REPEAT('abc', 60), \
         REPEAT('xyz', 9000), '{\"a\": [1, \"ü\"]}'",
        "'', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', 'null'",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
         NULL, NULL",
        "'trail   ', ' lead', '   ', CHAR(0), '\\\\\\'\"`', '\\n', CONCAT('n', CHAR(0), 'l'), 't  ', 'x  ', \
         CONVERT(UNHEX('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0ff') USING latin1), \
         '  ', ' ', ' ', 'x   ', ' ', '  ', 'short', 's', '\"\"'",
    ],
);

const OTHERS: (&str, &[&str]) = (
    "a ENUM('new','paid','','x'), b SET('p','q','r'), c BINARY(4), d VARBINARY(9), e BLOB, f LONGBLOB, g UUID, \
     h INET4, i INET6, j GEOMETRY, k POINT, l BINARY(255), m VARBINARY(400), n BLOB COMPRESSED",
    &[
        "'new', 'p,r', x'01020304', x'00', x'0000', REPEAT('b', 70000), '00112233-4455-1677-8899-aabbccddeeff', \
         '1.2.3.4', '2001:db8::ff00:42:8329', ST_GeomFromText('POINT(1 2)', 4326), POINT(3, -4.5), \
         REPEAT(x'ff', 255), REPEAT('m', 400), REPEAT('n', 3000)",
        "'', '', '', '', '', '', '00000000-0000-0000-0000-000000000000', '0.0.0.0', '::', \
         ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), POINT(0, 0), '', '', ''",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "3, 7, x'00000000', x'ff00', x'ff', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '255.255.255.255', \
         '::ffff:1.2.3.4', ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'), NULL, x'01', \
         x'00ff00', x'00'",
        "4, 'q', x'01000000', x'0100', x'00', x'00', '017f22e2-79b0-7cc3-98c4-000000000000', '1.0.0.0', '1::', \
         POINT(1, 1), NULL, x'0001', x'00', 'short'",
        "'x', 'p,q,r', x'00000001', NULL, NULL, NULL, '12345678-1234-4234-8234-100000000000', '0.0.0.1', \
         '::1.2.3.4', NULL, NULL, NULL, NULL, NULL",
        "1, 0, NULL, NULL, NULL, NULL, '00112233-4455-6677-c899-aabbccddee00', '10.0.0.0', '1:0:2:3:4:5:6:7', \
         NULL, NULL, NULL, NULL, NULL",
    ],
);

#[tokio::test]
async fn numbers() {
    check(server(), &[], NUMBERS.0, NUMBERS.1).await;
}

#[tokio::test]
async fn decimals() {
    check(server(), &[], DECIMALS.0, DECIMALS.1).await;
}

#[tokio::test]
async fn dates_and_times() {
    check(server(), &[], TIMES.0, TIMES.1).await;
}

#[tokio::test]
async fn texts() {
    check(server(), &[], TEXTS.0, TEXTS.1).await;
}

#[tokio::test]
async fn all_others() {
    check(server(), &[], OTHERS.0, OTHERS.1).await;
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
    check(server(), &[], &columns, &rows).await;
}

/// Columns that the server adds: of system versioning, implicit and declared, and of UNIQUE keys over long texts.
#[tokio::test]
async fn changes_add_up_to_the_table_whatever_columns_it_hides() {
    for columns in [
        "a INT, t TEXT, UNIQUE (t)) WITH SYSTEM VERSIONING",
        "a INT, v INT AS (a + 1) VIRTUAL, KEY (v), t TEXT UNIQUE, u TEXT, UNIQUE (u))",
        "rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START, a INT, re TIMESTAMP(6) GENERATED ALWAYS AS ROW END, \
         t TEXT, PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING",
        "a INT, t TEXT WITHOUT SYSTEM VERSIONING, b INT INVISIBLE DEFAULT 4) WITH SYSTEM VERSIONING",
    ] {
        let create = format!("CREATE TABLE t (id INT PRIMARY KEY, {columns}");
        let database = server().database(&[&create]).await;
        let (definition, _) = live(server(), &database, "t").await;
        let mut captured = Captured::start(server(), &database, std::slice::from_ref(&definition)).await;
        let work = [
            "INSERT INTO t (id, a, t) VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three'), (4, 40, NULL)",
            "UPDATE t SET a = a + 1 WHERE id < 3",
            "UPDATE t SET t = 'changed', id = 9 WHERE id = 3",
            "DELETE FROM t WHERE id = 2",
            "REPLACE INTO t (id, a, t) VALUES (4, 44, 'four')",
            "INSERT INTO t (id, a, t) VALUES (2, 22, 'again')",
        ];
        server().run(&database, &work).await;

        let mut rows: Vec<crossweave_contract::Row> = Vec::new();
        for _ in work {
            let transaction = captured.next().await;
            assert!(transaction.faults.is_empty(), "{columns}: {:?}", transaction.faults);
            for change in &transaction.changes {
                if let Some(before) = change.op.before() {
                    let at = rows.iter().position(|row| row == before).expect("the row that changes is there");
                    rows.remove(at);
                }
                rows.extend(change.op.after().cloned());
            }
        }
        let (_, expected) = live(server(), &database, "t").await;
        let mut expected: Vec<_> = (0..expected.num_rows())
            .map(|at| crossweave_contract::row_values(&definition, &expected, at))
            .collect();
        let id = |row: &crossweave_contract::Row| match row[0] {
            Value::Int(id) => id,
            _ => i64::MIN,
        };
        rows.sort_by_key(id);
        expected.sort_by_key(id);
        assert_eq!(rows, expected, "{columns}");
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
