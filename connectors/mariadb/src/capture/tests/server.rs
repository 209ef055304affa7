//! Servers that are set up otherwise, reset, purged, restarted or cut off. They are this file's own, for what is
//! done to them would disturb other tests.

use crossweave_contract::ErrorKind;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::SourceOptions;

/// One thing after the other on one server, for starting one takes seconds.
#[tokio::test]
async fn a_server_that_changes_under_the_stream() {
    let server = TestServer::start(&["--max-allowed-packet=64M"]);
    xa::prepared_changes_come_with_their_commit(&server).await;
    xa::prepared_changes_that_are_rolled_back_never_come(&server).await;
    xa::a_commit_of_what_was_prepared_before_the_stream_loads_everything_anew(&server).await;
    replicas_of_one_number(&server).await;
    checksums_come_and_go(&server).await;
    a_very_large_row(&server).await;
    accounts(&server).await;
    settings(&server).await;
    purged_and_reset(&server).await;
    crashed(&server).await;
}

async fn replicas_of_one_number(server: &TestServer) {
    let start = async |server_id: Option<u32>| {
        let (sender, receiver) = watch::channel(capture_tables("x", &[]));
        let capture = MariaDbCapture::new(SourceOptions { server_id, ..server.root() });
        let stream = capture.start(position(server).await, receiver).await.expect("it starts");
        Captured { stream, tables: sender }
    };
    let mut first = start(Some(4_000)).await;
    let mut second = start(Some(4_000)).await;
    let error = first.error().await;
    assert_eq!(error.kind, ErrorKind::Settings, "{error}");
    assert!(error.to_string().contains("server id 4000"), "{error}");
    let (mut third, mut fourth) = (start(None).await, start(None).await);
    for captured in [&mut second, &mut third, &mut fourth] {
        assert!(matches!(captured.event().await, Ok(CaptureEvent::Heartbeat(_))));
    }
}

async fn checksums_come_and_go(server: &TestServer) {
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let tables = [pair(&database, "a")];
    let from = position(server).await;
    let mut captured = Captured::start_at(server, &database, &tables, from.clone()).await.unwrap();
    let work = [
        "SET GLOBAL binlog_checksum = 'NONE'",
        "INSERT INTO a VALUES (1, 1)",
        "SET GLOBAL binlog_checksum = 'CRC32'",
        "INSERT INTO a VALUES (2, 2)",
        "SET GLOBAL binlog_checksum = 'NONE'",
        "INSERT INTO a VALUES (3, 3)",
    ];
    server.run(&database, &work).await;
    // The stream that is under way, one that begins before, and one that begins where there are none.
    let mut again = Captured::start_at(server, &database, &tables, from).await.unwrap();
    let mut last = Position::origin();
    for id in 1..=3 {
        assert_eq!(changes(&*captured.next().await), [("a", None, Some(&row(&[id, id])))]);
        let transaction = again.next().await;
        assert_eq!(changes(&transaction), [("a", None, Some(&row(&[id, id])))]);
        last = transaction.position();
    }
    server.run(&database, &["INSERT INTO a VALUES (4, 4)"]).await;
    let mut without = Captured::start_at(server, &database, &tables, last).await.unwrap();
    assert_eq!(changes(&*without.next().await), [("a", None, Some(&row(&[4, 4])))]);
    server.run(&database, &["SET GLOBAL binlog_checksum = 'CRC32'"]).await;
}

async fn a_very_large_row(server: &TestServer) {
    const BYTES: usize = 40 << 20;
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY, b LONGBLOB)"]).await;
    let blob = ColumnType::Binary { fixed: None };
    let definition = table(&database, "a", &[("id", INT), ("b", blob)]);
    let mut captured = Captured::start(server, &database, &[definition]).await;
    let insert = format!("INSERT INTO a VALUES (1, REPEAT('x', {BYTES}))");
    server.run(&database, &[&insert, "DELETE FROM a"]).await;

    let inserted = captured.next().await;
    let Some(Value::Bytes(found)) = inserted.changes[0].op.after().map(|row| &row[1]) else {
        panic!("{:?}", inserted.faults)
    };
    assert!(found.len() == BYTES && found.iter().all(|byte| *byte == b'x'));
    assert_eq!(captured.next().await.changes.len(), 1);
}

async fn accounts(server: &TestServer) {
    let refused = async |options: SourceOptions| {
        let (_sender, receiver) = watch::channel(capture_tables("x", &[]));
        let from = position(server).await;
        let started = MariaDbCapture::new(options).start(from, receiver).await;
        started.err().expect("it is refused")
    };
    let error = refused(server.account("root", "wrong")).await;
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");

    let error = refused(server.user("reader", &["SELECT ON *.*"]).await).await;
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("GRANT REPLICATION SLAVE ON *.*"), "{error}");

    let error = refused(SourceOptions { port: 1, ..server.root() }).await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

async fn settings(server: &TestServer) {
    for (setting, wrong, right) in
        [("binlog_format", "'MIXED'", "'ROW'"), ("binlog_row_image", "'MINIMAL'", "'FULL'")]
    {
        server.run("mysql", &[&format!("SET GLOBAL {setting} = {wrong}")]).await;
        let started = Captured::start_at(server, "x", &[], position(server).await).await;
        let error = started.err().expect("it is refused");
        assert_eq!(error.kind, ErrorKind::Settings);
        assert!(error.to_string().contains(&format!("SET GLOBAL {setting} = {right}")), "{error}");
        server.run("mysql", &[&format!("SET GLOBAL {setting} = {right}")]).await;
    }
}

async fn purged_and_reset(server: &TestServer) {
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    let tables = [pair(&database, "a")];
    let gone = async |from: Position, what: &str| {
        let started = Captured::start_at(server, &database, &tables, from).await;
        let error = started.err().unwrap_or_else(|| panic!("{what}: it is refused"));
        assert_eq!(error.kind, ErrorKind::PositionGone, "{what}: {error}");
        assert!(error.to_string().contains("Load the cached tables anew"), "{error}");
    };
    let before = position(server).await;
    server.run(&database, &["INSERT INTO a VALUES (1, 1)", "FLUSH BINARY LOGS"]).await;
    let now = position(server).await;
    let beyond: Position = "0-77-1000000".parse().unwrap();
    gone(beyond, "a number that was never given").await;
    gone("9-9-9".parse().unwrap(), "a domain that is not there").await;

    let mut conn = server.connect(None).await;
    let last: Vec<(String, u64)> = conn.query("SHOW BINARY LOGS").await.unwrap();
    let last = &last.last().unwrap().0;
    let purged = async {
        // A dump that has just ended may still hold the file.
        loop {
            conn.query_drop(format!("PURGE BINARY LOGS TO '{last}'")).await.unwrap();
            let left: Vec<(String, u64)> = conn.query("SHOW BINARY LOGS").await.unwrap();
            if left.len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, purged).await.expect("the files go");
    gone(before, "purged").await;
    gone(Position::origin(), "the beginning, purged").await;

    let mut captured = Captured::start_at(server, &database, &tables, now.clone()).await.unwrap();
    server.run(&database, &["INSERT INTO a VALUES (2, 2)"]).await;
    assert_eq!(captured.next().await.changes.len(), 1);
    drop(captured);

    let reset = async {
        while conn.query_drop("RESET MASTER").await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reset).await.expect("the binlog is reset");
    gone(now, "reset").await;
    let mut captured = Captured::start_at(server, &database, &tables, Position::origin()).await.unwrap();
    server.run(&database, &["INSERT INTO a VALUES (3, 3)"]).await;
    assert_eq!(changes(&*captured.next().await), [("a", None, Some(&row(&[3, 3])))]);

    // Numbers that go back: what is at or before the position would count as seen.
    let work = ["SET SESSION gtid_seq_no = 1000", "INSERT INTO a VALUES (4, 4)"];
    server.run(&database, &work).await;
    assert_eq!(captured.next().await.gtid.sequence, 1000);
    let work = ["SET SESSION gtid_seq_no = 500", "INSERT INTO a VALUES (5, 5)"];
    server.run(&database, &work).await;
    let error = captured.error().await;
    assert_eq!(error.kind, ErrorKind::PositionGone);
    assert!(error.to_string().contains("0-77-500"), "{error}");
    // The next number is past both, so a position is one again.
    server.run(&database, &["INSERT INTO a VALUES (6, 6)"]).await;
    let mut captured = Captured::start(server, &database, &tables).await;
    server.run(&database, &["INSERT INTO a VALUES (7, 7)"]).await;
    assert_eq!(captured.next().await.gtid.sequence, 1002);
}

async fn crashed(server: &TestServer) {
    let mut captured = Captured::start(server, "x", &[]).await;
    server.kill();
    let error = captured.error().await;
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    let started = Captured::start_at(server, "x", &[], Position::origin()).await;
    assert_eq!(started.err().map(|error| error.kind), Some(ErrorKind::Unreachable));
}

#[tokio::test]
async fn without_a_binlog_the_setting_is_named() {
    let server = TestServer::start(&["--skip-log-bin"]);
    let started = Captured::start_at(&server, "x", &[], Position::origin()).await;
    let error = started.err().expect("it is refused");
    assert_eq!(error.kind, ErrorKind::Settings);
    assert!(error.to_string().contains("log_bin"), "{error}");
}

#[tokio::test]
async fn a_link_that_is_dead_at_one_end_is_noticed() {
    let server = crate::testing::server();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = proxy.local_addr().unwrap().port();
    let (cut, mut is_cut) = watch::channel(false);
    let upstream = server.port;
    let link = tokio::spawn(async move {
        let (mut near, _) = proxy.accept().await.unwrap();
        let mut far = TcpStream::connect(("127.0.0.1", upstream)).await.unwrap();
        tokio::select! {
            ended = tokio::io::copy_bidirectional(&mut near, &mut far) => panic!("the link ended: {ended:?}"),
            _ = is_cut.wait_for(|cut| *cut) => {}
        }
        far.shutdown().await.unwrap();
        // The near end stays open and silent until the test is over.
        near
    });

    let limits = CaptureLimits {
        heartbeat: Duration::from_millis(200),
        silence: Duration::from_millis(1_500),
        ..CaptureLimits::default()
    };
    let (_sender, receiver) = watch::channel(capture_tables("x", &[]));
    let options = SourceOptions { port, ..server.root() };
    let capture = MariaDbCapture::new(options).with_limits(limits);
    let stream = capture.start(position(server).await, receiver).await.unwrap();
    let mut captured = Captured { stream, tables: watch::channel(capture_tables("x", &[])).0 };
    while !matches!(captured.event().await.unwrap(), CaptureEvent::Heartbeat(_)) {}
    cut.send(true).unwrap();
    let near = link.await.unwrap();
    let error = captured.error().await;
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(error.to_string().contains("no heartbeat within 1.5s"), "{error}");
    drop(near);
}
