//! Where the primary was, and when: what the age of a replica is measured by.
//!
//! Why is no clock of a server trusted? An age is between two moments of this process: the one before the primary was
//! asked where it is, and now. All that it had shown to anybody by then is in its answer, for a transaction is in the
//! binlog before it can be seen. So a server that has applied the answer shows nothing older.

use std::collections::VecDeque;
use std::time::Duration;

use crossweave_contract::Position;
use tokio::time::Instant;

/// Positions that are kept. A replica that lacks the oldest of them is too old, it is not said by how much.
const MOST: usize = 256;

/// Positions of the primary in the order in which it came to them, each with when it was last asked and was there.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<(Position, Instant)>);

impl History {
    /// Takes in that the primary, asked at `asked`, was at `position`.
    pub(super) fn note(&mut self, position: Position, asked: Instant) {
        match self.0.back_mut() {
            Some((last, at)) if *last == position => *at = (*at).max(asked),
            Some((last, _)) if !position.covers(last) => {
                // It was reset, or another server answers: nothing that was before says anything any more.
                self.0.clear();
                self.0.push_back((position, asked));
            }
            _ => self.0.push_back((position, asked)),
        }
        if self.0.len() > MOST {
            self.0.pop_front();
        }
    }

    /// Where the primary was last, and when it was asked.
    pub(super) fn last(&self) -> Option<&(Position, Instant)> {
        self.0.back()
    }

    /// How old at most is what a server shows at `now` that has `applied`; `None` where nothing of it can be said.
    pub(super) fn age(&self, applied: &Position, now: Instant) -> Option<Duration> {
        let (_, asked) = self.0.iter().rev().find(|(position, _)| applied.covers(position))?;
        Some(now.saturating_duration_since(*asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[test]
    fn the_age_is_that_of_the_last_position_that_was_applied() {
        let (mut history, start) = (History::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(history.age(&position("0-1-9"), start), None, "nothing is known yet");
        for (at, text) in [(0, "0-1-1"), (1, "0-1-5"), (2, "0-1-5"), (3, "0-1-8,1-1-2")] {
            history.note(position(text), after(at));
        }
        let age = |text: &str| history.age(&position(text), after(10)).map(|age| age.as_secs());
        assert_eq!(age("0-1-8,1-1-2"), Some(7));
        assert_eq!(age("0-2-9,1-1-3,7-7-7"), Some(7), "a domain of its own does not matter");
        assert_eq!(age("0-1-8"), Some(8), "the other domain is not there, so it is as of when it was idle");
        assert_eq!(age("0-1-5"), Some(8));
        assert_eq!(age("0-1-4"), Some(10));
        assert_eq!((age("1-1-2"), age("")), (None, None));
    }

    #[test]
    fn a_reset_forgets_what_was_before_and_memory_is_bounded() {
        let (mut history, now) = (History::default(), Instant::now());
        for sequence in 1..2_000 {
            history.note(position(&format!("0-1-{sequence}")), now);
        }
        assert_eq!(history.0.len(), MOST);
        assert_eq!(history.age(&position("0-1-3"), now), None);
        history.note(position("0-1-2"), now);
        assert_eq!(history.0.len(), 1);
        assert_eq!(history.age(&position("0-1-3"), now), Some(Duration::ZERO));
    }
}
