//! What is logged as a statement, and rows that do not fit their definition.

use super::*;
use crate::testing::server;

/// The captured tables that a transaction says are to be loaded anew.
fn reloads(transaction: &Transaction) -> Vec<&str> {
    let tables = transaction.schema_changes.iter().flat_map(|change| &change.tables);
    tables.map(|id| id.table.as_ref()).collect()
}

#[tokio::test]
async fn ddl_names_the_captured_tables_in_its_text() {
    let tables = ["CREATE TABLE Apples (id INT PRIMARY KEY, a INT)", "CREATE TABLE pears (id INT PRIMARY KEY)"];
    let database = server().database(&tables).await;
    let definitions = [pair(&database, "Apples"), table(&database, "pears", &[("id", INT)])];
    let mut captured = Captured::start(server(), &database, &definitions).await;

    let qualified = format!("ALTER TABLE `{database}` . pears ADD COLUMN b INT");
    for (statement, tables) in [
        ("TRUNCATE TABLE Apples", ["Apples"].as_slice()),
        (&qualified, &["pears"]),
        ("CREATE INDEX pears ON Apples (a)", &["Apples", "pears"]),
        ("DROP TABLE pears", &["pears"]),
    ] {
        server().run(&database, &[statement]).await;
        let transaction = captured.next().await;
        assert_eq!(reloads(&transaction), tables, "{statement}");
        assert!(transaction.schema_changes[0].statement.contains(&statement[..8]));
        assert_eq!(transaction.schema_changes[0].database, database);
    }
    server().run("mysql", &[&format!("DROP DATABASE {database}")]).await;
    assert_eq!(reloads(&*captured.next().await), ["Apples", "pears"]);
}

#[tokio::test]
async fn ddl_of_the_database_that_names_no_captured_table_is_told_too() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server(), &database, &[pair(&database, "a")]).await;
    server().run(&database, &["CREATE TABLE fresh (id INT PRIMARY KEY)"]).await;
    let change = loop {
        let transaction = captured.any().await;
        if let Some(change) = transaction.schema_changes.first().cloned() {
            break change;
        }
    };
    assert!(change.tables.is_empty() && change.statement.contains("fresh"), "{change:?}");
}

#[tokio::test]
async fn rows_changed_by_a_logged_statement_are_never_lost() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server(), &database, &[pair(&database, "a")]).await;
    let work = [
        "SET SESSION binlog_format = 'STATEMENT'",
        "BEGIN",
        "INSERT INTO a VALUES (1, 1)",
        "UPDATE a SET a = 2",
        "COMMIT",
    ];
    server().run(&database, &work).await;

    let transaction = captured.next().await;
    assert_eq!(reloads(&transaction), ["a", "a"]);
    assert!(transaction.changes.is_empty());

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rows").display().to_string();
    let work = [
        format!("SELECT 7, 7 INTO OUTFILE '{file}'"),
        "SET SESSION binlog_format = 'STATEMENT'".to_owned(),
        format!("LOAD DATA INFILE '{file}' INTO TABLE a"),
    ];
    server().run(&database, &work.each_ref().map(String::as_str)).await;
    let transaction = captured.next().await;
    assert_eq!(reloads(&transaction), ["a"]);
    assert!(transaction.schema_changes[0].statement.starts_with("LOAD DATA"), "{transaction:?}");
}

#[tokio::test]
async fn a_rollback_that_was_logged_loads_its_tables_anew() {
    let tables = [
        "CREATE TABLE a (id INT PRIMARY KEY, a INT)",
        "CREATE TABLE untransactional (id INT PRIMARY KEY, a INT) ENGINE = MyISAM",
    ];
    let database = server().database(&tables).await;
    let definitions = [pair(&database, "a"), pair(&database, "untransactional")];
    let mut captured = Captured::start(server(), &database, &definitions).await;
    // The rows of the second table stay, and are logged as a transaction of their own.
    let work =
        ["BEGIN", "INSERT INTO a VALUES (1, 1)", "INSERT INTO untransactional VALUES (1, 1)", "ROLLBACK"];
    server().run(&database, &work).await;
    let transaction = captured.next().await;
    assert_eq!(changes(&transaction), [("untransactional", None, Some(&row(&[1, 1])))]);

    let work = [
        "SET SESSION binlog_format = 'STATEMENT'",
        "BEGIN",
        "INSERT INTO a VALUES (2, 2)",
        "SAVEPOINT s",
        "INSERT INTO untransactional SELECT * FROM a",
        "ROLLBACK TO s",
        "COMMIT",
    ];
    server().run(&database, &work).await;
    let transaction = captured.next().await;
    assert!(reloads(&transaction).contains(&"untransactional"), "{transaction:?}");
}

#[tokio::test]
async fn rows_that_do_not_fit_their_definition_are_a_fault_and_not_a_guess() {
    let tables = ["CREATE TABLE a (id INT PRIMARY KEY, a INT)", "CREATE TABLE b (id INT PRIMARY KEY, a INT)"];
    let database = server().database(&tables).await;
    let definitions = [table(&database, "a", &[("id", INT)]), pair(&database, "b")];
    let mut captured = Captured::start(server(), &database, &definitions).await;
    let work = ["BEGIN", "INSERT INTO a VALUES (1, 1)", "INSERT INTO b VALUES (1, 1)", "COMMIT"];
    server().run(&database, &work).await;
    let transaction = captured.next().await;
    assert_eq!(transaction.faults.len(), 1);
    assert!(transaction.faults[0].reason.contains("s.a"), "{:?}", transaction.faults);
    assert!(transaction.faults[0].reason.contains("1 columns") && transaction.faults[0].reason.contains("2"));
    assert_eq!(changes(&transaction), [("b", None, Some(&row(&[1, 1])))]);

    let smaller = table(&database, "a", &[("id", INT), ("a", ColumnType::SmallInt { unsigned: false })]);
    captured.tables.send(capture_tables(&database, &[smaller])).unwrap();
    server().run(&database, &["INSERT INTO a VALUES (2, 2)"]).await;
    let transaction = captured.next().await;
    assert!(transaction.changes.is_empty() && transaction.tables.is_empty());
    assert!(transaction.faults[0].reason.contains("column a"), "{:?}", transaction.faults);

    captured.tables.send(capture_tables(&database, &[pair(&database, "a")])).unwrap();
    server().run(&database, &["INSERT INTO a VALUES (3, 3)"]).await;
    assert_eq!(changes(&*captured.next().await), [("a", None, Some(&row(&[3, 3])))]);
}

#[tokio::test]
async fn rows_that_lack_columns_name_the_setting() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let mut captured = Captured::start(server(), &database, &[pair(&database, "a")]).await;
    let work = [
        "INSERT INTO a VALUES (1, 1), (2, 2)",
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "UPDATE a SET a = 5 WHERE id = 1",
    ];
    server().run(&database, &work).await;
    assert_eq!(captured.next().await.changes.len(), 2);
    let fault = captured.next().await.faults[0].reason.clone();
    assert!(fault.contains("SET GLOBAL binlog_row_image = 'FULL'"), "{fault}");
}

#[tokio::test]
async fn only_current_rows_of_a_system_versioned_table_are_shown() {
    let tables = ["CREATE TABLE a (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING"];
    let database = server().database(&tables).await;
    let versioned = TableDef { binlog_columns: 4, row_end: Some(3), ..pair(&database, "a") };
    let mut captured = Captured::start(server(), &database, &[versioned]).await;
    let work = [
        "INSERT INTO a VALUES (1, 1)",
        "UPDATE a SET a = 2",
        "DELETE FROM a",
        "DELETE HISTORY FROM a",
        "INSERT INTO a VALUES (2, 2)",
    ];
    server().run(&database, &work).await;

    let (one, two) = (row(&[1, 1]), row(&[1, 2]));
    assert_eq!(changes(&*captured.next().await), [("a", None, Some(&one))]);
    assert_eq!(changes(&*captured.next().await), [("a", Some(&one), Some(&two))]);
    assert_eq!(changes(&*captured.next().await), [("a", Some(&two), None)]);
    assert_eq!(changes(&*captured.next().await), [("a", None, Some(&row(&[2, 2])))]);
}

#[tokio::test]
async fn values_and_texts_that_cannot_be_decoded_are_faults_that_name_the_column() {
    let tables = [
        "CREATE TABLE a (id INT PRIMARY KEY, ok BOOLEAN)",
        "CREATE TABLE b (id INT PRIMARY KEY, word VARCHAR(9) CHARACTER SET koi8r)",
    ];
    let database = server().database(&tables).await;
    let word = ColumnType::Text { collation: crossweave_contract::Collation::new("koi9r", "koi9r_general_ci") };
    let definitions = [
        table(&database, "a", &[("id", INT), ("ok", ColumnType::Boolean)]),
        table(&database, "b", &[("id", INT), ("word", word)]),
    ];
    let mut captured = Captured::start(server(), &database, &definitions).await;
    let work = [
        "INSERT INTO a VALUES (1, 1), (2, 0)",
        "INSERT INTO a VALUES (3, 1), (4, 2)",
        "INSERT INTO b VALUES (1, 'x')",
    ];
    server().run(&database, &work).await;

    let fine = captured.next().await;
    assert_eq!(fine.changes[0].op.after().map(|row| &row[1]), Some(&Value::Bool(true)));
    let fault = |transaction: Arc<Transaction>| {
        assert!(transaction.changes.is_empty() && transaction.tables.is_empty(), "not a part of it");
        transaction.faults[0].reason.clone()
    };
    let value = fault(captured.next().await);
    assert!(value.contains("column ok") && value.contains("the value 2, expected 0 or 1"), "{value}");
    let charset = fault(captured.next().await);
    assert!(charset.contains("column word") && charset.contains("koi9r"), "{charset}");
}

/// Under `binlog_row_metadata=FULL`, definitions that differ in what the layout of rows cannot show.
pub(super) async fn metadata_tells_what_the_layout_cannot(server: &TestServer) {
    let create = "CREATE TABLE a (id INT PRIMARY KEY, a INT UNSIGNED, b ENUM('x', 'y'), c INT)";
    let database = server.database(&[create]).await;
    let collation = crossweave_contract::Collation::new("utf8mb4", "utf8mb4_general_ci");
    let enumeration = |values: &[&str]| ColumnType::Enum {
        values: values.iter().map(ToString::to_string).collect(),
        collation: collation.clone(),
    };
    let two = || enumeration(&["x", "y"]);
    let unsigned = || ColumnType::Int { unsigned: true };
    let right = [("id", INT), ("a", unsigned()), ("b", two()), ("C", INT)];
    let mut captured = Captured::start(server, &database, &[table(&database, "a", &right)]).await;
    server.run(&database, &["INSERT INTO a VALUES (0, 0, 'x', 0)"]).await;
    assert_eq!(captured.next().await.changes.len(), 1, "the case of names does not count");

    let wrong = [
        ([("id", INT), ("a", INT), ("b", two()), ("c", INT)], "column a is signed in its definition"),
        ([("id", INT), ("a", unsigned()), ("b", enumeration(&["x"])), ("c", INT)], "column b is"),
        ([("id", INT), ("a", unsigned()), ("b", two()), ("d", INT)], "column d is called c"),
    ];
    for (id, (columns, reason)) in wrong.iter().enumerate() {
        captured.tables.send(capture_tables(&database, &[table(&database, "a", columns)])).unwrap();
        server.run(&database, &[&format!("INSERT INTO a VALUES ({}, 0, 'y', 0)", id + 1)]).await;
        let faults = captured.next().await.faults.clone();
        assert!(faults[0].reason.contains(reason), "{faults:?}");
    }
}
