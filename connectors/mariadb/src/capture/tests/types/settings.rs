//! What an owner may set, and names they may give: none of it changes what is read.

use std::sync::Arc;

use crossweave_contract::{ChangeOp, ColumnType, RemoteQuery, Source as _, Value};

use super::super::{Captured, PATIENCE};
use super::hard::{LISTS, NUMBERS, OTHERS, TEXTS, TIMES};
use super::{check, live, same_whatever_the_way, servers};
use crate::MariaDbSource;
use crate::identifiers::quote;
use crate::testing::{TestServer, rows};

/// All that a session begins with and that would change texts, dates or quotes, if it were not set on each connection.
const STRANGE: [&str; 12] = [
    "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,NO_ZERO_DATE,NO_ZERO_IN_DATE,\
     STRICT_ALL_TABLES,PAD_CHAR_TO_FULL_LENGTH,TIME_ROUND_FRACTIONAL,REAL_AS_FLOAT,IGNORE_SPACE",
    "--skip-character-set-client-handshake",
    "--character-set-server=latin1",
    "--collation-server=latin1_german2_ci",
    "--init-connect=SET NAMES euckr; SET character_set_results = NULL, time_zone = '-11:00', sql_mode = 'ORACLE'",
    "--default-time-zone=+05:30",
    "--lc-time-names=ko_KR",
    "--default-week-format=3",
    "--div-precision-increment=9",
    "--group-concat-max-len=10",
    "--sort-buffer-size=32K",
    "--old-mode=ZERO_DATE_TIME_CAST,NO_DUP_KEY_WARNINGS_WITH_IGNORE",
];

/// What the sessions need that make the tables: their statements are written for the usual settings.
const USUAL: [&str; 2] = ["SET NAMES utf8mb4", "SET sql_mode = 'ALLOW_INVALID_DATES'"];

#[tokio::test]
async fn values_under_the_strangest_settings() {
    let server = TestServer::start(&STRANGE);
    for (columns, rows) in [NUMBERS, TIMES, TEXTS, OTHERS, LISTS] {
        check(&server, &USUAL, columns, rows).await;
    }
}

/// Defaults, generated columns, checks and members that are written by the mode of a session.
const MODES: [(&str, &str); 6] = [
    ("ANSI_QUOTES", r#""a""b" VARCHAR(9) DEFAULT 'x"y', "v" VARCHAR(20) AS (CONCAT("a""b", '"')) INVISIBLE"#),
    ("NO_BACKSLASH_ESCAPES", r"`a` VARCHAR(9) DEFAULT '\', e ENUM('\','\''','n\n') DEFAULT '\'''"),
    ("PIPES_AS_CONCAT", "a VARCHAR(9), v VARCHAR(20) AS (a || '|' || a) INVISIBLE, CHECK (a || 'x' <> 'x')"),
    ("ORACLE", r#""a" VARCHAR2(9), "b" CLOB, "c" BLOB, "d" NUMBER(10,2), "e" DATE"#),
    ("MSSQL", r#""a" VARCHAR(9), j JSON"#),
    ("ANSI,IGNORE_SPACE", r#""a" VARCHAR(9), "count" INT"#),
];

#[tokio::test]
async fn definitions_made_under_each_mode() {
    for server in servers() {
        for (mode, columns) in MODES {
            let set = format!("SET sql_mode = '{mode},NO_ENGINE_SUBSTITUTION'");
            let create = format!("CREATE TABLE t (id INT PRIMARY KEY, {columns})");
            let database = server.database(&[&set, &create]).await;
            let (definition, _) = live(server, &database, "t").await;
            let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;
            server.run(&database, &["INSERT INTO t (id) VALUES (1)"]).await;
            let inserted = captured.next().await;
            same_whatever_the_way(server, &definition, &inserted).await;
            if let ColumnType::Enum { values, .. } =
                &definition.columns[definition.columns.len() - 1].column_type
            {
                assert_eq!(values, &[r"\", r"\'", r"n\n"]);
                let row = inserted.changes[0].op.after().expect("a row");
                assert_eq!(**row, [Value::Int(1), Value::Text(r"\".into()), Value::Enum(2)]);
            }
        }
    }
}

/// Names of databases, tables and columns. The server has none with characters beyond the basic plane.
const NAMES: [&str; 9] =
    ["we`ird", "it's \"so\"", "a b", "d.o.t", r"back\slash", "日本", "#sql-x?", "-- /* x */;", "select"];

#[tokio::test]
async fn names_of_any_characters() {
    for server in servers() {
        for name in NAMES {
            let database = format!("{}{name}", server.database(&[]).await);
            let (within, column) = (quote(&database), quote(name));
            let (table, view) =
                (format!("{within}.{column}"), format!("{within}.{}", quote(&format!("v {name}"))));
            let work = [
                format!("CREATE DATABASE {within}"),
                format!(
                    "CREATE TABLE {table} ({column} INT PRIMARY KEY, `v` VARCHAR(20), KEY {column} (v), \
                     CONSTRAINT {column} CHECK ({column} > 0))"
                ),
                format!("CREATE VIEW {view} AS SELECT * FROM {table}"),
            ];
            server.run("mysql", &work.each_ref().map(String::as_str)).await;
            let (definition, _) = live(server, &database, name).await;
            assert_eq!((&*definition.id.table, definition.columns[0].name.as_str()), (name, name));
            let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;
            server.run("mysql", &[&format!("INSERT INTO {table} VALUES (1, NULL), (2, 'x')")]).await;
            same_whatever_the_way(server, &definition, &*captured.next().await).await;
            let (view, batch) = live(server, &database, &format!("v {name}")).await;
            assert_eq!((view.columns[0].name.as_str(), batch.num_rows()), (name, 2));
            server.run("mysql", &[&format!("ALTER TABLE {table} ADD w INT")]).await;
            let altered = captured.next().await;
            assert_eq!(altered.schema_changes[0].tables, std::slice::from_ref(&definition.id), "{name}");
        }
    }
}

/// The server keeps names in lower case, and finds them whatever their case.
#[tokio::test]
async fn names_whose_case_the_server_ignores() {
    let server = TestServer::start(&["--lower-case-table-names=1"]);
    let create = "CREATE TABLE Shop.Orders (Id INT PRIMARY KEY, `Übung` INT)";
    server.run("mysql", &["SET NAMES utf8mb4", "CREATE DATABASE Shop", create]).await;
    let source = MariaDbSource::new(server.root());
    for database in ["shop", "Shop", "SHOP"] {
        let found = source.tables(&"s".into(), database, &Default::default()).await.expect("tables");
        let [table] = &found.tables[..] else { panic!("{database}: {found:?}") };
        assert_eq!((&*table.id.table, table.columns[0].name.as_str()), ("orders", "Id"));
        let mut captured = Captured::start(&server, database, std::slice::from_ref(table)).await;
        let insert = "INSERT INTO SHOP.orderS VALUES (1, 2)";
        server.run("mysql", &[insert, "ALTER TABLE ShOp.ORDERS COMMENT 'x'"]).await;
        let inserted = captured.next().await;
        let row = inserted.changes[0].op.after().expect("a row");
        assert_eq!(captured.next().await.schema_changes[0].tables, std::slice::from_ref(&table.id));
        let view = source.open_view(PATIENCE, (1 << 20).into()).await.expect("a view");
        let found = rows(view.as_ref(), RemoteQuery::whole(Arc::new(table.clone()))).await.expect("rows");
        assert_eq!(found, std::slice::from_ref(row));
        server.run("mysql", &["DELETE FROM shop.orders"]).await;
        assert!(matches!(captured.next().await.changes[0].op, ChangeOp::Delete { .. }));
    }
}
