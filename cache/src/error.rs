//! What can go wrong when transactions are applied.

use crossweave_contract::{Gtid, Position, ServiceName, TableId};

/// A transaction that cannot be applied to its service as a whole. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// Nothing was installed yet, so there is no state to apply to.
    #[error("service {0} has no cache to apply to: install a first load before")]
    NotInstalled(ServiceName),
    /// Transactions between the cache's position and this one are missing.
    #[error(
        "transaction {gtid} of service {service} follows {previous}, but the cache stands at {position}: \
             the transactions between are missing; load the service anew"
    )]
    Gap {
        /// The service.
        service: ServiceName,
        /// The transaction that was refused.
        gtid: Gtid,
        /// What it follows.
        previous: Position,
        /// Where the cache stands.
        position: Position,
    },
}

/// Loads that cannot be installed. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InstallError {
    /// The load is older than what was applied since, so that changes between would be lost.
    #[error(
        "tables of service {service} were loaded at {loaded}, but the cache stands at {position} already: \
             load again from a newer view"
    )]
    Behind {
        /// The service.
        service: ServiceName,
        /// The position of the load's view.
        loaded: Position,
        /// Where the cache stands.
        position: Position,
    },
}

/// A change that does not fit the rows that are there (I7): its table stops.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowError {
    /// An insert of a key that exists.
    #[error("expected no row with the key {key}, found one")]
    Exists {
        /// The key's values.
        key: String,
    },
    /// A delete or update of a key that does not exist.
    #[error("expected a row with the key {key}, found none")]
    Missing {
        /// The key's values.
        key: String,
    },
    /// A row of another shape than the table's.
    #[error("expected a row of {expected} values, found {found}")]
    Width {
        /// Number of the table's columns.
        expected: usize,
        /// Number of the row's values.
        found: usize,
    },
    /// A value that the column's type does not allow.
    #[error("a row cannot be stored: {0}")]
    Value(String),
    /// A cascade that cannot be followed.
    #[error("a cascade of {from} cannot be followed: {reason}")]
    Cascade {
        /// The referenced table.
        from: TableId,
        /// What is missing.
        reason: String,
    },
}
