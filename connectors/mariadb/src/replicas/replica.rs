//! One replica: its connections, and what was last found of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossweave_contract::{Circuit, Position};
use tokio::time::Instant;

use super::look::{Found, Place, Told};
use crate::SourceOptions;
use crate::connection::Pool;
use crate::view::LastPlace;

/// How long one that defined a table otherwise than the primary is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(10);

pub(super) struct Replica {
    pub(super) pool: Pool,
    pub(super) last_place: LastPlace,
    /// Views that were opened on it.
    pub(super) views: AtomicU64,
    /// When it was chosen last.
    pub(super) turn: AtomicU64,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    found: Option<(Found, Instant)>,
    /// Why it could not be looked at, or not be read.
    failure: Option<String>,
    /// What it has and the primary has not.
    beyond: Option<String>,
    /// What differs from the primary, and until when that counts.
    differs: Option<(String, Instant)>,
    /// What was last said of it.
    said: Option<bool>,
}

impl Replica {
    pub(super) fn new(options: SourceOptions) -> Self {
        Self {
            pool: Pool::new(options),
            last_place: LastPlace::default(),
            views: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            standing: Mutex::default(),
        }
    }

    pub(super) fn server(&self) -> String {
        self.pool.endpoint().server()
    }

    /// What it had applied when it was last looked at; why it must not be read, whatever that is.
    pub(super) fn usable(&self, now: Instant) -> Result<Position, String> {
        let standing = self.standing();
        if let Some((reason, _)) = standing.differs.as_ref().filter(|(_, until)| now < *until) {
            return Err(reason.clone());
        }
        if let Some(reason) = &standing.failure {
            return Err(reason.clone());
        }
        let Some((found, _)) = &standing.found else { return Err("it was not looked at yet".to_owned()) };
        if found.applied.is_origin() {
            return Err("it has replicated nothing: its gtid_slave_pos is empty".to_owned());
        }
        if let Some(reason) = &standing.beyond {
            return Err(reason.clone());
        }
        if let Some(filters) = &found.filters {
            return Err(format!("it replicates only a part of the primary: {filters}"));
        }
        match self.pool.circuit() {
            Circuit::Closed => Ok(found.applied.clone()),
            Circuit::Open { reason, .. } => Err(reason),
        }
    }

    /// What it had applied when it was last looked at.
    pub(super) fn applied(&self) -> Option<Position> {
        self.standing().found.as_ref().map(|(found, _)| found.applied.clone())
    }

    /// How it knows the position of a view.
    pub(super) fn told(&self) -> Told {
        self.standing().found.as_ref().map_or(Told::Not, |(found, _)| found.told)
    }

    /// Takes in what was found of it at `now`.
    pub(super) fn found(&self, found: Found, now: Instant) {
        let mut standing = self.standing();
        standing.found = Some((found, now));
        standing.failure = None;
    }

    pub(super) fn failed(&self, reason: String) {
        self.standing().failure = Some(reason);
    }

    pub(super) fn differs(&self, reason: String, now: Instant) {
        self.standing().differs = Some((reason, now + LEFT_ALONE));
    }

    /// Holds what was found of it before `asked` against where the primary, asked then, is.
    pub(super) fn compare(&self, primary: &Place, asked: Instant) {
        let mut standing = self.standing();
        let Some((found, at)) = &standing.found else { return };
        if *at > asked {
            return;
        }
        let position = &primary.position;
        standing.beyond = primary.lacks(found).map(|gtid| {
            format!(
                "it has {gtid}, and the primary is at {position}: it was written to, or does not replicate from this \
                 primary"
            )
        });
    }

    /// Whether it has become fit or unfit since this was last asked.
    pub(super) fn turned(&self, fit: bool) -> bool {
        self.standing().said.replace(fit) != Some(fit)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
