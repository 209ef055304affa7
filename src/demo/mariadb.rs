//! MariaDB servers of our own: each on a free loopback port, with its own data folder and binlog.
//!
//! How can a server be there in a fraction of a second? `mariadb-install-db` runs once for each version of
//! MariaDB; its result is kept as a template, and a new server starts on a copy of it. The accounts come from
//! a file that the server runs before it listens, so no server is ever reachable without a password.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

use super::error::{DemoError, Result};
use super::parts::{MariaDbParts, parts_dir};
use super::process::{Process, Sandbox, free_port};

/// The account that owns everything on a server of ours.
pub const OWNER: &str = "owner";

/// How long a server may take until it accepts connections. On an idle machine it takes 0.3 s; the rest is
/// for a busy one and for recovery after a kill.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long a server may take to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct MariaDbOptions {
    /// What it is called in messages and in the sandbox's folder.
    pub name: String,
    /// Its `server_id`; distinct between servers.
    pub server_id: u32,
    /// Its `gtid_domain_id`.
    pub gtid_domain_id: u32,
    /// Whether it writes a binlog in the format that capture needs.
    pub log_bin: bool,
    /// Whether to load the FEDERATED engine, where it is present.
    pub federated: bool,
    /// More arguments for `mariadbd`, after ours, so that they win.
    pub extra: Vec<String>,
}

impl MariaDbOptions {
    /// A server with a binlog, as capture needs it.
    #[must_use]
    pub fn new(name: &str, server_id: u32) -> Self {
        Self {
            name: name.to_owned(),
            server_id,
            gtid_domain_id: 0,
            log_bin: true,
            federated: false,
            extra: Vec::new(),
        }
    }

    /// Adds an argument for `mariadbd`, say `--binlog-row-image=MINIMAL`.
    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.extra.push(argument.to_owned());
        self
    }
}

/// One MariaDB server. Dropping it kills it; its data goes with the sandbox.
pub struct MariaDb {
    options: MariaDbOptions,
    parts: MariaDbParts,
    sandbox: Sandbox,
    dir: PathBuf,
    port: u16,
    password: String,
    process: Option<Process>,
}

impl MariaDb {
    /// Starts a server with fresh data and waits until it accepts connections.
    ///
    /// # Errors
    /// When MariaDB is missing, or does not start; the error shows the end of its log.
    pub async fn start(sandbox: &Sandbox, options: MariaDbOptions) -> Result<Self> {
        let parts = MariaDbParts::find()?;
        let dir = sandbox.subfolder(&options.name)?;
        let template = template(&parts, sandbox).await?;
        copy_folder(&template, &dir.join("data"))
            .map_err(|e| DemoError::io(format!("copy {} for {}", template.display(), options.name), e))?;
        let password = format!("{:016x}", rand::random::<u64>());
        let mut server =
            Self { options, parts, sandbox: sandbox.clone(), dir, port: 0, password, process: None };
        let mut tries = 0;
        loop {
            server.port = free_port()?;
            tries += 1;
            match server.resume().await {
                // Somebody else took the port between our look at it and the server's.
                Err(DemoError::Died { tail, .. }) if tries < 4 && tail.contains("Bind on TCP/IP port") => {}
                other => break other.map(|()| server),
            }
        }
    }

    /// Starts the server again on the same port and data, after [`MariaDb::kill`] or [`MariaDb::stop`].
    ///
    /// # Errors
    /// When it does not start; the error shows the end of its log.
    pub async fn resume(&mut self) -> Result<()> {
        self.kill();
        let init = self.dir.join("accounts.sql");
        fs::write(&init, self.accounts()).map_err(|e| DemoError::io(format!("write {}", init.display()), e))?;
        let command = self.command(&init);
        let name = format!("MariaDB \"{}\"", self.options.name);
        let process = self.sandbox.spawn(&name, command, &self.log())?;
        let process = self.process.insert(process);
        let opts = opts(self.port, &self.password, None);
        let conn = process
            .until(START_LIMIT, async || Conn::new(opts.clone()).await.map_err(|error| error.to_string()));
        // Only a connection that the server has let go of is surely out of the way of what follows.
        let ended = conn.await?.disconnect().await;
        ended.map_err(|e| DemoError::sql("end the connection that tried it out", e))
    }

    /// Kills the server as `kill -9` does. Its data stays for [`MariaDb::resume`].
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends the server in good order. Its data stays for [`MariaDb::resume`].
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP_LIMIT).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// What the server is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.options.name
    }

    /// The port on 127.0.0.1; the same for the server's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The password of [`OWNER`].
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The server's log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// The file of the FEDERATED engine, if this server was told to load it and it is present.
    #[must_use]
    pub fn has_federated(&self) -> bool {
        self.options.federated && self.parts.federated.is_some()
    }

    /// How to connect as [`OWNER`], to a database or to none.
    #[must_use]
    pub fn opts(&self, database: Option<&str>) -> Opts {
        opts(self.port, &self.password, database)
    }

    /// A new connection as [`OWNER`].
    ///
    /// # Errors
    /// When the server does not accept it.
    pub async fn connect(&self, database: Option<&str>) -> Result<Conn> {
        Conn::new(self.opts(database))
            .await
            .map_err(|e| DemoError::sql(format!("connect to \"{}\" as {OWNER}", self.options.name), e))
    }

    /// Runs statements as [`OWNER`] on a connection of their own, separated by semicolons.
    ///
    /// # Errors
    /// MariaDB's, at the first statement that fails.
    pub async fn execute(&self, database: Option<&str>, statements: &str) -> Result<()> {
        let mut conn = self.connect(database).await?;
        let first = statements.trim().lines().next().unwrap_or_default().to_owned();
        conn.query_drop(statements).await.map_err(|e| DemoError::sql(format!("run `{first}`"), e))?;
        conn.disconnect().await.map_err(|e| DemoError::sql("disconnect", e))
    }

    fn accounts(&self) -> String {
        let password = &self.password;
        // One statement a line, as `--init-file` wants it; not in the binlog, whose every position is then a
        // change that somebody made.
        format!(
            "SET SESSION sql_log_bin = 0;\n\
             DROP USER IF EXISTS 'root'@'localhost', ''@'localhost';\n\
             CREATE OR REPLACE USER '{OWNER}'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL PRIVILEGES ON *.* TO '{OWNER}'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
    }

    fn command(&self, init: &Path) -> Command {
        let options = &self.options;
        let mut command = Command::new(&self.parts.server);
        let data = self.dir.join("data");
        command
            .arg("--no-defaults")
            .args(as_root())
            .arg(setting("--datadir", &data))
            .arg(setting("--init-file", init))
            .arg(setting("--secure-file-priv", &self.dir))
            .arg(setting("--tmpdir", &self.dir))
            // A socket's path has a limit of 107 bytes, which a path from the data folder always keeps.
            .arg("--socket=sock")
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--port={}", self.port))
            .arg(format!("--server-id={}", options.server_id))
            .arg(format!("--gtid-domain-id={}", options.gtid_domain_id))
            .args(["--skip-name-resolve", "--character-set-server=utf8mb4"])
            // From 11.4 on a server without a certificate makes itself a key first, which may take ten seconds.
            .arg("--skip-ssl")
            // Small and quick: what a kill of the process would lose is kept, what a power loss would is not.
            .args(["--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0"])
            .args(["--innodb-buffer-pool-size=64M", LOG_SIZE, "--key-buffer-size=1M"])
            .args(["--innodb-buffer-pool-load-at-startup=OFF", "--innodb-buffer-pool-dump-at-shutdown=OFF"]);
        if options.log_bin {
            command.args(["--log-bin=binlog", "--binlog-format=ROW"]);
        }
        if let Some(base) = &self.parts.base {
            command.arg(setting("--basedir", base)).arg(setting("--lc-messages-dir", &base.join("share")));
        }
        if let (true, Some(plugin)) = (options.federated, &self.parts.federated) {
            command.arg("--plugin-load-add=ha_federatedx.so");
            if let (Some(_), Some(dir)) = (&self.parts.base, plugin.parent()) {
                command.arg(setting("--plugin-dir", dir));
            }
        }
        command.args(&options.extra).current_dir(&self.dir);
        command
    }
}

/// The size of InnoDB's log: the template's and the servers', or a start would make it anew.
const LOG_SIZE: &str = "--innodb-log-file-size=16M";

fn setting(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// MariaDB refuses to run as root unless told so by name.
fn as_root() -> Option<&'static str> {
    let root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    root.then_some("--user=root")
}

fn opts(port: u16, password: &str, database: Option<&str>) -> Opts {
    OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(port)
        .user(Some(OWNER))
        .pass(Some(password))
        .db_name(database)
        .prefer_socket(false)
        .into()
}

/// The data folder of a server that has just been installed, one for each version. It is kept beside the
/// fetched parts, or in the sandbox where that folder cannot be written.
async fn template(parts: &MariaDbParts, sandbox: &Sandbox) -> Result<PathBuf> {
    static ONCE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = ONCE.lock().await;
    let version = Command::new(&parts.server)
        .arg("--version")
        .output()
        .map_err(|e| DemoError::io(format!("run {}", parts.server.display()), e))?;
    let version: String = String::from_utf8_lossy(&version.stdout)
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .unwrap_or("unknown")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let kept = parts_dir().join("templates");
    // Absolute: mariadb-install-db works in another folder.
    let kept = fs::create_dir_all(&kept).and_then(|()| kept.canonicalize()).unwrap_or(sandbox.dir().to_owned());
    let finished = kept.join(format!("mariadb-{version}"));
    if finished.is_dir() {
        return Ok(finished);
    }
    let new = kept.join(format!("mariadb-{version}.{}-{:08x}", std::process::id(), rand::random::<u32>()));
    install(parts, &new).await?;
    // Another process may have been quicker; its template is as good as ours.
    if fs::rename(&new, &finished).is_err() {
        let _ = fs::remove_dir_all(&new);
    }
    Ok(finished)
}

async fn install(parts: &MariaDbParts, data: &Path) -> Result<()> {
    // Of its own: a server that starts clears its folder of temporary tables, which by default is everybody's.
    let mut temporary = data.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    fs::create_dir_all(&temporary)
        .map_err(|e| DemoError::io(format!("create the folder {}", temporary.display()), e))?;
    let installed = install_with(parts, data, &temporary).await;
    let _ = fs::remove_dir_all(&temporary);
    installed
}

async fn install_with(parts: &MariaDbParts, data: &Path, temporary: &Path) -> Result<()> {
    let mut command = tokio::process::Command::new(&parts.install);
    command
        .arg("--no-defaults")
        .args(as_root())
        .arg(setting("--datadir", data))
        .arg(setting("--tmpdir", temporary))
        .args(["--auth-root-authentication-method=socket", "--auth-root-socket-user=root"])
        .args(["--skip-test-db", "--skip-name-resolve", LOG_SIZE])
        .kill_on_drop(true);
    if let Some(base) = &parts.base {
        command.arg(setting("--basedir", base));
    }
    let running = || format!("run {}", parts.install.display());
    let output = command.output().await.map_err(|e| DemoError::io(running(), e))?;
    if output.status.success() {
        return Ok(());
    }
    let _ = fs::remove_dir_all(data);
    let said = [output.stdout, output.stderr].concat();
    Err(DemoError::io(running(), io::Error::other(String::from_utf8_lossy(&said).into_owned())))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
