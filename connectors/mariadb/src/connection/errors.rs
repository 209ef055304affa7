//! What connections and servers report, as errors that say who can act.
//!
//! Each names the server and the account, what was being done and what was found; none can hold the password,
//! for nothing here sees it.

use std::io;
use std::panic::AssertUnwindSafe;

use crossweave_contract::{ConnectorError, ErrorKind};
use futures::FutureExt as _;
use mysql_async::{DriverError, Error, IoError, ServerError};

use super::Endpoint;

/// The server's error number, if it was the server that failed.
pub(crate) fn server_code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// `error`, met by `doing` something at `endpoint`.
pub(crate) fn describe(endpoint: &Endpoint, doing: &str, error: Error) -> ConnectorError {
    match error {
        Error::Server(error) => of_server(endpoint, doing, &error),
        Error::Io(IoError::Io(error)) if is_of_tls(&error) => of_tls(endpoint, doing, &error.to_string()),
        Error::Io(IoError::Io(error)) if is_no_message(&error) => {
            let found = format!("{endpoint}: {doing} failed, for what came is no message of a server: {error}");
            ConnectorError::new(ErrorKind::Protocol, found)
                .with_fix("Check that host and port are those of a MariaDB, and what is in between")
        }
        Error::Io(IoError::Tls(error)) => of_tls(endpoint, doing, &error.to_string()),
        Error::Io(IoError::Io(error)) if error.to_string() == "bytes remaining on stream" => {
            let found = format!("{endpoint}: {doing} failed, for the connection ended within a message");
            ConnectorError::new(ErrorKind::Unreachable, found)
        }
        Error::Io(IoError::Io(error)) => {
            let found = ConnectorError::new(
                ErrorKind::Unreachable,
                format!("{endpoint}: {doing} failed, for the server cannot be reached: {error}"),
            );
            found.with_fix("Check that the server runs, and its host and port in the config")
        }
        Error::Driver(error) => of_driver(endpoint, doing, &error),
        other => ConnectorError::new(ErrorKind::Protocol, format!("{endpoint}: {doing} failed: {other}")),
    }
}

/// What `asked` gives. What reads the messages of a login and of definitions may panic at some that no server sends.
pub(crate) async fn heard<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let unread = || io::Error::new(io::ErrorKind::InvalidData, "it cannot be read");
    let heard = AssertUnwindSafe(asked).catch_unwind().await;
    heard.unwrap_or_else(|_| Err(Error::Io(IoError::Io(unread()))))
}

/// Whether bytes came that the driver cannot read, rather than none.
fn is_no_message(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::InvalidData => true,
        io::ErrorKind::UnexpectedEof => error.to_string().starts_with("can't parse"),
        _ => false,
    }
}

/// Whether it is what encrypts that failed.
fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// Encryption fails by what somebody set: a certificate, an authority, a name.
fn of_tls(endpoint: &Endpoint, doing: &str, found: &str) -> ConnectorError {
    let fix = match found {
        found if found.contains("UnknownIssuer") || found.contains("BadSignature") => {
            "Name the file with the certificate of the authority that signed the server's as tls.ca_file in the config"
        }
        found if found.contains("not valid for name") || found.contains("NotValidForName") => {
            "Name what is in the server's certificate as tls.server_name in the config"
        }
        found if found.contains("UnsupportedCertVersion") => {
            "Make certificates of X.509 version 3, with the server's name as subjectAltName"
        }
        found if found.contains("xpired") => "Renew the server's certificate, then FLUSH SSL",
        _ => "Check the certificates: tls in the config here, ssl_cert, ssl_key and ssl_ca on the server",
    };
    let message = format!("{endpoint}: {doing} failed, for the encryption does not hold: {found}");
    ConnectorError::new(ErrorKind::Settings, message).with_fix(fix)
}

fn of_driver(endpoint: &Endpoint, doing: &str, error: &DriverError) -> ConnectorError {
    let (kind, fix) = match error {
        DriverError::ConnectionClosed => {
            let message = format!("{endpoint}: {doing} failed, for the server closed the connection");
            return ConnectorError::new(ErrorKind::Unreachable, message);
        }
        DriverError::PacketTooLarge => (ErrorKind::Limit, Some("Ask for shorter values")),
        DriverError::StmtParamsNumberExceedsLimit { .. } => (ErrorKind::Limit, None),
        DriverError::UnknownAuthPlugin { .. }
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::CleartextPluginDisabled => {
            (ErrorKind::Settings, Some("Let the account log in with mysql_native_password or ed25519"))
        }
        DriverError::NoClientSslFlagFromServer => {
            let message = format!(
                "{endpoint}: {doing} failed, for the server does not offer encryption, which tls asks for"
            );
            let fix = "Set ssl_cert and ssl_key on the server, or leave tls out of the config";
            return ConnectorError::new(ErrorKind::Settings, message).with_fix(fix);
        }
        _ => (ErrorKind::Protocol, None),
    };
    let described = ConnectorError::new(kind, format!("{endpoint}: {doing} failed: {error}"));
    match fix {
        Some(fix) => described.with_fix(fix),
        None => described,
    }
}

/// `Table … doesn't exist`.
const NO_SUCH_TABLE: u16 = 1146;

fn of_server(endpoint: &Endpoint, doing: &str, error: &ServerError) -> ConnectorError {
    let (kind, fix) = judge(error);
    let found = format!("{endpoint}: {doing} failed: {} (error {})", error.message, error.code);
    let described = ConnectorError::new(kind, found);
    let described = if error.code == NO_SUCH_TABLE { described.of_gone_table() } else { described };
    match fix {
        Some(fix) => described.with_fix(fix),
        None => described,
    }
}

/// Who can act on a server's error, and what mends it. The numbers are MariaDB's.
fn judge(error: &ServerError) -> (ErrorKind, Option<String>) {
    let fix = |text: &str| Some(text.to_owned());
    match error.code {
        1045 | 1524 | 1698 => (
            ErrorKind::Denied,
            fix("Check user and password in the config, and tls for an account that requires SSL or X509"),
        ),
        1130 => (ErrorKind::Denied, fix("Let the account log in from this host")),
        1044 | 1142 | 1143 | 1227 | 1345 | 1370 => (ErrorKind::Denied, Some(missing_grant(&error.message))),
        1049 => {
            (ErrorKind::Settings, fix("Check the database in the config; SHOW DATABASES lists those there are"))
        }
        1193 | 1231 | 1286 => (ErrorKind::Settings, fix("MariaDB 10.6 or later is needed")),
        1040 | 1203 | 1226 => (
            ErrorKind::Limit,
            fix(
                "Raise max_connections on the server (MAX_USER_CONNECTIONS of the account, if it has one), or lower connections in the limits of its services",
            ),
        ),
        1969 | 1028 => (ErrorKind::Limit, fix("Ask for less, or raise the time limit")),
        1205 => (ErrorKind::Limit, fix("Another session holds a lock on the table's definition; try again")),
        1317 => (ErrorKind::Cancelled, None),
        NO_SUCH_TABLE | 1412 | 1054 | 1615 | 1932 => (ErrorKind::DefinitionChanged, None),
        1153 => (ErrorKind::Limit, fix("Raise max_allowed_packet on the server")),
        1236 => (ErrorKind::PositionGone, None),
        1053 | 1077..=1080 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => (ErrorKind::Unreachable, None),
        _ => (ErrorKind::Query, None),
    }
}

/// The statement that gives what `message` (`… denied to user 'a'@'b' for table …`) says is missing.
fn missing_grant(message: &str) -> String {
    let account = message.split("user ").nth(1).and_then(|rest| rest.split(' ').next());
    let account = account.filter(|account| account.starts_with('\'')).unwrap_or("the account");
    format!("GRANT SELECT ON `database`.* TO {account}, and REPLICATION SLAVE ON *.* where tables are cached")
}

#[cfg(test)]
mod tests {
    use crossweave_contract::{ErrorKind, Source};

    use crate::testing::{PASSWORD, server};
    use crate::{MariaDbSource, Password, Secret, SourceOptions};

    async fn refusal(options: SourceOptions, database: &str) -> crossweave_contract::ConnectorError {
        let source = MariaDbSource::new(options);
        source.tables(&"s".into(), database, &Default::default()).await.expect_err("it is refused")
    }

    #[tokio::test]
    async fn a_wrong_password_names_the_account_and_not_the_password() {
        server().user("wrong", &[]).await;
        let error = refusal(server().account("wrong", "gu'essed"), "x").await;
        assert_eq!(error.kind, ErrorKind::Denied);
        let text = error.to_string();
        assert!(
            text.contains("127.0.0.1:") && text.contains("wrong") && text.contains("password in the config"),
            "{text}"
        );
        assert!(!text.contains("gu'essed") && !text.contains(PASSWORD), "{text}");
        assert!(!format!("{:?}", server().account("wrong", "gu'essed")).contains("gu'essed"));
    }

    #[tokio::test]
    async fn a_missing_grant_names_the_statement_that_gives_it() {
        let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
        let options = server().user("nogrant", &[]).await;
        let error = refusal(options, &database).await;
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(error.to_string().contains("GRANT SELECT ON"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_database_is_named() {
        let error = refusal(server().root(), "nowhere").await;
        assert_eq!(error.kind, ErrorKind::Settings, "{error}");
        assert!(error.to_string().contains("nowhere"), "{error}");
    }

    #[tokio::test]
    async fn nobody_listening_is_unreachable() {
        let options =
            SourceOptions { port: 1, password: Password::Fixed(Secret::new("s3cret")), ..server().root() };
        let error = refusal(options, "x").await;
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.kind.is_transient());
        assert!(error.to_string().contains("127.0.0.1:1 as root"), "{error}");
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_unreachable() {
        let options = SourceOptions { host: "no-such-host.invalid".into(), ..server().root() };
        let error = refusal(options, "x").await;
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    }

    #[tokio::test]
    async fn silence_is_bounded_by_the_connect_timeout() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let options = SourceOptions {
            port: silent.local_addr().unwrap().port(),
            connect_timeout: std::time::Duration::from_millis(200),
            ..server().root()
        };
        let error = refusal(options, "x").await;
        assert_eq!(error.kind, ErrorKind::Unreachable);
        assert!(error.to_string().contains("200ms"), "{error}");
    }
}
