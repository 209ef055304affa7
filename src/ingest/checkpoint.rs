//! Storing snapshots, off the task that makes them.

use std::sync::Arc;

use crossweave_cache::{PersistError, Saved, ServiceSnapshot};
use tokio::task::JoinHandle;

use super::board::Board;
use super::service::Service;

/// One checkpoint on its way: the service's index, what is stored, and how it went.
type Stored = (usize, Arc<ServiceSnapshot>, Result<Saved, PersistError>);

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
        let due = services.iter().enumerate().filter_map(|(index, service)| {
            let snapshot = service.writer.cache().snapshot()?;
            let stored = service.saved.as_ref().is_some_and(|saved| same_content(saved, &snapshot));
            (!stored).then(|| (index, Arc::clone(&service.store), snapshot))
        });
        let due: Vec<_> = due.collect();
        if due.is_empty() {
            return;
        }
        self.running = Some(tokio::task::spawn_blocking(move || {
            let store =
                |(index, store, snapshot): (usize, Arc<parking_lot::Mutex<_>>, Arc<ServiceSnapshot>)| {
                    let mut store: parking_lot::MutexGuard<'_, crossweave_cache::ServiceStore> = store.lock();
                    let result = store.save(&snapshot);
                    drop(store);
                    (index, snapshot, result)
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
        for (index, snapshot, result) in stored {
            let service = &mut services[index];
            let name = &service.spec.name;
            match result {
                Ok(saved) => {
                    tracing::debug!(service = %name, files = saved.files, bytes = saved.bytes, "checkpoint stored");
                    service.saved = Some(snapshot);
                    board.note_checkpoint(name, None);
                }
                Err(error) => {
                    tracing::error!(service = %name, %error, "the checkpoint cannot be stored; the last one stays");
                    board.note_checkpoint(name, Some(error.to_string()));
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
        && a.log_offset() == b.log_offset()
        && a.tables().count() == b.tables().count()
        && tables.all(|((_, a), (_, b))| Arc::ptr_eq(a, b))
}
