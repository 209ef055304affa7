//! What is wrong with a configuration, and where.
//!
//! Problems are collected and told together, so that one run of `crossweave check` shows all of them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A line of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<PathBuf>,
    /// Counted from 1; `None` for the file as a whole.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The setting, what was expected and what was found. Never holds a secret.
    pub message: String,
    /// What mends it.
    pub hint: Option<String>,
}

impl Problem {
    /// `message` about `place`.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    /// Adds what mends it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the word that was probably meant, or else the words there are.
    #[must_use]
    pub fn with_nearest<'a>(self, found: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Self {
        match crate::catalog::nearest(found, known.clone()) {
            Some(meant) => self.with_hint(format!("did you mean `{meant}`?")),
            None => {
                let mut known: Vec<&str> = known.into_iter().collect();
                known.sort_unstable();
                let more = known.len().saturating_sub(MAX_CANDIDATES);
                known.truncate(MAX_CANDIDATES);
                let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
                self.with_hint(if known.is_empty() {
                    "there are none".to_owned()
                } else {
                    format!("there are {}{rest}", known.join(", "))
                })
            }
        }
    }
}

/// Names that a hint lists at most.
const MAX_CANDIDATES: usize = 20;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

/// A configuration that cannot be used, with everything that is wrong with it, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// What is wrong; not empty.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// The error made of `problems`, in the order of the file.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| a.place.cmp(&b.place));
        problems.dedup();
        Self { problems }
    }

    /// `value`, unless there are problems.
    pub fn unless<T>(problems: Vec<Problem>, value: T) -> Result<T, Self> {
        if problems.is_empty() { Ok(value) } else { Err(Self::new(problems)) }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
