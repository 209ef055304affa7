//! What a client asks of its session when it logs in: a database, parameters, and `options` with more of them, as
//! `PGOPTIONS` sets them: `-c statement_timeout=1s`.

use std::collections::HashMap;

use crate::query::{DATABASE, QueryError, QueryErrorKind, Reason, Session};

/// What is no parameter of the session.
const OF_THE_PROTOCOL: &[&str] = &["user", "database", "replication", "options"];

/// Parameters that drivers send whether or not their user cares. A value that is not served is not set: the client
/// is told what holds, and reads its answers by that.
const TOLERATED: &[&str] = &["timezone", "datestyle", "client_encoding", "extra_float_digits"];

/// Refuses a database that is not there. A client that names none names its user, as libpq does.
pub(super) fn check_database(asked: &HashMap<String, String>) -> Result<(), QueryError> {
    let Some(database) = asked.get("database").filter(|name| !name.is_empty()) else { return Ok(()) };
    if database == DATABASE || asked.get("user") == Some(database) {
        return Ok(());
    }
    let message = format!("database {database:?} is not there: there is one, {DATABASE}");
    Err(QueryError::new(QueryErrorKind::Name, message)
        .because(Reason::UnknownDatabase)
        .with_hint("Services are its schemas: connect to it, and name tables service.table"))
}

/// Sets the parameters that were `asked` for.
pub(super) fn apply(asked: &HashMap<String, String>, session: &mut Session) -> Result<(), QueryError> {
    let options = parse(asked.get("options").map_or("", String::as_str))?;
    let options = options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = asked.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let named = named.filter(|(name, _)| !OF_THE_PROTOCOL.contains(name) && !name.starts_with("_pq_."));
    // As in PostgreSQL, a parameter of its own comes after the same one among the options.
    for (name, value) in options.chain(named) {
        match session.set(name, value) {
            Err(_) if TOLERATED.contains(&name.to_lowercase().as_str()) => {}
            done => done?,
        }
    }
    Ok(())
}

/// `-c name=value`, `-cname=value` and `--name=value`, separated by blanks; a backslash takes the meaning from the
/// character after it.
fn parse(options: &str) -> Result<Vec<(String, String)>, QueryError> {
    let mut words = vec![String::new()];
    let mut chars = options.chars();
    while let Some(char) = chars.next() {
        let escaped = if char == '\\' { chars.next() } else { None };
        match (escaped, words.last_mut()) {
            (None, _) if char.is_whitespace() => words.push(String::new()),
            (escaped, Some(word)) => word.push(escaped.unwrap_or(char)),
            (_, None) => {}
        }
    }
    words.retain(|word| !word.is_empty());
    let mut words = words.into_iter();
    let mut parsed = Vec::new();
    while let Some(word) = words.next() {
        let next = if word == "-c" { words.next() } else { None };
        let setting = next.as_deref().or_else(|| word.strip_prefix("--")).or_else(|| word.strip_prefix("-c"));
        let Some((name, value)) = setting.and_then(|setting| setting.split_once('=')) else {
            let message = format!("{word:?} among the options: expected -c name=value");
            return Err(QueryError::new(QueryErrorKind::Syntax, message));
        };
        parsed.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::Shop;

    fn map(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_split_as_postgresql_does() {
        let pairs = |text: &str| parse(text).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs("-c a=1 -cb=2  --search-path=x,y"),
            [pair("a", "1"), pair("b", "2"), pair("search_path", "x,y")]
        );
        assert_eq!(pairs("-c application_name=my\\ app"), [pair("application_name", "my app")]);
        assert!(pairs("").is_empty());
        for wrong in ["-c", "-c a", "-x", "--a", "a=1"] {
            assert_eq!(parse(wrong).unwrap_err().kind, QueryErrorKind::Syntax, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_session_begins_with_what_came_with_the_log_in() {
        let shop = Shop::new();
        let mut session = shop.session();
        let asked = map(&[
            ("user", "analyst"),
            ("application_name", "test"),
            ("TimeZone", "Europe/Berlin"),
            ("client_encoding", "LATIN1"),
            ("_pq_.extension", "x"),
            ("options", "-c statement_timeout=1s -c crossweave.route.users=live"),
        ]);
        apply(&asked, &mut session).unwrap();
        for sql in [
            "",
            "SET statement_timeout = 0",
            "RESET statement_timeout",
            "SET application_name = x",
            "DISCARD ALL",
        ] {
            session.query(sql, Vec::new()).await.unwrap();
        }
        let expect = [
            ("application_name", "test"),
            ("statement_timeout", "1s"),
            ("crossweave.route.users", "live"),
            ("crossweave.route", "auto"),
            ("TimeZone", "UTC"),
            ("client_encoding", "UTF8"),
        ];
        for (name, value) in expect {
            assert_eq!(session.show(name).unwrap(), value, "{name}");
        }
        let error = apply(&map(&[("aplication_name", "x")]), &mut session).unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("Did you mean application_name?"));
        let error = apply(&map(&[("options", "-c statement_timeout=soon")]), &mut session).unwrap_err();
        assert_eq!(error.reason, Some(Reason::Setting));
    }

    #[test]
    fn there_is_one_database() {
        for served in [
            map(&[("user", "ada"), ("database", DATABASE)]),
            map(&[("user", "ada"), ("database", "ada")]),
            map(&[("user", "ada"), ("database", "")]),
            map(&[("user", "ada")]),
        ] {
            assert!(check_database(&served).is_ok(), "{served:?}");
        }
        let error = check_database(&map(&[("user", "ada"), ("database", "shop")])).unwrap_err();
        assert_eq!(error.reason, Some(Reason::UnknownDatabase));
        assert!(error.message.contains(DATABASE), "{error}");
    }
}
