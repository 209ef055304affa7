//! `[services.*.tls]`: how connections to a service's server are encrypted.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::document::Path;

/// Connections to the service's server are encrypted where this table is there, be it empty; a server that does not
/// offer that is refused. Files are read for each connection, so that they can be replaced.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// File with the certificates (PEM) of the authorities of which one must have signed the server's certificate.
    /// Default: the authorities that browsers trust.
    pub ca_file: Option<String>,
    /// The name that the server's certificate must have, as DNS name or address among its subject alternative names.
    /// Default: the service's host.
    pub server_name: Option<String>,
    /// File with the certificate (PEM) that is shown to the server, for accounts that REQUIRE X509. Needs
    /// `client_key_file`. Default: none.
    pub client_cert_file: Option<String>,
    /// File with the key (PEM) of that certificate.
    pub client_key_file: Option<String>,
}

/// How connections to a server are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Authorities; those that browsers trust where none.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must have, where that is not the host's.
    pub server_name: Option<String>,
    /// Certificate and key to show to the server.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Checks the encryption at `path`.
pub(super) fn check(checker: &mut Checker<'_>, path: &Path, options: &TlsOptions) -> TlsSettings {
    let mut file = |key: &str, name: &Option<String>| {
        name.as_deref().map(|name| checker.readable_file(&path.join(key), name))
    };
    let ca_file = file("ca_file", &options.ca_file);
    let certificate = file("client_cert_file", &options.client_cert_file);
    let key = file("client_key_file", &options.client_key_file);
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let lacks = if certificate.is_some() { "client_key_file" } else { "client_cert_file" };
            checker.problem(path, format!("`{}` lacks `{lacks}`: expected both or none", path.name()));
            None
        }
    };
    TlsSettings { ca_file, server_name: options.server_name.clone(), client }
}
