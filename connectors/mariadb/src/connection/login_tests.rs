//! Encryption and accounts, with certificates that are made for the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{BooleanColumns, Capture, CaptureTables, ErrorKind, Position, Source};
use tokio::sync::watch;

use super::connect;
use crate::testing::{PASSWORD, TestServer};
use crate::{MariaDbCapture, MariaDbSource, Password, Secret, SourceOptions, Tls};

/// Certificates in a folder.
struct Authority {
    folder: tempfile::TempDir,
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output();
    let output = output.expect("openssl is needed: apt-get install openssl");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Authority {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path();
        openssl(at, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key"]);
        let name = format!("/CN={name}");
        let subject = ["-subj", &name, "-days", "30", "-out", "ca.pem"];
        openssl(at, &[&["req", "-x509", "-new", "-key", "ca.key"][..], &subject].concat());
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs a certificate `name` for `alternative`, good for so many days.
    fn sign(&self, name: &str, alternative: &str, days: u32) {
        let at = self.folder.path();
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        openssl(at, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
        openssl(at, &["req", "-new", "-key", &key, "-subj", &format!("/CN={name}"), "-out", &request]);
        std::fs::write(at.join("extensions"), format!("subjectAltName={alternative}")).expect("a file");
        let days = days.to_string();
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", &days];
        let extensions = ["-extfile", "extensions", "-out", &certificate];
        openssl(at, &[&["x509", "-req", "-in", &request][..], &by, &extensions].concat());
    }

    /// Makes the certificate `name` the one that the server shows from now on.
    async fn show(&self, server: &TestServer, name: &str) {
        for ending in ["pem", "key"] {
            let shown = self.file(&format!("server.{ending}"));
            std::fs::copy(self.file(&format!("{name}.{ending}")), shown).expect("a copy");
        }
        server.run("mysql", &["FLUSH SSL"]).await;
    }

    fn tls(&self) -> Tls {
        Tls { ca_file: Some(self.file("ca.pem")), server_name: None, client: None }
    }

    fn server(&self) -> TestServer {
        let option = |name: &str, file: &str| format!("--ssl-{name}={}", self.file(file).display());
        let options = [option("ca", "ca.pem"), option("cert", "server.pem"), option("key", "server.key")];
        TestServer::start(&options.each_ref().map(String::as_str))
    }
}

async fn cipher(options: &SourceOptions) -> crossweave_contract::Result<String> {
    let mut conn = connect(options).await?;
    let found: Option<(String, String)> = conn.exec_first("SHOW STATUS LIKE 'Ssl_cipher'", ()).await.unwrap();
    Ok(found.unwrap().1)
}

/// What is said of a connection that must not be.
async fn refused(options: &SourceOptions, kind: ErrorKind, words: &[&str]) {
    let error = cipher(options).await.expect_err("it is refused");
    assert_eq!(error.kind, kind, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
}

#[tokio::test]
async fn connections_are_encrypted_to_the_right_server_or_not_made() {
    let (authority, other) = (Authority::new("one"), Authority::new("other"));
    authority.sign("expired", "IP:127.0.0.1", 0);
    authority.sign("here", "IP:127.0.0.1,DNS:localhost", 30);
    authority.sign("elsewhere", "DNS:db.example", 30);
    authority.sign("client", "DNS:client", 30);
    for ending in ["pem", "key"] {
        std::fs::copy(authority.file(&format!("here.{ending}")), authority.file(&format!("server.{ending}")))
            .unwrap();
    }
    let server = authority.server();
    let plain = server.user("encrypted", &["SELECT ON mysql.*", "REPLICATION SLAVE ON *.*"]).await;
    server.run("mysql", &["ALTER USER encrypted@127.0.0.1 REQUIRE SSL"]).await;
    let with = |tls: Tls| SourceOptions { tls: Some(tls), ..plain.clone() };
    refused(&plain, ErrorKind::Denied, &["encrypted"]).await;
    assert_ne!(cipher(&with(authority.tls())).await.unwrap(), "");
    assert_ne!(cipher(&SourceOptions { host: "localhost".into(), ..with(authority.tls()) }).await.unwrap(), "");

    // Signed by somebody else, or by nobody that browsers trust.
    refused(&with(other.tls()), ErrorKind::Settings, &["UnknownIssuer", "ca_file"]).await;
    refused(&with(Tls { ca_file: None, ..authority.tls() }), ErrorKind::Settings, &["UnknownIssuer"]).await;
    // Of another name; which may be the one that is asked for.
    authority.show(&server, "elsewhere").await;
    refused(&with(authority.tls()), ErrorKind::Settings, &["127.0.0.1", "server_name"]).await;
    let named = |name: &str| with(Tls { server_name: Some(name.into()), ..authority.tls() });
    assert_ne!(cipher(&named("db.example")).await.unwrap(), "");
    refused(&named("db2.example"), ErrorKind::Settings, &["db2.example", "server_name"]).await;
    authority.show(&server, "expired").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    refused(&with(authority.tls()), ErrorKind::Settings, &["expired"]).await;
    // It was replaced: no restart of anything.
    authority.show(&server, "here").await;
    cipher(&with(authority.tls())).await.unwrap();

    // A certificate for the server to look at.
    server.run("mysql", &["ALTER USER encrypted@127.0.0.1 REQUIRE X509"]).await;
    refused(&with(authority.tls()), ErrorKind::Denied, &["encrypted"]).await;
    let shown = Some((authority.file("client.pem"), authority.file("client.key")));
    let shows = with(Tls { client: shown, ..authority.tls() });
    assert_ne!(cipher(&shows).await.unwrap(), "");
    let file = |name: &str| with(Tls { ca_file: Some(authority.file(name)), ..authority.tls() });
    refused(&file("nowhere.pem"), ErrorKind::Settings, &["nowhere.pem"]).await;
    refused(&file("ca.key"), ErrorKind::Settings, &["holds no CERTIFICATE"]).await;

    all_go_by_the_same_settings(&shows).await;
}

/// The account is let in with a certificate only: pool, connections beside it, and the binlog's.
async fn all_go_by_the_same_settings(options: &SourceOptions) {
    let source = MariaDbSource::new(options.clone());
    source.tables(&"s".into(), "mysql", &BooleanColumns::default()).await.unwrap();
    let findings = source.check("mysql", None).await;
    let encryption = findings.iter().find(|finding| finding.subject == "encryption").expect("it is told");
    assert!(encryption.found.starts_with("TLSv1"), "{encryption:?}");
    let position: Position = source.binlog_end().await.unwrap().position;
    let (_kept, tables) = watch::channel(Arc::new(CaptureTables::default()));
    drop(MariaDbCapture::new(options.clone()).start(position, tables).await.unwrap());
}

#[tokio::test]
async fn a_server_without_encryption_is_refused_where_it_is_asked_for() {
    let authority = Authority::new("one");
    let server = TestServer::start(&["--skip-ssl"]);
    let plain = server.user("anybody", &[]).await;
    assert_eq!(cipher(&plain).await.unwrap(), "");
    let options = SourceOptions { tls: Some(authority.tls()), ..plain };
    refused(&options, ErrorKind::Settings, &["does not offer encryption", "ssl_cert"]).await;
}

#[tokio::test]
async fn accounts_log_in_with_ed25519_and_mysql_native_password() {
    let authority = Authority::new("one");
    authority.sign("server", "IP:127.0.0.1", 30);
    let server = authority.server();
    let password = PASSWORD.replace('\'', "''");
    server
        .run(
            "mysql",
            &[
                "INSTALL SONAME 'auth_ed25519'",
                &format!("CREATE USER e@127.0.0.1 IDENTIFIED VIA ed25519 USING PASSWORD('{password}')"),
                &format!(
                    "CREATE USER n@127.0.0.1 IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}')"
                ),
            ],
        )
        .await;
    for user in ["e", "n"] {
        let plain = server.account(user, PASSWORD);
        assert_eq!(cipher(&plain).await.unwrap(), "", "{user}");
        let encrypted = SourceOptions { tls: Some(authority.tls()), ..plain };
        assert_ne!(cipher(&encrypted).await.unwrap(), "", "{user}");
        refused(&server.account(user, "wrong"), ErrorKind::Denied, &[user]).await;
    }
}

#[tokio::test]
async fn a_password_that_counts_no_more_is_told_until_it_does_again() {
    let server = TestServer::start(&[]);
    let source = MariaDbSource::new(server.user("reader", &["SELECT ON mysql.*"]).await);
    let open = async || source.open_view(Duration::from_secs(30), (1 << 20).into()).await.map(drop);
    open().await.unwrap();
    assert_eq!(source.protection().denied, None);
    let password = PASSWORD.replace('\'', "''");
    let identified = |by: &str| format!("ALTER USER reader@'127.0.0.1' IDENTIFIED BY '{by}'");
    server.run("mysql", &[&identified("another"), "KILL HARD USER reader@'127.0.0.1'"]).await;
    assert_eq!(open().await.unwrap_err().kind, ErrorKind::Denied);
    let denied = source.protection().denied.expect("it is told");
    assert!(denied.contains("1045"), "{denied}");
    // Whoever asks meanwhile is told so, and the server is not: it may lock an account that is refused too often.
    server.run("mysql", &["SET GLOBAL max_password_errors = 3"]).await;
    for _ in 0..20 {
        let error = open().await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.contains("; it is tried again in "), "{error}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.run("mysql", &[&identified(&password)]).await;
    open().await.unwrap();
    assert_eq!(source.protection().denied, None);
}

#[tokio::test]
async fn a_password_changes_in_its_file_without_a_restart() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let options = server.user("rotates", &["SELECT ON mysql.*"]).await;
    let options = SourceOptions { password: Password::File(file.clone()), ..options };
    let source = MariaDbSource::new(options.clone());
    let asks = async || source.tables(&"s".into(), "mysql", &BooleanColumns::default()).await.map(drop);
    asks().await.unwrap();
    server.run("mysql", &["SET PASSWORD FOR rotates@127.0.0.1 = PASSWORD('next')"]).await;
    // Who is logged in stays.
    asks().await.unwrap();
    refused(&options, ErrorKind::Denied, &["rotates", "password"]).await;
    std::fs::write(&file, "next").unwrap();
    cipher(&options).await.unwrap();
    // One who was refused reads it again: the file changes while the server is asked.
    server.run("mysql", &["SET PASSWORD FOR rotates@127.0.0.1 = PASSWORD('third')"]).await;
    let fixed = SourceOptions { password: Password::Fixed(Secret::new("next")), ..options.clone() };
    refused(&fixed, ErrorKind::Denied, &[]).await;
    std::fs::write(&file, "third\r\n").unwrap();
    cipher(&options).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    refused(&options, ErrorKind::Settings, &["the password cannot be read from", "password"]).await;
}
