//! Encryption of a connection.

use std::path::Path;
use std::sync::Arc;

use mysql_async::Error;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::Tls;

/// Encrypts `socket` as `tls` says; the server at its other end is `host`, if that names no other.
pub(super) async fn encrypt(socket: TcpStream, tls: &Tls, host: &str) -> Result<TlsStream<TcpStream>, Error> {
    let name = tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| rustls::Error::General(format!("{name} is no name that a certificate may have")))?;
    Ok(TlsConnector::from(Arc::new(config(tls).await?)).connect(name, socket).await?)
}

async fn config(tls: &Tls) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(authorities(tls.ca_file.as_deref()).await?);
    Ok(match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_slice(&tokio::fs::read(key).await?)?;
            builder.with_client_auth_cert(certificates(certificate).await?, key)?
        }
    })
}

/// Those of `file`, else those that browsers trust.
async fn authorities(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut authorities = RootCertStore::empty();
    match file {
        None => authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            for certificate in certificates(file).await? {
                authorities.add(certificate)?;
            }
        }
    }
    Ok(authorities)
}

async fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = tokio::fs::read(file).await?;
    Ok(CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>()?)
}
