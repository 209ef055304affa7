//! Giving way: a view that makes others wait is ended (I9).
//!
//! A transaction that has read from a table keeps the table's definition as it is. An ALTER of the owner then
//! waits for it, and every later statement on that table waits behind the ALTER. So while a view is open, each
//! table it has read from is asked for at short intervals, with a statement that may not wait for a lock: when that
//! statement is refused, somebody waits for us, and the view ends at once. This takes no right beyond SELECT.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::connection::Pool;
use crate::identifiers::TableRef;

/// How often the tables are asked for; others wait about so long at most.
const EVERY: Duration = Duration::from_millis(400);

/// Watches over the tables of one view until it is dropped.
pub(super) struct Watch {
    pools: Pools,
    touched: Touched,
    in_the_way: CancellationToken,
    _stop: DropGuard,
}

/// Database and table of what the view has read from.
type Touched = Arc<Mutex<BTreeSet<(String, String)>>>;

/// The servers that the view is on: one, and another one if a connection was replaced there.
type Pools = Arc<Mutex<Vec<Pool>>>;

impl Watch {
    pub(super) fn start(pool: Pool) -> Self {
        let (touched, in_the_way, stop) =
            (Touched::default(), CancellationToken::new(), CancellationToken::new());
        let pools = Arc::new(Mutex::new(vec![pool]));
        let watching = watch(Arc::clone(&pools), Arc::clone(&touched), in_the_way.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
        Self { pools, touched, in_the_way, _stop: stop.drop_guard() }
    }

    /// Says that the view reads from `table` from now on.
    pub(super) fn touch(&self, table: TableRef<'_>) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.insert((table.database.to_owned(), table.table.to_owned()));
    }

    /// Says that the view is on the server of `pool` as well from now on.
    pub(super) fn also(&self, pool: &Pool) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if !pools.iter().any(|other| other.endpoint() == pool.endpoint()) {
            pools.push(pool.clone());
        }
    }

    /// Cancelled once somebody waits for the view.
    pub(super) fn in_the_way(&self) -> CancellationToken {
        self.in_the_way.clone()
    }
}

async fn watch(pools: Pools, touched: Touched, in_the_way: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let tables = touched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pools = pools.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tables: Vec<TableRef<'_>> =
            tables.iter().map(|(database, table)| TableRef { database, table }).collect();
        if tables.is_empty() {
            continue;
        }
        for pool in &pools {
            match pool.is_waited_for(&tables).await {
                Ok(false) => {}
                Ok(true) => {
                    let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
                    let tables = tables.join(", ");
                    tracing::info!(tables, "a view gives way to a statement that waits for a lock");
                    in_the_way.cancel();
                    return;
                }
                // Whether the server is there, the view's own statements tell.
                Err(error) => tracing::debug!(%error, "a view cannot see whether others wait for it"),
            }
        }
    }
}
