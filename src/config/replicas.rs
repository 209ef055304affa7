//! `replicas` and `replica_lag` of a service: the servers that queries read in the place of its own.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::document::Path;
use super::file::ServiceOptions;
use super::problem::Problem;
use super::services::DEFAULT_PORT;

/// What is not said of the age of what is read.
const DEFAULT_LAG: Duration = Duration::from_secs(1);

/// Below, a replica cannot be looked at often enough; above, where the primary was is not kept.
const LAGS: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(600);

/// A replica: its address, or that with more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReplicaOptions {
    /// Host name or address, with the port where that is not 3306.
    Address(String),
    /// The same in parts.
    Parts(ReplicaParts),
}

/// A replica.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplicaParts {
    /// Host name or address.
    pub host: String,
    /// Its TCP port. Default: 3306.
    pub port: Option<u16>,
    /// The name that its certificate must have, where the service has `tls`. Default: the replica's host.
    pub server_name: Option<String>,
}

/// How to reach a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name that its certificate must have, where that is not the host's.
    pub server_name: Option<String>,
}

/// Checks the replicas of the service at `path`, whose own server is at `host` and `port`.
pub(super) fn check(
    checker: &mut Checker<'_>,
    path: &Path,
    options: &ServiceOptions,
    host: &str,
    port: u16,
) -> (Vec<ReplicaSettings>, Duration) {
    let all = path.join("replicas");
    let mut replicas: Vec<ReplicaSettings> = Vec::new();
    for (index, replica) in options.replicas.iter().enumerate() {
        let at = all.join(index);
        let Some(replica) = one(checker, &at, replica) else { continue };
        let same = |other_host: &str, other_port: u16| {
            replica.host.eq_ignore_ascii_case(other_host) && replica.port == other_port
        };
        let server = format!("{}:{}", replica.host, replica.port);
        if same(host, port) {
            checker.problem(&at, format!("`{}`: {server} is the service's own server", all.name()));
        } else if replicas.iter().any(|other| same(&other.host, other.port)) {
            checker.problem(&at, format!("`{}` has {server} twice: expected each server once", all.name()));
        } else if replica.server_name.is_some() && options.tls.is_none() {
            let message = format!("`{}`: {server} has a `server_name`, but the service no `tls`", all.name());
            let hint = format!("add `[{}.tls]`, or leave `server_name` out", path.name());
            checker.add(Problem::new(checker.place(&at), message).with_hint(hint));
        }
        replicas.push(replica);
    }
    (replicas, lag(checker, path, options))
}

fn one(checker: &mut Checker<'_>, at: &Path, options: &ReplicaOptions) -> Option<ReplicaSettings> {
    let (address, port, server_name) = match options {
        ReplicaOptions::Address(address) => (address, None, None),
        ReplicaOptions::Parts(parts) => (&parts.host, parts.port, parts.server_name.clone()),
    };
    let found = match options {
        ReplicaOptions::Address(address) => split(address),
        ReplicaOptions::Parts(_) => Some((address.as_str(), None)),
    };
    let found = found.filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@', ' ']));
    let Some((host, of_address)) = found else {
        let message = format!("`{}`: expected \"host\" or \"host:port\", found {address:?}", at.name());
        let hint = "a replica is read with the account and the database of the service";
        checker.add(Problem::new(checker.place(at), message).with_hint(hint));
        return None;
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    Some(ReplicaSettings { host, port: port.or(of_address).unwrap_or(DEFAULT_PORT), server_name })
}

/// Host and port of `text`: `host`, `host:port`, `[::1]:port`; a port that is none makes it wrong.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    match text.rsplit_once(':') {
        // The colon is one of an address in brackets, or of one without.
        Some((host, rest)) if rest.contains(']') || (host.contains(':') && !host.ends_with(']')) => {
            Some((text, None))
        }
        Some((host, port)) => Some((host, Some(port.parse().ok().filter(|port| *port > 0)?))),
        None => Some((text, None)),
    }
}

fn lag(checker: &mut Checker<'_>, path: &Path, options: &ServiceOptions) -> Duration {
    let Some(text) = &options.replica_lag else { return DEFAULT_LAG };
    let at = path.join("replica_lag");
    if options.replicas.is_empty() {
        let problem =
            Problem::new(checker.place(&at), format!("`{}` bounds nothing: there are no replicas", at.name()));
        checker.add(problem.with_hint("add `replicas = [\"host:port\"]`, or leave it out"));
    }
    let before = checker.problems();
    let lag = checker.duration(&at, text, true);
    if checker.problems() == before && !LAGS.contains(&lag) {
        let (least, most) = (LAGS.start(), LAGS.end().as_secs() / 60);
        checker.problem(&at, format!("`{}`: expected {least:?} to {most}m, found {text:?}", at.name()));
    }
    lag
}
