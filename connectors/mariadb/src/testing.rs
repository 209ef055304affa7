//! A real MariaDB server for this crate's tests: one per test process, on loopback, stopped with it.
//!
//! Why does it never outlive the tests, whatever happens to them? The server runs under a shell that waits for
//! its standard input to end, which it does when this process does.

mod programs;
pub(crate) mod proxy;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use crossweave_contract::{
    BooleanColumns, RemoteQuery, Result, Row, Source, SourceId, SourceView, TableDef, value_at,
};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

use self::programs::Programs;
use crate::{Limits, MariaDbSource, Password, Secret, SourceOptions};

/// Password of every account that [`TestServer`] makes.
pub(crate) const PASSWORD: &str = "pass'word";

/// A running server. Its data is in a folder of its own, which goes with it.
pub(crate) struct TestServer {
    child: Mutex<Child>,
    /// TCP port on 127.0.0.1.
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    programs: Programs,
}

static SHARED: LazyLock<TestServer> = LazyLock::new(|| TestServer::start(&[]));
static OTHERS: LazyLock<Vec<TestServer>> = LazyLock::new(|| {
    let of = |version: &String| TestServer::start_of(Programs::of(version), &[]);
    programs::other_versions().iter().map(of).collect()
});
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// All rows of `query` through `view`.
pub(crate) async fn rows(view: &dyn SourceView, query: RemoteQuery) -> Result<Vec<Row>> {
    let columns: Vec<_> = query.columns.iter().map(|column| column.column_type.clone()).collect();
    let batches: Vec<RecordBatch> = view.scan(query).try_collect().await?;
    let row = |batch: &RecordBatch, row| {
        columns.iter().zip(batch.columns()).map(|(kind, array)| value_at(kind, array, row)).collect()
    };
    Ok(batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect())
}

/// The definition of `table` in `database`, as root sees it.
pub(crate) async fn definition(database: &str, table: &str) -> Arc<TableDef> {
    definition_on(server(), database, table).await
}

/// The same of another server.
pub(crate) async fn definition_on(server: &TestServer, database: &str, table: &str) -> Arc<TableDef> {
    let source = MariaDbSource::new(server.root());
    let found = source.tables(&"s".into(), database, &BooleanColumns::default()).await.expect("tables");
    let named = found.tables.into_iter().find(|found| &*found.id.table == table);
    Arc::new(named.unwrap_or_else(|| panic!("no table {table} in {database}")))
}

/// Options that lead nowhere, of the service `s`.
pub(crate) fn offline() -> SourceOptions {
    SourceOptions {
        id: SourceId::new("nowhere"),
        services: vec!["s".into()],
        host: "127.0.0.1".into(),
        port: 1,
        user: "root".into(),
        password: Password::Fixed(Secret::default()),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        limits: Limits::default(),
        server_id: None,
        replicas: Vec::new(),
        replica_lag: Duration::from_secs(1),
    }
}

/// The server that all tests of this process share. Tests keep apart by databases: [`TestServer::database`].
pub(crate) fn server() -> &'static TestServer {
    &SHARED
}

/// Servers of the other versions that types are tested on, which all tests of this process share.
pub(crate) fn others() -> &'static [TestServer] {
    &OTHERS
}

impl TestServer {
    /// Starts a server with the binlog as Crossweave needs it; `settings` are further options
    /// (`--skip-log-bin`), the last one of a name wins.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_of(Programs::usual(), settings)
    }

    fn start_of(programs: Programs, settings: &[&str]) -> Self {
        let mut log = String::new();
        // Another process may take the port before the server does.
        for _ in 0..3 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let data = folder.path().join("data");
            programs.install(&data);
            let port = free_port();
            let mut child = launch(&programs, folder.path(), &data, port, settings);
            if wait_until_it_answers(&mut child, port, folder.path()) {
                return Self { child: Mutex::new(child), port, folder, programs };
            }
            log = log_of(folder.path());
        }
        panic!("mariadbd did not start: {log}");
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(child.stdin.take());
        child.wait().expect("the server's shell ends");
    }

    /// Starts a server without data at the port of one that was [killed](Self::kill).
    pub(crate) fn restart(&self) {
        let folder = self.folder.path();
        // The shell of the killed one removes it.
        let deadline = Instant::now() + Duration::from_secs(10);
        while folder.exists() {
            assert!(Instant::now() < deadline, "{} is still there", folder.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        std::fs::create_dir_all(folder).expect("the folder");
        self.programs.install(&folder.join("data"));
        let mut child = launch(&self.programs, folder, &folder.join("data"), self.port, &[]);
        assert!(wait_until_it_answers(&mut child, self.port, folder), "{}", log_of(folder));
        *self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = child;
    }

    /// Options for a connection as root.
    pub(crate) fn root(&self) -> SourceOptions {
        self.account("root", "")
    }

    /// Options for a connection as `user`.
    pub(crate) fn account(&self, user: &str, password: &str) -> SourceOptions {
        SourceOptions {
            id: SourceId::new(format!("127.0.0.1:{}", self.port)),
            host: "127.0.0.1".into(),
            port: self.port,
            user: user.into(),
            password: Password::Fixed(Secret::new(password)),
            ..offline()
        }
    }

    /// Options for a connection as root, within `limits`.
    pub(crate) fn limited(&self, limits: Limits) -> SourceOptions {
        SourceOptions { limits, ..self.root() }
    }

    /// A plain connection as root, in `database`.
    pub(crate) async fn connect(&self, database: Option<&str>) -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port)
            .user(Some("root"))
            .db_name(database)
            .prefer_socket(false);
        Conn::new(options).await.expect("root can connect")
    }

    /// Its version's first two numbers.
    pub(crate) async fn version(&self) -> (u32, u32) {
        let mut conn = self.connect(None).await;
        let text: Option<String> = conn.query_first("SELECT VERSION()").await.expect("a version");
        conn.disconnect().await.expect("goodbye");
        let text = text.expect("a version");
        let mut numbers = text.split('.').map(|number| number.parse().expect("a number"));
        numbers.next().zip(numbers.next()).expect("two numbers")
    }

    /// Makes a database with a name of its own, runs `statements` in it, and returns the name.
    pub(crate) async fn database(&self, statements: &[&str]) -> String {
        // No word of another test's statements, which would count as one about it.
        let name = format!("of_test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut conn = self.connect(None).await;
        let create = format!("CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci");
        conn.query_drop(create).await.expect("a database");
        conn.query_drop(format!("USE {name}")).await.expect("the database");
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        conn.disconnect().await.expect("goodbye");
        name
    }

    /// Runs `statements` as root in `database`, on one connection.
    pub(crate) async fn run(&self, database: &str, statements: &[&str]) {
        let mut conn = self.connect(Some(database)).await;
        for statement in statements {
            conn.query_drop(*statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        conn.disconnect().await.expect("goodbye");
    }

    /// Makes the account `user` with [`PASSWORD`] and the given rights, each as `SELECT ON db.*`.
    pub(crate) async fn user(&self, user: &str, grants: &[&str]) -> SourceOptions {
        let mut conn = self.connect(None).await;
        let (account, quoted) = (user.replace('\'', "''"), PASSWORD.replace('\'', "''"));
        conn.query_drop(format!("CREATE OR REPLACE USER '{account}'@'127.0.0.1' IDENTIFIED BY '{quoted}'"))
            .await
            .expect("an account");
        for grant in grants {
            conn.query_drop(format!("GRANT {grant} TO '{account}'@'127.0.0.1'")).await.expect("a grant");
        }
        conn.disconnect().await.expect("goodbye");
        self.account(user, PASSWORD)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(programs: &Programs, folder: &Path, data: &Path, port: u16, settings: &[&str]) -> Child {
    // The server is a child of the shell; the shell ends it, and removes its data, as soon as its own input ends.
    let script = r#"exec 3<&0
        "$@" & server=$!
        (read -r _; kill -9 $server; while kill -0 $server; do :; done; rm -rf "$FOLDER") <&3 &
        wait $server"#;
    let log = std::fs::File::create(folder.join("log")).expect("the log");
    Command::new("sh")
        .args(["-c", script, "sh"])
        .env("FOLDER", folder)
        .env("TMPDIR", folder)
        .arg(programs.server())
        .arg("--no-defaults")
        .args(programs.places())
        // From 11.4 on a server without a certificate makes itself a key first, which may take ten seconds.
        .args(["--skip-ssl", "--user=root", "--bind-address=127.0.0.1", "--log-bin=bin", "--server-id=77"])
        .args(["--binlog-format=ROW", "--binlog-row-image=FULL", "--innodb-flush-log-at-trx-commit=0"])
        .args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M", "--skip-name-resolve"])
        .args([format!("--port={port}"), format!("--datadir={}", data.display())])
        .args([format!("--socket={}", folder.join("sock").display())])
        .args([format!("--pid-file={}", folder.join("pid").display())])
        .args(settings)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("mariadbd runs")
}

fn wait_until_it_answers(child: &mut Child, port: u16, folder: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    let ready = || log_of(folder).contains("ready for connections");
    while !ready() {
        if child.try_wait().expect("the server's state").is_some() {
            return false;
        }
        assert!(Instant::now() < deadline, "mariadbd on port {port} does not answer: {}", log_of(folder));
        // Another process: its log is all there is to look at.
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

#[tokio::test]
async fn starts_with_the_binlog_as_needed() {
    let mut conn = server().connect(None).await;
    let row: Option<(u8, String)> = conn.query_first("SELECT @@log_bin, @@binlog_format").await.unwrap();
    assert_eq!(row, Some((1, "ROW".into())));
}
