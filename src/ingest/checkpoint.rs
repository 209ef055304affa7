//! Storing snapshots, off the task that makes them.

use std::sync::Arc;

use crossweave_cache::{PersistError, Saved, ServiceSnapshot, ServiceStore};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::board::Board;
use super::service::Service;

/// One checkpoint on its way: the service's index, in which of its histories, what is stored, and how it went.
type Stored = (usize, u64, Arc<ServiceSnapshot>, Result<Saved, PersistError>);
/// One that is to be stored.
type Due = (usize, u64, Arc<Mutex<ServiceStore>>, Arc<ServiceSnapshot>);

/// Stores one source's services, one checkpoint at a time.
#[derive(Default)]
pub(super) struct Checkpoints {
    running: Option<JoinHandle<Vec<Stored>>>,
}

impl Checkpoints {
    /// Starts to store what is new, unless the last checkpoint is still on its way.
    pub(super) fn start(&mut self, services: &[Service]) {
        if self.running.is_some() {
            return;
        }
        let current = services.iter().enumerate().filter(|(_, service)| !service.shows_history_of_before());
        let due = current.filter_map(|(index, service)| {
            let snapshot = service.writer.cache().snapshot()?;
            let stored = service.saved.as_ref().is_some_and(|saved| same_content(saved, &snapshot));
            (!stored).then(|| (index, service.history(), Arc::clone(&service.store), snapshot))
        });
        let due: Vec<Due> = due.collect();
        if due.is_empty() {
            return;
        }
        self.running = Some(tokio::task::spawn_blocking(move || {
            let store = |(index, history, store, snapshot): Due| {
                let result = store.lock().save(&snapshot);
                (index, history, snapshot, result)
            };
            due.into_iter().map(store).collect()
        }));
    }

    /// Waits for the checkpoint that is on its way; for ever if there is none. Can be dropped and called again.
    pub(super) async fn finish(&mut self, services: &mut [Service], board: &Board) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let stored = running.await;
        self.running = None;
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(%error, "storing a checkpoint ended before its time");
                return;
            }
        };
        for (index, history, snapshot, result) in stored {
            let service = &mut services[index];
            let name = service.spec.name.clone();
            match result {
                Ok(_) if history != service.history() => service.forget_checkpoint(),
                Ok(saved) => {
                    tracing::debug!(service = %name, files = saved.files, bytes = saved.bytes, "checkpoint stored");
                    service.stored(snapshot);
                    board.note_checkpoint(&name, None);
                }
                Err(error) => {
                    tracing::error!(service = %name, %error, "the checkpoint cannot be stored; the last one stays");
                    board.note_checkpoint(&name, Some(error.to_string()));
                }
            }
        }
    }

    /// Stores what is new, and returns when that is done.
    pub(super) async fn flush(&mut self, services: &mut [Service], board: &Board) {
        if self.running.is_some() {
            self.finish(services, board).await;
        }
        self.start(services);
        if self.running.is_some() {
            self.finish(services, board).await;
        }
    }
}

fn same_content(a: &ServiceSnapshot, b: &ServiceSnapshot) -> bool {
    let mut tables = a.tables().zip(b.tables());
    a.position() == b.position()
        && a.log_place() == b.log_place()
        && a.tables().count() == b.tables().count()
        && tables.all(|((_, a), (_, b))| Arc::ptr_eq(a, b))
}
