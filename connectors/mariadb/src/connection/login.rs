//! Opening a connection: encryption, the account, and the settings that answers depend on.
//!
//! Why is nothing ever sent in plain where encryption is asked for? It is asked for before the account is sent, which
//! fails where the server does not offer it or its certificate does not hold. Why can a password change while
//! Crossweave runs? A file with it is read for each connection, and once more when the server refuses what it held.

use std::path::Path;

use crossweave_contract::{ConnectorError, ErrorKind, Result, Secret};

use super::{Endpoint, KEEPALIVE, describe, heard, pins};
use crate::wire::{self, Conn, Login};
use crate::{Password, SourceOptions, Tls};

/// Opens a connection and pins on it whatever changes an answer.
pub(crate) async fn connect(options: &SourceOptions) -> Result<Conn> {
    let password = password(options).await?;
    let outcome = log_in(options, &password).await;
    match (&outcome, &options.password) {
        (Err(error), Password::File(_)) if error.kind == ErrorKind::Denied => {
            // It may have changed on the server after it was read, and before in the file.
            let now = self::password(options).await?;
            if now == password { outcome } else { log_in(options, &now).await }
        }
        _ => outcome,
    }
}

async fn password(options: &SourceOptions) -> Result<Secret> {
    match &options.password {
        Password::Fixed(password) => Ok(password.clone()),
        Password::File(file) => match tokio::fs::read_to_string(file).await {
            Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(unreadable(options, "the password", file, &error)),
        },
    }
}

fn unreadable(options: &SourceOptions, what: &str, file: &Path, error: &std::io::Error) -> ConnectorError {
    let endpoint = Endpoint::of(options);
    let message = format!("{endpoint}: {what} cannot be read from {}: {error}", file.display());
    ConnectorError::new(ErrorKind::Settings, message)
        .with_fix("Let it be a file that the account of Crossweave may read")
}

async fn log_in(options: &SourceOptions, password: &Secret) -> Result<Conn> {
    let endpoint = Endpoint::of(options);
    if let Some(tls) = &options.tls {
        readable(options, tls).await?;
    }
    let login = Login {
        host: &options.host,
        port: options.port,
        user: &options.user,
        password: password.reveal(),
        tls: options.tls.as_ref(),
        keepalive: KEEPALIVE,
    };
    let attempt = async {
        let mut conn = wire::log_in(&login).await?;
        let pins = pins();
        conn.query_drop_all(&pins.each_ref().map(String::as_str)).await?;
        Ok(conn)
    };
    match tokio::time::timeout(options.connect_timeout, heard(attempt)).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(describe(&endpoint, "connecting", error)),
        Err(_) => Err(ConnectorError::new(
            ErrorKind::Unreachable,
            format!("{endpoint}: no connection within {:?}", options.connect_timeout),
        )
        .with_fix("Check host and port, and that no firewall is in between")),
    }
}

/// What encrypts does not say which file it cannot read, or that one holds no certificate.
async fn readable(options: &SourceOptions, tls: &Tls) -> Result<()> {
    let client = tls.client.as_ref();
    let files = [
        ("the certificates of authorities", tls.ca_file.as_ref(), "CERTIFICATE"),
        ("the client's certificate", client.map(|(certificate, _)| certificate), "CERTIFICATE"),
        ("the client's key", client.map(|(_, key)| key), "PRIVATE KEY"),
    ];
    for (what, file, holds) in files.into_iter().filter_map(|(what, file, holds)| Some((what, file?, holds))) {
        let text = tokio::fs::read(file).await.map_err(|error| unreadable(options, what, file, &error))?;
        let text = String::from_utf8_lossy(&text);
        if !(text.contains("-----BEGIN ") && text.contains(&format!("{holds}-----"))) {
            let endpoint = Endpoint::of(options);
            let message = format!("{endpoint}: {} holds no {holds} in PEM: expected {what}", file.display());
            return Err(ConnectorError::new(ErrorKind::Settings, message));
        }
    }
    Ok(())
}
