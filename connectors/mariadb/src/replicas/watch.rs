//! Looking at all servers of a source, as long as there is one: each by a task of its own, so that one that does not
//! answer does not keep the others from being known.
//!
//! What does it cost? Four short statements a second on each server at the default bound, at most ten and at least one in
//! five seconds at others; one that does not answer is asked less often.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Inner, Servers, look};

/// A replica is looked at so often within the time by which it may be behind: what is found is then well within it.
const LOOKS_WITHIN_BOUND: u32 = 4;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Looks at the servers until they are dropped.
pub(super) fn start(servers: &Arc<Inner>) {
    tokio::spawn(over(Arc::downgrade(servers), None));
    for at in 0..servers.replicas.len() {
        tokio::spawn(over(Arc::downgrade(servers), Some(at)));
    }
}

/// Looks at one server, the primary or the replica at `at`.
async fn over(servers: Weak<Inner>, at: Option<usize>) {
    let Some(bound) = servers.upgrade().map(|servers| servers.bound) else { return };
    let interval = (bound / LOOKS_WITHIN_BOUND).clamp(SHORTEST, LONGEST);
    let mut pause = interval;
    loop {
        let Some(servers) = servers.upgrade().map(Servers) else { return };
        let answered = match at {
            None => at_primary(&servers).await,
            Some(at) => at_replica(&servers, at).await,
        };
        drop(servers);
        pause = if answered { interval } else { (pause * 2).min(LONGEST) };
        tokio::time::sleep(pause).await;
    }
}

async fn at_primary(servers: &Servers) -> bool {
    let asked = Instant::now();
    let silent = match look::primary(&servers.0.primary).await {
        Ok(Some(place)) => {
            let mut state = servers.primary_state();
            servers.0.replicas.iter().for_each(|replica| replica.compare(&place, asked));
            state.history.note(place.position.clone(), asked);
            state.place = Some((place, asked));
            state.silent = None;
            return true;
        }
        Ok(None) => {
            "the primary has no binlog (log_bin is OFF), so that nobody can say what a replica lacks".to_owned()
        }
        Err(error) => error.message,
    };
    servers.primary_state().silent = Some(silent);
    false
}

async fn at_replica(servers: &Servers, at: usize) -> bool {
    let replica = &servers.0.replicas[at];
    let outcome = look::replica(&replica.pool).await;
    let answered = outcome.is_ok();
    match outcome {
        Ok(found) => {
            let state = servers.primary_state();
            replica.found(found, Instant::now(), state.place.as_ref());
        }
        Err(error) => replica.failed(error.message),
    }
    let fitness = {
        let state = servers.primary_state();
        // It will be held against what the primary says in a moment.
        if answered && !replica.is_compared() && state.silent.is_none() {
            return true;
        }
        servers.fitness(&state, replica, Instant::now())
    };
    if replica.turned(fitness.is_ok()) {
        match fitness {
            Ok(age) => tracing::info!(replica = %replica.server(), ?age, "queries may read the replica"),
            Err(unfit) => {
                let reason = unfit.reason();
                tracing::warn!(replica = %replica.server(), reason, "queries do not read the replica");
            }
        }
    }
    answered
}
