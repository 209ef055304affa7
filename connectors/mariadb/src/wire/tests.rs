//! A connection, over a real server and over one that says what no server does.

use std::time::Duration;

use mysql_async::{DriverError, Error, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::conn::Conn;
use super::packets::{MOST, Packets, frame};
use crate::connection::connect;
use crate::testing::{TestServer, server};

async fn connected() -> Conn {
    connect(&server().root()).await.expect("it connects")
}

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

#[tokio::test]
async fn what_was_left_unread_is_not_the_answer_to_the_next_statement() {
    let mut conn = connected().await;
    let mut rows = conn.rows("SELECT seq FROM mysql.seq_1_to_100000", ()).await.unwrap();
    for _ in 0..3 {
        assert!(rows.next().await.unwrap().is_some());
    }
    assert_eq!(conn.exec::<u8>("SELECT 7", ()).await.unwrap(), [7]);
    // Dropped before anything came, also between the answers to preparing and executing.
    for wait in [0, 1, 50] {
        let asked = conn.exec::<u8>("SELECT SLEEP(0.2) + ?", (wait,));
        assert!(tokio::time::timeout(Duration::from_millis(wait), asked).await.is_err());
        assert!(!conn.is_disconnected());
        assert_eq!(conn.query::<u8>("SELECT 8").await.unwrap(), [8]);
    }
}

#[tokio::test]
async fn a_statement_that_cannot_be_prepared_runs_nothing_in_its_place() {
    let database = server().database(&["CREATE TABLE t (id INT)"]).await;
    let mut conn = connected().await;
    let insert = format!("INSERT INTO {database}.t VALUES (1)");
    conn.exec_drop(&insert, ()).await.unwrap();
    for _ in 0..2 {
        let error = conn.exec_drop("SELEC 1", ()).await.unwrap_err();
        assert_eq!(code(&error), Some(1064), "{error}");
    }
    let error = conn.exec_drop("SELECT ?", ()).await.unwrap_err();
    assert!(
        matches!(error, Error::Driver(DriverError::StmtParamsMismatch { required: 1, supplied: 0 })),
        "{error}"
    );
    let error = conn.exec_drop("SELECT ?", (1, 2)).await.unwrap_err();
    assert!(
        matches!(error, Error::Driver(DriverError::StmtParamsMismatch { required: 1, supplied: 2 })),
        "{error}"
    );
    assert_eq!(conn.exec::<u8>(&format!("SELECT COUNT(*) FROM {database}.t"), ()).await.unwrap(), [1]);
    assert_eq!(
        conn.query_drop_all(&["SELECT 1", "SELEC 2", "SELECT 3"]).await.map_err(|e| code(&e)),
        Err(Some(1064))
    );
    assert_eq!(conn.query::<u8>("SELECT 4").await.unwrap(), [4]);
}

#[tokio::test]
async fn a_long_statement_does_not_wait_for_itself() {
    // What is answered to 40,000 parameters is more than is taken from a server while its client still writes.
    let mut conn = connected().await;
    let sql = format!("SELECT 1 IN (0{})", ", ?".repeat(40_000));
    let params = vec![Value::Bytes(vec![b'7'; 100]); 40_000];
    let asked = conn.exec::<u8>(&sql, params);
    assert_eq!(tokio::time::timeout(Duration::from_secs(60), asked).await.expect("it ends").unwrap(), [0]);
}

#[tokio::test]
async fn an_idle_connection_that_was_killed_says_so() {
    let mut conn = connected().await;
    connected().await.query_drop(format!("KILL CONNECTION {}", conn.id())).await.unwrap();
    let error = loop {
        match conn.query::<u8>("SELECT 1").await {
            // The server has marked it, and notices when it next looks.
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    let kind =
        crate::connection::describe(&crate::connection::Endpoint::of(&server().root()), "asking", error).kind;
    assert_eq!(kind, crossweave_contract::ErrorKind::Unreachable);
    assert!(conn.is_disconnected());
}

#[tokio::test]
async fn statements_are_prepared_once_and_few_are_kept() {
    let own = TestServer::start(&["--max-allowed-packet=64M"]);
    let mut conn = connect(&own.root()).await.unwrap();
    let status =
        "SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = ";
    let count = format!("{status}'Prepared_stmt_count'");
    let prepared = format!("{status}'Com_stmt_prepare'");
    let before: u64 = conn.query(&prepared).await.unwrap()[0];
    for _ in 0..5 {
        assert_eq!(conn.exec::<u8>("SELECT ? + 1", (1,)).await.unwrap(), [2]);
    }
    assert_eq!(conn.query::<u64>(&prepared).await.unwrap(), [before + 1]);
    for number in 0..100 {
        assert_eq!(conn.exec::<u8>(&format!("SELECT {number}"), ()).await.unwrap(), [number]);
    }
    // A text that is long is not kept; a message of several packets goes there and comes back.
    for length in [20_000, MOST - 100, MOST, 2 * MOST + 5] {
        let sql = format!("SELECT '{}', ?", "x".repeat(length));
        let found: Vec<(String, String)> = conn.exec(&sql, ("y".repeat(length),)).await.unwrap();
        assert_eq!((found[0].0.len(), found[0].1.len()), (length, length));
        assert!(found[0].1.bytes().all(|byte| byte == b'y'));
    }
    // Nor is one that nobody waited for.
    let asked = conn.exec::<u8>("SELECT 1, SLEEP(0.1)", ());
    assert!(tokio::time::timeout(Duration::ZERO, asked).await.is_err());
    let kept: u64 = conn.query(&count).await.unwrap()[0];
    assert!(kept <= 32, "{kept}");
}

#[tokio::test]
async fn what_the_server_cannot_execute_twice_is_prepared_anew() {
    let mut conn = connected().await;
    conn.query_drop_all(&[
        "CREATE DATABASE twice",
        "CREATE TABLE twice.t (id INT PRIMARY KEY, amount DECIMAL(10, 4))",
        "INSERT INTO twice.t SELECT seq, seq / 7 FROM twice.seq_1_to_50",
    ])
    .await
    .unwrap();
    let groups = "(SELECT amount AS c FROM twice.t GROUP BY amount)";
    let sql = format!(
        "SELECT COUNT(*) FROM {groups} AS a WHERE EXISTS (SELECT 1 FROM {groups} AS b WHERE b.c = a.c AND (b.c = ? OR a.c <> 7 OR a.c IS NULL))"
    );
    for _ in 0..3 {
        assert_eq!(conn.exec::<u64>(&sql, (7,)).await.unwrap(), [50]);
    }
    conn.query_drop_all(&["DROP DATABASE twice"]).await.unwrap();
}

#[tokio::test]
async fn parameters_arrive_as_what_they_are() {
    let mut conn = connected().await;
    let text = "ä\0'\\\"`😀".to_owned();
    let params = vec![
        Value::NULL,
        Value::Int(i64::MIN),
        Value::UInt(u64::MAX),
        Value::Double(0.1),
        Value::Bytes(text.clone().into_bytes()),
        Value::Date(2024, 2, 29, 23, 59, 58, 999_999),
        Value::Time(true, 34, 22, 59, 59, 1),
        Value::NULL,
        Value::Bytes(vec![b'z'; 300]),
        Value::Bytes(vec![b'z'; 70_000]),
    ];
    let found: Vec<mysql_async::Row> = conn
        .exec(
            "SELECT ?, CAST(? AS CHAR), CAST(? AS CHAR), CAST(? AS CHAR), ?, CAST(? AS CHAR), CAST(? AS CHAR), ? IS NULL, \
             LENGTH(?), LENGTH(?)",
            params,
        )
        .await
        .unwrap();
    let expected = [
        Value::NULL,
        i64::MIN.to_string().into(),
        u64::MAX.to_string().into(),
        "0.1".into(),
        text.into(),
        "2024-02-29 23:59:58.999999".into(),
        "-838:59:59.000001".into(),
        1.into(),
        300.into(),
        70_000.into(),
    ];
    for (at, expected) in expected.iter().enumerate() {
        assert_eq!(found[0].as_ref(at), Some(expected), "parameter {at}");
    }
}

#[tokio::test]
async fn warnings_are_counted() {
    let mut conn = connected().await;
    conn.exec_drop("SELECT CAST('x' AS SIGNED)", ()).await.unwrap();
    assert_eq!(conn.warnings(), 1);
    let mut rows = conn.rows("SELECT CAST('x' AS SIGNED), CAST('y' AS SIGNED)", ()).await.unwrap();
    while rows.next().await.unwrap().is_some() {}
    assert_eq!(conn.warnings(), 2);
    conn.query_drop("DO 0").await.unwrap();
    assert_eq!(conn.warnings(), 0);
}

/// A connection to whoever holds the other end.
fn to_a_fake(marks_ends: bool) -> (Conn, DuplexStream) {
    let (here, there) = duplex(1 << 16);
    (Conn::new(Box::new(Packets::new(here)), 1, marks_ends), there)
}

/// Reads what is asked and answers it with `messages`.
async fn answer(there: &mut DuplexStream, messages: &[&[u8]]) {
    let mut asked = [0; 1024];
    assert!(there.read(&mut asked).await.unwrap() > 0);
    let (mut bytes, mut number) = (Vec::new(), 1);
    for message in messages {
        number = frame(&mut bytes, message, number);
    }
    there.write_all(&bytes).await.unwrap();
}

#[tokio::test]
async fn what_no_server_says_ends_the_connection() {
    let huge: &[u8] = &[0xfe, 0, 0, 0, 0, 0, 1, 0, 0];
    let unending: &[u8] = &[0xff, 1];
    let file: &[u8] = b"\xfb/etc/passwd";
    for (said, reason) in [
        (&[huge][..], "1099511627776 columns"),
        (&[b"\x00\x00\x00\x02\x00\x00\x00", b"\x00"], "nobody asked for"),
        (&[file], "asks for a file of ours"),
        (&[b""], "an empty message"),
        (&[unending], "an error that is none"),
    ] {
        let (mut conn, mut there) = to_a_fake(false);
        let (found, ()) = tokio::join!(conn.query::<u8>("SELECT 1"), answer(&mut there, said));
        let error = match found {
            Err(error) => error,
            // What comes behind an answer is found by whoever asks next.
            Ok(_) => tokio::join!(conn.query::<u8>("SELECT 2"), answer(&mut there, &[])).0.unwrap_err(),
        };
        let text = error.to_string();
        assert!(text.contains(reason) || text.contains("came in the place of"), "{reason}: {text}");
        assert!(conn.is_disconnected(), "{reason}");
        let error = conn.query::<u8>("SELECT 1").await.unwrap_err();
        assert!(matches!(error, Error::Driver(DriverError::ConnectionClosed)), "{error}");
    }
}

#[tokio::test]
async fn ends_that_are_marked_as_of_old_are_understood() {
    let column: &[u8] = b"\x03def\x00\x00\x00\x01a\x00\x0c\x2d\x00\x01\x00\x00\x00\xfd\x00\x00\x00\x00\x00";
    let mark: &[u8] = b"\xfe\x03\x00\x02\x00";
    let (mut conn, mut there) = to_a_fake(true);
    let said: [&[u8]; 6] = [b"\x01", column, mark, b"\x01x", b"\xfb", mark];
    let (found, ()) = tokio::join!(conn.query::<Option<String>>("SELECT a"), answer(&mut there, &said));
    assert_eq!(found.unwrap(), [Some("x".to_owned()), None]);
    assert_eq!(conn.warnings(), 3);
}
