//! The parameters of a session: ours, and those that PostgreSQL's clients are known to set.
//!
//! A parameter that changes answers is honoured or its value refused; one that only changes how a client reads
//! them is kept and shown. One that nobody knows is an error, not ignored.

use std::collections::BTreeMap;
use std::time::Duration;

use crossweave_contract::Consistency;

use super::{QueryError, QueryErrorKind, Reason, RouteChoice, RouteSettings};
use crate::catalog::{Catalog, nearest};
use crate::federation::PushDown;

/// How values of a parameter are checked.
enum Rule {
    /// Kept as it is; changes nothing.
    Any,
    /// One of these, in any case; the first is what it is shown as if `canonical`.
    OneOf { values: &'static [&'static str], canonical: bool },
    /// on, off and their synonyms.
    Boolean,
    /// Milliseconds, or a number with a unit.
    Time,
    /// DateStyle: ISO in any order of fields.
    DateStyle,
    /// What sources compute: all, none, or kinds of operators.
    PushDown,
    /// Time zones without an offset.
    Utc,
    /// Shown only.
    Fixed,
}

struct Parameter {
    name: &'static str,
    default: &'static str,
    rule: Rule,
}

const fn parameter(name: &'static str, default: &'static str, rule: Rule) -> Parameter {
    Parameter { name, default, rule }
}

const fn only(values: &'static [&'static str]) -> Rule {
    Rule::OneOf { values, canonical: true }
}

/// In the order in which SHOW ALL shows them.
const PARAMETERS: &[Parameter] = &[
    parameter("application_name", "", Rule::Any),
    parameter("backslash_quote", "safe_encoding", Rule::Any),
    parameter(PUSH_DOWN, "all", Rule::PushDown),
    parameter(
        LIVE_CONSISTENCY,
        "snapshot",
        Rule::OneOf { values: &["snapshot", "statement"], canonical: false },
    ),
    parameter("bytea_output", "hex", only(&["hex"])),
    parameter("client_encoding", "UTF8", only(&["UTF8", "utf-8", "unicode", "utf8mb4"])),
    parameter("client_min_messages", "notice", Rule::Any),
    parameter("DateStyle", "ISO, MDY", Rule::DateStyle),
    parameter("default_transaction_deferrable", "off", Rule::Boolean),
    parameter("default_transaction_isolation", "read committed", only(&["read committed", "read uncommitted"])),
    parameter("default_transaction_read_only", "on", Rule::Boolean),
    parameter("escape_string_warning", "on", Rule::Boolean),
    parameter("extra_float_digits", "1", Rule::Any),
    parameter("idle_in_transaction_session_timeout", "0", Rule::Time),
    parameter("idle_session_timeout", "0", Rule::Time),
    parameter("integer_datetimes", "on", Rule::Fixed),
    parameter("in_hot_standby", "off", Rule::Fixed),
    parameter("IntervalStyle", "postgres", only(&["postgres"])),
    parameter("is_superuser", "off", Rule::Fixed),
    parameter("jit", "off", Rule::Boolean),
    parameter("lc_messages", "C", Rule::Any),
    parameter("lc_monetary", "C", Rule::Any),
    parameter("lc_numeric", "C", Rule::Any),
    parameter("lc_time", "C", Rule::Any),
    parameter("lock_timeout", "0", Rule::Time),
    parameter("max_identifier_length", "63", Rule::Fixed),
    parameter("quote_all_identifiers", "off", Rule::Boolean),
    parameter("row_security", "on", Rule::Boolean),
    parameter("scram_iterations", "4096", Rule::Fixed),
    parameter("search_path", "", Rule::Any),
    parameter("server_encoding", "UTF8", Rule::Fixed),
    parameter("server_version", SERVER_VERSION, Rule::Fixed),
    parameter("server_version_num", "150000", Rule::Fixed),
    parameter("session_authorization", "crossweave", Rule::Fixed),
    parameter("standard_conforming_strings", "on", only(&["on", "true", "1", "yes"])),
    parameter("statement_timeout", "0", Rule::Time),
    parameter("synchronize_seqscans", "on", Rule::Boolean),
    parameter("TimeZone", "UTC", Rule::Utc),
    parameter("transaction_deferrable", "off", Rule::Boolean),
    parameter("transaction_isolation", "read committed", only(&["read committed", "read uncommitted"])),
    parameter("transaction_read_only", "on", Rule::Boolean),
    parameter("transaction_timeout", "0", Rule::Time),
    parameter("xmloption", "content", Rule::Any),
];

/// All parameters but the routes, with the values that sessions begin with.
pub fn default_parameters() -> impl Iterator<Item = (&'static str, &'static str)> {
    PARAMETERS.iter().map(|one| (one.name, one.default))
}

/// What PostgreSQL's clients are told that they speak to, wherever they ask. They choose their catalog queries by
/// the major version, and warn of one that is newer than themselves: this is the oldest that none is too new for.
pub const SERVER_VERSION: &str = concat!("15.0 (Crossweave ", env!("CARGO_PKG_VERSION"), ")");

const ROUTE: &str = "crossweave.route";

/// What sources compute, by kind: for finding faults.
const PUSH_DOWN: &str = "crossweave.pushdown";

/// Whether a query sees one instant of a source, or each of its statements another one.
const LIVE_CONSISTENCY: &str = "crossweave.live_consistency";

/// The values that differ from their defaults, without the routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings(BTreeMap<&'static str, String>);

impl Settings {
    /// Sets `name`, here or among `routes`; `None` sets it to what it is in `defaults`.
    pub(super) fn set(
        &mut self,
        routes: &mut RouteSettings,
        defaults: &(Self, RouteSettings),
        catalog: &Catalog,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), QueryError> {
        if let Some(service) = route_name(name) {
            return set_route(routes, &defaults.1, catalog, service, value);
        }
        let parameter = find(name, catalog)?;
        let value = match value {
            None => defaults.0.0.get(parameter.name).cloned(),
            Some(value) => Some(parameter.check(value)?),
        };
        if parameter.name == PUSH_DOWN {
            let value = value.as_deref().unwrap_or(parameter.default);
            routes.push_down = value.parse().map_err(invalid)?;
        }
        if parameter.name == LIVE_CONSISTENCY {
            routes.live_consistency = value.as_deref().and_then(Consistency::called).unwrap_or_default();
        }
        match value {
            None => self.0.remove(parameter.name),
            Some(value) => self.0.insert(parameter.name, value),
        };
        Ok(())
    }

    /// The name of `name` as it is spelled, and its value.
    pub(super) fn show(
        &self,
        routes: &RouteSettings,
        catalog: &Catalog,
        name: &str,
    ) -> Result<(String, String), QueryError> {
        if let Some(service) = route_name(name) {
            return match service {
                None => Ok((ROUTE.to_owned(), routes.default.to_string())),
                Some(service) => {
                    let service = find_service(catalog, service)?;
                    Ok((format!("{ROUTE}.{service}"), routes.of(service).to_string()))
                }
            };
        }
        let parameter = find(name, catalog)?;
        Ok((parameter.name.to_owned(), self.value(parameter).to_owned()))
    }

    /// All of them with their values.
    pub(super) fn show_all(&self, routes: &RouteSettings, catalog: &Catalog) -> Vec<(String, String)> {
        let mut all = vec![(ROUTE.to_owned(), routes.default.to_string())];
        all.extend(
            catalog.services.keys().map(|name| (format!("{ROUTE}.{name}"), routes.of(name).to_string())),
        );
        all.extend(PARAMETERS.iter().map(|one| (one.name.to_owned(), self.value(one).to_owned())));
        all
    }

    /// `statement_timeout`, where it is set.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let millis = parse_time(self.0.get("statement_timeout")?)?;
        (millis > 0).then(|| Duration::from_millis(millis))
    }

    /// The schemas of `search_path`, in its order.
    pub(super) fn search_path(&self) -> Vec<String> {
        let path = self.0.get("search_path").map_or("", String::as_str);
        let parts = path.split(',').map(|part| part.trim().trim_matches('"').to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }

    fn value(&self, parameter: &Parameter) -> &str {
        self.0.get(parameter.name).map_or(parameter.default, String::as_str)
    }
}

/// `Some(None)` for the route of all services, `Some(Some(service))` for that of one.
fn route_name(name: &str) -> Option<Option<&str>> {
    let (head, rest) = name.split_at_checked(ROUTE.len())?;
    if !head.eq_ignore_ascii_case(ROUTE) {
        return None;
    }
    if rest.is_empty() { Some(None) } else { rest.strip_prefix('.').map(Some) }
}

fn set_route(
    routes: &mut RouteSettings,
    defaults: &RouteSettings,
    catalog: &Catalog,
    service: Option<&str>,
    value: Option<&str>,
) -> Result<(), QueryError> {
    let choice = value.map(str::parse::<RouteChoice>).transpose().map_err(invalid)?;
    match (service, choice) {
        (None, choice) => routes.default = choice.unwrap_or(defaults.default),
        (Some(service), choice) => {
            let service = find_service(catalog, service)?.clone();
            match choice.or_else(|| defaults.services.get(&service).copied()) {
                Some(choice) => routes.services.insert(service, choice),
                None => routes.services.remove(&service),
            };
        }
    }
    Ok(())
}

fn invalid(message: String) -> QueryError {
    QueryError::new(QueryErrorKind::Invalid, message).because(Reason::Setting)
}

fn find_service<'a>(
    catalog: &'a Catalog,
    name: &str,
) -> Result<&'a crossweave_contract::ServiceName, QueryError> {
    let names = catalog.services.keys();
    let found = names.clone().find(|service| service.as_str() == name);
    found.or_else(|| names.clone().find(|service| service.as_str().eq_ignore_ascii_case(name))).ok_or_else(
        || {
            let error = QueryError::new(QueryErrorKind::Name, format!("service {name} is not there"));
            match nearest(name, names.map(crossweave_contract::ServiceName::as_str)) {
                Some(name) => error.with_hint(format!("Did you mean {name}?")),
                None => error,
            }
        },
    )
}

fn find(name: &str, catalog: &Catalog) -> Result<&'static Parameter, QueryError> {
    PARAMETERS.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let error = QueryError::new(QueryErrorKind::Name, format!("there is no parameter {name}"))
            .because(Reason::UnknownParameter);
        let routes = catalog.services.keys().map(|service| format!("{ROUTE}.{service}")).collect::<Vec<_>>();
        let names = PARAMETERS.iter().map(|parameter| parameter.name).chain([ROUTE]);
        match nearest(name, names.chain(routes.iter().map(String::as_str))) {
            Some(name) => error.with_hint(format!("Did you mean {name}?")),
            None => error.with_hint("SHOW ALL lists the parameters"),
        }
    })
}

impl Parameter {
    fn check(&self, value: &str) -> Result<String, QueryError> {
        let value = value.trim();
        let expected = match &self.rule {
            Rule::Any => return Ok(value.to_owned()),
            Rule::OneOf { values, canonical } => {
                match values.iter().find(|allowed| allowed.eq_ignore_ascii_case(value)) {
                    Some(_) if *canonical => return Ok(values[0].to_owned()),
                    Some(found) => return Ok((*found).to_owned()),
                    None => values.join(", "),
                }
            }
            Rule::Boolean => match value.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" | "1" => return Ok("on".to_owned()),
                "off" | "false" | "no" | "0" => return Ok("off".to_owned()),
                _ => "on or off".to_owned(),
            },
            Rule::Time => match parse_time(value) {
                Some(_) => return Ok(value.to_owned()),
                None => "milliseconds, or a number with ms, s, min, h".to_owned(),
            },
            Rule::DateStyle => {
                let words = value.split(',').map(|word| word.trim().to_ascii_uppercase());
                if words
                    .clone()
                    .all(|word| ["ISO", "MDY", "DMY", "YMD", "US", "EUROPEAN"].contains(&word.as_str()))
                {
                    return Ok(self.default.to_owned());
                }
                "ISO".to_owned()
            }
            Rule::PushDown => return value.parse::<PushDown>().map(|value| value.to_string()).map_err(invalid),
            Rule::Utc => {
                let zero = value.trim_start_matches(['+', '-']).chars().all(|c| matches!(c, '0' | ':'));
                let names = ["utc", "gmt", "etc/utc", "etc/gmt", "z", "zulu", "uct", "universal", "local"];
                if (!value.is_empty() && zero) || names.contains(&value.to_ascii_lowercase().as_str()) {
                    return Ok("UTC".to_owned());
                }
                "UTC: moments are shown in UTC, AT TIME ZONE shows them elsewhere".to_owned()
            }
            Rule::Fixed => {
                let message = format!("parameter {} cannot be changed", self.name);
                return Err(QueryError::new(QueryErrorKind::Invalid, message).because(Reason::Setting));
            }
        };
        let message = format!("{value:?} is not a value of {}: expected {expected}", self.name);
        Err(QueryError::new(QueryErrorKind::Invalid, message).because(Reason::Setting))
    }
}

/// Milliseconds.
fn parse_time(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}
