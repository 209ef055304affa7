//! Routes: how one query reads one service.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crossweave_contract::{Consistency, Position, ServiceName};

use crate::federation::PushDown;

/// What a client asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RouteChoice {
    /// Cached where all of the service's tables in the query are cached and ready, else live.
    #[default]
    Auto,
    /// From the source.
    Live,
    /// From the caches; refused where a table is live only.
    Cached,
}

impl FromStr for RouteChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "live" => Ok(Self::Live),
            "cached" => Ok(Self::Cached),
            _ => Err(format!("{text:?} is not a route: expected live, cached or auto")),
        }
    }
}

impl fmt::Display for RouteChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Live => "live",
            Self::Cached => "cached",
        })
    }
}

/// The routes a session or a request asks for: one for all services, and exceptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RouteSettings {
    /// For services without an exception.
    pub default: RouteChoice,
    /// Exceptions, by service.
    pub services: BTreeMap<ServiceName, RouteChoice>,
    /// What sources that are read live may be asked to compute.
    pub push_down: PushDown,
    /// What of a source that is read live one query sees.
    pub live_consistency: Consistency,
}

impl RouteSettings {
    /// What is asked for `service`.
    pub fn of(&self, service: &ServiceName) -> RouteChoice {
        self.services.get(service).copied().unwrap_or(self.default)
    }
}

/// The route that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteTaken {
    /// From the source.
    Live,
    /// From the caches.
    Cached,
}

impl RouteTaken {
    /// As it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Cached => "cached",
        }
    }
}

/// What a query saw of one service: stated with each answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRead {
    /// The service.
    pub service: ServiceName,
    /// Its route.
    pub route: RouteTaken,
    /// The position of what was seen; `None` where its server does not tell it.
    pub position: Option<Position>,
    /// How old at most what was seen is: of caches, when they were last known to be current; of a replica, when its
    /// primary had shown no more. `None` for what was current when the query began.
    pub age: Option<Duration>,
    /// Whether all that was seen is of one instant.
    pub consistency: Consistency,
    /// The server that was read, where the source has several.
    pub server: Option<String>,
}
