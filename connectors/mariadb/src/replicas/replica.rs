//! One replica: its connections, and what was last found of it.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossweave_contract::{Circuit, Gtid, Position};
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
    /// The first and the last of what was found since it was held against the primary: the last has all that those
    /// between had.
    waiting: Vec<(Found, Instant)>,
    /// Since it last failed it was held against the primary.
    compared: bool,
    /// What it has and the primary has not.
    beyond: Option<String>,
    /// What differs from the primary, and until when that counts.
    differs: Option<(String, Instant)>,
    /// What was last said of it.
    said: Option<bool>,
}

/// Why queries do not read a replica.
#[derive(Debug)]
pub(super) enum Unfit {
    /// The primary does not say where it is.
    Primary(String),
    Replica(String),
}

impl Unfit {
    pub(super) fn reason(self) -> String {
        match self {
            Self::Primary(reason) | Self::Replica(reason) => reason,
        }
    }
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

    /// What it had applied when it was last looked at; why it must not be read, whatever that is. `silent` is why the
    /// primary does not say where it is.
    pub(super) fn usable(&self, now: Instant, silent: Option<&str>) -> Result<Position, Unfit> {
        let standing = self.standing();
        let applied = standing.readable(now).map_err(Unfit::Replica)?;
        if !standing.compared {
            return Err(match silent {
                Some(silent) => Unfit::Primary(silent.to_owned()),
                None => Unfit::Replica("it was not held against the primary yet".to_owned()),
            });
        }
        match self.pool.circuit() {
            Circuit::Closed => Ok(applied),
            Circuit::Open { reason, .. } => Err(Unfit::Replica(reason)),
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

    /// Takes in what was found of it at `now`, and holds that against where the primary was last.
    pub(super) fn found(&self, found: Found, now: Instant, primary: Option<&(Place, Instant)>) {
        let mut standing = self.standing();
        standing.waiting.truncate(1);
        standing.waiting.push((found.clone(), now));
        standing.found = Some((found, now));
        standing.failure = None;
        if let Some((primary, asked)) = primary {
            standing.compare(primary, *asked);
        }
    }

    /// It may come back as another one.
    pub(super) fn failed(&self, reason: String) {
        let mut standing = self.standing();
        standing.failure = Some(reason);
        standing.waiting.clear();
        standing.compared = false;
    }

    /// Whether it was held against the primary since it last failed.
    pub(super) fn is_compared(&self) -> bool {
        self.standing().compared
    }

    pub(super) fn differs(&self, reason: String, now: Instant) {
        self.standing().differs = Some((reason, now + LEFT_ALONE));
    }

    /// Holds what was found of it against where the primary, asked at `asked`, is.
    pub(super) fn compare(&self, primary: &Place, asked: Instant) {
        self.standing().compare(primary, asked);
    }

    /// Whether it has become fit or unfit since this was last asked.
    pub(super) fn turned(&self, fit: bool) -> bool {
        self.standing().said.replace(fit) != Some(fit)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// What it had applied; why it must not be read, by what was found of it.
    fn readable(&self, now: Instant) -> Result<Position, String> {
        if let Some((reason, _)) = self.differs.as_ref().filter(|(_, until)| now < *until) {
            return Err(reason.clone());
        }
        if let Some(reason) = &self.failure {
            return Err(reason.clone());
        }
        let Some((found, _)) = &self.found else { return Err("it was not looked at yet".to_owned()) };
        if found.applied.is_origin() {
            return Err("it has replicated nothing: its gtid_slave_pos is empty".to_owned());
        }
        if let Some(reason) = &self.beyond {
            return Err(reason.clone());
        }
        match &found.filters {
            Some(filters) => Err(format!("it replicates only a part of the primary: {filters}")),
            None => Ok(found.applied.clone()),
        }
    }

    /// Of what was found since the primary was asked, only that counts which the primary had by then, and what was made on
    /// the replica itself: all else may have come from the primary meanwhile, and waits for the next answer.
    fn compare(&mut self, primary: &Place, asked: Instant) {
        for (found, at) in std::mem::take(&mut self.waiting) {
            let lacking = primary.lacks(&found);
            if lacking.is_some() && at > asked && primary.lacks_own(&found.own).is_none() {
                self.waiting.push((found, at));
                continue;
            }
            self.compared = true;
            self.beyond = lacking.map(|gtid| beyond(gtid, primary));
        }
    }
}

/// Why a replica with `gtid` is not fit, which `primary` lacks.
pub(super) fn beyond(gtid: &Gtid, primary: &Place) -> String {
    let position = &primary.position;
    format!(
        "it has {gtid}, and the primary is at {position}: it was written to, or does not replicate from this primary"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gtids(text: &str) -> Vec<Gtid> {
        Gtid::list(text).unwrap()
    }

    /// What was found of server 7, which has applied `applied` and has `own`.
    fn found(applied: &str, own: &str) -> Found {
        let applied: Position = applied.parse().unwrap();
        Found { logged: applied.clone(), applied, own: gtids(own), told: Told::ByBinlog, filters: None }
    }

    fn primary(position: &str) -> Place {
        Place { position: position.parse().unwrap(), known: gtids(position) }
    }

    #[tokio::test]
    async fn each_look_is_held_against_the_next_answer_of_the_primary() {
        let replica = Replica::new(crate::testing::offline());
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let reason = || replica.usable(start, None).map_or_else(Unfit::reason, |_| String::new());
        // The primary is always asked just before it is looked at, and answers after.
        let earlier = (primary("0-1-4"), after(0));
        replica.found(found("0-1-5", ""), after(1), Some(&earlier));
        assert!(reason().contains("not held against the primary yet"), "{}", reason());
        replica.found(found("0-9-7", ""), after(101), Some(&earlier));
        replica.compare(&primary("0-1-6"), after(100));
        assert_eq!(reason(), "", "the first is known, the second may come from the primary");
        replica.found(found("0-9-7", ""), after(201), None);
        replica.compare(&primary("0-1-6"), after(200));
        assert!(reason().contains("it has 0-9-7, and the primary is at 0-1-6"), "{}", reason());
        // What an earlier answer has needs no other one; what was made there is known at once.
        let earlier = (primary("0-1-8"), after(200));
        replica.failed("it was away".to_owned());
        replica.found(found("0-1-8", ""), after(301), Some(&earlier));
        assert_eq!(reason(), "");
        replica.found(found("0-1-8", "0-7-6"), after(401), Some(&earlier));
        assert!(reason().contains("it has 0-7-6"), "{}", reason());
    }
}
