//! A link to a server that does wrong things to one answer: the one to a statement that is told by how it begins.
//!
//! It knows as much of the protocol as its faults need: that what goes over it comes in packets, which begin with their
//! length and a number.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// `COM_QUERY`.
const QUERY: u8 = 0x03;

/// `COM_STMT_PREPARE`.
const PREPARE: u8 = 0x16;

/// Bytes before each packet.
const HEADER: usize = 4;

/// What happens to an answer.
#[derive(Clone)]
pub(crate) enum Fault {
    /// The link is closed after so many bytes of it.
    CutAt(usize),
    /// After so many bytes of it nothing comes any more, and nothing is taken.
    SilentAt(usize),
    /// Each byte comes by itself.
    ByteByByte,
    /// In place of its packet of this place comes what is made of its number and payload.
    PacketAt(usize, fn(u8, &[u8]) -> Vec<u8>),
}

#[derive(Default)]
struct State {
    /// How the statement begins, what happens to the answer, and how often.
    armed: Option<(String, Fault, usize)>,
    /// Bytes of the last answer that was passed on with a fault armed.
    passed: usize,
    /// How often the fault came about.
    met: usize,
}

/// A port that leads to a server.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { return };
                let Ok(far) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let link = Link { state: Arc::clone(&shared), asked: Arc::default() };
                tokio::spawn(link.run(near, far));
            }
        });
        Self { port, state, accepting }
    }

    /// Does `fault` to the next `times` answers to statements that begin with `statement`.
    pub(crate) fn arm(&self, statement: &str, fault: Fault, times: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { armed: Some((statement.to_owned(), fault, times)), ..State::default() };
    }

    /// Does nothing wrong any more; gives how often the fault came about, and how many bytes of the last answer were
    /// passed on.
    pub(crate) fn disarm(&self) -> (usize, usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.armed = None;
        (state.met, state.passed)
    }
}

/// One connection.
struct Link {
    state: Arc<Mutex<State>>,
    /// What is to happen to what the server says from now on.
    asked: Arc<Mutex<Option<Fault>>>,
}

impl Link {
    async fn run(self, near: TcpStream, far: TcpStream) {
        let (from_client, to_client) = near.into_split();
        let (from_server, to_server) = far.into_split();
        let sending =
            tokio::spawn(questions(Arc::clone(&self.state), Arc::clone(&self.asked), from_client, to_server));
        self.answers(from_server, to_client).await;
        sending.abort();
    }

    /// Passes on what the server says, until the link ends.
    async fn answers(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut chunk, mut place) = (vec![0; 16 << 10], Place::default());
        loop {
            let read = match from.read(&mut chunk).await {
                Ok(read) if read > 0 => read,
                _ => return,
            };
            let fault = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(fault) = fault else {
                if to.write_all(&chunk[..read]).await.is_err() {
                    return;
                }
                continue;
            };
            let bytes = &chunk[..read];
            let left = |at: usize| at.saturating_sub(place.bytes).min(read);
            let passed = match &fault {
                Fault::CutAt(at) | Fault::SilentAt(at) => bytes[..left(*at)].to_vec(),
                Fault::ByteByByte => bytes.to_vec(),
                Fault::PacketAt(at, make) => place.packets(bytes, *at, *make),
            };
            place.bytes += read;
            self.note(passed.len(), false);
            let pieces = if matches!(fault, Fault::ByteByByte) { 1 } else { passed.len().max(1) };
            for piece in passed.chunks(pieces) {
                if to.write_all(piece).await.is_err() {
                    return;
                }
            }
            match fault {
                Fault::CutAt(at) if place.bytes > at => return self.note(0, true),
                Fault::SilentAt(at) if place.bytes > at => {
                    self.note(0, true);
                    // Both ends stay as they are.
                    std::future::pending::<()>().await;
                }
                Fault::PacketAt(..) if std::mem::take(&mut place.met) => self.note(0, true),
                _ => {}
            }
        }
    }

    fn note(&self, passed: usize, met: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.passed += passed;
        state.met += usize::from(met);
    }
}

/// Where in an answer a link is.
#[derive(Default)]
struct Place {
    bytes: usize,
    packets: usize,
    /// What has come of a packet that is not all there.
    part: Vec<u8>,
    met: bool,
}

impl Place {
    /// What is passed on of `bytes`, in which packet `at` is another one.
    fn packets(&mut self, bytes: &[u8], at: usize, make: fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
        self.part.extend_from_slice(bytes);
        let mut passed = Vec::new();
        while let Some(end) = end_of_packet(&self.part) {
            let packet: Vec<u8> = self.part.drain(..end).collect();
            if self.packets == at {
                passed.extend(make(packet[HEADER - 1], &packet[HEADER..]));
                self.met = true;
            } else {
                passed.extend(packet);
            }
            self.packets += 1;
        }
        passed
    }
}

/// Where the first packet in `bytes` ends, if it is all there.
fn end_of_packet(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, _] = bytes.first_chunk::<HEADER>()?;
    let end = HEADER + u32::from_le_bytes([*a, *b, *c, 0]) as usize;
    (bytes.len() >= end).then_some(end)
}

/// A packet.
pub(crate) fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// Passes on what is asked, and looks for the statement whose answer is to be harmed.
async fn questions(
    state: Arc<Mutex<State>>,
    asked: Arc<Mutex<Option<Fault>>>,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
) {
    let (mut chunk, mut part) = (vec![0; 16 << 10], Vec::new());
    loop {
        let read = match from.read(&mut chunk).await {
            Ok(read) if read > 0 => read,
            _ => return,
        };
        part.extend_from_slice(&chunk[..read]);
        while let Some(end) = end_of_packet(&part) {
            let packet: Vec<u8> = part.drain(..end).collect();
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((statement, fault, times)) = &mut state.armed
                && *times > 0
                && matches!(packet.get(HEADER), Some(&(QUERY | PREPARE)))
                && packet[HEADER + 1..].starts_with(statement.as_bytes())
            {
                *times -= 1;
                *asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
                state.passed = 0;
            }
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
}

/// A port whose every connection is told `greeting`, and then nothing more; closed after it if `closes`.
pub(crate) async fn greeting(greeting: Vec<u8>, closes: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let greeting = greeting.clone();
            tokio::spawn(async move {
                let _ = near.write_all(&greeting).await;
                if !closes {
                    // What the other side says is read, as a server would.
                    let mut heard = [0; 1024];
                    while matches!(near.read(&mut heard).await, Ok(read) if read > 0) {}
                }
            });
        }
    });
    port
}
