//! Positions: how far into a source's history.
//!
//! MariaDB numbers transactions by GTIDs, `domain-server-sequence`, and orders them only within a domain. A
//! position is therefore one GTID per domain, and two positions are compared domain by domain, never as a
//! maximum over domains.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One transaction's number on a source: `domain-server-sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Gtid {
    /// The replication domain.
    pub domain: u32,
    /// The server that committed the transaction first.
    pub server: u32,
    /// The number within the domain; grows, with gaps.
    pub sequence: u64,
}

impl Gtid {
    /// Those of `text`, separated by commas, as MariaDB writes a position (one of each domain) or `gtid_binlog_state` (one of
    /// each server in each domain).
    ///
    /// # Errors
    /// [`PositionParseError`] for the first that is none.
    pub fn list(text: &str) -> Result<Vec<Self>, PositionParseError> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
    }

    /// Whether `other` is of the same server in the same domain, and not after this one.
    pub fn is_at_or_past(&self, other: &Self) -> bool {
        (self.domain, self.server) == (other.domain, other.server) && self.sequence >= other.sequence
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

/// Text that is not a GTID or a list of GTIDs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a position: expected GTIDs like 0-1-42, separated by commas")]
pub struct PositionParseError(String);

impl FromStr for Gtid {
    type Err = PositionParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.trim().split('-');
            let gtid = Gtid {
                domain: parts.next()?.parse().ok()?,
                server: parts.next()?.parse().ok()?,
                sequence: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(gtid)
        };
        parse().ok_or_else(|| PositionParseError(text.to_owned()))
    }
}

/// The last GTID of each domain; empty at the beginning of history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position(BTreeMap<u32, Gtid>);

impl Position {
    /// The beginning of history: nothing seen in any domain.
    pub fn origin() -> Self {
        Self::default()
    }

    /// True at the beginning of history.
    pub fn is_origin(&self) -> bool {
        self.0.is_empty()
    }

    /// The GTIDs, one per domain, in the order of domains.
    pub fn gtids(&self) -> impl Iterator<Item = &Gtid> {
        self.0.values()
    }

    /// Whether the transaction `gtid` is at or before this position.
    pub fn contains(&self, gtid: &Gtid) -> bool {
        self.0.get(&gtid.domain).is_some_and(|last| gtid.sequence <= last.sequence)
    }

    /// Whether each transaction before `other` is also before this position.
    pub fn covers(&self, other: &Position) -> bool {
        other.gtids().all(|gtid| self.contains(gtid))
    }

    /// Moves past `gtid`. A transaction that is contained already changes nothing.
    pub fn advance(&mut self, gtid: Gtid) {
        if !self.contains(&gtid) {
            self.0.insert(gtid.domain, gtid);
        }
    }

    /// A position before the last transaction of one domain, if numbers there have no gap before it; `None` at the
    /// origin.
    pub fn step_back(&self) -> Option<Self> {
        let last = *self.gtids().find(|gtid| gtid.sequence > 1).or_else(|| self.gtids().next())?;
        let mut before = self.clone();
        match last.sequence {
            0 | 1 => before.0.remove(&last.domain),
            sequence => before.0.insert(last.domain, Gtid { sequence: sequence - 1, ..last }),
        };
        Some(before)
    }

    /// The last position that all of `positions` are at or past.
    pub fn floor(positions: &[&Self]) -> Self {
        let mut floor = Self::origin();
        let Some((first, others)) = positions.split_first() else { return floor };
        for gtid in first.gtids() {
            let in_domain = |position: &&Self| position.0.get(&gtid.domain).copied();
            let all: Option<Vec<Gtid>> = others.iter().map(in_domain).collect();
            let lowest = all.and_then(|all| all.into_iter().chain([*gtid]).min_by_key(|gtid| gtid.sequence));
            lowest.into_iter().for_each(|gtid| floor.advance(gtid));
        }
        floor
    }

    /// Moves past everything `other` is past.
    pub fn merge(&mut self, other: &Position) {
        for gtid in other.gtids() {
            self.advance(*gtid);
        }
    }
}

impl From<Gtid> for Position {
    fn from(gtid: Gtid) -> Self {
        Self(BTreeMap::from([(gtid.domain, gtid)]))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.gtids().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{gtid}")?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = PositionParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut position = Self::origin();
        Gtid::list(text)?.into_iter().for_each(|gtid| position.advance(gtid));
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str) -> Position {
        text.parse().unwrap()
    }

    #[test]
    fn compares_domain_by_domain() {
        assert!(position("0-1-10,1-1-5").covers(&position("0-2-10")));
        assert!(!position("0-1-10").covers(&position("1-1-1")));
        assert!(!position("0-1-9,1-1-50").covers(&position("0-1-10,1-1-5")));
        assert!(position("").covers(&Position::origin()));
    }

    #[test]
    fn advances_over_gaps_and_ignores_what_it_contains() {
        let mut at = position("0-1-10");
        at.advance("0-2-17".parse().unwrap());
        at.advance("0-1-12".parse().unwrap());
        at.advance("3-1-1".parse().unwrap());
        assert_eq!(at.to_string(), "0-2-17,3-1-1");
    }

    #[test]
    fn steps_back_in_one_domain() {
        let before = |text: &str| position(text).step_back().map(|position| position.to_string());
        assert_eq!(before("0-1-1,1-2-9,2-1-3").as_deref(), Some("0-1-1,1-2-8,2-1-3"));
        assert_eq!(before("0-1-1,1-2-1").as_deref(), Some("1-2-1"));
        assert_eq!((before("0-1-1").as_deref(), before("")), (Some(""), None));
    }

    #[test]
    fn refuses_what_is_not_a_gtid() {
        for text in ["0-1", "0-1-2-3", "a-b-c", "0-1-2,x", "-1-1-1"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_floor_is_the_earliest_in_each_domain() {
        let check = |positions: &[&str], expected: &str| {
            let positions: Vec<Position> = positions.iter().map(|text| position(text)).collect();
            assert_eq!(Position::floor(&positions.iter().collect::<Vec<_>>()), position(expected));
        };
        check(&["0-1-5"], "0-1-5");
        check(&["0-1-5,1-1-9", "0-2-7,1-1-3"], "0-1-5,1-1-3");
        check(&["0-1-5,1-1-9", "0-1-4"], "0-1-4");
        check(&[], "");
    }
}
