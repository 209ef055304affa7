//! Slow clients, and more of them than there are places, over sockets.

use axum::body::{Body, Bytes};
use axum::middleware;
use axum::routing::{get, post};
use tokio::io::AsyncReadExt;

use super::super::body;
use super::*;

/// Far longer than anything here takes.
const SOON: Duration = Duration::from_secs(20);

const LIMIT: Duration = Duration::from_millis(300);

const BOUNDS: Bounds = Bounds { places: 2, reserve: 1, header: HOUR, reserve_header: LIMIT, write: HOUR };

const HOUR: Duration = Duration::from_secs(3600);

const PROBE: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

struct Served {
    port: u16,
    closing: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Served {
    async fn new(bounds: Bounds) -> Self {
        let own = Router::new().route("/healthz", get(async || "well"));
        let app = own.clone().route("/length", post(async |body: Bytes| body.len().to_string()));
        let app = app.route("/endless", get(async || Body::from_stream(endless())));
        let app = app.layer(middleware::from_fn_with_state(LIMIT, body::bound));
        let reserve = own.fallback(async || (StatusCode::SERVICE_UNAVAILABLE, "full"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (closing, ending) = (CancellationToken::new(), CancellationToken::new());
        let serving = tokio::spawn(Host { bounds, app, reserve }.serve(listener, closing.clone(), ending));
        Self { port, closing, serving }
    }

    /// A connection on which `text` was sent.
    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }
}

/// A body that has always more.
fn endless() -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    futures::stream::repeat_with(|| Ok(Bytes::from_static(&[b'x'; 64 << 10])))
}

/// What comes until `end` does.
async fn up_to(stream: &mut TcpStream, end: &str) -> String {
    let mut all = String::new();
    let read = async {
        while !all.contains(end) {
            let mut piece = [0; 1024];
            match stream.read(&mut piece).await.unwrap() {
                0 => panic!("{end:?} did not come: {all:?}"),
                length => all.push_str(std::str::from_utf8(&piece[..length]).unwrap()),
            }
        }
    };
    tokio::time::timeout(SOON, read).await.unwrap();
    all
}

/// What comes until the connection ends.
async fn rest(mut stream: TcpStream) -> String {
    let mut all = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut all)).await.unwrap().unwrap();
    all
}

#[tokio::test]
async fn a_header_and_a_body_have_a_bound_of_time() {
    let served = Served::new(Bounds { header: LIMIT, ..BOUNDS }).await;
    for half in ["G", "GET /healthz HTTP/1.1\r\nhost: local", "POST /length HTTP/1.1\r\ncontent-length: 7\r\n"]
    {
        let answer = rest(served.send(half).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert!(answer.contains("the header did not arrive within 300ms"), "{answer}");
    }
    for half in ["content-length: 7\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let answer = rest(served.send(&format!("POST /length HTTP/1.1\r\n{half}")).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert!(answer.contains("the body did not arrive within 300ms"), "{answer}");
    }
    let answer = rest(served.send("POST /length HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n3"), "kept, and let go: {answer}");
    assert_eq!(rest(served.send("").await).await, "");
}

#[tokio::test]
async fn when_all_places_are_taken_probes_are_answered_and_others_are_told() {
    let served = Served::new(BOUNDS).await;
    let half = "GET /healthz HTTP/1.1\r\n";
    let mut slow = served.send(PROBE).await;
    up_to(&mut slow, "well").await;
    let slow = [served.send(half).await, slow];
    // One after the other through the one place of the reserve, one slow client among them.
    let third = served.send(half).await;
    for _ in 0..3 {
        let answer = rest(served.send(PROBE).await).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("well"), "{answer}");
        let answer = rest(served.send("POST /length HTTP/1.1\r\ncontent-length: 0\r\n\r\n").await).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("full"), "{answer}");
    }
    assert!(rest(third).await.starts_with("HTTP/1.1 408 "));
    drop(slow);
}

#[tokio::test]
async fn at_the_end_what_was_asked_is_answered() {
    let served = Served::new(BOUNDS).await;
    let mut kept = served.send(PROBE).await;
    up_to(&mut kept, "well").await;
    let mut asking =
        served.send("POST /length HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").await;
    up_to(&mut asking, "100 Continue").await;
    served.closing.cancel();
    assert_eq!(rest(kept).await, "");
    asking.write_all(b"abc").await.unwrap();
    assert!(rest(asking).await.ends_with("\r\n3"));
    tokio::time::timeout(SOON, served.serving).await.unwrap().unwrap();
    TcpStream::connect(("127.0.0.1", served.port)).await.unwrap_err();
}

#[tokio::test]
async fn an_answer_of_which_nothing_is_taken_gives_its_place_back() {
    let served = Served::new(Bounds { places: 1, write: LIMIT, ..BOUNDS }).await;
    let slow = served.send("GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let asked = "POST /length HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let given_back = async { while !rest(served.send(asked).await).await.starts_with("HTTP/1.1 200 ") {} };
    tokio::time::timeout(SOON, given_back).await.unwrap();
    drop(slow);
}
