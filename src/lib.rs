//! Crossweave.
