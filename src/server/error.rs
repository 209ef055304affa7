//! Why a server cannot start.

use std::path::{Path, PathBuf};

use crossweave_cache::PersistError;
use crossweave_contract::ConnectorError;

use crate::config::{Address, ConfigError};
use crate::query::QueryError;

/// What only the operator can mend.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The config is wrong, by itself or held against the databases.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Which one.
        address: Address,
        /// What the system said.
        reason: String,
    },
    /// The state folder cannot be used.
    #[error("cannot use the state folder {}: {reason}", dir.display())]
    State {
        /// Which one.
        dir: PathBuf,
        /// What was found.
        reason: String,
        /// What mends it.
        hint: String,
    },
    /// The change log cannot be set up.
    #[error("the change log cannot be set up: {0}")]
    ChangeLog(ConnectorError),
    /// The engine cannot start.
    #[error("the query engine cannot start: {0}")]
    Engine(QueryError),
}

impl StartError {
    /// The state folder `dir` cannot be used.
    pub(super) fn of_state(dir: &Path, error: &PersistError) -> Self {
        let (reason, hint) = match error {
            PersistError::Locked { .. } => {
                ("another Crossweave uses it".to_owned(), "stop that one, or give this one its own `state.dir`")
            }
            other => (
                other.to_string(),
                "set `state.dir` to a folder that this account can write, on a disk with room",
            ),
        };
        Self::State { dir: dir.to_owned(), reason, hint: hint.to_owned() }
    }

    /// What mends it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(_) => None,
            Self::Listen { address, .. } => Some(format!(
                "set `{}` to an address of this machine and a port that is free, or stop what listens there",
                address.setting
            )),
            Self::State { hint, .. } => Some(hint.clone()),
            Self::ChangeLog(error) => error.fix.clone(),
            Self::Engine(error) => error.hint.clone(),
        }
    }
}
