//! Views over links and servers that do wrong: whatever comes, there is an answer or an error in words, in time,
//! nothing is left on the server, and the next query is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossweave_contract::{
    BooleanColumns, ConnectorError, ErrorKind, RemoteQuery, Result, Row, Source, SourceView, TableDef, TableId,
};
use futures::{StreamExt as _, TryStreamExt as _};
use mysql_async::prelude::Queryable;
use tokio::time::timeout;

use crate::testing::proxy::{Fault, Proxy, greeting, packet};
use crate::testing::{PASSWORD, TestServer, rows};
use crate::{Limits, MariaDbSource, SourceOptions};

const LIMIT: Duration = Duration::from_secs(30);

/// Longer than any answer takes that is not late.
const HANG: Duration = Duration::from_secs(60);

/// How the statements begin that read rows.
const READS: &str = "SELECT `id`, `pad` FROM";

const ROWS: u64 = 60_000;

/// A server of its own, on which nothing moves: `t` with three rows, and `large`.
struct Rig {
    server: TestServer,
    proxy: Proxy,
    database: String,
}

impl Rig {
    async fn new() -> Self {
        let server = TestServer::start(&[]);
        let fill = format!("INSERT INTO large SELECT seq, REPEAT('x', 200) FROM seq_1_to_{ROWS}");
        let database = server
            .database(&[
                "CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(200))",
                "INSERT INTO t VALUES (1, 'one'), (2, NULL), (3, 'drei')",
                "CREATE TABLE large (id INT PRIMARY KEY, pad VARCHAR(200))",
                &fill,
            ])
            .await;
        let proxy = Proxy::to(server.port).await;
        Self { server, proxy, database }
    }

    /// What is read of `table` through a source that has no connection yet.
    async fn read(&self, table: &str, limit: Duration) -> Result<Vec<Row>> {
        self.read_over(&self.proxy, table, limit).await
    }

    async fn read_over(&self, proxy: &Proxy, table: &str, limit: Duration) -> Result<Vec<Row>> {
        let limits = Limits { connections: 2, connections_per_query: 1, ..Limits::default() };
        let source = MariaDbSource::new(SourceOptions { port: proxy.port, ..self.server.limited(limits) });
        let read = async {
            let view = source.open_view(limit, (64 << 20).into()).await?;
            let table = self.defined(&*view, table).await?;
            rows(&*view, RemoteQuery::whole(table)).await
        };
        timeout(HANG, read).await.expect("no hang")
    }

    async fn defined(&self, view: &dyn SourceView, table: &str) -> Result<Arc<TableDef>> {
        let id = TableId::new("s", table);
        Ok(Arc::new(view.definition(&id, &self.database, &BooleanColumns::default()).await?))
    }

    /// Waits until the server does nothing for us any more.
    async fn until_nothing_runs(&self) {
        let mut conn = self.server.connect(None).await;
        let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND \
                   (COMMAND <> 'Sleep' OR ID IN (SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX)) \
                   AND USER = 'root'";
        let start = Instant::now();
        while conn.query_first(sql).await.unwrap() != Some(0u64) {
            assert!(start.elapsed() < Duration::from_secs(10), "something goes on");
            // Who reads INNODB_TRX again within 100 ms is shown what it was before.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
}

#[tokio::test]
async fn a_view_whose_connection_is_lost_while_it_is_opened_is_opened_over_another() {
    let rig = Rig::new().await;
    let expected = rig.read("t", LIMIT).await.unwrap();
    let opening = "SELECT @@GLOBAL.gtid_binlog_pos";
    rig.proxy.arm(opening, Fault::CutAt(0), 1);
    assert_eq!(rig.read("t", LIMIT).await.unwrap(), expected);
    assert_eq!(rig.proxy.disarm().0, 1);
    rig.proxy.arm(opening, Fault::CutAt(0), 2);
    let error = rig.read("t", LIMIT).await.unwrap_err();
    assert_eq!((error.kind, rig.proxy.disarm().0), (ErrorKind::Unreachable, 2), "{error}");
    rig.until_nothing_runs().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_anywhere_before_a_row_was_given_is_asked_for_once_more() {
    let rig = Rig::new().await;
    let expected = rig.read("t", LIMIT).await.unwrap();
    assert_eq!(expected.len(), 3);
    rig.proxy.arm(READS, Fault::ByteByByte, 1);
    assert_eq!(rig.read("t", LIMIT).await.unwrap(), expected, "byte by byte");
    let (_, length) = rig.proxy.disarm();
    assert!(length > 100, "{length}");
    // What comes after the answer's end belongs to the next statement.
    for at in 0..length {
        rig.proxy.arm(READS, Fault::CutAt(at), 1);
        let found = rig.read("t", LIMIT).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("cut at {at}: {error}")), expected, "cut at {at}");
    }
    for at in [0, length / 2, length - 60] {
        rig.proxy.arm(READS, Fault::CutAt(at), 2);
        let error = rig.read("t", LIMIT).await.unwrap_err();
        assert_eq!(
            (error.kind, rig.proxy.disarm().0),
            (ErrorKind::Unreachable, 2),
            "cut twice at {at}: {error}"
        );
        rig.until_nothing_runs().await;
    }
    assert_eq!(rig.read("t", LIMIT).await.unwrap(), expected);
}

#[tokio::test]
async fn an_answer_that_is_cut_later_is_an_error_and_never_some_of_the_rows() {
    let rig = Rig::new().await;
    let length = ROWS as usize * 211;
    let (mut whole, mut failed) = (0, 0);
    for part in 0..20 {
        let at = length / 20 * part + 7 * part;
        rig.proxy.arm(READS, Fault::CutAt(at), 1);
        match rig.read("large", LIMIT).await {
            // It was asked for once more.
            Ok(rows) => {
                assert_eq!(rows.len() as u64, ROWS, "cut at {at}");
                whole += 1;
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Unreachable, "cut at {at}: {error}");
                assert!(
                    error.to_string().contains("the server closed the connection")
                        || error.to_string().contains("ended within a message"),
                    "{error}"
                );
                failed += 1;
            }
        }
        assert_eq!(rig.proxy.disarm().0, 1, "cut at {at}");
    }
    assert!(whole > 0 && failed > 10, "{whole} whole, {failed} failed");
    rig.until_nothing_runs().await;
    assert_eq!(rig.read("large", LIMIT).await.unwrap().len() as u64, ROWS);
}

#[tokio::test]
async fn a_link_that_falls_silent_is_given_up_in_time_and_leaves_nothing() {
    let rig = Rig::new().await;
    let limit = Duration::from_secs(1);
    for (table, at) in [("t", 0), ("t", 90), ("large", 100_000), ("large", 2_000_000)] {
        rig.proxy.arm(READS, Fault::SilentAt(at), 1);
        let start = Instant::now();
        let error = rig.read(table, limit).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{table} at {at}: {error}");
        assert!(error.to_string().contains("1s"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(6), "{table} at {at}: {:?}", start.elapsed());
        rig.until_nothing_runs().await;
    }
    // Where a definition is asked for, who asks has the deadline.
    for at in [0, 30] {
        rig.proxy.arm("SELECT 1 FROM", Fault::SilentAt(at), 1);
        let asked = timeout(limit, rig.read("t", LIMIT)).await;
        assert!(asked.is_err(), "{:?}", asked.map(|found| found.map_err(|error| error.to_string())));
        assert_eq!(rig.proxy.disarm().0, 1);
        rig.until_nothing_runs().await;
    }
    assert_eq!(rig.read("t", LIMIT).await.unwrap().len(), 3);
}

/// What may come in the place of a packet, and of how many of the first packets. What might be a row, and the end of
/// all rows, does not come in the place of one: nobody could tell.
type Garbage = (&'static str, usize, fn(u8, &[u8]) -> Vec<u8>);

/// The prepared statement with its two columns, and how many columns the answer has.
const BEFORE: usize = 4;

/// Also its columns and rows, and its end.
const ALL: usize = 9;

const GARBAGE: &[Garbage] = &[
    ("all bits set", ALL, |number, payload| packet(number, &vec![0xff; payload.len()])),
    ("no bits set", BEFORE, |number, payload| packet(number, &vec![0; payload.len()])),
    ("a length that is absurd", ALL, |_, payload| [&[0xff; 4][..], payload].concat()),
    ("no header", ALL, |_, payload| payload.to_vec()),
    ("cut short", ALL, |number, payload| packet(number, &payload[..payload.len() - 1])),
    ("its first byte", ALL, |number, payload| packet(number, &payload[..1])),
    ("no payload", ALL, |number, _| packet(number, &[])),
    ("another number", ALL, |number, payload| packet(number.wrapping_add(7), payload)),
    ("more columns than there are", BEFORE, |number, _| packet(number, &[0xfc, 0xff, 0xff])),
    ("as many columns as none has", BEFORE, |number, _| packet(number, &[&[0xfe][..], &[0xff; 8]].concat())),
    ("an error of the server's", ALL, |number, _| packet(number, b"\xff\x51\x04#HY000something is wrong")),
    ("an error that is cut short", ALL, |number, _| packet(number, b"\xff\x51")),
    ("HTTP", ALL, |_, _| b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec()),
];

#[tokio::test]
async fn garbage_in_an_answer_is_an_error_and_never_other_rows() {
    let rig = Rig::new().await;
    let expected = rig.read("t", LIMIT).await.unwrap();
    let case = async |what: &str, at: usize, make| {
        let proxy = Proxy::to(rig.server.port).await;
        proxy.arm(READS, Fault::PacketAt(at, make), 1);
        let start = Instant::now();
        let found = rig.read_over(&proxy, "t", Duration::from_secs(1)).await;
        let told = match &found {
            Ok(rows) if *rows == expected => return None,
            Ok(rows) => format!("{} other rows", rows.len()),
            Err(_) if start.elapsed() > Duration::from_secs(10) => format!("{:?}", start.elapsed()),
            Err(error) if !error.to_string().contains("127.0.0.1") && error.table.is_none() => {
                format!("it says nothing of where: {error}")
            }
            Err(error) => match error.kind {
                ErrorKind::Unreachable | ErrorKind::Protocol | ErrorKind::Query | ErrorKind::Limit => {
                    return None;
                }
                kind => format!("{kind:?}: {error}"),
            },
        };
        Some(format!("{what} in place of packet {at}, {} times: {told}", proxy.disarm().0))
    };
    let cases = GARBAGE.iter().flat_map(|&(what, most, make)| (0..most).map(move |at| (what, at, make)));
    let wrong: Vec<String> = futures::stream::iter(cases)
        .map(|(what, at, make)| case(what, at, make))
        .buffer_unordered(12)
        .filter_map(|wrong| async move { wrong })
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rig.until_nothing_runs().await;
    assert_eq!(rig.read("t", LIMIT).await.unwrap(), expected);
}

/// The error of connecting to a port that greets so.
async fn refused(options: &SourceOptions, greeted: Vec<u8>, closes: bool) -> ConnectorError {
    let port = greeting(greeted, closes).await;
    let connect_timeout = Duration::from_millis(500);
    let source = MariaDbSource::new(SourceOptions { port, connect_timeout, ..options.clone() });
    let opened = timeout(HANG, source.open_view(LIMIT, (1 << 20).into())).await.expect("no hang");
    opened.err().expect("it is no server")
}

#[tokio::test]
async fn what_greets_otherwise_than_a_server_is_told() {
    let server = crate::testing::server();
    let options = server.root();
    // What a server says first.
    let mut first = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let mut hello = vec![0; 512];
    let read = tokio::io::AsyncReadExt::read(&mut first, &mut hello).await.unwrap();
    hello.truncate(read);
    let too_many = packet(0, b"\xff\x10\x04Too many connections");
    for (what, greeted, kinds) in [
        ("nothing", Vec::new(), &[ErrorKind::Unreachable][..]),
        ("HTTP", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), &[ErrorKind::Unreachable, ErrorKind::Protocol]),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), &[ErrorKind::Unreachable, ErrorKind::Protocol]),
        ("all bits set", vec![0xff; 4_096], &[ErrorKind::Unreachable, ErrorKind::Protocol]),
        ("no bits set", vec![0; 4_096], &[ErrorKind::Unreachable, ErrorKind::Protocol]),
        (
            "an old protocol",
            packet(0, b"\x093.23.58\0\x01\0\0\0abcdefgh\0"),
            &[ErrorKind::Unreachable, ErrorKind::Protocol],
        ),
        ("a greeting cut short", packet(0, &hello[4..20]), &[ErrorKind::Unreachable, ErrorKind::Protocol]),
        ("a greeting alone", hello.clone(), &[ErrorKind::Unreachable]),
        (
            "a greeting and garbage",
            [hello.clone(), vec![0xee; 64]].concat(),
            &[ErrorKind::Unreachable, ErrorKind::Protocol],
        ),
        (
            "a greeting twice",
            [hello.clone(), hello.clone()].concat(),
            &[ErrorKind::Unreachable, ErrorKind::Protocol],
        ),
        ("too many connections", too_many, &[ErrorKind::Limit]),
    ] {
        for closes in [true, false] {
            let error = refused(&options, greeted.clone(), closes).await;
            assert!(kinds.contains(&error.kind), "{what}, closed: {closes}: {:?}: {error}", error.kind);
            assert!(error.to_string().contains("127.0.0.1"), "{what}, closed: {closes}: {error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_out_of_connections_says_so_and_answers_once_there_are_some() {
    let server = TestServer::start(&["--max-connections=10"]);
    let database = server.database(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"]).await;
    let account = server.user("narrow", &["SELECT ON *.*"]).await;
    let source = MariaDbSource::new(account.clone());
    let mut others = Vec::new();
    while others.len() < 10 {
        let options = mysql_async::OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(server.port)
            .user(Some("narrow"))
            .pass(Some(PASSWORD))
            .prefer_socket(false);
        others.push(mysql_async::Conn::new(options).await.unwrap());
    }
    let error = source.open_view(LIMIT, (1 << 20).into()).await.err().expect("there is no connection");
    assert_eq!(error.kind, ErrorKind::Limit, "{error}");
    assert!(error.to_string().contains("max_connections"), "{error}");
    for other in others {
        other.disconnect().await.unwrap();
    }
    let start = Instant::now();
    let view = loop {
        match source.open_view(LIMIT, (1 << 20).into()).await {
            Ok(view) => break view,
            Err(error) => assert!(start.elapsed() < LIMIT, "{error}"),
        }
    };
    let id = TableId::new("s", "t");
    let table = Arc::new(view.definition(&id, &database, &BooleanColumns::default()).await.unwrap());
    assert_eq!(rows(&*view, RemoteQuery::whole(table)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_only_reads_is_read() {
    let server = TestServer::start(&[]);
    let database = server.database(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"]).await;
    let account = server.user("reader", &["SELECT ON *.*"]).await;
    server.run("mysql", &["SET GLOBAL read_only = 1"]).await;
    let source = MariaDbSource::new(account);
    let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
    let id = TableId::new("s", "t");
    let table = Arc::new(view.definition(&id, &database, &BooleanColumns::default()).await.unwrap());
    assert_eq!(rows(&*view, RemoteQuery::whole(table)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_table_that_has_gone_is_told_as_one_that_changed() {
    let rig = Rig::new().await;
    let source = MariaDbSource::new(rig.server.root());
    for (name, change) in [("t", "RENAME TABLE t TO u"), ("u", "DROP TABLE u")] {
        let planned = crate::testing::definition_on(&rig.server, &rig.database, name).await;
        let view = source.open_view(LIMIT, (1 << 20).into()).await.unwrap();
        rig.server.run(&rig.database, &[change]).await;
        let error = rig.defined(&*view, name).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{change}: {error}");
        let error = rows(&*view, RemoteQuery::whole(planned)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::DefinitionChanged, "{change}: {error}");
        assert!(error.table.is_some(), "{error}");
    }
    rig.until_nothing_runs().await;
}

#[tokio::test]
async fn a_server_that_ends_in_the_middle_is_told_and_read_again_once_it_is_back() {
    let rig = Rig::new().await;
    let source = MariaDbSource::new(rig.server.root());
    let view = source.open_view(LIMIT, (2 << 20).into()).await.unwrap();
    let large = rig.defined(&*view, "large").await.unwrap();
    let mut scan = view.scan(RemoteQuery::whole(large));
    scan.next().await.unwrap().unwrap();
    rig.server.kill();
    let rest: Result<Vec<_>> = timeout(HANG, scan.try_collect()).await.expect("no hang");
    let error = rest.map(|batches| batches.len()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    drop(view);
    let error = source.open_view(LIMIT, (2 << 20).into()).await.err().expect("nobody listens");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    rig.server.restart();
    let start = Instant::now();
    while let Err(error) = source.open_view(LIMIT, (2 << 20).into()).await {
        assert!(start.elapsed() < LIMIT, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
