//! The database that a service owns, on one of our servers, and the account with which Crossweave reads it.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::error::{DemoError, Result};
use super::mariadb::MariaDb;

/// The account that Crossweave has: it can read its service's database and the binlog, and write nothing.
pub const READER: &str = "crossweave";

/// A service's database. It names the server, but does not keep it running.
#[derive(Clone, Debug)]
pub struct ServiceDatabase {
    /// The service's name, which is the SQL schema's.
    pub service: String,
    /// The database's name on the server.
    pub database: String,
    /// The server's port on 127.0.0.1.
    pub port: u16,
    /// The password of [`READER`] on this server.
    pub reader_password: String,
    owner: Opts,
}

impl ServiceDatabase {
    /// Creates the database anew, empty, and lets [`READER`] read it.
    ///
    /// # Errors
    /// MariaDB's. The name must be a plain one: letters, digits and underscores.
    pub async fn create(server: &MariaDb, service: &str, database: &str) -> Result<Self> {
        if database.is_empty() || !database.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(DemoError::Answer {
                action: format!("for a database named `{database}`"),
                detail: "expected letters, digits and underscores alone".to_owned(),
            });
        }
        // One password for the account on one server, whatever the number of databases.
        let reader_password = format!("r{}", server.password());
        let statements = [
            format!("CREATE OR REPLACE DATABASE {database} CHARACTER SET utf8mb4"),
            format!("CREATE USER IF NOT EXISTS '{READER}'@'127.0.0.1' IDENTIFIED BY '{reader_password}'"),
            format!("GRANT SELECT ON {database}.* TO '{READER}'@'127.0.0.1'"),
            format!("GRANT REPLICATION SLAVE ON *.* TO '{READER}'@'127.0.0.1'"),
        ];
        server.execute(None, &statements.join(";\n")).await?;
        Ok(Self {
            service: service.to_owned(),
            database: database.to_owned(),
            port: server.port(),
            reader_password,
            owner: server.opts(Some(database)),
        })
    }

    /// A new connection as the owner.
    ///
    /// # Errors
    /// When the server does not accept it.
    pub async fn connect(&self) -> Result<Conn> {
        Conn::new(self.owner.clone())
            .await
            .map_err(|e| DemoError::sql(format!("connect to the database of {}", self.service), e))
    }

    /// How to connect as the owner.
    #[must_use]
    pub fn owner_opts(&self) -> Opts {
        self.owner.clone()
    }

    /// How to connect as [`READER`].
    #[must_use]
    pub fn reader_opts(&self) -> Opts {
        OptsBuilder::from_opts(self.owner.clone()).user(Some(READER)).pass(Some(&self.reader_password)).into()
    }

    /// Runs statements as the owner, separated by semicolons, on a connection of their own.
    ///
    /// # Errors
    /// MariaDB's, at the first statement that fails.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        let mut conn = self.connect().await?;
        let first = statements.trim().lines().next().unwrap_or_default();
        conn.query_drop(statements).await.map_err(|e| DemoError::sql(format!("run `{first}`"), e))?;
        conn.disconnect().await.map_err(|e| DemoError::sql("disconnect", e))
    }

    /// The name of the environment variable that [`ServiceDatabase::config`] takes the password from.
    #[must_use]
    pub fn password_variable(&self) -> String {
        format!("{}_PASSWORD", self.service.to_ascii_uppercase())
    }

    /// The service's part of a config file. `mode` is `live` or `cached`.
    #[must_use]
    pub fn config(&self, mode: &str) -> String {
        let Self { service, database, port, .. } = self;
        let variable = self.password_variable();
        format!(
            "[services.{service}]\n\
             url = \"mysql://{READER}:${{{variable}}}@127.0.0.1:{port}/{database}\"\n\
             mode = \"{mode}\"\n\n"
        )
    }
}
