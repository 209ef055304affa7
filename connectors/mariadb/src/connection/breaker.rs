//! The circuit breaker of one server: while it does not answer, whoever asks is told so at once.
//!
//! It opens when several attempts in a row found nobody or had no answer in time. Then one attempt at a time is made,
//! at growing intervals, by a task of its own or by whoever asks just then; the first that succeeds closes it. A
//! refusal by the server (a wrong password, too many connections) is an answer. An account that may not log in is not tried
//! again for a moment, for the server may count how often it was, and lock it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossweave_contract::{Circuit, ConnectorError, ErrorKind, Result};
use tokio::time::Instant;

use super::Endpoint;

/// So many failures in a row open it.
const FAILURES: u32 = 5;

/// Time until the first attempt after it was opened.
const FIRST_PROBE: Duration = Duration::from_secs(1);

/// Most time between attempts.
const MAX_BETWEEN: Duration = Duration::from_secs(15);

/// Time from a login that was refused to the next.
const BETWEEN_LOGINS: Duration = Duration::from_secs(1);

/// Counts what fails.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open: Option<Open>,
    /// If the account may not log in.
    denied: Option<Denied>,
}

#[derive(Debug)]
struct Denied {
    /// How the last attempt was refused.
    error: ConnectorError,
    /// When the next may be made.
    again_at: Instant,
}

#[derive(Debug)]
struct Open {
    reason: String,
    probe_at: Instant,
    between: Duration,
    /// Somebody tries it just now.
    probing: bool,
}

impl Breaker {
    /// Whether the server may be asked: an error while it is open, but for the one whose turn it is to try.
    pub(super) fn admit<'b>(&'b self, endpoint: &Endpoint) -> Result<Attempt<'b>> {
        let mut state = self.state();
        let failures = state.failures;
        let Some(open) = &mut state.open else { return Ok(self.attempt(false)) };
        let now = Instant::now();
        if !open.probing && open.probe_at <= now {
            open.probing = true;
            return Ok(self.attempt(true));
        }
        let next = match open.probing {
            true => "it is being tried now".to_owned(),
            false => format!("it is tried again in {:.1} s", (open.probe_at - now).as_secs_f64()),
        };
        let message = format!(
            "{endpoint}: not asked, for it did not answer {failures} times in a row; {next}. The last failure: {}",
            open.reason
        );
        Err(ConnectorError::new(ErrorKind::Unreachable, message).with_fix(
            "Check that the server runs and can be reached; it is asked again by itself once it answers",
        ))
    }

    /// An attempt that is made whatever it says.
    pub(super) fn attempt(&self, probe: bool) -> Attempt<'_> {
        Attempt { breaker: self, probe, ended: false }
    }

    /// As it stands.
    pub(super) fn circuit(&self) -> Circuit {
        let state = self.state();
        match &state.open {
            None => Circuit::Closed,
            Some(open) => Circuit::Open {
                failures: state.failures,
                reason: open.reason.clone(),
                probe_in: open.probe_at.saturating_duration_since(Instant::now()),
            },
        }
    }

    /// Why the account may not log in, if the last attempt was refused for that.
    pub(super) fn denied(&self) -> Option<String> {
        self.state().denied.as_ref().map(|denied| denied.error.message.clone())
    }

    /// Whether a login may be tried: an error where one was refused just now. Of those that wait for the next one tries.
    pub(super) fn admit_login(&self) -> Result<()> {
        let mut state = self.state();
        let Some(denied) = &mut state.denied else { return Ok(()) };
        let now = Instant::now();
        let wait = denied.again_at.saturating_duration_since(now);
        if wait.is_zero() {
            denied.again_at = now + BETWEEN_LOGINS;
            return Ok(());
        }
        let mut error = denied.error.clone();
        error.message.push_str(&format!("; it is tried again in {:.1} s", wait.as_secs_f64()));
        Err(error)
    }

    /// When it is to be tried next; `None` while it is closed.
    pub(super) fn probe_at(&self) -> Option<Instant> {
        self.state().open.as_ref().map(|open| open.probe_at)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One attempt to reach the server. Dropped without an outcome, it says nothing of the server.
#[derive(Debug)]
pub(super) struct Attempt<'b> {
    breaker: &'b Breaker,
    /// It is the one that tries an open breaker.
    probe: bool,
    ended: bool,
}

/// What an attempt did to the breaker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turned {
    Opened,
    Closed,
    /// The account may not log in any more.
    Denied,
    /// It may again.
    Accepted,
    Nothing,
}

impl Attempt<'_> {
    /// Counts the outcome of a login.
    pub(super) fn ended<T>(self, outcome: &Result<T>) -> Turned {
        self.end(outcome.as_ref().err(), true)
    }

    /// Counts an answer over a connection that is there already: it says nothing of the next login.
    pub(super) fn answered(self) -> Turned {
        self.end(None, false)
    }

    fn end(mut self, error: Option<&ConnectorError>, is_login: bool) -> Turned {
        self.ended = true;
        let probe = self.probe;
        let mut state = self.breaker.state();
        let Some(error) = error.filter(|error| error.kind == ErrorKind::Unreachable) else {
            state.failures = 0;
            let was_open = state.open.take().is_some();
            let was_denied = state.denied.is_some();
            match error {
                None if is_login => state.denied = None,
                Some(error) if error.kind == ErrorKind::Denied => {
                    let again_at = Instant::now() + BETWEEN_LOGINS;
                    state.denied = Some(Denied { error: error.clone(), again_at });
                }
                _ => {}
            }
            return match (was_denied, state.denied.is_some()) {
                (false, true) => Turned::Denied,
                _ if was_open => Turned::Closed,
                (true, false) => Turned::Accepted,
                _ => Turned::Nothing,
            };
        };
        state.failures = state.failures.saturating_add(1);
        let failures = state.failures;
        match &mut state.open {
            Some(open) => {
                // An attempt that began before it was opened does not put the next one off.
                if probe {
                    open.probing = false;
                    open.between = (open.between * 2).min(MAX_BETWEEN);
                    open.probe_at = Instant::now() + open.between;
                }
                open.reason = error.message.clone();
                Turned::Nothing
            }
            None if failures >= FAILURES => {
                let (reason, between) = (error.message.clone(), FIRST_PROBE);
                state.open = Some(Open { reason, probe_at: Instant::now() + between, between, probing: false });
                Turned::Opened
            }
            None => Turned::Nothing,
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.ended || !self.probe {
            return;
        }
        if let Some(open) = &mut self.breaker.state().open {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::offline;

    fn fails() -> Result<()> {
        Err(ConnectorError::new(ErrorKind::Unreachable, "connection refused"))
    }

    #[tokio::test]
    async fn opens_after_failures_in_a_row_lets_one_try_and_closes() {
        let (breaker, endpoint) = (Breaker::default(), Endpoint::of(&offline()));
        for _ in 1..FAILURES {
            assert_eq!(breaker.admit(&endpoint).unwrap().ended(&fails()), Turned::Nothing);
        }
        // An answer, whatever it says, begins the count anew.
        let denied: Result<()> = Err(ConnectorError::new(ErrorKind::Denied, "wrong password"));
        assert_eq!(breaker.admit(&endpoint).unwrap().ended(&denied), Turned::Denied);
        assert_eq!(breaker.admit(&endpoint).unwrap().ended(&denied), Turned::Nothing);
        assert_eq!(breaker.denied().as_deref(), Some("wrong password"));
        let error = breaker.admit_login().unwrap_err();
        assert!(error.message.starts_with("wrong password; it is tried again in "), "{error}");
        tokio::time::sleep(BETWEEN_LOGINS).await;
        breaker.admit_login().unwrap();
        breaker.admit_login().expect_err("one of those that waited tries it");
        // What was open before goes on, whoever may log in.
        assert_eq!(breaker.admit(&endpoint).unwrap().answered(), Turned::Nothing);
        assert_eq!(breaker.denied().as_deref(), Some("wrong password"));
        assert_eq!(breaker.admit(&endpoint).unwrap().ended(&Ok(())), Turned::Accepted);
        assert_eq!(breaker.denied(), None);
        for _ in 1..FAILURES {
            assert_eq!(breaker.admit(&endpoint).unwrap().ended(&fails()), Turned::Nothing);
        }
        assert_eq!(breaker.admit(&endpoint).unwrap().ended(&fails()), Turned::Opened);
        let error = breaker.admit(&endpoint).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable);
        let text = error.to_string();
        assert!(text.contains("tried again in") && text.contains("connection refused"), "{text}");

        tokio::time::sleep_until(breaker.probe_at().unwrap()).await;
        let probe = breaker.admit(&endpoint).unwrap();
        assert!(breaker.admit(&endpoint).unwrap_err().to_string().contains("being tried"));
        // Whoever tries it may leave; then the next one does.
        drop(probe);
        let probe = breaker.admit(&endpoint).unwrap();
        assert_eq!(probe.ended(&fails()), Turned::Nothing);
        let Circuit::Open { failures, probe_in, .. } = breaker.circuit() else { panic!("it is open") };
        assert!(failures == FAILURES + 1 && probe_in > FIRST_PROBE, "{probe_in:?}");

        tokio::time::sleep_until(breaker.probe_at().unwrap()).await;
        assert_eq!(breaker.admit(&endpoint).unwrap().ended(&Ok(())), Turned::Closed);
        assert_eq!(breaker.circuit(), Circuit::Closed);
        drop(breaker.admit(&endpoint).unwrap());
    }
}
