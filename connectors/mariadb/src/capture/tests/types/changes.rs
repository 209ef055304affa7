//! Changes of tables with columns that the server computes, adds or hides.

use std::sync::Arc;

use crossweave_contract::{LiveOnlyReason, Value};

use super::super::Captured;
use super::{check, live, same_whatever_the_way, servers};

/// What follows `CREATE TABLE t (id INT PRIMARY KEY, `: columns that the server adds, those of system versioning,
/// implicit and declared, and of UNIQUE keys over long texts; periods, and partitions.
const VERSIONED: [&str; 8] = [
    "a INT, t TEXT, UNIQUE (t)) WITH SYSTEM VERSIONING",
    "a INT, v INT AS (a + 1) VIRTUAL INVISIBLE, KEY (v), t TEXT UNIQUE, u TEXT, UNIQUE (u))",
    "rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START, a INT, re TIMESTAMP(6) GENERATED ALWAYS AS ROW END, \
     t TEXT, PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING",
    "a INT, t TEXT WITHOUT SYSTEM VERSIONING, b INT INVISIBLE DEFAULT 4) WITH SYSTEM VERSIONING",
    "rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START INVISIBLE, re TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, \
     a INT, t TEXT, PERIOD FOR SYSTEM_TIME (rs, re)) WITH SYSTEM VERSIONING",
    "a INT, t TEXT, s DATE DEFAULT '2020-01-01', e DATE DEFAULT '2030-01-01', PERIOD FOR valid (s, e))",
    "a INT, t TEXT) PARTITION BY HASH (id) PARTITIONS 3",
    "a INT, t TEXT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT)",
];

/// Columns that the server adds: of system versioning, implicit and declared, and of UNIQUE keys over long texts.
#[tokio::test]
async fn changes_add_up_to_the_table_whatever_columns_it_hides() {
    for (server, columns) in servers().flat_map(|server| VERSIONED.map(|columns| (server, columns))) {
        let create = format!("CREATE TABLE t (id INT PRIMARY KEY, {columns}");
        let database = server.database(&[&create]).await;
        let (definition, _) = live(server, &database, "t").await;
        let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;
        let work = [
            "INSERT INTO t (id, a, t) VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three'), (4, 40, NULL)",
            "UPDATE t SET a = a + 1 WHERE id < 3",
            "UPDATE t SET t = 'changed', id = 9 WHERE id = 3",
            "DELETE FROM t WHERE id = 2",
            "REPLACE INTO t (id, a, t) VALUES (4, 44, 'four')",
            "INSERT INTO t (id, a, t) VALUES (2, 22, 'again')",
        ];
        server.run(&database, &work).await;

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
        let (_, expected) = live(server, &database, "t").await;
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

/// Where the server logs them, and where it does not: what is said of the table is what its binlog shows.
#[tokio::test]
async fn generated_columns_are_followed_if_the_server_logs_them() {
    let columns = "i BIGINT, v BIGINT AS (i + 1) VIRTUAL, w VARCHAR(30) AS (CONCAT(i, 'x')) STORED";
    let rows = ["9223372036854775806, DEFAULT, DEFAULT", "NULL, DEFAULT, DEFAULT", "-1, DEFAULT, DEFAULT"];
    for server in servers() {
        let database = server.database(&[&format!("CREATE TABLE t (id INT PRIMARY KEY, {columns})")]).await;
        let (definition, _) = live(server, &database, "t").await;
        let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;
        server.run(&database, &["INSERT INTO t (id, i) VALUES (1, 5)"]).await;
        same_whatever_the_way(server, &definition, &*captured.next().await).await;
        server.run(&database, &["UPDATE t SET i = 6"]).await;
        let updated = captured.next().await;
        match definition.live_only.first() {
            None => check(server, &[], columns, &rows).await,
            Some(reason) => {
                assert_eq!(*reason, LiveOnlyReason::GeneratedNotLogged { column: "v".to_owned() });
                let fault = &updated.faults.first().expect("a fault").reason;
                assert!(fault.contains("lack its column v") && fault.contains("generated"), "{fault}");
            }
        }
    }
}

/// What is not shown need not be logged.
#[tokio::test]
async fn a_table_whose_generated_columns_are_invisible_is_followed() {
    for server in servers() {
        let create = "CREATE TABLE t (id INT PRIMARY KEY, i INT, v INT AS (i + 1) STORED INVISIBLE, KEY (v))";
        let database = server.database(&[create]).await;
        let (definition, _) = live(server, &database, "t").await;
        assert_eq!(definition.live_only, []);
        let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;
        server
            .run(&database, &["INSERT INTO t (id, i) VALUES (1, 5)", "UPDATE t SET i = 6", "DELETE FROM t"])
            .await;
        let mut transactions: Vec<Arc<_>> = Vec::new();
        for _ in 0..3 {
            transactions.push(captured.next().await);
        }
        let after = transactions[1].changes[0].op.after().expect("a row");
        assert_eq!(**after, [Value::Int(1), Value::Int(6)]);
        let before = transactions[2].changes[0].op.before().expect("a row");
        assert_eq!(**before, [Value::Int(1), Value::Int(6)]);
    }
}

#[tokio::test]
async fn a_table_that_is_versioned_by_transactions_is_live_only() {
    for server in servers() {
        let create = "CREATE TABLE t (id INT PRIMARY KEY, rs BIGINT UNSIGNED GENERATED ALWAYS AS ROW START, \
                      re BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (rs, re)) \
                      WITH SYSTEM VERSIONING";
        let database = server.database(&[create, "INSERT INTO t (id) VALUES (1)"]).await;
        let (definition, rows) = live(server, &database, "t").await;
        assert_eq!((definition.live_only, rows.num_rows()), (vec![LiveOnlyReason::VersionedByTransaction], 1));
    }
}
