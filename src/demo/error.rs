//! What can go wrong in the demo and in the test harness, each with what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The result of the demo's functions.
pub type Result<T> = std::result::Result<T, DemoError>;

/// Everything that ends the demo early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A program or library that the demo runs is not there.
    #[error("{part} was not found (looked at: {looked}). {fix}")]
    MissingPart {
        /// What is missing.
        part: &'static str,
        /// Where it was looked for.
        looked: String,
        /// How to get it.
        fix: &'static str,
    },
    /// The system refused a file, a folder or a process.
    #[error("could not {action}: {source}")]
    Io {
        /// What was tried, as an infinitive.
        action: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server ended while it was needed.
    #[error("{name} ended with {status}. The end of its log ({log}):\n{tail}")]
    Died {
        /// Which one.
        name: String,
        /// Its exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A server did not get ready in time.
    #[error("{name} was not ready after {waited:.1?}: {last}. The end of its log ({log}):\n{tail}")]
    NotReady {
        /// Which one.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// What the last attempt said.
        last: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A process that was told to end did not.
    #[error(
        "{name} was still running {waited:.1?} after it was told to end. The end of its log ({log}):\n{tail}"
    )]
    StillRunning {
        /// Which one.
        name: String,
        /// How long was waited.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// No port was free.
    #[error("no port between {from} and {to} is free on 127.0.0.1; stop what listens there")]
    NoFreePort {
        /// First port tried.
        from: u32,
        /// First port not tried.
        to: u32,
    },
    /// MariaDB refused a statement of the demo's own.
    #[error("MariaDB refused to {action}: {source}")]
    Sql {
        /// What was tried, as an infinitive.
        action: String,
        /// What MariaDB said.
        source: mysql_async::Error,
    },
    /// Crossweave answered with an error, or with something else than was asked for.
    #[error("asking Crossweave {action} failed: {detail}")]
    Answer {
        /// What was asked.
        action: String,
        /// What came back.
        detail: String,
    },
    /// Two routes gave different rows.
    #[error("the {left} and the {right} answers to \"{question}\" differ: {detail}")]
    Different {
        /// The question's title.
        question: &'static str,
        /// One route.
        left: &'static str,
        /// The other.
        right: &'static str,
        /// The first difference.
        detail: String,
    },
}

impl DemoError {
    /// An I/O error with what was tried, as an infinitive ("create the folder x").
    pub fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }

    /// MariaDB's error with what was tried, as an infinitive.
    pub fn sql(action: impl Into<String>, source: impl Into<mysql_async::Error>) -> Self {
        Self::Sql { action: action.into(), source: source.into() }
    }
}
