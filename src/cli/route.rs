//! Routes that statements of a script or at the prompt ask for.
//!
//! Over HTTP each statement is a session of its own, so what SET says would be gone with it. SET and RESET of
//! routes are therefore kept here and sent with each statement; whatever else belongs to a session is refused rather
//! than done without effect.

use std::collections::BTreeMap;
use std::fmt;

use super::failure::Failure;

/// What SET of a route begins with.
const PARAMETER: &str = "crossweave.route";

/// First words of statements whose effect ends with their session.
const OF_SESSIONS: [&str; 16] = [
    "abort",
    "begin",
    "close",
    "commit",
    "deallocate",
    "discard",
    "end",
    "execute",
    "prepare",
    "release",
    "reset",
    "rollback",
    "savepoint",
    "set",
    "start",
    "unlisten",
];

/// The routes to ask for, as the header has them: `live, users=cached`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Route {
    default: Option<String>,
    services: BTreeMap<String, String>,
}

impl Route {
    /// The routes that `text` asks for, in the header's form. Whether they exist, the server says.
    pub(super) fn parse(text: &str) -> Self {
        let mut route = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((service, choice)) => {
                    route.services.insert(service.trim().to_owned(), choice.trim().to_owned());
                }
                None => route.default = Some(part.to_owned()),
            }
        }
        route
    }

    /// The header's text; `None` if nothing is asked for.
    pub(super) fn header(&self) -> Option<String> {
        (*self != Self::default()).then(|| self.to_string())
    }

    /// Takes `statement` if it sets or resets a route; whether it did.
    ///
    /// # Errors
    ///
    /// For a statement whose effect would be gone at once.
    pub(super) fn take(&mut self, statement: &str) -> Result<bool, Failure> {
        let words = words(statement);
        let Some(first) = words.first().map(|word| word.to_lowercase()) else { return Ok(false) };
        if !OF_SESSIONS.contains(&first.as_str()) {
            return Ok(false);
        }
        let parameter = words.get(1).map(|word| word.to_lowercase()).unwrap_or_default();
        let service = parameter.strip_prefix(PARAMETER).map(|rest| rest.trim_start_matches('.').to_owned());
        match (first.as_str(), service, &words[1..]) {
            ("set", Some(service), [_, by, choice]) if by == "=" || by.eq_ignore_ascii_case("to") => {
                let choice = choice.trim_matches('\'').to_lowercase();
                match service.as_str() {
                    "" => self.default = Some(choice),
                    _ => {
                        self.services.insert(service, choice);
                    }
                }
                Ok(true)
            }
            ("reset", Some(service), [_]) => {
                match service.as_str() {
                    "" => self.default = None,
                    _ => {
                        self.services.remove(&service);
                    }
                }
                Ok(true)
            }
            _ => {
                let message = format!(
                    "{} would have no effect: over HTTP each statement is a session of its own",
                    first.to_uppercase()
                );
                let hint = "SET crossweave.route is kept here; for other parameters, transactions and prepared \
                            statements use psql";
                Err(Failure::new(message).with_hint(Some(hint)))
            }
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let services = self.services.iter().map(|(service, choice)| format!("{service}={choice}"));
        let parts: Vec<String> = self.default.iter().cloned().chain(services).collect();
        f.write_str(if parts.is_empty() { "auto" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// The first words of a statement, comments before it left out; `=` is a word.
fn words(statement: &str) -> Vec<String> {
    let mut rest = statement.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after).trim_start()
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after).trim_start()
        } else {
            break;
        };
    }
    // Enough to tell a SET of a route from anything longer.
    let spaced: String = rest.chars().take(300).collect::<String>().replace('=', " = ").replace('"', "");
    spaced.trim_end_matches([';', ' ', '\n']).split_whitespace().take(6).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_and_reset_of_routes_are_kept() {
        let mut route = Route::parse("users=live");
        let check = |route: &mut Route, statement: &str, expected: Option<&str>| {
            assert!(route.take(statement).unwrap(), "{statement}");
            assert_eq!(route.header().as_deref(), expected, "{statement}");
        };
        check(&mut route, "SET crossweave.route = 'cached'", Some("cached, users=live"));
        check(
            &mut route,
            "-- why\nset Crossweave.route.orders to live ;",
            Some("cached, orders=live, users=live"),
        );
        check(&mut route, "RESET crossweave.route", Some("orders=live, users=live"));
        check(&mut route, "reset crossweave.route.users", Some("orders=live"));
        check(&mut route, "SET crossweave.route.\"orders\"='auto'", Some("orders=auto"));
        for other in ["SELECT 1", "/* set */ WITH x AS (SELECT 1) TABLE x", "", "EXPLAIN SELECT 1"] {
            assert!(!route.take(other).unwrap(), "{other}");
        }
    }

    #[test]
    fn what_would_have_no_effect_is_refused() {
        for statement in ["SET statement_timeout = 5", "BEGIN", "PREPARE p AS SELECT 1", "EXECUTE p"] {
            let refused = Route::default().take(statement).unwrap_err().to_string();
            assert!(refused.contains("no effect"), "{refused}");
        }
    }
}
