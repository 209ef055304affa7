//! Where in the change log a task stands, and what it reads on from.

use crossweave_contract::{ConnectorError, ErrorKind, LogEnd, LogEntry, LogPlace, LogStart, LogStream};

use super::{SourceTask, TaskState};
use crate::ingest::board::Part;
use crate::ingest::service::Service;

impl TaskState {
    /// The log was read up to `entry`.
    pub(super) fn pass(&mut self, entry: &LogEntry) {
        match (entry, &mut self.place) {
            (LogEntry::Transaction { transaction, offset: Some(offset) }, Some(place)) => {
                if !place.seen.covers(&transaction.previous) {
                    place.seen.merge(&transaction.previous);
                }
                place.seen.advance(transaction.gtid);
                place.offset = *offset;
            }
            (LogEntry::Transaction { transaction, offset: Some(offset) }, None) => {
                self.place = Some(LogPlace { offset: *offset, seen: transaction.position() });
            }
            (LogEntry::Heartbeat { position, .. }, Some(place)) => place.seen.merge(position),
            (LogEntry::StartsOver { position, offset: Some(offset) }, _) => {
                self.place = Some(LogPlace { offset: *offset, seen: position.clone() });
            }
            // The direct log has no places.
            _ => {}
        }
    }
}

impl SourceTask {
    /// Reads the log on from where the services stand.
    pub(super) async fn subscribe(&mut self) -> Result<LogStream, ConnectorError> {
        let end = self.log.end(self.source.id()).await?.as_ref().map(LogEnd::place);
        let start = self.start();
        let subscribed = self.log.subscribe(self.source.id(), start.clone()).await;
        match subscribed {
            Err(error) if error.kind == ErrorKind::PositionGone && start != LogStart::Oldest => {
                self.place_gone(&error, end);
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
        // What a log of one process has comes after it was subscribed to, whatever was read of another one before.
        if !self.log.stays() {
            return LogStart::Oldest;
        }
        let places = self.services.iter().filter_map(Service::place);
        let first = places.min_by_key(|place| place.as_ref().map(|place| place.offset));
        // Whoever is loaded later stands where the views of later do.
        first.unwrap_or_else(|| self.state.place.clone()).map_or(LogStart::Oldest, LogStart::After)
    }

    /// The log does not lead on from where the services stand; it ends at `end`.
    fn place_gone(&mut self, error: &ConnectorError, end: Option<LogPlace>) {
        let reason = format!("the change log does not lead on from its checkpoint: {error}");
        self.services.iter_mut().for_each(|service| service.start_over(&reason));
        (self.state.load, self.state.place) = (None, end);
    }
}
