//! The one way to try again: waits that double up to a bound, with jitter, so that many who failed together do
//! not come back together.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

/// How long to wait before the next try.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits from `first` to `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The next wait, within a fifth of its length either way.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait.mul_f64(rand::rng().random_range(0.8..1.2))
    }

    /// Something succeeded: begins with the shortest wait again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Waits for `instant`; for ever if there is none.
pub(super) async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_bound_and_begins_again() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 4 * second);
        for expected in [1, 2, 4, 4] {
            let wait = backoff.wait();
            assert!(
                wait >= second.mul_f64(0.8) * expected && wait <= second.mul_f64(1.2) * expected,
                "{wait:?}"
            );
        }
        backoff.reset();
        assert!(backoff.wait() <= second.mul_f64(1.2));
    }
}
