//! Text in every character set that the servers have.

use crossweave_contract::{RemoteQuery, Source as _, TableDef, Value};
use mysql_async::prelude::Queryable as _;

use super::super::{Captured, PATIENCE, capture_tables};
use super::{check, live, same_whatever_the_way, servers};
use crate::MariaDbSource;
use crate::testing::{TestServer, definition, rows, server};

/// Each character set with texts of its characters, as bytes in hexadecimal digits.
async fn samples(server: &TestServer) -> Vec<(String, Vec<String>)> {
    let mut conn = server.connect(Some("mysql")).await;
    let statement = "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS \
                     WHERE CHARACTER_SET_NAME NOT IN ('binary', 'filename') ORDER BY 1";
    let names: Vec<String> = conn.query(statement).await.expect("character sets");
    assert!(names.len() >= 38, "{names:?}");
    // What Unicode has that a text of them can hold, through the server: a character that a set lacks becomes `?`.
    let all = (0x20..0xd800).chain(0xe000..=0xffff).step_by(3).filter_map(char::from_u32);
    let all: Vec<String> = all.chain("😀𝄞".chars()).map(String::from).collect();
    let mut samples = Vec::new();
    for name in names {
        let mut texts = Vec::new();
        for some in all.chunks(2_000) {
            let text = some.concat();
            let statement = format!("SELECT HEX(CONVERT(? USING {name}))");
            let kept: Option<String> = conn.exec_first(statement, (text,)).await.expect("a text");
            texts.extend(kept);
        }
        samples.push((name, texts));
    }
    conn.disconnect().await.expect("goodbye");
    samples
}

#[tokio::test]
async fn text_in_every_character_set_of_the_server() {
    for server in servers() {
        for (name, texts) in samples(server).await {
            let columns = format!("a TEXT CHARACTER SET {name}, b CHAR(4) CHARACTER SET {name}");
            let rows: Vec<String> =
                texts.iter().map(|text| format!("CONVERT(x'{text}' USING {name}), 'a '")).collect();
            check(server, &[], &columns, &rows.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
}

/// All that may be stored, also what is no character of the set and is read as a question mark.
#[tokio::test]
async fn every_byte_and_pair_of_bytes_that_a_character_set_takes() {
    for server in servers() {
        for name in
            ["euckr", "big5", "gb2312", "gbk", "sjis", "cp932", "ujis", "eucjpms", "latin2", "cp1251", "swe7"]
        {
            let create =
                format!("CREATE TABLE taken (id INT PRIMARY KEY, v VARCHAR(1) CHARACTER SET {name} NOT NULL)");
            let database = server.database(&["SET sql_mode = ''", &create]).await;
            let (definition, _) = live(server, &database, "taken").await;
            let mut captured = Captured::start(server, &database, std::slice::from_ref(&definition)).await;
            let fill = format!(
                "INSERT INTO taken SELECT n, v FROM \
                 (SELECT seq AS n, CONVERT(UNHEX(HEX(seq)) USING {name}) AS v FROM seq_16_to_65535) AS all_bytes \
                 WHERE CHAR_LENGTH(v) = 1"
            );
            server.run(&database, &["SET sql_mode = ''", &fill]).await;
            let inserted = captured.next().await;
            assert!(inserted.changes.len() > 100, "{name}: {}", inserted.changes.len());
            same_whatever_the_way(server, &definition, &inserted).await;
        }
    }
}

/// The server is asked for them when a definition names them.
#[tokio::test]
async fn a_column_of_another_character_set_that_comes_while_the_stream_runs() {
    let database = server().database(&["CREATE TABLE t (id INT PRIMARY KEY, a INT)"]).await;
    let (first, _) = live(server(), &database, "t").await;
    let mut captured = Captured::start(server(), &database, &[first]).await;
    server().run(&database, &["INSERT INTO t VALUES (1, 1)"]).await;
    assert_eq!(captured.next().await.changes.len(), 1);
    server().run(&database, &["ALTER TABLE t DROP a, ADD b VARCHAR(9) CHARACTER SET euckr"]).await;
    assert_eq!(captured.next().await.schema_changes.len(), 1);
    let (second, _) = live(server(), &database, "t").await;
    captured.tables.send(capture_tables(&database, &[second])).expect("the stream");
    server().run(&database, &["UPDATE t SET b = '한국'"]).await;
    let updated = captured.next().await;
    let after = updated.changes[0].op.after().expect("a row");
    assert_eq!(after[1], Value::Text("한국".into()), "{updated:?}");
}

/// The server takes half of a surrogate pair, of which no text can be made: both ways say in which column.
#[tokio::test]
async fn half_of_a_surrogate_pair_is_refused_by_name() {
    for (charset, bytes) in
        [("ucs2", "0041D83D"), ("ucs2", "D83DDE00"), ("utf8mb4", "EDA080"), ("utf32", "0000D800")]
    {
        let create = format!("CREATE TABLE t (id INT PRIMARY KEY, half VARCHAR(9) CHARACTER SET {charset})");
        let database = server().database(&[&create]).await;
        let definition = definition(&database, "t").await;
        let tables = [TableDef::clone(&definition)];
        let mut captured = Captured::start(server(), &database, &tables).await;
        let insert = format!("INSERT INTO t VALUES (7, x'{bytes}')");
        server().run(&database, &["SET sql_mode = ''", &insert]).await;
        let fault = captured.next().await.faults[0].reason.clone();
        assert!(fault.contains("column half has text that is not"), "{charset}: {fault}");
        let source = MariaDbSource::new(server().root());
        let view = source.open_view(PATIENCE, (1 << 20).into()).await.expect("a view");
        let error = rows(view.as_ref(), RemoteQuery::whole(definition)).await.expect_err("no text");
        let message = error.to_string();
        assert!(message.contains("s.t.half holds") && message.contains("id = 7"), "{charset}: {message}");
    }
}
