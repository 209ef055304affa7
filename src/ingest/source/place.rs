//! Where in the change log a source's services stand, and whether it leads on from there.
//!
//! **How is a log told from another one of its name?** Every place says which log it is in. A topic that was deleted and
//! made anew is another log, however far it has come: what is between the old one's end and the new one's beginning was
//! handed over by neither.

use crossweave_contract::{ConnectorError, ErrorKind, LogEnd, LogEntry, LogPlace, LogStart, LogStream};

use super::{SourceTask, TaskState};
use crate::ingest::board::Part;
use crate::ingest::service::Service;

impl TaskState {
    /// The log was read up to `entry`, perhaps not for the first time.
    pub(super) fn pass(&mut self, entry: &LogEntry) {
        let is_new = |place: &LogPlace| !self.place.is_some_and(|own| own.covers(place));
        self.place = entry.place().filter(is_new).or(self.place);
    }
}

impl SourceTask {
    pub(super) async fn subscribe(&mut self) -> Result<LogStream, ConnectorError> {
        let end = self.log.end(self.source.id()).await?;
        self.leave_other_logs(end.as_ref());
        let start = self.start();
        let subscribed = self.log.subscribe(self.source.id(), start).await;
        match subscribed {
            Err(error) if error.kind == ErrorKind::PositionGone && start != LogStart::Oldest => {
                let reason = format!("the change log no longer has what follows its checkpoint: {error}");
                self.services.iter_mut().for_each(|service| service.start_over(&reason));
                (self.state.load, self.state.place) = (None, end.map(|end| end.place));
                Err(error)
            }
            Err(error) => Err(error),
            Ok(stream) => {
                self.health.set(Part::Log, None);
                Ok(stream)
            }
        }
    }

    /// Where in the log all services are served from.
    fn start(&self) -> LogStart {
        if !self.log.stays() {
            return LogStart::Oldest;
        }
        let places = self.services.iter().filter_map(Service::place);
        let first = places.min_by_key(|place| place.map(|place| place.offset));
        // Whoever is loaded later stands where the views of later do.
        first.unwrap_or(self.state.place).map_or(LogStart::Oldest, LogStart::After)
    }

    /// Loads anew what has its place in another log than the one that ends at `end`: a topic that was deleted, or that of
    /// another prefix or cluster. So does what stands past its end. What that one had, and this one has not, nobody could tell.
    pub(super) fn leave_other_logs(&mut self, end: Option<&LogEnd>) {
        if !self.log.stays() {
            return;
        }
        // One who reads what is committed is never past the end, unless the log has lost it.
        let is_here = |place: &LogPlace| end.is_some_and(|end| end.place.covers(place));
        let is_another = self.state.place.is_some_and(|place| !is_here(&place));
        for service in &mut self.services {
            let leaves = match service.place() {
                None => false,
                Some(None) => is_another,
                Some(Some(place)) => !is_here(&place),
            };
            if leaves {
                service.start_over("the change log is another one than it has read, or has lost its end");
            }
        }
        if is_another || self.state.place.is_none() {
            self.state.place = end.map(|end| end.place);
        }
        self.leave_load();
    }

    /// Loads anew what was stored without a place in the log, unless it has all that the log has. Heartbeats say that all
    /// up to them was handed over, which is not so for one who does not know what it has read.
    pub(super) fn leave_unknown_places(&mut self, end: Option<&LogEnd>) {
        let Some(end) = end else { return };
        for service in &mut self.services {
            let position = service.writer.position().filter(|_| service.writer.log_place().is_none());
            if position.is_some_and(|position| !position.covers(&end.position)) {
                service.start_over("it is not known what it has read of the change log");
            }
        }
    }
}
