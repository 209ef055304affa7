//! The one way to try again: waits that double up to a bound, with jitter, so that many who failed together do
//! not come back together. And how soon a table may be read once more that was read a moment ago.

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

/// How many times as long as it took to read a table its source is left alone before it is read again, and at most how
/// long.
const REST: u32 = 4;
const LONGEST_REST: Duration = Duration::from_secs(600);
/// After how long without a need for another load it is forgotten that there were several.
const QUIET: Duration = Duration::from_secs(600);

/// When a table may be loaded again. What makes it out of date may do so with every transaction (rows that the binlog lacks,
/// statements instead of rows): loads back to back would read it without end.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    due: Instant,
}

impl Pace {
    /// Of a table that was loaded for the first time: it may be loaded again at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { backoff: Backoff::new(Duration::from_millis(500), Duration::from_secs(60)), due: now }
    }

    /// It was loaded once more, by a load that `began` then and ends now; reading it `took` so long.
    pub(super) fn loaded(&mut self, began: Instant, now: Instant, took: Duration) {
        if began.saturating_duration_since(self.due) > QUIET {
            *self = Self::new(now);
        } else {
            self.due = now + self.backoff.wait().max((REST * took).min(LONGEST_REST));
        }
    }

    /// From when on.
    pub(super) fn due(&self) -> Instant {
        self.due
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

    #[test]
    fn a_table_that_is_loaded_again_and_again_is_loaded_ever_more_rarely() {
        let (second, mut now) = (Duration::from_secs(1), Instant::now());
        let mut pace = Pace::new(now);
        assert_eq!(pace.due(), now);
        for longest in [1, 2, 4, 8] {
            let began = pace.due();
            now = began + second / 100;
            pace.loaded(began, now, second / 100);
            assert!(pace.due() > now && pace.due() < now + longest * second, "{longest}");
        }
        let began = pace.due();
        now = began + 60 * second;
        pace.loaded(began, now, 60 * second);
        assert_eq!(pace.due(), now + 240 * second);
        let began = pace.due();
        now = began + 3600 * second;
        pace.loaded(began, now, 3600 * second);
        assert_eq!(pace.due(), now + LONGEST_REST);
        let began = pace.due() + 2 * QUIET;
        now = began + second;
        pace.loaded(began, now, second);
        assert_eq!(pace.due(), now, "it was not needed for long");
    }
}
