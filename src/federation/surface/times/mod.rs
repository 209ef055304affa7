//! Days, moments, times of day and intervals.
//!
//! `time` reads and writes a TIME, `clock` lets it meet texts and numbers, `parts` takes its parts; `moments` are of microseconds, made
//! of numbers and texts by `stamps`, and put into `bins`; intervals are compared by their `lengths`, have `multiples`, and
//! are `steps` from a day to another or to a moment.

pub(super) mod bins;
pub(super) mod clock;
pub(super) mod lengths;
#[cfg(test)]
mod lengths_tests;
pub(super) mod moments;
pub(super) mod multiples;
pub(super) mod parts;
pub(super) mod stamps;
pub(super) mod steps;
pub(super) mod time;
