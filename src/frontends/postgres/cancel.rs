//! From a cancel request to the query it means.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use pgwire::api::cancel::CancelHandler;
use pgwire::api::{ClientInfo, PidSecretKeyGenerator, RandomPidSecretKeyGenerator};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::startup::SecretKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One connection's running query.
#[derive(Debug, Default)]
pub(super) struct Slot {
    token: Mutex<CancellationToken>,
    running: watch::Sender<usize>,
}

/// A query that runs: kept until its last row is sent.
pub(super) struct Running {
    /// Ends it.
    pub(super) token: CancellationToken,
    slot: Arc<Slot>,
}

impl Slot {
    /// Notes the query that starts now.
    pub(super) fn start(self: &Arc<Self>) -> Arc<Running> {
        let token = CancellationToken::new();
        *self.token.lock() = token.clone();
        self.running.send_modify(|running| *running += 1);
        Arc::new(Running { token, slot: Arc::clone(self) })
    }

    /// Ends the query that runs, if one does.
    pub(super) fn cancel(&self) {
        self.token.lock().cancel();
    }

    /// Waits until a query runs.
    pub(super) async fn busy(&self) {
        // Cannot fail: the sender is `self`.
        let _ = self.running.subscribe().wait_for(|running| *running > 0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.slot.running.send_modify(|running| *running -= 1);
    }
}

/// The open connections, by process id.
#[derive(Debug, Default)]
pub(super) struct Connections {
    next: AtomicI32,
    open: Mutex<HashMap<i32, (SecretKey, Arc<Slot>)>>,
}

#[async_trait]
impl CancelHandler for Connections {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let slot = match self.open.lock().get(&request.pid) {
            // By value: the request comes on a connection of its own, whose protocol version may be another.
            Some((key, slot)) if key.eq_value(&request.secret_key) => Some(Arc::clone(slot)),
            _ => None,
        };
        if let Some(slot) = slot {
            slot.cancel();
        }
    }
}

/// A connection's entry among the open ones, taken out when the connection ends.
pub(super) struct Registration {
    connections: Arc<Connections>,
    slot: Arc<Slot>,
    pid: i32,
    keys: RandomPidSecretKeyGenerator,
}

impl Registration {
    pub(super) fn new(connections: Arc<Connections>, slot: Arc<Slot>) -> Self {
        let pid = connections.next.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Self { connections, slot, pid, keys: RandomPidSecretKeyGenerator::default() }
    }
}

impl PidSecretKeyGenerator for Registration {
    fn generate(&self, client: &dyn ClientInfo) -> (i32, SecretKey) {
        let (_, key) = self.keys.generate(client);
        self.connections.open.lock().insert(self.pid, (key.clone(), Arc::clone(&self.slot)));
        (self.pid, key)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.open.lock().remove(&self.pid);
        self.slot.cancel();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn finds_the_query_by_its_key_whatever_the_protocol_version_wrote_it_as() {
        let connections = Connections::default();
        let slot = Arc::new(Slot::default());
        connections.open.lock().insert(7, (SecretKey::I32(0x0102_0304), Arc::clone(&slot)));
        let running = slot.start();
        let request =
            |pid, key: &'static [u8]| CancelRequest::new(pid, SecretKey::Bytes(Bytes::from_static(key)));
        connections.on_cancel_request(request(7, &[1, 2, 3, 5])).await;
        connections.on_cancel_request(request(8, &[1, 2, 3, 4])).await;
        assert!(!running.token.is_cancelled(), "another key, another connection");
        connections.on_cancel_request(request(7, &[1, 2, 3, 4])).await;
        assert!(running.token.is_cancelled());
    }
}
