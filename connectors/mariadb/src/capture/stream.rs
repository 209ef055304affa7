//! The task that reads one server's binlog, and the stream it feeds.
//!
//! Why can a slow reader not fill the memory? Between the task and the stream there is room for
//! [`QUEUED_EVENTS`] and for as many bytes as one transaction may have; when either is used up, the task waits,
//! and with it, through TCP, the server. Why does a link that is dead at one end not hang? The server sends a
//! heartbeat at least once per [`CaptureLimits::heartbeat`]; the task waits for [`CaptureLimits::silence`], no
//! longer, and ends the stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use crossweave_contract::{
    Capture, CaptureEvent, CaptureStream, CaptureTables, ConnectorError, ErrorKind, Position, Result, SourceId,
};
use futures::Stream;
use mysql_async::binlog::BinlogChecksumAlg;
use mysql_async::binlog::events::Event;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::assemble::{Assembled, Assembler};
use super::connect::{self, Opened, Place};
use super::definitions::Forwarded;
use super::events::{RawEvent, kind};
use crate::SourceOptions;
use crate::connection::heard;
use crate::wire::Binlog;

/// Events that may wait for the reader of the stream.
const QUEUED_EVENTS: usize = 256;

/// Bounds of one capture.
#[derive(Debug, Clone)]
pub struct CaptureLimits {
    /// Bytes of memory that the changes of one transaction may take. A larger one ends the stream with
    /// [`ErrorKind::Limit`]. As much again may wait for the reader of the stream, and be kept for prepared XA
    /// transactions.
    pub transaction_bytes: usize,
    /// How long the server may be silent before it sends a heartbeat: how soon an idle source is known to be
    /// current.
    pub heartbeat: Duration,
    /// Silence after which the server counts as gone. Several heartbeats long.
    pub silence: Duration,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self {
            transaction_bytes: 512 << 20,
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(20),
        }
    }
}

/// Captures one server's changes from its binlog.
#[derive(Debug, Clone)]
pub struct MariaDbCapture {
    options: SourceOptions,
    limits: CaptureLimits,
}

impl MariaDbCapture {
    /// A capture of the server at `options`, with the usual bounds. Nothing is connected before
    /// [`start`](Capture::start).
    pub fn new(options: SourceOptions) -> Self {
        Self { options, limits: CaptureLimits::default() }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: CaptureLimits) -> Self {
        self.limits = limits;
        self
    }
}

#[async_trait]
impl Capture for MariaDbCapture {
    fn source(&self) -> &SourceId {
        &self.options.id
    }

    async fn start(
        &self,
        from: Position,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<CaptureStream, ConnectorError> {
        Ok(self.open(Place::After(from), tables).await?.1)
    }

    async fn start_at_end(
        &self,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<(Position, CaptureStream), ConnectorError> {
        self.open(Place::End, tables).await
    }
}

impl MariaDbCapture {
    async fn open(
        &self,
        place: Place,
        tables: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<(Position, CaptureStream)> {
        let limits = self.limits.clone();
        let Opened { mut stream, facts, from } = connect::open(&self.options, place, limits.heartbeat).await?;
        // Whether the server knows the position shows in what it sends first.
        let first = next(&self.options, &limits, &mut stream).await?;
        let (definitions, tables) = Forwarded::start(self.options.clone(), tables).await?;
        let (source, bytes) = (self.options.id.clone(), limits.transaction_bytes);
        let assembler = Assembler::new(source.clone(), from.clone(), tables, facts.fold_case, bytes);
        let (sender, receiver) = mpsc::channel(QUEUED_EVENTS);
        let reader = Reader {
            options: self.options.clone(),
            limits,
            definitions,
            assembler,
            queue: Queue::new(sender, bytes),
        };
        tokio::spawn(reader.run(stream, first));
        Ok((from, Box::pin(Captured { source, receiver, ended: false })))
    }
}

/// What the task hands over; the permit gives back the bytes' room when it is dropped.
type Queued = (Result<CaptureEvent>, Option<OwnedSemaphorePermit>);

/// The way to the reader of the stream, bounded in events and bytes.
struct Queue {
    sender: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    /// All the room, in KiB.
    most: u32,
}

impl Queue {
    fn new(sender: mpsc::Sender<Queued>, bytes: usize) -> Self {
        let most = u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32);
        Self { sender, room: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits for room and hands `assembled` over; false if nobody reads any more.
    async fn put(&self, assembled: Assembled) -> bool {
        let size = u32::try_from(assembled.bytes / 1_024).unwrap_or(u32::MAX).min(self.most);
        let permit = if size == 0 {
            None
        } else {
            let room = Arc::clone(&self.room).acquire_many_owned(size);
            tokio::select! {
                permit = room => permit.ok(),
                () = self.sender.closed() => return false,
            }
        };
        self.sender.send((Ok(assembled.event), permit)).await.is_ok()
    }
}

/// The task.
struct Reader {
    options: SourceOptions,
    limits: CaptureLimits,
    definitions: Forwarded,
    assembler: Assembler,
    queue: Queue,
}

impl Reader {
    async fn run(mut self, mut stream: Binlog, first: Event) {
        let ended = self.read(&mut stream, first).await;
        if let Err(error) = ended {
            // The reader may have left meanwhile; then nobody needs the reason.
            let _ = self.queue.sender.send((Err(error), None)).await;
        }
    }

    /// Reads until an error, or `Ok` when nobody reads the stream any more.
    async fn read(&mut self, stream: &mut Binlog, first: Event) -> Result<()> {
        let mut event = first;
        loop {
            self.definitions.refresh().await?;
            if let Some(assembled) = self.take_in(&event)?
                && !self.queue.put(assembled).await
            {
                return Ok(());
            }
            event = tokio::select! {
                biased;
                () = self.queue.sender.closed() => return Ok(()),
                event = next(&self.options, &self.limits, stream) => event?,
            };
        }
    }

    fn take_in(&mut self, event: &Event) -> Result<Option<Assembled>> {
        let header = event.header();
        // A heartbeat is made up for the stream, and older servers leave its checksum out.
        if header.event_type_raw() != kind::HEARTBEAT {
            self.check_sum(event)?;
        }
        self.assembler.event(&RawEvent {
            kind: header.event_type_raw(),
            timestamp: header.timestamp(),
            server: header.server_id(),
            flags: header.flags_raw(),
            body: event.data(),
        })
    }

    fn check_sum(&self, event: &Event) -> Result<()> {
        let algorithm = match event.footer().get_checksum_alg() {
            // The event that says so has one in its place all the same, which 11.8 leaves wrong.
            Ok(None | Some(BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_OFF)) | Err(_) => return Ok(()),
            Ok(Some(algorithm)) => algorithm,
        };
        let Some(found) = event.checksum() else { return Ok(()) };
        let expected = event.calc_checksum(algorithm);
        if event.header().timestamp() == 0 || u32::from_le_bytes(found) == expected {
            return Ok(());
        }
        let message = format!(
            "source {}: an event of type {} after position {} is damaged: its checksum is {:#010x}, expected \
             {expected:#010x}",
            self.options.id,
            event.header().event_type_raw(),
            self.assembler.position(),
            u32::from_le_bytes(found),
        );
        Err(ConnectorError::new(ErrorKind::Protocol, message))
    }
}

/// The next event; an error if the server is silent for too long.
async fn next(options: &SourceOptions, limits: &CaptureLimits, stream: &mut Binlog) -> Result<Event> {
    match tokio::time::timeout(limits.silence, heard(stream.next())).await {
        Ok(Ok(Some(event))) => Ok(event),
        Ok(Err(error)) => Err(connect::describe(options, error)),
        Ok(Ok(None)) => {
            let message = format!("source {}: the server ended its binlog stream", options.id);
            Err(ConnectorError::new(ErrorKind::Unreachable, message))
        }
        Err(_) => {
            let message = format!(
                "source {}: no event and no heartbeat within {:?}: the server or the way to it is gone",
                options.id, limits.silence
            );
            Err(ConnectorError::new(ErrorKind::Unreachable, message))
        }
    }
}

/// The reading end. Dropping it ends the task, which closes the connection.
struct Captured {
    source: SourceId,
    receiver: mpsc::Receiver<Queued>,
    ended: bool,
}

impl Stream for Captured {
    type Item = Result<CaptureEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = match ready!(self.receiver.poll_recv(context)) {
            Some((event, _room)) => event,
            None => {
                let message = format!("source {}: the task that reads the binlog is gone", self.source);
                Err(ConnectorError::new(ErrorKind::Bug, message))
            }
        };
        self.ended = event.is_err();
        Poll::Ready(Some(event))
    }
}
