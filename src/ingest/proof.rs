//! Whether the stream that is read still is the source's binlog.
//!
//! After `RESET MASTER` a server keeps open the streams of the binlog that is gone: it sends heartbeats on them, and none
//! of what is committed, until the new binlog is longer than the old one was. A heartbeat is therefore true only if
//! the source itself says that it is just there, by the same transactions, and that it was not told to reset anything since the stream began: the new
//! numbers may be where the old ones were. If it was, the stream ends, and what it ended with has to be known again
//! where another begins. If the source is behind, its numbers went back; if it is ahead for long while the stream has
//! nothing but heartbeats of one position, the stream is of another binlog, for behind one address there may be several
//! servers. One that moves is merely behind, by a backlog that waited for a load, say, however long that takes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossweave_contract::{BinlogEnd, ConnectorError, ErrorKind, Position, Resets, Source};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::board::{Health, Part};

/// How long, and for how many heartbeats, a stream may lack what the source has.
const BEHIND: Duration = Duration::from_secs(10);
const HEARTBEATS: u32 = 3;

/// Failures in a row after which it is told that heartbeats cannot be proved.
const FAILURES: u32 = 3;

/// The source had what the stream did not.
struct Ahead {
    /// Where the stream stood then, and has stood since.
    heartbeat: Position,
    since: Instant,
    heartbeats: u32,
}

/// The end of the source's binlog, and a moment before it was asked for it.
type Answer = Result<(BinlogEnd, SystemTime), ConnectorError>;

/// Asks the source about heartbeats, one at a time; others that come meanwhile are passed over.
pub(super) struct Proof {
    source: Arc<dyn Source>,
    health: Arc<Health>,
    /// Of before the stream began.
    resets: Resets,
    /// The heartbeat, and what had been published before it.
    asking: Option<(Position, Position, BoxFuture<'static, Answer>)>,
    ahead: Option<Ahead>,
    /// In a row.
    failures: u32,
}

impl Proof {
    /// `resets` are of before the stream began.
    pub(super) fn new(source: Arc<dyn Source>, health: Arc<Health>, resets: Resets) -> Self {
        Self { source, health, resets, asking: None, ahead: None, failures: 0 }
    }

    /// Begins to ask about a heartbeat, which has come after all up to `published` was.
    pub(super) fn ask(&mut self, position: Position, published: &Position) {
        if self.asking.is_none() {
            let source = Arc::clone(&self.source);
            let asking = async move {
                let at = SystemTime::now();
                Ok((source.binlog_end().await?, at))
            };
            self.asking = Some((position, published.clone(), asking.boxed()));
        }
    }

    /// The stream has more than heartbeats.
    pub(super) fn goes_on(&mut self) {
        self.ahead = None;
    }

    /// The heartbeat's position, if the source has nothing beyond it, and a moment at which that was so; waits for
    /// ever while nothing was asked. Can be dropped and called again.
    pub(super) async fn answer(&mut self) -> Result<Option<(Position, SystemTime)>, ConnectorError> {
        let Some((.., asking)) = &mut self.asking else { return std::future::pending().await };
        let now = asking.await;
        let Some((heartbeat, published, _)) = self.asking.take() else { return Ok(None) };
        match now {
            Ok((now, at)) => {
                if std::mem::take(&mut self.failures) >= FAILURES {
                    self.health.set(Part::Capture, None);
                }
                Ok(self.compare(heartbeat, &published, now)?.map(|position| (position, at)))
            }
            Err(error) => {
                self.failed(&error);
                Ok(None)
            }
        }
    }

    /// The stream goes on, but caches age that nothing is committed to. Where the source is gone, the stream ends as
    /// well and says so itself.
    fn failed(&mut self, error: &ConnectorError) {
        self.failures = self.failures.saturating_add(1);
        if self.failures == FAILURES {
            tracing::warn!(source = %self.source.id(), %error, "it cannot be told whether caches are current");
        }
        if self.failures >= FAILURES {
            let reason = format!("it cannot be told whether caches are current: {error}");
            self.health.set(Part::Capture, Some(reason));
        }
    }

    fn compare(
        &mut self,
        heartbeat: Position,
        published: &Position,
        end: BinlogEnd,
    ) -> Result<Option<Position>, ConnectorError> {
        let BinlogEnd { position: now, resets } = end;
        if !now.covers(&heartbeat) {
            return Err(self.other_binlog(&heartbeat, "its numbers went back", &now));
        }
        if resets.may_have_reset_since(&self.resets) {
            let message = format!("source {}: the server was told to reset something", self.source.id());
            return Err(ConnectorError::new(ErrorKind::Unreachable, message));
        }
        // Equal numbers of another server are other transactions.
        if heartbeat == now {
            if !heartbeat.covers(published) {
                return Err(self.other_binlog(published, "its numbers went back", &now));
            }
            self.ahead = None;
            return Ok(Some(heartbeat));
        }
        match &mut self.ahead {
            Some(ahead) if ahead.heartbeat == heartbeat => {
                ahead.heartbeats += 1;
                if ahead.heartbeats >= HEARTBEATS && ahead.since.elapsed() >= BEHIND {
                    return Err(self.other_binlog(&heartbeat, "the stream does not go on", &now));
                }
            }
            _ => self.ahead = Some(Ahead { heartbeat, since: Instant::now(), heartbeats: 1 }),
        }
        Ok(None)
    }

    fn other_binlog(&self, heartbeat: &Position, what: &str, now: &Position) -> ConnectorError {
        let message = format!(
            "source {}: what is read of its binlog ends at {heartbeat}, the server is at \"{now}\", and {what}: its \
             binlog was reset",
            self.source.id()
        );
        ConnectorError::new(ErrorKind::PositionGone, message)
    }
}

#[cfg(test)]
mod tests {
    use crossweave_contract::{Gtid, SourceId};
    use tokio::sync::watch;

    use super::*;
    use crate::ingest::testing::{FakeServer, numbered};

    fn health() -> Arc<Health> {
        Arc::new(Health::new(watch::Sender::new(0)))
    }

    async fn proof(server: &Arc<FakeServer>, health: Arc<Health>) -> Proof {
        let resets = server.binlog_end().await.unwrap().resets;
        Proof::new(Arc::clone(server) as _, health, resets)
    }

    /// As if time had gone by since the source was seen ahead.
    fn later(proof: &mut Proof) {
        proof.ahead.as_mut().unwrap().since -= BEHIND;
    }

    async fn asked(proof: &mut Proof, sequence: u64) -> Result<Option<Position>, ConnectorError> {
        proof.ask(numbered(sequence), &numbered(sequence));
        let before = SystemTime::now();
        let answer = proof.answer().await?;
        Ok(answer.map(|(position, at)| {
            assert!(before <= at && at <= SystemTime::now());
            position
        }))
    }

    #[tokio::test]
    async fn a_heartbeat_counts_where_the_source_is_and_not_behind_or_before_it() {
        let server = FakeServer::new(SourceId::from("source"));
        (1..10).for_each(|_| server.commit(&[]));
        let mut proof = proof(&server, health()).await;
        assert_eq!(asked(&mut proof, 10).await.unwrap(), Some(numbered(10)));
        let error = asked(&mut proof, 11).await.unwrap_err();
        assert!(error.kind == ErrorKind::PositionGone && error.message.contains("went back"), "{error}");

        // What the source has just committed is on its way.
        server.commit(&[]);
        assert_eq!(asked(&mut proof, 10).await.unwrap(), None);
        assert_eq!(asked(&mut proof, 11).await.unwrap(), Some(numbered(11)));

        // A stream that gives heartbeats only.
        server.commit(&[]);
        for _ in 0..HEARTBEATS {
            assert_eq!(asked(&mut proof, 11).await.unwrap(), None);
        }
        later(&mut proof);
        let error = asked(&mut proof, 11).await.unwrap_err();
        assert!(error.kind == ErrorKind::PositionGone && error.message.contains("does not go on"), "{error}");
    }

    #[tokio::test]
    async fn numbers_that_are_where_they_were_prove_nothing_after_a_reset() {
        let server = FakeServer::new(SourceId::from("source"));
        let mut proof = proof(&server, health()).await;
        assert_eq!(asked(&mut proof, 1).await.unwrap(), Some(numbered(1)));
        server.reset_to(1);
        let error = asked(&mut proof, 1).await.unwrap_err();
        assert!(error.kind == ErrorKind::Unreachable && error.message.contains("reset"), "{error}");
    }

    #[tokio::test]
    async fn a_source_that_is_where_less_was_published_before_went_back() {
        let server = FakeServer::new(SourceId::from("source"));
        server.commit(&[]);
        let mut proof = proof(&server, health()).await;
        proof.ask(numbered(2), &numbered(3));
        let error = proof.answer().await.unwrap_err();
        assert!(error.kind == ErrorKind::PositionGone && error.message.contains("went back"), "{error}");
        // What is published while it is asked does not count.
        proof.ask(numbered(2), &numbered(2));
        server.commit(&[]);
        assert!(proof.answer().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn equal_numbers_of_another_server_prove_nothing() {
        let server = FakeServer::new(SourceId::from("source"));
        let mut proof = proof(&server, health()).await;
        let other = Position::from(Gtid { domain: 0, server: 9, sequence: 1 });
        for _ in 0..HEARTBEATS {
            proof.ask(other.clone(), &other);
            assert!(proof.answer().await.unwrap().is_none());
        }
        later(&mut proof);
        proof.ask(other.clone(), &other);
        assert_eq!(proof.answer().await.unwrap_err().kind, ErrorKind::PositionGone);
    }

    #[tokio::test]
    async fn a_stream_that_goes_on_far_behind_its_source_is_of_its_binlog() {
        let server = FakeServer::new(SourceId::from("source"));
        (1..200).for_each(|_| server.commit(&[]));
        let mut proof = proof(&server, health()).await;
        // Each stands where the source was idle for a while.
        for sequence in 10..10 + 3 * u64::from(HEARTBEATS) {
            assert_eq!(asked(&mut proof, sequence).await.unwrap(), None);
            later(&mut proof);
        }
        // The answers come late, with transactions published meanwhile.
        for _ in 0..3 * HEARTBEATS {
            assert_eq!(asked(&mut proof, 50).await.unwrap(), None);
            later(&mut proof);
            proof.goes_on();
        }
    }

    #[tokio::test]
    async fn a_source_that_does_not_say_where_it_is_is_told_until_it_does() {
        let server = FakeServer::new(SourceId::from("source"));
        let health = health();
        let mut proof = proof(&server, Arc::clone(&health)).await;
        for round in 0..2 {
            server.set_down(true);
            for failures in 1..=2 * FAILURES {
                assert_eq!(asked(&mut proof, 1).await.unwrap(), None);
                let told = health.reason().is_some_and(|reason| reason.contains("connection refused"));
                assert_eq!(told, failures >= FAILURES, "{round}: {failures}");
            }
            server.set_down(false);
            assert_eq!(asked(&mut proof, 1).await.unwrap(), Some(numbered(1)));
            assert_eq!(health.reason(), None);
        }
    }
}
