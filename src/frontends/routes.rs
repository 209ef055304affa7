//! Routes as clients ask for them, and what was read as answers state it: the same for every frontend on HTTP.

use std::fmt::Write;

use crossweave_contract::{Consistency, ServiceName};
use serde_json::{Value, json};

use crate::catalog::{Catalog, nearest};
use crate::query::{QueryError, QueryErrorKind, RouteSettings, ServiceRead};

/// The request header that asks for routes: `live`, `cached` or `auto`, or by service, as `auto, users=live`.
pub const ROUTE_HEADER: &str = "crossweave-route";
/// The response header that states what was read, as JSON: route, position and age by service.
pub const READS_HEADER: &str = "crossweave-reads";

/// The routes that the header's `text` asks for.
///
/// # Errors
///
/// `Invalid` for a word that is not a route, `Name` for a service that is not there.
pub fn routes_of_header(text: &str, catalog: &Catalog) -> Result<RouteSettings, QueryError> {
    let mut routes = RouteSettings::default();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((service, choice)) => add(&mut routes, catalog, service.trim(), choice.trim())?,
            None => routes.default = part.parse().map_err(invalid)?,
        }
    }
    Ok(routes)
}

/// The routes that the JSON member `route` asks for: a route, or an object of routes by service.
///
/// # Errors
///
/// As [`routes_of_header`].
pub fn routes_of_json(value: &Value, catalog: &Catalog) -> Result<RouteSettings, QueryError> {
    let mut routes = RouteSettings::default();
    match value {
        Value::Null => {}
        Value::String(choice) => routes.default = choice.parse().map_err(invalid)?,
        Value::Object(services) => {
            for (service, choice) in services {
                let choice = choice.as_str().ok_or_else(|| expected(choice))?;
                add(&mut routes, catalog, service, choice)?;
            }
        }
        other => return Err(expected(other)),
    }
    Ok(routes)
}

fn add(routes: &mut RouteSettings, catalog: &Catalog, service: &str, choice: &str) -> Result<(), QueryError> {
    let name = ServiceName::from(service);
    if !catalog.services.contains_key(&name) {
        let unknown = QueryError::new(QueryErrorKind::Name, format!("route: there is no service {service}"));
        let names = catalog.services.keys().map(ServiceName::as_str);
        return Err(match nearest(service, names.clone()) {
            Some(meant) => unknown.with_hint(format!("Did you mean {meant}?")),
            None => unknown.with_hint(format!("There are {}", names.collect::<Vec<_>>().join(", "))),
        });
    }
    routes.services.insert(name, choice.parse().map_err(invalid)?);
    Ok(())
}

/// What mends `error` where another route of a service would, for clients that choose routes by [`ROUTE_HEADER`].
pub fn header_hint(error: &QueryError) -> Option<String> {
    let (service, route) = (error.service.as_ref()?, error.route?);
    Some(format!("Send the header `{ROUTE_HEADER}: {service}={route}`"))
}

fn invalid(message: String) -> QueryError {
    QueryError::new(QueryErrorKind::Invalid, message)
}

fn expected(found: &Value) -> QueryError {
    invalid(format!(
        "route: expected \"live\", \"cached\" or \"auto\", or an object of these by service, found {found}"
    ))
}

/// What [`READS_HEADER`] says of `reads`: ASCII, `{"users":{"route":"cached","position":"0-1-42","age":0.012}}`
/// with `null` for a position or an age that there is not; the age is in seconds. Where each statement saw an instant of
/// its own it says `"consistency":"statement"`; `server` is there where the service has replicas.
pub fn reads_header(reads: &[ServiceRead]) -> String {
    let services = reads.iter().map(|read| {
        let position = read.position.as_ref().map(ToString::to_string);
        let age = read.age.map(|age| (age.as_secs_f64() * 1000.0).round() / 1000.0);
        let mut said = json!({ "route": read.route.name(), "position": position, "age": age });
        if read.consistency == Consistency::Statement {
            said["consistency"] = json!("statement");
        }
        if let (Some(server), Some(members)) = (&read.server, said.as_object_mut()) {
            members.insert("server".to_owned(), json!(server));
        }
        (read.service.to_string(), said)
    });
    let json = Value::Object(services.collect()).to_string();
    let mut ascii = String::with_capacity(json.len());
    for unit in json.chars() {
        if unit.is_ascii() {
            ascii.push(unit);
        } else {
            for unit in unit.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::catalog::Service;
    use crate::query::{RouteChoice, RouteTaken};

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for name in ["users", "orders"] {
            let service = Service {
                name: name.into(),
                source: "s".into(),
                database: name.to_owned(),
                tables: Default::default(),
                unreachable: None,
            };
            catalog.services.insert(name.into(), service);
        }
        catalog
    }

    #[test]
    fn reads_routes_from_a_header_and_from_json() {
        let mut expected = RouteSettings { default: RouteChoice::Live, ..RouteSettings::default() };
        assert_eq!(routes_of_header("Live", &catalog()).unwrap(), expected);
        assert_eq!(routes_of_json(&json!("live"), &catalog()).unwrap(), expected);
        expected.default = RouteChoice::Auto;
        expected.services.insert("users".into(), RouteChoice::Cached);
        assert_eq!(routes_of_header("auto, users = cached", &catalog()).unwrap(), expected);
        assert_eq!(routes_of_json(&json!({"users": "cached"}), &catalog()).unwrap(), expected);
        assert_eq!(routes_of_json(&Value::Null, &catalog()).unwrap(), RouteSettings::default());
    }

    #[test]
    fn refuses_words_that_are_not_routes_and_services_that_are_not_there() {
        let text = |error: QueryError| format!("{} {}", error.message, error.hint.unwrap_or_default());
        let header = |value| text(routes_of_header(value, &catalog()).unwrap_err());
        assert!(header("fast").starts_with("\"fast\" is not a route: expected live, cached or auto"));
        assert_eq!(header("user=live"), "route: there is no service user Did you mean users?");
        let json = |value| text(routes_of_json(&value, &catalog()).unwrap_err());
        assert!(json(json!(1)).contains("found 1"));
        assert!(json(json!({"users": true})).contains("found true"));
    }

    #[test]
    fn states_reads_in_ascii() {
        let read = |service: &str, route, position: Option<&str>, age| ServiceRead {
            service: service.into(),
            route,
            position: position.map(|text| text.parse().unwrap()),
            age,
            consistency: Consistency::default(),
            server: (route == RouteTaken::Live).then(|| "r:3306".to_owned()),
        };
        let reads = [
            read("users", RouteTaken::Cached, Some("0-1-42,1-1-7"), Some(Duration::from_micros(12_345))),
            ServiceRead { consistency: Consistency::Statement, ..read("é😀", RouteTaken::Live, None, None) },
        ];
        assert_eq!(
            reads_header(&reads),
            r#"{"users":{"route":"cached","position":"0-1-42,1-1-7","age":0.012},"#.to_owned()
                + r#""\u00e9\ud83d\ude00":{"route":"live","position":null,"age":null,"consistency":"statement","server":"r:3306"}}"#
        );
    }
}
