//! What failed, as every command tells it: what happened, more of it, what mends it.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::server::StartError;

/// A failed command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    primary: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure that says `primary`.
    pub(super) fn new(primary: impl Into<String>) -> Self {
        Self { primary: primary.into(), detail: None, hint: None }
    }

    /// Adds more of what happened.
    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what mends it.
    pub(super) fn with_hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.primary)?;
        for (label, text) in [("detail", &self.detail), ("hint", &self.hint)] {
            if let Some(text) = text {
                write!(f, "\n  {label}: {}", text.replace('\n', "\n    "))?;
            }
        }
        Ok(())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let count = error.problems.len();
        let things = if count == 1 { "one thing is".to_owned() } else { format!("{count} things are") };
        Self::new(format!("the configuration cannot be used: {things} wrong with it\n{error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => error.into(),
            other => Self::new(other.to_string()).with_hint(other.hint()),
        }
    }
}

/// Writes `failure` to standard error; gives the exit status.
pub(super) fn tell(failure: &Failure) -> ExitCode {
    // Where even that cannot be written, the status still says it.
    let _ = writeln!(std::io::stderr(), "{failure}");
    ExitCode::FAILURE
}

/// Writes `text` to standard output. A reader that has left (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("the answer cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_happened_more_of_it_and_what_mends_it() {
        let failure = Failure::new("no answer").with_detail("a\nb").with_hint(Some("start it"));
        assert_eq!(failure.to_string(), "error: no answer\n  detail: a\n    b\n  hint: start it");
        assert_eq!(Failure::new("x").with_hint(None::<String>).to_string(), "error: x");
    }
}
