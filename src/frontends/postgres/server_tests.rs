//! Connections at their bounds and at their ends, with a client library and with bare sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, NoTls};

use super::*;
use crate::query::testing::Shop;

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

/// Works until it is ended.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

/// A log-in of the user `a`.
const LOGIN: &[u8] = b"\0\0\0\x10\0\x03\0\0user\0a\0\0";

/// The shop, served.
struct Served {
    shop: Shop,
    port: u16,
    closing: CancellationToken,
    ending: CancellationToken,
    serving: JoinHandle<()>,
}

impl Served {
    async fn new(bounds: Bounds, token: Option<&str>) -> Self {
        let shop = Shop::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (closing, ending) = (CancellationToken::new(), CancellationToken::new());
        let host = Host {
            engine: shop.engine.clone(),
            token: token.map(Into::into),
            connections: Arc::default(),
            bounds,
            closing: closing.clone(),
            ending: ending.clone(),
        };
        let serving = tokio::spawn(host.serve(listener));
        Self { shop, port, closing, ending, serving }
    }

    async fn connect(&self) -> Result<(Client, JoinHandle<Result<(), tokio_postgres::Error>>), DbError> {
        let parameters = format!("host=127.0.0.1 port={} user=analyst password=wrong", self.port);
        match tokio_postgres::connect(&parameters, NoTls).await {
            Ok((client, connection)) => Ok((client, tokio::spawn(connection))),
            Err(error) => Err(of_server(&error)),
        }
    }

    /// Connects once a place is free.
    async fn connect_soon(&self) -> Client {
        let connected = async {
            loop {
                match self.connect().await {
                    Ok((client, _)) => return client,
                    Err(error) => assert_eq!(error.code().code(), "53300", "{error}"),
                }
            }
        };
        soon("a place is free", connected).await
    }

    async fn socket(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// Waits until a query was planned.
    async fn planned(&self) {
        until("the query is planned", || self.shop.engine.counters().plans() > 0).await;
    }
}

async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, awaited).await.unwrap_or_else(|_| panic!("{what}: not soon"))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    soon(what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// What the server said; `error` is another one if it said nothing.
fn of_server(error: &tokio_postgres::Error) -> DbError {
    error.as_db_error().cloned().unwrap_or_else(|| panic!("the server said nothing: {error:?}"))
}

/// All that is still sent on `socket`; it may end by a reset, as the server need not have read all of it.
async fn rest(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = soon("the connection ends", socket.read_to_end(&mut all)).await;
    String::from_utf8_lossy(&all).into_owned()
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_client_too_many_is_told_so_and_a_query_can_still_be_cancelled() {
    let served = Served::new(Bounds { places: 1, reserve: 1, ..BOUNDS }, None).await;
    let (client, _) = served.connect().await.unwrap();
    let asked = async { client.query(ENDLESS, &[]).await.map(|_| ()) };
    let meanwhile = async {
        served.planned().await;
        for _ in 0..3 {
            let error = soon("it is refused", served.connect()).await.map(|_| ()).unwrap_err();
            assert_eq!((error.severity(), error.code().code()), ("FATAL", "53300"), "{error}");
            assert_eq!(error.message(), "sorry, too many clients already");
            assert!(error.hint().is_some_and(|hint| hint.contains("At most 1 connections")), "{error:?}");
        }
        soon("the request is taken", client.cancel_token().cancel_query(NoTls)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(soon("the query ends", asked), meanwhile);
    assert_eq!(of_server(&answer.unwrap_err()).code().code(), "57014");
    drop(client);
    served.connect_soon().await;
}

#[tokio::test]
async fn who_does_not_log_in_gives_the_place_back() {
    let short = Bounds { places: 1, reserve: 1, login: Duration::from_millis(300), ..BOUNDS };
    let served = Served::new(short, Some("secret")).await;
    // Without a word, in the middle of a message, and in the middle of the log-in.
    for begin in [&b""[..], b"\0\0\0\x20\0\x03\0\0us", LOGIN] {
        let mut socket = served.socket().await;
        socket.write_all(begin).await.unwrap();
        let said = rest(&mut socket).await;
        assert!(said.contains("57014") && said.contains("within 300ms"), "{said}");
    }
    // A wrong password ends the connection, whether its client closes it or not.
    let served = Served::new(BOUNDS, Some("secret")).await;
    let error = soon("it is refused", served.connect()).await.map(|_| ()).unwrap_err();
    assert_eq!((error.severity(), error.code().code()), ("FATAL", "28P01"));

    let served = Served::new(Bounds { login: Duration::from_secs(2), ..BOUNDS }, None).await;
    let (client, _connection) = served.connect().await.unwrap();
    // When a later one is out of time, so would be one that has logged in.
    let said = rest(&mut served.socket().await).await;
    assert!(said.contains("57014"), "{said}");
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_query() {
    let served = Served::new(Bounds { places: 1, reserve: 1, ..BOUNDS }, None).await;
    let counters = served.shop.engine.counters();
    let (client, connection) = served.connect().await.unwrap();
    let asked = tokio::spawn(async move { client.query(ENDLESS, &[]).await.map(|_| ()) });
    served.planned().await;
    assert_eq!(counters.timed(), 0);
    connection.abort();
    until("the query has ended", || counters.timed() == 1).await;
    asked.await.unwrap().unwrap_err();
    served.connect_soon().await;
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_gives_the_place_back() {
    let limit = Duration::from_millis(300);
    let served = Served::new(Bounds { places: 1, reserve: 1, write: limit, ..BOUNDS }, None).await;
    let mut socket = served.socket().await;
    let query = b"SELECT repeat('x', 1000), value FROM generate_series(1, 100000000) g\0";
    let mut asked = LOGIN.to_vec();
    asked.push(b'Q');
    asked.extend(u32::try_from(query.len() + 4).unwrap().to_be_bytes());
    asked.extend(query);
    socket.write_all(&asked).await.unwrap();
    soon("rows", socket.read_exact(&mut [0; 10_000])).await.unwrap();
    served.connect_soon().await;
    drop(socket);
}

#[tokio::test]
async fn what_is_sent_ahead_is_no_end() {
    let served = Served::new(BOUNDS, None).await;
    let (client, _connection) = served.connect().await.unwrap();
    let sum = "SELECT sum(a.value) FROM generate_series(1, 2000) a, generate_series(1, 2000) b";
    let (first, second) = tokio::join!(client.simple_query(sum), client.simple_query("SELECT 2"));
    assert_eq!((first.unwrap().len(), second.unwrap().len()), (3, 3));
}

#[tokio::test]
async fn what_was_executed_in_part_ends_with_its_transaction() {
    let served = Served::new(BOUNDS, None).await;
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    };
    let execute = [
        message(b'P', b"\0SELECT value FROM generate_series(1, 100000000) g\0\0\0"),
        message(b'B', b"named\0\0\0\0\0\0\0\0"),
        message(b'E', b"named\0\0\0\0\x05"),
        message(b'S', b""),
    ]
    .concat();
    let counters = served.shop.engine.counters();
    let mut socket = served.socket().await;
    socket.write_all(LOGIN).await.unwrap();
    // By itself a statement is a transaction of its own.
    socket.write_all(&execute).await.unwrap();
    until("the query has ended", || counters.timed() == 1).await;
    for (begin, end, ended) in [("BEGIN", "COMMIT", 2), ("BEGIN", "ROLLBACK", 3)] {
        socket.write_all(&message(b'Q', format!("{begin}\0").as_bytes())).await.unwrap();
        socket.write_all(&execute).await.unwrap();
        until("the query runs", || counters.plans() == ended).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(counters.timed(), ended - 1, "it can be gone on with");
        socket.write_all(&message(b'Q', format!("{end}\0").as_bytes())).await.unwrap();
        until("the query has ended", || counters.timed() == ended).await;
    }
}

#[tokio::test]
async fn statements_of_one_message_do_not_wait_for_each_other() {
    let served = Served::new(BOUNDS, None).await;
    let (client, _connection) = served.connect().await.unwrap();
    // More than there are places for queries, each with more rows than may be on their way.
    let many = "SELECT repeat('x', 100), value FROM generate_series(1, 30000) g;".repeat(70);
    let answers = soon("all are answered", client.simple_query(&many)).await.unwrap();
    assert_eq!(answers.len(), 70 * 30_002);
    let asked =
        "BEGIN; SELECT 1; SELECT 1 / (value - 9000)::int, 'x'::int FROM generate_series(1, 3) g; SELECT 2";
    assert_eq!(of_server(&client.simple_query(asked).await.unwrap_err()).code().code(), "22P02");
    assert_eq!(of_server(&client.simple_query("SELECT 1").await.unwrap_err()).code().code(), "25P02");
    client.simple_query("ROLLBACK; SELECT 1; ;").await.unwrap();
}

#[tokio::test]
async fn at_the_end_each_client_is_told() {
    let served = Served::new(BOUNDS, None).await;
    let (client, _) = served.connect().await.unwrap();
    let (_idle, idle_ends) = served.connect().await.unwrap();
    let asked = async { client.query(ENDLESS, &[]).await.map(|_| ()) };
    let meanwhile = async {
        served.planned().await;
        served.closing.cancel();
        let idle = soon("the idle one is sent away", idle_ends).await.unwrap().unwrap_err();
        assert_eq!(of_server(&idle).code().code(), "57P01");
        let error = soon("a new one is refused", served.connect()).await.map(|_| ()).unwrap_err();
        assert_eq!((error.severity(), error.code().code()), ("FATAL", "57P03"), "{error}");
        soon("the request is taken", client.cancel_token().cancel_query(NoTls)).await.unwrap();
    };
    let (answer, ()) = tokio::join!(soon("the query ends", asked), meanwhile);
    assert_eq!(of_server(&answer.unwrap_err()).code().code(), "57014", "answered before it is sent away");
    let Served { serving, port, .. } = served;
    soon("nothing is left to serve", serving).await.unwrap();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();
}

#[tokio::test]
async fn at_the_end_what_waits_for_a_sync_is_still_answered() {
    let served = Served::new(BOUNDS, None).await;
    let (_idle, idle_ends) = served.connect().await.unwrap();
    let mut socket = served.socket().await;
    // Parse, Bind, Execute and Flush of a statement without a name.
    let ask = b"P\0\0\0\x11\0SELECT 42\0\0\0B\0\0\0\x0c\0\0\0\0\0\0\0\0E\0\0\0\x09\0\0\0\0\0H\0\0\0\x04";
    socket.write_all(&[LOGIN, &ask[..]].concat()).await.unwrap();
    let mut said = Vec::new();
    let answered = async {
        while !contains(&said, b"SELECT 1\0") {
            assert!(socket.read_buf(&mut said).await.unwrap() > 0, "{said:?}");
        }
    };
    soon("the rows come", answered).await;
    served.closing.cancel();
    soon("the idle one is sent away", idle_ends).await.unwrap().unwrap_err();
    socket.write_all(b"S\0\0\0\x04").await.unwrap();
    let said = rest(&mut socket).await;
    assert!(said.starts_with("Z\0\0\0\x05I") && said.contains("57P01"), "{said:?}");
    soon("nothing is left to serve", served.serving).await.unwrap();
}

#[tokio::test]
async fn at_the_end_who_is_logging_in_is_told() {
    let served = Served::new(BOUNDS, Some("secret")).await;
    let mut silent = served.socket().await;
    let mut asked = served.socket().await;
    asked.write_all(LOGIN).await.unwrap();
    soon("it is asked for its password", asked.readable()).await.unwrap();
    served.closing.cancel();
    for socket in [&mut silent, &mut asked] {
        let said = rest(socket).await;
        assert!(said.contains("57P01"), "{said:?}");
    }
}

#[tokio::test]
async fn what_still_runs_at_the_last_is_ended() {
    let served = Served::new(BOUNDS, None).await;
    let (client, _) = served.connect().await.unwrap();
    let asked = async { client.query(ENDLESS, &[]).await.map(|_| ()) };
    let meanwhile = async {
        served.planned().await;
        served.closing.cancel();
        served.ending.cancel();
    };
    let (answer, ()) = tokio::join!(soon("the query ends", asked), meanwhile);
    assert_eq!(of_server(&answer.unwrap_err()).code().code(), "57P01");
    soon("nothing is left to serve", served.serving).await.unwrap();
}

#[tokio::test]
async fn a_message_shorter_than_it_says_ends_its_connection_only() {
    let served = Served::new(BOUNDS, None).await;
    let (client, _connection) = served.connect().await.unwrap();
    for kind in *b"pPBDEC" {
        for body in [&b""[..], b"\0", b"S\0\0\x7f", b"\0\0\0\x02\0\0"] {
            let length = u32::try_from(4 + body.len()).unwrap().to_be_bytes();
            let mut socket = served.socket().await;
            socket.write_all(&[LOGIN, &[kind], &length, body].concat()).await.unwrap();
            socket.shutdown().await.unwrap();
            rest(&mut socket).await;
        }
    }
    let mut socket = served.socket().await;
    socket.write_all(&[LOGIN, b"B\0\0\0\x04"].concat()).await.unwrap();
    let said = rest(&mut socket).await;
    assert!(said.contains("FATAL") && said.contains("08P01"), "{said:?}");
    client.simple_query("SELECT 1").await.unwrap();
}

#[tokio::test]
async fn a_message_longer_than_any_may_be_is_refused_before_it_is_read() {
    let of = |begin: &[u8], length: u32| [begin, &length.to_be_bytes()].concat();
    let secured = Served::new(BOUNDS, Some("secret")).await;
    let open = Served::new(BOUNDS, None).await;
    let cases = [
        (&secured, of(b"", 10_001), "10000 are the most before the log-in"),
        (&secured, of(&[LOGIN, b"p"].concat(), 10_001), "10000 are the most before the log-in"),
        (&secured, of(&[LOGIN, b"Q"].concat(), 0x3fff_0000), "10000 are the most before the log-in"),
        (&open, of(&[LOGIN, b"B"].concat(), (64 << 20) + 1), "67108864 are the most"),
    ];
    for (served, sent, expected) in cases {
        let mut socket = served.socket().await;
        socket.write_all(&sent).await.unwrap();
        let said = rest(&mut socket).await;
        assert!(said.contains("FATAL") && said.contains("08P01") && said.contains(expected), "{said:?}");
    }
    // One that is long, and not too long, is read whole and answered.
    let (client, _connection) = open.connect().await.unwrap();
    let text = "x".repeat(5 << 20);
    let row = client.query_one("SELECT length($1::text)::bigint", &[&text]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 5 << 20);
}
